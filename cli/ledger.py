"""The ledger as commands open it."""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager

from billing import settings
from billing.errors import LedgerUnavailable, MeterlineError
from billing.ledger import Ledger
from billing.ledger_types import Account
from billing.settings import Role

REPORT_TIMEOUT_S = 120.0  # an audit or a report reads much; nobody waits on the phone for it


class NotFound(MeterlineError):
    """There is no such account, card or call; the text names it."""


@contextmanager
def opened(role: Role, timeout_s: float = REPORT_TIMEOUT_S) -> Iterator[Ledger]:
    """The ledger of the settings, as `role`; closed afterwards.

    Raises SettingsError when the server is set up so that it could lose money, LedgerUnavailable when it is away.
    """
    database = settings.load().database
    ledger = Ledger.for_role(database, role, timeout_s)
    try:
        ledger.check_settings()
        yield ledger
    except LedgerUnavailable as error:
        raise LedgerUnavailable(f"database {database.where}: {error}") from None
    finally:
        ledger.close()


def actor() -> str:
    """Who does it, for the ledger's entries: by number where he has no name, as in a container."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # Python before 3.13, and since
        name = str(os.getuid())
    return f"cli:{name}"


def account_named(ledger: Ledger, name: str) -> Account:
    """The account with this name. Raises NotFound."""
    account = ledger.account_named(name)
    if account is None:
        raise NotFound(f"account {name!r}: there is none of this name")
    return account
