"""A routine is a transaction of its own: it runs in no other, and leaves nothing half done."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pymysql
import pytest

from billing.errors import LedgerRefused, LedgerUnavailable
from db.migrate import FOLDER
from tests.db.bank import Bank, new_key, request, settlement

LOCK_WAIT_TIMEOUT = 1205


@pytest.fixture
def root(bank: Bank) -> Iterator[pymysql.connections.Connection[Any]]:
    """The administrator's connection, which may call everything."""
    connection = pymysql.connect(**bank.server.admin_params(), database=bank.database, autocommit=True)
    yield connection
    connection.close()


def _public_routines(bank: Bank) -> dict[str, int]:
    rows = bank.sql(
        "SELECT DISTINCT r.routine_name AS name, (SELECT COUNT(*) FROM information_schema.parameters AS p"
        " WHERE p.specific_schema = r.routine_schema AND p.specific_name = r.routine_name) AS arguments"
        " FROM information_schema.routines AS r JOIN mysql.procs_priv AS g ON g.routine_name = r.routine_name"
        " AND g.db = r.routine_schema WHERE r.routine_schema = DATABASE()"
        " AND g.user NOT IN ('meterline_owner', 'meterline_archivist')"
    )
    return {row["name"]: row["arguments"] for row in rows}


def test_every_routine_refuses_to_run_inside_a_transaction(bank: Bank, root: Any) -> None:
    """Its COMMIT would commit half of somebody else's work. The transaction around it stays as it was."""
    routines = _public_routines(bank)
    assert len(routines) > 50

    for name, arguments in routines.items():
        with root.cursor() as cursor:
            cursor.execute("START TRANSACTION")
            cursor.execute("INSERT INTO node (name, booted_at, heartbeat_at) VALUES ('half done', NOW(), NOW())")
            with pytest.raises(pymysql.err.OperationalError, match=f"in_transaction: {name}"):
                cursor.execute(f"CALL {name}({', '.join(['NULL'] * arguments)})")
            cursor.execute("SELECT @@in_transaction")
            assert cursor.fetchone() == (1,)
            cursor.execute("ROLLBACK")
    assert bank.sql("SELECT 1 FROM node WHERE name = 'half done'") == []


def test_what_was_answered_is_committed(bank: Bank, root: Any) -> None:
    """Also for a client that forgot autocommit: its ROLLBACK does not take it back."""
    account, key = bank.account(), new_key()
    with root.cursor() as cursor:
        cursor.execute("SET autocommit = 0")
        cursor.execute("CALL top_up(%s, %s, '3', 'ann', '', '')", (key, account))
        cursor.execute("ROLLBACK")

    assert bank.purse(account)["balance"] == 3


def test_a_lock_wait_in_the_middle_undoes_all(bank: Bank, root: Any) -> None:
    """Without a handler the first half would stay open, and the next call on the connection would commit it."""
    one, two = bank.account("10"), bank.account("10")
    waiting = bank.plain("cashier")
    with root.cursor() as holder, waiting.cursor() as cursor:
        cursor.execute("SET innodb_lock_wait_timeout = 1")
        holder.execute("START TRANSACTION")
        holder.execute("SELECT * FROM purse WHERE account_id = %s FOR UPDATE", (two,))
        with pytest.raises(pymysql.err.OperationalError) as error:
            cursor.execute("CALL transfer(%s, %s, %s, '4', 'ann', '')", (new_key(), one, two))
        holder.execute("ROLLBACK")
        cursor.execute("SELECT @@in_transaction")
        assert cursor.fetchone() == (0,)
        cursor.execute("CALL top_up(%s, %s, '1', 'ann', '', '')", (new_key(), two))
    waiting.close()

    assert error.value.args[0] == LOCK_WAIT_TIMEOUT
    assert [10, 11] == [bank.purse(account)["balance"] for account in (one, two)]


