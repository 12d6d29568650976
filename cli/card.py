"""`meterline card`: calling cards. Batches are printed once; single cards are sold, blocked and cancelled by number."""

import getpass
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from billing import cards, settings
from billing.card_types import CardBatchRequest, CardRow, IssuedCards
from billing.cards import NewCard
from billing.errors import LedgerRefused, LedgerUnavailable
from billing.ledger import Ledger
from billing.ledger_cards import Change
from cli.ledger import NotFound, actor, opened
from cli.options import AsJson
from cli.output import moment, money, plain, show_json, show_table, tell
from cli.slips import issued, read_slips, write_slips
from cli.values import BadInput, amount, key_or_new, last_moment, now, whole_number

COLUMNS = ("batch", "serial", "number", "pin", "value")
NUMBERS_TAKEN_MAX = 5
"""How often numbers are made anew because another card has one of them."""
LIST_MAX = 50_000

CardNumber = Annotated[str, typer.Argument(metavar="NUMBER", help="The card's number.", show_default=False)]
Key = Annotated[str | None, typer.Option(help="Key (a ULID) of an earlier try whose outcome is unknown.")]

commands = typer.Typer(rich_markup_mode=None)


@commands.callback()
def card() -> None:
    """Calling cards."""


class _Shape(NamedTuple):
    cards: int
    prefix: str
    digits: int
    pin_digits: int


@commands.command("batch")
def batch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the batch.", show_default=False)],
    count: Annotated[str, typer.Option(help="How many cards, 50000 at most.", show_default=False)],
    value: Annotated[str, typer.Option(help="What each is worth, such as 10.00.", show_default=False)],
    tariff: Annotated[str, typer.Option(help="A tariff's name; its currency is theirs.", show_default=False)],
    file: Annotated[Path, typer.Option(help="New CSV file for numbers and PINs.", show_default=False)],
    digits: Annotated[str, typer.Option(help="Of each number, with its check digit.")] = "12",
    prefix: Annotated[str, typer.Option(help="The digits that each number begins with.")] = "",
    pin_digits: Annotated[str, typer.Option(help="Of each PIN.")] = "6",
    expires: Annotated[str | None, typer.Option(help="The last day in the tariff's zone, or a time.")] = None,
    expires_days: Annotated[str | None, typer.Option(help="Days after that of first use.")] = None,
    distributor: Annotated[str, typer.Option(help="Who sells them: an account, or any name.")] = "",
    parent: Annotated[str | None, typer.Option(help="The reseller whose they are; none: the vendor.")] = None,
    country_code: Annotated[str, typer.Option(help="Where national numbers are dialled: 49.")] = "",
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Issue a batch of cards, all or none; numbers and PINs go into a file, once, and stand nowhere else.

    The cards are worth nothing, and nobody can call with them, before they are activated. With --expires and
    --expires-days the earlier counts. When the outcome is unknown the file is kept: repeat the command with --key, and
    everything else as it was.

    Example: meterline card batch Summer --count 1000 --value 10 --tariff Retail --file summer.csv --expires-days 90
    """
    shape = _Shape(
        whole_number(count, "--count", 1, cards.BATCH_MAX),
        prefix,
        whole_number(digits, "--digits", cards.CARD_DIGITS.start, cards.CARD_DIGITS.stop - 1),
        whole_number(pin_digits, "--pin-digits", cards.PIN_DIGITS.start, cards.PIN_DIGITS.stop - 1),
    )
    days = None if expires_days is None else whole_number(expires_days, "--expires-days", 1, 36_500)
    chosen = key_or_new(key)
    with opened("admin") as ledger:
        zone = ledger.zone_of_tariff(tariff)
        if zone is None:
            raise NotFound(f"tariff {tariff!r}: there is none of this name")
        request = CardBatchRequest(
            name=name,
            tariff=tariff,
            value=amount(value, "--value"),
            cards=(),
            parent=parent,
            expires_at=last_moment(expires, "--expires", zone) if expires else None,
            expires_days=days,
            zone_offsets=None if days is None else cards.zone_offsets(zone, now()),
            distributor=distributor,
            country_code=country_code,
        )
        answer = _issue(ledger, chosen, request, shape, file, repeated=key is not None)
    if as_json:
        show_json({"key": chosen, "file": str(file), **plain(answer)})
    else:
        print(f"{answer.batch}: {answer.cards} cards of {money(answer.value)} {answer.currency} issued (key {chosen})")
        print(f"numbers and PINs are in {file}, and nowhere else")


def _issue(
    ledger: Ledger, key: str, request: CardBatchRequest, shape: _Shape, file: Path, *, repeated: bool
) -> IssuedCards:
    secret = settings.load().card_pin_key.get_secret_value()
    for _ in range(NUMBERS_TAKEN_MAX):
        made = _printed_before(file) if repeated else _printed(request, shape, file)
        hashed = [(one.number, cards.pin_hash(secret, one.number, one.pin)) for one in made]
        whole = replace(request, cards=hashed)
        try:
            return issued(file, key, lambda whole=whole: ledger.issue_cards(key, whole, actor()), keep=repeated)  # type: ignore[misc]
        except LedgerRefused as refusal:
            if repeated or refusal.token != "number_taken":  # noqa: S105  # nosec B105  # a word
                raise
    raise BadInput(f"--digits {shape.digits}: too many numbers are taken already; take more digits or another --prefix")


def _printed(request: CardBatchRequest, shape: _Shape, file: Path) -> list[NewCard]:
    made = cards.new_cards(shape.cards, shape.prefix, shape.digits, shape.pin_digits)
    rows = ((request.name, serial, one.number, one.pin, request.value) for serial, one in enumerate(made, 1))
    write_slips(file, COLUMNS, rows)
    return made


def _printed_before(file: Path) -> list[NewCard]:
    return [NewCard(number, pin) for number, pin in read_slips(file, ("number", "pin"))]


@commands.command("list")
def list_cards(
    batch_name: Annotated[str | None, typer.Option("--batch", help="Those of one batch.")] = None,
    state: Annotated[
        str | None, typer.Option(help="issued, active, used, blocked, expired or cancelled.")
    ] = None,
    limit: Annotated[str, typer.Option(help="The first so many.")] = "1000",
    as_json: AsJson = False,
) -> None:
    """Cards, and what became of them."""
    most = whole_number(limit, "--limit", 1, LIST_MAX)
    with opened("cashier") as ledger:
        found = ledger.cards(batch_name, state, most)
    if as_json:
        show_json(found)
        return
    columns = ("card", "number", "state", "currency", ">value", ">available", "activated", "first used", "expires")
    show_table(f"{len(found)} cards", columns, [_row(one) for one in found])


def _row(one: CardRow) -> tuple[object, ...]:
    return (
        *(one.name, one.number, one.state, one.currency, money(one.value), money(one.available)),
        *(moment(one.activated_at), moment(one.first_used_at), moment(one.expires_at)),
    )


@commands.command("show")
def show(number: CardNumber, as_json: AsJson = False) -> None:
    """Everything about one card."""
    with opened("cashier") as ledger:
        found = ledger.card(number)
    if found is None:
        raise NotFound(f"card {number!r}: there is none of this number")
    if as_json:
        show_json(found)
        return
    rows = [(name.replace("_", " "), _shown(value)) for name, value in plain(found).items() if value is not None]
    show_table(f"card {number}", ("", ""), rows)


def _shown(value: object) -> str:
    return moment(value) if isinstance(value, datetime) else str(value)


@commands.command("activate")
def activate(number: CardNumber, key: Key = None, as_json: AsJson = False) -> None:
    """Sell one card: its value is booked, and its holder can call. A whole batch: meterline batch activate."""
    chosen = key_or_new(key)
    with opened("cashier") as ledger:
        try:
            sold = ledger.activate_card(chosen, number, actor())
        except LedgerUnavailable as error:
            raise LedgerUnavailable(
                f"{error}; whether card {number} was activated is unknown: repeat it with --key {chosen}"
            ) from None
    if as_json:
        show_json({"key": chosen, "number": number, **plain(sold)})
    else:
        print(f"card {number} activated with {money(sold.value)} (key {chosen})")


@commands.command("pin")
def set_pin(
    number: CardNumber,
    generate: Annotated[bool, typer.Option("--generate", help="Make one up and show it, once.")] = False,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read it from the first line of standard input.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give a card a new PIN: asked for twice, unless told otherwise. It is never an argument, and never stored.

    The ledger keeps its hash under the card_pin_key of the settings.
    """
    if generate and stdin:
        raise BadInput("only one of --generate and --stdin can be given")
    key = settings.load().card_pin_key.get_secret_value()
    secret = cards.new_pin() if generate else _typed_pin(stdin=stdin)
    with opened("admin") as ledger:
        found = ledger.card(number)
        if found is None:
            raise NotFound(f"card {number!r}: there is none of this number")
        ledger.put_card(found.name, number, cards.pin_hash(key, number, secret))
    shown = {"number": number, "account": found.name, **({"pin": secret} if generate else {})}
    tell(shown, f"card {number}: PIN {secret if generate else 'set'}", as_json)


