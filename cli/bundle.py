"""`meterline bundle`: minutes a period to some prefixes, used before money."""

from typing import Annotated

import typer

from billing.errors import LedgerUnavailable
from billing.ledger_types import AccountBundle, BundlePlan
from cli.ledger import NotFound, opened
from cli.output import duration, moment, show_json, show_table
from cli.values import BadInput, instant, key_or_new, whole_number

SECONDS_MAX = 999_999_999
MINUTES_MAX = SECONDS_MAX // 60
PRIORITY_MAX = 1_000_000

commands = typer.Typer(rich_markup_mode=None)

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Name = Annotated[str, typer.Argument(metavar="BUNDLE", help="The bundle's name.", show_default=False)]
AccountName = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's name.", show_default=False)]
Minutes = Annotated[str | None, typer.Option(help="Minutes a period.")]
Seconds = Annotated[str | None, typer.Option(help="Seconds a period, instead of minutes.")]
Prefixes = Annotated[str | None, typer.Option(help="Such as 43,49,!49900: the longest decides, ! excludes.")]


@commands.callback()
def bundle() -> None:
    """Minute bundles: so many minutes a period to some prefixes, used before money."""


@commands.command()
def add(
    name: Name,
    to: Annotated[str, typer.Option(help="Such as 43,49,!49900: the longest decides, ! excludes.", show_default=False)],
    period: Annotated[str, typer.Option(help="day, week, month (in the account's tariff's zone), or once.")] = "month",
    minutes: Minutes = None,
    seconds: Seconds = None,
    owner: Annotated[str | None, typer.Option(help="The reseller who sells it. Default: the vendor.")] = None,
    priority: Annotated[str, typer.Option(help="Of several bundles the lowest is used first.")] = "0",
    as_json: AsJson = False,
) -> None:
    """Make a bundle: meterline bundle add "Germany 100" --minutes 100 --to '49,!49900'.

    Seconds are used in whole increments of the account's rate. What is left at the end of a period lapses. The connect
    fee is money.
    """
    length_s = _length_s(minutes, seconds)
    if length_s is None:
        raise BadInput("one of --minutes and --seconds must be given")
    order = whole_number(priority, "--priority", 0, PRIORITY_MAX)
    with opened("admin") as ledger:
        number = ledger.add_bundle(name, length_s, period, to, owner=owner, priority=order)
        plan = next(one for one in ledger.bundle_plans() if one.bundle_id == number)
    _show_plans([plan], as_json)


@commands.command("set")
def change(
    name: Name,
    minutes: Minutes = None,
    seconds: Seconds = None,
    to: Prefixes = None,
    priority: Annotated[str | None, typer.Option(help="Of several bundles the lowest is used first.")] = None,
    as_json: AsJson = False,
) -> None:
    """Change a bundle. Other minutes count from each account's next period on, all else from the next call on."""
    length_s = _length_s(minutes, seconds)
    order = None if priority is None else whole_number(priority, "--priority", 0, PRIORITY_MAX)
    if length_s is None and to is None and order is None:
        raise BadInput("one of --minutes, --seconds, --to and --priority must be given")
    with opened("admin") as ledger:
        number = ledger.change_bundle(name, seconds=length_s, prefixes=to, priority=order)
        plan = next(one for one in ledger.bundle_plans() if one.bundle_id == number)
    _show_plans([plan], as_json)


@commands.command()
def remove(name: Name, as_json: AsJson = False) -> None:
    """Sell a bundle no more. Refused while an account has it."""
    with opened("admin") as ledger:
        ledger.remove_bundle(name)
    if as_json:
        show_json({"bundle": name, "status": "removed"})
    else:
        print(f"bundle {name} removed")


@commands.command("list")
def plans(
    everything: Annotated[bool, typer.Option("--all", help="Those that were removed, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """The bundles that are sold."""
    with opened("cashier") as ledger:
        found = [one for one in ledger.bundle_plans() if everything or one.status == "active"]
    _show_plans(found, as_json)


@commands.command()
def show(
    account: Annotated[str | None, typer.Option(help="Only this account's.")] = None,
    name: Annotated[str | None, typer.Option("--bundle", help="Only this bundle.")] = None,
    as_json: AsJson = False,
) -> None:
    """Who has which bundle, and what is left, held and used of it now: meterline bundle show --account Acme."""
    with opened("cashier") as ledger:
        if account is not None and ledger.account_named(account) is None:
            raise NotFound(f"account {account!r}: there is none of this name")
        found = ledger.bundles(account=account, bundle=name)
    if as_json:
        show_json(found)
        return
    columns = ("account", "bundle", "period", "this period", "from", "to", ">seconds", ">used", ">held", ">left")
    show_table(f"{len(found)} bundles of accounts", columns, [_row(one) for one in found])


@commands.command()
def assign(
    account: AccountName,
    name: Name,
    since: Annotated[str | None, typer.Option("--from", help="No offset = UTC. Default: now.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Not included. Default: until it is taken away.")] = None,
    key: Annotated[str | None, typer.Option(help="Key (a ULID) of an earlier try: gives it once.")] = None,
    as_json: AsJson = False,
) -> None:
    """Give an account a bundle of its seller's: meterline bundle assign Acme "Germany 100".

    The first period is a whole one, however late it begins. Given twice, it counts twice; a try whose outcome is
    unknown is repeated with its --key and the same options.
    """
    chosen = key_or_new(key)
    starts_at = instant(since, "--from") if since else None
    ends_at = instant(until, "--to") if until else None
    with opened("admin") as ledger:
        try:
            number = ledger.assign_bundle(account, name, starts_at, ends_at, key=chosen)
        except LedgerUnavailable as error:
            raise LedgerUnavailable(
                f"bundle {name} of {account}: {error}; whether it was given is unknown: repeat it with --key {chosen}"
            ) from None
        found = next((one for one in ledger.bundles(account=account) if one.account_bundle_id == number), None)
    if as_json:
        show_json(found)
    else:
        print(f"account {account} has bundle {name}{f' from {moment(found.starts_at)}' if found else ''}")


@commands.command()
def unassign(account: AccountName, name: Name, as_json: AsJson = False) -> None:
    """Take a bundle from an account. Calls in progress keep what they may use of it."""
    with opened("admin") as ledger:
        ended = ledger.unassign_bundle(account, name)
    if as_json:
        show_json({"account": account, "bundle": name, "ended": ended})
    else:
        print(f"bundle {name} taken from account {account}")


def _length_s(minutes: str | None, seconds: str | None) -> int | None:
    if minutes is not None and seconds is not None:
        raise BadInput("--minutes and --seconds cannot both be given")
    if minutes is not None:
        return 60 * whole_number(minutes, "--minutes", 1, MINUTES_MAX)
    return None if seconds is None else whole_number(seconds, "--seconds", 1, SECONDS_MAX)


def _show_plans(found: list[BundlePlan], as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    columns = ("bundle", "sold by", ">length", "a", "to", ">priority", ">accounts", "status")
    rows = [
        (
            *(one.name, one.owner_name or "the vendor", duration(one.seconds), one.period),
            *(one.prefixes, one.priority, one.accounts, one.status),
        )
        for one in found
    ]
    show_table(f"{len(found)} bundles", columns, rows)


def _row(one: AccountBundle) -> tuple[object, ...]:
    began = "not begun" if one.period_from is None else f"{moment(one.period_from)} - {moment(one.period_to)}"
    return (
        *(one.account_name, one.bundle_name, one.period, began, moment(one.starts_at), moment(one.ends_at)),
        *(one.seconds, one.used_s, one.held_s, one.left_s),
    )
