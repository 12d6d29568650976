"""Rates as JSON and as rows."""

# ruff: noqa: E501 -- a case is a line

import json
from datetime import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.errors import InvalidTariff
from billing.pricelist import load_price_list, rate_from_dict, rate_from_row, rate_to_dict
from billing.rating import Rate, Rounding, Slot, Window, short_form, whole_week

SLOT = {"from_s": 0, "rate": "1", "per_s": 60, "increment_s": 1}
WINDOW = {"iso_weekdays": [1, 2], "from_time": "08:00:00", "connect_fee": "0.1", "slots": [SLOT]}
ROW = {
    "rate_id": 7, "tariff_id": 3, "prefix": "49", "destination": "Germany", "connect_fee": Decimal("0.100000"),
    "price": Decimal("0.050000"), "per_s": 60, "initial_s": None, "increment_s": 1, "free_seconds": 0,
    "max_cost": None, "max_cost_rule": "disconnect", "schedule": None, "blocked": 0, "decimals": 4,
    "rounding": "half_up", "zone": "UTC", "effective_to": None,
}  # fmt: skip

amounts = st.decimals(min_value=0, max_value=Decimal("999999999999.999999"), places=6)
seconds = st.integers(1, 2**31 - 1)


@st.composite
def rates(draw):
    decimals = draw(st.integers(0, 6))
    slots = st.sets(st.integers(1, 10**6), max_size=3).flatmap(
        lambda starts: st.tuples(
            *(st.builds(Slot, st.just(s), amounts, seconds, seconds) for s in [0, *sorted(starts)])
        )
    )
    starts = draw(st.lists(st.times().map(lambda t: t.replace(microsecond=0)), min_size=1, max_size=4, unique=True))
    weekdays = st.frozensets(st.integers(1, 7), min_size=1)
    return Rate(
        prefix=draw(st.from_regex(r"[0-9]{0,20}", fullmatch=True)),
        destination=draw(st.text(max_size=64)),
        windows=tuple(Window(draw(weekdays), start, draw(amounts), draw(slots)) for start in starts),
        free_seconds=draw(st.integers(0, 31 * 86_400)),
        max_cost=draw(st.none() | st.integers(0, 10**12 - 1).map(lambda units: Decimal(units).scaleb(-decimals))),
        max_cost_rule=draw(st.sampled_from(["disconnect", "free"])),
        blocked=draw(st.booleans()),
        rounding=Rounding(draw(st.sampled_from(["up", "half_up", "down"])), decimals),
        zone=draw(st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"])),
        rate_id=draw(st.none() | st.integers(1, 2**63)),
        tariff_id=draw(st.none() | st.integers(1, 2**63)),
    )


@given(rates())
def test_snapshot_is_lossless(rate):
    """A rate written as JSON and read again is the same rate, and writes the same JSON."""
    text = json.dumps(rate_to_dict(rate))
    again = rate_from_dict(json.loads(text))
    assert rate == again
    assert text == json.dumps(rate_to_dict(again))


def test_snapshot_holds_amounts_as_text():
    """No number in a snapshot has a fraction, so no reader makes it a float."""
    with pytest.raises(ZeroDivisionError):
        json.loads('{"a": 0.1}', parse_float=lambda _: 1 / 0)
    snapshot = rate_to_dict(rate_from_row(ROW | {"max_cost": Decimal("1.5")}))
    assert snapshot == json.loads(json.dumps(snapshot), parse_float=lambda _: 1 / 0)


# --- the three forms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "fee", "slots"),
    [
        ({"rate_per_min": "0.6"}, "0", short_form(Decimal("0.6"), 60, None, 1)),
        ({"rate_per_min": "0.6", "increment_s": 6}, "0", short_form(Decimal("0.6"), 60, None, 6)),
        ({"rate_per_min": 1, "initial_s": 60}, "0", short_form(Decimal(1), 60, 60, 1)),
        ({"rate_per_min": 1, "initblock_s": 30, "increment_s": 6}, "0", short_form(Decimal(1), 60, 30, 6)),
        ({"rate": "0.01", "per_s": 1, "connect_fee": "0.2"}, "0.2", short_form(Decimal("0.01"), 1, None, 1)),
        ({"rate": "0.6"}, "0", short_form(Decimal("0.6"), 60, None, 1)),
        ({"rate": "0.6", "initial_s": None}, "0", short_form(Decimal("0.6"), 60, None, 1)),
        ({"slots": [SLOT], "connect_fee": 2}, "2", (Slot(0, Decimal(1), 60, 1),)),
    ],
)
def test_short_forms(data, fee, slots):
    """The short forms are one window for the whole week."""
    assert whole_week(Decimal(fee), slots) == rate_from_dict(data).windows


