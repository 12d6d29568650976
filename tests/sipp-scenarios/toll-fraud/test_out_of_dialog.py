"""Messages of dialogs that do not exist, and INVITEs that try to choose their own way."""

import secrets

import pytest

from tests.support.messages import Message
from tests.support.party import books_are_right, on_the_wire
from tests.support.rawsip import SDP, new_branch
from tests.support.world import NUMBER

METHODS = ("INVITE", "BYE", "MESSAGE", "INFO", "OPTIONS", "UPDATE", "NOTIFY", "REFER", "SUBSCRIBE", "PRACK")


def uri_of(party, user="stranger"):
    return f"sip:{user}@{party.host}:{party.port}"


def answer_to(party, text):
    """Send a request and wait for its final answer."""
    party.send(text)
    sent = Message(text)
    return party.wait_for(
        lambda one: one.code >= 200 and one.call_id == sent.call_id and one.cseq == sent.cseq,
        f"final answer to {sent.start_line}",
    )


@pytest.mark.parametrize("method", METHODS)
def test_forged_to_tag(attacker, gateway, method):
    """A To-tag that no dialog has, with a Route or an R-URI to another gateway: 481, and nothing is relayed."""
    ours, theirs = f"<sip:{attacker.proxy[0]}:{attacker.proxy[1]};lr>", f"<{uri_of(gateway)};lr>"
    for routes in ([], [theirs], [ours, theirs], [f"{ours}, {theirs}"]):
        dialog = attacker.new_dialog(NUMBER)
        dialog.remote += f";tag={secrets.token_hex(4)}"
        text = attacker.request(
            method, dialog, uri=uri_of(gateway), routes=routes, body=SDP if method == "INVITE" else ""
        )
        assert 481 == answer_to(attacker, text).code


def test_ack_of_nothing(attacker, gateway):
    """An ACK that belongs to no dialog is dropped, with and without a To-tag."""
    for tag in ("", ";tag=guessed"):
        dialog = attacker.new_dialog(NUMBER)
        dialog.remote += tag
        attacker.send(attacker.request("ACK", dialog, uri=uri_of(gateway), routes=[f"<{uri_of(gateway)};lr>"]))
    assert attacker.stays_quiet()


@pytest.mark.parametrize(
    "shape",
    [
        "Route: <{theirs};lr>",
        "Route: <{ours};lr>, <{theirs};lr>",
        "Route: <{ours};lr>\r\nRoute: <{theirs};lr>",
        "ROUTE: <{theirs};lr>",
        "Route : <{theirs};lr>",
        "Route:\r\n <{theirs};lr>",
        "Route: {theirs};lr",
        'Route: "<{ours}>" <{theirs};lr>',
        "Route: <{theirs}>",
    ],
)
@pytest.mark.parametrize("trusted", [False, True])
def test_preloaded_route(world, account, caller, gateway, callee, shape, trusted):
    """A Route without To-tag that leads past the proxy is refused with 403, whoever sends it and however spelt."""
    # 1. As a stranger and as a phone that shows its password.
    ours, theirs = f"sip:{caller.proxy[0]}:{caller.proxy[1]}", uri_of(gateway)
    headers = [shape.format(ours=ours, theirs=theirs)]
    if trusted:
        phone = world.phone(account)
        caller.user = phone.username
        challenge = caller.ask("INVITE", caller.new_dialog(NUMBER))
        uri = f"sip:{NUMBER}@{world.realm}"
        headers.append(caller.authorization(challenge, "INVITE", uri, phone.username, phone.password))
    # 2. Refused, and nobody hears of it.
    text = caller.request("INVITE", caller.new_dialog(NUMBER), headers=headers, body=SDP)
    assert 403 == answer_to(caller, text).code
    assert [] == callee.requests()
    assert [] == world.cdrs_of(account)


def test_route_to_the_proxy_itself(world, account, caller, callee):
    """A phone with an outbound proxy sets a Route to us: that is no fraud, and the carrier does not see it."""
    own = f"Route: <sip:{caller.proxy[0]}:{caller.proxy[1]};lr>"
    dialog = caller.call(world.phone(account), headers=[own])
    assert [] == callee.wait_for_request("INVITE").headers("route")
    assert 200 == caller.hang_up(dialog).code
    on_the_wire(world, [caller], [callee])
    books_are_right(world)


@pytest.mark.parametrize("uri", ["sip:{number}@{gateway}", "sip:{number};rn=1@{gateway}", "tel:+{number}"])
def test_foreign_request_uri(world, account, caller, callee, gateway, uri):
    """An INVITE for a foreign host is a call to its number through our carrier, never to that host."""
    phone = world.phone(account)
    caller.user = phone.username
    dialled = uri.format(number=NUMBER, gateway=f"{gateway.host}:{gateway.port}")
    dialog = caller.new_dialog(NUMBER)
    answer = caller.invite(dialog, uri=dialled, password=phone.password)
    callee.caught_up()
    for invite in callee.heard("INVITE"):
        assert f"sip:{NUMBER}@127.0.0.1:{callee.port};transport=udp" == invite.uri
    if answer.code == 200:
        assert 200 == caller.hang_up(dialog).code
    books_are_right(world)


