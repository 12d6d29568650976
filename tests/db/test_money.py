"""Money that moves without a call."""

from decimal import Decimal

import pytest

from billing.errors import InvalidAmount, KeyConflict, LedgerRefused
from billing.ledger_types import Posted
from tests.db.bank import Bank, new_key

BAD_AMOUNTS = ["abc", "1e20", "-1", "1.1234567", "", None, "1" * 13, "9" * 100_000, "0x10", "1,5", " 1", "1 ", "1\n",
               "+1",
               ".5", "5.", "NaN", "Infinity", "--1", "1.2.3", "\u0661", "1\0", "1;", "0", "0.000000"]  # fmt: skip
MOST = "999999999999.999999"


def test_a_top_up_raises_the_balance_and_says_so(bank: Bank) -> None:
    """What was paid in is available at once, to the last decimal."""
    account = bank.account(credit_limit="5")

    posted = bank.cashier.top_up(new_key(), account, "12.345678", "ann", "cash", "receipt 7")

    assert Posted(account, Decimal("12.345678"), Decimal("12.345678"), Decimal("17.345678")) == posted


def test_an_entry_says_who_moved_what_and_why(bank: Bank) -> None:
    """Actor, login, reason and reference stand in the entry; the login is the server's word, not the client's."""
    account = bank.account()
    bank.cashier.top_up(new_key(), account, "1", "ann", "cash", "receipt 7")

    entry = bank.cashier.entries(account_id=account)[0]

    assert ("top_up", "ann", "cash", "receipt 7") == (entry.kind, entry.actor, entry.reason, entry.reference)
    assert entry.login == "meterline_cashier@127.0.0.1"


@pytest.mark.parametrize("amount", BAD_AMOUNTS)
def test_a_bad_amount_is_refused_and_named(bank: Bank, amount: str) -> None:
    """Whatever is not an amount moves nothing, and the error says which it was, in one line."""
    account = bank.account("1")

    for move in (bank.cashier.top_up, bank.cashier.refund):
        with pytest.raises(InvalidAmount) as refusal:
            move(new_key(), account, amount, "ann")
        assert f"account {account}" in str(refusal.value)
        assert "\n" not in str(refusal.value)
    assert bank.purse(account)["balance"] == 1


@pytest.mark.parametrize("amount", [amount for amount in BAD_AMOUNTS if amount != "-1"])
def test_a_bad_adjustment_or_transfer_is_refused(bank: Bank, amount: str) -> None:
    """A correction may have a sign; otherwise its amount is as strict as any, and a transfer's has none."""
    account, other = bank.account("1"), bank.account("1")

    with pytest.raises(InvalidAmount):
        bank.cashier.adjust(new_key(), account, amount, "ann", "a reason")
    with pytest.raises(InvalidAmount):
        bank.cashier.transfer(new_key(), account, other, amount, "ann")
    with pytest.raises(InvalidAmount):
        bank.cashier.transfer(new_key(), account, other, "-1", "ann")
    assert (bank.purse(account)["balance"], bank.purse(other)["balance"]) == (1, 1)


def test_a_seventh_decimal_is_refused_and_not_rounded(bank: Bank) -> None:
    """Also when it comes as a Decimal."""
    with pytest.raises(InvalidAmount, match=r"1\.0000001"):
        bank.cashier.top_up(new_key(), bank.account(), Decimal("1.0000001"), "ann")


def test_a_balance_that_does_not_fit_is_refused(bank: Bank) -> None:
    """Twelve digits before the point are the most; the refused movement leaves no trace."""
    account = bank.account(MOST)

    with pytest.raises(InvalidAmount, match=f"account {account} too large"):
        bank.cashier.top_up(new_key(), account, "0.000001", "ann")
    assert bank.purse(account)["balance"] == Decimal(MOST)
    bank.cashier.adjust(new_key(), account, f"-{MOST}", "ann", "back to nothing")


def test_the_same_key_gives_the_stored_answer(bank: Bank) -> None:
    """However often and however late a movement is repeated, it happened once and its answer is the first one."""
    account, key = bank.account(), new_key()
    first = bank.cashier.top_up(key, account, "5", "ann", "cash")
    bank.cashier.top_up(new_key(), account, "100", "ann")

    again = bank.cashier.top_up(key, account, "5.000", "ann", "cash")

    assert first == again
    assert bank.purse(account)["balance"] == 105


