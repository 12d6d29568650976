"""A node of a history: the real script, drain and journal of one proxy, around a Kamailio that is not there.

Whatever the script asks of Kamailio is a point at which its process may die. What Kamailio would have stored outlives
that: dialogs from their 200 on, with their variables (docs/kamailio.md). All else is gone.
"""

from __future__ import annotations

import contextlib
import copy
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import kemi.calls
import kemi.cutter
import kemi.dialogs
import kemi.ender
import kemi.health
import kemi.keeper
import kemi.ksr
import kemi.node
from billing.drain import Drain
from billing.errors import LedgerUnavailable
from billing.settings import DatabaseSettings, Settings
from kemi.meterline import Meterline
from tests.model.clock import Clock
from tests.model.faults import Faults, Killed, ModelLedger
from tests.unit.kemi import fake_ksr

CALLS = {
    "grant_s": 60, "renew_lead_s": 30, "shorter_grants_s": (30, 10, 1), "ring_limit_s": 30, "early_dialog_s": 45,
    "longest_call_s": 400,
}  # fmt: skip
RESTART_MS = 300
"""A start of Kamailio takes longer than a millisecond: what was opened before it is older than it."""

LOOK_MS = 100
"""The cutter looks ten times a second."""

PROCESSES = ("worker", "other worker", "timer", "cutter", "keeper")

UP, EARLY, OVER = ("3", "4"), ("1", "2"), "5"


class World(fake_ksr.World):
    """Kamailio's memory and its modules, with a point before everything that they do."""

    def __init__(self, faults: Faults, clock: Clock, node: Node) -> None:
        super().__init__()
        self.faults, self.clock, self.node = faults, clock, node

    def note(self, *action: Any, result: Any = None) -> Any:
        self.faults.point(f"ksr {action[0]}")
        if action[:2] == ("send", "BYE") and self.dialog is not None:
            self.node.heard_bye(self.dialog)
        return super().note(*action, result=result)

    def set(self, name: str, value: str) -> None:
        self.faults.point(f"ksr {name.partition('=')[0]}")
        super().set(name, value)

    def set_timeout(self, seconds: int) -> Any:
        result = super().set_timeout(seconds)
        if self.dialog.values["state"] not in EARLY:
            self.dialog.ends_ms = self.clock.now_ms + seconds * 1000
        return result

    def manage(self) -> int:
        """The state machine: a new dialog, or the end of one by a BYE."""
        if self.message.get("$tt") is None:
            super().manage()
            self.dialog.stored = False
            self.dialog.ends_ms = None
        elif self.message["$rm"] == "BYE" and self.dialog.values["state"] in UP:
            self.note("manage")
            self.dialog.values["state"] = OVER
            self.node.script("dialog_event", "dialog:end")
            self.dialog.stored = False
        return 1

    def relay(self) -> int:
        if self.message["$rm"] == "INVITE" and self.dialog is not None:
            self.node.relayed(self.dialog.variables["k"])
        return int(super().relay())

    # --- what happens outside the script ------------------------------------------------------------------------------

    def answered(self, dialog: Any) -> None:
        """The 200 of the callee: the script is told, the dialog stored, the 200 sent on (docs/architecture.md)."""
        self.dialog = dialog
        dialog.values["state"] = "3"
        dialog.values |= {"to_tag": "to", "to_uri": "sip:4930@192.0.2.1", "from_uri": "sip:alice@example.net"}
        dialog.values |= {"from_contact": "sip:alice@203.0.113.50", "to_contact": "sip:gw@192.0.2.1"}
        dialog.ends_ms = self.clock.now_ms + dialog.lifetimes[-1] * 1000
        self.reply(ci=dialog.values["callid"], ft=dialog.values["from_tag"], tt="to")
        self.node.script("dialog_event", "dialog:start")
        dialog.stored = True
        self.faults.point("the 200 goes to the caller")

    def timers(self) -> None:
        """The dialog timer: lifetimes that are over."""
        for dialog in list(self.dialogs.values()):
            if dialog.values["state"] in UP and dialog.ends_ms is not None and dialog.ends_ms <= self.clock.now_ms:
                self.timed_out(dialog)

    def timed_out(self, dialog: Any) -> None:
        self.dialog = dialog
        self.request("TIMEOUT", ci=dialog.values["callid"])
        self.node.script("dialog_event", "dialog:timeout")
        dialog.values["state"] = OVER
        dialog.stored = False

    def in_the_store(self) -> list[tuple[str, str, str]]:
        """Call-ID and tags of each dialog, as the dialog store has them."""
        kept = (dialog.values for dialog in self.dialogs.values() if dialog.stored)
        return [(one["callid"], one["from_tag"], one["to_tag"]) for one in kept]

    def after_restart(self) -> None:
        """Only what was stored is still there."""
        self.dialogs = {key: dialog for key, dialog in self.dialogs.items() if dialog.stored}
        for dialog in self.dialogs.values():
            dialog.values["state"] = "4"
        self.tables, self.avps, self.context, self.dialog = {}, {}, {}, None
        self.request()


