"""Too many, too long, too slow: loops, spirals, datagrams of the largest size, streams without an end."""

import contextlib

import pytest

from tests.support.party import Party
from tests.support.pings import answers_before_pong, final_or_silence
from tests.support.rawsip import SDP, RawSip
from tests.support.tcp import TcpEnd
from tests.support.world import NUMBER

HOST = "127.0.0.66"
DATAGRAM_MAX = 65_507
SLOW = 100
"""Connections that say half a message and no more."""


@pytest.fixture
def stranger(world):
    with RawSip(world.stack.sip_address, world.realm, host=HOST) as end:
        yield end


def lines_of(end, transport="UDP", max_forwards=("Max-Forwards: 70",), **more):
    text = end_request(end, **more).replace("SIP/2.0/UDP", f"SIP/2.0/{transport}")
    return text.replace("Max-Forwards: 70\r\n", "".join(f"{one}\r\n" for one in max_forwards))


def end_request(end, method="INVITE", headers=(), body=SDP):
    return end.request(method, end.new_dialog(NUMBER), headers=headers, body=body)


@pytest.mark.parametrize(
    ("max_forwards", "codes"),
    [
        (["Max-Forwards: 0"], {483}),
        (["Max-Forwards: 1"], {407}),
        ([], {407}),
        (["Max-Forwards: 255"], {407}),
        (["Max-Forwards: 256"], {400, 407, 483}),
        (["Max-Forwards: -1"], {400, 483}),
        (["Max-Forwards: x"], {400, 483}),
        (["Max-Forwards:"], {400, 483}),
        (["Max-Forwards: 4294967296"], {400, 407, 483}),
        (["Max-Forwards: 0", "Max-Forwards: 70"], {400, 483}),
        (["max-forwards : 0"], {483}),
    ],
)
def test_max_forwards(stranger, max_forwards, codes):
    """None left is 483; what is no number is refused or not answered; nothing brings the proxy down."""
    stranger.send(lines_of(stranger, max_forwards=max_forwards))
    found = {one.code for one in answers_before_pong(stranger, wanted=len(codes) == 1)}
    assert found <= codes, found
    assert found or len(codes) > 1


def test_spiral(world, aftermath, account, phone, caller, callee):
    """A carrier that sends the call back to the proxy: the second pass is a call of nobody (407 or 482), not a loop."""
    callee.invites = "silent"
    dialog = caller.dial(phone)
    invite = callee.wait_for_request("INVITE")
    for _ in range(5):
        callee.send(invite.text.encode())
    answers_before_pong(caller)
    assert 1 == len({one.headers("via")[0] for one in callee.heard("INVITE")})
    callee.answer(invite, 486, "Busy Here")
    assert 486 == caller.wait_for_final(dialog, "INVITE").code
    aftermath.allow(cdrs=1)


def test_via_of_the_proxy(world, stranger):
    """A request that says to have come through the proxy before, many times."""
    proxy = f"{stranger.proxy[0]}:{stranger.proxy[1]}"
    vias = [f"Via: SIP/2.0/UDP {proxy};branch=z9hG4bK{number}" for number in range(60)]
    stranger.send(lines_of(stranger, headers=vias))
    assert {one.code for one in answers_before_pong(stranger)} <= {400, 407, 482}


BIG = {
    "one header": lambda room: [f"X-Long: {'a' * room}"],
    "many headers": lambda room: ["X-Many: a"] * (room // 11),
    "folded": lambda room: ["X-Folded:" + "\r\n a" * (room // 4)],
    "one name": lambda room: [f"X-{'a' * room}: a"],
    "many routes": lambda room: [f"Route: {', '.join(['<sip:127.0.0.1;lr>'] * (room // 20))}"],
    "many contacts": lambda room: [f"Contact: {', '.join(['<sip:a@127.0.0.1>'] * (room // 20))}"],
}


@pytest.mark.parametrize("shape", BIG)
@pytest.mark.parametrize("size", [5_000, 20_000, 63_000])
def test_large_messages(world, stranger, callee, shape, size):
    """Up to the largest datagram, and as long on a stream: answered, refused or dropped; no gateway hears of it."""
    headers = BIG[shape](size)
    stranger.send(lines_of(stranger, headers=headers))
    assert {one.code for one in answers_before_pong(stranger)} <= {400, 403, 407, 513}
    with TcpEnd(stranger.proxy, host=HOST) as end:
        end.send(lines_of(stranger, "TCP", headers=headers))
        assert {one.code for one in answers_before_pong(end, limit_s=0.5)} <= {400, 403, 407, 513}
    assert "INVITE" not in callee.requests()


def test_largest_datagram(stranger):
    """65,507 octets, of nothing and of a body that is whole."""
    stranger.send(b"A" * DATAGRAM_MAX)
    stranger.send(b"\r\n" * (DATAGRAM_MAX // 2))
    head = lines_of(stranger, headers=["X-Size: 1"], body="")
    room = DATAGRAM_MAX - len(head) - 10
    stranger.send(head.replace("Content-Length: 0", f"Content-Length: {room}").encode() + b"b" * room)
    assert {one.code for one in answers_before_pong(stranger)} <= {400, 407}


def test_large_call_is_placed(world, aftermath, account, phone, caller, callee):
    """A message of 20,000 octets that is whole is a call like any other."""
    dialog = caller.dial(phone, headers=[f"X-Long: {'a' * 20_000}"])
    assert 200 == final_or_silence(caller, dialog).code
    assert 200 == caller.hang_up(dialog).code
    aftermath.allow(cdrs=1, charged=[account])


def test_headers_without_an_end(stranger):
    """A stream of headers that never ends is cut off when the buffer is full."""
    with TcpEnd(stranger.proxy, host=HOST) as end:
        end.send(lines_of(stranger, "TCP").partition("\r\n\r\n")[0])
        for _ in range(200):
            end.send("\r\nX-More: " + "a" * 1000)
            if end.closed:
                break
        assert end.is_closed_within(5)


def test_slow_connections(world, stranger):
    """A hundred connections that say half a message: everybody else is served, over TCP as well."""
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(TcpEnd(stranger.proxy, host=HOST)) for _ in range(SLOW)]
        half = lines_of(stranger, "TCP")[:150]
        for end in slow:
            end.send(half)
        with TcpEnd(stranger.proxy, host="127.0.0.68") as other:
            assert [] == answers_before_pong(other)
            assert not other.closed
        for end in slow:
            end.send("\r\n")
        with Party(world, host="127.0.0.68") as party:
            assert [] == answers_before_pong(party)


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"\r\n\r\n" * 999, b"GET / HTTP/1.1\r\n\r\n", b"\x16\3\1\2"])
def test_no_sip_at_all(stranger, data):
    """Other protocols, keepalives, nothing: no answer but to keepalives, and no harm."""
    stranger.send(data)
    assert [] == [one for one in answers_before_pong(stranger) if one.code]
    with TcpEnd(stranger.proxy, host=HOST) as end:
        end.send(data)
        assert [] == [one for one in answers_before_pong(end, limit_s=0.5) if one.code]
