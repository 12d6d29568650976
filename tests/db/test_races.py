"""Many at once. The oracle is exact: so many calls open, so much money is there, nobody sees a deadlock."""

import random
import threading
from collections import Counter
from decimal import Decimal
from functools import partial

import pymysql
import pytest

from billing.ledger import Ledger
from tests.db.bank import Bank, call_record, new_key, refused, request, settlement


def test_of_fifty_calls_on_ten_grants_exactly_ten_open(bank: Bank) -> None:
    """Grant = smallest charge: no more than ten, and none refused while the money for one is free."""
    account = bank.account("10")
    price = request([account], [["1"]], steps=(60,), smallest="1")

    answers = bank.at_once("proxy", 50, lambda ledger, _: ledger.open_call(new_key(), price))

    assert {"opened": 10, "insufficient_balance": 40} == Counter(answer.outcome for answer in answers)
    assert (0, 10, 10) == tuple(bank.purse(account)[column] for column in ("available", "held", "calls"))
    bank.give_up(*(call.call_key for call in bank.proxy.live_calls() if call.account_id == account))


def test_calls_at_once_on_a_small_balance_take_shorter_steps(bank: Bank) -> None:
    """A tariff by the second: each opens with what is left, until not even one second is; all money is held."""
    account = bank.account("3.50")
    ladder = request([account], [["1.2", "0.6", "0.1", "0.01"]], steps=(120, 60, 10, 1))

    answers = bank.at_once("proxy", 50, lambda ledger, _: ledger.open_call(new_key(), ladder))

    # 1.2 + 1.2 leave 1.1; then 0.6 leaves 0.5; five times 0.1 leave nothing
    assert {120: 2, 60: 1, 10: 5, 0: 42} == Counter(answer.grant_s for answer in answers)
    assert bank.available(account) == 0
    bank.give_up(*(call.call_key for call in bank.proxy.live_calls() if call.account_id == account))


def test_of_a_hundred_calls_on_one_card_exactly_one_opens(bank: Bank) -> None:
    """One call at a time on one card."""
    card = bank.account("1000", max_calls=1)

    answers = bank.at_once("proxy", 100, lambda ledger, _: ledger.open_call(new_key(), request([card])))

    assert {"opened": 1, "too_many_calls": 99} == Counter(answer.outcome for answer in answers)
    bank.give_up(*(call.call_key for call in bank.proxy.live_calls() if call.account_id == card))


def test_of_thirty_calls_of_one_user_exactly_two_open(bank: Bank) -> None:
    """The count of a user's calls is exact, though it has no lock of its own."""
    account = bank.account("1000", kind="customer")
    user = bank.user(account, max_calls=2)

    answers = bank.at_once("proxy", 30, lambda ledger, _: ledger.open_call(new_key(), request([account], user_id=user)))

    assert {"opened": 2, "too_many_calls": 28} == Counter(answer.outcome for answer in answers)
    bank.give_up(*(call.call_key for call in bank.proxy.live_calls() if call.account_id == account))


# --- one key ----------------------------------------------------------------------------------------------------------


def test_six_connections_with_one_key_move_money_once(bank: Bank) -> None:
    """Sixty times: all six get the same answer, and there is one entry."""
    account = bank.account()
    keys = [new_key() for _ in range(60)]

    def work(ledger: Ledger, _: int) -> list[object]:
        return [ledger.top_up(key, account, "1", "ann") for key in keys]

    answers = bank.at_once("cashier", 6, work)

    assert all(answers[0] == other for other in answers[1:])
    assert bank.purse(account)["balance"] == 60


def test_six_connections_with_one_key_open_one_call(bank: Bank) -> None:
    """Sixty times: the stored answer for all."""
    account = bank.account("1000")
    keys = [new_key() for _ in range(60)]

    def work(ledger: Ledger, _: int) -> list[object]:
        return [ledger.open_call(key, request([account], [["1", "0.5"]])) for key in keys]

    answers = bank.at_once("proxy", 6, work)

    assert all(answers[0] == other for other in answers[1:])
    assert (60, 60) == (bank.purse(account)["held"], bank.purse(account)["calls"])
    bank.give_up(*keys)


def test_six_connections_with_one_key_settle_once(bank: Bank) -> None:
    """One settles, five are told what it charged."""
    account = bank.account("1000")
    keys = [bank.opened([account]) for _ in range(40)]

    def work(ledger: Ledger, _: int) -> list[tuple[str, object]]:
        return [(answer.outcome, answer.legs) for answer in
                (ledger.settle_call(key, settlement(["0.5"])) for key in keys)]  # fmt: skip

    answers = bank.at_once("proxy", 6, work)

    for number in range(len(keys)):
        assert {"settled": 1, "already": 5} == Counter(answer[number][0] for answer in answers)
        assert len({answer[number][1] for answer in answers}) == 1
    assert bank.purse(account)["balance"] == 980


