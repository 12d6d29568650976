"""May this call start, and for how long: the quote, the ladder, and what the ledger is asked."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing import authorization
from billing.authorization import CallAttempt, authorize, ladder, quote, refusal_of
from billing.directory import Carrier
from billing.errors import DestinationBarred, LedgerUnavailable, NoRate, Refused
from billing.pricelist import rate_from_json
from billing.routes import Router
from billing.settings import CarrierSettings
from tests.unit.builders import AT, CALLS, Ledger, Purses, Rates, caller, leg, not_opened, opened, rate

ATTEMPT = CallAttempt("01HX0000000000000000000000", "node-1", "alice", "030123", "udp:a:1", "call-1", "from-1")
ROUTER = Router([Carrier(1, "first", "192.0.2.1", 5060, "udp", 0, "")], CarrierSettings())
DAY_S = 86_400


def quoted(*legs, rates=None, cap_s=DAY_S):
    return quote(caller(*legs), Rates(*(rates or [rate()] * max(1, len(legs)))), "4930123", AT, cap_s)


def steps_of(*legs, rates=None, grant_s=120, shorter_s=(60, 30, 15, 6, 1)):
    return ladder(quoted(*legs, rates=rates), grant_s, shorter_s)


def start(ledger, *legs, rates=None, **more):
    priced = Rates(*(rates or [rate()] * max(1, len(legs))))
    return authorize(ledger, priced, caller(*legs, **more), "4930123", ATTEMPT, CALLS, ROUTER)


def refused(ledger, *legs, **more):
    with pytest.raises(Refused) as caught:
        start(ledger, *legs, **more)
    return caught.value


# --- the quote ----------------------------------------------------------------------------------------------


def test_quote_is_what_the_balance_pays():
    """1.20 at 0.01 a second is two minutes."""
    assert 120 == quoted(leg(balance="1.2")).max_duration_s


def test_quote_is_the_least_over_the_legs():
    """The level with the least money for its own price ends the call."""
    found = quoted(leg(balance="10"), leg(1, balance="0.3"))
    assert 30 == found.max_duration_s


def test_quote_counts_credit_and_holds():
    """Available money is balance plus credit less what other calls hold."""
    assert 130 == quoted(leg(balance="1", credit_limit="0.5", held="0.2")).max_duration_s


def test_quote_of_a_debt_is_nothing():
    """An account below zero can talk for no second."""
    assert 0 == quoted(leg(balance="-1")).max_duration_s


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, DAY_S),
        ({"longest_call_s": 300}, 300),
        ({"expires_at": AT + timedelta(seconds=45)}, 45),
        ({"expires_at": AT + timedelta(seconds=45, milliseconds=900)}, 45),
        ({"expires_at": AT + timedelta(seconds=45), "longest_call_s": 30}, 30),
    ],
)
def test_limit_is_the_longest_call_or_the_expiry(more, expected):
    """A call lasts no longer than its account lets calls last, or lives."""
    assert expected == quoted(leg(balance="100000", **more)).limit_s


def test_limit_of_an_upper_level_counts():
    """A reseller's longest call binds his customers' calls."""
    assert 60 == quoted(leg(balance="1000"), leg(1, balance="1000", longest_call_s=60)).limit_s


def test_limit_ends_where_max_cost_disconnects():
    """A tariff that ends the talk at a cost limits the call, however much money there is."""
    assert 50 == quoted(leg(), rates=[rate(max_cost=Decimal("0.5"))]).limit_s


@pytest.mark.parametrize(
    ("error", "token"),
    [(NoRate("none"), "destination_unknown"), (DestinationBarred("barred"), "destination_barred")],
)
def test_leg_that_sells_no_such_call_refuses_it(error, token):
    """A missing or barred rate on any level refuses the call with its token, and names the level in the detail."""
    with pytest.raises(Refused, match="leg 1 account account 1") as caught:
        quoted(leg(), leg(1), rates=[rate(), error])
    assert (token, 1) == (caught.value.token, caught.value.leg)


# --- what would be refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("legs", "user_status", "expected"),
    [
        ([leg()], None, None),
        ([leg()], "active", None),
        ([leg()], "suspended", ("account_suspended", 0)),
        ([leg(status="suspended")], None, ("account_suspended", 0)),
        ([leg(status="closed")], None, ("account_suspended", 0)),
        ([leg(expires_at=AT)], None, ("account_expired", 0)),
        ([leg(balance="0.009999")], None, ("insufficient_balance", 0)),
        ([leg(balance="0.01")], None, None),
        ([leg(daily_spend_limit="2", spent_today="1.995")], None, ("spending_limit", 0)),
        ([leg(daily_spend_limit="2", spent_today="1", held="0.99")], None, None),
        ([leg(), leg(1, daily_spend_limit="0")], None, ("unavailable", 1)),
        ([leg(), leg(1, status="suspended")], None, ("unavailable", 1)),
        ([leg(), leg(1, expires_at=AT)], None, ("unavailable", 1)),
        ([leg(), leg(1, balance="0")], None, ("unavailable", 1)),
    ],
)
def test_announcement_knows_what_would_be_refused(legs, user_status, expected):
    """An announcement says what the ledger would, and hides what is above the caller's own account."""
    who = caller(*legs, user_status=user_status)
    found = refusal_of(who, quote(who, Rates(rate(), rate()), "4930123", AT, DAY_S))
    assert expected == (None if found is None else (found.token, found.leg))


