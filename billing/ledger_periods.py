"""Reports of a period, the export of CDRs, and retention."""

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from billing.ledger_rows import naive, record, utc
from billing.ledger_session import LedgerSession, Row
from billing.ledger_types import Difference
from billing.report_types import (
    Archivable,
    Archived,
    ExportedCdr,
    ExportedLeg,
    Statement,
    StatementLine,
    Traffic,
    TrafficBy,
)

EXPORT_BATCH = 1000
ARCHIVE_BATCH = 500

_TRAFFIC_NAMES: dict[TrafficBy, tuple[str, str]] = {
    "destination": ("destination", "level"),
    "carrier": ("carrier_name", "level"),
    "reseller": ("seller_name", "NULL"),
    "account": ("buyer_name", "NULL"),
}
"""By what it is grouped: the column of v_traffic, and the level, if there is one for all of a group."""

_CALLS = (
    "SELECT destination, carrier_name, seller_name, buyer_name, level, currency, result, talked_ms, billed_s, revenue,"
    " cost, 0 AS failed FROM v_traffic WHERE ended_at >= %s AND ended_at < %s"
)
_FAILED_ATTEMPTS = (
    " UNION ALL SELECT NULL, carrier_name, NULL, NULL, level, currency, '', 0, 0, 0, 0, 1 FROM v_traffic_attempt"
    " WHERE ended_at >= %s AND ended_at < %s"
)


class PeriodsLedger(LedgerSession):
    """From routines and views alone, each answer of one snapshot. Periods are [begin, end)."""

    def statement(self, account: str, begin: datetime, end: datetime) -> Statement:
        """Opening balance, entries and closing balance of an account by name. Raises LedgerRefused for an unknown
        one."""
        rows = self._call("account_statement", account, naive(begin), naive(end))
        currency = self._select("SELECT currency FROM v_account WHERE name = %s", account)[0]["currency"]
        opening, *entries, closing = rows
        return Statement(
            account=account,
            currency=currency,
            begin=begin,
            end=end,
            opening=opening["balance"],
            lines=tuple(record(StatementLine, row) for row in entries),
            closing=closing["balance"],
        )

    def traffic(self, by: TrafficBy, begin: datetime, end: datetime) -> list[Traffic]:
        """Calls that ended in the period, the best revenue of level 1 first. Takes as long as there are calls in it.

        By carrier with the attempts that failed there, of these calls.
        """
        period = (naive(begin), naive(end))
        failed, args = (_FAILED_ATTEMPTS, period * 2) if by == "carrier" else ("", period)
        name, level = _TRAFFIC_NAMES[by]
        sql = (
            f"SELECT {name} AS name, {level} AS level, currency,"  # nosec B608  # noqa: S608 - constant names
            " CAST(COUNT(level) - SUM(failed) AS INT) AS calls, CAST(SUM(failed) AS INT) AS failed_attempts,"
            " COUNT(*) - COUNT(level) AS refused,"
            " COUNT(IF(result = 'answered', level, NULL)) AS answered,"
            " CAST(SUM(IF(level IS NULL, 0, talked_ms)) AS INT) AS talked_ms,"
            " CAST(SUM(IF(level IS NULL, 0, billed_s)) AS INT) AS billed_s, SUM(revenue) AS revenue,"
            " IF(COUNT(level) = COUNT(cost), SUM(cost), NULL) AS cost"
            f" FROM ({_CALLS}{failed}) AS traffic"
            f" GROUP BY {name}, {level}, currency ORDER BY level IS NULL, level, SUM(revenue) DESC, name, currency"
        )
        return [record(Traffic, row) for row in self._select(sql, *args)]

    def export_cdrs(
        self, after: int = 0, since: datetime | None = None, limit: int = EXPORT_BATCH
    ) -> list[ExportedCdr]:
        """The next CDRs after a position of the export, at most EXPORT_BATCH; none: nothing new. None is ever skipped,
        however late it commits, and what changed comes again.

        Raises LedgerRefused for a position that this ledger never gave out.
        """
        return [_exported(row) for row in self._call("export_cdrs", after, naive(since), limit)]

    def archivable(self, before: datetime) -> Archivable:
        """What `archive` would move. Raises LedgerRefused for a time of the last 30 days."""
        return record(Archivable, self._call("archivable", naive(before))[0])

    def archive(self, before: datetime, batch: int = ARCHIVE_BATCH) -> Iterator[Archived]:
        """Move what is older, a batch each; it may be left at any time and begun again."""
        done = False
        while not done:
            row = self._call("archive", naive(before), batch)[0]
            done = bool(row["done"])
            yield record(Archived, row, done=done)

    def archived_before(self) -> datetime:
        """What is older than that may be in the archive."""
        return utc(self._select("SELECT archived_before FROM v_retention")[0]["archived_before"])

    def audit_archive(self) -> list[Difference]:
        """The audit of what is archived. Takes as long as the archive is large."""
        return [record(Difference, row) for row in self._call("audit_archive")]


def _exported(row: Row) -> ExportedCdr:
    legs = tuple(ExportedLeg(**{**leg, "charge": Decimal(leg["charge"])}) for leg in json.loads(row["legs"]))
    flags = {name: bool(row[name]) for name in ("provisional", "archived")}
    return record(ExportedCdr, row, legs=legs, **flags)
