"""What an importer asks before it writes, so that a second run changes nothing."""

from billing.ledger_rows import record
from billing.ledger_session import LedgerSession
from billing.ledger_types import RateRow, Tariff


class ImportLedger(LedgerSession):
    """Read only, as an administrator."""

    def tariff_named(self, name: str) -> Tariff | None:
        """A tariff by its name."""
        rows = self._select("SELECT * FROM v_tariff WHERE name = %s", name)
        return record(Tariff, rows[0], loss_allowed=bool(rows[0]["loss_allowed"])) if rows else None

    def all_rates(self, tariff_id: int) -> list[RateRow]:
        """Every rate of a tariff, of any time."""
        rows = self._select("SELECT * FROM v_rate WHERE tariff_id = %s", tariff_id)
        return [record(RateRow, row, blocked=bool(row["blocked"])) for row in rows]

    def card_owner(self, number: str) -> int | None:
        """The account whose number this is."""
        rows = self._select("SELECT account_id FROM v_card_number WHERE number = CONVERT(%s USING ascii)", number)
        return int(rows[0]["account_id"]) if rows else None

    def digest_owner(self, username: str, realm: str) -> int | None:
        """The account whose user has this SIP user name."""
        rows = self._select("SELECT account_id FROM v_username WHERE username = %s AND realm = %s", username, realm)
        return int(rows[0]["account_id"]) if rows else None

    def caller_number_owner(self, trunk_id: int, number: str) -> int | None:
        """The account whose calls come from this number on a trunk."""
        rows = self._call("identify_caller_number", trunk_id, number)
        return int(rows[0]["account_id"]) if rows else None

    def has_entry(self, key: str) -> bool:
        """Whether money was moved with this key."""
        sql = (
            "SELECT entry_key FROM v_entry WHERE entry_key = %s"
            " UNION ALL SELECT entry_key FROM v_entry_archive WHERE entry_key = %s"
        )
        return bool(self._select(sql, key, key))
