"""The node's journal: facts about calls, written before anything else happens to them, read by the drain.

One line a fact: eight hex digits of CRC-32, a blank, compact JSON. A newline stands before and behind it, so that a
line torn by a crash or a full disk never swallows the next one. Lines are appended with one `write` each to a file
opened O_APPEND, so that any number of processes may write at once without a lock (POSIX write(2), local file systems).
What was written survives the death of every process; the drain syncs it to disk at least once a second.

Segments are named by the wall clock's minute. Nothing depends on that clock: readers read every segment that is there,
and one is removed only when it is settled and old.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from billing.errors import MeterlineError

if TYPE_CHECKING:
    from collections.abc import Iterator

SEGMENT_PREFIX = "facts-"
SEGMENT_SUFFIX = ".journal"
SEGMENT_SPAN_S = 60
SETTLED_AGE_S = 3 * SEGMENT_SPAN_S
"""A segment that nobody wrote to for so long is not written to any more, unless a writer slept: see `append`."""

LINE_BYTES_MAX = 16_384
PUT_BACK_MARK = b'"again":true'
"""What a fact that was put back has in its line (billing/call_order.py)."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
RESERVE = "reserve"
"""Room that is taken already and given up when the disk is full; billing/journal_room.py keeps it."""

Fact = dict[str, Any]
"""A fact: `kind`, `call_key` and what the kind needs. JSON types only."""


class JournalUnwritable(OSError):
    """The journal cannot take a fact (disk full, folder gone). New calls are refused; nothing is lost silently."""


class JournalBusy(MeterlineError):
    """Another drain reads this journal."""


