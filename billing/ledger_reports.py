"""What is in the ledger: accounts, CDRs, entries, configuration, and the audit."""

from collections.abc import Sequence
from itertools import groupby

from billing.ledger_rows import record
from billing.ledger_session import LedgerSession, Row
from billing.ledger_types import (
    Account,
    Alarm,
    Cdr,
    CdrLeg,
    Difference,
    Entry,
    FailedAttempt,
    LiveTotal,
    NodeRow,
    RateRow,
    Tariff,
    TrunkRow,
)

ROWS_DEFAULT = 100


class ReportsLedger(LedgerSession):
    """Read only, from views."""

    def audit(self) -> list[Difference]:
        """Every balance, hold and counter that is not what the entries and calls say. Empty is the only good answer.

        Takes seconds on millions of entries: give the session a longer timeout for it.
        """
        return [record(Difference, row) for row in self._call("audit")]

    def accounts(self) -> list[Account]:
        """All accounts by name."""
        return [_account(row) for row in self._select("SELECT * FROM v_account ORDER BY name")]

    def account_named(self, name: str) -> Account | None:
        """An account by its name."""
        rows = self._select("SELECT * FROM v_account WHERE name = %s", name)
        return _account(rows[0]) if rows else None

    def cdrs(
        self,
        *,
        account_id: int | None = None,
        call_key: str | None = None,
        limit: int = ROWS_DEFAULT,
        archived: bool = False,
    ) -> list[Cdr]:
        """The latest calls first: all, one, or those in whose chain an account is (each with all its legs).

        Of those that are `archived`, or of those that are not.
        """
        cdr_view, leg_view = ("v_cdr_archive", "v_cdr_leg_archive") if archived else ("v_cdr", "v_cdr_leg")
        if call_key is not None:
            calls = self._select(f"SELECT * FROM {cdr_view} WHERE call_key = %s", call_key)  # nosec B608  # noqa: S608 - constant names
        elif account_id is not None:
            calls = self._cdrs_of(account_id, limit, cdr_view, leg_view)
        else:
            calls = self._select(f"SELECT * FROM {cdr_view} ORDER BY call_key DESC LIMIT %s", limit)  # nosec B608  # noqa: S608 - constant names
        if not calls:
            return []
        places = ", ".join(["%s"] * len(calls))
        rows = self._select(
            f"SELECT *, rate AS rate_json FROM {leg_view} WHERE call_key IN ({places}) ORDER BY call_key, leg",  # nosec B608  # noqa: S608 - places only
            *(call["call_key"] for call in calls),
        )
        by_call = groupby(rows, lambda row: row["call_key"])
        legs = {key: tuple(record(CdrLeg, row) for row in group) for key, group in by_call}
        attempts = self._failed_attempts([call["call_key"] for call in calls])
        return [
            record(
                Cdr,
                row,
                provisional=bool(row["provisional"]),
                legs=legs.get(row["call_key"], ()),
                attempts=attempts.get(row["call_key"], ()),
            )
            for row in calls
        ]

    def _failed_attempts(self, call_keys: Sequence[str]) -> dict[str, tuple[FailedAttempt, ...]]:
        """Carriers that failed these calls before they went on to others, archived or not; few calls have any."""
        places = ", ".join(["%s"] * len(call_keys))
        sql = f"SELECT * FROM v_attempt WHERE call_key IN ({places}) ORDER BY call_key, ordinal"  # nosec B608  # noqa: S608 - places only
        by_call = groupby(self._select(sql, *call_keys), lambda row: row["call_key"])
        return {key: tuple(record(FailedAttempt, row) for row in group) for key, group in by_call}

    def _cdrs_of(self, account_id: int, limit: int, cdr_view: str, leg_view: str) -> list[Row]:
        """Two steps, each by index: the keys of calls that charged the account or that it tried, then the calls."""
        keys = self._select(
            f"(SELECT call_key FROM {leg_view} WHERE account_id = %s ORDER BY call_key DESC LIMIT %s)"  # nosec B608  # noqa: S608 - constant names
            f" UNION (SELECT call_key FROM {cdr_view} WHERE account_id = %s ORDER BY call_key DESC LIMIT %s)"
            " ORDER BY call_key DESC LIMIT %s",
            account_id, limit, account_id, limit, limit,
        )  # fmt: skip
        if not keys:
            return []
        places = ", ".join(["%s"] * len(keys))
        sql = f"SELECT * FROM {cdr_view} WHERE call_key IN ({places}) ORDER BY call_key DESC"  # nosec B608  # noqa: S608 - places only
        return self._select(sql, *(row["call_key"] for row in keys))

    def entries(self, *, account_id: int | None = None, limit: int = ROWS_DEFAULT) -> list[Entry]:
        """The latest changes of balances first, of one account or of all."""
        if account_id is None:
            rows = self._select("SELECT * FROM v_entry ORDER BY entry_key DESC LIMIT %s", limit)
        else:
            sql = "SELECT * FROM v_entry WHERE account_id = %s ORDER BY created_at DESC LIMIT %s"
            rows = self._select(sql, account_id, limit)
        return [record(Entry, row, forced=bool(row["forced"])) for row in rows]

    def tariffs(self) -> list[Tariff]:
        """All tariffs by name."""
        rows = self._select("SELECT * FROM v_tariff ORDER BY name")
        return [record(Tariff, row, loss_allowed=bool(row["loss_allowed"])) for row in rows]

    def rates(self, tariff_id: int) -> list[RateRow]:
        """All rates of a tariff by prefix."""
        sql = "SELECT * FROM v_rate WHERE tariff_id = %s ORDER BY prefix, effective_from"
        return [record(RateRow, row, blocked=bool(row["blocked"])) for row in self._select(sql, tariff_id)]

    def trunks(self) -> list[TrunkRow]:
        """Active trunks with their networks."""
        rows = self._select("SELECT * FROM v_trunk WHERE status = 'active' ORDER BY trunk_id, network")
        found = []
        for _, group in groupby(rows, lambda row: row["trunk_id"]):
            of_trunk = list(group)
            networks = tuple(row["network"] for row in of_trunk if row["network"] is not None)
            found.append(record(TrunkRow, of_trunk[0], networks=networks))
        return found

    def nodes(self) -> list[NodeRow]:
        """Proxies that ever had a heartbeat."""
        return [record(NodeRow, row) for row in self._select("SELECT * FROM v_node ORDER BY name")]

    def live_totals(self, node: str) -> list[LiveTotal]:
        """How many calls of a node are in progress, and what they hold."""
        return [record(LiveTotal, row) for row in self._select("SELECT * FROM v_live_total WHERE node = %s", node)]

    def live_keys(self, node: str) -> dict[str, str]:
        """The calls of a node that are in progress: call key to state."""
        rows = self._select("SELECT call_key, state FROM v_live_call WHERE node = %s", node)
        return {str(row["call_key"]): str(row["state"]) for row in rows}

    def calls_by_node(self) -> dict[str, tuple[int, int]]:
        """Node to how many of its calls are in progress, and how many are charged provisionally; (0, 0) is left out."""
        rows = self._select(
            "SELECT node, SUM(live) AS live, SUM(NOT live) AS provisional FROM ("
            "SELECT node, TRUE AS live FROM v_live_call UNION ALL SELECT node, FALSE FROM v_cdr WHERE provisional"
            ") AS calls GROUP BY node"
        )
        return {str(row["node"]): (int(row["live"]), int(row["provisional"])) for row in rows}

    def provisional_cdrs(self) -> int:
        """CDRs whose truth is not known yet."""
        return int(self._select("SELECT COUNT(*) AS number FROM v_cdr WHERE provisional")[0]["number"])

    def alarms(self, *, open_only: bool = True, limit: int = 1000) -> list[Alarm]:
        """Limits nearly reached or reached, the latest first; those that somebody acknowledged too unless
        `open_only`."""
        where = "acknowledged_at IS NULL" if open_only else "TRUE"
        sql = f"SELECT * FROM v_alarm WHERE {where} ORDER BY last_at DESC, account_id, kind, destination LIMIT %s"  # nosec B608  # noqa: S608 - constant conditions
        return [record(Alarm, row) for row in self._select(sql, limit)]

    def acknowledge_alarms(self, account_id: int, actor: str) -> int:
        """`actor` has seen the alarms of an account; how many were new to him."""
        return int(self._call("acknowledge_alarms", account_id, actor)[0]["alarms"])

    def config_version(self) -> int:
        """Another number whenever a trunk or a carrier is another."""
        return int(self._select("SELECT version FROM v_config_version")[0]["version"])


def _account(row: Row) -> Account:
    flags = {name: bool(row[name]) for name in ("premium_allowed", "loss_allowed")}
    return record(Account, row, **flags)
