"""Batches of cards: issued by one, sold by another, used until they expire."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from billing.cards import day_end
from billing.errors import InvalidAmount, KeyConflict, LedgerRefused, MeterlineError
from billing.ledger import Ledger
from tests.db.bank import Bank, new_key, refused, request, settlement
from tests.db.cards import ACTOR, card_batch, codes_of, expiring, issued, numbers_of, sold, tariff_in, voucher_batch

ZONES = ("UTC", "Europe/Berlin", "America/Santiago", "Pacific/Auckland", "America/Havana")


@pytest.fixture(scope="module")
def zones(shared_bank: Bank) -> None:
    """A tariff in each zone."""
    for zone in ZONES:
        shared_bank.admin.put_tariff(tariff_in(zone), "EUR", zone=zone)


# --- issued -----------------------------------------------------------------------------------------------------------


def test_a_batch_is_issued_worth_nothing_and_cannot_call(bank: Bank) -> None:
    """No entry, no balance, suspended; and one call at a time later."""
    name, (number, *_) = issued(bank, 3, country_code="49", distributor="Kiosk")
    (batch,) = bank.cashier.card_batches(name)
    assert (3, 3, 0, 0, Decimal(10), Decimal(0), "EUR", "retail", "Kiosk", ACTOR) == (
        batch.cards, batch.issued, batch.sold, batch.used, batch.value, batch.remaining, batch.currency,
        batch.tariff_name, batch.distributor, batch.issued_by)  # fmt: skip
    card = bank.cashier.card(number)
    assert card is not None
    assert ("issued", f"{name}-000001", 1, Decimal(0)) == (card.state, card.name, card.serial, card.balance)
    account = bank.cashier.account_named(card.name)
    assert account is not None
    assert ("suspended", 1, "49", number) == (
        account.status, account.max_calls, account.country_code, account.card_number)  # fmt: skip
    assert "account_suspended" == bank.proxy.open_call(new_key(), request([card.account_id])).outcome


def test_the_same_key_issues_once_and_answers_the_same(bank: Bank) -> None:
    """Also from six connections at once; with one card less it is another batch."""
    batch, key = card_batch(numbers_of(5)), new_key()
    answers = bank.at_once("admin", 6, lambda ledger, _: ledger.issue_cards(key, batch, ACTOR))
    assert 1 == len(set(answers))
    assert 5 == bank.cashier.card_batches(batch.name)[0].cards
    with pytest.raises(KeyConflict, match="other content"):
        bank.admin.issue_cards(key, replace(batch, cards=batch.cards[1:]), ACTOR)
    with pytest.raises(KeyConflict, match="another batch of cards with this name"):
        bank.admin.issue_cards(new_key(), batch, ACTOR)


def test_a_batch_is_all_or_nothing(bank: Bank) -> None:
    """The last number is taken: not one of the others is made."""
    _, (taken,) = issued(bank, 1)
    batch = card_batch([*numbers_of(3), taken])
    with pytest.raises(LedgerRefused, match=f"number_taken: another card has the number {taken}"):
        bank.admin.issue_cards(new_key(), batch, ACTOR)
    assert [] == bank.cashier.card_batches(batch.name) == bank.cashier.cards(batch.name)
    assert [] == bank.sql("SELECT 1 FROM account WHERE name LIKE %s", f"{batch.name}-%")
    twice = numbers_of(1)
    with pytest.raises(KeyConflict, match="one of its numbers, is taken"):
        bank.admin.issue_cards(new_key(), card_batch(twice * 2), ACTOR)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"tariff": "no such"}, "unknown_tariff: there is no tariff no such"),
        ({"parent": "no such"}, "unknown_account: there is no account no such"),
        ({"tariff": "retail of the shop"}, "foreign_tariff: tariff retail of the shop belongs to the shop"),
        ({"cards": []}, "1 to 50000 cards, not 0"),
        ({"cards": [("123", "0" * 64)]}, "card 1 is not a number of 4 to 20 digits"),
        ({"cards": [("12345", "0" * 63)]}, "card 1 is not a number of 4 to 20 digits"),
        ({"cards": [("12345", "123456")]}, "with the hash of its PIN"),
        ({"name": " "}, "a batch needs a name"),
        ({"name": "x" * 49}, "Data too long"),
        ({"expires_days": 0, "zone_offsets": [("1970-01-01 00:00:00", 0)]}, "first use are 1 to 36500, not 0"),
        ({"expires_days": 3}, "offsets of zone UTC are not given"),
        ({"country_code": "12345"}, "Data too long"),
        ({"country_code": "+49"}, r"country_code \+49 is not 1 to 3 digits"),
    ],
)
def test_what_cannot_be_issued_is_refused_by_what_is_wrong(bank: Bank, parts: dict[str, object], words: str) -> None:
    """And nothing is left of it."""
    if not bank.cashier.account_named("the shop"):
        shop = bank.admin.create_account("reseller", "the shop", None, "EUR", bank.tariff)
        bank.admin.put_tariff("retail of the shop", "EUR", owner_account_id=shop)
    before = bank.sql("SELECT COUNT(*) AS number FROM account")
    with pytest.raises(LedgerRefused, match=words):
        bank.admin.issue_cards(new_key(), card_batch(numbers_of(1), **parts), ACTOR)
    assert before == bank.sql("SELECT COUNT(*) AS number FROM account")


def test_a_value_is_an_amount(bank: Bank) -> None:
    """Not rounded, not negative, not clipped."""
    for value in ("-1", "1e3", "0.0000001", "abc"):
        with pytest.raises(InvalidAmount, match="value of batch"):
            bank.admin.issue_cards(new_key(), card_batch(numbers_of(1), value=value), ACTOR)


def test_cards_of_a_reseller_charge_him_too(bank: Bank) -> None:
    """The parent is above each card."""
    reseller = bank.account("20", kind="reseller")
    bank.tariff_of(reseller)
    card = sold(bank, parent=bank.name_of(reseller), tariff=f"retail of {reseller}")
    key = bank.opened([card, reseller])
    bank.proxy.settle_call(key, settlement(["0.6", "0.3"]))
    assert [Decimal("9.4"), Decimal("19.7")] == [bank.purse(account)["balance"] for account in (card, reseller)]


# --- sold, blocked, cancelled -----------------------------------------------------------------------------------------


def test_activation_books_the_value_of_each_card_once(bank: Bank) -> None:
    """One entry a card, with one key; again with the key it changes nothing, with another key there is nobody left."""
    name, numbers = issued(bank, 3)
    key = new_key()
    for _ in range(2):
        activated = bank.cashier.activate_cards(key, name, ACTOR)
        assert (3, Decimal(30)) == (activated.cards, activated.value)
    assert [Decimal(10)] * 3 == [card.available for card in bank.cashier.cards(name, "active")]
    entries = bank.sql("SELECT * FROM v_entry WHERE entry_key = %s", key)
    assert [("card_value", Decimal(10), Decimal(10), ACTOR, name)] * 3 == [
        (row["kind"], row["amount"], row["balance_after"], row["actor"], row["reference"]) for row in entries
    ]
    with pytest.raises(LedgerRefused, match="no_card: none of cards 1 to 3"):
        bank.cashier.activate_cards(new_key(), name, ACTOR)
    with pytest.raises(LedgerRefused, match="no_card: none of cards 2 to 2"):
        bank.cashier.activate_card(new_key(), numbers[1], ACTOR)
    with pytest.raises(KeyConflict):
        bank.cashier.activate_cards(key, name, ACTOR, (1, 2))


def test_twelve_who_sell_the_same_batch_at_once_book_it_once(bank: Bank) -> None:
    """Half of them the whole batch, half of them single cards: each card has its value once."""
    name, numbers = issued(bank, 6)

    def sell(ledger: Ledger, number: int) -> str:
        if number % 2:
            return refused(lambda: ledger.activate_cards(new_key(), name, ACTOR))
        return refused(lambda: ledger.activate_card(new_key(), numbers[number // 2], ACTOR))

    answers = bank.at_once("cashier", 12, sell)
    assert {"", "no_card"} == set(answers)
    assert [Decimal(10)] * 6 == [card.balance for card in bank.cashier.cards(name)]


def test_a_range_is_sold_and_the_report_says_what_is_left(bank: Bank) -> None:
    """Sold, blocked and cancelled ones apart; what is left on a cancelled card is forfeited."""
    name, numbers = issued(bank, 10)
    bank.cashier.activate_cards(new_key(), name, ACTOR, (1, 6))
    assert 2 == bank.cashier.change_cards("block", name, ACTOR, (5, 6))
    bank.cashier.change_card("block", numbers[8], ACTOR)
    bank.cashier.change_card("cancel", numbers[0], ACTOR)
    bank.cashier.change_card("cancel", numbers[9], ACTOR)
    states = Counter(card.state for card in bank.cashier.cards(name))
    assert {"cancelled": 2, "active": 3, "blocked": 3, "issued": 2} == states
    (batch,) = bank.cashier.card_batches(name)
    assert (2, 6, 0, 3, 0, 2, Decimal(60), Decimal(50), Decimal(10)) == (
        batch.issued, batch.sold, batch.used, batch.blocked, batch.expired, batch.cancelled, batch.sold_value,
        batch.remaining, batch.forfeited)  # fmt: skip
    # a whole batch passes over what cannot be
    assert 5 == bank.cashier.change_cards("block", name, ACTOR)
    assert 8 == bank.cashier.change_cards("unblock", name, ACTOR)
    states = Counter(card.state for card in bank.cashier.cards(name))
    assert {"cancelled": 2, "active": 5, "issued": 3} == states


def test_a_blocked_card_is_not_sold_and_a_sold_one_calls_again_when_unblocked(bank: Bank) -> None:
    """Blocked before it is sold, or after."""
    name, (number,) = issued(bank, 1)
    bank.cashier.change_card("block", number, ACTOR)
    assert "no_card" == refused(lambda: bank.cashier.activate_card(new_key(), number, ACTOR))
    bank.cashier.change_card("unblock", number, ACTOR)
    bank.cashier.activate_card(new_key(), number, ACTOR)
    card = bank.cashier.card(number)
    assert card is not None
    bank.cashier.change_card("block", number, ACTOR)
    assert "account_suspended" == bank.proxy.open_call(new_key(), request([card.account_id])).outcome
    assert "no_card" == refused(lambda: bank.cashier.change_cards("block", name, ACTOR))
    bank.cashier.change_card("unblock", number, ACTOR)
    key = bank.opened([card.account_id])
    assert "too_many_calls" == bank.proxy.open_call(new_key(), request([card.account_id])).outcome
    with pytest.raises(LedgerRefused, match="calls_in_progress: card 1"):
        bank.cashier.change_card("cancel", number, ACTOR)
    bank.give_up(key)
    bank.cashier.change_card("cancel", number, ACTOR)
    assert "no_card" == refused(lambda: bank.cashier.change_card("unblock", number, ACTOR))


@pytest.mark.parametrize("serials", [(0, 2), (1, 4), (3, 2)])
def test_a_range_is_of_cards_that_there_are(bank: Bank, serials: tuple[int, int]) -> None:
    """From 1 to the last, in this order."""
    name, _ = issued(bank, 3)
    with pytest.raises(LedgerRefused, match=r"unknown_card: batch .* has cards 1 to 3"):
        bank.cashier.change_cards("block", name, ACTOR, serials)


def test_who_is_unknown_is_named(bank: Bank) -> None:
    """A batch, a number, a card that was made by itself."""
    assert "unknown_batch" == refused(lambda: bank.cashier.activate_cards(new_key(), "no such", ACTOR))
    assert "unknown_card" == refused(lambda: bank.cashier.change_card("block", "999", ACTOR))
    assert "unknown_card" == refused(lambda: bank.cashier.change_card("block", "99999999", ACTOR))
    account, (number,) = bank.account("1"), numbers_of(1)
    bank.admin.put_card(account, number, "0" * 64)
    with pytest.raises(LedgerRefused, match="is of no batch"):
        bank.cashier.change_card("block", number, ACTOR)
    card = bank.cashier.card(number)
    assert card is not None
    assert ("active", None, Decimal(1)) == (card.state, card.batch, card.available)


def test_what_is_not_sold_cannot_be_let_call_by_its_account(bank: Bank) -> None:
    """Activation books the value; a status alone would make a card that works and is worth nothing."""
    _, (number,) = issued(bank, 1)
    card = bank.cashier.card(number)
    assert card is not None
    with pytest.raises(LedgerRefused, match="card_not_active"):
        bank.admin.resume_account(card.name)
    bank.cashier.activate_card(new_key(), number, ACTOR)
    bank.cashier.change_card("block", number, ACTOR)
    with pytest.raises(LedgerRefused, match="card_not_active"):
        bank.admin.resume_account(card.name)


# --- first use --------------------------------------------------------------------------------------------------------


def use(bank: Bank, account: int, at: datetime, *, how: str = "answer") -> None:
    """A first call that is answered at an instant, as the ledger's clock counts."""
    key = bank.opened([account], holds=[["1.20"]], steps=(120,))
    ago_ms = int((datetime.now(UTC) - at).total_seconds() * 1000)
    opened = at - timedelta(seconds=1)
    bank.sql("UPDATE live_call SET opened_at = %s WHERE call_key = %s", opened.replace(tzinfo=None), key)
    if how == "answer":
        bank.proxy.answer_call(key, ago_ms)
    end = settlement(["0.6"], ended_ago_ms=ago_ms - 60_000)
    bank.proxy.settle_call(key, end)


