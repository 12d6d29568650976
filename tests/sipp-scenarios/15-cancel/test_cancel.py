from decimal import Decimal


def test_cancel(scene, world):
    """A call given up while it rings costs nothing and frees its hold."""
    customer = world.customer("10")
    callee = scene.callee("callee_rings")
    calling = scene.phones([world.phone(customer)], "cancels", talk_s=1)
    # 1. While it rings money is held.
    world.wait_for_live(customer, state="open")
    assert Decimal("0.10") == world.money(customer).held
    # 2. Cancelled on both sides.
    (call,) = scene.truth(calling.wait())
    assert (487, "") == call.outcome
    callee.wait_for("CANCEL")
    assert ("cancelled", 487, Decimal(0)) == (call.cdr.result, call.cdr.sip_code, call.charge)
    # 3. All money is free again.
    assert Decimal(10) == world.balance(customer) == world.money(customer).available