@pytest.mark.parametrize("cseq", [2**31 - 1000, 2**31 - 1, 2**31, 2**32 + 1, 10**20])
def test_cseq_near_its_end(attacker, cseq):
    """The first INVITE too: a call that begins there could never be cut."""
    text = attacker.request("INVITE", attacker.new_dialog(NUMBER), cseq=cseq, body=SDP)
    assert 400 == answer_to(attacker, text).code


@pytest.mark.parametrize(
    "header",
    ["X-Note: hi\rX-Meterline-Card: 8800000001", "Subject: a\r b", "X: \r\rRoute: <sip:a@b>"],
)
def test_bare_cr(attacker, header):
    """A bare CR hides header names from whoever removes or counts headers: 400."""
    text = attacker.request("INVITE", attacker.new_dialog(NUMBER), headers=[header], body=SDP)
    assert 400 == answer_to(attacker, text).code


def test_bare_cr_in_the_body(attacker):
    """The body is held to the same rule: SDP lines end with CRLF."""
    text = attacker.request("INVITE", attacker.new_dialog(NUMBER), body=SDP.replace("\r\ns=-", "\rs=-"))
    assert 400 == answer_to(attacker, text).code


def test_cancel_of_nothing(attacker, gateway):
    """A CANCEL that matches no INVITE is answered 481 and goes nowhere."""
    for routes in ([], [f"<{uri_of(gateway)};lr>"]):
        text = attacker.request("CANCEL", attacker.new_dialog(NUMBER), uri=uri_of(gateway), routes=routes)
        assert 481 == answer_to(attacker, text).code


def test_cancel_of_somebody_elses_ringing_call(ringing, attacker):
    """Call-ID and tags do not make a CANCEL match; the branch of the INVITE does, and it is not guessable."""
    dialog = ringing.caller.new_dialog(NUMBER, call_id=ringing.dialog.call_id)
    dialog.local = ringing.dialog.local
    text = attacker.request("CANCEL", dialog, cseq=ringing.dialog.cseq, branch=new_branch())
    assert 481 == answer_to(attacker, text).code
    ringing.callee.answer(ringing.invite)
    answered = ringing.caller.wait_for_final(ringing.dialog, "INVITE")
    ringing.caller.establish(ringing.dialog, answered)
    ringing.caller.send(ringing.caller.request("ACK", ringing.dialog, cseq=ringing.dialog.cseq))
    ringing.callee.wait_for_request("ACK")
    ringing.hang_up_and_join()


@pytest.mark.parametrize(
    "method", ["REGISTER", "SUBSCRIBE", "MESSAGE", "REFER", "NOTIFY", "PUBLISH", "INFO", "BYE", "UPDATE", "PRACK"]
)
def test_other_methods(attacker, gateway, method):
    """Out of a dialog the proxy takes INVITE and OPTIONS alone: nothing else is relayed."""
    text = attacker.request(method, attacker.new_dialog(NUMBER), uri=uri_of(gateway))
    assert answer_to(attacker, text).code in (403, 405, 481, 501)


def test_forged_200(world, attacker, gateway):
    """A 200 to a call that is not there is dropped: no request to its Contact or Record-Route, no copy to its Vias."""
    answers = ["200 OK", "202 Accepted"]
    for status in answers:
        lines = [
            f"SIP/2.0 {status}",
            f"Via: SIP/2.0/UDP {attacker.proxy[0]}:{attacker.proxy[1]};branch=z9hG4bKforged",
            f"Via: SIP/2.0/UDP {gateway.host}:{gateway.port};branch=z9hG4bKreflected",
            f"Record-Route: <{uri_of(gateway)};lr>",
            f"From: <sip:a@{world.realm}>;tag=one",
            f"To: <sip:b@{world.realm}>;tag=two",
            f"Call-ID: {secrets.token_hex(8)}",
            "CSeq: 1 INVITE",
            f"Contact: <{uri_of(gateway)}>",
            "Content-Length: 0",
        ]
        attacker.send("\r\n".join(lines) + "\r\n\r\n")
    assert attacker.stays_quiet()
    assert gateway.stays_quiet(0.05)
    assert [] == gateway.messages()


def test_replaces(world, account, caller, callee):
    """An INVITE with Replaces would take over a call that somebody else pays for: the header does not pass."""
    victim = "Replaces: somebody@elsewhere;to-tag=a;from-tag=b"
    dialog = caller.call(
        world.phone(account), headers=[victim, "replaces : x;to-tag=c;from-tag=d", "Require: replaces"]
    )
    invite = callee.wait_for_request("INVITE")
    assert [] == invite.headers("replaces")
    assert 200 == caller.hang_up(dialog).code
    on_the_wire(world, [caller], [callee])
    books_are_right(world)