def test_an_error_after_the_first_write_undoes_all(bank: Bank, root: Any) -> None:
    """The second account of a transfer is full: the first one's debit goes back too, and so does the key."""
    one, two, key = bank.account("10"), bank.account("999999999999"), new_key()

    with pytest.raises(pymysql.err.MySQLError, match="too large"), root.cursor() as cursor:
        cursor.execute("CALL transfer(%s, %s, %s, '4', 'ann', '')", (key, one, two))

    assert bank.purse(one)["balance"] == 10
    assert bank.sql("SELECT 1 FROM money_key WHERE entry_key = %s", key) == []
    bank.cashier.adjust(new_key(), two, "-999999999999", "ann", "back to nothing")


@pytest.mark.parametrize("table", ["live_call", "live_leg", "cdr", "cdr_leg", "entry"])
def test_whatever_breaks_in_a_settlement_it_is_all_or_nothing(new_bank: Any, table: str) -> None:
    """Each table that a settlement writes is broken in turn: the call stays live, money and counters as they were."""
    bank = new_bank()
    accounts = bank.chain("10", "10")
    key = bank.opened(accounts)
    trigger = "DELETE" if table.startswith("live") else "INSERT"
    bank.sql(f"CREATE TRIGGER broken BEFORE {trigger} ON {table} FOR EACH ROW SIGNAL SQLSTATE '45000'"
             " SET MESSAGE_TEXT = 'broken: on purpose'")  # fmt: skip
    before = [bank.purse(account) for account in accounts]

    with pytest.raises(LedgerRefused, match="on purpose"):
        bank.proxy.settle_call(key, settlement(["0.6", "0.3"]))

    assert before == [bank.purse(account) for account in accounts]
    assert bank.cashier.audit() == []
    bank.sql("DROP TRIGGER broken")
    assert bank.proxy.settle_call(key, settlement(["0.6", "0.3"])).outcome == "settled"
    assert bank.cashier.audit() == []


@pytest.mark.parametrize("table", ["live_call", "live_leg"])
def test_whatever_breaks_in_an_open_it_is_all_or_nothing(new_bank: Any, table: str) -> None:
    """No hold without its call, no call without its hold."""
    bank = new_bank()
    account, key = bank.account("10"), new_key()
    bank.sql(f"CREATE TRIGGER broken AFTER INSERT ON {table} FOR EACH ROW SIGNAL SQLSTATE '45000'"
             " SET MESSAGE_TEXT = 'broken: on purpose'")  # fmt: skip

    with pytest.raises(LedgerRefused, match="on purpose"):
        bank.proxy.open_call(key, request([account]))

    assert (0, 0) == (bank.purse(account)["held"], bank.purse(account)["calls"])
    assert bank.cashier.audit() == []


def test_an_answer_is_read_to_its_end(bank: Bank) -> None:
    """Rows first, an error after them: the rows are not true, and the client says so."""
    bank.sql(
        "CREATE OR REPLACE PROCEDURE late_error()"
        " BEGIN SELECT 'ok' AS outcome; CALL refuse('late: after the rows'); END"
    )
    bank.sql("GRANT EXECUTE ON PROCEDURE late_error TO 'meterline_proxy'@'127.0.0.1'")

    with pytest.raises(LedgerRefused, match="late: after the rows"):
        bank.proxy._call("late_error")
    bank.sql("DROP PROCEDURE late_error")


@pytest.mark.parametrize("value", ["12abc", "abc", "-1", "1" * 30, "1.5e400"])
def test_a_value_that_does_not_fit_leaves_no_transaction_open(bank: Bank, value: str) -> None:
    """ "12abc" for a number is an error of the class of warnings (1265), which a handler for SQLEXCEPTION lets pass:
    the transaction would stay open, with its locks, until the connection ended."""
    account, connection = bank.account("10"), bank.plain("proxy")
    content = {
        "node": "n", "user": None, "caller": "c", "callee": "49", "dialled": "d", "source": "s", "sip_call_id": "i",
        "sip_from_tag": "f", "rated_at": "2026-03-01 12:00:00", "limit_s": value, "ring_limit_s": value, "steps": [120],
        "legs": [{"account": account, "tariff": 1, "rate_id": value, "destination": "D", "rate": "{}",
                  "holds": ["1.2"], "smallest": "0.01"}],
    }  # fmt: skip
    with connection.cursor() as cursor:
        with pytest.raises(pymysql.err.MySQLError):
            cursor.execute("CALL open_call(%s, %s)", (new_key(), json.dumps(content)))
        cursor.execute("SELECT @@in_transaction")
        assert cursor.fetchone() == (0,)
    connection.close()
    assert bank.purse(account)["held"] == 0


