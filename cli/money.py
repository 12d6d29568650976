"""`meterline topup` and `transfer`: money paid in, and money between accounts of one owner."""

from decimal import Decimal
from typing import Annotated

import typer

from billing.errors import LedgerUnavailable
from cli.ledger import account_named, actor, opened
from cli.output import money, plain, show_json
from cli.values import BadInput, amount, key_or_new

TIMEOUT_S = 10.0


def topup(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's name.", show_default=False)],
    paid: Annotated[str, typer.Argument(metavar="AMOUNT", help="Such as 12.50; more than 0.", show_default=False)],
    key: Annotated[str | None, typer.Option(help="Key (a ULID) of an earlier try: books it once.")] = None,
    reason: Annotated[str, typer.Option(help="For the ledger entry.")] = "",
    reference: Annotated[str, typer.Option(help="Such as the payment's number.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Add money to an account. Calls in progress profit at once.

    A try whose outcome is unknown is repeated with its --key, by the same person, with the same amount, --reason and
    --reference: it is then booked once. A key with any other content is refused.
    """
    value = _more_than_nothing(paid, f"top-up of {account}")
    chosen = key_or_new(key)
    with opened("cashier", TIMEOUT_S) as ledger:
        account_id = account_named(ledger, account).account_id
        try:
            posted = ledger.top_up(chosen, account_id, value, actor(), reason, reference)
        except LedgerUnavailable as error:
            raise LedgerUnavailable(
                f"top-up of {account}: {error}; whether it was booked is unknown: repeat it with --key {chosen}"
            ) from None
    if as_json:
        show_json({"key": chosen, "account": account, **plain(posted)})
    else:
        now = f"balance {money(posted.balance)}, available {money(posted.available)}"
        print(f"{account}: {money(posted.amount)} booked, {now} (key {chosen})")


def transfer(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The account that pays.", show_default=False)],
    target: Annotated[str, typer.Argument(metavar="TO", help="The account that gets it.", show_default=False)],
    text: Annotated[str, typer.Argument(metavar="AMOUNT", help="Such as 12.50; more than 0.", show_default=False)],
    key: Annotated[str | None, typer.Option(help="Key (a ULID) of an earlier try: books it once.")] = None,
    reason: Annotated[str, typer.Option(help="For the ledger entries.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Move money between two accounts of one owner: a parent and its child, or two children of one parent.

    A top-up of a child does not debit its parent; this does. A try whose outcome is unknown is repeated with its --key.
    """
    value = _more_than_nothing(text, f"transfer from {source} to {target}")
    chosen = key_or_new(key)
    with opened("cashier", TIMEOUT_S) as ledger:
        ids = [account_named(ledger, name).account_id for name in (source, target)]
        try:
            left, arrived = ledger.transfer(chosen, ids[0], ids[1], value, actor(), reason)
        except LedgerUnavailable as error:
            raise LedgerUnavailable(
                f"transfer from {source} to {target}: {error}; whether it was booked is unknown: "
                f"repeat it with --key {chosen}"
            ) from None
    if as_json:
        show_json({"key": chosen, "from": source, "to": target, "left": plain(left), "arrived": plain(arrived)})
    else:
        now = f"{source} has {money(left.balance)}, {target} {money(arrived.balance)}"
        print(f"{money(arrived.amount)} moved: {now} (key {chosen})")


def _more_than_nothing(text: str, what: str) -> Decimal:
    value = amount(text, "AMOUNT")
    if value <= 0:
        raise BadInput(f"{what}: AMOUNT {text} must be more than 0")
    return value
