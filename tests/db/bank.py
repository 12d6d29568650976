"""A ledger to test with: its three logins, its administrator, and short ways to make accounts and calls."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Barrier
from typing import Any, TypeVar

import pymysql
import pymysql.cursors
from ulid import ULID

from billing.errors import KeyConflict, LedgerRefused
from billing.ledger import Ledger, LedgerAddress
from billing.ledger_types import CallRecord, OpenLeg, OpenRequest, Settlement
from db.migrate import RuntimeLogin, migrate
from stack.mariadb import PrivateMariaDB

T = TypeVar("T")

PASSWORDS = {"proxy": "proxy's own", "cashier": "cashier's own", "admin": "admin's own", "ivr": "ivr's own"}
TIMEOUT_S = 20.0  # tests load the server harder than a proxy does

_numbers = itertools.count(1)


def new_key() -> str:
    """A fresh key, as the proxy makes them."""
    return str(ULID())


def logins() -> list[RuntimeLogin]:
    """The runtime logins."""
    return [RuntimeLogin(role, f"meterline_{role}", password) for role, password in PASSWORDS.items()]  # type: ignore[arg-type]


@dataclass
class Bank:
    """One ledger, in a database of its own."""

    server: PrivateMariaDB
    database: str
    proxy: Ledger
    cashier: Ledger
    admin: Ledger
    root: pymysql.connections.Connection[pymysql.cursors.DictCursor]
    tariff: int

    @classmethod
    def found(cls, server: PrivateMariaDB, database: str) -> Bank:
        """Migrate a new database and connect to it."""
        migrate(server.admin_params(), database, logins())
        root = pymysql.connect(
            **server.admin_params(), database=database, autocommit=True, cursorclass=pymysql.cursors.DictCursor
        )
        proxy, cashier, admin = (cls._ledger(server, database, role) for role in ("proxy", "cashier", "admin"))
        return cls(server, database, proxy, cashier, admin, root, admin.put_tariff("retail", "EUR"))

    @staticmethod
    def _ledger(server: PrivateMariaDB, name: str, role: str, **more: Any) -> Ledger:
        address = LedgerAddress(
            port=server.port,
            database=name,
            user=f"meterline_{role}",
            password=PASSWORDS[role],
            timeout_s=TIMEOUT_S,
        )
        return Ledger(replace(address, **more))

    def another(self, role: str, **more: Any) -> Ledger:
        """One more client, for another thread or with other timeouts."""
        return self._ledger(self.server, self.database, role, **more)

    def close(self) -> None:
        for ledger in (self.proxy, self.cashier, self.admin):
            ledger.close()
        self.root.close()

    def drop(self) -> None:
        self.sql(f"DROP DATABASE {self.database}")
        self.close()

    # --- the administrator's way in ---------------------------------------------------------------------------------

    def sql(self, statement: str, *args: object) -> list[dict[str, Any]]:
        """What the server's administrator may do, past all routines."""
        with self.root.cursor() as cursor:
            cursor.execute(statement, args or None)
            return list(cursor.fetchall())

    def plain(self, role: str) -> pymysql.connections.Connection[pymysql.cursors.Cursor]:
        """A bare connection of a runtime login: what a thief of its password has."""
        return pymysql.connect(
            host="127.0.0.1",
            port=self.server.port,
            user=f"meterline_{role}",
            password=PASSWORDS[role],
            database=self.database,
            autocommit=True,
            read_timeout=TIMEOUT_S,
        )

    # --- accounts -----------------------------------------------------------------------------------------------------

    def account(
        self, balance: str = "0", parent: int | None = None, kind: str = "", credit_limit: str = "0", **columns: object
    ) -> int:
        """A new account with this much paid in: a card unless told otherwise."""
        name = f"account {next(_numbers)}"
        tariff = self.tariff if parent is None else self.tariff_of(parent)
        account_id = self.admin.create_account(kind or "card", name, parent, "EUR", tariff, credit_limit)  # type: ignore[arg-type]
        if columns:
            self.admin.set_account(account_id, **columns)
        if Decimal(balance):
            self.cashier.top_up(new_key(), account_id, balance, "test")
        return account_id

    def name_of(self, account_id: int) -> str:
        return str(self.sql("SELECT name FROM account WHERE id = %s", account_id)[0]["name"])

    def tariff_of(self, reseller: int) -> int:
        """A tariff that a reseller sells at."""
        return self.admin.put_tariff(f"retail of {reseller}", "EUR", owner_account_id=reseller)

    def chain(self, *balances: str) -> tuple[int, ...]:
        """Accounts above one another, the caller's first, each with its balance."""
        parent: int | None = None
        made: list[int] = []
        for number, balance in enumerate(reversed(balances), start=1):
            parent = self.account(balance, parent, "card" if number == len(balances) else "reseller")
            made.insert(0, parent)
        return tuple(made)

    def emptied(self, account_id: int) -> None:
        """Take out what is in it."""
        balance = self.purse(account_id)["balance"]
        if balance:
            self.cashier.adjust(new_key(), account_id, f"{-balance:f}", "test", "emptied")

    def user(self, account_id: int, **columns: Any) -> int:
        return self.admin.create_user(account_id, f"user {next(_numbers)}", **columns)

    def available(self, account_id: int) -> Decimal:
        return self.purse(account_id)["available"]

    def purse(self, account_id: int) -> dict[str, Any]:
        sql = "SELECT *, balance + credit_limit - held AS available FROM purse WHERE account_id = %s"
        return self.sql(sql, account_id)[0]

    # --- calls --------------------------------------------------------------------------------------------------------

    def opened(self, accounts: Sequence[int], **parts: Any) -> str:
        """Open a call and say its key."""
        key = new_key()
        assert self.proxy.open_call(key, request(accounts, **parts)).outcome == "opened"
        return key

    def give_up(self, *keys: str) -> None:
        """End calls that were never answered."""
        for key in keys:
            call = self.proxy.call_to_settle(key)
            assert call is not None
            charges = ["0"] * len(call.legs)
            self.proxy.settle_call(key, settlement(charges, call.grant_s, 0, result="no_answer", end_reason=""))

    def overdue(self, *keys: str) -> None:
        """Let these calls' funding have ended an hour ago."""
        for key in keys:
            self.sql("UPDATE live_call SET hold_until = UTC_TIMESTAMP(6) - INTERVAL 1 HOUR WHERE call_key = %s", key)

    def at_once(self, role: str, workers: int, work: Callable[[Ledger, int], T], **more: Any) -> list[T]:
        """Run `work(ledger, number)` in as many threads, each with a connection of its own, all starting together."""
        barrier = Barrier(workers)

        def run(number: int) -> T:
            ledger = self.another(role, **more)
            try:
                ledger.nodes() if role != "proxy" else ledger.config_version()
                barrier.wait(TIMEOUT_S)
                return work(ledger, number)
            finally:
                ledger.close()

        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(run, range(workers)))


