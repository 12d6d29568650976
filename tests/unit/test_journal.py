"""The journal: nothing that was written is lost, whatever dies, tears or fills up."""

import contextlib
import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing import journal
from billing.journal import (
    LINE_BYTES_MAX,
    SETTLED_AGE_S,
    JournalBusy,
    JournalReader,
    JournalTail,
    JournalUnwritable,
    JournalWriter,
    decode,
    encode,
)

CHECKOUT = Path(__file__).parents[2]

FACT = {"kind": "ended", "call_key": "01J", "talked_ms": 61_000}

WRITER = """
import sys
from pathlib import Path
from billing.journal import JournalWriter
writer = JournalWriter(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    writer.append({"kind": "ended", "call_key": sys.argv[2], "number": number})
    if number == 50:
        print("going", flush=True)
"""


def fact(number):
    return {"kind": "ended", "call_key": f"call {number}"}


def write(folder, *facts):
    writer = JournalWriter(folder)
    for one in facts:
        writer.append(one)
    writer.close()


def line_of(content):
    """What the writer appends for a fact."""
    return b"\n" + encode(content) + b"\n"


@contextlib.contextmanager
def reading(folder):
    """A reader that lets the next one in."""
    reader = JournalReader(folder)
    try:
        yield reader
    finally:
        reader.close()


def facts_in(folder, limit=1000):
    """What a drain that starts now finds."""
    with reading(folder) as reader:
        return [entry.fact for entry in reader.entries(limit)]


def append(folder, content):
    """Bytes behind whatever is in the only segment."""
    with segment_in(folder).open("ab") as file:
        file.write(content)


def segment_in(folder):
    (only,) = folder.glob("*.journal")
    return only


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def start_writer(folder, name, count):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), name, str(count)],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
        text=True,
    )


class Clock:
    """The wall clock of billing.journal, which stands until a test moves it."""

    def __init__(self, monkeypatch):
        self.now = time.time()
        monkeypatch.setattr(journal.time, "time", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


# --- one line -----------------------------------------------------------------------------------------------


def test_line_is_checksum_blank_json():
    """A line is eight hex digits of CRC-32, a blank and compact JSON."""
    body = b'{"kind":"ended","call_key":"01J","talked_ms":61000}'
    assert b"%08x %s" % (zlib.crc32(body), body) == encode(FACT)


def test_newlines_stand_before_and_behind_a_line(tmp_path):
    """So that a line torn before it, or the one after it, is nobody's but its own."""
    write(tmp_path, FACT)
    assert b"\n" + encode(FACT) + b"\n" == segment_in(tmp_path).read_bytes()


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=50) | st.integers() | st.none(), max_size=8))
def test_fact_comes_back_as_it_was(content):
    """Whatever text and numbers a fact holds, newlines and other scripts included, reading gives it back."""
    whole = {**content, "kind": "answered"}
    assert whole == decode(encode(whole))


@given(st.integers(0, len(encode(FACT)) - 1), st.integers(1, 255))
def test_damage_of_any_byte_never_gives_another_fact(position, flip):
    """Whichever byte of a line is altered, the line is refused or still says what was written."""
    line = bytearray(encode(FACT))
    line[position] ^= flip
    try:
        read = decode(bytes(line))
    except ValueError:
        return
    assert FACT == read


@given(st.integers(0, len(encode(FACT)) - 1))
def test_line_cut_anywhere_is_refused(length):
    """A line of which only the beginning was written is no fact."""
    with pytest.raises(ValueError, match=r"checksum|literal|not a fact|Expecting"):
        decode(encode(FACT)[:length])


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"kind":7}', b'"ended"', b"null", b"{"])
def test_whole_line_that_is_no_fact_is_refused(body):
    """A right checksum does not make a fact: it must be an object with a kind."""
    with pytest.raises(ValueError):  # noqa: PT011 - JSON's own sentences too
        decode(b"%08x %s" % (zlib.crc32(body), body))


def test_fact_too_long_for_a_line_is_refused():
    """A fact that cannot be one line is the writer's error, not a torn journal."""
    room = LINE_BYTES_MAX - len(encode({**FACT, "detail": ""}))
    assert LINE_BYTES_MAX == len(encode({**FACT, "detail": "x" * room}))
    with pytest.raises(ValueError, match="journal line of 16385 bytes for call '01J'"):
        encode({**FACT, "detail": "x" * (room + 1)})


