"""From a journal fact to the ledger: what a call costs for the time really talked, charged once."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from billing import facts
from billing.clock import Moment
from billing.errors import LedgerError, MeterlineError
from billing.ledger_types import CallRecord, Settlement
from billing.pricelist import rate_from_json
from billing.rating import PricedCall

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from billing.journal import Fact
    from billing.ledger import Ledger
    from billing.ledger_types import CallToSettle, RatedLeg, Uncosted

ROUNDS_MAX = 5
"""A grant may be extended, or a delayed open may commit, between look and settlement; then it is looked at again."""

ACCEPTED = "accepted"
"""The outcome for a call whose provisional charge somebody made final: nothing moves, what is told is kept."""


class NotSettled(LedgerError):
    """The ledger kept changing under the settlement; it is tried again with the next round of the drain."""


def apply(ledger: Ledger, fact: Fact) -> str:
    """Bring one fact into the ledger; idempotent. Returns the ledger's outcome.

    Raises LedgerUnavailable (try again) or another LedgerError (the fact itself is refused).
    """
    kind = fact["kind"]
    if kind == facts.ANSWERED:
        return ledger.answer_call(fact["call_key"], _ago_ms(fact), fact["to_tag"], fact["carrier"])
    if kind in (facts.ENDED, facts.FAILED):
        return _settle(ledger, fact)
    if kind == facts.UNOPENED:
        return _record(ledger, fact)
    if kind == facts.ATTEMPT:
        ago_ms = _ago_ms(fact)
        return ledger.record_attempt(fact["call_key"], fact["ordinal"], fact["carrier"], fact["sip_code"], ago_ms)
    if kind in (facts.OPENING, facts.WATCH):
        return "ignored"  # they speak to others
    raise ValueError(f"unknown kind of fact {kind!r}")


def billed_seconds(talked_ms: int, grant_s: int) -> int:
    """Talk time as it is charged: rounded up to whole seconds, never more than was funded."""
    return min(-(-talked_ms // 1000), grant_s)


def charges(call: CallToSettle, billed_s: int) -> dict[int, Decimal]:
    """What each leg pays for `billed_s`, at the rates fixed when the call was opened, beside its minute bundles."""
    return {leg.leg: _priced(call, leg).cost(billed_s, leg.covered_s) for leg in call.legs}


def bundle_seconds(call: CallToSettle, billed_s: int) -> dict[int, int]:
    """What the legs that hold seconds of minute bundles used of them: whole increments."""
    return {leg.leg: _priced(call, leg).bundle_used(billed_s, leg.covered_s) for leg in call.legs if leg.covered_s}


def _priced(call: CallToSettle, leg: RatedLeg) -> PricedCall:
    return PricedCall(rate_from_json(leg.rate_json), call.rated_at.replace(tzinfo=UTC), max(call.grant_s, 1))


def carrier_cost(call: CallToSettle, carrier_id: int | None, talked_ms: int) -> Decimal | None:
    """What the call's carrier asks for the time really talked, rounded up to whole seconds; None when it has no tariff.

    The carrier does not know of grants: a cut that left late is dearer for the vendor than what he is paid.
    """
    chosen = carrier_id if carrier_id is not None else call.carrier_id
    if chosen is None or chosen not in call.routes:
        return None
    return _cost_at(call.routes[chosen].rate_json, call.rated_at, -(-talked_ms // 1000))


def cost_reaped(ledger: Ledger) -> None:
    """Calls that the reaper charged for their whole grants get their carriers' costs for as much."""
    for call in ledger.uncosted_calls():
        cost = _cost_of_grant(call)
        if cost is not None:
            ledger.set_carrier_cost(call.call_key, cost)


def _cost_of_grant(call: Uncosted) -> Decimal | None:
    return _cost_at(call.carrier_rate, call.rated_at, call.grant_s)


def _cost_at(rate_json: str, rated_at: datetime, seconds: int) -> Decimal | None:
    """None when the carrier's rate does not cover so long a call: what nobody knows must not keep it from its end."""
    try:
        price = PricedCall(rate_from_json(rate_json), rated_at.replace(tzinfo=UTC), max(1, seconds))
        return price.cost(seconds)
    except MeterlineError:
        return None


def _settle(ledger: Ledger, fact: Fact) -> str:
    talked_ms = int(fact["talked_ms"]) if fact["kind"] == facts.ENDED else 0
    for _ in range(ROUNDS_MAX):
        call = ledger.call_to_settle(fact["call_key"])
        if call is None:
            return "nothing_to_settle"  # settled before, or never opened
        billed_s = billed_seconds(talked_ms, call.grant_s)
        outcome = ledger.settle_call(
            fact["call_key"],
            Settlement(
                grant_s=call.grant_s,
                talked_ms=talked_ms,
                billed_s=billed_s,
                result=fact.get("result", "answered"),
                detail=fact["detail"],
                end_reason=fact.get("end_reason", ""),
                sip_code=fact.get("sip_code", 200),
                carrier_id=fact["carrier"],
                ended_ago_ms=_ago_ms(fact),
                charges=charges(call, billed_s),
                carrier_cost=carrier_cost(call, fact["carrier"], talked_ms),
                bundle_s=bundle_seconds(call, billed_s),
            ),
        ).outcome
        if outcome != "stale":
            return outcome
    raise NotSettled(f"call {fact['call_key']}: its grant changed {ROUNDS_MAX} times while it was settled")


def _record(ledger: Ledger, fact: Fact) -> str:
    """A CDR for a call without money, unless the ledger did open it: then it is settled at nothing."""
    record = CallRecord(
        node=fact["node"],
        account_id=fact["account"],
        user_id=fact["user"],
        caller=fact["caller"],
        callee=fact["callee"],
        dialled=fact["dialled"],
        source=fact["source"],
        sip_call_id=fact["sip_call_id"],
        result=fact["result"],
        detail=fact["detail"][:255],
        sip_code=fact["sip_code"],
        end_reason=fact["end_reason"],
        opened_ago_ms=_ago_ms(fact) + fact["talked_ms"],
        talked_ms=fact["talked_ms"],
        carrier_id=None,
        answered_ago_ms=_ago_ms(fact) + fact["talked_ms"] if fact["talked_ms"] else None,
        shown=fact.get("shown", ""),
    )
    for _ in range(ROUNDS_MAX):
        outcome = ledger.record_call(fact["call_key"], record)
        if outcome != "live":
            return outcome
        if _settle(ledger, {**fact, "carrier": None}) == ACCEPTED:
            return ACCEPTED
    raise NotSettled(f"call {fact['call_key']}: neither live nor settled")


def _ago_ms(fact: Fact) -> int:
    return Moment.now().ms_since(Moment.parse(fact["at"]))
