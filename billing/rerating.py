"""What calls should have cost: priced again by a tariff that was mended, with the rates in effect when each was rated.

The arithmetic is the one that charged them (billing.rating); what minute bundles paid for stays paid. What has
no rate now is told, not guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from billing.errors import DestinationBarred, InvalidTariff, NoRate
from billing.pricelist import rate_to_json
from billing.rates import RateLookup
from billing.rating import PricedCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal

    from billing.deck_types import LegToRerate
    from billing.ledger_types import Tariff
    from billing.rates import RateSource


@dataclass(frozen=True, slots=True)
class Difference:
    """A leg that should have cost something else."""

    leg: LegToRerate
    new_charge: Decimal
    rate_id: int | None
    rate_json: str

    @property
    def amount(self) -> Decimal:
        """What the account gets back; negative: what it still owes."""
        return self.leg.comes_to - self.new_charge


@dataclass(frozen=True, slots=True)
class Unpriced:
    """A leg that cannot be priced again, and why."""

    leg: LegToRerate
    why: str


def rerated(source: RateSource, tariff: Tariff, legs: Iterable[LegToRerate]) -> Iterator[Difference | Unpriced | None]:
    """What becomes of each leg by a tariff; None: it stays as it is."""
    lookup = RateLookup(source)
    for leg in legs:
        yield _rerated(lookup, tariff, leg)


def _rerated(lookup: RateLookup, tariff: Tariff, leg: LegToRerate) -> Difference | Unpriced | None:
    if leg.provisional:
        return Unpriced(leg, "charged provisionally: how long it lasted is not known yet")
    if leg.billed_s == 0:
        return None  # costs nothing at any rate
    try:
        rate = lookup.find(tariff.tariff_id, tariff.version, leg.callee, leg.rated_at)
        charge = PricedCall(rate, leg.rated_at, max(leg.grant_s, 1)).cost(leg.billed_s, leg.bundle_s)
    except (NoRate, DestinationBarred, InvalidTariff) as error:
        return Unpriced(leg, str(error))
    if charge == leg.comes_to:
        return None
    return Difference(leg, charge, rate.rate_id, rate_to_json(rate))
