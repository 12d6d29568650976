"""Floods: known callers are served meanwhile, strangers from elsewhere too, and log and memory stay within bounds.

How much longer a call takes is printed here and by `bench/floods.py`; what is asserted is that every call completes.
"""

import sys
import time
from contextlib import ExitStack

import pytest

from stack.processes import wait_until
from tests.security.floods.conftest import TCP_IDLE_S
from tests.support import rpc
from tests.support.floods import FLOODS, MANY, flooding, good_calls
from tests.support.party import Party
from tests.support.tcp import TcpEnd
from tests.support.world import NUMBER

CALLS = 30
PER_SECOND = 1000
LOG_LINES_PER_S = 50
MEMORY_BYTES_MAX = 40 << 20


def shared_memory(stack):
    """Bytes of shared memory in use."""
    (line,) = [one for one in rpc.answer(stack.kamailio.rpc_socket, "core.shmmem").splitlines() if "real_used" in one]
    return int(line.split(":")[1])


@pytest.mark.parametrize("name", FLOODS)
def test_a_known_caller_is_served(world, stack, regular, owner, callee, aftermath, name):
    """All of his calls complete; the flood leaves no line in the log beyond the limit, and no memory behind."""
    kind, addresses = FLOODS[name]
    account, phone = regular
    quiet = good_calls(owner, phone, CALLS)
    memory, before, began = shared_memory(stack), len(aftermath.lines()), time.monotonic()
    with flooding(world, kind, addresses, PER_SECOND) as sent:
        seen = good_calls(owner, phone, CALLS)
    lines, seconds = len(aftermath.lines()) - before, time.monotonic() - began
    tell(f"{name}: {sent[0]} requests; {seen.share:.0%} of calls, delay x {seen.median_ms / quiet.median_ms:.1f}")
    assert sent[0] >= 3 * CALLS, "far more than he sends himself"
    assert (1.0, 1.0) == (quiet.share, seen.share)
    assert lines <= (seconds + 2) * (LOG_LINES_PER_S + 1) + 2 * CALLS
    assert shared_memory(stack) - memory < MEMORY_BYTES_MAX
    aftermath.allow(cdrs=2 * CALLS, charged=[account])


def tell(figures):
    """Shown with -rA, and when the test fails."""
    sys.stdout.write(f"{figures}\n")


def test_one_address_is_dropped_and_nobody_else(world, attacker, regular, callee, aftermath):
    """Its requests go unanswered, one line says so; a stranger beside it calls, and so does it once it is quiet."""
    account, phone = regular
    with flooding(world, "register", ["127.0.6.11"], PER_SECOND), Party(world, host="127.0.6.11") as same:
        wait_until(lambda: "flood" in told(aftermath), 10, "the flood is told")
        assert not any(pinged(same, 0.05) for _ in range(10))
        stranger = good_calls(attacker, phone, 2)
    assert 1.0 == stranger.share
    assert 1 <= sum(one["event"] == "flood" for one in aftermath.events()) <= 3
    with Party(world, host="127.0.6.11") as same:
        wait_until(lambda: pinged(same), 10, "the address is heard again")
    aftermath.allow(cdrs=2, charged=[account])


def pinged(end, limit_s=0.3):
    """Whether an OPTIONS to the proxy is answered."""
    call = end.new_dialog("")
    call.target, call.remote = f"sip:{end.realm}", f"<sip:{end.realm}>"
    end.send(end.request("OPTIONS", call))
    return end._take(lambda one: one.code == 200 and one.call_id == call.call_id, limit_s) is not None


def test_an_emergency_call_is_not_dropped(world, callee, aftermath):
    """Even from the address that floods."""
    with flooding(world, "register", ["127.0.6.12"], PER_SECOND), Party(world, host="127.0.6.12") as same:
        wait_until(lambda: "flood" in told(aftermath), 10, "the flood is told")
        call = same.new_dialog("112")
        assert 200 == same.ask("INVITE", call).code
        assert 200 == same.hang_up(call).code
    aftermath.allow(cdrs=1)


def test_a_call_that_is_up_goes_on(world, regular, owner, callee, aftermath):
    """Requests within it are answered while its caller's address floods."""
    account, phone = regular
    dialog = owner.call(phone)
    with flooding(world, "register", [owner.host], PER_SECOND):
        assert 200 == owner.ask("INFO", dialog).code
        assert 200 == owner.ask("INVITE", dialog).code
        assert 200 == owner.hang_up(dialog).code
    aftermath.allow(cdrs=1, charged=[account])


def test_tables_do_not_grow_with_a_flood(world, stack):
    """Wrong names, made-up nonces and two hundred addresses leave nothing in the shared tables."""
    tables = ("failures", "trusted", "known", "answers", "live")
    before = [rpc.answer(stack.kamailio.rpc_socket, f"htable.dump {table}").count("name:") for table in tables]
    with flooding(world, "forged", MANY, PER_SECOND), Party(world, host=MANY[0]) as same:
        for _ in range(20):
            wait_until(lambda: pinged(same), 10, "the proxy has looked at what came before")
    assert before == [rpc.answer(stack.kamailio.rpc_socket, f"htable.dump {table}").count("name:") for table in tables]


def told(aftermath):
    """The names of the events so far."""
    return {one["event"] for one in aftermath.events()}


def test_tcp_connections(world, stack, regular, callee, aftermath):
    """Hundreds that say nothing, or half a message, keep nobody from calling, and are closed after a while."""
    account, phone = regular
    with ExitStack() as ends:
        idle = [ends.enter_context(TcpEnd(address_of(stack), host="127.0.6.2")) for _ in range(300)]
        half = [ends.enter_context(TcpEnd(address_of(stack), host="127.0.6.3")) for _ in range(50)]
        for end in half:
            end.send(f"INVITE sip:{NUMBER}@meterline.test SIP/2.0\r\nVia: SIP/2.0/TCP 127")
        with Party(world, host="127.0.5.3") as caller:
            assert 1.0 == good_calls(caller, phone, 3).share
        with TcpEnd(address_of(stack), host="127.0.5.4") as end:
            end.send(options(end))
            answer = end.receive()
            assert answer is not None
            assert 200 == answer.code
        limit_s = 4 * TCP_IDLE_S + 5
        assert all(end.is_closed_within(limit_s) for end in (*idle, *half))
    aftermath.allow(cdrs=3, charged=[account])


def address_of(stack):
    """The proxy as sockets take it."""
    host, _, port = stack.sip_address.rpartition(":")
    return host, int(port)


def options(end):
    """A ping over TCP."""
    lines = (
        "OPTIONS sip:meterline.test SIP/2.0",
        f"Via: SIP/2.0/TCP {end.host}:{end.port};branch=z9hG4bKtcp{end.port};rport",
        "Max-Forwards: 70",
        f"From: <sip:ping@meterline.test>;tag={end.port}",
        "To: <sip:meterline.test>",
        f"Call-ID: ping-{end.port}",
        "CSeq: 1 OPTIONS",
        "Content-Length: 0",
    )
    return "\r\n".join(lines) + "\r\n\r\n"
