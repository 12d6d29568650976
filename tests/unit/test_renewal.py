"""How far a call that is up can be funded further."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.errors import LedgerRefused, LedgerUnavailable
from billing.rating import PricedCall
from billing.renewal import Renewal, renew
from tests.unit.builders import AT, CALLS, Ledger, extended, live_call, live_leg, rate


def granted(key, old_s, new_s, holds):
    return extended(new_s)


def test_grant_grows_by_one_normal_step():
    """With money enough the next grant is the normal one longer."""
    ledger = Ledger(extend_call=granted)
    assert Renewal(240, "") == renew(ledger, live_call(), CALLS)


def test_renewal_names_old_and_new_grant_and_absolute_holds():
    """A repeated request cannot hold twice: it says from where to where, and the whole holds."""
    ledger = Ledger(extend_call=granted)
    call = live_call(live_leg(), live_leg(1, hold="0.6", rated=rate("0.3")))
    renew(ledger, call, CALLS)
    assert [(call.call_key, 120, 240, {0: Decimal("2.4"), 1: Decimal("1.2")})] == ledger.asked_for("extend_call")


def test_grant_grows_as_far_as_the_money_goes():
    """With money for seven seconds more the grant grows by seven."""
    ledger = Ledger(extend_call=granted)
    assert Renewal(127, "") == renew(ledger, live_call(live_leg(available="0.07")), CALLS)


def test_poorest_leg_decides():
    """The level with the least money limits the grant of all."""
    call = live_call(live_leg(), live_leg(1, available="0.05"))
    assert Renewal(125, "") == renew(Ledger(extend_call=granted), call, CALLS)


@pytest.mark.parametrize("available", ["0", "0.009999", "-5"])
def test_no_money_for_a_second_asks_nothing(available):
    """Without money for one second more the ledger is not asked: the call ends at its grant unless somebody pays."""
    ledger = Ledger(extend_call=granted)
    assert Renewal(120, "insufficient_balance") == renew(ledger, live_call(live_leg(available=available)), CALLS)
    assert [] == ledger.asked


def test_increment_is_bought_whole():
    """With 60/60 and money for half a minute the grant does not grow; with a minute's it grows by a minute."""
    whole = rate(increment_s=60)
    half = renew(Ledger(extend_call=granted), live_call(live_leg(available="0.3", rated=whole)), CALLS)
    full = renew(Ledger(extend_call=granted), live_call(live_leg(available="0.6", rated=whole)), CALLS)
    assert [Renewal(120, "insufficient_balance"), Renewal(180, "")] == [half, full]


def test_seconds_already_paid_in_an_increment_cost_nothing():
    """A grant that ends inside a paid increment grows to its end without money."""
    call = live_call(live_leg(hold="1.2", available="0", rated=rate(increment_s=60)), grant_s=90)
    assert Renewal(120, "") == renew(Ledger(extend_call=granted), call, CALLS)


@pytest.mark.parametrize(("limit_s", "expected"), [(200, Renewal(200, "")), (120, Renewal(120, "limit"))])
def test_grant_never_passes_the_limit(limit_s, expected):
    """The longest this call may last bounds its last grant, and then it is not renewed."""
    assert expected == renew(Ledger(extend_call=granted), live_call(limit_s=limit_s), CALLS)


def test_cost_cap_that_goes_on_for_free_needs_no_more_money():
    """A call that has reached a max_cost of the rule `free` is renewed by an empty account."""
    free = rate(max_cost=Decimal("1.2"), max_cost_rule="free")
    call = live_call(live_leg(hold="1.2", available="0", rated=free))
    assert Renewal(240, "") == renew(Ledger(extend_call=granted), call, CALLS)


def test_money_taken_meanwhile_is_tried_again_with_what_the_ledger_saw():
    """Another call took the money between look and hold: the next try asks for what is left."""
    ledger = Ledger(extend_call=[extended(120, "insufficient_balance", 0, leg0="0.30"), extended(150)])
    assert Renewal(150, "") == renew(ledger, live_call(), CALLS)
    assert [240, 150] == [new_s for _, _, new_s, _ in ledger.asked_for("extend_call")]


