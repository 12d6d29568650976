from decimal import Decimal


def test_callee_hangs_up(scene, world):
    """A BYE from the called side ends and charges the call like one from the caller."""
    # 1. A phone calls; the callee hangs up after 1.5 s.
    customer = world.customer("10")
    scene.callee("callee_hangs_up", talk_s=1.5)
    scene.phones([world.phone(customer)], "phone_waits").wait()
    # 2. The CDR names the callee.
    (call,) = scene.truth()
    assert (200, "callee", 2) == (call.code, call.cdr.end_reason, call.cdr.billed_s)
    # 3. Two cents.
    assert Decimal("0.02") == call.charge
    assert Decimal("9.98") == world.balance(customer)
