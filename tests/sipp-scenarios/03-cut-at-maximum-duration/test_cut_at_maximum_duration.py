from decimal import Decimal


def test_cut_at_maximum_duration(scene, world):
    """The call ends at its last funded second, both sides are told, and the balance is zero, not below."""
    # 1. Five seconds' money on a customer, twelve on a card; both callers wait for a BYE.
    customer, card = world.customer("0.05"), world.card("0.12")
    phone = world.phone(customer)
    scene.callee()
    short = scene.phones([phone], "phone_waits")
    renewed = scene.ivr([card], "ivr_waits")
    short.wait()
    renewed.wait()
    # 2. Cut at the second, by the proxy, towards both.
    for sipp, seconds in ((short, 5), (renewed, 12)):
        (call,) = scene.truth(sipp)
        assert call.ended_by_proxy
        assert ("cut", seconds) == (call.cdr.end_reason, call.cdr.billed_s)
        assert call.lasted(seconds)
        assert Decimal(seconds) / 100 == call.charge
    # 3. Nothing left, nothing overdrawn.
    assert Decimal(0) == world.balance(customer)
    assert Decimal(0) == world.balance(card)
