"""Asks a proxy over SIP whether it is there, as a phone or a dispatcher would."""

from __future__ import annotations

import secrets
import socket
import ssl
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # nosec B104  # noqa: S104 - where such a proxy is asked
REPLY_BYTES_MAX = 65_535
TURNED_AWAY = 0
"""In the place of a code: over TLS the proxy ended the connection, as it does with `tls.verify_callers` for want of a
certificate. So it is there; what it would answer is not known."""


def options_code(address: str, transport: str = "udp", limit_s: float = 0.3) -> int | None:
    """The code with which HOST:PORT answers an OPTIONS over `udp`, `tcp` or `tls` (RFC 3261, 11), or TURNED_AWAY; None:
    no answer.
    """
    host, port = _place(address)
    try:
        with _connected(address, transport, limit_s) as probe:
            own_host, own_port = probe.getsockname()[:2]
            own = f"[{own_host}]:{own_port}" if ":" in own_host else f"{own_host}:{own_port}"
            # Who is turned away may be cut off before this is sent; the reason is there to be read all the same.
            with suppress(ConnectionError, ssl.SSLEOFError):
                probe.sendall(_options(f"{host}:{port}", own, transport.upper()).encode())
            reply = probe.recv(REPLY_BYTES_MAX)
    except ssl.SSLError as error:
        return TURNED_AWAY if "ALERT" in (error.reason or "") else None
    except OSError:
        return None
    version, _, rest = reply.partition(b" ")
    return int(rest[:3]) if version == b"SIP/2.0" and rest[:3].isdigit() else None


def certificate_shown(address: str, limit_s: float = 0.3) -> bytes | None:
    """What HOST:PORT shows to whoever connects with TLS, as DER; None: nothing."""
    try:
        with _connected(address, "tls", limit_s) as probe:
            return probe.getpeercert(binary_form=True) if isinstance(probe, ssl.SSLSocket) else None
    except OSError:
        return None


def _place(address: str) -> tuple[str, str]:
    """Host and port to ask."""
    host, port = address.rsplit(":", 1)
    return ANYWHERE.get(host, host), port


@contextmanager
def _connected(address: str, transport: str, limit_s: float) -> Iterator[socket.socket]:
    """Raises OSError, of which ssl.SSLError is one."""
    host, port = _place(address)
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(family, kind) as plain:
        plain.settimeout(limit_s)
        plain.connect((host.strip("[]"), int(port)))
        if transport != "tls":
            yield plain
            return
        # Nobody is believed here and nothing secret is said: it is asked whether our own node is there, which it is
        # also with a certificate that has expired, and whose name is seldom the address that it listens on.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(plain) as encrypted:
            yield encrypted


def _options(address: str, own: str, transport: str) -> str:
    mark = secrets.token_hex(8)
    lines = (
        f"OPTIONS sip:{address};transport={transport.lower()} SIP/2.0",
        f"Via: SIP/2.0/{transport} {own};branch=z9hG4bK{mark};rport",
        "Max-Forwards: 70",
        f"From: <sip:monitor@{own}>;tag={mark}",
        f"To: <sip:{address}>",
        f"Call-ID: {mark}@monitor",
        "CSeq: 1 OPTIONS",
        f"Contact: <sip:monitor@{own}>",
        "Content-Length: 0",
    )
    return "\r\n".join(lines) + "\r\n\r\n"
