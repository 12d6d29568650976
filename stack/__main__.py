"""`make up` and `make down`: the stack in the foreground of one terminal, and its end from another."""

import argparse
import json
import signal
import sys
import threading
from datetime import datetime
from pathlib import Path

from billing.errors import MeterlineError
from stack.kamailio import CHECKOUT
from stack.node import Stack, Supervisor
from stack.processes import free_port, port_is_free, stop_left_behind

RUN = CHECKOUT / "run"
SIP_PORT = 5060  # taken when it is free; any other if not
PORT_MAX = 65_535
TROUBLE = ("ERROR", "CRITICAL", "ALERT", "BUG")
HEAD = ("time", "level", "part", "node")


def main() -> int:
    options = parse(sys.argv[1:])
    try:
        return up(options.folder, options.host, options.port) if options.command == "up" else down(options.folder)
    except MeterlineError as error:
        print(error, file=sys.stderr)
        return 1


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("up", help="run MariaDB, Kamailio and the drain until Ctrl-C or `down`")
    starting.add_argument("--folder", type=Path, default=RUN / "up", help="where its files are (default: run/up)")
    starting.add_argument("--host", default="127.0.0.1", help="address that SIP listens on (default %(default)s)")
    starting.add_argument("--port", type=port_number, help=f"SIP port (default: {SIP_PORT}, or a free one)")
    ending = commands.add_parser("down", help="stop the stack and all that a killed run left behind")
    ending.add_argument("--folder", type=Path, default=RUN, help="what runs under this folder (default: run)")
    return parser.parse_args(words)


def port_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= PORT_MAX):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 1 to {PORT_MAX}")
    return int(text)


def up(folder: Path, host: str, port: int | None) -> int:
    """Run until SIGINT or SIGTERM; what happens is printed a line at a time."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    stack = Stack(folder, host=host, sip_port=port or usual_port(host), watched=True)
    say("starting MariaDB, the drain, Kamailio and the monitor")
    with stack:
        if not stop.is_set():
            welcome(stack)
            log = Follower(stack.kamailio.log)
            supervisor = Supervisor(stack.parts, say)
            while not stop.wait(0.2):
                supervisor.check()
                log.tell()
        say("stopping")
    say("stopped")
    return 0


def down(folder: Path) -> int:
    """End the running stack, which stops its own parts, then what has lost its parent."""
    for name in stop_left_behind(folder, first="stack"):
        say(f"{name} stopped")
    return 0


def usual_port(host: str) -> int:
    """Raises StackError when `host` is no address of this machine."""
    return SIP_PORT if port_is_free(host, SIP_PORT) else free_port(host)


def welcome(stack: Stack) -> None:
    say(f"SIP        udp and tcp {stack.sip_address}, realm {stack.settings.sip.realm}")
    say(f"MariaDB    mariadb --socket={stack.mariadb.socket} {stack.settings.database.name}")
    say(f"watch      http://{stack.settings.monitor.listen}/metrics /healthz /readyz; bin/meterline doctor")
    say("commands   bin/meterline calls | cdrs | audit | topup ..")
    say(f"logs       {shown(stack.kamailio.log)} {shown(stack.drain.log)} {shown(stack.monitor.log)}")
    say("Ctrl-C here, or `make down` elsewhere, stops it; what it wrote stays for the next `make up`")


def shown(path: Path) -> str:
    """A path as a person in the checkout would type it."""
    return str(path.relative_to(CHECKOUT)) if path.is_relative_to(CHECKOUT) else str(path)


def say(text: str) -> None:
    """One event of the stack, on one line or with its lines below."""
    print(f"{datetime.now():%H:%M:%S}  {text}", flush=True)  # noqa: DTZ005 - the reader's own clock


class Follower:
    """Tells what Kamailio's log gains: the events of calls, and trouble."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._offset = log.stat().st_size
        self._rest = b""

    def tell(self) -> None:
        with self._log.open("rb") as file:
            file.seek(self._offset)
            gained = file.read()
        self._offset += len(gained)
        *lines, self._rest = (self._rest + gained).split(b"\n")
        for line in lines:
            if text := readable(line.decode(errors="replace")):
                say(text)


def readable(line: str) -> str | None:
    """A log line for the terminal: an event as words, trouble as it is, anything else None."""
    try:
        fields = json.loads(line)
    except ValueError:
        return line or None
    if "pri" in fields:  # Kamailio's own
        return f"{fields['pri']}: {fields['msg']}" if fields["pri"] in TROUBLE else None
    name = fields.pop("event", "event")
    return "  ".join([f"{name:<12}", *(f"{key}={value}" for key, value in fields.items() if key not in HEAD)])


if __name__ == "__main__":
    sys.exit(main())
