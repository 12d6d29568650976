"""A CSV rate deck, read line by line: rates as the ledger stages them, and what is wrong with lines that are none.

Nothing of a deck is kept but the line at hand, so that a million rates need no more memory than a thousand. The columns
are billing.deck_columns.COLUMNS; prices are a minute's unless there is a column per_s.
"""

import csv
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import chain, islice
from typing import BinaryIO, TypeVar

from billing import deck_cells as cell
from billing.deck_columns import AMOUNTS, COLUMNS, INCREMENTS, NEEDED, Layout, find_layout, rows_of
from billing.errors import InvalidDeck, InvalidTariff
from billing.formulas import unmarked
from billing.pricelist import rate_from_row
from billing.rating import DESTINATION_CHARACTERS_MAX

SAMPLE_LINES = 500
LINE_BYTES_MAX = 200_000
TERMS_KEPT = 4096
"""Decks have few different prices; each is worked out once."""

T = TypeVar("T")

_TERMS = (
    "price", "per_s", "connect_fee", "initial_s", "increment_s", INCREMENTS, "free_seconds", "max_cost",
    "max_cost_rule", "schedule", "blocked",
)  # fmt: skip
_DEFAULTS = {"connect_fee": "0", "price": "0", "per_s": 60, "increment_s": 1, "free_seconds": 0, "blocked": 0}
_UNWRITTEN = _DEFAULTS | {"initial_s": None, "max_cost": None, "max_cost_rule": "disconnect", "schedule": None}
"""What need not be said of a rate when it is staged: stage_rates has the same defaults."""

StagedRate = dict[str, str | int | None]


@dataclass(frozen=True)
class DeckFormat:
    """How a deck is written, as far as somebody said so; the rest is found out.

    `mapping`: column to header. `fixed`: column to a value for every line. `decimal`: "." or ",". `date_format`: as in
    strptime; without it dates are ISO 8601. `encoding`: one in which a line feed is one byte.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    delimiter: str | None = None
    decimal: str | None = None
    date_format: str | None = None
    header: bool = True
    encoding: str = "utf-8"


@dataclass(frozen=True)
class TariffTerms:
    """What a rate takes from its tariff."""

    decimals: int = 4
    rounding: str = "half_up"
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that is no rate, and all that is wrong with it."""

    line: int
    text: str


