from decimal import Decimal


def test_top_up_while_talking(scene, world):
    """New money counts at once, to the second that it pays."""
    # 1. A call on 0.06.
    customer = world.customer("0.06")
    scene.callee()
    calling = scene.phones([world.phone(customer)], "phone_waits")
    (live,) = world.wait_for_live(customer)
    assert 6 == live["grant_s"]
    # 2. Five cents more, and the grant grows by five seconds.
    world.top_up(customer, "0.05")
    # 3. Cut after 11 s, all of it spent.
    (call,) = scene.truth(calling.wait())
    assert call.ended_by_proxy
    assert ("cut", 11, Decimal("0.11")) == (call.cdr.end_reason, call.cdr.billed_s, call.charge)
    assert call.lasted(11)
    assert Decimal(0) == world.balance(customer)
