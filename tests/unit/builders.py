"""Callers, rates and a ledger without a database, for the tests of the engine and of the proxy's script."""

from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal

from billing.ledger_types import (
    Caller,
    CallToSettle,
    ExtendAnswer,
    HeldLeg,
    Leg,
    LiveCall,
    LiveLeg,
    OpenAnswer,
    RatedLeg,
    RateRow,
    SettleAnswer,
)
from billing.pricelist import rate_to_json
from billing.rating import Rate, Rounding, short_form, whole_week
from billing.settings import CallSettings

NOON = datetime(2024, 5, 6, 12, 0, 0, 250_000, tzinfo=UTC)
AT = NOON.replace(microsecond=0)
CALLS = CallSettings()


def rate(price="0.6", per_s=60, initial_s=None, increment_s=1, fee="0", **more):
    """A rate for +49; by default 0.01 a second."""
    slots = short_form(Decimal(price), per_s, initial_s, increment_s)
    return Rate("49", "Germany", whole_week(Decimal(fee), slots), rounding=Rounding(decimals=6), **more)


def leg(number=0, balance="10", **more):
    """An active account of a chain. Amounts may be texts."""
    values = {
        "leg": number,
        "account_id": 100 + number,
        "account_name": f"account {number}",
        "parent_id": None,
        "kind": "customer" if number else "card",
        "status": "active",
        "expires_at": None,
        "currency": "EUR",
        "country_code": "49",
        "international_prefixes": "00",
        "national_prefix": "0",
        "max_calls": None,
        "low_balance": None,
        "low_balance_max_calls": None,
        "max_calls_per_second": None,
        "longest_call_s": None,
        "tariff_id": 10 + number,
        "tariff_version": 1,
        "decimals": 6,
        "rounding": "half_up",
        "zone": "UTC",
        "balance": Decimal(balance),
        "held": Decimal(0),
        "credit_limit": Decimal(0),
        "calls": 0,
    }
    money = {"balance", "held", "credit_limit", "low_balance", "daily_spend_limit", "spent_today"}
    money |= {"parent_hold_limit", "parent_held"}
    values |= {name: Decimal(value) if name in money and value is not None else value for name, value in more.items()}
    return Leg(**values)


def caller(*legs, **more):
    """A verified caller; one card with 10 EUR if no legs are given."""
    values = {field.name: None for field in fields(Caller)} | {"legs": legs or (leg(),), "now": NOON}
    return Caller(**values | more)


class Rates:
    """Look-ups that give one rate a tariff, or raise what was put in its place."""

    def __init__(self, *rates):
        """`rates`: those of leg 0, 1.., or errors."""
        self._rates = {10 + number: one for number, one in enumerate(rates)}

    def prepare(self, tariffs, digits):
        """All is known."""

    def find(self, tariff_id, version, digits, at):
        found = self._rates[tariff_id]
        if isinstance(found, Exception):
            raise found
        return found


def rate_row(prefix, **more):
    """A row of v_rate, in effect for ever."""
    values = {
        "rate_id": 1,
        "tariff_id": 10,
        "tariff_name": "retail",
        "tariff_version": 1,
        "currency": "EUR",
        "decimals": 4,
        "rounding": "half_up",
        "zone": "UTC",
        "prefix": prefix,
        "destination": f"to {prefix}",
        "connect_fee": Decimal(0),
        "price": Decimal("0.6"),
        "per_s": 60,
        "initial_s": None,
        "increment_s": 1,
        "free_seconds": 0,
        "max_cost": None,
        "max_cost_rule": "disconnect",
        "schedule": None,
        "effective_from": datetime(2020, 1, 1, tzinfo=UTC),
        "effective_to": None,
        "blocked": False,
    }
    return RateRow(**values | more)


def live_leg(number=0, hold="1.2", available="100", rated=None):
    """One account's share of a call in progress."""
    return LiveLeg(
        leg=number,
        account_id=100 + number,
        account_name=f"account {number}",
        status="active",
        tariff_id=10 + number,
        rate_id=1,
        destination="Germany",
        rate_json=rate_to_json(rated or rate()),
        hold=Decimal(hold),
        available=Decimal(available),
    )


