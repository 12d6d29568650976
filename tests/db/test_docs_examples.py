"""docs/database.md: its SQL runs as it stands, by the logins that it names, and answers what stands below it."""

import re
from pathlib import Path
from typing import Any

import pymysql
import pytest

from tests.db.bank import PASSWORDS, Bank

DOCUMENT = Path(__file__).parents[2] / "docs" / "database.md"
HEADING = re.compile(r"^### (.*)$", re.MULTILINE)
EXAMPLES_MIN = 30
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


def connected(bank: Bank, login: str) -> Any:
    """A login of programs, whoever set the ledger up, or the person whom a block before made."""
    if login in PASSWORDS:
        return bank.plain(login)
    if login == "setup":
        return pymysql.connect(**bank.server.admin_params(), database=bank.database, autocommit=True)
    address = {"host": "127.0.0.1", "port": bank.server.port, "database": bank.database}
    return pymysql.connect(**address, user=login, password="anna has her own", autocommit=True)


def test_every_sql_block_of_the_document_is_an_example_with_a_login():
    """A block that is no example would be text that nobody tries."""
    assert DOCUMENT.read_text(encoding="utf-8").count("```sql\n") == len(examples()) > 10


def test_there_are_thirty_things_that_an_administrator_does() -> None:
    """Each under a heading of its own, with SQL that is run."""
    section = DOCUMENT.read_text(encoding="utf-8").split("\n## Worked examples\n")[1].split("\n## ")[0]
    headings = HEADING.findall(section)
    parts = HEADING.split(section)[2::2]
    assert [] == [heading for heading, part in zip(headings, parts, strict=True) if "```sql\n" not in part]
    assert len(set(headings)) >= EXAMPLES_MIN


def test_the_examples_run_in_order_and_answer_what_the_document_shows(new_bank):
    """The document is typed into a fresh ledger from top to bottom."""
    bank = new_bank()
    bank.sql("DROP USER IF EXISTS anna@'127.0.0.1'")  # a test of rights may have made her on this server
    connections: dict[str, Any] = {}
    try:
        for login, statements, answer in examples():
            if login not in connections:
                connections[login] = connected(bank, login)
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
