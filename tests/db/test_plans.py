"""What a question costs must not grow with the history: rows that the server reads for each, on a filled ledger."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from billing.ledger import Ledger
from stack.mariadb import PrivateMariaDB
from tests.db.bank import Bank, new_key, request, rows_read, settlement

CALLS, ACCOUNTS, RATES, LIVE = 30_000, 300, 20_000, 2_000
BUSY, QUIET = 7, "card 9"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
FEW = 400
"""Rows: a page of twenty with its legs and names, plus the privilege checks. The tables have thousands."""


@pytest.fixture(scope="module")
def filled(server: PrivateMariaDB) -> Iterator[Bank]:
    """A ledger with many calls, entries, rates and calls in progress."""
    bank = Bank.found(server, "filled")
    bank.sql(
        "INSERT INTO account (kind, name, currency, tariff_id, created_at)"
        f" SELECT 'card', CONCAT('card ', seq), 'EUR', 1, NOW() FROM seq_1_to_{ACCOUNTS}"
    )
    bank.sql("INSERT INTO purse (account_id, balance) SELECT id, 1000000 FROM account")
    bank.sql(
        "INSERT INTO entry SELECT CONCAT('00TP', LPAD(account_id, 22, '0')), account_id, 'top_up', 1000000, 0, 0, 0,"
        " 'a', 'b', '', '', NOW() FROM purse"
    )
    key = "CONCAT('01CA', LPAD(seq, 22, '0'))"
    account = f"IF(seq % 3, 1 + seq % {ACCOUNTS}, {BUSY})"
    bank.sql(
        "INSERT INTO cdr (call_key, node, account_id, caller, callee, dialled, source, sip_call_id, opened_at,"
        f" ended_at, result, settled_at) SELECT {key}, 'n', {account}, '', '', '', '', '', NOW(), NOW(), 'answered',"
        f" NOW() FROM seq_1_to_{CALLS}"
    )
    bank.sql(
        "INSERT INTO cdr_leg (call_key, leg, account_id, tariff_id, rate_id, destination, rate, hold, charge,"
        f" balance_after) SELECT {key}, 0, {account}, 1, 1, 'D', '', 1, 0.5, 0 FROM seq_1_to_{CALLS}"
    )
    bank.sql(
        f"INSERT INTO entry SELECT {key}, {account}, 'call', -0.5, 0, 0, 0, 'n', 'l', '', '',"
        f" NOW() + INTERVAL seq SECOND FROM seq_1_to_{CALLS}"
    )
    bank.sql("UPDATE purse SET balance = (SELECT SUM(amount) FROM entry WHERE entry.account_id = purse.account_id)")
    bank.sql(
        "INSERT INTO rate (tariff_id, prefix, destination, effective_from)"
        f" SELECT 1, 100000 + seq, 'D', NOW() FROM seq_1_to_{RATES}"
    )
    live = "CONCAT('02CA', LPAD(seq, 22, '0'))"
    bank.sql(
        "INSERT INTO live_call (call_key, node, account_id, state, caller, callee, dialled, source, sip_call_id,"
        " sip_from_tag, grant_s, limit_s, ring_limit_s, rated_at, opened_at, answered_at, hold_until, content_hash)"
        f" SELECT {live}, CONCAT('node', seq % 2), 1 + seq % {ACCOUNTS}, 'answered', '', '', '', '', '', '', 120, 3600,"
        f" 60, NOW(), NOW(), NOW(), NOW() + INTERVAL 100 + seq SECOND, '' FROM seq_1_to_{LIVE}"
    )
    bank.sql(
        "INSERT INTO live_leg (call_key, leg, account_id, tariff_id, rate_id, destination, rate, hold,"
        f" available_before) SELECT {live}, 0, 1 + seq % {ACCOUNTS}, 1, 1, 'D', '', 1, 9 FROM seq_1_to_{LIVE}"
    )
    bank.sql(
        "UPDATE purse JOIN (SELECT account_id, SUM(hold) AS held, COUNT(*) AS calls FROM live_leg GROUP BY account_id)"
        " AS live USING (account_id) SET purse.held = live.held, purse.calls = live.calls"
    )
    for table in ("attempt", "attempt_archive"):
        bank.sql(f"INSERT INTO {table} SELECT call_key, 1, 1, 503, ended_at FROM cdr")
    bank.sql("ANALYZE TABLE account, purse, entry, cdr, cdr_leg, rate, live_call, live_leg")
    assert bank.cashier.audit() == []
    yield bank
    bank.drop()


@pytest.mark.parametrize(
    ("role", "ask"),
    [
        ("proxy", lambda ledger: ledger.identify_account(BUSY)),
        ("proxy", lambda ledger: ledger.rates_for(1, "100777123456789")),
        ("admin", lambda ledger: next(ledger.rate_pages(1, "100777"))),
        ("cashier", lambda ledger: list(ledger.legs_to_rerate(1, LONG_AGO, LONG_AGO, BUSY + 1))),
        ("proxy", lambda ledger: ledger.rates_of([1, 2], "100777123456789")),
        ("proxy", lambda ledger: ledger.live_call("02CA" + "7".zfill(22))),
        ("proxy", lambda ledger: ledger.live_calls("node1", due_within_s=120)),
        ("proxy", lambda ledger: ledger.call_to_settle("01CA" + "7".zfill(22)) or ""),
        ("proxy", lambda ledger: ledger.unanswered_calls("node1")),
        ("proxy", lambda ledger: ledger.reap_calls(None, 10)),
        ("cashier", lambda ledger: ledger.cdrs(limit=20)),
        ("cashier", lambda ledger: ledger.cdrs(account_id=BUSY, limit=20)),
        ("cashier", lambda ledger: ledger.cdrs(call_key="01CA" + "7".zfill(22))),
        ("cashier", lambda ledger: ledger.entries(limit=20)),
        ("cashier", lambda ledger: ledger.entries(account_id=BUSY, limit=20)),
        ("cashier", lambda ledger: ledger.card_owner("4711000815") or ""),
        ("cashier", lambda ledger: ledger.top_up("03CA" + "7".zfill(22), BUSY, "1", "ann")),
    ],
)
def test_a_question_reads_few_rows(filled: Bank, role: str, ask: Callable[[Ledger], object]) -> None:
    """By index, to the end."""
    ledger = filled.another(role)

    assert rows_read(ledger, ask) < FEW
    ledger.close()


@pytest.mark.parametrize(
    "ask",
    [
        lambda ledger: ledger.statement(QUIET, LONG_AGO, datetime.now(UTC)),
        lambda ledger: ledger._select("SELECT * FROM v_statement WHERE account_name = %s", QUIET),
        lambda ledger: ledger._select("SELECT * FROM v_statement WHERE account_name = %s AND at > UTC_DATE()", QUIET),
        lambda ledger: ledger._select("SELECT * FROM v_statement WHERE account_id = %s", BUSY + 2),
    ],
)
def test_a_statement_reads_the_entries_of_its_account(filled: Bank, ask: Callable[[Ledger], object]) -> None:
    """And their calls; not those of others."""
    ledger = filled.another("cashier")
    (own,) = filled.sql("SELECT COUNT(*) AS entries FROM entry JOIN account ON id = account_id WHERE name = %s", QUIET)

    assert rows_read(ledger, ask) < FEW + 6 * own["entries"] < CALLS / 20
    ledger.close()


def test_a_call_reads_few_rows(filled: Bank) -> None:
    """From open to settlement."""
    ledger = filled.another("proxy")

    def call(ledger: Ledger) -> object:
        key = new_key()
        ledger.open_call(key, request([BUSY]))
        ledger.answer_call(key, 0)
        return ledger.settle_call(key, settlement(["0.5"]))

    assert rows_read(ledger, call) < FEW
    ledger.close()


def test_the_audit_reads_each_row_a_few_times_at_most(filled: Bank) -> None:
    """Linear in the history: no join of all with all."""
    ledger = filled.another("cashier")

    rows = rows_read(ledger, lambda ledger: ledger.audit())

    assert rows < 5 * (2 * CALLS + LIVE + 10 * ACCOUNTS)
    ledger.close()


@pytest.mark.parametrize("view", ["audit_balance", "audit_charge"])
def test_what_grows_is_audited_from_indexes_alone(filled: Bank, view: str) -> None:
    """Without them it took ten minutes at ten million entries."""
    plan = filled.sql(f"EXPLAIN SELECT * FROM {view}")

    for row in plan:
        if row["table"] in {"entry", "cdr_leg"}:
            assert row["type"] == "index"
            assert "Using index" in row["Extra"]
