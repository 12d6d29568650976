"""The relays: what goes through, and what they do to it on demand."""

import asyncio
import contextlib
import random

import pytest

from stack.processes import free_port
from tests.faults.relay import BYE, GONE, Relay, Weather, call_id_of
from tests.faults.wire_to_database import DatabaseWire, is_money

LIMIT_S = 5


def sip(first, call_id="a", *more):
    return "\r\n".join([first, f"Call-ID: {call_id}", *more, "", ""]).encode()


class End(asyncio.DatagramProtocol):
    """A UDP end that keeps what it hears."""

    def __init__(self):
        self.heard = asyncio.Queue()

    def datagram_received(self, data, addr):
        self.heard.put_nowait((data, addr))


class Line:
    """A caller's SIPp, a relay and a proxy."""

    async def open(self):
        loop = asyncio.get_running_loop()
        self.relay = Relay(("127.0.0.1", free_port()), ("127.0.0.1", free_port()), random.Random(1))
        self.to_sipp, self.sipp = await loop.create_datagram_endpoint(End, ("127.0.0.1", 0))
        self.to_proxy, self.proxy = await loop.create_datagram_endpoint(End, ("127.0.0.1", 0))
        await self.relay.open(proxy=self.to_proxy.get_extra_info("sockname"))

    def close(self):
        for one in (self.relay, self.to_sipp, self.to_proxy):
            one.close()


def on_a_line(play):
    """Run it with a line; its asynchronous part has no other fixture."""

    async def whole():
        line = Line()
        await line.open()
        try:
            return await asyncio.wait_for(play(line), LIMIT_S * 4)
        finally:
            line.close()

    return asyncio.run(whole())


async def until(condition):
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 - the relay has no events for this
            await asyncio.sleep(0.005)


def test_both_ways():
    """In fair weather everything goes through, and answers find SIPp."""

    async def play(line):
        line.to_sipp.sendto(sip("INVITE sip:1@x SIP/2.0"), line.relay.inside)
        data, source = await line.proxy.heard.get()
        assert (sip("INVITE sip:1@x SIP/2.0"), line.relay.outside) == (data, source)
        line.to_proxy.sendto(sip("SIP/2.0 180 Ringing"), line.relay.outside)
        data, source = await line.sipp.heard.get()
        assert (sip("SIP/2.0 180 Ringing"), line.relay.inside) == (data, source)
        assert {"a"} == line.relay.ringing

    on_a_line(play)


def test_weather():
    """Lost, doubled and late, and counted."""

    async def play(line):
        line.relay.weather = Weather(loss=1.0)
        line.to_sipp.sendto(sip("INVITE sip:1@x SIP/2.0"), line.relay.inside)
        await until(lambda: line.relay.counted["lost"] == 1)
        line.relay.weather = Weather(doubled=1.0)
        line.to_sipp.sendto(sip("INVITE sip:2@x SIP/2.0"), line.relay.inside)
        assert [sip("INVITE sip:2@x SIP/2.0")] * 2 == [(await line.proxy.heard.get())[0] for _ in range(2)]
        line.relay.weather = Weather(reordered=1.0)
        line.to_sipp.sendto(sip("INVITE sip:3@x SIP/2.0"), line.relay.inside)
        await until(lambda: line.relay.counted["reordered"] == 1)
        line.relay.weather = Weather()
        line.to_sipp.sendto(sip("INVITE sip:4@x SIP/2.0"), line.relay.inside)
        order = [(await line.proxy.heard.get())[0] for _ in range(2)]
        assert [sip("INVITE sip:4@x SIP/2.0"), sip("INVITE sip:3@x SIP/2.0")] == order

    on_a_line(play)


