"""A routine that is broken off: each is called again as a whole, a bounded number of times, and has one effect.

Six routines: open_call, extend_call, settle_call, top_up, transfer, redeem_voucher. Broken off by a connection that
dies before and after COMMIT, by real deadlocks (1213), by conflicts (1020), and by locks that somebody holds (1205).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pymysql
import pytest

from billing.errors import LedgerBusy, LedgerUnavailable
from billing.ledger import Ledger
from billing.settings import DatabaseSettings
from stack.processes import wait_until
from tests.db.bank import PASSWORDS, Bank, new_key, request, settlement
from tests.db.cards import vouchers

LIMIT_S = 10
POLL_S = 0.15
"""information_schema.innodb_trx is a copy, and stays the same while somebody reads it every tenth of a second."""
BEFORE = (Decimal(10), Decimal(0), 0)
HELD = (Decimal(10), Decimal("1.2"), 1)


@dataclass
class Operation:
    """One call of a routine: who asks it, the purses that it locks, and what they are before and after."""

    role: str
    accounts: tuple[int, ...]
    ask: Callable[[Ledger], Any]
    before: list[tuple[Decimal, Decimal, int]]
    after: list[tuple[Decimal, Decimal, int]]
    key: str

    def state(self, bank: Bank) -> list[tuple[Decimal, Decimal, int]]:
        """Balance, held and calls of each account."""
        purses = [bank.purse(account) for account in self.accounts]
        return [(purse["balance"], purse["held"], purse["calls"]) for purse in purses]


def open_call(bank: Bank) -> Operation:
    accounts, key = bank.chain("10", "10"), new_key()
    return Operation("proxy", accounts, lambda ledger: ledger.open_call(key, request(accounts)), [BEFORE] * 2,
                     [HELD] * 2, key)  # fmt: skip


def extend_call(bank: Bank) -> Operation:
    accounts = bank.chain("10", "10")
    key, holds = bank.opened(accounts), dict.fromkeys((0, 1), Decimal("1.8"))
    return Operation("proxy", accounts, lambda ledger: ledger.extend_call(key, 120, 180, holds), [HELD] * 2,
                     [(Decimal(10), Decimal("1.8"), 1)] * 2, key)  # fmt: skip


def settle_call(bank: Bank) -> Operation:
    accounts = bank.chain("10", "10")
    key = bank.opened(accounts)
    return Operation("proxy", accounts, lambda ledger: ledger.settle_call(key, settlement(["0.6", "0.3"])), [HELD] * 2,
                     [(Decimal("9.4"), Decimal(0), 0), (Decimal("9.7"), Decimal(0), 0)], key)  # fmt: skip


def top_up(bank: Bank) -> Operation:
    account, key = bank.account("10"), new_key()
    return Operation("cashier", (account,), lambda ledger: ledger.top_up(key, account, "5", "ann"), [BEFORE],
                     [(Decimal(15), Decimal(0), 0)], key)  # fmt: skip


def transfer(bank: Bank) -> Operation:
    accounts, key = bank.chain("10", "10"), new_key()
    return Operation("cashier", accounts, lambda ledger: ledger.transfer(key, *accounts, "4", "ann"), [BEFORE] * 2,
                     [(Decimal(6), Decimal(0), 0), (Decimal(14), Decimal(0), 0)], key)  # fmt: skip


def redeem_voucher(bank: Bank) -> Operation:
    account, key = bank.account("10"), new_key()
    _, (code,) = vouchers(bank)
    name = bank.name_of(account)
    return Operation("cashier", (account,), lambda ledger: ledger.redeem_voucher(key, code, name, "desk", "ann"),
                     [BEFORE], [(Decimal(15), Decimal(0), 0)], key)  # fmt: skip


LAST = {
    "open_call": ("open_call", "CALL open_answer("),
    "extend_call": ("extend_call", "SELECT JSON_ARRAYAGG(JSON_OBJECT("),
    "settle_call": ("settle_call", "SET v_outcome = 'settled'"),
    "top_up": ("move_money", "CALL post_entry(v_key, p_account_id"),
    "transfer": ("move_money", "IF p_other_account_id IS NOT NULL THEN CALL post_entry"),
    "redeem_voucher": ("redeem_voucher", "CALL pay_voucher("),
}
"""The routine with the COMMIT, and its last statement before that."""

OPERATIONS = [open_call, extend_call, settle_call, top_up, transfer, redeem_voucher]


@pytest.fixture
def client(bank):
    """Makes clients, with the time-outs of a proxy unless told otherwise; they are closed at the end."""
    made = []

    def another(role: str, **more: Any) -> Ledger:
        made.append(bank.another(role, **({"timeout_s": 5.0} | more)))
        made[-1].nodes() if role != "proxy" else made[-1].config_version()
        return made[-1]

    yield another
    for ledger in made:
        ledger.close()


def done_once(bank: Bank, operation: Operation, answer: Any) -> None:
    """However often it was asked: asked once more it changes nothing, and calls are over at the end."""
    assert operation.after == operation.state(bank)
    with_key = operation.ask(getattr(bank, operation.role))
    assert getattr(answer, "legs", answer) == getattr(with_key, "legs", with_key)
    assert operation.after == operation.state(bank)
    if bank.proxy.live_call(operation.key) is not None:
        bank.give_up(operation.key)


@pytest.mark.parametrize("make", OPERATIONS)
@pytest.mark.parametrize("committed", [False, True])
def test_a_connection_that_dies_at_commit(bank, probed, client, make, committed):
    """Just before it nothing was done, just after it all was; nobody can know, and the key finds out."""
    operation = make(bank)
    routine, last = LAST[make.__name__]
    (number,) = [
        number
        for number, (name, _, text) in probed[1].places.items()
        if name == routine and (text.endswith("COMMIT;") if committed else last in text)
    ]
    ledger = client(operation.role)
    with ledger._connected().cursor() as cursor:
        cursor.execute(f"SET @meterline_crash = {number}")

    with pytest.raises(LedgerUnavailable):
        operation.ask(ledger)

    wait_until(lambda: _alone(bank), LIMIT_S, "the server has undone it", poll_s=POLL_S)
    assert (operation.after if committed else operation.before) == operation.state(bank)
    done_once(bank, operation, operation.ask(ledger))


def _alone(bank: Bank) -> bool:
    return not bank.sql("SELECT 1 FROM information_schema.innodb_trx")


@pytest.mark.parametrize("make", OPERATIONS)
@pytest.mark.parametrize("code", [1213, 1020])
def test_what_the_server_undoes_is_called_again_three_times_at_most(bank, client, make, code):
    """Undone twice: nobody notices. Undone three times: he is told, nothing was done, and his key is good."""
    for times in (2, 3):
        operation = make(bank)
        ledger = client(operation.role)
        with _undone(bank, code, times):
            if times == 2:
                answer = operation.ask(ledger)
            else:
                with pytest.raises(LedgerBusy):
                    operation.ask(ledger)
                assert operation.before == operation.state(bank)
        done_once(bank, operation, answer if times == 2 else operation.ask(ledger))


class _undone:  # noqa: N801 - reads as what it does
    """Every change of a purse is undone by the server, so often. The count is in a table that no rollback knows."""

    def __init__(self, bank: Bank, code: int, times: int) -> None:
        self._bank, self._code, self._times = bank, code, times

    def __enter__(self) -> None:
        self._bank.sql("CREATE TABLE undone (left_over INT) ENGINE = Aria")
        self._bank.sql("INSERT INTO undone VALUES (%s)", self._times)
        self._bank.sql(
            "CREATE TRIGGER undoes BEFORE UPDATE ON purse FOR EACH ROW BEGIN"
            " IF (SELECT left_over FROM undone) > 0 THEN UPDATE undone SET left_over = left_over - 1;"
            f" SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = {self._code}, MESSAGE_TEXT = 'undone'; END IF; END"
        )

    def __exit__(self, *_: object) -> None:
        self._bank.sql("DROP TRIGGER undoes")
        self._bank.sql("DROP TABLE undone")


@pytest.fixture
def other(bank):
    """Somebody else's session: the administrator's, with a transaction open."""
    with pymysql.connect(**bank.server.admin_params(), database=bank.database) as connection:
        yield connection
        connection.rollback()


@pytest.mark.parametrize("make", OPERATIONS)
def test_a_real_deadlock(bank, client, other, make, caplog):
    """Somebody takes the locks the other way round: the routine is the victim, and is called again as a whole."""
    operation = make(bank)
    ledger = client(operation.role, lock_wait_s=5)
    caplog.set_level(logging.INFO, "billing.ledger_session")
    first, last = min(operation.accounts), max(operation.accounts)
    with other.cursor() as cursor, ThreadPoolExecutor(1) as pool:
        for number in range(20):  # InnoDB ends the transaction that has changed less
            cursor.execute("INSERT INTO money_key VALUES (%s, '', NOW())", (f"{number:026d}",))
        if first == last:
            cursor.execute("INSERT INTO money_key VALUES (%s, '', NOW())", (operation.key,))
        else:
            cursor.execute("SELECT * FROM purse WHERE account_id = %s FOR UPDATE", (last,))
        answer = pool.submit(operation.ask, ledger)
        wait_until(lambda: _waiting(bank, ledger), LIMIT_S, "the routine waits for us", poll_s=POLL_S)
        cursor.execute("SELECT * FROM purse WHERE account_id = %s FOR UPDATE", (first,))
        other.rollback()
        done_once(bank, operation, answer.result(LIMIT_S))
    assert 1 == sum("Deadlock" in record.getMessage() for record in caplog.records)


def _waiting(bank: Bank, ledger: Ledger) -> bool:
    sql = "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' AND trx_mysql_thread_id = %s"
    return bool(bank.sql(sql, ledger._connected().thread_id()))


@pytest.mark.parametrize(("make", "lock_wait_s"), [(open_call, 1), (extend_call, 0), (settle_call, 0)])
def test_a_proxy_does_not_wait_long_for_a_lock(bank, client, other, make, lock_wait_s):
    """A caller waits a second, drain and keeper not at all; nothing was done, and the same call works later."""
    operation = make(bank)
    ledger = client("proxy", lock_wait_s=lock_wait_s)
    with other.cursor() as cursor:
        cursor.execute("SELECT * FROM purse WHERE account_id = %s FOR UPDATE", (operation.accounts[0],))
        with pytest.raises(LedgerBusy, match="Lock wait timeout"):
            operation.ask(ledger)
    other.rollback()
    assert operation.before == operation.state(bank)
    done_once(bank, operation, operation.ask(ledger))


@pytest.mark.parametrize("make", [top_up, transfer])
def test_a_cashier_waits_longer(bank, other, make):
    """Nobody hangs on behind him: his client asks for the lock again, some seconds, and he does not notice."""
    operation = make(bank)
    database = DatabaseSettings(port=bank.server.port, name=bank.database, cashier_password=PASSWORDS["cashier"])
    ledger = Ledger.for_role(database, "cashier")
    undone = threading.Event()
    handler = logging.Handler()
    handler.emit = lambda record: undone.set() if "Lock wait timeout" in record.getMessage() else None
    logger = logging.getLogger("billing.ledger_session")
    level, _ = logger.level, logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with other.cursor() as cursor, ThreadPoolExecutor(1) as pool:
            cursor.execute("SELECT * FROM purse WHERE account_id = %s FOR UPDATE", (operation.accounts[0],))
            answer = pool.submit(operation.ask, ledger)
            assert undone.wait(LIMIT_S)
            other.rollback()
            done_once(bank, operation, answer.result(LIMIT_S))
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        ledger.close()


def test_a_cashier_waits_not_for_ever(bank, client, other):
    """Bounded: then he is told, and nothing was done."""
    operation = top_up(bank)
    ledger = client("cashier", lock_waits=2)
    with other.cursor() as cursor:
        cursor.execute("SELECT * FROM purse WHERE account_id = %s FOR UPDATE", (operation.accounts[0],))
        with pytest.raises(LedgerBusy, match="Lock wait timeout"):
            operation.ask(ledger)
    other.rollback()
    done_once(bank, operation, operation.ask(ledger))
