"""Whom a certificate names, and when it is valid.

Kamailio's tls module believes any that its authorities signed, whoever shows it; and its own pseudo-variables give the
first name only. Python's ssl tells of a certificate only when it has verified it, which one that has expired never is.
Nothing is verified here. X.509 is read as far as names and dates are (RFC 5280 4.1, 4.2.1.6).
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

OBJECT_ID, UTC_TIME, VERSION, EXTENSIONS = 0x06, 0x17, 0xA0, 0xA3
DNS_NAME, IP_ADDRESS = 0x82, 0x87
ALTERNATIVE_NAMES = bytes((0x55, 0x1D, 0x11))
"""2.5.29.17, subjectAltName."""
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class Validity(NamedTuple):
    """From when until when, both included, as Unix times."""

    since_s: int
    until_s: int


def names_host(pem: str, host: str) -> bool:
    """Whether a certificate is for this host: an address, or a name; `*.example.net` stands for one label (RFC 6125).

    The common name is not looked at (RFC 9525). A text that is no certificate names nobody.
    """
    try:
        names = list(_alternative_names(ssl.PEM_cert_to_DER_cert(pem)))
    except (ValueError, IndexError):
        return False
    try:
        wanted = ipaddress.ip_address(host.strip("[]")).packed
    except ValueError:
        return any(kind == DNS_NAME and _fits(name.decode("latin-1"), host) for kind, name in names)
    return any(kind == IP_ADDRESS and name == wanted for kind, name in names)


def certificates_in(pem: str) -> list[bytes]:
    """Every certificate of a PEM file in its order, as DER; keys and words between them are passed over.

    Raises ValueError for one that is not base64.
    """
    return [ssl.PEM_cert_to_DER_cert(block) for block in _PEM.findall(pem)]


def validity(der: bytes) -> Validity:
    """When a certificate is valid. Raises ValueError for what is none."""
    try:
        found = _to_be_signed(der)
        # version (which may be left out), serial number, signature, issuer, validity
        (since_kind, since), (until_kind, until) = _elements(found[3 + (found[0][0] == VERSION)][1])
    except IndexError:
        raise ValueError("no certificate") from None
    return Validity(_unix_time(since_kind, since), _unix_time(until_kind, until))


def _unix_time(kind: int, content: bytes) -> int:
    """UTCTime has two digits of a year, 1950 to 2049, GeneralizedTime four; both are UTC here (RFC 5280 4.1.2.5)."""
    text = content.decode("ascii")
    if kind == UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    return int(datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp())


def _fits(pattern: str, host: str) -> bool:
    pattern, host = pattern.lower().rstrip("."), host.lower().rstrip(".")
    if not pattern.startswith("*."):
        return pattern == host
    label, _, rest = host.partition(".")
    return bool(label) and rest == pattern[2:] and "." in rest


def _alternative_names(der: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, content) of each. Raises ValueError or IndexError for what is no certificate."""
    for tag, content in _to_be_signed(der):
        if tag != EXTENSIONS:
            continue
        (_, extensions), *_ = _elements(content)
        for _, extension in _elements(extensions):
            parts = _elements(extension)
            if parts[0] == (OBJECT_ID, ALTERNATIVE_NAMES):
                (_, names), *_ = _elements(parts[-1][1])
                yield from _elements(names)


def _to_be_signed(der: bytes) -> list[tuple[int, bytes]]:
    """The parts of a certificate without its signature. Raises ValueError or IndexError for what is none."""
    (_, certificate), *_ = _elements(der)
    (_, to_be_signed), *_ = _elements(certificate)
    return _elements(to_be_signed)


def _elements(content: bytes) -> list[tuple[int, bytes]]:
    """The DER elements, one after another: tag and content (X.690 8.1; tags of one byte are all that occur)."""
    found = []
    at = 0
    while at < len(content):
        tag, length = content[at], content[at + 1]
        at += 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(content[at : at + count], "big")
            at += count
        if at + length > len(content):
            raise ValueError("cut off")
        found.append((tag, content[at : at + length]))
        at += length
    return found
