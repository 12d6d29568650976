"""What the audit of a large ledger costs, beside the plainest look at the same entries.

    .venv/bin/python -m bench.audit [--entries 10000000]

One call goes through the ledger's routines and is copied until there are so many entries: two legs a call, a thousand
customers of twenty resellers, over three hundred days. The audit of it must find nothing, and after one charge was
changed that charge alone. The peer is one sum over the entries' table, by its primary key, in the same server: the
audit reads the entries several times, and the calls, and must all the same not take much longer. The server is a
private one with a buffer pool of 128 MB, as the tests have it: nearly everything comes from the disk.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from stack.mariadb import PrivateMariaDB
from tests.db.bank import Bank, settlement

CUSTOMERS, RESELLERS = 1000, 20
PORTION = 50_000
DAYS = 300
KEY = "CONCAT('00', LPAD(copy.seq, 24, '0'))"
"""Of a copy: as a ULID of long ago, so that the tables grow at their ends, as they do with time."""
WHEN = f"UTC_TIMESTAMP(6) - INTERVAL {DAYS} DAY + INTERVAL copy.seq * {DAYS - 1} * 86400 DIV %(calls)s SECOND"


class LargeLedger:
    """`entries` in a ledger of its own, each of a copy of one call."""

    def __init__(self, server: PrivateMariaDB, entries: int) -> None:
        self.bank = Bank.found(server, "meterline")
        self._calls = entries // 2
        self._template = self._call()
        for table, key in (("cdr", "call_key"), ("cdr_leg", "call_key"), ("entry", "entry_key")):
            began_s = time.monotonic()
            columns = self._columns(table)
            for first in range(1, self._calls + 1, PORTION):
                self._copy(table, key, columns, first, min(first + PORTION - 1, self._calls))
            print(f"    {table}: {time.monotonic() - began_s:.0f} s", flush=True)
        self.bank.sql(
            "UPDATE purse JOIN (SELECT account_id, SUM(amount) AS posted FROM entry GROUP BY account_id) AS sums"
            " ON sums.account_id = purse.account_id SET purse.balance = sums.posted"
        )
        self.bank.sql("ANALYZE TABLE cdr, cdr_leg, entry")

    def _call(self) -> str:
        """A minute at 0.60, and at 0.60 of the reseller's; and who the copies are charged to."""
        money = str(self._calls)
        resellers = [self.bank.account(money, kind="reseller") for _ in range(RESELLERS)]
        customers = [
            self.bank.account(money, resellers[number % RESELLERS], "customer") for number in range(CUSTOMERS)
        ]
        self.bank.sql("CREATE TEMPORARY TABLE who (number INT PRIMARY KEY, customer BIGINT, reseller BIGINT)")
        for number, customer in enumerate(customers):
            self.bank.sql("INSERT INTO who VALUES (%s, %s, %s)", number, customer, resellers[number % RESELLERS])
        key = self.bank.opened([customers[0], resellers[0]])
        self.bank.proxy.settle_call(key, settlement(["0.60", "0.60"]))
        return key

    def _columns(self, table: str) -> list[str]:
        rows = self.bank.sql(
            "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s"
            " AND EXTRA NOT LIKE '%%GENERATED%%' ORDER BY ORDINAL_POSITION",
            table,
        )
        return [str(row["COLUMN_NAME"]) for row in rows]

    def _copy(self, table: str, key: str, columns: list[str], first: int, last: int) -> None:
        account = "IF(it.account_id = first_one.customer, who.customer, who.reseller)"
        made = {key: KEY, "account_id": account}
        made |= dict.fromkeys(("created_at", "opened_at", "answered_at", "ended_at", "settled_at"), WHEN)
        values = ", ".join(made.get(name, f"it.{name}") for name in columns) % {"calls": self._calls}
        self.bank.sql(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values}"  # noqa: S608  # nosec B608 - names alone
            f" FROM seq_{first}_to_{last} AS copy JOIN who ON who.number = copy.seq %% {CUSTOMERS}"
            " JOIN (SELECT customer FROM who WHERE number = 0) AS first_one"
            f" JOIN {table} AS it ON it.{key} = %s ORDER BY copy.seq",
            self._template,
        )

    def spoil(self) -> str:
        """Change the charge of one call, past the routines; its key."""
        (row,) = self.bank.sql(
            "SELECT call_key FROM cdr_leg WHERE leg = 0 AND call_key < %s ORDER BY call_key DESC LIMIT 1",
            self._template,
        )
        self.bank.sql("UPDATE cdr_leg SET charge = charge - 0.01 WHERE call_key = %s AND leg = 0", row["call_key"])
        return str(row["call_key"])


def timed(what: str, ledger: LargeLedger, sql: str, plain_s: float = 0.0) -> tuple[list[dict[str, Any]], float]:
    """Run a statement; print its time, and how often that of the plain one."""
    began_s = time.monotonic()
    rows = ledger.bank.sql(sql)
    took_s = time.monotonic() - began_s
    print(f"{what:44} {took_s:7.1f} s {took_s / (plain_s or took_s):5.2f} x", flush=True)
    return rows, took_s


def main() -> None:
    parser = argparse.ArgumentParser(description="What the audit of a large ledger costs.")
    parser.add_argument("--entries", type=int, default=10_000_000)
    entries = parser.parse_args().entries
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        with PrivateMariaDB(Path(name) / "mariadb") as server:
            print(f"{entries} entries")
            ledger = LargeLedger(server, entries)
            plain = "SELECT SUM(amount), COUNT(*) FROM entry FORCE INDEX (PRIMARY)"
            _, plain_s = timed("one sum over the entries' table", ledger, plain)
            found, _ = timed("audit", ledger, "CALL audit()", plain_s)
            assert not found, found
            spoilt = ledger.spoil()
            found, _ = timed("audit that finds a changed charge", ledger, "CALL audit()", plain_s)
            assert [("charge", spoilt)] == [(row["what"], row["id"]) for row in found], found
            ledger.bank.close()


if __name__ == "__main__":
    main()
