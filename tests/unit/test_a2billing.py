"""Moving in from A2Billing: what its rows come to here, and what is left with its reason."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

import pytest

from billing.a2billing import Left, Source, plan
from billing.pricelist import rate_from_row
from billing.rating import PricedCall
from cli.a2billing import opening_key


def at(*parts):
    """A time in UTC."""
    return datetime(*parts, tzinfo=UTC)


NOW = at(2026, 3, 1, 12, 0)
RATE = {
    "id": 1, "idtariffplan": 1, "dialprefix": "49", "destination": 49, "rateinitial": Decimal("0.60000"),
    "initblock": 0, "billingblock": 0, "connectcharge": Decimal("0.00000"), "disconnectcharge": Decimal("0.00000"),
    "disconnectcharge_after": 0, "chargea": Decimal("0.00000"), "timechargea": 0, "stepchargea": Decimal("0.00000"),
    "rounding_calltime": 0, "rounding_threshold": 0, "additional_block_charge": Decimal("0.00000"),
    "additional_block_charge_time": 0, "additional_grace": 0, "minimal_cost": Decimal("0.00000"),
    "buyrate": Decimal("0.10000"), "startdate": at(2020, 1, 1), "stopdate": at(2036, 1, 1),
    "starttime": 0, "endtime": 10079,
}  # fmt: skip
CARD = {
    "id": 7, "username": "4711000815", "credit": Decimal("12.34567"), "tariff": 1, "status": 1, "currency": "USD",
    "simultaccess": 0, "typepaid": 0, "creditlimit": 0, "enableexpire": 0, "expirationdate": None, "expiredays": 0,
    "firstusedate": None, "creationdate": at(2025, 1, 1),
}  # fmt: skip
PLAN = {
    "id": 1, "tariffname": "World", "startingdate": at(2020, 1, 1), "expirationdate": None, "dnidprefix": "all",
    "calleridprefix": "all",
}  # fmt: skip
GROUP = {"id": 1, "tariffgroupname": "Retail", "lcrtype": 1, "id_cc_package_offer": -1}
EMPTY = Source(
    base_currency="EUR", card=[], tariffgroup=[GROUP], tariffgroup_plan=[{"idtariffgroup": 1, "idtariffplan": 1}],
    tariffplan=[PLAN], ratecard=[], prefix=[{"prefix": 49, "destination": "Germany"}], callerid=[], sip_buddies=[],
)  # fmt: skip


def rates_of(*rows):
    """What becomes of rates of one plan, and what is left."""
    found = plan(replace(EMPTY, ratecard=[RATE | {"id": number} | row for number, row in enumerate(rows, 1)]), NOW)
    return found.tariffs[0].rates, found.left


def account_of(card=None, **tables):
    """What becomes of one card, and what is left."""
    found = plan(replace(EMPTY, card=[CARD | (card or {})], **tables), NOW)
    return (found.accounts[0] if found.accounts else None), found.left


def their_charge(row, seconds):
    """A2Billing's rule for a flat rate: at least initblock, then whole billingblocks from the call's beginning."""
    if seconds == 0:
        return Decimal(0)
    block = row["billingblock"]
    billed = max(seconds, row["initblock"])
    if block and billed > row["initblock"]:
        billed += -billed % block
    cost = row["connectcharge"] + row["disconnectcharge"] + row["rateinitial"] * billed / 60
    return cost.quantize(Decimal("0.000001"), ROUND_HALF_UP)


@pytest.mark.parametrize(
    ("initblock", "billingblock"),
    [(0, 0), (0, 1), (1, 1), (60, 60), (30, 6), (6, 60), (10, 6), (60, 1), (1, 60), (0, 7), (61, 60)],
)
def test_a_rate_charges_what_it_charged_there(initblock, billingblock):
    """Every second of some minutes, with fees on both ends and a price that does not divide."""
    row = {
        "initblock": initblock, "billingblock": billingblock, "rateinitial": Decimal("0.12347"),
        "connectcharge": Decimal("0.05000"), "disconnectcharge": Decimal("0.01000"),
    }  # fmt: skip
    ((rate,), left) = rates_of(row)
    assert () == left
    columns = {
        "prefix": rate.prefix, "destination": rate.destination, "connect_fee": rate.connect_fee, "price": rate.price,
        "per_s": 60, "initial_s": rate.initial_s, "increment_s": rate.increment_s, "free_seconds": 0,
        "max_cost": None, "max_cost_rule": "disconnect", "schedule": rate.schedule, "blocked": False,
        "rounding": "half_up", "decimals": 6, "zone": "UTC", "rate_id": 1, "tariff_id": 1,
    }  # fmt: skip
    call = PricedCall(rate_from_row(columns), at(2026, 3, 1), 3600)
    for seconds in range(400):
        assert their_charge(RATE | row, seconds) == call.cost(seconds), seconds


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"dialprefix": "_49ZXX."}, "prefix '_49ZXX.' is not digits"),
        ({"dialprefix": "4" * 21}, "is not digits"),
        ({"starttime": 480}, "hours of the week"),
        ({"endtime": 5000}, "hours of the week"),
        ({"chargea": Decimal("0.1"), "timechargea": 60}, "progressive"),
        ({"minimal_cost": Decimal("0.05")}, "minimal_cost is 0.05"),
        ({"additional_grace": 5}, "additional_grace is 5"),
        ({"rounding_calltime": 60}, "rounding_calltime is 60"),
        ({"additional_block_charge": Decimal("0.1"), "additional_block_charge_time": 60}, "additional_block_charge"),
        ({"disconnectcharge": Decimal("0.1"), "disconnectcharge_after": 30}, "disconnectcharge comes after 30 s"),
        ({"startdate": at(2036, 1, 1)}, "ends before it begins"),
    ],
)
def test_a_rate_that_would_charge_something_else_is_left(row, reason):
    """Its destination is not sold, and the list says why."""
    taken, (left,) = rates_of(row)
    assert ((), "cc_ratecard", "1") == (taken, left.table, left.row)
    assert reason in left.reason


@pytest.mark.parametrize("dialprefix", ["4915", "_4915ZX."])
def test_a_rate_that_is_left_is_not_sold_at_the_price_of_a_shorter_prefix(dialprefix):
    """There its numbers would have cost more, or less: they are barred for as long as it would have counted."""
    hours = {"dialprefix": dialprefix, "rateinitial": Decimal(9), "starttime": 480}
    taken, left = rates_of({}, hours, hours | {"endtime": 5000}, {"dialprefix": "491512"}, hours | {"stopdate": NOW})
    assert ["49", "4915", "491512"] == [rate.prefix for rate in taken]
    assert [(False, RATE["startdate"]), (True, RATE["startdate"]), (False, RATE["startdate"])] == [
        (rate.blocked, rate.effective_from) for rate in taken]  # fmt: skip
    assert {RATE["stopdate"]} == {rate.effective_to for rate in taken}
    assert ["2", "3", "5"] == [one.row for one in left]


def test_a_rate_that_is_left_bars_only_when_no_other_of_its_prefix_counts():
    """Before, between and behind those that are taken; and nothing where no shorter prefix is sold."""
    hours = {"starttime": 480, "dialprefix": "4915", "startdate": None, "stopdate": None}
    years = [{"dialprefix": "4915", "startdate": at(year, 1, 1), "stopdate": at(year + 1, 1, 1)}
             for year in (2026, 2030)]  # fmt: skip
    taken, _ = rates_of({}, hours, *years)
    assert [(2020, 2026), (2027, 2030), (2031, None)] == [
        tuple(moment and moment.year for moment in (rate.effective_from, rate.effective_to))
        for rate in taken if rate.blocked]  # fmt: skip
    assert ((), ()) == (rates_of(hours)[0], rates_of(hours | {"dialprefix": "_X."}, {"dialprefix": "49"})[0][1:])
    by_default, _ = rates_of({"dialprefix": "defaultprefix"}, hours)
    assert [("4", False), ("4915", True), ("5", False)] == [(one.prefix, one.blocked) for one in by_default[3:6]]


def test_call_plans_whose_names_are_alike_are_tariffs_of_their_own():
    """Names are not unique there, and the ledger takes no notice of capitals and accents."""
    groups = [GROUP | {"id": number, "tariffgroupname": name}
              for number, name in enumerate(("Retail", "RETAIL ", "Rétail", "Other", "x" * 50, "X" * 50), start=1)]
    names = [one.name for one in plan(replace(EMPTY, tariffgroup=groups), NOW).tariffs]
    assert ["A2B Retail (1)", "A2B RETAIL  (2)", "A2B Rétail (3)", "A2B Other"] == names[:4]
    assert [f"A2B {'x' * 40} (5)", f"A2B {'X' * 40} (6)"] == names[4:]


def test_of_two_plans_with_one_prefix_the_one_that_would_be_tried_first_is_taken():
    """By selling price (1) or buying price (0), and the other is listed; one that begins when the first ends is not."""
    dear, cheap = {"rateinitial": Decimal("0.9"), "buyrate": Decimal("0.1")}, {"rateinitial": Decimal("0.5"),
                                                                              "buyrate": Decimal("0.2")}  # fmt: skip
    ((rate,), left) = rates_of(dear, cheap)
    assert (Decimal("0.5"), [Left("cc_ratecard", "1", "prefix 49 has a rate that comes before it")]) == (
        rate.price, list(left))  # fmt: skip
    by_cost = replace(EMPTY, tariffgroup=[GROUP | {"lcrtype": 0}], ratecard=[RATE | dear, RATE | cheap | {"id": 2}])
    assert [Decimal("0.9")] == [one.price for one in plan(by_cost, NOW).tariffs[0].rates]
    later = {"startdate": at(2027, 1, 1), "rateinitial": Decimal("0.7")}
    both, left = rates_of({"stopdate": at(2027, 1, 1)}, later)
    assert (2, ()) == (len(both), left)


def test_the_default_prefix_is_every_number_that_has_no_other():
    """No E.164 number begins with 0."""
    taken, left = rates_of({"dialprefix": "defaultprefix"}, {"dialprefix": "1"})
    assert (list("123456789"), ()) == ([rate.prefix for rate in taken], left)


def test_dates_are_those_of_plan_and_rate_together():
    """The later beginning, the earlier end; what is over is not taken, nor listed."""
    dated = PLAN | {"startingdate": at(2024, 1, 1), "expirationdate": at(2030, 1, 1)}
    (tariff,) = plan(replace(EMPTY, tariffplan=[dated], ratecard=[RATE]), NOW).tariffs
    assert (at(2024, 1, 1), at(2030, 1, 1)) == (
        tariff.rates[0].effective_from, tariff.rates[0].effective_to)  # fmt: skip
    assert ((), ()) == rates_of({"stopdate": at(2026, 1, 1)})
    ((endless,), _) = rates_of({"stopdate": None, "startdate": None})
    assert (PLAN["startingdate"], None) == (endless.effective_from, endless.effective_to)


def test_destinations_have_names():
    """The rate's own, that of the longest known prefix, or the prefix itself."""
    taken, _ = rates_of({}, {"dialprefix": "4930", "destination": 0}, {"dialprefix": "33", "destination": None})
    assert {"49": "Germany", "4930": "Germany", "33": "prefix 33"} == {rate.prefix: rate.destination for rate in taken}


