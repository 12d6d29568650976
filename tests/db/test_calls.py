"""A call after it opened: answer, extend, settle, record, reap."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing import facts
from billing.errors import InvalidAmount, LedgerRefused
from billing.journal import Fact
from billing.ledger_types import ChargedLeg, SettleAnswer
from billing.pricelist import rate_to_json
from billing.settlement import apply
from tests.db.bank import Bank, ago, call_record, new_key, request, settlement
from tests.unit.builders import rate

# --- answer -----------------------------------------------------------------------------------------------------------


def test_an_answer_starts_the_grant(bank: Bank) -> None:
    """From the moment of the answer, not from when the ledger heard of it."""
    key = bank.opened([bank.account("10")])
    bank.sql("UPDATE live_call SET opened_at = opened_at - INTERVAL 1 MINUTE WHERE call_key = %s", key)

    assert bank.proxy.answer_call(key, 5000, "to-tag", None) == "answered"

    call = bank.proxy.live_call(key)
    assert call is not None
    assert call.answered_at is not None
    assert call.answered_ago_ms is not None
    assert call.deadline_in_ms is not None
    assert ("answered", "to-tag") == (call.state, call.sip_to_tag)
    assert timedelta(seconds=120) == call.hold_until - call.answered_at
    assert 5000 <= call.answered_ago_ms < 6000
    assert 114_000 < call.deadline_in_ms <= 115_000
    bank.give_up(key)


def test_a_repeated_answer_changes_nothing(bank: Bank) -> None:
    """The first one counts."""
    key = bank.opened([bank.account("10")])
    bank.proxy.answer_call(key, 0, "first", None)
    first = bank.proxy.live_call(key)

    assert bank.proxy.answer_call(key, 9000, "second", None) == "answered"

    again = bank.proxy.live_call(key)
    assert first is not None
    assert again is not None
    assert (first.answered_at, first.hold_until, "first") == (again.answered_at, again.hold_until, again.sip_to_tag)
    bank.give_up(key)


def test_no_call_is_answered_before_it_opened(bank: Bank) -> None:
    """A node's clock that ran wild does not make the grant end before it began."""
    key = bank.opened([bank.account("10")])
    bank.proxy.answer_call(key, 10**9, "to", None)

    call = bank.proxy.live_call(key)

    assert call is not None
    assert call.opened_at == call.answered_at
    bank.give_up(key)


def test_an_answer_to_what_is_not_live_says_so(bank: Bank) -> None:
    """Unknown, or settled already."""
    key = bank.opened([bank.account("10")])
    bank.give_up(key)

    assert ("settled", "unknown_call") == (bank.proxy.answer_call(key, 0), bank.proxy.answer_call(new_key(), 0))


def test_calls_that_run_short_are_listed_in_the_order_of_their_deadlines(bank: Bank) -> None:
    """Of one node, answered, within the time asked for; ringing ones are listed apart."""
    account = bank.account("10")
    keys = [bank.opened([account], node="short", steps=(60,), holds=[["0.6"]]) for _ in range(3)]
    ringing = bank.opened([account], node="short")
    for key, ago_ms in zip(keys, (0, 20_000, 10_000), strict=True):
        bank.sql("UPDATE live_call SET opened_at = opened_at - INTERVAL 1 MINUTE WHERE call_key = %s", key)
        bank.proxy.answer_call(key, ago_ms)

    assert [keys[1], keys[2]] == [call.call_key for call in bank.proxy.live_calls("short", due_within_s=55)]
    assert [ringing] == [call.call_key for call in bank.proxy.unanswered_calls("short")]
    assert {*keys, ringing} == {call.call_key for call in bank.proxy.live_calls("short")}
    assert [] == bank.proxy.live_calls("elsewhere")
    bank.give_up(*keys, ringing)


# --- extend -----------------------------------------------------------------------------------------------------------


def _extend(bank: Bank, key: str, old: int, new: int, *holds: str) -> tuple[str, int | None, int]:
    answer = bank.proxy.extend_call(key, old, new, {leg: Decimal(hold) for leg, hold in enumerate(holds)})
    return answer.outcome, answer.failed_leg, answer.grant_s


