"""What each kind of fault does, and undoes. Each returns when the thing it broke works again, with a word about what it
met; `Struck` says what it takes away, and for how long, to the oracle.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pymysql

from stack.kamailio import answers_options
from stack.processes import StackError, wait_until
from tests.faults import plan
from tests.faults.bench import Bench, Node, fill, kill
from tests.faults.oracle import DATABASE, JITTER, PROXY, WIRE, Window
from tests.faults.plan import Fault
from tests.faults.relay import BYE, FAIR, GONE, Relay, Weather

STOPPED_S = 10.0
CUT_OFF_S = 45.0
"""Longer than a grant and the reaper's 30 s, so that the other node's drain reaps some of its calls."""
SHORT_S = 3.0
WEATHER_S = 4.0
EFFECT_LIMIT_S = 20.0
BACK_LIMIT_S = 60.0
NOTHING = "nothing"
GONE_ALREADY = "too late"


@dataclass
class Struck:
    """A fault that came: its window and what it met."""

    fault: Fault
    window: Window
    met: str
    error: str = ""

    @property
    def worked(self) -> bool:
        """Whether it came, and met anything."""
        return not self.error and self.met != GONE_ALREADY and not self.met.startswith("0 ")


@dataclass
class Strike:
    """One fault at work."""

    bench: Bench
    fault: Fault
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def node(self) -> Node:
        return next(node for node in self.bench.nodes if node.name == self.fault.node)

    @property
    def chance(self) -> random.Random:
        return random.Random(self.fault.seed)

    def wait(self, seconds: float) -> None:
        """How long a fault acts; the end of the run ends it early."""
        self.stop.wait(seconds)


def strike(bench: Bench, fault: Fault, stop: threading.Event) -> Struck:
    """Let it act, and undo it. What goes wrong in that is told, for then it was no fault at all."""
    takes, act = KINDS[fault.kind]
    start, met, error = time.time(), "", ""
    try:
        met = act(Strike(bench, fault, stop))
    except (StackError, OSError, pymysql.err.MySQLError, AssertionError, LookupError) as failure:
        error = repr(failure)
    return Struck(fault, Window(fault.kind, takes, fault.node, start, time.time()), met, error)


# --- processes --------------------------------------------------------------------------------------------------------


def _proxy_killed(at: Strike) -> str:
    before = at.node.kamailio.pid
    kill(at.node.kamailio)
    return _back(at.node, before)


def _process_killed(words: str) -> Callable[[Strike], str]:
    """One of the proxy's processes: Kamailio then ends itself, and is started again."""

    def act(at: Strike) -> str:
        before = at.node.kamailio.pid
        chosen = at.chance.choice([pid for pid, name in at.node.processes().items() if words in name])
        os.kill(chosen, signal.SIGKILL)
        return _back(at.node, before)

    return act


def _restart_while_ringing(at: Strike) -> str:
    relay = at.bench.callers[f"{at.node.name}-rings"]
    with contextlib.suppress(StackError):
        wait_until(lambda: bool(relay.ringing), 4, "somebody rings")
    ringing = len(relay.ringing)
    return f"{ringing} ringing; {_proxy_killed(at)}"


def _restart_across_a_cut(at: Strike) -> str:
    """The proxy is down at the very moment when a call of its own is due."""
    due = 0
    with contextlib.suppress(StackError, pymysql.err.MySQLError), at.bench.root(3) as cursor:
        wait_until(lambda: _next_deadline_ms(cursor, at.node.name) < 300, 5, "a call is about to be cut")
        due = 1
    return f"{due} due; {_proxy_killed(at)}"


def _next_deadline_ms(cursor: pymysql.cursors.Cursor, node: str) -> float:
    """Of calls that are not renewed any more, or not much."""
    cursor.execute(
        "SELECT MIN(deadline_in_ms) FROM v_live_call WHERE node = %s AND grant_s = limit_s AND deadline_in_ms > 0",
        (node,),
    )
    row = cursor.fetchone()
    return float(row[0]) if row and row[0] is not None else 1e9


