"""Rating, rule by rule."""

# ruff: noqa: E501 -- a case is a line

from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal, localcontext
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.errors import DestinationBarred, InvalidTariff, NoRate
from billing.rating import PricedCall, Rate, Rounding, Slot, Window, _wall_pieces, short_form, whole_week

MONDAY_NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
WORKDAYS, EVERY_DAY = frozenset(range(1, 6)), frozenset(range(1, 8))
PER_SECOND = (Slot(0, Decimal(1), 1, 1),)
TWICE = (Slot(0, Decimal(2), 1, 1),)


def rate(*slots, fee="0", **more):
    return Rate("49", "Germany", whole_week(Decimal(fee), slots or PER_SECOND), **more)


def daily(*starts_and_slots, **more):
    windows = (Window(EVERY_DAY, time(*start), Decimal(0), slots) for start, slots in starts_and_slots)
    return Rate("49", "Germany", tuple(windows), **more)


def call(priced=None, at=MONDAY_NOON, cap_s=86_400):
    return PricedCall(priced or rate(), at, cap_s)


# --- increments, slots, fee ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "expected"), [(0, "0"), (1, "6"), (6, "6"), (7, "12"), (12, "12")])
def test_increment_is_charged_whole(seconds, expected):
    """Each increment begun is paid in full."""
    assert Decimal(expected) == call(rate(Slot(0, Decimal(1), 1, 6))).cost(seconds)


def test_increment_is_not_cut_at_the_end_of_its_slot():
    """An increment that starts before a slot's end is priced by that slot to its own end."""
    priced = call(rate(Slot(0, Decimal(1), 1, 40), Slot(60, Decimal(10), 1, 5)))
    assert [Decimal(80), Decimal(130)] == [priced.cost(80), priced.cost(81)]


def test_slot_that_an_increment_covers_is_passed_over():
    """A slot in which no increment starts prices nothing."""
    priced = call(rate(Slot(0, Decimal(1), 1, 100), Slot(10, Decimal(50), 1, 1), Slot(90, Decimal(2), 1, 10)))
    assert [Decimal(100), Decimal(120)] == [priced.cost(100), priced.cost(101)]


@pytest.mark.parametrize(("seconds", "expected"), [(0, "0"), (1, "0.3"), (60, "0.3"), (61, "0.31")])
def test_connect_fee_is_charged_once_talk_begins(seconds, expected):
    """No talk costs nothing, the fee included; any talk costs the fee once."""
    priced = call(rate(*short_form(Decimal("0.1"), 60, 60, 6), fee="0.2"))
    assert Decimal(expected) == priced.cost(seconds)


def test_total_is_divided_and_rounded_once():
    """Three thirds are one: neither the price nor an increment is rounded by itself."""
    priced = call(rate(Slot(0, Decimal("0.01"), 3, 1), rounding=Rounding("down", 2)))
    assert [Decimal(0), Decimal(0), Decimal("0.01")] == [priced.cost(seconds) for seconds in (1, 2, 3)]


@pytest.mark.parametrize(
    ("method", "decimals", "expected"),
    [
        ("up", 2, "0.13"),
        ("half_up", 2, "0.13"),
        ("down", 2, "0.12"),
        ("up", 0, "1"),
        ("half_up", 0, "0"),
        ("up", 3, "0.125"),
        ("half_up", 3, "0.125"),
        ("down", 3, "0.125"),
        ("half_up", 6, "0.125"),
    ],
)
def test_rounding(method, decimals, expected):
    """Up, half up and down act on the total at the tariff's decimals."""
    priced = call(rate(Slot(0, Decimal("0.125"), 1, 1), rounding=Rounding(method, decimals)))
    assert Decimal(expected) == priced.cost(1)


@pytest.mark.parametrize(
    ("method", "price", "expected"),
    [
        ("down", "0.999999", 0),
        ("down", "1", 1),
        ("half_up", "0.499999", 0),
        ("half_up", "0.5", 1),
        ("up", "0.000001", 1),
        ("up", "1", 1),
    ],
)
def test_rounding_at_its_edges(method, price, expected):
    """The last millionth before a step, and the step itself, fall on their own sides."""
    priced = call(rate(Slot(0, Decimal(price), 1, 1), rounding=Rounding(method, 0)))
    assert Decimal(expected) == priced.cost(1)


