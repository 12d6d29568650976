"""How answers look to people: tables that fit where they are shown, and lose nothing."""

import io

import pytest
from rich.console import Console

from cli.output import show_table

COLUMNS = ("call", "account", ">charge", ">balance after", "reason")
ROWS = (
    ("01JCALL0000000000000000001", "Acme < Northwind", "-1234.5678", "123456.789012", "transfer of March, in part [2]"),
    ("01JCALL0000000000000000002", "Acme", "-0.10", "", None),
)


def shown(width: int, columns: tuple[str, ...] = COLUMNS, rows: tuple[tuple[object, ...], ...] = ROWS) -> str:
    out = io.StringIO()
    show_table("2 calls", columns, rows, console=Console(file=out, width=width))
    return out.getvalue()


@pytest.mark.parametrize("width", [*range(20, 130, 5), 1000])
def test_nothing_is_cut_off_however_narrow_it_is(width: int) -> None:
    """A key is copied, and an amount is read, whole."""
    text = shown(width)

    for row in ROWS:
        for cell in row:
            for word in str(cell or "").split():
                assert f" {word}" in text.replace("\n", " "), word


@pytest.mark.parametrize("width", [95, 100, 110])
def test_text_is_broken_between_words_before_a_table_is_given_up(width: int) -> None:
    """In its columns, and no wider than the terminal."""
    lines = shown(width).splitlines()

    assert "┃ call" in lines[2] or "┃ call" in lines[3]
    assert max(map(len, lines)) <= width
    assert len(lines) > 1 + 3 + len(ROWS) + 1


def test_a_table_that_fits_has_a_line_for_each_row() -> None:
    """With as much room as there is."""
    assert len(shown(1000).splitlines()) == 1 + 3 + len(ROWS) + 1


def test_a_row_that_does_not_fit_is_told_in_lines() -> None:
    """Each with the name of its column; those that are empty are left out."""
    assert [
        "2 calls",
        "call           01JCALL0000000000000000001",
        "account        Acme < Northwind",
        "charge         -1234.5678",
        "balance after  123456.789012",
        "reason         transfer of March, in part [2]",
        "",
        "call           01JCALL0000000000000000002",
        "account        Acme",
        "charge         -0.10",
    ] == shown(60).splitlines()


def test_a_table_without_rows_shows_its_columns() -> None:
    """And in no room at all its title."""
    assert "balance after" in shown(200, rows=())
    assert "2 calls\n" == shown(20, rows=())
