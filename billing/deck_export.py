"""A tariff as a CSV deck that can be imported again: which price is in effect when.

In the ledger rates of one prefix may overlap: the one that began last counts, and when it ends the one before it counts
again. In a deck that would be unclear, so each line is a time in which one rate is in effect, and no two overlap.
A name that a spreadsheet would take for a formula is marked; an import takes the mark away.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby, pairwise

from billing.deck_columns import COLUMNS
from billing.formulas import marked
from billing.ledger_types import RateRow
from billing.money import format_amount

Period = tuple[RateRow, datetime, datetime | None]


def lines(pages: Iterable[Sequence[RateRow]], at: datetime | None = None) -> Iterator[list[str]]:
    """The header and a line for each period, by prefix and time; with `at` only what is in effect then."""
    yield list(COLUMNS)
    for row, begins, ends in in_effect(pages, at):
        yield _cells(row, begins, ends)


def in_effect(pages: Iterable[Sequence[RateRow]], at: datetime | None = None) -> Iterator[Period]:
    """Each rate with a time in which calls are charged by it (None: without end). `pages`: all rates of a prefix on
    one, ascending by time; `at`: only those in effect then."""
    for page in pages:
        for _, rows in groupby(page, key=lambda row: row.prefix):
            for row, begins, ends in periods(list(rows)):
                if at is None or (begins <= at and (ends is None or at < ends)):
                    yield row, begins, ends


def periods(rows: Sequence[RateRow]) -> list[Period]:
    """When each of a prefix's rates, ascending by time, is the one that counts."""
    if len(rows) == 1:
        return [(rows[0], rows[0].effective_from, rows[0].effective_to)]
    moments = {row.effective_from for row in rows} | {row.effective_to for row in rows if row.effective_to is not None}
    found: list[Period] = []
    for begins, ends in pairwise([*sorted(moments), None]):
        assert begins is not None
        counts = [row for row in rows if row.effective_from <= begins and _lasts(row, begins)]
        if not counts:
            continue
        if found and found[-1][0] is counts[-1] and found[-1][2] == begins:
            found[-1] = (counts[-1], found[-1][1], ends)
        else:
            found.append((counts[-1], begins, ends))
    return found


def _lasts(row: RateRow, at: datetime) -> bool:
    return row.effective_to is None or row.effective_to > at


def _cells(row: RateRow, begins: datetime, ends: datetime | None) -> list[str]:
    return [
        row.prefix,
        marked(row.destination),
        format_amount(row.connect_fee),
        format_amount(row.price),
        str(row.per_s),
        "" if row.initial_s is None else str(row.initial_s),
        str(row.increment_s),
        str(row.free_seconds),
        "" if row.max_cost is None else format_amount(row.max_cost),
        row.max_cost_rule,
        row.schedule or "",
        _moment(begins),
        "" if ends is None else _moment(ends),
        "yes" if row.blocked else "no",
    ]


def _moment(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
