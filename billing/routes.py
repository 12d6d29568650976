"""Which carriers a call may take, and in which order. What each charges is fixed when the call is opened.

A carrier with a tariff takes what its tariff has a rate for; its prefixes, if it has any, narrow that. By `cost` the
carrier goes first at which a call of the reference length costs least, then by priority, then by weight. None is taken
that costs more than the call does, unless the account that the vendor charges, or its tariff, allows it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING

from billing.errors import DestinationBarred, InvalidTariff, NoRate, Refused
from billing.ledger_types import CarrierRate
from billing.pricelist import rate_to_json
from billing.rating import PricedCall

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from billing.directory import Carrier
    from billing.ledger_types import Leg
    from billing.rates import RateLookup
    from billing.settings import CarrierSettings

    RandBelow = Callable[[int], int]

NO_CARRIER = "no_carrier"
RATE_CHARACTERS_MAX = 60_000
"""The CDR's column holds no longer one; no rate that a person wrote comes near."""


@dataclass(frozen=True)
class Route:
    """A carrier that a call may take; `price` is None when nobody knows what it charges."""

    carrier: Carrier
    price: PricedCall | None


@dataclass(frozen=True)
class Retail:
    """What the vendor is paid for a call: the last leg of its chain, and the price fixed for it."""

    leg: Leg
    price: PricedCall

    def loses_with(self, route: Route, seconds: int) -> bool:
        """Whether a call this long costs more at the carrier than it brings. What is in another currency cannot be
        compared, and might."""
        if route.price is None:
            return False
        if route.carrier.currency != self.leg.currency:
            return True
        length_s = min(seconds, route.price.coverage_s, self.price.coverage_s)
        return route.price.cost(length_s) > self.price.cost(length_s)


@dataclass(frozen=True)
class Routes:
    """The carriers of one call, in the order in which they are tried."""

    retail: Retail
    routes: tuple[Route, ...]

    def for_grant(self, grant_s: int) -> tuple[Route, ...]:
        """Those that cost no more than the call for the grant that it got."""
        if self.retail.leg.loss_allowed:
            return self.routes
        return tuple(route for route in self.routes if not self.retail.loses_with(route, grant_s))

    def rates(self) -> Mapping[int, CarrierRate]:
        """What is kept with the call, by carrier."""
        return {
            route.carrier.carrier_id: _kept(route.carrier, route.price)
            for route in self.routes
            if route.price is not None
        }


class Router:
    """Finds the routes of calls. `carriers`: all that there are now; `randbelow`: for the shares by weight."""

    def __init__(
        self, carriers: Sequence[Carrier], settings: CarrierSettings, randbelow: RandBelow = secrets.randbelow
    ) -> None:
        self._carriers = carriers
        self._settings = settings
        self._randbelow = randbelow

    def find(
        self, retail: Retail, rates: RateLookup, digits: str, at: datetime, cap_s: int, grant_s: int
    ) -> Routes:
        """The routes of a call that is rated at `at`, lasts `cap_s` at most and asks for a grant of `grant_s`.

        Raises Refused (no_carrier), with what is wrong with whom.
        """
        takers = [carrier for carrier in self._carriers if carrier.takes(digits)]
        rates.prepare([(one.tariff_id, one.tariff_version) for one in takers if one.tariff_id is not None], digits)
        found = [route for carrier in takers if (route := _route(carrier, rates, digits, at, cap_s))]
        if not found:
            raise Refused(NO_CARRIER, f"none of {len(self._carriers)} carriers takes {digits}")
        kept = found
        if not retail.leg.loss_allowed:
            lengths = (grant_s, self._settings.reference_s)
            kept = [route for route in found if not any(retail.loses_with(route, length) for length in lengths)]
        if not kept:
            names = ", ".join(route.carrier.name for route in found)
            raise Refused(NO_CARRIER, f"costs more than account {retail.leg.account_name} pays: {names}")
        return Routes(retail, self._in_order(kept, retail.leg))

    def _in_order(self, routes: Sequence[Route], leg: Leg) -> tuple[Route, ...]:
        def key(route: Route) -> tuple[bool, Decimal, int]:
            priority = route.carrier.priority
            if order == "weight":
                return False, Decimal(0), 0
            if order == "priority":
                return False, Decimal(0), priority
            if route.price is None or route.carrier.currency != leg.currency:
                return True, Decimal(0), priority
            length_s = min(self._settings.reference_s, route.price.cap_s)
            if length_s > route.price.coverage_s:  # the price of a shorter call would look like a lower one
                return True, Decimal(0), priority
            return False, route.price.cost(length_s), priority

        order = leg.carrier_order or self._settings.order
        ranked = sorted(routes, key=lambda route: (key(route), route.carrier.carrier_id))
        return tuple(one for _, group in groupby(ranked, key) for one in self._shuffled(list(group)))

    def _shuffled(self, routes: list[Route]) -> list[Route]:
        """Equals, each first as often as its weight says. Weight 0: after all others."""
        left, shuffled = list(routes), []
        while (total := sum(route.carrier.weight for route in left)) > 0 and len(left) > 1:
            drawn = self._randbelow(total)
            for route in left:
                drawn -= route.carrier.weight
                if drawn < 0:
                    break
            left.remove(route)
            shuffled.append(route)
        return shuffled + left


def _route(carrier: Carrier, rates: RateLookup, digits: str, at: datetime, cap_s: int) -> Route | None:
    """The carrier with its price; None when it sells nothing there now."""
    if carrier.tariff_id is None:
        return Route(carrier, None)
    try:
        price = PricedCall(rates.find(carrier.tariff_id, carrier.tariff_version, digits, at), at, cap_s)
    except (NoRate, DestinationBarred, InvalidTariff):
        return None
    return Route(carrier, price) if len(rate_to_json(price.rate)) <= RATE_CHARACTERS_MAX else None


def _kept(carrier: Carrier, price: PricedCall) -> CarrierRate:
    assert carrier.tariff_id is not None
    return CarrierRate(carrier.tariff_id, price.rate.rate_id, carrier.currency, rate_to_json(price.rate))
