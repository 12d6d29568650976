"""The dialog store: sqlite through Kamailio's db_sqlite, made fit for several writers.

db_sqlite opens its connections without a busy timeout and has no parameter for one (5.6.3, 6.0.1). Two that write
in the same millisecond then lose one of the writes ("database is locked"), and after a crash that call is unknown: no
BYE finds it and nobody cuts it. Kamailio and this script share one libsqlite3 in the process, and sqlite lets a program
have a say whenever a connection is opened (sqlite3_auto_extension, https://sqlite.org/c3ref/auto_extension.html).
"""

from __future__ import annotations

import contextlib
import ctypes
import sqlite3
from typing import Any

WAIT_MS = 2000
"""Longest wait of one writer for another. A commit takes well under a millisecond."""

_PRAGMAS = b"PRAGMA synchronous = NORMAL"
"""With the write-ahead log a commit survives the death of every process; only a power cut may take the last ones."""

_ENTRY = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
_kept: list[Any] = []  # sqlite goes on calling the function: it must not be collected


def identity(url: str) -> int:
    """The number that the store at `sqlite:///PATH` was given when it was made (stack/kamailio.py); 0 if none.

    A store that was lost and made anew has another: what is not in it may have been in the old one.
    """
    path = url.removeprefix("sqlite:///")  # opened rw: ro cannot read a write-ahead log that nobody has open
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True)) as store:
            return int(store.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error:
        return 0


def stored(url: str) -> list[tuple[str, str, str]]:
    """(Call-ID, From-tag, To-tag) of every dialog in the store; none when it cannot be read."""
    path = url.removeprefix("sqlite:///")
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=WAIT_MS / 1000)) as store:
            return [(row[0], row[1], row[2]) for row in store.execute("SELECT callid, from_tag, to_tag FROM dialog")]
    except sqlite3.Error:
        return []


def variables(url: str) -> list[dict[str, str]]:
    """The variables of each dialog in the store, also of ended ones; none when it cannot be read."""
    path = url.removeprefix("sqlite:///")
    sql = (
        "SELECT dialog.hash_entry, dialog.hash_id, var.dialog_key, var.dialog_value FROM dialog JOIN dialog_vars AS var"
        " ON var.hash_entry = dialog.hash_entry AND var.hash_id = dialog.hash_id ORDER BY var.id"
    )
    found: dict[tuple[int, int], dict[str, str]] = {}
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=WAIT_MS / 1000)) as store:
            for entry, number, name, value in store.execute(sql):
                found.setdefault((entry, number), {})[name] = str(value)
    except sqlite3.Error:
        return []
    return list(found.values())


def make_writers_wait() -> None:
    """Every connection that this process and its children open from now on waits for other writers.

    Call it before Kamailio forks. Raises OSError when there is no libsqlite3.
    """
    library = ctypes.CDLL("libsqlite3.so.0")
    library.sqlite3_busy_timeout.argtypes = (ctypes.c_void_p, ctypes.c_int)
    library.sqlite3_exec.argtypes = (ctypes.c_void_p, ctypes.c_char_p, *[ctypes.c_void_p] * 3)

    def on_open(connection: int, _message: int, _api: int) -> int:
        return int(
            library.sqlite3_busy_timeout(connection, WAIT_MS)
            or library.sqlite3_exec(connection, _PRAGMAS, None, None, None)
        )

    entry = _ENTRY(on_open)
    _kept.append(entry)
    library.sqlite3_auto_extension(entry)
