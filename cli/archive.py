"""`meterline archive`: what is old leaves the tables that calls write."""

import sys
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn

from billing.ledger import Ledger
from billing.report_types import Archivable
from cli.ledger import opened
from cli.options import AsJson, Zone
from cli.output import moment, show_json
from cli.values import local_instant, time_zone, whole_number


def archive(
    before: Annotated[
        str, typer.Option(metavar="TIME", help="A day or a time, 30 days ago or longer.", show_default=False)
    ],
    zone: Zone = "UTC",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be moved, and move nothing.")] = False,
    batch: Annotated[str, typer.Option(help="So many calls or entries in one transaction.")] = "500",
    as_json: AsJson = False,
) -> None:
    """Move CDRs and entries that are older into the archive, behind a checkpoint of each balance.

    Statements, reports, the export and the audit say the same before and after. It may be stopped at any time, and
    goes on where it stopped when it is run again. Calls go on meanwhile.

    Example: meterline archive --before 2026-01-01 --dry-run
    """
    until = local_instant(before, "--before", time_zone(zone, "--zone"))
    size = whole_number(batch, "--batch", 1, 5000)
    with opened("admin") as ledger:
        due = ledger.archivable(until)
        calls, entries = (0, 0) if dry_run else _move(ledger, until, size, due)
    if as_json:
        moved = {} if dry_run else {"calls": calls, "entries": entries}
        show_json({"before": until, "due": due, "moved": moved or None})
        return
    kept = f"; {due.provisional} calls wait for the truth and stay" if due.provisional else ""
    if dry_run:
        print(f"before {moment(until)}: {due.calls} calls and {due.entries} entries of no call would be archived{kept}")
    else:
        print(f"before {moment(until)}: {calls} calls and {entries} entries archived{kept}")


def _move(ledger: Ledger, until: datetime, size: int, due: Archivable) -> tuple[int, int]:
    calls = entries = 0
    bar = (TextColumn("archived"), MofNCompleteColumn())
    with Progress(*bar, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("", total=due.calls)
        for moved in ledger.archive(until, size):
            calls, entries = calls + moved.calls, entries + moved.entries
            progress.update(task, completed=calls)
    return calls, entries
