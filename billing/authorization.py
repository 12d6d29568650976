"""May this call start, and for how long? Prices a call on every leg, quotes it, and reserves its first grant.

One price instant for everything: the database's clock when the caller was identified, whole seconds. The rate of
each leg is fixed there and travels with the call, so that the price quoted is the price charged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from billing import barring
from billing.barring import NO_PREMIUM
from billing.bundles import bundles_of, left_of, offers
from billing.errors import DestinationBarred, InvalidTariff, NoRate, Refused
from billing.ledger_types import OpenBundle, OpenLeg, OpenRequest
from billing.pricelist import rate_to_json
from billing.rating import PricedCall
from billing.routes import Retail

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal

    from billing.bundles import BundlePeriod
    from billing.ledger import Ledger
    from billing.ledger_types import Caller, Leg, OpenAnswer
    from billing.rates import RateLookup
    from billing.routes import Route, Router, Routes
    from billing.settings import CallSettings

OPENED = "opened"
CALLER_LEG = 0


@dataclass(frozen=True)
class PricedLeg:
    """One account's share of a call: the account, the rate fixed for it, its price over time, and the minute bundles
    that it may use, in their order."""

    leg: Leg
    price: PricedCall
    room: Decimal | None = None
    """What the account below may still hold of this one's money; None: it has no limit."""
    bundles: tuple[BundlePeriod, ...] = ()

    @property
    def available(self) -> Decimal:
        """Money the account could spend when the caller was identified, within its day's limit and that of the account
        below; not locked, so good for a quote only."""
        rooms = (self.leg.available, self.leg.room_today, self.room)
        return min(room for room in rooms if room is not None)

    @property
    def covered_s(self) -> int:
        """How far the bundles reached when they were looked at: whole increments."""
        return self.price.border_before(left_of(self.bundles)) if self.bundles else 0

    @property
    def smallest(self) -> Decimal:
        """What the account must be able to pay, beside its bundles."""
        return self.price.smallest(self.covered_s)

    @property
    def payable_s(self) -> int:
        """How long bundles and money last together."""
        return self.price.max_duration(self.available, self.covered_s)


@dataclass(frozen=True)
class Quote:
    """What a call would cost whom, and for how long the chain can pay for it now."""

    digits: str
    rated_at: datetime
    legs: tuple[PricedLeg, ...]
    limit_s: int
    """The longest the call may ever last, money aside: longest call, expiry, coverage of the tariffs."""
    max_duration_s: int
    """The least over the legs of what each can pay for, at most `limit_s`."""


@dataclass(frozen=True)
class CallAttempt:
    """What the node knows about a call attempt; opaque to the engine but for the numbers."""

    call_key: str
    node: str
    caller: str
    dialled: str
    source: str
    sip_call_id: str
    sip_from_tag: str
    shown: str = ""


@dataclass(frozen=True)
class Authorized:
    """An opened call: its first grant in seconds, what was held for it, and the carriers that it may take (none: each
    costs more than the call does for this grant)."""

    grant_s: int
    quote: Quote
    answer: OpenAnswer
    routes: tuple[Route, ...] = ()


def price_legs(
    caller: Caller,
    rates: RateLookup,
    digits: str,
    at: datetime,
    cap_s: int,
    bundles: Mapping[int, tuple[BundlePeriod, ...]] | None = None,
) -> tuple[PricedLeg, ...]:
    """The rate of every leg at `at`. Raises Refused (destination_unknown, destination_barred) naming the leg."""
    priced: list[PricedLeg] = []
    for leg in caller.legs:
        room = priced[-1].leg.parent_room if priced else None
        try:
            rate = rates.find(leg.tariff_id, leg.tariff_version, digits, at)
            price = PricedCall(rate, at, cap_s)
            # Minutes that cost nothing are no bundle's.
            own = bundles.get(leg.leg, ()) if bundles and price.bundle_need(1) else ()
            priced.append(PricedLeg(leg, price, room, own))
        except (NoRate, InvalidTariff) as error:
            raise Refused("destination_unknown", _where(leg, error), leg.leg) from error
        except DestinationBarred as error:
            raise Refused("destination_barred", _where(leg, error), leg.leg) from error
    return tuple(priced)


def _where(leg: Leg, error: Exception) -> str:
    return f"leg {leg.leg} account {leg.account_name}: {error}"


def quote(
    caller: Caller,
    rates: RateLookup,
    digits: str,
    at: datetime,
    cap_s: int,
    premium: Mapping[str, str] = NO_PREMIUM,
    bundles: Mapping[int, tuple[BundlePeriod, ...]] | None = None,
) -> Quote:
    """Who pays what and for how long. Reads only what came with the caller, and `bundles` (bundles_of); refuses nothing
    for money.

    Raises Refused when the number is barred for the user or a leg, or a leg sells no such call.
    """
    barring.check(caller, digits, premium)
    if caller.user_longest_call_s is not None:
        cap_s = min(cap_s, caller.user_longest_call_s)
    legs = price_legs(caller, rates, digits, at, cap_s, bundles)
    limit_s = min(_limit_s(leg, at, cap_s) for leg in legs)
    payable_s = min(leg.payable_s for leg in legs)
    return Quote(digits, at, legs, limit_s, max(0, min(limit_s, payable_s)))