def test_one_key_for_two_accounts_at_once_moves_money_on_one(bank: Bank) -> None:
    """The two lock different purses: the key itself decides, and the loser is told."""
    accounts = [bank.account(), bank.account()]
    keys = [new_key() for _ in range(60)]

    def work(ledger: Ledger, number: int) -> list[str]:
        return [refused(partial(ledger.top_up, key, accounts[number % 2], "1", "ann")) for key in keys]

    answers = bank.at_once("cashier", 6, work)

    for number in range(len(keys)):
        assert {"": 3, "key_conflict": 3} == Counter(answer[number] for answer in answers)
    assert sum(bank.purse(account)["balance"] for account in accounts) == 60


def test_emergency_calls_recorded_at_once_have_one_cdr(bank: Bank) -> None:
    """They have no purse to wait at."""
    keys = [new_key() for _ in range(40)]

    def work(ledger: Ledger, _: int) -> list[str]:
        return [ledger.record_call(key, call_record(None)) for key in keys]

    answers = bank.at_once("proxy", 6, work)

    for number in range(len(keys)):
        assert {"recorded": 1, "already": 5} == Counter(answer[number] for answer in answers)


# --- an ending before the beginning -----------------------------------------------------------------------------------


def test_a_recorded_call_and_a_late_open_never_both_win(bank: Bank) -> None:
    """The proxy gave up on open_call and records the call while the open is still on its way."""
    account = bank.account("1000")
    keys = [new_key() for _ in range(80)]

    def work(ledger: Ledger, number: int) -> list[str]:
        if number:
            return [ledger.record_call(key, call_record(account)) for key in keys]
        return [ledger.open_call(key, request([account])).outcome for key in keys]

    opens, records = bank.at_once("proxy", 2, work)

    assert set(zip(opens, records, strict=True)) <= {("opened", "live"), ("call_ended", "recorded")}
    opened = [key for key, outcome in zip(keys, opens, strict=True) if outcome == "opened"]
    assert len(opened) == bank.purse(account)["calls"]
    bank.give_up(*opened)


def test_a_reaper_and_a_settlement_never_both_charge(bank: Bank) -> None:
    """The journal of a lost node comes back in the very moment when its calls are given up; nobody deadlocks."""
    account = bank.account("1000")
    keys = [bank.opened([account], node="lost") for _ in range(60)]
    bank.overdue(*keys)

    def work(ledger: Ledger, number: int) -> list[str]:
        if number:
            return [ledger.settle_call(key, settlement(["0.5"])).outcome for key in keys]
        return [key for _ in range(60) for key in ledger.reap_calls("lost", 1)]

    reaped, settled = bank.at_once("proxy", 2, work, attempts=1)

    assert {"refunded" if key in reaped else "settled" for key in keys} <= {"refunded", "settled"}
    assert settled == ["refunded" if key in reaped else "settled" for key in keys]
    assert bank.purse(account)["balance"] == 970


# --- locks ------------------------------------------------------------------------------------------------------------


def test_no_deadlock_between_chains_that_overlap(bank: Bank) -> None:
    """Opens, extensions, settlements, transfers and top-ups over one tree; the client is not allowed to try again."""
    vendor = bank.account("100000", kind="reseller")
    resellers = [bank.account("100000", vendor, "reseller") for _ in range(3)]
    cards = [(bank.account("10000", reseller), reseller, vendor) for reseller in resellers * 3]

    def work(_: Ledger, number: int) -> int:
        chance = random.Random(number)
        proxy, cashier = bank.another("proxy", attempts=1), bank.another("cashier", attempts=1)
        for _round in range(40):
            chain = chance.choice(cards)
            key = new_key()
            assert proxy.open_call(key, request(chain)).outcome == "opened"
            proxy.answer_call(key, 0)
            proxy.extend_call(key, 120, 240, dict.fromkeys(range(3), Decimal("2.4")))
            one, other = chance.sample([chain[1], vendor], 2)
            cashier.transfer(new_key(), one, other, "0.01", "ann")
            cashier.top_up(new_key(), chain[0], "0.01", "ann")
            proxy.settle_call(key, settlement(["0.3", "0.2", "0.1"], grant_s=240))
        proxy.close()
        cashier.close()
        return number

    bank.at_once("proxy", 12, work)

    calls = 12 * 40
    assert bank.purse(vendor)["calls"] == 0
    total = sum(bank.purse(account)["balance"] for account in {*resellers, vendor, *(chain[0] for chain in cards)})
    assert total == 400_000 + 9 * 10_000 + calls * (Decimal("0.01") - Decimal("0.6"))