def expiry(bank: Bank, account: int) -> datetime | None:
    (row,) = bank.sql("SELECT expires_at FROM account WHERE id = %s", account)
    return None if row["expires_at"] is None else row["expires_at"].replace(tzinfo=UTC)


FIRST_USES = [
    # zone, first answer (UTC), days, the local day whose end is the expiry
    ("UTC", "2024-03-01T12:00:00", 30, "2024-03-31"),
    ("Europe/Berlin", "2024-03-03T22:59:58", 1, "2024-03-04"),  # still Sunday there
    ("Europe/Berlin", "2024-03-03T23:00:02", 1, "2024-03-05"),  # Monday already
    ("Pacific/Auckland", "2024-03-01T12:00:00", 1, "2024-03-03"),  # the day after: UTC+13
    ("Europe/Berlin", "2024-03-30T12:00:00", 1, "2024-03-31"),  # the day loses an hour
    ("Europe/Berlin", "2024-10-26T12:00:00", 1, "2024-10-27"),  # and gains one
    ("Europe/Berlin", "2024-10-26T21:59:58", 7, "2024-11-02"),  # over the change
    ("America/Santiago", "2024-08-08T12:00:00", 30, "2024-09-07"),  # its end is jumped over
    ("America/Havana", "2024-10-03T12:00:00", 30, "2024-11-02"),  # its end comes twice
]