def live_call(*legs, **more):
    """A call in progress under a grant of 120 s."""
    values = {
        "call_key": "01HX0000000000000000000000",
        "node": "node-1",
        "account_id": 100,
        "user_id": None,
        "state": "answered",
        "caller": "alice",
        "callee": "4930123",
        "dialled": "030123",
        "source": "udp:198.51.100.7:5060",
        "sip_call_id": "call-1",
        "sip_from_tag": "from-1",
        "sip_to_tag": "to-1",
        "carrier_id": 1,
        "grant_s": 120,
        "limit_s": 86_400,
        "ring_limit_s": 60,
        "rated_at": AT,
        "opened_at": NOON,
        "answered_at": NOON,
        "hold_until": NOON,
        "opened_ago_ms": 65_000,
        "answered_ago_ms": 60_000,
        "deadline_in_ms": 60_000,
        "legs": legs or (live_leg(),),
    }
    return LiveCall(**values | more)


def to_settle(*rates, grant_s=120, provisional=False):
    """A call that waits for its settlement, at one rate a leg."""
    legs = tuple(RatedLeg(number, 100 + number, rate_to_json(one)) for number, one in enumerate(rates or (rate(),)))
    return CallToSettle("01HX0000000000000000000000", grant_s, AT, provisional, legs)


class Purses:
    """A ledger of open_call alone, after judge_open and choose_step of db/routines: purses by account."""

    def __init__(self, **available):
        """`available`: account100="1.50" .."""
        self.available = {int(name.removeprefix("account")): Decimal(text) for name, text in available.items()}
        self.requests = []

    def open_call(self, call_key, request):
        """Hold the highest step that every leg can pay, or say which leg cannot pay the least."""
        self.requests.append(request)
        for number, one in enumerate(request.legs):
            if self.available[one.account_id] < max(one.smallest, min(one.holds)):
                return OpenAnswer("insufficient_balance", number, 0, self._held(request, None))
        step = next(
            step
            for step in range(len(request.steps))
            if all(self.available[one.account_id] >= one.holds[step] for one in request.legs)
        )
        answer = OpenAnswer("opened", None, request.steps[step], self._held(request, step))
        for one in request.legs:
            self.available[one.account_id] -= one.holds[step]
        return answer

    def _held(self, request, step):
        return tuple(
            HeldLeg(number, one.account_id, None if step is None else one.holds[step], self.available[one.account_id])
            for number, one in enumerate(request.legs)
        )


class Ledger:
    """A ledger that answers what the test put in its way, and remembers what it was asked.

    `answers`: routine name to a list of answers, taken in order, the last one again and again; an exception is raised.
    """

    def __init__(self, **answers):
        self.answers = {name: list(given) if isinstance(given, list) else [given] for name, given in answers.items()}
        self.asked = []

    def __getattr__(self, name):
        if name.startswith("__") or name not in self.answers:
            raise AttributeError(name)

        def ask(*arguments, **named):
            self.asked.append((name, *arguments, *named.values()))
            waiting = self.answers[name]
            answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            if isinstance(answer, Exception):
                raise answer
            return answer(*arguments, **named) if callable(answer) else answer

        return ask

    def watch(self, told):
        """Nobody is told: nothing takes time here."""

    def asked_for(self, name):
        """The arguments of each call of one routine."""
        return [one[1:] for one in self.asked if one[0] == name]


def opened(grant_s=120):
    """The ledger's answer that a call was opened."""
    return OpenAnswer("opened", None, grant_s, (HeldLeg(0, 100, Decimal("1.2"), Decimal(10)),))


def not_opened(outcome, failed_leg=0):
    """The ledger's refusal of a call."""
    return OpenAnswer(outcome, failed_leg, 0, ())


def extended(grant_s, outcome="extended", failed_leg=None, **available):
    """The ledger's answer to a renewal; `available`: leg0="1.5" .."""
    legs = tuple(
        HeldLeg(int(name.removeprefix("leg")), 100, Decimal(0), Decimal(text)) for name, text in available.items()
    )
    return ExtendAnswer(outcome, failed_leg, grant_s, legs)


def settled(outcome="settled", grant_s=120):
    """The ledger's answer to a settlement."""
    return SettleAnswer(outcome, grant_s, ())
