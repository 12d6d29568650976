from decimal import Decimal

from stack.processes import wait_until
from tests.support.rawsip import SDP
from tests.support.world import NUMBER, PASSWORD


def answers_after(seconds):
    """Says nothing, and then 200, once for each call."""

    def script(callee, request):
        if request.method == "INVITE" and len(callee.received("INVITE")) == 1:
            callee.later(seconds, lambda: callee.answer(request, 200, tag="late", body=SDP))

    return script


def test_late_answer(scene, world):
    """One 2xx a call, though another comes after it."""
    customer = world.customer("1")
    late = scene.raw_callee(answers_after(2.5))
    scene.callee(carrier=2)
    (call,) = scene.truth(scene.phones([world.phone(customer)], talk_s=1.5).wait())
    assert {"late"} != {one.to_tag for one in call.caller if one.code == 200 and one.method == "INVITE"}
    assert 1 == len({one.to_tag for one in call.caller if one.code == 200 and one.method == "INVITE"})
    assert world.carrier_ids[1] == call.cdr.carrier_id
    assert Decimal("0.02") == call.charge
    for method in ("ACK", "BYE"):
        wait_until(lambda method=method: late.received(method), 5, f"{method} to the late carrier")
    assert Decimal("0.98") == world.balance(customer)


def test_answer_after_everybody_gave_up(scene, world):
    """A 200 after the refusal is ended, costs nothing, and never reaches the caller, however often it comes."""
    customer = world.customer("1")
    late = scene.raw_callee(answers_again_and_again(after_s=6.8, times=16))
    caller = scene.raw(world.phone(customer).username)
    dialog = caller.new_dialog(NUMBER)
    assert (408, "carrier_failed") == code_and_token(caller.invite(dialog, password=PASSWORD, limit_s=9))
    # 8 s: until the proxy's transaction is forgotten, and beyond.
    assert caller.silent_for(8, lambda one: one.code == 200)
    for method in ("ACK", "BYE"):
        assert late.received(method)
    (call,) = scene.truth()
    assert Decimal(0) == call.charge
    assert Decimal(1) == world.balance(customer)


def answers_again_and_again(after_s, times):
    """A 200, and the same twice a second (RFC 3261 13.3.1.4: until the ACK comes), whatever comes."""

    def script(callee, request):
        if request.method == "INVITE" and len(callee.received("INVITE")) == 1:
            for repeat in range(times):
                callee.later(after_s + repeat / 2, lambda: callee.answer(request, 200, tag="late", body=SDP))

    return script


def code_and_token(message):
    return message.code, message.token
