"""Limits by day and hour: what they refuse, to the cent and to the call, and the alarms that they raise."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest

from billing.ledger_types import Alarm
from tests.db.bank import Bank, new_key, refused, request, settlement
from tests.support.clocks import wait_for_time_in_the_hour

HOLD = [["1.00", "0.50", "0.01"]]
STEPS = (100, 50, 1)


def open_one(bank: Bank, accounts: tuple[int, ...], destination: str = "Cuba", **parts: object) -> tuple[str, str]:
    """Key and outcome of an attempt that holds 1.00, 0.50 or 0.01 on each leg."""
    key = new_key()
    wanted = request(accounts, HOLD * len(accounts), STEPS, **parts)  # type: ignore[arg-type]
    wanted = replace(wanted, legs=tuple(replace(leg, destination=destination) for leg in wanted.legs))
    return key, bank.proxy.open_call(key, wanted).outcome


def charge(bank: Bank, accounts: tuple[int, ...], amount: str) -> None:
    """A call that costs this much on each leg, at most 1.00."""
    key, outcome = open_one(bank, accounts)
    assert outcome == "opened"
    assert bank.proxy.settle_call(key, settlement([amount] * len(accounts), 100, 100)).outcome == "settled"


def alarms_of(bank: Bank, account_id: int, *, open_only: bool = False) -> list[Alarm]:
    return [one for one in bank.cashier.alarms(open_only=open_only) if one.account_id == account_id]


@pytest.fixture(autouse=True)
def in_one_hour(bank: Bank) -> None:
    """The windows follow the server's clock."""
    wait_for_time_in_the_hour(bank.cashier, 10)


# --- a day's spending -------------------------------------------------------------------------------------------------


def test_what_was_charged_today_and_what_is_held_count(bank: Bank) -> None:
    """2.50 may be spent: 1.00 charged, 1.00 held, then 0.50, and no cent more; although there is money."""
    account = bank.account("100", daily_spend_limit=Decimal("2.50"))
    charge(bank, (account,), "1.00")
    grants = [bank.proxy.open_call(new_key(), request([account], HOLD, STEPS)).grant_s for _ in range(2)]

    answer = bank.proxy.open_call(new_key(), request([account], HOLD, STEPS))

    assert ([100, 50], "spending_limit", 0) == (grants, answer.outcome, answer.failed_leg)
    bank.give_up(*(call.call_key for call in bank.proxy.live_calls() if call.account_id == account))


def test_what_was_held_and_not_charged_may_be_spent(bank: Bank) -> None:
    """A call that nobody answered gives its room back."""
    account = bank.account("100", daily_spend_limit=Decimal(1))
    key, _ = open_one(bank, (account,))
    assert "spending_limit" == open_one(bank, (account,))[1]

    bank.give_up(key)

    key, outcome = open_one(bank, (account,))
    assert "opened" == outcome
    bank.give_up(key)


def test_a_free_call_needs_no_room(bank: Bank) -> None:
    """It costs nothing."""
    account = bank.account("100", daily_spend_limit=Decimal(1))
    charge(bank, (account,), "1.00")

    answer = bank.proxy.open_call(key := new_key(), request([account], [["0"]], (60,), smallest="0"))

    assert "opened" == answer.outcome
    bank.give_up(key)


def test_a_renewal_past_the_limit_is_refused(bank: Bank) -> None:
    """The call ends at its grant; a limit set higher acts at once."""
    account = bank.account("100", daily_spend_limit=Decimal("1.50"))
    key, _ = open_one(bank, (account,))

    refusal = bank.proxy.extend_call(key, 100, 200, {0: Decimal(2)})
    shorter = bank.proxy.extend_call(key, 100, 150, {0: Decimal("1.50")})
    bank.admin.set_account(account, daily_spend_limit=Decimal(2))
    longer = bank.proxy.extend_call(key, 150, 200, {0: Decimal(2)})

    assert ("spending_limit", 0, 100) == (refusal.outcome, refusal.failed_leg, refusal.grant_s)
    assert ("extended", "extended") == (shorter.outcome, longer.outcome)
    (alarm,) = alarms_of(bank, account)
    assert (Decimal(2), 0) == (alarm.reached, alarm.refused)
    assert alarm.stopped_at is not None
    bank.give_up(key)


