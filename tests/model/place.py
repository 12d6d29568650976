"""Where histories happen: a private server whose clock may be set and whose routines have probes; four accounts."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pymysql
import pymysql.cursors

from billing.card_types import CardBatchRequest
from billing.cards import zone_offsets
from billing.ledger import Ledger, LedgerAddress
from db.migrate import migrate
from stack.mariadb import PrivateMariaDB
from tests.db.bank import PASSWORDS, logins, new_key
from tests.model.cast import Place
from tests.model.probes import Change, install

DATABASE = "model"
BUNDLES = (
    ("cards' day", "reseller", 100, "day", "49,44", 0),
    ("reseller's week", None, 90, "week", "49", 2),
    ("reseller's gift", None, 70, "once", "4,!44", 1),
)
"""Minute bundles: little enough to be used up within a history, which then goes on with money."""
CARDS = ("card one", "card two")
"""Cards of a batch, which expire some days after their first use."""
EXPIRES_DAYS = 1
CARRIER_PRICE = "0.001"
"""A second at the first carrier; the second one has no tariff."""
TIMEOUT_S = 20.0


@contextlib.contextmanager
def made(change: Change | None = None) -> Iterator[Place]:
    """In memory where the machine has a tmpfs: a history is thousands of commits. `change`: a routine that is wrong."""
    parent = Path("/dev/shm") if Path("/dev/shm").is_dir() else None  # noqa: S108 - a folder of our own within it
    own = Path(tempfile.mkdtemp(prefix="meterline-model-", dir=parent))
    own.chmod(0o755)
    try:
        with PrivateMariaDB(own / "mariadb") as server:
            migrate(server.admin_params(), DATABASE, logins())
        # A login may not choose the time, and nothing is migrated into a server where it may; histories must.
        with PrivateMariaDB(own / "mariadb", options=("--secure-timestamp=NO",)) as server:
            yield _furnished(server, own / "nodes", change)
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _furnished(server: PrivateMariaDB, folder: Path, change: Change | None) -> Place:
    probes = install(server.admin_params(), DATABASE, change)
    addresses = {
        role: LedgerAddress(
            socket=server.socket, database=DATABASE, user=f"meterline_{role}", password=password, timeout_s=TIMEOUT_S
        )
        for role, password in PASSWORDS.items()
    }
    admin = Ledger(addresses["admin"])
    retail = admin.put_tariff("retail", "EUR", decimals=6)
    wholesale = admin.put_tariff("wholesale", "EUR", decimals=6)
    for tariff, prefix, fee, price, increment in (
        (retail, "49", "0", "0.01", 1), (wholesale, "49", "0", "0.005", 1),
        (retail, "44", "0.05", "0.02", 6), (wholesale, "44", "0", "0.01", 1),
    ):  # fmt: skip
        admin.put_rate(tariff, prefix, f"to {prefix}", connect_fee=fee, price=price, per_s=1, increment_s=increment)
    reseller = admin.create_account("reseller", "reseller", None, "EUR", wholesale)
    sold = admin.put_tariff("retail of the reseller", "EUR", decimals=6, owner_account_id=reseller)
    for prefix, fee, price, increment in (("49", "0", "0.01", 1), ("44", "0.05", "0.02", 6)):
        admin.put_rate(sold, prefix, f"to {prefix}", connect_fee=fee, price=price, per_s=1, increment_s=increment)
    accounts = {"reseller": reseller}
    accounts |= _issued(admin, Ledger(addresses["cashier"]))
    for name in CARDS:
        admin.set_account(accounts[name], max_calls=2)
    accounts["customer"] = admin.create_account("customer", "customer", None, "EUR", retail, "1")
    limits = {"daily_spend_limit": "1.5", "max_calls_per_hour": 4, "max_calls_per_hour_per_destination": 3}
    admin.set_account(accounts["customer"], **limits)
    chains = {"alice": ("card one", "reseller"), "bob": ("card two", "reseller"), "carol": ("customer",)}
    for name, (account, *_) in chains.items():
        user = admin.create_user(accounts[account], name)
        admin.put_digest(user, name, "example.net", "a" * 32, "b" * 64)
    for account_id in accounts.values():
        admin.set_account(account_id, country_code="49", international_prefixes="00", national_prefix="0")
    since = datetime(2000, 1, 1, tzinfo=UTC)
    for name, owner, seconds, period, prefixes, priority in BUNDLES:
        admin.add_bundle(name, seconds, period, prefixes, owner=owner, priority=priority)
    for serial, _ in enumerate(CARDS, 1):
        admin.assign_bundle(f"batch-{serial:06d}", "cards' day", since)
    for name in ("reseller's week", "reseller's gift"):
        admin.assign_bundle("reseller", name, since)
    admin.set_account(accounts["card two"], parent_hold_limit="0.5")
    _carriers(admin)
    admin.close()
    root = pymysql.connect(
        **server.admin_params(), database=DATABASE, autocommit=True, cursorclass=pymysql.cursors.DictCursor
    )
    login = {"socket": server.socket, "name": DATABASE, "proxy_password": PASSWORDS["proxy"], "timeout_s": TIMEOUT_S}
    return Place(login, addresses, root, probes, folder, accounts, chains)


def _carriers(admin: Ledger) -> None:
    """Two, the first with a tariff."""
    bought = admin.put_tariff("carrier's", "EUR", decimals=6)
    for prefix in ("49", "44"):
        admin.put_rate(bought, prefix, f"to {prefix}", price=CARRIER_PRICE, per_s=1, increment_s=1)
    admin.create_carrier("carrier 1", "192.0.2.1", priority=1, tariff="carrier's")
    admin.create_carrier("carrier 2", "192.0.2.2", priority=2)


def _issued(admin: Ledger, cashier: Ledger) -> dict[str, int]:
    """The cards of the reseller's batch, sold, with nothing in them: their accounts."""
    numbers = [(f"{serial:010d}", "c" * 64) for serial, _ in enumerate(CARDS, 1)]
    offsets = zone_offsets("UTC", datetime(2026, 1, 1, tzinfo=UTC))
    batch = CardBatchRequest(
        "batch", "retail of the reseller", "0", numbers, parent="reseller", expires_days=EXPIRES_DAYS,
        zone_offsets=offsets,
    )  # fmt: skip
    admin.issue_cards(new_key(), batch, "ann")
    cashier.activate_cards(new_key(), "batch", "ann")
    found = [cashier.card(number) for number, _ in numbers]
    cashier.close()
    return {name: card.account_id for name, card in zip(CARDS, found, strict=True) if card is not None}
