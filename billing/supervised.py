"""What systemd is told of a service that it started: that it is ready, and that it is not stuck (sd_notify(3))."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

READY, ALIVE, STOPPING = "READY=1", "WATCHDOG=1", "STOPPING=1"
VARIABLE = "NOTIFY_SOCKET"


def tell(state: str) -> None:
    """Send a state. Nothing happens under any other supervisor, and nothing goes wrong when nobody listens."""
    address = os.environ.get(VARIABLE, "")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.settimeout(0)  # a journal must not wait for a supervisor
        channel.sendto(state.encode(), f"\0{address[1:]}" if address.startswith("@") else address)
