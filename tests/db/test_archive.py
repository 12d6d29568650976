"""Retention: what is old leaves the tables that calls write, and nothing that anybody can ask says anything else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pymysql
import pytest

from billing.errors import LedgerUnavailable
from billing.ledger import Ledger
from billing.report_types import Archived
from stack.mariadb import PrivateMariaDB
from tests.db.bank import Bank, call_record, new_key, refused, request, rows_read, settlement
from tests.db.cards import sold, vouchers

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
BORDER = datetime.now(UTC).replace(microsecond=0) - timedelta(days=40)
END = datetime.now(UTC) + timedelta(days=1)


WRITTEN = (
    *("live_call", "live_leg", "cdr", "cdr_leg", "entry", "money_key", "purse"),
    *("cdr_archive", "cdr_leg_archive", "entry_archive", "balance_checkpoint", "correction", "correction_archive"),
    *("attempt", "attempt_archive"),
    *("card", "card_batch", "voucher", "voucher_batch", "credential_card", "account"),
)


@pytest.fixture(scope="module")
def ledger(server: PrivateMariaDB) -> Iterator[Bank]:
    bank = Bank.found(server, "archive")
    bank.sql("SET foreign_key_checks = 0")
    yield bank
    bank.close()


@pytest.fixture
def bank(ledger: Bank) -> Bank:
    """A ledger without a past."""
    for table in WRITTEN:
        ledger.sql(f"DELETE FROM {table}")
    ledger.sql("UPDATE retention SET archived_before = '1970-01-01', account_id = 0")
    return ledger


def name_of(bank: Bank, account: int) -> str:
    return str(bank.sql("SELECT name FROM account WHERE id = %s", account)[0]["name"])


def call(bank: Bank, *accounts: int, charges: tuple[str, ...] = ("0.60", "0.30")) -> str:
    key = bank.opened(accounts)
    bank.proxy.record_attempt(key, 1, 8, 503, 0)
    bank.proxy.settle_call(key, settlement(charges[: len(accounts)]))
    return key


def age(bank: Bank, key: str, days: int = 100) -> None:
    """Let a movement or a call have happened so many days ago."""
    for table, columns in (("cdr", ("opened_at", "ended_at", "settled_at")), ("entry", ("created_at",))):
        where = "call_key" if table == "cdr" else "entry_key"
        changes = ", ".join(f"{column} = {column} - INTERVAL {days} DAY" for column in columns)
        bank.sql(f"UPDATE {table} SET {changes} WHERE {where} = %s", key)


def age_all(bank: Bank, days: int = 100) -> None:
    for row in bank.sql("SELECT DISTINCT entry_key FROM entry UNION SELECT call_key FROM cdr"):
        age(bank, row["entry_key"], days)
    bank.sql("UPDATE purse SET spend_day = spend_day - INTERVAL %s DAY", days)


def archive(bank: Bank, batch: int = 500) -> tuple[int, int]:
    moved = list(bank.admin.archive(BORDER, batch))
    return sum(one.calls for one in moved), sum(one.entries for one in moved)


def clean(bank: Bank) -> bool:
    return bank.cashier.audit() == bank.cashier.audit_archive() == []


def test_nothing_that_can_be_asked_is_another_after_it(bank: Bank) -> None:
    """Balances, statements, traffic, the export: all as before, across the border, too."""
    chain = bank.chain("100", "100")
    for days in (300, 120, 60):
        for _ in range(5):
            age(bank, call(bank, *chain), days)
        key = new_key()
        bank.cashier.adjust(key, chain[0], "-1.5", "ann", "a correction")
        age(bank, key, days)
    bank.sql("UPDATE purse SET spend_day = '1970-01-01', spent = 0")
    call(bank, *chain)
    names = [name_of(bank, account) for account in chain]

    def asked() -> list[object]:
        borders = [BEGIN - timedelta(days=2000), BORDER - timedelta(days=80), BORDER, END]
        return [
            *(bank.purse(account) for account in chain),
            *(bank.cashier.statement(name, a, b) for name in names for a in borders for b in borders if a <= b),
            *(
                bank.cashier.traffic(by, a, END)
                for by in ("account", "reseller", "destination", "carrier")
                for a in borders
            ),
            [(cdr.position, cdr.version, cdr.call_key, cdr.legs) for cdr in bank.cashier.export_cdrs(0)],
            bank.cashier._select("SELECT * FROM v_attempt ORDER BY call_key"),
        ]

    before = asked()
    assert (15, 33) == archive(bank)

    assert before == asked()
    assert clean(bank)
    assert [1, 4, 1] == [
        bank.sql(f"SELECT COUNT(*) AS n FROM {table}")[0]["n"] for table in ("cdr", "entry", "attempt")
    ]
    (shown, *_) = bank.cashier.cdrs(archived=True)
    assert [503] == [one.sip_code for one in shown.attempts]


def test_it_goes_on_where_it_was_stopped(bank: Bank) -> None:
    """Batches of a few; after each the books are right, and another run finishes."""
    chain = bank.chain("100", "100")
    for _ in range(11):
        call(bank, *chain)
    age_all(bank)

    batches = bank.admin.archive(BORDER, 4)
    assert [Archived(4, 8, done=False)] * 2 == [next(batches), next(batches)]
    assert clean(bank)
    assert (3, 8) == archive(bank, 4)

    assert (0, 0) == archive(bank)
    assert clean(bank)
    assert [] == bank.sql("SELECT * FROM entry")
    assert {name_of(bank, chain[0]): (Decimal("93.4"), 12), name_of(bank, chain[1]): (Decimal("96.7"), 12)} == {
        row["account_name"]: (row["balance"], row["entries"]) for row in bank.sql("SELECT * FROM v_checkpoint")
    }


def test_the_largest_batch_of_long_chains_is_moved(bank: Bank) -> None:
    """Its entries in one list are longer than what a session usually lets a list be."""
    chain, calls = bank.chain(*["0"] * 8), 2_000
    key, at = "CONCAT('01CA', LPAD(seq, 22, '0'))", "NOW() - INTERVAL 100 DAY"
    bank.sql(
        "INSERT INTO cdr (call_key, node, account_id, caller, callee, dialled, source, sip_call_id, opened_at,"
        f" ended_at, result, settled_at) SELECT {key}, 'n', {chain[0]}, '', '', '', '', '', {at}, {at}, 'answered',"
        f" {at} FROM seq_1_to_{calls}"
    )
    of_each = f"FROM purse JOIN seq_1_to_{calls}"
    bank.sql(
        "INSERT INTO cdr_leg (call_key, leg, account_id, tariff_id, destination, rate, hold, charge, balance_after)"
        f" SELECT {key}, account_id - {chain[-1]}, account_id, 1, 'D', '', 1, 0.5, 0 {of_each}"
    )
    bank.sql(f"INSERT INTO entry SELECT {key}, account_id, 'call', -0.5, 0, 0, 0, 'n', 'l', '', '', {at} {of_each}")
    bank.sql("UPDATE purse SET credit_limit = 1000, balance = %s", Decimal("-0.5") * calls)

    assert (calls, 8 * calls) == archive(bank, 5000)
    assert clean(bank)


def test_a_dry_run_says_what_would_be_moved_and_moves_nothing(bank: Bank) -> None:
    """The same figures."""
    account = bank.account("100")
    for _ in range(3):
        call(bank, account)
    age_all(bank)
    call(bank, account)

    due = bank.admin.archivable(BORDER)

    assert (3, 1, 0) == (due.calls, due.entries, due.provisional)
    assert 4 == len(bank.cashier.cdrs())
    assert (3, 4) == archive(bank)


@pytest.mark.parametrize("days", [0, 29])
def test_the_last_month_stays(bank: Bank, days: int) -> None:
    """Whoever asks for less gets nothing at all."""
    before = datetime.now(UTC) - timedelta(days=days)
    assert ["too_young"] * 2 == [
        refused(lambda: list(bank.admin.archive(before))), refused(lambda: bank.admin.archivable(before)),
    ]  # fmt: skip
    assert BEGIN.year > bank.admin.archived_before().year


def test_a_key_stays_spent_for_ever(bank: Bank) -> None:
    """A call's and a payment's: the archived answer comes again, and nothing is charged or booked twice."""
    account, other = bank.account("100"), bank.account("5")
    key, top_up, transfer, never = call(bank, account), new_key(), new_key(), new_key()
    bank.cashier.top_up(top_up, account, "7", "ann")
    bank.cashier.transfer(transfer, account, other, "2", "ann")
    bank.proxy.record_call(never, call_record(account))
    age_all(bank)
    first = bank.proxy.settle_call(key, settlement(["0.60"]))
    archive(bank)
    before = bank.purse(account)

    assert "call_ended" == bank.proxy.open_call(key, request([account])).outcome
    assert ("already", first.legs) == (bank.proxy.settle_call(key, settlement(["0.10"])).outcome, first.legs)
    assert first == bank.proxy.settle_call(key, settlement(["0.10"]))
    assert "settled" == bank.proxy.extend_call(key, 120, 180, {0: Decimal(2)}).outcome
    assert "settled" == bank.proxy.answer_call(key, 0)
    assert ["already"] * 2 == [bank.proxy.record_call(one, call_record(account)) for one in (key, never)]
    assert ["already", "recorded"] == [bank.proxy.record_attempt(key, number, 8, 408, 0) for number in (1, 2)]
    assert [(key, 1), (key, 2)] == [
        (row["call_key"], row["ordinal"]) for row in bank.sql("SELECT * FROM attempt_archive ORDER BY ordinal")
    ]
    assert None is bank.proxy.call_to_settle(key)
    correct = (new_key(), key, 0, "0.6", "0.1", None, "{}", "ann", "wrong tariff", False)
    assert "call_archived" == refused(lambda: bank.cashier._call("correct_charge", *correct))
    assert Decimal("106.4") == bank.cashier.top_up(top_up, account, "7", "ann").balance
    assert [Decimal(-2), Decimal(2)] == [
        posted.amount for posted in bank.cashier.transfer(transfer, account, other, "2", "ann")
    ]
    assert "key_conflict" == refused(lambda: bank.cashier.top_up(top_up, account, "8", "ann"))
    assert before == bank.purse(account)
    assert clean(bank)


def test_cards_and_vouchers_of_long_ago_keep_their_value(bank: Bank) -> None:
    """The audit finds what made their money; the same key is answered as it was, and a code stays used up."""
    _, (code,) = vouchers(bank)
    card, customer, key = sold(bank), bank.name_of(bank.account("1", kind="customer")), new_key()
    paid = bank.cashier.redeem_voucher(key, code, customer, "", "ann")
    age_all(bank)

    assert (0, 3) == archive(bank)

    assert clean(bank)
    assert paid == bank.cashier.redeem_voucher(key, code, customer, "", "ann")
    assert "voucher_refused" == refused(lambda: bank.cashier.redeem_voucher(new_key(), code, customer, "", "ann"))
    assert Decimal(10) == bank.purse(card)["balance"]
    bank.sql("DELETE FROM entry_archive WHERE kind = 'voucher'")
    assert "voucher" in {found.what for found in bank.cashier.audit()}


def test_a_call_whose_truth_is_unknown_stays_until_it_is_known(bank: Bank) -> None:
    """However old: its node may come back, and then money goes back, too."""
    account = bank.account("10")
    key = bank.opened([account])
    bank.proxy.answer_call(key, 0)
    bank.overdue(key)
    bank.proxy.reap_calls(None, 10)
    age_all(bank)

    assert (0, 1) == archive(bank)
    assert 1 == bank.admin.archivable(BORDER).provisional
    assert "refunded" == bank.proxy.settle_call(key, settlement(["0.60"])).outcome
    assert Decimal("9.4") == bank.purse(account)["balance"]
    assert clean(bank)
    age(bank, key)
    assert (1, 2) == archive(bank)
    assert clean(bank)


def test_a_forced_debit_of_long_ago_still_explains_an_account_below_zero(bank: Bank) -> None:
    """The audit looks for it."""
    account = bank.account("1")
    bank.cashier.adjust(new_key(), account, "-5", "ann", "chargeback", force=True)
    age_all(bank)

    assert (0, 2) == archive(bank)
    assert clean(bank)


def test_the_day_of_the_last_call_may_be_archived(bank: Bank) -> None:
    """What an account spent on it counts no more; the next call's day is counted anew."""
    account = bank.account("100")
    call(bank, account)
    age_all(bank)
    archive(bank)
    assert clean(bank)
    call(bank, account, charges=("0.40",))

    assert (Decimal("0.4"), Decimal(99)) == (bank.purse(account)["spent"], bank.purse(account)["balance"])
    assert clean(bank)


