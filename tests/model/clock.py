"""The fake clock: milliseconds that pass only when a history says so, for every module that reads the time."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

START_MS = 1_772_366_400_000
"""2026-03-01 12:00 UTC."""


@dataclass
class Clock:
    """Stands where a module's `time` stands. The database has `now_ms`; a node has its own wall clock."""

    now_ms: int = START_MS
    booted_ms: int = START_MS - 1_000_000
    wall_off_ms: int = 0
    """Of the node that is acting."""

    def monotonic_ns(self) -> int:
        return (self.now_ms - self.booted_ms) * 1_000_000

    def time_ns(self) -> int:
        return (self.now_ms + self.wall_off_ms) * 1_000_000

    def monotonic(self) -> float:
        return self.monotonic_ns() / 1e9

    def time(self) -> float:
        return self.time_ns() / 1e9

    def sleep(self, seconds: float) -> None:
        """Between two attempts nobody else acts."""


@contextlib.contextmanager
def everywhere(clock: Clock) -> Iterator[None]:
    """Every module of the product reads this clock."""
    modules = [
        module
        for name, module in sys.modules.items()
        if name.partition(".")[0] in ("billing", "kemi") and getattr(module, "time", None) is time
    ]
    for module in modules:
        module.time = clock  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module in modules:
            module.time = time  # type: ignore[attr-defined]