def test_a_coarse_decimal_context_changes_nothing():
    """The engine counts the same in a thread whose decimal context is coarse."""
    with localcontext() as context:
        context.prec = 2
        priced = call(rate(Slot(0, Decimal("1.234567"), 1, 1), rounding=Rounding("up", 6)))
        charge, longest_s = priced.cost(1000), priced.max_duration(Decimal("1234.567"))
    assert (Decimal("1234.567"), 1000) == (charge, longest_s)


def test_short_form_is_initial_then_increments():
    """60/6 is one minute at once, then steps of six seconds; equal steps need one slot only."""
    assert (Slot(0, Decimal(1), 60, 60), Slot(60, Decimal(1), 60, 6)) == short_form(Decimal(1), 60, 60, 6)
    assert (Slot(0, Decimal(1), 60, 6),) == short_form(Decimal(1), 60, 6, 6) == short_form(Decimal(1), 60, None, 6)


# --- free seconds and max_cost ------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "expected"), [(0, 0), (10, 0), (11, 16), (12, 17)])
def test_free_seconds_are_charged_once_they_are_exceeded(seconds, expected):
    """A call within its free seconds costs nothing; a longer one is charged from its first, with the fee."""
    assert Decimal(expected) == call(rate(fee="5", free_seconds=10)).cost(seconds)


def test_free_seconds_are_no_free_calls():
    """The smallest charge and every hold are those of the first second past the free ones."""
    priced = call(rate(fee="5", free_seconds=10))
    assert (Decimal(16), Decimal(16), Decimal(20)) == (
        priced.smallest_charge,
        priced.hold(3),
        priced.hold(15),
    )


@pytest.mark.parametrize("cap_s", [0, 5])
def test_smallest_charge_does_not_shrink_with_the_cap(cap_s):
    """A call capped within its free seconds still has to show the first charge."""
    assert Decimal(16) == call(rate(fee="5", free_seconds=10), cap_s=cap_s).smallest_charge


def test_smallest_charge_where_coverage_ends_within_the_free_seconds():
    """If nothing past the free seconds is for sale, the charge of what is for sale must be shown."""
    windows = (Window(frozenset({1}), time(0), Decimal(3), PER_SECOND),)
    priced = call(Rate("49", "", windows, free_seconds=100), datetime(2024, 5, 6, 23, 59, 50, tzinfo=UTC))
    assert (10, Decimal(13), Decimal(0)) == (priced.coverage_s, priced.smallest_charge, priced.cost(10))


def test_max_cost_that_disconnects_ends_the_talk():
    """Talk ends at the last second within max_cost, and longer talk would cost no more."""
    priced = call(rate(Slot(0, Decimal(3), 1, 2), max_cost=Decimal(10)))
    assert (2, 2) == (priced.limit_s, priced.max_duration(Decimal(1000)))
    assert [Decimal(6)] * 3 == [priced.cost(2), priced.cost(3), priced.cost(1_000_000)]


def test_max_cost_that_goes_on_free_caps_the_charge():
    """With the free rule talk goes on to the cap, at no more than max_cost."""
    priced = call(rate(Slot(0, Decimal(3), 1, 2), max_cost=Decimal(10), max_cost_rule="free"))
    assert [Decimal(6), Decimal(10), Decimal(10)] == [priced.cost(2), priced.cost(3), priced.cost(86_400)]
    assert (86_400, 2) == (priced.max_duration(Decimal(10)), priced.max_duration(Decimal("9.99")))


def test_max_cost_below_the_first_charge_sells_nothing():
    """If the first second costs more than max_cost, no talk is possible."""
    priced = call(rate(fee="5", max_cost=Decimal(4)))
    assert (0, Decimal(0), Decimal(0)) == (priced.limit_s, priced.cost(60), priced.smallest_charge)


