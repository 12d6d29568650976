"""Minute bundles in the arithmetic of a call, held against a walk increment by increment."""

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st

from billing.bundles import OFFERS_MAX, offers, period_of
from billing.errors import NoRate
from billing.rating import PricedCall, Rate, Slot, Window
from tests.unit.test_rating_properties import EVERY_DAY, amounts, calls, rounded, window_at


def increments(call):
    """(start, end, exact price) of every increment that starts before the cap or within the free seconds."""
    found, now = [], 0
    while now < max(call.cap_s, call.rate.free_seconds + 1):
        window = window_at(call.rate, call.rated_at, now)
        if window is None:
            break
        slot = [slot for slot in window.slots if slot.from_s <= now][-1]
        found.append((now, now + slot.increment_s, Fraction(slot.price) / slot.per_s * slot.increment_s))
        now += slot.increment_s
    return found


def oracle_cost(call, seconds, covered_s):
    """The fee, and the price of the increments that start within the talk and not before `covered_s`."""
    talked_s = min(seconds, call.limit_s)
    if talked_s <= call.rate.free_seconds:
        return Fraction(0)
    fee = Fraction(window_at(call.rate, call.rated_at, 0).connect_fee)
    paid = sum(price for start, _, price in increments(call) if covered_s <= start < talked_s)
    cost = rounded(fee + paid, call.rate.rounding)
    if call.rate.max_cost is not None and call.rate.max_cost_rule == "free":
        return min(cost, Fraction(call.rate.max_cost))
    return cost


def borders(call):
    return [0, *(end for _, end, _ in increments(call))]


def covered(call, somewhere):
    return borders(call)[int(somewhere * (len(borders(call)) - 1))]


PARTS = st.floats(0, 1)
PLAIN = PricedCall(
    Rate("49", "", (Window(EVERY_DAY, time(0), Decimal("0.15"), (Slot(0, Decimal("0.05"), 60, 60),)),)),
    datetime(2024, 1, 1, tzinfo=UTC),
    600,
)
"""0.15 a call and 0.05 a minute, paid whole."""


@settings(deadline=None, max_examples=40)
@given(calls(), PARTS, PARTS)
@example(PLAIN, 0.2, 0.3)
def test_covered_seconds_cost_nothing_but_the_fee(call, somewhere, part):
    """The cost is the fee and what starts after the bundle; without a bundle it is the price list's."""
    covered_s = covered(call, part)
    for seconds in {0, 1, int(somewhere * call.coverage_s), call.coverage_s}:
        if seconds <= call.coverage_s:
            assert oracle_cost(call, seconds, covered_s) == call.cost(seconds, covered_s)
    assert call.cost(call.coverage_s) == call.cost(call.coverage_s, 0)


@settings(deadline=None, max_examples=80)
@given(calls(), PARTS, amounts(300) | amounts(2), PARTS)
@example(PLAIN, 0.2, Decimal("0.15"), 0.0)
def test_longest_duration_is_the_last_affordable_second_with_a_bundle(call, part, budget, somewhere):
    """cost(max_duration(b)) <= b < cost(max_duration(b) + 1) below the limit of the call, however much is covered."""
    covered_s = covered(call, part)
    exact = call.cost(int(somewhere * call.coverage_s), covered_s)
    for money in (budget, exact, exact + Decimal("0.000001"), max(exact - Decimal("0.000001"), Decimal(0))):
        longest_s = call.max_duration(money, covered_s)
        assert 0 <= longest_s <= call.limit_s
        assert call.cost(longest_s, covered_s) <= money
        if longest_s < call.limit_s:
            assert money < call.cost(longest_s + 1, covered_s)
        assert call.max_duration(money) <= longest_s


@settings(deadline=None, max_examples=40)
@given(calls(), st.integers(0, 8000))
def test_borders_are_those_of_increments(call, seconds):
    """The last one up to a second and the first one from it on."""
    found = borders(call)
    assert max(end for end in found if end <= seconds) == call.border_before(seconds)
    assert min((end for end in found if end >= seconds), default=found[-1]) == call.border_after(seconds)


@settings(deadline=None, max_examples=40)
@given(calls(), PARTS, PARTS)
def test_a_bundle_that_pays_for_a_grant_leaves_the_fee(call, somewhere, part):
    """With the seconds that a grant needs of it; and talk within the grant uses no more than these."""
    grant_s = int(somewhere * call.limit_s)
    need_s = call.bundle_need(grant_s)
    if not any(price for _, _, price in increments(call)):
        assert need_s == 0
        return
    fee = rounded(Fraction(window_at(call.rate, call.rated_at, 0).connect_fee), call.rate.rounding)
    assert call.hold(grant_s, need_s) <= fee
    talked_s = int(part * grant_s)
    used_s = call.bundle_used(talked_s, need_s)
    assert used_s <= need_s
    assert used_s == (0 if talked_s <= call.rate.free_seconds else call.border_after(talked_s))
    assert call.cost(talked_s, need_s) == call.cost(talked_s, used_s)


