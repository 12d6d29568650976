"""So many operations of several clients, so many `kill -9` of the database among them, and the reckoning."""

from __future__ import annotations

import json
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pymysql
import pymysql.cursors

from stack.mariadb import PrivateMariaDB
from stack.processes import wait_until
from tests.db.bank import Bank, call_record, settlement
from tests.faults.ledger import client
from tests.faults.ledger.client import Orders, move, plain

MONEY = ("top_up", "refund", "adjust", "transfer")
FUNDS = "1000000"
CARDS, RESELLERS = 9, 3
STORM_LIMIT_S = 900.0

Receipt = dict[str, Any]


@dataclass
class Outcome:
    """What a storm came to."""

    acknowledged: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    asked_again: int = 0
    compared: int = 0
    """Receipts that were held against the ledger between two kills, and asked again with their keys."""
    findings: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass
class Storm:
    """See the module. Everything but the pace follows from the seed."""

    folder: Path
    seed: str
    operations: int
    kills: int
    clients: int = 4
    say: Callable[[str], None] = lambda line: None
    outcome: Outcome = field(default_factory=Outcome)

    def run(self) -> Outcome:
        """The whole of it."""
        begun = time.monotonic()
        self._rng = random.Random(self.seed)
        with PrivateMariaDB(self.folder / "mariadb") as self._server:
            self._bank = Bank.found(self._server, "ledger")
            chains = self._accounts()
            share = -(-self.operations // self.clients)
            context = multiprocessing.get_context("spawn")
            self._done, asked_again = context.Array("Q", self.clients), context.Array("Q", self.clients)
            self._allowed = context.Value("Q", -(-share // max(1, self.kills)))
            self._orders = [
                Orders(number, self.seed, self._server.port, "ledger", chains, share, self.folder)
                for number in range(self.clients)
            ]
            self._read = dict.fromkeys(range(self.clients), 0)
            self._all: list[Receipt] = []
            processes = [
                context.Process(target=client.run, args=(orders, self._done, asked_again, self._allowed))
                for orders in self._orders
            ]
            for process in processes:
                process.start()
            try:
                self._kill_and_compare(processes)
                for process in processes:
                    process.join(STORM_LIMIT_S)
                    self._must(process.exitcode == 0, f"a client ended with {process.exitcode}")
            finally:
                for process in processes:
                    process.kill()
            self._compare()
            self._reckon(chains)
            self.outcome.asked_again = sum(asked_again[:])
            self._bank.close()
        self.outcome.seconds = time.monotonic() - begun
        return self.outcome

    def _accounts(self) -> tuple[tuple[int, ...], ...]:
        """Cards under resellers, so that all clients meet at the same few purses."""
        resellers = [self._bank.account(FUNDS, None, "reseller") for _ in range(RESELLERS)]
        return tuple((self._bank.account(FUNDS, parent), parent) for parent in resellers * (CARDS // RESELLERS))

    # --- kills --------------------------------------------------------------------------------------------------------

    def _kill_and_compare(self, processes: Sequence[BaseProcess]) -> None:
        """A kill for each share of the operations, at a moment within it that the seed chooses."""
        share = self.operations / max(1, self.kills)
        for number in range(self.kills):
            at = int(share * (number + self._rng.uniform(0.1, 0.9)))
            wait_until(
                lambda at=at: sum(self._done[:]) >= at or not all(process.is_alive() for process in processes),
                STORM_LIMIT_S, f"{at} operations", poll_s=0.001,
            )  # fmt: skip
            self._must(all(process.is_alive() for process in processes), "a client ended before its last kill")
            self._server.kill9()
            self.outcome.kills += 1
            self._server.start()
            self._bank.close()
            self._bank = Bank(
                self._server, "ledger", *(self._bank.another(role) for role in ("proxy", "cashier", "admin")),
                _root(self._server), self._bank.tariff,
            )  # fmt: skip
            compared = self._compare()
            self._allowed.value = int(share * (number + 2) / self.clients) + 1
            self.say(f"kill {number + 1}: after {at} operations; {compared} receipts since the last one hold")

    def _compare(self) -> int:
        """Every receipt written since the last look is the ledger's, and asked again it answers the same."""
        new = list(self._new_receipts())
        self._all += new
        for receipt in new:
            self._compare_one(receipt)
        self.outcome.compared += len(new)
        return len(new)

    def _new_receipts(self) -> Iterator[Receipt]:
        for orders in self._orders:
            if not orders.receipts.exists():
                continue
            with orders.receipts.open("rb") as file:
                file.seek(self._read[orders.number])
                content = file.read()
            whole = content[: content.rfind(b"\n") + 1]
            self._read[orders.number] += len(whole)
            yield from (json.loads(line) for line in whole.splitlines())

    def _compare_one(self, receipt: Receipt) -> None:
        kind, key, answer = receipt["kind"], receipt["key"], receipt["answer"]
        bank = self._bank
        if kind in MONEY:
            again = plain(move(bank.cashier, kind, key, tuple(receipt["accounts"]), receipt["amount"]))
            self._must(again == answer, f"{kind} {key} answered {answer}, and after the kill {again}")
        elif kind == "settle":
            again = plain(bank.proxy.settle_call(key, settlement(receipt["charges"], 9_999, 0)))
            same = again["outcome"] == "already" and again["legs"] == answer["legs"]
            self._must(same, f"settle {key} answered {answer}, and after the kill {again}")
        elif kind == "record":
            again = bank.proxy.record_call(key, call_record(None))
            self._must(again == "already", f"record {key} is {again} after the kill")
        else:
            sql = (
                "SELECT grant_s, answered_at FROM live_call WHERE call_key = %s"
                " UNION ALL SELECT grant_s, answered_at FROM cdr WHERE call_key = %s"
            )
            rows = bank.sql(sql, key, key)
            holds = len(rows) == 1 and (kind != "answer" or rows[0]["answered_at"] is not None)
            holds = holds and rows[0]["grant_s"] >= receipt.get("grant_s", 60)
            self._must(holds, f"{kind} {key} was acknowledged, and the ledger has {rows}")

    # --- the end ------------------------------------------------------------------------------------------------------

    def _reckon(self, chains: Sequence[Sequence[int]]) -> None:
        """One effect for each key, and every balance is the sum of the receipts."""
        bank = self._bank
        self.outcome.acknowledged.update(receipt["kind"] for receipt in self._all)
        keys = Counter((receipt["kind"], receipt["key"]) for receipt in self._all if receipt["kind"] != "extend")
        self._must(max(keys.values()) == 1, f"two receipts for {keys.most_common(1)}")
        self._must(sum(self._done[:]) == len(self._all), f"{sum(self._done[:])} done, {len(self._all)} receipts")
        self._must(bank.cashier.audit() == [], f"the audit finds {bank.cashier.audit()}")
        self._must(bank.sql("SELECT * FROM live_call") == [], "calls are live that were settled")
        expected = {account: Decimal(FUNDS) for chain in chains for account in chain}
        entries: Counter[str] = Counter()
        for receipt in self._all:
            for account, amount in _effects(receipt):
                expected[account] += amount
                entries[receipt["key"]] += amount != 0
        balances = {row["account_id"]: row["balance"] for row in bank.sql("SELECT account_id, balance FROM purse")}
        self._must(expected == balances, f"receipts sum up to {expected}, and the balances are {balances}")
        funds = len(expected)
        (row,) = bank.sql("SELECT COUNT(*) AS entries FROM entry")
        self._must(row["entries"] == entries.total() + funds, f"{row} entries, {entries.total() + funds} expected")
        (row,) = bank.sql("SELECT COUNT(*) AS cdrs FROM cdr")
        cdrs = sum(receipt["kind"] in ("settle", "record") for receipt in self._all)
        self._must(row["cdrs"] == cdrs, f"{row} CDRs, {cdrs} receipts for one")

    def _must(self, holds: object, finding: str) -> None:
        if not holds:
            self.outcome.findings.append(finding)


def _effects(receipt: Receipt) -> Iterator[tuple[int, Decimal]]:
    """Account and amount of each entry that an operation made."""
    if receipt["kind"] in MONEY:
        amount = Decimal(receipt["amount"])
        signs = (-1, 1) if receipt["kind"] == "transfer" else (1,)
        for account, sign in zip(receipt["accounts"], signs, strict=True):
            yield account, sign * amount
    elif receipt["kind"] == "settle":
        for account, charge in zip(receipt["accounts"], receipt["charges"], strict=True):
            yield account, -Decimal(charge)


def _root(server: PrivateMariaDB) -> Any:
    return pymysql.connect(
        **server.admin_params(), database="ledger", autocommit=True, cursorclass=pymysql.cursors.DictCursor
    )
