"""Carriers in the ledger: setting them up, their costs and margins in CDRs, and which numbers callers may show."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from ulid import ULID

from billing import facts, settlement
from billing.directory import Carrier
from billing.errors import InvalidAmount, LedgerRefused
from billing.ledger_types import CarrierRate
from billing.pricelist import rate_from_row, rate_to_json
from billing.rates import RateLookup
from billing.rating import PricedCall
from billing.routes import Retail, Router
from billing.settings import CarrierSettings
from tests.db.bank import Bank, ago, call_record, new_key, refused, request
from tests.db.bank import settlement as end_of

NOBODY = "nobody of this name"


@pytest.fixture
def name() -> str:
    """A carrier that no other test has."""
    return f"carrier {ULID()}"


# --- setting up -------------------------------------------------------------------------------------------------------


def test_what_is_set_is_what_a_node_gets(bank: Bank, name: str) -> None:
    """Everything, at once or bit by bit; what is not named stays."""
    tariff = bank.admin.put_tariff(f"{name} buys", "EUR")
    made = bank.admin.create_carrier(name, "192.0.2.7", port=5070, priority=3, prefixes=["49", "43"], channels=30)
    (row,) = (one for one in bank.proxy.carriers() if one.carrier_id == made)
    assert (("43", "49"), 30, 3, 5070, None, 0, True, False) == (
        row.prefixes, row.channels, row.priority, row.port, row.tariff_id, row.tariff_version,
        bool(row.probed), bool(row.trusts_identity),
    )  # fmt: skip

    bank.admin.set_carrier(
        name, tariff=f"{name} buys", prefixes=[], channels=None, probed=False, trusts_identity=True, weight=0
    )
    (row,) = (one for one in bank.proxy.carriers() if one.carrier_id == made)
    assert ((), None, tariff, "EUR", 1, 0, False, True, 5070) == (
        row.prefixes, row.channels, row.tariff_id, row.currency, row.tariff_version, row.weight,
        bool(row.probed), bool(row.trusts_identity), row.port,
    )  # fmt: skip
    bank.admin.put_rate(tariff, "49", "Germany", price="0.10")
    (row,) = (one for one in bank.proxy.carriers() if one.carrier_id == made)
    assert 2 == row.tariff_version


@pytest.mark.parametrize(
    ("settings", "token", "word"),
    [
        ('{"hots": "a"}', "invalid_content", "hots"),
        ("[]", "invalid_content", "object"),
        ("x", "invalid_content", "object"),
        ("{}", "invalid_content", "host"),
        ('{"host": ""}', "invalid_content", "host"),
        ('{"host": "a b"}', "invalid_content", "a b"),
        ('{"host": "a;transport=tcp"}', "invalid_content", "a;transport"),
        ('{"host": "203.0.113.10:5080"}', "invalid_content", "203.0.113.10:5080"),
        ('{"host": "[2001:db8::1]"}', "invalid_content", "2001:db8"),
        ('{"host": "a", "probed": "yes"}', "invalid_content", "probed"),
        ('{"host": "a", "trusts_identity": null}', "invalid_content", "trusts_identity"),
        ('{"host": "a", "transport": "sctp"}', "invalid_content", "sctp"),
        ('{"host": "a", "port": 0}', "invalid_content", "port"),
        ('{"host": "a", "port": "x"}', "invalid_content", "port"),
        ('{"host": "a", "channels": -1}', "invalid_content", "channels"),
        ('{"host": "a", "prefixes": ["49x"]}', "invalid_content", "49x"),
        ('{"host": "a", "prefixes": [[1]]}', "invalid_content", "prefix"),
        ('{"host": "a", "prefixes": "49"}', "invalid_content", "list"),
        ('{"host": "a", "dial_prefix": "x"}', "invalid_content", "dial_prefix"),
        (f'{{"host": "a", "tariff": "{NOBODY}"}}', "unknown_tariff", NOBODY),
    ],
)
def test_settings_that_cannot_be_are_refused_and_leave_nothing(
    bank: Bank, name: str, settings: str, token: str, word: str
) -> None:
    """Each names what is wrong."""
    with pytest.raises(LedgerRefused, match=word if word.isidentifier() else None) as error:
        bank.admin._call("create_carrier", name, settings)
    assert token == error.value.token
    assert word in str(error.value)
    assert "unknown_carrier" == refused(lambda: bank.admin.set_carrier_status(name, "active"))


@pytest.mark.parametrize("host", ["2001:db8::1", "::1", "gw.example.net", "192.0.2.7", "gw-1"])
def test_hosts_are_names_and_addresses_of_both_versions(bank: Bank, name: str, host: str) -> None:
    """As they are written."""
    made = bank.admin.create_carrier(name, host)
    assert [host] == [one.host for one in bank.proxy.carriers() if one.carrier_id == made]


def test_names_are_unique_and_must_be_known(bank: Bank, name: str) -> None:
    """Each refusal has its token."""
    bank.admin.create_carrier(name, "192.0.2.7")
    assert "carrier_exists" == refused(lambda: bank.admin.create_carrier(name, "192.0.2.8"))
    assert "unknown_carrier" == refused(lambda: bank.admin.set_carrier(NOBODY, port=1))
    assert "unknown_carrier" == refused(lambda: bank.admin.set_carrier_status(NOBODY, "disabled"))
    assert "invalid_content" == refused(lambda: bank.admin.set_carrier_status(name, "asleep"))
    assert "invalid_content" == refused(lambda: bank.admin.create_carrier(" ", "192.0.2.8"))


def test_nodes_tell_whom_they_find(bank: Bank, name: str) -> None:
    """Since when a state holds; whom a node does not ask any more is forgotten."""
    one, two = (bank.admin.create_carrier(f"{name} {number}", "192.0.2.7") for number in (1, 2))
    node = f"n{ULID()}"
    bank.proxy.note_carriers(node, {one: "up", two: "down"})
    before = {state.carrier_id: (state.state, state.since) for state in bank.cashier.carrier_states(node)}
    assert {one: "up", two: "down"} == {carrier: state for carrier, (state, _) in before.items()}
    bank.proxy.note_carriers(node, {one: "up", two: "up"})
    after = {state.carrier_id: (state.state, state.since) for state in bank.cashier.carrier_states(node)}
    assert (before[one], True) == (after[one], after[two][1] > before[two][1])
    bank.proxy.note_carriers(node, {})
    assert [] == bank.cashier.carrier_states(node)


# --- routing of accounts and tariffs ----------------------------------------------------------------------------------


def test_routing_comes_with_the_caller(bank: Bank) -> None:
    """An account's own order before its tariff's; a loss is allowed by either."""
    tariff = f"routed {ULID()}"
    number = bank.admin.put_tariff(tariff, "EUR")
    account = bank.admin.create_account("customer", f"a {tariff}", None, "EUR", number)

    def routing() -> tuple[bool, str | None]:
        caller = bank.proxy.identify_account(account)
        assert caller is not None
        return bool(caller.legs[0].loss_allowed), caller.legs[0].carrier_order

    def seen() -> list[tuple[bool, str | None]]:
        found = (bank.admin.account_named(f"a {tariff}"), bank.admin.tariff_named(tariff))
        return [(one.loss_allowed, one.carrier_order) for one in found if one is not None]

    assert (False, None) == routing()
    bank.admin.set_tariff_routing(tariff, loss_allowed=True, carrier_order="weight")
    assert (True, "weight") == routing()
    bank.admin.set_account_routing(f"a {tariff}", loss_allowed=False, carrier_order="priority")
    assert (True, "priority") == routing()
    assert [(False, "priority"), (True, "weight")] == seen()
    bank.admin.set_tariff_routing(tariff, loss_allowed=False, carrier_order=None)
    assert (False, "priority") == routing()


def test_routing_of_nobody_and_in_no_order_is_refused(bank: Bank) -> None:
    """By its token."""
    assert "unknown_account" == refused(
        lambda: bank.admin.set_account_routing(NOBODY, loss_allowed=True, carrier_order=None)
    )
    assert "unknown_tariff" == refused(
        lambda: bank.admin.set_tariff_routing(NOBODY, loss_allowed=True, carrier_order=None)
    )
    for order in ("chance", ""):
        assert "invalid_content" == refused(
            lambda order=order: bank.admin.set_tariff_routing("retail", loss_allowed=True, carrier_order=order)  # type: ignore[misc]
        )


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def phone(bank: Bank) -> tuple[str, str, int]:
    """An account's name, a user's name and id."""
    account = bank.account("1", kind="customer")
    user = bank.user(account)
    (row,) = bank.sql("SELECT name FROM account WHERE id = %s", account)
    (own,) = bank.sql("SELECT name FROM user WHERE id = %s", user)
    return row["name"], own["name"], user


def shown(bank: Bank, user: int) -> list[str]:
    caller = bank.proxy.identify_user(user)
    assert caller is not None
    return (caller.shown_numbers or "").split(",")


def test_numbers_come_with_the_caller_the_default_first(bank: Bank, phone: tuple[str, str, int]) -> None:
    """A user's own before his account's; the first is the default, until another is made it."""
    account, user, user_id = phone
    assert [""] == shown(bank, user_id)
    assert not bank.admin.put_shown_number(account, user, "49305550*")
    assert bank.admin.put_shown_number(account, user, "4930555123")
    assert not bank.admin.put_shown_number(account, user, "4930555100")
    assert bank.admin.put_shown_number(account, None, "4930999")
    assert ["4930555123", "49305550*", "4930555100", "4930999"] == shown(bank, user_id)
    assert bank.admin.put_shown_number(account, user, "4930555100", default=True)
    assert ["4930555100", "49305550*", "4930555123", "4930999"] == shown(bank, user_id)
    bank.admin.remove_shown_number(account, user, "4930555100")
    assert ["49305550*", "4930555123", "4930999"] == shown(bank, user_id)
    rows = [(one.user_name, one.number, bool(one.is_default)) for one in bank.cashier.shown_numbers(account)]
    assert {(None, "4930999", True), (user, "49305550*", False), (user, "4930555123", False)} == set(rows)


def test_another_user_shows_none_of_them(bank: Bank, phone: tuple[str, str, int]) -> None:
    """Of the same account he has what all have, and no more."""
    account, user, user_id = phone
    bank.admin.put_shown_number(account, user, "4930555123")
    caller = bank.proxy.identify_user(user_id)
    assert caller is not None
    other = bank.user(caller.legs[0].account_id)
    assert [""] == shown(bank, other)
    bank.admin.put_shown_number(account, None, "4930999")
    assert ["4930999"] == shown(bank, other)


def test_who_is_removed_shows_nothing_any_more(bank: Bank, phone: tuple[str, str, int]) -> None:
    """And nobody else of his name does."""
    account, user, _ = phone
    bank.admin.put_shown_number(account, user, "4930555123")
    bank.admin._call("remove_user", account, user)
    assert [] == bank.cashier.shown_numbers(account)
    assert "unknown_user" == refused(lambda: bank.admin.put_shown_number(account, user, "4930555123"))


def test_there_are_a_hundred_at_most(bank: Bank, phone: tuple[str, str, int]) -> None:
    """They travel with every call; a range is one."""
    account, user, user_id = phone
    for number in range(100):
        bank.admin.put_shown_number(account, user, f"123456789012{number:03d}")
    assert "too_many_numbers" == refused(lambda: bank.admin.put_shown_number(account, user, "4930"))
    assert bank.admin.put_shown_number(account, user, "123456789012099", default=True)
    assert "123456789012099" == shown(bank, user_id)[0]
    assert 100 == len(shown(bank, user_id))


@pytest.mark.parametrize("number", ["", "0301", "4", "+4930", "49x", "4930*1", "*", "1234567890123456"])
def test_what_is_no_number_is_refused(bank: Bank, phone: tuple[str, str, int], number: str) -> None:
    """E.164 digits, perhaps with a * behind them."""
    assert "invalid_content" == refused(lambda: bank.admin.put_shown_number(phone[0], phone[1], number))


def test_numbers_of_nobody_are_refused(bank: Bank, phone: tuple[str, str, int]) -> None:
    """By their tokens."""
    account, user, _ = phone
    for token, given in (("unknown_account", (NOBODY, user)), ("unknown_user", (account, NOBODY))):
        assert token == refused(lambda given=given: bank.admin.put_shown_number(*given, "4930"))  # type: ignore[misc]
    assert "unknown_number" == refused(lambda: bank.admin.remove_shown_number(account, user, "4930"))
    assert "invalid_content" == refused(lambda: bank.admin.put_shown_number(account, user, "4930*", default=True))


# --- cost and margin --------------------------------------------------------------------------------------------------

RATES = {"price": "0.0777", "initial_s": 30, "increment_s": 6, "connect_fee": "0.011"}
"""What the carrier asks: 30/6, with a fee."""


@pytest.fixture
def priced(bank: Bank, name: str) -> tuple[int, CarrierRate]:
    """A carrier with a tariff of its own, and what it asks for +49."""
    tariff = bank.admin.put_tariff(name, "EUR", decimals=6, rounding="up")
    bank.admin.put_rate(tariff, "49", "Germany", **RATES)  # type: ignore[arg-type]
    carrier = bank.admin.create_carrier(name, "192.0.2.7", tariff=name)
    (row,) = bank.proxy.rates_for(tariff, "49301")
    rate = rate_from_row(row.as_mapping())
    return carrier, CarrierRate(tariff, rate.rate_id, "EUR", rate_to_json(rate))


def retail_json(bank: Bank, price: str, **rate: object) -> str:
    """A rate as a leg keeps it."""
    tariff = bank.admin.put_tariff(f"t{ULID()}", "EUR")
    bank.admin.put_rate(tariff, "49", "Germany", price=price, **rate)  # type: ignore[arg-type]
    (row,) = bank.proxy.rates_for(tariff, "49301")
    return rate_to_json(rate_from_row(row.as_mapping()))


def opened(bank: Bank, routes: dict[int, CarrierRate], *accounts: int, grant_s: int = 120) -> str:
    """A call at 60/60 for leg 0 and 1/1 for those above."""
    legs = [retail_json(bank, "0.60", initial_s=60, increment_s=60), *(retail_json(bank, "0.20") for _ in accounts[1:])]
    plain = request(accounts, holds=[["2.40"]] * len(accounts), steps=(grant_s,), routes=routes, shown="4930555")
    key = new_key()
    given = tuple(replace(leg, rate_json=rate) for leg, rate in zip(plain.legs, legs, strict=True))
    assert "opened" == bank.proxy.open_call(key, replace(plain, legs=given)).outcome
    return key


def ended(key: str, talked_ms: int, carrier: int | None) -> dict[str, object]:
    return facts.ended(key, talked_ms, "caller", carrier)


def test_cost_and_margins_are_exact_to_the_last_digit(bank: Bank, priced: tuple[int, CarrierRate]) -> None:
    """31.001 s are 32: 60/60 at 0.60, 1/1 at 0.20, and 30/6 at 0.0777 with a fee of 0.011: 36 s are 0.011 + 0.04662."""
    carrier, rate = priced
    card, reseller = bank.chain("10", "10")
    key = opened(bank, {carrier: rate}, card, reseller)
    bank.proxy.answer_call(key, 31_001, "tag", carrier)
    assert "settled" == settlement.apply(bank.proxy, ended(key, 31_001, carrier))

    (cdr,) = bank.cashier.cdrs(call_key=key)
    assert (Decimal("0.6"), Decimal("0.1067")) == tuple(leg.charge for leg in cdr.legs)
    assert (Decimal("0.05762"), "EUR", "4930555") == (cdr.carrier_cost, cdr.carrier_currency, cdr.shown)
    assert Decimal("0.1067") - Decimal("0.05762") == cdr.margin
    margins = bank.cashier._select("SELECT * FROM v_margin WHERE call_key = %s ORDER BY leg", key)
    assert [Decimal("0.4933"), Decimal("0.04908")] == [row["margin"] for row in margins]
    assert [Decimal("0.1067"), Decimal("0.05762")] == [row["cost"] for row in margins]
    assert [reseller, None] == [row["seller_id"] for row in margins]
    (stored,) = bank.sql("SELECT carrier_tariff_id, carrier_rate, routes FROM cdr WHERE call_key = %s", key)
    assert (rate.tariff_id, json.loads(rate.rate_json), None) == (
        stored["carrier_tariff_id"], json.loads(stored["carrier_rate"]), stored["routes"]
    )  # fmt: skip


def test_a_change_of_the_carriers_tariff_does_not_change_calls_in_progress(
    bank: Bank, priced: tuple[int, CarrierRate]
) -> None:
    """The price is that of the instant of rating."""
    carrier, rate = priced
    key = opened(bank, {carrier: rate}, bank.account("10"))
    bank.admin.put_rate(rate.tariff_id, "49", "Germany", price="99")
    settlement.apply(bank.proxy, ended(key, 1, carrier))
    assert Decimal("0.011") + Decimal("0.03885") == bank.cashier.cdrs(call_key=key)[0].carrier_cost


def test_the_carrier_bills_what_was_really_talked(bank: Bank, priced: tuple[int, CarrierRate]) -> None:
    """A cut that left late: the account pays its grant, the vendor the seconds beyond it."""
    carrier, rate = priced
    key = opened(bank, {carrier: rate}, bank.account("10"), grant_s=60)
    settlement.apply(bank.proxy, ended(key, 60_100, carrier))
    (cdr,) = bank.cashier.cdrs(call_key=key)
    assert (60, Decimal("0.011") + Decimal("0.0777") * 66 / 60) == (cdr.billed_s, cdr.carrier_cost)


@pytest.mark.parametrize("unknown", [True, False])
def test_without_a_tariff_there_is_no_cost(bank: Bank, priced: tuple[int, CarrierRate], unknown: bool) -> None:
    """Of the carrier that took the call, or of all that it could take."""
    carrier, rate = priced
    key = opened(bank, {} if unknown else {carrier: rate}, bank.account("10"))
    other = carrier if unknown else carrier + 1000
    settlement.apply(bank.proxy, ended(key, 5_000, other))
    (cdr,) = bank.cashier.cdrs(call_key=key)
    assert (None, None, None) == (cdr.carrier_cost, cdr.carrier_currency, cdr.margin)


def test_a_margin_is_within_one_currency(bank: Bank, priced: tuple[int, CarrierRate]) -> None:
    """The cost is known all the same."""
    carrier, rate = priced
    key = opened(bank, {carrier: replace(rate, currency="USD")}, bank.account("10"))
    settlement.apply(bank.proxy, ended(key, 1_000, carrier))
    (cdr,) = bank.cashier.cdrs(call_key=key)
    assert (Decimal("0.04985"), "USD", None) == (cdr.carrier_cost, cdr.carrier_currency, cdr.margin)
    (row,) = bank.cashier._select("SELECT margin FROM v_margin WHERE call_key = %s", key)
    assert row["margin"] is None


def test_a_call_that_nobody_answered_costs_nothing(bank: Bank, priced: tuple[int, CarrierRate]) -> None:
    """Not the fee either."""
    carrier, rate = priced
    key = opened(bank, {carrier: rate}, bank.account("10"))
    settlement.apply(bank.proxy, facts.failed(key, "busy", 486, carrier))
    (cdr,) = bank.cashier.cdrs(call_key=key)
    assert (0, 0) == (cdr.carrier_cost, cdr.margin)


def test_a_call_that_is_reaped_while_it_is_settled_keeps_its_carriers_cost(
    bank: Bank, priced: tuple[int, CarrierRate], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another node's reaper came between the look at the call and the look at its routes."""
    carrier, rate = priced
    key = opened(bank, {carrier: rate}, bank.account("10"))
    live = bank.proxy.live_call(key)
    bank.overdue(key)
    assert key in bank.proxy.reap_calls(None, 100)
    monkeypatch.setattr(bank.proxy, "live_call", lambda _: live)
    assert "refunded" == settlement.apply(bank.proxy, ended(key, 1, carrier))
    assert Decimal("0.011") + Decimal("0.03885") == bank.cashier.cdrs(call_key=key)[0].carrier_cost


