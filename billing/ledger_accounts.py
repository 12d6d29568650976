"""Accounts: the tree of resellers, customers and cards, their settings, and ending their calls. No money moves here."""

import json
from datetime import datetime
from decimal import Decimal

from billing.errors import LedgerRefused
from billing.ledger_rows import amount_text, clean, naive, record
from billing.ledger_session import LedgerSession
from billing.ledger_types import AccountKind, AccountStatus
from billing.ledger_types_accounts import BelowCost, Ending, EndMark, ParentHold

AccountRef = int | str
"""An account's name, which is unique; or its id."""


class AccountsLedger(LedgerSession):
    """What an administrator asks of the ledger. LedgerRefused names what cannot be."""

    def create_account(
        self,
        kind: AccountKind,
        name: str,
        parent: AccountRef | None,
        currency: str | None,
        tariff: int | str,
        credit_limit: Decimal | str = "0",
    ) -> int:
        """An active account with an empty purse; its id. The same again gives the same id. The tariff must be the
        parent's, or the vendor's (`parent` None); `currency` None: the tariff's."""
        above = None if parent is None else self._account(parent)
        rows = self._call(
            "create_account", kind, name, above, currency, self._tariff(tariff), amount_text(credit_limit)
        )
        return int(rows[0]["id"])

    def set_account(self, account: AccountRef, **settings: object) -> None:
        """Change some settings: set_account("Acme", max_calls=3, expires_at=None, tariff="Retail")."""
        if "tariff_id" in settings:
            settings["tariff"] = self._tariff(int(str(settings.pop("tariff_id"))))
        self._call("set_account", self._account(account), settings_json(settings))

    def set_credit_limit(self, account: AccountRef, credit_limit: Decimal | str) -> None:
        """How far below zero the balance may go; not so low that less than nothing is available."""
        self._call("set_credit_limit", self._account(account), amount_text(credit_limit))

    def set_account_status(self, account: AccountRef, status: AccountStatus) -> None:
        """What is closed stays closed."""
        if status == "active":
            self.resume_account(account)
        elif status == "closed":
            self.close_account(account)
        else:
            self.suspend_account(account)

    def suspend_account(self, account: AccountRef, *, now: bool = False, reason: str = "") -> int:
        """No new calls of it and of all below it; with `now` those in progress end, too. How many are ending."""
        return int(self._call("suspend_account", self._account(account), now, clean(reason))[0]["ending"])

    def resume_account(self, account: AccountRef) -> None:
        """Active again."""
        self._call("resume_account", self._account(account))

    def close_account(self, account: AccountRef) -> None:
        """For good: no calls, no balance and no open accounts below it."""
        self._call("close_account", self._account(account))

    def move_account(self, account: AccountRef, parent: AccountRef | None, tariff: int | str) -> None:
        """Put it, with all below it, under another parent (None: the vendor), at a tariff of that one."""
        above = None if parent is None else self._account(parent)
        self._call("move_account", self._account(account), above, self._tariff(tariff))

    # --- ending calls -------------------------------------------------------------------------------------------------

    def end_call(self, call_key: str, reason: str = "") -> Ending:
        """Have a live call ended by its node, within a second or two."""
        rows = self._call("end_call", call_key, clean(reason))
        return record(Ending, rows[0])

    def end_account_calls(self, account: AccountRef, reason: str = "") -> int:
        """Have all calls of an account and of those below it ended; how many there are."""
        return int(self._call("end_account_calls", self._account(account), clean(reason))[0]["ending"])

    def calls_to_end(self, node: str) -> list[EndMark]:
        """Live calls of a node that somebody wants to end."""
        return [record(EndMark, row) for row in self._select("SELECT * FROM v_end_mark WHERE node = %s", node)]

    # --- reports ------------------------------------------------------------------------------------------------------

    def parent_holds(self) -> list[ParentHold]:
        """Accounts whose share of their parent's money is limited, by name."""
        return [record(ParentHold, row) for row in self._select("SELECT * FROM v_parent_hold ORDER BY name")]

    def below_cost(self, account: AccountRef | None = None) -> list[BelowCost]:
        """What resellers, or one, sell under the price that they buy at."""
        name = None if account is None else self._account(account)
        rows = self._select(
            "SELECT * FROM v_below_cost WHERE %s IS NULL OR account_name = %s"
            " ORDER BY account_name, tariff_name, prefix",
            *(name, name),
        )
        return [record(BelowCost, row) for row in rows]

    def _account(self, account: AccountRef) -> str:
        if isinstance(account, str):
            return account
        return self._name("account", f"account {account}", "SELECT name FROM v_account WHERE account_id = %s", account)

    def _tariff(self, tariff: int | str) -> str:
        if isinstance(tariff, str):
            return tariff
        return self._name("tariff", f"tariff {tariff}", "SELECT name FROM v_tariff WHERE tariff_id = %s", tariff)

    def _name(self, kind: str, what: str, sql: str, number: int) -> str:
        rows = self._select(sql, number)
        if not rows:
            raise LedgerRefused(f"unknown_{kind}", f"there is no {what}")
        return str(rows[0]["name"])


def settings_json(settings: dict[str, object]) -> str:
    """Settings as set_account and set_user take them; None is none."""
    return json.dumps({name: _setting(value) for name, value in settings.items()})


def _setting(value: object) -> object:
    if isinstance(value, Decimal):
        return amount_text(value)
    if isinstance(value, datetime):
        return f"{naive(value):%Y-%m-%d %H:%M:%S.%f}"
    return clean(value) if isinstance(value, str) else value