@pytest.mark.parametrize(
    ("routine", "amount", "words"),
    [
        ("top_up", "6", ("ann", "cash", "r1")),
        ("refund", "5", ("ann", "cash", "r1")),
        ("top_up", "5", ("bob", "cash", "r1")),
        ("top_up", "5", ("ann", "card", "r1")),
        ("top_up", "5", ("ann", "cash", "r2")),
    ],
    ids=["amount", "kind", "actor", "reason", "reference"],
)
def test_the_same_key_with_other_content_is_an_error(
    bank: Bank, routine: str, amount: str, words: tuple[str, str, str]
) -> None:
    """A key stands for one movement."""
    key, account = new_key(), bank.account()
    bank.cashier.top_up(key, account, "5", "ann", "cash", "r1")

    with pytest.raises(KeyConflict, match=key):
        getattr(bank.cashier, routine)(key, account, amount, *words)
    assert bank.purse(account)["balance"] == 5


def test_the_same_key_for_another_account_is_an_error(bank: Bank) -> None:
    """Though the entries would not clash."""
    key, account, other = new_key(), bank.account(), bank.account()
    bank.cashier.top_up(key, account, "5", "ann")

    with pytest.raises(KeyConflict, match=key):
        bank.cashier.top_up(key, other, "5", "ann")
    assert (bank.purse(account)["balance"], bank.purse(other)["balance"]) == (5, 0)


def test_a_refused_movement_does_not_spend_its_key(bank: Bank) -> None:
    """A refusal for money is no final answer: the same key may be tried again when there is money."""
    account, key = bank.account("1"), new_key()
    with pytest.raises(LedgerRefused, match="insufficient_balance"):
        bank.cashier.adjust(key, account, "-2", "ann", "a reason")
    bank.cashier.top_up(new_key(), account, "1", "ann")

    posted = bank.cashier.adjust(key, account, "-2", "ann", "a reason")

    assert posted.balance == 0


@pytest.mark.parametrize("key", ["", "short", "a" * 26, "0" * 27, None, "0123456789ABCDEFGHJKMNPQR\n", "0" * 25 + "é"])
def test_a_key_that_is_no_ulid_is_refused(bank: Bank, key: str) -> None:
    """Keys are 26 digits and capital letters."""
    account = bank.account()

    with pytest.raises(LedgerRefused, match="invalid_key"):
        bank.cashier.top_up(key, account, "1", "ann")
    assert bank.purse(account)["balance"] == 0


def test_an_unknown_account_is_named(bank: Bank) -> None:
    """By its id."""
    for move in (bank.cashier.top_up, bank.cashier.refund):
        with pytest.raises(LedgerRefused, match="unknown_account: there is no account 999999"):
            move(new_key(), 999_999, "1", "ann")
    with pytest.raises(LedgerRefused, match="unknown_account: there is no account 999999"):
        bank.cashier.transfer(new_key(), bank.account("1"), 999_999, "1", "ann")
    with pytest.raises(LedgerRefused, match="unknown_account"):
        bank.cashier.top_up(new_key(), None, "1", "ann")  # type: ignore[arg-type]


def test_a_movement_names_its_actor_and_an_adjustment_its_reason(bank: Bank) -> None:
    """Money does not move anonymously, and is not corrected for nothing."""
    account = bank.account()

    with pytest.raises(LedgerRefused, match="names no actor"):
        bank.cashier.top_up(new_key(), account, "1", " ")
    with pytest.raises(LedgerRefused, match="gives no reason"):
        bank.cashier.adjust(new_key(), account, "1", "ann", "")
    with pytest.raises(LedgerRefused, match="p_actor"):
        bank.cashier.top_up(new_key(), account, "1", "a" * 65)


def test_an_adjustment_goes_up_and_down(bank: Bank) -> None:
    """A correction has a sign."""
    account = bank.account("5")

    assert bank.cashier.adjust(new_key(), account, "-1.5", "ann", "typing error").balance == Decimal("3.5")
    assert bank.cashier.adjust(new_key(), account, "0.5", "ann", "typing error").balance == 4