def test_quote_ends_where_the_days_spending_does():
    """2.00 a day, of which 0.40 are charged and 0.10 held: 1.50 at 0.01 a second, whatever the balance is."""
    who = caller(leg(balance="100", daily_spend_limit="2", spent_today="0.4", held="0.1"))
    assert 150 == quote(who, Rates(rate()), "4930123", AT, DAY_S).max_duration_s


# --- the ladder ---------------------------------------------------------------------------------------------


def test_ladder_has_the_normal_grant_shorter_ones_and_the_smallest():
    """With money enough, per second: the normal grant first, then each shorter step."""
    assert (120, 60, 30, 15, 6, 1) == steps_of(leg())


def test_ladder_has_what_the_balance_pays():
    """The balance as last seen is a step of its own, so that a whole balance can be talked away."""
    assert (120, 77, 60, 30, 15, 6, 1) == steps_of(leg(balance="0.779"))


def test_step_is_lengthened_to_what_its_money_buys():
    """With 60/60 a grant of one second costs a minute, so it is a minute."""
    assert (120, 60) == steps_of(leg(), rates=[rate(increment_s=60)])


def test_step_is_lengthened_by_the_shortest_leg():
    """A step grows only as far as its money buys on every level."""
    steps = steps_of(leg(), leg(1), rates=[rate(increment_s=60), rate(increment_s=6)])
    assert (120, 60, 30, 18, 6) == steps


def test_free_seconds_do_not_shorten_a_step():
    """Inside the free seconds every step costs the same, so only the longest is asked for."""
    assert (120,) == steps_of(leg(), rates=[rate(free_seconds=200)])


@pytest.mark.parametrize(("limit_s", "expected"), [(5, (5, 1)), (1, (1,)), (60, (60, 30, 15, 6, 1))])
def test_no_step_is_above_the_limit(limit_s, expected):
    """A call that may last five seconds asks for five, not for the normal grant."""
    assert expected == steps_of(leg(longest_call_s=limit_s))


def test_limit_inside_one_increment_is_one_step():
    """With 60/60 and a limit of five seconds there is one step: five seconds, at the price of a minute."""
    found = quoted(leg(longest_call_s=5), rates=[rate(increment_s=60)])
    assert (5,) == ladder(found, 120, (60, 30, 15, 6, 1))
    assert Decimal("0.6") == found.legs[0].price.hold(5)


def test_no_second_left_is_no_ladder():
    """An account that expires within this second has nothing to ask for."""
    assert () == steps_of(leg(expires_at=AT + timedelta(milliseconds=900)))


tariffs = st.builds(
    rate,
    price=st.sampled_from(["0", "0.01", "0.6", "1", "7"]),
    per_s=st.sampled_from([1, 60]),
    initial_s=st.none() | st.integers(1, 90),
    increment_s=st.integers(1, 90),
    fee=st.sampled_from(["0", "0.05", "2"]),
    free_seconds=st.sampled_from([0, 0, 5, 200]),
    max_cost=st.none() | st.sampled_from([Decimal(1), Decimal(5)]),
    max_cost_rule=st.sampled_from(["disconnect", "free"]),
)
amounts = st.integers(0, 40_000).map(lambda number: str(Decimal(number) / 1000))
chains = st.lists(st.tuples(tariffs, amounts, st.none() | st.integers(1, 400)), min_size=1, max_size=3)