def test_an_upper_account_has_its_limit_too(bank: Bank) -> None:
    """The leg says which it was: two cards below one reseller spend his day together."""
    reseller = bank.account("100", kind="reseller", daily_spend_limit=Decimal(2))
    cards = [bank.account("100", reseller) for _ in range(3)]
    for card in cards[:2]:
        charge(bank, (card, reseller), "1.00")

    key = new_key()
    answer = bank.proxy.open_call(key, request([cards[2], reseller], HOLD * 2, STEPS))

    assert ("spending_limit", 1) == (answer.outcome, answer.failed_leg)
    assert [] == alarms_of(bank, cards[2])
    assert [1] == [one.refused for one in alarms_of(bank, reseller)]


def test_a_new_day_begins_with_nothing_spent(bank: Bank) -> None:
    """By date: nobody has to reset anything."""
    account = bank.account("100", daily_spend_limit=Decimal(1))
    charge(bank, (account,), "1.00")
    yesterday(bank, account)

    charge(bank, (account,), "0.60")

    assert Decimal("0.60") == bank.purse(account)["spent"]
    assert [] == bank.cashier.audit()


def test_a_day_that_comes_again_is_counted_from_its_entries(bank: Bank) -> None:
    """A clock that was set back: what this day's calls were charged before counts."""
    account = bank.account("100", daily_spend_limit=Decimal(10))
    charge(bank, (account,), "1.00")
    bank.sql("UPDATE purse SET spend_day = UTC_DATE() + INTERVAL 3 DAY, spent = 0 WHERE account_id = %s", account)
    assert [] == bank.cashier.audit()

    charge(bank, (account,), "0.60")

    assert Decimal("1.60") == bank.purse(account)["spent"]


def test_a_refund_of_today_gives_room_and_one_of_yesterday_none(bank: Bank) -> None:
    """The reaper charged two lost calls 1.00 each; in truth they cost 0.25."""
    account = bank.account("100", daily_spend_limit=Decimal(3))
    for day in (yesterday, lambda _bank, _account: None):
        key, _ = open_one(bank, (account,))
        bank.overdue(key)
        assert [key] == bank.proxy.reap_calls("node1", 1)
        day(bank, account)
        if day is yesterday:
            early = key
    assert Decimal("1.00") == bank.purse(account)["spent"]

    bank.proxy.settle_call(key, settlement(["0.25"], 100, 25))
    assert Decimal("0.25") == bank.purse(account)["spent"]
    bank.proxy.settle_call(early, settlement(["0.25"], 100, 25))

    assert Decimal("0.25") == bank.purse(account)["spent"]
    assert Decimal("99.50") == bank.available(account)


def test_parallel_calls_do_not_pass_the_limit(bank: Bank) -> None:
    """Twelve at once over two cards of one reseller, room for three and a half: exactly 3.50 is held."""
    reseller = bank.account("100", kind="reseller", daily_spend_limit=Decimal("3.50"))
    cards = [bank.account("100", reseller) for _ in range(2)]
    wanted = [request([card, reseller], [["1.00", "0.50"]] * 2, (100, 50), smallest="0.50") for card in cards]
    keys = [new_key() for _ in range(12)]

    answers = bank.at_once("proxy", 12, lambda ledger, number: ledger.open_call(keys[number], wanted[number % 2]))

    assert {"opened": 4, "spending_limit": 8} == Counter(answer.outcome for answer in answers)
    assert Decimal("3.50") == bank.purse(reseller)["held"]
    assert [8] == [one.refused for one in alarms_of(bank, reseller)]
    bank.give_up(*(key for key, answer in zip(keys, answers, strict=True) if answer.outcome == "opened"))