def test_calls_go_on_while_it_runs(bank: Bank) -> None:
    """Six connections call on the accounts whose past is being moved; nobody waits for long, nothing is lost."""
    accounts = [bank.account("100") for _ in range(3)]
    for account in accounts * 40:
        call(bank, account, charges=("0.01",))
    age_all(bank)
    total = []

    def work(ledger, number: int) -> None:
        if number == 0:
            total.extend(ledger.archive(BORDER, 7))
            return
        proxy = bank.another("proxy")
        for _ in range(15):
            key = new_key()
            proxy.open_call(key, request([accounts[number % 3]]))
            proxy.settle_call(key, settlement(["0.01"]))
        proxy.close()

    bank.at_once("admin", 7, work)

    assert 120 == sum(one.calls for one in total)
    assert clean(bank)
    assert [Decimal("99.3"), Decimal("99.3"), Decimal("99.3")] == [bank.purse(one)["balance"] for one in accounts]


def test_an_export_meanwhile_misses_nothing_and_repeats_nothing(bank: Bank) -> None:
    """Calls are archived that a reader has and has not had, published and not; others are settled; three read."""
    account = bank.account("100")
    made = [call(bank, account, charges=("0.01",)) for _ in range(60)]
    age_all(bank)
    had = bank.cashier.export_cdrs(0, limit=20)
    finished = threading.Event()

    def work(_: Ledger, number: int) -> list[str]:
        if number == 0:
            made.extend(call(bank, account, charges=("0.01",)) for _batch in bank.admin.archive(BORDER, 3))
            finished.set()
            return []
        reader, at, found = bank.another("cashier", lock_wait_s=30), had[-1].position, []
        while True:
            over = finished.is_set()
            batch = reader.export_cdrs(at, limit=4 + number)
            found += [cdr.call_key for cdr in batch]
            if over and not batch:
                reader.close()
                return found
            at = batch[-1].position if batch else at

    _, *readings = bank.at_once("cashier", 4, work)

    assert [sorted({*made} - {cdr.call_key for cdr in had})] * 3 == [sorted(reading) for reading in readings]
    assert sorted(made) == sorted(cdr.call_key for cdr in bank.cashier.export_cdrs(0))
    assert clean(bank)