def _typed_pin(*, stdin: bool) -> str:
    if stdin:
        secret = sys.stdin.readline().rstrip("\r\n")
    else:
        secret = getpass.getpass("PIN: ")
        if secret != getpass.getpass("again: "):
            raise BadInput("the two PINs differ")
    if not (secret.isascii() and secret.isdigit() and len(secret) in cards.PIN_DIGITS):
        raise BadInput(f"a PIN has {cards.PIN_DIGITS.start} to {cards.PIN_DIGITS.stop - 1} digits")
    return secret


@commands.command("block")
def block(number: CardNumber, as_json: AsJson = False) -> None:
    """Block one card: no call starts, and one in progress ends at its grant."""
    _change("block", number, "blocked", as_json=as_json)


@commands.command("unblock")
def unblock(number: CardNumber, as_json: AsJson = False) -> None:
    """Take the block off one card."""
    _change("unblock", number, "unblocked", as_json=as_json)


@commands.command("cancel")
def cancel(number: CardNumber, as_json: AsJson = False) -> None:
    """Cancel one card for good; what is left on it is forfeited."""
    _change("cancel", number, "cancelled", as_json=as_json)


def _change(change: Change, number: str, done: str, *, as_json: bool) -> None:
    with opened("cashier") as ledger:
        ledger.change_card(change, number, actor())
    if as_json:
        show_json({"number": number, "now": done})
    else:
        print(f"card {number} {done}")
