"""Setting up: tariffs, cards' numbers. No money passes through here."""

from datetime import datetime
from decimal import Decimal

from billing.ledger_rows import amount_text, naive
from billing.ledger_session import LedgerSession
from billing.ledger_types import SavedRate


class AdminLedger(LedgerSession):
    """What an administrator asks of the ledger. LedgerRefused names what cannot be."""

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
    ) -> SavedRate:
        """Make or change the rate of a prefix (from `effective_from`; None: since ever).

        `schedule`: JSON as in billing.pricelist, instead of price and increments. Every change raises the tariff's
        version, and with it acts on the next call.
        """
        rows = self._call(
            "put_rate", tariff_id, prefix, destination, amount_text(connect_fee), amount_text(price), per_s,
            initial_s, increment_s, free_seconds, None if max_cost is None else amount_text(max_cost), max_cost_rule,
            schedule, naive(effective_from), naive(effective_to), blocked,
        )  # fmt: skip
        return SavedRate(int(rows[0]["id"]), rows[0]["warning"])

    def remove_rate(self, tariff_id: int, prefix: str, effective_from: datetime | None = None) -> None:
        """Calls in progress keep the rate."""
        self._call("remove_rate", tariff_id, prefix, naive(effective_from))

