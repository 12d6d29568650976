"""`meterline carrier` and `meterline number`: where calls go, and what numbers callers may show."""

from typing import Annotated, Any

import typer

from billing.ledger import Ledger
from billing.ledger_types import CarrierShown, CarrierState
from cli.ledger import NotFound, account_named, opened
from cli.output import moment, show_json, show_table
from cli.tariff_deck import tariff_named
from cli.values import BadInput, whole_number

TIMEOUT_S = 10.0
NUMBER_MAX = 2**31 - 1

commands = typer.Typer(help="Where calls go: carriers, their order, channels and health.", rich_markup_mode=None)
number_commands = typer.Typer(help="Numbers that callers may show to carriers.", rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The carrier's name.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Port = Annotated[str | None, typer.Option(help="Default: 5060.")]
Transport = Annotated[str | None, typer.Option(help="udp, tcp or tls. Default: udp.")]
Priority = Annotated[int | None, typer.Option(help="Lower goes first among those that cost the same. Default: 0.")]
Weight = Annotated[str | None, typer.Option(help="Share among equals. Default: 1; 0: after the others.")]
Tariff = Annotated[str | None, typer.Option(help="What it charges; 'none' takes it away.")]
Prefix = Annotated[list[str] | None, typer.Option(help="Takes numbers that begin so; again for each. 'all': any.")]
Channels = Annotated[str | None, typer.Option(help="Simultaneous calls at most, or 'unlimited'.")]
DialPrefix = Annotated[str | None, typer.Option(help="Put before the number for this carrier.")]
Trusts = Annotated[
    bool | None, typer.Option("--trusts-identity/--no-trusts-identity", help="Is told the number of who hides it.")
]
Probed = Annotated[bool | None, typer.Option("--probed/--no-probed", help="Is asked with OPTIONS. Default: yes.")]


@commands.command("add")
def add(
    name: Name,
    host: Annotated[str, typer.Argument(metavar="HOST", help="Address or name.", show_default=False)],
    port: Port = None,
    transport: Transport = None,
    priority: Priority = None,
    weight: Weight = None,
    tariff: Tariff = None,
    prefix: Prefix = None,
    channels: Channels = None,
    dial_prefix: DialPrefix = None,
    trusts_identity: Trusts = None,
    probed: Probed = None,
    as_json: AsJson = False,
) -> None:
    """Make a carrier, active at once.

    Example: meterline carrier add Alpha 203.0.113.10 --tariff "Alpha buys" --channels 30
    """
    changes = _changes(
        port, transport, priority, weight, tariff, prefix, channels, dial_prefix, trusts_identity, probed
    )
    with opened("admin", TIMEOUT_S) as ledger:
        ledger.create_carrier(name, host, **changes)
        _show_one(ledger, name, as_json)


@commands.command("set")
def set_(
    name: Name,
    host: Annotated[str | None, typer.Option(help="Address or name.")] = None,
    port: Port = None,
    transport: Transport = None,
    priority: Priority = None,
    weight: Weight = None,
    tariff: Tariff = None,
    prefix: Prefix = None,
    channels: Channels = None,
    dial_prefix: DialPrefix = None,
    trusts_identity: Trusts = None,
    probed: Probed = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given of a carrier. Nodes take it up within about a second.

    Example: meterline carrier set Alpha --channels 60 --priority 2
    """
    changes = _changes(
        port, transport, priority, weight, tariff, prefix, channels, dial_prefix, trusts_identity, probed
    )
    if host is not None:
        changes["host"] = host
    with opened("admin", TIMEOUT_S) as ledger:
        ledger.set_carrier(name, **changes)
        _show_one(ledger, name, as_json)


@commands.command("list")
def list_(as_json: AsJson = False) -> None:
    """All carriers, with their calls and whether the nodes find them there."""
    with opened("cashier") as ledger:
        found, states = ledger.all_carriers(), ledger.carrier_states()
    if as_json:
        show_json([_as_json(one, states) for one in found])
        return
    columns = (
        *("name", "status", "address", ">priority", ">weight", "tariff", "takes", ">calls", ">channels"),
        *("identity", "health"),
    )
    show_table(f"{len(found)} carriers", columns, [_row(one, states) for one in found])


@commands.command("show")
def show(name: Name, as_json: AsJson = False) -> None:
    """One carrier, with all that is set."""
    with opened("cashier") as ledger:
        _show_one(ledger, name, as_json)


@commands.command("disable")
def disable(name: Name, as_json: AsJson = False) -> None:
    """Send no more calls to a carrier. Calls that are up at it go on."""
    _set_status(name, "disabled", as_json)


@commands.command("enable")
def enable(name: Name, as_json: AsJson = False) -> None:
    """Send calls to a carrier again."""
    _set_status(name, "active", as_json)


@commands.command("routing")
def routing(
    account: Annotated[str | None, typer.Option(help="The account's name; one of the vendor's own.")] = None,
    tariff: Annotated[str | None, typer.Option(help="Or the tariff's: all of its accounts.")] = None,
    order: Annotated[str | None, typer.Option(help="cost, priority, weight, or default: as set elsewhere.")] = None,
    loss_allowed: Annotated[
        bool | None, typer.Option("--loss-allowed/--no-loss-allowed", help="A carrier may cost more than the call.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """In which order carriers are tried for an account or a tariff, and whether calls may cost more than they bring.

    What is not given stays; with neither it is shown.

    Example: meterline carrier routing --tariff Flat --loss-allowed --order priority
    """
    if (account is None) == (tariff is None):
        raise BadInput("one of --account and --tariff must be given")
    with opened("admin", TIMEOUT_S) as ledger:
        before = tariff_named(ledger, tariff or "") if account is None else account_named(ledger, account)
        allowed = before.loss_allowed if loss_allowed is None else loss_allowed
        chosen = before.carrier_order if order is None else None if order == "default" else order
        if order is None and loss_allowed is None:
            pass
        elif account is not None:
            ledger.set_account_routing(account, loss_allowed=allowed, carrier_order=chosen)
        else:
            ledger.set_tariff_routing(tariff or "", loss_allowed=allowed, carrier_order=chosen)
    if as_json:
        show_json({"account": account, "tariff": tariff, "carrier_order": chosen, "loss_allowed": allowed})
    else:
        loss = "may cost more than they bring" if allowed else "never cost more than they bring"
        print(f"{account or tariff}: carriers in the order of {chosen or 'default'}; calls {loss}")


# --- numbers ----------------------------------------------------------------------------------------------------------

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's name.", show_default=False)]
Number = Annotated[
    str, typer.Argument(metavar="NUMBER", help="E.164 digits; with a * behind: all that begin so.", show_default=False)
]
User = Annotated[str | None, typer.Option(help="One user of the account. Default: all of them.")]


@number_commands.command("add")
def add_number(
    account: Account,
    number: Number,
    user: User = None,
    default: Annotated[bool, typer.Option("--default", help="Shown when the caller asks for no other.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let an account, or one of its users, show a number. The first one is the default.

    Example: meterline number add Acme 4930555123 --user 101
    """
    with opened("admin", TIMEOUT_S) as ledger:
        is_default = ledger.put_shown_number(account, user, number, default=default)
    if as_json:
        show_json({"account": account, "user": user, "number": number, "is_default": is_default})
    else:
        print(f"{user or account} may show {number}{' and does so by default' if is_default else ''}")


@number_commands.command("remove")
def remove_number(account: Account, number: Number, user: User = None, as_json: AsJson = False) -> None:
    """Take a number away again."""
    with opened("admin", TIMEOUT_S) as ledger:
        ledger.remove_shown_number(account, user, number)
    if as_json:
        show_json({"account": account, "user": user, "number": number, "removed": True})
    else:
        print(f"{user or account} may not show {number} any more")


@number_commands.command("list")
def list_numbers(
    account: Annotated[str | None, typer.Option(help="Of this account alone.")] = None, as_json: AsJson = False
) -> None:
    """Which numbers may be shown by whom."""
    with opened("cashier") as ledger:
        found = ledger.shown_numbers(account and account_named(ledger, account).name)
    if as_json:
        show_json([{**_fields(one), "is_default": bool(one.is_default)} for one in found])
        return
    rows = [
        (one.account_name, one.user_name or "(all)", one.number, "default" if one.is_default else "") for one in found
    ]
    show_table(f"{len(found)} numbers", ("account", "user", "number", ""), rows)


# --- how they look ----------------------------------------------------------------------------------------------------


def _changes(
    port: str | None,
    transport: str | None,
    priority: int | None,
    weight: str | None,
    tariff: str | None,
    prefix: list[str] | None,
    channels: str | None,
    dial_prefix: str | None,
    trusts_identity: bool | None,
    probed: bool | None,
) -> dict[str, object]:
    """What was given, as the ledger takes it."""
    found: dict[str, object] = {
        "port": None if port is None else whole_number(port, "--port", 1, 65_535),
        "transport": transport,
        "priority": priority,
        "weight": None if weight is None else whole_number(weight, "--weight", 0, NUMBER_MAX),
        "dial_prefix": dial_prefix,
        "trusts_identity": trusts_identity,
        "probed": probed,
    }
    changes = {name: value for name, value in found.items() if value is not None}
    if tariff is not None:
        changes["tariff"] = None if tariff == "none" else tariff
    if channels is not None:
        unlimited = channels == "unlimited"
        changes["channels"] = None if unlimited else whole_number(channels, "--channels", 0, NUMBER_MAX)
    if prefix:
        changes["prefixes"] = [] if prefix == ["all"] else prefix
    return changes


def _set_status(name: str, status: str, as_json: bool) -> None:
    with opened("admin", TIMEOUT_S) as ledger:
        ledger.set_carrier_status(name, status)
        _show_one(ledger, name, as_json)


def _show_one(ledger: Ledger, name: str, as_json: bool) -> None:
    states = ledger.carrier_states()
    found = next((one for one in ledger.all_carriers() if one.name.casefold() == name.casefold()), None)
    if found is None:
        raise NotFound(f"carrier {name!r}: there is none of this name")
    if as_json:
        show_json(_as_json(found, states))
        return
    shown = _as_json(found, states)
    health = shown.pop("health")
    rows = [(key, ",".join(value) if isinstance(value, list) else value) for key, value in shown.items()]
    rows += [(f"health at {one['node']}", f"{one['state']} since {one['since']}") for one in health]
    show_table(f"carrier {found.name}", ("setting", "value"), rows)


def _as_json(one: CarrierShown, states: list[CarrierState]) -> dict[str, Any]:
    return {
        **_fields(one),
        "prefixes": [prefix for prefix in one.prefixes.split(",") if prefix],
        "trusts_identity": bool(one.trusts_identity),
        "probed": bool(one.probed),
        "health": [
            {"node": state.node, "state": state.state, "since": moment(state.since)}
            for state in states
            if state.carrier_id == one.carrier_id
        ],
    }


def _fields(item: object) -> dict[str, Any]:
    return {name: getattr(item, name) for name in type(item).__slots__}  # type: ignore[attr-defined]


def _row(one: CarrierShown, states: list[CarrierState]) -> tuple[object, ...]:
    health = ", ".join(f"{state.node}: {state.state}" for state in states if state.carrier_id == one.carrier_id)
    takes = one.prefixes or ("its tariff" if one.tariff_name else "all")
    return (
        *(one.name, one.status, f"{one.transport}:{one.host}:{one.port}", one.priority, one.weight),
        *(one.tariff_name, takes, one.calls, "" if one.channels is None else one.channels),
        *("trusted" if one.trusts_identity else "", health or ("" if one.probed else "not asked")),
    )
