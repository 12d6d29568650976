from decimal import Decimal

from stack.processes import wait_until
from tests.support import rpc
from tests.support.messages import tag_of
from tests.support.rawsip import SDP
from tests.support.world import NUMBER, PASSWORD

CALLS = 10


def two_phones_answer(callee, request):
    """Two To-tags, at once, or for every second call the other one when the call is over. Each repeats its 200 until it
    is acknowledged (RFC 3261 13.3.1.4)."""
    if request.method == "INVITE" and not request.to_tag:
        calls = len({one.call_id for one in callee.received("INVITE")})
        for tag, first_s in (("first", 0), ("second", 0.4 * (calls % 2))):
            for after_s in (0, 0.5, 1.5):
                own = f"{tag}{request.call_id[4:14]}"
                callee.later(first_s + after_s, lambda own=own: answer(callee, request, own))


def answer(callee, request, tag):
    if tag not in {one.to_tag for one in callee.received("ACK")}:
        callee.answer(request, 200, tag=tag, body=SDP)


def test_two_answers(scene, world):
    """One 2xx through, the other acknowledged and ended; never two, never none."""
    # 1. Ten calls, each answered twice at once.
    customer = world.customer("1")
    callee = scene.raw_callee(two_phones_answer)
    caller = scene.raw(world.phone(customer).username)
    for _ in range(CALLS):
        dialog = caller.new_dialog(NUMBER)
        assert 200 == caller.invite(dialog, password=PASSWORD).code
        caller.silent_for(0.1, lambda one: False)
        assert 200 == caller.hang_up(dialog).code
    # 2. One To-tag a call, also when the other comes again after the call is over.
    caller.silent_for(2.5, lambda one: False)
    for call_id in {one.call_id for one in caller.messages()}:
        assert 1 == len({one.to_tag for one in answers_heard(caller) if one.call_id == call_id})
    calls = scene.truth()
    for call in calls:
        # 3. Both phones got ACK and BYE, the loser's from the proxy itself.
        for method in ("ACK", "BYE"):
            wait_until(lambda call=call, method=method: 2 == len(tags(callee, call, method)), 5, f"{method} for both")
    # 4. One CDR each (`truth`), one cent each.
    assert [Decimal("0.01")] * CALLS == [call.charge for call in calls]
    assert Decimal("0.90") == world.balance(customer)
    # 5. What answers were dropped have left no transaction behind.
    wait_until(lambda: 0 == rpc.transactions(world.stack.kamailio.rpc_socket), 40, "no transaction is left", poll_s=0.5)


def tags(callee, call, method):
    """To-tags of the requests that the two phones of a call got."""
    return {tag_of(one.header("to")) for one in callee.received(method) if one.call_id == call.call_id}


def answers_heard(caller):
    return [one for one in caller.messages() if one.code == 200 and one.method == "INVITE"]
