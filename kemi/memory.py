"""What the shared tables must not forget over a restart: from where the right credentials came.

Without it the first minutes after a restart belong to floods and guessers: everybody is a stranger, and an office whose
phones all repeat their requests looks like one. A line is appended when a place is new, and once more on each day that
it is used (by each process: they share no memory of it); a start reads them back.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from kemi import ksr, log
from kemi.tables import KNOWN, TRUSTED

if TYPE_CHECKING:
    from pathlib import Path

DAY_S = 86_400
KEPT_S = 30 * DAY_S
ENTRIES_MAX = 20_000
_TABLES = (KNOWN, TRUSTED)


class Memory:
    """The file `path`, one JSON line a place: [seconds since the epoch, table, key]."""

    def __init__(self, path: Path) -> None:
        """Reads it and leaves out what is old; before the fork. A damaged line costs that line."""
        self._path = path
        now = int(time.time())
        # A machine that starts with its clock in the past must not forget what it knew.
        kept = {(table, key): min(at, now) for at, table, key in _entries(path) if now - KEPT_S < at}
        newest = sorted(kept.items(), key=lambda entry: entry[1])[-ENTRIES_MAX:]
        self._to_restore = [place for place, _ in newest]
        self._day = 0
        self._written: set[tuple[str, str]] = set()
        _rewrite(path, [_line(at, *place) for place, at in newest])

    def restore(self) -> None:
        """Put what was read into the tables, once."""
        for table, key in self._to_restore:
            if not ksr.table_int(table, key):
                ksr.count_up(table, key)
                if table == TRUSTED:
                    ksr.count_up(TRUSTED, key.partition("|")[0])  # how many places a credential has (kemi/lockout.py)
        self._to_restore = []

    def add(self, table: str, key: str) -> None:
        """The right credentials came from there. A disk that refuses costs the memory alone."""
        now = int(time.time())
        if now // DAY_S != self._day:
            self._day = now // DAY_S
            self._written.clear()
        if (table, key) in self._written:
            return
        self._written.add((table, key))
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(file, _line(now, table, key))
            finally:
                os.close(file)
        except OSError as error:
            log.event("place_not_remembered", "warn", error=str(error))


def _line(at: int, table: str, key: str) -> bytes:
    return json.dumps([at, table, key]).encode("ascii") + b"\n"


def _entries(path: Path) -> list[tuple[int, str, str]]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            at, table, key = json.loads(line)
        except (ValueError, TypeError):
            continue
        if isinstance(at, int) and table in _TABLES and isinstance(key, str):
            found.append((at, table, key))
    return found


def _rewrite(path: Path, lines: list[bytes]) -> None:
    draft = path.with_suffix(".new")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.writelines(lines)
        draft.replace(path)
    except OSError as error:
        log.event("place_not_remembered", "warn", error=str(error))