def request(
    accounts: Sequence[int],
    holds: Sequence[Sequence[str]] | None = None,
    steps: Sequence[int] = (120, 60),
    smallest: str | Sequence[str] = "0.01",
    **more: Any,
) -> OpenRequest:
    """A call that charges these accounts. `holds`: for each leg one amount a step (default: 1.20 and 0.60)."""
    per_leg = holds or [["1.20", "0.60"][: len(steps)]] * len(accounts)
    least = [smallest] * len(accounts) if isinstance(smallest, str) else smallest
    legs = tuple(
        OpenLeg(account, 1, None, "Germany", '{"rate": "0.6"}', tuple(map(Decimal, hold)), Decimal(small))
        for account, hold, small in zip(accounts, per_leg, least, strict=True)
    )
    plain = OpenRequest(
        node="node1",
        user_id=None,
        caller="4930111",
        callee="493012345",
        dialled="03012345",
        source="192.0.2.1:5060",
        sip_call_id="a@example",
        sip_from_tag="from",
        rated_at=datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
        limit_s=3600,
        ring_limit_s=60,
        steps=tuple(steps),
        legs=legs,
    )
    return replace(plain, **more)


def settlement(charges: Sequence[str], grant_s: int = 120, billed_s: int = 60, **more: Any) -> Settlement:
    """An answered call's end; `charges` by leg."""
    plain = Settlement(
        grant_s=grant_s,
        talked_ms=billed_s * 1000,
        billed_s=billed_s,
        result="answered",
        detail="",
        end_reason="caller",
        sip_code=200,
        carrier_id=None,
        ended_ago_ms=0,
        charges={leg: Decimal(charge) for leg, charge in enumerate(charges)},
    )
    return replace(plain, **more)


def call_record(account_id: int | None, **more: Any) -> CallRecord:
    """A call that never opened."""
    plain = CallRecord(
        node="node1",
        account_id=account_id,
        user_id=None,
        caller="4930111",
        callee="493012345",
        dialled="03012345",
        source="192.0.2.1:5060",
        sip_call_id="a@example",
        result="insufficient_balance",
        detail="",
        sip_code=402,
        end_reason="",
        opened_ago_ms=0,
    )
    return replace(plain, **more)


def rows_read(ledger: Ledger, ask: Callable[[Ledger], object]) -> int:
    """How many rows the server touched for it, by index or otherwise."""

    def touched() -> int:
        rows = ledger._select("SHOW SESSION STATUS")
        return sum(int(row["Value"]) for row in rows if row["Variable_name"].startswith("Handler_read_"))

    ask(ledger)
    idle = -touched() + touched()
    before = touched()
    assert ask(ledger) is not None
    return touched() - before - idle


def refused(ask: Callable[[], object]) -> str:
    """The token of the refusal, "" if there was none."""
    try:
        ask()
    except (LedgerRefused, KeyConflict) as refusal:
        return refusal.token
    return ""


def ago(**span: float) -> datetime:
    return datetime.now(UTC) - timedelta(**span)