def test_an_extension_holds_the_new_figures(bank: Bank) -> None:
    """On every leg, absolute; the call is funded for longer."""
    card, reseller = bank.chain("10", "10")
    key = bank.opened([card, reseller])
    before = bank.proxy.live_call(key)

    answer = bank.proxy.extend_call(key, 120, 240, {0: Decimal("2.4"), 1: Decimal("1.5")})

    after = bank.proxy.live_call(key)
    assert before is not None
    assert after is not None
    assert ("extended", 240) == (answer.outcome, answer.grant_s)
    assert [(Decimal("2.4"), Decimal("7.6")), (Decimal("1.5"), Decimal("8.5"))] == [
        (leg.hold, leg.available) for leg in answer.legs
    ]
    assert timedelta(seconds=120) == after.hold_until - before.hold_until
    bank.give_up(key)


def test_a_repeated_extension_changes_nothing(bank: Bank) -> None:
    """It is 'extended' already; one that starts from an older grant is stale and says what is true."""
    account = bank.account("10")
    key = bank.opened([account])
    assert ("extended", None, 240) == _extend(bank, key, 120, 240, "2.4")

    assert ("extended", None, 240) == _extend(bank, key, 120, 240, "2.4")
    assert ("stale", None, 240) == _extend(bank, key, 120, 300, "3")
    assert bank.purse(account)["held"] == Decimal("2.4")
    bank.give_up(key)


def test_an_extension_without_money_leaves_the_grant(bank: Bank) -> None:
    """Refused with the leg; after a top-up the same extension goes through."""
    card, reseller = bank.chain("10", "2")
    key = bank.opened([card, reseller])

    assert ("insufficient_balance", 1, 120) == _extend(bank, key, 120, 240, "2.4", "2.4")
    assert bank.purse(card)["held"] == Decimal("1.2")
    bank.cashier.top_up(new_key(), reseller, "0.4", "ann")
    assert ("extended", None, 240) == _extend(bank, key, 120, 240, "2.4", "2.4")
    bank.give_up(key)


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("trouble", ["account_suspended", "account_expired"])
def test_an_extension_checks_each_level_again(bank: Bank, level: int, trouble: str) -> None:
    """A call may go on to the end of its grant, and no further."""
    accounts = bank.chain("10", "10")
    key = bank.opened(accounts)
    if trouble == "account_suspended":
        bank.admin.set_account_status(accounts[level], "suspended")
    else:
        bank.admin.set_account(accounts[level], expires_at=ago(seconds=1))

    assert (trouble, level, 120) == _extend(bank, key, 120, 240, "2.4", "2.4")
    bank.give_up(key)


def test_an_extension_checks_the_user_again_but_not_the_number_of_calls(bank: Bank) -> None:
    """A tighter limit on calls is for the next one."""
    account = bank.account("10", kind="customer")
    user = bank.user(account)
    key = bank.opened([account], user_id=user)
    bank.admin.set_account(account, max_calls=0)
    assert ("extended", None, 180) == _extend(bank, key, 120, 180, "1.8")
    bank.admin.set_user_status(user, "suspended")

    assert ("user_suspended", 0, 180) == _extend(bank, key, 180, 240, "2.4")
    bank.give_up(key)


def test_a_call_in_debt_is_not_extended(bank: Bank) -> None:
    """After a forced debit calls end at their grants, even where the next seconds cost nothing."""
    account = bank.account("2")
    key = bank.opened([account])
    bank.cashier.adjust(new_key(), account, "-5", "ann", "debt", force=True)

    assert ("insufficient_balance", 0, 120) == _extend(bank, key, 120, 240, "1.2")
    bank.give_up(key)


def test_an_extension_of_what_is_not_live_says_so(bank: Bank) -> None:
    """Unknown, or settled already."""
    key = bank.opened([bank.account("10")])
    bank.give_up(key)

    assert ("settled", None, 0) == _extend(bank, key, 120, 240, "2.4")
    assert ("unknown_call", None, 0) == _extend(bank, new_key(), 120, 240, "2.4")


