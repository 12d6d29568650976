"""Users, trunks, prefixes and marks as the ledger answers them. Money is Decimal, times are aware UTC datetimes."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from billing.ledger_types import TrunkKind


@dataclass(frozen=True, slots=True)
class UserRow:
    """A row of v_user; `calls` are those in progress."""

    user_id: int
    account_id: int
    account_name: str
    name: str
    status: Literal["active", "suspended", "removed"]
    max_calls: int | None
    longest_call_s: int | None
    max_calls_per_second: int | None
    prefix_rules: str | None
    calls: int


@dataclass(frozen=True, slots=True)
class Username:
    """A SIP user name, and whose it is."""

    username: str
    realm: str
    user_id: int
    user_name: str
    account_name: str


@dataclass(frozen=True, slots=True)
class CallerNumber:
    """Whose calls come from a number on a trunk; `user_name` None: a card's."""

    trunk_name: str
    number: str
    account_name: str
    user_name: str | None


@dataclass(frozen=True, slots=True)
class TrunkShown:
    """A trunk with whatever is to be known about it. `owner_name` None: the vendor's, or kind customer."""

    trunk_id: int
    name: str
    kind: TrunkKind
    status: Literal["active", "suspended"]
    account_name: str | None
    user_name: str | None
    owner_name: str | None
    networks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PrefixRule:
    """An allowed or barred prefix; empty: every number. `user_name` None: the account's own rule."""

    account_name: str
    user_name: str | None
    prefix: str
    allowed: bool


@dataclass(frozen=True, slots=True)
class PremiumPrefix:
    """A range of premium numbers, and who says that it is one."""

    prefix: str
    name: str
    source: str


@dataclass(frozen=True, slots=True)
class EndMark:
    """A live call that somebody wants to end."""

    call_key: str
    reason: str
    login: str
    marked_at: datetime
    state: Literal["open", "answered"]
    sip_call_id: str
    sip_from_tag: str
    sip_to_tag: str | None


@dataclass(frozen=True, slots=True)
class Ending:
    """A call was marked to be ended on `node`, of which nothing was heard for `silent_ms` (None: never)."""

    node: str
    silent_ms: int | None


@dataclass(frozen=True, slots=True)
class ParentHold:
    """What an account's live calls hold of its parent's money, and how much that may be."""

    account_id: int
    name: str
    parent_name: str
    currency: str
    parent_hold_limit: Decimal
    parent_held: Decimal


@dataclass(frozen=True, slots=True)
class BelowCost:
    """What a reseller's tariff sells under the price that he buys at; prices of a minute, and connect fees."""

    account_name: str
    tariff_name: str
    buy_tariff_name: str
    currency: str
    prefix: str
    destination: str
    sell_per_minute: Decimal
    buy_per_minute: Decimal
    sell_connect_fee: Decimal
    buy_connect_fee: Decimal
