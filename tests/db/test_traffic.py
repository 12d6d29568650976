"""Traffic and margin of a period: calls, answers, durations, and money on every level, to the last cent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.report_types import Traffic, TrafficBy
from tests.db.bank import Bank, call_record, new_key, request, rows_read, settlement

BEGIN, END = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture(scope="module")
def bank(server) -> Bank:
    """Vendor > wholesaler > reseller > customer, and a card of the vendor's own; six calls."""
    bank = Bank.found(server, "traffic")
    top, middle, customer = (bank.account("100", kind=kind) for kind in ("reseller", "reseller", "customer"))
    bank.sql("UPDATE account SET parent_id = %s WHERE id = %s", top, middle)
    bank.sql("UPDATE account SET parent_id = %s WHERE id = %s", middle, customer)
    card = bank.account("100")
    for name, account in (("top", top), ("middle", middle), ("customer", customer), ("card", card)):
        bank.sql("UPDATE account SET name = %s WHERE id = %s", name, account)
    for name in ("Alpha", "Beta", "Gamma"):
        bank.sql("INSERT INTO carrier (name, host) VALUES (%s, %s)", name, f"{name.lower()}.example.net")

    def call(
        accounts: tuple[int, ...], charges: tuple[str, ...], billed_s: int, carrier: int | None,
        failed_at: tuple[int, ...] = (), **more: object,
    ) -> None:  # fmt: skip
        key = new_key()
        bank.proxy.open_call(key, request(accounts))
        for ordinal, failed in enumerate(failed_at, start=1):
            bank.proxy.record_attempt(key, ordinal, failed, 503, 0)
        bank.proxy.settle_call(key, settlement(charges, billed_s=billed_s, carrier_id=carrier, **more))

    chain = (customer, middle, top)
    call(chain, ("0.30", "0.20", "0.10"), 30, 1)
    call(chain, ("0.60", "0.40", "0.20"), 60, 1, talked_ms=59_500)
    call(chain, ("0", "0", "0"), 0, 2, (3, 1), result="busy")
    call((card,), ("0.55",), 50, 2, (1,))
    call((card,), ("0",), 0, None, result="cancelled")
    bank.proxy.record_call(new_key(), call_record(card))
    bank.proxy.record_call(new_key(), call_record(None))
    return bank


def figures(found: list[Traffic]) -> dict[tuple[str | None, int | None], tuple[object, ...]]:
    return {
        (one.name, one.level): (
            one.calls, one.refused, one.answered, one.billed_s,
            f"{one.revenue:.2f}", None if one.cost is None else f"{one.cost:.2f}",
            None if one.margin is None else f"{one.margin:.2f}",
        )
        for one in found
    }  # fmt: skip


def test_by_destination_each_level_has_its_revenue(bank: Bank) -> None:
    """A level's cost is what the level above it paid."""
    assert {
        ("Germany", 1): (5, 0, 3, 140, "0.85", None, None),
        ("Germany", 2): (3, 0, 2, 90, "0.60", "0.30", "0.30"),
        ("Germany", 3): (3, 0, 2, 90, "0.90", "0.60", "0.30"),
        (None, None): (0, 1, 0, 0, "0.00", None, None),
    } == {key: value if key[0] else (*value[:5], None, None) for key, value in figures(
        bank.cashier.traffic("destination", BEGIN, END)).items()}  # fmt: skip


def test_by_reseller_a_line_is_what_he_sold(bank: Bank) -> None:
    """Revenue from those below him, cost to the one above; the vendor's own sales stand without a name."""
    found = figures(bank.cashier.traffic("reseller", BEGIN, END))

    assert (3, 0, 2, 90, "0.90", "0.60", "0.30") == found["middle", None]
    assert (3, 0, 2, 90, "0.60", "0.30", "0.30") == found["top", None]
    assert (5, 1, 3, 140, "0.85") == found[None, None][:5]