def test_what_the_reaper_charged_costs_its_grant_until_the_truth_comes(
    bank: Bank, priced: tuple[int, CarrierRate]
) -> None:
    """The cost of the extended grant at first; that of the talk when the node is back."""
    carrier, rate = priced
    key = opened(bank, {carrier: rate}, bank.account("10"))
    bank.proxy.answer_call(key, 0, "tag", carrier)
    assert "extended" == bank.proxy.extend_call(key, 120, 240, {0: Decimal("2.40")}).outcome
    bank.overdue(key)
    assert key in bank.proxy.reap_calls(None, 1000)
    assert bank.cashier.cdrs(call_key=key)[0].carrier_cost is None
    settlement.cost_reaped(bank.proxy)
    (cdr,) = bank.cashier.cdrs(call_key=key)
    assert (Decimal("0.011") + Decimal("0.0777") * 4, True) == (cdr.carrier_cost, cdr.provisional)
    assert key not in {one.call_key for one in bank.proxy.uncosted_calls()}

    assert "refunded" == settlement.apply(bank.proxy, ended(key, 12_000, carrier))
    (cdr,) = bank.cashier.cdrs(call_key=key)
    assert (Decimal("0.04985"), Decimal("0.60") - Decimal("0.04985")) == (cdr.carrier_cost, cdr.margin)