def test_an_extension_that_cannot_be_meant_is_refused(bank: Bank) -> None:
    """Beyond the limit, backwards, a leg missing, a leg too many, a hold that falls, an amount that is none."""
    accounts = bank.chain("10", "10")
    key = bank.opened(accounts, limit_s=300)

    for old, new, holds, words in (
        (120, 301, ("3.1", "3.1"), "grant_too_long"),
        (120, 120, ("1.2", "1.2"), "does not lengthen"),
        (120, 60, ("1.2", "1.2"), "does not lengthen"),
        (120, 240, ("2.4",), "each leg one hold"),
        (120, 240, ("2.4", "2.4", "2.4"), "each leg one hold"),
        (120, 240, ("2.4", "1.1"), "lowers it"),
    ):
        with pytest.raises(LedgerRefused, match=words):
            _extend(bank, key, old, new, *holds)
    for bad in ("abc", "1e20", None, "1.1234567", "-1"):
        legs = json.dumps([{"leg": 0, "hold": "2.4"}, {"leg": 1, "hold": bad}])
        with pytest.raises(InvalidAmount):
            bank.proxy._call("extend_call", key, 120, 240, legs)
    twice = json.dumps([{"leg": 0, "hold": "2.4"}, {"leg": 0, "hold": "2.4"}])
    with pytest.raises(LedgerRefused, match="leg 1"):
        bank.proxy._call("extend_call", key, 120, 240, twice)
    assert bank.purse(accounts[0])["held"] == Decimal("1.2")
    bank.give_up(key)


# --- settle -----------------------------------------------------------------------------------------------------------


def test_a_settlement_charges_every_leg_and_writes_the_cdr(bank: Bank) -> None:
    """Holds go, charges stay, the CDR has all that was known of the call."""
    card, reseller = bank.chain("10", "50")
    key = bank.opened([card, reseller])
    bank.proxy.answer_call(key, 0, "to", None)

    answer = bank.proxy.settle_call(key, settlement(["0.60", "0.30"], detail="fine"))

    legs = (
        ChargedLeg(0, card, Decimal("0.6"), Decimal("9.4")),
        ChargedLeg(1, reseller, Decimal("0.3"), Decimal("49.7")),
    )
    assert SettleAnswer("settled", 120, legs) == answer
    assert bank.proxy.live_call(key) is None
    assert [(Decimal("9.4"), 0, 0), (Decimal("49.7"), 0, 0)] == [
        (purse["balance"], purse["held"], purse["calls"]) for purse in map(bank.purse, (card, reseller))
    ]
    (cdr,) = bank.cashier.cdrs(call_key=key)
    assert ("answered", "caller", 200, 60_000, 60, 120, "fine", False) == (
        cdr.result, cdr.end_reason, cdr.sip_code, cdr.talked_ms, cdr.billed_s, cdr.grant_s, cdr.detail, cdr.provisional,
    )  # fmt: skip
    assert [(card, Decimal("0.6"), '{"rate": "0.6"}'), (reseller, Decimal("0.3"), '{"rate": "0.6"}')] == [
        (leg.account_id, leg.charge, leg.rate_json) for leg in cdr.legs
    ]
    assert request([1]).rated_at == cdr.rated_at
    entry = bank.cashier.entries(account_id=card)[0]
    assert ("call", Decimal("-0.6"), key, "node1") == (entry.kind, entry.amount, entry.call_key, entry.actor)


def test_a_call_that_costs_nothing_has_no_entry(bank: Bank) -> None:
    """But a CDR."""
    account = bank.account("10")
    key = bank.opened([account])

    bank.proxy.settle_call(key, settlement(["0"], billed_s=0, result="busy", end_reason="", sip_code=486))

    (cdr,) = bank.cashier.cdrs(account_id=account)
    assert ("busy", 486, None, Decimal(0)) == (cdr.result, cdr.sip_code, cdr.answered_at, cdr.legs[0].charge)
    assert ["top_up"] == [entry.kind for entry in bank.cashier.entries(account_id=account)]


def test_the_first_settlement_wins(bank: Bank) -> None:
    """A later one, whatever it says, gets the first one's result."""
    account = bank.account("10")
    key = bank.opened([account])
    first = bank.proxy.settle_call(key, settlement(["0.6"]))
    bank.cashier.top_up(new_key(), account, "5", "ann")

    again = bank.proxy.settle_call(key, settlement(["1.2"], grant_s=7, billed_s=7))

    assert ("already", 120, first.legs) == (again.outcome, again.grant_s, again.legs)
    assert bank.purse(account)["balance"] == Decimal("14.4")


