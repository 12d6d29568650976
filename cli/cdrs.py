"""`meterline cdrs`: call detail records for people; `meterline cdrs export`: all of them, for other programs."""

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from billing.ledger import Ledger
from billing.ledger_periods import EXPORT_BATCH
from billing.ledger_types import Cdr, CdrLeg
from billing.report_types import ExportedCdr
from cli.ledger import account_named, actor, opened
from cli.options import AsJson
from cli.output import duration, moment, money, plain, show_csv, show_json, show_table, tell
from cli.values import BadInput, instant, whole_number

LIMIT_MAX = 100_000
EXPORT_MAX = 10_000_000_000
POSITION_MAX = 2**63 - 1

CSV_COLUMNS = (
    *("position", "version", "call_key", "opened_at", "answered_at", "ended_at", "settled_at", "account", "user"),
    *("caller", "callee", "dialled", "source", "sip_call_id", "carrier", "node", "grant_s", "talked_ms", "billed_s"),
    *("result", "detail", "end_reason", "sip_code", "provisional", "shown", "carrier_cost", "carrier_currency"),
    *("leg", "leg_account", "leg_destination", "leg_currency", "leg_charge", "leg_bundle_s"),
)

commands = typer.Typer(rich_markup_mode=None, invoke_without_command=True)