def yesterday(bank: Bank, account: int) -> None:
    """Let everything that an account's calls were charged have been charged a day ago."""
    bank.sql("UPDATE entry SET created_at = created_at - INTERVAL 1 DAY WHERE account_id = %s", account)
    bank.sql("UPDATE purse SET spend_day = spend_day - INTERVAL 1 DAY WHERE account_id = %s", account)
    assert [] == bank.cashier.audit()


# --- calls in an hour -------------------------------------------------------------------------------------------------


def test_so_many_calls_in_an_hour_and_no_more(bank: Bank) -> None:
    """Calls that were opened count, however they end; refused ones do not."""
    account = bank.account("100", max_calls_per_hour=3)
    for _ in range(3):
        bank.give_up(bank.opened([account]))

    outcomes = [open_one(bank, (account,))[1] for _ in range(2)]

    assert ["hourly_limit"] * 2 == outcomes
    bank.admin.set_account(account, max_calls_per_hour=4)
    key, outcome = open_one(bank, (account,))
    assert "opened" == outcome
    assert "hourly_limit" == open_one(bank, (account,))[1]
    bank.give_up(key)


def test_a_limit_for_each_destination_leaves_the_others_alone(bank: Bank) -> None:
    """Two calls to Cuba an hour; Germany is still to be had. A destination is the rate's, whatever the prefix."""
    account = bank.account("100", max_calls_per_hour_per_destination=2)

    outcomes = [open_one(bank, (account,), there)[1] for there in ("Cuba", "Cuba", "Cuba", "Germany", "Cuba")]

    assert ["opened", "opened", "hourly_destination_limit", "opened", "hourly_destination_limit"] == outcomes
    (alarm,) = alarms_of(bank, account)
    assert ("Cuba", 2, 2, 3) == (alarm.destination, alarm.reached, alarm.refused, alarm.times)
    bank.give_up(*(call.call_key for call in bank.proxy.live_calls() if call.account_id == account))


def test_a_rate_without_a_destination_does_not_count_as_all(bank: Bank) -> None:
    """Its name is empty, as the key of the count of all calls is."""
    account = bank.account("100", max_calls_per_hour=3, max_calls_per_hour_per_destination=1)

    outcomes = [open_one(bank, (account,), "")[1] for _ in range(4)]

    assert ["opened"] * 3 + ["hourly_limit"] == outcomes
    bank.give_up(*(call.call_key for call in bank.proxy.live_calls() if call.account_id == account))


def test_none_at_all(bank: Bank) -> None:
    """0 bars."""
    for column, token in (
        ("max_calls_per_hour", "hourly_limit"),
        ("max_calls_per_hour_per_destination", "hourly_destination_limit"),
        ("daily_spend_limit", "spending_limit"),
    ):
        account = bank.account("100", **{column: 0})
        assert token == open_one(bank, (account,))[1]


def test_parallel_calls_do_not_pass_an_hours_limit(bank: Bank) -> None:
    """Ten at once, five are let in."""
    account = bank.account("100", max_calls_per_hour_per_destination=5)
    keys = [new_key() for _ in range(10)]

    answers = bank.at_once("proxy", 10, lambda ledger, number: ledger.open_call(keys[number], request([account])))

    assert {"opened": 5, "hourly_destination_limit": 5} == Counter(answer.outcome for answer in answers)
    bank.give_up(*(key for key, answer in zip(keys, answers, strict=True) if answer.outcome == "opened"))


def test_a_call_opened_again_counts_once(bank: Bank) -> None:
    """The same key is the same call."""
    account = bank.account("100", max_calls_per_hour=2)
    key, wanted = new_key(), request([account])
    for _ in range(3):
        assert "opened" == bank.proxy.open_call(key, wanted).outcome

    other = bank.opened([account])

    assert "hourly_limit" == open_one(bank, (account,))[1]
    bank.give_up(key, other)


