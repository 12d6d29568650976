"""The facts of one call reach the ledger in the order in which they were written.

One whose account is busy is put back behind the others. Whatever its call wrote after it must not overtake it: of two
ends the first is true. So these are put back behind it, until it is applied; also by a drain that is started meanwhile.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from billing.clock import Moment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from billing.journal import Fact

AGAIN = "again"
"""The key that marks a fact that was put back."""


class CallOrder:
    """Which facts of which calls were put back, in the order of their writing. In memory, found again at a start."""

    def __init__(self, undone: Iterable[Fact] = ()) -> None:
        """`undone`: what the journal holds for the ledger, as it stands there."""
        calls: dict[str, list[Fact]] = {}
        for fact in undone:
            calls.setdefault(fact.get("call_key", ""), []).append(fact)
        self._waiting = {
            call_key: list(dict.fromkeys(_identity(fact) for fact in _by_time(own)))
            for call_key, own in calls.items()
            if any(AGAIN in fact for fact in own)
        }

    def is_next(self, fact: Fact) -> bool:
        """False while something that its call wrote before it was put back and is not applied."""
        waiting = self._waiting.get(fact.get("call_key", ""))
        return waiting is None or waiting[0] == _identity(fact)

    def put_back(self, fact: Fact) -> None:
        """Remember that it waits: it stands at the journal's end now, as `marked` has it."""
        waiting = self._waiting.setdefault(fact["call_key"], [])
        if (identity := _identity(fact)) not in waiting:
            waiting.append(identity)

    def done(self, fact: Fact) -> None:
        """It is applied, or set aside for good."""
        waiting = self._waiting.get(fact.get("call_key", ""))
        if waiting and waiting[0] == _identity(fact):
            del waiting[0]
            if not waiting:
                del self._waiting[fact["call_key"]]


def marked(fact: Fact) -> Fact:
    """A fact as it is to be written when it is put back."""
    return {**fact, AGAIN: True}


def _identity(fact: Fact) -> str:
    return json.dumps({name: value for name, value in fact.items() if name != AGAIN}, sort_keys=True)


def _by_time(facts: list[Fact]) -> list[Fact]:
    """In the order of their writing: by monotonic time, across a boot by the wall clock.

    Of one millisecond those come first that were put back, for they stood before what is now before them.
    """
    moments = [Moment.parse(fact["at"]) for fact in facts]
    one_boot = len({moment.boot for moment in moments}) == 1
    times = [moment.monotonic_ms if one_boot else moment.wall_ms for moment in moments]
    ordered = sorted(zip(times, facts, strict=True), key=lambda timed: (timed[0], AGAIN not in timed[1]))
    return [fact for _, fact in ordered]
