"""`meterline calls`: calls in progress, and ending them."""

import time
from typing import Annotated

import typer

from billing.errors import LedgerRefused
from billing.ledger import Ledger
from billing.ledger_types import LiveCall
from cli.ledger import account_named, actor, opened
from cli.output import duration, money, show_json, show_table
from cli.values import BadInput, whole_number

NOT_ENDED = 1
LOOK_EVERY_S = 0.2
WAIT_S_MAX = 60
SILENT_MS = 10_000
"""A node of which nothing was heard for so long is taken to be dead, as by the ledger."""

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]

commands = typer.Typer(rich_markup_mode=None)


@commands.callback(invoke_without_command=True)
def calls(context: typer.Context, as_json: AsJson = False) -> None:
    """Calls in progress; kill ends some."""
    if context.invoked_subcommand is not None:
        return
    with opened("cashier") as ledger:
        live = ledger.live_calls()
    if as_json:
        show_json(live)
        return
    columns = ("call", "node", "account", "caller", "to", "state", ">talked", ">funded for", ">held")
    show_table(f"{len(live)} calls in progress", columns, [_live_row(call) for call in live])


def _live_row(call: LiveCall) -> tuple[object, ...]:
    held = " + ".join(money(leg.hold) for leg in call.legs)
    talked_s = None if call.answered_ago_ms is None else call.answered_ago_ms / 1000
    funded_s = None if call.deadline_in_ms is None else max(0, call.deadline_in_ms) / 1000
    names = " < ".join(leg.account_name for leg in call.legs)
    state = "ringing" if call.state == "open" else call.state
    return (
        *(call.call_key, call.node, names, call.caller, call.callee, state),
        *(duration(talked_s), duration(funded_s), held),
    )


@commands.command()
def kill(
    keys: Annotated[list[str] | None, typer.Argument(metavar="KEY..", help="As calls shows them.")] = None,
    account: Annotated[str | None, typer.Option(help="All calls of this account and of those below it.")] = None,
    reason: Annotated[str, typer.Option(help="For the CDRs.")] = "",
    wait: Annotated[str, typer.Option(metavar="SECONDS", help="How long to look whether they end.")] = "5",
    as_json: AsJson = False,
) -> None:
    """End calls, wherever they are: their nodes do it within a second or two. They are charged for what was talked.

    If one of the KEYs is no call in progress none is ended. The exit code is 1 if a call has not ended after the wait.
    New calls of an account may begin meanwhile: reseller or customer suspend --now stops those, too.
    """
    if bool(keys) == (account is not None):
        raise BadInput("either KEYs or --account must be given")
    wait_s = whole_number(wait, "--wait", 0, WAIT_S_MAX)
    text = actor() + (f": {reason}" if reason else "")
    with opened("admin") as ledger:
        if account is not None:
            name = account_named(ledger, account).name
            wanted = sorted(call.call_key for call in ledger.live_calls() if _charges(call, name))
            ledger.end_account_calls(name, text)
        else:
            wanted = list(dict.fromkeys(key.upper() for key in keys or ()))
            _mark(ledger, wanted, text)
        left = _wait_for_end(ledger, wanted, wait_s)
        dead = {node.name for node in ledger.nodes() if node.silent_ms > SILENT_MS}
    if as_json:
        show_json([{"call_key": key, "ended": key not in left} for key in wanted])
    else:
        for key in wanted:
            print(f"{key}: {_outcome(left.get(key), dead)}")
        if not wanted:
            print("no calls in progress")
    if left:
        raise typer.Exit(NOT_ENDED)


def _mark(ledger: Ledger, keys: list[str], text: str) -> None:
    """All of them, or none: what is not in progress goes first, for the ledger to say why not."""
    live = {call.call_key for call in ledger.live_calls()}
    for key in sorted(keys, key=live.__contains__):
        try:
            ledger.end_call(key, text)
        except LedgerRefused as refusal:
            if key not in live or refusal.token != "call_ended":  # noqa: S105  # nosec B105  # a word
                raise  # else it ended by itself just now


def _charges(call: LiveCall, account: str) -> bool:
    return any(leg.account_name == account for leg in call.legs)


def _wait_for_end(ledger: Ledger, keys: list[str], limit_s: int) -> dict[str, str]:
    """Those still in progress after at most so long, each with its node."""
    until_s = time.monotonic() + limit_s
    while True:
        left = {call.call_key: call.node for call in ledger.live_calls() if call.call_key in keys}
        if not left or time.monotonic() >= until_s:
            return left
        time.sleep(LOOK_EVERY_S)


def _outcome(node: str | None, dead: set[str]) -> str:
    if node is None:
        return "ended"
    if node in dead:
        return f"its node {node} is silent: it ends with its grant, and the reaper settles it"
    return f"marked; node {node} has not ended it yet"
