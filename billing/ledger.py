"""The ledger client: one object a process, which connects when it is first asked something.

Every method asks one routine or view; what a login may ask, its rights decide (db/grants.py). LedgerUnavailable means
that nobody knows what happened: call again with the same key.
"""

from typing import TYPE_CHECKING, Self

from billing.ledger_admin import AdminLedger
from billing.ledger_bundles import BundlesLedger
from billing.ledger_calls import CallsLedger
from billing.ledger_cards import CardsLedger
from billing.ledger_carriers import CarriersLedger
from billing.ledger_import import ImportLedger
from billing.ledger_money import MoneyLedger
from billing.ledger_periods import PeriodsLedger
from billing.ledger_reports import ReportsLedger
from billing.ledger_session import LedgerAddress, check_settings
from billing.ledger_state import StateLedger
from billing.ledger_tariffs import TariffLedger
from billing.ledger_users import UsersLedger

if TYPE_CHECKING:
    from billing.settings import DatabaseSettings, Role

__all__ = ["Ledger", "LedgerAddress", "check_settings"]

LOCK_WAITS_OF_PEOPLE = 5
"""A cashier or an administrator waits some seconds for a busy account rather than be told to try again."""


class Ledger(
    CallsLedger,
    CarriersLedger,
    CardsLedger,
    ImportLedger,
    MoneyLedger,
    ReportsLedger,
    PeriodsLedger,
    UsersLedger,
    AdminLedger,
    BundlesLedger,
    TariffLedger,
    StateLedger,
):
    """Everything that the ledger can be asked."""

    @classmethod
    def for_role(
        cls, database: "DatabaseSettings", role: "Role", timeout_s: float | None = None, lock_wait_s: int = 1
    ) -> Self:
        """The client of a role's login. Raises SettingsError when its password is not set."""
        login = database.login(role)
        return cls(
            LedgerAddress(
                host=database.host,
                port=database.port,
                socket=database.socket,
                database=database.name,
                user=login.user,
                password="" if login.password is None else login.password.get_secret_value(),
                tls_ca=database.tls_ca,
                timeout_s=database.timeout_s if timeout_s is None else timeout_s,
                lock_wait_s=lock_wait_s,
                lock_waits=1 if role == "proxy" else LOCK_WAITS_OF_PEOPLE,
            )
        )

    @classmethod
    def for_proxy(cls, database: "DatabaseSettings", lock_wait_s: int = 1) -> Self:
        """The client of a proxy's processes. `lock_wait_s` 0: drain and keeper, whose next call must not wait because
        one account is busy."""
        return cls.for_role(database, "proxy", lock_wait_s=lock_wait_s)
