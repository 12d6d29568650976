"""The node's journal: facts about calls, written before anything else happens to them, read by the drain.

One line a fact: eight hex digits of CRC-32, a blank, compact JSON, a newline. Lines are appended with one `write`
each to a file opened O_APPEND, so that any number of processes may write at once without a lock and every line
stays whole (POSIX write(2), local file systems). What was written survives the death of every process; the
drain syncs it to disk at least once a second.

Segments are named by the wall clock's minute. Nothing depends on that clock: the drain reads every segment that is
there and forgets one only when it is settled and no longer written to.
"""

from __future__ import annotations

import errno
import json
import os
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SEGMENT_PREFIX = "facts-"
SEGMENT_SUFFIX = ".journal"
SEGMENT_SPAN_S = 60
LINE_BYTES_MAX = 16_384

Fact = dict[str, Any]
"""A fact: `kind`, `call_key` and what the kind needs. JSON types only."""


class JournalUnwritable(OSError):
    """The journal cannot take a fact (disk full, folder gone). New calls are refused; nothing is lost silently."""


def encode(fact: Fact) -> bytes:
    """One journal line for a fact, checksum and newline included. Raises ValueError when it is too long."""
    body = json.dumps(fact, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    line = b"%08x %s\n" % (zlib.crc32(body), body)
    if len(line) > LINE_BYTES_MAX:
        raise ValueError(f"journal line of {len(line)} bytes for call {fact.get('call_key')!r}")
    return line


def decode(line: bytes) -> Fact:
    """The fact of one line without its newline. Raises ValueError for a torn or altered line."""
    if len(line) < 10 or line[8:9] != b" ":
        raise ValueError("no checksum")
    if int(line[:8], 16) != zlib.crc32(line[9:]):
        raise ValueError("checksum does not match")
    fact = json.loads(line[9:])
    if not isinstance(fact, dict) or not isinstance(fact.get("kind"), str):
        raise ValueError("not a fact")  # noqa: TRY004 - every damage is one kind of error
    return fact


class JournalWriter:
    """Appends facts. One object a process; safe beside any number of others."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made when it is not there (mode 700: facts hold numbers that people called)."""
        self._folder = folder
        self._file = -1
        self._minute = -1
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def append(self, fact: Fact) -> None:
        """Write one fact. Raises JournalUnwritable; a half-written line is closed off: the next one stays whole."""
        line = encode(fact)
        try:
            written = os.write(self._segment(), line)
            if written == len(line):
                return
            os.write(self._segment(), b"\n")
            reason = "no room for a whole line"
        except OSError as error:
            reason = str(error.strerror)
        self.close()
        raise JournalUnwritable(errno.ENOSPC, f"journal {self._folder}: {reason}")

    def _segment(self) -> int:
        minute = int(time.time()) // SEGMENT_SPAN_S
        if minute != self._minute or self._file < 0:
            self.close()
            path = self._folder / f"{SEGMENT_PREFIX}{minute}{SEGMENT_SUFFIX}"
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._minute = minute
        return self._file

    def close(self) -> None:
        """Close the segment; the next append opens one again. Call it in a forked child before first use."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


@dataclass
class _Segment:
    path: Path
    offset: int = 0
    unsynced: bool = False


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


class JournalReader:
    """Reads facts in the order written and remembers, durably, how far they are settled. One reader a journal."""

    def __init__(self, folder: Path) -> None:
        """`folder` as for the writer. A position file beside each segment keeps what was done across restarts."""
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._segments: dict[Path, _Segment] = {}
        self.damaged: list[Damaged] = []

    def entries(self, limit: int = 1000) -> list[Entry]:
        """Up to `limit` facts that are not done yet, in order. Calling it again gives the same ones until done."""
        found: list[Entry] = []
        for segment in self._known_segments():
            found += self._read(segment, limit - len(found))
            if len(found) >= limit:
                break
        return found

    def done(self, entry: Entry) -> None:
        """Everything up to and including this entry is in the ledger; remembered across restarts."""
        segment = self._segments[entry.segment]
        segment.offset = entry.end
        self._position_path(entry.segment).write_text(str(entry.end), encoding="ascii")

    def depth(self) -> int:
        """Bytes written and not yet done."""
        return sum(max(0, s.path.stat().st_size - s.offset) for s in self._known_segments())

    def sync(self) -> None:
        """Force what is written to the disk (fdatasync of the segments that may still grow)."""
        for segment in self._known_segments():
            descriptor = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)

    def forget_settled(self, older_than_s: int = 3 * SEGMENT_SPAN_S) -> int:
        """Remove segments that are done and that no writer opens any more; returns how many."""
        removed = 0
        horizon = time.time() - older_than_s
        for segment in list(self._known_segments()):
            status = segment.path.stat()
            if segment.offset >= status.st_size and status.st_mtime < horizon and self._minute_of(segment) < horizon:
                segment.path.unlink()
                self._position_path(segment.path).unlink(missing_ok=True)
                del self._segments[segment.path]
                removed += 1
        return removed

    @staticmethod
    def _minute_of(segment: _Segment) -> float:
        return float(segment.path.name[len(SEGMENT_PREFIX) : -len(SEGMENT_SUFFIX)]) * SEGMENT_SPAN_S

    @staticmethod
    def _position_path(segment: Path) -> Path:
        return segment.with_suffix(".done")

    def _known_segments(self) -> list[_Segment]:
        for path in sorted(self._folder.glob(f"{SEGMENT_PREFIX}*{SEGMENT_SUFFIX}")):
            if path not in self._segments:
                position = self._position_path(path)
                offset = int(position.read_text(encoding="ascii") or 0) if position.exists() else 0
                self._segments[path] = _Segment(path, offset)
        return [self._segments[path] for path in sorted(self._segments)]

    def _read(self, segment: _Segment, limit: int) -> Iterator[Entry]:
        if limit <= 0 or segment.path.stat().st_size <= segment.offset:
            return
        with segment.path.open("rb") as file:
            file.seek(segment.offset)
            end = segment.offset
            for _ in range(limit):
                line = file.readline(LINE_BYTES_MAX + 1)
                if not line.endswith(b"\n"):
                    return  # a write under way, or torn by a crash: complete() decides when the segment is old
                start, end = end, end + len(line)
                try:
                    yield Entry(decode(line[:-1]), segment.path, end)
                except ValueError as error:
                    self._set_aside(segment, start, line, str(error))

    def set_torn_aside(self, older_than_s: int = 3 * SEGMENT_SPAN_S) -> None:
        """A last line without its newline in a segment nobody writes any more was torn by a crash: set it aside."""
        for segment in self._known_segments():
            status = segment.path.stat()
            if status.st_size <= segment.offset or status.st_mtime > time.time() - older_than_s:
                continue
            tail = segment.path.read_bytes()[segment.offset :]
            if b"\n" not in tail:
                self._set_aside(segment, segment.offset, tail, "torn: no newline")
                segment.offset += len(tail)
                self._position_path(segment.path).write_text(str(segment.offset), encoding="ascii")

    def _set_aside(self, segment: _Segment, offset: int, line: bytes, reason: str) -> None:
        known = any(d.segment == segment.path.name and d.offset == offset for d in self.damaged)
        if known:
            return
        self.damaged.append(Damaged(segment.path.name, offset, line, reason))
        with (self._folder / "damaged.log").open("ab") as file:
            file.write(b"%s %d %s: %s\n" % (segment.path.name.encode(), offset, reason.encode(), line.rstrip(b"\n")))