def test_a_settlement_worked_out_for_another_grant_is_stale(bank: Bank) -> None:
    """Extended meanwhile: it says for which grant to work it out."""
    key = bank.opened([bank.account("10")])
    bank.proxy.extend_call(key, 120, 240, {0: Decimal("2.4")})

    answer = bank.proxy.settle_call(key, settlement(["1.2"], grant_s=120, billed_s=120))

    assert SettleAnswer("stale", 240, ()) == answer
    assert bank.proxy.settle_call(key, settlement(["2.4"], grant_s=240, billed_s=240)).outcome == "settled"


def test_an_unknown_call_is_not_settled(bank: Bank) -> None:
    """It may still be on its way, so nothing is written."""
    key = new_key()

    assert SettleAnswer("unknown_call", 0, ()) == bank.proxy.settle_call(key, settlement(["1"]))
    assert bank.cashier.cdrs(call_key=key) == []


def test_a_call_answered_without_word_of_it_is_dated_from_its_end(bank: Bank) -> None:
    """When the answer itself never arrived."""
    key = bank.opened([bank.account("10")])

    bank.proxy.settle_call(key, settlement(["0.6"], ended_ago_ms=3000))

    (cdr,) = bank.cashier.cdrs(call_key=key)
    assert cdr.answered_at is not None
    assert timedelta(seconds=60) == cdr.ended_at - cdr.answered_at
    assert timedelta(seconds=3) <= cdr.settled_at - cdr.ended_at < timedelta(seconds=4)


def test_a_charge_that_cannot_be_is_refused(bank: Bank) -> None:
    """More than is held, a leg missing or too many, something for nothing, no amount; the call stays as it was."""
    accounts = bank.chain("10", "10")
    key = bank.opened(accounts)

    for charges, billed_s, words in (
        (["1.200001", "0.6"], 60, "leg 0 .* cannot be charged 1.200001"),
        (["0.6"], 60, "leg 1"),
        (["0.6", "0.6", "0.6"], 60, "3 charges"),
        (["0.1", "0"], 0, "0 s cost nothing"),
        (["0.6", "0.6"], 121, "more than the grant"),
    ):
        with pytest.raises(LedgerRefused, match=words):
            bank.proxy.settle_call(key, settlement(charges, billed_s=billed_s))
    assert bank.proxy.live_call(key) is not None
    bank.give_up(key)


@pytest.mark.parametrize("amount", ["abc", "1e20", 1e20, "-0.1", "0.1234567", "", None, "1" * 13, {}, "0.1\n"])
def test_a_bad_charge_is_refused(bank: Bank, amount: Any) -> None:
    """By name."""
    account = bank.account("10")
    key = bank.opened([account])
    content = {"grant_s": 120, "talked_ms": 1, "billed_s": 1, "result": "answered", "ended_ago_ms": 0,
               "legs": [{"leg": 0, "charge": amount}]}  # fmt: skip

    with pytest.raises(InvalidAmount, match=key):
        bank.proxy._call("settle_call", key, json.dumps(content))
    bank.give_up(key)


@pytest.mark.parametrize("field", ["grant_s", "talked_ms", "billed_s", "result", "ended_ago_ms", "legs"])
def test_a_settlement_with_a_gap_is_refused(bank: Bank, field: str) -> None:
    """And leaves the call as it was."""
    account = bank.account("10")
    key = bank.opened([account])
    content = {"grant_s": 120, "talked_ms": 1, "billed_s": 1, "result": "answered", "ended_ago_ms": 0,
               "legs": [{"leg": 0, "charge": "0.1"}]}  # fmt: skip
    del content[field]

    with pytest.raises(LedgerRefused):
        bank.proxy._call("settle_call", key, json.dumps(content))
    assert bank.purse(account)["calls"] == 1
    bank.give_up(key)


# --- attempts at carriers ---------------------------------------------------------------------------------------------


def attempts(bank: Bank, key: str) -> list[tuple[int, int, str | None, int]]:
    sql = "SELECT ordinal, carrier_id, carrier_name, sip_code FROM v_attempt WHERE call_key = %s ORDER BY ordinal"
    return [tuple(row.values()) for row in bank.cashier._select(sql, key)]