@pytest.mark.usefixtures("zones")
@pytest.mark.parametrize(("zone", "at", "days", "last_day"), FIRST_USES)
@pytest.mark.parametrize("how", ["answer", "settlement"])
def test_days_count_from_the_day_of_first_use_in_the_tariffs_zone(
    bank: Bank, zone: str, at: str, days: int, last_day: str, how: str
) -> None:
    """Across midnights and changes of the clock; whichever is heard of first, answer or end, says when it was."""
    account = sold(bank, **expiring(zone, days))
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    use(bank, account, moment, how=how)
    assert day_end(date.fromisoformat(last_day), zone) == expiry(bank, account)
    card = next(one for one in bank.cashier.cards(state=None, limit=100_000) if one.account_id == account)
    assert card.first_used_at is not None
    assert abs(card.first_used_at - moment) < timedelta(seconds=2)


@pytest.mark.usefixtures("zones")
def test_the_earlier_of_date_and_days_counts(bank: Bank) -> None:
    """A fixed date before the last day, and one after it."""
    used_at = datetime(2024, 3, 1, 12, tzinfo=UTC)
    soon, late = datetime(2040, 3, 5, tzinfo=UTC), datetime(2041, 1, 1, tzinfo=UTC)
    first = sold(bank, **expiring("UTC", 36_000, expires_at=soon))
    second = sold(bank, **expiring("UTC", 30, expires_at=late))
    for account in (first, second):
        use(bank, account, used_at)
    assert [soon, datetime(2024, 4, 1, tzinfo=UTC)] == [expiry(bank, first), expiry(bank, second)]
    assert "account_expired" == bank.proxy.open_call(new_key(), request([second])).outcome


