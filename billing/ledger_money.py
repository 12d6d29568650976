"""Money that moves without a call. Each movement takes a key, a ULID: the same key gives the same answer for ever."""

from decimal import Decimal

from billing.ledger_rows import amount_text, record
from billing.ledger_session import LedgerSession
from billing.ledger_types import Accepted, Posted, Retired


class MoneyLedger(LedgerSession):
    """What a cashier asks of the ledger.

    `amount` is a Decimal or a text like "12.50": texts go to the database as they are, where they are checked. All
    raise InvalidAmount, KeyConflict, LedgerRefused (unknown_account, account_closed, insufficient_balance..), and
    LedgerUnavailable when the outcome is unknown: then call again with the same key.
    """

    def top_up(
        self, key: str, account_id: int, amount: Decimal | str, actor: str, reason: str = "", reference: str = ""
    ) -> Posted:
        """Money paid in."""
        return self._posted("top_up", key, account_id, amount_text(amount), actor, reason, reference)[0]

    def refund(
        self, key: str, account_id: int, amount: Decimal | str, actor: str, reason: str = "", reference: str = ""
    ) -> Posted:
        """Money given back."""
        return self._posted("refund", key, account_id, amount_text(amount), actor, reason, reference)[0]

    def adjust(
        self,
        key: str,
        account_id: int,
        amount: Decimal | str,
        actor: str,
        reason: str,
        reference: str = "",
        *,
        force: bool = False,
    ) -> Posted:
        """A correction, up or down, with its reason. Below zero available only with `force`."""
        return self._posted("adjust", key, account_id, amount_text(amount), actor, reason, reference, force)[0]

    def transfer(
        self, key: str, from_account_id: int, to_account_id: int, amount: Decimal | str, actor: str, reason: str = ""
    ) -> tuple[Posted, Posted]:
        """From one account to another of the same owner: what left, what arrived."""
        accounts = (from_account_id, to_account_id)
        left, arrived = self._posted("transfer", key, *accounts, amount_text(amount), actor, reason)
        return left, arrived

    def accept_cdr(self, call_key: str, actor: str, reason: str) -> Accepted:
        """What the reaper charged for a call is final: its node's truth, if it ever comes, moves nothing."""
        return record(Accepted, self._call("accept_cdr", call_key, actor, reason)[0])

    def retire_node(self, node: str, actor: str, reason: str) -> Retired:
        """A node never returns: nobody waits for it, and what the reaper charged for its calls is final."""
        return record(Retired, self._call("retire_node", node, actor, reason)[0])

    def _posted(self, routine: str, *args: object) -> list[Posted]:
        return [record(Posted, row) for row in self._call(routine, *args)]
