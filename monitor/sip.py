"""Asks a proxy over SIP whether it is there, as a phone or a dispatcher would."""

from __future__ import annotations

import secrets
import socket

ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # nosec B104  # noqa: S104 - where such a proxy is asked
REPLY_BYTES_MAX = 65_535


def options_code(address: str, transport: str = "udp", limit_s: float = 0.3) -> int | None:
    """The code with which HOST:PORT answers an OPTIONS over `udp` or `tcp` (RFC 3261, 11); None: no answer."""
    host, port = address.rsplit(":", 1)
    host = ANYWHERE.get(host, host)
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family, kind) as probe:
        probe.settimeout(limit_s)
        try:
            probe.connect((host.strip("[]"), int(port)))
            own_host, own_port = probe.getsockname()[:2]
            own = f"[{own_host}]:{own_port}" if family is socket.AF_INET6 else f"{own_host}:{own_port}"
            probe.sendall(_options(f"{host}:{port}", own, transport.upper()).encode())
            reply = probe.recv(REPLY_BYTES_MAX)
        except OSError:
            return None
    version, _, rest = reply.partition(b" ")
    return int(rest[:3]) if version == b"SIP/2.0" and rest[:3].isdigit() else None


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
