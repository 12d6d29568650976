"""The client: what it makes of a server that is away, slow, busy, or that hangs up in the middle."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pymysql
import pytest

from billing.errors import LedgerBusy, LedgerError, LedgerUnavailable, SettingsError
from billing.ledger import Ledger, LedgerAddress
from billing.settings import DatabaseSettings
from tests.db.bank import PASSWORDS, Bank, new_key, request


class Gate:
    """A TCP relay in front of the server: it may hang, or hang up before or after a request went through."""

    def __init__(self, port: int) -> None:
        self.server_port = port
        self.mode = "open"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._sockets: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.server_port))
                self._sockets += [client, server]
                for source, target, back in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._pump, args=(source, target, back), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, back: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self.mode == "silent":
                    continue
                if self.mode == "lose the answer" and back:
                    source.shutdown(socket.SHUT_RDWR)
                    target.shutdown(socket.SHUT_RDWR)
                    return
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def gate(bank: Bank) -> Iterator[Gate]:
    gate = Gate(bank.server.port)
    yield gate
    gate.close()


@pytest.fixture
def through(bank: Bank, gate: Gate) -> Callable[[str], Ledger]:
    """Clients whose server is behind the gate, with the time-outs of a proxy."""
    return lambda role: bank.another(role, port=gate.port, timeout_s=1.0)


def test_a_server_that_is_away_is_unavailable_at_once(bank: Bank) -> None:
    """Nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    ledger = bank.another("proxy", port=port, timeout_s=1.0)

    with pytest.raises(LedgerUnavailable, match="refused"):
        ledger.identify_account(1)


def test_a_silent_server_is_unavailable_after_its_time(bank: Bank, gate: Gate, through: Any) -> None:
    """Also when it falls silent after the connection was made; the next call, when it talks again, is fine."""
    ledger = through("proxy")
    assert ledger.identify_account(999_999) is None
    gate.mode = "silent"

    with pytest.raises(LedgerUnavailable, match="timed out"):
        ledger.identify_account(999_999)

    gate.mode = "open"
    assert ledger.identify_account(999_999) is None
    ledger.close()


def test_a_lost_answer_is_unknown_and_found_by_its_key(bank: Bank, gate: Gate, through: Any) -> None:
    """The server did it, the client did not hear: called again with its key it gets the stored answer, once."""
    account, key, call = bank.account(), new_key(), new_key()
    cashier, proxy = through("cashier"), through("proxy")
    assert (cashier.audit(), proxy.config_version() >= 0) == ([], True)
    gate.mode = "lose the answer"
    with pytest.raises(LedgerUnavailable):
        cashier.top_up(key, account, "5", "ann")
    gate.mode = "open"
    assert cashier.top_up(key, account, "5", "ann").balance == 5

    gate.mode = "lose the answer"
    with pytest.raises(LedgerUnavailable):
        proxy.open_call(call, request([account]))
    gate.mode = "open"
    assert proxy.open_call(call, request([account])).outcome == "opened"

    assert (5, 1) == (bank.purse(account)["balance"], bank.purse(account)["calls"])
    bank.give_up(call)
    cashier.close()
    proxy.close()


def test_a_killed_connection_is_opened_again(bank: Bank) -> None:
    """It died while nobody used it: the call that meets it connects again, and its caller does not notice."""
    ledger = bank.another("proxy")
    ledger.config_version()
    bank.sql(f"KILL {ledger._connected().thread_id()}")

    assert ledger.config_version() >= 0
    ledger.close()


@pytest.mark.parametrize("change", [{"password": "wrong"}, {"user": "nobody"}, {"database": "nowhere"}])
def test_a_login_that_is_not_let_in_is_unavailable(bank: Bank, change: dict[str, str]) -> None:
    """No call may start on it, and the message says why."""
    with pytest.raises(LedgerUnavailable, match=r"Access denied|Unknown database"):
        bank.another("proxy", **change).config_version()


def test_what_a_login_may_not_ask_is_an_error_and_not_an_absence(bank: Bank) -> None:
    """The connection stays."""
    with pytest.raises(LedgerError, match="denied") as refusal:
        bank.proxy.top_up(new_key(), 1, "1", "ann")
    assert not isinstance(refusal.value, LedgerUnavailable)


