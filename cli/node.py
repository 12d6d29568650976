"""`meterline node`: proxies, who of them is alive, and that one never returns."""

from typing import Annotated

import typer

from billing.ledger_types import NodeRow
from cli.ledger import actor, opened
from cli.options import AsJson
from cli.output import moment, plain, show_json, show_table, tell

SILENT_MS = 60_000
"""A node of which nothing was heard for so long may be retired (db/routines/retire_node.sql)."""

commands = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Proxies, and whether they are alive.")


@commands.command("list")
def list_all(as_json: AsJson = False) -> None:
    """All that were ever heard of, with their calls in progress and those charged provisionally."""
    with opened("cashier") as ledger:
        found, calls = ledger.nodes(), ledger.calls_by_node()
    rows = [(node, _state(node), *calls.get(node.name, (0, 0))) for node in found]
    if as_json:
        show_json([
            {**plain(node), "state": state, "live_calls": live, "provisional_calls": provisional}
            for node, state, live, provisional in rows
        ])
        return
    columns = ("node", "state", "last heard of", "place", ">calls", ">provisional", "retired", "by", "reason")
    shown = [
        (
            *(node.name, state, moment(node.heartbeat_at), node.place, live, provisional),
            *(moment(node.retired_at), node.retired_by, node.retired_reason),
        )
        for node, state, live, provisional in rows
    ]
    show_table(f"{len(shown)} nodes", columns, shown)


def _state(node: NodeRow) -> str:
    if node.retired_at is not None:
        return "retired"
    return "silent" if node.silent_ms > SILENT_MS else "alive"


@commands.command()
def retire(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As list shows it.", show_default=False)],
    reason: Annotated[str, typer.Option(help="Why; for the CDRs of its calls, too.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """A node never returns: nobody waits for it, and what the reaper charged for its calls is final.

    Refused until it has been silent for a minute and its calls in progress were reaped. Should it come back it is alive
    again, and what its journal tells about those calls is kept (v_accepted_call), and moves no money.

    Example: meterline node retire proxy2 --reason "burnt down"
    """
    with opened("cashier") as ledger:
        retired = ledger.retire_node(name, actor(), reason)
    before = f" before, by {retired.retired_by}" if retired.outcome == "already" else ""
    text = f"{name}: retired{before}; {retired.accepted} calls stay charged as they are"
    tell({"node": name, **plain(retired)}, text, as_json)