def test_windows_form():
    """Each window keeps its days, start, fee and slots."""
    expected = (Window(frozenset({1, 2}), time(8), Decimal("0.1"), (Slot(0, Decimal(1), 60, 1),)),)
    assert expected == rate_from_dict({"windows": [WINDOW]}).windows


def test_what_is_not_said_has_its_default():
    """A rate of nothing but a price rounds half up to four decimals in UTC, without limits."""
    expected = Rate("", "", whole_week(Decimal(0), short_form(Decimal(1))), rounding=Rounding("half_up", 4))
    assert expected == rate_from_dict({"rate_per_min": "1"})


def test_name_stands_in_for_the_destination():
    """A list that names its rates need not repeat the name as destination."""
    named = rate_from_dict({"rate_per_min": "1", "name": "Germany"})
    both = rate_from_dict({"rate_per_min": "1", "name": "x", "destination": "Germany"})
    assert ("Germany", "Germany") == (named.destination, both.destination)


def test_blocked_rate_needs_no_price():
    """A barred prefix may be said without a price, and survives its snapshot."""
    rate = rate_from_dict({"prefix": "900", "blocked": True})
    assert (True, ()) == (rate.blocked, rate.windows)
    assert rate == rate_from_dict(rate_to_dict(rate))


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"rate_per_min": "1", "fee": "1"}, "unknown key 'fee'"),
        ({"windows": [WINDOW | {"days": []}]}, "windows[0]: unknown key 'days'"),
        ({"windows": [WINDOW | {"slots": [SLOT | {"price": "1"}]}]}, "windows[0]: slots[0]: unknown key 'price'"),
        ({"rate_per_min": "1", "rounding": {"mode": "up"}}, "rounding: unknown key 'mode'"),
        ({"rate_per_min": 0.1}, 'rate_per_min: 0.1 is a float, which is not exact; write a text such as "0.1"'),
        ({"rate_per_min": True}, "rate_per_min: True is not an amount"),
        ({"rate_per_min": None}, "rate_per_min: None is not an amount"),
        ({"rate_per_min": "1e3"}, 'rate_per_min: "1e3" is not an amount like 123.456789'),
        ({"rate_per_min": "-1"}, "slot price -1 is negative"),
        ({"rate_per_min": "1", "max_cost": 0.5}, 'max_cost: 0.5 is a float, which is not exact; write a text such as "0.1"'),
        ({"rate_per_min": "1", "increment_s": 1.0}, "increment_s: 1.0 is not a whole number"),
        ({"rate_per_min": "1", "increment_s": "1"}, "increment_s: '1' is not a whole number"),
        ({"rate_per_min": "1", "increment_s": False}, "increment_s: False is not a whole number"),
        ({"rate_per_min": "1", "initial_s": 0}, "initial_s 0 is not a whole number from 1 to 2147483647"),
        ({"rate_per_min": "1", "rate": "1"}, "rate: cannot stand beside rate_per_min"),
        ({"rate_per_min": "1", "per_s": 1}, "per_s: cannot stand beside rate_per_min"),
        ({"rate": "1", "initial_s": 1, "initblock_s": 1}, "initial_s: cannot stand beside initblock_s"),
        ({"windows": [WINDOW], "rate": "1"}, "rate: '1' cannot stand beside windows"),
        ({"windows": [WINDOW], "connect_fee": "1"}, "connect_fee: '1' cannot stand beside windows"),
        ({"slots": [SLOT], "increment_s": 1}, "increment_s: 1 cannot stand beside slots"),
        ({}, "rate: missing"),
        ({"connect_fee": "1"}, "rate: missing"),
        ({"windows": {}}, "windows: {} is not a list"),
        ({"windows": []}, "windows: none given"),
        ({"windows": [1]}, "windows[0]: 1 is not an object"),
        ({"windows": [WINDOW | {"iso_weekdays": [1, 1]}]}, "windows[0]: iso_weekdays: 1 stands twice"),
        ({"windows": [WINDOW | {"iso_weekdays": ["Mon"]}]}, "windows[0]: iso_weekdays: 'Mon' is not a whole number"),
        ({"windows": [WINDOW | {"iso_weekdays": [8]}]}, "windows[0]: window weekdays 8 is not a whole number from 1 to 7"),
        ({"windows": [WINDOW | {"from_time": "8:00"}]}, "windows[0]: from_time: '8:00' is not a time like 18:00:00"),
        ({"windows": [WINDOW | {"from_time": "24:00:00"}]}, "windows[0]: from_time: '24:00:00' is not a time like 18:00:00"),
        ({"windows": [WINDOW, WINDOW]}, "windows: two start at 08:00:00 on weekday 1"),
        ({"slots": [{"from_s": 0, "rate": "1", "per_s": 60}]}, "slots[0]: increment_s: missing"),
        ({"rate": "1", "blocked": 1}, "blocked: 1 is neither true nor false"),
        ({"rate": "1", "prefix": 49}, "prefix: 49 is not a text"),
        ({"rate": "1", "zone": None}, "zone: None is not a text"),
        ({"rate": "1", "max_cost_strategy": "stop"}, "max_cost_rule 'stop' is not one of disconnect, free"),
        ({"rate": "1", "rounding": "up"}, "rounding: 'up' is not an object"),
        ({"rate": "1", "rounding": {"decimals": 7}}, "rounding: rounding decimals 7 is not a whole number from 0 to 6"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_by_name(data, expected):
    """What cannot be meant is refused with its key and value."""
    with pytest.raises(InvalidTariff) as caught:
        rate_from_dict(data)
    assert expected == str(caught.value)


# --- rows ---------------------------------------------------------------------------------------------------


def test_row_of_the_short_form():
    """A row without a schedule is fee, price and increments for the whole week."""
    expected = Rate(
        prefix="49",
        destination="Germany",
        windows=whole_week(Decimal("0.1"), short_form(Decimal("0.05"), 60, 30, 6)),
        free_seconds=5,
        max_cost=Decimal(2),
        max_cost_rule="free",
        blocked=True,
        rounding=Rounding("up", 2),
        zone="Europe/Berlin",
        rate_id=7,
        tariff_id=3,
    )
    changes = {"initial_s": 30, "increment_s": 6, "free_seconds": 5, "max_cost": Decimal("2.000000")}
    more = {"max_cost_rule": "free", "blocked": 1, "rounding": "up", "decimals": 2, "zone": "Europe/Berlin"}
    assert expected == rate_from_row(ROW | changes | more)


def test_row_with_windows():
    """A schedule of windows replaces the row's fee and price."""
    expected = rate_from_dict({"windows": [WINDOW]}).windows
    assert expected == rate_from_row(ROW | {"schedule": json.dumps({"windows": [WINDOW]})}).windows


@pytest.mark.parametrize(
    ("schedule", "fee"), [({"slots": [SLOT]}, "0.1"), ({"slots": [SLOT], "connect_fee": "3"}, "3")]
)
def test_row_with_slots(schedule, fee):
    """A schedule of slots replaces the row's price; the fee is the row's unless the schedule has its own."""
    expected = whole_week(Decimal(fee), (Slot(0, Decimal(1), 60, 1),))
    assert expected == rate_from_row(ROW | {"schedule": json.dumps(schedule)}).windows


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"increment_s": 0}, "slot increment_s 0 is not a whole number from 1 to 2147483647"),
        ({"price": 0.05}, 'price: 0.05 is a float, which is not exact; write a text such as "0.1"'),
        ({"zone": "Mars"}, "zone 'Mars' is not a known time zone"),
        ({"schedule": "{}"}, "schedule: neither windows nor slots"),
        ({"schedule": "[]"}, "schedule: the JSON: [] is not an object"),
        ({"schedule": '{"slots": [], "zone": "UTC"}'}, "schedule: unknown key 'zone'"),
        ({"schedule": '{"slots": []}'}, "schedule: window slots: the first must be from_s 0, not nothing"),
        ({"schedule": "{"}, "schedule: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ({"schedule": '{"slots": 1, "slots": 2}'}, "schedule: key 'slots' stands twice in one object"),
    ],
)  # fmt: skip
def test_bad_row_is_refused_by_name(change, expected):
    """The rate's id and prefix and the column are in the message."""
    with pytest.raises(InvalidTariff) as caught:
        rate_from_row(ROW | change)
    assert f"rate 7 (prefix '49'): {expected}" == str(caught.value)