@commands.callback()
def cdrs(
    context: typer.Context,
    account: Annotated[str | None, typer.Option(help="Calls in whose chain this account is.")] = None,
    since: Annotated[str | None, typer.Option(help="Only calls since then; no offset = UTC.")] = None,
    limit: Annotated[str, typer.Option(help="The latest so many.")] = "50",
    archived: Annotated[bool, typer.Option("--archived", help="Those in the archive instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Call detail records, the latest first; `cdrs export` for programs."""
    if context.invoked_subcommand is not None:
        return
    most = whole_number(limit, "--limit", 1, LIMIT_MAX)
    begin = instant(since, "--since") if since else None
    with opened("cashier") as ledger:
        account_id = account_named(ledger, account).account_id if account else None
        # The latest, so `since` only shortens the list.
        found = ledger.cdrs(account_id=account_id, limit=most, archived=archived)
    found = [cdr for cdr in found if begin is None or cdr.opened_at >= begin]
    if as_json:
        show_json([{**plain(cdr), "margin": plain(cdr.margin)} for cdr in found])
        return
    columns = (
        *("call", "opened", "account", "caller", "to", "result"),
        *("ended by", ">talked", ">billed", ">bundle", ">charge", ">balance after", "carrier", ">cost", ">margin"),
    )
    show_table(f"{len(found)} calls", columns, [row for cdr in found for row in _rows(cdr)])


@commands.command("export")
def export(
    after: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="Where an earlier export ended. Default: from the beginning.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Go on from the token in it, and put the new one there.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Only what was settled since then; no offset = UTC.")] = None,
    limit: Annotated[str | None, typer.Option(help="At most so many. Default: all that there are.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a call, each on a line of its own.")] = False,
) -> None:
    """Every CDR once, in the order in which the ledger publishes them: none is skipped, however late it commits.

    CSV has a line for each leg of a call. The token to go on from is the last position; it is told on standard error,
    too. A CDR that changes later (a provisional one, a new price) comes again with the next version.

    Example: meterline cdrs export --after 0 --limit 100
    """
    if after is not None and token_file is not None:
        raise BadInput("one of --after and --token-file can be given, not both")
    position = _position(after, token_file)
    most = EXPORT_MAX if limit is None else whole_number(limit, "--limit", 1, EXPORT_MAX)
    begin = instant(since, "--since") if since else None
    with opened("cashier") as ledger:
        columns: tuple[str, ...] = CSV_COLUMNS
        for batch in _batches(ledger, position, begin, most):
            if as_json:
                sys.stdout.writelines(json.dumps(plain(cdr), ensure_ascii=False) + "\n" for cdr in batch)
            else:
                show_csv(columns, [row for cdr in batch for row in _export_rows(cdr)])
                columns = ()
            position = batch[-1].position
            _keep(position, token_file)
    if not as_json and columns:
        show_csv(columns, [])
    print(f"next: --after {position}", file=sys.stderr)


@commands.command("accept")
def accept(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The call, as cdrs shows it.", show_default=False)],
    reason: Annotated[str, typer.Option(help="Why; for the CDR.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """A provisional charge is final: whatever its node tells later moves no money. Before a refund by hand.

    Of all calls of a node that is gone for good: node retire.

    Example: meterline cdrs accept 01JCALL0000000000000000009 --reason "one-way audio: refunded"
    """
    call_key = key.upper()
    with opened("cashier") as ledger:
        accepted = ledger.accept_cdr(call_key, actor(), reason)
    before = f" before, by {accepted.actor}" if accepted.outcome == "already" else ""
    tell({"call_key": call_key, **plain(accepted)}, f"{call_key}: its charge was made final{before}", as_json)


def _batches(ledger: Ledger, position: int, since: datetime | None, most: int) -> Iterator[list[ExportedCdr]]:
    while most > 0 and (batch := ledger.export_cdrs(position, since, min(most, EXPORT_BATCH))):
        yield batch
        position, most = batch[-1].position, most - len(batch)


def _position(after: str | None, token_file: Path | None) -> int:
    if token_file is not None and token_file.exists():
        token = token_file.read_text(encoding="ascii", errors="replace").strip()
        return whole_number(token, f"{token_file}:", 0, POSITION_MAX)
    return whole_number(after, "--after", 0, POSITION_MAX) if after is not None else 0


def _keep(position: int, token_file: Path | None) -> None:
    """Only once what came before it is out; a crash in between repeats a batch, and loses none."""
    sys.stdout.flush()
    if token_file is not None:
        fresh = token_file.with_name(f"{token_file.name}.new")
        fresh.write_text(f"{position}\n", encoding="ascii")
        fresh.replace(token_file)


def _export_rows(cdr: ExportedCdr) -> Iterator[tuple[object, ...]]:
    """A line a leg; one for a call without legs."""
    common = (
        *(cdr.position, cdr.version, cdr.call_key, cdr.opened_at, cdr.answered_at, cdr.ended_at, cdr.settled_at),
        *(cdr.account_name, cdr.user_name, cdr.caller, cdr.callee, cdr.dialled, cdr.source, cdr.sip_call_id),
        *(cdr.carrier_name, cdr.node, cdr.grant_s, cdr.talked_ms, cdr.billed_s, cdr.result, cdr.detail),
        *(cdr.end_reason, cdr.sip_code, int(cdr.provisional), cdr.shown, cdr.carrier_cost, cdr.carrier_currency),
    )
    for leg in cdr.legs:
        yield (*common, leg.leg, leg.account_name, leg.destination, leg.currency, leg.charge, leg.bundle_s)
    if not cdr.legs:
        yield (*common, *("",) * 6)


def _rows(cdr: Cdr) -> list[tuple[object, ...]]:
    """A line for the caller's account, one below it for every further leg."""
    common = (cdr.call_key, moment(cdr.opened_at))
    result = f"{cdr.result} (provisional)" if cdr.provisional else cdr.result
    talked = duration(cdr.talked_ms / 1000) if cdr.answered_at else ""
    end = (result, cdr.end_reason, talked, f"{cdr.billed_s} s" if cdr.answered_at else "")
    first = cdr.legs[0] if cdr.legs else None
    charged = _charged(first) if first else ("", "", "")
    paid = (_carriers(cdr), money(cdr.carrier_cost), money(cdr.margin))
    rows: list[tuple[object, ...]] = [(*common, cdr.account_name, cdr.caller, cdr.callee, *end, *charged, *paid)]
    for leg in cdr.legs[1:]:
        blank = ("",) * 4
        rows.append(("", "", f"< {leg.account_name}", "", "", *blank, *_charged(leg), "", "", ""))
    return rows


def _carriers(cdr: Cdr) -> str | None:
    """The call's carrier, and those that failed it before, with their codes."""
    if not cdr.attempts:
        return cdr.carrier_name
    failed = ", ".join(f"{one.carrier_name or one.carrier_id} {one.sip_code}" for one in cdr.attempts)
    return f"{cdr.carrier_name or ''} (after {failed})".lstrip()


def _charged(leg: CdrLeg) -> tuple[str, str, str]:
    """Seconds of minute bundles, money, as the margin has it, and the balance after it was first charged."""
    first = "" if leg.corrected_charge is None else f" (first {money(leg.charge)})"
    return f"{leg.bundle_s} s" if leg.bundle_s else "", f"{money(leg.comes_to)}{first}", money(leg.balance_after)
