"""`meterline statement`, `traffic`, `cdrs export` and `archive` on a real ledger, as people and programs read them."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

import pytest

from billing.ledger import Ledger
from billing.settings import load
from tests.db.bank import call_record, new_key, request, settlement
from tests.support.commands import Answer, run_here

MARCH = ("--from", "2026-03-01", "--to", "2026-04-01")


@pytest.fixture(scope="module")
def run(settings):
    """Runs a command with these settings, in this process."""
    return partial(run_here, settings)


@pytest.fixture(scope="module")
def world(settings, run):
    """Customer acme below reseller shop; three calls in March 2026, one at its last minute in Berlin."""
    assert run("db", "migrate").code == 0
    database = load(settings).database
    admin, cashier, proxy = (Ledger.for_role(database, role, 10) for role in ("admin", "cashier", "proxy"))
    alpha, beta = (admin.create_carrier(name, f"{name.lower()}.example.net") for name in ("Alpha", "Beta"))
    tariff = admin.put_tariff("retail", "EUR")
    shop = admin.create_account("reseller", "shop", None, "EUR", tariff)
    acme = admin.create_account(
        "customer", "acme", shop, "EUR", admin.put_tariff("of the shop", "EUR", owner_account_id=shop)
    )
    cashier.top_up(new_key(), shop, "50", "ann", "bank transfer", "invoice 17")
    cashier.top_up(new_key(), acme, "10", "ann", "=cash()", "receipt 18")
    root = _root(settings)
    for when, charges, billed_s in (
        ("2026-03-10 12:00:00", ("0.60", "0.30"), 60),
        ("2026-03-20 12:00:00.123456", ("1.1345", "0.70"), 103),
        ("2026-03-31 22:30:00", ("0.10", "0.05"), 10),
    ):
        key = new_key()
        proxy.open_call(key, replace(request((acme, shop)), caller='=HYPERLINK("x")'))
        proxy.record_attempt(key, 1, alpha, 503, 0)
        proxy.settle_call(key, settlement(charges, billed_s=billed_s, carrier_id=beta))
        _move(root, key, when)
    proxy.record_call(new_key(), call_record(acme, caller="-5+1|x"))
    root.execute("UPDATE entry SET created_at = '2026-02-01' WHERE kind = 'top_up'")
    root.execute("UPDATE purse SET spend_day = '1970-01-01', spent = 0")
    yield root
    for ledger in (admin, cashier, proxy):
        ledger.close()


def _root(settings):
    import pymysql

    from stack.mariadb import os_user

    database = load(settings).database
    connection = pymysql.connect(
        unix_socket=str(database.socket), user=os_user(), database=database.name, autocommit=True
    )
    return connection.cursor()


def _move(root, key: str, when: str) -> None:
    root.execute(
        "UPDATE cdr SET ended_at = %s, settled_at = %s, opened_at = %s WHERE call_key = %s", (when, when, when, key)
    )
    root.execute("UPDATE entry SET created_at = %s WHERE entry_key = %s", (when, key))


def table(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_a_statement_for_programs(run, world):
    """Money as text, times in UTC; opening + amounts = closing."""
    found = run("statement", "acme", *MARCH, "--json").json

    assert ("acme", "EUR", "10.00", "8.1655", "UTC") == tuple(
        found[name] for name in ("account", "currency", "opening", "closing", "zone")
    )
    assert [("-0.60", "9.40", 60), ("-1.1345", "8.2655", 103), ("-0.10", "8.1655", 10)] == [
        (line["amount"], line["balance"], line["seconds"]) for line in found["lines"]
    ]
    total = Decimal(found["opening"]) + sum(Decimal(line["amount"]) for line in found["lines"])
    assert Decimal(found["closing"]) == total


def test_a_month_is_that_of_its_zone(run, world):
    """Half past ten in the evening of 31 March in UTC is April in Berlin."""
    found = run("statement", "acme", *MARCH, "--zone", "Europe/Berlin", "--json").json

    assert ("10.00", "8.2655", 2) == (found["opening"], found["closing"], len(found["lines"]))
    april = run(
        "statement", "acme", "--from", "2026-04-01", "--to", "2026-05-01", "--zone", "Europe/Berlin", "--csv", "-"
    )
    assert ["entry", "2026-04-01 00:30:00", "call", "493012345", "Germany", "10", "-0.10", "8.1655"] == table(
        april.output
    )[2][:8]


def test_a_statement_for_people(run, world):
    """Who, when, which money; a line each."""
    shown = run("statement", "acme", "--from", "2026-01-01", "--to", "2026-04-01").output

    assert "statement of acme, 2026-01-01 00:00:00 to 2026-04-01 00:00:00 (UTC), EUR" in shown
    lines = [[cell.strip() for cell in line.split("│")] for line in shown.splitlines() if "│" in line]
    assert ["2026-01-01 00:00:00", "opening balance"] == lines[0][1:3]
    assert ["2026-03-20 12:00:00", "call", "493012345", "Germany", "1:43", "-1.1345", "8.2655"] == lines[3][1:8]
    assert ["2026-04-01 00:00:00", "closing balance", "", "", "", "", "8.1655"] == lines[-1][1:8]


def test_a_statement_for_a_spreadsheet(run, world, tmp_path):
    """Into a file; a reason that looks like a formula stays a text."""
    file = tmp_path / "acme.csv"
    assert Answer(0, "", "") == run("statement", "acme", "--from", "2026-01-01", "--csv", str(file))

    names, opening, paid, *_, closing = table(file.read_text("utf-8"))

    assert ["line", "time", "kind", "number", "destination", "seconds", "amount", "balance"] == names[:8]
    assert ["opening", "0.00"] == [opening[0], opening[7]]
    assert ["top_up", "10.00", "'=cash()", "receipt 18"] == [paid[2], paid[6], *paid[8:10]]
    assert "8.1655" == closing[7]


def test_traffic_by_each_of_its_kinds(run, world):
    """For programs, as CSV, and for people."""
    destinations = run("traffic", "--by", "destination", *MARCH, "--json").json
    assert [("Germany", 1, 3, "1.05"), ("Germany", 2, 3, "1.8345")] == [
        (line["destination"], line["level"], line["calls"], line["revenue"]) for line in destinations
    ]
    assert ("1.05", "0.7845", "100.0", "57.7") == tuple(
        destinations[1][name] for name in ("cost", "margin", "asr_percent", "acd_s")
    )
    names, vendor, shop = table(run("traffic", "--by", "reseller", *MARCH, "--csv", "-").output)
    assert [("reseller", "revenue", "margin"), ("(vendor)", "1.05", ""), ("shop", "1.8345", "0.7845")] == [
        (row[0], row[names.index("revenue")], row[names.index("margin")]) for row in (names, *sorted((vendor, shop)))
    ]
    for by in ("account", "carrier"):
        assert (
            f"traffic by {by}, 2026-03-01 00:00:00 to 2026-04-01 00:00:00 (UTC)"
            in run("traffic", "--by", by, *MARCH).output
        )


def test_carriers_that_failed_a_call_are_told(run, world):
    """As one that was asked in vain, and behind the carrier that took the call."""
    carriers = run("traffic", "--by", "carrier", *MARCH, "--json").json
    assert [("Beta", 3, 3, "100.0"), ("Alpha", 0, 3, "0.0")] == [
        (line["carrier"], line["calls"], line["attempts"], line["asr_percent"])
        for line in carriers
        if line["level"] == 1
    ]
    assert "attempts" in run("traffic", "--by", "carrier", *MARCH).output
    assert "Beta (after Alpha 503)" in run("cdrs").output
    assert [("Alpha", 503)] == [
        (one["carrier_name"], one["sip_code"]) for cdr in run("cdrs", "--limit", "2", "--json").json
        for one in cdr["attempts"]
    ]  # fmt: skip


def test_the_export_goes_on_where_it_ended(run, world, tmp_path):
    """By token, and by a file that keeps it."""
    first = run("cdrs", "export", "--limit", "3")
    names, *rows = table(first.output)
    assert (0, 6) == (first.code, len(rows))  # a line a leg
    token = rows[-1][names.index("position")]
    assert f"next: --after {token}\n" == first.complaint
    assert {'\'=HYPERLINK("x")'} == {row[names.index("caller")] for row in rows}
    rest = table(run("cdrs", "export", "--after", token).output)[1:]
    assert [("insufficient_balance", "'-5+1|x", "")] == [
        (row[names.index("result")], row[names.index("caller")], row[names.index("leg")]) for row in rest
    ]

    file = tmp_path / "token"
    both = [
        run("cdrs", "export", "--token-file", str(file), "--limit", limit, "--json") for limit in ("3", "100", "100")
    ]
    calls = [[json.loads(line) for line in answer.output.splitlines()] for answer in both]
    assert [3, 1, 0] == [len(found) for found in calls]
    assert ["0.60", "0.30"] == [leg["charge"] for leg in calls[0][0]["legs"]]
    assert f"{calls[1][0]['position']}\n" == file.read_text()


@pytest.mark.parametrize("content", ["", "twelve", "\u0661\u0662", "-1", "1 2"])
def test_a_token_file_that_holds_no_token_is_named(run, world, tmp_path, content):
    """And left as it is: an export from the beginning would be taken for the next part."""
    file = tmp_path / "token"
    file.write_text(content, "utf-8")

    answer = run("cdrs", "export", "--token-file", str(file))

    assert (2, "", content) == (answer.code, answer.output, file.read_text("utf-8"))
    assert answer.complaint.startswith(f"meterline: {file}: ")
    assert 1 == answer.complaint.count("\n")


def test_what_is_archived_is_still_there(run, world):
    """Reports say the same before and after; the dry run moves nothing."""

    def reports() -> list[str]:
        return [
            run("statement", "acme", "--from", "2026-01-01", "--to", "2026-04-01", "--json").output,
            run("traffic", "--by", "account", *MARCH, "--json").output,
            run("cdrs", "export", "--after", "0").output,
        ]

    before = reports()
    dry = run("archive", "--before", "2026-04-01", "--dry-run")
    assert "before 2026-04-01T00:00:00Z: 3 calls and 2 entries of no call would be archived\n" == dry.output
    assert before == reports()
    moved = run("archive", "--before", "2026-04-01", "--batch", "2", "--json").json
    assert {"calls": 3, "entries": 8} == moved["moved"]
    assert (
        "before 2026-04-01T00:00:00Z: 0 calls and 0 entries archived\n"
        == run("archive", "--before", "2026-04-01").output
    )

    assert before == reports()
    archived = run("cdrs", "--account", "shop", "--archived", "--json").json
    assert (1, 3, 2) == (len(run("cdrs", "--json").json), len(archived), len(archived[0]["legs"]))
    assert Answer(0, "audit: no differences\n", "") == run("audit", "--archive")
    assert "period_archived: calls before 2026-04-01T00:00:00Z" in run("tariff", "rerate", "retail", *MARCH).complaint


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["statement", "nobody", *MARCH], "nobody"),
        (["statement", "acme"], "--from"),
        (["statement", "acme", "--from", "May"], "May"),
        (["statement", "acme", "--from", "2026-05-01", "--to", "2026-04-01"], "--from 2026-05-01 is after"),
        (["statement", "acme", *MARCH, "--zone", "Mars/Base"], "Mars/Base"),
        (["statement", "acme", *MARCH, "--zone", "../etc/passwd"], "../etc/passwd"),
        (["traffic", *MARCH], "--by"),
        (["traffic", "--by", "moon", *MARCH], "moon"),
        (["cdrs", "export", "--after", "x"], "--after 'x'"),
        (["cdrs", "export", "--after", "999999"], "999999"),
        (["cdrs", "export", "--after", "1", "--token-file", "t"], "--token-file"),
        (["archive", "--before", f"{datetime.now(UTC):%Y-%m-%d}"], "30 days"),
        (["archive"], "--before"),
        (["statement", "acme", *MARCH, "--csv", "/nowhere/acme.csv"], "/nowhere/acme.csv: No such file or directory"),
        (["traffic", "--by", "carrier", *MARCH, "--csv", "."], ".: Is a directory"),
        (["cdrs", "export", "--token-file", "."], ".: Is a directory"),
    ],
)
def test_a_report_that_cannot_be_names_the_thing(run, world, words, named):
    """One line, no traceback, no table."""
    answer = run(*words)

    assert answer.code != 0
    assert "" == answer.output
    assert named in answer.complaint
    assert 1 == answer.complaint.count("\n")