def test_a_failed_attempt_is_kept_once(bank: Bank) -> None:
    """While the call is live and when it has its CDR, which shows it; the same again changes nothing."""
    account = bank.account("10")
    key = bank.opened([account])

    assert "recorded" == bank.proxy.record_attempt(key, 1, 8, 503, 5_000)
    bank.proxy.settle_call(key, settlement(["1"], carrier_id=9))
    late = [bank.proxy.record_attempt(key, 2, 9, 408, 4_000), bank.proxy.record_attempt(key, 1, 7, 500, 0)]

    assert ["recorded", "already"] == late
    assert [(1, 8, None, 503), (2, 9, None, 408)] == attempts(bank, key)
    (cdr,) = bank.cashier.cdrs(call_key=key)
    assert [(1, 8, 503), (2, 9, 408)] == [(one.ordinal, one.carrier_id, one.sip_code) for one in cdr.attempts]
    assert timedelta(0) < cdr.attempts[1].failed_at - cdr.attempts[0].failed_at
    assert Decimal(9) == bank.purse(account)["balance"]
    assert bank.cashier.audit() == []


def test_an_attempt_of_no_call_is_not_kept(bank: Bank) -> None:
    """An answer, not an error: it must not come again for ever."""
    key = new_key()

    assert "unknown_call" == bank.proxy.record_attempt(key, 1, 8, 503, 0)
    assert [] == attempts(bank, key)


@pytest.mark.parametrize("gap", range(4))
def test_an_attempt_with_a_gap_is_refused(bank: Bank, gap: int) -> None:
    """By the name of its call."""
    key = bank.opened([bank.account("10")])
    told: list[int | None] = [1, 8, 503, 0]
    told[gap] = None

    with pytest.raises(LedgerRefused, match=f"invalid_content: record_attempt of {key}"):
        bank.proxy.record_attempt(key, *told)  # type: ignore[arg-type]
    assert [] == attempts(bank, key)
    bank.give_up(key)


# --- record -----------------------------------------------------------------------------------------------------------


def test_a_refused_call_has_a_cdr_without_legs(bank: Bank) -> None:
    """Once, however often it is recorded."""
    account, key = bank.account(), new_key()

    outcomes = [bank.proxy.record_call(key, call_record(account, detail="x" * 300)) for _ in range(2)]

    assert ["recorded", "already"] == outcomes
    (cdr,) = bank.cashier.cdrs(account_id=account)
    assert ("insufficient_balance", 402, "x" * 255, ()) == (cdr.result, cdr.sip_code, cdr.detail, cdr.legs)


def test_an_emergency_call_has_a_cdr_without_an_account(bank: Bank) -> None:
    """With its times."""
    key = new_key()
    call = call_record(None, result="answered", opened_ago_ms=70_000, answered_ago_ms=65_000, talked_ms=60_000)

    assert bank.proxy.record_call(key, call) == "recorded"

    (cdr,) = bank.cashier.cdrs(call_key=key)
    assert cdr.account_id is None
    assert cdr.answered_at is not None
    assert (timedelta(seconds=5), timedelta(seconds=60), timedelta(seconds=5)) == (
        cdr.answered_at - cdr.opened_at, cdr.ended_at - cdr.answered_at, cdr.settled_at - cdr.ended_at,
    )  # fmt: skip


def test_a_live_call_is_not_recorded(bank: Bank) -> None:
    """It did open: it must be settled."""
    account = bank.account("10")
    key = bank.opened([account])

    assert bank.proxy.record_call(key, call_record(account)) == "live"
    bank.give_up(key)
    assert bank.proxy.record_call(key, call_record(account)) == "already"


def test_a_call_that_never_connected_and_was_reaped_is_refunded(bank: Bank) -> None:
    """open_call's answer was lost, its node cut off until the reaper had charged the whole grant: its fact, that the
    caller was refused, is the truth."""
    account = bank.account("10")
    key = bank.opened([account])
    bank.sql("UPDATE live_leg SET rate = %s WHERE call_key = %s", rate_to_json(rate()), key)
    bank.overdue(key)
    bank.proxy.reap_calls(None, 10)

    outcomes = [apply(bank.proxy, unopened(key, account)) for _ in range(2)]

    assert ["already", "already"] == outcomes
    (cdr,) = bank.cashier.cdrs(call_key=key)
    assert ("billing_unavailable", 503, False, 0) == (cdr.result, cdr.sip_code, cdr.provisional, cdr.talked_ms)
    assert bank.purse(account)["balance"] == 10


