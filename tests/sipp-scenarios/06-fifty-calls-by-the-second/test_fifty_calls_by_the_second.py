from collections import Counter
from decimal import Decimal

CENT = Decimal("0.01")


def grants(budget_s, ladder):
    """What the ladder gives out, one call after the other, until not even its last step can be paid."""
    given = []
    while step := next((step for step in ladder if step <= budget_s), 0):
        given.append(step)
        budget_s -= step
    return given


def test_fifty_calls_by_the_second(scene, world):
    """The ladder hands the balance out to the last second; together the calls spend it and no more."""
    # 1. What must happen, from the settings.
    calls_settings = world.settings.calls
    expected = grants(24, (calls_settings.grant_s, *calls_settings.shorter_grants_s))
    assert [10, 10, 4] == expected
    # 2. Fifty phones at once on 0.24.
    customer = world.customer("0.24")
    phones = world.phones(customer, 50)
    scene.callee()
    calling = scene.phones(phones, "phone_waits")
    # 3. The purse is never below zero while they come, talk and are cut.
    lowest = Decimal("0.24")
    while calling.running:
        lowest = min(lowest, world.money(customer).available)
    assert 0 == lowest
    calling.wait()
    # 4. Three calls, cut where their grants end.
    calls = scene.truth()
    assert {(200, ""): 3, (402, "insufficient_balance"): 47} == Counter(call.outcome for call in calls)
    talked = [call for call in calls if call.answered]
    assert all(call.ended_by_proxy and call.cdr.end_reason == "cut" for call in talked)
    assert all(call.lasted(call.cdr.grant_s) for call in talked)
    assert sorted(expected) == sorted(call.cdr.billed_s for call in talked)
    assert sorted(step * CENT for step in expected) == sorted(call.charge for call in talked)
    assert Decimal(0) == world.balance(customer)
