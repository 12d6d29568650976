"""Minute bundles: which of them a call may use, in which order, and the period that its seconds come from.

A call takes its seconds from the period of its rating instant. What is not used when the period ends lapses.
Seconds are counted in whole increments of the leg's own rate: talk of 70 s at 60/60 uses 120 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from billing.rating import is_zone

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

    from billing.ledger import Ledger
    from billing.ledger_types import BundleRow, Caller, Leg
    from billing.rating import PricedCall

Period = Literal["day", "week", "month", "once"]

NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""The end of what has none."""

OFFERS_MAX = 256
"""How many coverages a step of a request offers; a longer grant offers some of its borders only."""

_NOBODY: Mapping[int, tuple[BundlePeriod, ...]] = {}


@dataclass(frozen=True, slots=True)
class BundlePeriod:
    """A bundle that an account has, and the period that a call's seconds would come from (UTC, end excluded)."""

    account_bundle_id: int
    name: str
    starts_at: datetime
    ends_at: datetime
    left_s: int
    """Neither used nor held when it was looked at; not locked, so good for a quote only."""


def period_of(kind: str, at: datetime, zone: str) -> tuple[datetime, datetime]:
    """The day, ISO week or month that holds `at` by the wall clock of `zone`: its first instant, and the next one's."""
    today = at.astimezone(ZoneInfo(zone)).date()
    if kind == "day":
        first, after = today, today + timedelta(days=1)
    elif kind == "week":
        first = today - timedelta(days=today.weekday())
        after = first + timedelta(days=7)
    elif kind == "month":
        first = today.replace(day=1)
        after = (first + timedelta(days=31)).replace(day=1)
    else:
        raise ValueError(f"a bundle's period {kind!r} is not day, week, month or once")
    start, end = (datetime.combine(day, time(0), ZoneInfo(zone)).astimezone(UTC) for day in (first, after))
    return start, end


def bundles_of(ledger: Ledger, caller: Caller, digits: str, at: datetime) -> Mapping[int, tuple[BundlePeriod, ...]]:
    """For each leg that has bundles for this number at `at`, these in the order of their use. Nobody has any: no
    question is asked. In a zone that there is not there are no periods, and no rates: the leg's price says so."""
    having = [leg for leg in caller.legs if leg.has_bundles and is_zone(leg.zone)]
    if not having:
        return _NOBODY
    rows = ledger.bundles_for([leg.account_id for leg in having], digits)
    found = {leg.leg: usable(leg, [row for row in rows if row.account_id == leg.account_id], at) for leg in having}
    return {leg: periods for leg, periods in found.items() if periods}


def usable(leg: Leg, rows: Iterable[BundleRow], at: datetime) -> tuple[BundlePeriod, ...]:
    """Of the rows of one account and number, the bundles in force: of each its longest prefix decides, which may
    exclude. By priority, then the longer prefix, then whose period ends first."""
    longest: dict[int, BundleRow] = {}
    for row in rows:
        known = longest.get(row.account_bundle_id)
        if row.starts_at <= at < row.ends_at and (known is None or len(known.prefix) < len(row.prefix)):
            longest[row.account_bundle_id] = row
    found = [(row, _period(row, at, leg.zone)) for row in longest.values() if not row.excluded]
    found.sort(key=lambda pair: (pair[0].priority, -len(pair[0].prefix), pair[1].ends_at, pair[1].account_bundle_id))
    return tuple(period for _, period in found)


def _period(row: BundleRow, at: datetime, zone: str) -> BundlePeriod:
    """The one that is counted already, if it holds `at`; an account whose tariff moved to another zone keeps it."""
    if row.counted_from is not None and row.counted_to is not None and row.counted_from <= at < row.counted_to:
        return BundlePeriod(row.account_bundle_id, row.bundle_name, row.counted_from, row.counted_to, row.left_s)
    start, end = (row.starts_at, row.ends_at) if row.period == "once" else period_of(row.period, at, zone)
    return BundlePeriod(row.account_bundle_id, row.bundle_name, start, end, row.seconds)


def left_of(periods: Sequence[BundlePeriod]) -> int:
    """Seconds that all of them together have left."""
    return sum(period.left_s for period in periods)


def offers(price: PricedCall, grant_s: int, least_s: int, seen_s: int) -> tuple[tuple[int, Decimal], ...]:
    """What a grant may hold: (seconds of bundles, money), most seconds first, down to `least_s`. The ledger takes the
    first whose seconds are left. `seen_s`, what was left when it was looked at, is always among them."""
    most_s = price.bundle_need(grant_s)
    borders = [most_s]
    while borders[-1] > least_s:
        borders.append(max(least_s, price.border_before(borders[-1] - 1)))
    if len(borders) > OFFERS_MAX:
        seen = max(least_s, price.border_before(min(seen_s, most_s)))
        some = borders[:: len(borders) // OFFERS_MAX + 1]
        borders = sorted({*some, seen, least_s}, reverse=True)
    return tuple((covered_s, price.hold(grant_s, covered_s)) for covered_s in borders)
