"""A call stands; somebody who knows its Call-ID and tags sends requests of his own."""

import re

import pytest

from tests.support.party import books_are_right, forged
from tests.support.rawsip import SDP, uri_in

CSEQ_LIMIT = 2**31 - 1000
RELAYED = ("INVITE", "BYE", "INFO", "OPTIONS", "MESSAGE", "UPDATE", "NOTIFY")


def uri_of(party, user="stranger"):
    return f"sip:{user}@{party.host}:{party.port}"


def ask(party, method, dialog, **changes):
    """A forged request and its final answer; the answer to an INVITE is acknowledged as the answer asks for."""
    dialog.cseq += 1
    cseq = changes.pop("cseq", dialog.cseq)
    party.send(party.request(method, dialog, cseq=cseq, body=SDP if method == "INVITE" else "", **changes))
    return party.wait_for(
        lambda one: one.code >= 200 and one.cseq == f"{cseq} {method}" and one.call_id == dialog.call_id,
        f"final answer to {cseq} {method}",
    )


@pytest.mark.parametrize("method", ["INVITE", "INFO", "OPTIONS", "UPDATE"])
def test_another_request_uri_goes_to_the_dialogs_contact(up, neighbour, method):
    """A request within a dialog leaves for the contact of that dialog, whatever its R-URI and Route say."""
    # 1. R-URI and Route name another gateway, with the proxy's own Route before it and without.
    gateway = uri_of(up.gateway)
    for routes in ([], [f"<{gateway};lr>"], [*up.dialog.routes, f"<{gateway};lr>"]):
        answer = ask(neighbour, method, up.dialog, uri=gateway, routes=routes)
        # 2. The callee answers; the R-URI that he got is his own contact, and no Route is left.
        assert 200 == answer.code
        seen = up.callee.wait_for_request(method)
        assert (uri_of(up.callee, up.callee.user), []) == (seen.uri, seen.headers("route"))
        if method == "INVITE":
            up.caller.send(up.caller.request("ACK", up.dialog, cseq=up.dialog.cseq))
            up.callee.wait_for_request("ACK")
    # 3. The second gateway heard nothing (its fixture looks), the call goes on and is charged for its time.
    up.hang_up_and_join()


def test_callees_requests_go_to_the_callers_contact(up):
    """The other direction: a callee cannot send through the proxy to a third party either."""
    dialog = up.callee.dialog_of(up.invite)
    gateway = uri_of(up.gateway)
    answer = ask(up.callee, "INFO", dialog, uri=gateway, routes=[*dialog.routes, f"<{gateway};lr>"])
    assert 200 == answer.code
    assert uri_of(up.caller, up.caller.user) == up.caller.wait_for_request("INFO").uri
    up.hang_up_and_join()


def test_bye_with_the_attackers_uri_reaches_the_callee(up):
    """A BYE to oneself would end the billing and leave the call: it reaches the callee, and the call is settled."""
    answer = ask(up.caller, "BYE", up.dialog, uri=uri_of(up.caller), routes=[f"<{uri_of(up.caller)};lr>"])
    assert 200 == answer.code
    assert uri_of(up.callee, up.callee.user) == up.callee.wait_for_request("BYE").uri
    assert [] == up.caller.heard("BYE")
    up.joined("caller")


@pytest.mark.parametrize("method", ["BYE", "INFO", "INVITE"])
def test_stale_cseq(up, neighbour, method):
    """A request whose CSeq is not above the last one is answered 500 (RFC 3261 12.2.2) and the call goes on."""
    # 1. The INVITE's own CSeq, and an older one.
    for cseq in (up.dialog.cseq, 1):
        assert 500 == ask(neighbour, method, forged(up.dialog), cseq=cseq).code
    # 2. Nobody heard of it and the call is still there.
    assert ["INVITE", "ACK"] == up.callee.requests()
    assert 1 == len(up.world.live_calls(up.account))
    up.hang_up_and_join()


@pytest.mark.parametrize("method", [*RELAYED, "REFER"])
def test_right_tags_from_another_address(up, attacker, method):
    """Call-ID and tags can be overheard: from an address that is neither side's the answer is 403."""
    callers_side, callees_side = forged(up.dialog), up.callee.dialog_of(up.invite)
    for side in (callers_side, callees_side):
        side.cseq = 100
        assert 403 == ask(attacker, method, side).code
    assert ["INVITE", "ACK"] == up.callee.requests()
    assert [] == up.caller.requests()
    up.hang_up_and_join()


def test_callers_address_with_the_callees_tags(up, neighbour):
    """The caller cannot speak as the callee: each side has its own address."""
    side = up.callee.dialog_of(up.invite)
    assert 403 == ask(neighbour, "BYE", side).code
    assert [] == up.caller.requests()
    up.hang_up_and_join()


def test_ack_from_another_address(up, attacker):
    """An ACK has no answer; one from elsewhere is not passed on."""
    attacker.send(attacker.request("ACK", forged(up.dialog), cseq=up.dialog.cseq))
    attacker.send(
        attacker.request("ACK", forged(up.dialog), uri=uri_of(up.gateway), routes=[f"<{uri_of(up.gateway)};lr>"])
    )
    assert attacker.stays_quiet()
    assert ["INVITE", "ACK"] == up.callee.requests()
    up.hang_up_and_join()


@pytest.mark.parametrize("cseq", [CSEQ_LIMIT, 2**31 - 1, 2**31, 2**32 - 1, 10**20])
def test_cseq_near_its_end(up, neighbour, cseq):
    """A CSeq that leaves no room for the proxy's own BYE would make the call uncuttable: 400, on every request."""
    for method in ("INFO", "INVITE", "BYE"):
        assert 400 == ask(neighbour, method, forged(up.dialog), cseq=cseq).code
    assert ["INVITE", "ACK"] == up.callee.requests()
    up.hang_up_and_join()