# --- writing and reading ------------------------------------------------------------------------------------


def test_facts_are_read_in_the_order_written(tmp_path):
    """The reader gives the facts in the order in which they were written."""
    write(tmp_path, *map(fact, range(5)))
    assert [fact(number) for number in range(5)] == facts_in(tmp_path)


def test_segments_are_read_in_the_order_of_their_minutes(tmp_path, clock):
    """Facts of an earlier minute come before those of a later one."""
    writer = JournalWriter(tmp_path)
    for number in range(3):
        writer.append(fact(number))
        clock.now += 60
    assert [fact(0), fact(1), fact(2)] == facts_in(tmp_path)
    assert len(list(tmp_path.glob("*.journal"))) == 3


def test_clock_stepped_back_loses_nothing(tmp_path, clock):
    """After a step of the wall clock facts go to an older segment, and all are read."""
    writer = JournalWriter(tmp_path)
    writer.append(fact(0))
    clock.now -= 3600
    writer.append(fact(1))
    assert [fact(1), fact(0)] == facts_in(tmp_path)


def test_folder_and_segments_are_private(tmp_path):
    """Facts hold numbers that people called: nobody but the owner reads them."""
    folder = tmp_path / "journal"
    write(folder, FACT)
    assert [0o700, 0o600] == [path.stat().st_mode & 0o777 for path in (folder, segment_in(folder))]


def test_limit_is_kept_across_segments(tmp_path, clock):
    """No more facts are read than asked for, however many segments there are."""
    writer = JournalWriter(tmp_path)
    for number in range(6):
        writer.append(fact(number))
        clock.now += 30
    assert [fact(0), fact(1), fact(2), fact(3)] == facts_in(tmp_path, limit=4)


def test_undone_facts_are_given_again(tmp_path):
    """A fact is given at every reading until it is done."""
    write(tmp_path, fact(0), fact(1))
    reader = JournalReader(tmp_path)
    assert reader.entries() == reader.entries()


def test_done_is_remembered_by_the_next_reader(tmp_path):
    """What was done before a restart is not read again."""
    write(tmp_path, fact(0), fact(1), fact(2))
    with reading(tmp_path) as reader:
        reader.done(reader.entries()[1])
    assert [fact(2)] == facts_in(tmp_path)


def test_depth_counts_the_bytes_still_to_do(tmp_path):
    """The depth is what is written and not done, in bytes."""
    write(tmp_path, fact(0), fact(1))
    reader = JournalReader(tmp_path)
    reader.done(reader.entries(1)[0])
    assert len(line_of(fact(1))) == reader.depth()
    reader.done(reader.entries()[0])
    assert 0 == reader.depth()


def test_sync_forces_every_growing_segment(tmp_path, monkeypatch):
    """Syncing reaches the disk for each segment that is there."""
    write(tmp_path, FACT)
    synced = []
    monkeypatch.setattr(journal.os, "fdatasync", lambda fd: synced.append(Path(f"/proc/self/fd/{fd}").readlink()))
    journal.sync(tmp_path)
    assert [segment_in(tmp_path)] == synced


# --- many processes, and their deaths -----------------------------------------------------------------------


def test_many_writers_at_once_keep_every_line_whole(tmp_path):
    """Eight processes append without a lock; each line arrives whole, each writer's in its order."""
    writers = [start_writer(tmp_path, f"writer {number}", 500) for number in range(8)]
    assert [0] * 8 == [writer.wait() for writer in writers]
    for writer in writers:
        writer.stdout.close()
    reader = JournalReader(tmp_path)
    found = {}
    for entry in reader.entries(10_000):
        found.setdefault(entry.fact["call_key"], []).append(entry.fact["number"])
    assert [] == reader.take_damaged()
    assert {f"writer {number}": list(range(500)) for number in range(8)} == found


