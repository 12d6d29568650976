"""`meterline tariff`: price lists, and single rates of them. Decks and re-rating are in files of their own."""

from dataclasses import asdict
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from billing import deck_cells, deck_export
from billing.errors import InvalidDeck
from billing.ledger import Ledger
from billing.ledger_types import RateRow, Tariff
from cli import tariff_deck, tariff_rerate
from cli.ledger import opened
from cli.output import moment, money, show_json, show_table
from cli.values import BadInput, amount, instant, now, whole_number

LIMIT_MAX = 10_000_000
ROUNDINGS = ("up", "half_up", "down")

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Name = Annotated[str, typer.Argument(metavar="TARIFF", help="The tariff's name.", show_default=False)]
Prefix = Annotated[str, typer.Argument(metavar="PREFIX", help="Digits, as 4915.", show_default=False)]
Decimals = Annotated[str | None, typer.Option(help="A call's total is rounded to so many, 0 to 6.")]
RoundingOption = Annotated[str | None, typer.Option("--rounding", help=f"How: {', '.join(ROUNDINGS)}.")]
Zone = Annotated[str | None, typer.Option(help="Of its weekly windows, as Europe/Berlin.")]

commands = typer.Typer(rich_markup_mode=None)
commands.command("import")(tariff_deck.import_deck)
commands.command("export")(tariff_deck.export)
commands.command("rerate")(tariff_rerate.rerate)


@commands.callback()
def tariff() -> None:
    """Price lists: what calls cost, from when on."""


@commands.command()
def add(
    name: Name,
    currency: Annotated[str, typer.Argument(metavar="CURRENCY", help="As EUR.", show_default=False)],
    owner: Annotated[str | None, typer.Option(help="The reseller whose list it is. Default: the vendor's.")] = None,
    decimals: Decimals = "4",
    rounding: RoundingOption = "half_up",
    zone: Zone = "UTC",
    as_json: AsJson = False,
) -> None:
    """Make a tariff, without rates yet.

    Example: meterline tariff add "Retail 2027" EUR --decimals 4 --rounding half_up --zone Europe/Berlin
    """
    places, method, place = _terms(decimals, rounding, zone)
    with opened("admin") as ledger:
        ledger.create_tariff(
            name, currency, owner=owner, decimals=places or 0, rounding=method or "half_up", zone=place or "UTC"
        )
        _show_one(ledger, name, as_json)


@commands.command("set")
def set_(
    name: Name,
    new_name: Annotated[str | None, typer.Option("--name", help="A new name.")] = None,
    decimals: Decimals = None,
    rounding: RoundingOption = None,
    zone: Zone = None,
    as_json: AsJson = False,
) -> None:
    """Change a tariff's name, rounding or zone. Acts on the next call."""
    if new_name is None and decimals is None and rounding is None and zone is None:
        raise BadInput(f"tariff {name}: nothing to change: give --name, --decimals, --rounding or --zone")
    places, method, place = _terms(decimals, rounding, zone)
    with opened("admin") as ledger:
        ledger.set_tariff(name, new_name=new_name, decimals=places, rounding=method, zone=place)
        _show_one(ledger, new_name or name, as_json)


@commands.command("list")
def list_(as_json: AsJson = False) -> None:
    """All tariffs."""
    with opened("admin") as ledger:
        found = ledger.tariffs()
    if as_json:
        show_json(found)
        return
    columns = ("tariff", "owner", "currency", ">decimals", "rounding", "zone", ">version", ">rates")
    show_table(f"{len(found)} tariffs", columns, [_row(one) for one in found])


@commands.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """A tariff, and what was imported into it lately."""
    with opened("admin") as ledger:
        _show_one(ledger, name, as_json)


@commands.command()
def rates(
    name: Name,
    prefix: Annotated[str, typer.Option(help="Only prefixes that begin so.")] = "",
    at: Annotated[str | None, typer.Option(help="In effect then; no offset = UTC. Default: now.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Of all times.")] = False,
    limit: Annotated[str, typer.Option(help="The first so many.")] = "1000",
    as_json: AsJson = False,
) -> None:
    """The rates of a tariff by prefix, each with the time in which it counts."""
    if prefix and not (prefix.isascii() and prefix.isdigit()):
        raise BadInput(f"--prefix {prefix!r}: not digits")
    most = whole_number(limit, "--limit", 1, LIMIT_MAX)
    when = None if everything else instant(at, "--at") if at else now()
    found: list[deck_export.Period] = []
    with opened("admin") as ledger:
        tariff_id = tariff_deck.tariff_named(ledger, name).tariff_id
        for period in deck_export.in_effect(ledger.rate_pages(tariff_id, prefix), when):
            if len(found) == most:
                break
            found.append(period)
    if as_json:
        show_json([{**_plain(row), "effective_from": since, "effective_to": until} for row, since, until in found])
        return
    columns = ("prefix", "destination", ">price", ">fee", "increments", "from", "until", "")
    rows = [(*_cells(row), moment(since), moment(until), _special(row)) for row, since, until in found]
    show_table(f"{len(found)} rates of {name}", columns, rows)


