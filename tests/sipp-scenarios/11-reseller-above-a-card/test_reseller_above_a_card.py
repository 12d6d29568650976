from decimal import Decimal


def test_reseller_above_a_card(scene, world):
    """Every level pays at its own tariff."""
    reseller = world.reseller("10", world.tariff("0.30"))
    card = world.card("1", parent=reseller)
    scene.callee()
    (call,) = scene.truth(scene.ivr([card], talk_s=2.5).wait())
    assert (Decimal("0.03"), Decimal("0.015")) == call.charges
    assert Decimal("0.97") == world.balance(card)
    assert Decimal("9.985") == world.balance(reseller)


def test_reseller_cannot_pay(scene, world):
    """A customer does not learn of his reseller's money; the CDR does."""
    # 1. Above three cards: a dry reseller, a suspended one, and a rich one with an empty card.
    resellers = [world.reseller("0"), world.reseller("5", status="suspended"), world.reseller("5")]
    cards = [world.card(balance, parent=above) for balance, above in zip(("1", "1", "0"), resellers, strict=True)]
    callee = scene.callee()
    calls = scene.truth(scene.ivr(cards).wait())
    # 2. 480 and no reason for the first two; his own empty card he may know.
    assert [(480, "unavailable"), (480, "unavailable"), (402, "insufficient_balance")] == [
        call.outcome for call in calls
    ]
    # 3. The truth is in the CDR, and nowhere in the answer.
    for call, reason, above in zip(calls[:2], ("insufficient_balance", "account_suspended"), resellers, strict=False):
        assert reason in call.cdr.detail
        assert above.name in call.cdr.detail
        assert reason not in call.final.text
        assert above.name not in call.final.text
    # 4. No call, no charge.
    assert [] == callee.received("INVITE")
    assert [Decimal(1), Decimal(1), Decimal(0)] == [world.balance(card) for card in cards]
    assert Decimal(5) == world.balance(resellers[2])