def test_killed_writer_leaves_whole_lines_and_the_next_goes_on(tmp_path):
    """A writer killed in mid-stream has lost nothing it had appended, and a new one appends behind it.

    Linux ends a write between two pages for a SIGKILL: the line that was not appended yet may be torn there, and is set
    aside then.
    """
    writer = start_writer(tmp_path, "killed", 10_000_000)
    assert writer.stdout.readline() == "going\n"
    writer.send_signal(signal.SIGKILL)
    assert -signal.SIGKILL == writer.wait()
    writer.stdout.close()
    write(tmp_path, {"kind": "ended", "call_key": "after", "number": 0})
    reader = JournalReader(tmp_path)
    facts = [entry.fact for entry in reader.entries(10_000_000)]
    assert "after" == facts[-1]["call_key"]
    numbers = [one["number"] for one in facts[:-1]]
    torn = [one.line for one in reader.take_damaged()]
    assert len(torn) <= 1
    assert [] == [line for line in torn if not encode({**facts[-2], "number": len(numbers)}).startswith(line)]
    assert len(numbers) > 50
    assert list(range(len(numbers))) == numbers


def test_child_after_a_fork_opens_a_segment_of_its_own(tmp_path):
    """A writer made before the fork and first used after it serves parent and child alike."""
    writer = JournalWriter(tmp_path)
    child = os.fork()
    if not child:
        writer.append(fact("child"))
        os._exit(0)
    assert (child, 0) == os.waitpid(child, 0)
    writer.append(fact("parent"))
    assert [fact("child"), fact("parent")] == facts_in(tmp_path)


# --- a full disk --------------------------------------------------------------------------------------------