@pytest.mark.parametrize("server_passes_over_it", [False, True], ids=["rolled back", "left open"])
def test_nothing_stays_open_after_an_error(bank: Bank, server_passes_over_it: bool) -> None:
    """Where the ROLLBACK of a routine's handler comes to nothing, too (docs/kamailio.md, 70)."""
    change = (
        "UPDATE JSON_TABLE('[1]', '$[*]' COLUMNS (id INT PATH '$')) AS one STRAIGHT_JOIN guarded ON guarded.id = one.id"
        " SET guarded.amount = -1"
    )
    bank.sql("CREATE TABLE guarded (id INT PRIMARY KEY, amount INT, CHECK (amount >= 0))")
    bank.sql("INSERT INTO guarded VALUES (1, 1), (2, 2)")
    bank.sql(f"CREATE PROCEDURE change_it() {change if server_passes_over_it else 'UPDATE guarded SET amount = -1'}")
    bank.sql(
        "CREATE PROCEDURE fail_at_a_check() BEGIN DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;"
        " START TRANSACTION; UPDATE guarded SET amount = 0 WHERE id = 2; CALL change_it(); COMMIT; END"
    )
    bank.sql("GRANT EXECUTE ON PROCEDURE fail_at_a_check TO meterline_admin@'127.0.0.1'")
    try:
        with pytest.raises(LedgerError, match="CONSTRAINT"):
            bank.admin._call("fail_at_a_check")
        assert [{"open": 0}] == bank.admin._select("SELECT @@in_transaction AS open")
        assert [{"amount": 1}, {"amount": 2}] == bank.sql("SELECT amount FROM guarded ORDER BY id FOR UPDATE")
    finally:
        bank.sql("DROP PROCEDURE fail_at_a_check")
        bank.sql("DROP PROCEDURE change_it")
        bank.sql("DROP TABLE guarded")


def test_a_lock_that_another_holds_is_waited_for_and_then_given_up(bank: Bank) -> None:
    """A second, and not again: others wait for us. Nothing happened, and the same key works later."""
    account, key = bank.account("5"), new_key()
    holder = pymysql.connect(**bank.server.admin_params(), database=bank.database)
    patient = bank.another("cashier", attempts=2)
    with holder.cursor() as cursor:
        cursor.execute("SELECT * FROM purse WHERE account_id = %s FOR UPDATE", (account,))

    with pytest.raises(LedgerBusy, match="Lock wait timeout"):
        patient.top_up(key, account, "1", "ann")

    holder.rollback()
    holder.close()
    assert patient.top_up(key, account, "1", "ann").balance == 6
    patient.close()


@pytest.mark.parametrize("code", [1213, 1020])
def test_a_routine_that_the_server_undid_is_called_again(bank: Bank, code: int) -> None:
    """Deadlock, conflict of snapshots or nodes: the caller does not notice, three times in a row at most."""
    bank.sql("CREATE TABLE undone (left_over INT)")
    bank.sql("INSERT INTO undone VALUES (2)")
    bank.sql(
        "CREATE PROCEDURE sometimes_undone() BEGIN UPDATE undone SET left_over = left_over - 1;"
        f" IF (SELECT left_over FROM undone) >= 0 THEN SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = {code},"
        " MESSAGE_TEXT = 'undone'; END IF; SELECT 'fine' AS outcome; END"
    )
    bank.sql("GRANT EXECUTE ON PROCEDURE sometimes_undone TO 'meterline_proxy'@'127.0.0.1'")
    try:
        assert bank.proxy._call("sometimes_undone") == [{"outcome": "fine"}]
        bank.sql("UPDATE undone SET left_over = 3")
        with pytest.raises(LedgerBusy, match="undone"):
            bank.proxy._call("sometimes_undone")
    finally:
        bank.sql("DROP PROCEDURE sometimes_undone")
        bank.sql("DROP TABLE undone")


def test_the_session_is_as_the_ledger_wants_it(bank: Bank) -> None:
    """Autocommit, READ COMMITTED, UTC, strict."""
    (row,) = bank.proxy._select(
        "SELECT @@autocommit AS a, @@tx_isolation AS i, @@time_zone AS z, @@innodb_lock_wait_timeout AS l,"
        " @@sql_mode AS m"
    )

    assert (1, "READ-COMMITTED", "+00:00", 1) == (row["a"], row["i"], row["z"], row["l"])
    assert "STRICT_ALL_TABLES" in row["m"]


def test_the_settings_lead_to_the_server(bank: Bank) -> None:
    """Each role by its own login; a missing password is said before anything is tried."""
    database = DatabaseSettings(
        port=bank.server.port,
        name=bank.database,
        proxy_password=PASSWORDS["proxy"],
        timeout_s=5,  # type: ignore[arg-type]
    )
    ledger = Ledger.for_proxy(database)
    ledger.check_settings()
    assert ledger.identify_account(999_999) is None
    ledger.close()

    with pytest.raises(SettingsError, match="admin_password"):
        Ledger.for_role(database, "admin")


def test_a_socket_leads_there_too(bank: Bank) -> None:
    """And a password never shows in a log."""
    address = LedgerAddress(
        socket=bank.server.socket, database=bank.database, user="meterline_proxy", password=PASSWORDS["proxy"]
    )
    ledger = Ledger(address)

    assert ledger.config_version() >= 0
    assert PASSWORDS["proxy"] not in repr(address)
    ledger.close()
    ledger.close()


def test_amounts_and_times_come_as_exact_types(bank: Bank) -> None:
    """Decimal and aware UTC; never float, never naive."""
    account = bank.account("0.1")
    bank.cashier.top_up(new_key(), account, "0.2", "ann")

    (row,) = [one for one in bank.cashier.accounts() if one.account_id == account]

    assert Decimal("0.3") == row.balance
    assert isinstance(row.balance, Decimal)
    assert row.created_at.tzinfo is not None
