from collections import Counter
from decimal import Decimal


def outcomes(calls):
    return Counter(call.outcome for call in calls)


def test_limits_of_simultaneous_calls(scene, world):
    """Per customer, tighter under the low-balance threshold, and per user."""
    # 1. Three customers, each with a limit of another kind.
    limited = world.customer("5", max_calls=3)
    low = world.customer("1.15", low_balance="1", low_balance_max_calls=1)
    free = world.customer("5")
    one_phone = world.phone(free, max_calls=1)
    scene.callee()
    # 2. All call at the same time.
    crowds = [
        scene.phones(world.phones(limited, 5), talk_s=2.5),
        scene.phones(world.phones(low, 5), talk_s=2.5),
        scene.phones([one_phone] * 3, talk_s=2.5),
    ]
    for crowd in crowds:
        crowd.wait()
    # 3. Exactly as many as may.
    busy = (486, "too_many_calls")
    by_crowd = [scene.truth(crowd) for crowd in crowds]
    assert {(200, ""): 3, busy: 2} == outcomes(by_crowd[0])
    assert {(200, ""): 2, busy: 3} == outcomes(by_crowd[1])
    assert {(200, ""): 1, busy: 2} == outcomes(by_crowd[2])
    assert {Decimal("0.03")} == {call.charge for calls in by_crowd for call in calls if call.answered}
    # 4. To the cent.
    assert Decimal("4.91") == world.balance(limited)
    assert Decimal("1.09") == world.balance(low)
    assert Decimal("4.97") == world.balance(free)
