"""How answers look: tables for people, JSON for programs."""

import csv
import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from billing.formulas import FORMULA

PLAIN_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def show_json(value: object) -> None:
    """Dataclasses as objects, money as text, times as ISO 8601 in UTC."""
    print(json.dumps(plain(value), ensure_ascii=False))


def tell(content: object, text: str, as_json: bool) -> None:
    """What a command did: a sentence for people, or JSON."""
    if as_json:
        show_json(content)
    else:
        print(text)


def plain(value: Any) -> Any:
    """`value` as JSON takes it."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, Decimal):
        return money(value)
    if isinstance(value, datetime):
        return moment(value)
    return value


def show_csv(columns: Sequence[str], rows: Iterable[Sequence[object]], file: Path | None = None) -> None:
    """RFC 4180, with a first line of names; on standard output unless there is a file."""
    if file is None:
        _write_csv(sys.stdout, columns, rows)
    else:
        with file.open("w", encoding="utf-8", newline="") as out:
            _write_csv(out, columns, rows)


def _write_csv(out: TextIO, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    writer = csv.writer(out, lineterminator="\n")
    if columns:
        writer.writerow(columns)
    writer.writerows([csv_cell(cell) for cell in row] for row in rows)


def csv_cell(value: object) -> str:
    """Money and times as in JSON. A spreadsheet must not take a text from the wire for a formula."""
    if value is None:
        return ""
    text = str(plain(value))
    number = isinstance(value, Decimal | int) or PLAIN_NUMBER.fullmatch(text)
    return f"'{text}" if text.startswith(FORMULA) and not number else text


def money(amount: Decimal | None) -> str:
    """An amount with all the decimals that it has, at least two: 12.50, 0.0034."""
    if amount is None:
        return ""
    whole, _, decimals = f"{amount:f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def moment(at: datetime | None) -> str:
    """2026-03-29T14:30:00Z."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z" if at else ""


def duration(seconds: float | None) -> str:
    """Minutes and seconds, hours when there are any: 17:00, 1:02:03."""
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def show_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, console: Console | None = None
) -> None:
    """A table with a line a row; a column whose name begins with > is set to the right."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    for row in rows:
        table.add_row(*("" if cell is None else _safe(str(cell)) for cell in row))
    (console or screen()).print(table)


def screen() -> Console:
    """The terminal; a pipe gets wide lines, so that nothing is folded away."""
    console = Console()
    return console if console.is_terminal else Console(width=200)


def _safe(text: str) -> str:
    """Text from the wire must not steer the terminal, nor be read as rich's markup."""
    printable = "".join(one if one.isprintable() else "?" for one in text)
    return printable.replace("[", "\\[")
