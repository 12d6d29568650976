"""What must hold after an attack: the one check that every test of tests/security ends with.

No process of the proxy died, nothing was raised and not caught, nobody wrote a line of his own into the log, no money
moved and no record came that had no right to, and the next good call works and costs what it must.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.support.party import Party, carrier, on_the_wire
from tests.support.world import Account, World

GOOD_CALL_HOST = "127.0.0.101"
GOOD_CALL_COST = Decimal("0.65")
"""Connect fee and one whole minute: the same whatever the machine's load makes of the call's seconds."""

TROUBLE = ("uncaught", "fact_lost", "call_broken", "cut_failed")
"""Events that an attack must not cause."""
PRIORITIES = ("CRITICAL", "BUG", "ALERT")
"""Nor may Kamailio's own lines be of these."""
HARMLESS = ("update a bogus dlg", "bogus event ", "attempts to send to the net")
"""The dialog module's words for what comes out of turn (a PRACK in a call that is up, an answer after the end): the
dialog stays as it was (tests/sipp-scenarios/conftest.py); and of a Contact that leads away from the loopback."""
FORGED = "forged"
"""The event that every attack on the log tries to write."""


@dataclass(frozen=True)
class _State:
    pids: frozenset[int]
    log_bytes: int
    cdrs: Counter[int | None]
    charges: Counter[int | None]


@dataclass
class Aftermath:
    """Made before an attack; `check` after it. `allow` says what the attack may leave."""

    world: World
    good: Account
    last_events: list[dict[str, Any]] = field(default_factory=list)
    """Our own lines that the last check looked at."""
    _before: _State = field(init=False)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """What is there now is not the next attack's doing."""
        self._before = self._now()
        self._cdrs = 0
        self._charged: set[int | None] = set()
        self._callers: set[int | None] = set()

    def allow(
        self,
        *,
        cdrs: int = 0,
        charged: Iterable[Account] = (),
        callers: Iterable[Account] = (),
        emergencies: bool = False,
    ) -> None:
        """The attack is a call as well: so many CDRs, and charges on the accounts `charged`; any number of calls of
        `callers`, and to emergency numbers, which nobody pays."""
        self._cdrs += cdrs
        self._callers |= {account.account_id for account in callers} | ({None} if emergencies else set())
        self._charged |= {account.account_id for account in charged} | self._callers - {None}

    def check(self, limit_s: float = 20) -> None:
        """AssertionError or StackError that says what the attack did. Another attack may follow, and another check.

        `limit_s`: how long what the attack left may take to be settled.
        """
        self.world.wait_until_drained(limit_s)
        now = self._now()
        assert self._before.pids == now.pids, f"processes {sorted(self._before.pids ^ now.pids)} died or were started"
        check_lines(self.lines())
        self.last_events = self.events()
        cdrs = now.cdrs - self._before.cdrs
        for one in self._callers:
            del cdrs[one]
        assert self._cdrs == cdrs.total(), f"{self._cdrs} CDRs allowed; by accounts: {dict(cdrs)}"
        strangers = (now.charges - self._before.charges).keys() - self._charged
        assert not strangers, f"accounts {strangers} were charged"
        assert [] == self.world.cashier.audit()
        good_call(self.world, self.good)
        assert self._before.pids == self._now().pids
        self.begin()

    # --- the parts ---------------------------------------------------------------------------------------------------

    def _now(self) -> _State:
        return _State(
            frozenset(pids(self.world)),
            self._log.stat().st_size,
            self._count("SELECT account_id, COUNT(*) AS n FROM v_cdr GROUP BY account_id"),
            self._count("SELECT account_id, COUNT(*) AS n FROM v_entry WHERE call_key IS NOT NULL GROUP BY account_id"),
        )

    def _count(self, statement: str) -> Counter[int | None]:
        return Counter({row["account_id"]: int(row["n"]) for row in self.world.cashier._select(statement)})

    @property
    def _log(self) -> Path:
        return self.world.stack.kamailio.log

    def lines(self) -> list[bytes]:
        """The log's lines since the attack began, as bytes."""
        with self._log.open("rb") as log:
            log.seek(self._before.log_bytes)
            return log.read().split(b"\n")[:-1]

    def events(self) -> list[dict[str, Any]]:
        """Our own lines since the attack began."""
        return [content for line in self.lines() if "event" in (content := json.loads(line))]


def pids(world: World) -> set[int]:
    """The proxy's processes: the first one and its children."""
    first = world.stack.kamailio.pid
    assert first is not None, "the proxy is not running"
    children = Path(f"/proc/{first}/task/{first}/children").read_text(encoding="ascii").split()
    return {first, *map(int, children)}


def check_lines(lines: Iterable[bytes]) -> None:
    """Each line is whole JSON, ours in ASCII; none is one that an attack asked for, and none tells of trouble."""
    trouble = []
    for raw in lines:
        content = json.loads(raw)
        assert isinstance(content, dict), raw
        if "event" in content:
            assert raw.isascii(), raw
            assert content["event"] != FORGED, f"a caller wrote this line: {raw!r}"
            trouble += [content] if content["event"] in TROUBLE else []
        elif not any(text in content["msg"] for text in HARMLESS):
            trouble += [content] if content["pri"] in PRIORITIES else []
    assert not trouble, trouble[:10]


def account_for_good_calls(world: World) -> Account:
    """Rich, and its calls cost `GOOD_CALL_COST` each."""
    return world.customer("1000", world.tariff("0.60", increment_s=60, connect_fee="0.05"))


def good_call(world: World, account: Account) -> None:
    """A call from INVITE to BYE: both ends hear what they must, and it costs what it must."""
    balance = world.balance(account)
    with carrier(world) as callee, Party(world, host=GOOD_CALL_HOST) as caller:
        dialog = caller.call(world.phone(account))
        callee.wait_for(lambda one: one.method == "ACK" and one.call_id == dialog.call_id, "ACK")
        assert 200 == caller.hang_up(dialog).code
        callee.wait_for(lambda one: one.method == "BYE" and one.call_id == dialog.call_id, "BYE")
        (call,) = on_the_wire(world, [caller], [callee])
    assert (200, "caller", GOOD_CALL_COST) == (call.code, call.cdr.end_reason if call.cdr else "", call.charge)
    assert balance - GOOD_CALL_COST == world.balance(account)