def test_tries_have_an_end():
    """However often the money is taken away, the keeper goes on to the next call."""
    answers = [extended(120, "insufficient_balance", 0, leg0=f"0.{left}0") for left in (9, 8, 7, 6)]
    ledger = Ledger(extend_call=answers)
    assert Renewal(120, "insufficient_balance") == renew(ledger, live_call(), CALLS)
    assert 3 == len(ledger.asked)


def test_refusal_on_a_level_unseen_in_the_answer_keeps_what_was_known():
    """An answer that names one level's money leaves the other's as it was."""
    ledger = Ledger(extend_call=[extended(120, "insufficient_balance", 1, leg1="0.05"), extended(125)])
    call = live_call(live_leg(available="0.09"), live_leg(1))
    assert Renewal(125, "") == renew(ledger, call, CALLS)
    assert [129, 125] == [new_s for _, _, new_s, _ in ledger.asked_for("extend_call")]


@pytest.mark.parametrize("token", ["account_suspended", "account_expired", "user_suspended", "account_closed"])
def test_suspended_or_expired_is_not_renewed(token):
    """A call whose account was suspended, or expired, ends at its grant."""
    ledger = Ledger(extend_call=extended(120, token, 0))
    assert Renewal(120, token) == renew(ledger, live_call(), CALLS)


def test_stale_gives_the_grant_that_is_true():
    """A lost answer to an earlier renewal is found out: the ledger's grant counts."""
    assert Renewal(240, "stale") == renew(Ledger(extend_call=extended(240, "stale")), live_call(), CALLS)


@pytest.mark.parametrize("outcome", ["settled", "unknown_call"])
def test_call_that_is_over_is_not_renewed(outcome):
    """A call that ended between look and hold keeps its grant, whatever the answer's zero says."""
    assert Renewal(120, outcome) == renew(Ledger(extend_call=extended(0, outcome)), live_call(), CALLS)


@pytest.mark.parametrize("error", [LedgerUnavailable("gone"), LedgerRefused("grant_too_long", "call")])
def test_errors_of_the_ledger_are_the_keepers(error):
    """A ledger that is away, or finds the request wrong, is no answer."""
    with pytest.raises(type(error)):
        renew(Ledger(extend_call=error), live_call(), CALLS)


@settings(max_examples=150, deadline=None)
@given(
    increment_s=st.integers(1, 90),
    free_seconds=st.sampled_from([0, 5, 200]),
    grant_s=st.integers(1, 500),
    millis=st.integers(0, 5000),
)
def test_hold_of_the_new_grant_is_never_above_the_money(increment_s, free_seconds, grant_s, millis):
    """Whatever the tariff, the hold asked for is at most the old one and the free money, and one second more is not."""
    rated = rate(increment_s=increment_s, free_seconds=free_seconds)
    price = PricedCall(rated, AT)
    hold, available = price.hold(grant_s), Decimal(millis) / 1000
    ledger = Ledger(extend_call=granted)
    call = live_call(live_leg(hold=str(hold), available=str(available), rated=rated), grant_s=grant_s)
    found = renew(ledger, call, CALLS)
    assert grant_s <= found.grant_s <= grant_s + CALLS.grant_s
    for _, _, new_s, holds in ledger.asked_for("extend_call"):
        assert price.hold(new_s) == holds[0]
        assert hold <= holds[0] <= hold + available
    if found.grant_s < grant_s + CALLS.grant_s:
        assert price.cost(found.grant_s + 1) > hold + available


def test_grant_grows_as_far_as_a_child_may_hold_of_its_parents_money():
    """The parent is rich; the account below may hold 0.05 more of it: five seconds."""
    above = replace(live_leg(1), parent_room=Decimal("0.05"))
    assert Renewal(125, "") == renew(Ledger(extend_call=granted), live_call(live_leg(), above), CALLS)


def test_refusal_for_a_parents_money_is_tried_again():
    """Another call of the child took the rest between look and hold: the grant stays, and the keeper asks again."""
    ledger = Ledger(extend_call=extended(120, "parent_hold_limit", 1))
    assert Renewal(120, "parent_hold_limit") == renew(ledger, live_call(), CALLS)