def test_two_runs_at_once_move_each_row_once(bank: Bank) -> None:
    """One waits for the other."""
    account = bank.account("100")
    for _ in range(30):
        call(bank, account, charges=("0.01",))
    age_all(bank)

    moved = bank.at_once("admin", 3, lambda ledger, _: sum(one.calls for one in ledger.archive(BORDER, 4)))

    assert 30 == sum(moved)
    assert clean(bank)


@pytest.mark.parametrize("table", ["cdr", "cdr_leg", "entry"])
def test_a_batch_that_breaks_off_moves_nothing(bank: Bank, table: str) -> None:
    """At whichever of its steps."""
    account = bank.account("100")
    call(bank, account)
    age_all(bank)
    bank.sql(
        f"CREATE TRIGGER broken BEFORE DELETE ON {table} FOR EACH ROW"
        " SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'broken: on purpose'"
    )

    assert "broken" == refused(lambda: archive(bank))

    assert [0] * 4 == [
        bank.sql(f"SELECT COUNT(*) AS n FROM {name}")[0]["n"]
        for name in ("cdr_archive", "cdr_leg_archive", "entry_archive", "balance_checkpoint")
    ]
    assert clean(bank)
    bank.sql("DROP TRIGGER broken")
    assert (1, 2) == archive(bank)