def test_row_without_a_column_is_a_programmers_error():
    """A query that forgot a column shows at once."""
    with pytest.raises(KeyError, match="max_cost"):
        rate_from_row({key: value for key, value in ROW.items() if key != "max_cost"})


# --- files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [lambda rates: rates, lambda rates: {"rates": rates}])
def test_list_is_loaded(tmp_path, wrap):
    """A list of rates, bare or under "rates", comes in its order."""
    items = [{"prefix": "49", "rate_per_min": "1"}, {"prefix": "44", "rate_per_min": "2"}]
    path = tmp_path / "list.json"
    path.write_text(json.dumps(wrap(items)))
    assert tuple(rate_from_dict(item) for item in items) == load_price_list(path)


def test_single_rate_is_loaded(tmp_path):
    """One rate object is a list of one."""
    path = tmp_path / "list.json"
    path.write_text('{"prefix": "49", "rate_per_min": "1"}')
    assert (rate_from_dict({"prefix": "49", "rate_per_min": "1"}),) == load_price_list(str(path))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "Expecting value: line 1 column 1 (char 0)"),
        ("7", "neither a rate nor a list of rates"),
        ('{"rates": {}}', "neither a rate nor a list of rates"),
        ('{"rates": [], "zone": "UTC"}', "unknown key 'zone' beside rates"),
        ('[{"rate": "1"}, 7]', "rate 2: rate: 7 is not an object"),
        ('[{"rate": "1"}, {"rate": 0.5}]', 'rate 2: rate: 0.5 is a float, which is not exact; write a text such as "0.1"'),
        ('[{"rate": NaN}]', 'rate 1: rate: nan is a float, which is not exact; write a text such as "0.1"'),
        ('[{"rate": "1", "rate": "2"}]', "key 'rate' stands twice in one object"),
        ('[{"rate": "1", "prefix": "4"}, {"rate": "2", "prefix": "4"}]', "rate 2: prefix '4' stands in the list twice"),
    ],
)  # fmt: skip
def test_bad_file_is_refused_by_name(tmp_path, content, expected):
    """The file and the number of the item are in the message."""
    path = tmp_path / "list.json"
    path.write_text(content)
    with pytest.raises(InvalidTariff) as caught:
        load_price_list(path)
    assert f"{path}: {expected}" == str(caught.value)


def test_unreadable_file_is_named(tmp_path):
    """A missing file, a directory and a file that is no text are refused by name."""
    (tmp_path / "latin").write_bytes(b'{"prefix": "\xe9"}')
    for name, expected in [
        ("none", "No such file or directory"),
        (".", "Is a directory"),
        ("latin", "utf-8"),
    ]:
        with pytest.raises(InvalidTariff, match=expected) as caught:
            load_price_list(tmp_path / name)
        assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("content", ["[" * 100_000, '[{"rate": ' + "9" * 5000 + "}]"])
def test_hostile_file_is_refused(tmp_path, content):
    """Deep nesting and endless digits end in the same error, not in a crash."""
    path = tmp_path / "list.json"
    path.write_text(content)
    with pytest.raises(InvalidTariff):
        load_price_list(path)