def unopened(key: str, account: int) -> Fact:
    """A caller who got 503, because nobody knows whether the call opened."""
    who = {"node": "node1", "account_id": account, "user_id": None, "caller": "", "callee": "49", "dialled": "49"}
    return facts.unopened(
        key, **who, source="", sip_call_id="a@example", result="billing_unavailable", sip_code=503  # type: ignore[arg-type]
    )


def test_settling_what_was_recorded_answers_already(bank: Bank) -> None:
    """There is nothing to charge."""
    account, key = bank.account("10"), new_key()
    bank.proxy.record_call(key, call_record(account))

    assert bank.proxy.call_to_settle(key) is None
    assert SettleAnswer("already", 0, ()) == bank.proxy.settle_call(key, settlement(["1"]))


# --- reap -------------------------------------------------------------------------------------------------------------


def test_calls_within_their_funding_are_left_alone(bank: Bank) -> None:
    """And for 30 s after it: the node may be alive."""
    account = bank.account("10")
    key = bank.opened([account], node="reaped")
    assert bank.proxy.reap_calls("reaped", 10) == []
    bank.sql("UPDATE live_call SET hold_until = UTC_TIMESTAMP(6) - INTERVAL 29 SECOND WHERE call_key = %s", key)
    assert bank.proxy.reap_calls("reaped", 10) == []
    bank.sql("UPDATE live_call SET hold_until = UTC_TIMESTAMP(6) - INTERVAL 31 SECOND WHERE call_key = %s", key)

    assert bank.proxy.reap_calls("reaped", 10) == [key]
    assert bank.proxy.reap_calls("reaped", 10) == []


def test_a_lost_call_is_charged_its_whole_grant_provisionally(bank: Bank) -> None:
    """On every leg, and marked."""
    accounts = bank.chain("10", "10")
    key = bank.opened(accounts)
    bank.overdue(key)

    bank.proxy.reap_calls(None, 10)

    (cdr,) = bank.cashier.cdrs(call_key=key)
    assert ("answered", "lost_node", True, 120, 120_000) == (
        cdr.result, cdr.end_reason, cdr.provisional, cdr.billed_s, cdr.talked_ms,
    )  # fmt: skip
    assert [Decimal("1.2")] * 2 == [leg.charge for leg in cdr.legs]
    assert [(Decimal("8.8"), 0, 0)] * 2 == [
        (purse["balance"], purse["held"], purse["calls"]) for purse in map(bank.purse, accounts)
    ]


def test_the_truth_about_a_lost_call_refunds_the_difference(bank: Bank) -> None:
    """Once: the CDR is complete after that, and a repeated settlement gets the first one's result."""
    accounts = bank.chain("10", "10")
    key = bank.opened(accounts)
    bank.overdue(key)
    bank.proxy.reap_calls(None, 10)
    to_settle = bank.proxy.call_to_settle(key)
    assert to_settle is not None
    assert (120, True) == (to_settle.grant_s, to_settle.provisional)

    truth = settlement(["0.1", "1.2"], billed_s=10, end_reason="callee")
    first, again = bank.proxy.settle_call(key, truth), bank.proxy.settle_call(key, truth)

    assert ("refunded", "already", first.legs) == (first.outcome, again.outcome, again.legs)
    assert [(Decimal("0.1"), Decimal("9.9")), (Decimal("1.2"), Decimal("8.8"))] == [
        (leg.charge, leg.balance) for leg in first.legs
    ]
    (cdr,) = bank.cashier.cdrs(call_key=key)
    assert (False, "callee", 10, 10_000) == (cdr.provisional, cdr.end_reason, cdr.billed_s, cdr.talked_ms)
    kinds = [(entry.kind, entry.amount) for entry in bank.cashier.entries(account_id=accounts[0])]
    assert [("call_refund", Decimal("1.1")), ("call", Decimal("-1.2")), ("top_up", Decimal(10))] == kinds
    assert bank.proxy.call_to_settle(key) is None