def test_full_disk_is_said_and_nothing_is_half_read(tmp_path):
    """A write that the file system refuses raises JournalUnwritable; what was there before stays readable."""
    write(tmp_path, fact(0))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (segment_in(tmp_path).stat().st_size, hard))
    try:
        with pytest.raises(JournalUnwritable):
            JournalWriter(tmp_path).append(fact(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)
    assert [fact(0)] == facts_in(tmp_path)


def test_writer_goes_on_when_there_is_room_again(tmp_path, monkeypatch):
    """After a failed write the next append works as if nothing had been."""
    writer = JournalWriter(tmp_path)

    def refuse(descriptor, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "write", refuse)
        with pytest.raises(JournalUnwritable, match="No space left"):
            writer.append(fact(0))
    writer.append(fact(0))
    assert [fact(0)] == facts_in(tmp_path)


def short_write(room):
    """os.write on a disk with room for so many bytes."""
    real = os.write
    left = [room]

    def _write(descriptor, data):
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        part = data[: left[0]]
        left[0] -= len(part)
        return real(descriptor, part)

    return _write


def test_half_written_line_is_closed_off(tmp_path, monkeypatch):
    """When a line only half fits, the next one closes it off: the half is damage, the next fact is read."""
    writer = JournalWriter(tmp_path)
    with monkeypatch.context() as patch:
        real = os.write
        patch.setattr(journal.os, "write", lambda fd, data: real(fd, data[:20]))
        patch.setattr(journal.os, "statvfs", lambda folder: SimpleNamespace(f_bavail=0, f_frsize=4096))
        with pytest.raises(JournalUnwritable, match="no room for a whole line"):
            writer.append(fact(0))
    writer.append(fact(1))
    reader = JournalReader(tmp_path)
    assert [fact(1)] == [entry.fact for entry in reader.entries()]
    assert ["checksum does not match"] == [one.reason for one in reader.take_damaged()]


@pytest.mark.parametrize("room", [1, 2, 9, 20, len(line_of(fact(0))) - 1])
def test_fact_after_a_line_torn_without_newline_is_read(tmp_path, monkeypatch, room):
    """Wherever a line tears, the next fact is not torn with it."""
    writer = JournalWriter(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "write", short_write(room))
        with pytest.raises(JournalUnwritable):
            writer.append(fact(0))
    writer.append(fact(1))
    assert fact(1) in facts_in(tmp_path)


def test_journal_in_a_folder_that_is_gone_is_unwritable(tmp_path):
    """A folder removed under the writer is an unwritable journal, not a crash."""
    folder = tmp_path / "journal"
    writer = JournalWriter(folder)
    folder.rmdir()
    with pytest.raises(JournalUnwritable, match="No such file"):
        writer.append(FACT)


# --- damage -------------------------------------------------------------------------------------------------


def damage(folder, position, flip):
    path = segment_in(folder)
    content = bytearray(path.read_bytes())
    content[position] ^= flip
    path.write_bytes(content)


@settings(max_examples=150, deadline=None)
@given(position=st.integers(0, len(line_of(fact(1))) - 1), flip=st.integers(1, 255))
def test_damage_in_the_middle_costs_that_line_alone(tmp_path_factory, position, flip):
    """Whatever happens to any byte of a line, or its newlines, the facts around it are read, and in order."""
    folder = tmp_path_factory.mktemp("journal")
    write(folder, fact(0), fact(1), fact(2))
    damage(folder, len(line_of(fact(0))) + position, flip)
    found = facts_in(folder)
    assert [fact(0), fact(2)] == [one for one in found if one != fact(1)]


def test_damaged_line_is_set_aside_with_its_place(tmp_path):
    """A line that cannot be read is kept, with where it stood and why, in damaged.log."""
    write(tmp_path, fact(0), fact(1))
    damage(tmp_path, 12, 1)
    reader = JournalReader(tmp_path)
    reader.entries()
    (one,) = reader.take_damaged()
    assert (segment_in(tmp_path).name, 1, "checksum does not match") == (one.segment, one.offset, one.reason)
    assert one.line.rstrip(b"\n") in (tmp_path / "damaged.log").read_bytes()


def test_damaged_line_is_reported_once(tmp_path):
    """Reading the same damage again reports nothing new: not behind facts that wait, nor after a restart."""
    write(tmp_path, fact(0), fact(1), fact(2))
    damage(tmp_path, len(line_of(fact(0))) + 12, 1)
    with reading(tmp_path) as reader:
        reported = []
        for _ in range(3):
            reader.entries()
            reported += reader.take_damaged()
        reader.done(reader.entries()[0])
        reader.entries()
    assert [fact(2)] == facts_in(tmp_path)
    assert (1, 1) == (len(reported), (tmp_path / "damaged.log").read_bytes().count(b"\n"))


def test_lost_newline_costs_no_fact_that_follows(tmp_path):
    """A newline that was altered does not take the next line with it."""
    write(tmp_path, fact(0), fact(1))
    damage(tmp_path, len(line_of(fact(0))) - 1, 1)
    assert fact(1) in facts_in(tmp_path)


def test_stretch_of_damage_without_newlines_is_passed(tmp_path):
    """A block of zeros longer than any line (what a power cut leaves) does not stop the reader for ever."""
    write(tmp_path, fact(0))
    with segment_in(tmp_path).open("ab") as file:
        file.write(b"\0" * (3 * LINE_BYTES_MAX) + b"\n")
    write(tmp_path, fact(1))
    assert [fact(0), fact(1)] == facts_in(tmp_path)


def test_more_damaged_lines_than_a_batch_are_passed(tmp_path):
    """Damaged lines do not use up the batch: the facts behind them are reached."""
    write(tmp_path, fact(0))
    with segment_in(tmp_path).open("ab") as file:
        file.write(b"damaged\n" * 20)
    write(tmp_path, fact(1))
    reader = JournalReader(tmp_path)
    reader.done(reader.entries(1)[0])
    found = []
    for _ in range(25):
        found += [entry.fact for entry in reader.entries(10)]
        if found:
            break
    assert [fact(1)] == found


def test_damage_at_the_end_does_not_keep_its_segment(tmp_path, clock):
    """A segment whose last line is damaged is done like any other once the line is set aside."""
    write(tmp_path, fact(0))
    path = segment_in(tmp_path)
    with path.open("ab") as file:
        file.write(b"damaged\n")
    reader = JournalReader(tmp_path)
    reader.done(reader.entries()[0])
    reader.entries()
    assert 0 == reader.depth()
    os.utime(path, (clock.now, clock.now))
    clock.now += 3600
    assert 1 == reader.tidy()


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_damage_anywhere_blocks_neither_facts_nor_the_position(tmp_path, place):
    """Wherever damaged lines stand, what is around them is given, and once that is done nothing is left to do."""
    junk = b"damaged\n\0\0\n\xff\n"
    write(tmp_path, fact(0), fact(1))
    whole = segment_in(tmp_path).read_bytes()
    half = len(line_of(fact(0)))
    content = {"first": junk + whole, "middle": whole[:half] + junk + whole[half:], "last": whole + junk}[place]
    segment_in(tmp_path).write_bytes(content)
    with reading(tmp_path) as reader:
        found = reader.entries()
        for entry in found:
            reader.done(entry)
        assert [] == reader.entries()
        assert ([fact(0), fact(1)], 3, 0) == (
            [entry.fact for entry in found],
            len(reader.take_damaged()),
            reader.depth(),
        )
    assert [] == facts_in(tmp_path)


def test_damage_in_one_segment_does_not_hold_up_the_next(tmp_path, clock):
    """A segment that is damaged from end to end is passed, and its damage is told once."""
    write(tmp_path, fact(0))
    segment_in(tmp_path).write_bytes(b"damaged\n" * 3)
    clock.now += 60
    write(tmp_path, fact(1))
    with reading(tmp_path) as reader:
        assert [[fact(1)]] * 2 == [[entry.fact for entry in reader.entries(1)] for _ in range(2)]
        assert [3, 0] == [len(reader.take_damaged()) for _ in range(2)]


def test_line_under_way_is_waited_for(tmp_path):
    """A last line without its newline is neither given nor damaged: its writer may be writing it."""
    write(tmp_path, fact(0))
    path = segment_in(tmp_path)
    with path.open("ab") as file:
        file.write(line_of(fact(1))[:12])
    reader = JournalReader(tmp_path)
    assert [fact(0)] == [entry.fact for entry in reader.entries()]
    with path.open("ab") as file:
        file.write(line_of(fact(1))[12:])
    assert [fact(0), fact(1)] == [entry.fact for entry in reader.entries()]
    assert [] == reader.take_damaged()


@pytest.fixture
def torn(tmp_path, clock):
    """A reader that has settled the only whole fact; behind it stands half a line that nobody finished."""
    write(tmp_path, fact(0))
    append(tmp_path, line_of(fact(1))[:12])
    os.utime(segment_in(tmp_path), (clock.now, clock.now))
    with reading(tmp_path) as reader:
        reader.done(reader.entries()[0])
        assert [] == reader.entries()
        yield reader


def test_torn_end_is_set_aside_when_old(tmp_path, clock, torn):
    """In a segment nobody writes any more a torn end is damage; while the segment is young it is a line under way."""
    assert (0, []) == (torn.tidy(), torn.take_damaged())
    clock.now += SETTLED_AGE_S + 60
    assert 1 == torn.tidy()
    (one,) = torn.take_damaged()
    assert ("torn: no newline", line_of(fact(1))[1:12]) == (one.reason, one.line)
    assert one.line in (tmp_path / "damaged.log").read_bytes()
    assert [] == segments(tmp_path)


def test_torn_end_is_told_apart_from_a_line_finished_late(tmp_path, clock, torn):
    """The writer slept in the middle of its line and finished it: nothing is damaged."""
    append(tmp_path, line_of(fact(1))[12:])
    clock.now += 3600
    assert 0 == torn.tidy()
    assert [fact(1)] == [entry.fact for entry in torn.entries()]
    assert [] == torn.take_damaged()


def test_torn_end_behind_a_fact_to_do_waits(tmp_path, clock):
    """What is not settled is never set aside."""
    write(tmp_path, fact(0))
    append(tmp_path, b"torn")
    os.utime(segment_in(tmp_path), (clock.now, clock.now))
    clock.now += 3600
    with reading(tmp_path) as reader:
        assert (0, []) == (reader.tidy(), reader.take_damaged())
        assert [fact(0)] == [entry.fact for entry in reader.entries()]


def test_fact_behind_a_torn_end_is_read(tmp_path, torn):
    """A writer that comes back after a crash begins on a line of its own."""
    write(tmp_path, fact(2))
    assert [fact(2)] == [entry.fact for entry in torn.entries()]
    assert 1 == len(torn.take_damaged())


# --- positions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\0\0", b"12x", b"-5", b"999999999", b"%020d\n" % 10**9, b"%020d\n" % 7, b"\0" * 21, b"-%019d\n" % 5],
)
def test_position_file_that_makes_no_sense_means_from_the_start(tmp_path, content):
    """After a power cut a position may be empty, zeros, beyond its segment or within a line: all is read again."""
    write(tmp_path, fact(0))
    segment_in(tmp_path).with_suffix(".done").write_bytes(content)
    write(tmp_path, fact(1))
    assert [fact(0), fact(1)] == facts_in(tmp_path)