@pytest.mark.usefixtures("zones")
def test_only_an_answered_call_is_a_use_and_only_the_first_one(bank: Bank) -> None:
    """Nobody answered: the days do not run. Then an answer that only the end tells of; a second one changes nothing."""
    account = sold(bank, **expiring("UTC", 30))
    bank.give_up(bank.opened([account]))
    assert expiry(bank, account) is None
    use(bank, account, datetime.now(UTC) - timedelta(days=3), how="settlement")
    first = expiry(bank, account)
    use(bank, account, datetime.now(UTC) - timedelta(hours=1))
    assert first == expiry(bank, account) is not None


@pytest.mark.usefixtures("zones")
def test_a_call_that_the_reaper_charged_is_a_use_until_the_truth_comes(bank: Bank) -> None:
    """Its node may never come back, and the card must expire. If it does, the days count from the answer, or not."""
    talked, silent, other = (sold(bank, **expiring("UTC", 5)) for _ in range(3))
    keys = {account: bank.opened([account]) for account in (talked, silent, other)}
    for key in keys.values():
        bank.sql("UPDATE live_call SET hold_until = '2025-03-01 12:00:00' WHERE call_key = %s", key)
    assert set(keys.values()) <= set(bank.proxy.reap_calls("node1", 1000))
    guess = day_end(date(2025, 3, 6), "UTC")
    assert [guess] * 3 == [expiry(bank, account) for account in keys]
    assert [0] * 3 == [bank.purse(account)["unused"] for account in keys]

    bank.proxy.settle_call(keys[talked], settlement(["0.6"]))
    today = datetime.now(UTC).date()
    assert expiry(bank, talked) in {day_end(today + timedelta(days=day), "UTC") for day in (4, 5, 6)}
    bank.proxy.settle_call(keys[silent], settlement(["0"], 120, 0, result="no_answer", end_reason=""))
    assert (None, 1) == (expiry(bank, silent), bank.purse(silent)["unused"])
    use(bank, silent, datetime.now(UTC))
    assert expiry(bank, silent) is not None
    assert (guess, 0) == (expiry(bank, other), bank.purse(other)["unused"])


