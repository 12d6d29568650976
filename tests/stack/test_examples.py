"""Every example in a help text, and each line of the guide's day, typed as they stand into a real ledger."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pymysql
import pytest
from pymysql.constants import CLIENT

from billing.ledger import Ledger
from billing.settings import DatabaseSettings, load
from stack.mariadb import os_user
from tests.stack.test_help import SECTION, examples
from tests.support.commands import Answer, run_here

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
A2BILLING = Path(__file__).parents[1] / "db" / "a2billing.sql"
TARIFFS = ("Retail", "Wholesale", "Flat", "Alpha buys", "Beta buys")
ROUNDS_MAX = 5


def guide() -> list[list[str]]:
    """The lines of the guide's sh blocks about commands, in order, without the program's name."""
    lines = [line for block in BLOCK.findall(SECTION) for line in block.replace("\\\n", " ").splitlines()]
    assert {"meterline"} == {shlex.split(line)[0] for line in lines}
    return [shlex.split(line)[1:] for line in lines]


@pytest.fixture(scope="module")
def run(settings: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Answer]]:
    """A ledger with tariffs and nothing else, beside an A2Billing; commands run in a folder of their own."""
    assert 0 == run_here(settings, "db", "migrate").code
    database = load(settings).database
    _tariffs(database)
    _a2billing(database)
    _lost_node(database)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("here"))
        Path("deck.csv").write_text("Code,Destination,Rate/min\n49,Germany,0.54\n4915,Germany mobile,1.10\n", "utf-8")
        yield partial(run_here, settings)


def _tariffs(database: DatabaseSettings) -> None:
    admin = Ledger.for_role(database, "admin", 10)
    for name in TARIFFS:
        tariff = admin.put_tariff(name, "EUR")
        admin.put_rate(tariff, "49", "Germany", price="0.60")
    admin.close()


def _lost_node(database: DatabaseSettings) -> None:
    """One that burnt down, and a call that another one never told the end of."""
    with _root(database) as root, root.cursor() as cursor:
        cursor.execute("INSERT INTO node (name, booted_at, heartbeat_at) VALUES ('proxy2', '2026-01-01', '2026-01-02')")
        cursor.execute(
            "INSERT INTO cdr (call_key, node, caller, callee, dialled, source, sip_call_id, opened_at, ended_at,"
            " result, end_reason, provisional, settled_at)"
            " VALUES ('01JCALL0000000000000000009', 'proxy1', '', '', '', '', '', '2026-01-02', '2026-01-02',"
            " 'answered', 'lost_node', TRUE, '2026-01-02')"
        )


def _root(database: DatabaseSettings) -> pymysql.connections.Connection[pymysql.cursors.Cursor]:
    who = {"unix_socket": str(database.socket), "user": os_user(), "database": database.name}
    return pymysql.connect(**who, client_flag=CLIENT.MULTI_STATEMENTS, autocommit=True)


def _a2billing(database: DatabaseSettings) -> None:
    with _root(database) as root, root.cursor() as cursor:
        cursor.execute("CREATE DATABASE a2billing; USE a2billing;" + A2BILLING.read_text("utf-8"))
        while cursor.nextset():
            pass
        for host in ("localhost", "127.0.0.1"):
            cursor.execute(f"GRANT SELECT ON a2billing.* TO meterline_admin@'{host}'")


def test_the_examples_of_the_guide_and_of_all_help_texts_work(run: Callable[..., Answer]) -> None:
    """The guide's from top to bottom. Those in help texts build on one another in no order: what cannot be done yet is
    tried again once more was done."""
    for words in guide():
        answer = run(*words)
        assert (0, "") == (answer.code, _complaint(answer)), f"meterline {shlex.join(words)}"

    waiting = [_own(words) for words in examples()]
    assert len(waiting) > 10
    for _ in range(ROUNDS_MAX):
        failed = [(words, answer) for words in waiting if (answer := run(*words)).code]
        if len(failed) == len(waiting) or not failed:
            break
        waiting = [words for words, _ in failed]
    assert [] == [f"meterline {shlex.join(words)}: {answer.complaint}" for words, answer in failed]
    assert Answer(0, "audit: no differences\n", "") == run("audit")


def _complaint(answer: Answer) -> str:
    """Where an export ended is told there, too."""
    return "" if answer.complaint.startswith("next: --after ") else answer.complaint


def _own(words: list[str]) -> list[str]:
    """One text explains resellers and customers, and is about a customer."""
    return ["Northwind" if word == "Acme" else word for word in words] if words[0] == "reseller" else words