def test_reader_killed_between_two_facts_repeats_at_most_one(tmp_path):
    """The position is on disk after each `done`: another reader starts right behind it."""
    write(tmp_path, *map(fact, range(4)))
    for count in range(1, 5):
        with reading(tmp_path) as reader:
            reader.done(reader.entries()[0])
        assert [fact(number) for number in range(count, 4)] == facts_in(tmp_path)


def test_position_needs_no_room_on_a_full_disk(tmp_path):
    """It is written over itself, in a file whose size never changes: with a full disk the drain still goes on."""
    write(tmp_path, fact(0), fact(1))
    position = segment_in(tmp_path).with_suffix(".done")
    with reading(tmp_path) as reader:
        sizes = []
        for entry in reader.entries():
            reader.done(entry)
            sizes.append(position.stat().st_size)
    assert [21, 21] == sizes


def test_no_segment_stays_open(tmp_path, clock):
    """A segment a minute, and nothing drained them for a weekend: more than a process may have files."""
    writer = JournalWriter(tmp_path)
    for number in range(5):
        writer.append(fact(number))
        clock.now += 60
    writer.close()
    with reading(tmp_path) as reader:
        before = open_files()
        found = reader.entries()
        for entry in found:
            reader.done(entry)
        assert (5, before) == (len(found), open_files())
        clock.now += 2 * SETTLED_AGE_S
        assert 5 == reader.tidy()