class Deck:
    """The rates of a CSV file; iterate once. Raises InvalidDeck if it is none at all, or its columns are not clear."""

    def __init__(
        self,
        file: BinaryIO,
        form: DeckFormat,
        terms: TariffTerms,
        effective_from: datetime,
        told: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`effective_from`: when rates begin whose lines do not say so. `told`: hears how many bytes were read."""
        self._form, self._terms, self._from = form, terms, effective_from
        self._file, self._told = file, told
        self._undecodable: deque[int] = deque()
        _check_form(form)
        lines = self._lines()
        sample = list(islice(lines, SAMPLE_LINES))
        self.layout = find_layout(sample, form.mapping, form.delimiter, header=form.header)
        self.decimal = form.decimal or _decimal_of(sample, self.layout)
        self._rows = chain(sample, lines)
        self._terms_of = lru_cache(TERMS_KEPT)(self._worked_out)
        self._time_of = lru_cache(TERMS_KEPT)(lambda column, text: cell.moment(column, text, form.date_format))

    def __iter__(self) -> Iterator[list[StagedRate] | Problem]:
        """What each line is: the rates that it stands for, or what is wrong with it. Empty lines are passed over."""
        reader = csv.reader(self._rows, delimiter=self.layout.delimiter, strict=True, skipinitialspace=True)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Problem(line, f"no CSV: {error}")
                continue
            undecodable = self._passed_undecodable(reader.line_num)
            if line <= self.layout.line or not any(map(str.strip, cells)):
                continue
            yield Problem(line, f"not {self._form.encoding}") if undecodable else self._rates(line, cells)

    # --- one line -----------------------------------------------------------------------------------------------------

    def _rates(self, line: int, cells: list[str]) -> list[StagedRate] | Problem:
        problems: list[str] = []
        if any(map(str.strip, cells[self.layout.width :])):
            columns = self.layout.width
            problems.append(f"{len(cells)} cells, and there are {columns} columns: a delimiter within a cell?")
        prefixes = _told_of(problems, cell.prefixes, self._cell(cells, "prefix"))
        terms, wrong = self._terms_of(tuple(self._cell(cells, column) for column in _TERMS))
        problems += wrong
        begins = _told_of(problems, self._time_of, "effective_from", self._cell(cells, "effective_from"))
        ends = _told_of(problems, self._time_of, "effective_to", self._cell(cells, "effective_to"))
        begins = begins or self._from
        if ends and ends <= begins:
            problems.append(f"effective_to {_written(ends)}: not after {_written(begins)}, when it begins")
        name = unmarked(self._cell(cells, "destination"))
        if len(name) > (most := DESTINATION_CHARACTERS_MAX):
            problems.append(f"destination {name[:30]!r}..: {len(name)} characters, more than {most}")
        if problems or prefixes is None:
            return Problem(line, "; ".join(problems))
        rate: StagedRate = {"line": line, **terms, "effective_from": _written(begins)}
        if ends:
            rate["effective_to"] = _written(ends)
        named = "destination" in self.layout.places or "destination" in self._form.fixed
        return [{**rate, "prefix": prefix, "destination": name if named else prefix} for prefix in prefixes]

    def _cell(self, cells: list[str], column: str) -> str:
        """What a line says of a column; a cell that is missing or empty says what is said of all lines."""
        place = self.layout.places.get(column)
        text = cells[place].strip() if place is not None and place < len(cells) else ""
        return text or self._form.fixed.get(column, "")

    def _worked_out(self, texts: tuple[str, ...]) -> tuple[StagedRate, tuple[str, ...]]:
        """Price, increments and so on of a line as they are staged, and what is wrong with them."""
        cells = dict(zip(_TERMS, texts, strict=True))
        problems: list[str] = []
        terms: StagedRate = {}
        for column in AMOUNTS:
            if cells[column] or column == "price":
                terms[column] = _told_of(problems, cell.amount, column, cells[column], self.decimal)
        for column, least in (("per_s", 1), ("initial_s", 1), ("increment_s", 1), ("free_seconds", 0)):
            if cells[column]:
                terms[column] = _told_of(problems, cell.seconds, column, cells[column], least)
        if cells[INCREMENTS]:
            terms |= _told_of(problems, cell.increments, cells[INCREMENTS]) or {}
        for column in ("max_cost_rule", "schedule"):
            if cells[column]:
                terms[column] = cells[column]
        terms["blocked"] = _told_of(problems, cell.flag, cells["blocked"])
        if not problems:
            problems += _unpriced(terms, self._terms)
        kept = {name: value for name, value in terms.items() if name == "price" or value != _UNWRITTEN[name]}
        return kept, tuple(problems)

    # --- the file -----------------------------------------------------------------------------------------------------

    def _lines(self) -> Iterator[str]:
        """The file's lines as text. One that cannot be decoded is remembered, and is a problem of its row."""
        number, size = 0, 0
        while True:
            raw = self._file.readline(LINE_BYTES_MAX)
            if not raw:
                self._told(size)
                return
            number += 1
            size += len(raw)
            if number % 1000 == 0:
                self._told(size)
            if number == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            try:
                yield raw.decode(self._form.encoding).replace("\0", "\ufffd")
            except UnicodeDecodeError:
                self._undecodable.append(number)
                yield raw.decode(self._form.encoding, "replace")

    def _passed_undecodable(self, line: int) -> bool:
        """Whether a line up to this one, since it was asked last, was no text."""
        found = False
        while self._undecodable and self._undecodable[0] <= line:
            self._undecodable.popleft()
            found = True
        return found


def staged_json(rates: Iterable[StagedRate]) -> str:
    """Rates as stage_rates reads them."""
    return json.dumps(list(rates), ensure_ascii=False, separators=(",", ":"))


def _told_of(problems: list[str], read: Callable[..., T], *args: object) -> T | None:
    """What `read` makes of a cell; if nothing, why not is added to the problems."""
    try:
        return read(*args)
    except InvalidDeck as error:
        problems.append(str(error))
        return None


def _unpriced(terms: StagedRate, tariff: TariffTerms) -> list[str]:
    """Why calls could not be priced at these terms, if so: judged by what prices them."""
    row = {
        **{name: terms.get(name, default) for name, default in _UNWRITTEN.items()},
        **dict.fromkeys(("rate_id", "tariff_id"), 0),
        **dict.fromkeys(("prefix", "destination"), ""),
        **asdict(tariff),
    }
    try:
        rate_from_row(row)
    except InvalidTariff as error:
        return [str(error).partition("): ")[2]]
    return []


def _written(moment: datetime) -> str:
    """As the ledger reads times."""
    return moment.replace(tzinfo=None).isoformat(" ")


def _check_form(form: DeckFormat) -> None:
    for column in form.fixed:
        if column not in (*COLUMNS, INCREMENTS) or column in NEEDED:
            raise InvalidDeck(f"--set {column}: there is no such column that all lines may share")
    if form.decimal not in (None, ".", ","):
        raise InvalidDeck(f"--decimal {form.decimal!r}: neither . nor ,")
    if form.delimiter is not None and len(form.delimiter) != 1:
        raise InvalidDeck(f"--delimiter {form.delimiter!r}: not one character")
    try:
        if "\n".encode(form.encoding) != b"\n":
            raise InvalidDeck(f"--encoding {form.encoding}: a line feed has more than one byte; convert the deck first")
    except LookupError:
        raise InvalidDeck(f"--encoding {form.encoding!r}: unknown") from None


def _decimal_of(sample: Iterable[str], layout: Layout) -> str:
    """A comma if the first amounts have commas and none has a point."""
    places = [layout.places[column] for column in AMOUNTS if column in layout.places]
    rows = [cells for line, cells in rows_of(list(sample), layout.delimiter) if line > layout.line]
    amounts = [cells[place] for cells in rows for place in places if place < len(cells)]
    return "," if any("," in one for one in amounts) and not any("." in one for one in amounts) else "."
