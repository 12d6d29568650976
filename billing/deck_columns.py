"""Which column of a CSV rate deck is what: by the names that `meterline tariff export` writes, by those that carriers
use, or as somebody says."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from billing.errors import InvalidDeck

COLUMNS = (
    "prefix", "destination", "connect_fee", "price", "per_s", "initial_s", "increment_s", "free_seconds", "max_cost",
    "max_cost_rule", "schedule", "effective_from", "effective_to", "blocked",
)  # fmt: skip
"""What a rate consists of, in the order of an export."""
INCREMENTS = "increments"
"""One column instead of initial_s and increment_s: 60/6, or 1."""
MAPPABLE = (*COLUMNS, INCREMENTS)
AMOUNTS = ("price", "connect_fee", "max_cost")
NEEDED = ("prefix", "price")

DELIMITERS = (",", ";", "\t", "|")
HEADER_LINES_MAX = 20
"""A title or two may stand above the header."""

_PRICE = re.compile(
    r"(new |current |sell(ing)? |buy(ing)? )?"
    r"(rate|price|cost|charge|tariff)s?"
    r"( (in )?(?!sec|old)[a-z]{3})?"
    r"( ?(/|per|a) ?([a-z]{3} )?m(in(ute)?)?)?"
    r"|[a-z]{3} ?(/|per) ?min(ute)?"
)
_NAMES = {
    "prefix": "prefix(es)?|codes?|dial(l?ing)? ?codes?|dial ?prefix|(destination|area|number) ?codes?|digits|breakout",
    "destination": "destination( name)?|description|name|country|zone|region|dest|route|location",
    "connect_fee": "connect(ion)? ?(fee|charge|cost)|set ?up ?(fee|charge|cost)?|flag ?fall|fee",
    "price": _PRICE.pattern,
    "per_s": "per s",
    "initial_s": "initial( s| block| increment| interval| period)?|init ?block|min(imum)?( duration| charge s| time)?"
    "|(interval|increment|period) 1|first (interval|increment|period)|initial_s",
    "increment_s": "increment( s)?|(bill(ing)? ?block)|(interval|increment|period) (n|2)"
    "|(next|subsequent|additional|second) (interval|increment|period)",
    INCREMENTS: "increments|billing( increments?| interval| terms)?|interval|rounding",
    "free_seconds": "free ?seconds|grace( period| seconds)?",
    "max_cost": "max(imum)? ?(cost|charge)",
    "max_cost_rule": "max cost (rule|strategy)",
    "schedule": "schedule",
    "effective_from": "effective( from| date)?|valid ?from|start ?(date|time)?|from ?date|(start|begin)s?|date",
    "effective_to": "effective ?to|valid ?(to|until|till)|(end|stop|expiry|expiration) ?date|ends?|expires|until",
    "blocked": "blocked|barred|forbidden",
}
_SYNONYMS = {column: re.compile(pattern) for column, pattern in _NAMES.items()}


@dataclass(frozen=True)
class Layout:
    """Where each column of a deck is. `line`: the header's, 0 without one; `width`: how many columns there are, also
    without a name; `passed_over`: headers that nobody reads."""

    delimiter: str
    line: int
    width: int
    places: Mapping[str, int]
    passed_over: tuple[str, ...] = ()


def find_layout(sample: Sequence[str], mapping: Mapping[str, str], delimiter: str | None, *, header: bool) -> Layout:
    """The layout of a deck from its first lines.

    `mapping`: column to the header's text (or, without a header, to the column's number from 1). Raises InvalidDeck
    naming the column that is missing or not clear.
    """
    _check_mapping(mapping)
    if not header:
        return _without_header(sample, mapping, delimiter)
    layouts: list[Layout] = []
    told: InvalidDeck | None = None
    for one in (delimiter,) if delimiter else DELIMITERS:
        try:
            layouts += _headers(sample, mapping, one)
        except InvalidDeck as error:
            told = told or error
    if layouts:
        return max(layouts, key=lambda layout: (len(layout.places), -layout.line))
    raise told or _no_header(sample, mapping, delimiter)


def rows_of(lines: Sequence[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of some lines with the line at which each begins; what is no CSV is passed over."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    while True:
        line = reader.line_num + 1
        try:
            yield line, next(reader)
        except StopIteration:
            return
        except csv.Error:
            continue


def _check_mapping(mapping: Mapping[str, str]) -> None:
    for column in mapping:
        if column not in MAPPABLE:
            raise InvalidDeck(f"--map {column!r}: there is no such column; there are {', '.join(MAPPABLE)}")


def _headers(sample: Sequence[str], mapping: Mapping[str, str], delimiter: str) -> Iterator[Layout]:
    """The first row in which prefix and price are found."""
    for line, cells in rows_of(sample[:HEADER_LINES_MAX], delimiter):
        places = _places(cells, mapping)
        if all(column in places for column in NEEDED):
            used = set(places.values())
            passed = tuple(cell.strip() for number, cell in enumerate(cells) if number not in used and cell.strip())
            yield Layout(delimiter, line, len(cells), places, passed)
            return


def _places(cells: Sequence[str], mapping: Mapping[str, str]) -> dict[str, int]:
    texts = [cell.strip() for cell in cells]
    places: dict[str, int] = {}
    for column, text in mapping.items():
        found = [number for number, cell in enumerate(texts) if cell.casefold() == text.strip().casefold()]
        if len(found) == 1:
            places[column] = found[0]
    if len(places) < len(mapping):
        return {}  # not the header, or none that has what was asked for
    taken = set(places.values())
    free = {number: _plain(cell) for number, cell in enumerate(texts) if number not in taken}
    for column in MAPPABLE:
        if column not in mapping:
            places |= _recognised(column, free, texts)
    if INCREMENTS in places and "increment_s" in places:
        raise InvalidDeck(
            f"columns {texts[places[INCREMENTS]]!r} and {texts[places['increment_s']]!r} both look like the increment: "
            "say which is, with --map"
        )
    return places


def _recognised(column: str, free: Mapping[int, str], texts: Sequence[str]) -> dict[str, int]:
    """Where a column is, if one header fits it. A header in the words of an export comes before all others."""
    exact = [number for number in free if texts[number] == column]
    found = exact or [number for number, name in free.items() if _SYNONYMS[column].fullmatch(name)]
    if len(found) > 1 and column != "destination":
        names = " and ".join(repr(texts[number]) for number in found)
        raise InvalidDeck(f"columns {names} both look like {column}: say which is, with --map {column}=..")
    return {column: found[0]} if found else {}


def _plain(header: str) -> str:
    """Lower case, with single blanks between words; a slash stays."""
    return " ".join(re.sub(r"[^0-9a-z/]+", " ", header.casefold()).split())


def _without_header(sample: Sequence[str], mapping: Mapping[str, str], delimiter: str | None) -> Layout:
    places = {}
    for column, text in mapping.items():
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1000):
            raise InvalidDeck(f"--map {column}={text}: without a header a column has a number, from 1 on")
        places[column] = int(text) - 1
    missing = [column for column in NEEDED if column not in places]
    if missing:
        raise InvalidDeck(f"without a header --map must say which column is {missing[0]}")
    candidates = (delimiter,) if delimiter else DELIMITERS
    width, found = max((_width(sample, one), one) for one in candidates)
    return Layout(found, 0, max(width, *(place + 1 for place in places.values())), places)


def _width(sample: Sequence[str], delimiter: str) -> int:
    """How many cells the first row has that is not empty."""
    return next((len(cells) for _, cells in rows_of(sample, delimiter) if any(map(str.strip, cells))), 0)


def _no_header(sample: Sequence[str], mapping: Mapping[str, str], delimiter: str | None) -> InvalidDeck:
    if not any(line.strip() for line in sample):
        return InvalidDeck("the deck is empty")
    candidates = (delimiter,) if delimiter else DELIMITERS
    rows = [cells for one in candidates for _, cells in rows_of(sample[:HEADER_LINES_MAX], one)]
    widest = max(rows, key=lambda cells: sum(bool(cell.strip()) for cell in cells), default=[])
    shown = ", ".join(repr(cell.strip()) for cell in widest[:20])
    for column, text in mapping.items():
        if not any(cell.strip().casefold() == text.strip().casefold() for cells in rows for cell in cells):
            return InvalidDeck(f"--map {column}={text!r}: there is no such header among {shown}")
    return InvalidDeck(
        f"no header with a prefix and a price in the first {HEADER_LINES_MAX} lines, but {shown}: say which columns "
        "they are, with --map prefix=..,price=.."
    )
