"""HTTP for those who watch: /metrics, /healthz, /readyz. Reads alone; a scrape waits for nothing and nobody."""

from __future__ import annotations

import json
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from monitor import health, metrics

if TYPE_CHECKING:
    from typing import Any

    from monitor.watch import Watch

AT_ONCE_MAX = 16
"""Requests that are answered at a time; more are closed at once."""
PATIENCE_S = 5.0
"""For a client that does not say what it wants, or does not take the answer."""


class Server(ThreadingHTTPServer):
    """Listens where the settings say. Raises OSError when it cannot."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, watch: Watch) -> None:
        """Binds; `serve_forever` answers."""
        host, port = watch.settings.monitor.listen.rsplit(":", 1)
        self.watch = watch
        self.address_family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        self._free = threading.BoundedSemaphore(AT_ONCE_MAX)
        super().__init__((host.strip("[]"), int(port)), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """One thread a request, as long as there are not too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """In the request's thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no event."""


class _Handler(BaseHTTPRequestHandler):
    timeout = PATIENCE_S
    server: Server
    server_version = "Meterline"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(HTTPStatus.OK, metrics.CONTENT_TYPE, metrics.exposition(self.server.watch))
        elif path == "/healthz":
            self._judge(health.not_healthy(self.server.watch))
        elif path == "/readyz":
            self._judge(health.not_ready(self.server.watch))
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"/metrics, /healthz or /readyz\n")

    do_HEAD = do_GET  # noqa: N815 - named so by http.server

    def _judge(self, wrong: list[str]) -> None:
        content = {"status": "failed" if wrong else "ok", "node": self.server.watch.settings.node.name, "wrong": wrong}
        status = HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK
        self._answer(status, "application/json", json.dumps(content).encode() + b"\n")

    def _answer(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in http.server
        """A scrape is no event."""
