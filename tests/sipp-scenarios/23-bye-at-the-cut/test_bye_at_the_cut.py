from collections import Counter
from decimal import Decimal

from tests.support.rawsip import answers

CALLS = 40


def test_bye_at_the_cut(scene, world):
    """A caller's BYE and the cut may cross; there is one settlement, and nobody is left talking."""
    # 1. Forty calls, a few at a time, so that their BYEs fall all over the timer's second.
    customer = world.customer("10", longest_call_s=3)
    callee = scene.raw_callee(answers())
    calling = scene.phones(world.phones(customer, CALLS), "hangs_up_at_the_cut", per_second=30)
    calling.wait()
    calls = scene.truth()
    # 2. Every call ended once, one way or the other, and was told to the callee.
    ended = Counter(call.cdr.end_reason for call in calls)
    assert CALLS == sum(ended.values())
    assert set(ended) <= {"caller", "cut"}
    told = {one.call_id for one in callee.received("BYE")}
    assert told >= {call.call_id for call in calls}
    # 3. Three seconds each.
    assert {(3, Decimal("0.03"))} == {(call.cdr.billed_s, call.charge) for call in calls}
    assert Decimal("8.80") == world.balance(customer)
