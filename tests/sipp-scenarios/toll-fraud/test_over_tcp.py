"""The same forgeries over TCP, where the sender's port and connection are his own."""

import secrets
import socket

import pytest

from tests.support.messages import Message
from tests.support.party import forged
from tests.support.rawsip import SDP
from tests.support.world import NUMBER


def answered_over_tcp(party, text, limit_s=3.0):
    """Send a request on a new connection from the party's address; its final answer."""
    data = text.replace("SIP/2.0/UDP", "SIP/2.0/TCP").encode()
    with socket.create_connection(party.proxy, limit_s, source_address=(party.host, 0)) as connection:
        connection.sendall(data)
        heard = b""
        while True:
            piece = connection.recv(65_535)
            assert piece, f"closed after {heard!r}"
            heard += piece
            finals = [one for one in heard.decode().split("\r\n\r\n") if one.startswith("SIP/2.0") and one[8] != "1"]
            if finals:
                return Message(f"{finals[0]}\r\n\r\n")


@pytest.mark.parametrize("method", ["INVITE", "BYE", "MESSAGE"])
def test_forged_to_tag(attacker, gateway, method):
    """An unknown dialog is 481 over TCP too, and no Route leads anywhere."""
    dialog = attacker.new_dialog(NUMBER)
    dialog.remote += f";tag={secrets.token_hex(4)}"
    uri = f"sip:x@{gateway.host}:{gateway.port}"
    text = attacker.request(method, dialog, uri=uri, routes=[f"<{uri};lr>"], body=SDP if method == "INVITE" else "")
    assert 481 == answered_over_tcp(attacker, text).code


def test_preloaded_route(attacker, gateway):
    """So is a preloaded Route: 403."""
    routes = [f"<sip:{gateway.host}:{gateway.port};lr>"]
    text = attacker.request("INVITE", attacker.new_dialog(NUMBER), routes=routes, body=SDP)
    assert 403 == answered_over_tcp(attacker, text).code


def test_right_tags(up, attacker):
    """Another transport makes an overheard dialog nobody else's: 403 from another address."""
    dialog = forged(up.dialog, cseq=90)
    assert 403 == answered_over_tcp(attacker, attacker.request("BYE", dialog)).code
    assert ["INVITE", "ACK"] == up.callee.requests()
    up.hang_up_and_join()


def test_cseq_and_bare_cr(attacker):
    """What is malformed is 400, whatever it came on."""
    high = attacker.request("INVITE", attacker.new_dialog(NUMBER), cseq=2**31 - 1, body=SDP)
    hidden = attacker.request("INVITE", attacker.new_dialog(NUMBER), headers=["X: a\rRoute: <sip:a@b>"], body=SDP)
    assert [400, 400] == [answered_over_tcp(attacker, text).code for text in (high, hidden)]
