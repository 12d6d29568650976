"""What a call costs and how long money lasts: exact, pure, one arithmetic for both.

All sums are integers over one common denominator (the least common multiple of the rate's `per_s`, times a
million); the call's total is divided and rounded once. Dividing each price first is wrong in 3 of 1000 cases.

Rules (docs/architecture.md, Rating): an increment is whole, and is priced by the slot and the window in which it
starts; it is cut neither at their ends nor where coverage ends. The connect fee is the first window's. No
talk costs nothing.
"""

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Context, Decimal, Inexact
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import lcm
from typing import Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo

from billing.errors import DestinationBarred, InvalidAmount, InvalidTariff, NoRate
from billing.money import DECIMALS_MAX, MICROS, to_micros

DAY_S = 86_400
CALL_S_MAX = 31 * DAY_S
"""No cap on a call and no free_seconds may be longer: it bounds the work of pricing one call."""
SECONDS_MAX = 2**31 - 1
"""The largest INT of the rate table."""
PREFIX_DIGITS_MAX = 20
DESTINATION_CHARACTERS_MAX = 64

RoundingMethod = Literal["up", "half_up", "down"]
MaxCostRule = Literal["disconnect", "free"]
LineKind = Literal[
    "disconnect", "no_talk", "free_seconds", "connect_fee", "bundle", "talk", "sum", "max_cost", "charge"
]  # fmt: skip

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_WEEKDAY = 3  # a Thursday, counted from Monday = 0
_SECOND = timedelta(seconds=1)
_EVERY_DAY = frozenset(range(1, 8))
_DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_EXACT = Context(prec=100, traps=[Inexact])  # of our own: the thread's context may round
_NEVER_S = sys.maxsize


# --- the tariff -------------------------------------------------------------------------------------------


def _choices(literal: object) -> str:
    return ", ".join(get_args(literal))