def test_highest_cseq_can_still_be_cut(world, caller, callee):
    """The highest CSeq that passes leaves the proxy room for its own BYE: the call is cut on time."""
    account = world.customer("0.02")
    dialog = caller.call(world.phone(account))
    callee.wait_for_request("ACK")  # an INFO that overtakes it is 491
    assert 200 == ask(caller, "INFO", dialog, cseq=CSEQ_LIMIT - 1).code
    bye = callee.wait_for_request("BYE", limit_s=6)
    assert f"{CSEQ_LIMIT} BYE" == bye.cseq
    caller.wait_for_request("BYE")
    assert 0 == world.balance(account)


def test_bare_cr_in_a_dialog(up, neighbour):
    """A bare CR inside a header hides what follows it: 400."""
    request = neighbour.request("INFO", forged(up.dialog), headers=["X-Note: hi\rX-Meterline-Card: 1"])
    neighbour.send(request)
    neighbour.wait_for(lambda one: one.code == 400, "400")
    assert ["INVITE", "ACK"] == up.callee.requests()
    up.hang_up_and_join()


def test_refused_at_once_after_a_dropped_reply(up, neighbour):
    """Each worker has just dropped a reply of a transaction, and must not take the next request to be that one's: a
    request that is refused before its transaction is looked for has its answer all the same."""
    # 1. The callee answers with other tags, far more often than there are workers.
    for number in range(40):
        up.callee.tags[up.invite.call_id] = f"other{number}"
        up.callee.answer(up.invite)
        # 2. What is refused at once.
        request = neighbour.request("INFO", forged(up.dialog), headers=["X-Note: hi\rX-Meterline-Card: 1"])
        neighbour.send(request)
        neighbour.wait_for(lambda one: one.code == 400, f"400 after dropped reply {number}")
    assert 200 == up.caller.hang_up(up.dialog).code


def test_refer(up):
    """A transfer makes somebody else place a call that nobody here would pay for: 405."""
    answer = up.caller.ask("REFER", up.dialog, headers=[f"Refer-To: <{uri_of(up.gateway)}>"])
    assert 405 == answer.code
    assert ["INVITE", "ACK"] == up.callee.requests()
    up.hang_up_and_join()


@pytest.mark.parametrize("method", ["SUBSCRIBE", "PUBLISH", "REGISTER", "FOO"])
def test_other_methods_in_a_dialog(up, method):
    """Only what a call needs passes."""
    assert up.caller.ask(method, up.dialog).code in (405, 501)
    assert ["INVITE", "ACK"] == up.callee.requests()
    up.hang_up_and_join()


def test_bye_repeated_after_the_end(up, neighbour):
    """The same BYE as a new transaction, right after the end (two BYEs may cross): nothing is settled twice."""
    first = up.hang_up_and_join()
    for _ in range(2):
        assert ask(neighbour, "BYE", up.dialog).code in (200, 481)
    books_are_right(up.world)
    assert [first] == up.world.cdrs_of(up.account)


def test_a_call_that_ended_is_no_way_to_the_callee(up, neighbour):
    """After the end all but a crossing BYE is answered 481: no re-INVITE brings an unpaid call back to life."""
    up.hang_up_and_join()
    heard = up.callee.requests()
    for method in ("INVITE", "UPDATE", "INFO"):
        assert 481 == ask(neighbour, method, up.dialog).code
    assert heard == up.callee.requests()


def test_between_200_and_ack(world, account, caller, callee, neighbour):
    """No CSeq is recorded between 200 and ACK: all but BYE waits (491), or it could be replayed later."""
    # 1. The call is answered, the caller has not acknowledged.
    dialog = caller.dial(world.phone(account))
    answer = caller.wait_for_final(dialog, "INVITE")
    caller.establish(dialog, answer)
    for method in ("INVITE", "INFO", "OPTIONS", "MESSAGE", "UPDATE"):
        assert 491 == ask(neighbour, method, forged(dialog)).code
    assert ["INVITE"] == callee.requests()
    # 2. A BYE is for him to send at any time.
    assert 200 == caller.hang_up(dialog).code
    callee.wait_for_request("BYE")
    assert re.fullmatch(r"\d+ BYE", callee.heard("BYE")[0].cseq)
    assert world.balance(account) == 1 - world.cdrs_of(account)[0].legs[0].charge


def test_forged_200_of_a_call_that_stands(up, attacker, neighbour):
    """A 200 with the very Call-ID and tags of a call, its transaction long over, goes nowhere: not to its second Via,
    not to its Contact, not to its Record-Route."""
    proxy = f"{up.caller.proxy[0]}:{up.caller.proxy[1]}"
    for sender in (attacker, neighbour):
        lines = [
            "SIP/2.0 200 OK",
            f"Via: SIP/2.0/UDP {proxy};branch=z9hG4bKforged{sender.port}",
            f"Via: SIP/2.0/UDP {up.gateway.host}:{up.gateway.port};branch=z9hG4bKreflected;rport",
            f"From: {up.dialog.local}",
            f"To: {up.dialog.remote}",
            f"Call-ID: {up.dialog.call_id}",
            f"CSeq: {up.dialog.cseq} INVITE",
            f"Contact: <{uri_of(up.gateway)}>",
            "Content-Length: 0",
        ]
        sender.send("\r\n".join(lines) + "\r\n\r\n")
        assert sender.stays_quiet()
    up.gateway.caught_up()
    assert [] == up.gateway.messages()
    assert ["INVITE", "ACK"] == up.callee.requests()
    assert uri_in(f"<{up.dialog.target}>") == uri_of(up.callee, up.callee.user)
    up.hang_up_and_join()