# --- one reader ---------------------------------------------------------------------------------------------


def test_second_reader_is_refused_until_the_first_is_gone(tmp_path):
    """Two drains would settle out of order: the second is told so, at once."""
    with reading(tmp_path), pytest.raises(JournalBusy, match="drained by another process"):
        JournalReader(tmp_path)
    with reading(tmp_path) as reader:
        assert [] == reader.entries()


def test_killed_reader_leaves_no_lock(tmp_path):
    """The lock is the kernel's: it dies with its process, however that died."""
    program = "import sys; from pathlib import Path; from billing.journal import JournalReader\n"
    program += "reader = JournalReader(Path(sys.argv[1])); print('reading', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert "reading\n" == first.stdout.readline()
        with pytest.raises(JournalBusy):
            JournalReader(tmp_path)
        first.kill()
        first.wait()
        with reading(tmp_path) as reader:
            assert [] == reader.entries()


# --- reading along ------------------------------------------------------------------------------------------


def test_tail_gives_each_fact_once_in_order(tmp_path, clock):
    """Everything that is there, then what comes, across segments."""
    write(tmp_path, fact(0), fact(1))
    tail = JournalTail(tmp_path)
    assert [[fact(0), fact(1)], []] == [tail.facts(), tail.facts()]
    write(tmp_path, fact(2))
    clock.now += 60
    write(tmp_path, fact(3))
    assert [[fact(2), fact(3)], []] == [tail.facts(), tail.facts()]


def test_tail_leaves_no_trace(tmp_path):
    """It holds no lock, moves no position and sets nothing aside: the drain does not notice."""
    write(tmp_path, fact(0))
    append(tmp_path, b"damaged\n")
    before = sorted(tmp_path.iterdir())
    with reading(tmp_path):
        assert [fact(0)] == JournalTail(tmp_path).facts()
    assert [fact(0)] == facts_in(tmp_path)
    assert {"drain.lock", "damaged.log"} == {one.name for one in set(tmp_path.iterdir()) - set(before)} - {
        segment_in(tmp_path).with_suffix(".done").name
    }


def test_tail_reads_what_is_settled_too(tmp_path):
    """Whoever asks what just happened must not miss it because the drain was quicker."""
    write(tmp_path, fact(0))
    with reading(tmp_path) as reader:
        reader.done(reader.entries()[0])
    assert [fact(0)] == JournalTail(tmp_path).facts()


