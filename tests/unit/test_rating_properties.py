"""Rating held against an oracle that walks the call second by second with fractions and a wall clock."""

import math
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from billing.errors import NoRate
from billing.rating import PricedCall, Rate, Rounding, Slot, Window

TRANSITIONS = {
    "Europe/Berlin": ("2024-03-31T01:00:00", "2024-10-27T01:00:00"),
    "America/New_York": ("2024-03-10T07:00:00", "2024-11-03T06:00:00"),
    "Australia/Lord_Howe": ("2024-04-06T15:00:00", "2024-10-05T15:30:00"),
}
EVERY_DAY = frozenset(range(1, 8))


# --- the oracle ---------------------------------------------------------------------------------------------


def window_at(rate, rated_at, second):
    """The window in force at a second of the call, by nothing but the wall clock there."""
    wall = (rated_at + timedelta(seconds=second)).astimezone(ZoneInfo(rate.zone))
    today = [window for window in rate.windows if wall.isoweekday() in window.weekdays]
    begun = [window for window in today if window.from_time <= wall.time()]
    return max(begun, key=lambda window: window.from_time, default=None)


def exact_totals(rate, rated_at, cap_s):
    """The unrounded charge after 0, 1, 2 .. seconds, until the cap or until nothing is for sale."""
    totals, total, next_increment_s = [Fraction(0)], Fraction(0), 0
    for second in range(cap_s):
        if second == next_increment_s:
            window = window_at(rate, rated_at, second)
            if window is None:
                break
            slot = [slot for slot in window.slots if slot.from_s <= second][-1]
            total += Fraction(slot.price) / slot.per_s * slot.increment_s
            next_increment_s += slot.increment_s
            if second == 0:
                total += Fraction(window.connect_fee)
        totals.append(total)
    return totals


def rounded(amount, rounding):
    units = amount * 10**rounding.decimals
    whole = {"up": math.ceil(units), "down": math.floor(units), "half_up": math.floor(units + Fraction(1, 2))}
    return Fraction(whole[rounding.method], 10**rounding.decimals)


def oracle_costs(rate, rated_at, cap_s):
    """What each number of seconds costs, from 0 to the last one for sale, and the last second of talk."""
    totals = exact_totals(rate, rated_at, cap_s)
    costs = [Fraction(0)]
    for seconds in range(1, len(totals)):
        is_same = totals[seconds] is totals[seconds - 1] and seconds > rate.free_seconds + 1
        costs.append(costs[-1] if is_same else rounded(totals[seconds], rate.rounding))
        if seconds <= rate.free_seconds:
            costs[-1] = Fraction(0)
    if rate.max_cost is None:
        return costs, len(costs) - 1
    if rate.max_cost_rule == "free":
        return [min(cost, Fraction(rate.max_cost)) for cost in costs], len(costs) - 1
    last_s = max(t for t, cost in enumerate(costs) if cost <= rate.max_cost)
    return [costs[min(t, last_s)] for t in range(len(costs))], last_s


# --- tariffs and calls --------------------------------------------------------------------------------------


def amounts(most, places=6):
    return st.integers(0, most * 10**places).map(lambda units: Decimal(units).scaleb(-places))


@st.composite
def slot_tuples(draw, increments):
    starts = [0, *sorted(draw(st.sets(st.integers(1, 2000), max_size=3)))]
    price = amounts(2) | st.just(Decimal(0))
    per_s = st.sampled_from([1, 60, 7, 13, 3600]) | st.integers(1, 100)
    return tuple(Slot(start, draw(price), draw(per_s), draw(increments)) for start in starts)