def test_a_carrier_that_was_not_known_when_the_reaper_came_is_known_later(
    bank: Bank, priced: tuple[int, CarrierRate]
) -> None:
    """The answer was still in the node's journal: no cost at first, and the right one with the truth."""
    carrier, rate = priced
    key = opened(bank, {carrier: rate}, bank.account("10"))
    bank.overdue(key)
    bank.proxy.reap_calls(None, 1000)
    settlement.cost_reaped(bank.proxy)
    assert bank.cashier.cdrs(call_key=key)[0].carrier_cost is None
    settlement.apply(bank.proxy, ended(key, 12_000, carrier))
    (cdr,) = bank.cashier.cdrs(call_key=key)
    assert (Decimal("0.04985"), carrier) == (cdr.carrier_cost, cdr.carrier_id)


def test_the_same_settlement_again_changes_nothing(bank: Bank, priced: tuple[int, CarrierRate]) -> None:
    """The first wins, its cost as its charges."""
    carrier, rate = priced
    key = opened(bank, {carrier: rate}, bank.account("10"))
    settlement.apply(bank.proxy, ended(key, 1_000, carrier))
    first = bank.cashier.cdrs(call_key=key)[0].carrier_cost
    late = end_of(["0.60"], carrier_cost=Decimal(9), carrier_id=carrier)
    assert "already" == bank.proxy.settle_call(key, late).outcome
    assert first == bank.cashier.cdrs(call_key=key)[0].carrier_cost


