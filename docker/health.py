#!/usr/bin/env python3
"""Whether this container's part does its work: exit code 0 and silence, or 1 and a line that says what is wrong.

    health.py proxy     every socket answers an OPTIONS, and keeper and cutter do their rounds
    health.py drain     the ledger heard from this node within the last seconds, by the ledger's own clock
    health.py monitor   it answers, whatever it has to say

A proxy without its database is healthy: it refuses new calls, and those that are up need it.
"""

import socket
import sys

from billing import readiness
from billing import settings as settings_module
from billing.board import FILE_NAME, Board
from billing.errors import MeterlineError
from billing.ledger import Ledger
from billing.settings import Settings
from stack.kamailio import answers_options

ANSWER_LIMIT_S = 2.0
SILENT_MS_MAX = 10_000  # the drain beats once a second


def proxy(settings: Settings) -> str:
    """What is wrong with it; empty: nothing."""
    for listen in settings.sip.listen:
        transport, address = listen.split(":", 1)
        if not answers_options(address, transport, ANSWER_LIMIT_S):
            return f"no answer to OPTIONS at {listen}"
    silent = set(readiness.silent_processes(Board(settings.node.state_dir / FILE_NAME))) - {"drain"}
    return f"silent: {', '.join(sorted(silent))}" if silent else ""


def drain(settings: Settings) -> str:
    """What is wrong with it; empty: nothing."""
    for node in Ledger.for_proxy(settings.database).nodes():
        if node.name == settings.node.name:
            return "" if node.silent_ms <= SILENT_MS_MAX else f"no heartbeat for {node.silent_ms} ms"
    return f"the ledger never heard of node {settings.node.name}"


def monitor(settings: Settings) -> str:
    """What is wrong with it; empty: nothing."""
    host, port = settings.monitor.listen.rsplit(":", 1)
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_LIMIT_S) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            return "" if connection.recv(9).startswith(b"HTTP/1.") else f"no HTTP at {settings.monitor.listen}"
    except OSError as error:
        return f"no answer at {settings.monitor.listen}: {error}"


def main() -> int:
    try:
        trouble = {"proxy": proxy, "drain": drain, "monitor": monitor}[sys.argv[1]](settings_module.load())
    except MeterlineError as error:
        trouble = str(error)
    if trouble:
        print(trouble)
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
