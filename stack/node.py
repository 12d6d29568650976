"""The whole private stack in one folder: MariaDB with the ledger in it, Kamailio, the drain."""

import contextlib
import json
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from billing import settings as settings_module
from billing.errors import MeterlineError
from billing.settings import Settings
from cli.db import set_up
from stack.kamailio import CHECKOUT, PrivateKamailio, make_state, python_environment
from stack.mariadb import PrivateMariaDB, os_user
from stack.processes import Child, StackError, free_port, pid_in, write_pid_file

SECRETS = ("card_pin_key", "proxy_password", "cashier_password", "admin_password")
DRAIN_LIMIT_S = 15.0
MONITOR_LIMIT_S = 15.0
RESTART_PAUSE_S_MAX = 5.0
RESTARTS_IN_A_ROW_MAX = 8
SETTLED_AFTER_S = 30.0  # a part that ran so long starts its count of restarts anew


class Part(Protocol):
    """What the stack starts, watches and stops."""

    @property
    def name(self) -> str: ...

    @property
    def alive(self) -> bool: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Stack:
    """MariaDB, Kamailio and the drain in `folder`, with secrets of their own; `watched`: the monitor, too.

    `up` makes what is missing and starts everything; `down` stops it. A folder can be taken up again: ledger,
    secrets, journal and dialogs stay. The parts (`mariadb`, `kamailio`, `drain`) may be stopped, killed and
    started one by one. `overrides` are settings by section, as {"calls": {"grant_s": 10, "renew_lead_s": 5}};
    None leaves one out.
    """

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        sip_port: int | None = None,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
        watched: bool = False,
        mariadb_options: Sequence[str] = (),
    ) -> None:
        self.folder = folder.absolute()
        self.host = host
        self.sip_port = sip_port or 0
        self.settings_path = self.folder / "meterline.toml"
        self.mariadb = PrivateMariaDB(self.folder / "mariadb", options=mariadb_options)
        self.kamailio = PrivateKamailio(self.folder, self.settings_path)
        self.drain = Child(
            "drain",
            [sys.executable, "-m", "billing.drain"],
            folder=self.folder,
            env=python_environment(self.settings_path),
            cwd=CHECKOUT,
        )
        self.monitor = Child(
            "monitor",
            [sys.executable, "-m", "monitor"],
            folder=self.folder,
            env=python_environment(self.settings_path),
            cwd=CHECKOUT,
        )
        self._watched = watched
        self._monitor_port = 0
        self._overrides = overrides or {}

    @property
    def parts(self) -> tuple[Part, ...]:
        """In the order in which they start; they stop in the opposite one."""
        always = (self.mariadb, self.drain, self.kamailio)
        return (*always, self.monitor) if self._watched else always

    @property
    def sip_address(self) -> str:
        """HOST:PORT of the proxy, UDP and TCP."""
        return f"{self.host}:{self.sip_port}"

    @property
    def settings(self) -> Settings:
        """What the parts run with; read from the file that `up` wrote."""
        return settings_module.load(self.settings_path)

    def up(self) -> None:
        """Start everything; on any error everything is stopped again before it is raised."""
        self.folder.mkdir(parents=True, exist_ok=True)
        pid_file = self.folder / "stack.pid"
        if (running := pid_in(pid_file)) is not None and running != os.getpid():
            raise StackError(f"the stack in {self.folder} is running already (process {running})")
        write_pid_file(pid_file, os.getpid())
        try:
            self.mariadb.start()
            self.sip_port = self.sip_port or free_port(self.host)
            self._monitor_port = self._monitor_port or free_port()
            self._write_settings()
            self.migrate()
            state_dir = self.settings.node.state_dir
            make_state(state_dir)
            self.drain.start()
            self.drain.wait_ready((state_dir / "directory.json").exists, DRAIN_LIMIT_S)
            self.kamailio.start()
            if self._watched:
                self.monitor.start()
                self.monitor.wait_ready(partial(_listens, self.settings.monitor.listen), MONITOR_LIMIT_S)
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """Stop everything. Harmless when nothing runs."""
        for part in reversed(self.parts):
            part.stop()
        (self.folder / "stack.pid").unlink(missing_ok=True)

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def migrate(self) -> list[str]:
        """Bring the ledger's tables, routines and logins up to date; what was changed."""
        return set_up(self.settings.database)

    def _write_settings(self) -> None:
        """meterline.toml, mode 600: today's ports, and the secrets that were made at the first `up`."""
        own = self._secrets()
        content: dict[str, dict[str, Any]] = {
            "database": {
                "socket": str(self.mariadb.socket),
                "host": "127.0.0.1",
                "port": self.mariadb.port,
                "setup_user": os_user(),
                **{name: own[name] for name in SECRETS if name.endswith("_password")},
            },
            "node": {"name": "node1", "state_dir": str(self.folder / "state")},
            "monitor": {"listen": f"127.0.0.1:{self._monitor_port}"},
            "carriers": {"probe_interval_s": 0},  # SIPp's scenarios know no OPTIONS
            "sip": {
                "realm": "meterline.test",
                "listen": [f"udp:{self.sip_address}", f"tcp:{self.sip_address}"],
            },
        }
        for section, values in self._overrides.items():
            content.setdefault(section, {}).update(values)
        write_private(self.settings_path, toml({"card_pin_key": own["card_pin_key"]}, content))

    def _secrets(self) -> dict[str, str]:
        file = self.folder / "secrets.json"
        if not file.exists():
            write_private(file, json.dumps({name: secrets.token_hex(32) for name in SECRETS}))
        found: dict[str, str] = json.loads(file.read_text(encoding="ascii"))
        return found