@settings(deadline=None, max_examples=40)
@given(calls(), PARTS, PARTS)
def test_settlement_needs_only_what_was_used(call, somewhere, part):
    """The charge worked out again from the seconds that were used is the charge by the seconds that were held."""
    covered_s, talked_s = covered(call, part), int(somewhere * call.coverage_s)
    used_s = call.bundle_used(talked_s, covered_s)
    assert call.cost(talked_s, covered_s) == call.cost(talked_s, used_s)


@settings(deadline=None, max_examples=40)
@given(calls(), st.lists(st.tuples(PARTS, st.integers(0, 7200)), min_size=1, max_size=6), PARTS, amounts(3))
def test_grants_grow_by_bundle_first_and_then_by_money(call, steps, somewhere, money):
    """Step by step, with bundle seconds that come and go: what is held never falls, pays for the grant exactly, and the
    covered seconds are fixed once money is held for a later one."""
    covered_s, held, grant_s, fixed_at = 0, Decimal(0), 0, None
    for number, (part, left_s) in enumerate(steps):
        new_s = max(1, grant_s, int(part * call.limit_s))
        if new_s > call.limit_s:
            return
        may_grow = call.bundle_need(new_s) > 0 and (number == 0 or 0 < covered_s >= call.bundle_need(grant_s))
        alone = ((covered_s, call.hold(new_s, covered_s)),)
        options = offers(call, new_s, covered_s, covered_s + left_s) if may_grow else alone
        chosen_s, hold = next(option for option in options if option[0] - covered_s <= left_s)
        assert hold == call.hold(new_s, chosen_s) == max(call.cost(new_s, chosen_s), call.smallest(chosen_s))
        assert chosen_s >= covered_s
        assert number == 0 or hold >= held
        assert fixed_at is None or chosen_s == fixed_at
        covered_s, held, grant_s = chosen_s, hold, new_s
        if covered_s < call.bundle_need(grant_s):
            fixed_at = covered_s
    talked_s = int(somewhere * grant_s)
    assert call.cost(talked_s, covered_s) <= held
    assert call.bundle_used(talked_s, covered_s) <= covered_s


@settings(deadline=None, max_examples=40)
@given(calls(), PARTS, st.integers(0, 7200))
def test_offers_fall_from_all_to_none(call, somewhere, seen_s):
    """Every coverage between, and among them the one that was seen; a long grant by the second offers some of them."""
    grant_s = int(somewhere * call.limit_s)
    offered = offers(call, grant_s, 0, seen_s)
    seconds = [covered_s for covered_s, _ in offered]
    assert (call.bundle_need(grant_s), 0) == (seconds[0], seconds[-1])
    assert sorted(set(seconds), reverse=True) == seconds
    assert call.border_before(min(seen_s, seconds[0])) in seconds
    assert len(seconds) <= OFFERS_MAX + 2
    assert set(seconds) <= set(borders(call))
    assert sorted(hold for _, hold in offered) == [hold for _, hold in offered]


@settings(deadline=None, max_examples=40)
@given(calls(), PARTS, PARTS)
def test_explanation_adds_up_with_a_bundle(call, somewhere, part):
    """The lines add up to the sum, and the last is the charge."""
    covered_s, seconds = covered(call, part), int(somewhere * call.coverage_s)
    lines = call.explain(seconds, covered_s)
    assert call.cost(seconds, covered_s) == lines[-1].amount
    parts = [line.amount for line in lines if line.kind in {"connect_fee", "bundle", "talk"}]
    assert [line.amount for line in lines if line.kind == "sum"] == ([sum(parts)] if parts else [])


# --- periods ------------------------------------------------------------------------------------------------

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut", "America/Havana"]
"""The last two change their clocks at midnight."""


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(["day", "week", "month"]),
    st.integers(0, 10 * 366 * 86_400).map(lambda since_s: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(0, since_s)),
    st.sampled_from(ZONES),
)
@example("day", datetime(2024, 3, 31, 0, 30, tzinfo=UTC), "Asia/Beirut")
@example("day", datetime(2024, 11, 3, 4, 30, tzinfo=UTC), "America/Havana")
def test_periods_follow_the_wall_clock_without_a_gap(kind, at, zone):
    """An instant is in its period, and the last second of it as the next one's first are where they belong."""
    start, end = period_of(kind, at, zone)
    assert start <= at < end
    assert (start, end) == period_of(kind, start, zone) == period_of(kind, end - timedelta(seconds=1), zone)
    assert end == period_of(kind, end, zone)[0]
    wall = start.astimezone(ZoneInfo(zone))
    assert {"day": True, "week": wall.isoweekday() == 1, "month": wall.day == 1}[kind]


def test_a_bundle_does_not_lengthen_what_the_price_list_sells():
    """Seconds that no window covers are not sold for bundle seconds either."""
    nights = Window(EVERY_DAY, time(0), Decimal(0), (Slot(0, Decimal("0.6"), 60, 1),))
    call = PricedCall(Rate("49", "", (nights,)), datetime(2024, 1, 1, tzinfo=UTC), 60)
    assert 60 == call.max_duration(Decimal(0), 600)
    try:
        call.cost(61, 600)
    except NoRate:
        return
    raise AssertionError("a second was sold that is not for sale")
