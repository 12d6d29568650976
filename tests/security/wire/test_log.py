"""The log belongs to the proxy: no line of a caller's, nothing of his breaks a line, and no line ends it."""

import json

import pytest

from tests.support.pings import answers_before_pong
from tests.support.rawsip import SDP, RawSip
from tests.support.tcp import TcpEnd

HOST = "127.0.0.66"
FORGED = json.dumps({"time": "2026-01-01T00:00:00.000000Z", "level": "info", "part": "proxy", "event": "forged"})
KAMAILIOS = ' 7(4711) INFO: <core> [core/kemi.c:106]: sr_kemi_core_info(): meterline {"event": "forged"}'


def invite(end, *, head="INVITE sip:4930123456@meterline.test SIP/2.0", headers=(), body=SDP):
    transport = "TCP" if isinstance(end, TcpEnd) else "UDP"
    lines = [
        head,
        f"Via: SIP/2.0/{transport} {end.host}:{end.port};branch=z9hG4bKlog;rport",
        *headers,
        "Max-Forwards: 70",
        "From: <sip:a@meterline.test>;tag=1",
        "To: <sip:4930123456@meterline.test>",
        "Call-ID: log",
        "CSeq: 1 INVITE",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(lines) + "\r\n\r\n" + body


SHAPES = {
    "start line": {"head": "INVITE \r\n{line}\r\n"},
    "bad header": {"headers": ["Content-Length: x\r\n{line}"]},
    "folded header": {"headers": ["Content-Length: \r\n {line}\r\n {line}"]},
    "bad Via": {"headers": ["Via: SIP/2.0/UDP ;;,\r\n{line}"]},
    "bad To": {"headers": ['To: "\r\n{line}']},
    "bare LF": {"headers": ["Content-Length: -1\n{line}\n{line}"]},
    "no colon": {"headers": ["x\r\n{line}\r\n{line}"]},
    "body": {"headers": ["Content-Length: -1"], "body": "\r\n{line}\r\n{line}\r\n"},
}


@pytest.mark.parametrize("line", [FORGED, KAMAILIOS], ids=["event", "kamailio"])
@pytest.mark.parametrize("shape", SHAPES)
def test_lines_of_a_caller(world, aftermath, shape, line):
    """Text that Kamailio cannot parse, with a line of the log in it: over UDP and TCP it leaves none.

    The check after each attack looks for the event `forged`, and for lines that are no JSON.
    """
    parts = {
        name: [one.replace("{line}", line) for one in part] if isinstance(part, list) else part.replace("{line}", line)
        for name, part in SHAPES[shape].items()
    }
    with RawSip(world.stack.sip_address, world.realm, host=HOST) as end:
        end.send(invite(end, **parts))
        answers_before_pong(end)
    with TcpEnd(end.proxy, host=HOST) as end:
        end.send(invite(end, **parts))
        answers_before_pong(end, limit_s=0.3)
    assert not [one for one in aftermath.lines() if b"forged" in one]


def test_nul_in_what_cannot_be_parsed(world):
    """Thousands of NULs in headers that cannot be parsed, at every length: no process dies of quoting them."""
    with RawSip(world.stack.sip_address, world.realm, host=HOST) as end:
        for number in range(6000):
            end.send(invite(end, headers=[f'To: "{"A" * (number % 400)}" \0<sip:a@b>'], body=""))
            if number % 50 == 0:
                answers_before_pong(end)
