"""A small UDP relay between SIPp and the proxies: passes datagrams on, and loses, doubles and reorders them.

`inside` is what SIPp talks to, `outside` what the proxy sees. It also plays the phone that is gone, and the BYE that is
lost for ever: both for single calls, by Call-ID.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

Address = tuple[str, int]

_CALL_ID = re.compile(rb"^(?:call-id|i)[ \t]*:[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)
DELAY_S_MAX = 0.15
_DELAY_S = (0.02, DELAY_S_MAX)
RING, BYE, GONE = "ringing", "bye_lost", "phone_gone"


@dataclass(frozen=True)
class Weather:
    """Chances, of 1, that a datagram is lost, doubled, or overtaken by those behind it."""

    loss: float = 0.0
    doubled: float = 0.0
    reordered: float = 0.0


FAIR = Weather()


class Relay:
    """One SIPp process on one side, proxies on the other. Its methods are called in the loop, or only read."""

    def __init__(self, outside: Address, inside: Address, chance: random.Random) -> None:
        self.outside, self.inside = outside, inside
        self.sipp: Address | None = None
        self.proxy: Address | None = None
        self.weather = FAIR
        self.doomed: dict[str, str] = {}
        """Calls whose BYEs from SIPp never arrive, or whose phone is gone: Call-ID to `BYE` or `GONE`."""
        self.doom_next: list[str] = []
        """What happens to the next calls that are answered."""
        self.ringing: set[str] = set()
        self.counted: Counter[str] = Counter()
        self._chance = chance
        self._proxies: dict[str, Address] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sockets: dict[str, asyncio.DatagramTransport] = {}

    async def open(self, *, sipp: Address | None = None, proxy: Address | None = None) -> None:
        """Bind both sockets. `sipp`: where requests for an answering SIPp go; `proxy`: where a calling one's go."""
        self.sipp, self.proxy = sipp, proxy
        self._loop = asyncio.get_running_loop()
        for name, address in (("outside", self.outside), ("inside", self.inside)):
            transport, _ = await self._loop.create_datagram_endpoint(lambda name=name: _End(self, name), address)  # type: ignore[misc]
            self._sockets[name] = transport

    def close(self) -> None:
        for transport in self._sockets.values():
            transport.close()

    def came(self, end: str, data: bytes, source: Address) -> None:
        """A datagram: from SIPp when `end` is inside, else from a proxy."""
        call_id = call_id_of(data)
        if end == "inside":
            self.sipp = source
        else:
            self._proxies[call_id] = source
        self._watch(call_id, data)
        fate = self.doomed.get(call_id, "")
        from_sipp_bye = end == "inside" and data.startswith(b"BYE ")
        if fate == GONE or (fate == BYE and from_sipp_bye):
            self.counted[fate] += 1
            return
        self._pass_on(end, call_id, data)

    def _watch(self, call_id: str, data: bytes) -> None:
        if data.startswith(b"SIP/2.0 180"):
            self.ringing.add(call_id)
        elif data.startswith((b"ACK ", b"BYE ", b"CANCEL ")) or data[8:9] in b"3456":
            self.ringing.discard(call_id)
            if data.startswith(b"ACK ") and self.doom_next and call_id not in self.doomed and self._is_up(data):
                self.doomed[call_id] = self.doom_next.pop(0)

    @staticmethod
    def _is_up(ack: bytes) -> bool:
        """Whether an ACK is that of a 2xx: it follows the dialog's route set, or names the callee's contact."""
        return b"\nRoute:" in ack or b"sip:callee@" in ack.split(b"\r\n", 1)[0]

    def _pass_on(self, end: str, call_id: str, data: bytes) -> None:
        weather = self.weather
        if weather is FAIR:
            self._send(end, call_id, data)
            return
        if self._chance.random() < weather.loss:
            self.counted["lost"] += 1
            return
        copies = 2 if self._chance.random() < weather.doubled else 1
        self.counted["doubled"] += copies - 1
        for _ in range(copies):
            if self._chance.random() < weather.reordered:
                assert self._loop is not None
                self.counted["reordered"] += 1
                self._loop.call_later(self._chance.uniform(*_DELAY_S), self._send, end, call_id, data)
            else:
                self._send(end, call_id, data)

    def _send(self, end: str, call_id: str, data: bytes) -> None:
        if end == "inside":
            target, socket = self._proxies.get(call_id, self.proxy) if self.proxy is None else self.proxy, "outside"
        else:
            target, socket = self.sipp, "inside"
        if target is not None and not self._sockets[socket].is_closing():
            self._sockets[socket].sendto(data, target)


class _End(asyncio.DatagramProtocol):
    def __init__(self, relay: Relay, name: str) -> None:
        self._relay, self._name = relay, name

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._relay.came(self._name, data, addr)

    def error_received(self, exc: Exception) -> None:
        """A proxy that is down (ICMP): the datagram is lost, as it would be on the way."""


def call_id_of(data: bytes) -> str:
    """The Call-ID of a message; empty without one."""
    found = _CALL_ID.search(data)
    return found.group(1).decode("utf-8", "replace") if found else ""