def refusal_of(caller: Caller, found: Quote) -> Refused | None:
    """Why this caller would be refused now, or None. For announcements: the ledger decides again, under its locks."""
    if caller.user_status not in (None, "active"):
        return Refused("account_suspended", f"user {caller.user_name} is {caller.user_status}", CALLER_LEG)
    for priced in found.legs:
        leg = priced.leg
        if leg.status != "active":
            return refused(f"account_{leg.status}", leg.leg, f"account {leg.account_name} is {leg.status}")
        if leg.expires_at is not None and leg.expires_at <= found.rated_at:
            return refused("account_expired", leg.leg, f"account {leg.account_name} expired {leg.expires_at}")
        if leg.available < priced.smallest:
            return refused("insufficient_balance", leg.leg, f"account {leg.account_name}")
        if priced.room is not None and priced.room < priced.smallest:
            return refused("parent_hold_limit", leg.leg, f"account {leg.account_name}")
        if priced.available < priced.smallest:
            return refused("spending_limit", leg.leg, f"account {leg.account_name}")
    return None


def authorize(
    ledger: Ledger,
    rates: RateLookup,
    caller: Caller,
    digits: str,
    attempt: CallAttempt,
    calls: CallSettings,
    router: Router,
    premium: Mapping[str, str] = NO_PREMIUM,
) -> Authorized:
    """Reserve the first grant of a call on every leg, all or nothing.

    Raises Refused with a token of docs/operator.md's table; LedgerUnavailable when nobody knows whether it was opened
    (the caller of this function then lets the journal find out).
    """
    at = caller.now.replace(microsecond=0)
    bundles = bundles_of(ledger, caller, digits, at)
    found = quote(caller, rates, digits, at, calls.longest_call_s, premium, bundles)
    steps = ladder(found, calls.grant_s, calls.shorter_grants_s)
    if not steps:  # an account in its last second, or a price whose first increment is over its own limit
        shortest = min(found.legs, key=lambda priced: _limit_s(priced, at, calls.longest_call_s))
        none_left = refused("account_expired", shortest.leg.leg, f"no second left for {digits}")
        raise refusal_of(caller, found) or none_left
    top = found.legs[-1]
    routes = router.find(Retail(top.leg, top.price), rates, digits, at, calls.longest_call_s, steps[0])
    answer = ledger.open_call(attempt.call_key, _request(found, steps, caller, attempt, calls, routes))
    if answer.outcome != OPENED:
        failed = answer.failed_leg or CALLER_LEG
        raise refused(answer.outcome, failed, f"account {caller.legs[failed].account_name}")
    return Authorized(answer.grant_s, found, answer, routes.for_grant(answer.grant_s))


def refused(outcome: str, leg: int, detail: str) -> Refused:
    """The refusal for a ledger outcome on a leg: a caller learns nothing about the accounts above his own."""
    if leg > CALLER_LEG and not outcome.startswith("destination_"):
        return Refused("unavailable", f"leg {leg}: {outcome}: {detail}", leg)
    token = {"user_suspended": "account_suspended", "account_closed": "account_suspended"}.get(outcome, outcome)
    return Refused(token, detail if token == outcome else f"{outcome}: {detail}", leg)


def ladder(found: Quote, grant_s: int, shorter_s: tuple[int, ...]) -> tuple[int, ...]:
    """The grants worth asking for, longest first, none above the call's limit.

    The normal grant, what the balance could pay when it was last seen, shorter steps, and the smallest charge. A
    step is lengthened to what the same money and bundle seconds buy on every leg (an increment is paid whole), up to
    the normal one.
    """
    normal_s = min(grant_s, found.limit_s)
    wanted = {normal_s, min(normal_s, found.max_duration_s), *(s for s in shorter_s if s < normal_s), 1}
    steps = {min(normal_s, max(step, _same_money_s(found.legs, step))) for step in wanted if step >= 1}
    return tuple(sorted((s for s in steps if s >= 1), reverse=True))


def _same_money_s(legs: tuple[PricedLeg, ...], seconds: int) -> int:
    return min(_same_hold_s(leg, seconds) for leg in legs)


def _same_hold_s(priced: PricedLeg, seconds: int) -> int:
    price = priced.price
    covered_s = min(priced.covered_s, price.bundle_need(seconds))
    return price.max_duration(price.hold(seconds, covered_s), covered_s)


def _offers(priced: PricedLeg, grant_s: int) -> tuple[tuple[int, Decimal], ...]:
    return offers(priced.price, grant_s, 0, priced.covered_s)


def _limit_s(priced: PricedLeg, at: datetime, cap_s: int) -> int:
    leg = priced.leg
    limit = min(cap_s, priced.price.limit_s)
    if leg.longest_call_s is not None:
        limit = min(limit, leg.longest_call_s)
    if leg.expires_at is not None:
        limit = min(limit, int((leg.expires_at - at).total_seconds()))
    return limit


def _request(
    found: Quote, steps: tuple[int, ...], caller: Caller, attempt: CallAttempt, calls: CallSettings, routes: Routes
) -> OpenRequest:
    legs = tuple(
        OpenLeg(
            account_id=priced.leg.account_id,
            tariff_id=priced.leg.tariff_id,
            rate_id=priced.price.rate.rate_id,
            destination=priced.price.rate.destination,
            rate_json=rate_to_json(priced.price.rate),
            holds=tuple(priced.price.hold(step) for step in steps),
            smallest=priced.price.smallest_charge,
            bundles=tuple(
                OpenBundle(period.account_bundle_id, period.starts_at, period.ends_at) for period in priced.bundles
            ),
            offers=tuple(_offers(priced, step) for step in steps) if priced.bundles else (),
        )
        for priced in found.legs
    )
    return OpenRequest(
        node=attempt.node,
        user_id=caller.user_id,
        caller=attempt.caller,
        callee=found.digits,
        dialled=attempt.dialled,
        source=attempt.source,
        sip_call_id=attempt.sip_call_id,
        sip_from_tag=attempt.sip_from_tag,
        rated_at=found.rated_at,
        limit_s=found.limit_s,
        ring_limit_s=calls.ring_limit_s,
        steps=steps,
        legs=legs,
        shown=attempt.shown,
        routes=routes.rates(),
    )
