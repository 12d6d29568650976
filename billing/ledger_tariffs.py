"""Tariffs by their names, decks of rates on their way into one, and charges that are corrected afterwards."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from billing.deck_types import CorrectionAnswer, DeckChange, DeckProblem, DeckRow, DeckSummary, LegToRerate
from billing.ledger_rows import amount_text, naive, record
from billing.ledger_session import LedgerSession, Row
from billing.ledger_types import RateRow, Tariff

PAGE_ROWS = 5000
"""What is read at a time of a list that may be long."""
PROBLEMS_MAX = 1_000_000


class TariffLedger(LedgerSession):
    """LedgerRefused names what cannot be (unknown_tariff, invalid_deck, deck_out_of_date..)."""

    def create_tariff(
        self,
        name: str,
        currency: str,
        *,
        owner: str | None = None,
        decimals: int = 4,
        rounding: str = "half_up",
        zone: str = "UTC",
    ) -> int:
        """A price list without rates, of a reseller or the vendor; its id."""
        return int(self._call("create_tariff", name, owner, currency, decimals, rounding, zone)[0]["id"])

    def set_tariff(
        self,
        name: str,
        *,
        new_name: str | None = None,
        decimals: int | None = None,
        rounding: str | None = None,
        zone: str | None = None,
    ) -> int:
        """Change what is not None; the tariff's new version."""
        return int(self._call("set_tariff", name, new_name, decimals, rounding, zone)[0]["version"])

    def tariff_named(self, name: str) -> Tariff | None:
        """A tariff by its name."""
        rows = self._select("SELECT * FROM v_tariff WHERE name = %s", name)
        return record(Tariff, rows[0], loss_allowed=bool(rows[0]["loss_allowed"])) if rows else None

    def rate_pages(self, tariff_id: int, prefix: str = "") -> Iterator[list[RateRow]]:
        """The rates of a tariff whose prefixes begin with `prefix`, by prefix and time, in pages: all of a prefix on
        one. A change while they are read may show in later pages only."""
        last, end = "", f"{prefix}:"  # ':' comes after '9'
        while True:
            rows = self._select(
                "SELECT * FROM v_rate WHERE tariff_id = %s AND prefix > %s AND prefix >= %s AND prefix < %s"
                " ORDER BY prefix, effective_from LIMIT %s",
                tariff_id, last, prefix, end, PAGE_ROWS,
            )  # fmt: skip
            page, last = _whole(rows, "prefix", PAGE_ROWS)
            if page:
                yield [record(RateRow, row, blocked=bool(row["blocked"])) for row in page]
            if len(rows) < PAGE_ROWS:
                return

    # --- decks --------------------------------------------------------------------------------------------------------

    def open_deck(self, key: str, tariff: str, actor: str) -> None:
        """Begin an import; the same again is the same import."""
        self._call("open_deck", key, tariff, actor)

    def stage_rates(self, key: str, rates_json: str) -> int:
        """Add rates to a deck, JSON as billing.deck.staged_json writes it; staged again, they replace themselves."""
        return int(self._call("stage_rates", key, rates_json)[0]["staged"])

    def deck_problems(self, key: str) -> list[DeckProblem]:
        """Lines of a deck that do not go together; none is the only good answer."""
        return [record(DeckProblem, row) for row in self._call("deck_problems", key, PROBLEMS_MAX)]

    def compare_deck(self, key: str, *, replace: bool, effective_from: datetime | None, rates: int) -> DeckSummary:
        """What a deck would change. `replace`: what is not in it ends at `effective_from`. `rates`: so many were
        staged."""
        return _summary(self._call("compare_deck", key, replace, naive(effective_from), rates))

    def deck_below_cost(self, key: str) -> tuple[int, str]:
        """How many rates of a deck a reseller would sell under his buy price, and the prefix of one."""
        (row,) = self._call("deck_below_cost", key)
        return int(row["rates"]), row["example"] or ""

    def deck_changes(self, key: str) -> Iterator[DeckChange]:
        """What a compared deck would do, by prefix, without what would stay as it is."""
        last = ""
        while True:
            rows = self._select(
                "SELECT * FROM v_deck_change WHERE deck_key = %s AND prefix > %s AND kind <> 'unchanged'"
                " ORDER BY prefix, effective_from LIMIT %s",
                key, last, PAGE_ROWS,
            )  # fmt: skip
            page, last = _whole(rows, "prefix", PAGE_ROWS)
            for row in page:
                flags = {name: None if row[name] is None else bool(row[name]) for name in ("blocked", "old_blocked")}
                yield record(DeckChange, row, **flags)
            if len(rows) < PAGE_ROWS:
                return

    def apply_deck(self, key: str) -> DeckSummary:
        """Put a compared deck into its tariff, at once; the same again answers the same. `deck_out_of_date`: the
        tariff was changed meanwhile; compare again."""
        return _summary(self._call("apply_deck", key))

    def discard_deck(self, key: str) -> str:
        """Drop a deck: 'discarded', 'applied' (too late) or 'busy'."""
        return str(self._call("discard_deck", key)[0]["outcome"])

    def decks(self, tariff_id: int, limit: int = 20) -> list[DeckRow]:
        """The latest imports into a tariff first."""
        sql = "SELECT * FROM v_deck WHERE tariff_id = %s ORDER BY opened_at DESC LIMIT %s"
        return [record(DeckRow, row, replaces=bool(row["replaces"])) for row in self._select(sql, tariff_id, limit)]

    # --- corrections --------------------------------------------------------------------------------------------------

    def legs_to_rerate(
        self, tariff_id: int, since: datetime, until: datetime, account_id: int | None = None
    ) -> Iterator[LegToRerate]:
        """Legs that were charged by a tariff, of calls rated from `since` until before `until`, by call."""
        which, more = ("AND account_id = %s ", (account_id,)) if account_id is not None else ("", ())
        sql = (
            "SELECT * FROM v_charged_leg WHERE tariff_id = %s AND call_key > %s AND rated_at >= %s AND rated_at < %s "  # nosec B608  # noqa: S608 - constants
            + which
            + "ORDER BY call_key, leg LIMIT %s"
        )
        last = ""
        while True:
            rows = self._select(sql, tariff_id, last, naive(since), naive(until), *more, PAGE_ROWS)
            page, last = _whole(rows, "call_key", PAGE_ROWS)
            for row in page:
                yield record(LegToRerate, row, provisional=bool(row["provisional"]))
            if len(rows) < PAGE_ROWS:
                return

    def live_legs_of(self, tariff_id: int) -> int:
        """Legs of calls in progress that were opened by a tariff."""
        return int(
            self._select("SELECT COUNT(*) AS number FROM v_live_leg WHERE tariff_id = %s", tariff_id)[0]["number"]
        )

    def correct_charge(
        self,
        run_key: str,
        leg: LegToRerate,
        new_charge: Decimal,
        rate_id: int | None,
        rate_json: str,
        actor: str,
        reason: str,
        *,
        force: bool = False,
    ) -> CorrectionAnswer:
        """Correct what a leg comes to, by a further entry; once in a run. Raises LedgerRefused insufficient_balance
        when a debit leaves less than nothing and is not forced."""
        rows = self._call(
            "correct_charge", run_key, leg.call_key, leg.leg, amount_text(leg.comes_to), amount_text(new_charge),
            rate_id, rate_json, actor, reason, force,
        )  # fmt: skip
        return record(CorrectionAnswer, rows[0])


def _whole(rows: list[Row], column: str, most: int) -> tuple[list[Row], str]:
    """A page without its last group if that may go on in the next, and the last value of `column` in it."""
    if not rows:
        return [], ""
    if len(rows) < most:
        return rows, str(rows[-1][column])
    cut = rows[-1][column]
    assert rows[0][column] != cut, f"{column} {cut} alone fills a page of {most}"
    page = [row for row in rows if row[column] != cut]
    return page, str(page[-1][column])


def _summary(rows: list[Row]) -> DeckSummary:
    return record(DeckSummary, rows[0], replaces=bool(rows[0]["replaces"]))
