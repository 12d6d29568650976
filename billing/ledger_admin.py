"""Setting up: accounts, tariffs, users and their credentials, trunks, carriers. No money passes through here."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from billing.ledger_rows import amount_text, naive
from billing.ledger_session import LedgerSession
from billing.ledger_types import AccountKind, AccountStatus, TrunkKind

ACCOUNT_COLUMNS = frozenset({
    "name", "tariff_id", "country_code", "international_prefixes", "national_prefix", "max_calls", "low_balance",
    "low_balance_max_calls", "max_calls_per_second", "longest_call_s", "expires_at", "daily_spend_limit",
    "max_calls_per_hour", "max_calls_per_hour_per_destination",
})  # fmt: skip
"""What set_account may change."""


class AdminLedger(LedgerSession):
    """What an administrator asks of the ledger. LedgerRefused names what cannot be."""

    def create_account(
        self,
        kind: AccountKind,
        name: str,
        parent_id: int | None,
        currency: str,
        tariff_id: int,
        credit_limit: Decimal | str = "0",
    ) -> int:
        """An active account with an empty purse; its id. The same again gives the same id."""
        limit = amount_text(credit_limit)
        return int(self._call("create_account", kind, name, parent_id, currency, tariff_id, limit)[0]["id"])

    def set_account_status(self, account_id: int, status: AccountStatus) -> None:
        """What is closed stays closed."""
        self._call("set_account_status", account_id, status)

    def set_credit_limit(self, account_id: int, credit_limit: Decimal | str) -> None:
        """How far below zero the balance may go; not so low that less than nothing is available."""
        self._call("set_credit_limit", account_id, amount_text(credit_limit))

    def set_account(self, account_id: int, **columns: object) -> None:
        """Change some of ACCOUNT_COLUMNS: set_account(7, max_calls=3, expires_at=None)."""
        unknown = sorted(columns.keys() - ACCOUNT_COLUMNS)
        assert not unknown, f"set_account cannot change {unknown}"
        values = [naive(value) if isinstance(value, datetime) else value for value in columns.values()]
        pairs = ", ".join(f"{name} = %s" for name in columns)
        self._change(f"UPDATE account SET {pairs} WHERE id = %s", *values, account_id)  # nosec B608  # noqa: S608 - names checked

    def put_tariff(
        self,
        name: str,
        currency: str,
        *,
        decimals: int = 4,
        rounding: str = "half_up",
        zone: str = "UTC",
        owner_account_id: int | None = None,
    ) -> int:
        """Make or change the tariff of this name; its id."""
        rows = self._call("put_tariff", name, owner_account_id, currency, decimals, rounding, zone)
        return int(rows[0]["id"])

    def put_rate(
        self,
        tariff_id: int,
        prefix: str,
        destination: str,
        *,
        connect_fee: Decimal | str = "0",
        price: Decimal | str = "0",
        per_s: int = 60,
        initial_s: int | None = None,
        increment_s: int = 1,
        free_seconds: int = 0,
        max_cost: Decimal | str | None = None,
        max_cost_rule: str = "disconnect",
        schedule: str | None = None,
        effective_from: datetime | None = None,
        effective_to: datetime | None = None,
        blocked: bool = False,
    ) -> int:
        """Make or change the rate of a prefix (from `effective_from`; None: since ever); its id.

        `schedule`: JSON as in billing.pricelist, instead of price and increments. Every change raises the tariff's
        version, and with it acts on the next call.
        """
        rows = self._call(
            "put_rate", tariff_id, prefix, destination, amount_text(connect_fee), amount_text(price), per_s,
            initial_s, increment_s, free_seconds, None if max_cost is None else amount_text(max_cost), max_cost_rule,
            schedule, naive(effective_from), naive(effective_to), blocked,
        )  # fmt: skip
        return int(rows[0]["id"])

    def remove_rate(self, tariff_id: int, prefix: str, effective_from: datetime | None = None) -> None:
        """Calls in progress keep the rate."""
        self._call("remove_rate", tariff_id, prefix, naive(effective_from))

    # --- who may call -------------------------------------------------------------------------------------------------

    def create_user(self, account_id: int, name: str, *, max_calls: int | None = None) -> int:
        """A user of an account; its id."""
        sql = "INSERT INTO user (account_id, name, max_calls) VALUES (%s, %s, %s)"
        return self._insert(sql, account_id, name, max_calls)

    def set_user_status(self, user_id: int, status: str) -> None:
        """'active' or 'suspended'."""
        self._change("UPDATE user SET status = %s WHERE id = %s", status, user_id)

    def put_digest(self, user_id: int, username: str, realm: str, ha1_md5: str, ha1_sha256: str) -> None:
        """SIP credentials: hex hashes of username:realm:password (RFC 7616)."""
        self._change(
            "REPLACE INTO credential_digest (user_id, username, realm, ha1_md5, ha1_sha256)"
            " VALUES (%s, %s, %s, %s, %s)",
            user_id, username, realm, ha1_md5, ha1_sha256,
        )  # fmt: skip

    def put_card(self, account_id: int, number: str, pin_hash: str) -> None:
        """A card account's number, and the hex HMAC-SHA256 of 'number:pin' under settings.card_pin_key."""
        sql = "REPLACE INTO credential_card (account_id, number, pin_hash) VALUES (%s, %s, %s)"
        self._change(sql, account_id, number, pin_hash)

    # --- where calls come from and go to ------------------------------------------------------------------------------

    def create_trunk(self, name: str, kind: TrunkKind, networks: Iterable[str], *, user_id: int | None = None) -> int:
        """A trusted source and its networks (CIDR texts); kind 'customer' needs the user whose calls they are."""
        trunk_id = self._insert("INSERT INTO trunk (name, kind, user_id) VALUES (%s, %s, %s)", name, kind, user_id)
        for network in networks:
            self._change("INSERT INTO trunk_address (trunk_id, network) VALUES (%s, %s)", trunk_id, network)
        return trunk_id

    def put_caller_number(
        self, trunk_id: int, number: str, *, user_id: int | None = None, account_id: int | None = None
    ) -> None:
        """Whose calls come from this number (E.164 digits) on a trunk: a user's, or a card's."""
        sql = "REPLACE INTO credential_caller_number (trunk_id, number, user_id, account_id) VALUES (%s, %s, %s, %s)"
        self._change(sql, trunk_id, number, user_id, account_id)

    def create_carrier(
        self,
        name: str,
        host: str,
        *,
        port: int = 5060,
        transport: str = "udp",
        priority: int = 0,
        weight: int = 1,
        tariff_id: int | None = None,
        dial_prefix: str = "",
    ) -> int:
        """Where calls may go: lower priority first; its id."""
        return self._insert(
            "INSERT INTO carrier (name, host, port, transport, priority, weight, tariff_id, dial_prefix)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            name, host, port, transport, priority, weight, tariff_id, dial_prefix,
        )  # fmt: skip

    def set_carrier_status(self, carrier_id: int, status: str) -> None:
        """'active' or 'disabled'."""
        self._change("UPDATE carrier SET status = %s WHERE id = %s", status, carrier_id)

    def set_trunk_status(self, trunk_id: int, status: str) -> None:
        """'active' or 'suspended'."""
        self._change("UPDATE trunk SET status = %s WHERE id = %s", status, trunk_id)
