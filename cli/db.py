"""`meterline db`: the ledger's tables, routines, views and logins."""

from typing import Any, Literal

import pymysql
import typer

from billing import settings
from billing.errors import LedgerUnavailable
from billing.settings import DatabaseSettings
from cli.options import AsJson
from cli.output import show_json
from db.migrate import RuntimeLogin, migrate

TIMEOUT_S = 60  # a migration may rebuild a table
ROLES: tuple[Literal["proxy", "cashier", "admin", "ivr"], ...] = ("proxy", "cashier", "admin", "ivr")

commands = typer.Typer(rich_markup_mode=None)


@commands.callback()
def database() -> None:
    """Look after the database."""


@commands.command("migrate")
def migrate_command(as_json: AsJson = False) -> None:
    """Make the ledger, or bring it up to date: tables, routines, views, logins and their rights.

    Logins are made for the roles whose passwords the settings hold.
    """
    changes = set_up(settings.load().database)
    if as_json:
        show_json({"changes": changes})
        return
    print("\n".join(changes) if changes else "up to date")


def set_up(database: DatabaseSettings) -> list[str]:
    """Migrate the ledger that the settings name, as their set-up login; a line for each change.

    Raises SettingsError for settings of ours or of the server that will not do, LedgerUnavailable when the server
    is away or does not let us in.
    """
    try:
        return migrate(_server(database), database.name, _logins(database), database.login_hosts)
    except pymysql.err.MySQLError as error:
        code, text = (*error.args, "")[:2]
        raise LedgerUnavailable(f"database {database.where}: {text or code}") from None


def _server(database: DatabaseSettings) -> dict[str, Any]:
    login = database.login("setup")
    server: dict[str, Any] = {
        "user": login.user,
        "password": login.password.get_secret_value() if login.password else "",
        "connect_timeout": TIMEOUT_S,
        "read_timeout": TIMEOUT_S,
        "write_timeout": TIMEOUT_S,
    }
    if database.socket:
        return server | {"unix_socket": str(database.socket)}
    if database.tls_ca:
        server |= {"ssl_ca": str(database.tls_ca), "ssl_verify_cert": True, "ssl_verify_identity": True}
    return server | {"host": database.host, "port": database.port}


def _logins(database: DatabaseSettings) -> list[RuntimeLogin]:
    """Those whose passwords are set."""
    return [
        RuntimeLogin(role, login.user, login.password.get_secret_value())
        for role in ROLES
        if getattr(database, f"{role}_password") is not None and (login := database.login(role)).password is not None
    ]
