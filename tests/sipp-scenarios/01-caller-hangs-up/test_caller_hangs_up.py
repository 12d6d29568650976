from decimal import Decimal


def test_caller_hangs_up(scene, world):
    """The seconds talked are charged, on a customer and on a card, and nothing stays held."""
    # 1. A phone of a customer with 10.00 and a card with 1.00, a cent a second.
    customer, card = world.customer("10"), world.card("1")
    phone = world.phone(customer)
    scene.callee()
    # 2. Both talk for 2.5 s and hang up.
    by_phone = scene.phones([phone], talk_s=2.5)
    by_ivr = scene.ivr([card], talk_s=2.5)
    by_phone.wait()
    by_ivr.wait()
    # 3. Wire and ledger agree, and the money is exact.
    for call in scene.truth():
        assert 200 == call.code
        assert ("caller", 3, Decimal("0.03")) == (call.cdr.end_reason, call.cdr.billed_s, call.charge)
    assert Decimal("9.97") == world.balance(customer)
    assert Decimal("0.97") == world.balance(card)
