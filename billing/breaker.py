"""A circuit breaker shared by all processes of a node: while the database is away, nobody waits for it.

Closed: attempts go through. After `failures` failures in a row it opens for `open_ms`: attempts are refused at
once. Then one attempt at a time may probe; a success closes it. The state lives in shared memory, on the node's board,
so that the first worker that meets a dead database spares all the others the wait.
"""

from __future__ import annotations

import mmap
import struct
import time

_STATE = struct.Struct("<qq")  # failures in a row, CLOCK_MONOTONIC ms until which it is open


def monotonic_ms() -> int:
    """CLOCK_MONOTONIC in whole milliseconds; the same for every process of the machine."""
    return time.monotonic_ns() // 1_000_000


class Breaker:
    """See the module. Races between processes cost at most one probe more, never a lost call."""

    def __init__(self, failures: int, open_ms: int, memory: memoryview | None = None) -> None:
        """`failures` in a row open it for `open_ms` milliseconds. Make it before forking. `memory`: for its state."""
        if failures < 1 or open_ms < 1:
            raise ValueError(f"breaker: failures {failures} and open_ms {open_ms} must be at least 1")
        self._limit = failures
        self._open_ms = open_ms
        self._memory = memory or memoryview(mmap.mmap(-1, mmap.PAGESIZE))
        self._store(0, 0)

    def allows(self) -> bool:
        """Whether an attempt may be made now. The caller that is let through in the open state is the probe."""
        failures, until_ms = self._load()
        if failures < self._limit:
            return True
        now_ms = monotonic_ms()
        if now_ms < until_ms:
            return False
        self._store(failures, now_ms + self._open_ms)  # the others go on waiting while this one probes
        return True

    def is_open(self) -> bool:
        """Whether attempts are refused at present, without becoming the probe."""
        failures, until_ms = self._load()
        return failures >= self._limit and monotonic_ms() < until_ms

    def is_tripped(self) -> bool:
        """Whether the last attempts failed, one that may be made now as a probe included."""
        return self._load()[0] >= self._limit

    def succeeded(self) -> None:
        """The database answered."""
        if self._load()[0]:
            self._store(0, 0)

    def answered(self) -> None:
        """The database answered a question. Closes an open breaker, but forgives no failed writes while it is closed:
        one that can be read and not written must not look well with every second call."""
        if self._load()[0] >= self._limit:
            self._store(0, 0)

    def failed(self) -> None:
        """The database did not answer, or could not be reached."""
        failures = self._load()[0] + 1
        self._store(failures, monotonic_ms() + self._open_ms if failures >= self._limit else 0)

    def _load(self) -> tuple[int, int]:
        failures, until_ms = _STATE.unpack_from(self._memory)
        return failures, until_ms

    def _store(self, failures: int, until_ms: int) -> None:
        _STATE.pack_into(self._memory, 0, failures, until_ms)
