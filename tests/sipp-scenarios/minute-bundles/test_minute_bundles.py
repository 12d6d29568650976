from decimal import Decimal

from tests.support.world import IVR_ADDRESS, NUMBER


def test_bundle_first_then_money_then_the_cut(scene, world):
    """One call runs both dry; five at once share theirs to the second."""
    # 1. A chain with a bundle at each level, and five phones on one bundle.
    reseller = world.reseller("1", world.tariff("0.30"))
    customer = world.customer("0.02", parent=reseller)
    world.bundle(reseller, 5)
    world.bundle(customer, 12, seller=reseller)
    crowd = world.customer("0.06")
    world.bundle(crowd, 20)
    scene.callee()
    alone = scene.phones([world.phone(customer)], "phone_waits")
    (live,) = world.wait_for_live(customer)
    assert 10 == live["grant_s"]
    together = scene.phones(world.phones(crowd, 5), "phone_waits")
    # 2. The one is cut when bundle and money are used up.
    alone.wait()
    together.wait()
    calls = scene.truth()
    (call,) = [call for call in calls if call.cdr and call.cdr.account_id == customer.account_id]
    assert call.ended_by_proxy
    assert ("cut", 14) == (call.cdr.end_reason, call.cdr.billed_s)
    assert call.lasted(14)
    assert [(12, Decimal("0.02")), (5, Decimal("0.045"))] == [(leg.bundle_s, leg.charge) for leg in call.cdr.legs]
    assert Decimal(0) == world.balance(customer)
    # 3. The five used each second once.
    shared = [call for call in calls if call.cdr and call.cdr.account_id == crowd.account_id and call.answered]
    assert all(call.ended_by_proxy and call.lasted(call.cdr.billed_s) for call in shared)
    assert 26 == sum(call.cdr.billed_s for call in shared)
    assert 20 == sum(call.cdr.legs[0].bundle_s for call in shared)
    assert Decimal("0.06") == sum(call.charge for call in shared)
    assert Decimal(0) == world.balance(crowd)
    for account, used_s in ((reseller, 5), (customer, 12), (crowd, 20)):
        (left,) = world.cashier.bundles(account=account.name)
        assert (used_s, 0, 0) == (left.used_s, left.held_s, left.left_s)


def test_a_card_with_a_bundle(scene, world):
    """The announcement counts it in, and a card without money calls with it."""
    # 1. What the IVR is told.
    card, poor = world.card("0.30"), world.card("0")
    world.bundle(card, 20)
    world.bundle(poor, 3)
    ivr = scene.raw("4930555", host=IVR_ADDRESS)
    told = []
    for one in (card, poor):
        headers = [f"X-Meterline-Card: {one.number}", f"X-Meterline-PIN: {one.pin}"]
        told.append(ivr.ask("OPTIONS", ivr.new_dialog(NUMBER), headers=headers))
    assert [(200, "50"), (200, "3")] == [(answer.code, answer.header("X-Meterline-Seconds")) for answer in told]
    # 2. The poor one calls.
    scene.callee()
    calling = scene.ivr([poor], "ivr_waits")
    (call,) = scene.truth(calling.wait())
    assert ("cut", 3, 3, Decimal(0)) == (
        *(call.cdr.end_reason, call.cdr.billed_s),
        *(call.cdr.legs[0].bundle_s, call.charge),
    )
    assert call.lasted(3)