def test_tail_waits_for_a_line_under_way(tmp_path):
    """Half a line is nothing yet, and is read once it is whole."""
    write(tmp_path, fact(0))
    tail = JournalTail(tmp_path)
    for position in range(1, len(line_of(fact(1)))):
        append(tmp_path, line_of(fact(1))[position - 1 : position])
        assert ([fact(0)] if position == 1 else []) == tail.facts()
    append(tmp_path, line_of(fact(1))[-1:])
    assert [fact(1)] == tail.facts()


def test_tail_passes_damage(tmp_path):
    """Damaged lines are the drain's to report."""
    write(tmp_path, fact(0))
    append(tmp_path, b"damaged\n\0\0\0\n" + line_of(fact(1))[:20])
    write(tmp_path, fact(2))
    assert [fact(0), fact(2)] == JournalTail(tmp_path).facts()


def test_tail_survives_its_segments(tmp_path, clock):
    """A segment that was tidied away is forgotten, and one of the same name is read from its start."""
    before = clock.now
    with settled_segment(tmp_path, clock) as reader:
        tail = JournalTail(tmp_path)
        assert [fact(0)] == tail.facts()
        reader.tidy()
        assert [] == tail.facts()
        clock.now = before
        write(tmp_path, fact(1))
    assert [fact(1)] == tail.facts()


def test_tail_of_no_journal_is_empty(tmp_path):
    """A node that never wrote has nothing to tell."""
    assert [] == JournalTail(tmp_path / "journal").facts()


# --- forgetting ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def settled_segment(folder, clock):
    """A reader that has settled all of a segment, an hour after its last fact."""
    write(folder, fact(0))
    os.utime(segment_in(folder), (clock.now, clock.now))
    with reading(folder) as reader:
        reader.done(reader.entries()[0])
        clock.now += 3600
        yield reader


def segments(folder):
    """Segments and their positions."""
    return sorted(one.name for one in folder.iterdir() if one.suffix in {".journal", ".done"})


def test_old_settled_segment_is_removed_with_its_position(tmp_path, clock):
    """A segment that is done and old goes, and so does its position file."""
    with settled_segment(tmp_path, clock) as reader:
        assert 1 == reader.tidy()
        assert ([], 0, []) == (segments(tmp_path), reader.depth(), reader.entries())


def test_segment_with_a_fact_to_do_is_kept(tmp_path, clock):
    """However old, a segment is kept while one fact of it is not done."""
    with settled_segment(tmp_path, clock) as reader:
        append(tmp_path, line_of(fact(1)))
        os.utime(segment_in(tmp_path), (clock.now - 3600, clock.now - 3600))
        assert 0 == reader.tidy()
        assert [fact(1)] == [entry.fact for entry in reader.entries()]


def test_reader_killed_while_it_removes_a_segment_skips_nothing(tmp_path, clock, monkeypatch):
    """The position goes first: one that stayed behind would be taken for that of a later segment of the same name."""
    before = clock.now
    with settled_segment(tmp_path, clock) as reader, monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", die_after(Path.unlink))
        with pytest.raises(KeyboardInterrupt):
            reader.tidy()
    clock.now = before
    write(tmp_path, fact(1))
    assert fact(1) in facts_in(tmp_path)


def die_after(real):
    def unlink(path, missing_ok=False):
        real(path, missing_ok=missing_ok)
        raise KeyboardInterrupt

    return unlink


@pytest.mark.parametrize(("named_s", "written_s"), [(3600, 0), (0, 3600), (0, 0)])
def test_young_segment_is_kept(tmp_path, clock, named_s, written_s):
    """One whose minute is not long over, or that was written to a moment ago, may have its writer still."""
    with settled_segment(tmp_path, clock) as reader:
        clock.now -= 3600 - named_s
        os.utime(segment_in(tmp_path), (clock.now - written_s, clock.now - written_s))
        assert 0 == reader.tidy()


def test_segment_of_a_clock_stepped_back_starts_anew_after_it_was_removed(tmp_path, clock):
    """A minute that comes a second time, after its segment went, is read from its start."""
    before = clock.now
    with settled_segment(tmp_path, clock) as reader:
        reader.tidy()
        clock.now = before
        write(tmp_path, fact(1))
        assert [fact(1)] == [entry.fact for entry in reader.entries()]


