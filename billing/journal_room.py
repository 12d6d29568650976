"""Room for the journal: no call begins whose facts might find none.

Two bounds. What waits for the ledger may not exceed a depth: a database that is away for days must not fill the disk.
Calls that are refused for it have CDRs, too, which wait like all others, up to twice that depth.
And beside the segments lies a reserve, a file of room that is taken already: when the disk is full all the same it is
given up, by a writer that finds no room or by the proxy, which looks ten times a second (its dialog store needs room,
too, and loses a dialog without a word). The ends of the calls in progress then still reach the disk. While the reserve
is missing no new call begins.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from billing.journal import LINE_BYTES_MAX, RESERVE, JournalUnwritable, decode, free_bytes, segments_of

if TYPE_CHECKING:
    from pathlib import Path

    from billing.journal import Fact
    from billing.settings import JournalSettings

SHORT_BYTES = 500_000
"""With less than this free the disk is as good as full. Below the smallest reserve."""
LOOK_EVERY_S = 1.0
"""A look costs a stat and a small read for each minute that waits."""
REFUSALS_FACTOR = 2
"""How many times the depth may wait, CDRs of refused calls included."""


def depth_of(folder: Path) -> int:
    """Bytes written and not yet in the ledger, for whoever is not the drain."""
    depth = 0
    for segment in segments_of(folder):
        try:
            depth += max(0, segment.stat().st_size - _settled(segment))
        except FileNotFoundError:  # settled and removed meanwhile
            continue
    return depth


def oldest_waiting(folder: Path) -> Fact | None:
    """The first fact that the drain has not brought into the ledger yet. Raises OSError."""
    for segment in segments_of(folder):
        try:
            with segment.open("rb") as file:
                file.seek(_settled(segment))
                content = file.read(2 * LINE_BYTES_MAX)
        except FileNotFoundError:  # settled and removed meanwhile
            continue
        for line in content.split(b"\n"):
            with suppress(ValueError):
                if line:
                    return decode(line)
    return None


def _settled(segment: Path) -> int:
    try:
        text = segment.with_suffix(".done").read_bytes()[:20]
    except FileNotFoundError:  # the drain has not looked at it yet
        return 0
    return int(text) if text.isdigit() else 0


class JournalRoom:
    """The bounds of one journal. One object a process; safe beside any number of others."""

    def __init__(self, folder: Path, limits: JournalSettings) -> None:
        """Touches no disk."""
        self._folder = folder
        self._depth_max = limits.depth_max_bytes
        self._reserve_bytes = limits.reserve_bytes
        self._looked_s = -LOOK_EVERY_S
        self._trouble = ""
        self._depth = 0

    def check(self) -> None:
        """Raises JournalUnwritable, with the bound that is reached. What it says may be a second old."""
        self._look()
        if self._trouble:
            raise JournalUnwritable(errno.ENOSPC, f"journal {self._folder}: {self._trouble}")

    def takes_refusals(self) -> bool:
        """Whether the CDRs of refused calls may be written, too. What it says may be a second old."""
        self._look()
        return self._depth <= REFUSALS_FACTOR * self._depth_max

    def _look(self) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = now_s
        self._depth = depth_of(self._folder)
        self._trouble = ""
        if self._reserve_bytes and not (self._folder / RESERVE).exists():
            self._trouble = "its reserve was given up, the disk is or was full"
        elif self._depth > self._depth_max:
            self._trouble = f"{self._depth} bytes wait for the ledger, at most {self._depth_max}"

    def give_up_when_short(self) -> bool:
        """Give the reserve up when the disk is all but full. True when it was. Raises OSError."""
        if free_bytes(self._folder) >= SHORT_BYTES:
            return False
        (self._folder / RESERVE).unlink(missing_ok=True)
        return True

    def keep_reserve(self) -> bool:
        """Take the reserve again when the disk has room for twice as much. True when it is there."""
        path = self._folder / RESERVE
        if not self._reserve_bytes or path.exists():
            return True
        draft = path.with_suffix(".new")
        try:
            self._take(draft)
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            return False
        return True

    def _take(self, draft: Path) -> None:
        if free_bytes(self._folder) < 2 * self._reserve_bytes:
            raise OSError(errno.ENOSPC, "no room for a reserve")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, self._reserve_bytes)
        finally:
            os.close(descriptor)
