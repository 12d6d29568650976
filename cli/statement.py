"""`meterline statement`: opening balance, entries and closing balance of an account."""

from pathlib import Path

from billing.report_types import Statement, StatementLine
from cli.ledger import account_named, opened
from cli.options import STDOUT, AccountName, AsJson, CsvFile, From, To, Zone
from cli.output import duration, money, plain, show_csv, show_json, show_table
from cli.values import Period, period

CSV_COLUMNS = (
    *("line", "time", "kind", "number", "destination", "seconds", "amount", "balance"),
    *("reason", "reference", "key"),
)


def statement(
    account: AccountName, begin: From, end: To = None, zone: Zone = "UTC", csv: CsvFile = None, as_json: AsJson = False
) -> None:
    """What an account paid and was charged in a period: opening balance, each entry, closing balance.

    Example: meterline statement Acme --from 2026-03-01 --to 2026-04-01 --zone Europe/Berlin
    """
    asked = period(begin, end, zone)
    with opened("cashier") as ledger:
        account_named(ledger, account)
        found = ledger.statement(account, asked.begin, asked.end)
    if as_json:
        show_json(plain(found) | {"zone": str(asked.zone)})
    elif csv is not None:
        _write(found, asked, None if csv == STDOUT else csv)
    else:
        _show(found, asked)


def _write(found: Statement, asked: Period, file: Path | None) -> None:
    blank = ("",) * 5
    lines = [("entry", *_cells(line, asked), line.reason, line.reference, line.entry_key) for line in found.lines]
    show_csv(
        CSV_COLUMNS,
        [
            ("opening", asked.local(found.begin), *blank, found.opening, "", "", ""),
            *lines,
            ("closing", asked.local(found.end), *blank, found.closing, "", "", ""),
        ],
        file,
    )


def _cells(line: StatementLine, asked: Period) -> tuple[object, ...]:
    return (asked.local(line.at), line.kind, line.number, line.destination, line.seconds, line.amount, line.balance)


def _show(found: Statement, asked: Period) -> None:
    columns = ("time", "kind", "number", "destination", ">time talked", ">amount", ">balance", "reason", "reference")
    show_table(
        f"statement of {found.account}, {asked}, {found.currency}",
        columns,
        [
            (asked.local(found.begin), "opening balance", "", "", "", "", money(found.opening), "", ""),
            *(_row(line, asked) for line in found.lines),
            (asked.local(found.end), "closing balance", "", "", "", "", money(found.closing), "", ""),
        ],
    )


def _row(line: StatementLine, asked: Period) -> tuple[object, ...]:
    at, kind, number, destination, *_ = _cells(line, asked)
    amounts = (duration(line.seconds), money(line.amount), money(line.balance))
    return (at, kind, number, destination, *amounts, line.reason, line.reference)
