"""SIP over a TCP connection of one's own: bytes out, whole messages in."""

from __future__ import annotations

import re
import socket
import time
from typing import Self

from tests.support.messages import Message

_LENGTH = re.compile(rb"^(?:content-length|l)[ \t]*:[ \t]*(\d+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


class TcpEnd:
    """One connection to the proxy from `host`; every wait has a limit."""

    def __init__(self, proxy: tuple[str, int], *, host: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection(proxy, 3.0, source_address=(host, 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.host, self.port = self._socket.getsockname()
        self.closed = False
        self.seen: list[Message] = []
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: str | bytes) -> None:
        """Nothing happens when the proxy has closed the connection."""
        try:
            self._socket.sendall(data if isinstance(data, bytes) else data.encode())
        except (BrokenPipeError, ConnectionResetError):
            self.closed = True

    def receive(self, limit_s: float = 3.0) -> Message | None:
        """The next message; None when none came in time or the connection is closed."""
        deadline = time.monotonic() + limit_s
        while (message := self._whole_message()) is None:
            left = deadline - time.monotonic()
            if self.closed or left <= 0:
                return None
            self._socket.settimeout(left)
            try:
                piece = self._socket.recv(65_535)
            except TimeoutError:
                return None
            except ConnectionResetError:
                piece = b""
            self.closed = not piece
            self._buffer += piece
        self.seen.append(message)
        return message

    def is_closed_within(self, limit_s: float) -> bool:
        """Whether the proxy ends the connection; what comes before is kept in `seen`."""
        deadline = time.monotonic() + limit_s
        while not self.closed and (left := deadline - time.monotonic()) > 0:
            self.receive(left)
        return self.closed

    def _whole_message(self) -> Message | None:
        self._buffer = self._buffer.lstrip(b"\r\n")
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return None
        found = _LENGTH.search(head)
        length = int(found.group(1)) if found else 0
        if len(rest) < length:
            return None
        data, self._buffer = head + end + rest[:length], rest[length:]
        return Message(data.decode("utf-8", "replace"), time.time())
