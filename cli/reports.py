"""`meterline audit`: whether the ledger holds together."""

from typing import Annotated

import typer

from cli.ledger import REPORT_TIMEOUT_S, opened
from cli.options import AsJson
from cli.output import money, show_json, show_table

DIFFERENCES_FOUND = 1
AUDIT_TIMEOUT_S = 3600.0


def audit(
    archive: Annotated[
        bool, typer.Option("--archive", help="What is archived, too: takes as long as it is large.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Recompute every balance, hold and counter; exit code 1 if anything differs."""
    with opened("cashier", AUDIT_TIMEOUT_S if archive else REPORT_TIMEOUT_S) as ledger:
        differences = ledger.audit()
        if archive:
            differences += ledger.audit_archive()
    if as_json:
        show_json(differences)
    elif differences:
        rows = [(each.what, each.id, money(each.expected), money(each.actual)) for each in differences]
        show_table(f"{len(differences)} differences", ("what", "id", ">expected", ">actual"), rows)
    else:
        print("audit: no differences")
    if differences:
        raise typer.Exit(DIFFERENCES_FOUND)


