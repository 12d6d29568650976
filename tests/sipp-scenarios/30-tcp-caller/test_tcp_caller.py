from decimal import Decimal


def test_tcp_caller(scene, world):
    """The transport makes no difference to what is charged, or to who is told."""
    hanging_up, cut = world.customer("1"), world.customer("0.03")
    scene.callee()
    first = scene.phones([world.phone(hanging_up)], talk_s=1.5, transport="t1")
    second = scene.phones([world.phone(cut)], "phone_waits", transport="t1")
    (call,) = scene.truth(first.wait())
    assert ("caller", Decimal("0.02")) == (call.cdr.end_reason, call.charge)
    assert "/TCP" in call.final.headers("via")[0]
    assert call.cdr.source.startswith("tcp:")
    (call,) = scene.truth(second.wait())
    assert call.ended_by_proxy
    assert ("cut", 3, Decimal("0.03")) == (call.cdr.end_reason, call.cdr.billed_s, call.charge)
    assert [Decimal("0.98"), Decimal(0)] == [world.balance(hanging_up), world.balance(cut)]
