"""The load: SIPp calls of many accounts on both nodes, drawn from a seed, for as long as the faults last."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.faults.bench import Bench
from tests.support.messages import Message
from tests.support.scene import digest
from tests.support.sipp import Sipp
from tests.support.world import Account, Phone

HERE = Path(__file__).parent
DIALLED = {"hangs_up": "49301000001", "callee": "49301000002", "cut": "49301000003", "rings": "49301000004"}
SHARES = {"hangs_up": 0.40, "callee": 0.25, "cut": 0.20, "rings": 0.15}
GIVES_UP_MS = 25_000
TALKS_ON_MS = 24_000
TALK_MS = (800, 7500)
LONGEST_S = (2, 3, 4, 6, 12)
"""When calls of the kind `cut` end; the last one needs a renewal first."""
BUNDLES_S = (20, 60)
"""Seconds of the minute bundles that some have: used up within a round, which then goes on with money."""


@dataclass(frozen=True)
class People:
    """Who calls: phones of customers, some under resellers up to three levels deep, some with minute bundles and some
    nearly out of money, and cards at an IVR."""

    accounts: tuple[Account, ...]
    phones: tuple[Phone, ...]
    cards: tuple[Account, ...]
    resellers: tuple[Account, ...]


def people(bench: Bench, chance: random.Random, customers: int, cards: int) -> People:
    """Make them. A cent a second, at every level."""
    world = bench.world
    tariff = world.tariff()
    alone, first = (world.reseller("2000", tariff) for _ in range(2))
    sold = {reseller: world.tariff(owner=reseller) for reseller in (alone, first)}
    for _ in range(2):
        parent = list(sold)[-1]
        below = world.reseller("2000", sold[parent], parent=parent)
        sold[below] = world.tariff(owner=below)
    parents = (alone, below, None, None)
    world.bundle(alone, 5 * BUNDLES_S[-1])
    accounts = []
    for order in range(customers):
        balance = "0.40" if chance.random() < 0.1 else "200"
        parent = parents[order % len(parents)]
        accounts.append(world.customer(balance, sold[parent] if parent else tariff, parent=parent))
        if chance.random() < 0.3:
            world.bundle(accounts[-1], chance.choice(BUNDLES_S), seller=parent)
    phones = [world.phone(account) for account in accounts]
    dear = [
        world.card(f"{chance.choice((3, 7, 400)) / 100:.2f}", tariff, longest_call_s=chance.choice(LONGEST_S))
        for _ in range(cards)
    ]
    return People((*accounts, *dear, *sold), tuple(phones), tuple(dear), tuple(sold))


def carrier(bench: Bench, limit_s: int, gives_up_ms: int = GIVES_UP_MS) -> Sipp:
    """The SIPp process behind the carrier's relay."""
    assert bench.carrier.sipp is not None
    (bench.folder / "sipp").mkdir(exist_ok=True)
    return Sipp(
        "carrier",
        HERE / "carrier.xml",
        bench.folder / "sipp",
        host=bench.carrier.sipp[0],
        port=bench.carrier.sipp[1],
        limit_s=limit_s,
        keys=[("outside", ":".join(map(str, bench.carrier.outside)))],
        options=["-l", "5000", "-aa", "-recv_timeout", str(gives_up_ms + 10_000)],
    )


class Load:
    """SIPp's processes: a carrier, and callers of each kind at each node."""

    def __init__(
        self,
        bench: Bench,
        people: People,
        chance: random.Random,
        calls: int,
        seconds: float,
        talk_ms: tuple[int, int] = TALK_MS,
        gives_up_ms: int = GIVES_UP_MS,
    ) -> None:
        """So many calls within so many seconds; a caller who hangs up does it after `talk_ms`, from .. to, and one who
        hears nothing gives up after `gives_up_ms`."""
        self.bench = bench
        self._gives_up_ms = gives_up_ms
        self._talk_ms = talk_ms
        self._folder = bench.folder / "sipp"
        self._seconds = seconds
        self.calls = 0
        self.carrier = carrier(bench, int(seconds) + 300, gives_up_ms)
        self.callers = {}
        for node in bench.nodes:
            for kind, share in SHARES.items():
                wanted = max(1, round(calls * share / len(bench.nodes)))
                self.calls += wanted
                name = f"{node.name}-{kind}"
                self.callers[name] = self._caller(name, kind, self._lines(kind, people, chance, wanted))

    def _lines(self, kind: str, people: People, chance: random.Random, wanted: int) -> list[list[str]]:
        if kind == "cut":
            return [
                ["4920555", DIALLED[kind], "X-Nothing: 1", str(TALKS_ON_MS),
                 f"X-Meterline-Card: {card.number}", f"X-Meterline-PIN: {card.pin}"]
                for card in (people.cards[order % len(people.cards)] for order in range(wanted))
            ]  # fmt: skip
        return [
            [phone.username, DIALLED[kind], digest(phone),
             str(TALKS_ON_MS if kind == "callee" else chance.randrange(*self._talk_ms)), "X-One: 1", "X-Two: 2"]
            for phone in (chance.choice(people.phones) for _ in range(wanted))
        ]  # fmt: skip

    def _caller(self, name: str, kind: str, lines: Sequence[Sequence[str]]) -> Sipp:
        inside = self.bench.callers[name].inside
        return Sipp(
            name,
            HERE / "phone.xml",
            self._folder,
            remote=f"{inside[0]}:{inside[1]}",
            calls=len(lines),
            per_second=len(lines),
            fields=lines,
            auth_uri=f"{DIALLED[kind]}@{self.bench.world.realm}",
            limit_s=int(self._seconds) + 200,
            keys=[("realm", self.bench.world.realm)],
            options=["-rp", str(round(self._seconds * 1000)), "-recv_timeout", str(self._gives_up_ms)],
        )

    def __enter__(self) -> Self:
        self.carrier.start()
        for caller in self.callers.values():
            caller.start()
        return self

    @property
    def running(self) -> bool:
        return any(caller.running for caller in self.callers.values())

    def __exit__(self, *_: object) -> None:
        for sipp in (*self.callers.values(), self.carrier):
            sipp.stop()

    def heard(self) -> tuple[dict[str, list[Message]], list[Message]]:
        """What each caller's process saw, and what the carrier did."""
        return {name: caller.messages() for name, caller in self.callers.items()}, self.carrier.messages()