def test_a_card_keeps_its_credit_to_the_last_decimal():
    """In the base currency; individual access is one call at a time."""
    card, left = account_of()
    assert ("a2b-7", "card", "A2B Retail", Decimal("12.34567"), Decimal(0), "active", None, 1, "4711000815") == (
        card.name, card.kind, card.tariff, card.balance, card.credit_limit, card.status, card.expires_at,
        card.max_calls, card.number)  # fmt: skip
    assert () == left


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"status": 0}, "is cancelled"),
        ({"status": 5}, "is expired"),
        ({"status": 9}, "status 9"),
        ({"tariff": 3}, "call plan 3 does not exist"),
    ],
)
def test_a_card_that_is_not_taken_leaves_its_credit_in_the_list(row, reason):
    """So that the sums can be checked."""
    account, (left,) = account_of(row)
    assert (None, Decimal("12.34567")) == (account, left.amount)
    assert reason in left.reason


@pytest.mark.parametrize(
    ("row", "expiry"),
    [
        ({"enableexpire": 1, "expirationdate": at(2027, 1, 1)}, at(2027, 1, 1)),
        ({"enableexpire": 0, "expirationdate": at(2027, 1, 1)}, None),
        ({"enableexpire": 1, "expirationdate": None}, None),
        ({"enableexpire": 2, "expiredays": 30, "firstusedate": at(2026, 2, 15)}, at(2026, 3, 17)),
        ({"enableexpire": 3, "expiredays": 500}, at(2025, 1, 1) + timedelta(days=500)),
    ],
)
def test_expiry(row, expiry):
    """A date, days since the first use, or days since it was made."""
    card, left = account_of(row)
    assert (expiry, ()) == (card.expires_at, left)