# --- longest duration ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "expected"),
    [("-1", 0), ("0", 0), ("5", 0), ("5.999999", 0), ("6", 1), ("15", 10), ("1e9", 3600)],
)
def test_longest_duration(budget, expected):
    """Money lasts to the last second that it pays for, at most to the cap."""
    assert expected == call(rate(fee="5"), cap_s=3600).max_duration(Decimal(budget))


def test_free_destination_lasts_to_the_cap():
    """A price of zero needs no money."""
    priced = call(rate(Slot(0, Decimal(0), 60, 1)))
    assert (86_400, Decimal(0)) == (priced.max_duration(Decimal(0)), priced.smallest_charge)


def test_cap_of_zero_sells_nothing():
    """An account that expires now cannot talk."""
    priced = call(cap_s=0)
    assert (0, 0, 0) == (priced.coverage_s, priced.limit_s, priced.max_duration(Decimal(10)))


# --- windows ------------------------------------------------------------------------------------------------


def test_increment_is_not_cut_at_the_end_of_its_window():
    """An increment that starts before 18:00 is priced by the window before 18:00."""
    priced = daily(((0,), (Slot(0, Decimal(1), 1, 40),)), ((18,), (Slot(0, Decimal(10), 1, 1),)))
    at = datetime(2024, 5, 6, 17, 59, 0, tzinfo=UTC)
    assert [Decimal(80), Decimal(90)] == [call(priced, at).cost(80), call(priced, at).cost(81)]


def test_slots_of_a_later_window_count_from_answer():
    """After a change of window the slot is still that of the call's second."""
    later = (Slot(0, Decimal(5), 1, 1), Slot(30, Decimal(7), 1, 1))
    priced = call(daily(((0,), PER_SECOND), ((18,), later)), datetime(2024, 5, 6, 17, 59, 0, tzinfo=UTC))
    assert Decimal(60 + 7) == priced.cost(61)


def test_connect_fee_is_the_first_windows():
    """The window of the rating instant sets the fee; a later one adds none."""
    windows = (
        Window(EVERY_DAY, time(0), Decimal(1), PER_SECOND),
        Window(EVERY_DAY, time(18), Decimal(100), PER_SECOND),
    )
    at = datetime(2024, 5, 6, 17, 59, 59, tzinfo=UTC)
    assert Decimal(11) == call(Rate("49", "", windows), at).cost(10)
    assert Decimal(110) == call(Rate("49", "", windows), at + timedelta(seconds=1)).cost(10)


def test_no_window_is_carried_over_midnight():
    """What Monday's last window sells ends at midnight, although Tuesday's first begins later."""
    at = datetime(2024, 5, 6, 23, 59, 0, tzinfo=UTC)
    priced = call(daily(((8,), PER_SECOND)), at)
    assert (60, 60) == (priced.coverage_s, priced.max_duration(Decimal(1000)))
    with pytest.raises(NoRate) as caught:
        priced.cost(61)
    expected = "second 60 of the call, 2024-05-07 00:00:00 UTC, Tue 00:00:00 UTC"
    assert f"prefix 49 Germany has no rate at {expected}" == str(caught.value)


def test_increment_paid_for_may_be_talked_to_its_end():
    """Coverage ends with the last increment that starts in a window, not with the window."""
    priced = call(daily(((8,), (Slot(0, Decimal(1), 1, 50),))), datetime(2024, 5, 6, 23, 59, 0, tzinfo=UTC))
    assert (100, Decimal(100)) == (priced.coverage_s, priced.cost(100))


def test_increment_that_bridges_a_gap_is_followed_by_the_next_window():
    """A gap in which no increment starts does not end the call."""
    slots = (Slot(0, Decimal(1), 1, 7200),)
    windows = (
        Window(frozenset({1}), time(8), Decimal(0), slots),
        Window(frozenset({2}), time(1), Decimal(0), TWICE),
    )
    priced = call(Rate("49", "", windows), datetime(2024, 5, 6, 23, 30, 0, tzinfo=UTC))
    assert Decimal(7200 + 2) == priced.cost(7201)