def _back(node: Node, before: int | None) -> str:
    since = time.monotonic()
    wait_until(
        lambda: node.killed or (node.kamailio.pid not in (None, before) and answers_options(node.address)),
        BACK_LIMIT_S,
        f"{node.name} is back",
    )
    return f"back after {time.monotonic() - since:.1f} s"


def _drain_killed(at: Strike) -> str:
    before = at.node.drain.pid
    kill(at.node.drain)
    wait_until(lambda: at.node.killed or at.node.drain.pid not in (None, before), BACK_LIMIT_S, "the drain is back")
    return "back"


def _node_killed_for_good(at: Strike) -> str:
    at.node.killed = True
    for part in at.node.parts:
        kill(part)
    return "gone"


# --- the database -----------------------------------------------------------------------------------------------------


def _database_killed(at: Strike) -> str:
    server = at.bench.stack.mariadb
    before = server.pid
    kill(server)
    wait_until(lambda: server.pid not in (None, before) and _answers(at.bench), BACK_LIMIT_S, "the database is back")
    return "back"


def _answers(bench: Bench) -> bool:
    try:
        with bench.root(2) as cursor:
            return bool(cursor.execute("SELECT 1"))
    except (pymysql.err.MySQLError, OSError):
        return False


def _database_stopped(at: Strike) -> str:
    pid = at.bench.stack.mariadb.pid
    assert pid is not None, "the database runs"
    os.kill(pid, signal.SIGSTOP)
    try:
        at.wait(STOPPED_S)
    finally:
        os.kill(pid, signal.SIGCONT)
    return "hung"


def _refuses_logins(at: Strike) -> str:
    """The proxy's login is locked, and whoever is in is thrown out."""
    with at.bench.root() as cursor:
        logins = _logins(at.bench, cursor)
        for login in logins:
            cursor.execute(f"ALTER USER {login} ACCOUNT LOCK")
        try:
            thrown = _throw_out(at.bench, cursor)
            at.wait(SHORT_S)
        finally:
            for login in logins:
                cursor.execute(f"ALTER USER {login} ACCOUNT UNLOCK")
    return f"{thrown} sessions thrown out"


def _refuses_connections(at: Strike) -> str:
    """All connections are taken: "too many connections"."""
    with at.bench.root() as cursor, contextlib.ExitStack() as taken:
        cursor.execute("SELECT @@global.max_connections")
        (usual,) = cursor.fetchone() or (0,)
        cursor.execute("SET GLOBAL max_connections = 10")
        try:
            thrown = _throw_out(at.bench, cursor)
            for _ in range(12):
                with contextlib.suppress(pymysql.err.MySQLError):
                    taken.enter_context(at.bench.root())
            at.wait(SHORT_S)
        finally:
            cursor.execute(f"SET GLOBAL max_connections = {usual}")
    return f"{thrown} sessions thrown out"


def _refuses_node(at: Strike) -> str:
    wire = at.node.wire

    def refuse() -> None:
        wire.refusing = True
        wire.cut_all()

    before = wire.counted["refused"]
    at.bench.loop.call(refuse)
    try:
        at.wait(SHORT_S)
    finally:
        wire.refusing = False
    return f"{wire.counted['refused'] - before} connections refused"


def _slow(at: Strike) -> str:
    wire = at.node.wire
    before = wire.counted["slowed"]
    wire.delay_s = at.chance.choice((0.05, 0.2, 0.6))
    delay_s = wire.delay_s
    try:
        at.wait(SHORT_S)
    finally:
        wire.delay_s = 0.0
    return f"{wire.counted['slowed'] - before} times {delay_s} s"


def _cut(name: str) -> Callable[[Strike], str]:
    def act(at: Strike) -> str:
        wire = at.node.wire
        counted = f"{name}_commit"
        before = wire.counted[counted]
        setattr(wire, name, at.chance.randrange(2, 8))
        with contextlib.suppress(StackError):
            wait_until(lambda: at.stop.is_set() or not getattr(wire, name), EFFECT_LIMIT_S, "routines are called")
        setattr(wire, name, 0)
        return f"{wire.counted[counted] - before} connections"

    return act