def test_days_after_a_first_use_that_is_to_come_are_told():
    """Nothing here could count them."""
    card, (left,) = account_of({"enableexpire": 2, "expiredays": 30})
    assert card.expires_at is None
    assert "30 days after its first use, which is to come" in left.reason


def test_postpaid_has_its_limit_and_a_suspended_one_stays_so():
    """typepaid 1; status 6 is suspended for underpayment."""
    card, _ = account_of({"typepaid": 1, "creditlimit": 50, "credit": Decimal("-3.5"), "status": 6, "simultaccess": 1,
                          "max_concurrent": 4})  # fmt: skip
    assert (Decimal(50), Decimal("-3.5"), "suspended", 4) == (
        card.credit_limit, card.balance, card.status, card.max_calls)  # fmt: skip


def test_phones_and_caller_numbers_come_along():
    """A card with phones is a customer; a phone without its secret, a number that is none, and strays are listed."""
    phone = {"id": 1, "id_cc_card": 7, "name": "anna", "username": "anna", "secret": "s3cret", "md5secret": "",
             "host": "dynamic"}  # fmt: skip
    caller = {"id": 1, "cid": "+4930555001", "id_cc_card": 7, "activated": "t"}
    card, left = account_of(
        sip_buddies=[phone, phone | {"id": 2, "secret": "", "md5secret": "0f"}, phone | {"id": 3, "id_cc_card": 8}],
        callerid=[caller, caller | {"id": 2, "cid": "anonymous"}, caller | {"id": 3, "activated": "f"}],
    )
    assert ("customer", ["anna"], ("4930555001",)) == (
        card.kind, [user.username for user in card.users], card.caller_numbers)  # fmt: skip
    assert "s3cret" not in repr(card)
    assert ["there is no cc_card 8", "phone anna has only md5secret, which is for Asterisk's realm",
            "'anonymous' is no number", "is not activated"] == [one.reason for one in left]  # fmt: skip


def test_an_openings_key_follows_from_where_it_was():
    """26 letters and digits; another card, another source: another key."""
    key = opening_key("a2billing", 7)
    assert (26, True, key) == (len(key), key.isalnum() and key.isupper(), opening_key("a2billing", 7))
    assert 3 == len({key, opening_key("a2billing", 8), opening_key("other", 7)})
