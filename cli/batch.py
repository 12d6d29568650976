"""`meterline batch`: whole batches of cards, or ranges of them."""

from typing import Annotated

import typer

from billing.card_types import CardBatch
from billing.errors import LedgerUnavailable
from billing.ledger_cards import Change
from cli.ledger import NotFound, actor, opened
from cli.options import AsJson
from cli.output import moment, money, plain, show_json, show_table
from cli.values import key_or_new, serials

Name = Annotated[str, typer.Argument(metavar="NAME", help="The batch's name.", show_default=False)]
First = Annotated[str | None, typer.Option("--from", help="The first card's serial number.")]
Last = Annotated[str | None, typer.Option("--to", help="The last card's serial number.")]

commands = typer.Typer(rich_markup_mode=None)


@commands.callback()
def batch() -> None:
    """Batches of cards; meterline card batch issues them."""


@commands.command("list")
def list_batches(as_json: AsJson = False) -> None:
    """All batches of cards, the latest first, and what became of them."""
    with opened("cashier") as ledger:
        found = ledger.card_batches()
    if as_json:
        show_json(found)
        return
    columns = (
        *("batch", "currency", ">value", ">cards", ">issued", ">sold", ">used", ">blocked", ">expired"),
        *(">cancelled", ">sold for", ">remaining", ">forfeited", "distributor"),
    )
    show_table(f"{len(found)} batches", columns, [_row(one) for one in found])


def _row(one: CardBatch) -> tuple[object, ...]:
    return (
        *(one.name, one.currency, money(one.value), one.cards, one.issued, one.sold, one.used, one.blocked),
        *(one.expired, one.cancelled, money(one.sold_value), money(one.remaining), money(one.forfeited)),
        one.distributor,
    )


@commands.command("show")
def show(name: Name, as_json: AsJson = False) -> None:
    """Everything about one batch."""
    with opened("cashier") as ledger:
        found = ledger.card_batches(name)
    if not found:
        raise NotFound(f"batch {name!r}: there is none of this name")
    if as_json:
        show_json(found[0])
        return
    rows = [(label.replace("_", " "), value) for label, value in plain(found[0]).items() if value is not None]
    show_table(f"batch {name}, issued {moment(found[0].issued_at)}", ("", ""), rows)


@commands.command("activate")
def activate(
    name: Name,
    first: First = None,
    last: Last = None,
    key: Annotated[str | None, typer.Option(help="Key (a ULID) of an earlier try whose outcome is unknown.")] = None,
    as_json: AsJson = False,
) -> None:
    """Sell a batch, or a range of it: the value of each card is booked, and its holder can call.

    Cards that are active, blocked or cancelled stay as they are.

    Example: meterline batch activate Summer --from 1 --to 100
    """
    chosen, wanted = key_or_new(key), serials(first, last)
    with opened("cashier") as ledger:
        try:
            sold = ledger.activate_cards(chosen, name, actor(), wanted)
        except LedgerUnavailable as error:
            raise LedgerUnavailable(
                f"{error}; whether cards of {name} were activated is unknown: repeat it with --key {chosen}"
            ) from None
    if as_json:
        show_json({"key": chosen, "batch": name, **plain(sold)})
    else:
        print(f"{name}: {sold.cards} cards activated with {money(sold.value)} (key {chosen})")


@commands.command("block")
def block(name: Name, first: First = None, last: Last = None, as_json: AsJson = False) -> None:
    """Block a batch, or a range of it: no call starts, and those in progress end at their grants."""
    _change("block", name, first, last, "blocked", as_json=as_json)


@commands.command("unblock")
def unblock(name: Name, first: First = None, last: Last = None, as_json: AsJson = False) -> None:
    """Take the block off a batch, or a range of it."""
    _change("unblock", name, first, last, "unblocked", as_json=as_json)


@commands.command("cancel")
def cancel(name: Name, first: First = None, last: Last = None, as_json: AsJson = False) -> None:
    """Cancel a batch, or a range of it, for good; what is left on the cards is forfeited."""
    _change("cancel", name, first, last, "cancelled", as_json=as_json)


def _change(change: Change, name: str, first: str | None, last: str | None, done: str, *, as_json: bool) -> None:
    wanted = serials(first, last)
    with opened("cashier") as ledger:
        changed = ledger.change_cards(change, name, actor(), wanted)
    if as_json:
        show_json({"batch": name, "cards": changed, "now": done})
    else:
        print(f"{name}: {changed} cards {done}")