def test_a_run_that_is_killed_loses_nothing(bank: Bank) -> None:
    """Its connection is cut in the middle of a batch; the next run finishes."""
    account = bank.account("100")
    for _ in range(10):
        call(bank, account, charges=("0.01",))
    age_all(bank)
    bank.sql("CREATE TRIGGER slow BEFORE DELETE ON cdr FOR EACH ROW SET @x = SLEEP(20)")
    runner = bank.another("admin")
    ended: list[type[BaseException]] = []

    def run() -> None:
        try:
            list(runner.archive(BORDER))
        except LedgerUnavailable as error:
            ended.append(type(error))

    thread = threading.Thread(target=run)
    thread.start()
    sleeper = "SELECT id FROM information_schema.processlist WHERE state = 'User sleep'"
    found: list[dict[str, object]] = []
    for _ in range(2000):
        if found := bank.sql(sleeper):
            break
    bank.sql(f"KILL {found[0]['id']}")
    thread.join()

    assert ([LedgerUnavailable], True) == (ended, clean(bank))
    bank.sql("DROP TRIGGER slow")
    assert 10 == archive(bank)[0]
    assert clean(bank)


@pytest.mark.parametrize(
    ("sabotage", "what"),
    [
        ("UPDATE balance_checkpoint SET balance = balance + 1", {"balance", "checkpoint"}),
        ("UPDATE balance_checkpoint SET entries = entries + 1", {"checkpoint_entries"}),
        ("UPDATE entry_archive SET amount = amount - 1 WHERE kind = 'call'", {"checkpoint", "archived_charge"}),
        ("DELETE FROM entry_archive WHERE kind = 'call'", {"checkpoint", "checkpoint_entries", "archived_charge"}),
        ("UPDATE cdr_leg_archive SET charge = 0", {"archived_charge"}),
        ("INSERT INTO cdr SELECT * FROM cdr_archive", {"archived_twice"}),
        ("INSERT INTO entry SELECT * FROM entry_archive WHERE kind = 'call'", {"archived_twice", "balance", "charge"}),
    ],
)
def test_the_audit_finds_what_somebody_did_to_the_archive(bank: Bank, sabotage: str, what: set[str]) -> None:
    """By its kind."""
    account = bank.account("100")
    call(bank, account)
    age_all(bank)
    archive(bank)

    bank.sql(sabotage)

    assert what == {found.what for found in [*bank.cashier.audit(), *bank.cashier.audit_archive()]}


