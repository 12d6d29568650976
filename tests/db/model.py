"""The ledger as it ought to be, in plain Python: what the state machine compares the real one with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

STEPS = (60, 30, 10)
LIMIT_S = 240
ZERO = Decimal(0)


@dataclass
class ModelAccount:
    """An account and its purse."""

    account_id: int
    credit_limit: Decimal = ZERO
    max_calls: int | None = None
    low_balance: Decimal | None = None
    low_balance_max_calls: int | None = None
    daily_spend_limit: Decimal | None = None
    max_calls_per_hour: int | None = None
    status: str = "active"
    balance: Decimal = ZERO
    held: Decimal = ZERO
    calls: int = 0
    spent: Decimal = ZERO
    """A history is shorter than a day and an hour: neither ends in it."""
    calls_this_hour: int = 0
    refused_by_limit: int = 0

    @property
    def available(self) -> Decimal:
        return self.balance + self.credit_limit - self.held

    def room(self) -> Decimal:
        """What the day's limit leaves."""
        if self.daily_spend_limit is None:
            return Decimal("Infinity")
        return max(ZERO, self.daily_spend_limit - self.spent - self.held)

    def limit_reached(self, least: Decimal) -> str | None:
        """Which limit by hour or day a call that holds this much would pass."""
        if self.max_calls_per_hour is not None and self.calls_this_hour >= self.max_calls_per_hour:
            return "hourly_limit"
        return "spending_limit" if least and self.room() < least else None

    def refusal(self) -> str | None:
        """Why no further call may start, money aside."""
        if self.status != "active":
            return f"account_{self.status}"
        if self.max_calls is not None and self.calls >= self.max_calls:
            return "too_many_calls"
        low = self.low_balance is not None and self.available < self.low_balance
        if low and self.low_balance_max_calls is not None and self.calls >= self.low_balance_max_calls:
            return "too_many_calls"
        return None


@dataclass
class ModelCall:
    """A call, live or ended. `prices`: a second of it on each leg."""

    chain: tuple[ModelAccount, ...]
    prices: tuple[Decimal, ...]
    grant_s: int
    before: tuple[Decimal, ...]
    charges: tuple[Decimal, ...] = ()
    balances: tuple[Decimal, ...] = ()
    provisional: bool = False

    def holds(self, grant_s: int) -> tuple[Decimal, ...]:
        return tuple(price * grant_s for price in self.prices)


