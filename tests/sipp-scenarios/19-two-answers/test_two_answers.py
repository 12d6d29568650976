from decimal import Decimal

from stack.processes import wait_until
from tests.support.messages import tag_of
from tests.support.rawsip import SDP
from tests.support.world import NUMBER, PASSWORD

CALLS = 10


def two_phones_answer(callee, request):
    if request.method == "INVITE" and not request.to_tag:
        for tag in ("first", "second"):
            callee.answer(request, 200, tag=f"{tag}{request.call_id[4:14]}", body=SDP)


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
    # 2. The caller heard of one To-tag a call.
    calls = scene.truth()
    for call in calls:
        heard = {one.to_tag for one in call.caller if one.code == 200 and one.method == "INVITE"}
        assert 1 == len(heard)
        # 3. Both phones got ACK and BYE, the loser's from the proxy itself.
        for method in ("ACK", "BYE"):
            wait_until(lambda call=call, method=method: 2 == len(tags(callee, call, method)), 5, f"{method} for both")
    # 4. One CDR each (`truth`), one cent each.
    assert [Decimal("0.01")] * CALLS == [call.charge for call in calls]
    assert Decimal("0.90") == world.balance(customer)


def tags(callee, call, method):
    """To-tags of the requests that the two phones of a call got."""
    return {tag_of(one.header("to")) for one in callee.received(method) if one.call_id == call.call_id}