@pytest.mark.parametrize(("fate", "bye_back"), [(BYE, True), (GONE, False)])
def test_the_next_call_that_is_up_is_doomed(fate, bye_back):
    """A caller's BYE never arrives, or nothing of him does; other calls go on."""

    async def play(line):
        line.relay.doom_next.append(fate)
        ack = sip("ACK sip:callee@127.0.0.1 SIP/2.0", "a")
        line.to_sipp.sendto(sip("ACK sip:49301000001@x SIP/2.0", "refused"), line.relay.inside)
        line.to_sipp.sendto(ack, line.relay.inside)
        line.to_sipp.sendto(sip("BYE sip:1@x SIP/2.0", "a"), line.relay.inside)
        line.to_sipp.sendto(sip("BYE sip:1@x SIP/2.0", "b"), line.relay.inside)
        heard = [(await asyncio.wait_for(line.proxy.heard.get(), LIMIT_S))[0] for _ in range(2 + (fate == BYE))]
        assert sip("BYE sip:1@x SIP/2.0", "b") == heard[-1]
        assert {"a": fate} == line.relay.doomed
        line.to_proxy.sendto(sip("BYE sip:1@x SIP/2.0", "a"), line.relay.outside)
        line.to_proxy.sendto(sip("BYE sip:1@x SIP/2.0", "b"), line.relay.outside)
        back, _ = await line.sipp.heard.get()
        assert ("a" if bye_back else "b") == call_id_of(back)

    on_a_line(play)


class Server:
    """What stands for MariaDB: it keeps what it is asked, and answers each with "done"."""

    def __init__(self, path):
        self.path = path
        self.asked = []
        self.writers = []

    async def open(self):
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def client(self, wire):
        """A connection through the wire."""
        reader, writer = await asyncio.open_unix_connection(wire.path)
        self.writers.append(writer)
        return reader, writer

    async def close(self):
        self._server.close()
        for writer in self.writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader, writer):
        self.writers.append(writer)
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1000):
                self.asked.append(data)
                writer.write(b"done")
                await writer.drain()


OPEN = b"\x00\x00\x00\x00\x03CALL open_call('x')"


def on_a_wire(tmp_path, play):
    async def whole():
        server = Server(tmp_path / "server.sock")
        await server.open()
        wire = DatabaseWire(tmp_path / "wire.sock", lambda: server.path)
        await wire.open()
        try:
            return await asyncio.wait_for(play(wire, server), LIMIT_S)
        finally:
            await wire.close()
            await server.close()

    return asyncio.run(whole())


def test_database_wire_passes_on(tmp_path):
    """Untouched it is a socket like the server's own."""

    async def play(wire, server):
        reader, writer = await server.client(wire)
        writer.write(OPEN)
        assert b"done" == await reader.read(100)
        assert [OPEN] == server.asked

    on_a_wire(tmp_path, play)


@pytest.mark.parametrize(("name", "heard"), [("cut_before", []), ("cut_after", [OPEN])])
def test_cut_around_a_commit(tmp_path, name, heard):
    """The connection ends without an answer: the server never heard of the routine, or has done it."""

    async def play(wire, server):
        setattr(wire, name, 1)
        reader, writer = await server.client(wire)
        writer.write(OPEN)
        with contextlib.suppress(ConnectionError):
            assert b"" == await reader.read(100)
        assert heard == server.asked
        assert {f"{name}_commit": 1} == wire.counted

    on_a_wire(tmp_path, play)


def test_refused_slow_and_hung(tmp_path):
    """No connection; a late answer; none until the wire flows again, and then all of it."""

    async def play(wire, server):
        wire.refusing = True
        reader, _ = await server.client(wire)
        with contextlib.suppress(ConnectionError):
            assert b"" == await reader.read(100)
        wire.refusing = False
        wire.delay_s = 0.01
        reader, writer = await server.client(wire)
        writer.write(OPEN)
        assert b"done" == await reader.read(100)
        assert wire.counted["slowed"] >= 2
        wire.delay_s = 0.0
        wire.hang()
        writer.write(OPEN)
        waiting = asyncio.create_task(reader.read(100))
        await asyncio.sleep(0)
        assert not waiting.done()
        assert [OPEN] == server.asked
        wire.flow()
        assert b"done" == await waiting

    on_a_wire(tmp_path, play)


def test_what_is_money():
    """Routines that move or hold it, and nothing else."""
    assert is_money(OPEN)
    assert not is_money(b"\x00\x00\x00\x00\x03SELECT 1")
    assert not is_money(b"")
