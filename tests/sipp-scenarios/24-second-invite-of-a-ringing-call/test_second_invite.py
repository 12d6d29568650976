from decimal import Decimal

from tests.support.rawsip import SDP, new_branch
from tests.support.world import NUMBER

RINGING_SOURCE, RACING_SOURCE = "127.0.0.32", "127.0.0.33"
OTHER_NUMBER = "4940999999"


def rings(callee, request):
    """Rings until it is cancelled."""
    if request.method == "INVITE":
        callee.answer(request, 180, "Ringing", tag="ring")
    elif request.method == "CANCEL":
        callee.answer(request, 200)
        invite = next(one for one in callee.received("INVITE") if one.call_id == request.call_id)
        callee.answer(invite, 487, "Request Terminated", tag="ring")
        return True
    return False


def cancel(caller, dialog, branch, cseq):
    caller.send(caller.request("CANCEL", dialog, cseq=cseq, branch=branch))
    final = caller.wait_for(lambda one: one.cseq == f"{cseq} INVITE" and one.code >= 300, "487")
    caller.send(caller.request("ACK", dialog, cseq=cseq, branch=branch, to=final.header("to")))
    return final


def test_second_invite_of_a_ringing_call(scene, world):
    """One (Call-ID, From-tag) is one call: 482 for the second."""
    # 1. A call rings.
    customer = world.customer("1")
    world.trunk(world.phone(customer), [f"{RINGING_SOURCE}/32"])
    callee = scene.raw_callee(rings)
    caller = scene.raw(host=RINGING_SOURCE)
    dialog, branch = caller.new_dialog(NUMBER), new_branch()
    caller.send(caller.request("INVITE", dialog, branch=branch, body=SDP))
    caller.wait_for(lambda one: one.code == 180, "180")
    # 2. Another INVITE with its Call-ID and From-tag, to another number.
    uri = f"sip:{OTHER_NUMBER}@{world.realm}"
    second = new_branch()
    caller.send(caller.request("INVITE", dialog, uri=uri, to=f"<{uri}>", branch=second, body=SDP))
    merged = caller.wait_for(lambda one: one.cseq == "2 INVITE" and one.code >= 200, "482")
    assert 482 == merged.code
    caller.send(caller.request("ACK", dialog, cseq=2, uri=uri, branch=second, to=merged.header("to")))
    # 3. The carrier heard of one; the first still rings, and is cancelled.
    assert [NUMBER] == [one.uri.split("@")[0].removeprefix("sip:") for one in callee.received("INVITE")]
    assert 487 == cancel(caller, dialog, branch, 1).code
    (cdr,) = world.cdrs_of(customer) or wait_for_cdrs(world, customer)
    assert ("cancelled", NUMBER, Decimal(0)) == (cdr.result, cdr.callee, sum(leg.charge for leg in cdr.legs))
    assert Decimal(1) == world.balance(customer) == world.money(customer).available


def test_both_at_the_same_instant(scene, world):
    """Two workers cannot both take the same Call-ID and From-tag."""
    customer = world.customer("1")
    world.trunk(world.phone(customer), [f"{RACING_SOURCE}/32"])
    callee = scene.raw_callee(rings)
    caller = scene.raw(host=RACING_SOURCE)
    for _ in range(10):
        dialog = caller.new_dialog(NUMBER)
        branches = {cseq: new_branch() for cseq in (1, 2)}
        for cseq, branch in branches.items():
            caller.send(caller.request("INVITE", dialog, cseq=cseq, branch=branch, body=SDP))
        # One of them rings, the other is 482; which one is chance.
        final = caller.wait_for(lambda one: one.code >= 300 and one.method == "INVITE", "482")
        assert 482 == final.code
        refused = int(final.cseq.split()[0])
        caller.send(caller.request("ACK", dialog, cseq=refused, branch=branches[refused], to=final.header("to")))
        if not any(one.code == 180 and one.call_id == dialog.call_id for one in caller.seen):
            caller.wait_for(lambda one, dialog=dialog: one.code == 180 and one.call_id == dialog.call_id, "180")
        assert 487 == cancel(caller, dialog, branches[3 - refused], 3 - refused).code
    assert 10 == len({one.headers("via")[0] for one in callee.received("INVITE")})
    assert Decimal(1) == world.balance(customer) == world.money(customer).available
    assert 10 == len(world.cdrs_of(customer))


def wait_for_cdrs(world, account):
    world.balance(account)
    return world.cdrs_of(account)
