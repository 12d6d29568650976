import threading
from decimal import Decimal

import pytest

from tests.support.rawsip import SDP, answers
from tests.support.world import NUMBER, PASSWORD

TALK_S = 4


def with_re_invites(caller, dialog):
    """A re-INVITE twice a second, each acknowledged, for as long as the call is up and 10 s at most."""
    for _ in range(20):
        if bye_within(caller, 0.5):
            return
        caller.ask("INVITE", dialog)
    raise AssertionError("10 s talked on 4 s of money")


def with_other_requests(caller, dialog):
    """INFO and UPDATE, which answer like any other request within the dialog."""
    for method in ("UPDATE", "INFO") * 10:
        if bye_within(caller, 0.5):
            return
        caller.ask(method, dialog)
    raise AssertionError("10 s talked on 4 s of money")


def only_listening(caller, dialog):
    assert bye_within(caller, 6)


def bye_within(caller, seconds):
    """Whether the BYE came; answered if so."""
    caller.silent_for(seconds, lambda one: one.is_request and one.method == "BYE")
    byes = [one for one in caller.seen if one.is_request and one.method == "BYE" and not one.sent]
    for bye in byes:
        caller.send(caller.response(bye, 200))
    return bool(byes)


def answer_all(callee, request):
    if request.method in ("INFO", "UPDATE"):
        callee.answer(request, 200)
    return answers()(callee, request)


def place(caller, ack_after_s):
    """Place a call, and acknowledge its answer after a while."""
    dialog = caller.new_dialog(NUMBER)
    challenge = caller.ask("INVITE", dialog)
    header = caller.authorization(challenge, "INVITE", dialog.target, caller.user, PASSWORD)
    caller.send(caller.request("INVITE", dialog, headers=[header], body=SDP))
    caller.establish(dialog, caller.wait_for_final(dialog, "INVITE"))
    caller.silent_for(ack_after_s, lambda one: False)
    caller.send(caller.request("ACK", dialog, cseq=dialog.cseq))
    return dialog


def test_lifetime_is_not_lengthened(scene, world):
    """Whatever a caller sends within his call, it ends at its last funded second."""
    # 1. Three customers with 0.04, three ways to ask for more.
    behaviours = [(with_re_invites, 0), (with_other_requests, 0), (only_listening, 2.5)]
    customers = [world.customer(f"0.0{TALK_S}") for _ in behaviours]
    callers = [scene.raw(world.phone(customer).username) for customer in customers]
    callee = scene.raw_callee(answer_all)
    failures = []

    def run(caller, behaviour, ack_after_s):
        try:
            behaviour(caller, place(caller, ack_after_s))
        except Exception as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [
        threading.Thread(target=run, args=(caller, behaviour, ack_after_s))
        for caller, (behaviour, ack_after_s) in zip(callers, behaviours, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [] == failures
    # 2. The callee answered re-INVITEs, or this proves nothing.
    assert 4 < len(callee.received("INVITE")) - len(callers)
    assert callee.received("INFO")
    # 3. Cut after 4 s by the proxy, towards both.
    for call in scene.truth():
        assert call.ended_by_proxy
        assert ("cut", TALK_S, Decimal("0.04")) == (call.cdr.end_reason, call.cdr.billed_s, call.charge)
        assert call.lasted(TALK_S)
    assert [Decimal(0)] * 3 == [world.balance(customer) for customer in customers]


@pytest.mark.parametrize("cseq", [2**31 - 1000, 2**31, 2**32 - 1])
def test_cseq_that_leaves_no_room_for_a_bye(scene, world, cseq):
    """An INVITE whose CSeq would make the proxy's own BYE invalid is refused."""
    caller = scene.raw(world.phone(world.customer("1")).username)
    dialog = caller.new_dialog(NUMBER)
    dialog.cseq = cseq - 1
    assert 400 == caller.ask("INVITE", dialog).code