def test_the_audit_of_every_day_does_not_read_the_archive(bank: Bank) -> None:
    """It takes as long as what is not archived."""
    account = bank.account("100")
    for _ in range(40):
        call(bank, account, charges=("0.01",))
    age_all(bank)
    ledger = bank.another("cashier")
    before = rows_read(ledger, lambda ledger: ledger.audit())
    archive(bank)

    after = rows_read(ledger, lambda ledger: ledger.audit())

    assert after < before - 40 * 3  # CDR leg, entry, and the day's entries
    ledger.close()


@pytest.mark.parametrize("table", ["cdr", "cdr_leg", "entry"])
def test_an_archive_has_the_columns_of_its_table(bank: Bank, table: str) -> None:
    """Rows are moved whole: a column that is missing, or stands elsewhere, would be lost or mixed up."""
    columns = (
        "SELECT column_name, column_type, is_nullable, column_default, collation_name FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = %s ORDER BY ordinal_position"
    )
    view = (
        "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = %s"
        " ORDER BY ordinal_position"
    )
    assert bank.sql(columns, table) == bank.sql(columns, f"{table}_archive")
    assert bank.sql(view, f"v_{table}") == bank.sql(view, f"v_{table}_archive")


def test_nobody_may_take_a_row_out_but_the_archivist(bank: Bank) -> None:
    """And he is locked, owns these few routines, and writes no balance."""
    deletes = bank.sql(
        "SELECT grantee, table_name FROM information_schema.table_privileges WHERE table_schema = DATABASE()"
        " AND privilege_type = 'DELETE' AND table_name IN ('entry', 'cdr', 'cdr_leg', 'money_key')"
    )
    assert {"'meterline_archivist'@'localhost'"} == {row["grantee"] for row in deletes}
    owned = bank.sql("SELECT name FROM mysql.proc WHERE db = DATABASE() AND definer LIKE 'meterline_archivist@%'")
    assert {"archive", "archive_calls", "archive_corrections", "archive_entries", "move_entries"} == {
        row["name"] for row in owned
    }
    rights = bank.sql("SHOW GRANTS FOR meterline_archivist@localhost")
    written = "\n".join(next(iter(row.values())) for row in rights)
    assert "`purse`" in written
    assert "GRANT SELECT ON" in next(line for line in written.splitlines() if "`purse`" in line)
    with pytest.raises(pymysql.err.OperationalError):
        pymysql.connect(unix_socket=str(bank.server.socket), user="meterline_archivist")


