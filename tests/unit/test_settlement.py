"""From a journal fact to the ledger: what is charged, once."""

from dataclasses import replace
from datetime import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import facts, settlement
from billing.clock import Moment
from billing.errors import LedgerUnavailable
from billing.ledger_types import CarrierRate
from billing.pricelist import rate_to_json
from billing.rating import PricedCall, Rate, Window, short_form
from billing.settlement import NotSettled, apply, billed_seconds, carrier_cost, charges
from tests.unit.builders import Ledger, rate, settled, to_settle

KEY = "01HX0000000000000000000000"


@pytest.fixture
def seconds_pass(monkeypatch):
    """The facts of a test were written a second ago."""
    now = Moment.now()
    later = Moment(now.monotonic_ms + 1000, now.wall_ms + 1000, now.boot)
    monkeypatch.setattr(facts.Moment, "now", staticmethod(lambda: now))
    monkeypatch.setattr(settlement, "Moment", type("Later", (), {"now": lambda: later, "parse": Moment.parse}))


def unopened(**more):
    values = {
        "node": "node-1",
        "account_id": 100,
        "user_id": 7,
        "caller": "alice",
        "callee": "",
        "dialled": "030123",
        "source": "udp:a:1",
        "sip_call_id": "call-1",
        "result": "insufficient_balance",
        "sip_code": 402,
        "detail": "account 0",
    }
    return facts.unopened(KEY, **values | more)


def settled_with(ledger):
    ((_, content),) = ledger.asked_for("settle_call")
    return content


# --- seconds and charges ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("talked_ms", "expected"),
    [(0, 0), (1, 1), (999, 1), (1000, 1), (1001, 2), (119_001, 120), (120_000, 120), (120_400, 120), (10**9, 120)],
)
def test_talk_is_billed_in_whole_seconds_up_to_the_grant(talked_ms, expected):
    """A second begun is a second, and nobody is charged beyond the grant."""
    assert expected == billed_seconds(talked_ms, 120)


@given(st.integers(0, 10**9), st.integers(0, 10**6))
def test_billed_seconds_are_the_least_that_cover_the_talk(talked_ms, grant_s):
    """Below the grant: not a millisecond unbilled, not a whole second too much."""
    billed_s = billed_seconds(talked_ms, grant_s)
    assert billed_s == grant_s or 0 <= billed_s * 1000 - talked_ms < 1000


def test_each_leg_is_charged_at_its_own_rate():
    """61 seconds at 60/60 and at 1/1: two minutes for one level, 61 seconds for the other."""
    call = to_settle(rate(increment_s=60), rate("0.3"))
    assert {0: Decimal("1.2"), 1: Decimal("0.305")} == charges(call, 61)


@pytest.mark.parametrize("grant_s", [0, 1, 120])
def test_no_talk_costs_nothing(grant_s):
    """A call that was never answered costs nothing, the connect fee included."""
    assert {0: Decimal(0)} == charges(to_settle(rate(fee="1"), grant_s=grant_s), 0)


@pytest.mark.parametrize("increment_s", [1, 7, 60, 90])
@pytest.mark.parametrize("grant_s", [1, 59, 60, 61, 120])
def test_charge_never_passes_the_hold(increment_s, grant_s):
    """However the grant cuts an increment, the charge for all of it is what was held for it."""
    rated = rate(increment_s=increment_s, fee="0.05")
    call = to_settle(rated, grant_s=grant_s)
    hold = PricedCall(rated, call.rated_at).hold(grant_s)
    assert {0: hold} == charges(call, grant_s)


# --- what the carrier asks ----------------------------------------------------------------------------------


def routed(*carriers, known=None, grant_s=120):
    """A call that may take these carriers, all at 0.06 a minute in steps of 30 s."""
    asked = CarrierRate(5, None, "EUR", rate_to_json(rate("0.06", increment_s=30)))
    return replace(to_settle(grant_s=grant_s), routes=dict.fromkeys(carriers, asked), carrier_id=known)


@pytest.mark.parametrize(
    ("talked_ms", "cost"), [(0, "0"), (1, "0.03"), (30_000, "0.03"), (30_001, "0.06"), (120_001, "0.15")]
)
def test_the_carrier_is_paid_for_what_was_talked(talked_ms, cost):
    """In its own increments, begun seconds whole, and beyond the grant as well."""
    assert Decimal(cost) == carrier_cost(routed(3), 3, talked_ms)


@pytest.mark.parametrize(
    ("call", "told", "cost"),
    [(routed(3), None, None), (routed(3, known=3), None, "0.03"), (routed(3, known=3), 4, None), (routed(), 3, None)],
)
def test_it_is_the_carrier_that_took_the_call(call, told, cost):
    """By the fact, or else by the ledger; one without a tariff asks nobody knows what."""
    assert (None if cost is None else Decimal(cost)) == carrier_cost(call, told, 1)


