"""Balance and time in one query: the ledger's own arithmetic says what authorization would allow, to the second."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pymysql
import pytest

from billing import authorization, cards
from billing.card_types import CardQuote
from billing.errors import InvalidNumber, Refused
from billing.ledger import Ledger
from billing.numbers import DialPlan
from billing.rates import RateLookup
from stack.processes import wait_until
from tests.db.bank import Bank, new_key
from tests.db.cards import PIN, PIN_KEY, numbers_of

NUMBER = "4930123456"
SEED = 20260301
LONGEST_S = 86_400


def card(bank: Bank, balance: str = "10", **columns: Any) -> tuple[int, str]:
    """A card with a number and the PIN that tests know; `parent`, `tariff` and columns."""
    (number,) = numbers_of(1)
    parent, tariff = columns.pop("parent", None), columns.pop("tariff", bank.tariff)
    account = bank.admin.create_account("card", f"card {number}", parent, "EUR", tariff)
    if columns:
        bank.admin.set_account(account, **columns)
    if Decimal(balance):
        bank.cashier.adjust(new_key(), account, balance, "test", "test", force=True)
    bank.admin.put_card(account, number, cards.pin_hash(PIN_KEY, number, PIN))
    return account, number


def asked(bank: Bank, number: str, dialled: str | None = NUMBER, **more: Any) -> CardQuote:
    """What the ledger answers an IVR."""
    return bank.cashier.card_quote(number, cards.pin_hash(PIN_KEY, number, more.pop("pin", PIN)), dialled, **more)


def announced(bank: Bank, number: str, dialled: str) -> tuple[str, int]:
    """What a node announces for the same: token (ok: none) and seconds."""
    caller = bank.proxy.identify_card(number)
    assert caller is not None
    leg = caller.legs[0]
    try:
        digits = DialPlan.from_text(leg.country_code, leg.international_prefixes, leg.national_prefix).e164(dialled)
        premium = {one.prefix: one.name for one in bank.admin.premium_prefixes()}
        at = caller.now.replace(microsecond=0)
        quote = authorization.quote(caller, RateLookup(bank.proxy), digits, at, LONGEST_S, premium)
    except InvalidNumber:
        return "destination_unknown", 0
    except Refused as refused:
        return refused.token, 0
    refusal = authorization.refusal_of(caller, quote)
    return (refusal.token, 0) if refusal else ("ok", quote.max_duration_s)


def same(bank: Bank, number: str, dialled: str = NUMBER) -> tuple[str, int | None]:
    """Ask both; their answers must be one. A second may pass between the two: then they are asked again."""
    for _ in range(20):
        before, theirs = asked(bank, number, dialled), announced(bank, number, dialled)
        if before == asked(bank, number, dialled):
            assert theirs == (before.outcome, before.seconds)
            return before.outcome, before.seconds
    raise AssertionError("the answer changes with every question")


def test_balance_currency_expiry_and_seconds_in_one_answer(bank: Bank) -> None:
    """A cent a second; the national number is dialled on as E.164."""
    tariff = bank.admin.put_tariff("a cent a second", "EUR")
    bank.admin.put_rate(tariff, "49", "Germany", price="0.60")
    ends = datetime(2040, 1, 1, tzinfo=UTC)
    account, number = card(bank, "10", tariff=tariff, country_code="49", expires_at=ends)
    found = asked(bank, number, "030-123456")
    assert CardQuote("ok", f"card {number}", "EUR", Decimal(10), Decimal(10), ends, NUMBER, "Germany", 1000) == found
    bank.opened([account], holds=[["1.20"]], steps=(120,))
    found = asked(bank, number, "030-123456")
    assert (Decimal(10), Decimal("8.8"), 880) == (found.balance, found.available, found.seconds)
    bank.give_up(*(call.call_key for call in bank.proxy.live_calls() if call.account_id == account))


def test_without_a_number_it_is_the_balance_alone(bank: Bank) -> None:
    """And why no call would start at all."""
    account, number = card(bank, "3.5")
    found = asked(bank, number, None)
    assert ("ok", Decimal("3.5"), None, None) == (found.outcome, found.available, found.number, found.seconds)
    bank.admin.set_account_status(account, "suspended")
    assert "account_suspended" == asked(bank, number, None).outcome


def test_a_wrong_pin_learns_nothing_and_waits(bank: Bank) -> None:
    """Three from one source are free; the owner elsewhere goes on. Unknown cards answer alike."""
    _, number = card(bank)
    nothing = CardQuote("bad_credentials", *[None] * 8)
    assert "ok" == asked(bank, number, None, source="owner").outcome
    assert [nothing] * 5 == [asked(bank, number, None, pin="000000", source="thief") for _ in range(5)]
    assert nothing == asked(bank, number, None, source="thief")
    assert "ok" == asked(bank, number, None, source="owner").outcome
    assert nothing == asked(bank, "99999999") == asked(bank, "no number")


def test_a_guesser_with_many_sources_waits_and_the_owner_does_not(bank: Bank) -> None:
    """Ten from all strange sources together; a source that the right PIN came from is not held to that."""
    _, number = card(bank)
    asked(bank, number, None, source="owner")
    for place in range(10):
        asked(bank, number, None, pin="000000", source=f"thief {place}")
    assert "bad_credentials" == asked(bank, number, None, source="thief 77").outcome
    assert "ok" == asked(bank, number, None, source="owner").outcome
    bank.sql("UPDATE guess_count SET locked_until = UTC_TIMESTAMP(6) WHERE locked_until IS NOT NULL")
    assert "ok" == asked(bank, number, None, source="another place").outcome


def test_thirty_wrong_pins_at_once_do_not_deadlock(bank: Bank) -> None:
    """From one source and from thirty: each hears no."""
    _, number = card(bank)
    wrong = cards.pin_hash(PIN_KEY, number, "000000")
    answers = bank.at_once(
        "cashier", 30, lambda ledger, place: ledger.card_quote(number, wrong, None, f"place {place % 4}").outcome
    )
    assert {"bad_credentials": 30} == Counter(answers)


def test_the_first_wrong_pins_of_all_are_counted_one_by_one(bank: Bank) -> None:
    """Fifteen from fifteen places, when there is no count yet that they could wait for: ten are looked at."""
    account, number = card(bank)
    wrong = cards.pin_hash(PIN_KEY, number, "000000")
    holder = pymysql.connect(**bank.server.admin_params(), database=bank.database)

    def work(ledger: Ledger, place: int) -> str:
        return ledger.card_quote(number, wrong, None, f"place {place}").outcome

    with holder.cursor() as cursor, ThreadPoolExecutor(1) as pool:
        # Somebody's count that comes to nothing: all are kept where they have looked for one.
        cursor.execute(
            "INSERT INTO guess_count (kind, place, failures, last_at) VALUES ('card', SHA2(%s, 256), 1, UTC_DATE())",
            (str(account),),
        )
        guesses = pool.submit(bank.at_once, "cashier", 15, work, lock_wait_s=30)
        waiting = "SELECT COUNT(*) AS number FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
        # asked more often than ten times a second innodb_trx answers from its cache
        wait_until(lambda: bank.sql(waiting)[0]["number"] == 15, 20, "all wait", poll_s=0.2)
        holder.rollback()
        assert ["bad_credentials"] * 15 == guesses.result(30)
    holder.close()

    (row,) = bank.sql("SELECT failures FROM guess_count WHERE kind = 'card' AND place = SHA2(%s, 256)", str(account))
    assert 10 == row["failures"]


# --- the same arithmetic ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialled", "plan"),
    [
        (dialled, plan)
        for plan in (("49", "00,011", "0"), ("", "00", "0"), ("1", "011", ""), ("39", " 00 , 0011", "0"))
        for dialled in ("+493012", "004930", "01149", "0301234", "0", "00", "+", "", "493012", "(030) 12", "+49-30.12",
                        "030;rn=1", "12345678901234567", "0011493012", "+0123", "++49")
    ],
)  # fmt: skip
def test_a_number_is_dialled_on_as_the_proxy_does(bank: Bank, dialled: str, plan: tuple[str, str, str]) -> None:
    """International, national, neither, and what is no number."""
    tariff = bank.admin.put_tariff("the world", "EUR")
    for prefix in "123456789":
        bank.admin.put_rate(tariff, prefix, "the world", price="0.60")
    country, international, national = plan
    _, number = card(
        bank, tariff=tariff, country_code=country, international_prefixes=international, national_prefix=national
    )
    try:
        expected = DialPlan.from_text(*plan).e164(dialled)
    except InvalidNumber:
        expected = None
    if dialled:  # nothing dialled asks for the balance
        assert expected == asked(bank, number, dialled).number
        same(bank, number, dialled)


def test_three_hundred_random_rates_give_the_seconds_of_authorization(bank: Bank) -> None:
    """Fees, increments, free seconds, highest costs, roundings, chains, limits of a day and of a call, expiries."""
    chance = random.Random(SEED)
    print(f"seed {SEED}")  # noqa: T201 - for whoever sees it fail
    outcomes: Counter[str] = Counter()
    for number in range(8):
        card_number = _random_card(bank, chance, f"random {number}", chance.choice((1, 1, 2, 3)))
        for digits in [f"4{tail:02d}999" for tail in range(40)]:
            outcome, seconds = same(bank, card_number, digits)
            outcomes[outcome] += 1
            outcomes["seconds"] += bool(seconds)
    assert outcomes["seconds"] > 100
    assert outcomes["insufficient_balance"] > 10
    assert {"unavailable", "spending_limit", "destination_barred"} <= set(outcomes)


def _amount(chance: random.Random, most: int) -> str:
    decimals = chance.choice((0, 2, 4, 6))
    return f"{chance.randrange(1, most * 10**decimals) / Decimal(10**decimals):f}"


def _random_card(bank: Bank, chance: random.Random, name: str, levels: int) -> str:
    """A card below so many accounts, each with a tariff of the one above it."""
    parent = None
    for level in range(levels - 1):
        tariff = _random_tariff(bank, chance, f"{name}/{level}", parent)
        parent = bank.admin.create_account("reseller", f"{name}/{level}", parent, "EUR", tariff, chance.choice("03"))
        bank.cashier.adjust(new_key(), parent, _amount(chance, 30), "test", "test", force=True)
        if level:
            bank.admin.set_account(parent, parent_hold_limit=_amount(chance, 10))
    limits = _limits(chance) | ({"parent_hold_limit": _amount(chance, 10)} if parent and chance.random() < 0.5 else {})
    tariff = _random_tariff(bank, chance, f"{name}/card", parent)
    account, number = card(bank, _amount(chance, 20), tariff=tariff, parent=parent, **limits)
    for who in (account, parent):
        if who:
            bank.admin.bar_prefix(who, None, f"4{chance.randrange(4)}")
            bank.admin.allow_prefix(who, None, f"4{chance.randrange(40):02d}")
    return number


def _random_tariff(bank: Bank, chance: random.Random, name: str, owner: int | None) -> int:
    decimals = chance.randrange(7)
    rounding = chance.choice(("up", "half_up", "down"))
    tariff = bank.admin.put_tariff(name, "EUR", decimals=decimals, rounding=rounding, owner_account_id=owner)
    unit = Decimal(1).scaleb(-decimals)
    for tail in range(40):
        most = None if chance.random() < 0.6 else (Decimal(_amount(chance, 3)) // unit) * unit
        bank.admin.put_rate(
            tariff, f"4{tail:02d}", "somewhere",
            price=chance.choice(("0", "0.01", "0.6", "1", _amount(chance, 2), _amount(chance, 90))),
            per_s=chance.choice((1, 7, 60, 60, 60, 3600)),
            connect_fee=chance.choice(("0", "0", "0.05", _amount(chance, 4))),
            initial_s=chance.choice((None, None, 1, 30, 60, 61)),
            increment_s=chance.choice((1, 1, 6, 7, 60)),
            free_seconds=chance.choice((0, 0, 0, 5, 59, 60, 100_000)),
            max_cost=most, max_cost_rule=chance.choice(("disconnect", "free")),
        )  # fmt: skip
    return tariff


def _limits(chance: random.Random) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    if chance.random() < 0.3:
        limits["longest_call_s"] = chance.choice((1, 60, 599, 100_000))
    if chance.random() < 0.3:
        limits["daily_spend_limit"] = _amount(chance, 5)
    if chance.random() < 0.2:
        limits["expires_at"] = datetime.now(UTC) + timedelta(hours=chance.choice((1, 30)))
    return limits


def test_levels_above_are_not_told(bank: Bank) -> None:
    """A reseller without money, suspended, or expired: the call is unavailable, and nothing else is said."""
    tariff = bank.admin.put_tariff("plain", "EUR")
    bank.admin.put_rate(tariff, "49", "Germany", price="0.60")
    for damage in ({"balance": "0"}, {"status": "suspended"}, {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}):
        reseller = bank.account(str(damage.get("balance", "5")), kind="reseller")
        bank.admin.set_account(reseller, tariff_id=tariff, expires_at=damage.get("expires_at"))
        if "status" in damage:
            bank.admin.set_account_status(reseller, "suspended")
        own = bank.admin.put_tariff(f"of {reseller}", "EUR", owner_account_id=reseller)
        bank.admin.put_rate(own, "49", "Germany", price="0.60")
        _, number = card(bank, tariff=own, parent=reseller)
        assert ("unavailable", 0) == same(bank, number)


def test_what_a_card_holds_of_its_resellers_money_counts(bank: Bank) -> None:
    """A limit on that, with a call of another card below him up, and of this one."""
    tariff = bank.admin.put_tariff("wholesale", "EUR")
    bank.admin.put_rate(tariff, "49", "Germany", price="0.60")
    reseller = bank.account("50", kind="reseller")
    bank.admin.set_account(reseller, tariff_id=tariff)
    own = bank.admin.put_tariff("sold below", "EUR", owner_account_id=reseller)
    bank.admin.put_rate(own, "49", "Germany", price="0.60")
    account, number = card(bank, "30", tariff=own, parent=reseller, parent_hold_limit="5")
    assert ("ok", 500) == same(bank, number)
    key = bank.opened([account, reseller], holds=[["2"], ["2"]], steps=(120,))
    assert ("ok", 300) == same(bank, number)
    bank.give_up(key)


def test_bars_and_premium_ranges_are_those_of_the_proxy(bank: Bank) -> None:
    """The longest prefix decides, on every level; a premium range bars unless it is allowed or outdone."""
    tariff = bank.admin.put_tariff("dear", "EUR")
    bank.admin.put_rate(tariff, "4", "somewhere", price="0.60")
    account, number = card(bank, tariff=tariff)
    bank.admin.put_premium_prefix("4477", "made up", "a test")
    bank.admin.bar_prefix(account, None, "43")
    bank.admin.allow_prefix(account, None, "431")
    bank.admin.allow_prefix(account, None, "44775")
    barred = ("destination_barred", 0)
    assert [barred, ("ok", 1000), barred, ("ok", 1000)] == [
        same(bank, number, digits) for digits in ("432123", "431123", "4477123", "4477512")
    ]
    bank.admin.set_account(account, premium_allowed=True)
    assert ("ok", 1000) == same(bank, number, "4477123")
    bank.admin.remove_premium_prefix("4477")


def test_what_is_not_sold_is_said(bank: Bank) -> None:
    """No rate, a barred one, one that is not in effect yet or any more; the latest of two that are."""
    tariff = bank.admin.put_tariff("gaps", "EUR")
    now = datetime.now(UTC)
    put = bank.admin.put_rate
    put(tariff, "49", "Germany", price="0.60")
    put(tariff, "49", "Germany", price="1.20", effective_from=now - timedelta(days=1))
    put(tariff, "49900", "premium", price="3", blocked=True)
    put(tariff, "4930", "Berlin", price="6", effective_from=now + timedelta(days=1))
    put(tariff, "4931", "Groningen", price="6", effective_to=now - timedelta(days=1))
    _, number = card(bank, tariff=tariff)
    assert ("ok", 500) == same(bank, number, "4930123") == same(bank, number, "4931123")
    assert ("destination_barred", 0) == same(bank, number, "49900123")
    assert ("destination_unknown", 0) == same(bank, number, "33123")


def test_a_tariff_with_slots_or_windows_says_that_it_cannot_tell(bank: Bank) -> None:
    """Then a node is asked, with OPTIONS; what the card has is told all the same."""
    tariff = bank.admin.put_tariff("slots", "EUR")
    slots = '{"slots": [{"from_s": 0, "rate": "0.6", "per_s": 60, "increment_s": 60}]}'
    bank.admin.put_rate(tariff, "49", "Germany", schedule=slots)
    _, number = card(bank, tariff=tariff)
    found = asked(bank, number)
    assert ("ok", None, Decimal(10)) == (found.outcome, found.seconds, found.available)


def test_a_card_with_minute_bundles_says_that_it_cannot_tell(bank: Bank) -> None:
    """They may pay where its money does not: no refusal for money, and no seconds."""
    tariff = bank.admin.put_tariff("with bundles", "EUR")
    bank.admin.put_rate(tariff, "49", "Germany", price="0.6")
    account, number = card(bank, "0", tariff=tariff)
    assert ("insufficient_balance", 0) == same(bank, number)
    bank.admin.add_bundle("a hundred minutes", 6000, "month", "49")
    bank.admin.assign_bundle(bank.name_of(account), "a hundred minutes")
    found = asked(bank, number)
    assert ("ok", None) == (found.outcome, found.seconds)