def _check_integer(name: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidTariff(f"{name} {value!r} is not a whole number from {least} to {most}")


def _check_amount(name: str, value: Decimal) -> None:
    try:
        micros = to_micros(value)
    except InvalidAmount as error:
        raise InvalidTariff(f"{name}: {error}") from None
    if micros < 0:
        raise InvalidTariff(f"{name} {value} is negative")


@dataclass(frozen=True)
class Rounding:
    """How a call's total is rounded, once: to `decimals` (0..6), `up`, `half_up` or `down`."""

    method: RoundingMethod = "half_up"
    decimals: int = 4

    def __post_init__(self) -> None:
        if self.method not in get_args(RoundingMethod):
            raise InvalidTariff(f"rounding method {self.method!r} is not one of {_choices(RoundingMethod)}")
        _check_integer("rounding decimals", self.decimals, 0, DECIMALS_MAX)


@dataclass(frozen=True)
class Slot:
    """From second `from_s` of the call on: `price` per `per_s` seconds, in whole steps of `increment_s`."""

    from_s: int
    price: Decimal
    per_s: int = 60
    increment_s: int = 1

    def __post_init__(self) -> None:
        _check_integer("slot from_s", self.from_s, 0, SECONDS_MAX)
        _check_amount("slot price", self.price)
        _check_integer("slot per_s", self.per_s, 1, SECONDS_MAX)
        _check_integer("slot increment_s", self.increment_s, 1, SECONDS_MAX)


@dataclass(frozen=True)
class Window:
    """Fee and slots on some weekdays (ISO, 1 = Monday) from a local time on.

    A window lasts until the next one of that day, or until midnight: none is carried over.
    """

    weekdays: frozenset[int]
    from_time: time
    connect_fee: Decimal
    slots: tuple[Slot, ...]

    def __post_init__(self) -> None:
        if not self.weekdays:
            raise InvalidTariff("window weekdays: none given")
        for weekday in self.weekdays:
            _check_integer("window weekdays", weekday, 1, 7)
        if self.from_time.microsecond or self.from_time.tzinfo is not None:
            raise InvalidTariff(f"window from_time {self.from_time} is not a whole second without a zone")
        _check_amount("window connect_fee", self.connect_fee)
        if not self.slots or self.slots[0].from_s != 0:
            first = self.slots[0].from_s if self.slots else "nothing"
            raise InvalidTariff(f"window slots: the first must be from_s 0, not {first}")
        starts = [slot.from_s for slot in self.slots]
        for earlier, later in pairwise(starts):
            if later <= earlier:
                raise InvalidTariff(f"window slots: from_s {later} does not come after {earlier}")

    @property
    def label(self) -> str:
        """Such as "Mon,Tue from 18:00:00" or "every day from 00:00:00"."""
        days = ",".join(_DAY_NAMES[day - 1] for day in sorted(self.weekdays))
        return f"{'every day' if self.weekdays == _EVERY_DAY else days} from {self.from_time.isoformat()}"


def whole_week(connect_fee: Decimal, slots: tuple[Slot, ...]) -> tuple[Window, ...]:
    """The windows of a rate whose price does not change with the hour."""
    return (Window(_EVERY_DAY, time(0), connect_fee, slots),)


def short_form(price: Decimal, per_s: int = 60, initial_s: int | None = None, increment_s: int = 1) -> tuple[Slot, ...]:
    """The slots of the familiar "initial / increment": one increment of initial_s first, then increment_s."""
    if initial_s is None or initial_s == increment_s:
        return (Slot(0, price, per_s, increment_s),)
    _check_integer("initial_s", initial_s, 1, SECONDS_MAX)
    return (Slot(0, price, per_s, initial_s), Slot(initial_s, price, per_s, increment_s))


@dataclass(frozen=True)
class Rate:
    """One priced prefix of a tariff, with what the tariff says of rounding and time zone.

    prefix         E.164 digits; "" fits every number
    windows        no two start at one time of one weekday; may be empty only if the rate is blocked
    free_seconds   a call no longer costs nothing; a longer one is charged from its first second
    max_cost       the most one call costs; `disconnect`: talk ends there, `free`: it goes on at no charge
    zone           IANA name; the windows follow its wall clock

    Raises InvalidTariff naming the field and the value.
    """

    prefix: str
    destination: str
    windows: tuple[Window, ...]
    free_seconds: int = 0
    max_cost: Decimal | None = None
    max_cost_rule: MaxCostRule = "disconnect"
    blocked: bool = False
    rounding: Rounding = Rounding()
    zone: str = "UTC"
    rate_id: int | None = None
    tariff_id: int | None = None
    plan: "Plan" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (self.prefix.isascii() and (self.prefix.isdigit() or not self.prefix)):
            raise InvalidTariff(f"prefix {self.prefix!r} is not digits")
        if len(self.prefix) > PREFIX_DIGITS_MAX:
            raise InvalidTariff(f"prefix {self.prefix!r} has more than {PREFIX_DIGITS_MAX} digits")
        if len(self.destination) > DESTINATION_CHARACTERS_MAX:
            raise InvalidTariff(
                f"destination {self.destination!r} has more than {DESTINATION_CHARACTERS_MAX} characters"
            )
        _check_integer("free_seconds", self.free_seconds, 0, CALL_S_MAX)
        if self.max_cost_rule not in get_args(MaxCostRule):
            raise InvalidTariff(f"max_cost_rule {self.max_cost_rule!r} is not one of {_choices(MaxCostRule)}")
        if self.max_cost is not None:
            _check_max_cost(self.max_cost, self.rounding)
        if not is_zone(self.zone):
            raise InvalidTariff(f"zone {self.zone!r} is not a known time zone")
        if not self.windows and not self.blocked:
            raise InvalidTariff("windows: none given")
        object.__setattr__(self, "plan", _compile(self))


def _check_max_cost(value: Decimal, rounding: Rounding) -> None:
    _check_amount("max_cost", value)
    if to_micros(value) % 10 ** (DECIMALS_MAX - rounding.decimals):
        raise InvalidTariff(f"max_cost {value} has more decimals than the rounding's {rounding.decimals}")


def is_zone(name: str) -> bool:
    """Whether there is an IANA time zone of this name."""
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # unknown; no path inside the database; a directory of it
        return False
    return True


# --- a rate, compiled -------------------------------------------------------------------------------------


class _Step(NamedTuple):
    """A slot, its price as the numerator of one increment."""

    from_s: int
    increment_s: int
    weight: int


class Plan(NamedTuple):
    """What pricing needs of a rate, worked out once. Money is a numerator over `denominator`."""

    denominator: int
    fees: tuple[int, ...]
    steps: tuple[tuple[_Step, ...], ...]
    days: tuple[tuple[tuple[int, int], ...], ...]
    """For each weekday from Monday: (second of the day, window), ascending."""
    is_whole_week: bool
    round_factor: int
    round_bias: int
    round_divisor: int
    """Units of the last decimal = (numerator x factor + bias) // divisor."""


def _compile(rate: Rate) -> Plan:
    seconds = lcm(*(slot.per_s for window in rate.windows for slot in window.slots))
    steps = tuple(
        tuple(
            _Step(
                slot.from_s,
                slot.increment_s,
                to_micros(slot.price) * (seconds // slot.per_s) * slot.increment_s,
            )
            for slot in window.slots
        )
        for window in rate.windows
    )
    unit = seconds * 10 ** (DECIMALS_MAX - rate.rounding.decimals)
    factor, bias, divisor = {"up": (1, unit - 1, unit), "half_up": (2, unit, 2 * unit), "down": (1, 0, unit)}[
        rate.rounding.method
    ]
    return Plan(
        denominator=seconds * MICROS,
        fees=tuple(to_micros(window.connect_fee) * seconds for window in rate.windows),
        steps=steps,
        days=_days(rate.windows),
        is_whole_week=len(rate.windows) == 1
        and rate.windows[0].weekdays == _EVERY_DAY
        and rate.windows[0].from_time == time(0),
        round_factor=factor,
        round_bias=bias,
        round_divisor=divisor,
    )


def _days(windows: tuple[Window, ...]) -> tuple[tuple[tuple[int, int], ...], ...]:
    days: list[dict[int, int]] = [{} for _ in range(7)]
    for index, window in enumerate(windows):
        start = window.from_time
        second = start.hour * 3600 + start.minute * 60 + start.second
        for weekday in sorted(window.weekdays):
            if second in days[weekday - 1]:
                raise InvalidTariff(f"windows: two start at {start.isoformat()} on weekday {weekday}")
            days[weekday - 1][second] = index
    return tuple(tuple(sorted(day.items())) for day in days)


# --- which window when ------------------------------------------------------------------------------------


class _Segment(NamedTuple):
    """From second `start_s` of the call on, until the next one: a window, or None where nothing is sold."""

    start_s: int
    window: int | None


def _segments(rate: Rate, epoch_s: int, horizon_s: int) -> list[_Segment]:
    """The windows that the wall clock passes through in `horizon_s` seconds from `epoch_s` (since 1970)."""
    if rate.plan.is_whole_week:
        return [_Segment(0, 0)]
    segments: list[_Segment] = []
    for start, end, offset in _wall_pieces(rate.zone, epoch_s, epoch_s + horizon_s):
        day, second = divmod(start + offset, DAY_S)
        starts = rate.plan.days[(day + _EPOCH_WEEKDAY) % 7]
        begun = bisect_right(starts, second, key=_start_of)
        found = [(start, starts[begun - 1][1] if begun else None)]
        found += [(day * DAY_S + at - offset, window) for at, window in starts[begun:]]
        for utc_s, window in found:
            if utc_s < end and (not segments or segments[-1].window != window):
                segments.append(_Segment(utc_s - epoch_s, window))
    return segments


def _start_of(entry: tuple[int, int]) -> int:
    return entry[0]


def _wall_pieces(zone: str, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """start..end (UTC) in pieces (from, to, offset from UTC), each within one local day and one offset."""
    days = range(start // DAY_S, (end - 1) // DAY_S + 1)
    changes = [change for day in days for change in _offset_changes(zone, day)]
    for (since, offset), (until, _) in pairwise([*changes, (end, 0)]):
        now, last = max(start, since), min(until, end)
        while now < last:
            midnight = ((now + offset) // DAY_S + 1) * DAY_S - offset
            yield now, min(midnight, last), offset
            now = midnight


@lru_cache(maxsize=1024)
def _offset_changes(zone: str, day: int) -> tuple[tuple[int, int], ...]:
    """The offsets from UTC on one UTC day and at its end: (instant, offset), the first at the day's start.

    zoneinfo does not tell its transitions; they are found between whole hours that differ. No zone has two
    within one hour.
    """
    clock = ZoneInfo(zone)
    start = day * DAY_S
    changes = [(start, _offset(clock, start))]
    for hour in range(start + 3600, start + DAY_S + 1, 3600):
        if _offset(clock, hour) != changes[-1][1]:
            changes.append((_change_before(clock, hour), _offset(clock, hour)))
    return tuple(changes)


def _change_before(clock: ZoneInfo, hour: int) -> int:
    """The instant of the change of offset in the hour up to and including `hour`."""
    after = _offset(clock, hour)
    seconds = range(hour - 3600, hour)
    return seconds.start + bisect_left(seconds, 1, key=lambda at: int(_offset(clock, at) == after))


def _offset(clock: ZoneInfo, utc_s: int) -> int:
    offset = datetime.fromtimestamp(utc_s, clock).utcoffset()
    assert offset is not None
    return offset // _SECOND


# --- a charge, shown --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ChargeLine:
    """One line of a charge's arithmetic, in words and exact; the fields after `amount` are those of `talk`.

    In order: `disconnect` if max_cost ended the talk; then `no_talk`, or `free_seconds`, or `connect_fee`, `bundle` if
    minute bundles pay for the first seconds, a `talk` for each run of equal increments, `sum`, and `max_cost` if that
    is less; last the rounded `charge`.
    """

    kind: LineKind
    text: str
    amount: Fraction
    from_s: int | None = None
    increments: int | None = None
    increment_s: int | None = None
    price: Decimal | None = None
    per_s: int | None = None
    window: str | None = None
    slot_from_s: int | None = None


# --- a call -----------------------------------------------------------------------------------------------


class _Run(NamedTuple):
    """Increments of one price, in a row from second `start_s` on; `before` is what earlier ones cost."""

    start_s: int
    before: int
    increment_s: int
    weight: int
    window: int
    slot: int


def _runs(plan: Plan, segments: list[_Segment], horizon_s: int) -> tuple[list[_Run], int]:
    """The increments that start before `horizon_s`, and the second at which the last one ends."""
    runs: list[_Run] = []
    now, total, index = 0, 0, 0
    while now < horizon_s:
        while index + 1 < len(segments) and segments[index + 1].start_s <= now:
            index += 1
        window = segments[index].window
        if window is None:
            break
        steps = plan.steps[window]
        slot = bisect_right(steps, now, key=_from_s) - 1
        step = steps[slot]
        runs.append(_Run(now, total, step.increment_s, step.weight, window, slot))
        end = horizon_s if slot + 1 == len(steps) else min(steps[slot + 1].from_s, horizon_s)
        if index + 1 < len(segments):
            end = min(end, segments[index + 1].start_s)
        increments = -((now - end) // step.increment_s)
        now += increments * step.increment_s
        total += increments * step.weight
    return runs, now


def _from_s(step: _Step) -> int:
    return step.from_s


class PricedCall:
    """One call at one rate: its cost after any number of seconds and its length for any amount.

    rated_at         the instant from which the windows are counted: aware, UTC, a whole second
    cap_s            the call's longest duration, 0..31 days
    coverage_s       the last second for sale: the cap, or the end of the last increment that a window sells
    limit_s          the last second that talk can reach whatever the money: coverage_s, or where max_cost
                     disconnects
    smallest_charge  what a caller must be able to pay: the charge for the first second past the free ones

    For every budget >= 0 (docs/architecture.md, rule 7): cost(max_duration(budget)) <= budget, and below limit_s one
    second more costs more than the budget.

    `covered_s`: minute bundles pay for the increments that start before that second, and money for the rest and for
    the connect fee. It ends on an increment's border (border_before, border_after), so that no increment is paid half.
    It changes neither coverage_s nor limit_s: where max_cost disconnects, talk ends where the price list ends it.

    Raises NoRate if no window covers rated_at, DestinationBarred if the rate is blocked, ValueError for an
    instant or a cap that no caller may give.
    """

    __slots__ = (
        "_costs_time", "_disconnect_s", "_fee", "_first_s", "_free_s", "_last_s", "_max_units", "_plan", "_runs",
        "_sold_s", "_starts",
        "cap_s", "coverage_s", "limit_s", "rate", "rated_at", "smallest_charge",
    )  # fmt: skip

    def __init__(self, rate: Rate, rated_at: datetime, cap_s: int = DAY_S) -> None:
        if rated_at.utcoffset() != timedelta(0) or rated_at.microsecond:
            raise ValueError(f"rated_at {rated_at.isoformat()} is not a whole second in UTC")
        if not 0 <= cap_s <= CALL_S_MAX:
            raise ValueError(f"cap_s {cap_s} is not from 0 to {CALL_S_MAX}")
        if rate.blocked:
            raise DestinationBarred(f"{_named(rate)} is barred")
        self.rate, self.rated_at, self.cap_s = rate, rated_at, cap_s
        self._plan, self._free_s = rate.plan, rate.free_seconds
        self._lay_out()
        self._limit()

    def cost(self, seconds: int, covered_s: int = 0) -> Decimal:
        """The charge for `seconds` of talk. It never falls as they grow.

        Where max_cost disconnects, longer talk costs what talk until then does. Otherwise raises NoRate,
        naming the moment, beyond coverage_s.
        """
        return self._money(self._units(self._sold(seconds), self._before(covered_s)))

    def max_duration(self, budget: Decimal, covered_s: int = 0) -> int:
        """The longest talk, in seconds up to limit_s, that costs at most `budget`; 0 if that is negative."""
        numerator, denominator = budget.as_integer_ratio()
        units = numerator * 10**self.rate.rounding.decimals // denominator
        return self._longest(units, self.limit_s, self._before(covered_s))

    def hold(self, seconds: int, covered_s: int = 0) -> Decimal:
        """What to reserve for a grant of `seconds`: its cost, but never less than the smallest charge.

        Raises NoRate beyond coverage_s.
        """
        return max(self.cost(seconds, covered_s), self.smallest(covered_s))

    def smallest(self, covered_s: int = 0) -> Decimal:
        """smallest_charge, with minute bundles."""
        return self._money(self._smallest_units(self._before(covered_s)))

    # --- minute bundles ---

    def border_after(self, seconds: int) -> int:
        """The end of the increment that `seconds` of talk reach: what they use of minute bundles."""
        if seconds <= 0:
            return 0
        run, increments = self._reached(min(seconds, self._sold_s))
        return run.start_s + increments * run.increment_s

    def border_before(self, seconds: int) -> int:
        """The last border of increments up to `seconds`: how far so many seconds of minute bundles reach."""
        if seconds >= self._sold_s:
            return self._sold_s
        run = self._runs[bisect_right(self._starts, max(0, seconds)) - 1]
        return run.start_s + (max(0, seconds) - run.start_s) // run.increment_s * run.increment_s

    def bundle_need(self, seconds: int) -> int:
        """The seconds of minute bundles that pay for a grant of `seconds`, and for the smallest charge, wholly."""
        return self.border_after(max(seconds, self._first_s)) if self._costs_time else 0

    def bundle_used(self, seconds: int, covered_s: int) -> int:
        """What `seconds` of talk use of the seconds that a call holds of minute bundles."""
        return 0 if seconds <= self._free_s else min(covered_s, self.border_after(seconds))

    def explain(self, seconds: int, covered_s: int = 0) -> tuple[ChargeLine, ...]:
        """The arithmetic of cost(seconds, covered_s); the last line's amount is that cost. Raises as cost does."""
        return tuple(self._explain(seconds, self._sold(seconds), covered_s))

    def _lay_out(self) -> None:
        """Lay the runs of increments, up to the cap and the first charged second at least."""
        horizon_s = max(self.cap_s, self._free_s + 1)
        epoch_s = 0 if self._plan.is_whole_week else (self.rated_at - _EPOCH) // _SECOND
        self._runs, self._sold_s = _runs(self._plan, _segments(self.rate, epoch_s, horizon_s), horizon_s)
        if not self._runs:
            raise NoRate(f"{_named(self.rate)} has no rate at {self._moment(0)}")
        self._starts = [run.start_s for run in self._runs]
        self._fee = self._plan.fees[self._runs[0].window]
        self._costs_time = any(run.weight for run in self._runs)
        self.coverage_s = min(self.cap_s, self._sold_s)

    def _limit(self) -> None:
        """Apply max_cost, and find the smallest charge."""
        self._max_units, last_s = None, self._sold_s
        if self.rate.max_cost is not None:
            max_units = to_micros(self.rate.max_cost) // 10 ** (DECIMALS_MAX - self.rate.rounding.decimals)
            if self.rate.max_cost_rule == "free":
                self._max_units = max_units
            else:
                last_s = self._longest(max_units, self._sold_s)
        self.limit_s = min(self.coverage_s, last_s)
        self._last_s = last_s
        self._disconnect_s = last_s if last_s < self.coverage_s else _NEVER_S
        # Where coverage ends within the free seconds there is no charged second: take what is sold by then.
        self._first_s = min(self._free_s + 1, self._sold_s)
        self.smallest_charge = self._money(self._smallest_units())

    def _sold(self, seconds: int) -> int:
        """How many of `seconds` are talked; raises NoRate if not all of them are for sale."""
        if seconds < 0:
            raise ValueError(f"{seconds} seconds of talk")
        sold_s = min(seconds, self._disconnect_s)
        if sold_s <= self.coverage_s:
            return sold_s
        if self.coverage_s < self.cap_s:
            raise NoRate(f"{_named(self.rate)} has no rate at {self._moment(self.coverage_s)}")
        raise NoRate(f"{_named(self.rate)}: {seconds} s is beyond the call's cap, {self._moment(self.cap_s)}")

    def _moment(self, second: int) -> str:
        at = self.rated_at + timedelta(seconds=second)
        wall = at.astimezone(ZoneInfo(self.rate.zone))
        return f"second {second} of the call, {at:%Y-%m-%d %H:%M:%S} UTC, {wall:%a %H:%M:%S} {self.rate.zone}"

    def _longest(self, units: int, last_s: int, before: int = 0) -> int:
        return max(0, bisect_right(range(last_s + 1), units, key=lambda seconds: self._units(seconds, before)) - 1)

    def _smallest_units(self, before: int = 0) -> int:
        return 0 if self._last_s < self._first_s else self._charged_units(self._first_s, before)

    def _units(self, seconds: int, before: int = 0) -> int:
        """The charge in units of the last decimal; `before`: what minute bundles pay for, as _before gives it."""
        return 0 if seconds <= self._free_s else self._charged_units(seconds, before)

    def _charged_units(self, seconds: int, before: int = 0) -> int:
        plan = self._plan
        run, increments = self._reached(seconds)
        numerator = self._fee + max(0, run.before + increments * run.weight - before)
        units = (numerator * plan.round_factor + plan.round_bias) // plan.round_divisor
        return units if self._max_units is None else min(units, self._max_units)

    def _before(self, covered_s: int) -> int:
        """The numerator of the increments that start before `covered_s`, which minute bundles pay for."""
        if covered_s <= 0:
            return 0
        run, increments = self._reached(min(covered_s, self._sold_s))
        return run.before + increments * run.weight

    def _reached(self, seconds: int) -> tuple[_Run, int]:
        """The run whose increments `seconds` of talk (1..) reach, and how many of them."""
        run = self._runs[bisect_left(self._starts, seconds) - 1]  # the last increment starts before `seconds`
        return run, -((run.start_s - seconds) // run.increment_s)

    def _money(self, units: int) -> Decimal:
        return Decimal(units).scaleb(-self.rate.rounding.decimals, _EXACT)

    def _explain(self, seconds: int, sold_s: int, covered_s: int) -> Iterator[ChargeLine]:
        rate = self.rate
        if sold_s < seconds:
            text = f"max_cost {rate.max_cost} ends the talk after {sold_s} of {seconds} s"
            yield ChargeLine("disconnect", text, Fraction(rate.max_cost or 0))
        if sold_s == 0:
            yield ChargeLine("no_talk", "no talk costs nothing", Fraction(0))
        elif sold_s <= rate.free_seconds:
            text = f"{sold_s} s are no more than the {rate.free_seconds} free ones"
            yield ChargeLine("free_seconds", text, Fraction(0))
        else:
            yield from self._explain_charged(sold_s, covered_s)
        charge = Fraction(self.cost(sold_s, covered_s))
        rounded = f"rounded {rate.rounding.method} to {rate.rounding.decimals} decimals"
        yield ChargeLine("charge", f"charge, {rounded}: {_text(charge)}", charge)

    def _explain_charged(self, sold_s: int, covered_s: int) -> Iterator[ChargeLine]:
        rate = self.rate
        first = rate.windows[self._runs[0].window]
        total = Fraction(first.connect_fee)
        yield ChargeLine("connect_fee", f"connect fee, {first.label}: {_text(total)}", total)
        paid_s = self.bundle_used(sold_s, covered_s)
        if paid_s:
            yield ChargeLine("bundle", f"from second 0: {paid_s} s by minute bundles: 0", Fraction(0))
        for run, next_s in zip(self._runs, [*self._starts[1:], self._sold_s], strict=True):
            if max(run.start_s, paid_s) >= sold_s:
                break
            if next_s <= paid_s:
                continue
            line = _explain_run(rate, run._replace(start_s=max(run.start_s, paid_s)), min(sold_s, next_s))
            total += line.amount
            yield line
        yield ChargeLine("sum", f"sum: {_text(total)}", total)
        if rate.max_cost is not None and rate.max_cost_rule == "free" and total > rate.max_cost:
            yield ChargeLine("max_cost", f"no call costs more than {rate.max_cost}", Fraction(rate.max_cost))


def _named(rate: Rate) -> str:
    return f"prefix {rate.prefix or '(any)'} {rate.destination}".rstrip()


def _explain_run(rate: Rate, run: _Run, end_s: int) -> ChargeLine:
    window = rate.windows[run.window]
    slot = window.slots[run.slot]
    increments = -((run.start_s - end_s) // run.increment_s)
    amount = Fraction(slot.price) * increments * run.increment_s / slot.per_s
    return ChargeLine(
        kind="talk",
        text=(
            f"from second {run.start_s}: {increments} x {run.increment_s} s"
            f" at {slot.price} per {slot.per_s} s"
            f" ({window.label}, slot from {slot.from_s} s): {_text(amount)}"
        ),
        amount=amount,
        from_s=run.start_s,
        increments=increments,
        increment_s=run.increment_s,
        price=slot.price,
        per_s=slot.per_s,
        window=window.label,
        slot_from_s=slot.from_s,
    )


def _text(amount: Fraction) -> str:
    """The amount as a decimal if it has six decimals at most, otherwise as a fraction: both are exact."""
    micros = amount * MICROS
    if micros.denominator != 1:
        return str(amount)
    whole, rest = divmod(micros.numerator, MICROS)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".")
