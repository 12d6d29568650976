from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from ulid import ULID

from billing.card_types import CardBatchRequest
from billing.cards import day_end, zone_offsets
from tests.support.world import IVR_ADDRESS, NUMBER, PIN, PREFIX, Account

ZONE = "Europe/Berlin"
BATCH = "scenario 39"
NUMBERS = ("990000000101", "990000000202")


def issue(world):
    """Two cards of 1.00 at a cent a second that last a day after the first use."""
    tariff = world.admin.put_tariff("of scenario 39", "EUR", zone=ZONE)
    world.admin.put_rate(tariff, PREFIX, "somewhere", price="0.60")
    hashed = [(number, world.pin_hash(number, PIN)) for number in NUMBERS]
    offsets = zone_offsets(ZONE, datetime.now(UTC))
    batch = CardBatchRequest(BATCH, "of scenario 39", "1", hashed, expires_days=1, zone_offsets=offsets)
    world.admin.issue_cards(str(ULID()), batch, "test")
    rows = [world.cashier.card(number) for number in NUMBERS]
    return [Account(row.account_id, row.name, row.number) for row in rows]


def test_issued_card(scene, world):
    """Sold, announced, used, and its days begin."""
    # 1. Not sold yet: refused, worth nothing.
    card, other = issue(world)
    callee = scene.callee()
    (refused,) = scene.truth(scene.ivr([card]).wait())
    assert (403, "account_suspended") == refused.outcome
    assert [] == callee.received("INVITE")
    # 2. Sold: node and ledger announce the same.
    world.cashier.activate_card(str(ULID()), card.number, "test")
    ivr = scene.raw("4930555", host=IVR_ADDRESS)
    headers = [f"X-Meterline-Card: {card.number}", f"X-Meterline-PIN: {PIN}"]
    announced = ivr.ask("OPTIONS", ivr.new_dialog(NUMBER), headers=headers)
    quote = world.cashier.card_quote(card.number, world.pin_hash(card.number, PIN), NUMBER, "4930555")
    assert (200, "100", "1") == (
        announced.code, announced.header("X-Meterline-Seconds"), announced.header("X-Meterline-Balance"))  # fmt: skip
    assert ("ok", 100, Decimal(1)) == (quote.outcome, quote.seconds, quote.available)
    # 3. A call: charged, and from the answer on its days count. The other card of the batch waits.
    used_at = datetime.now(ZoneInfo(ZONE))
    (call,) = scene.truth(scene.ivr([card], talk_s=2.5).wait())[-1:]
    assert Decimal("0.03") == call.charge
    assert Decimal("0.97") == world.balance(card)
    row, waiting = world.cashier.card(card.number), world.cashier.card(other.number)
    assert ("used", "issued", None) == (row.state, waiting.state, waiting.first_used_at)
    days = {day_end(used_at.date() + timedelta(days=day), ZONE) for day in (1, 2)}  # unless midnight was in between
    assert row.expires_at in days
    assert row.first_used_at == call.cdr.answered_at
    (report,) = world.cashier.card_batches(BATCH)
    assert (2, 1, 1, 1, Decimal("0.97")) == (
        report.cards, report.issued, report.sold, report.used, report.remaining)  # fmt: skip
