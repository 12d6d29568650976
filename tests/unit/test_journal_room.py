"""Room for the journal: new calls are refused in time, and calls in progress never lack it."""

import errno
import os
from types import SimpleNamespace

import pytest

from billing import journal, journal_room
from billing.journal import RESERVE, JournalReader, JournalUnwritable, JournalWriter
from billing.journal_room import JournalRoom, depth_of
from billing.settings import JournalSettings

FACT = {"kind": "ended", "call_key": "01J", "talked_ms": 61000}
MEGABYTE = 1_000_000


@pytest.fixture
def clock(monkeypatch):
    """Monotonic seconds that pass when a test says so."""

    class Clock:
        now = 1000.0

        def pass_(self, seconds):
            self.now += seconds

    made = Clock()
    monkeypatch.setattr(journal_room.time, "monotonic", lambda: made.now)
    return made


def room(folder, depth_max_mb=1, reserve_mb=1):
    return JournalRoom(folder, JournalSettings(depth_max_mb=depth_max_mb, reserve_mb=reserve_mb))


def fill(folder, size):
    writer = JournalWriter(folder)
    while depth_of(folder) <= size:
        writer.append({**FACT, "detail": "x" * 16_000})
    writer.close()


def full_disk(monkeypatch, folder, *, for_good=False, reason=errno.ENOSPC):
    """os.write finds no room as long as the reserve takes it, or ever."""
    write = os.write

    def refuse(file, content):
        if for_good or (folder / RESERVE).exists():
            raise OSError(reason, os.strerror(reason))
        return write(file, content)

    monkeypatch.setattr(journal.os, "write", refuse)


def test_depth_of_an_empty_journal_is_nothing(tmp_path):
    """No folder, no segment: nothing waits."""
    assert 0 == depth_of(tmp_path / "none")


def test_depth_counts_what_the_drain_has_not_done(tmp_path):
    """Seen from another process the depth is what the drain says itself."""
    writer, reader = JournalWriter(tmp_path), JournalReader(tmp_path)
    for _ in range(3):
        writer.append(FACT)
    assert tmp_path.joinpath(os.fsdecode(next(tmp_path.glob("*.journal")))).stat().st_size == depth_of(tmp_path)
    reader.done(reader.entries()[1])
    assert reader.depth() == depth_of(tmp_path) > 0
    reader.done(reader.entries()[0])
    reader.entries()
    assert 0 == depth_of(tmp_path)


def test_journal_that_is_too_deep_takes_no_new_call(tmp_path, clock):
    """The error names the bound; facts of the calls that are up are written all the same."""
    limited = room(tmp_path, reserve_mb=0)
    fill(tmp_path, MEGABYTE)
    with pytest.raises(JournalUnwritable, match=r"bytes wait for the ledger, at most 1000000"):
        limited.check()
    JournalWriter(tmp_path).append(FACT)


def test_refusals_have_as_much_room_again(tmp_path, clock):
    """Past the depth new calls are refused, with CDRs; past twice the depth nothing is written for them any more."""
    limited = room(tmp_path, reserve_mb=0)
    fill(tmp_path, MEGABYTE)
    assert limited.takes_refusals()
    fill(tmp_path, 2 * MEGABYTE)
    assert limited.takes_refusals()  # looked at once a second
    clock.pass_(1.1)
    assert not limited.takes_refusals()
    with pytest.raises(JournalUnwritable, match="bytes wait for the ledger"):
        limited.check()


def test_new_calls_come_in_again_when_the_ledger_has_the_facts(tmp_path, clock):
    """It is looked at once a second."""
    limited, reader = room(tmp_path, reserve_mb=0), JournalReader(tmp_path)
    fill(tmp_path, MEGABYTE)
    with pytest.raises(JournalUnwritable):
        limited.check()
    for entry in reader.entries():
        reader.done(entry)
    clock.pass_(0.9)
    with pytest.raises(JournalUnwritable):
        limited.check()
    clock.pass_(0.2)
    limited.check()


