"""One message that two readers take for two, or for another: nothing hidden in it is believed or passed on."""

import re

import pytest

from tests.support.messages import Message
from tests.support.party import on_the_wire
from tests.support.pings import answers_before_pong, final_or_silence
from tests.support.rawsip import SDP, RawSip, new_branch
from tests.support.tcp import TcpEnd
from tests.support.world import NUMBER

HOST = "127.0.0.66"
SMUGGLED = "smuggled"


def with_password(caller, phone, dialog):
    """The Proxy-Authorization of the next INVITE of this dialog."""
    caller.user = phone.username
    challenge = caller.ask("INVITE", dialog)
    return caller.authorization(challenge, "INVITE", dialog.target, phone.username, phone.password)


def smuggled(end, headers=()):
    """A whole request of its own, to be hidden in another one's body."""
    transport = "TCP" if isinstance(end, TcpEnd) else "UDP"
    lines = [
        f"OPTIONS sip:{SMUGGLED} SIP/2.0",
        f"Via: SIP/2.0/{transport} {end.host}:{end.port};branch={new_branch()};rport",
        "Max-Forwards: 70",
        f"From: <sip:a@b>;tag={SMUGGLED}",
        "To: <sip:b@b>",
        f"Call-ID: {SMUGGLED}",
        "CSeq: 1 OPTIONS",
        *headers,
        "Content-Length: 0",
    ]
    return "\r\n".join(lines) + "\r\n\r\n"


def carrying(end, body, length_lines):
    """An INVITE whose body is another request, with these Content-Lengths."""
    transport = "TCP" if isinstance(end, TcpEnd) else "UDP"
    lines = [
        f"INVITE sip:{NUMBER}@meterline.test SIP/2.0",
        f"Via: SIP/2.0/{transport} {end.host}:{end.port};branch={new_branch()};rport",
        "Max-Forwards: 70",
        "From: <sip:a@meterline.test>;tag=outer",
        f"To: <sip:{NUMBER}@meterline.test>",
        f"Call-ID: outer-{new_branch()}",
        "CSeq: 1 INVITE",
        f"Contact: <sip:a@{end.host}:{end.port}>",
        *length_lines,
    ]
    return "\r\n".join(lines) + "\r\n\r\n" + body


LENGTHS = {
    "right": ["Content-Length: {n}"],
    "too large": ["Content-Length: 99999"],
    "twice, small last": ["Content-Length: {n}", "Content-Length: 0"],
    "twice, small first": ["Content-Length: 0", "Content-Length: {n}"],
    "compact too": ["Content-Length: {n}", "l: 0"],
    "negative": ["Content-Length: -1"],
    "wraps at 2^32": ["Content-Length: {wrapped}"],
    "wraps at 2^64": ["Content-Length: 18446744073709551616"],
    "hex": ["Content-Length: 0x0"],
    "plus": ["Content-Length: +0"],
    "folded": ["Content-Length:\r\n {n}"],
    "missing": [],
    "with a bare CR": ["X: a\rContent-Length: 0", "Content-Length: {n}"],
    "in a comment": ["Content-Length: {n} (0)"],
}
CUT_SHORT = ("twice, small first", "wraps at 2^32", "wraps at 2^64")
"""Kamailio's reader of streams takes the first length, and takes it in 32 bits; the message itself is refused."""


@pytest.mark.parametrize("name", LENGTHS)
def test_request_in_a_body(world, callee, gateway, name):
    """However its length is put, what stands in a body is no request, over UDP and TCP. Where a stream is cut short,
    what follows is another message of the same sender, with his rights and no others."""
    for kind in (RawSip, TcpEnd):
        with connect_to(world, kind) as end:
            body = smuggled(end)
            lines = [one.format(n=len(body), wrapped=2**32) for one in LENGTHS[name]]
            end.send(carrying(end, body, lines))
            answers = answers_before_pong(end, limit_s=0.5)
            outer = [one for one in answers if one.call_id != SMUGGLED]
            assert {one.code for one in outer} <= {400, 407}, [one.text for one in outer]
            assert outer == answers or (kind is TcpEnd and name in CUT_SHORT), [one.text for one in answers]
    assert "INVITE" not in callee.requests()


def test_body_shorter_than_the_rest(world, callee):
    """Over UDP what follows the body makes the message malformed; on a stream it is the next message, of the same
    sender and with no more rights than he has."""
    with connect_to(world, RawSip) as end:
        end.send(carrying(end, smuggled(end), ["Content-Length: 0"]))
        assert {400} == {one.code for one in answers_before_pong(end, wanted=1)}
    with connect_to(world, TcpEnd) as end:
        hidden = smuggled(end, ["X-Meterline-Card: 8800000001"]).replace("OPTIONS", "INVITE")
        end.send(carrying(end, hidden, ["Content-Length: 0"]))
        codes = {one.call_id.partition("-")[0]: one.code for one in answers_before_pong(end, wanted=2)}
        assert 407 == codes["outer"]
        assert codes.get(SMUGGLED, 400) in (400, 407)
    assert "INVITE" not in callee.requests()


def connect_to(world, kind):
    if kind is TcpEnd:
        host, port = world.stack.sip_address.rsplit(":", 1)
        return TcpEnd((host, int(port)), host=HOST)
    return RawSip(world.stack.sip_address, world.realm, host=HOST)