def test_a_debit_below_zero_must_be_forced(bank: Bank) -> None:
    """Unforced it is refused; forced it is visible in the entry, and only credits lead out again."""
    account = bank.account("1", credit_limit="2")

    with pytest.raises(LedgerRefused, match="insufficient_balance"):
        bank.cashier.adjust(new_key(), account, "-3.000001", "ann", "debt")
    posted = bank.cashier.adjust(new_key(), account, "-10", "ann", "debt", force=True)

    assert (posted.balance, posted.available) == (-9, -7)
    assert bank.cashier.entries(account_id=account)[0].forced
    assert bank.cashier.audit() == []
    with pytest.raises(LedgerRefused, match="insufficient_balance"):
        bank.cashier.adjust(new_key(), account, "-0.01", "ann", "more debt")
    assert bank.cashier.top_up(new_key(), account, "8", "ann").available == 1
    assert bank.purse(account)["forced_floor"] == 0


def test_held_money_cannot_be_taken_away(bank: Bank) -> None:
    """What a call in progress holds is not available for debits or transfers."""
    account, other = bank.account("2"), bank.account()
    key = bank.opened([account])

    with pytest.raises(LedgerRefused, match="insufficient_balance"):
        bank.cashier.transfer(new_key(), account, other, "0.81", "ann")
    left, arrived = bank.cashier.transfer(new_key(), account, other, "0.80", "ann")

    assert (left.available, arrived.available) == (0, Decimal("0.8"))
    bank.give_up(key)


def test_a_transfer_moves_money_between_accounts_of_one_owner(bank: Bank) -> None:
    """Siblings, parent to child, and child to parent."""
    reseller = bank.account("10", kind="reseller")
    one, two = bank.account("1", reseller), bank.account("1", reseller)

    for source, target in ((reseller, one), (one, two), (two, reseller)):
        left, arrived = bank.cashier.transfer(new_key(), source, target, "1", "ann")
        assert (left.account_id, left.amount) == (source, -1)
        assert (arrived.account_id, arrived.amount) == (target, 1)
    assert [10, 1, 1] == [bank.purse(account)["balance"] for account in (reseller, one, two)]


def test_a_transfer_is_repeated_like_anything_else(bank: Bank) -> None:
    """The same key gives both rows again; the other way round it is another transfer."""
    one, two, key = bank.account("5"), bank.account("5"), new_key()
    first = bank.cashier.transfer(key, one, two, "1", "ann")

    assert first == bank.cashier.transfer(key, one, two, "1", "ann")
    with pytest.raises(KeyConflict):
        bank.cashier.transfer(key, two, one, "1", "ann")


def test_a_transfer_to_anyone_else_is_refused(bank: Bank) -> None:
    """Another reseller's customer, a grandparent, another currency, oneself."""
    card, reseller, vendor = bank.chain("1", "1", "1")
    stranger = bank.account("1")
    dollars = bank.admin.put_tariff("dollars", "USD")
    foreign = bank.admin.create_account("card", f"card in dollars {card}", None, "USD", dollars)

    for target in (vendor, stranger):
        with pytest.raises(LedgerRefused, match="foreign_account"):
            bank.cashier.transfer(new_key(), card, target, "1", "ann")
    with pytest.raises(LedgerRefused, match="foreign_account"):
        bank.cashier.transfer(new_key(), stranger, foreign, "1", "ann")
    with pytest.raises(LedgerRefused, match="stands twice"):
        bank.cashier.transfer(new_key(), reseller, reseller, "1", "ann")


def test_a_closed_account_takes_no_money(bank: Bank) -> None:
    """Suspended it still does: paying in may be what it waits for."""
    account = bank.account()
    bank.admin.set_account_status(account, "suspended")
    bank.cashier.top_up(new_key(), account, "1", "ann")
    bank.emptied(account)
    bank.admin.set_account_status(account, "closed")

    with pytest.raises(LedgerRefused, match=f"account_closed: account {account}"):
        bank.cashier.top_up(new_key(), account, "1", "ann")


def test_a_credit_limit_cannot_fall_below_what_is_used(bank: Bank) -> None:
    """Lowering it may not leave less than nothing available."""
    account = bank.account(credit_limit="10")
    bank.cashier.adjust(new_key(), account, "-4", "ann", "postpaid")

    with pytest.raises(LedgerRefused, match="insufficient_balance"):
        bank.admin.set_credit_limit(account, "3.999999")
    bank.admin.set_credit_limit(account, "4")

    assert bank.available(account) == 0
