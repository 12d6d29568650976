"""docs/database.md: its SQL runs as it stands, by the logins that it names, and answers what stands below it."""

import re
from pathlib import Path
from typing import Any

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "database.md"
BLOCK = re.compile(r"^```sql\n-- as (\w+)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
ENDS_STATEMENT = re.compile(r";\s*$", re.MULTILINE)


def examples() -> list[tuple[str, list[str], list[str]]]:
    """Login, statements and the answer's lines (none: the answer is not shown) of each SQL block, in order."""
    found = []
    for login, statements, answer in BLOCK.findall(DOCUMENT.read_text(encoding="utf-8")):
        split = [one.strip() for one in ENDS_STATEMENT.split(statements) if one.strip()]
        found.append((login, split, answer.splitlines()))
    return found


def shown(columns: list[str], rows: list[tuple[Any, ...]]) -> list[str]:
    """A result as the document shows it: columns with two blanks between them."""
    table = [columns, *([("NULL" if cell is None else str(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[number]) for row in table) for number in range(len(columns))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def run(connection: Any, statements: list[str]) -> list[str]:
    """The last result of some statements, shown; an error of any is an error here."""
    last: list[str] = []
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
            while True:
                if cursor.description:
                    last = shown([column[0] for column in cursor.description], list(cursor.fetchall()))
                if not cursor.nextset():
                    break
    return last


def test_every_sql_block_of_the_document_is_an_example_with_a_login():
    """A block that is no example would be text that nobody tries."""
    assert DOCUMENT.read_text(encoding="utf-8").count("```sql\n") == len(examples()) > 10


def test_the_examples_run_in_order_and_answer_what_the_document_shows(new_bank):
    """The document is typed into a fresh ledger from top to bottom."""
    bank = new_bank()
    connections = {role: bank.plain(role) for role in ("admin", "cashier", "proxy")}
    try:
        for login, statements, answer in examples():
            found = run(connections[login], statements)
            if answer:
                assert answer == found, f"as {login}: {statements[-1]}"
    finally:
        for connection in connections.values():
            connection.close()
    assert bank.cashier.audit() == []


@pytest.mark.parametrize("login", ["admin", "cashier", "proxy"])
def test_the_logins_are_those_of_the_ledger(login):
    """`-- as X` names a login that the migration makes."""
    assert login in {one for one, _, _ in examples()}
