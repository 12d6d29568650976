"""Until the 200 any To-tag passes as known to the dialog module: nothing can be relayed or ended by a guessed one."""

import pytest

from tests.support.party import forged
from tests.support.rawsip import SDP

METHODS = ("BYE", "INVITE", "INFO", "MESSAGE", "OPTIONS", "NOTIFY", "REFER", "UPDATE", "PRACK")
PASSED_EARLY = ("UPDATE", "PRACK")
"""What a ringing call may need (RFC 3262, 3311): to the callee's contact, and the callee knows his own tag."""


def own_uri(party):
    return f"sip:{party.user}@{party.host}:{party.port}"


def guess(party, method, stage, to):
    """A request in the ringing dialog with this To; its answer must come from the proxy."""
    dialog = forged(stage.dialog, cseq=50)
    uri = f"sip:stranger@{stage.gateway.host}:{stage.gateway.port}"
    body = SDP if method == "INVITE" else ""
    party.send(party.request(method, dialog, uri=uri, to=to, routes=[f"<{uri};lr>"], body=body))
    return party.wait_for(lambda one: one.code >= 200 and one.cseq == f"51 {method}", f"final answer to {method}")


def answer_and_join(stage):
    """The callee answers after all: the call stands, is counted and charged as if nobody had tried anything."""
    stage.callee.answer(stage.invite)
    answer = stage.caller.wait_for_final(stage.dialog, "INVITE")
    assert 200 == answer.code
    stage.caller.establish(stage.dialog, answer)
    stage.caller.send(stage.caller.request("ACK", stage.dialog, cseq=stage.dialog.cseq))
    stage.callee.wait_for_request("ACK")
    stage.hang_up_and_join()


@pytest.mark.parametrize("method", METHODS)
def test_guessed_to_tag(ringing, attacker, neighbour, method):
    """With a To-tag out of the air, from elsewhere and from the caller's own address."""
    to = ringing.dialog.remote.rpartition(";tag=")[0] + ";tag=guessed"
    for party in (attacker, neighbour):
        answer = guess(party, method, ringing, to)
        assert answer.code in (403, 405, 481, 491) or (party is neighbour and method in PASSED_EARLY), answer.text
    # Nobody but the callee heard of it, at his own contact; nothing ended the dialog that counts.
    ringing.callee.caught_up()
    assert {own_uri(ringing.callee)} >= {one.uri for one in ringing.callee.heard() if one.method != "INVITE"}
    assert ["INVITE"] == [one for one in ringing.callee.requests() if one not in PASSED_EARLY]
    answer_and_join(ringing)


@pytest.mark.parametrize("method", ["BYE", "INVITE", "INFO", "MESSAGE", "OPTIONS", "NOTIFY", "REFER"])
def test_right_early_tag(ringing, neighbour, method):
    """The early To-tag itself, from the caller's address: a BYE there would leave a call that nobody counts."""
    assert guess(neighbour, method, ringing, ringing.dialog.remote).code in (403, 405, 481, 491)
    assert ["INVITE"] == ringing.callee.requests()
    answer_and_join(ringing)


def test_prack_reaches_the_ringing_callee_alone(ringing, neighbour):
    """A PRACK (RFC 3262) is the one that a ringing call needs: it goes to the callee's contact, wherever it points."""
    guess(neighbour, "PRACK", ringing, ringing.dialog.remote)
    ringing.callee.caught_up()
    for seen in ringing.callee.heard("PRACK"):
        assert own_uri(ringing.callee) == seen.uri
        assert [] == seen.headers("route")
    answer_and_join(ringing)


def test_callee_as_an_attacker(ringing):
    """The callee's side has no address before its 200: nothing comes through from there."""
    dialog = ringing.callee.dialog_of(ringing.invite)
    for method in ("BYE", "INFO", "INVITE"):
        answer = ringing.callee.ask(method, dialog)
        assert answer.code in (403, 481, 491)
    assert [] == ringing.caller.requests()
    answer_and_join(ringing)
