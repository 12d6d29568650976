"""What two thousand histories must have come across: a model in which nothing happens would hold, too."""

from __future__ import annotations

from collections import Counter

from tests.model.probes import Probes

ROUTINES = (
    "open_call", "answer_call", "extend_call", "settle_call", "record_call", "reap_calls", "heartbeat", "top_up",
    "refund", "adjust", "transfer",
)  # fmt: skip
"""Every statement of these and of what they call is a place where a connection was killed."""

RACE = "a key that appears while its purses are locked: only with two at the same instant (tests/db/test_races.py)"
OLD = "a call that is archived: no history lasts until then (tests/db/test_archive.py)"
BROKEN = "a call that cannot be closed: no history makes one (tests/db/test_calls.py)"
UNREACHABLE = {
    ("open_call", "ROLLBACK;", 1): RACE,
    ("move_money", "ROLLBACK;", 1): RACE,
    ("record_call", "ROLLBACK;", 1): RACE,
    ("record_call", "SET v_outcome = 'already';", 1): RACE,
    ("reap_call", "ELSE COMMIT;", 1): "a call that ends between the reaper's look and its lock: two at one instant",
    ("settle_call", "ELSE SELECT v_outcome AS outcome, v_archived_grant_s AS gran", 1): OLD,
    ("reap_calls", "GET DIAGNOSTICS CONDITION 1 v_reason = MESSAGE_TEXT;", 1): BROKEN,
    ("reap_calls", "ROLLBACK;", 1): BROKEN,
    ("reap_calls", "SET v_failure = COALESCE(v_failure, CONCAT('reap_failed: cal", 1): BROKEN,
}
"""Statements that no history comes to, and why: routine, text, and which of the routine's statements with that text. So
a statement that is put before one of them changes nothing; one that changes is told by `stale`, before any history."""

OUTCOMES = {
    "attempt": ("failed", "none"),
    "cdr": ("exact", "free", "never opened", "none", "provisional", "unsure"),
    "ended": ("caller", "callee", "cut", "keepalive", "busy", "cancelled", "carrier_failed", "no_answer", "rejected"),
    "invite": (
        "rings []", "refused [402]", "refused [403]", "refused [480]", "refused [486]", "refused [487]",
        "refused [503]",
    ),
    "money": ("moved", "insufficient_balance"),
    "journal": ("full", "torn"),
    "bundle": ("none", "part", "whole"),
    "card": ("used", "unused"),
    "carrier": ("asked", "free"),
}  # fmt: skip

POINTS = (
    "journal: before", "journal: after", "drain: applied", "drain: done", "the 200 goes to the caller", "ksr relay",
    "ksr manage", "ksr lifetime", "ksr send", "ksr $dlg_var(k)", "ksr $dlg_var(t)", "ksr $dlg_var(g)",
    "ksr $dlg_var(x)", "ksr $dlg_var(b)",
    *(f"{routine}: {when}" for routine in ROUTINES for when in ("before", "after")),
)  # fmt: skip
"""Where a process must have been killed."""


RARE = (
    "ROLLBACK;", "CALL warn_of", "CALL alarm_of", "INSERT INTO alarm", "SET v_outcome = 'refunded'", "call_ended",
    "v_grant_s = p_new_grant_s", "v_stored_hash IS NOT NULL", "NOT v_provisional", "v_unknown", "v_first",
    "IF EXISTS (SELECT 1 FROM cdr", "'spending_limit'", "given.account, 40", "unused", "first_use", "expires_at",
    "v_midnight", "used_at", "parent",
)  # fmt: skip
AIMED = 1_000_000
"""Seeds from here on are aimed: see `aimed_seeds`."""
AIMED_SEEDS = 150
"""At most, until one has come to it."""
AIMED_AT = 2 * AIMED
"""And from here on at one of POINTS."""
RARE_TURNS = 5
"""Turns of a statement that few calls come to."""


def targets(probes: Probes) -> list[int]:
    """The statements of ROUTINES and of what they call, in turn: rare ones more often."""
    reachable = sorted(_reachable(probes))
    return reachable + [number for number in reachable if is_rare(probes, number)] * (RARE_TURNS - 1)


def unreachable(probes: Probes) -> dict[tuple[str, str, int], int]:
    """The exceptions that today's routines have, with their probes."""
    seen: Counter[tuple[str, str]] = Counter()
    found = {}
    for number, (routine, _, statement) in sorted(probes.places.items()):
        seen[routine, statement] += 1
        found[routine, statement, seen[routine, statement]] = number
    return {exception: found[exception] for exception in UNREACHABLE if exception in found}


def stale(probes: Probes) -> list[str]:
    """The exceptions that today's routines do not have any more: whoever changed the routine says what became of it."""
    found = unreachable(probes)
    return [
        f"{routine} has no statement {text!r} number {which}: see UNREACHABLE in {__name__}"
        for routine, text, which in UNREACHABLE
        if (routine, text, which) not in found
    ]


def _reachable(probes: Probes) -> set[int]:
    wanted = {number for routine in ROUTINES for number in probes.within(routine)}
    return wanted - set(unreachable(probes).values())


def is_rare(probes: Probes, number: int) -> bool:
    """Few calls come to it: what a stranger asks is the likeliest."""
    routine, _, statement = probes.places[number]
    return routine in ("settle_provisional", "tell_accepted") or any(text in statement for text in RARE)


def aimed_seeds(number: int) -> range:
    """Seeds of histories that are after one statement alone, at each of their steps."""
    first = AIMED + number * AIMED_SEEDS
    return range(first, first + AIMED_SEEDS)


def aim_of(seed: int) -> int:
    """The statement that such a history is after."""
    return (seed - AIMED) // AIMED_SEEDS


def point_of(seed: int) -> str:
    """Where a process dies whenever it comes there, or nearly; only in histories that are aimed so."""
    return POINTS[(seed - AIMED_AT) // AIMED_SEEDS] if seed >= AIMED_AT else ""


def aims(seen: Counter[str], probes: Probes) -> list[tuple[range, str]]:
    """What chance has left out: seeds that are after it, and what is seen when one has come to it."""
    points = [number for number, point in enumerate(POINTS) if not seen[f"killed at {point}"]]
    return [(aimed_seeds(number), f"probe {number}") for number in left_out(seen, probes)] + [
        (range(first := AIMED_AT + number * AIMED_SEEDS, first + AIMED_SEEDS), f"killed at {POINTS[number]}")
        for number in points
    ]


def left_out(seen: Counter[str], probes: Probes) -> list[int]:
    """The statements that were not reached, and could be."""
    return [number for number in sorted(_reachable(probes)) if not seen[f"probe {number}"]]


def missing(seen: Counter[str], probes: Probes) -> list[str]:
    """What was never reached, by name."""
    left = [probes.name(number) for number in left_out(seen, probes)]
    named = [f"{kind}: {what}" for kind, all_of_it in OUTCOMES.items() for what in all_of_it]
    named += [f"killed at {point}" for point in POINTS] + ["late", "lose"]
    return left + [name for name in named if not seen[name]]
