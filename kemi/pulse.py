"""When this node's Kamailio was last alive, known to the one that is started after it.

The cutter writes the moment to a small file ten times a second. It is how a start tells calls that were answered in the
last instant before a kill, and of which their callers never heard, from calls that were talking (`keeper`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from billing.clock import Moment

if TYPE_CHECKING:
    from pathlib import Path

_BYTES = 80  # of one size, so that overwriting needs no room on the disk


class Pulse:
    """`store`: the identity of the dialog store; 0 when it is not known."""

    def __init__(self, path: Path, store: int) -> None:
        """Reads what the former Kamailio left; opens nothing that must not cross a fork."""
        self._path = path
        self._store = store
        self._file = -1
        self.former_end = self._read()
        """The last beat of the Kamailio before this one. None when that tells nothing: there was none, the machine was
        booted since, or the dialog store is another one."""

    def beat(self) -> None:
        """Alive now. Raises OSError."""
        if self._file < 0:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.pwrite(self._file, f"{Moment.now()} {self._store}".ljust(_BYTES - 1).encode("ascii") + b"\n", 0)

    def _read(self) -> Moment | None:
        try:
            text, store = self._path.read_text(encoding="ascii").split()
            former = Moment.parse(text)
        except (OSError, ValueError):
            return None
        same = self._store != 0 and store == str(self._store) and former.boot == Moment.now().boot
        return former if same else None