def test_a_lost_call_that_was_never_answered_is_refunded_whole(bank: Bank) -> None:
    """The CDR then says so."""
    account = bank.account("10")
    key = bank.opened([account])
    bank.overdue(key)
    bank.proxy.reap_calls(None, 10)

    bank.give_up(key)

    (cdr,) = bank.cashier.cdrs(call_key=key)
    assert ("no_answer", None, 0) == (cdr.result, cdr.answered_at, cdr.talked_ms)
    assert bank.purse(account)["balance"] == 10


def test_a_reaper_takes_no_more_than_it_was_told(bank: Bank) -> None:
    """And only of the node it was told, the longest overdue first."""
    account = bank.account("10")
    here = [bank.opened([account], node="here", steps=(1,), holds=[["0.01"]]) for _ in range(3)]
    there = bank.opened([account], node="there")
    for key in (*here, there):
        bank.overdue(key)

    first, second = bank.proxy.reap_calls("here", 2), bank.proxy.reap_calls("here", 2)

    assert ([*here[:2]], [here[2]]) == (first, second)
    assert bank.proxy.reap_calls(None, 1) == [there]


def test_one_bad_call_does_not_keep_the_others(bank: Bank, new_bank: Any) -> None:
    """The reaper settles what it can, and names what it cannot."""
    damaged = new_bank()
    account = damaged.account("10")
    bad, good = damaged.opened([account]), damaged.opened([account])
    damaged.overdue(bad, good)
    damaged.sql("UPDATE live_call SET hold_until = hold_until - INTERVAL 1 HOUR WHERE call_key = %s", bad)
    damaged.sql("INSERT INTO cdr_leg (call_key, leg, account_id, tariff_id, destination, rate, hold, charge,"
                " balance_after)"
                " SELECT call_key, leg, account_id, 1, '', '', 0, 0, 0 FROM live_leg"
                " WHERE call_key = %s", bad)  # fmt: skip

    with pytest.raises(LedgerRefused, match=f"reap_failed: call {bad}"):
        damaged.proxy.reap_calls(None, 10)
    assert damaged.proxy.live_call(good) is None
    assert damaged.proxy.live_call(bad) is not None


def test_a_heartbeat_is_remembered(bank: Bank) -> None:
    """With how long the node has been up, if it says so."""
    bank.proxy.heartbeat("beating", 60_000)
    (first,) = [node for node in bank.cashier.nodes() if node.name == "beating"]
    bank.proxy.heartbeat("beating")
    (second,) = [node for node in bank.cashier.nodes() if node.name == "beating"]

    assert timedelta(seconds=60) == first.heartbeat_at - first.booted_at
    assert first.booted_at == second.booted_at
    assert first.heartbeat_at < second.heartbeat_at


def test_a_nodes_name_belongs_to_one_instance(bank: Bank) -> None:
    """The second one is told whose it is, and takes nothing; a restart of the first is the first."""
    first = bank.proxy.heartbeat("twice", 1_000, "A", "one:/state")
    (row,) = [node for node in bank.cashier.nodes() if node.name == "twice"]
    second = bank.proxy.heartbeat("twice", 5_000, "B", "two:/state")
    again = bank.proxy.heartbeat("twice", 0, "A", "one:/state")

    assert ("alive", "taken", "alive") == (first.outcome, second.outcome, again.outcome)
    assert ("A", "one:/state", True) == (second.instance, second.place, 0 <= second.silent_ms < 10_000)
    assert "A" == bank.proxy.instance_of("twice")
    assert ("A", "one:/state") == (row.instance, row.place)
    assert bank.proxy.instance_of("never heard of") is None


def test_a_nodes_name_is_free_after_ten_seconds_of_silence(bank: Bank) -> None:
    """A node that is gone, or a machine that was started anew; then the first one is the second."""
    bank.proxy.heartbeat("silent", 1_000, "A", "one:/state")
    bank.sql("UPDATE node SET heartbeat_at = heartbeat_at - INTERVAL 9 SECOND WHERE name = 'silent'")
    early = bank.proxy.heartbeat("silent", 1_000, "B", "two:/state")
    bank.sql("UPDATE node SET heartbeat_at = heartbeat_at - INTERVAL 1 SECOND WHERE name = 'silent'")

    late = bank.proxy.heartbeat("silent", 1_000, "B", "two:/state")

    assert ("taken", "alive") == (early.outcome, late.outcome)
    assert "taken" == bank.proxy.heartbeat("silent", 1_000, "A", "one:/state").outcome
