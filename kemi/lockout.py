"""Guesses at a password or PIN: how many are borne, and from where."""

from __future__ import annotations

import time

from kemi import ksr
from kemi.node import here
from kemi.tables import FAILURES, TRUSTED

ALL_PLACES_FACTOR = 2
"""Strange places together have so many times `lockout.failures`: a guesser may have many of them."""
TRUSTED_PLACES_MAX = 50
"""Of one credential. Whoever has the password may not fill the shared memory by moving about."""


class Guess:
    """One answer that may be a guess: for a credential (user or card), from a place (source address, caller number).

    A place that the right answer came from before has a budget of its own, so that guessers elsewhere, however many,
    do not lock the owner out. An answer is counted before it is judged and given back when it was right: of guesses
    that arrive at the same moment none is one too many.
    """

    def __init__(self, credential: str, place: str) -> None:
        self._credential = credential
        self._place = f"{credential}|{place}"
        failures = here().settings.lockout.failures
        self._budgets = [_Budget(self._place, failures)]
        if not ksr.table_int(TRUSTED, self._place):
            self._budgets.append(_Budget(credential, failures * ALL_PLACES_FACTOR))

    def is_allowed(self) -> bool:
        """Count the guess. False when there have been too many: nothing is counted then, so that a lock ends."""
        for position, budget in enumerate(self._budgets):
            if not budget.take():
                for taken in self._budgets[:position]:
                    taken.give_back()
                return False
        return True

    def was_right(self) -> None:
        """It was no guess: give it back, and remember the place."""
        for budget in self._budgets:
            budget.give_back()
        if not ksr.table_int(TRUSTED, self._place):
            if ksr.table_int(TRUSTED, self._credential) >= TRUSTED_PLACES_MAX:
                return
            ksr.count_up(TRUSTED, self._credential)
        here().memory.add(TRUSTED, self._place)
        ksr.count_up(TRUSTED, self._place)


class _Budget:
    """At most `limit` in any stretch of time as long as the window: those of two neighbouring slices count together.

    Within one slice alone a guesser had twice the limit, before and after its end. The slice is part of the key,
    because an entry of the table lives on with every update (docs/kamailio.md, 19).
    """

    def __init__(self, key: str, limit: int) -> None:
        slice_number = int(time.monotonic()) // here().settings.lockout.window_s
        self._now, self._before = f"{key}/{slice_number}", f"{key}/{slice_number - 1}"
        self._limit = limit

    def take(self) -> bool:
        if ksr.count_up(FAILURES, self._now) + ksr.table_int(FAILURES, self._before) <= self._limit:
            return True
        self.give_back()
        return False

    def give_back(self) -> None:
        ksr.count_down(FAILURES, self._now)
