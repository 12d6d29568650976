"""The statement of an account: opening balance, entries and closing balance of a period, to the last cent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.report_types import Statement
from tests.db.bank import Bank, new_key, refused, settlement

START = datetime(2026, 3, 1, tzinfo=UTC)


def name_of(bank: Bank, account: int) -> str:
    return str(bank.sql("SELECT name FROM account WHERE id = %s", account)[0]["name"])


def shown(found: Statement) -> list[tuple[str, str, str]]:
    return [(line.kind, f"{line.amount:.2f}", f"{line.balance:.2f}") for line in found.lines]


@pytest.fixture
def customer(bank: Bank) -> str:
    """Paid in 10, called for 0.60 below a reseller, had 1 put right: on three days in March."""
    below, _ = chain = bank.chain("10", "10")
    key = bank.opened(chain)
    bank.proxy.settle_call(key, settlement(["0.60", "0.30"], billed_s=55))
    bank.cashier.adjust(new_key(), below, "-1", "ann", "receipt 18", "R18")
    for number, kind in enumerate(("top_up", "call", "adjustment")):
        sql = "UPDATE entry SET created_at = %s WHERE account_id = %s AND kind = %s"
        bank.sql(sql, START.replace(tzinfo=None) + timedelta(days=number), below, kind)
    bank.sql("UPDATE purse SET spent = 0, spend_day = '1970-01-01' WHERE account_id = %s", below)
    return name_of(bank, below)


def test_a_statement_shows_what_happened_and_the_balance_after_each(bank: Bank, customer: str) -> None:
    """Calls with number, destination and seconds; others with reason and reference."""
    found = bank.cashier.statement(customer, START, START + timedelta(days=3))

    assert ("EUR", 0, Decimal("8.4")) == (found.currency, found.opening, found.closing)
    assert [("top_up", "10.00", "10.00"), ("call", "-0.60", "9.40"), ("adjustment", "-1.00", "8.40")] == shown(found)
    _, call, adjusted = found.lines
    assert ("493012345", "Germany", 55) == (call.number, call.destination, call.seconds)
    assert call.call_key == call.entry_key
    assert (None, None, "receipt 18", "R18") == (adjusted.number, adjusted.seconds, adjusted.reason, adjusted.reference)


@pytest.mark.parametrize(
    ("first", "last", "opening", "kinds", "closing"),
    [
        (0, 0, "0", [], "0"),
        (0, 1, "0", ["top_up"], "10"),
        (1, 2, "10", ["call"], "9.4"),
        (2, 9, "9.4", ["adjustment"], "8.4"),
        (9, 99, "8.4", [], "8.4"),
        (-9, 0, "0", [], "0"),
    ],
)
def test_a_period_begins_with_its_first_instant_and_ends_before_its_last(
    bank: Bank, customer: str, first: int, last: int, opening: str, kinds: list[str], closing: str
) -> None:
    """So the closing balance of a month is the opening balance of the next, and no entry is in both."""
    found = bank.cashier.statement(customer, START + timedelta(days=first), START + timedelta(days=last))

    assert (Decimal(opening), kinds, Decimal(closing)) == (
        found.opening, [line.kind for line in found.lines], found.closing,
    )  # fmt: skip


def test_the_view_says_the_same(bank: Bank, customer: str) -> None:
    """For whoever works in SQL."""
    rows = bank.sql(
        "SELECT kind, number, seconds, balance FROM v_statement WHERE account_name = %s ORDER BY at", customer
    )

    assert [
        ("top_up", None, None, 10),
        ("call", "493012345", 55, Decimal("9.4")),
        ("adjustment", None, None, Decimal("8.4")),
    ] == [tuple(row.values()) for row in rows]


def test_a_statement_of_nobody_is_refused(bank: Bank) -> None:
    """By the name that was asked for."""
    assert "unknown_account" == refused(lambda: bank.cashier.statement("nobody", START, START))


def test_the_closing_balance_of_now_is_the_balance(bank: Bank) -> None:
    """Whatever happened: random payments and calls."""
    account = bank.account("50")
    for number in range(20):
        key = bank.opened([account])
        bank.proxy.settle_call(key, settlement([f"0.0{number:02}"]))
        bank.cashier.top_up(new_key(), account, f"0.{number:02}1", "ann")

    found = bank.cashier.statement(name_of(bank, account), START, datetime.now(UTC) + timedelta(minutes=1))

    assert bank.purse(account)["balance"] == found.closing
    assert 40 == len(found.lines)
    assert found.lines[-1].balance == found.closing
