"""open_call: may this call start, and what does it hold?"""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pymysql
import pytest

from billing.errors import InvalidAmount, KeyConflict, LedgerRefused
from billing.ledger_types import HeldLeg, OpenAnswer
from tests.db.bank import Bank, ago, call_record, new_key, request, settlement


def test_an_opened_call_holds_its_grant_on_every_leg(bank: Bank) -> None:
    """All legs, in one go: what is held, what was available before, and a call more in progress."""
    card, reseller = bank.chain("10", "50")
    key = new_key()

    answer = bank.proxy.open_call(key, request([card, reseller], [["1.2", "0.6"], ["0.5", "0.25"]]))

    legs = (HeldLeg(0, card, Decimal("1.2"), Decimal(10)), HeldLeg(1, reseller, Decimal("0.5"), Decimal(50)))
    assert OpenAnswer("opened", None, 120, legs) == answer
    assert [(Decimal("8.8"), 1), (Decimal("49.5"), 1)] == [
        (purse["available"], purse["calls"]) for purse in map(bank.purse, (card, reseller))
    ]
    bank.give_up(key)


def test_the_live_call_keeps_what_was_asked(bank: Bank) -> None:
    """Rates, rating instant, limits and identity travel with the call."""
    account = bank.account("10")
    key = bank.opened([account], sip_call_id="x@y", limit_s=500)

    call = bank.proxy.live_call(key)

    assert call is not None
    assert ("open", 120, 500, 60, "x@y", "from") == (
        call.state, call.grant_s, call.limit_s, call.ring_limit_s, call.sip_call_id, call.sip_from_tag,
    )  # fmt: skip
    assert datetime(2026, 3, 1, 12, 0, tzinfo=UTC) == call.rated_at
    assert timedelta(seconds=60 + 120) == call.hold_until - call.opened_at
    assert (call.answered_ago_ms, call.deadline_in_ms) == (None, None)
    assert ('{"rate": "0.6"}', Decimal("8.8")) == (call.legs[0].rate_json, call.legs[0].available)
    bank.give_up(key)


def test_wide_headers_are_cut_and_odd_bytes_replaced(bank: Bank) -> None:
    """What came over the wire identifies a call; its length must not refuse it, nor its bytes break the JSON."""
    odd = "\udcff\0'\"\\\n" + "x" * 300
    key = bank.opened([bank.account("10")], dialled=odd, source=odd, sip_call_id=odd, sip_from_tag=odd, caller=odd)

    call = bank.proxy.live_call(key)

    assert call is not None
    assert ("??'\"\\\n" + "x" * 58, 255) == (call.dialled, len(call.sip_call_id))
    bank.give_up(key)


@pytest.mark.parametrize(
    ("balances", "grant_s"),
    [(("1.2", "9"), 120), (("1.199999", "9"), 60), (("9", "0.6"), 60), (("0.06", "9"), 6), (("9", "0.01"), 1)],
)
def test_the_highest_step_that_every_leg_can_pay_is_held(bank: Bank, balances: tuple[str, str], grant_s: int) -> None:
    """One leg's short money shortens the grant of all."""
    accounts = bank.chain(*balances)
    key = new_key()
    holds = [["1.2", "0.6", "0.06", "0.01"]] * 2

    answer = bank.proxy.open_call(key, request(accounts, holds, steps=(120, 60, 6, 1)))

    assert ("opened", grant_s) == (answer.outcome, answer.grant_s)
    bank.give_up(key)


@pytest.mark.parametrize(
    ("balance", "smallest"),
    [("0", "0.01"), ("0.009999", "0.01"), ("0.59", "0.01"), ("0.7", "0.8")],
    ids=["nothing", "not the smallest charge", "the smallest charge and no step", "a step and not the smallest charge"],
)
def test_no_money_is_refused(bank: Bank, balance: str, smallest: str) -> None:
    """A leg must be able to pay the smallest charge, and one of the steps; nothing is held otherwise."""
    accounts = bank.chain("9", balance)

    answer = bank.proxy.open_call(new_key(), request(accounts, smallest=["0.01", smallest]))

    assert ("insufficient_balance", 1, 0) == (answer.outcome, answer.failed_leg, answer.grant_s)
    assert (None, Decimal(9), None, Decimal(balance)) == (
        answer.legs[0].hold, answer.legs[0].available, answer.legs[1].hold, answer.legs[1].available,
    )  # fmt: skip
    assert bank.purse(accounts[0])["held"] == 0


