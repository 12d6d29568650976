"""What goes wrong in a history, and where: the points between any two steps of a process, and what happens there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pymysql

from billing.ledger import Ledger
from billing.ledger_session import Connection, Row
from tests.model.probes import Probes

WRITING = frozenset({
    "open_call", "answer_call", "extend_call", "settle_call", "record_call", "reap_calls", "top_up", "refund", "adjust",
    "transfer", "suspend_account", "resume_account",
})  # fmt: skip
"""Routines after which the books may be wrong."""


class Killed(BaseException):
    """SIGKILL for the process in hand. No `except Exception` of its own sees it."""


class Broken(BaseException):
    """The history shows something that must never be. Nothing on its way may swallow it."""


@dataclass
class Fuse:
    """What happens at the point that comes after `left` others: the process is killed, or another one acts."""

    left: int
    kind: str


@dataclass
class LedgerFault:
    """What happens to the routine that is called after `left` others.

    probe: its connection is killed between two statements. lose: it is done, and the answer is lost. late: its client
    gives up, and it is done later all the same. With `kill` the process that called dies, too.
    """

    left: int
    kind: str
    kill: bool


@dataclass
class Late:
    """A statement that a server will carry out whose client has gone: after `left` more points."""

    left: int
    sql: str
    args: Sequence[object]
    role: str


@dataclass
class Faults:
    """The faults of one history: armed by its steps, met by its processes."""

    rng: Random
    probes: Probes
    seen: Counter[str]
    fuse: Fuse | None = None
    ledger_fault: LedgerFault | None = None
    late: list[Late] = field(default_factory=list)
    database_away: bool = False
    wanted: int = 0
    """The probe that this step is after, wherever a routine comes to it."""
    deadly: str = ""
    """The point at which every other process dies."""
    opened: dict[str, Sequence[object]] = field(default_factory=dict)
    """What open_call was asked first, by call key: somebody may ask it again."""
    written: bool = False
    """A routine that writes was asked since somebody looked last."""
    meanwhile: Callable[[], None] = lambda: None
    """Somebody else acts."""
    after: Callable[[str], None] = lambda what: None
    """The ledger did this."""
    arrive: Callable[[Late], None] = lambda late: None
    """A late statement is carried out."""
    tell: Callable[[str], None] = lambda line: None

    def point(self, name: str) -> None:
        """Between two steps of a process. Raises Killed."""
        for late in list(self.late):
            late.left -= 1
            if late.left <= 0:
                self.late.remove(late)
                self.arrive(late)
        if name == self.deadly and self.rng.random() < 0.5:
            self.tell(f"killed at: {name}")
            self.seen.update([f"killed at {name}"])
            raise Killed(name)
        if self.fuse is None or self.fuse.kind == "torn":
            return
        self.fuse.left -= 1
        if self.fuse.left > 0:
            return
        fuse, self.fuse = self.fuse, None
        self.tell(f"{fuse.kind} at: {name}")
        self.seen.update([f"{fuse.kind} at {name}"])
        if fuse.kind == "killed":
            raise Killed(name)
        self.meanwhile()

    def of_routine(self, routine: str) -> LedgerFault | None:
        """The fault that this call of a routine meets."""
        fault = self.ledger_fault
        if fault is None:
            return None
        fault.left -= 1
        if fault.left > 0:
            return None
        self.ledger_fault = None
        return fault

    def wants(self, routine: str) -> bool:
        """Whether this call of a routine is to die at the wanted probe, if it comes to it."""
        return self.wanted > 0 and self.wanted in self.probes.reach(routine) and self.rng.random() < 0.5

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self.fuse, self.ledger_fault, self.database_away, self.wanted, self.deadly = None, None, False, 0, ""


class ModelLedger(Ledger):
    """The real client, on the fake clock, with the faults of a history between it and the server."""

    faults: Faults
    reachable: Callable[[], bool]
    now_ms: Callable[[], int]
    wait_gone: Callable[[int], None]
    _set: object = None
    """The session's clock and probe as they were set last."""

    def _results(self, sql: str, args: Sequence[object]) -> list[Row]:
        what = sql.partition("(")[0].removeprefix("CALL ") if sql.startswith("CALL ") else "select"
        self.faults.point(f"{what}: before")
        if self.faults.database_away or not type(self).reachable():
            self._drop()
            raise pymysql.err.OperationalError(2003, "Can't connect to MySQL server (the model's)")
        self.faults.written |= what in WRITING
        if what == "open_call":
            self.faults.opened.setdefault(str(args[0]), args)
        fault = self.faults.of_routine(what) if what in self.faults.probes.calls else None
        probe = 0
        if fault is not None:
            if fault.kind == "late":
                self._give_up(sql, args, what)
            if fault.kind == "probe":
                probe = self.faults.rng.choice(self.faults.probes.within(what))
        if not probe and self.faults.wants(what):
            probe = self.faults.wanted
        rows = self._ask(sql, args, probe, fault)
        if fault is not None and fault.kind == "lose":
            self._lose(what, fault)
        self.faults.after(what)
        self.faults.point(f"{what}: after")
        return rows

    def _ask(self, sql: str, args: Sequence[object], probe: int, fault: LedgerFault | None) -> list[Row]:
        connection = self._connected()
        now_ms = type(self).now_ms()
        if self._set != (connection, now_ms, probe):
            with connection.cursor() as cursor:
                cursor.execute(f"SET timestamp = {now_ms / 1000:.3f}, @meterline_crash = {probe}")
            self._set = (connection, now_ms, probe)
        number = connection.thread_id()
        try:
            return super()._results(sql, args)
        except pymysql.err.OperationalError as error:
            if error.args[0] == 1927 and probe:
                type(self).wait_gone(number)
                self.faults.seen.update([f"probe {probe}"])
                self.faults.tell(f"connection killed after {self.faults.probes.name(probe)}")
                if fault is not None and fault.kill:
                    self._drop()
                    raise Killed(f"probe {probe}") from None
            raise

    def _give_up(self, sql: str, args: Sequence[object], what: str) -> None:
        self._drop()
        self.faults.late.append(Late(self.faults.rng.randint(1, 40), sql, args, self._address.user))
        self.faults.tell(f"{what}: no answer in time, it is still on its way")
        self.faults.seen.update(["late"])
        raise pymysql.err.OperationalError(2013, "Lost connection to MySQL server during query (timed out)")

    def _lose(self, what: str, fault: LedgerFault) -> None:
        self._drop()
        self.faults.tell(f"{what}: done, and its answer lost")
        self.faults.seen.update(["lose"])
        if fault.kill:
            raise Killed(what)
        raise pymysql.err.OperationalError(2013, "Lost connection to MySQL server during query")

    def _drop(self) -> None:
        """The connection is gone, and the server knows."""
        connection: Connection | None = self._connection
        self.close()
        if connection is not None and connection.server_status is not None:
            type(self).wait_gone(connection.thread_id())

    def carry_out(self, sql: str, args: Sequence[object]) -> Any:
        """What a server does whose client has gone."""
        return self._ask(sql, args, 0, None)
