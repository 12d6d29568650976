"""One round: a bench, a load, the faults of a plan, and the oracle's word; and the drill with 200 calls up."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from pymysql.cursors import DictCursor

from billing.journal import JournalReader
from stack.processes import StackError, wait_until
from tests.faults import plan
from tests.faults.bench import Bench
from tests.faults.kinds import GONE_ALREADY, Struck, all_undone, resource, strike
from tests.faults.load import GIVES_UP_MS, Load, people
from tests.faults.oracle import Evidence, Leg, Purse, Record, Verdict, Window, attempts_of, judge
from tests.faults.plan import Fault
from tests.support.faults import journal_waits, reconnect

LAST_FAULT_S = 5
TAIL_S = 60
"""How long the last calls may take to end by themselves when their phones give up."""
SETTLED_LIMIT_S = 100
TRUTH_LIMIT_S = 15
FACTS_MAX = 100_000
FATAL = ('"uncaught"', '"fact_lost"', "signal 11")


@dataclass
class Round:
    """What a round was to do and what came of it."""

    seed: str
    faults: list[Fault]
    struck: list[Struck] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    seconds: dict[str, float] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)
    channels: int | None = None
    """So many calls the carrier takes at once; None: any number."""


def play(
    folder: Path,
    seed: str,
    *,
    calls: int,
    faults: int,
    seconds: float,
    kinds: Sequence[str] = plan.KINDS,
    disks: bool = False,
    customers: int = 150,
    cards: int = 60,
    gives_up_ms: int = GIVES_UP_MS,
    channels: int | None = None,
    settings: dict[str, Any] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Round:
    """Load and faults together, then everything settled, then the oracle. `channels`: of the carrier."""
    made = Round(seed, plan.schedule(seed, faults, seconds, kinds), channels=channels)
    clock = _Clock(made.seconds)
    with Bench.up(folder, seed, disks=disks, calls=settings) as bench:
        bench.take_at_most(channels)
        callers = people(bench, random.Random(f"{seed} people"), customers, cards)
        load = Load(bench, callers, random.Random(f"{seed} calls"), calls, seconds, gives_up_ms=gives_up_ms)
        clock.lap("start")
        with load:
            _strike_all(bench, made, seconds + LAST_FAULT_S, say)
            clock.lap("faults")
            conclude(bench, load, made)
            clock.lap("end")
    return made


def conclude(bench: Bench, load: Load, made: Round) -> None:
    """The last calls end, everything is settled, and the oracle speaks."""
    clock = _Clock(made.seconds)
    _wait_for_the_last(load)
    made.counted = _counted(bench)
    clock.lap("last calls")
    lives = _settle(bench)
    clock.lap("settling")
    made.verdict = judge(_evidence(bench, load, made, lives))
    clock.lap("oracle")
    for struck in made.struck:
        if struck.error:
            made.verdict.say("fault did not work", f"{struck.fault}: {struck.error}")
    for text in all_undone(bench):
        made.verdict.say("fault not undone", text)


class _Clock:
    def __init__(self, laps: dict[str, float]) -> None:
        self._laps, self._since = laps, time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self._laps[name], self._since = round(now - self._since, 1), now


def _strike_all(bench: Bench, made: Round, limit_s: float, say: Callable[[str], None]) -> None:
    """Each when it is due, in a thread of its own; two that would undo each other wait for one another. After `limit_s`
    whatever still acts is undone, for there are no calls left to meet it."""
    stop, begun = threading.Event(), time.monotonic()
    locks: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def one(fault: Fault) -> Struck:
        stop.wait(max(0.0, begun + fault.at_s - time.monotonic()))
        with locks[resource(fault)]:
            if stop.is_set() or any(node.killed for node in bench.nodes if node.name == fault.node):
                return strike_nothing(fault)
            struck = strike(bench, fault, stop)
        took = struck.window.end - struck.window.start
        met = struck.met or struck.error
        say(f"{time.monotonic() - begun:6.1f} s  {fault.kind:<28} {fault.node:<6} {took:5.1f} s  {met}")
        return struck

    end = threading.Timer(limit_s, stop.set)
    end.start()
    with ThreadPoolExecutor(len(made.faults) or 1) as pool:
        try:
            made.struck = list(pool.map(one, made.faults))
        finally:
            stop.set()  # Ctrl-C
            end.cancel()


def strike_nothing(fault: Fault) -> Struck:
    """A fault that was due when its node was gone for good, or the load was over."""
    now = time.time()
    return Struck(fault, Window(fault.kind, "", fault.node, now, now), GONE_ALREADY)


def _wait_for_the_last(load: Load) -> None:
    with contextlib.suppress(StackError):
        wait_until(lambda: not load.running, TAIL_S, "all callers are done", poll_s=0.2)
    for caller in load.callers.values():
        caller.stop()


def _settle(bench: Bench) -> list[str]:
    """Until every fact is in the ledger and no call is live; the calls that are nevertheless."""
    with contextlib.suppress(StackError):
        wait_until(bench.all_nodes_up, 30, "all nodes are up")
    with contextlib.suppress(StackError):
        wait_until(lambda: _quiet(bench), SETTLED_LIMIT_S, "all is settled", poll_s=0.25)
        wait_until(lambda: _truth_is_known(bench), TRUTH_LIMIT_S, "all is known", poll_s=0.25)
    return [
        f"{row['call_key']} of {row['node']}, {row['state']}, grant {row['grant_s']} s: {row['sip_call_id']}"
        for row in _rows(bench, "SELECT * FROM v_live_call")
    ]


def _quiet(bench: Bench) -> bool:
    if _rows(bench, "SELECT call_key FROM v_live_call LIMIT 1"):
        return False
    return not any(journal_waits(node.state_dir) or node.dialogs() for node in bench.nodes if not node.killed)


def _truth_is_known(bench: Bench) -> bool:
    """No living node owes the truth about a call that was reaped."""
    alive = [node.name for node in bench.nodes if not node.killed]
    return not any(row["node"] in alive for row in _rows(bench, "SELECT node FROM v_cdr WHERE provisional"))


def _counted(bench: Bench) -> dict[str, int]:
    """What the relays did to datagrams and connections."""
    total: dict[str, int] = defaultdict(int)
    for relay in (bench.carrier, *bench.callers.values()):
        for name, count in relay.counted.items():
            total[f"datagrams {name}"] += count
    for node in bench.nodes:
        for name, count in node.wire.counted.items():
            total[f"database {name}"] += count
    return dict(total)


# --- evidence ---------------------------------------------------------------------------------------------------------


def _evidence(bench: Bench, load: Load, made: Round, lives: list[str]) -> Evidence:
    callers, carrier = load.heard()
    lost = {s.fault.node: s.window.start for s in made.struck if s.fault.kind == plan.LOST and not s.error}
    reconnect(bench.world)
    windows = [
        # What is lost for good stays away.
        struck.window if struck.fault.kind != plan.LOST else replace(struck.window, end=struck.window.end + 1e6)
        for struck in made.struck
        if struck.window.takes
    ]
    doomed = {call_id: fate for relay in bench.callers.values() for call_id, fate in relay.doomed.items()}
    return Evidence(
        attempts=attempts_of(callers, carrier),
        records=records(bench),
        purses=purses(bench),
        windows=windows,
        doomed=doomed,
        lives=lives,
        dialogs={node.name: node.dialogs() for node in bench.nodes if not node.killed},
        channels={node.name: node.channels() for node in bench.nodes if not node.killed},
        channels_max=made.channels,
        audit=bench.world.cashier.audit(),
        lost_nodes=lost,
        untold=frozenset(_untold(bench)),
        refused_facts=[line for node in bench.nodes for line in _lines(node.state_dir / "journal" / "refused.log")],
        fatal_lines=[
            f"{node.name}: {line}"
            for node in bench.nodes
            for line in (*_lines(node.kamailio.log), *_lines(node.drain.log))
            if any(word in line for word in FATAL) or line.startswith("Traceback")
        ],
    )


def _untold(bench: Bench) -> Iterator[str]:
    """The calls of which a node that is gone for good had written something that its drain had not read."""
    for node in bench.nodes:
        if node.killed:
            with contextlib.closing(JournalReader(node.state_dir / "journal")) as journal:
                yield from (entry.fact.get("call_key", "") for entry in journal.entries(FACTS_MAX))


def _lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines() if path.exists() else []


def _rows(bench: Bench, sql: str) -> list[dict[str, Any]]:
    with bench.root(60) as cursor:
        own = cursor.connection.cursor(DictCursor)
        own.execute(sql)
        return list(own.fetchall())


def _at(moment: datetime) -> float:
    return moment.replace(tzinfo=UTC).timestamp()


def records(bench: Bench) -> list[Record]:
    """All CDRs with their legs and what their entries moved."""
    legs: dict[str, list[Leg]] = defaultdict(list)
    for row in _rows(bench, "SELECT * FROM v_cdr_leg ORDER BY call_key, leg"):
        legs[row["call_key"]].append(Leg(row["account_id"], row["charge"], row["rate"], row["bundle_s"]))
    moved: dict[str, dict[int, Decimal]] = defaultdict(dict)
    for row in _rows(
        bench,
        "SELECT call_key, account_id, SUM(amount) AS amount FROM v_entry WHERE call_key IS NOT NULL GROUP BY 1, 2",
    ):
        moved[row["call_key"]][row["account_id"]] = row["amount"]
    return [
        Record(
            row["call_key"], row["sip_call_id"], row["node"], _at(row["opened_at"]), row["grant_s"], row["talked_ms"],
            row["billed_s"], row["result"], row["end_reason"], bool(row["provisional"]), row["rated_at"],
            tuple(legs[row["call_key"]]), moved[row["call_key"]],
        )
        for row in _rows(bench, "SELECT * FROM v_cdr")
    ]  # fmt: skip


def purses(bench: Bench) -> list[Purse]:
    """Every account's money, and the sum of its entries."""
    return [
        Purse(**row)
        for row in _rows(
            bench,
            "SELECT account_id, balance, available, held, calls, "
            "COALESCE((SELECT SUM(amount) FROM v_entry WHERE v_entry.account_id = v_account.account_id), 0) AS entries "
            "FROM v_account",
        )
    ]
