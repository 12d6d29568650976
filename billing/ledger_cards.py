"""Cards and vouchers in batches: issued, sold, blocked, cancelled, redeemed; and what an IVR announces."""

import json
from typing import Literal

from billing.card_types import (
    Activated,
    CardBatch,
    CardBatchRequest,
    CardQuote,
    CardRow,
    IssuedCards,
    IssuedVouchers,
    VoucherBatch,
    VoucherBatchRequest,
    VoucherRefusal,
    VoucherRow,
)
from billing.ledger_accounts import AccountRef, AccountsLedger
from billing.ledger_rows import amount_text, naive, record
from billing.ledger_types import Posted

Change = Literal["block", "unblock", "cancel"]
Range = tuple[int | None, int | None]
WHOLE: Range = (None, None)
"""All serial numbers of a batch."""
ROWS_MAX = 1000


class CardsLedger(AccountsLedger):
    """Issuing is an administrator's, selling a cashier's, so that nobody makes money alone. LedgerRefused names what
    cannot be; after LedgerUnavailable what has a key is called again with it."""

    def issue_cards(self, key: str, batch: CardBatchRequest, actor: str) -> IssuedCards:
        """All cards of a batch, or none. Nobody can call with them before they are activated."""
        offsets = None if batch.zone_offsets is None else json.dumps(batch.zone_offsets)
        rows = self._call(
            "issue_cards", key, batch.name, batch.parent, batch.tariff, amount_text(batch.value),
            naive(batch.expires_at), batch.expires_days, offsets, batch.distributor, batch.country_code,
            json.dumps(batch.cards, separators=(",", ":")), actor,
        )  # fmt: skip
        return record(IssuedCards, rows[0])

    def activate_cards(self, key: str, batch: str, actor: str, serials: Range = WHOLE) -> Activated:
        """Sell cards of a batch: their value is booked, and they can call. Only waiting ones change."""
        return record(Activated, self._call("activate_cards", key, batch, *serials, actor)[0])

    def activate_card(self, key: str, number: str, actor: str) -> Activated:
        """Sell one card."""
        return record(Activated, self._call("activate_card", key, number, actor)[0])

    def change_cards(self, change: Change, batch: str, actor: str, serials: Range = WHOLE) -> int:
        """Block, unblock or cancel cards of a batch; how many."""
        return int(self._call(f"{change}_cards", batch, *serials, actor)[0]["cards"])

    def change_card(self, change: Change, number: str, actor: str) -> int:
        """Block, unblock or cancel one card; 1."""
        return int(self._call(f"{change}_card", number, actor)[0]["cards"])

    def cards(self, batch: str | None = None, state: str | None = None, limit: int = ROWS_MAX) -> list[CardRow]:
        """Cards in the order of their making, of a batch or in a state if one is given."""
        wanted = [(column, value) for column, value in (("batch", batch), ("state", state)) if value is not None]
        where = " AND ".join(["TRUE", *(f"{column} = %s" for column, _ in wanted)])
        sql = f"SELECT * FROM v_card WHERE {where} ORDER BY account_id LIMIT %s"  # nosec B608  # noqa: S608 - columns above
        return [record(CardRow, row) for row in self._select(sql, *(value for _, value in wanted), limit)]

    def card(self, number: str) -> CardRow | None:
        """The card with this number."""
        rows = self._select("SELECT * FROM v_card WHERE number = CONVERT(%s USING ascii)", number)
        return record(CardRow, rows[0]) if rows else None

    def card_batches(self, name: str | None = None) -> list[CardBatch]:
        """Batches of cards, the latest first, or the one of this name."""
        sql = "SELECT * FROM v_batch WHERE name = %s OR %s IS NULL ORDER BY batch_id DESC"
        return [record(CardBatch, row) for row in self._select(sql, name, name)]

    def card_quote(
        self, number: str, pin_hash: str, dialled: str | None = None, source: str = "", longest_s: int | None = None
    ) -> CardQuote:
        """What a card has, and how long it can talk to what was dialled; wrong PINs are counted for `source`."""
        return record(CardQuote, self._call("card_quote", number, pin_hash, dialled, source, longest_s)[0])

    def put_card(self, account: AccountRef, number: str, pin_hash: str) -> None:
        """Number and PIN of an account, or a new PIN: hex HMAC-SHA256 of 'number:pin' under settings.card_pin_key."""
        self._call("put_card", self._account(account), number, pin_hash)

    def zone_of_tariff(self, name: str) -> str | None:
        """The time zone of the tariff with this name."""
        rows = self._select("SELECT zone FROM v_tariff WHERE name = %s", name)
        return str(rows[0]["zone"]) if rows else None

    # --- vouchers -----------------------------------------------------------------------------------------------------

    def issue_vouchers(self, key: str, batch: VoucherBatchRequest, actor: str) -> IssuedVouchers:
        """All vouchers of a batch, or none. None is money before it is activated."""
        rows = self._call(
            "issue_vouchers", key, batch.name, batch.owner, batch.currency, amount_text(batch.value),
            naive(batch.expires_at), batch.distributor, json.dumps(batch.code_hashes, separators=(",", ":")), actor,
        )  # fmt: skip
        return record(IssuedVouchers, rows[0])

    def activate_vouchers(self, batch: str, actor: str, serials: Range = WHOLE) -> int:
        """Sell vouchers of a batch; how many."""
        return int(self._call("activate_vouchers", batch, *serials, actor)[0]["vouchers"])

    def change_vouchers(self, change: Change, batch: str, actor: str, serials: Range = WHOLE) -> int:
        """Block, unblock or cancel vouchers; how many. What is redeemed stays so."""
        return int(self._call(f"{change}_vouchers", batch, *serials, actor)[0]["vouchers"])

    def redeem_voucher(self, key: str, code_hash: str, account: str, source: str, actor: str) -> Posted:
        """Pay a voucher into a card or customer, once.

        Raises LedgerRefused: voucher_refused whatever is wrong with the code, voucher_locked after too many wrong ones.
        """
        return record(Posted, self._call("redeem_voucher", key, code_hash, account, source, actor)[0])

    def forgive_guesses(self, account: str) -> int:
        """Forget the wrong voucher codes of an account; how many there were."""
        return int(self._call("forgive_guesses", account)[0]["forgiven"])

    def vouchers(self, batch: str, state: str | None = None, limit: int = ROWS_MAX) -> list[VoucherRow]:
        """Vouchers of a batch, those in one state if it is given."""
        sql = "SELECT * FROM v_voucher WHERE batch = %s AND (state = %s OR %s IS NULL) ORDER BY serial LIMIT %s"
        return [record(VoucherRow, row) for row in self._select(sql, batch, state, state, limit)]

    def voucher_batches(self, name: str | None = None) -> list[VoucherBatch]:
        """Batches of vouchers, the latest first, or the one of this name."""
        sql = "SELECT * FROM v_voucher_batch WHERE name = %s OR %s IS NULL ORDER BY batch_id DESC"
        return [record(VoucherBatch, row) for row in self._select(sql, name, name)]

    def voucher_refusals(self, account: str | None = None, limit: int = ROWS_MAX) -> list[VoucherRefusal]:
        """Refused codes and why, the latest first."""
        sql = "SELECT * FROM v_voucher_refusal WHERE account_name = %s OR %s IS NULL ORDER BY refusal_id DESC LIMIT %s"
        return [record(VoucherRefusal, row) for row in self._select(sql, account, account, limit)]
