"""Vouchers: money once, whoever asks how often; and guessers wait."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pymysql
import pytest

from billing import cards
from billing.errors import KeyConflict, LedgerRefused
from billing.ledger import Ledger
from stack.processes import wait_until
from tests.db.bank import Bank, new_key, refused
from tests.db.cards import ACTOR, PIN_KEY, codes_of, issued, sold, voucher_batch, vouchers

UNKNOWN = cards.code_hash(PIN_KEY, "00000000000000")


def redeem(ledger: Ledger, code: str, account: str, *, key: str = "", source: str = "") -> object:
    return ledger.redeem_voucher(key or new_key(), code, account, source, ACTOR)


def wait_over(bank: Bank) -> None:
    """Let every lock-out be over, with its failures remembered."""
    bank.sql("UPDATE guess_count SET locked_until = UTC_TIMESTAMP(6) WHERE locked_until IS NOT NULL")


def test_a_voucher_is_paid_into_a_card_or_a_customer_once(bank: Bank) -> None:
    """One entry with its batch as reference; the code is used up."""
    name, (first, second) = vouchers(bank, 2)
    card, customer = sold(bank), bank.account("1", kind="customer")
    paid = bank.cashier.redeem_voucher(new_key(), first, bank.name_of(card), "4930111", ACTOR)
    assert (card, Decimal(5), Decimal(15), Decimal(15)) == (paid.account_id, paid.amount, paid.balance, paid.available)
    bank.cashier.redeem_voucher(new_key(), second, bank.name_of(customer), "", ACTOR)
    assert "voucher_refused" == refused(lambda: redeem(bank.cashier, first, bank.name_of(customer)))
    (entry,) = bank.sql("SELECT * FROM v_entry WHERE account_id = %s AND kind = 'voucher'", card)
    assert (Decimal(5), f"{name}-000001", ACTOR) == (entry["amount"], entry["reference"], entry["actor"])
    states = {row.serial: (row.state, row.account_name) for row in bank.cashier.vouchers(name)}
    assert {1: ("redeemed", bank.name_of(card)), 2: ("redeemed", bank.name_of(customer))} == states
    (batch,) = bank.cashier.voucher_batches(name)
    assert (2, 2, 0, Decimal(10), Decimal(0)) == (
        batch.vouchers, batch.redeemed, batch.active, batch.redeemed_value, batch.active_value)  # fmt: skip


def test_the_same_voucher_from_fifty_connections_at_once_pays_once(bank: Bank) -> None:
    """Fifty accounts with keys of their own, and two vouchers: of each one account has it, and 49 are told no."""
    name, codes = vouchers(bank, 2)
    accounts = [bank.account() for _ in range(50)]
    names = [bank.name_of(account) for account in accounts]

    def work(ledger: Ledger, number: int) -> list[str]:
        return [refused(lambda code=code: redeem(ledger, code, names[number])) for code in codes]

    answers = bank.at_once("cashier", 50, work)

    for number in range(2):
        assert {"": 1, "voucher_refused": 49} == Counter(answer[number] for answer in answers)
    assert 10 == sum(bank.purse(account)["balance"] for account in accounts)
    assert ["redeemed"] * 2 == [row.state for row in bank.cashier.vouchers(name)]
    assert 98 == sum(row.outcome == "is_redeemed" and row.batch == name for row in bank.cashier.voucher_refusals())


def test_two_who_have_looked_at_a_voucher_at_the_same_moment_do_not_both_have_it(bank: Bank) -> None:
    """Both wait for its row, which somebody holds; let go, one of them pays, and the other looks again."""
    _, (code,) = vouchers(bank)
    accounts = [bank.account() for _ in range(2)]
    names = [bank.name_of(account) for account in accounts]
    holder = pymysql.connect(**bank.server.admin_params(), database=bank.database)

    def work(ledger: Ledger, number: int) -> str:
        return refused(lambda: redeem(ledger, code, names[number]))

    with holder.cursor() as cursor, ThreadPoolExecutor(1) as pool:
        cursor.execute("SELECT 1 FROM voucher WHERE code_hash = %s FOR UPDATE", (code,))
        both = pool.submit(bank.at_once, "cashier", 2, work, lock_wait_s=30)
        waiting = "SELECT COUNT(*) AS number FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
        # asked more often than ten times a second innodb_trx answers from its cache
        wait_until(lambda: bank.sql(waiting)[0]["number"] == 2, 20, "both wait for the voucher", poll_s=0.2)
        holder.rollback()
        answers = both.result(30)
    holder.close()

    assert ["", "voucher_refused"] == sorted(answers)
    assert [0, 5] == sorted(bank.purse(account)["balance"] for account in accounts)


def test_the_same_voucher_into_one_account_from_fifty_connections_pays_once(bank: Bank) -> None:
    """Five in a row may be wrong, then the account waits: it has its money, and nothing else of it is locked."""
    _, (code,) = vouchers(bank)
    account = bank.account()
    name = bank.name_of(account)

    answers = bank.at_once("cashier", 50, lambda ledger, _: refused(lambda: redeem(ledger, code, name)))

    assert {"": 1, "voucher_refused": 5, "voucher_locked": 44} == Counter(answers)
    assert bank.purse(account)["balance"] == 5
    bank.cashier.top_up(new_key(), account, "1", ACTOR)
    bank.give_up(bank.opened([account]))


def test_fifty_vouchers_at_once_into_one_account_are_all_paid(bank: Bank) -> None:
    """Each with its own key: none is lost, none waits for a deadlock."""
    _, codes = vouchers(bank, 50)
    account = bank.account()
    name = bank.name_of(account)
    bank.at_once("cashier", 50, lambda ledger, number: redeem(ledger, codes[number], name))
    assert bank.purse(account)["balance"] == 250


def test_the_same_key_gets_the_stored_answer(bank: Bank) -> None:
    """From six connections at once and ever after; with another code or account it is an error."""
    _, (code, other) = vouchers(bank, 2)
    account, elsewhere, key = bank.account("1"), bank.account(), new_key()
    name = bank.name_of(account)
    answers = bank.at_once("cashier", 6, lambda ledger, _: redeem(ledger, code, name, key=key))
    assert 1 == len({str(answer) for answer in answers})
    bank.cashier.top_up(new_key(), account, "1", ACTOR)
    assert answers[0] == redeem(bank.cashier, code, name, key=key, source="from elsewhere")
    for ask in (
        lambda: redeem(bank.cashier, other, name, key=key),
        lambda: redeem(bank.cashier, code, bank.name_of(elsewhere), key=key),
        lambda: bank.cashier.top_up(key, account, "5", ACTOR),
    ):
        with pytest.raises(KeyConflict):
            ask()
    assert [7, 0] == [bank.purse(one)["balance"] for one in (account, elsewhere)]


def test_a_refusal_does_not_use_up_the_key(bank: Bank) -> None:
    """The batch is activated meanwhile: the same try succeeds."""
    name, (code,) = vouchers(bank, active=False)
    account, key = bank.account(), new_key()
    assert "voucher_refused" == refused(lambda: redeem(bank.cashier, code, bank.name_of(account), key=key))
    bank.cashier.activate_vouchers(name, ACTOR)
    redeem(bank.cashier, code, bank.name_of(account), key=key)
    assert bank.purse(account)["balance"] == 5


def test_whatever_is_wrong_with_a_code_the_answer_is_one_and_the_truth_is_in_the_view(bank: Bank) -> None:
    """Unknown, not sold, used, expired, blocked, cancelled, another's, another currency: the same words."""
    account = bank.account()
    name = bank.name_of(account)
    reseller = bank.account("1", kind="reseller")
    codes = {"unknown": UNKNOWN}
    _, (codes["is_issued"],) = vouchers(bank, active=False)
    batch, (codes["is_blocked"],) = vouchers(bank)
    bank.cashier.change_vouchers("block", batch, ACTOR)
    batch, (codes["is_cancelled"],) = vouchers(bank)
    bank.cashier.change_vouchers("cancel", batch, ACTOR)
    _, (codes["is_redeemed"],) = vouchers(bank)
    redeem(bank.cashier, codes["is_redeemed"], name)
    _, (codes["is_expired"],) = vouchers(bank, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    _, (codes["other_currency"],) = vouchers(bank, currency="USD")
    _, (codes["other_owner"],) = vouchers(bank, owner=bank.name_of(reseller))

    told = set()
    for outcome, code in codes.items():
        bank.cashier.forgive_guesses(name)
        with pytest.raises(LedgerRefused) as refusal:
            redeem(bank.cashier, code, name, source="198.51.100.7")
        told.add(str(refusal.value))
        truth = bank.cashier.voucher_refusals(name)[0]
        assert (outcome, "198.51.100.7", ACTOR) == (truth.outcome, truth.source, truth.actor)
        assert (truth.batch is None) == (outcome == "unknown")

    assert {"voucher_refused: this code cannot be redeemed"} == told
    assert bank.purse(account)["balance"] == 5


def test_a_resellers_voucher_is_for_the_accounts_that_he_has_himself(bank: Bank) -> None:
    """Not for the vendor's, nor for those of a reseller below him, who would serve without being paid."""
    reseller = bank.account("1", kind="reseller")
    below = bank.account("1", reseller, kind="reseller")
    own, other = bank.account("0", reseller), bank.account("0", below)
    _, codes = vouchers(bank, 2, owner=bank.name_of(reseller))
    redeem(bank.cashier, codes[0], bank.name_of(own))
    assert "voucher_refused" == refused(lambda: redeem(bank.cashier, codes[1], bank.name_of(other)))
    assert [5, 0] == [bank.purse(account)["balance"] for account in (own, other)]


def test_a_voucher_is_for_an_active_card_or_a_customer(bank: Bank) -> None:
    """Not for a reseller, a closed account, a card that nobody sold, or an expired one, whose holder could not use the
    money; that costs the code nothing."""
    _, (code,) = vouchers(bank)
    reseller, closed = bank.account(kind="reseller"), bank.account()
    bank.admin.set_account_status(closed, "closed")
    batch, _ = issued(bank, 1)
    expired = bank.name_of(sold(bank))
    bank.admin.set_account(expired, expires_at=datetime(2026, 1, 1, tzinfo=UTC))
    for name, token in (
        (expired, "invalid_content"), (bank.name_of(reseller), "invalid_content"),
        (bank.name_of(closed), "account_closed"),
        (f"{batch}-000001", "invalid_content"), ("no such", "unknown_account"),
    ):  # fmt: skip
        assert token == refused(lambda name=name: redeem(bank.cashier, code, name))
    redeem(bank.cashier, code, bank.name_of(bank.account()))


# --- guessing ---------------------------------------------------------------------------------------------------------


def test_a_guesser_waits_longer_each_time_and_a_right_code_does_not_help_meanwhile(bank: Bank) -> None:
    """Five are free; then 60 s, 120 s, 240 s.. and a day at most. Whoever is locked learns nothing of any code."""
    _, (code,) = vouchers(bank)
    name = bank.name_of(bank.account())
    for _ in range(4):
        assert "voucher_refused" == refused(lambda: redeem(bank.cashier, UNKNOWN, name))
    for most in [min(86_400, 60 * 2**number) for number in range(14)]:
        assert "voucher_refused" == refused(lambda: redeem(bank.cashier, UNKNOWN, name))
        with pytest.raises(LedgerRefused, match=r"voucher_locked: too many wrong codes: try again in \d+ s") as locked:
            redeem(bank.cashier, code, name)
        assert most - 20 <= int(locked.value.message.split()[-2]) <= most
        wait_over(bank)
    redeem(bank.cashier, code, name)  # the lock is over: the right code is paid, and what was wrong is forgotten
    assert "voucher_refused" == refused(lambda: redeem(bank.cashier, UNKNOWN, name))
    assert "voucher_refused" == refused(lambda: redeem(bank.cashier, UNKNOWN, name))


def test_a_source_that_tries_many_accounts_waits_too(bank: Bank) -> None:
    """Twenty are free for one source; others, and whoever has no source, go on."""
    names = [bank.name_of(bank.account()) for _ in range(22)]
    source = f"203.0.113.{new_key()}"
    answers = [refused(lambda name=name: redeem(bank.cashier, UNKNOWN, name, source=source)) for name in names]
    assert ["voucher_refused"] * 20 + ["voucher_locked"] * 2 == answers
    assert "voucher_refused" == refused(lambda: redeem(bank.cashier, UNKNOWN, names[21], source="another"))
    assert "voucher_refused" == refused(lambda: redeem(bank.cashier, UNKNOWN, names[21]))


def test_failures_are_forgotten_after_a_day_and_forgiven_at_once(bank: Bank) -> None:
    """A day without a wrong code; or an administrator says so."""
    account = bank.account()
    name = bank.name_of(account)
    for _ in range(5):
        refused(lambda: redeem(bank.cashier, UNKNOWN, name))
    assert "voucher_locked" == refused(lambda: redeem(bank.cashier, UNKNOWN, name))
    assert 5 == bank.cashier.forgive_guesses(name)
    for _ in range(4):
        refused(lambda: redeem(bank.cashier, UNKNOWN, name))
    bank.sql("UPDATE guess_count SET last_at = last_at - INTERVAL 25 HOUR WHERE kind = 'voucher_account'")
    for _ in range(4):
        assert "voucher_refused" == refused(lambda: redeem(bank.cashier, UNKNOWN, name))
    assert "unknown_account" == refused(lambda: bank.cashier.forgive_guesses("no such"))


def test_thirty_guesses_at_once_are_five(bank: Bank) -> None:
    """The purse's lock counts them one by one."""
    name = bank.name_of(bank.account())
    answers = bank.at_once("cashier", 30, lambda ledger, _: refused(lambda: redeem(ledger, UNKNOWN, name)))
    assert {"voucher_refused": 5, "voucher_locked": 25} == Counter(answers)


# --- batches ----------------------------------------------------------------------------------------------------------


def test_a_batch_is_issued_once_and_all_or_nothing(bank: Bank) -> None:
    """The same key, six times at once; a code that is taken; a name that is taken."""
    batch, key = voucher_batch(codes_of(3)), new_key()
    answers = bank.at_once("admin", 6, lambda ledger, _: ledger.issue_vouchers(key, batch, ACTOR))
    assert 1 == len(set(answers))
    assert ["issued"] * 3 == [row.state for row in bank.cashier.vouchers(batch.name)]
    with pytest.raises(KeyConflict, match="with this name"):
        bank.admin.issue_vouchers(new_key(), batch, ACTOR)
    again = voucher_batch([*codes_of(1)], code_hashes=[*voucher_batch(codes_of(1)).code_hashes, batch.code_hashes[0]])
    with pytest.raises(KeyConflict, match="one of its codes"):
        bank.admin.issue_vouchers(new_key(), again, ACTOR)
    assert [] == bank.cashier.voucher_batches(again.name)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"value": "0"}, "invalid_content: batch .*: a voucher is worth more than nothing"),
        ({"currency": "euro"}, "Data too long"),
        ({"currency": "eur"}, 'invalid_content: batch .*: a currency is three capital letters, not "eur"'),
        ({"code_hashes": []}, "1 to 50000 vouchers, not 0"),
        ({"code_hashes": ["12345678901234"]}, "voucher 1 is no hash of a code"),
        ({"owner": "no such"}, "unknown_account"),
        ({"name": ""}, "a batch needs a name"),
    ],
)
def test_what_cannot_be_issued_is_refused(bank: Bank, parts: dict[str, object], words: str) -> None:
    """By what is wrong."""
    with pytest.raises(LedgerRefused, match=words):
        bank.admin.issue_vouchers(new_key(), voucher_batch(codes_of(1), **parts), ACTOR)