def test_reserve_is_room_that_is_taken(tmp_path):
    """Not a hole: its blocks are there."""
    assert room(tmp_path).keep_reserve()
    reserve = (tmp_path / RESERVE).stat()
    assert (MEGABYTE, True) == (reserve.st_size, reserve.st_blocks * 512 >= MEGABYTE)
    assert reserve.st_mode & 0o777 == 0o600


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EDQUOT], ids=errno.errorcode.get)
def test_fact_takes_the_reserve_when_the_disk_is_full(tmp_path, monkeypatch, clock, reason):
    """The end of a call in progress is written; no new call begins. A quota that is used up is a full disk."""
    limited = room(tmp_path)
    limited.keep_reserve()
    limited.check()
    full_disk(monkeypatch, tmp_path, reason=reason)
    JournalWriter(tmp_path).append(FACT)
    assert [FACT] == [entry.fact for entry in JournalReader(tmp_path).entries()]
    clock.pass_(2)
    with pytest.raises(JournalUnwritable, match="reserve was given up"):
        limited.check()


def test_reserve_that_somebody_else_gave_up_in_that_moment_is_room_all_the_same(tmp_path, monkeypatch):
    """The proxy looks at the disk, and a writer finds it full, at once: the fact is written."""
    kept, write, refused = room(tmp_path), os.write, []
    kept.keep_reserve()

    def write_once_more(file, content):
        if not refused:
            refused.append(content)
            (tmp_path / RESERVE).unlink()
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, content)

    monkeypatch.setattr(journal.os, "write", write_once_more)
    JournalWriter(tmp_path).append(FACT)
    assert [FACT] == [entry.fact for entry in JournalReader(tmp_path).entries()]


def test_full_disk_without_a_reserve_is_told(tmp_path, monkeypatch):
    """Whoever wrote keeps the fact."""
    (tmp_path / RESERVE).touch()
    full_disk(monkeypatch, tmp_path, for_good=True)
    writer = JournalWriter(tmp_path)
    for _ in range(2):
        with pytest.raises(JournalUnwritable, match="No space left"):
            writer.append(FACT)


def test_other_errors_leave_the_reserve_alone(tmp_path, monkeypatch):
    """A broken disk gains nothing from it."""
    room(tmp_path).keep_reserve()
    monkeypatch.setattr(journal.os, "write", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
    with pytest.raises(JournalUnwritable, match="broken"):
        JournalWriter(tmp_path).append(FACT)
    assert (tmp_path / RESERVE).exists()


def test_reserve_is_taken_again_when_there_is_room_for_two(tmp_path, monkeypatch):
    """So that taking it does not fill the disk that has just been cleared."""
    disk = SimpleNamespace(f_bavail=1, f_frsize=MEGABYTE)
    monkeypatch.setattr(journal_room.os, "statvfs", lambda _: disk)
    assert not room(tmp_path).keep_reserve()
    assert [] == list(tmp_path.iterdir())
    disk.f_bavail = 2
    assert room(tmp_path).keep_reserve()


def test_disk_that_breaks_under_the_reserve_leaves_nothing(tmp_path, monkeypatch):
    """No half of a reserve, which would look like one."""

    def refuse(*_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(journal_room.os, "posix_fallocate", refuse)
    assert not room(tmp_path).keep_reserve()
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(("free", "short"), [(0, True), (journal_room.SHORT_BYTES - 1, True), (1 << 20, False)])
def test_reserve_is_given_up_before_the_disk_is_full(tmp_path, monkeypatch, free, short):
    """The dialog store needs room, too, and tells nobody when it finds none. Again and again does no harm."""
    kept = room(tmp_path)
    assert kept.keep_reserve()
    monkeypatch.setattr(journal_room.os, "statvfs", lambda folder: SimpleNamespace(f_bavail=free, f_frsize=1))
    assert [short, short] == [kept.give_up_when_short() for _ in range(2)]
    assert short != (tmp_path / RESERVE).exists()