def test_another_hour_begins_anew_and_the_old_one_is_forgotten(bank: Bank) -> None:
    """Counts of hours that are over go away; those without a limit were never counted."""
    account, free = bank.account("100", max_calls_per_hour=1), bank.account("100")
    bank.give_up(bank.opened([account]), bank.opened([free]))
    bank.sql("UPDATE call_count SET hour = hour - INTERVAL 1 DAY WHERE account_id = %s", account)

    bank.give_up(bank.opened([account]))
    bank.proxy.forget_counts()

    assert 1 == len(bank.sql("SELECT * FROM call_count WHERE account_id IN (%s, %s)", account, free))


# --- alarms -----------------------------------------------------------------------------------------------------------


def test_an_alarm_comes_before_the_stop(bank: Bank) -> None:
    """At 80 %: one row for the account's day, which the stop and what follows it complete."""
    account = bank.account("100", daily_spend_limit=Decimal(5))
    charge(bank, (account,), "1.00")
    charge(bank, (account,), "1.00")
    charge(bank, (account,), "1.00")
    assert [] == alarms_of(bank, account)

    charge(bank, (account,), "1.00")
    (warned,) = alarms_of(bank, account)
    charge(bank, (account,), "1.00")
    assert ["spending_limit"] * 3 == [open_one(bank, (account,))[1] for _ in range(3)]
    (stopped,) = alarms_of(bank, account)

    assert ("spending_limit", Decimal(5), Decimal(4), 1, 0, None) == (
        *(warned.kind, warned.limit_value, warned.reached, warned.times, warned.refused, warned.stopped_at),
    )
    assert (Decimal(5), 5, 3) == (stopped.reached, stopped.times, stopped.refused)
    assert warned.first_at == stopped.first_at < stopped.stopped_at < stopped.last_at  # type: ignore[operator]


def test_alarms_are_acknowledged_and_raised_anew_when_the_limit_stops(bank: Bank) -> None:
    """Who has seen the warning has not seen the stop."""
    account = bank.account("100", max_calls_per_hour=5)
    for _ in range(4):
        bank.give_up(bank.opened([account]))
    assert (1, 0) == tuple(bank.cashier.acknowledge_alarms(account, "ann") for _ in range(2))
    bank.give_up(bank.opened([account]))
    assert [] == alarms_of(bank, account, open_only=True)

    open_one(bank, (account,))
    assert 1 == len(alarms_of(bank, account, open_only=True))
    bank.admin.acknowledge_alarms(account, "bob")
    open_one(bank, (account,))

    assert [] == alarms_of(bank, account, open_only=True)
    assert ["bob"] == [one.acknowledged_by for one in alarms_of(bank, account)]


def test_nobody_acknowledges_anonymously(bank: Bank) -> None:
    """Nor for an account that is not there."""
    assert "invalid_content" == refused(lambda: bank.cashier.acknowledge_alarms(bank.account(), " "))
    assert "unknown_account" == refused(lambda: bank.cashier.acknowledge_alarms(999_999, "ann"))


def test_old_alarms_are_forgotten(bank: Bank) -> None:
    """After three months."""
    account = bank.account("100", max_calls_per_hour=0)
    open_one(bank, (account,))
    bank.sql("UPDATE alarm SET since = since - INTERVAL 91 DAY WHERE account_id = %s", account)

    bank.proxy.forget_counts()

    assert [] == alarms_of(bank, account)


def test_a_caller_carries_what_is_left_of_his_day(bank: Bank) -> None:
    """For quotes: the limit, less what was charged and is held."""
    account = bank.account("100", daily_spend_limit=Decimal(3))
    charge(bank, (account,), "0.75")
    key, _ = open_one(bank, (account,))

    caller = bank.proxy.identify_account(account)

    assert caller is not None
    assert (Decimal("0.75"), Decimal("1.25")) == (caller.legs[0].spent_today, caller.legs[0].room_today)
    assert Decimal("0.75") == next(one for one in bank.cashier.accounts() if one.account_id == account).spent_today
    bank.give_up(key)
