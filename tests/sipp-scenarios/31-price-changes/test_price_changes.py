from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.support.world import PREFIX


def test_price_changes(scene, world):
    """The price quoted is the price charged; the next call pays the new one."""
    # 1. A first call at a cent a second; its rate is in every worker's cache by then or not.
    tariff = world.tariff("0.60")
    customer = world.customer("1", tariff)
    first, second = world.phones(customer, 2)
    scene.callee()
    before = scene.phones([first], talk_s=2.5)
    world.wait_for_live(customer)
    # 2. While it talks the price doubles, and a third price is put down for tomorrow.
    world.admin.put_rate(tariff, PREFIX, "somewhere", price="1.20")
    tomorrow = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    world.admin.put_rate(tariff, PREFIX, "somewhere", price="60", effective_from=tomorrow)
    after = scene.phones([second], talk_s=2.5)
    before.wait()
    after.wait()
    # 3. Each paid what was true when it began.
    charges = {call.cdr.user_id: call.charge for call in scene.truth()}
    assert {first.user_id: Decimal("0.03"), second.user_id: Decimal("0.06")} == charges
    assert Decimal("0.91") == world.balance(customer)