@commands.command("set-rate")
def set_rate(
    name: Name,
    prefix: Prefix,
    price: Annotated[str, typer.Argument(metavar="PRICE", help="A minute, unless --per-s.", show_default=False)],
    destination: Annotated[str, typer.Option(help="A name for people. Default: the prefix.")] = "",
    connect_fee: Annotated[str, typer.Option(help="Once a call.")] = "0",
    per_s: Annotated[str, typer.Option(help="The price is for so many seconds.")] = "60",
    increments: Annotated[str, typer.Option(help="As 60/6: a first step of 60 seconds, then steps of 6.")] = "1",
    since: Annotated[str | None, typer.Option("--from", help="From then on; no offset = UTC. Default: ever.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Until then. Default: for ever.")] = None,
    blocked: Annotated[bool, typer.Option("--blocked", help="The destination is barred.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make or change the rate of one prefix.

    Example: meterline tariff set-rate "Retail" 4915 0.12 --destination "Germany mobile" --increments 60/6
    """
    steps = _increments(increments)
    with opened("admin") as ledger:
        saved = ledger.put_rate(
            tariff_deck.tariff_named(ledger, name).tariff_id,
            prefix,
            destination or prefix,
            connect_fee=amount(connect_fee, "--connect-fee"),
            price=amount(price, "PRICE"),
            per_s=whole_number(per_s, "--per-s", 1, 86_400),
            initial_s=steps.get("initial_s"),
            increment_s=steps["increment_s"],
            effective_from=instant(since, "--from") if since else None,
            effective_to=instant(until, "--to") if until else None,
            blocked=blocked,
        )
    if as_json:
        show_json({"tariff": name, "prefix": prefix, "rate_id": saved.rate_id, "warning": saved.warning})
    else:
        print(f"{name}: prefix {prefix} costs {price} for {per_s} s")
        if saved.warning:
            print(saved.warning)


@commands.command("remove-rate")
def remove_rate(
    name: Name,
    prefix: Prefix,
    since: Annotated[
        str | None, typer.Option("--from", help="The one that begins then; no offset = UTC. Default: since ever.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Remove a rate. Calls in progress keep it; a rate that it superseded does not come back."""
    begins = instant(since, "--from") if since else None
    with opened("admin") as ledger:
        ledger.remove_rate(tariff_deck.tariff_named(ledger, name).tariff_id, prefix, begins)
    if as_json:
        show_json({"tariff": name, "prefix": prefix, "removed": True})
    else:
        print(f"{name}: the rate of prefix {prefix} from {moment(begins) or 'ever'} on is removed")


def _terms(decimals: str | None, rounding: str | None, zone: str | None) -> tuple[int | None, str | None, str | None]:
    if rounding is not None and rounding not in ROUNDINGS:
        raise BadInput(f"--rounding {rounding!r} is not one of {', '.join(ROUNDINGS)}")
    try:
        ZoneInfo(zone or "UTC")
    except (LookupError, ValueError, OSError):
        raise BadInput(f"--zone {zone!r} is not a known time zone") from None
    return None if decimals is None else whole_number(decimals, "--decimals", 0, 6), rounding, zone


def _increments(text: str) -> dict[str, int]:
    try:
        return deck_cells.increments(text)
    except InvalidDeck:
        raise BadInput(f"--increments {text!r} is not like 60/6, or 1") from None


def _show_one(ledger: Ledger, name: str, as_json: bool) -> None:
    found = tariff_deck.tariff_named(ledger, name)
    decks = ledger.decks(found.tariff_id)
    if as_json:
        show_json({**asdict(found), "imports": decks})
        return
    columns = ("tariff", "owner", "currency", ">decimals", "rounding", "zone", ">version", ">rates")
    show_table("tariff", columns, [_row(found)])
    if decks:
        counts = (">new", ">dearer", ">cheaper", ">changed", ">unchanged", ">gone")
        rows = [
            (one.deck_key, one.actor, moment(one.opened_at), one.state, one.added, one.dearer, one.cheaper,
             one.changed, one.unchanged, one.gone)
            for one in decks
        ]  # fmt: skip
        show_table("imports", ("import", "by", "began", "state", *counts), rows)


def _row(one: Tariff) -> tuple[object, ...]:
    return (
        *(one.name, one.owner_name, one.currency, one.decimals, one.rounding, one.zone),
        *(one.version, one.rates),
    )


def _plain(row: RateRow) -> dict[str, object]:
    tariff_columns = {"tariff_id", "tariff_name", "tariff_version", "currency", "decimals", "rounding", "zone"}
    return {name: value for name, value in row.as_mapping().items() if name not in tariff_columns}


def _cells(row: RateRow) -> tuple[str, ...]:
    initial = row.increment_s if row.initial_s is None else row.initial_s
    return (
        row.prefix,
        row.destination,
        tariff_deck.price_text(row.price, row.per_s) if row.schedule is None else "(schedule)",
        money(row.connect_fee),
        f"{initial}/{row.increment_s}",
    )


def _special(row: RateRow) -> str:
    told = [
        "barred" if row.blocked else "",
        f"{row.free_seconds} s free" if row.free_seconds else "",
        f"at most {money(row.max_cost)}" if row.max_cost is not None else "",
    ]
    return ", ".join(filter(None, told))
