"""What is played: the acts, with their words."""

# ruff: noqa: S106 -- a refusal's token is a word, no secret

from collections.abc import Callable
from decimal import Decimal

from db.demo import LANDLINE, MOBILE, DemoData
from demo.calls import Plan
from demo.sip import Line
from demo.stage import Act, Event

IVR = "127.0.0.20"
PHONES = "127.0.0.1"
CARRIER = "127.0.0.31"

LANDLINE_A_SECOND = Decimal("0.01")  # 0.60 a minute
MOBILE_A_SECOND = Decimal("0.02")  # 1.20 a minute
WHOLESALE_A_SECOND = Decimal("0.005")  # 0.30 a minute, what Northwind pays for Germany
CARRIER_A_SECOND = Decimal("0.002")  # 0.12 a minute, what the vendor pays the carrier for Germany
TOP_UP = Decimal("0.05")

Pay = Callable[[int, Decimal], str]
"""Tops up an account and says so."""


def acts(data: DemoData, pay: Pay) -> list[Act]:
    """The whole play on this data."""
    return [_cards(data), _money_runs_out(data, pay), _extensions(data), _reseller(data)]


def _card_line(data: DemoData, name: str) -> Line:
    card = data.cards[name]
    return Line(IVR, "4930999001", card=(card.number, card.pin))


def _phone(data: DemoData, name: str) -> Line:
    extension = data.extensions[name]
    return Line(PHONES, extension.username, digest=(extension.username, extension.password))


def _cards(data: DemoData) -> Act:
    card = Plan(
        "card", _card_line(data, "card"), LANDLINE, "card", talk_ms=3500, prices={"card": LANDLINE_A_SECOND}
    )
    second = Plan(
        "card, second call", card.line, MOBILE, "card", after=("card", 1.0), code=486, token="too_many_calls"  # nosec B106  # a word
    )
    empty = Plan(
        "empty card", _card_line(data, "empty card"), LANDLINE, "empty card",
        after=("card", 2.0), code=402, token="insufficient_balance",  # nosec B106  # a word
    )  # fmt: skip
    return Act(
        "1  Calling cards",
        "An IVR passes on card numbers and PINs. A card with 10.00 calls a German landline, 0.60 a minute "
        "charged by the second, and hangs up after three and a half seconds: 4 are billed. While it talks "
        "somebody else tries the same card; a card has one call at a time, so he hears busy. Then an empty "
        "card tries.",
        [card, second, empty],
    )


def _money_runs_out(data: DemoData, pay: Pay) -> Act:
    five, six = "card with 5 seconds", "card with 6 seconds"
    cut = Plan(
        five, _card_line(data, five), LANDLINE, five,
        prices={five: LANDLINE_A_SECOND}, end_reason="cut", cut_after_s=5,
    )  # fmt: skip
    topped_up = Plan(
        six, _card_line(data, six), LANDLINE, six,
        prices={six: LANDLINE_A_SECOND}, end_reason="cut", cut_after_s=11,
    )  # fmt: skip
    top_up = Event(
        (topped_up.name, 3.0), topped_up.name, f"top-up {TOP_UP}", lambda: pay(data.cards[six].account_id, TOP_UP)
    )
    return Act(
        "2  The money runs out",
        "Two cards talk and never hang up. One has 0.05, so the proxy ends its call after 5 seconds, with a "
        "BYE to both sides. The other has 0.06, but 3 seconds into the call 0.05 is paid in: the call is "
        "lengthened while it lasts, and ends after 11 seconds.",
        [cut, topped_up],
        [top_up],
    )


def _extensions(data: DemoData) -> Act:
    calls = (("101", LANDLINE, 3500), ("102", MOBILE, 4500), ("103", LANDLINE, 5500))
    prices = {LANDLINE: LANDLINE_A_SECOND, MOBILE: MOBILE_A_SECOND}
    plans = [
        Plan(f"extension {name}", _phone(data, name), number, "Acme", talk_ms=ms, prices={"Acme": prices[number]})
        for name, number, ms in calls
    ]
    fourth = Plan(
        "101, second line", _phone(data, "101"), LANDLINE, "Acme",
        after=("extension 103", 1.0), code=486, token="too_many_calls",  # nosec B106  # a word
    )  # fmt: skip
    return Act(
        "3  Three extensions, one balance",
        "The phones 101, 102 and 103 of the customer Acme show digests and talk at the same time. What each "
        "may spend is held on Acme's one balance, so together they cannot overdraw it. Three calls are also "
        "Acme's limit: a fourth is refused.",
        [*plans, fourth],
    )


def _reseller(data: DemoData) -> Act:
    name = "card of Northwind"
    plan = Plan(
        name, _card_line(data, name), LANDLINE, name,
        talk_ms=3500, prices={name: LANDLINE_A_SECOND, "Northwind": WHOLESALE_A_SECOND},
    )  # fmt: skip
    return Act(
        "4  A reseller above a card",
        "The reseller Northwind sold this card. One call, two charges, one transaction: the card pays "
        "Northwind's price (0.60 a minute), Northwind pays the vendor's (0.30 a minute), and the vendor pays "
        "the carrier (0.12 a minute).",
        [plan],
    )
