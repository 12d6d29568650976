"""A Kamailio of our own: kamailio.cfg of this checkout with the environment that it reads."""

import os
import secrets
import sqlite3
import sysconfig
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from billing import settings as settings_module
from billing.directory import PROBE_FILE
from billing.privileges import UMASK
from billing.settings import Settings
from monitor.sip import options_code
from stack import tls
from stack.processes import Child, StackError, program, socket_folder

CHECKOUT = Path(__file__).resolve().parents[1]
CONFIGURATION = CHECKOUT / "kamailio.cfg"
SCRIPT = CHECKOUT / "kemi" / "meterline.py"
TABLES = Path("/usr/share/kamailio/db_sqlite")
RPC_SOCKET = "kamailio.rpc"
SHARED_MEMORY_MB = 256
PRIVATE_MEMORY_MB = 16
START_LIMIT_S = 20.0


class PrivateKamailio:
    """The proxy that a settings file describes. In `folder`: kamailio.log, kamailio.pid, kamailio.rpc."""

    name = "kamailio"

    def __init__(self, folder: Path, settings_path: Path) -> None:
        self.folder = folder.absolute()
        self.settings_path = settings_path.absolute()
        self._rpc_folder: Path | None = None
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    @property
    def log(self) -> Path:
        return self.folder / "kamailio.log"

    @property
    def rpc_socket(self) -> Path:
        """Kamailio's control socket, as `kamcmd -s unix:PATH` takes it."""
        if self._rpc_folder is None:
            self._rpc_folder = socket_folder(self.folder, RPC_SOCKET)
        return self._rpc_folder / RPC_SOCKET

    def start(self) -> None:
        """Start with the settings as the file has them now; return when Kamailio answers an OPTIONS.

        Raises SettingsError for a bad file, StackError with the end of the log when it does not come up.
        """
        assert not self.alive, "Kamailio is running already"
        settings = settings_module.load(self.settings_path)
        self.folder.mkdir(parents=True, exist_ok=True)
        make_state(settings.node.state_dir)
        tls.prepare(settings, self.folder)
        self._child = Child(
            self.name,
            command(settings, self.folder),
            folder=self.folder,
            env=environment(settings, self.settings_path, self.rpc_socket, self.folder),
            cwd=self.folder,
            umask=UMASK,
        )
        self._child.start()
        try:
            # Each socket is asked: TCP's process is forked last, and a SIGTERM before that would not reach it.
            for address in settings.sip.listen:
                self._child.wait_ready(partial(_answers, address), START_LIMIT_S)
        except StackError:
            self._child.kill9()
            raise

    def stop(self) -> None:
        """SIGTERM, wait, and SIGKILL for what hangs."""
        if self._child:
            self._child.stop()

    def kill9(self) -> None:
        """SIGKILL for all its processes at once."""
        if self._child:
            self._child.kill9()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def command(settings: Settings, run_dir: Path) -> list[str]:
    """Kamailio in the foreground, logging JSON to its standard error."""
    listens = [word for address in settings.sip.listen for word in ("-l", address)]
    return [
        program("kamailio"),
        *("-f", str(CONFIGURATION), "-DD", "-E", "--log-engine=json:MU"),  # U: with the time, in UTC
        *("-Y", str(run_dir), "-w", str(run_dir)),
        *("-m", str(SHARED_MEMORY_MB), "-M", str(PRIVATE_MEMORY_MB)),
        *listens,
    ]


def environment(settings: Settings, settings_path: Path, rpc_socket: Path, run_dir: Path) -> dict[str, str]:
    """The whole environment of Kamailio. Little is inherited: another python3 in PATH would break the engine.

    kamailio.cfg takes from here what differs from node to node.
    """
    found = python_environment(settings_path) | {
        "METERLINE_SCRIPT": str(SCRIPT),
        "METERLINE_DIALOG_DB": f"sqlite:///{dialog_store(settings.node.state_dir)}",
        "METERLINE_REALM": settings.sip.realm,
        "METERLINE_RPC_SOCKET": f"unix:{rpc_socket}",
        "METERLINE_SIP_WORKERS": str(settings.sip.workers),
        "METERLINE_RING_MS": str(settings.calls.ring_limit_s * 1000),
        "METERLINE_EARLY_S": str(settings.calls.early_dialog_s),
        "METERLINE_FLOOD_PER_S": str(settings.flood.requests_per_s),
        "METERLINE_FAILURES": f"failures=>size=12;initval=0;autoexpire={2 * settings.lockout.window_s};",
        "METERLINE_TCP_IDLE_S": str(settings.flood.tcp_idle_s),
    }
    if settings.carriers.probe_interval_s:
        found |= {
            "METERLINE_PROBE_S": str(settings.carriers.probe_interval_s),
            "METERLINE_PROBE_FAILURES": str(settings.carriers.probe_failures),
            "METERLINE_PROBE_LIST": str(settings.node.state_dir / PROBE_FILE),
            "METERLINE_PROBE_FROM": f"sip:ping@{settings.sip.realm}",
        }
    if settings.sip.digest_algorithm != "MD5":
        found["METERLINE_DIGEST"] = settings.sip.digest_algorithm
    if settings.sip.has_tls:
        found["METERLINE_TLS_CONFIG"] = str(tls.configuration_file(run_dir))
    return found


def python_environment(settings_path: Path) -> dict[str, str]:
    """A clean environment for a process of the node: Debian's programs, this checkout and its virtual
    environment. Of the caller's own only variables that are settings are passed on.
    """
    ours = {
        name: value
        for name, value in os.environ.items()
        if name == settings_module.FOLDERS_VARIABLE or (name.startswith("METERLINE_") and "__" in name)
    }
    return ours | {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": f"{sysconfig.get_path('purelib')}:{CHECKOUT}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
        settings_module.PATH_VARIABLE: str(settings_path),
    }


def dialog_store(state_dir: Path) -> Path:
    """The sqlite file in which the dialog module keeps its calls."""
    return state_dir / "dialogs.sqlite"


def make_state(state_dir: Path) -> None:
    """The node's folder and the dialog store with Kamailio's own tables; harmless when they are there."""
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    (state_dir / PROBE_FILE).write_text("", encoding="ascii")  # the keeper fills it
    store = dialog_store(state_dir)
    if store.exists():
        return
    draft = store.with_suffix(".new")
    draft.unlink(missing_ok=True)
    connection = sqlite3.connect(draft)
    try:
        connection.execute("PRAGMA journal_mode=WAL")  # readers and the writer do not wait for each other
        for script in ("standard-create.sql", "dialog-create.sql"):
            connection.executescript((TABLES / script).read_text(encoding="utf-8"))
        connection.execute(f"PRAGMA user_version={1 + secrets.randbelow(2**31 - 1)}")  # kemi/dialog_store.py, identity
    finally:
        connection.close()
    draft.replace(store)


def _answers(listen: str) -> bool:
    transport, address = listen.split(":", 1)
    return answers_options(address, transport)


def answers_options(address: str, transport: str = "udp", limit_s: float = 0.3) -> bool:
    """Whether anything at HOST:PORT answers an OPTIONS over `udp`, `tcp` or `tls`, with whatever code."""
    return options_code(address, transport, limit_s) is not None