def test_instant_in_no_window_has_no_rate():
    """A call rated at a time that no window covers cannot be priced; the moment is named in UTC and local."""
    priced = daily(((8,), PER_SECOND), zone="Europe/Berlin")
    with pytest.raises(NoRate) as caught:
        call(priced, datetime(2024, 5, 6, 5, 59, 59, tzinfo=UTC))
    expected = "second 0 of the call, 2024-05-06 05:59:59 UTC, Mon 07:59:59 Europe/Berlin"
    assert f"prefix 49 Germany has no rate at {expected}" == str(caught.value)
    assert "destination_unknown" == caught.value.token


def test_windows_follow_the_zones_weekday():
    """Sunday 22:30 UTC is Monday in Berlin."""
    windows = (Window(frozenset({1}), time(0), Decimal(0), PER_SECOND),)
    priced = Rate("49", "", windows, zone="Europe/Berlin")
    assert Decimal(5) == call(priced, datetime(2024, 5, 5, 22, 30, tzinfo=UTC)).cost(5)


def test_repeated_hour_follows_the_clock_again():
    """When clocks go back, 02:00 to 03:00 is priced twice as the wall clock shows it."""
    priced = daily(((0,), PER_SECOND), ((2, 30), TWICE), zone="Europe/Berlin")
    at = datetime(2024, 10, 27, 0, 0, tzinfo=UTC)  # 02:00 summer time
    costs = [call(priced, at).cost(half_hours * 1800) for half_hours in range(1, 5)]
    assert [Decimal(1800 * n) for n in (1, 3, 4, 6)] == costs


def test_window_within_the_missing_hour_begins_at_the_jump():
    """When clocks go forward over 02:30, a window from 02:30 begins as 01:59:59 becomes 03:00:00."""
    priced = daily(((0,), PER_SECOND), ((2, 30), TWICE), zone="Europe/Berlin")
    at = datetime(2024, 3, 31, 0, 59, 0, tzinfo=UTC)
    assert [Decimal(60), Decimal(62)] == [call(priced, at).cost(60), call(priced, at).cost(61)]


def test_half_an_hours_change():
    """Lord Howe Island changes by thirty minutes."""
    priced = daily(((0,), PER_SECOND), ((2,), TWICE), zone="Australia/Lord_Howe")
    at = datetime(2024, 4, 6, 14, 59, 50, tzinfo=UTC)  # 01:59:50, then 01:30:00 again
    assert [Decimal(1810), Decimal(1812)] == [call(priced, at).cost(1810), call(priced, at).cost(1811)]


