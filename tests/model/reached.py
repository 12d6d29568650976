"""What two thousand histories must have come across: a model in which nothing happens would hold, too."""

from __future__ import annotations

from collections import Counter

from tests.model.probes import Probes

ROUTINES = (
    "open_call", "answer_call", "extend_call", "settle_call", "record_call", "reap_calls", "heartbeat", "top_up",
    "refund", "adjust", "transfer",
)  # fmt: skip
"""Every statement of these and of what they call is a place where a connection was killed."""

UNREACHABLE: dict[tuple[str, str], str] = {}
"""Statements that no history comes to, and why."""

OUTCOMES: frozenset[str] = frozenset()


def missing(seen: Counter[str], probes: Probes) -> list[str]:
    """What was never reached, by name."""
    wanted = {number for routine in ROUTINES for number in probes.within(routine)}
    left = [
        probes.name(number)
        for number in sorted(wanted)
        if not seen[f"probe {number}"] and not _excused(probes, number)
    ]
    return left + sorted(OUTCOMES - seen.keys())


def _excused(probes: Probes, number: int) -> bool:
    routine, place, _ = probes.places[number]
    return (routine, str(place)) in UNREACHABLE
