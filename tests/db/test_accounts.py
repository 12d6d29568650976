"""The tree of accounts: whose tariffs charge whom, and what an administrator may not do to it."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import Any

import pymysql
import pytest

from billing.errors import LedgerRefused
from stack.processes import wait_until
from tests.db.bank import Bank, new_key, refused, request, settlement

# --- ownership --------------------------------------------------------------------------------------------------------


def test_resellers_of_resellers_to_the_depth_of_a_chain(bank: Bank) -> None:
    """Eight accounts above one another, each charged at a tariff of its parent's; the ninth is refused by its name."""
    chain = bank.chain(*["10"] * 8)
    key = bank.opened(chain)
    bank.proxy.answer_call(key, 0)
    assert "settled" == bank.proxy.settle_call(key, settlement(["0.6"] * 8)).outcome
    assert [Decimal("9.4")] * 8 == [bank.purse(account)["balance"] for account in chain]

    last = bank.account(parent=bank.account(kind="reseller"), kind="reseller")
    for _ in range(6):
        last = bank.account(parent=last, kind="reseller")
    tariff = bank.tariff_of(last)
    with pytest.raises(LedgerRefused, match=r"invalid_parent: .*the 9th of its chain"):
        bank.admin.create_account("customer", "the ninth", last, None, tariff)


def test_a_tariff_belongs_to_the_parent(bank: Bank) -> None:
    """A reseller's customer pays a price of his; the vendor's customers one of the vendor's; and so after a change."""
    reseller, other = bank.account(kind="reseller"), bank.account(kind="reseller")
    own, others = bank.tariff_of(reseller), bank.tariff_of(other)
    for parent, tariff in ((reseller, bank.tariff), (reseller, others), (None, own)):
        with pytest.raises(LedgerRefused, match=r"^foreign_tariff: tariff "):
            bank.admin.create_account("customer", "at whose price", parent, None, tariff)

    customer = bank.account(parent=reseller, kind="customer")
    with pytest.raises(LedgerRefused) as refusal:
        bank.admin.set_account(customer, tariff="retail")
    assert refusal.value.message == (
        f"tariff retail belongs to the vendor, and account {bank.name_of(customer)} is charged at a tariff of "
        f"{bank.name_of(reseller)}"
    )


def test_a_tariff_keeps_its_owner_while_accounts_are_charged_at_it(bank: Bank) -> None:
    """Else they would be charged at a stranger's price; and only a reseller who is not closed owns one."""
    reseller, other = bank.account(kind="reseller"), bank.account(kind="reseller")
    bank.tariff_of(reseller)
    name = f"retail of {reseller}"
    bank.admin.put_tariff(name, "EUR", owner_account_id=other)
    bank.admin.put_tariff(name, "EUR", owner_account_id=reseller)
    customer = bank.name_of(bank.account(parent=reseller, kind="customer"))
    bank.admin.put_tariff(name, "EUR", owner_account_id=reseller, decimals=2)
    for owner in (other, None):
        with pytest.raises(LedgerRefused) as refusal:
            bank.admin.put_tariff(name, "EUR", owner_account_id=owner)
        assert str(refusal.value) == (
            f"tariff_in_use: 1 accounts are charged at tariff {name}, such as {customer}: its owner stays"
        )
    bank.admin.close_account(other)
    for nobody in (other, bank.account(kind="customer"), 999_999):
        with pytest.raises(LedgerRefused, match=r"^invalid_owner: account \d+ is no open reseller, so it cannot own "):
            bank.admin.put_tariff(f"another of {reseller}", "EUR", owner_account_id=nobody)


@pytest.mark.parametrize(
    ("currency", "changes", "why"),
    [
        ("eur", {}, "a currency is three capital letters, not eur"),
        ("EUR", {"decimals": 7}, "charges have 0 to 6 decimals, not 7"),
        ("EUR", {"rounding": "even"}, "rounding is up, half_up or down, not even"),
        ("EUR", {"zone": "my zone"}, "my zone is no time zone"),
    ],
)
def test_a_tariff_that_cannot_be_is_refused_by_name(
    bank: Bank, currency: str, changes: dict[str, Any], why: str
) -> None:
    """Nothing is made, whichever routine is asked."""
    before = bank.sql("SELECT COUNT(*) AS tariffs FROM tariff")
    with pytest.raises(LedgerRefused) as refusal:
        bank.admin.put_tariff("impossible", currency, **changes)
    assert f"invalid_content: tariff impossible: {why}" == str(refusal.value)
    assert before == bank.sql("SELECT COUNT(*) AS tariffs FROM tariff")


