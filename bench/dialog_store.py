"""Where Kamailio's dialogs are kept: what each store costs a call, and what it still has after a kill -9.

    .venv/bin/python -m bench.dialog_store [--calls 2000] [--per-second 100] [--rounds 3]

Each store gets a private stack of its own, and the same load from SIPp: calls of a second, answered and hung up by the
caller. Rounds alternate between the stores, so that a slow minute of the machine meets all of them. Then 200 calls are
set up, every process of the proxy is killed, and the dialogs of the next Kamailio are counted.

    none     dialogs in memory alone (db_mode 0)        disk     sqlite in the state folder (what Meterline uses)
    tmpfs    sqlite on a tmpfs                          text     Kamailio's db_text
    mariadb  the ledger's server (wants kamailio-mysql-modules)
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pymysql

from stack import kamailio as kamailio_module
from stack.node import Stack
from stack.processes import free_port, wait_until
from tests.support.scene import Scene
from tests.support.world import Account, Phone, World

ACCOUNTS = 50
UP = 200
MODULES = Path("/usr/lib/x86_64-linux-gnu/kamailio/modules")
OVERRIDES = {"calls": {"grant_s": 300, "renew_lead_s": 30}}
MARIADB_PASSWORD = secrets.token_hex(16)
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Store:
    """A store: how the configuration is edited for it, and its address."""

    name: str
    edits: tuple[tuple[str, str], ...] = ()
    folder: Path | None = None
    url: Callable[[Stack], str] | None = None
    prepare: Callable[[Stack], None] | None = None
    cpu_ms: list[float] = field(default_factory=list)
    setup_ms: list[float] = field(default_factory=list)
    failed: int = 0
    lost: int = 0
    restored: str = ""


def stores() -> list[Store]:
    """Those that this machine has."""
    found = [
        Store("none", (('"db_mode", 1', '"db_mode", 0'),)),
        Store("disk"),
        Store("tmpfs", folder=Path("/dev/shm")),  # nosec B108  # noqa: S108 - a tmpfs is what it is about
        Store("text", (("db_sqlite.so", "db_text.so"),), url=_text_url, prepare=_make_text),
    ]
    if (MODULES / "db_mysql.so").exists():
        found.append(Store("mariadb", (("db_sqlite.so", "db_mysql.so"),), url=_mariadb_url, prepare=_make_mariadb))
    return found


def _text_url(stack: Stack) -> str:
    return f"text://{stack.folder / 'dbtext'}"


def _make_text(stack: Stack) -> None:
    shutil.copytree("/usr/share/kamailio/dbtext/kamailio", stack.folder / "dbtext")


def _mariadb_url(stack: Stack) -> str:
    return f"mysql://bench:{MARIADB_PASSWORD}@127.0.0.1:{stack.mariadb.port}/dialogs"


def _make_mariadb(stack: Stack) -> None:
    tables = Path("/usr/share/kamailio/mysql")
    root = pymysql.connect(unix_socket=str(stack.mariadb.socket), user="root", autocommit=True)
    with contextlib.closing(root) as server:
        cursor = server.cursor()
        cursor.execute("CREATE DATABASE dialogs")
        cursor.execute("CREATE USER bench@'127.0.0.1' IDENTIFIED BY %s", (MARIADB_PASSWORD,))
        cursor.execute("GRANT ALL ON dialogs.* TO bench@'127.0.0.1'")
        cursor.execute("USE dialogs")
        for script in ("standard-create.sql", "dialog-create.sql"):
            for statement in (tables / script).read_text(encoding="utf-8").split(";"):
                if statement.strip():
                    cursor.execute(statement)


# --- one stack -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def running(store: Store, folder: Path, number: int) -> Iterator[Stage]:
    """A stack whose Kamailio keeps its dialogs there. An address of its own: its port must wait for its turns."""
    if store.folder is not None:
        folder = Path(tempfile.mkdtemp(dir=store.folder))
    stack = Stack(folder / store.name, host=f"127.0.1.{number}", overrides=OVERRIDES)
    original, configuration = kamailio_module.environment, kamailio_module.CONFIGURATION
    try:
        stack.up()
        if store.prepare:
            store.prepare(stack)
        yield Stage(store, stack, folder)
    finally:
        kamailio_module.environment, kamailio_module.CONFIGURATION = original, configuration
        stack.down()
        if store.folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


class Stage:
    """A stack with its accounts, and Kamailio as the store wants it whenever it is its turn."""

    def __init__(self, store: Store, stack: Stack, folder: Path) -> None:
        self.store, self.stack, self.folder = store, stack, folder
        self.world = World(stack, [free_port()])
        self.accounts: list[Account] = [self.world.customer("1000") for _ in range(ACCOUNTS)]
        self.phones: list[Phone] = [self.world.phone(account) for account in self.accounts]
        self._original = kamailio_module.environment
        self._configuration = kamailio_module.CONFIGURATION.read_text(encoding="utf-8")
        stack.kamailio.stop()

    def start(self) -> None:
        text = self._configuration
        for old, new in self.store.edits:
            assert old in text, f"kamailio.cfg has no {old}"
            text = text.replace(old, new)
        path = self.folder / f"{self.store.name}.cfg"
        path.write_text(text, encoding="utf-8")
        kamailio_module.CONFIGURATION = path
        url = self.store.url(self.stack) if self.store.url else None

        def environment(*arguments: object) -> dict[str, str]:
            found = self._original(*arguments)  # type: ignore[arg-type]
            return found | ({"METERLINE_DIALOG_DB": url} if url else {})

        kamailio_module.environment = environment
        self.stack.kamailio.start()

    def load(self, calls: int, per_second: int, number: int) -> None:
        """One round: CPU of Kamailio's processes for a call, and how long a call takes to be set up."""
        scene = Scene(self.world, self.folder / f"round{number}", Path(__file__).parent)
        phones = [self.phones[order % ACCOUNTS] for order in range(calls)]
        try:
            scene.callee(options=["-l", str(2 * calls)])
            before = self._cpu_s()
            callers = scene.phones(phones, talk_s=1, per_second=per_second, limit_s=120).wait((0, 1))
            self.store.cpu_ms.append((self._cpu_s() - before) * 1000 / calls)
            self.store.setup_ms.append(_setup_ms(callers.messages()))
            ended = {one.call_id for one in callers.received(code=200) if one.cseq.endswith("BYE")}
            self.store.failed += calls - len(ended)
        finally:
            scene.end()
        self.world.wait_until_drained(60)
        wait_until(self._forgotten, 60, "ended dialogs are forgotten")
        self.store.lost += len(self.world.log_lines("database is locked", "failed to insert", limit=100_000))

    def kill(self, number: int) -> None:
        """Calls up, a kill -9, a start: how many dialogs are known."""
        scene = Scene(self.world, self.folder / f"kill{number}", Path(__file__).parent)
        try:
            before = self._known()  # of the load's last calls, which were over when the proxy was stopped
            scene.callee(options=["-l", "1000"])
            phones = [self.phones[order % ACCOUNTS] for order in range(UP)]
            callers = scene.phones(phones, "phone_waits", per_second=50, limit_s=120)
            callers.wait_until_sent("ACK", count=2 * UP, limit_s=30)  # one to the 407, one to the 200
            self.stack.kamailio.kill9()
            self.stack.kamailio.start()
            wait_until(lambda: self._known() >= 0, 10, "Kamailio counts its dialogs")
            self.store.restored = f"{self._known() - before} of {UP}"
        finally:
            scene.end()

    def _known(self) -> int:
        """Dialogs that are up."""
        found = [line for line in self._ask("dlg.stats_active").splitlines() if line.strip().startswith("ongoing:")]
        return int(found[0].split(":")[1]) if found else -1

    def _forgotten(self) -> bool:
        """Whether no dialog is in memory: those of calls that ended some seconds ago still are, and in the store."""
        return self._known() == 0 and "h_id:" not in self._ask("dlg.list")

    def _ask(self, method: str) -> str:
        command = ["/usr/sbin/kamcmd", "-s", f"unix:{self.stack.kamailio.rpc_socket}", method]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def _cpu_s(self) -> float:
        """User and system time of all processes of the proxy's group."""
        total = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                words = stat.read_text().rpartition(")")[2].split()
                if int(words[2]) == self.stack.kamailio.pid:
                    total += int(words[11]) + int(words[12])
        return total / CLOCK_TICKS


