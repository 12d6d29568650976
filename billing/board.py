"""The board: a small file of counters that all processes of a node write to and whoever watches may read.

It is mapped into memory, so counting takes no lock and waits for nobody. Every process counts in a slot of its own, so
that none undoes another's, and a sum over the slots is the node's figure. A slot is claimed with a lock that the kernel
lets go when its process dies; the next one goes on where it stopped, so counters never fall, not over restarts either.
Names are entered when they are first used, and never leave.

The file's room is taken when it is made, so a full disk cannot touch whoever counts. Where there is no room for it the
board is in memory alone, seen by its own process and those forked from it: nothing may fail for want of figures.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import time
from array import array
from bisect import bisect_left
from contextlib import suppress
from pathlib import Path

SLOTS = 192
NAMES_MAX = 768
NAME_BYTES = 120
NOTES_MAX = 64
FILE_NAME = "board"

_MAGIC = b"meterline board 1"
_CELL = struct.Struct("<q")
_NOTES_AT = mmap.PAGESIZE
_NAMES_AT = _NOTES_AT + mmap.PAGESIZE
_SLOTS_AT = _NAMES_AT + -(-NAMES_MAX * NAME_BYTES // mmap.PAGESIZE) * mmap.PAGESIZE
_SLOT_BYTES = NAMES_MAX * _CELL.size
SIZE = _SLOTS_AT + SLOTS * _SLOT_BYTES

OVERFLOW = "overflow"
"""Where counts go when the table of names is full; a label with unbounded values would be the reason."""

DATABASE_BOUNDS_MS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500)
CUT_BOUNDS_MS = (50, 100, 200, 500, 1000, 2000, 5000)

NOTES = (
    "breaker_failures", "breaker_until_ms", "proxy_started_ms", "keeper_ms", "cutter_ms", "drain_ms", "drain_ledger_ms",
    "journal_failed_ms", "proxy_memory_free", "name_taken", "carriers_up", "carriers_down",
)  # fmt: skip
"""Single values, the last writer's. Names in _ms: moments of CLOCK_MONOTONIC, one clock for the whole machine."""


