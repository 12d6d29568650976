"""A process that floods: `flooder.py HOST:PORT KIND ADDRESSES PER_SECOND` until its standard input ends.

Loopback only. ADDRESSES: the sources, with commas; each sends in turn. It prints how many requests it sent.
"""

from __future__ import annotations

import itertools
import random
import select
import socket
import sys
import time

SEED = 20261123
SLICE_S = 0.01
SENT_MAX = 2_000_000
NUMBER = "4930123456"


def request(kind: str, host: str, port: int, mark: str) -> bytes:
    """One request of a flood; `mark` makes it another transaction and call."""
    method = {"invite": "INVITE", "forged": "INVITE", "bye": "BYE", "garbage": "INVITE"}.get(kind, kind.upper())
    to_tag = ";tag=nobody" if kind == "bye" else ""
    number = NUMBER if method != "OPTIONS" else ""
    uri = f"sip:{number}@meterline.test" if number else "sip:meterline.test"
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{mark};rport",
        "Max-Forwards: 70",
        f"From: <sip:flood@meterline.test>;tag={mark}",
        f"To: <{uri}>{to_tag}",
        f"Call-ID: {mark}@flood",
        f"CSeq: 1 {method}" if kind != "garbage" else "CSeq: 99999999999 INVITE",
        f"Contact: <sip:flood@{host}:{port}>",
    ]
    if kind == "forged":  # well made, with a nonce that the proxy never gave
        lines.append(
            'Proxy-Authorization: Digest username="nobody", realm="meterline.test", uri="' + uri + '", '
            f'nonce="{"A" * 60}", response="{mark:0>32.32}", algorithm=MD5, qop=auth, cnonce="x", nc=00000001'
        )
    return ("\r\n".join([*lines, "Content-Length: 0"]) + "\r\n\r\n").encode()


def flood(target: tuple[str, int], kind: str, addresses: list[str], per_second: int) -> int:
    """Send until the standard input ends; how many were sent."""
    chance = random.Random(SEED)
    ends = []
    for address in addresses:
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        end.bind((address, 0))
        end.setblocking(False)
        ends.append((end, *end.getsockname()))
    sys.stdout.write("began\n")
    sys.stdout.flush()
    turns, sent, began = itertools.cycle(ends), 0, time.monotonic()
    while not select.select([sys.stdin], [], [], SLICE_S)[0] and sent < SENT_MAX:
        due = int((time.monotonic() - began) * per_second)
        while sent < due:
            end, host, port = next(turns)
            try:
                end.sendto(request(kind, host, port, f"{chance.getrandbits(64):016x}"), target)
            except BlockingIOError:
                break
            sent += 1
    return sent


if __name__ == "__main__":
    where, chosen, sources, rate = sys.argv[1:]
    name, _, number = where.rpartition(":")
    sys.stdout.write(str(flood((name, int(number)), chosen, sources.split(","), int(rate))))