def test_credit_is_money(bank: Bank) -> None:
    """A positive credit limit gives postpaid."""
    account = bank.account("0", credit_limit="1.2")
    key = bank.opened([account])

    assert bank.available(account) == 0
    bank.give_up(key)


def test_a_free_call_needs_no_money_but_no_debt_either(bank: Bank) -> None:
    """Nothing held, nothing needed; after a forced debit not even that."""
    account = bank.account()
    free = request([account], [["0", "0"]], smallest="0")
    key = new_key()
    assert bank.proxy.open_call(key, free).outcome == "opened"
    bank.give_up(key)
    bank.cashier.adjust(new_key(), account, "-1", "ann", "debt", force=True)

    assert bank.proxy.open_call(new_key(), free).outcome == "insufficient_balance"


# --- refusals ---------------------------------------------------------------------------------------------------------


def _refusal(bank: Bank, account: int, **parts: Any) -> tuple[str, int | None]:
    answer = bank.proxy.open_call(new_key(), request([account], **parts))
    return answer.outcome, answer.failed_leg


@pytest.mark.parametrize("status", ["suspended", "closed"])
def test_an_account_that_is_not_active_is_refused(bank: Bank, status: Any) -> None:
    """Suspended and closed have tokens of their own."""
    account = bank.account("10")
    bank.emptied(account)
    bank.admin.set_account_status(account, status)

    assert (f"account_{status}", 0) == _refusal(bank, account)


def test_an_expired_account_is_refused(bank: Bank) -> None:
    """From its instant on, by the database's clock."""
    assert ("account_expired", 0) == _refusal(bank, bank.account("10", expires_at=ago(seconds=1)))
    later = bank.account("10", expires_at=ago(seconds=-60))
    bank.give_up(bank.opened([later]))


def test_a_suspended_user_is_refused(bank: Bank) -> None:
    """The account and its other users are not."""
    account = bank.account("10", kind="customer")
    bad, good = bank.user(account), bank.user(account)
    bank.admin.set_user_status(bad, "suspended")

    assert ("user_suspended", 0) == _refusal(bank, account, user_id=bad)
    bank.give_up(bank.opened([account], user_id=good))


def test_calls_of_an_account_are_limited(bank: Bank) -> None:
    """As many as max_calls, then no more until one ends."""
    account = bank.account("10", max_calls=2)
    keys = [bank.opened([account]), bank.opened([account])]

    assert ("too_many_calls", 0) == _refusal(bank, account)
    bank.give_up(keys[0])
    keys[0] = bank.opened([account])
    bank.give_up(*keys)


def test_calls_of_a_user_are_limited(bank: Bank) -> None:
    """Each user by his own limit, whatever the others do."""
    account = bank.account("10", kind="customer")
    one, two = bank.user(account, max_calls=1), bank.user(account, max_calls=1)
    keys = [bank.opened([account], user_id=one), bank.opened([account])]

    assert ("too_many_calls", 0) == _refusal(bank, account, user_id=one)
    keys.append(bank.opened([account], user_id=two))
    bank.give_up(*keys)


def test_under_the_low_balance_fewer_calls_are_allowed(bank: Bank) -> None:
    """What counts is what is available: money held by calls in progress makes it low."""
    account = bank.account("3", max_calls=5, low_balance="2", low_balance_max_calls=1)
    keys = [bank.opened([account])]  # 1.80 left

    assert ("too_many_calls", 0) == _refusal(bank, account)
    bank.cashier.top_up(new_key(), account, "0.20", "ann")
    keys.append(bank.opened([account]))  # 2.00 is not low
    bank.give_up(*keys)


def test_limits_hold_on_every_level(bank: Bank) -> None:
    """A reseller's calls are those of all accounts below."""
    reseller = bank.account("50", kind="reseller", max_calls=1)
    one, two = bank.account("5", reseller), bank.account("5", reseller)
    key = bank.opened([one, reseller])

    answer = bank.proxy.open_call(new_key(), request([two, reseller]))

    assert ("too_many_calls", 1) == (answer.outcome, answer.failed_leg)
    bank.give_up(key)


