"""A deck on its way into a tariff: staged in portions, compared, and applied at once, or dropped without a trace."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from billing.deck import Problem, StagedRate, staged_json
from billing.errors import LedgerRefused, LedgerUnavailable, MeterlineError

if TYPE_CHECKING:
    from billing.deck_types import DeckChange, DeckProblem, DeckSummary
    from billing.ledger import Ledger

T = TypeVar("T")

PORTION_RATES = 5000
"""Staged in one call: about half a megabyte of JSON."""
TRIES_MAX = 3
PAUSE_S = 0.5


class DeckImport:
    """An import into a tariff, for a `with`: at its end what was staged is removed, applied or not.

    Every step has the deck's key, so one whose outcome is unknown is asked for again. Raises LedgerUnavailable when the
    database stays away, LedgerRefused when the deck cannot be.
    """

    def __init__(self, ledger: "Ledger", key: str, tariff: str, actor: str) -> None:
        """`key`: a fresh ULID."""
        self._ledger, self._key = ledger, key
        self._tariff, self._actor = tariff, actor
        self._staged = 0

    def __enter__(self) -> Self:
        self._surely(lambda: self._ledger.open_deck(self._key, self._tariff, self._actor))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(MeterlineError):  # open_deck removes it later
            self._ledger.discard_deck(self._key)

    def stage(self, lines: Iterable[list[StagedRate] | Problem], found: Callable[[Problem], None]) -> int:
        """Stage the rates of a deck and say how many; `found` is told of each line that is none."""
        portion: list[StagedRate] = []
        for line in lines:
            if isinstance(line, Problem):
                found(line)
                continue
            for rate in line:
                self._staged += 1
                portion.append({**rate, "number": self._staged})
            if len(portion) >= PORTION_RATES:
                self._send(portion)
                portion = []
        if portion:
            self._send(portion)
        return self._staged

    def conflicts(self) -> "list[DeckProblem]":
        """Lines that do not go together."""
        return self._surely(lambda: self._ledger.deck_problems(self._key))

    def compare(self, *, replace: bool, effective_from: datetime | None) -> "DeckSummary":
        """What the deck would change, and from now on what apply does."""
        self._replace, self._effective_from = replace, effective_from
        return self._compared()

    def changes(self) -> "Iterator[DeckChange]":
        """Each rate that would not be what it is."""
        return self._ledger.deck_changes(self._key)

    def below_cost(self) -> tuple[int, str]:
        """How many of its rates a reseller would sell under the price that he buys at, and the prefix of one."""
        return self._surely(lambda: self._ledger.deck_below_cost(self._key))

    def apply(self) -> "DeckSummary":
        """All of it, or nothing. A tariff that was changed meanwhile is compared with again."""
        for tries in range(1, TRIES_MAX + 1):
            try:
                return self._surely(lambda: self._ledger.apply_deck(self._key))
            except LedgerRefused as refusal:
                if refusal.token != "deck_out_of_date" or tries == TRIES_MAX:  # noqa: S105  # nosec B105  # a word
                    raise
            self._compared()
        raise AssertionError("unreachable")

    def _compared(self) -> "DeckSummary":
        return self._surely(
            lambda: self._ledger.compare_deck(
                self._key, replace=self._replace, effective_from=self._effective_from, rates=self._staged
            )
        )

    def _send(self, portion: list[StagedRate]) -> None:
        text = staged_json(portion)
        self._surely(lambda: self._ledger.stage_rates(self._key, text))

    @staticmethod
    def _surely(ask: Callable[[], T]) -> T:
        """Ask until there is an answer, some times: the outcome of a lost connection is unknown, and each step may be
        repeated."""
        for tries in range(1, TRIES_MAX + 1):
            try:
                return ask()
            except LedgerUnavailable:
                if tries == TRIES_MAX:
                    raise
                time.sleep(PAUSE_S)
        raise AssertionError("unreachable")
