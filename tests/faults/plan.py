"""Which faults come when: from a seed, and from nothing else."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

BOTH = ""
NODES = ("node1", "node2")


@dataclass(frozen=True)
class Fault:
    """A fault: when it is due after the load's begin, of which kind, at which node (`BOTH`: not one's alone), and the
    seed of whatever else it chooses."""

    at_s: float
    kind: str
    node: str
    seed: int

    def __str__(self) -> str:
        return f"{self.at_s:7.2f} s  {self.kind}{f' of {self.node}' if self.node else ''}"


# Kinds that strike one node, those that strike what both share, and those that come once a round.
OF_A_NODE = (
    "proxy killed",
    "worker killed",
    "keeper killed",
    "drain killed",
    "restart while ringing",
    "restart across a cut",
    "database refuses a node",
    "database slow",
    "cut before commit",
    "cut after commit",
    "journal disk full",
    "loss at the callers",
    "doubled at the callers",
    "reordered at the callers",
    "bye lost",
    "phone gone",
)
OF_BOTH = (
    "database killed",
    "database stopped",
    "database refuses logins",
    "database refuses connections",
    "sessions killed",
    "deadlocks",
    "database disk full",
    "loss at the carrier",
    "doubled at the carrier",
    "reordered at the carrier",
)
CUT_OFF = "node cut off"
LOST = "node killed for good"
ONCE = {CUT_OFF: 0.25, LOST: 0.9}
"""At which part of a round they come."""
KINDS = (*OF_A_NODE, *OF_BOTH, *ONCE)
NEED_A_DISK = ("journal disk full", "database disk full")


def schedule(seed: str, count: int, seconds: float, kinds: Sequence[str] = KINDS) -> list[Fault]:
    """`count` faults of these kinds, evenly spread over `seconds` with a jitter; every kind before any comes again."""
    chance = random.Random(f"{seed} faults")
    once = [kind for kind in kinds if kind in ONCE][:count]
    usual = [kind for kind in kinds if kind not in ONCE]
    drawn: list[str] = []
    while usual and len(drawn) < count - len(once):
        drawn += chance.sample(usual, len(usual))
    drawn = drawn[: count - len(once)]
    spacing = 0.86 * seconds / max(1, len(drawn))
    found = [
        Fault(
            round(1.5 + spacing * (order + chance.random() * 0.8), 2),
            kind,
            chance.choice(NODES) if kind in OF_A_NODE else BOTH,
            chance.randrange(1 << 30),
        )
        for order, kind in enumerate(drawn)
    ]
    # The second node is the one that is cut off and lost: the first one's reaper finds its calls.
    found += [Fault(round(ONCE[kind] * seconds, 2), kind, "node2", chance.randrange(1 << 30)) for kind in once]
    return sorted(found, key=lambda fault: fault.at_s)
