"""Whom a certificate names. Kamailio's tls module believes any that its authorities signed, whoever shows it; and its
own pseudo-variables give the first name only.

The certificate was verified before it comes here. X.509 is read as far as the names are (RFC 5280 4.1, 4.2.1.6).
"""

from __future__ import annotations

import ipaddress
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

OBJECT_ID, EXTENSIONS = 0x06, 0xA3
DNS_NAME, IP_ADDRESS = 0x82, 0x87
ALTERNATIVE_NAMES = bytes((0x55, 0x1D, 0x11))
"""2.5.29.17, subjectAltName."""


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


def _fits(pattern: str, host: str) -> bool:
    pattern, host = pattern.lower().rstrip("."), host.lower().rstrip(".")
    if not pattern.startswith("*."):
        return pattern == host
    label, _, rest = host.partition(".")
    return bool(label) and rest == pattern[2:] and "." in rest


def _alternative_names(der: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, content) of each. Raises ValueError or IndexError for what is no certificate."""
    (_, certificate), *_ = _elements(der)
    (_, to_be_signed), *_ = _elements(certificate)
    for tag, content in _elements(to_be_signed):
        if tag != EXTENSIONS:
            continue
        (_, extensions), *_ = _elements(content)
        for _, extension in _elements(extensions):
            parts = _elements(extension)
            if parts[0] == (OBJECT_ID, ALTERNATIVE_NAMES):
                (_, names), *_ = _elements(parts[-1][1])
                yield from _elements(names)


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
