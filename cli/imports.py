"""`meterline import`: moving in from another system."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from billing import settings
from billing.a2billing import Plan, plan
from billing.ledger import Ledger
from billing.numbers import DialPlan
from billing.settings import DatabaseSettings
from cli.a2billing import Importer, Outcome, Pins
from cli.ledger import NotFound, opened
from cli.options import AsJson
from cli.output import money, show_json, show_table
from cli.values import BadInput, now, whole_number
from db.a2billing import read_source

TIMEOUT_S = 60
TRUNK_KIND = "caller_number"

commands = typer.Typer(rich_markup_mode=None)


@commands.callback()
def imports() -> None:
    """Move in from another system."""


@commands.command("a2billing")
def a2billing(
    source_database: Annotated[str, typer.Option(help="The schema with A2Billing's tables.")] = "a2billing",
    source_host: Annotated[str | None, typer.Option(help="Its server, HOST or HOST:PORT; none: the ledger's.")] = None,
    source_user: Annotated[str | None, typer.Option(help="Its login; none: the ledger's admin.")] = None,
    source_password_file: Annotated[Path | None, typer.Option(help="A file with that login's password.")] = None,
    currency: Annotated[str | None, typer.Option(help="Its base currency, if its settings do not say: EUR.")] = None,
    parent: Annotated[str | None, typer.Option(help="The reseller who gets the accounts; none: the vendor.")] = None,
    country_code: Annotated[str, typer.Option(help="Where national numbers are dialled: 49.")] = "",
    pin_digits: Annotated[
        str | None, typer.Option(help="The last so many digits of a card's number are its PIN from now on.")
    ] = None,
    pins: Annotated[Path | None, typer.Option(help="New CSV file for new PINs, instead of --pin-digits.")] = None,
    trunk: Annotated[str | None, typer.Option(help="The trunk that caller numbers come from.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing, and show what would be made.")] = False,
    as_json: AsJson = False,
) -> None:
    """Balances, cards, customers, phones, caller numbers and rates from A2Billing's tables (1.4 to 2.3).

    What cannot be taken exactly is listed with its reason, and left. Running it again changes nothing, and finishes
    what broke off. Stop A2Billing first: what is charged there afterwards is not seen.

    Example: meterline import a2billing --source-database a2billing --pin-digits 4 --dry-run
    """
    if not dry_run and (pin_digits is None) == (pins is None):
        raise BadInput("one of --pin-digits and --pins must be given: A2Billing's cards have no PIN")
    DialPlan(country_code)  # InvalidNumber before anything is made
    found = settings.load()
    source = read_source(_server(found.database, source_host, source_user, source_password_file), source_database)
    base = (currency or source.base_currency or "").upper()
    if not base:
        raise BadInput(f"--currency must be given: {source_database} does not say what its credit is in")
    what = plan(source, now())
    if dry_run:
        outcome = Outcome()
    else:
        digits = None if pin_digits is None else whole_number(pin_digits, "--pin-digits", 4, 12)
        with opened("admin") as admin, opened("cashier") as cashier:
            importer = Importer(
                admin, cashier, found, base, Pins(digits, pins), _parent(admin, parent), country_code,
                _trunk(admin, trunk), source_database,
            )  # fmt: skip
            outcome = importer.run(what)
    _show(what, outcome, base, dry_run=dry_run, as_json=as_json)


def _server(
    database: DatabaseSettings, host: str | None, user: str | None, password_file: Path | None
) -> dict[str, Any]:
    login = database.login("admin")
    password = login.password.get_secret_value() if login.password else ""
    if user is not None:
        password = _secret(password_file)
    server: dict[str, Any] = {
        "user": user or login.user,
        "password": password,
        "connect_timeout": TIMEOUT_S,
        "read_timeout": TIMEOUT_S,
    }
    if host is not None:
        name, _, port = host.partition(":")
        return server | {"host": name, "port": whole_number(port or "3306", "--source-host", 1, 65_535)}
    if database.socket:
        return server | {"unix_socket": str(database.socket)}
    if database.tls_ca:
        server |= {"ssl_ca": str(database.tls_ca), "ssl_verify_cert": True, "ssl_verify_identity": True}
    return server | {"host": database.host, "port": database.port}


def _secret(file: Path | None) -> str:
    if file is None:
        raise BadInput("--source-user needs --source-password-file")
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadInput(f"--source-password-file {file}: {error.strerror}") from None


def _parent(ledger: Ledger, name: str | None) -> int | None:
    if name is None:
        return None
    found = ledger.account_named(name)
    if found is None:
        raise NotFound(f"account {name!r}: there is none of this name")
    return found.account_id


def _trunk(ledger: Ledger, name: str | None) -> int | None:
    if name is None:
        return None
    found = next((one for one in ledger.trunks() if one.name == name and one.kind == TRUNK_KIND), None)
    if found is None:
        raise NotFound(f"trunk {name!r}: there is no active one of kind {TRUNK_KIND} with this name")
    return found.trunk_id


def _show(what: Plan, outcome: Outcome, currency: str, *, dry_run: bool, as_json: bool) -> None:
    left = (*what.left, *outcome.left)
    rates = [rate for one in what.tariffs for rate in one.rates]
    barred = sum(rate.blocked for rate in rates)
    credit = sum((one.balance for one in what.accounts), Decimal(0))
    behind = sum((one.amount for one in left if one.amount is not None), Decimal(0))
    if as_json:
        show_json({
            "dry_run": dry_run, "tariffs": len(what.tariffs), "rates": len(rates) - barred, "barred": barred,
            "accounts": len(what.accounts), "currency": currency, "credit": credit, "credit_left": behind,
            "written": outcome.written, "left": left,
        })  # fmt: skip
        return
    rows = [(one.table, one.row, one.reason, money(one.amount)) for one in left]
    show_table(f"{len(left)} left as they are", ("table", "id", "why", f">{currency}"), rows)
    print(
        f"{len(what.accounts)} accounts with {money(credit)} {currency}, {len(what.tariffs)} tariffs, "
        f"{len(rates) - barred} rates, {barred} barred; {money(behind)} {currency} stay behind"
    )
    print("nothing was changed" if dry_run else f"{outcome.written} things written")