def encode(fact: Fact) -> bytes:
    """The journal line of a fact with its checksum, without newlines. Raises ValueError when it is too long."""
    body = json.dumps(fact, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    line = b"%08x %s" % (zlib.crc32(body), body)
    if len(line) > LINE_BYTES_MAX:
        raise ValueError(f"journal line of {len(line)} bytes for call {fact.get('call_key')!r}")
    return line


def decode(line: bytes) -> Fact:
    """The fact of one line. Raises ValueError for a torn or altered line."""
    if line[:9] != b"%08x " % zlib.crc32(line[9:]):
        raise ValueError("checksum does not match")
    fact = json.loads(line[9:])
    if not isinstance(fact, dict) or not isinstance(fact.get("kind"), str):
        raise ValueError("not a fact")  # noqa: TRY004 - every damage is one kind of error
    return fact


def segments_of(folder: Path) -> list[Path]:
    """The segments that are there, oldest name first."""
    return sorted(folder.glob(f"{SEGMENT_PREFIX}*{SEGMENT_SUFFIX}"))


def free_bytes(folder: Path) -> int:
    """What is left for us of the disk under a folder. Raises OSError."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def sync(folder: Path) -> None:
    """Force every segment to the disk. Raises OSError."""
    for segment in segments_of(folder):
        try:
            descriptor = os.open(segment, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # settled and removed meanwhile
            continue
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)


# --- writing ----------------------------------------------------------------------------------------------------------


class JournalWriter:
    """Appends facts. One object a process; safe beside any number of others."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made when it is not there (mode 700: facts hold numbers that people called)."""
        self._folder = folder
        self._file = -1
        self._minute = -1
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def append(self, fact: Fact) -> None:
        """Write one fact. Raises JournalUnwritable, or ValueError for a fact that is too long for a line."""
        self.append_bytes(b"\n" + encode(fact) + b"\n")

    def append_bytes(self, lines: bytes) -> None:
        """Write whole lines as they are, into the reserve's room when there is no other. Raises JournalUnwritable."""
        try:
            removed = self._write(lines)
        except JournalUnwritable as error:
            if error.errno not in NO_ROOM or not self._give_up_reserve():
                raise
            removed = self._write(lines)
        if removed:  # this process slept, and the segment was settled and removed under it: write it again
            self.close()
            self.append_bytes(lines)

    def _write(self, lines: bytes) -> bool:
        """Whether the segment was removed under it."""
        try:
            file = self._segment()
            written = os.write(file, lines)
            removed = os.fstat(file).st_nlink == 0
        except OSError as error:
            self.close()
            raise JournalUnwritable(error.errno, f"journal {self._folder}: {error.strerror}") from error
        if written != len(lines):
            self.close()
            raise JournalUnwritable(errno.ENOSPC, f"journal {self._folder}: no room for a whole line")
        return removed

    def _give_up_reserve(self) -> bool:
        """Whether there is room now. Somebody else may have given it up in this moment."""
        with contextlib.suppress(OSError):
            (self._folder / RESERVE).unlink()
            return True
        with contextlib.suppress(OSError):
            return free_bytes(self._folder) > LINE_BYTES_MAX
        return False

    def _segment(self) -> int:
        minute = int(time.time()) // SEGMENT_SPAN_S
        if minute != self._minute or self._file < 0:
            self.close()
            path = self._folder / f"{SEGMENT_PREFIX}{minute}{SEGMENT_SUFFIX}"
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._minute = minute
        return self._file

    def close(self) -> None:
        """Close the segment; the next append opens one again."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


# --- reading along ----------------------------------------------------------------------------------------------------


class JournalTail:
    """Reads along without a trace: every fact once, in the order written. For whoever must know what just happened."""

    def __init__(self, folder: Path) -> None:
        """Begins with everything that is still there."""
        self._folder = folder
        self._offsets: dict[Path, int] = {}

    def facts(self) -> list[Fact]:
        """What was written since the last call. Damaged lines are the drain's to report."""
        found: list[Fact] = []
        paths = segments_of(self._folder)
        for gone in self._offsets.keys() - set(paths):
            del self._offsets[gone]
        for path in paths:
            found += self._read(path)
        return found

    def _read(self, path: Path) -> list[Fact]:
        offset = self._offsets.get(path, 0)
        try:
            if path.stat().st_size <= offset:
                return []
            with path.open("rb") as file:
                file.seek(offset)
                content = file.read()
        except FileNotFoundError:
            return []
        whole = content[: content.rfind(b"\n") + 1]
        self._offsets[path] = offset + len(whole)
        found = []
        for line in whole.split(b"\n"):
            try:
                found += [decode(line)] if line else []
            except ValueError:
                continue
        return found


# --- draining ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Damaged:
    """A line that could not be read: where it stood, its bytes and why. Set aside, reported, never swallowed."""

    segment: str
    offset: int
    line: bytes
    reason: str


@dataclass(frozen=True)
class Entry:
    """A fact and where it ends: hand it back to `JournalReader.done` once it is in the ledger."""

    fact: Fact
    segment: Path
    end: int


class _Segment:
    """A segment and how far it is settled, kept beside it in a file of fixed size: overwriting needs no room.

    The first position does. On a full disk it stays in memory: after a restart facts are applied twice, which does no
    harm, but to wait with them for room would end calls that have money.

    No file stays open: one for each minute of a day is more than a process may have.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._position = path.with_suffix(".done")
        self.offset = self._stored()

    @property
    def minute(self) -> int:
        return int(self.path.name[len(SEGMENT_PREFIX) : -len(SEGMENT_SUFFIX)])

    def advance(self, offset: int) -> None:
        self.offset = offset
        try:
            position = os.open(self._position, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(position, b"%020d\n" % offset, 0)
            finally:
                os.close(position)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise

    def remove(self) -> None:
        """The position first: left behind by a crash, it could pass for that of a later segment of this name."""
        self._position.unlink(missing_ok=True)
        self.path.unlink()

    def _stored(self) -> int:
        """Anything but the end of a line is no position: then everything is read again, which does no harm."""
        try:
            text = self._position.read_bytes()[:21]
        except FileNotFoundError:
            return 0
        if len(text) != 21 or not text[:20].isdigit():
            return 0
        offset = int(text)
        with self.path.open("rb") as file:
            file.seek(max(0, offset - 1))
            return offset if offset and file.read(1) == b"\n" else 0


def _rest(segment: _Segment) -> bytes:
    with segment.path.open("rb") as file:
        file.seek(segment.offset)
        return file.read()


class JournalReader:
    """Reads facts in the order written and remembers, durably, how far they are settled. One reader a journal."""

    def __init__(self, folder: Path) -> None:
        """Raises JournalBusy while another one is alive."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._lock = os.open(folder / "drain.lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise JournalBusy(f"journal {folder} is drained by another process") from error
        self._segments: dict[Path, _Segment] = {}
        self._reported: set[tuple[Path, int]] = set()
        self._damaged: list[Damaged] = []

    def close(self) -> None:
        """Let another reader in."""
        os.close(self._lock)

    def entries(self, limit: int = 1000) -> list[Entry]:
        """Up to `limit` facts that are not done yet, in order. Calling it again gives the same ones until done."""
        found: list[Entry] = []
        for segment in self._known():
            if len(found) < limit:
                found += self._read(segment, limit - len(found))
        return found

    def put_back(self) -> list[Fact]:
        """Every fact that is not done, if any of them was put back; else none, for then their order is the journal's.

        Lines are searched before they are decoded: without a fact put back this costs a reading of the file.
        """
        if not any(PUT_BACK_MARK in _rest(segment) for segment in self._known()):
            return []
        found = []
        for segment in self._known():
            for line in _rest(segment).split(b"\n"):
                with contextlib.suppress(ValueError):
                    found += [decode(line)] if line else []
        return found

    def done(self, entry: Entry) -> None:
        """Everything up to and including this entry is in the ledger; remembered across restarts."""
        self._segments[entry.segment].advance(entry.end)

    def take_damaged(self) -> list[Damaged]:
        """The lines set aside since the last call; each is in damaged.log already."""
        taken, self._damaged = self._damaged, []
        return taken

    def depth(self) -> int:
        """Bytes written and not yet done."""
        return sum(max(0, segment.path.stat().st_size - segment.offset) for segment in self._known())

    def tidy(self, older_than_s: float = SETTLED_AGE_S) -> int:
        """Set a torn end aside and remove what is settled, in segments that nobody writes any more; how many went."""
        removed = 0
        horizon = time.time() - older_than_s
        for segment in self._known():
            if segment.path.stat().st_mtime > horizon or segment.minute * SEGMENT_SPAN_S > horizon:
                continue
            self._set_torn_end_aside(segment)
            if segment.offset >= segment.path.stat().st_size:
                self._remove(segment)
                removed += 1
        return removed

    def _remove(self, segment: _Segment) -> None:
        """A writer that slept since may still write to it: what came after the last look moves to a new segment."""
        with segment.path.open("rb") as file:
            segment.remove()
            del self._segments[segment.path]
            file.seek(segment.offset)
            if late := file.read():
                writer = JournalWriter(self._folder)
                writer.append_bytes(late)
                writer.close()

    def _known(self) -> Iterator[_Segment]:
        for path in segments_of(self._folder):
            if path not in self._segments:
                self._segments[path] = _Segment(path)
            yield self._segments[path]

    def _read(self, segment: _Segment, limit: int) -> list[Entry]:
        found: list[Entry] = []
        with segment.path.open("rb") as file:
            file.seek(segment.offset)
            end = segment.offset
            while len(found) < limit and (line := file.readline()).endswith(b"\n"):
                start, end = end, end + len(line)
                try:
                    if line != b"\n":
                        found.append(Entry(decode(line[:-1]), segment.path, end))
                except ValueError as error:
                    self._set_aside(segment, start, line, str(error))
                if not found:  # nothing before it waits
                    segment.advance(end)
        return found

    def _set_torn_end_aside(self, segment: _Segment) -> None:
        with segment.path.open("rb") as file:
            file.seek(segment.offset)
            tail = file.read()
        if tail and b"\n" not in tail:
            self._set_aside(segment, segment.offset, tail, "torn: no newline")
            with segment.path.open("ab") as file:
                file.write(b"\n")
            segment.advance(segment.offset + len(tail) + 1)

    def _set_aside(self, segment: _Segment, offset: int, line: bytes, reason: str) -> None:
        if (segment.path, offset) in self._reported:
            return
        with (self._folder / "damaged.log").open("ab") as file:
            file.write(b"%s %d %s: %s\n" % (segment.path.name.encode(), offset, reason.encode(), line.rstrip(b"\n")))
        self._reported.add((segment.path, offset))
        self._damaged.append(Damaged(segment.path.name, offset, line, reason))