def test_all_that_is_wrong_with_leg_0_comes_before_leg_1(bank: Bank) -> None:
    """Leg 0's last check is asked before leg 1's first one; on a leg, status comes before money."""
    card, reseller = bank.chain("0", "0")
    bank.admin.set_account_status(reseller, "suspended")

    first = bank.proxy.open_call(new_key(), request([card, reseller]))
    bank.cashier.top_up(new_key(), card, "10", "ann")
    second = bank.proxy.open_call(new_key(), request([card, reseller]))

    assert [("insufficient_balance", 0), ("account_suspended", 1)] == [
        (answer.outcome, answer.failed_leg) for answer in (first, second)
    ]


# --- keys -------------------------------------------------------------------------------------------------------------


def test_the_same_key_gives_the_stored_answer(bank: Bank) -> None:
    """A repeated open holds nothing more, and says again what was available before."""
    account, key = bank.account("10"), new_key()
    first = bank.proxy.open_call(key, request([account]))
    bank.cashier.top_up(new_key(), account, "5", "ann")

    assert first == bank.proxy.open_call(key, request([account]))
    assert (Decimal("1.2"), 1) == (bank.purse(account)["held"], bank.purse(account)["calls"])
    bank.give_up(key)


def test_the_same_key_with_other_content_is_an_error(bank: Bank) -> None:
    """Another number, another account."""
    account, other, key = bank.account("10"), bank.account("10"), new_key()
    bank.proxy.open_call(key, request([account]))

    with pytest.raises(KeyConflict, match=key):
        bank.proxy.open_call(key, request([account], callee="1"))
    with pytest.raises(KeyConflict, match=key):
        bank.proxy.open_call(key, request([other]))
    assert bank.purse(other)["held"] == 0
    bank.give_up(key)


def test_a_refusal_is_not_stored(bank: Bank) -> None:
    """The same key opens once there is money."""
    account, key = bank.account(), new_key()
    assert bank.proxy.open_call(key, request([account])).outcome == "insufficient_balance"
    bank.cashier.top_up(new_key(), account, "5", "ann")

    assert bank.proxy.open_call(key, request([account])).outcome == "opened"
    bank.give_up(key)


@pytest.mark.parametrize("end", ["settled", "recorded"])
def test_a_call_that_has_its_cdr_does_not_open(bank: Bank, end: str) -> None:
    """Whatever was late: the CDR is there, so no money is held for it any more."""
    account, key = bank.account("10"), new_key()
    if end == "settled":
        bank.proxy.open_call(key, request([account]))
        bank.proxy.settle_call(key, settlement(["0.6"]))
    else:
        bank.proxy.record_call(key, call_record(account))

    answer = bank.proxy.open_call(key, request([account]))

    assert ("call_ended", None) == (answer.outcome, answer.failed_leg)
    assert bank.purse(account)["held"] == 0


# --- content that cannot be meant -------------------------------------------------------------------------------------


def test_the_chain_must_be_whole(bank: Bank) -> None:
    """A level that is left out would not be charged."""
    card, reseller, vendor = bank.chain("9", "9", "9")

    for accounts in ([card], [card, reseller], [card, vendor], [reseller, card, vendor], [reseller]):
        with pytest.raises(LedgerRefused, match="chain_changed"):
            bank.proxy.open_call(new_key(), request(accounts))
    with pytest.raises(LedgerRefused, match="stands twice"):
        bank.proxy.open_call(new_key(), request([card, reseller, reseller, vendor]))
    with pytest.raises(LedgerRefused, match="unknown_account: there is no account 999999"):
        bank.proxy.open_call(new_key(), request([999_999]))
    with pytest.raises(LedgerRefused, match="1 to 8 accounts"):
        bank.proxy.open_call(new_key(), request(range(1, 10)))


def test_a_user_must_be_of_the_account(bank: Bank) -> None:
    """Nobody's calls are charged to somebody else."""
    stranger = bank.user(bank.account(kind="customer"))

    for user in (stranger, 999_999):
        with pytest.raises(LedgerRefused, match=f"unknown_user: user {user}"):
            bank.proxy.open_call(new_key(), request([bank.account("9")], user_id=user))


def _content(account: int) -> dict[str, Any]:
    return {
        "node": "n", "user": None, "caller": "c", "callee": "49", "dialled": "d", "source": "s", "sip_call_id": "i",
        "sip_from_tag": "f", "rated_at": "2026-03-01 12:00:00", "limit_s": 3600, "ring_limit_s": 60, "steps": [120, 60],
        "legs": [{"account": account, "tariff": 1, "rate_id": 1, "destination": "D", "rate": "{}",
                  "holds": ["1.2", "0.6"], "smallest": "0.01"}],
    }  # fmt: skip