@pytest.mark.usefixtures("zones")
def test_the_first_call_ends_at_the_expiry_that_it_set(bank: Bank) -> None:
    """A grant goes no further than the last second of the last day."""
    account = sold(bank, **expiring("UTC", 1))
    key = bank.opened([account], holds=[["1.20"]], steps=(120,), limit_s=7 * 86_400)
    bank.proxy.answer_call(key, 0)
    (row,) = bank.sql("SELECT limit_s, answered_at FROM live_call WHERE call_key = %s", key)
    end = expiry(bank, account)
    assert end is not None
    assert int((end - row["answered_at"].replace(tzinfo=UTC)).total_seconds()) == row["limit_s"] <= 2 * 86_400
    bank.proxy.settle_call(key, settlement(["0.6"]))


def test_a_card_that_was_suspended_by_itself_stays_so(bank: Bank) -> None:
    """Its batch is blocked and unblocked, or sold: only resume_account lets it call again."""
    (name, (number, other)), (unsold, (waiting,)) = issued(bank, 2), issued(bank, 1)
    bank.cashier.activate_cards(new_key(), name, ACTOR)

    def status(one: str) -> tuple[int, str]:
        card = bank.cashier.card(one)
        assert card is not None
        (row,) = bank.sql("SELECT status FROM account WHERE id = %s", card.account_id)
        return card.account_id, str(row["status"])

    for one in (number, waiting):
        bank.admin.suspend_account(status(one)[0])
    bank.admin.change_cards("block", name, ACTOR)
    bank.admin.change_cards("unblock", name, ACTOR)
    bank.cashier.activate_cards(new_key(), unsold, ACTOR)
    assert ["suspended", "active", "suspended"] == [status(one)[1] for one in (number, other, waiting)]
    for one in (number, waiting):
        bank.admin.resume_account(status(one)[0])
        assert "active" == status(one)[1]
    bank.admin.change_cards("block", name, ACTOR)
    bank.admin.change_cards("unblock", name, ACTOR)
    assert "active" == status(number)[1]