@settings(max_examples=150, deadline=None)
@given(chains, st.lists(amounts, min_size=3, max_size=3))
def test_nobody_is_refused_while_the_smallest_charge_is_free(chain, really):
    """Whatever the tariffs, and though the money seen is not the money there: a call is granted if every level can pay
    the smallest charge, refused for money otherwise, never above its limit, never beyond the money."""
    legs = [leg(number, balance=seen, longest_call_s=longest) for number, (_, seen, longest) in enumerate(chain)]
    rates = [one for one, _, _ in chain]
    found = quoted(*legs, rates=rates)
    if found.limit_s < 1:
        return
    purses = Purses(**{f"account{100 + number}": really[number] for number in range(len(legs))})
    before = dict(purses.available)
    can_pay = all(before[one.leg.account_id] >= one.price.smallest_charge for one in found.legs)
    if not can_pay:
        assert refused(purses, *legs, rates=rates).token in ("insufficient_balance", "unavailable")
        return
    granted = start(purses, *legs, rates=rates).grant_s
    assert 1 <= granted <= min(120, found.limit_s)
    for one in found.legs:
        account = one.leg.account_id
        assert before[account] - one.price.hold(granted) == purses.available[account]
        assert purses.available[account] >= 0


@settings(max_examples=100, deadline=None)
@given(chains)
def test_ladder_falls_in_seconds_and_never_rises_in_money(chain):
    """Steps fall, and their holds with them, down to the smallest charge on every level: what the ledger relies on."""
    legs = [leg(number, balance=seen, longest_call_s=longest) for number, (_, seen, longest) in enumerate(chain)]
    found = quoted(*legs, rates=[one for one, _, _ in chain])
    steps = ladder(found, 120, CALLS.shorter_grants_s)
    assert sorted(set(steps), reverse=True) == list(steps)
    for one in found.legs:
        holds = [one.price.hold(step) for step in steps]
        assert sorted(holds, reverse=True) == holds
        assert not holds or one.price.smallest_charge == holds[-1]


# --- the request --------------------------------------------------------------------------------------------


def test_ledger_is_asked_once_with_every_level_priced():
    """One round trip: steps, holds, the smallest charge and the rate of each level, fixed for the call."""
    ledger = Ledger(open_call=opened())
    answer = start(ledger, leg(), leg(1), rates=[rate(), rate("0.3")], user_id=7)
    ((key, request),) = ledger.asked_for("open_call")
    assert (ATTEMPT.call_key, 7, "4930123", "030123", AT) == (
        key,
        request.user_id,
        request.callee,
        request.dialled,
        request.rated_at,
    )
    assert (120, 60, 30, 15, 6, 1) == request.steps
    assert (Decimal("1.2"), Decimal("0.6"), Decimal("0.3"), Decimal("0.15"), Decimal("0.06"), Decimal("0.01")) == (
        request.legs[0].holds
    )
    assert [(100, Decimal("0.01")), (101, Decimal("0.005"))] == [(one.account_id, one.smallest) for one in request.legs]
    assert rate("0.3") == rate_from_json(request.legs[1].rate_json)
    assert 120 == answer.grant_s


def test_price_is_fixed_at_the_whole_second_of_the_ledgers_clock():
    """The rating instant is the database's time of identification, without its fraction."""
    ledger = Ledger(open_call=opened())
    start(ledger)
    ((_, request),) = ledger.asked_for("open_call")
    assert AT == request.rated_at


def test_free_seconds_are_no_free_call():
    """Within free seconds the hold is the first charge past them."""
    ledger = Ledger(open_call=opened())
    start(ledger, rates=[rate(free_seconds=10)])
    ((_, request),) = ledger.asked_for("open_call")
    assert (Decimal("0.11"), Decimal("0.11")) == (request.legs[0].smallest, request.legs[0].holds[-1])


def test_limit_travels_with_the_call():
    """The longest the call may ever last is the ledger's to know: no renewal passes it."""
    ledger = Ledger(open_call=opened())
    start(ledger, leg(longest_call_s=300))
    ((_, request),) = ledger.asked_for("open_call")
    assert (300, CALLS.ring_limit_s) == (request.limit_s, request.ring_limit_s)