def test_vouchers_are_sold_blocked_and_cancelled_by_range(bank: Bank) -> None:
    """What was blocked before it was sold is not sold by taking the block off; what is cancelled stays so."""
    name, codes = vouchers(bank, 6, active=False)
    assert 3 == bank.cashier.activate_vouchers(name, ACTOR, (1, 3))
    assert 2 == bank.cashier.change_vouchers("block", name, ACTOR, (3, 4))
    redeem(bank.cashier, codes[0], bank.name_of(bank.account()))
    assert 1 == bank.cashier.change_vouchers("cancel", name, ACTOR, (5, 5))
    assert 2 == bank.cashier.change_vouchers("unblock", name, ACTOR)
    states = [row.state for row in bank.cashier.vouchers(name)]
    assert ["redeemed", "active", "active", "issued", "cancelled", "issued"] == states
    assert "no_voucher" == refused(lambda: bank.cashier.change_vouchers("cancel", name, ACTOR, (1, 1)))
    assert "unknown_voucher" == refused(lambda: bank.cashier.change_vouchers("block", name, ACTOR, (1, 7)))
    assert "unknown_batch" == refused(lambda: bank.cashier.activate_vouchers("no such", ACTOR))


def test_the_audit_finds_a_voucher_without_its_entry_and_looks_into_the_archive(new_bank: object) -> None:
    """And an entry without its voucher. Behind a checkpoint both are there, and the key answers as ever."""
    bank: Bank = new_bank()  # type: ignore[operator]
    card, key = sold(bank), new_key()
    _, (code,) = vouchers(bank)
    paid = redeem(bank.cashier, code, bank.name_of(card), key=key)
    bank.sql("UPDATE voucher SET redeem_key = %s", new_key())
    found = {(one.what, one.id, one.expected, one.actual) for one in bank.cashier.audit()}
    here = ("voucher", str(card))
    assert {(*here, Decimal(5), Decimal(0)), (*here, Decimal(0), Decimal(5))} == found
    bank.sql("UPDATE voucher SET redeem_key = %s", key)
    bank.sql("UPDATE entry SET created_at = '2020-01-01'")
    while not bank.sql("CALL archive('2021-01-01', 500)")[0]["done"]:
        pass
    assert [] == bank.sql("SELECT * FROM entry") == bank.cashier.audit()
    assert 2 == len(bank.sql("SELECT * FROM entry_archive"))
    assert paid == redeem(bank.cashier, code, bank.name_of(card), key=key)
