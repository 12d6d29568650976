"""Which rate a number has: the longest prefix in a tariff, from a bounded cache that knows the tariff's version.

A tariff change raises the tariff's version in the same transaction; the version comes with every identified
caller, so the next call asks under the new version and old answers are never found again. No clock is involved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachetools import LRUCache

from billing.errors import DestinationBarred, NoRate
from billing.pricelist import rate_from_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from typing import Protocol

    from billing.ledger_types import RateRow
    from billing.rating import Rate

    class RateSource(Protocol):
        """Where candidate rates come from; the ledger client is one."""

        def rates_for(self, tariff_id: int, digits: str) -> Sequence[RateRow]:
            """Every rate of the tariff whose prefix starts `digits` and that is not over yet."""
            ...

        def rates_of(self, tariff_ids: Sequence[int], digits: str) -> Sequence[RateRow]:
            """The same of several tariffs at once."""
            ...


class RateLookup:
    """Longest-prefix look-ups in one process. `size` numbers are remembered."""

    def __init__(self, source: RateSource, size: int = 20_000) -> None:
        """`source` is asked once per number and tariff version."""
        self._source = source
        self._cache: LRUCache[tuple[int, int, str], tuple[RateRow, ...]] = LRUCache(size)
        self._rates: LRUCache[tuple[int, int], Rate] = LRUCache(size)

    def find(self, tariff_id: int, version: int, digits: str, at: datetime) -> Rate:
        """The rate for E.164 `digits` at instant `at`.

        Raises NoRate or DestinationBarred, naming the number, and InvalidTariff for a row that cannot be meant.
        """
        for row in self._candidates(tariff_id, version, digits):
            if row.effective_from <= at and (row.effective_to is None or at < row.effective_to):
                if row.blocked:
                    raise DestinationBarred(f"{digits}: prefix {row.prefix} ({row.destination}) is barred")
                return self._compiled(row, version)
        raise NoRate(f"{digits}: no rate in tariff {tariff_id}")

    def prepare(self, tariffs: Iterable[tuple[int, int]], digits: str) -> None:
        """Ask for all that `find` will want of these tariffs (id, version) in one question, if it is not known."""
        missing = {tariff: version for tariff, version in tariffs if (tariff, version, digits) not in self._cache}
        if not missing:
            return
        found: dict[int, list[RateRow]] = {tariff: [] for tariff in missing}
        for row in self._source.rates_of(sorted(missing), digits):
            found[row.tariff_id].append(row)
        for tariff, rows in found.items():
            self._cache[tariff, missing[tariff], digits] = _best_first(rows)

    def _compiled(self, row: RateRow, version: int) -> Rate:
        key = (row.rate_id, version)
        rate = self._rates.get(key)
        if rate is None:
            rate = self._rates[key] = rate_from_row(row.as_mapping())
        return rate

    def _candidates(self, tariff_id: int, version: int, digits: str) -> tuple[RateRow, ...]:
        key = (tariff_id, version, digits)
        found = self._cache.get(key)
        if found is None:
            found = self._cache[key] = _best_first(self._source.rates_for(tariff_id, digits))
        return found


def _best_first(rows: Sequence[RateRow]) -> tuple[RateRow, ...]:
    return tuple(sorted(rows, key=lambda row: (len(row.prefix), row.effective_from), reverse=True))
