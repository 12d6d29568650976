from decimal import Decimal

from stack.processes import wait_until
from tests.support.rawsip import SDP, answers, new_branch
from tests.support.world import NUMBER

CALLS = 60
SOURCE = "127.0.0.31"


def call_and_cancel(caller, delay_s):
    """An INVITE, and a CANCEL after its first provisional answer and `delay_s`; whoever wins, the call is ended."""
    dialog, branch = caller.new_dialog(NUMBER), new_branch()
    caller.send(caller.request("INVITE", dialog, branch=branch, body=SDP))
    caller.wait_for(lambda one: one.code in (100, 180) and one.call_id == dialog.call_id, "100")
    caller.silent_for(delay_s, lambda one: False)
    caller.send(caller.request("CANCEL", dialog, cseq=1, branch=branch))
    final = next((one for one in caller.seen if is_final(one, dialog)), None) or caller.wait_for(
        lambda one: is_final(one, dialog), "final answer"
    )
    if final.code == 200:
        caller.establish(dialog, final)
        caller.send(caller.request("ACK", dialog, cseq=1))
        assert caller.hang_up(dialog).code == 200
    else:
        caller.send(caller.request("ACK", dialog, cseq=1, branch=branch, to=final.header("to")))
    return final.code


def is_final(message, dialog):
    return message.call_id == dialog.call_id and message.cseq == "1 INVITE" and message.code >= 200


def test_cancel_races_answer(scene, world):
    """However a CANCEL and a 200 cross, nobody talks unbilled and nobody pays for a cancelled call."""
    # 1. A trunk's calls are answered at once, and cancelled between 0 and 12 ms after their first sign of life.
    customer = world.customer("10")
    world.trunk(world.phone(customer), [f"{SOURCE}/32"])
    callee = scene.raw_callee(answers())
    caller = scene.raw(host=SOURCE)
    codes = [call_and_cancel(caller, delay_s=(number % 13) / 1000) for number in range(CALLS)]
    assert set(codes) <= {200, 487}
    # 2. Every callee that answered was told that it is over.
    answered = {one.call_id for one in callee.messages() if one.sent and one.code == 200 and one.method == "INVITE"}
    wait_until(lambda: answered == {one.call_id for one in callee.received("BYE")}, 10, "every callee has its BYE")
    # 3. The CDRs agree with the callers.
    calls = scene.truth()
    assert CALLS == len(calls)
    assert {"cancelled"} >= {call.cdr.result for call in calls if call.code == 487 and call.cdr}
    assert codes.count(200) * Decimal("0.01") == sum(call.charge for call in calls)
    assert Decimal(10) - codes.count(200) * Decimal("0.01") == world.balance(customer)
