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

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from billing.formulas import FORMULA

CELL_BORDERS = 3
"""What a column takes beside its text: a line, and a blank on both sides."""
PIPE_WIDTH = 10_000
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
    """A table, a ">" before the name of a column that is aligned right. Lines break between words; where not even that
    makes it fit, each row is told in lines of its own. Nothing is cut off: a key is copied, and money is read.
    """
    out = console or screen()
    names = [column.removeprefix(">") for column in columns]
    cells = [["" if cell is None else _printable(str(cell)) for cell in row] for row in rows]
    widths = _widths([names, *cells], out.width)
    if widths is None:
        _show_records(out, title, names, cells)
        return
    table = Table(title=title, title_justify="left", header_style="bold")
    for column, name, width in zip(columns, names, widths, strict=True):
        table.add_column(name, justify="right" if column.startswith(">") else "left", width=width, overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    out.print(table)


def _widths(lines: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """How wide each column is to be in `room`; None: the longest words beside one another are wider than that."""
    columns = list(zip(*lines, strict=True))
    widths = [max(map(cell_len, column)) for column in columns]
    least = [max(cell_len(word) for cell in column for word in cell.split() or [""]) for column in columns]
    excess = sum(widths) + CELL_BORDERS * len(widths) + 1 - room
    if sum(widths) - sum(least) < excess:
        return None
    for _ in range(excess):
        widest = max((at for at in range(len(widths)) if widths[at] > least[at]), key=widths.__getitem__)
        widths[widest] -= 1
    return widths


def _show_records(out: Console, title: str, names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A line for each cell that is not empty, a blank one between two rows. The terminal breaks what is too long."""
    margin = max(map(len, names))
    out.print(Text(title, "italic"), soft_wrap=True)
    for number, row in enumerate(rows):
        if number:
            out.print()
        for name, cell in zip(names, row, strict=True):
            if cell:
                out.print(Text.assemble((name.ljust(margin), "bold"), f"  {cell}"), soft_wrap=True)


def screen() -> Console:
    """The terminal; a pipe gets lines as wide as they are, so that programs find each row on one."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPE_WIDTH)


def _printable(text: str) -> str:
    """Text from the wire must not steer the terminal."""
    return "".join(one if one.isprintable() else "?" for one in text)
