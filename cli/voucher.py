"""`meterline voucher`: codes that are money once, printed once."""

import sys
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer

from billing import cards, settings
from billing.card_types import VoucherBatchRequest, VoucherRow
from billing.errors import LedgerUnavailable
from billing.ledger_cards import Change
from cli.ledger import account_named, actor, opened
from cli.options import AsJson
from cli.output import moment, money, plain, show_json, show_table
from cli.slips import issued, read_slips, write_slips
from cli.values import BadInput, amount, key_or_new, last_moment, serials, whole_number

COLUMNS = ("batch", "serial", "code", "value", "currency")
LIST_MAX = 50_000

Name = Annotated[str, typer.Argument(metavar="NAME", help="The batch's name.", show_default=False)]
First = Annotated[str | None, typer.Option("--from", help="The first voucher's serial number.")]
Last = Annotated[str | None, typer.Option("--to", help="The last voucher's serial number.")]
Key = Annotated[str | None, typer.Option(help="Key (a ULID) of an earlier try whose outcome is unknown.")]

commands = typer.Typer(rich_markup_mode=None)


@commands.callback()
def voucher() -> None:
    """Vouchers: codes that are redeemed once."""


@commands.command("batch")
def batch(
    name: Name,
    count: Annotated[str, typer.Option(help="How many vouchers, 50000 at most.", show_default=False)],
    value: Annotated[str, typer.Option(help="What each is worth, such as 10.00.", show_default=False)],
    currency: Annotated[str, typer.Option(help="ISO 4217: EUR.", show_default=False)],
    file: Annotated[Path, typer.Option(help="New CSV file for the codes.", show_default=False)],
    digits: Annotated[str, typer.Option(help="Of each code, with its check digit.")] = "14",
    expires: Annotated[str | None, typer.Option(help="The last day in --zone, or a time.")] = None,
    zone: Annotated[str, typer.Option(help="Time zone of --expires.")] = "UTC",
    owner: Annotated[str | None, typer.Option(help="The reseller for whose accounts; none: the vendor's.")] = None,
    distributor: Annotated[str, typer.Option(help="Who sells them.")] = "",
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Issue a batch of vouchers, all or none; the codes go into a file, once, and stand nowhere else.

    None is worth anything before it is activated. When the outcome is unknown the file is kept: repeat the command with
    --key, and everything else as it was.

    Example: meterline voucher batch Spring --count 500 --value 10 --currency EUR --file spring.csv
    """
    worth = amount(value, "--value")
    number = whole_number(count, "--count", 1, cards.BATCH_MAX)
    length = whole_number(digits, "--digits", cards.CODE_DIGITS.start, cards.CODE_DIGITS.stop - 1)
    expires_at = last_moment(expires, "--expires", zone) if expires else None
    chosen = key_or_new(key)
    secret = settings.load().card_pin_key.get_secret_value()
    with opened("admin") as ledger:
        if key is None:
            codes = cards.new_codes(number, length)
            write_slips(file, COLUMNS, ((name, serial, code, worth, currency) for serial, code in enumerate(codes, 1)))
        else:
            codes = [code for (code,) in read_slips(file, ("code",))]
        hashes = [cards.code_hash(secret, code) for code in codes]
        request = VoucherBatchRequest(name, currency, worth, hashes, owner, expires_at, distributor)
        answer = issued(
            file, chosen, lambda: ledger.issue_vouchers(chosen, request, actor()), keep=key is not None
        )
    if as_json:
        show_json({"key": chosen, "file": str(file), **plain(answer)})
    else:
        what = f"{answer.vouchers} vouchers of {money(answer.value)} {answer.currency}"
        print(f"{answer.batch}: {what} issued (key {chosen})")
        print(f"the codes are in {file}, and nowhere else")


@commands.command("batches")
def batches(as_json: AsJson = False) -> None:
    """All batches of vouchers, the latest first, and what became of them."""
    with opened("cashier") as ledger:
        found = ledger.voucher_batches()
    if as_json:
        show_json(found)
        return
    columns = (
        *("batch", "owner", "currency", ">value", ">vouchers", ">issued", ">active", ">blocked", ">redeemed"),
        *(">cancelled", "expires", "distributor"),
    )
    rows = [
        (
            *(one.name, one.owner_name, one.currency, money(one.value), one.vouchers, one.issued, one.active),
            *(one.blocked, one.redeemed, one.cancelled, moment(one.expires_at), one.distributor),
        )
        for one in found
    ]
    show_table(f"{len(found)} batches", columns, rows)


@commands.command("list")
def list_vouchers(
    name: Name,
    state: Annotated[
        str | None, typer.Option(help="issued, active, blocked, redeemed, expired or cancelled.")
    ] = None,
    limit: Annotated[str, typer.Option(help="The first so many.")] = "1000",
    as_json: AsJson = False,
) -> None:
    """Vouchers of a batch, without their codes."""
    most = whole_number(limit, "--limit", 1, LIST_MAX)
    with opened("cashier") as ledger:
        found = ledger.vouchers(name, state, most)
    if as_json:
        show_json(found)
        return
    columns = ("voucher", "state", "currency", ">value", "redeemed", "into", "expires", "changed by")
    show_table(f"{len(found)} vouchers", columns, [_row(one) for one in found])


def _row(one: VoucherRow) -> tuple[object, ...]:
    return (
        *(f"{one.batch}-{one.serial:06d}", one.state, one.currency, money(one.value), moment(one.redeemed_at)),
        *(one.account_name, moment(one.expires_at), one.changed_by),
    )


@commands.command("activate")
def activate(name: Name, first: First = None, last: Last = None, as_json: AsJson = False) -> None:
    """Sell a batch of vouchers, or a range of it: from now on each is money, once."""
    wanted = serials(first, last)
    with opened("cashier") as ledger:
        _tell(name, ledger.activate_vouchers(name, actor(), wanted), "activated", as_json=as_json)


@commands.command("block")
def block(name: Name, first: First = None, last: Last = None, as_json: AsJson = False) -> None:
    """Block vouchers: none can be redeemed."""
    _change("block", name, first, last, "blocked", as_json=as_json)


@commands.command("unblock")
def unblock(name: Name, first: First = None, last: Last = None, as_json: AsJson = False) -> None:
    """Take the block off vouchers."""
    _change("unblock", name, first, last, "unblocked", as_json=as_json)


@commands.command("cancel")
def cancel(name: Name, first: First = None, last: Last = None, as_json: AsJson = False) -> None:
    """Cancel vouchers for good; what is redeemed stays so."""
    _change("cancel", name, first, last, "cancelled", as_json=as_json)


def _change(change: Change, name: str, first: str | None, last: str | None, done: str, *, as_json: bool) -> None:
    wanted = serials(first, last)
    with opened("cashier") as ledger:
        _tell(name, ledger.change_vouchers(change, name, actor(), wanted), done, as_json=as_json)


def _tell(name: str, vouchers: int, done: str, *, as_json: bool) -> None:
    if as_json:
        show_json({"batch": name, "vouchers": vouchers, "now": done})
    else:
        print(f"{name}: {vouchers} vouchers {done}")


@commands.command("redeem")
def redeem(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="A card's or customer's name.", show_default=False)],
    source: Annotated[str, typer.Option(help="Where the code comes from: a number, an address.")] = "",
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Pay a voucher into an account. The code is asked for, or read from standard input: no process list shows it."""
    code = (getpass("code: ") if sys.stdin.isatty() else sys.stdin.readline()).strip()
    if not code.replace(" ", "").replace("-", "").isdigit():
        raise BadInput("the code is not digits")
    chosen = key_or_new(key)
    hashed = cards.code_hash(settings.load().card_pin_key.get_secret_value(), code)
    with opened("cashier") as ledger:
        try:
            paid = ledger.redeem_voucher(chosen, hashed, account_named(ledger, account).name, source, actor())
        except LedgerUnavailable as error:
            raise LedgerUnavailable(
                f"{error}; whether the voucher was redeemed is unknown: repeat it with --key {chosen}"
            ) from None
    if as_json:
        show_json({"key": chosen, "account": account, **plain(paid)})
    else:
        print(f"{account}: {money(paid.amount)} redeemed, available {money(paid.available)} (key {chosen})")


@commands.command("refusals")
def refusals(
    account: Annotated[str | None, typer.Option(help="Those of one account.")] = None,
    limit: Annotated[str, typer.Option(help="The latest so many.")] = "100",
    as_json: AsJson = False,
) -> None:
    """Codes that were refused, and what was wrong with each."""
    most = whole_number(limit, "--limit", 1, LIST_MAX)
    with opened("cashier") as ledger:
        found = ledger.voucher_refusals(account, most)
    if as_json:
        show_json(found)
        return
    columns = ("at", "account", "source", "outcome", "voucher", "by")
    rows = [
        (
            *(moment(one.refused_at), one.account_name, one.source, one.outcome),
            *(None if one.batch is None else f"{one.batch}-{one.serial:06d}", one.actor),
        )
        for one in found
    ]
    show_table(f"{len(found)} refusals", columns, rows)


@commands.command("forgive")
def forgive(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's name.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Let an account try codes again at once, however many wrong ones there were."""
    with opened("cashier") as ledger:
        forgiven = ledger.forgive_guesses(account)
    if as_json:
        show_json({"account": account, "forgiven": forgiven})
    else:
        print(f"{account}: {forgiven} wrong codes forgiven")