@pytest.mark.usefixtures("zones")
def test_answer_and_end_at_once_mark_one_first_use(bank: Bank) -> None:
    """Facts of one call from six connections: no deadlock, one first use, the charge once."""
    accounts = [sold(bank, **expiring("UTC", 30)) for _ in range(10)]
    keys = [bank.opened([account]) for account in accounts]

    def work(ledger: Ledger, number: int) -> None:
        for key in keys:
            if number % 2:
                ledger.answer_call(key, 1000)
            else:
                ledger.settle_call(key, settlement(["0.6"], ended_ago_ms=0))

    bank.at_once("proxy", 6, work)
    assert {Decimal("9.4")} == {bank.purse(account)["balance"] for account in accounts}
    assert [0] == list({row["unused"] for row in map(bank.purse, accounts)})
    assert None not in {expiry(bank, account) for account in accounts}


def test_the_audit_finds_a_value_that_nobody_sold_and_a_use_that_nobody_marked(new_bank: object) -> None:
    """Each in its own words."""
    bank: Bank = new_bank()  # type: ignore[operator]
    first, second, third = sold(bank), sold(bank), bank.account("3")
    bank.sql("UPDATE card SET activation_key = %s WHERE account_id = %s", new_key(), first)
    bank.sql("UPDATE purse SET unused = FALSE WHERE account_id = %s", second)
    bank.sql("UPDATE entry SET kind = 'card_value' WHERE account_id = %s", third)
    found = {(one.what, one.id, one.expected, one.actual) for one in bank.cashier.audit()}
    assert {
        ("card_value", str(first), Decimal(10), Decimal(0)),
        ("card_value", str(first), Decimal(0), Decimal(10)),
        ("unused", str(second), Decimal(1), Decimal(0)),
        ("card_value", str(third), Decimal(0), Decimal(3)),
    } == found


@pytest.mark.parametrize(
    "sabotage",
    ["sql_mode = ''", "sql_mode = 'NO_BACKSLASH_ESCAPES,SIMULTANEOUS_ASSIGNMENT,ANSI_QUOTES'",
     "group_concat_max_len = 4",
     "autocommit = 0", "sql_select_limit = 1", "sql_safe_updates = 1", "tx_isolation = 'READ-UNCOMMITTED'",
     "time_zone = '+13:00'", "default_regex_flags = 'MULTILINE,EXTENDED,DOTALL'", "unique_checks = 0",
     "collation_connection = 'latin1_swedish_ci'", "completion_type = 'CHAIN'"],
)  # fmt: skip
def test_a_session_set_up_strangely_changes_nothing(bank: Bank, sabotage: str) -> None:
    """Batches, sales and vouchers either are what they always are or fail whole."""
    numbers, code = numbers_of(5), voucher_batch(codes_of(1))
    batch, (issue_key, sell_key, redeem_key) = card_batch(numbers), (new_key() for _ in range(3))

    def go(admin: Ledger, cashier: Ledger) -> None:
        for ask in (
            lambda: admin.issue_cards(issue_key, batch, ACTOR),
            lambda: cashier.activate_cards(sell_key, batch.name, ACTOR),
            lambda: admin.issue_vouchers(issue_key, code, ACTOR),
            lambda: cashier.activate_vouchers(code.name, ACTOR),
            lambda: cashier.redeem_voucher(redeem_key, code.code_hashes[0], f"{batch.name}-000003", "", ACTOR),
        ):
            with suppress(MeterlineError):
                ask()

    strange = (bank.another("admin"), bank.another("cashier"))
    for ledger in strange:
        with ledger._connected().cursor() as cursor:
            cursor.execute(f"SET SESSION {sabotage}")
    go(*strange)
    for ledger in strange:
        ledger.close()
    go(bank.admin, bank.cashier)
    assert [10, 10, 15, 10, 10] == [card.balance for card in bank.cashier.cards(batch.name)]
