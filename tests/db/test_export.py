"""The export of CDRs: whoever remembers the last position gets each CDR, however late it commits, and none twice."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.ledger import Ledger
from billing.report_types import ExportedCdr
from tests.db.bank import Bank, ago, call_record, new_key, refused, request, settlement

HELD = "export_test_hold"


def everything(ledger: Ledger, after: int = 0, limit: int = 1000) -> list[ExportedCdr]:
    """All batches after a position."""
    found: list[ExportedCdr] = []
    while batch := ledger.export_cdrs(after, limit=limit):
        found += batch
        after = batch[-1].position
    return found


def last(ledger: Ledger) -> int:
    return max((cdr.position for cdr in everything(ledger)), default=0)


def settled(bank: Bank, account: int, charge: str = "0.60") -> str:
    key = bank.opened([account])
    bank.proxy.settle_call(key, settlement([charge]))
    return key


def wait_for(bank: Bank, state: str) -> None:
    """Until some connection is in that state: each look asks the server, so this ends after a second or two."""
    looks = (bank.sql("SELECT 1 FROM information_schema.processlist WHERE state = %s", state) for _ in range(5000))
    assert any(looks), state


def test_a_cdr_comes_once_with_its_legs(bank: Bank) -> None:
    """Names, money as it is, and the next export goes on behind it."""
    token = last(bank.cashier)
    chain = bank.chain("10", "10")
    key = bank.opened(chain)
    bank.proxy.settle_call(key, settlement(["0.60", "0.30"], billed_s=55))

    [cdr] = everything(bank.cashier, token)

    assert (key, 1, 55, "answered", False) == (cdr.call_key, cdr.version, cdr.billed_s, cdr.result, cdr.archived)
    assert [(0, Decimal("0.6"), "EUR", "Germany"), (1, Decimal("0.3"), "EUR", "Germany")] == [
        (leg.leg, leg.charge, leg.currency, leg.destination) for leg in cdr.legs
    ]
    assert [] == bank.cashier.export_cdrs(cdr.position)


def test_calls_that_were_refused_are_exported_too(bank: Bank) -> None:
    """They have no legs; an emergency call has no account either."""
    token = last(bank.cashier)
    account = bank.account()
    for owner in (account, None):
        bank.proxy.record_call(new_key(), call_record(owner))

    found = everything(bank.cashier, token)

    name = bank.sql("SELECT name FROM account WHERE id = %s", account)[0]["name"]
    assert {(name, ()), (None, ())} == {(cdr.account_name, cdr.legs) for cdr in found}


def test_a_settlement_that_commits_late_is_not_skipped(new_bank) -> None:
    """A real settlement hangs before its commit, later calls are settled and exported, then it goes through."""
    bank = new_bank()
    slow, quick = bank.account("10"), bank.account("10")
    late = bank.opened([slow])
    # The last thing that a settlement does: its CDR is written by then, and committed after it.
    bank.sql(
        "CREATE TRIGGER hold BEFORE DELETE ON live_call FOR EACH ROW"
        f" SET @held = IF(OLD.call_key = '{late}', GET_LOCK('{HELD}', 30) + RELEASE_LOCK('{HELD}'), 0)"
    )
    bank.sql(f"SELECT GET_LOCK('{HELD}', 0)")
    settling = threading.Thread(target=lambda: bank.another("proxy").settle_call(late, settlement(["0.60"])))
    settling.start()
    wait_for(bank, "User lock")

    before = [settled(bank, quick) for _ in range(3)]
    first = everything(bank.cashier)
    bank.sql(f"SELECT RELEASE_LOCK('{HELD}')")
    settling.join()
    after = settled(bank, quick)
    second = everything(bank.cashier, first[-1].position)

    assert before == [cdr.call_key for cdr in first]
    assert {late, after} == {cdr.call_key for cdr in second}
    times = {cdr.call_key: cdr.settled_at for cdr in [*first, *second]}
    assert times[late] < min(times[key] for key in before)  # so a reader who went by time would have missed it
    assert late < min(before)  # .. and so would one who went by key


def test_readers_and_calls_at_once_lose_nothing_and_repeat_nothing(bank: Bank) -> None:
    """Eight connections settle, four read: each reader sees every CDR once, in one and the same order."""
    token = last(bank.cashier)
    accounts = [bank.account("10") for _ in range(8)]
    finished = threading.Event()
    readings: list[list[str]] = [[] for _ in range(4)]

    def read(number: int) -> None:
        ledger, at = bank.another("cashier"), token
        while True:
            over = finished.is_set()
            batch = ledger.export_cdrs(at, limit=random.Random(number).randint(1, 7))
            readings[number] += [cdr.call_key for cdr in batch]
            if over and not batch:
                break
            at = batch[-1].position if batch else at
        ledger.close()

    readers = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for reader in readers:
        reader.start()

    def call(ledger: Ledger, number: int) -> list[str]:
        keys = [new_key() for _ in range(15)]
        for key in keys:
            ledger.open_call(key, request([accounts[number]]))
            ledger.settle_call(key, settlement(["0.01"]))
        return keys

    made = {key for keys in bank.at_once("proxy", 8, call) for key in keys}
    finished.set()
    for reader in readers:
        reader.join()

    assert [sorted(made)] * 4 == [sorted(reading) for reading in readings]
    assert 1 == len({tuple(reading) for reading in readings})


def test_positions_are_given_out_by_one_after_the_other(new_bank) -> None:
    """A reader of three hangs while it publishes them, one of two comes: what is settled later stands behind both."""
    bank = new_bank()
    account = bank.account("10")
    keys = [settled(bank, account) for _ in range(3)]
    bank.sql(
        "CREATE TRIGGER hold BEFORE UPDATE ON cdr FOR EACH ROW"
        f" SET @held = IF(@slow AND OLD.call_key = '{keys[2]}', GET_LOCK('{HELD}', 30) + RELEASE_LOCK('{HELD}'), 0)"
    )
    bank.sql(f"SELECT GET_LOCK('{HELD}', 0)")
    slow = bank.another("cashier")
    with slow._connected().cursor() as cursor:
        cursor.execute("SET @slow = 1")
    readings: list[list[str]] = []
    readers = [
        threading.Thread(target=lambda: readings.append([cdr.call_key for cdr in slow.export_cdrs(limit=3)])),
        threading.Thread(target=lambda: bank.another("cashier", lock_wait_s=30).export_cdrs(limit=2)),
    ]
    readers[0].start()
    wait_for(bank, "User lock")
    readers[1].start()
    waits = "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'"
    assert any(bank.sql(waits)[0]["Value"] != "0" for _ in range(5000))
    bank.sql(f"SELECT RELEASE_LOCK('{HELD}')")
    for reader in readers:
        reader.join()
    seen = last(bank.cashier)
    later = settled(bank, account)

    assert [keys] == readings
    assert [later] == [cdr.call_key for cdr in bank.cashier.export_cdrs(seen)]
    positions = [cdr.position for cdr in everything(bank.cashier)]
    assert sorted(set(positions)) == positions


def test_the_truth_about_a_provisional_cdr_comes_as_its_next_version(bank: Bank) -> None:
    """Also to a reader who had the first one."""
    token = last(bank.cashier)
    account = bank.account("10")
    key = bank.opened([account])
    bank.proxy.answer_call(key, 0)
    bank.overdue(key)
    assert [key] == bank.proxy.reap_calls(None, 10)
    [first] = everything(bank.cashier, token)
    bank.proxy.settle_call(key, settlement(["0.60"]))

    [second] = everything(bank.cashier, first.position)

    assert (key, 1, True, "1.20") == (first.call_key, first.version, first.provisional, f"{first.legs[0].charge:.2f}")
    assert (key, 2, False, "0.60") == (
        second.call_key,
        second.version,
        second.provisional,
        f"{second.legs[0].charge:.2f}",
    )
    assert [second.position] == [cdr.position for cdr in everything(bank.cashier, token)]


def test_the_carriers_cost_of_a_provisional_cdr_comes_as_its_next_version(bank: Bank) -> None:
    """A node works it out after the reaper: a reader who had the CDR without it gets it again."""
    token = last(bank.cashier)
    key = bank.opened([bank.account("10")])
    bank.overdue(key)
    assert [key] == bank.proxy.reap_calls(None, 10)
    bank.sql("UPDATE cdr SET carrier_rate = '{}' WHERE call_key = %s", key)
    [first] = everything(bank.cashier, token)
    bank.proxy.set_carrier_cost(key, Decimal("0.25"))

    [second] = everything(bank.cashier, first.position)
    assert (key, 1, None) == (first.call_key, first.version, first.carrier_cost)
    assert (key, 2, Decimal("0.25")) == (second.call_key, second.version, second.carrier_cost)
    bank.proxy.set_carrier_cost(key, Decimal("0.25"))
    assert [] == everything(bank.cashier, second.position)


def test_batches_end_where_the_next_one_begins(bank: Bank) -> None:
    """Whatever their size."""
    token = last(bank.cashier)
    account = bank.account("10")
    made = [settled(bank, account) for _ in range(7)]

    assert [made] * 4 == [[cdr.call_key for cdr in everything(bank.cashier, token, limit)] for limit in (1, 3, 7, 50)]


def test_an_export_may_begin_at_a_time(bank: Bank) -> None:
    """By when the ledger learned of the call's end."""
    token = last(bank.cashier)
    account = bank.account("10")
    old, new = settled(bank, account), settled(bank, account)
    bank.sql("UPDATE cdr SET settled_at = %s WHERE call_key = %s", ago(days=3).replace(tzinfo=None), old)

    assert [new] == [cdr.call_key for cdr in bank.cashier.export_cdrs(token, datetime.now(UTC) - timedelta(days=1))]


