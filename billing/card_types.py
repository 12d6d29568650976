"""Cards and vouchers as they go to the ledger and as its views show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

CardState = Literal["issued", "active", "used", "blocked", "expired", "cancelled"]
VoucherState = Literal["issued", "active", "blocked", "redeemed", "expired", "cancelled"]


@dataclass(frozen=True, slots=True)
class CardBatchRequest:
    """A batch of cards to issue. `cards`: number and hash of the PIN; names for parent (None: the vendor) and tariff.

    `zone_offsets` (billing.cards.zone_offsets, of the tariff's zone) is needed with `expires_days`.
    """

    name: str
    tariff: str
    value: Decimal | str
    cards: Sequence[tuple[str, str]]
    parent: str | None = None
    expires_at: datetime | None = None
    expires_days: int | None = None
    zone_offsets: Sequence[tuple[str, int]] | None = None
    distributor: str = ""
    country_code: str = ""


@dataclass(frozen=True, slots=True)
class VoucherBatchRequest:
    """A batch of vouchers to issue, by the hashes of their codes. `owner`: the reseller for whose accounts they are."""

    name: str
    currency: str
    value: Decimal | str
    code_hashes: Sequence[str]
    owner: str | None = None
    expires_at: datetime | None = None
    distributor: str = ""


@dataclass(frozen=True, slots=True)
class IssuedCards:
    """What issue_cards answers."""

    batch: str
    cards: int
    currency: str
    value: Decimal


@dataclass(frozen=True, slots=True)
class IssuedVouchers:
    """What issue_vouchers answers."""

    batch: str
    vouchers: int
    currency: str
    value: Decimal


@dataclass(frozen=True, slots=True)
class Activated:
    """How many cards were sold, and what was booked on all of them."""

    cards: int
    value: Decimal


@dataclass(frozen=True, slots=True)
class CardRow:
    """A row of v_card. What belongs to a batch is None for a card made by itself."""

    account_id: int
    name: str
    number: str | None
    batch: str | None
    serial: int | None
    state: CardState
    currency: str
    value: Decimal | None
    balance: Decimal
    held: Decimal
    available: Decimal
    calls: int
    parent_name: str | None
    tariff_name: str
    distributor: str | None
    expires_days: int | None
    zone: str | None
    expires_at: datetime | None
    created_at: datetime
    activated_at: datetime | None
    activated_by: str | None
    first_used_at: datetime | None
    blocked_at: datetime | None
    blocked_by: str | None
    cancelled_at: datetime | None
    cancelled_by: str | None


@dataclass(frozen=True, slots=True)
class CardBatch:
    """A row of v_batch."""

    batch_id: int
    name: str
    parent_name: str | None
    tariff_name: str
    currency: str
    value: Decimal
    cards: int
    issued: int
    sold: int
    used: int
    blocked: int
    expired: int
    cancelled: int
    sold_value: Decimal
    remaining: Decimal
    forfeited: Decimal
    expires_at: datetime | None
    expires_days: int | None
    zone: str
    distributor: str
    issued_at: datetime
    issued_by: str


@dataclass(frozen=True, slots=True)
class VoucherRow:
    """A row of v_voucher."""

    batch: str
    serial: int
    state: VoucherState
    currency: str
    value: Decimal
    owner_name: str | None
    distributor: str
    expires_at: datetime | None
    issued_at: datetime
    activated_at: datetime | None
    changed_at: datetime
    changed_by: str
    redeemed_at: datetime | None
    redeem_key: str | None
    account_name: str | None


@dataclass(frozen=True, slots=True)
class VoucherBatch:
    """A row of v_voucher_batch."""

    batch_id: int
    name: str
    owner_name: str | None
    currency: str
    value: Decimal
    vouchers: int
    issued: int
    active: int
    blocked: int
    redeemed: int
    cancelled: int
    redeemed_value: Decimal
    active_value: Decimal
    expires_at: datetime | None
    distributor: str
    issued_at: datetime
    issued_by: str


@dataclass(frozen=True, slots=True)
class VoucherRefusal:
    """A code that was refused, and what was wrong with it. `batch` None: nobody has such a code."""

    refused_at: datetime
    account_name: str
    source: str
    outcome: str
    batch: str | None
    serial: int | None
    actor: str


@dataclass(frozen=True, slots=True)
class CardQuote:
    """What an IVR announces. `outcome` 'ok', or the token that a call would be refused with; without the right PIN all
    else is None. `seconds` None: no number was dialled, a tariff sells by slots or windows, or an account has
    minute bundles."""

    outcome: str
    account: str | None
    currency: str | None
    balance: Decimal | None
    available: Decimal | None
    expires_at: datetime | None
    number: str | None
    destination: str | None
    seconds: int | None