@pytest.mark.parametrize("cost", ["x", "-1", "1e3", "0.0000001"])
def test_a_cost_that_is_no_amount_is_refused(bank: Bank, priced: tuple[int, CarrierRate], cost: str) -> None:
    """As every amount."""
    carrier, rate = priced
    account = bank.account("10")
    key = opened(bank, {carrier: rate}, account)
    content = {"grant_s": 120, "talked_ms": 1, "billed_s": 1, "result": "answered", "ended_ago_ms": 0}
    own = {"carrier": carrier, "carrier_cost": cost, "legs": [{"leg": 0, "charge": "0.6"}]}
    text = json.dumps(content | own)
    with pytest.raises(InvalidAmount, match="carrier cost"):
        bank.proxy._call("settle_call", key, text)
    bank.give_up(key)


def test_what_a_refused_or_an_emergency_call_showed_is_in_its_cdr(bank: Bank) -> None:
    """They have no live call."""
    key = new_key()
    bank.proxy.record_call(key, call_record(None, shown="4930555"))
    assert "4930555" == bank.cashier.cdrs(call_key=key)[0].shown


def test_calls_of_a_carrier_are_counted_for_people_and_for_other_nodes(bank: Bank, name: str) -> None:
    """Those that were answered there; for nodes, of carriers with channels, without their own."""
    full, free = (bank.admin.create_carrier(f"{name} {number}", "192.0.2.7") for number in (1, 2))
    bank.admin.set_carrier(f"{name} 1", channels=5)
    keys = []
    for carrier, node in ((full, "a"), (full, "b"), (full, "b"), (free, "b")):
        key = bank.opened([bank.account("10")], node=f"{name[-6:]}{node}")
        bank.proxy.answer_call(key, 0, "tag", carrier)
        keys.append(key)
    counted = {one.carrier_id: one.calls for one in bank.cashier.all_carriers()}
    assert (3, 1) == (counted[full], counted[free])
    used = bank.proxy.carriers_in_use(f"{name[-6:]}a")
    assert (2, None) == (used[full], used.get(free))
    bank.give_up(*keys)


def test_the_router_asks_the_ledger_for_rates_as_it_does_for_the_legs(
    bank: Bank, priced: tuple[int, CarrierRate], name: str
) -> None:
    """Once for each number and version of the carrier's tariff."""
    carrier, rate = priced
    row = next(one for one in bank.proxy.carriers() if one.carrier_id == carrier)
    known = Carrier(
        carrier, name, "192.0.2.7", 5060, "udp", 0, "",
        tariff_id=row.tariff_id, tariff_version=row.tariff_version, currency="EUR",
    )  # fmt: skip
    caller = bank.proxy.identify_account(bank.account("10"))
    assert caller is not None
    rates = RateLookup(bank.proxy)
    at = ago(seconds=0).replace(microsecond=0)
    own = rate_from_row(bank.proxy.rates_for(rate.tariff_id, "491")[0].as_mapping())
    retail = Retail(caller.legs[0], PricedCall(own, at))
    found = Router([known], CarrierSettings()).find(retail, rates, "49301", at, 3600, 120)
    assert rate == found.rates()[carrier]
