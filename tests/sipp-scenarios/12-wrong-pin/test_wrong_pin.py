from dataclasses import replace
from decimal import Decimal


def test_wrong_pin(scene, world):
    """Guesses are refused and then locked out per caller number; the owner is not."""
    # 1. Three wrong PINs, then the right one, from the guesser's number; a card that does not exist.
    card = world.card("1")
    callee = scene.callee()
    wrong, nowhere = replace(card, pin="0000"), replace(card, number="8800000000")
    calls = []
    for attempt in (wrong, wrong, wrong, card, nowhere):
        calls += scene.truth(scene.ivr([attempt], caller="4930666").wait())
    # 2. All refused alike, without a CDR.
    assert [(403, "bad_credentials")] * 5 == [call.outcome for call in calls]
    assert [None] * 5 == [call.cdr for call in calls]
    assert [] == callee.received("INVITE")
    # 3. The owner calls from his own number.
    (call,) = scene.truth(scene.ivr([card], caller="4930777", talk_s=1.5).wait())
    assert (200, Decimal("0.02")) == (call.code, call.charge)
    assert Decimal("0.98") == world.balance(card)