def test_a_rate_that_does_not_cover_the_talk_keeps_no_call_from_its_end():
    """The cost is not known then."""
    noon = Rate("49", "x", (Window(frozenset(range(1, 8)), time(12), Decimal(0), short_form(Decimal(1))),))
    asked = CarrierRate(5, None, "EUR", rate_to_json(noon))
    call = replace(to_settle(), routes={3: asked}, carrier_id=3)
    assert (Decimal(720), None) == (carrier_cost(call, 3, 43_200_000), carrier_cost(call, 3, 43_201_000))


# --- a call that ended --------------------------------------------------------------------------------------


def test_ended_call_is_settled_by_the_talk(seconds_pass):
    """The talk in the fact, the grant in the ledger: seconds, charge and the whole CDR follow."""
    ledger = Ledger(call_to_settle=to_settle(), settle_call=settled())
    assert "settled" == apply(ledger, facts.ended(KEY, 61_200, "callee", 3))
    content = settled_with(ledger)
    assert (120, 61_200, 62, {0: Decimal("0.62")}) == (
        content.grant_s,
        content.talked_ms,
        content.billed_s,
        content.charges,
    )
    assert ("answered", "callee", 200, 3, 1000, "") == (
        content.result,
        content.end_reason,
        content.sip_code,
        content.carrier_id,
        content.ended_ago_ms,
        content.detail,
    )


def test_answered_call_of_no_time_is_a_second():
    """An answered call that ended within the millisecond is charged its first second."""
    ledger = Ledger(call_to_settle=to_settle(), settle_call=settled())
    apply(ledger, facts.ended(KEY, 0, "caller", None))
    assert {0: Decimal("0.01")} == settled_with(ledger).charges


def test_failed_call_is_settled_at_nothing(seconds_pass):
    """A call that was never answered gives its hold back and leaves a CDR with its reason."""
    ledger = Ledger(call_to_settle=to_settle(), settle_call=settled())
    assert "settled" == apply(ledger, facts.failed(KEY, "busy", 486, 3, "line 2"))
    content = settled_with(ledger)
    assert ("busy", 486, "line 2", 0, 0, {0: Decimal(0)}) == (
        content.result,
        content.sip_code,
        content.detail,
        content.talked_ms,
        content.billed_s,
        content.charges,
    )


def test_grant_that_grew_meanwhile_is_looked_at_again():
    """The keeper extended the call between look and settlement: it is worked out anew under the new grant."""
    ledger = Ledger(
        call_to_settle=[to_settle(grant_s=120), to_settle(grant_s=240)],
        settle_call=[settled("stale", 240), settled()],
    )
    assert "settled" == apply(ledger, facts.ended(KEY, 180_000, "caller", None))
    assert [(120, 120), (240, 180)] == [(one.grant_s, one.billed_s) for _, one in ledger.asked_for("settle_call")]


def test_call_that_never_stands_still_is_left_for_the_next_round():
    """Five changes in a row are not this round's to win; nothing is charged and nothing lost."""
    ledger = Ledger(call_to_settle=to_settle(), settle_call=settled("stale"))
    with pytest.raises(NotSettled, match=KEY):
        apply(ledger, facts.ended(KEY, 1, "caller", None))
    assert 5 == len(ledger.asked_for("settle_call"))


@pytest.mark.parametrize("outcome", ["settled", "already", "refunded", "unknown_call"])
def test_outcome_of_the_ledger_is_told(outcome):
    """What the ledger did is the answer: also a second settlement, or a refund after the reaper."""
    ledger = Ledger(call_to_settle=to_settle(provisional=outcome == "refunded"), settle_call=settled(outcome))
    assert outcome == apply(ledger, facts.ended(KEY, 1, "caller", None))


def test_fact_read_twice_asks_for_nothing_the_second_time():
    """The drain was killed between settlement and position: the repeated fact finds nothing to settle."""
    ledger = Ledger(call_to_settle=None)
    assert "nothing_to_settle" == apply(ledger, facts.ended(KEY, 1, "caller", None))


def test_lost_answer_is_asked_again_with_the_same_content():
    """A settlement whose answer was lost is called again; its key makes it one."""
    ledger = Ledger(call_to_settle=to_settle(), settle_call=[LedgerUnavailable("lost"), settled("already")])
    fact = facts.ended(KEY, 5_000, "caller", None)
    with pytest.raises(LedgerUnavailable):
        apply(ledger, fact)
    assert "already" == apply(ledger, fact)
    first, second = (one.charges for _, one in ledger.asked_for("settle_call"))
    assert first == second


# --- a call that was answered -------------------------------------------------------------------------------


