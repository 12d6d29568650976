"""`meterline trunk`: sources that are trusted by their addresses."""

from enum import StrEnum
from ipaddress import ip_network
from typing import Annotated

import typer

from billing.errors import LedgerRefused
from billing.ledger_types_accounts import TrunkShown
from cli.ledger import NotFound, opened
from cli.output import show_json, show_table, tell
from cli.values import BadInput

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The trunk's name.", show_default=False)]

commands = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Look after trunks: where calls come from.")

COLUMNS = ("name", "kind", "status", "whose", "networks")


class Kind(StrEnum):
    """How calls of a trunk are known."""

    customer = "customer"
    caller_number = "caller_number"
    ivr = "ivr"


@commands.command("list")
def list_all(as_json: AsJson = False) -> None:
    """All of them."""
    with opened("admin") as ledger:
        found = ledger.all_trunks()
    if as_json:
        show_json(found)
    else:
        show_table(f"{len(found)} trunks", COLUMNS, [_row(one) for one in found])


def _row(trunk: TrunkShown) -> tuple[object, ...]:
    user = f"{trunk.user_name} of {trunk.account_name}" if trunk.user_name else None
    return (trunk.name, trunk.kind, trunk.status, user or trunk.owner_name, " ".join(trunk.networks))


@commands.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """One, with its caller numbers."""
    with opened("admin") as ledger:
        found = next((one for one in ledger.all_trunks() if one.name.lower() == name.lower()), None)
        if found is None:
            raise NotFound(f"trunk {name!r}: there is none of this name")
        numbers = ledger.caller_numbers(trunk=found.name)
    if as_json:
        show_json({"trunk": found, "caller_numbers": numbers})
        return
    show_table(f"trunk {found.name}", COLUMNS, [_row(found)])
    if numbers:
        rows = [(one.number, one.account_name, one.user_name) for one in numbers]
        show_table(f"{len(numbers)} caller numbers", ("number", "account", "user"), rows)


@commands.command()
def add(
    name: Name,
    kind: Annotated[Kind, typer.Option(help="customer: all are one user's; caller_number: From says whose; ivr.")],
    account: Annotated[
        str | None, typer.Option(help="Of the user; else the reseller who owns it. Default: the vendor's.")
    ] = None,
    user: Annotated[str | None, typer.Option(help="Kind customer: whose calls these are.")] = None,
    network: Annotated[list[str] | None, typer.Option(help="Such as 192.0.2.0/28; more than one: again.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make one.

    As in: add "Acme PBX" --kind customer --account Acme --user 101 --network 198.51.100.0/28
    """
    networks = [_network(one) for one in network or []]
    with opened("admin") as ledger:
        trunk_id = ledger.add_trunk(name, kind.value, account, user)
        try:
            for one in networks:
                ledger.add_trunk_network(name, one)
        except LedgerRefused:
            ledger.remove_trunk(name)  # all of it, or nothing
            raise
    tell({"trunk": name, "trunk_id": trunk_id, "networks": networks}, f"trunk {name}: made", as_json)


@commands.command("set")
def set_some(
    name: Name, new: Annotated[str, typer.Option("--name", help="Another name.")], as_json: AsJson = False
) -> None:
    """Give it another name."""
    with opened("admin") as ledger:
        ledger.rename_trunk(name, new)
    tell({"trunk": new}, f"trunk {name}: is {new} now", as_json)


@commands.command()
def network(
    name: Name,
    text: Annotated[str, typer.Argument(metavar="NETWORK", help="Such as 192.0.2.0/28.", show_default=False)],
    take_away: Annotated[bool, typer.Option("--remove", help="Take it from the trunk.")] = False,
    as_json: AsJson = False,
) -> None:
    """Calls from this network are the trunk's. The narrowest network that fits an address decides."""
    given = _network(text)
    with opened("admin") as ledger:
        if take_away:
            ledger.remove_trunk_network(name, given)
        else:
            ledger.add_trunk_network(name, given)
    text = f"trunk {name}: {given} {'removed' if take_away else 'added'}"
    tell({"trunk": name, "network": given, "removed": take_away}, text, as_json)


@commands.command()
def suspend(name: Name, as_json: AsJson = False) -> None:
    """Its addresses are strangers' from now on; calls in progress go on."""
    with opened("admin") as ledger:
        ledger.set_trunk_status(name, "suspended")
    tell({"trunk": name, "status": "suspended"}, f"trunk {name}: suspended", as_json)


@commands.command()
def resume(name: Name, as_json: AsJson = False) -> None:
    """Trusted again."""
    with opened("admin") as ledger:
        ledger.set_trunk_status(name, "active")
    tell({"trunk": name, "status": "active"}, f"trunk {name}: active", as_json)


@commands.command()
def remove(name: Name, as_json: AsJson = False) -> None:
    """Remove it with its networks; not while it has caller numbers."""
    with opened("admin") as ledger:
        ledger.remove_trunk(name)
    tell({"trunk": name, "removed": True}, f"trunk {name}: removed", as_json)


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError as error:
        raise BadInput(f"network {text!r}: {error}") from None