def corrected(bank: Bank, key: str, charge: str) -> None:
    """Correct what leg 0 of a call came to, 0.60, and let that have happened long ago, too."""
    run = new_key()
    bank.cashier._call("correct_charge", run, key, 0, "0.60", charge, None, "{}", "ann", "wrong deck", False)


def test_a_corrected_call_goes_with_its_corrections(bank: Bank) -> None:
    """And its entries with it, so that what it came to can still be seen; one that was corrected since stays."""
    (account,) = bank.chain("10")
    old, young = call(bank, account), call(bank, account)
    for key in (old, young):
        corrected(bank, key, "0.40")
    age_all(bank)
    bank.sql("UPDATE correction SET created_at = created_at - INTERVAL 100 DAY WHERE call_key = %s", old)
    balance = bank.purse(account)["balance"]
    due = bank.admin.archivable(BORDER)
    assert (1, 1) == (due.calls, due.entries)  # the top-up
    archive(bank)

    kept = {row["call_key"] for row in bank.sql("SELECT call_key FROM cdr")}
    assert ({young}, {young}) == (kept, {row["call_key"] for row in bank.sql("SELECT call_key FROM correction")})
    assert [(old, Decimal("0.40"))] == [
        (row["call_key"], row["corrected_charge"])
        for row in bank.sql("SELECT call_key, corrected_charge FROM v_cdr_leg_archive")
    ]
    assert 1 == len(bank.sql("SELECT 1 FROM correction_archive WHERE call_key = %s", old))
    assert ["correction"] == [row["kind"] for row in bank.sql("SELECT kind FROM entry WHERE kind = 'correction'")]
    assert balance == bank.purse(account)["balance"]
    assert ([], []) == (bank.cashier.audit(), bank.cashier._call("audit_archive"))
    bank.sql("UPDATE cdr_leg_archive SET corrected_charge = NULL")
    assert ["archived_charge"] == [row["what"] for row in bank.cashier._call("audit_archive")]
