"""How the ledger's server is set up, and what a login may do there: for whoever looks after it."""

from collections.abc import Sequence
from datetime import datetime

from billing.ledger_session import LedgerSession


class StateLedger(LedgerSession):
    """Read only."""

    def server_variables(self, names: Sequence[str]) -> dict[str, str]:
        """The server's global variables of these names; one that it does not know is missing."""
        places = ", ".join(["%s"] * len(names))
        rows = self._select(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({places})", *names)
        return {str(row["Variable_name"]): str(row["Value"]) for row in rows}

    def server_version(self) -> str:
        """As "10.11.6-MariaDB-0+deb12u1"."""
        return str(self._select("SELECT VERSION() AS version")[0]["version"])

    def server_time(self) -> datetime:
        """The server's clock, UTC without a zone."""
        found: datetime = self._select("SELECT UTC_TIMESTAMP(6) AS now")[0]["now"]
        return found

    def own_grants(self) -> list[str]:
        """What this login may do, as GRANT statements."""
        return [str(next(iter(row.values()))) for row in self._select("SHOW GRANTS")]

    def versions(self) -> dict[tuple[str, str], str]:
        """(PROCEDURE, VIEW or MIGRATION, name) to the hash of what was loaded last."""
        rows = self._select("SELECT kind, name, content_hash FROM v_version")
        return {(str(row["kind"]), str(row["name"])): str(row["content_hash"]) for row in rows}

    def overdue_calls(self, late_s: int) -> int:
        """Calls in progress, of any node, whose funding ended so long ago that they should be settled or reaped."""
        sql = "SELECT COUNT(*) AS number FROM v_live_call WHERE hold_until < UTC_TIMESTAMP(6) - INTERVAL %s SECOND"
        return int(self._select(sql, late_s)[0]["number"])