@pytest.mark.parametrize(
    "amount", ["abc", "1e20", 1e20, "-1", "1.1234567", "", None, "1" * 13, {}, [], "1\n", "9" * 300]
)
@pytest.mark.parametrize("place", ["hold", "smallest"])
def test_a_bad_amount_in_a_leg_is_refused(bank: Bank, amount: Any, place: str) -> None:
    """JSON_TABLE alone would make 0 of "abc", clip 1e20 and round a seventh decimal."""
    content = _content(bank.account("10"))
    if place == "hold":
        content["legs"][0]["holds"][1] = amount
    else:
        content["legs"][0]["smallest"] = amount

    with pytest.raises(InvalidAmount):
        bank.proxy._call("open_call", new_key(), json.dumps(content))


@pytest.mark.parametrize(
    "field",
    ["node", "caller", "callee", "dialled", "source", "sip_call_id", "sip_from_tag", "rated_at", "limit_s",
     "ring_limit_s", "steps", "legs", "account", "tariff", "destination", "rate", "holds", "smallest"],
)  # fmt: skip
def test_a_missing_field_is_refused(bank: Bank, field: str) -> None:
    """A gap in the content is an error and not a default."""
    account = bank.account("10")
    content = _content(account)
    del (content if field in content else content["legs"][0])[field]

    with pytest.raises((LedgerRefused, InvalidAmount)):
        bank.proxy._call("open_call", new_key(), json.dumps(content))
    assert bank.purse(account)["held"] == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [("limit_s", 119), ("limit_s", "abc"), ("rated_at", "yesterday"), ("steps", [120, 60, 30]), ("steps", [0, 0]),
     ("steps", ["abc", 1]), ("callee", "4" * 33), ("node", "n" * 65), ("ring_limit_s", -1), ("user", "abc"),
     ("rated_at", "2026-02-30 00:00:00")],
)  # fmt: skip
def test_nonsense_is_refused(bank: Bank, field: str, value: Any) -> None:
    """Strict tables refuse what does not fit, and nothing of it stays."""
    account = bank.account("10")

    with pytest.raises((LedgerRefused, InvalidAmount)):
        bank.proxy._call("open_call", new_key(), json.dumps({**_content(account), field: value}))
    assert bank.purse(account)["held"] == 0


@pytest.mark.parametrize("text", ["", "null", "[]", "{", "{}", None, '"x"', "{'a': 1}"])
def test_what_is_no_content_is_refused(bank: Bank, text: str | None) -> None:
    """With a token, not with a server's complaint."""
    with pytest.raises(LedgerRefused, match="invalid_content"):
        bank.proxy._call("open_call", new_key(), text)


def test_each_leg_has_a_hold_for_each_step(bank: Bank) -> None:
    """One too many on a leg does not make up for one too few on the next."""
    with pytest.raises(LedgerRefused, match="do not go with its steps"):
        bank.proxy.open_call(new_key(), request(bank.chain("1", "1"), [["3", "2", "1"], ["0.1"]]))


@pytest.mark.parametrize(("size", "fits"), [(60_000, True), (66_000, False), (200_000, False)])
def test_a_rate_is_kept_whole_or_not_at_all(bank: Bank, size: int, fits: bool) -> None:
    """Half a rate could not be settled."""
    account = bank.account("10")
    rate = json.dumps({"windows": "x" * size})
    wanted = request([account])
    wanted = replace(wanted, legs=(replace(wanted.legs[0], rate_json=rate),))
    key = new_key()

    if fits:
        assert bank.proxy.open_call(key, wanted).outcome == "opened"
        call = bank.proxy.live_call(key)
        assert call is not None
        assert rate == call.legs[0].rate_json
        bank.give_up(key)
    else:
        with pytest.raises(LedgerRefused, match="rate"):
            bank.proxy.open_call(key, wanted)


def test_names_are_text_and_not_sql(bank: Bank) -> None:
    """Quotes in a user name find nobody and harm nothing."""
    evil = "x' OR '1'='1"

    assert bank.proxy.identify_digest(evil, evil) is None
    assert bank.proxy.identify_card(evil) is None
    assert bank.proxy.identify_caller_number(1, evil) is None
    with pytest.raises(pymysql.err.MySQLError):
        bank.sql("SELECT nothing")