def test_away_is_neither_yes_nor_no():
    """A ledger that does not answer is not a refusal: the caller of authorize has to find out."""
    with pytest.raises(LedgerUnavailable):
        start(Ledger(open_call=LedgerUnavailable("gone")))


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "failed_leg", "token"),
    [
        ("account_suspended", 0, "account_suspended"),
        ("account_closed", 0, "account_suspended"),
        ("user_suspended", 0, "account_suspended"),
        ("account_expired", 0, "account_expired"),
        ("too_many_calls", 0, "too_many_calls"),
        ("insufficient_balance", 0, "insufficient_balance"),
        ("spending_limit", 0, "spending_limit"),
        ("hourly_limit", 0, "hourly_limit"),
        ("hourly_destination_limit", 0, "hourly_destination_limit"),
        ("spending_limit", 1, "unavailable"),
        ("hourly_destination_limit", 1, "unavailable"),
        ("account_suspended", 1, "unavailable"),
        ("account_expired", 1, "unavailable"),
        ("too_many_calls", 1, "unavailable"),
        ("insufficient_balance", 1, "unavailable"),
        ("insufficient_balance", None, "insufficient_balance"),
    ],
)
def test_refusal_of_the_ledger_has_its_token(outcome, failed_leg, token):
    """Each outcome has the token of the table; what happens above the caller's account is `unavailable`."""
    found = refused(Ledger(open_call=not_opened(outcome, failed_leg)), leg(), leg(1))
    assert token == found.token


def test_truth_about_an_upper_level_is_in_the_detail():
    """CDR and log say which level failed and why, though the caller hears `unavailable`."""
    found = refused(Ledger(open_call=not_opened("insufficient_balance", 1)), leg(), leg(1))
    assert "leg 1: insufficient_balance: account account 1" == found.detail


def test_expired_account_is_refused_without_asking():
    """An account that expired before this second is refused with its token, and holds nothing."""
    ledger = Ledger(open_call=opened())
    assert "account_expired" == refused(ledger, leg(expires_at=AT)).token
    assert [] == ledger.asked


def test_account_in_its_last_second_is_expired():
    """Less than a whole second left is no call."""
    assert "account_expired" == refused(Ledger(), leg(expires_at=AT + timedelta(milliseconds=900))).token


def test_suspension_is_named_before_expiry():
    """An account that is both suspended and expired is refused as suspended."""
    assert "account_suspended" == refused(Ledger(), leg(expires_at=AT, status="suspended")).token


def test_expired_upper_level_is_unavailable():
    """A customer does not learn that his reseller expired."""
    assert "unavailable" == refused(Ledger(), leg(), leg(1, expires_at=AT)).token


def test_upper_level_in_its_last_second_is_unavailable():
    """A customer does not learn either that his reseller expires within this second."""
    ending = leg(1, expires_at=AT + timedelta(milliseconds=900))
    assert "unavailable" == refused(Ledger(), leg(), ending).token


def test_module_keeps_the_outcome_it_waits_for():
    """The one outcome that means a call is up is spelled as in the ledger's routine."""
    assert "opened" == authorization.OPENED


# --- what a child may hold, where a user may call -----------------------------------------------------------


def test_quote_is_within_what_a_child_may_hold_of_its_parents_money():
    """Both are rich; 0.30 of the parent's money are 30 s, less what other calls of the child hold of it."""
    rich = leg(1, balance="100")
    assert 30 == quoted(leg(parent_hold_limit="0.3"), rich).max_duration_s
    assert 20 == quoted(leg(parent_hold_limit="0.3", parent_held="0.1"), rich).max_duration_s
    assert 0 == quoted(leg(parent_hold_limit="0.3", parent_held="0.4"), rich).max_duration_s
    assert 30 in steps_of(leg(parent_hold_limit="0.3"), rich)


def test_who_may_hold_nothing_hears_unavailable():
    """The leg is the parent's, and so the caller does not learn of it; the detail names it."""
    found = refusal_of(caller(leg(parent_hold_limit="0"), leg(1)), quoted(leg(parent_hold_limit="0"), leg(1)))
    assert ("unavailable", 1, "leg 1: parent_hold_limit: account account 1") == (
        *(found.token, found.leg, found.detail),
    )
    ledger = Ledger(open_call=not_opened("parent_hold_limit", 1))
    told = refused(ledger, leg(), leg(1))
    assert ("unavailable", True) == (told.token, "parent_hold_limit" in told.detail)


def test_a_users_longest_call_is_his_own():
    """Beside the account's: the shorter one counts."""
    ledger = Ledger(open_call=opened())
    start(ledger, leg(longest_call_s=100), user_longest_call_s=40)
    start(ledger, leg(longest_call_s=30), user_longest_call_s=40)
    assert [40, 30] == [request.limit_s for _, request in ledger.asked_for("open_call")]


def test_a_barred_number_is_refused_before_the_ledger_is_asked():
    """No money was held."""
    told = refused(Ledger(), leg(prefix_rules="-49"))
    assert ("destination_barred", "leg 0 account account 0: 4930123: prefix 49 is barred") == (told.token, told.detail)
