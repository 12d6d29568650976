"""What the faults happen to: two nodes over one database, behind relays, kept alive as `make up` keeps its parts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import threading
import time
import tomllib
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pymysql

from billing.journal import free_bytes
from stack.kamailio import CHECKOUT, PrivateKamailio, make_state, python_environment
from stack.node import Part, Stack, Supervisor, toml, write_private
from stack.processes import Child, StackError, free_port, socket_folder, wait_until
from tests.faults.relay import Relay
from tests.faults.wire_to_database import DatabaseWire
from tests.support import rpc
from tests.support.world import World

CALLS = {
    "grant_s": 10,
    "renew_lead_s": 5,
    "shorter_grants_s": [6, 4, 3, 2, 1],
    "ring_limit_s": 12,
    "early_dialog_s": 20,
    "carrier_silence_s": 3,
}
DISK_MB = {"database": 400, "node": 64}
Result = TypeVar("Result")


@dataclass
class Node:
    """A proxy with its drain. `killed`: for good, nobody starts it again."""

    name: str
    address: str
    kamailio: PrivateKamailio
    drain: Child
    state_dir: Path
    wire: DatabaseWire
    killed: bool = False
    starts: int = 0

    @property
    def parts(self) -> tuple[Part, ...]:
        return (self.drain, self.kamailio)

    @property
    def host_port(self) -> tuple[str, int]:
        host, port = self.address.rsplit(":", 1)
        return host, int(port)

    def dialogs(self) -> int:
        """Calls in progress as the dialog module counts them."""
        counts = (line.strip().partition(": ") for line in rpc.lines(self.kamailio.rpc_socket, "dlg.stats_active"))
        return sum(
            int(number) for name, _, number in counts if name in ("starting", "connecting", "answering", "ongoing")
        )

    def channels(self) -> int:
        return rpc.channels(self.kamailio.rpc_socket)

    def processes(self) -> dict[int, str]:
        """The proxy's processes and what they do."""
        lines = rpc.lines(self.kamailio.rpc_socket, "core.ps")
        return {int(number): name for number, name in zip(lines[::2], lines[1::2], strict=False) if number.isdigit()}


class Loop:
    """An event loop in a thread, for everything that passes bytes on."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="relays", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def call(self, work: Callable[[], object]) -> None:
        """Run in the loop's thread, now."""

        async def now() -> None:
            work()

        self.run(now())

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