def test_available_is_never_below_zero_at_any_commit(bank: Bank) -> None:
    """A reader watches all purses while calls and debits fight for the last cents."""
    accounts = [bank.account("2") for _ in range(3)]
    done = threading.Event()
    seen: list[Decimal] = []

    def watch() -> None:
        connection = pymysql.connect(**bank.server.admin_params(), database=bank.database, autocommit=True)
        with connection.cursor() as cursor:
            while not done.is_set():
                cursor.execute(
                    "SELECT MIN(balance + credit_limit - held) FROM purse WHERE account_id IN %s", (accounts,)
                )
                row = cursor.fetchone()
                assert row is not None
                seen.append(row[0])
        connection.close()

    def work(ledger: Ledger, number: int) -> None:
        chance = random.Random(number)
        cashier = bank.another("cashier")
        for _ in range(30):
            account, key = chance.choice(accounts), new_key()
            if ledger.open_call(key, request([account], [["1.2", "0.3"]])).outcome == "opened":
                call = ledger.live_call(key)
                assert call is not None
                ledger.settle_call(key, settlement(["0.3"], grant_s=call.grant_s))
                cashier.top_up(new_key(), account, "0.3", "ann")
            other = chance.choice([one for one in accounts if one != account])
            transfer = partial(cashier.transfer, new_key(), account, other, "0.9", "ann")
            assert refused(transfer) in {"", "insufficient_balance"}
        cashier.close()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        bank.at_once("proxy", 8, work)
    finally:
        done.set()
        watcher.join()

    assert len(seen) > 100
    assert min(seen) >= 0
    assert sum(bank.purse(account)["balance"] for account in accounts) == 6


# --- the bank ---------------------------------------------------------------------------------------------------------


def _naive_transfer(connection: "pymysql.connections.Connection[pymysql.cursors.Cursor]", one: int, other: int) -> None:
    """What every peer once did: read the balances, think, write them back, in a transaction at that.

    At READ COMMITTED; at REPEATABLE READ it is the same until 11.6, whose innodb_snapshot_isolation refuses it (1020).
    """
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        cursor.execute("START TRANSACTION")
        balances = []
        for account in (one, other):
            cursor.execute("SELECT balance FROM purse WHERE account_id = %s", (account,))
            row = cursor.fetchone()
            assert row is not None
            balances.append(row[0])
        if balances[0] >= 1:
            cursor.execute("UPDATE purse SET balance = %s WHERE account_id = %s", (balances[0] - 1, one))
            cursor.execute("UPDATE purse SET balance = %s WHERE account_id = %s", (balances[1] + 1, other))
        cursor.execute("COMMIT")


@pytest.mark.parametrize("way", ["the ledger's", "naive"])
def test_money_is_neither_made_nor_lost_between_accounts(new_bank, way: str) -> None:  # type: ignore[no-untyped-def]
    """The bank test: eight writers move money about. The ledger keeps the sum; reading and then writing does not."""
    bank = new_bank()
    accounts = [bank.account("20") for _ in range(4)]

    def work(_: Ledger, number: int) -> None:
        chance = random.Random(number)
        cashier, proxy = bank.another("cashier"), bank.another("proxy")
        naive = pymysql.connect(**bank.server.admin_params(), database=bank.database)
        for _round in range(60):
            one, other = chance.sample(accounts, 2)
            if way == "naive":
                try:
                    _naive_transfer(naive, one, other)
                except pymysql.err.OperationalError:
                    naive.rollback()  # it deadlocks as well
                continue
            key = new_key()
            opened = proxy.open_call(key, request([other])).outcome == "opened"
            transfer = partial(cashier.transfer, new_key(), one, other, "1", "ann")
            assert refused(transfer) in {"", "insufficient_balance"}
            if opened:
                bank_settle(proxy, key)
        for connection in (cashier, proxy, naive):
            connection.close()

    def bank_settle(proxy: Ledger, key: str) -> None:
        call = proxy.live_call(key)
        assert call is not None
        proxy.settle_call(key, settlement(["0"], grant_s=call.grant_s, billed_s=0))

    bank.at_once("proxy", 8, work)

    total = sum(bank.purse(account)["balance"] for account in accounts)
    differences = bank.cashier.audit()
    if way == "naive":
        assert total != 80 or any(bank.purse(account)["balance"] < 0 for account in accounts)
        assert differences != []
    else:
        assert total == 80
        assert differences == []
