from decimal import Decimal


def test_longest_call(scene, world):
    """The least of the limits along the chain ends the call, however much money there is."""
    # 1. A limit of one's own, and one of the reseller above.
    own = world.customer("10", longest_call_s=3)
    reseller = world.reseller("10", world.tariff("0.30"), longest_call_s=4)
    below = world.customer("10", parent=reseller)
    scene.callee()
    sipps = [scene.phones([world.phone(account)], "phone_waits") for account in (own, below)]
    # 2. Cut after 3 and 4 s.
    for sipp, seconds in zip(sipps, (3, 4), strict=True):
        (call,) = scene.truth(sipp.wait())
        assert call.ended_by_proxy
        assert ("cut", seconds, Decimal(seconds) / 100) == (call.cdr.end_reason, call.cdr.billed_s, call.charge)
        assert call.lasted(seconds)
    # 3. Charged on every leg.
    assert Decimal("9.97") == world.balance(own)
    assert Decimal("9.96") == world.balance(below)
    assert Decimal("9.98") == world.balance(reseller)
