from stack.processes import wait_until


def test_emergency(scene, world):
    """Nobody is asked who he is, and nobody pays."""
    # 1. A stranger and the phone of an empty, suspended account dial 112 and 911.
    phone = world.phone(world.customer("0", status="suspended"))
    callee = scene.callee()
    stranger = scene.calls("phone", [("stranger", "")], dialled="112", talk_s=1.5)
    suspended = scene.phones([phone], dialled="+911", talk_s=1.5)
    # 2. Both talk; no 407 was sent.
    calls = [scene.truth(sipp.wait())[0] for sipp in (stranger, suspended)]
    for call, number in zip(calls, ("112", "911"), strict=True):
        assert 200 == call.code
        assert not [one for one in call.caller if one.code == 407]
        # 3. A CDR of nobody's, with the number and the seconds, without charge.
        assert (None, "emergency", number, ()) == (call.cdr.account_id, call.cdr.detail, call.cdr.callee, call.charges)
        assert ("answered", "caller") == (call.cdr.result, call.cdr.end_reason)
    assert ["112", "911"] == sorted(one.uri.split("@")[0][4:] for one in callee.received("INVITE"))


def test_emergency_is_not_cut(scene, world):
    """There is no money in it that could run out, and no limit on how many at once."""
    scene.callee()
    crowd = scene.calls("phone", [("stranger", "")] * 20, dialled="112", talk_s=2)
    calls = scene.truth(crowd.wait())
    assert [200] * 20 == [call.code for call in calls]
    wait_until(lambda: not world.live_calls(), 5, "nothing is live in the ledger")
