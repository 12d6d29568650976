"""`meterline audit` and `cdrs`: what the ledger says, and whether it holds together."""

from typing import Annotated

import typer

from billing.ledger_types import Cdr
from cli.ledger import account_named, opened
from cli.output import duration, moment, money, plain, show_json, show_table
from cli.values import instant, whole_number

DIFFERENCES_FOUND = 1
LIMIT_MAX = 100_000

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def audit(as_json: AsJson = False) -> None:
    """Recompute every balance, hold and counter; exit code 1 if anything differs."""
    with opened("cashier") as ledger:
        differences = ledger.audit()
    if as_json:
        show_json(differences)
    elif differences:
        rows = [(each.what, each.id, money(each.expected), money(each.actual)) for each in differences]
        show_table(f"{len(differences)} differences", ("what", "id", ">expected", ">actual"), rows)
    else:
        print("audit: no differences")
    if differences:
        raise typer.Exit(DIFFERENCES_FOUND)


def cdrs(
    account: Annotated[str | None, typer.Option(help="Calls in whose chain this account is.")] = None,
    since: Annotated[str | None, typer.Option(help="Only calls since then; no offset = UTC.")] = None,
    limit: Annotated[str, typer.Option(help="The latest so many.")] = "50",
    as_json: AsJson = False,
) -> None:
    """Call detail records, the latest first."""
    most = whole_number(limit, "--limit", 1, LIMIT_MAX)
    begin = instant(since, "--since") if since else None
    with opened("cashier") as ledger:
        account_id = account_named(ledger, account).account_id if account else None
        found = ledger.cdrs(account_id=account_id, limit=most)  # the latest, so `since` only shortens the list
    found = [cdr for cdr in found if begin is None or cdr.opened_at >= begin]
    if as_json:
        show_json([{**plain(cdr), "margin": plain(cdr.margin)} for cdr in found])
        return
    columns = (
        *("call", "opened", "account", "caller", "to", "result"),
        *("ended by", ">talked", ">billed", ">charge", ">balance after", "carrier", ">cost", ">margin"),
    )
    show_table(f"{len(found)} calls", columns, [row for cdr in found for row in _cdr_rows(cdr)])


def _cdr_rows(cdr: Cdr) -> list[tuple[object, ...]]:
    """A line for the caller's account, one below it for every further leg."""
    common = (cdr.call_key, moment(cdr.opened_at))
    result = f"{cdr.result} (provisional)" if cdr.provisional else cdr.result
    talked = duration(cdr.talked_ms / 1000) if cdr.answered_at else ""
    end = (result, cdr.end_reason, talked, f"{cdr.billed_s} s" if cdr.answered_at else "")
    first = cdr.legs[0] if cdr.legs else None
    charged = (money(first.charge), money(first.balance_after)) if first else ("", "")
    paid = (cdr.carrier_name, money(cdr.carrier_cost), money(cdr.margin))
    rows: list[tuple[object, ...]] = [(*common, cdr.account_name, cdr.caller, cdr.callee, *end, *charged, *paid)]
    for leg in cdr.legs[1:]:
        blank = ("",) * 4
        own = (money(leg.charge), money(leg.balance_after), "", "", "")
        rows.append(("", "", f"< {leg.account_name}", "", "", *blank, *own))
    return rows
