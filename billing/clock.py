"""Moments that outlive a process: monotonic time together with the boot that it counts from."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@cache
def boot_id() -> str:
    """This boot of the machine (Linux: /proc/sys/kernel/random/boot_id), eight characters."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]


@dataclass(frozen=True)
class Moment:
    """An instant on this node: CLOCK_MONOTONIC ms, wall clock ms, and the boot the first one belongs to."""

    monotonic_ms: int
    wall_ms: int
    boot: str

    @staticmethod
    def now() -> Moment:
        """This instant."""
        return Moment(time.monotonic_ns() // 1_000_000, time.time_ns() // 1_000_000, boot_id())

    @staticmethod
    def parse(text: str) -> Moment:
        """The reverse of `str()`. Raises ValueError."""
        monotonic, wall, boot = text.split("/")
        return Moment(int(monotonic), int(wall), boot)

    def __str__(self) -> str:
        return f"{self.monotonic_ms}/{self.wall_ms}/{self.boot}"

    def ms_since(self, earlier: Moment) -> int:
        """Milliseconds from `earlier` to this, never negative; the wall clock serves only across a reboot."""
        if self.boot == earlier.boot:
            return max(0, self.monotonic_ms - earlier.monotonic_ms)
        return max(0, self.wall_ms - earlier.wall_ms)
