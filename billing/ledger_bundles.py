"""Minute bundles: what is sold, and who has it."""

from datetime import datetime

from ulid import ULID

from billing.ledger_rows import naive, record
from billing.ledger_session import LedgerSession
from billing.ledger_types import AccountBundle, BundlePlan


class BundlesLedger(LedgerSession):
    """An administrator's routines, by names; LedgerRefused names what cannot be."""

    def add_bundle(
        self, name: str, seconds: int, period: str, prefixes: str, *, owner: str | None = None, priority: int = 0
    ) -> int:
        """So many seconds a 'day', 'week' or 'month', or 'once', to prefixes such as "43,49,!49900"; its id."""
        return int(self._call("add_bundle", name, owner, seconds, period, prefixes, priority)[0]["id"])

    def change_bundle(
        self, name: str, *, seconds: int | None = None, prefixes: str | None = None, priority: int | None = None
    ) -> int:
        """What is None stays; the bundle's id. Other seconds count from each account's next period on."""
        return int(self._call("change_bundle", name, seconds, prefixes, priority)[0]["id"])

    def remove_bundle(self, name: str) -> None:
        """It is sold no more; refused while some account has it."""
        self._call("remove_bundle", name)

    def assign_bundle(
        self,
        account: str,
        bundle: str,
        starts_at: datetime | None = None,
        ends_at: datetime | None = None,
        *,
        key: str | None = None,
    ) -> int:
        """Give an account its seller's bundle, from now on unless told otherwise; the id of account_bundle.

        `key`: a ULID, the same for whoever asks again after LedgerUnavailable; None: a new one.
        """
        times = (naive(starts_at), naive(ends_at))
        return int(self._call("assign_bundle", key or str(ULID()), account, bundle, *times)[0]["id"])

    def unassign_bundle(self, account: str, bundle: str) -> int:
        """Calls from now on do not use it; how many times the account had it."""
        return int(self._call("unassign_bundle", account, bundle)[0]["ended"])

    def bundle_plans(self) -> list[BundlePlan]:
        """What is sold, and what was, by name."""
        return [record(BundlePlan, row) for row in self._select("SELECT * FROM v_bundle_plan ORDER BY name")]

    def bundles(self, *, account: str | None = None, bundle: str | None = None) -> list[AccountBundle]:
        """Who has which bundle now or will have, with what is left of the period of now."""
        rows = self._select(
            "SELECT * FROM v_bundle WHERE (%s IS NULL OR account_name = %s) AND (%s IS NULL OR bundle_name = %s)"
            " AND (ends_at IS NULL OR ends_at > UTC_TIMESTAMP()) ORDER BY account_name, priority, account_bundle_id",
            account, account, bundle, bundle,
        )  # fmt: skip
        return [
            record(AccountBundle, row, **{name: int(row[name]) for name in ("seconds", "used_s", "held_s", "left_s")})
            for row in rows
        ]
