"""Probes between the statements of the ledger's routines: the real text, and after each statement a place to die.

A probe kills its own connection when the session's @meterline_crash is its number, and otherwise does nothing. So a
crash at a statement is exact and can be repeated, and a routine without its probes is the one of db/routines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pymysql
import pymysql.cursors

from db.grants import OWNER, OWNERS_HOST
from db.migrate import COLLATION, SQL_MODE, _read

CRASH = """CREATE OR REPLACE PROCEDURE meterline_crash() SQL SECURITY DEFINER KILL CONNECTION_ID()"""

_PROBE = " IF @meterline_crash = {number} THEN CALL meterline_crash(); END IF;"
_PROBES = re.compile(re.escape(_PROBE).replace(r"\{number\}", "[0-9]+"))
_CALL = re.compile(r"\bCALL ([a-z_]+)\(")

_NO_PLACE = re.compile(
    r"DECLARE\b"  # declarations come first
    r"|END\b"  # the statement before was the last one
    r"|SET TRANSACTION\b"  # holds for the next statement that touches a table, and touches none itself
    r"|(.*\bTHEN\s+)?(RESIGNAL|SIGNAL|CALL refuse(_accounts)?\()",  # nothing comes after them
    re.DOTALL,
)


@dataclass
class Probes:
    """All probes: number to (routine, place), and which of them a call of a routine may come across."""

    places: dict[int, tuple[str, int, str]] = field(default_factory=dict)
    calls: dict[str, set[str]] = field(default_factory=dict)
    _reach: dict[str, frozenset[int]] = field(default_factory=dict)

    def text(self, routine: str, sql: str) -> str:
        """The routine with its probes."""
        self.calls[routine] = set(_CALL.findall(sql))
        parts, place = [], 0
        for statement in statements(sql):
            parts.append(statement)
            tail = re.split(r"\bBEGIN\b", _bare(statement))[-1].strip()
            if statement.endswith(";") and not _NO_PLACE.match(tail):
                number = len(self.places) + 1
                place += 1
                self.places[number] = (routine, place, " ".join(tail.split())[:60])
                parts.append(_PROBE.format(number=number))
        return "".join(parts)

    def reach(self, routine: str) -> frozenset[int]:
        """The same as `within`, remembered."""
        if routine not in self._reach:
            self._reach[routine] = frozenset(self.within(routine)) if routine in self.calls else frozenset()
        return self._reach[routine]

    def within(self, routine: str) -> list[int]:
        """Probes of a routine and of all that it calls."""
        reached: set[str] = set()
        waiting = [routine]
        while waiting:
            name = waiting.pop()
            if name in self.calls and name not in reached:
                reached.add(name)
                waiting += self.calls[name]
        return [number for number, (name, *_) in self.places.items() if name in reached]

    def name(self, number: int) -> str:
        routine, place, statement = self.places[number]
        return f"{routine} {place}: {statement}"


def without(text: str) -> str:
    """The routine as it was."""
    return _PROBES.sub("", text)


def statements(sql: str) -> Iterator[str]:
    """The text cut behind each semicolon that ends a statement; together the parts are the text."""
    start = 0
    for found in re.finditer(r"--[^\n]*|'(?:[^'\\]|\\.|'')*'|`[^`]*`|;", sql):
        if found.group() == ";":
            yield sql[start : found.end()]
            start = found.end()
    yield sql[start:]


def _bare(statement: str) -> str:
    return re.sub(r"--[^\n]*", "", statement)


Change = tuple[str, str, str]
"""A routine, a text in it, and what is put in its place: what a history must find out."""


def planned(change: Change | None = None) -> tuple[Probes, list[str]]:
    """All routines with their probes: what `install` puts into a ledger, and what can be looked at without one."""
    probes = Probes()
    routines = _read("PROCEDURE", "routines")
    return probes, [probes.text(one.name, _changed(one.name, one.sql, change)) for one in routines]


def install(server: dict[str, Any], database: str, change: Change | None = None) -> Probes:
    """Put the probes into a ledger that was migrated."""
    probes, texts = planned(change)
    with (
        pymysql.connect(**server, database=database, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(f"SET NAMES utf8mb4 COLLATE {COLLATION}")
        cursor.execute("SET SESSION sql_mode = %s", (SQL_MODE,))
        cursor.execute(CRASH)
        cursor.execute(f"GRANT EXECUTE ON PROCEDURE meterline_crash TO {OWNER}@{OWNERS_HOST}")
        for text in texts:
            cursor.execute(text)
    return probes


def _changed(name: str, sql: str, change: Change | None) -> str:
    if change is None or change[0] != name:
        return sql
    assert change[1] in sql, f"{name} does not say {change[1]!r}"
    return sql.replace(change[1], change[2])
