"""The audit finds what is wrong: each thing that could be is made wrong, by the one who can."""

from collections.abc import Callable

import pytest

from billing.ledger_types import Difference
from tests.db.bank import Bank, new_key, settlement


@pytest.fixture
def bank(new_bank: Callable[[], Bank]) -> Bank:
    """A ledger with a settled and a live call on a chain of two."""
    bank = new_bank()
    accounts = bank.chain("10", "20")
    assert accounts == (2, 1)
    bank.proxy.settle_call(bank.opened(accounts), settlement(["0.6", "0.3"]))
    bank.proxy.settle_call(bank.opened(accounts), settlement(["0.4", "0.2"]))
    bank.opened(accounts)
    assert bank.cashier.audit() == []
    return bank


def _found(bank: Bank) -> list[tuple[str, str, str, str]]:
    return [
        (one.what, one.id, *(f"{float(value):g}" for value in (one.expected or 0, one.actual or 0)))
        for one in bank.cashier.audit()
    ]


def _live(bank: Bank) -> str:
    return bank.proxy.live_calls()[0].call_key


def _ended(bank: Bank) -> str:
    return min(cdr.call_key for cdr in bank.cashier.cdrs())


def test_a_balance_that_nobody_posted(bank: Bank) -> None:
    """Named by its account, with what the entries say."""
    bank.sql("UPDATE purse SET balance = balance + 0.000001 WHERE account_id = 1")

    (one,) = bank.cashier.audit()

    assert ("balance", "1", "19.500000", "19.500001") == (one.what, one.id, str(one.expected), str(one.actual))
    assert isinstance(one, Difference)


def test_an_entry_that_was_lost_or_changed(bank: Bank) -> None:
    """It shows thrice when it belonged to a call: in the balance, at the call, and in what was spent that day."""
    bank.sql("UPDATE entry SET amount = amount + 1 WHERE kind = 'top_up' AND account_id = 1")
    assert [("balance", "1", "20.5", "19.5")] == _found(bank)
    bank.sql("UPDATE entry SET amount = amount - 1 WHERE kind = 'top_up' AND account_id = 1")
    bank.sql("DELETE FROM entry WHERE entry_key = %s AND account_id = 2", _ended(bank))

    assert [
        ("balance", "2", "9.6", "9"), ("charge", _ended(bank), "0.6", "0"), ("spent", "2", "0.4", "1")
    ] == _found(bank)  # fmt: skip


def test_errors_of_two_calls_do_not_cancel(bank: Bank) -> None:
    """Two charges exchanged: the sums are right, the calls are not."""
    keys = sorted(cdr.call_key for cdr in bank.cashier.cdrs())
    bank.sql("UPDATE cdr_leg SET charge = 1 - charge, hold = 2 WHERE account_id = 2")

    assert [("charge", keys[0], "0.4", "0.6"), ("charge", keys[1], "0.6", "0.4")] == _found(bank)


def test_an_entry_for_a_call_that_never_was(bank: Bank) -> None:
    """A charge without a CDR."""
    key = new_key()
    bank.sql("INSERT INTO entry SELECT %s, account_id, 'call', -1, 0, 0, 0, 'x', 'x', '', '', UTC_TIMESTAMP()"
             " FROM entry WHERE kind = 'top_up' AND account_id = 1", key)  # fmt: skip
    bank.sql("UPDATE purse SET balance = balance - 1 WHERE account_id = 1")

    assert [("charge", key, "0", "1"), ("spent", "1", "1.5", "0.5")] == _found(bank)


@pytest.mark.parametrize("column", ["held", "calls"])
def test_a_hold_or_a_counter_that_no_call_has(bank: Bank, column: str) -> None:
    """Money that nobody can spend, calls that nobody makes."""
    bank.sql(f"UPDATE purse SET {column} = {column} + 1 WHERE account_id = 2")

    expected = {"held": ("held", "2", "1.2", "2.2"), "calls": ("calls", "2", "1", "2")}[column]
    assert [expected] == _found(bank)


def test_a_counter_below_its_calls(bank: Bank) -> None:
    """Zero calls where there is one."""
    bank.sql("UPDATE purse SET calls = 0 WHERE account_id = 1")

    assert [("calls", "1", "1", "0")] == _found(bank)


def test_less_than_nothing_available(bank: Bank) -> None:
    """With the CHECK switched off, or with a floor that nobody forced."""
    bank.sql("SET check_constraint_checks = 0")
    bank.sql("UPDATE purse SET credit_limit = -9 WHERE account_id = 2")
    assert [("available", "2", "0", "-1.2")] == _found(bank)

    bank.sql("UPDATE purse SET forced_floor = -2 WHERE account_id = 2")
    assert [("forced_floor", "2", "0", "-2")] == _found(bank)


def test_a_call_that_lost_its_legs(bank: Bank) -> None:
    """Or one of them, or its order."""
    key = _live(bank)
    bank.sql("DELETE FROM live_leg WHERE leg = 0")
    bank.sql("UPDATE purse SET held = 0, calls = 0 WHERE account_id = 2")
    assert [("legs_of_call", key, "2", "1")] == _found(bank)
    bank.sql("DELETE FROM live_leg")
    bank.sql("UPDATE purse SET held = 0, calls = 0")

    assert [("legs_of_call", key, "1", "0")] == _found(bank)


def test_legs_that_lost_their_call(bank: Bank) -> None:
    """A hold without its call."""
    key = _live(bank)
    bank.sql("DELETE FROM live_call")

    assert [("leg_without_call", key, "0", "2")] == _found(bank)


def test_a_call_on_another_account_than_its_first_leg(bank: Bank) -> None:
    """Both are named."""
    bank.sql("UPDATE live_call SET account_id = 1")

    assert [("account_of_call", _live(bank), "2", "1")] == _found(bank)


def test_a_call_both_live_and_settled(bank: Bank) -> None:
    """Each call is one or the other."""
    key = _live(bank)
    bank.sql("UPDATE cdr SET call_key = %s WHERE call_key = %s", key, _ended(bank))
    bank.sql("UPDATE cdr_leg SET call_key = %s WHERE call_key = %s", key, _ended(bank))

    assert ("live_and_settled", key, "1", "2") in _found(bank)


def test_accounts_and_purses_without_one_another(bank: Bank) -> None:
    """Also entries of an account that has no purse."""
    bank.sql("SET foreign_key_checks = 0")
    bank.sql("INSERT INTO purse (account_id) VALUES (77)")
    bank.sql("DELETE FROM purse WHERE account_id = 1")

    found = _found(bank)

    assert ("account_missing", "77", "1", "0") in found
    assert ("purse_missing", "1", "1", "0") in found
    assert ("balance", "1", "19.5", "0") in found