@pytest.fixture
def sleeper(tmp_path, clock, monkeypatch):
    """A reader with a settled segment, and a writer that sleeps with it open: `sleep(when)` before or after it wrote.

    While it sleeps the segment is tidied away.
    """
    with settled_segment(tmp_path, clock) as reader:
        clock.now -= 3600
        real = os.write
        tidied = []

        def tidy():
            if not tidied:
                tidied.append(1)
                clock.now += 3600
                tidied.append(reader.tidy())

        def write_late(descriptor, data):
            tidy()
            return real(descriptor, data)

        def write_and_sleep(descriptor, data):
            written = real(descriptor, data)
            with monkeypatch.context() as patch:  # the reader's own writer is awake
                patch.setattr(journal.os, "write", real)
                path = segment_in(tmp_path)
                os.utime(path, (clock.now, clock.now))
                tidy()
            return written

        def sleep(when):
            monkeypatch.setattr(journal.os, "write", {"before": write_late, "after": write_and_sleep}[when])
            write(tmp_path, fact(1))
            monkeypatch.setattr(journal.os, "write", real)
            return tidied

        yield reader, sleep


def test_fact_written_to_a_removed_segment_is_not_lost(tmp_path, sleeper):
    """A writer that slept for minutes between opening a segment and writing to it sees that it is gone."""
    reader, sleep = sleeper
    assert [1, 1] == sleep("before")
    assert [fact(1)] == [entry.fact for entry in reader.entries()]
    assert [fact(1)] == JournalTail(tmp_path).facts()


def test_fact_written_to_a_segment_just_before_its_removal_is_kept(tmp_path, sleeper):
    """A fact that came after the last look keeps its segment."""
    reader, sleep = sleeper
    assert [1, 0] == sleep("after")
    assert [fact(1)] == [entry.fact for entry in reader.entries()]


def test_fact_written_between_look_and_removal_moves_to_a_new_segment(tmp_path, clock, monkeypatch):
    """The reader found everything settled, a fact came, the segment went: the reader takes the fact along."""
    with settled_segment(tmp_path, clock) as reader:
        segment = reader._segments[segment_in(tmp_path)]
        append(tmp_path, line_of(fact(1)))
        reader._remove(segment)
        assert [fact(1)] == [entry.fact for entry in reader.entries()]
        assert f"facts-{int(clock.now) // 60}.journal" in segments(tmp_path)


def test_writers_race_the_tidying_and_lose_nothing(tmp_path, monkeypatch):
    """Writers append while settled segments are removed at once, as if all were old: every fact is read.

    A line half of which is visible is no torn one here, where no segment is old. Writers that were done before the
    first removal have raced nobody: then others do.
    """
    monkeypatch.setattr(JournalReader, "_set_torn_end_aside", lambda *_: None)
    found = {}
    removed = 0
    with reading(tmp_path) as reader:

        def settle_all():
            for entry in reader.entries(100_000):
                found.setdefault(entry.fact["call_key"], set()).add(entry.fact["number"])
                reader.done(entry)

        for turn in range(20):
            names = [f"writer {turn}.{number}" for number in range(4)]
            writers = [start_writer(tmp_path, name, 1500) for name in names]
            while any(writer.poll() is None for writer in writers):
                settle_all()
                removed += reader.tidy(older_than_s=-120)
            settle_all()
            assert [0] * 4 == [writer.returncode for writer in writers]
            for writer in writers:
                writer.stdout.close()
            assert {name: set(range(1500)) for name in names} == {name: found[name] for name in names}
            if removed:
                break
        assert [] == reader.take_damaged()
    assert removed > 0


def test_facts_are_json_on_one_line(tmp_path):
    """An administrator reads the journal with a pager: one line a fact, plain JSON behind the checksum."""
    write(tmp_path, {**FACT, "detail": "line\nbreak ü"})
    (line,) = (one for one in segment_in(tmp_path).read_text(encoding="ascii").splitlines() if one)
    assert {**FACT, "detail": "line\nbreak ü"} == json.loads(line[9:])
