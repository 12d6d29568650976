"""`meterline alarms`: limits that were nearly reached, or that stopped somebody."""

from typing import Annotated

import typer

from billing.ledger_types import Alarm
from cli.ledger import account_named, actor, opened
from cli.output import moment, money, show_json, show_table


def alarms(
    acknowledge: Annotated[
        str | None, typer.Option(metavar="ACCOUNT", help="Say that this account's alarms were seen.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Those that were acknowledged, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Limits of spending and calls by the hour that were nearly reached or reached, the latest first."""
    with opened("cashier") as ledger:
        if acknowledge is not None:
            seen = ledger.acknowledge_alarms(account_named(ledger, acknowledge).account_id, actor())
            if as_json:
                show_json({"account": acknowledge, "acknowledged": seen})
            else:
                print(f"{acknowledge}: {seen} alarms acknowledged")
            return
        found = ledger.alarms(open_only=not everything)
    if as_json:
        show_json(found)
        return
    columns = ("account", "limit", "to", "since", ">reached", ">of", "first", "last", ">times", ">refused", "stopped")
    show_table(f"{len(found)} alarms", columns, [_row(one) for one in found])


def _row(alarm: Alarm) -> tuple[object, ...]:
    spending = alarm.kind == "spending_limit"
    reached, most = (
        money(value) if spending else f"{int(value)}" for value in (alarm.reached, alarm.limit_value)
    )
    return (
        *(alarm.account_name, alarm.kind, alarm.destination, moment(alarm.since), reached, most),
        *(moment(alarm.first_at), moment(alarm.last_at), alarm.times, alarm.refused, moment(alarm.stopped_at)),
    )