class Board:
    """See the module. One object may be used on both sides of a fork."""

    def __init__(self, path: Path | None) -> None:
        """Opens the board, or makes it; None: in memory alone. Never raises for a disk that is full or read-only."""
        self.on_disk = False
        self._file = -1
        if path is not None:
            with suppress(OSError):
                self._file = _opened(path)
                self._memory = mmap.mmap(self._file, SIZE)
                self.on_disk = True
        if not self.on_disk:
            self._memory = mmap.mmap(-1, SIZE)
        self._names: dict[str, int] = {}
        self._pid = 0
        self._slot_at = 0

    # --- counting ----------------------------------------------------------------------------------------------------

    def count(self, name: str, amount: int = 1) -> None:
        """Add to a counter; `name` as Prometheus writes it: `calls_total{result="busy"}`."""
        if self._pid != os.getpid():
            self._claim_slot()
        at = self._slot_at + self._cell_of(name)
        _CELL.pack_into(self._memory, at, _CELL.unpack_from(self._memory, at)[0] + amount)

    def observe_ms(self, name: str, value_ms: float, bounds_ms: tuple[int, ...], labels: str = "") -> None:
        """Count a value in a histogram: `name`_bucket by its upper bound in ms, and `name`_sum in microseconds."""
        place = bisect_left(bounds_ms, value_ms)
        bound = bounds_ms[place] if place < len(bounds_ms) else "+Inf"
        self.count(f'{name}_bucket{{{labels}le="{bound}"}}')
        self.count(f"{name}_sum{{{labels.rstrip(',')}}}", max(0, int(value_ms * 1000)))

    def count_event(self, name: str) -> None:
        """One line more of this event in the log."""
        self.count(f'events_total{{event="{name}"}}')

    def count_call(self, token: str) -> None:
        """One call more with this result."""
        self.count(f'calls_total{{result="{token}"}}')

    def count_database(self, what: str, ms: float, outcome: str) -> None:
        """A question to the database: how long it was waited for, and how it ended ('ok', or what was wrong)."""
        self.observe_ms("database", ms, DATABASE_BOUNDS_MS, f'routine="{what}",')
        if outcome not in {"ok", "refused"}:
            self.count(f'database_failures_total{{kind="{outcome}"}}')

    def declare(self, *names: str) -> None:
        """Enter counters that are shown as 0 before they first count."""
        for name in names:
            self._cell_of(name)

    # --- notes -------------------------------------------------------------------------------------------------------

    def note(self, name: str, value: int) -> None:
        """Write one of NOTES."""
        _CELL.pack_into(self._memory, _note_at(name), value)

    def noted(self, name: str) -> int:
        """One of NOTES as last written, 0 before."""
        value: int = _CELL.unpack_from(self._memory, _note_at(name))[0]
        return value

    def mark(self, name: str) -> None:
        """Note that something happened now."""
        self.note(name, _monotonic_ms())

    def ms_since(self, name: str) -> int | None:
        """How long ago it was marked; None: never, or before this machine was started."""
        at_ms = self.noted(name)
        now_ms = _monotonic_ms()
        return now_ms - at_ms if 0 < at_ms <= now_ms else None

    # --- reading -----------------------------------------------------------------------------------------------------

    def totals(self) -> dict[str, int]:
        """Every counter with its sum over all processes."""
        names = self._names_on_board()
        cells = array("q")
        cells.frombytes(self._memory[_SLOTS_AT:SIZE])
        return {name: sum(cells[place::NAMES_MAX]) for place, name in enumerate(names)}

    def memory_of(self, first: str, cells: int) -> memoryview:
        """The memory of some NOTES that stand side by side, for one who keeps a state of his own in them."""
        at = _note_at(first)
        return memoryview(self._memory)[at : at + cells * _CELL.size]

    def close(self) -> None:
        """Let the slot go."""
        with suppress(BufferError):  # somebody keeps a state in it
            self._memory.close()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    # --- slots and names ---------------------------------------------------------------------------------------------

    def _claim_slot(self) -> None:
        """A free slot, or, when all are taken, the last one together with others: a count may then be lost."""
        self._pid = os.getpid()
        slot = SLOTS - 1
        for number in range(SLOTS - 1) if self.on_disk else ():
            with suppress(OSError):
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
                slot = number
                break
        if not self.on_disk:
            slot = self._pid % SLOTS
        self._slot_at = _SLOTS_AT + slot * _SLOT_BYTES

    def _cell_of(self, name: str) -> int:
        place = self._names.get(name)
        if place is None:
            place = self._enter(name)
            self._names[name] = place
        return place * _CELL.size

    def _enter(self, name: str) -> int:
        """The place of a name; a new one is written under a lock, for others may enter it at the same time."""
        locked = self._file >= 0
        if locked:
            fcntl.lockf(self._file, fcntl.LOCK_EX, 1, SLOTS)
        try:
            names = self._names_on_board()
            if name in names:
                return names.index(name)
            text = name.encode("ascii", "replace")
            if len(names) >= NAMES_MAX - 1 or len(text) > NAME_BYTES:
                text = OVERFLOW.encode()
                if OVERFLOW in names:
                    return names.index(OVERFLOW)
            at = _NAMES_AT + len(names) * NAME_BYTES
            self._memory[at : at + NAME_BYTES] = text.ljust(NAME_BYTES, b"\0")
            return len(names)
        finally:
            if locked:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, SLOTS)

    def _names_on_board(self) -> list[str]:
        found = []
        for place in range(NAMES_MAX):
            at = _NAMES_AT + place * NAME_BYTES
            text = self._memory[at : at + NAME_BYTES].rstrip(b"\0")
            if not text:
                break
            found.append(text.decode("ascii", "replace"))
        return found


def _opened(path: Path) -> int:
    """The board's file, its room taken. One of another version makes place; who has it open writes into nothing."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.pread(file, len(_MAGIC), 0) != _MAGIC or os.fstat(file).st_size != SIZE:
            if os.fstat(file).st_size:
                path.unlink()
                old, file = file, os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                os.close(old)
            os.posix_fallocate(file, 0, SIZE)
            os.pwrite(file, _MAGIC, 0)
        fcntl.flock(file, fcntl.LOCK_UN)
    except OSError:
        os.close(file)
        raise
    return file


def _note_at(name: str) -> int:
    return _NOTES_AT + NOTES.index(name) * _CELL.size


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000