@dataclass
class _Restarts:
    """How often in a row a part was restarted, and when it may be again (monotonic seconds)."""

    in_a_row: int = 0
    last_at: float = 0.0
    reason: str = "its log has the reason"
    next_at: float = 0.0


class Supervisor:
    """Restarts the parts that die, each after a pause that doubles; gives up on one that keeps dying."""

    def __init__(self, parts: tuple[Part, ...], say: Callable[[str], None]) -> None:
        self._parts = parts
        self._say = say
        self._restarts = {part.name: _Restarts() for part in parts}

    def check(self) -> None:
        """One look at all parts. Raises StackError for a part that died too often."""
        for part in self._parts:
            now = time.monotonic()
            restarts = self._restarts[part.name]
            if part.alive:
                if restarts.in_a_row and now - restarts.last_at > SETTLED_AFTER_S:
                    restarts.in_a_row = 0
            elif now >= restarts.next_at:
                self._restart(part, restarts)

    def _restart(self, part: Part, restarts: _Restarts) -> None:
        if restarts.in_a_row >= RESTARTS_IN_A_ROW_MAX:
            times = restarts.in_a_row + 1
            raise StackError(f"{part.name} died {times} times in a row, and is given up: {restarts.reason}")
        restarts.in_a_row += 1
        self._say(f"{part.name} died; starting it again ({restarts.in_a_row})")
        try:
            part.stop()  # what is left of its process group
            part.start()
        except (MeterlineError, OSError) as error:  # OSError: a full disk, no process left; the others go on
            restarts.reason = str(error)
            self._say(restarts.reason)
        restarts.last_at = time.monotonic()
        restarts.next_at = restarts.last_at + min(RESTART_PAUSE_S_MAX, 0.1 * 2**restarts.in_a_row)

    def run(self, stop: threading.Event, interval_s: float = 0.2) -> None:
        """`check` until `stop` is set."""
        while not stop.wait(interval_s):
            self.check()

    @contextlib.contextmanager
    def in_background(self) -> Iterator[None]:
        """The same beside a test: parts that it kills come back by themselves."""
        stop = threading.Event()
        watcher = threading.Thread(target=partial(self.run, stop), name="supervisor", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join(60)


def _listens(address: str) -> bool:
    host, port = address.rsplit(":", 1)
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
        return True
    return False


def toml(top: Mapping[str, Any], sections: Mapping[str, Mapping[str, Any]]) -> str:
    """A TOML text of text, numbers, booleans and flat lists; for these JSON's spelling is TOML's too."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in top.items()]
    for section, values in sections.items():
        lines += ["", f"[{section}]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None]
    return "\n".join(lines) + "\n"


def write_private(path: Path, text: str) -> None:
    """Replace a file by one that its owner alone may read, from its first byte on."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
