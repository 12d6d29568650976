from decimal import Decimal

from tests.support.rawsip import SDP, new_branch
from tests.support.world import NUMBER, PASSWORD

CALLS = 5


def answers_thrice(callee, request):
    if request.method == "INVITE" and not request.to_tag:
        for _ in range(3):
            callee.answer(request, 200, tag=f"tag{request.call_id[4:14]}", body=SDP)


def send_twice(caller, text):
    caller.send(text)
    caller.send(text)


def test_retransmissions(scene, world):
    """UDP may deliver everything twice; it is charged once."""
    customer = world.customer("1")
    callee = scene.raw_callee(answers_thrice)
    caller = scene.raw(world.phone(customer).username)
    for _ in range(CALLS):
        # 1. Each INVITE twice, with its digest.
        dialog = caller.new_dialog(NUMBER)
        challenge = caller.ask("INVITE", dialog)
        header = caller.authorization(challenge, "INVITE", dialog.target, caller.user, PASSWORD)
        send_twice(caller, caller.request("INVITE", dialog, headers=[header], body=SDP))
        caller.establish(dialog, caller.wait_for_final(dialog, "INVITE"))
        # 2. ACK and BYE twice.
        send_twice(caller, caller.request("ACK", dialog, cseq=dialog.cseq))
        bye = caller.request("BYE", dialog, branch=new_branch())
        send_twice(caller, bye)
        assert 200 == caller.wait_for_final(dialog, "BYE").code
    # 3. One call each.
    calls = scene.truth()
    assert CALLS == len(calls)
    assert [(200, Decimal("0.01"))] * CALLS == [(call.code, call.charge) for call in calls]
    for method in ("INVITE", "BYE"):
        branches = {one.headers("via")[0] for one in callee.received(method)}
        assert CALLS == len(branches)
    assert CALLS == len(world.cdrs_of(customer))
    assert Decimal("0.95") == world.balance(customer)
