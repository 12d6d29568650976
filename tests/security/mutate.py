"""Mutations of SIP messages: what a message becomes follows from a seed and a number alone."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

NASTY = (
    b"\x00",
    b"\r",
    b"\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"\x1b[2J\x1b]0;x\x07",
    b"%s%n%x%d",
    b"$var(x)$(ru{s.len})$sht(live=>x)",
    b"'; DROP TABLE purse; --",
    b'"}{"event": "forged"',
    b"\\",
    b'"',
    b"<",
    b">",
    b";tag=",
    b",",
    b"\xff\xfe",
    "ü\u2028\u202e大".encode(),
    b"%00%0d%0a",
    b"A" * 300,
    b"9" * 40,
)
NUMBERS = (b"0", b"-1", b"1", b"2147483647", b"2147483648", b"4294967295", b"4294967296", b"18446744073709551616", b"")
HEADERS = (
    b"X-Meterline-Card: 8800000001",
    b"X-Meterline-PIN: 4711",
    b"Route: <sip:127.0.0.1:5999;lr>",
    b"Record-Route: <sip:127.0.0.1:5999;lr>",
    b"Via: SIP/2.0/UDP 127.0.0.1:5999;branch=z9hG4bKx",
    b"Contact: <sip:x@127.0.0.1:5999>",
    b"Content-Length: 0",
    b"l: 100000",
    b"Max-Forwards: 0",
    b"CSeq: 7 BYE",
    b"i: other",
    b"f: <sip:x@y>;tag=z",
    b"t: <sip:x@y>;tag=z",
    b"Replaces: a;to-tag=b;from-tag=c",
    b"Refer-To: <sip:1@127.0.0.1>",
    b"Session-Expires: 90",
    b"Proxy-Authorization: Digest username=x",
    b"Proxy-Require: x",
    b"Identity: x",
    b"P-Asserted-Identity: <sip:+4930999@x>",
    b"P-Preferred-Identity: <sip:+4930999@x>",
    b"Remote-Party-ID: <sip:+4930999@x>",
    b"Diversion: <sip:+4930999@x>",
    b"b: <sip:+4930999@x>",
    b"Privacy: id",
    b"Privacy: none",
)
METHODS = tuple(b"INVITE ACK BYE CANCEL OPTIONS UPDATE PRACK REFER MESSAGE FOO invite".split())
COMPACT = {b"via": b"v", b"from": b"f", b"to": b"t", b"call-id": b"i", b"contact": b"m", b"content-length": b"l"}
_NUMBER = re.compile(rb"\d+")
_TOKEN = re.compile(rb"[A-Za-z0-9.@_-]+")


def mutated(message: bytes, seed: int, number: int) -> bytes:
    """The message after one to four changes."""
    chance = random.Random(f"{seed}/{number}")
    for _ in range(chance.choice((1, 1, 1, 2, 3, 4))):
        message = chance.choice(_CHANGES)(message, chance)
    return message[:65_000]


def _flip(message: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(max(1, len(message)))
    return message[:at] + bytes([chance.randrange(256)]) + message[at + 1 :]


def _insert(message: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(message) + 1)
    return message[:at] + chance.choice(NASTY) + message[at:]


def _delete(message: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(max(1, len(message)))
    return message[:at] + message[at + chance.choice((1, 1, 2, 5, 20)) :]


def _repeat(message: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(max(1, len(message)))
    piece = message[at : at + chance.choice((1, 1, 5, 30))]
    return message[:at] + piece * chance.choice((2, 2, 3, 50, 300)) + message[at:]


def _truncate(message: bytes, chance: random.Random) -> bytes:
    return message[: chance.randrange(len(message) + 1)]


def _number(message: bytes, chance: random.Random) -> bytes:
    return _replace(message, chance, _NUMBER, NUMBERS)


def _token(message: bytes, chance: random.Random) -> bytes:
    return _replace(message, chance, _TOKEN, NASTY)


def _replace(
    message: bytes, chance: random.Random, pattern: re.Pattern[bytes], values: tuple[bytes, ...]
) -> bytes:
    found = list(pattern.finditer(message))
    if not found:
        return message
    match = chance.choice(found)
    return message[: match.start()] + chance.choice(values) + message[match.end() :]


def _method(message: bytes, chance: random.Random) -> bytes:
    old, new = message.partition(b" ")[0], chance.choice(METHODS)
    return message.replace(old, new) if chance.random() < 0.5 else new + message[len(old) :]


def _lines(change: Callable[[list[bytes], random.Random], None]) -> Callable[[bytes, random.Random], bytes]:
    """A change of the head's lines."""

    def changed(message: bytes, chance: random.Random) -> bytes:
        head, end, body = message.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        change(lines, chance)
        return b"\r\n".join(lines) + end + body

    return changed


@_lines
def _drop(lines: list[bytes], chance: random.Random) -> None:
    if lines:
        del lines[chance.randrange(len(lines))]


@_lines
def _double(lines: list[bytes], chance: random.Random) -> None:
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))


@_lines
def _swap(lines: list[bytes], chance: random.Random) -> None:
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]


@_lines
def _header(lines: list[bytes], chance: random.Random) -> None:
    lines.insert(chance.randrange(1, len(lines) + 1), chance.choice(HEADERS))


@_lines
def _spell(lines: list[bytes], chance: random.Random) -> None:
    at = chance.randrange(len(lines))
    name, colon, value = lines[at].partition(b":")
    spelt = chance.choice((name.upper(), name.lower(), name.swapcase(), COMPACT.get(name.lower(), name)))
    lines[at] = spelt + chance.choice((b"", b" ", b"\t", b"\r\n ")) + colon + value


@_lines
def _fold(lines: list[bytes], chance: random.Random) -> None:
    at = chance.randrange(len(lines))
    within = chance.randrange(len(lines[at]) + 1)
    lines[at] = lines[at][:within] + chance.choice((b"\r\n ", b"\r\n\t", b"\n ", b"\r ")) + lines[at][within:]


def _line_ends(message: bytes, chance: random.Random) -> bytes:
    return message.replace(b"\r\n", chance.choice((b"\n", b"\r", b"\n\r", b"\r\r\n")), chance.choice((1, 2, 3, -1)))


def _second(message: bytes, chance: random.Random) -> bytes:
    """Another one behind it: what one reader takes for a body, another may take for a message."""
    return message + chance.choice((b"", b"\r\n", b"\r\n\r\n")) + message


_CHANGES = (
    *(_flip, _flip, _insert, _insert, _delete, _repeat, _truncate, _number, _number, _token, _token, _method),
    *(_drop, _double, _swap, _header, _header, _spell, _fold, _line_ends, _second),
)