def test_a_tariff_keeps_its_currency_while_accounts_are_charged_at_it(bank: Bank) -> None:
    """They have their money in it."""
    reseller = bank.account(kind="reseller")
    bank.tariff_of(reseller)
    name = f"retail of {reseller}"
    bank.admin.put_tariff(name, "GBP", owner_account_id=reseller)
    bank.admin.put_tariff(name, "EUR", owner_account_id=reseller)
    bank.account(parent=reseller, kind="customer")
    with pytest.raises(LedgerRefused) as refusal:
        bank.admin.put_tariff(name, "GBP", owner_account_id=reseller)
    assert f"tariff_in_use: accounts are charged at tariff {name}: its currency stays" == str(refusal.value)


def test_the_currency_is_the_tariffs(bank: Bank) -> None:
    """Unless it is said, and then it must fit."""
    tariff = bank.admin.put_tariff("in pounds", "GBP")
    account = bank.admin.create_account("customer", "in pounds", None, None, "in pounds")
    assert [{"currency": "GBP", "tariff_id": tariff}] == bank.sql(
        "SELECT currency, tariff_id FROM account WHERE id = %s", account
    )
    assert account == bank.admin.create_account("customer", "in pounds", None, "GBP", "in pounds")
    with pytest.raises(LedgerRefused, match=r"currency_mismatch: account in euros is in EUR, tariff in pounds in GBP"):
        bank.admin.create_account("customer", "in euros", None, "EUR", "in pounds")


def test_a_childs_top_up_does_not_debit_its_parent(bank: Bank) -> None:
    """The money is between the two; a transfer is what moves it."""
    customer, reseller = bank.chain("0", "10")
    bank.cashier.top_up(new_key(), customer, "5", "ann")
    assert (5, 10) == (bank.purse(customer)["balance"], bank.purse(reseller)["balance"])
    bank.cashier.transfer(new_key(), reseller, customer, "4", "ann")
    assert (9, 6) == (bank.purse(customer)["balance"], bank.purse(reseller)["balance"])


# --- settings ---------------------------------------------------------------------------------------------------------


def test_settings_are_changed_by_their_names(bank: Bank) -> None:
    """Those that are given; null is none; the rest stays."""
    account = bank.account(kind="customer", max_calls=2, longest_call_s=60)
    bank.admin.set_account(account, low_balance=Decimal("1.25"), premium_allowed=True, longest_call_s=None)
    found = bank.cashier.account_named(bank.name_of(account))
    assert found is not None
    assert (2, Decimal("1.25"), True, None) == (
        *(found.max_calls, found.low_balance, found.premium_allowed, found.longest_call_s),
    )
    bank.admin.set_account(account, name="renamed", premium_allowed=False)
    assert bank.cashier.account_named("renamed") is not None