def test_every_routine_with_a_transaction_is_written_alike() -> None:
    """Refuses another around it, handles every error with ROLLBACK and RESIGNAL, reads what is committed, commits."""
    handler = re.compile(
        r"DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 [^\n]*\n\s+BEGIN\n\s+ROLLBACK;\n"
        r"(?:\s+CALL refuse_staged\([^\n]*\);\n)?\s+RESIGNAL;\n\s+END;"  # which says what it is about, if it knows
    )
    files = [path for path in (FOLDER / "routines").glob("*.sql") if "START TRANSACTION" in path.read_text()]
    assert len(files) > 40

    for path in files:
        sql = path.read_text()
        assert "COMMIT;" in sql, path.name
        assert "DELIMITER" not in sql, path.name
        if path.stem == "reap_call":
            continue  # its only caller, reap_calls, handles errors
        assert handler.search(sql), path.name
        internal = path.stem in {  # their callers refuse
            "move_money", "write_prefix_rule", "change_cards", "change_vouchers", "check_card_pin", "empty_deck",
        }  # fmt: skip
        assert internal or f"CALL refuse_in_transaction('{path.stem}')" in sql, path.name


def test_a_connection_on_which_something_was_left_open_is_given_up(bank: Bank) -> None:
    """The client notices, and asks again on another one: nothing was done on the first."""
    account = bank.account()
    ledger = bank.another("cashier")
    with ledger._connected().cursor() as cursor:
        cursor.execute("START TRANSACTION")

    assert ledger.top_up(new_key(), account, "1", "ann").balance == 1
    ledger.close()


def test_a_killed_statement_gives_its_locks_back(bank: Bank) -> None:
    """KILL QUERY passes every handler by; the client closes the connection, and with it the transaction."""
    account, other = bank.account("5"), bank.account("5")
    one, two = sorted((account, other))
    holder = pymysql.connect(**bank.server.admin_params(), database=bank.database)
    victim = bank.another("cashier")
    victim.audit()
    with holder.cursor() as cursor:
        cursor.execute("SELECT * FROM purse WHERE account_id = %s FOR UPDATE", (two,))
    killer = threading.Timer(0.3, lambda: bank.sql(f"KILL QUERY {victim._connected().thread_id()}"))
    killer.start()

    with pytest.raises(LedgerUnavailable):
        victim.transfer(new_key(), one, two, "1", "ann")

    killer.join()
    holder.rollback()
    holder.close()
    assert bank.cashier.transfer(new_key(), one, two, "1", "ann")[0].balance == 4
    victim.close()


@pytest.mark.parametrize("length", [4, 6, 9])
def test_a_session_that_cuts_lists_short_charges_everybody(bank: Bank, length: int) -> None:
    """group_concat_max_len bounds JSON_ARRAYAGG, too. Whatever the session says, all legs are locked, held, charged and
    answered for."""

    def cut_short() -> None:
        with bank.proxy._connected().cursor() as cursor:
            cursor.execute(f"SET SESSION group_concat_max_len = {length}")

    accounts = bank.chain("10", "10", "10")
    cut_short()
    key = bank.opened(accounts)
    cut_short()
    assert bank.proxy.extend_call(key, 120, 180, dict.fromkeys(range(3), Decimal("1.8"))).outcome == "extended"
    cut_short()
    answer = bank.proxy.settle_call(key, settlement(["0.6", "0.5", "0.4"], 180))
    assert ("settled", list(accounts)) == (answer.outcome, [leg.account_id for leg in answer.legs])
    assert [Decimal("9.4"), Decimal("9.5"), Decimal("9.6")] == [bank.available(account) for account in accounts]
    lost = bank.opened(accounts)
    bank.overdue(lost)
    cut_short()
    assert lost in bank.proxy.reap_calls("node1", 10)
    bank.proxy.close()