@dataclass
class Bench:
    """Everything of one round. `with Bench.up(folder, seed) as bench`."""

    folder: Path
    stack: Stack
    nodes: list[Node]
    world: World
    carrier: Relay
    callers: dict[str, Relay]
    loop: Loop
    disks: dict[str, Path]
    said: list[tuple[float, str]] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @classmethod
    @contextlib.contextmanager
    def up(
        cls, folder: Path, seed: str, *, disks: bool = False, calls: dict[str, Any] | None = None
    ) -> Iterator[Bench]:
        """Both nodes started and supervised, the relays open. `disks`: journal and database on small disks of their own
        (needs root)."""
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            loop = Loop()
            stack.callback(loop.close)
            mounted = dict(stack.enter_context(small_disks(folder))) if disks else {}
            overrides = {"calls": {**CALLS, **(calls or {})}}
            parts = _nodes_up(folder, loop, stack, overrides)
            bench = cls(folder, parts[0], parts[1], *_relays(loop, stack, parts, seed), loop, mounted)
            stack.callback(bench.end_supervision)
            bench.supervise()
            yield bench

    # --- keeping alive -----------------------------------------------------------------------------------------------

    def supervise(self) -> None:
        """One watcher a part, because one that starts waits for seconds, and the others may die meanwhile."""
        parts = [(self.stack.mariadb, None)] + [(part, node) for node in self.nodes for part in node.parts]
        for part, node in parts:
            watcher = threading.Thread(
                target=self._watch, args=(part, node), name=f"supervisor {part.name}", daemon=True
            )
            self._threads.append(watcher)
            watcher.start()

    def _watch(self, part: Part, node: Node | None) -> None:
        supervisor, since = Supervisor((part,), self.say), time.monotonic()
        while not self._stop.wait(0.1):
            if node is not None and node.killed:
                return
            if time.monotonic() - since > 15:  # it was us who killed it so often
                supervisor, since = Supervisor((part,), self.say), time.monotonic()
            supervisor.check()

    def end_supervision(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def take_at_most(self, calls: int | None) -> None:
        """The carrier takes so many calls at once; both nodes know."""
        self.world.admin.set_carrier("carrier1", channels=calls)
        if calls is None:
            return
        for node in self.nodes:
            told = node.state_dir / "directory.json"
            wait_until(
                lambda told=told: f'"channels":{calls}' in told.read_text(encoding="utf-8").replace(" ", ""),
                10,
                f"{node.name} knows the carrier's channels",
            )

    def say(self, text: str) -> None:
        self.said.append((time.time(), text))

    # --- the database's administrator --------------------------------------------------------------------------------

    @contextlib.contextmanager
    def root(self, limit_s: float = 20) -> Iterator[pymysql.cursors.Cursor]:
        """The administrator at work in the ledger, past the wire."""
        with contextlib.closing(
            pymysql.connect(
                **self.stack.mariadb.admin_params(), database="meterline", connect_timeout=5, read_timeout=limit_s
            )
        ) as connection:
            yield connection.cursor()

    def all_nodes_up(self) -> bool:
        return all(node.killed or (node.kamailio.alive and node.drain.alive) for node in self.nodes)


def kill(process: Child | PrivateKamailio | Any) -> None:
    """SIGKILL for a part's whole group. Its owner finds it dead: nothing of ours is told."""
    pid = process.pid
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _nodes_up(
    folder: Path, loop: Loop, stack: contextlib.ExitStack, overrides: dict[str, Any]
) -> tuple[Stack, list[Node]]:
    sockets = socket_folder(folder, "database-of-one.sock")
    first = Stack(
        folder / "one",
        overrides={**overrides, "database": {"socket": str(sockets / "database-of-one.sock")}},
    )
    wires = []
    for name in ("one", "two"):
        wire = DatabaseWire(sockets / f"database-of-{name}.sock", lambda: first.mariadb.socket)
        loop.run(wire.open())
        stack.callback(loop.run, wire.close())
        wires.append(wire)
    stack.enter_context(first)
    nodes = [
        Node("node1", first.sip_address, first.kamailio, first.drain, first.settings.node.state_dir, wires[0]),
        _second_node(folder / "two", first, wires[1]),
    ]
    stack.callback(nodes[1].drain.stop)
    stack.callback(nodes[1].kamailio.stop)
    make_state(nodes[1].state_dir)
    nodes[1].drain.start()
    nodes[1].drain.wait_ready((nodes[1].state_dir / "directory.json").exists, 15)
    nodes[1].kamailio.start()
    return first, nodes


def _second_node(folder: Path, first: Stack, wire: DatabaseWire) -> Node:
    """Another proxy with the first one's settings, but for its name, place, port and way to the database."""
    content = tomllib.loads(first.settings_path.read_text(encoding="utf-8"))
    address = f"127.0.0.1:{free_port()}"
    content["sip"]["listen"] = [f"udp:{address}", f"tcp:{address}"]
    content["node"] = {"name": "node2", "state_dir": str(folder / "state")}
    content["database"]["socket"] = str(wire.path)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "meterline.toml"
    top = {"card_pin_key": content.pop("card_pin_key")}
    write_private(path, toml(top, content))
    drain = Child("drain", first.drain.args, folder=folder, env=python_environment(path), cwd=CHECKOUT)
    return Node("node2", address, PrivateKamailio(folder, path), drain, folder / "state", wire)


def _relays(
    loop: Loop, stack: contextlib.ExitStack, parts: tuple[Stack, list[Node]], seed: str
) -> tuple[World, Relay, dict[str, Relay]]:
    """The ledger's content with the relay as its carrier, and a relay a caller's process."""
    first, nodes = parts
    outside = ("127.0.0.1", free_port())
    carrier = Relay(outside, ("127.0.0.1", free_port()), random.Random(f"{seed} carrier"))
    sipp = ("127.0.0.1", free_port())
    _open(loop, stack, carrier, sipp=sipp)
    world = World(first, [outside[1]])
    callers = {}
    for order, node in enumerate(nodes):
        for kind in ("hangs_up", "callee", "cut", "rings"):
            # The IVR's address is a trunk's; the others are anybody's.
            host = "127.0.0.12" if kind == "cut" else f"127.0.0.{40 + order}"
            name = f"{node.name}-{kind}"
            relay = Relay((host, free_port(host)), ("127.0.0.1", free_port()), random.Random(f"{seed} {name}"))
            _open(loop, stack, relay, proxy=node.host_port)
            callers[name] = relay
    return world, carrier, callers


def _open(loop: Loop, stack: contextlib.ExitStack, relay: Relay, **ends: tuple[str, int]) -> None:
    loop.run(relay.open(**ends))  # type: ignore[arg-type]
    stack.callback(loop.call, relay.close)


# --- disks ------------------------------------------------------------------------------------------------------------


def may_mount() -> str:
    """Why no disk can be mounted here; empty when one can."""
    if os.geteuid() != 0:
        return "only root can mount a small disk"
    return "" if Path("/usr/bin/mount").exists() or Path("/bin/mount").exists() else "there is no mount(8)"


@contextlib.contextmanager
def small_disks(folder: Path) -> Iterator[list[tuple[str, Path]]]:
    """The database's folder and each node's state, each on a tmpfs that can be full."""
    reason = may_mount()
    if reason:
        raise StackError(reason)
    places = [
        ("database", folder / "one" / "mariadb", DISK_MB["database"]),
        ("node1", folder / "one" / "state", DISK_MB["node"]),
        ("node2", folder / "two" / "state", DISK_MB["node"]),
    ]
    with contextlib.ExitStack() as stack:
        for name, place, size in places:
            stack.enter_context(mounted(place, size, "0755" if name == "database" else "0700"))
        yield [(name, place) for name, place, _ in places]


@contextlib.contextmanager
def mounted(place: Path, size_mb: int, mode: str = "0700") -> Iterator[None]:
    """A tmpfs that can be full. Wants root."""
    place.mkdir(parents=True, exist_ok=True)
    _mount("mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode={mode}", "meterline", str(place))
    try:
        yield
    finally:
        _mount("umount", "-l", str(place))


def _mount(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(f"{' '.join(words)}: {done.stderr.strip()}")


def fill(place: Path) -> Path:
    """A file that takes the last byte of a disk; remove it to give the room back. Of what others give up meanwhile (the
    journal its reserve) it takes nothing."""
    ballast, free = place / "ballast", free_bytes(place)
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1 << 8, 1):
            with contextlib.suppress(OSError):
                while file.tell() + size <= free and file.write(b"\0" * size) == size:
                    pass
    return ballast