def _cut_off(at: Strike) -> str:
    """The node goes on without a database, and nobody can tell it from one that is lost; then all of it comes back."""
    before = time.monotonic()
    at.bench.loop.call(at.node.wire.hang)
    try:
        at.wait(CUT_OFF_S)
    finally:
        at.bench.loop.call(at.node.wire.flow)
    return f"for {time.monotonic() - before:.0f} s"


def _sessions_killed(at: Strike) -> str:
    """In the middle of whatever they do; purses are locked meanwhile, so that some wait within their transactions."""
    thrown = 0
    with at.bench.root() as cursor, at.bench.root() as hostile:
        for _ in range(6):
            hostile.execute("START TRANSACTION")
            hostile.execute("SELECT account_id FROM purse ORDER BY account_id FOR UPDATE")
            at.wait(0.3)
            thrown += _throw_out(at.bench, cursor)
            hostile.execute("ROLLBACK")
            at.wait(0.1)
    return f"{thrown} sessions thrown out"


def _deadlocks(at: Strike) -> str:
    """A session that takes children's purses first and then their reseller's, the other way round than routines do."""
    chance = at.chance
    with at.bench.root() as cursor:
        cursor.execute("SELECT DISTINCT parent_id FROM account WHERE parent_id IS NOT NULL")
        parents = [parent for (parent,) in cursor.fetchall()]
        before = _deadlock_count(cursor)
        until = time.monotonic() + SHORT_S
        while time.monotonic() < until and not at.stop.is_set():
            parent = chance.choice(parents)
            try:
                cursor.execute("START TRANSACTION")
                cursor.execute(
                    "SELECT purse.held FROM account STRAIGHT_JOIN purse ON purse.account_id = account.id "
                    "WHERE parent_id = %s FOR UPDATE", (parent,)
                )  # fmt: skip
                at.wait(0.15)
                cursor.execute("SELECT held FROM purse WHERE account_id = %s FOR UPDATE", (parent,))
            except pymysql.err.OperationalError as error:
                if error.args[0] not in (1205, 1213):
                    raise
            cursor.execute("ROLLBACK")
            at.wait(0.02)
        return f"{_deadlock_count(cursor) - before} deadlocks"


def _deadlock_count(cursor: pymysql.cursors.Cursor) -> int:
    cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")
    row = cursor.fetchone()
    return int(row[1]) if row else 0


def _logins(bench: Bench, cursor: pymysql.cursors.Cursor) -> list[str]:
    user = bench.stack.settings.database.proxy_user
    cursor.execute("SELECT host FROM mysql.user WHERE user = %s", (user,))
    return [f"'{user}'@'{host}'" for (host,) in cursor.fetchall()]


def _throw_out(bench: Bench, cursor: pymysql.cursors.Cursor) -> int:
    """KILL CONNECTION for every session of the proxies and drains."""
    cursor.execute(
        "SELECT id FROM information_schema.processlist WHERE user = %s", (bench.stack.settings.database.proxy_user,)
    )
    thrown = 0
    for (number,) in cursor.fetchall():
        with contextlib.suppress(pymysql.err.MySQLError):  # it went by itself
            cursor.execute(f"KILL CONNECTION {number}")
            thrown += 1
    return thrown


# --- disks ------------------------------------------------------------------------------------------------------------


def _disk_full(at: Strike) -> str:
    """Not a byte is left where the database, or a node's journal, writes."""
    disk = at.bench.disks[at.node.name if at.fault.node else "database"]
    ballast = fill(disk)
    size = ballast.stat().st_size
    try:
        at.wait(SHORT_S + 1)
    finally:
        ballast.unlink()
    return f"{size} bytes were free"


# --- the wire ---------------------------------------------------------------------------------------------------------


def _relays(at: Strike) -> list[Relay]:
    if not at.fault.node:
        return [at.bench.carrier]
    return [relay for name, relay in at.bench.callers.items() if name.startswith(at.fault.node)]


