from collections import Counter
from decimal import Decimal

from tests.support.rawsip import answers

HANG_UP_MS = (2950, 3000, 3030, 3060, 3100)
CALLS_EACH = 10
CALLS = CALLS_EACH * len(HANG_UP_MS)


def test_bye_at_the_cut(scene, world):
    """A caller's BYE and the cut may cross; there is one settlement, and nobody is left talking."""
    # 1. Fifty calls that are to be cut after 3 s, and are hung up just before, at, and just after it.
    customer = world.customer("10", longest_call_s=3)
    callee = scene.raw_callee(answers())
    crowds = [
        scene.phones(
            world.phones(customer, CALLS_EACH),
            "hangs_up_at_the_cut",
            per_second=30,
            edits=[('timeout="2950"', f'timeout="{after_ms}"')],
        )
        for after_ms in HANG_UP_MS
    ]
    for crowd in crowds:
        # SIPp answers a BYE that comes in the very millisecond in which it would send its own, and counts a failure.
        crowd.wait(codes=(0, 1))
    calls = scene.truth()
    # 2. Every call ended once, one way or the other, and was told to the callee.
    ended = Counter(call.cdr.end_reason for call in calls)
    assert CALLS == sum(ended.values())
    assert {"caller", "cut"} == set(ended)
    assert all(call.seconds <= 4 for call in calls)
    told = {one.call_id for one in callee.received("BYE")}
    assert told >= {call.call_id for call in calls}
    # 3. Three seconds each.
    assert {(3, Decimal("0.03"))} == {(call.cdr.billed_s, call.charge) for call in calls}
    assert Decimal("8.50") == world.balance(customer)
