"""Who and what is in a history: the place, its calls as the phones know them, movements of money as cashiers do."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pymysql
import pymysql.cursors

from billing.ledger import LedgerAddress
from tests.model.kamailio import Node
from tests.model.probes import Probes

FURNITURE = frozenset({
    "account", "purse", "user", "credential_digest", "credential_card", "trunk", "trunk_address", "carrier", "tariff",
    "credential_caller_number", "rate", "loaded_object", "bundle", "bundle_prefix", "account_bundle", "card",
    "card_batch", "zone_offset",
})  # fmt: skip
"""Tables that no history empties; yoyo's own have names of their own."""


@dataclass
class Call:
    """A call attempt as the phones know it."""

    number: int
    asked_ms: int
    node: Node
    user: str
    destination: str
    key: str = ""
    dialog: Any = None
    state: str = "asked"
    """asked, refused, rings, up, over, or gone: its node died while it was set up."""
    answered_ms: int | None = None
    over_ms: int | None = None
    phone_gone_ms: int | None = None
    unsure: bool = False
    """A process died between what this call's phones heard and what it wrote."""

    def __str__(self) -> str:
        return f"call {self.number}"


@dataclass
class Movement:
    """Money that somebody moved: what he asked, and what he was told."""

    key: str
    kind: str
    accounts: tuple[int, ...]
    amount: Decimal
    answer: object = None


@dataclass(frozen=True)
class Place:
    """Where histories happen: a server with probes in its routines, the accounts in it, a folder for journals."""

    server: dict[str, Any]
    logins: dict[str, LedgerAddress]
    root: pymysql.connections.Connection[pymysql.cursors.DictCursor]
    probes: Probes
    folder: Path
    accounts: dict[str, int]
    users: dict[str, tuple[str, ...]]
    """User name to the names of the accounts of his chain."""
    beginning: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """The rows that every history begins with; other tables of calls and money are empty then."""

    def __post_init__(self) -> None:
        self.beginning.update(
            purse=self.sql("SELECT purse.*, account_id AS id FROM purse"),
            card=self.sql("SELECT card.*, account_id AS id FROM card"),
            account=self.sql("SELECT * FROM account"),
        )
        names = self.sql("SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()"
                         " AND table_type = 'BASE TABLE'")  # fmt: skip
        emptied = {row["name"] for row in names if "yoyo" not in row["name"]} - FURNITURE
        self.beginning.update({name: [] for name in sorted(emptied)})

    def sql(self, statement: str, *args: object) -> list[dict[str, Any]]:
        with self.root.cursor() as cursor:
            cursor.execute(statement, args or None)
            return list(cursor.fetchall())
