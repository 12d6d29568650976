"""Accounts, phones, cards, trunks and their money, made for one test each through the ledger's own doors."""

from __future__ import annotations

import hashlib
import hmac
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from ulid import ULID

from billing.journal import SEGMENT_PREFIX, SEGMENT_SUFFIX
from billing.ledger import Ledger
from billing.ledger_types import Cdr
from stack.node import Stack
from stack.processes import wait_until

IVR_ADDRESS = "127.0.0.12"
"""Source address of the IVR's trunk."""
OPERATOR_ADDRESS = "127.0.0.13"
"""Source address of the trunk whose callers are known by their numbers."""
PASSWORD = "correct-horse"
PIN = "4711"
PREFIX = "49"
NUMBER = "4930123456"
"""A number that every tariff of `World.tariff` sells."""
_CDR_MISSING_S = 10
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Account:
    """A customer, card or reseller; for a card its number and PIN."""

    account_id: int
    name: str
    number: str = ""
    pin: str = PIN


@dataclass(frozen=True)
class Phone:
    """A user who shows a digest."""

    user_id: int
    username: str
    password: str = PASSWORD


@dataclass(frozen=True)
class Money:
    """A purse as it is now."""

    balance: Decimal
    held: Decimal
    available: Decimal
    calls: int


class World:
    """Everything in the ledger that a scenario needs. Names are unique, so tests do not see each other."""

    def __init__(self, stack: Stack, carrier_ports: Sequence[int], *, probed: bool = True) -> None:
        """Carriers at these ports; `probed`: they are asked with OPTIONS, as far as the node asks anybody."""
        self.stack = stack
        self.settings = stack.settings
        self.carrier_ports = tuple(carrier_ports)
        self.admin = Ledger.for_role(self.settings.database, "admin", timeout_s=10)
        self.cashier = Ledger.for_role(self.settings.database, "cashier", timeout_s=10)
        self.realm = self.settings.sip.realm
        self.carrier_ids = [
            self.admin.create_carrier(f"carrier{order}", "127.0.0.1", port=port, priority=order, probed=probed)
            for order, port in enumerate(carrier_ports, 1)
        ]
        self.admin.create_trunk("ivr", "ivr", [f"{IVR_ADDRESS}/32"])
        self.operator = self.admin.create_trunk("operator", "caller_number", [f"{OPERATOR_ADDRESS}/32"])
        self.wait_for_directory()

    # --- making ------------------------------------------------------------------------------------------------------

    def tariff(
        self,
        price: str = "0.60",
        *,
        prefix: str = PREFIX,
        increment_s: int = 1,
        owner: Account | None = None,
        **rate: Any,
    ) -> int:
        """A tariff with one rate, by default a cent a second, of a reseller or of the vendor; `rate` as
        AdminLedger.put_rate takes it."""
        tariff_id = self.admin.put_tariff(
            _name("tariff"), "EUR", owner_account_id=owner.account_id if owner else None
        )
        self.admin.put_rate(tariff_id, prefix, "somewhere", price=price, increment_s=increment_s, **rate)
        return tariff_id

    def customer(self, balance: str, tariff_id: int | None = None, **columns: Any) -> Account:
        """A customer with money; `columns` as set_account takes them, and parent_id, status."""
        return self._account("customer", balance, tariff_id, **columns)

    def reseller(self, balance: str, tariff_id: int | None = None, **columns: Any) -> Account:
        """A reseller with money."""
        return self._account("reseller", balance, tariff_id, **columns)

    def card(self, balance: str, tariff_id: int | None = None, **columns: Any) -> Account:
        """A card with money, number and PIN; one call at a time."""
        account = self._account("card", balance, tariff_id, **{"max_calls": 1, **columns})
        number = f"88{next(_numbers):08d}"
        self.admin.put_card(account.account_id, number, self.pin_hash(number, PIN))
        return Account(account.account_id, account.name, number)

    def phone(self, account: Account, *, max_calls: int | None = None) -> Phone:
        """A user of an account with a digest."""
        name = _name("phone")
        user_id = self.admin.create_user(account.account_id, name, max_calls=max_calls)
        ha1 = f"{name}:{self.realm}:{PASSWORD}".encode()
        self.admin.put_digest(
            user_id,
            name,
            self.realm,
            hashlib.md5(ha1).hexdigest(),  # noqa: S324 - SIP's digest (RFC 2617)
            hashlib.sha256(ha1).hexdigest(),
        )
        return Phone(user_id, name)

    def phones(self, account: Account, count: int) -> list[Phone]:
        return [self.phone(account) for _ in range(count)]

    def trunk(self, user: Phone, networks: Iterable[str]) -> None:
        """A customer's own trunk; known to the proxy when this returns."""
        self.admin.create_trunk(_name("trunk"), "customer", networks, user_id=user.user_id)
        self.wait_for_directory()

    def pin_hash(self, number: str, pin: str) -> str:
        key = self.settings.card_pin_key.get_secret_value().encode()
        return hmac.new(key, f"{number}:{pin}".encode(), hashlib.sha256).hexdigest()

    def bundle(self, account: Account, seconds: int, *, seller: Account | None = None, prefixes: str = PREFIX) -> str:
        """A minute bundle of so many seconds, once, which its seller (None: the vendor) gave the account."""
        name = _name("bundle")
        self.admin.add_bundle(name, seconds, "once", prefixes, owner=seller.name if seller else None)
        self.admin.assign_bundle(account.name, name)
        return name

    def top_up(self, account: Account, amount: str) -> None:
        self.cashier.top_up(str(ULID()), account.account_id, amount, "test", "scenario")

    def _account(
        self,
        kind: Any,
        balance: str,
        tariff_id: int | None,
        *,
        parent: Account | None = None,
        status: Any = "active",
        **columns: Any,
    ) -> Account:
        name = _name(kind)
        tariff_id = tariff_id or self.tariff(owner=parent)
        account_id = self.admin.create_account(kind, name, parent.account_id if parent else None, "EUR", tariff_id)
        if columns:
            self.admin.set_account(account_id, **columns)
        account = Account(account_id, name)
        if Decimal(balance):
            self.top_up(account, balance)
        if status != "active":
            self.admin.set_account_status(account_id, status)
        return account

    def wait_for_directory(self, limit_s: float = 10) -> None:
        """Until the SIP workers know the trunks and carriers that the ledger has."""
        path = self.settings.node.state_dir / "directory.json"
        names = [row["name"] for row in self.admin._select("SELECT name FROM v_trunk UNION SELECT name FROM v_carrier")]
        wait_until(
            lambda: all(f'"{name}"' in path.read_text(encoding="utf-8") for name in names),
            limit_s,
            "the directory has all trunks and carriers",
        )

    # --- looking -----------------------------------------------------------------------------------------------------

    def money(self, account: Account) -> Money:
        row = self.cashier._select(
            "SELECT balance, held, available, calls FROM v_account WHERE account_id = %s", account.account_id
        )[0]
        return Money(**row)

    def balance(self, account: Account) -> Decimal:
        """The balance once no call of the account is in progress any more."""
        wait_until(lambda: self.money(account).calls == 0, _CDR_MISSING_S, f"the calls of {account.name} are settled")
        money = self.money(account)
        assert money.held == 0, f"{account.name} holds {money.held} without a call"
        return money.balance

    def live_calls(self, account: Account | None = None) -> list[dict[str, Any]]:
        """Calls in progress, of one account (as leg 0) or of all."""
        rows = self.cashier._select("SELECT * FROM v_live_call")
        return [dict(row) for row in rows if account is None or row["account_id"] == account.account_id]

    def wait_for_live(
        self, account: Account, count: int = 1, state: str = "answered", limit_s: float = 10
    ) -> list[dict[str, Any]]:
        """Until so many calls of an account are answered (or 'open'); their rows."""

        def found() -> list[dict[str, Any]]:
            return [row for row in self.live_calls(account) if row["state"] == state]

        wait_until(lambda: len(found()) >= count, limit_s, f"{count} {state} calls of {account.name}")
        return found()

    def cdrs(self, call_ids: Iterable[str]) -> dict[str, list[Cdr]]:
        """The CDRs there are, by Call-ID."""
        found: dict[str, list[Cdr]] = {call_id: [] for call_id in call_ids}
        if not found:
            return found
        places = ", ".join(["%s"] * len(found))
        rows = self.cashier._select(f"SELECT call_key FROM v_cdr WHERE sip_call_id IN ({places})", *found)
        for row in rows:
            (cdr,) = self.cashier.cdrs(call_key=row["call_key"])
            found[cdr.sip_call_id].append(cdr)
        return found

    def cdrs_of(self, account: Account) -> list[Cdr]:
        """All CDRs in whose chain an account is."""
        return self.cashier.cdrs(account_id=account.account_id, limit=1000)

    def entries_of_call(self, call_key: str) -> dict[int, Decimal]:
        """What a call moved on each account."""
        rows = self.cashier._select(
            "SELECT account_id, SUM(amount) AS amount FROM v_entry WHERE call_key = %s GROUP BY account_id", call_key
        )
        return {row["account_id"]: row["amount"] for row in rows}

    # --- the end -----------------------------------------------------------------------------------------------------

    def wait_until_drained(self, limit_s: float = 20) -> None:
        """Until every fact of the node is in the ledger and no call is in progress."""
        journal, segments = self.settings.node.state_dir / "journal", f"{SEGMENT_PREFIX}*{SEGMENT_SUFFIX}"
        wait_until(
            lambda: not any(map(_unsettled, journal.glob(segments))) and not self.live_calls(),
            limit_s,
            "the journal is drained and no call is left",
        )

    def log_lines(self, *needles: str, limit: int = 40) -> list[str]:
        """The last lines of the proxy's log with any of these."""
        lines = self.stack.kamailio.log.read_text(errors="replace").splitlines()
        return [line for line in lines if any(needle in line for needle in needles)][-limit:]


def _unsettled(segment: Path) -> int:
    """Bytes of a journal segment that the drain has not settled; its position stands in a file beside it."""
    try:
        settled = int(segment.with_suffix(".done").read_text(encoding="ascii") or 0)
        return segment.stat().st_size - settled
    except FileNotFoundError:  # tidied away, or not looked at yet
        return segment.stat().st_size if segment.exists() else 0


def _name(kind: str) -> str:
    return f"{kind}{next(_numbers)}"
