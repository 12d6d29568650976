"""Batches of cards and vouchers for the ledger's tests: made short, with hashes of numbers that tests know."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from billing import cards
from billing.card_types import CardBatchRequest, VoucherBatchRequest
from tests.db.bank import Bank, new_key

PIN_KEY = "k" * 32
PIN = "123456"
ACTOR = "anna"
_numbers = itertools.count(1)


def numbers_of(count: int) -> list[str]:
    """Card numbers that no other test has."""
    return [f"77{next(_numbers):08d}" for _ in range(count)]


def card_batch(numbers: Sequence[str], **parts: Any) -> CardBatchRequest:
    """Cards of 10.00 at the bank's tariff, with a PIN that tests know."""
    hashed = [(number, cards.pin_hash(PIN_KEY, number, PIN)) for number in numbers]
    plain = {"name": f"batch {next(_numbers)}", "tariff": "retail", "value": "10", "cards": hashed}
    return CardBatchRequest(**(plain | parts))


def issued(bank: Bank, count: int = 3, **parts: Any) -> tuple[str, list[str]]:
    """A batch that is issued: its name and its cards' numbers."""
    numbers = numbers_of(count)
    batch = card_batch(numbers, **parts)
    bank.admin.issue_cards(new_key(), batch, ACTOR)
    return batch.name, numbers


def sold(bank: Bank, **parts: Any) -> int:
    """One card that was activated: its account."""
    name, (number,) = issued(bank, 1, **parts)
    bank.cashier.activate_cards(new_key(), name, ACTOR)
    card = bank.cashier.card(number)
    assert card is not None
    return card.account_id


def expiring(zone: str, days: int, **parts: Any) -> dict[str, Any]:
    """What a batch needs for cards that expire after their first use."""
    offsets = cards.zone_offsets(zone, datetime(2025, 1, 1, tzinfo=UTC))
    return {"expires_days": days, "zone_offsets": offsets, "tariff": tariff_in(zone), **parts}


def tariff_in(zone: str) -> str:
    """The name that tests give the tariff of a zone."""
    return f"retail in {zone}"


def voucher_batch(codes: Sequence[str], **parts: Any) -> VoucherBatchRequest:
    """Vouchers of 5.00 for the vendor's own accounts."""
    hashes = [cards.code_hash(PIN_KEY, code) for code in codes]
    plain = {"name": f"vouchers {next(_numbers)}", "currency": "EUR", "value": "5", "code_hashes": hashes}
    return VoucherBatchRequest(**(plain | parts))


def codes_of(count: int) -> list[str]:
    """Codes that no other test has."""
    return [f"55{next(_numbers):012d}" for _ in range(count)]


def vouchers(bank: Bank, count: int = 1, *, active: bool = True, **parts: Any) -> tuple[str, list[str]]:
    """A batch of vouchers that can be redeemed: its name and the codes' hashes."""
    batch = voucher_batch(codes_of(count), **parts)
    bank.admin.issue_vouchers(new_key(), batch, ACTOR)
    if active:
        bank.cashier.activate_vouchers(batch.name, ACTOR)
    return batch.name, list(batch.code_hashes)
