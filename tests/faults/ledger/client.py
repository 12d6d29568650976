"""One client process: it opens, answers, extends and settles calls and moves money through the real ledger client.

What the ledger answered goes to the client's own file, a line each: the receipt that must hold after every kill. What
it did not answer is asked again with its key until it does.
"""

from __future__ import annotations

import dataclasses
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from ulid import ULID

from billing.errors import LedgerUnavailable
from billing.ledger import Ledger, LedgerAddress
from tests.db.bank import PASSWORDS, call_record, request, settlement

LIVE_MAX = 12
"""Calls of one client at a time."""
AWAY_LIMIT_S = 60.0
"""A database that does not come back for so long ends the run."""
STEP = Decimal("0.60")
"""What a minute holds on each leg."""


@dataclass(frozen=True)
class Orders:
    """What a client is to do, and where."""

    number: int
    seed: str
    port: int
    database: str
    chains: tuple[tuple[int, ...], ...]
    """Accounts of a caller and above him."""
    operations: int
    folder: Path

    @property
    def receipts(self) -> Path:
        return self.folder / f"client-{self.number}.receipts"


@dataclass
class Live:
    """A call of this client's."""

    key: str
    accounts: tuple[int, ...]
    grant_s: int = 60
    answered: bool = False


@dataclass
class Client:
    """See the module."""

    orders: Orders
    done: Any
    """Shared: how many operations each client has receipts for."""
    asked_again: Any
    """Shared: how often each client had no answer."""
    allowed: Any
    """Shared: how many operations a client may have done by now, so that none is through before the last kill."""
    live: list[Live] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = random.Random(f"{self.orders.seed} {self.orders.number}")
        self._proxy, self._cashier = (Ledger(address(self.orders, role)) for role in ("proxy", "cashier"))
        self._pause = threading.Event()

    def run(self) -> None:
        with self.orders.receipts.open("a", encoding="ascii") as self._file:
            while self.done[self.orders.number] < self.orders.operations:
                if self.done[self.orders.number] < self.allowed.value:
                    self._operation()
                else:
                    self._pause.wait(0.005)
            while self.live:
                self._settle(self.live[0])

    def _operation(self) -> None:
        call = self._rng.choice(self.live) if self.live else None
        choices: list[tuple[int, Callable[[], None]]] = [(12, self._money), (2, self._record)]
        if len(self.live) < LIVE_MAX:
            choices.append((10, self._open))
        if call is not None:
            choices += [(8, lambda: self._settle(call)), (6, lambda: self._extend(call))]
            choices += [(6, lambda: self._answer(call))] if not call.answered else []
        self._rng.choices([one for _, one in choices], [weight for weight, _ in choices])[0]()

    def _new_key(self) -> str:
        return str(ULID.from_bytes(int(time.time() * 1000).to_bytes(6, "big") + self._rng.randbytes(10)))

    def _ask(self, kind: str, key: str, question: Callable[[], Any], **told: Any) -> Any:
        """Until there is an answer; then it is written down, in one write."""
        deadline = time.monotonic() + AWAY_LIMIT_S
        while True:
            try:
                answer = question()
            except LedgerUnavailable:
                if time.monotonic() > deadline:
                    raise
                self.asked_again[self.orders.number] += 1
                self._pause.wait(0.02)
            else:
                break
        receipt = {"kind": kind, "key": key, "answer": plain(answer)} | told
        self._file.write(json.dumps(receipt, default=str) + "\n")
        self._file.flush()
        self.done[self.orders.number] += 1
        return answer

    # --- calls --------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        call = Live(self._new_key(), self._rng.choice(self.orders.chains))
        wanted = request(call.accounts, [[f"{STEP}"]] * len(call.accounts), steps=(60,))
        answer = self._ask("open", call.key, lambda: self._proxy.open_call(call.key, wanted), accounts=call.accounts)
        assert answer.outcome == "opened", answer
        self.live.append(call)

    def _answer(self, call: Live) -> None:
        assert self._ask("answer", call.key, lambda: self._proxy.answer_call(call.key, 0, "to")) == "answered"
        call.answered = True

    def _extend(self, call: Live) -> None:
        old, new = call.grant_s, call.grant_s + 60
        holds = dict.fromkeys(range(len(call.accounts)), STEP * new / 60)
        answer = self._ask("extend", call.key, lambda: self._proxy.extend_call(call.key, old, new, holds), grant_s=new)
        assert answer.outcome == "extended", answer
        call.grant_s = new

    def _settle(self, call: Live) -> None:
        billed_s = self._rng.randint(0, call.grant_s)
        charges = [f"{STEP * billed_s / 60:.6f}"] * len(call.accounts)
        end = settlement(charges, call.grant_s, billed_s)
        answer = self._ask("settle", call.key, lambda: self._proxy.settle_call(call.key, end), charges=charges,
                           accounts=call.accounts)  # fmt: skip
        assert answer.outcome in ("settled", "already"), answer
        self.live.remove(call)

    def _record(self) -> None:
        key, record = self._new_key(), call_record(self._rng.choice(self.orders.chains)[0])
        outcome = self._ask("record", key, lambda: self._proxy.record_call(key, record))
        assert outcome in ("recorded", "already"), outcome

    # --- money --------------------------------------------------------------------------------------------------------

    def _money(self) -> None:
        kind = self._rng.choice(["top_up", "refund", "adjust", "transfer", "transfer"])
        key, amount = self._new_key(), f"{Decimal(self._rng.randint(1, 500)) / 100}"
        one, *others = self._rng.choice(self.orders.chains)
        accounts = (one, others[0]) if kind == "transfer" and others else (one,)
        if kind == "transfer" and not others:
            kind = "top_up"
        self._ask(kind, key, lambda: move(self._cashier, kind, key, accounts, amount), accounts=accounts, amount=amount)


def move(cashier: Ledger, kind: str, key: str, accounts: tuple[int, ...], amount: str) -> Any:
    """A movement of money, the first time or again."""
    if kind == "transfer":
        return cashier.transfer(key, *accounts[:2], amount, "ann")
    if kind == "adjust":
        return cashier.adjust(key, accounts[0], amount, "ann", "why")
    return (cashier.top_up if kind == "top_up" else cashier.refund)(key, accounts[0], amount, "ann")


def plain(answer: Any) -> Any:
    """An answer as it is written down and compared: texts, numbers, lists."""
    if isinstance(answer, tuple):
        return [plain(one) for one in answer]
    if dataclasses.is_dataclass(answer) and not isinstance(answer, type):
        return {name: plain(value) for name, value in dataclasses.asdict(answer).items()}
    if isinstance(answer, dict):
        return {name: plain(value) for name, value in answer.items()}
    return f"{answer}" if isinstance(answer, Decimal) else answer


def address(orders: Orders, role: str) -> LedgerAddress:
    """With the time-outs of a proxy."""
    return LedgerAddress(
        port=orders.port, database=orders.database, user=f"meterline_{role}", password=PASSWORDS[role], timeout_s=1.0
    )


def run(orders: Orders, done: Any, asked_again: Any, allowed: Any) -> None:
    """A client process, from its beginning to its end."""
    Client(orders, done, asked_again, allowed).run()