@pytest.mark.parametrize(
    ("settings", "refusal"),
    [
        ('{"max_cals": 3}', "invalid_content: account {} has no setting max_cals: name, tariff, "),
        ("max_calls=3", "invalid_content: account {}: settings are a JSON object"),
        ("[3]", "invalid_content: account {}: settings are a JSON object"),
        ('{"max_calls": [3]}', "invalid_content: max_calls of account {} is one value, not several"),
        ('{"max_calls": "many"}', "invalid_content: set_account: .*max_calls"),
        ('{"max_calls": -1}', "invalid_content: set_account: .*max_calls"),
        ('{"low_balance": "1e3"}', "invalid amount"),
        ('{"daily_spend_limit": "1.1234567"}', "invalid amount"),
        ('{"country_code": null}', "invalid_content: set_account: .*country_code"),
        ('{"tariff": "no such"}', "unknown_tariff: there is no tariff no such for account {}"),
        ('{"parent_hold_limit": "5"}', "invalid_parent: account {} has no parent whose money it could hold"),
        ('{"name": "taken"}', "name_taken: there is another account named taken"),
        ('{"expires_at": "soon"}', "invalid_content: set_account: .*expires_at"),
        ('{"name": " "}', "invalid_content: the new name of account {} is empty$"),
        ('{"country_code": "+49"}', r"invalid_content: account {}: country_code \+49 is not 1 to 3 digits from 1 on$"),
        ('{"country_code": "049"}', "invalid_content: account {}: country_code 049 is not"),
        ('{"international_prefixes": "00;011"}', "invalid_content: account {}: international_prefixes 00;011 are not"),
        ('{"national_prefix": "x"}', "invalid_content: account {}: national_prefix x is not digits$"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(bank: Bank, settings: str, refusal: str) -> None:
    """With its name; and none of the others is changed."""
    account = bank.account(kind="customer", max_calls=7)
    name = bank.name_of(account)
    if "taken" in settings:
        bank.admin.create_account("customer", "taken", None, None, "retail")
    expected = refusal.format(name)
    with pytest.raises(Exception) as told:  # noqa: PT011 - LedgerRefused, or InvalidAmount
        bank.admin._call("set_account", name, settings)
    if expected == "invalid amount":
        assert "InvalidAmount" == type(told.value).__name__
        assert name in str(told.value)
    else:
        assert re.match(expected, str(told.value)), told.value
    assert 7 == bank.sql("SELECT max_calls FROM account WHERE id = %s", account)[0]["max_calls"]


# --- suspend, close ---------------------------------------------------------------------------------------------------


def test_suspending_a_reseller_stops_his_whole_tree(bank: Bank) -> None:
    """No new call three levels below; with now those in progress are marked, those of others are not."""
    chain = bank.chain("10", "10", "10", "10")
    stranger = bank.account("10")
    ringing, answered, others = bank.opened(chain), bank.opened(chain), bank.opened([stranger])
    bank.proxy.answer_call(answered, 0)

    assert 0 == bank.admin.suspend_account(chain[2])
    assert [] == bank.proxy.calls_to_end("node1")
    answer = bank.proxy.open_call(new_key(), request(chain))
    assert ("account_suspended", 2) == (answer.outcome, answer.failed_leg)
    assert "account_suspended" == bank.proxy.extend_call(
        answered, 120, 180, {leg: Decimal("1.8") for leg in range(4)}
    ).outcome

    assert 2 == bank.admin.suspend_account(chain[2], now=True, reason="unpaid")
    assert {ringing: "unpaid", answered: "unpaid"} == {
        one.call_key: one.reason for one in bank.proxy.calls_to_end("node1")
    }
    bank.admin.resume_account(chain[2])
    bank.give_up(ringing, others, bank.opened(chain))
    bank.proxy.settle_call(answered, settlement(["0.6"] * 4))
    assert [] == bank.proxy.calls_to_end("node1")


def test_no_call_slips_in_between_the_suspension_and_its_marks(bank: Bank) -> None:
    """Twelve calls while one suspends with now: what opened is marked, all of it, and nothing opens any more."""
    chain = bank.chain("100", "100")
    before = bank.opened(chain)

    def work(ledger: Any, number: int) -> str:
        key = new_key()
        return key if ledger.open_call(key, request(chain)).outcome == "opened" else ""

    with ThreadPoolExecutor(1) as pool:
        suspending = pool.submit(lambda: bank.another("admin").suspend_account(chain[1], now=True))
        opened = {before, *bank.at_once("proxy", 12, work)} - {""}
        marked = suspending.result()
    marks = {one.call_key for one in bank.proxy.calls_to_end("node1")}
    assert (before in marks, set(), marked) == (True, opened - marks, len(opened))
    assert "account_suspended" == bank.proxy.open_call(new_key(), request(chain)).outcome
    bank.give_up(*opened)


@pytest.mark.parametrize("why", ["calls_in_progress", "open_children", "balance_left"])
def test_an_account_that_is_in_use_is_not_closed(bank: Bank, why: str) -> None:
    """A call of the tree, an open account below, money: each is said by name; once it is gone the account closes."""
    customer, reseller = bank.chain("10", "10")
    key = bank.opened([customer, reseller])
    steps = {
        "calls_in_progress": lambda: bank.give_up(key),
        "open_children": lambda: (bank.emptied(customer), bank.admin.close_account(customer)),
        "balance_left": lambda: bank.emptied(reseller),
    }
    for reason, cure in steps.items():
        if reason == why:
            with pytest.raises(LedgerRefused, match=f"^{why}: account {bank.name_of(reseller)} has "):
                bank.admin.close_account(reseller)
        cure()
    bank.admin.close_account(reseller)
    bank.admin.close_account(reseller)
    for change in (bank.admin.resume_account, bank.admin.suspend_account):
        with pytest.raises(LedgerRefused, match=r"^account_closed: account .* is closed and stays so"):
            change(reseller)
    with pytest.raises(LedgerRefused, match=r"^invalid_parent: "):
        bank.admin.create_account("customer", f"below {reseller}", reseller, None, f"retail of {reseller}")


def test_cards_that_are_being_issued_are_open_children(bank: Bank) -> None:
    """They share the lock of their parent's row until they are there; who closes it waits, and counts them."""
    parent = bank.account(kind="reseller")
    tariff = bank.tariff_of(parent)
    watching = "SELECT 1 FROM information_schema.innodb_lock_waits"
    with (
        ThreadPoolExecutor(1) as pool,
        pymysql.connect(**bank.server.admin_params(), database=bank.database) as issuing,
        issuing.cursor() as cursor,
    ):
        cursor.execute("START TRANSACTION")
        cursor.execute("SELECT id FROM account WHERE id = %s LOCK IN SHARE MODE", (parent,))  # as check_batch_owner
        closing = pool.submit(lambda: bank.another("admin").close_account(parent))
        # InnoDB shows locks of a tenth of a second ago for as long as it is asked more often than that.
        wait_until(lambda: bool(bank.sql(watching)), 20, "who closes the account waits for its row", poll_s=0.2)
        cursor.execute(
            "INSERT INTO account (parent_id, kind, name, currency, tariff_id, created_at)"
            " VALUES (%s, 'card', %s, 'EUR', %s, UTC_TIMESTAMP(6))",
            (parent, f"card below {parent}", tariff),
        )
        cursor.execute("INSERT INTO purse (account_id) VALUES (LAST_INSERT_ID())")
        cursor.execute("COMMIT")
        with pytest.raises(LedgerRefused, match=r"^open_children: "):
            closing.result(20)


def test_what_is_named_wrongly_is_said(bank: Bank) -> None:
    """Every routine that takes an account's name."""
    for ask in (
        lambda: bank.admin.suspend_account("nobody"), lambda: bank.admin.resume_account("nobody"),
        lambda: bank.admin.close_account("nobody"), lambda: bank.admin.set_account("nobody", max_calls=1),
        lambda: bank.admin.set_credit_limit("nobody", "1"), lambda: bank.admin.end_account_calls("nobody"),
        lambda: bank.admin.move_account("nobody", None, "retail"),
    ):  # fmt: skip
        with pytest.raises(LedgerRefused, match=r"^unknown_account: there is no account nobody$"):
            ask()


# --- moving -----------------------------------------------------------------------------------------------------------


def test_an_account_moves_with_all_below_it(bank: Bank) -> None:
    """To another reseller, at a price of his; calls charge the new chain; and back to the vendor."""
    customer, reseller = bank.chain("10", "10")
    top = bank.account("10", kind="reseller")
    bank.admin.move_account(reseller, top, bank.tariff_of(top))
    key = bank.opened([customer, reseller, top])
    bank.give_up(key)
    with pytest.raises(LedgerRefused, match=r"chain_changed"):
        bank.proxy.open_call(new_key(), request([customer, reseller]))
    bank.admin.move_account(reseller, None, "retail")
    bank.give_up(bank.opened([customer, reseller]))


def test_no_account_is_its_own_ancestor(bank: Bank) -> None:
    """Neither under itself, nor under its child, nor under his."""
    _, child, middle, top = bank.chain("0", "0", "0", "0")
    for parent, why in ((top, "is it"), (middle, "is below it"), (child, "is below it")):
        with pytest.raises(LedgerRefused) as refusal:
            bank.admin.move_account(top, parent, bank.tariff_of(parent))
        assert ("own_ancestor", True) == (refusal.value.token, refusal.value.message.endswith(why))


def test_two_moves_at_once_make_no_circle(bank: Bank) -> None:
    """A under C (which is under B), B under D (which is under A): both have looked, and wait; one is refused then."""
    a, b = bank.account(kind="reseller"), bank.account(kind="reseller")
    c, d = bank.account(parent=b, kind="reseller"), bank.account(parent=a, kind="reseller")
    moves = [(a, c, bank.tariff_of(c)), (b, d, bank.tariff_of(d))]
    with pymysql.connect(**bank.server.admin_params(), database=bank.database) as holder, ThreadPoolExecutor(2) as pool:
        holder.cursor().execute("SELECT 1 FROM purse WHERE account_id IN (%s, %s) FOR UPDATE", (a, b))
        admins = [bank.another("admin", lock_wait_s=10) for _ in moves]
        asked = [
            pool.submit(refused, partial(admin.move_account, *move)) for admin, move in zip(admins, moves, strict=True)
        ]
        waiting = "SELECT COUNT(*) AS number FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
        wait_until(lambda: bank.sql(waiting)[0]["number"] == 2, 10, "both wait", poll_s=0.25)
        holder.rollback()
        assert ["", "chain_changed"] == sorted(one.result() for one in asked)
    chain = bank.sql("SELECT parent_id FROM account WHERE id IN (%s, %s) AND parent_id IS NULL", a, b)
    assert 1 == len(chain)


def test_an_account_in_use_does_not_move(bank: Bank) -> None:
    """A call of its tree holds money of the old chain; and the new place must fit."""
    customer, reseller = bank.chain("10", "10")
    top = bank.account(kind="reseller")
    key = bank.opened([customer, reseller])
    with pytest.raises(LedgerRefused, match=r"^calls_in_progress: "):
        bank.admin.move_account(reseller, top, bank.tariff_of(top))
    bank.give_up(key)
    with pytest.raises(LedgerRefused, match=r"^foreign_tariff: "):
        bank.admin.move_account(reseller, top, "retail")
    with pytest.raises(LedgerRefused, match=r"^invalid_parent: account .* is no open reseller"):
        bank.admin.move_account(reseller, customer_of(bank), "retail")
    pounds = bank.admin.put_tariff(f"pounds of {top}", "GBP", owner_account_id=top)
    with pytest.raises(LedgerRefused, match=r"^currency_mismatch: "):
        bank.admin.move_account(reseller, top, pounds)
    bundle = f"bundle {new_key()}"
    bank.admin.add_bundle(bundle, 60, "day", "49")
    bank.admin.assign_bundle(bank.name_of(reseller), bundle)
    with pytest.raises(LedgerRefused, match=f"^bundle_in_use: account .* has bundle {bundle}, which account "):
        bank.admin.move_account(reseller, top, bank.tariff_of(top))
    bank.admin.move_account(reseller, None, "retail")  # where it is: who sells the bundle stays
    bank.admin.unassign_bundle(bank.name_of(reseller), bundle)
    deep = bank.chain(*["0"] * 7)
    below = bank.account(parent=deep[1], kind="reseller")
    with pytest.raises(LedgerRefused, match=r"^invalid_parent: under .*longer than 8 accounts"):
        bank.admin.move_account(reseller, below, bank.tariff_of(below))


def customer_of(bank: Bank) -> int:
    return bank.account(kind="customer")


# --- prices under the buy price ---------------------------------------------------------------------------------------


def test_selling_under_the_buy_price_is_warned_about_and_reported(bank: Bank) -> None:
    """When the rate is saved, with both prices; in the report by the longest prefix on each side, until it is right."""
    buys = bank.admin.put_tariff("below cost buys", "EUR")
    for prefix, price, fee in (("49", "0.30", "0"), ("4915", "0.90", "0.05"), ("43", "0.20", "0")):
        bank.admin.put_rate(buys, prefix, "x", price=price, connect_fee=fee)
    shop = bank.admin.create_account("reseller", "below cost", None, None, "below cost buys")
    sells = bank.admin.put_tariff("below cost sells", "EUR", owner_account_id=shop)

    def saved(prefix: str, price: str, fee: str = "0", per_s: int = 60) -> str | None:
        rows = bank.admin._call(
            "put_rate", sells, prefix, "x", fee, price, per_s, None, 1, 0, None, "disconnect", None, None, None, 0
        )
        return rows[0]["warning"]

    assert saved("49", "0.60") == (
        "below_cost: 1 longer prefixes of 49 are bought dearer and not sold apart, such as 4915"
    )
    assert saved("4915", "0.89", "0.05") == (
        "below_cost: 4915 is sold at 0.890000 a minute and a fee of 0.050000, and bought at 0.900000 and 0.050000"
    )
    assert saved("4915", "0.015", "0.05", per_s=1) is None
    assert saved("4915", "1.00", "0.04") is not None
    assert saved("43", "0.003", per_s=1) is not None
    assert saved("43", "0.20") is None
    assert saved("44", "0.01") is None

    (one,) = bank.admin.below_cost("below cost")
    assert ("4915", Decimal(1), Decimal("0.9"), Decimal("0.04"), Decimal("0.05")) == (
        *(one.prefix, one.sell_per_minute, one.buy_per_minute, one.sell_connect_fee, one.buy_connect_fee),
    )
    bank.admin.remove_rate(sells, "4915")
    assert [("4915", Decimal("0.6"))] == [(one.prefix, one.sell_per_minute) for one in bank.admin.below_cost(shop)]
    saved("4915", "1.00", "0.05")
    assert [] == bank.admin.below_cost("below cost")


def test_a_vendors_rate_has_no_buy_price(bank: Bank) -> None:
    """Nobody owns it but the vendor, whose costs are his carriers'."""
    rows = bank.admin._call(
        "put_rate", bank.tariff, "49", "x", "0", "0", 60, None, 1, 0, None, "disconnect", None, None, None, 0
    )
    assert rows[0]["warning"] is None


# --- ending calls -----------------------------------------------------------------------------------------------------


def test_a_live_call_is_marked_to_be_ended(bank: Bank) -> None:
    """Once: the first reason stays. The mark says whose node it is, and goes with the call."""
    account = bank.account("10")
    key, other = bank.opened([account]), bank.opened([account])
    bank.proxy.heartbeat("node1", 0)
    ending = bank.admin.end_call(key, "fraud")
    assert ("node1", True) == (ending.node, ending.silent_ms is not None and ending.silent_ms < 60_000)
    bank.admin.end_call(key, "again")
    (mark,) = [one for one in bank.proxy.calls_to_end("node1") if one.call_key in (key, other)]
    assert (key, "fraud", "open", "a@example") == (mark.call_key, mark.reason, mark.state, mark.sip_call_id)
    assert mark.login.startswith("meterline_admin@")
    assert [] == bank.proxy.calls_to_end("another node")
    bank.give_up(key, other)
    assert key not in [one.call_key for one in bank.proxy.calls_to_end("node1")]
    with pytest.raises(LedgerRefused, match=f"^call_ended: call {key} is over$"):
        bank.admin.end_call(key, "late")
    bank.proxy.forget_counts()
    assert [] == bank.sql("SELECT 1 FROM end_mark WHERE call_key = %s", key)


def test_a_call_that_nobody_knows_is_not_marked(bank: Bank) -> None:
    """And what is no key is said to be none."""
    with pytest.raises(LedgerRefused, match=r"^unknown_call: there is no call "):
        bank.admin.end_call(new_key(), "x")
    with pytest.raises(LedgerRefused, match=r"^invalid_key: end_call key "):
        bank.admin.end_call("x", "x")


def test_all_calls_of_an_account_and_of_those_below_it_are_marked(bank: Bank) -> None:
    """And of no other."""
    customer, reseller = bank.chain("10", "10")
    mine = {bank.opened([customer, reseller]) for _ in range(2)}
    own = bank.opened([reseller])
    other = bank.opened([bank.account("10")])
    assert 2 == bank.admin.end_account_calls(customer, "x")
    assert 3 == bank.admin.end_account_calls(reseller, "x")
    marked = {one.call_key for one in bank.proxy.calls_to_end("node1")}
    assert (mine | {own}, False) == (marked & (mine | {own}), other in marked)
    bank.give_up(*mine, own, other)


def test_settings_as_the_client_writes_them_are_json(bank: Bank) -> None:
    """Whatever a name holds."""
    account = bank.account(kind="customer")
    name = "O'Neil \"&\" \\ Söhne"
    bank.admin.set_account(account, name=name)
    assert name == bank.name_of(account)
    assert json.loads(json.dumps(name)) == name
