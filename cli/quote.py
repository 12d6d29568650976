"""`meterline quote`: what a call would cost whom, and how long it could last now. Reserves nothing."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import typer

from billing import authorization, settings
from billing.authorization import PricedLeg, Quote
from billing.bundles import bundles_of
from billing.ledger import Ledger
from billing.ledger_types import Caller
from billing.numbers import DialPlan, emergency_number
from billing.rates import RateLookup
from cli.ledger import NotFound, account_named, opened
from cli.output import duration, moment, money, show_json, show_table
from cli.values import BadInput, instant

FIRST_MINUTE_S = 60


@dataclass(frozen=True)
class LegShown:
    """One account's share, as it is shown."""

    account: str
    destination: str
    prefix: str
    currency: str
    available: Decimal
    smallest_charge: Decimal
    first_minute: Decimal | None
    max_duration_s: int
    bundle_s: int


@dataclass(frozen=True)
class QuoteShown:
    """The whole answer. `refusal` is the token that the call would be refused with now, or None.

    An emergency number has no price, no limit and no legs: nobody is asked, and nobody pays.
    """

    to: str
    rated_at: datetime | None
    max_duration_s: int | None
    limit_s: int | None
    refusal: str | None
    refusal_detail: str | None
    legs: tuple[LegShown, ...]
    emergency: bool = False


def quote(
    to: Annotated[str, typer.Option(help="The number, as the account's users dial it.", show_default=False)],
    account: Annotated[str | None, typer.Option(help="The account's name.")] = None,
    card: Annotated[str | None, typer.Option(help="The card's number.")] = None,
    at: Annotated[str | None, typer.Option(help="When it is rated; no offset = UTC. Default: now.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Who would pay what for a call, and for how long.

    A call that would be refused now (for money, or a suspended account) is an answer like another, with exit code 0 and
    the reason. What has no price (an unknown or barred destination, no number) is an error, with exit code 1.
    """
    if (account is None) == (card is None):
        raise BadInput("one of --account and --card must be given")
    rated_at = instant(at, "--at") if at else None
    calls = settings.load().calls
    if (number := emergency_number(to, calls.emergency_numbers)) is not None:
        _show_emergency(number, as_json)
        return
    with opened("cashier") as ledger:
        caller = _caller(ledger, account, card)
        shown = _quoted(ledger, caller, to, rated_at or caller.now.replace(microsecond=0), calls.longest_call_s)
    if as_json:
        show_json(shown)
    else:
        _show(shown)


def _show_emergency(number: str, as_json: bool) -> None:
    if as_json:
        show_json(QuoteShown(number, None, None, None, None, None, (), emergency=True))
    else:
        print(f"{number} is an emergency number: free and unrated, for anybody, whatever his balance")


def _caller(ledger: Ledger, account: str | None, card: str | None) -> Caller:
    if account is not None:
        found = ledger.identify_account(account_named(ledger, account).account_id)
    else:
        owner = ledger.card_owner(card or "")
        found = None if owner is None else ledger.identify_account(owner)
    if found is None:
        raise NotFound(f"account {account!r}: there is none" if account else f"card {card!r}: there is none")
    return found


def _quoted(ledger: Ledger, caller: Caller, to: str, at: datetime, longest_s: int) -> QuoteShown:
    own = caller.legs[0]
    plan = DialPlan.from_text(own.country_code, own.international_prefixes, own.national_prefix)
    digits = plan.e164(to)
    premium = {one.prefix: one.name for one in ledger.premium_prefixes()}
    bundles = bundles_of(ledger, caller, digits, at)
    found = authorization.quote(caller, RateLookup(ledger), digits, at, longest_s, premium, bundles)
    refusal = authorization.refusal_of(caller, found)
    return QuoteShown(
        to=found.digits,
        rated_at=found.rated_at,
        max_duration_s=0 if refusal else found.max_duration_s,
        limit_s=found.limit_s,
        refusal=refusal.token if refusal else None,
        refusal_detail=refusal.detail if refusal else None,
        legs=tuple(_leg(priced, found) for priced in found.legs),
    )


def _leg(priced: PricedLeg, found: Quote) -> LegShown:
    minute_s = FIRST_MINUTE_S if priced.price.coverage_s >= FIRST_MINUTE_S else None
    return LegShown(
        account=priced.leg.account_name,
        destination=priced.price.rate.destination,
        prefix=priced.price.rate.prefix,
        currency=priced.leg.currency,
        available=priced.available,
        smallest_charge=priced.smallest,
        first_minute=None if minute_s is None else priced.price.cost(minute_s, priced.covered_s),
        max_duration_s=max(0, min(found.limit_s, priced.payable_s)),
        bundle_s=priced.covered_s,
    )


def _show(shown: QuoteShown) -> None:
    rows = [
        (
            *(leg.account, f"{leg.destination} ({leg.prefix})", leg.currency, money(leg.available)),
            *(duration(leg.bundle_s) if leg.bundle_s else "", money(leg.smallest_charge), money(leg.first_minute)),
            duration(leg.max_duration_s),
        )
        for leg in shown.legs
    ]
    columns = (
        *("account", "rate", "currency", ">available", ">bundles"),
        *(">smallest charge", ">first minute", ">lasts"),
    )
    show_table(f"a call to {shown.to}, rated at {moment(shown.rated_at)}", columns, rows)
    if shown.refusal:
        print(f"refused now: {shown.refusal}: {shown.refusal_detail}")
    else:
        print(f"the call can last {duration(shown.max_duration_s)} ({shown.max_duration_s} s)")
