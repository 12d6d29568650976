from collections import Counter
from decimal import Decimal


def test_fifty_calls_on_ten_grants(scene, world):
    """Parallel calls share one balance to the last cent and not beyond it."""
    # 1. Fifty phones on 6.00, whole minutes at 0.60.
    customer = world.customer("6", world.tariff("0.60", initial_s=60, increment_s=60))
    phones = world.phones(customer, 50)
    scene.callee()
    calling = scene.phones(phones, talk_s=2.5)
    # 2. While they talk all the money is held, and none is missing.
    world.wait_for_live(customer, 10)
    assert (0, 6, 10) == (world.money(customer).available, world.money(customer).held, world.money(customer).calls)
    calling.wait()
    # 3. Ten through, forty without money.
    calls = scene.truth()
    assert {(200, ""): 10, (402, "insufficient_balance"): 40} == Counter(call.outcome for call in calls)
    assert [Decimal("0.60")] * 10 == [call.charge for call in calls if call.answered]
    assert Decimal(0) == world.balance(customer)
