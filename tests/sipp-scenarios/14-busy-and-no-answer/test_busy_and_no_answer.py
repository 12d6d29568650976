from decimal import Decimal

import pytest


@pytest.mark.parametrize(
    ("refusal", "code", "result"),
    [
        ("486 Busy Here", 486, "busy"),
        ("480 Temporarily Unavailable", 480, "no_answer"),
        ("404 Not Found", 404, "rejected"),
    ],
)
def test_refused_by_the_called_side(scene, world, refusal, code, result):
    """The callee's own answer reaches the caller, once, and nothing is charged."""
    customer = world.customer("10")
    scene.refusing_callee(refusal)
    next_carrier = scene.callee("callee", carrier=2)
    (call,) = scene.truth(scene.phones([world.phone(customer)]).wait())
    assert (code, "") == call.outcome
    assert (result, code, Decimal(0)) == (call.cdr.result, call.cdr.sip_code, call.charge)
    assert world.carrier_ids[0] == call.cdr.carrier_id
    assert [] == next_carrier.received("INVITE")
    assert Decimal(10) == world.balance(customer)


def test_no_answer(scene, world):
    """Ringing ends at the limit, however often it is announced."""
    # 1. One phone rings silently, another announces it twice a second.
    customer = world.customer("10")
    callee = scene.callee("callee_rings")
    next_carrier = scene.callee("callee", carrier=2)
    once = scene.phones([world.phone(customer)], dialled="493011")
    often = scene.phones([world.phone(customer)], dialled="493012")
    # 2. Both are given up after 6 s, and the callees are told.
    for sipp, rings in ((once, 1), (often, 8)):
        (call,) = scene.truth(sipp.wait())
        ringing = [one for one in call.caller if one.code == 180]
        assert rings <= len(ringing)
        assert 408 == call.code
        assert 5 <= call.final.at - ringing[0].at <= 7.5
        assert ("no_answer", Decimal(0)) == (call.cdr.result, call.charge)
    callee.wait_for("CANCEL", count=2)
    # 3. Who rings is not called by way of another carrier.
    assert [] == next_carrier.received("INVITE")
    assert Decimal(10) == world.balance(customer)