def test_what_is_older_than_that_hides_nothing(bank: Bank) -> None:
    """Though nobody ever exported it, and there is more of it than a batch holds; who wants all gets it later."""
    token = last(bank.cashier)
    account = bank.account("10")
    old, new = [settled(bank, account) for _ in range(5)], [settled(bank, account) for _ in range(3)]
    for key in old:
        bank.sql("UPDATE cdr SET settled_at = %s WHERE call_key = %s", ago(days=3).replace(tzinfo=None), key)
    since = datetime.now(UTC) - timedelta(days=1)

    first = bank.cashier.export_cdrs(token, since, limit=2)

    assert new[:2] == [cdr.call_key for cdr in first]
    assert new[2:] == [cdr.call_key for cdr in bank.cashier.export_cdrs(first[-1].position, since, limit=2)]
    assert sorted([*old, *new]) == sorted(cdr.call_key for cdr in everything(bank.cashier, token, limit=2))


def test_a_token_of_another_ledger_is_refused(bank: Bank) -> None:
    """Reading on from a position that was never given out would skip what gets it later."""
    assert "unknown_position" == refused(lambda: bank.cashier.export_cdrs(last(bank.cashier) + 1))


@pytest.mark.parametrize("role", ["cashier", "admin"])
def test_who_may_export(bank: Bank, role: str) -> None:
    """Both the cashier's and the administrator's login."""
    assert [] == bank.another(role).export_cdrs(last(bank.cashier))
