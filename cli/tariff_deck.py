"""`meterline tariff import` and `export`: rate decks as CSV."""

import csv
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Annotated, BinaryIO, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from ulid import ULID

from billing import deck_export
from billing.deck import Deck, DeckFormat, Problem, TariffTerms
from billing.deck_import import DeckImport
from billing.deck_types import DeckChange, DeckSummary
from billing.errors import LedgerUnavailable, MeterlineError
from billing.ledger import Ledger
from billing.ledger_types import Tariff
from cli.ledger import NotFound, actor, opened
from cli.output import csv_cell, moment, money, plain, show_json, show_table
from cli.values import BadInput, instant, whole_number

TIMEOUT_S = 1800.0
"""A million rates are compared and written by one routine each."""
LIMIT_MAX = 10_000_000
PROBLEMS_FOUND = 1

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
TariffName = Annotated[str, typer.Argument(metavar="TARIFF", help="The tariff's name.", show_default=False)]

_PAIR = re.compile(r'\s*(\w+)\s*=\s*(?:"([^"]*)"|([^,]*?))\s*(?:,|$)')


class WrongDeck(MeterlineError):
    """A deck with lines that are wrong; nothing was changed."""


def import_deck(
    name: TariffName,
    file: Annotated[str, typer.Argument(metavar="FILE", help="CSV; - is standard input.", show_default=False)],
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help='Column=header, as prefix=Code,price="Rate/min".')
    ] = None,
    fixed: Annotated[
        list[str] | None, typer.Option("--set", help="Column=value for lines that say nothing, as increments=60/6.")
    ] = None,
    effective: Annotated[
        str | None, typer.Option(help="When rates begin whose lines give no date; no offset = UTC. Default: now.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Prefixes that the deck lacks end then.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    changes: Annotated[Path | None, typer.Option(help="Write every change into this CSV file.")] = None,
    limit: Annotated[str, typer.Option(help="Show the first so many changes of a dry run.")] = "100",
    delimiter: Annotated[str | None, typer.Option(help="Between columns. Default: found out.")] = None,
    decimal: Annotated[str | None, typer.Option(help="In amounts: . or , Default: found out.")] = None,
    date_format: Annotated[str | None, typer.Option(help="As %d.%m.%Y. Default: 2026-12-01.")] = None,
    no_header: Annotated[bool, typer.Option("--no-header", help="--map then gives column numbers, from 1.")] = False,
    encoding: Annotated[str, typer.Option(help="Of the file.")] = "utf-8",
    as_json: AsJson = False,
) -> None:
    """Put the rates of a CSV deck into a tariff: all of them or, if one line is wrong, none.

    Example: meterline tariff import Retail deck.csv --effective 2026-12-01 --dry-run

    Example: meterline tariff import Retail deck.csv --map prefix=Code,price="Rate/min" --set increments=60/6 --replace
    """
    form = DeckFormat(
        mapping=_pairs(mapping, "--map"),
        fixed=_pairs(fixed, "--set"),
        delimiter={"tab": "\t", "\\t": "\t"}.get(delimiter or "", delimiter),
        decimal=decimal,
        date_format=date_format,
        header=not no_header,
        encoding=encoding,
    )
    most = whole_number(limit, "--limit", 0, LIMIT_MAX)
    begins = instant(effective, "--effective") if effective else None
    with opened("admin", TIMEOUT_S) as ledger, _opened_file(file) as (stream, size):
        found = tariff_named(ledger, name)
        problems = _Problems(file, as_json=as_json)
        with _Steps(size, shown=not as_json) as steps:
            terms = TariffTerms(found.decimals, found.rounding, found.zone)
            default = begins or ledger.server_time().replace(microsecond=0, tzinfo=UTC)
            deck = Deck(stream, form, terms, default, steps.read)
            with DeckImport(ledger, str(ULID()), name, actor()) as importing:
                _stage(importing, deck, problems, name)
                steps.begin("comparing")
                cutoff = begins if begins or "effective_from" in deck.layout.places else default
                summary = importing.compare(replace=replace, effective_from=cutoff)
                below_cost, example = importing.below_cost()
                listed = _listed(importing.changes(), most if dry_run else 0, changes)
                if not dry_run:
                    steps.begin("writing")
                    summary = _applied(importing, name)
    if as_json:
        about = {"tariff": name, "dry_run": dry_run, "passed_over": list(deck.layout.passed_over), "problems": []}
        show_json({**about, **plain(summary), "below_cost": below_cost, "changes": listed})
    else:
        if below_cost:
            told = f"{below_cost} rates are under what {found.owner_name} buys at, such as prefix {example}"
            print(f"below_cost: {told}: see meterline reseller below-cost")
        _show(name, summary, listed, deck.layout.passed_over, dry_run=dry_run)


def export(
    name: TariffName,
    file: Annotated[str, typer.Argument(metavar="[FILE]", help="Default: standard output.")] = "-",
    prefix: Annotated[str, typer.Option(help="Only prefixes that begin so.")] = "",
    at: Annotated[str | None, typer.Option(help="Only what is in effect then; no offset = UTC. Default: all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a tariff's rates as CSV, which `meterline tariff import` reads as it is."""
    when = instant(at, "--at") if at else None
    if as_json and file == "-":
        raise BadInput("--json: a deck is CSV; name a FILE to hear how many rates it has")
    with opened("admin", TIMEOUT_S) as ledger:
        pages = ledger.rate_pages(tariff_named(ledger, name).tariff_id, prefix)
        lines = deck_export.lines(pages, when)
        if file == "-":
            csv.writer(sys.stdout, lineterminator="\n").writerows(lines)
            return
        try:
            with Path(file).open("w", encoding="utf-8", newline="") as stream:
                writer = csv.writer(stream, lineterminator="\n")
                count = sum(1 for line in lines if writer.writerow(line))
        except LedgerUnavailable as error:
            raise LedgerUnavailable(f"{error}; {file} is not the whole tariff") from None
    if as_json:
        show_json({"tariff": name, "file": file, "rates": count - 1})
    else:
        print(f"{name}: {count - 1} rates in {file}")


def tariff_named(ledger: Ledger, name: str) -> Tariff:
    """The tariff with this name. Raises NotFound."""
    found = ledger.tariff_named(name)
    if found is None:
        raise NotFound(f"tariff {name!r}: there is none of this name")
    return found


def price_text(price: Decimal | None, per_s: int | None) -> str:
    """A minute's price as an amount; another with its seconds."""
    if price is None:
        return ""
    return money(price) if per_s == 60 else f"{money(price)} / {per_s} s"


# --- what was asked for -----------------------------------------------------------------------------------------------


def _pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts or []:
        rest = text
        while rest:
            matched = _PAIR.match(rest)
            if matched is None:
                raise BadInput(f"{option} {text!r} is not like column=text,column=text")
            column, value = matched[1], matched[2] if matched[2] is not None else matched[3]
            if column in found:
                raise BadInput(f"{option} {text!r}: {column} is given twice")
            found[column] = value
            rest = rest[matched.end() :]
    return found


@contextmanager
def _opened_file(file: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """The file and its size, which is not known of a pipe."""
    if file == "-":
        yield sys.stdin.buffer, None
        return
    with Path(file).open("rb") as stream:
        yield stream, Path(file).stat().st_size


# --- what goes on -----------------------------------------------------------------------------------------------------


class _Steps:
    """A bar on standard error: bytes that were read, then what the database is at. Nothing in a pipe."""

    def __init__(self, size: int | None, *, shown: bool) -> None:
        console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(),
            TimeRemainingColumn(),
        )  # fmt: skip
        hidden = not (shown and console.is_terminal)
        self._progress = Progress(*columns, console=console, transient=True, disable=hidden)
        self._task = self._progress.add_task("reading", total=size)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def read(self, size: int) -> None:
        self._progress.update(self._task, completed=size)

    def begin(self, what: str) -> None:
        self._progress.remove_task(self._task)
        self._task = self._progress.add_task(what, total=None)


class _Problems:
    """Lines that are wrong: told as they are found, so that a hopeless deck fills no memory; kept for JSON."""

    def __init__(self, file: str, *, as_json: bool) -> None:
        self.file, self._as_json = file, as_json
        self._kept: list[Problem] = []
        self.count = 0

    def add(self, problem: Problem) -> None:
        self.count += 1
        if self._as_json:
            self._kept.append(problem)
        else:
            print(f"{self.file}: line {problem.line}: {problem.text}", file=sys.stderr)

    def end(self, tariff: str) -> None:
        if self._as_json:
            show_json({"tariff": tariff, "problems": self._kept})
            raise typer.Exit(PROBLEMS_FOUND)
        lines = "line is" if self.count == 1 else "lines are"
        raise WrongDeck(f"{self.file}: {self.count} {lines} wrong, so tariff {tariff} stays as it was")


def _stage(importing: DeckImport, deck: Deck, problems: _Problems, tariff: str) -> None:
    """A deck without a wrong line, and with a rate: replacing a tariff by nothing would empty it."""
    rates = importing.stage(deck, problems.add)
    for one in importing.conflicts():
        problems.add(Problem(one.line, _conflict_text(one.problem, one.prefix, one.other_line)))
    if problems.count:
        problems.end(tariff)
    if not rates:
        raise WrongDeck(f"{problems.file}: there is no rate in it, so tariff {tariff} stays as it was")


def _conflict_text(problem: str, prefix: str, other_line: int) -> str:
    if problem == "duplicate":
        return f"prefix {prefix}: stands in line {other_line} already, with the same beginning"
    return f"prefix {prefix}: begins before its rate of line {other_line} ends"


def _applied(importing: DeckImport, name: str) -> DeckSummary:
    try:
        return importing.apply()
    except LedgerUnavailable as error:
        raise LedgerUnavailable(
            f"import into {name}: {error}; whether it was applied is unknown: `meterline tariff show` says"
        ) from None


def _listed(found: Iterator[DeckChange], most: int, file: Path | None) -> list[DeckChange]:
    """The first changes, for the screen; all of them into the file, if there is one."""
    if file is None:
        return list(islice(found, most))
    listed: list[DeckChange] = []
    names = [field.name for field in fields(DeckChange)]
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(names)
        for one in found:
            writer.writerow([_cell(getattr(one, name)) for name in names])
            if len(listed) < most:
                listed.append(one)
    return listed


def _cell(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else csv_cell(value)


def _show(
    name: str, summary: DeckSummary, listed: list[DeckChange], passed_over: tuple[str, ...], *, dry_run: bool
) -> None:
    if passed_over:
        print(f"columns passed over: {', '.join(passed_over)}")
    if listed:
        prices = (">old price", ">new price", ">old fee", ">new fee")
        columns = ("", "prefix", "destination", "from", *prices, "increments")
        show_table(f"{len(listed)} of {summary.changes} changes", columns, [_change_row(one) for one in listed])
    counts = ", ".join(
        f"{number} {kind}"
        for kind, number in (
            ("new", summary.added), ("dearer", summary.dearer), ("cheaper", summary.cheaper),
            ("changed", summary.changed), ("unchanged", summary.unchanged), ("gone", summary.gone),
        )
    )  # fmt: skip
    end = "nothing was changed yet" if dry_run else f"version {summary.tariff_version}"
    print(f"{name}: {summary.rates} rates: {counts}; {end}")


def _change_row(one: DeckChange) -> tuple[object, ...]:
    return (
        *(one.kind, one.prefix, one.destination, moment(one.effective_from)),
        *(price_text(one.old_price, one.old_per_s), price_text(one.price, one.per_s)),
        *(money(one.old_connect_fee), money(one.connect_fee), _increments_text(one)),
    )


def _increments_text(one: DeckChange) -> str:
    old = _steps(one.old_initial_s, one.old_increment_s)
    new = _steps(one.initial_s, one.increment_s)
    return new if old in {new, ""} else f"{old} -> {new}"


def _steps(initial_s: int | None, increment_s: int | None) -> str:
    return "" if increment_s is None else f"{initial_s or increment_s}/{increment_s}"