def _weather(**chances: float) -> Callable[[Strike], str]:
    def act(at: Strike) -> str:
        relays = _relays(at)
        before = sum(sum(relay.counted.values()) for relay in relays)
        for relay in relays:
            relay.weather = Weather(**chances)
        try:
            at.wait(WEATHER_S)
        finally:
            for relay in relays:
                relay.weather = FAIR
        return f"{sum(sum(relay.counted.values()) for relay in relays) - before} datagrams"

    return act


def _doom(fate: str, kinds: tuple[str, ...]) -> Callable[[Strike], str]:
    """The next calls that are answered."""

    def act(at: Strike) -> str:
        relays = [at.bench.callers[f"{at.fault.node}-{kind}"] for kind in kinds]
        for relay in relays:
            relay.doom_next.append(fate)
        with contextlib.suppress(StackError):
            wait_until(
                lambda: at.stop.is_set() or not any(relay.doom_next for relay in relays),
                EFFECT_LIMIT_S,
                "calls are answered",
            )
        left = sum(len(relay.doom_next) for relay in relays)
        for relay in relays:
            relay.doom_next.clear()
        return f"{len(relays) - left} calls"

    return act


KINDS: dict[str, tuple[str, Callable[[Strike], str]]] = {
    "proxy killed": (PROXY, _proxy_killed),
    "worker killed": (PROXY, _process_killed("udp receiver")),
    "keeper killed": (PROXY, _process_killed("timer=keeper")),
    "restart while ringing": (PROXY, _restart_while_ringing),
    "restart across a cut": (PROXY, _restart_across_a_cut),
    "drain killed": (NOTHING, _drain_killed),
    "database refuses a node": (DATABASE, _refuses_node),
    "database slow": (DATABASE, _slow),
    "cut before commit": (NOTHING, _cut("cut_before")),
    "cut after commit": (NOTHING, _cut("cut_after")),
    "journal disk full": ("disk", _disk_full),
    "loss at the callers": (WIRE, _weather(loss=0.15)),
    "doubled at the callers": (JITTER, _weather(doubled=0.3)),
    "reordered at the callers": (JITTER, _weather(reordered=0.3)),
    "bye lost": (NOTHING, _doom(BYE, ("hangs_up", "rings"))),
    "phone gone": (NOTHING, _doom(GONE, ("hangs_up", "callee"))),
    "database killed": (DATABASE, _database_killed),
    "database stopped": (DATABASE, _database_stopped),
    "database refuses logins": (DATABASE, _refuses_logins),
    "database refuses connections": (DATABASE, _refuses_connections),
    "sessions killed": (DATABASE, _sessions_killed),
    "deadlocks": (NOTHING, _deadlocks),
    "database disk full": (DATABASE, _disk_full),
    "loss at the carrier": (WIRE, _weather(loss=0.15)),
    "doubled at the carrier": (JITTER, _weather(doubled=0.3)),
    "reordered at the carrier": (JITTER, _weather(reordered=0.3)),
    plan.CUT_OFF: (DATABASE, _cut_off),
    plan.LOST: (PROXY, _node_killed_for_good),
}


def resource(fault: Fault) -> str:
    """What two faults must not break at the same time, for they would undo each other."""
    takes = KINDS[fault.kind][0]
    if (
        fault.kind == plan.CUT_OFF
        or "a node" in fault.kind
        or fault.kind.startswith("cut ")
        or fault.kind == "database slow"
    ):
        return f"wire of {fault.node}"
    if takes in (WIRE, JITTER) or fault.kind in ("bye lost", "phone gone"):
        return f"datagrams of {fault.node}"
    if fault.kind == "drain killed":
        return f"drain of {fault.node}"
    return fault.node or "database"


def all_undone(bench: Bench) -> Iterator[str]:
    """Nothing that breaks is left at work when the load is over."""
    for node in bench.nodes:
        if node.wire.delay_s or node.wire.refusing:
            yield f"the way of {node.name} to the database is still bad"
