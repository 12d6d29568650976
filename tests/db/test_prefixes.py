"""Allowed, barred and premium prefixes in the ledger: one text of each account's rules comes with its callers."""

from typing import Any

import pytest

from billing.errors import LedgerRefused
from tests.db.bank import Bank


def test_prefix_rules_come_with_the_caller(bank: Bank) -> None:
    """On each level, as one text that says what the table says, however many change them at once."""
    customer, reseller = bank.chain("1", "1")
    user = bank.user(customer)
    user_name = bank.sql("SELECT name FROM user WHERE id = %s", user)[0]["name"]

    def work(ledger: Any, number: int) -> None:
        (ledger.bar_prefix if number % 2 else ledger.allow_prefix)(reseller, None, f"4{number}")

    bank.at_once("admin", 8, work)
    bank.admin.bar_prefix(customer, None, "")
    bank.admin.bar_prefix(customer, user_name, "49")
    bank.admin.allow_prefix(customer, user_name, "49")
    caller = bank.proxy.identify_user(user)
    assert caller is not None
    assert ["-", "+40,-41,+42,-43,+44,-45,+46,-47"] == [leg.prefix_rules for leg in caller.legs]
    assert "+49" == caller.user_prefix_rules

    bank.admin.forget_prefix(customer, None, "")
    for number in range(8):
        bank.admin.forget_prefix(reseller, None, f"4{number}")
    caller = bank.proxy.identify_user(user)
    assert caller is not None
    assert [None, None] == [leg.prefix_rules for leg in caller.legs]


@pytest.mark.parametrize(("prefix", "token"), [("4a", "invalid_content"), ("4" * 21, "invalid_content")])
def test_a_prefix_that_cannot_be_is_refused(bank: Bank, prefix: str, token: str) -> None:
    """Digits, at most 20; and what was never said cannot be taken back."""
    account = bank.account()
    with pytest.raises(LedgerRefused) as refusal:
        bank.admin.bar_prefix(account, None, prefix)
    assert (token, True) == (refusal.value.token, prefix[:20] in refusal.value.message)
    with pytest.raises(LedgerRefused, match=r"^unknown_prefix: account .* has no rule for prefix 49$"):
        bank.admin.forget_prefix(account, None, "49")


def test_rules_have_a_bound(bank: Bank) -> None:
    """A thousand; each comes with every call."""
    account = bank.account()
    name = bank.name_of(account)
    rows = ", ".join(f"({account}, '{number}', 0)" for number in range(1000, 2000))
    bank.sql(f"INSERT INTO account_prefix (account_id, prefix, allowed) VALUES {rows}")
    with pytest.raises(LedgerRefused, match=f"^too_many_rules: account {name} "):
        bank.admin.bar_prefix(account, None, "49")
    bank.sql("DELETE FROM account_prefix WHERE account_id = %s", account)


def test_premium_ranges_are_the_vendors_to_change(bank: Bank) -> None:
    """Shipped with their sources; added, renamed, removed."""
    shipped = {one.prefix: one for one in bank.proxy.premium_prefixes()}
    assert {"979", "1900", "449", "49900"} <= set(shipped)
    assert all(one.source for one in shipped.values())
    before = bank.proxy.config_version()
    bank.admin.put_premium_prefix("888999", "test", "here")
    bank.admin.put_premium_prefix("888999", "tested", "here")
    assert "tested" == {one.prefix: one.name for one in bank.proxy.premium_prefixes()}["888999"]
    assert before != bank.proxy.config_version()
    bank.admin.remove_premium_prefix("888999")
    with pytest.raises(LedgerRefused, match=r"^unknown_prefix: there is no premium prefix 888999$"):
        bank.admin.remove_premium_prefix("888999")
    with pytest.raises(LedgerRefused, match=r"^invalid_content: prefix  is not"):
        bank.admin.put_premium_prefix("", "all", "")
