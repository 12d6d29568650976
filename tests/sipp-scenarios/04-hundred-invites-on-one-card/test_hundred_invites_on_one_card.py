from collections import Counter
from decimal import Decimal


def test_hundred_invites_on_one_card(scene, world):
    """However close in time, one call a card."""
    # 1. A hundred callers share one card's number and PIN.
    card = world.card("10")
    scene.callee()
    scene.ivr([card] * 100, talk_s=4.5).wait()
    # 2. One through, ninety-nine busy.
    calls = scene.truth()
    assert {(200, ""): 1, (486, "too_many_calls"): 99} == Counter(call.outcome for call in calls)
    assert {"answered": 1, "too_many_calls": 99} == Counter(call.cdr.result for call in calls)
    # 3. Five cents in all.
    assert Decimal("0.05") == sum(call.charge for call in calls)
    assert Decimal("9.95") == world.balance(card)
