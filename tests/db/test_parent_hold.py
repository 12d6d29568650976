"""What an account's calls may hold of its parent's money: exact under parallel calls, and told to nobody below."""

from decimal import Decimal
from typing import Any

from tests.db.bank import Bank, new_key, request, settlement


def test_a_child_holds_no_more_of_its_parents_money_than_it_may(bank: Bank) -> None:
    """The first call takes 1.20 of 2.00, the second one step less, the third is refused at the parent's leg."""
    customer, reseller = bank.chain("100", "100")
    bank.admin.set_account(customer, parent_hold_limit="2.00")
    first = bank.proxy.open_call(a := new_key(), request([customer, reseller]))
    second = bank.proxy.open_call(b := new_key(), request([customer, reseller]))
    third = bank.proxy.open_call(new_key(), request([customer, reseller]))
    assert [("opened", 120), ("opened", 60)] == [(one.outcome, one.grant_s) for one in (first, second)]
    assert ("parent_hold_limit", 1, 0) == (third.outcome, third.failed_leg, third.grant_s)
    assert Decimal("1.8") == bank.purse(reseller)["held"]
    # another child of the same parent is not touched, nor is the parent himself
    sibling = bank.account("100", parent=reseller)
    others = [bank.opened([sibling, reseller]), bank.opened([reseller])]
    bank.give_up(a)
    bank.give_up(b, bank.opened([customer, reseller]), *others)


def test_a_renewal_respects_what_a_child_may_hold(bank: Bank) -> None:
    """Refused at the parent's leg beyond it; the look before says how much room there is."""
    customer, reseller = bank.chain("100", "100")
    bank.admin.set_account(customer, parent_hold_limit="3.00")
    key, other = bank.opened([customer, reseller]), bank.opened([customer, reseller])
    for one in (key, other):
        bank.proxy.answer_call(one, 0)
    live = bank.proxy.live_call(key)
    assert live is not None
    assert [None, Decimal("0.6")] == [leg.parent_room for leg in live.legs]

    answer = bank.proxy.extend_call(key, 120, 240, {0: Decimal("2.4"), 1: Decimal("2.4")})
    assert ("parent_hold_limit", 1, 120) == (answer.outcome, answer.failed_leg, answer.grant_s)
    assert "extended" == bank.proxy.extend_call(key, 120, 180, {0: Decimal("1.8"), 1: Decimal("1.8")}).outcome
    assert Decimal("3.0") == bank.purse(reseller)["held"]
    for one in (key, other):
        bank.proxy.settle_call(one, settlement(["0.6", "0.6"], grant_s=180 if one == key else 120))


def test_the_limit_acts_at_each_level_and_counts_the_whole_tree(bank: Bank) -> None:
    """A sub-reseller's limit is shared by all below him."""
    one, middle, top = bank.chain("100", "100", "100")
    two = bank.account("100", parent=middle)
    bank.admin.set_account(middle, parent_hold_limit="1.50")
    key = bank.opened([one, middle, top])
    answer = bank.proxy.open_call(new_key(), request([two, middle, top]))
    assert ("parent_hold_limit", 2) == (answer.outcome, answer.failed_leg)
    bank.admin.set_account(middle, parent_hold_limit=None)
    bank.give_up(key, bank.opened([two, middle, top]))


def test_a_limit_that_was_lowered_ends_nothing_and_lets_nothing_in(bank: Bank) -> None:
    """What is held stays; a free call needs none of it."""
    customer, reseller = bank.chain("100", "100")
    key = bank.opened([customer, reseller])
    bank.admin.set_account(customer, parent_hold_limit="0")
    assert "parent_hold_limit" == bank.proxy.open_call(new_key(), request([customer, reseller])).outcome
    free = bank.opened([customer, reseller], holds=[["0", "0"]] * 2, smallest="0")
    caller = bank.proxy.identify_account(customer)
    assert caller is not None
    assert (Decimal(0), Decimal("1.2"), Decimal(0)) == (
        *(caller.legs[0].parent_hold_limit, caller.legs[0].parent_held, caller.legs[0].parent_room),
    )
    bank.give_up(key, free)


def test_twenty_calls_at_once_hold_exactly_what_a_child_may(bank: Bank) -> None:
    """By the hundredth: 20 calls of 1.20 or 0.60 against 7.20."""
    customer, reseller = bank.chain("1000", "1000")
    bank.admin.set_account(customer, parent_hold_limit="7.20")

    def work(ledger: Any, number: int) -> str:
        key = new_key()
        outcome = ledger.open_call(key, request([customer, reseller])).outcome
        assert outcome in ("opened", "parent_hold_limit")
        return key if outcome == "opened" else ""

    opened = [key for key in bank.at_once("proxy", 20, work) if key]
    assert Decimal("7.2") == bank.purse(reseller)["held"]
    assert [(Decimal("7.2"), Decimal("7.2"))] == [
        (one.parent_hold_limit, one.parent_held)
        for one in bank.admin.parent_holds() if one.account_id == customer
    ]  # fmt: skip
    bank.give_up(*opened)