@settings(deadline=None)
@given(
    st.sampled_from(
        [
            "Europe/London",
            "Africa/Casablanca",
            "America/St_Johns",
            "Asia/Tehran",
            "Pacific/Apia",
            "Asia/Kathmandu",
            "Antarctica/Troll",
            "America/Sao_Paulo",
            "Asia/Beirut",
            "Africa/Monrovia",
            "America/Scoresbysund",
        ]
    ),
    st.integers(0, 2_000_000_000),
    st.integers(1, 200_000),
    st.floats(0, 1, exclude_max=True),
)
def test_wall_clock_pieces_agree_with_zoneinfo(zone, start, length_s, somewhere):
    """At any second the piece's offset is the zone's, and the pieces follow each other without a gap."""
    pieces = list(_wall_pieces(zone, start, start + length_s))
    at = start + int(length_s * somewhere)
    (offset,) = [offset for begin, end, offset in pieces if begin <= at < end]
    assert datetime.fromtimestamp(at, ZoneInfo(zone)).utcoffset() == timedelta(seconds=offset)
    assert [start, *(end for _, end, _ in pieces)] == [*(begin for begin, _, _ in pieces), start + length_s]
    assert all((end - 1 + off) // 86_400 == (begin + off) // 86_400 for begin, end, off in pieces)


# --- explanation --------------------------------------------------------------------------------------------


def test_explanation_shows_the_arithmetic():
    """A person can re-check a charge from its lines."""
    priced = call(rate(*short_form(Decimal("0.05"), 60, 60, 1), fee="0.15", rounding=Rounding("up", 2)))
    expected = [
        "connect fee, every day from 00:00:00: 0.15",
        "from second 0: 1 x 60 s at 0.05 per 60 s (every day from 00:00:00, slot from 0 s): 0.05",
        "from second 60: 25 x 1 s at 0.05 per 60 s (every day from 00:00:00, slot from 60 s): 1/48",
        "sum: 53/240",
        "charge, rounded up to 2 decimals: 0.23",
    ]
    lines = priced.explain(85)
    assert expected == [line.text for line in lines]
    assert (60, 25, 1, Fraction(1, 48)) == (
        lines[2].from_s,
        lines[2].increments,
        lines[2].increment_s,
        lines[2].amount,
    )


@pytest.mark.parametrize(
    ("priced", "seconds", "expected"),
    [
        (rate(), 0, ["no_talk", "charge"]),
        (rate(free_seconds=5), 5, ["free_seconds", "charge"]),
        (rate(max_cost=Decimal(3)), 5, ["disconnect", "connect_fee", "talk", "sum", "charge"]),
        (
            rate(max_cost=Decimal(3), max_cost_rule="free"),
            5,
            ["connect_fee", "talk", "sum", "max_cost", "charge"],
        ),
    ],
)
def test_explanation_names_the_rule_that_acted(priced, seconds, expected):
    """Free seconds, no talk and both rules of max_cost show as lines of their own."""
    assert expected == [line.kind for line in call(priced).explain(seconds)]


# --- what is refused ----------------------------------------------------------------------------------------


def test_blocked_rate_cannot_be_priced():
    """A barred destination has no price."""
    with pytest.raises(DestinationBarred) as caught:
        call(rate(blocked=True))
    assert ("prefix 49 Germany is barred", "destination_barred") == (str(caught.value), caught.value.token)


@pytest.mark.parametrize(
    "at",
    [
        MONDAY_NOON.replace(tzinfo=None),
        MONDAY_NOON.replace(microsecond=1),
        MONDAY_NOON.astimezone(timezone(timedelta(hours=1))),
    ],
)
def test_rating_instant_is_a_whole_second_in_utc(at):
    """A naive, a fractional or a local instant is a programmer's error."""
    with pytest.raises(ValueError, match="is not a whole second in UTC"):
        call(at=at)


@pytest.mark.parametrize("cap_s", [-1, 31 * 86_400 + 1])
def test_cap_is_bounded(cap_s):
    """A cap below zero or above 31 days is a programmer's error."""
    with pytest.raises(ValueError, match=f"cap_s {cap_s} is not from 0 to 2678400"):
        call(cap_s=cap_s)


def test_seconds_are_not_negative():
    """Talk of less than no seconds is a programmer's error."""
    with pytest.raises(ValueError, match="-1 seconds of talk"):
        call().cost(-1)


def test_seconds_beyond_the_cap_have_no_cost():
    """A call is priced to its cap and no further."""
    with pytest.raises(NoRate, match="61 s is beyond the call's cap, second 60 of the call"):
        call(cap_s=60).cost(61)


SLOT = {"from_s": 0, "price": Decimal(1), "per_s": 60, "increment_s": 1}
WINDOW = {"weekdays": EVERY_DAY, "from_time": time(0), "connect_fee": Decimal(0), "slots": PER_SECOND}
RATE = {"prefix": "49", "destination": "", "windows": (Window(**WINDOW),)}


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        (Slot, SLOT | {"from_s": -1}, "slot from_s -1 is not a whole number from 0 to 2147483647"),
        (Slot, SLOT | {"per_s": 0}, "slot per_s 0 is not a whole number from 1 to 2147483647"),
        (Slot, SLOT | {"per_s": 2**31}, "slot per_s 2147483648 is not a whole number from 1 to 2147483647"),
        (Slot, SLOT | {"per_s": 60.0}, "slot per_s 60.0 is not a whole number from 1 to 2147483647"),
        (Slot, SLOT | {"increment_s": 0}, "slot increment_s 0 is not a whole number from 1 to 2147483647"),
        (Slot, SLOT | {"increment_s": True}, "slot increment_s True is not a whole number from 1 to 2147483647"),
        (Slot, SLOT | {"price": Decimal("-0.1")}, "slot price -0.1 is negative"),
        (Slot, SLOT | {"price": Decimal("NaN")}, 'slot price: "NaN" is not a finite decimal number'),
        (Slot, SLOT | {"price": 0.1}, "slot price: 0.1 is not a finite decimal number"),
        (Slot, SLOT | {"price": Decimal("0.0000001")}, 'slot price: "1E-7" has more than 6 decimals'),
        (Slot, SLOT | {"price": Decimal(10**12)}, 'slot price: "1000000000000" has more than 12 integer digits'),
        (Window, WINDOW | {"weekdays": frozenset()}, "window weekdays: none given"),
        (Window, WINDOW | {"weekdays": {0}}, "window weekdays 0 is not a whole number from 1 to 7"),
        (Window, WINDOW | {"weekdays": {8}}, "window weekdays 8 is not a whole number from 1 to 7"),
        (Window, WINDOW | {"from_time": time(0, 0, 0, 5)}, "window from_time 00:00:00.000005 is not a whole second without a zone"),
        (Window, WINDOW | {"from_time": time(0, tzinfo=UTC)}, "window from_time 00:00:00+00:00 is not a whole second without a zone"),
        (Window, WINDOW | {"connect_fee": Decimal(-1)}, "window connect_fee -1 is negative"),
        (Window, WINDOW | {"slots": ()}, "window slots: the first must be from_s 0, not nothing"),
        (Window, WINDOW | {"slots": (Slot(1, Decimal(1)),)}, "window slots: the first must be from_s 0, not 1"),
        (Window, WINDOW | {"slots": PER_SECOND * 2}, "window slots: from_s 0 does not come after 0"),
        (Rounding, {"method": "nearest"}, "rounding method 'nearest' is not one of up, half_up, down"),
        (Rounding, {"decimals": 7}, "rounding decimals 7 is not a whole number from 0 to 6"),
        (Rate, RATE | {"prefix": "+49"}, "prefix '+49' is not digits"),
        (Rate, RATE | {"prefix": "\u0664\u0669"}, "prefix '\u0664\u0669' is not digits"),
        (Rate, RATE | {"prefix": "4" * 21}, f"prefix '{'4' * 21}' has more than 20 digits"),
        (Rate, RATE | {"destination": "x" * 65}, f"destination '{'x' * 65}' has more than 64 characters"),
        (Rate, RATE | {"windows": ()}, "windows: none given"),
        (Rate, RATE | {"windows": RATE["windows"] * 2}, "windows: two start at 00:00:00 on weekday 1"),
        (Rate, RATE | {"free_seconds": -1}, "free_seconds -1 is not a whole number from 0 to 2678400"),
        (Rate, RATE | {"max_cost": Decimal(-1)}, "max_cost -1 is negative"),
        (Rate, RATE | {"max_cost": Decimal("0.12345")}, "max_cost 0.12345 has more decimals than the rounding's 4"),
        (Rate, RATE | {"max_cost_rule": "stop"}, "max_cost_rule 'stop' is not one of disconnect, free"),
        (Rate, RATE | {"zone": "Europe/Atlantis"}, "zone 'Europe/Atlantis' is not a known time zone"),
        (Rate, RATE | {"zone": "Europe"}, "zone 'Europe' is not a known time zone"),
        (Rate, RATE | {"zone": "../passwd"}, "zone '../passwd' is not a known time zone"),
        (Rate, RATE | {"zone": ""}, "zone '' is not a known time zone"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_by_name(kind, fields, expected):
    """Each field that cannot be meant is refused when the tariff is made, with its name and value."""
    with pytest.raises(InvalidTariff) as caught:
        kind(**fields)
    assert expected == str(caught.value)


def test_initial_increment_is_at_least_a_second():
    """An initial block of no seconds is refused by its own name."""
    with pytest.raises(InvalidTariff, match="initial_s 0 is not a whole number from 1"):
        short_form(Decimal(1), 60, 0, 1)


def test_max_cost_counts_its_decimals_by_value():
    """A column's DECIMAL(18,6) zeros are no decimals."""
    assert Decimal(10) == rate(max_cost=Decimal("10.000000"), rounding=Rounding("up", 0)).max_cost