DOUBLES = {
    "Call-ID": "Call-ID: another",
    "compact Call-ID": "i: another",
    "From": "From: <sip:other@meterline.test>;tag=other",
    "compact From": "f: <sip:other@meterline.test>;tag=other",
    "To": "To: <sip:110@meterline.test>",
    "CSeq": "CSeq: 99 INVITE",
    "CSeq of another method": "CSeq: 99 BYE",
    "Max-Forwards": "Max-Forwards: 255",
    "Via on top": "Via: SIP/2.0/UDP 127.0.0.1:5999;branch=z9hG4bKother",
    "Contact": "Contact: <sip:other@127.0.0.1:5999>",
    "Proxy-Authorization": 'Proxy-Authorization: Digest username="other", realm="meterline.test"',
}


@pytest.mark.parametrize("name", DOUBLES)
def test_header_twice(world, aftermath, account, phone, caller, callee, gateway, name):
    """A second header of a kind that there is one of, before the true one and after it: refused, or the call is the
    phone's own, to the number that was dialled, and its end finds it."""
    for first in (True, False):
        dialog = caller.new_dialog(NUMBER)
        header = with_password(caller, phone, dialog)
        text = caller.request("INVITE", dialog, headers=[header], body=SDP)
        start, _, rest = text.partition("\r\n")
        double = DOUBLES[name]
        caller.send(f"{start}\r\n{double}\r\n{rest}" if first else text.replace("\r\n\r\n", f"\r\n{double}\r\n\r\n", 1))
        final = final_or_silence(caller, dialog)
        assert {NUMBER} >= {one.uri.removeprefix("sip:").split("@")[0] for one in callee.heard("INVITE")}
        if final is not None and final.code == 200:
            assert 200 == caller.hang_up(dialog).code
            callee.wait_for_request("BYE")
    aftermath.allow(callers=[account])


HIDDEN = [
    "X-Meterline-Card: {card}\r\nX-Meterline-PIN: {pin}",
    "x-meterline-card:{card}\r\nX-METERLINE-PIN:{pin}",
    "X-Meterline-Card \t : {card}\r\nX-Meterline-PIN : {pin}",
    "X-Meterline-Card:\r\n {card}\r\nX-Meterline-PIN:\r\n\t{pin}",
    "X-Meterline-Card\r\n : {card}\r\nX-Meterline-PIN\r\n : {pin}",
    "X-Note: a\nX-Meterline-Card: {card}\nX-Meterline-PIN: {pin}",
    "X-Note: a\n X-Meterline-Card: {card}\r\nX-Note: b\n X-Meterline-PIN: {pin}",
    "X-Note: a\rX-Meterline-Card: {card}\r\nX-Note: a\rX-Meterline-PIN: {pin}",
    "X-Note: a\r\r\nX-Meterline-Card: {card}\r\nX-Meterline-PIN: {pin}",
    "X-Note: \0\r\nX-Meterline-Card: {card}\r\nX-Meterline-PIN: {pin}",
    'X-Note: "\r\nX-Meterline-Card: {card}\r\nX-Meterline-PIN: {pin}\r\nX-End: "',
    "Subject: =?utf-8?q?X-Meterline-Card:_{card}?=\r\nX-Meterline-Card: {card}\r\nX-Meterline-PIN: {pin}",
    "X-Note: a\n\n\nX-Meterline-Card: {card}\r\nX-Meterline-PIN: {pin}",
    "X-Broken\r\nX-Meterline-Card: {card}\r\nX-Meterline-PIN: {pin}",
    ": nothing\r\nX-Meterline-Card: {card}\r\nX-Meterline-PIN: {pin}",
    "X-Meterline-Card: {card}\r\nX-Meterline-Card: {card}\r\nX-Meterline-PIN: {pin}\r\nX-Meterline-PIN: {pin}",
    "X-Meterline-Card: {card}, {card}\r\nX-Meterline-PIN: {pin}",
    "X-Méterline: x\r\nX-Meterline-Card: {card}\r\nX-Meterline-PIN: {pin}",
    'Via: SIP/2.0/UDP a;x="\r\nX-Meterline-Card: {card}\r\nX-Meterline-PIN: {pin}\r\nX-End: "',
]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("spelling", HIDDEN, ids=range(len(HIDDEN)))
def test_card_of_another_in_every_hiding_place(world, aftermath, account, phone, caller, callee, spelling, last):
    """A phone that hides somebody's card pays itself or is refused; the carrier sees neither of the headers."""
    card = world.card("1")
    dialog = caller.new_dialog(NUMBER)
    header = with_password(caller, phone, dialog)
    hidden = spelling.format(card=card.number, pin=card.pin)
    caller.send(caller.request("INVITE", dialog, headers=[header, hidden] if last else [hidden, header], body=SDP))
    final = final_or_silence(caller, dialog)
    for invite in callee.heard("INVITE"):
        head = re.sub(r"\r?\n", "\r\n", re.sub(r"(?<!\r)\n+", "\r\n", invite.text))
        assert not {"x-meterline-card", "x-meterline-pin"} & set(Message(head).header_names()), invite.text
    if final is not None and final.code == 200:
        assert 200 == caller.hang_up(dialog).code
        on_the_wire(world, [caller], [callee])
    assert [] == world.cdrs_of(card)
    aftermath.allow(callers=[account])