def test_by_account_a_line_is_what_it_paid(bank: Bank) -> None:
    """Each account of the chain."""
    found = figures(bank.cashier.traffic("account", BEGIN, END))

    assert {"customer": "0.90", "middle": "0.60", "top": "0.30", "card": "0.55"} == {
        str(name): value[4] for (name, _), value in found.items()
    }
    assert (2, 1, 1) == found["card", None][:3]


def test_by_carrier(bank: Bank) -> None:
    """Calls that no carrier took stand without a name; one that only failed calls that went on has its line, too."""
    found = figures(bank.cashier.traffic("carrier", BEGIN, END))

    assert {
        ("Alpha", 1): (2, 2, "0.30"),
        ("Beta", 1): (2, 1, "0.55"),
        ("Gamma", 1): (0, 0, "0.00"),
        (None, 1): (1, 0, "0.00"),
    } == {key: (value[0], value[2], value[4]) for key, value in found.items() if key[1] == 1}


def test_a_carriers_answers_are_of_all_attempts_there(bank: Bank) -> None:
    """Who failed a call that another took is asked as often, and answered no more: on each level of such a call."""
    found = {(one.name, one.level): one for one in bank.cashier.traffic("carrier", BEGIN, END)}

    assert {
        ("Alpha", 1): (4, "50.0"), ("Alpha", 2): (3, "66.7"), ("Alpha", 3): (3, "66.7"),
        ("Beta", 1): (2, "50.0"), ("Beta", 2): (1, "0.0"), ("Beta", 3): (1, "0.0"),
        ("Gamma", 1): (1, "0.0"), ("Gamma", 2): (1, "0.0"), ("Gamma", 3): (1, "0.0"),
        (None, 1): (1, "0.0"),
    } == {key: (one.attempts, str(one.asr_percent)) for key, one in found.items() if key[1]}  # fmt: skip
    assert {0} == {one.failed_attempts for one in bank.cashier.traffic("account", BEGIN, END)}


def test_answer_seizure_ratio_and_average_duration(bank: Bank) -> None:
    """Of calls that were opened; of calls that were answered, by the time really talked."""
    [level_1] = [one for one in bank.cashier.traffic("destination", BEGIN, END) if one.level == 1]

    assert (Decimal("60.0"), Decimal("46.5")) == (level_1.asr_percent, level_1.acd_s)  # 3 of 5; 139.5 s / 3


@pytest.mark.parametrize("by", ["destination", "reseller", "carrier", "account"])
def test_a_period_without_calls_is_empty(bank: Bank, by: TrafficBy) -> None:
    """No line, no division by nothing."""
    assert [] == bank.cashier.traffic(by, BEGIN - timedelta(days=9), BEGIN)


def test_the_levels_of_a_report_add_up_to_the_entries(bank: Bank) -> None:
    """What was charged in the period, all levels together, is what the accounts' entries of calls say."""
    total = sum(one.revenue for one in bank.cashier.traffic("account", BEGIN, END))

    assert bank.sql("SELECT -SUM(amount) AS total FROM entry WHERE kind = 'call'")[0]["total"] == total


def test_a_report_reads_the_calls_of_its_period(bank: Bank) -> None:
    """By index: an archive of years costs a report of a day nothing."""
    bank.sql(
        "INSERT INTO cdr (call_key, node, account_id, caller, callee, dialled, source, sip_call_id, opened_at,"
        " ended_at, result, settled_at) SELECT CONCAT('00TR', LPAD(seq, 22, '0')), 'n', 1, '', '', '', '', '',"
        " '2020-01-01', '2020-01-01', 'busy', '2020-01-01' FROM seq_1_to_5000"
    )
    bank.sql("INSERT INTO cdr_archive SELECT * FROM cdr WHERE call_key LIKE '00TR%%'")
    for table in ("attempt", "attempt_archive"):
        bank.sql(f"INSERT INTO {table} SELECT call_key, 1, 1, 503, ended_at FROM cdr WHERE call_key LIKE '00TR%%'")

    for by in ("account", "carrier"):
        assert rows_read(bank.another("cashier"), lambda ledger, by=by: ledger.traffic(by, BEGIN, END)) < 1000
