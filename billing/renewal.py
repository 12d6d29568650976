"""How far a call that is up can be funded further: the keeper's arithmetic, without the proxy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from billing.bundles import offers
from billing.pricelist import rate_from_json
from billing.rating import PricedCall

if TYPE_CHECKING:
    from decimal import Decimal

    from billing.ledger import Ledger
    from billing.ledger_types import ExtendAnswer, LiveCall, LiveLeg
    from billing.settings import CallSettings

EXTENDED = "extended"
NO_MONEY = "insufficient_balance"
ATTEMPTS_MAX = 3
"""Somebody else may take the money between look and hold; then what the ledger saw last is tried."""


@dataclass(frozen=True)
class Renewal:
    """The grant a call has now, in seconds from its answer, and why it is not longer ('' when it grew)."""

    grant_s: int
    token: str


def renew(ledger: Ledger, call: LiveCall, calls: CallSettings) -> Renewal:
    """Extend the grant by one normal step, or as far as every leg's money goes, but not above the call's limit.

    Raises LedgerUnavailable; a refusal is an answer, to be tried again until the deadline.
    """
    wanted_s = min(call.grant_s + calls.grant_s, call.limit_s)
    if wanted_s <= call.grant_s:
        return Renewal(call.grant_s, "limit")
    prices = {leg.leg: price_of(leg, call) for leg in call.legs}
    available = {
        leg.leg: leg.available if leg.parent_room is None else min(leg.available, leg.parent_room) for leg in call.legs
    }
    for _ in range(ATTEMPTS_MAX):
        grant_s = min(wanted_s, *(payable_s(prices[leg.leg], leg, call, available[leg.leg]) for leg in call.legs))
        if grant_s <= call.grant_s:
            return Renewal(call.grant_s, NO_MONEY)
        offered = offers_of(prices, call, grant_s)
        money = holds(prices, call, grant_s)
        answer = (
            ledger.extend_call(call.call_key, call.grant_s, grant_s, money, offered)
            if offered
            else ledger.extend_call(call.call_key, call.grant_s, grant_s, money)
        )
        if answer.outcome != NO_MONEY:
            return Renewal(max(answer.grant_s, call.grant_s), "" if answer.outcome == EXTENDED else answer.outcome)
        available = available_of(answer, available)
        if offered:  # somebody else took the seconds, perhaps
            now = ledger.live_call(call.call_key)
            if now is None or now.grant_s != call.grant_s:
                return Renewal(call.grant_s, NO_MONEY)
            call = now
    return Renewal(call.grant_s, NO_MONEY)


def payable_s(price: PricedCall, leg: LiveLeg, call: LiveCall, available: Decimal) -> int:
    """How long this leg can be funded, by its minute bundles as far as they reach and by money from there on."""
    covered_s = leg.covered_s
    if may_grow(price, leg, call):
        covered_s = max(covered_s, price.border_before(covered_s + leg.bundle_left_s))
    return price.max_duration(leg.hold + available, covered_s)


def may_grow(price: PricedCall, leg: LiveLeg, call: LiveCall) -> bool:
    """Whether its bundles may pay for more: not once money is held for a later second, also if they have more now."""
    return 0 < leg.covered_s >= price.bundle_need(call.grant_s)


def offers_of(
    prices: dict[int, PricedCall], call: LiveCall, grant_s: int
) -> dict[int, tuple[tuple[int, Decimal], ...]]:
    """What the legs whose bundles may grow can hold for a grant."""
    return {
        leg.leg: offers(prices[leg.leg], grant_s, leg.covered_s, leg.covered_s + leg.bundle_left_s)
        for leg in call.legs
        if may_grow(prices[leg.leg], leg, call)
    }


def price_of(leg: LiveLeg, call: LiveCall) -> PricedCall:
    """The price fixed for a leg when the call was opened."""
    return PricedCall(rate_from_json(leg.rate_json), call.rated_at.replace(tzinfo=UTC), max(1, call.limit_s))


def holds(prices: dict[int, PricedCall], call: LiveCall, grant_s: int) -> dict[int, Decimal]:
    """What each leg must hold for a grant, absolute, with the bundle seconds that it has."""
    return {leg.leg: prices[leg.leg].hold(grant_s, leg.covered_s) for leg in call.legs}


def available_of(answer: ExtendAnswer, before: dict[int, Decimal]) -> dict[int, Decimal]:
    """The available money of each leg as the ledger saw it under its locks."""
    return {**before, **{leg.leg: leg.available for leg in answer.legs}}