@dataclass
class Model:
    """All of it. Every method answers as the routine of its name ought to."""

    live: dict[str, ModelCall] = field(default_factory=dict)
    ended: dict[str, ModelCall] = field(default_factory=dict)
    recorded: set[str] = field(default_factory=set)
    posted: dict[str, tuple[object, ...]] = field(default_factory=dict)
    answers: dict[str, list[tuple[int, Decimal, Decimal, Decimal]]] = field(default_factory=dict)

    def post(
        self, key: str, kind: str, moves: Sequence[tuple[ModelAccount, Decimal]], *, force: bool = False
    ) -> list[tuple[int, Decimal, Decimal, Decimal]] | str:
        """Account, amount, balance, available of each move; or the token of the error."""
        content = (kind, *((account.account_id, amount) for account, amount in moves), force)
        if key in self.posted:
            return self.answers[key] if self.posted[key] == content else "key_conflict"
        if any(amount < 0 and account.available + amount < 0 and not force for account, amount in moves):
            return "insufficient_balance"
        for account, amount in moves:
            account.balance += amount
        self.posted[key] = content
        self.answers[key] = [(acc.account_id, amount, acc.balance, acc.available) for acc, amount in moves]
        return self.answers[key]

    def open(
        self, key: str, chain: tuple[ModelAccount, ...], prices: tuple[Decimal, ...]
    ) -> tuple[str, int | None, int]:
        """Outcome, failed leg, grant."""
        if key in self.live:
            call = self.live[key]
            return (
                ("opened", None, call.grant_s)
                if (call.chain, call.prices) == (chain, prices)
                else ("key_conflict", None, 0)
            )
        if key in self.ended or key in self.recorded:
            return "call_ended", None, 0
        for leg, (account, price) in enumerate(zip(chain, prices, strict=True)):
            refusal = account.refusal()
            if refusal is None and account.available < price * STEPS[-1]:
                refusal = "insufficient_balance"
            if refusal is not None:
                return refusal, leg, 0
        for leg, (account, price) in enumerate(zip(chain, prices, strict=True)):
            refusal = account.limit_reached(price * STEPS[-1])
            if refusal is not None:
                account.refused_by_limit += 1
                return refusal, leg, 0
        payable = (
            s for s in STEPS if all(min(a.available, a.room()) >= p * s for a, p in zip(chain, prices, strict=True))
        )
        call = ModelCall(chain, prices, next(payable), tuple(account.available for account in chain))
        self.live[key] = call
        for account, hold in zip(chain, call.holds(call.grant_s), strict=True):
            account.held += hold
            account.calls += 1
            account.calls_this_hour += account.max_calls_per_hour is not None
        return "opened", None, call.grant_s

    def extend(self, key: str, old_s: int, new_s: int) -> tuple[str, int | None, int]:
        """Outcome, failed leg, grant."""
        if key not in self.live:
            return ("settled" if key in self.ended or key in self.recorded else "unknown_call"), None, 0
        call = self.live[key]
        if call.grant_s == new_s:
            return "extended", None, new_s
        if call.grant_s != old_s:
            return "stale", None, call.grant_s
        more = [new - old for new, old in zip(call.holds(new_s), call.holds(old_s), strict=True)]
        for leg, (account, amount) in enumerate(zip(call.chain, more, strict=True)):
            if account.status != "active":
                return f"account_{account.status}", leg, old_s
            if account.available < amount:
                return "insufficient_balance", leg, old_s
            if amount and account.room() < amount:
                return "spending_limit", leg, old_s
        for account, amount in zip(call.chain, more, strict=True):
            account.held += amount
        call.grant_s = new_s
        return "extended", None, new_s

    def settle(self, key: str, grant_s: int, billed_s: int) -> tuple[str, tuple[Decimal, ...], tuple[Decimal, ...]]:
        """Outcome, charges and balances by leg."""
        call = self.live.get(key)
        if call is not None:
            if call.grant_s != grant_s:
                return "stale", (), ()
            self._end(key, tuple(price * billed_s for price in call.prices))
            return "settled", call.charges, call.balances
        call = self.ended.get(key)
        if call is None:
            return ("already" if key in self.recorded else "unknown_call"), (), ()
        if not call.provisional:
            return "already", call.charges, call.balances
        if call.grant_s != grant_s:
            return "stale", call.charges, call.balances
        truth = tuple(price * billed_s for price in call.prices)
        for account, charged, charge in zip(call.chain, call.charges, truth, strict=True):
            account.balance += charged - charge
            account.spent -= charged - charge
        call.charges, call.provisional = truth, False
        call.balances = tuple(account.balance for account in call.chain)
        return "refunded", call.charges, call.balances

    def reap(self, key: str) -> None:
        """The call is overdue and the reaper comes."""
        self._end(key, self.live[key].holds(self.live[key].grant_s))
        self.ended[key].provisional = True

    def answer(self, key: str) -> str:
        if key in self.live:
            return "answered"
        return "settled" if key in self.ended or key in self.recorded else "unknown_call"

    def record(self, key: str) -> str:
        if key in self.live:
            return "live"
        if key in self.ended and self.ended[key].provisional:
            return "live"
        if key in self.ended or key in self.recorded:
            return "already"
        self.recorded.add(key)
        return "recorded"

    def _end(self, key: str, charges: tuple[Decimal, ...]) -> None:
        call = self.ended[key] = self.live.pop(key)
        for account, hold, charge in zip(call.chain, call.holds(call.grant_s), charges, strict=True):
            account.held -= hold
            account.balance -= charge
            account.spent += charge
            account.calls -= 1
        call.charges = charges
        call.balances = tuple(account.balance for account in call.chain)