class Memory:
    """What a process of Kamailio keeps in a module's variables: put in while it acts, kept for it afterwards."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._values = copy.deepcopy(self._found())

    def fresh(self) -> Memory:
        """Another process's."""
        made = Memory(self._module)
        made._values = copy.deepcopy(self._values)
        return made

    def swap(self) -> None:
        """Change places with what is in the module now."""
        found = self._found()
        vars(self._module).update(self._values)
        self._values = found

    def value(self, name: str) -> Any:
        """What the process has there, while it does not act."""
        return self._values[name]

    def _found(self) -> dict[str, Any]:
        return {
            name: value
            for name, value in vars(self._module).items()
            if name.startswith("_") and not name.startswith("__") and not callable(value)
        }


MEMORIES = {module: Memory(module) for module in (kemi.keeper, kemi.cutter, kemi.dialogs, kemi.ender, kemi.health)}
"""As they are when the script has just been loaded. One that is forgotten here outlives a kill, and the history: then a
seed is not the same again."""


class Node:
    """One proxy: Kamailio with its workers, keeper and cutter, a drain, and their folder."""

    def __init__(self, name: str, folder: Path, server: dict[str, Any], clock: Clock, faults: Faults) -> None:
        self.name, self.clock, self.faults = name, clock, faults
        self.folder = folder / name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.settings = Settings(
            node={"name": name, "state_dir": self.folder},  # type: ignore[arg-type]
            sip={"realm": "example.net", "listen": ("udp:127.0.0.1:5060",)},  # type: ignore[arg-type]
            card_pin_key="k" * 32,  # type: ignore[arg-type]
            database=DatabaseSettings(**server),
            calls=CALLS,  # type: ignore[arg-type]
            journal={"reserve_mb": 1},  # type: ignore[arg-type]
            carriers={"probe_interval_s": 0},  # type: ignore[arg-type]  # no dispatcher here to ask them
        )
        self.world = World(faults, clock, self)
        self.booted_ms, self.wall_off_ms = clock.now_ms - 1_000_000, 0
        self.cut_off = self.disk_full = self.dead = False
        self.room_lines = 0
        """How many lines still find room on a full disk, once the reserve is given up."""
        self.written: dict[str, set[str]] = {}
        """Call key to the kinds of facts that are safe on the disk."""
        self.heard_bye: Callable[[Any], None] = lambda dialog: None
        self.relayed: Callable[[str], None] = lambda call_key: None
        self.dying: Callable[[Node, set[str]], None] = lambda node, forgotten: None
        """Told the keys of the calls of which a fact was only in memory."""
        self.started_ms = clock.now_ms
        self.disturbed = False
        """Its disk was full once: deadlines are kept by the dialog timer, a while later."""
        self.meterline: Meterline | None = None
        self.drain: Drain | None = None
        self.inside: list[str] = []
        """Roles that are acting, innermost last."""
        self._ksr = SimpleNamespace()
        fake_ksr.install(self._ksr, self.world)

    # --- who acts -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def acting(self, role: str) -> Iterator[None]:
        """The process's globals, clock and message in hand are this role's; then they are the others' again."""
        clock, world = self.clock, self.world
        kept_clock = clock.booted_ms, clock.wall_off_ms
        kept_script = kemi.ksr.KSR, kemi.node._node, Node.now
        kept_world = world.message, world.headers, world.dialog, world.avps, world.context
        world.avps, world.context = dict(world.avps), {}
        clock.booted_ms, clock.wall_off_ms = self.booted_ms, self.wall_off_ms
        Node.now = self
        kemi.ksr.KSR = self._ksr
        if role != "drain":
            kemi.node._node = self._processes["other worker" if role == "worker" and role in self.inside else role]
        memories = self._memories  # those of now: who is killed meanwhile leaves with his own
        for memory in memories.values():
            memory.swap()
        self.inside.append(role)
        try:
            yield
        finally:
            self.inside.pop()
            for memory in memories.values():
                memory.swap()
            clock.booted_ms, clock.wall_off_ms = kept_clock
            kemi.ksr.KSR, kemi.node._node, Node.now = kept_script
            world.message, world.headers, world.dialog, world.avps, world.context = kept_world

    now: Node | None = None
    """Whose process is acting."""

    def script(self, route: str, *arguments: str) -> None:
        """Kamailio calls the script."""
        assert self.meterline is not None
        getattr(self.meterline, f"ksr_{route}")(None, *arguments)

    # --- coming and going ---------------------------------------------------------------------------------------------

    def start_kamailio(self) -> None:
        """With what an earlier one left."""
        self.clock.now_ms += RESTART_MS
        self._memories = {module: memory.fresh() for module, memory in MEMORIES.items()}
        kept = self.clock.booted_ms, self.clock.wall_off_ms
        self.clock.booted_ms, self.clock.wall_off_ms = self.booted_ms, self.wall_off_ms
        self._processes = {role: kemi.node.Node(self.settings) for role in PROCESSES}
        for one in self._processes.values():
            one.breaker = self._processes["worker"].breaker
        self.clock.booted_ms, self.clock.wall_off_ms = kept
        self.world.after_restart()
        self.started_ms = self.clock.now_ms
        self.meterline = Meterline()

    def kill_kamailio(self) -> None:
        """SIGKILL: files are closed, connections break, memory is gone."""
        with self.acting("cutter"):
            self._processes["cutter"].pulse.beat()  # ten times a second, and the histories' clock stands still
        self.meterline = None
        processes = self._processes.values()
        self.dying(self, {fact["call_key"] for one in processes for fact in one._unwritten})
        for one in processes:
            one.journal.close()
            if one.pulse._file >= 0:
                os.close(one.pulse._file)
            if one._ledger is not None:
                one._ledger._drop()  # type: ignore[attr-defined]
        self.world.after_restart()

    def start_drain(self) -> None:
        with self.acting("drain"):
            self.drain = Drain(self.settings, ModelLedger.for_proxy(self.settings.database, lock_wait_s=0))

    def kill_drain(self) -> None:
        drain, self.drain = self.drain, None
        if drain is not None:
            drain._reader.close()
            drain._writer.close()
            drain._ledger._drop()  # type: ignore[attr-defined]

    def do(self, role: str, work: Callable[[], None]) -> bool:
        """Let a process of this node do something; it may die of it. False when it is not running, or died."""
        if self.drain is None if role == "drain" else self.meterline is None:
            return False
        try:
            with self.acting(role):
                work()
        except Killed:
            if role == "drain":
                self.kill_drain()
                return False
            self.kill_kamailio()
            if any(outer != "drain" for outer in self.inside):
                raise  # one process of Kamailio's takes all of them with it
            return False
        return True

    def keeper_tick(self) -> None:
        """A second's worth: the route runs ten times for it, and asks the ledger once."""
        for _ in range(kemi.keeper.RUNS_A_TICK):
            self.script("keeper", "keeper")

    def cutter_tick(self) -> None:
        self.script("cutter", "cutter")

    def drain_turn(self) -> None:
        """All that a drain does."""
        assert self.drain is not None
        self.drain._turn()

    def drain_facts(self) -> None:
        """The journal alone."""
        assert self.drain is not None
        with contextlib.suppress(LedgerUnavailable):
            self.drain.drain_once()

    def write_unwritten(self) -> None:
        """Each process tries again at its next event what the disk refused."""
        for role, process in self._processes.items():
            if process._unwritten and self.meterline is not None:
                self.do(role, process.write_unwritten)

    def deadlines_ms(self) -> list[int]:
        """All that are to come, the cutter's and the dialog timer's."""
        if self.meterline is None:
            return []
        ends = [one.ends_ms for one in self.world.dialogs.values() if one.ends_ms and one.values["state"] in UP]
        cutter = self._memories[kemi.cutter].value("_cutter")
        if cutter is not None and cutter._deadlines:
            ends += [deadline.at_ms + self.booted_ms for deadline in cutter._deadlines]
        return [max(at, self.clock.now_ms + LOOK_MS) for at in ends]