def _setup_ms(messages: list) -> float:  # type: ignore[type-arg]
    """Median of the time from a call's second INVITE (with its digest) to the 200."""
    sent: dict[str, float] = {}
    took = []
    for one in messages:
        if one.sent and one.is_request and one.method == "INVITE":
            sent[one.call_id] = one.at
        elif one.code == 200 and one.cseq.endswith("INVITE") and one.call_id in sent:
            took.append((one.at - sent.pop(one.call_id)) * 1000)
    return statistics.median(took)


def main() -> int:
    """Print a row for each store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--per-second", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[])
    wanted = parser.parse_args()
    chosen = [store for store in stores() if not wanted.only or store.name in wanted.only]
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as open_:
        stages = [open_.enter_context(running(store, Path(name), number)) for number, store in enumerate(chosen, 1)]
        for number in range(wanted.rounds):
            for stage in stages:
                stage.start()
                stage.load(wanted.calls, wanted.per_second, number)
                stage.stack.kamailio.stop()
        for stage in stages:
            stage.start()
            stage.kill(0)
            stage.stack.kamailio.stop()
    cheapest = statistics.median(chosen[0].cpu_ms)
    sys.stdout.write("store    CPU ms a call (min..max)  ratio  set-up ms  failed calls  writes lost  after a kill\n")
    for store in chosen:
        middle = statistics.median(store.cpu_ms)
        spread = f"{middle:5.2f} ({min(store.cpu_ms):.2f}..{max(store.cpu_ms):.2f})"
        sys.stdout.write(
            f"{store.name:8} {spread:25} {middle / cheapest:5.2f} {statistics.median(store.setup_ms):10.1f} "
            f"{store.failed:13d} {store.lost:12d}  {store.restored}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