@st.composite
def window_tuples(draw, increments):
    near_the_change = st.integers(0, 5 * 60).map(lambda minute: time(minute // 60, minute % 60))
    anywhere = st.integers(0, 86399).map(lambda s: time(s // 3600, s // 60 % 60, s % 60))
    starts = draw(st.lists(near_the_change | anywhere, min_size=1, max_size=4, unique=True))
    if draw(st.booleans()):
        starts = [time(0), *(start for start in starts if start != time(0))]
    days = st.just(EVERY_DAY) | st.frozensets(st.integers(1, 7), min_size=1)
    return tuple(Window(draw(days), start, draw(amounts(1)), draw(slot_tuples(increments))) for start in starts)


@st.composite
def rates(draw, increments=st.sampled_from([1, 6, 30, 60]) | st.integers(1, 700)):  # noqa: B008
    rounding = Rounding(draw(st.sampled_from(["up", "half_up", "down"])), draw(st.integers(0, 6)))
    return Rate(
        prefix="49",
        destination="Somewhere",
        windows=draw(window_tuples(increments)),
        free_seconds=draw(st.just(0) | st.integers(0, 900)),
        max_cost=draw(st.none() | amounts(200, min(rounding.decimals, 2))),
        max_cost_rule=draw(st.sampled_from(["disconnect", "free"])),
        rounding=rounding,
        zone=draw(st.sampled_from(sorted(TRANSITIONS))),
    )


@st.composite
def instants(draw, zone):
    change = datetime.fromisoformat(draw(st.sampled_from(TRANSITIONS[zone]))).replace(tzinfo=UTC)
    days = draw(st.sampled_from([0, 0, 0, 1, 100]))
    return change + timedelta(days=days, seconds=draw(st.integers(-3 * 3600, 3600)))


@st.composite
def calls(draw):
    rate = draw(rates())
    rated_at = draw(instants(rate.zone))
    assume(window_at(rate, rated_at, 0) is not None)
    return PricedCall(rate, rated_at, draw(st.integers(0, 7200)))


# --- what holds for every tariff and call -------------------------------------------------------------------


@settings(deadline=None, max_examples=150)
@given(calls())
def test_cost_and_limits_equal_the_naive_walk(call):
    """Each second's cost, the end of coverage and of talk are those of a walk second by second."""
    costs, last_s = oracle_costs(call.rate, call.rated_at, call.cap_s)
    assert costs == [call.cost(seconds) for seconds in range(call.coverage_s + 1)]
    assert (len(costs) - 1, last_s) == (call.coverage_s, call.limit_s)


@settings(deadline=None)
@given(calls())
def test_seconds_that_are_not_for_sale_have_no_cost(call):
    """Past coverage there is no charge, unless max_cost ended the talk before."""
    if call.limit_s < call.coverage_s:
        assert call.cost(call.limit_s) == call.cost(call.coverage_s + 1)
    else:
        with pytest.raises(NoRate):
            call.cost(call.coverage_s + 1)


@settings(deadline=None)
@given(rates(), st.data())
def test_uncovered_instant_has_no_rate(rate, data):
    """A call can be priced at an instant exactly if the wall clock there stands in a window."""
    rated_at = data.draw(instants(rate.zone))
    is_covered = window_at(rate, rated_at, 0) is not None
    try:
        PricedCall(rate, rated_at)
    except NoRate:
        assert not is_covered
    else:
        assert is_covered


@settings(deadline=None, max_examples=25)
@given(rates(st.integers(60, 7200)), st.data())
def test_call_of_days_equals_the_naive_walk(rate, data):
    """Over several days, weekdays and a change of the clocks the cost stays that of the naive walk."""
    rated_at = data.draw(instants(rate.zone)) - timedelta(days=data.draw(st.integers(0, 1)))
    assume(window_at(rate, rated_at, 0) is not None)
    call = PricedCall(rate, rated_at, 2 * 86_400)
    costs, last_s = oracle_costs(rate, rated_at, call.cap_s)
    seconds = [*range(0, call.coverage_s, 997), call.coverage_s]
    assert [costs[s] for s in seconds] == [call.cost(s) for s in seconds]
    assert last_s == call.limit_s


@settings(deadline=None)
@given(calls())
def test_cost_never_falls_with_time(call):
    """A longer call never costs less."""
    costs = [call.cost(seconds) for seconds in range(call.coverage_s + 1)]
    assert sorted(costs) == costs


@settings(deadline=None, max_examples=300)
@given(calls(), amounts(300) | amounts(2), st.floats(0, 1))
@example(
    PricedCall(
        Rate("49", "", (Window(EVERY_DAY, time(0), Decimal("0.15"), (Slot(0, Decimal("0.05"), 60, 1),)),)),
        datetime(2024, 1, 1, tzinfo=UTC),
    ),
    Decimal(1),
    0.0,
)
def test_longest_duration_is_the_last_affordable_second(call, budget, somewhere):
    """cost(max_duration(b)) <= b < cost(max_duration(b) + 1) below the limit of the call."""
    exact = call.cost(int(somewhere * call.coverage_s))
    for money in (budget, exact, exact + Decimal("0.000001"), max(exact - Decimal("0.000001"), Decimal(0))):
        longest_s = call.max_duration(money)
        assert 0 <= longest_s <= call.limit_s
        assert call.cost(longest_s) <= money
        if longest_s < call.limit_s:
            assert money < call.cost(longest_s + 1)


@settings(deadline=None)
@given(calls(), st.lists(st.integers(1, 7200), min_size=1, max_size=8), st.floats(0, 1))
def test_charge_does_not_depend_on_how_grants_were_cut(call, lengths_s, somewhere):
    """Grants extended step by step hold in the end what one grant holds, and that covers the charge."""
    grants_s = sorted(min(length_s, call.limit_s) for length_s in lengths_s)
    holds = [call.hold(grant_s) for grant_s in grants_s]
    raised = [later - earlier for earlier, later in zip([Decimal(0), *holds], holds, strict=False)]
    talked_s = int(somewhere * grants_s[-1])
    at_once = PricedCall(call.rate, call.rated_at, call.cap_s)
    assert at_once.hold(grants_s[-1]) == sum(raised, Decimal(0))
    assert min(raised) >= 0
    assert at_once.cost(talked_s) == call.cost(talked_s)
    assert call.cost(talked_s) <= holds[-1]


@settings(deadline=None)
@given(calls(), st.integers(0, 7200))
def test_hold_covers_cost_and_smallest_charge(call, seconds):
    """A hold is the cost of the grant, or the smallest charge if that is more."""
    seconds = min(seconds, call.coverage_s)
    assert max(call.cost(seconds), call.smallest_charge) == call.hold(seconds)
    first_s = call.rate.free_seconds + 1
    if first_s <= call.coverage_s:
        assert call.cost(first_s) == call.smallest_charge
        assert call.cost(max(seconds, first_s)) == call.hold(seconds)


@settings(deadline=None)
@given(calls(), st.floats(0, 1))
def test_explanation_adds_up(call, somewhere):
    """The lines of a charge add up to its sum, and the last line is the charge itself."""
    seconds = int(somewhere * call.coverage_s)
    lines = call.explain(seconds)
    assert call.cost(seconds) == lines[-1].amount
    parts = [line.amount for line in lines if line.kind in {"connect_fee", "talk"}]
    assert [line.amount for line in lines if line.kind == "sum"] == ([sum(parts)] if parts else [])
    if parts:
        talked_s = min(seconds, call.limit_s)
        assert exact_totals(call.rate, call.rated_at, talked_s)[-1] == sum(parts)
