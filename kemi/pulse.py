"""When this node's Kamailio was last alive, known to the one that is started after it.

The cutter writes the moment to a small file ten times a second. It is how a start tells calls that were answered in the
last instant before a kill, and of which their callers never heard, from calls that were talking (`keeper`). Beside it
stands when the disk was last too full for the dialog store: what is not in that store tells nothing then.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from billing.clock import Moment

if TYPE_CHECKING:
    from pathlib import Path

_BYTES = 120  # of one size, so that overwriting needs no room on the disk


class Pulse:
    """`store`: the identity of the dialog store; 0 when it is not known."""

    def __init__(self, path: Path, store: int) -> None:
        """Reads what the former Kamailio left; opens nothing that must not cross a fork."""
        self._path = path
        self._store = store
        self._file = -1
        self.former_end, self.former_short = self._read()
        """The last beat of the Kamailio before this one. None when that tells nothing: there was none, the machine was
        booted since, or the dialog store is another one. And when the disk was last found short; None: never."""
        self._short = self.former_short

    def beat(self, *, short: bool = False) -> None:
        """Alive now. `short`: the disk has no room. Raises OSError."""
        now = Moment.now()
        if short:
            self._short = now
        if self._file < 0:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        text = f"{now} {self._store} {self._short or ''}"
        os.pwrite(self._file, text.ljust(_BYTES - 1).encode("ascii") + b"\n", 0)

    def _read(self) -> tuple[Moment | None, Moment | None]:
        try:
            text, store, *short = self._path.read_text(encoding="ascii").split()
            former = Moment.parse(text)
            last_short = Moment.parse(short[0]) if short else None
        except (OSError, ValueError):
            return None, None
        same = self._store != 0 and store == str(self._store) and former.boot == Moment.now().boot
        return (former, last_short) if same else (None, None)