def test_answer_is_told_with_its_age(seconds_pass):
    """The ledger learns how long ago the call was answered, by the node's monotonic clock."""
    ledger = Ledger(answer_call="answered")
    assert "answered" == apply(ledger, facts.answered(KEY, facts.Moment.now(), 3, 120, "call-1", "from-1", "to-1"))
    assert [(KEY, 1000, "to-1", 3)] == ledger.asked_for("answer_call")


# --- a carrier that failed ----------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["recorded", "already", "unknown_call"])
def test_failed_attempt_is_told_with_its_age(seconds_pass, outcome):
    """Which carrier failed the call, how, and how long ago; whatever the ledger knows of that call, it is done with."""
    ledger = Ledger(record_attempt=outcome)
    assert outcome == apply(ledger, facts.attempt(KEY, 2, 3, 503))
    assert [(KEY, 2, 3, 503, 1000)] == ledger.asked_for("record_attempt")


# --- a call that never opened -------------------------------------------------------------------------------


def test_refused_call_leaves_a_record(seconds_pass):
    """A refusal is a CDR without money, with token, code and the truth in the detail."""
    ledger = Ledger(record_call="recorded")
    assert "recorded" == apply(ledger, unopened())
    ((_, record),) = ledger.asked_for("record_call")
    assert ("insufficient_balance", 402, "account 0", 100, 7, 0, 1000, None) == (
        record.result,
        record.sip_code,
        record.detail,
        record.account_id,
        record.user_id,
        record.talked_ms,
        record.opened_ago_ms,
        record.answered_ago_ms,
    )


def test_emergency_call_leaves_a_record_with_its_talk(seconds_pass):
    """An emergency call charges nobody and its CDR tells when it was answered and how long it lasted."""
    ledger = Ledger(record_call="recorded")
    apply(ledger, unopened(account_id=None, talked_ms=30_000, result="answered", end_reason="caller", sip_code=200))
    ((_, record),) = ledger.asked_for("record_call")
    assert (None, 30_000, 31_000, 31_000, "caller") == (
        record.account_id,
        record.talked_ms,
        record.opened_ago_ms,
        record.answered_ago_ms,
        record.end_reason,
    )


def test_call_that_did_open_is_settled_at_nothing():
    """The answer of open_call was lost but the call is live: its hold is given back, then the record is there."""
    ledger = Ledger(record_call=["live", "already"], call_to_settle=to_settle(), settle_call=settled())
    assert "already" == apply(ledger, unopened(result="billing_unavailable", sip_code=503))
    content = settled_with(ledger)
    assert ("billing_unavailable", 503, 0, {0: Decimal(0)}) == (
        content.result,
        content.sip_code,
        content.talked_ms,
        content.charges,
    )


def test_call_that_did_open_and_was_accepted_is_told_once():
    """The reaper charged it, somebody made that final, and now its node says that it never connected."""
    ledger = Ledger(record_call="live", call_to_settle=to_settle(), settle_call=settled("accepted"))
    assert "accepted" == apply(ledger, unopened(result="billing_unavailable", sip_code=503))
    assert 1 == len(ledger.asked_for("settle_call"))


def test_call_that_stays_live_is_left_for_the_next_round():
    """A call that is neither recorded nor settled is not dropped."""
    ledger = Ledger(record_call="live", call_to_settle=None)
    with pytest.raises(NotSettled, match=KEY):
        apply(ledger, unopened())


def test_long_detail_is_cut_to_the_column():
    """A detail longer than its column does not keep the CDR from being written."""
    ledger = Ledger(record_call="recorded")
    apply(ledger, unopened(detail="x" * 300))
    ((_, record),) = ledger.asked_for("record_call")
    assert "x" * 255 == record.detail


# --- other facts --------------------------------------------------------------------------------------------


def test_opening_needs_nothing_of_the_ledger():
    """The fact that proves the journal writable asks the ledger for nothing."""
    assert "ignored" == apply(Ledger(), facts.opening(KEY, 100))


def test_fact_of_an_unknown_kind_is_not_passed_over():
    """A fact that this version does not know (a newer node's, after a step back) is not dropped without a word."""
    with pytest.raises(ValueError, match="kind"):
        apply(Ledger(), {"kind": "transferred", "call_key": KEY})


@pytest.mark.parametrize("fact", [{"kind": "ended"}, {"kind": "answered", "call_key": KEY}, {"kind": "failed"}])
def test_fact_that_lacks_something_is_an_error(fact):
    """A fact without its fields is no settlement at nothing."""
    with pytest.raises(LookupError):
        apply(Ledger(call_to_settle=to_settle(), settle_call=settled(), answer_call="answered"), fact)


def test_ended_fact_without_its_talk_is_an_error():
    """How long was talked has no default: a call is not free because the figure is missing."""
    fact = facts.ended(KEY, 61_000, "caller", None)
    del fact["talked_ms"]
    with pytest.raises(LookupError):
        apply(Ledger(call_to_settle=to_settle(), settle_call=settled()), fact)
