"""One seed's history: two proxies, one ledger, four accounts and a fake clock, and whatever may happen between them.

The seed alone decides. Each step is something that people do (call, answer, hang up, pay), time that passes, or a fault
that is armed; the processes are the real ones (tests/model/kamailio.py). What the phones heard is the truth that ledger
and CDRs are held against (tests/model/checks.py).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pymysql
import pymysql.cursors
from ulid import ULID

import billing.clock
import billing.drain
import billing.journal
import billing.logs
import kemi.calls
import kemi.cutter
import kemi.dialog_store
import kemi.node
from billing import facts
from billing.board import Board
from billing.errors import KeyConflict, LedgerError, LedgerRefused, LedgerUnavailable
from billing.journal import JournalReader, JournalUnwritable, JournalWriter
from billing.journal_room import JournalRoom
from tests.db.bank import call_record, request, settlement
from tests.model import checks
from tests.model.cast import Call, Movement, Place
from tests.model.clock import START_MS, Clock, everywhere
from tests.model.faults import Broken, Faults, Fuse, Killed, Late, LedgerFault, ModelLedger
from tests.model.kamailio import CALLS, OVER, UP, Node
from tests.model.reached import AIMED, AIMED_AT, aim_of, is_rare, point_of, targets

STEPS = 50
KEEPALIVE_MS = 30_000
"""So long after his phone has gone the dialog module gives a call up."""
ATTEMPTS = 4
"""How often a cashier asks again with his key."""
SUBSTEP_MS = 15_000
"""No process of a node that is up sleeps longer than half of a renewal's lead."""
IDLE_MS = 60_000
"""While nobody talks."""

EXPECTED_ERRORS = ("ledger_failed", "journal_unwritable", "journal_damaged", "call_reaped", "alarm")
"""What a log says of the faults of a history. Any other error is the product's."""

DESTINATIONS = {"49": "030123456", "44": "0044207123"}
BALANCES = {"reseller": "6", "card one": "2", "card two": "1", "customer": "2"}


@dataclass
class History:
    """See the module. `run` it once; it raises Broken, and `lines` tell what happened."""

    place: Place
    seed: int
    steps: int = STEPS
    lines: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    calls: list[Call] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.clock = Clock()
        self.ledger_off_ms = 0
        """How far the database's clock has been set."""
        self.faults = Faults(self.rng, self.place.probes, self.seen, deadly=point_of(self.seed), tell=self.tell)
        self.faults.meanwhile, self.faults.arrive = self._meanwhile, self._arrive
        self.log: list[str] = []
        """Lines of the nodes' logs that are worth a look."""
        self.placing: Call | None = None
        self.targets = [aim_of(self.seed)] if AIMED <= self.seed < AIMED_AT else targets(self.place.probes)
        self._ulids = random.Random(f"ulid {self.seed}")

    def tell(self, line: str) -> None:
        self.lines.append(f"{(self.clock.now_ms - START_MS) / 1000:9.3f}  {line}")

    # --- the whole of it ----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """All steps, then the end of all faults, then the reckoning. Raises Broken."""
        checks.empty(self.place)
        with everywhere(self.clock), self._wired():
            self.nodes = [
                Node(name, self.place.folder, self.place.server, self.clock, self.faults) for name in ("n1", "n2")
            ]
            for node in self.nodes:
                node.heard_bye, node.relayed, node.dying = self._heard_bye, self._relayed, self._dying
                node.start_kamailio()
                node.start_drain()
                node.do("drain", node.drain_turn)
            self.ledgers, self.gone = (
                {role: ModelLedger(address) for role, address in self.place.logins.items()} for _ in range(2)
            )  # of cashiers and strangers; and connections whose client has gone
            for name, amount in BALANCES.items():
                self._move("top_up", (self.place.accounts[name],), Decimal(amount))
            try:
                for number in range(self.steps):
                    self._step(number)
                    if self.faults.written:
                        checks.always(self)
                    self.faults.written = False
                self._recover()
                checks.at_the_end(self)
            finally:
                for ledger in (*self.ledgers.values(), *self.gone.values()):
                    ledger.close()
                for node in self.nodes:
                    if node.meterline is not None:
                        node.kill_kamailio()
                    node.kill_drain()

    @contextlib.contextmanager
    def _wired(self) -> Iterator[None]:
        """The product's modules meet the faults of this history."""
        ModelLedger.faults = self.faults
        ModelLedger.reachable = staticmethod(lambda: Node.now is None or not Node.now.cut_off)
        ModelLedger.now_ms = staticmethod(lambda: self.clock.now_ms + self.ledger_off_ms)
        ModelLedger.wait_gone = staticmethod(self._wait_gone)
        writes, done, room = JournalWriter._write, JournalReader.done, JournalRoom.keep_reserve
        changes: list[tuple[Any, str, Any]] = [
            (kemi.node, "Ledger", ModelLedger),
            (kemi.node, "Board", lambda path: Board(None)),
            (billing.drain, "Board", lambda path: Board(None)),
            (kemi.dialog_store, "identity", lambda url: 1),
            (kemi.cutter, "node_dialogs", lambda: Node.now.world.in_the_store() if Node.now else []),
            (kemi.calls, "new_call_key", self._call_key),
            (billing.clock, "boot_id", lambda: f"boot-{Node.now.booted_ms if Node.now else 0}"),
            (billing.logs, "write", self._logged),
            (JournalWriter, "_write", lambda writer, lines: self._write(writes, writer, lines)),
            (JournalReader, "done", lambda reader, entry: self._done(done, reader, entry)),
            (JournalRoom, "keep_reserve", lambda one: not (Node.now and Node.now.disk_full) and room(one)),
        ]
        kept = [getattr(place, name) for place, name, _ in changes]
        for place, name, value in changes:
            setattr(place, name, value)
        logger = logging.getLogger("billing.ledger_session")
        level = logger.level
        logger.setLevel(logging.WARNING)
        try:
            yield
        finally:
            logger.setLevel(level)
            for (place, name, _), value in zip(changes, kept, strict=True):
                setattr(place, name, value)

    def _logged(self, line: str) -> None:
        if '"level": "err"' in line and not any(f'"event": "{name}"' in line for name in EXPECTED_ERRORS):
            self.log.append(line)

    def _wait_gone(self, connection: int) -> None:
        """Until the server has undone what a connection left behind."""
        for _ in range(20_000):
            if not self.place.sql("SELECT 1 FROM information_schema.processlist WHERE id = %s", connection):
                return
        raise Broken(f"connection {connection} does not go")

    # --- the journal's disk -------------------------------------------------------------------------------------------

    def _write(self, real: Callable[[JournalWriter, bytes], bool], writer: JournalWriter, lines: bytes) -> bool:
        node = Node.now
        assert node is not None
        self.faults.point("journal: before")
        if node.disk_full and not self._finds_room(node):
            if self.rng.random() < 0.5:
                self._half_a_line(real, writer, lines)
            writer.close()
            self.seen.update(["journal: full"])
            raise JournalUnwritable(errno.ENOSPC, "journal: no space left on the model's device")
        if self.faults.fuse is not None and self.faults.fuse.kind == "torn":
            self.faults.fuse = None
            self._half_a_line(real, writer, lines)
            self.seen.update(["journal: torn"])
            self.tell("killed within a line of the journal")
            raise Killed("journal")
        removed = real(writer, lines)
        self._stamp(writer)
        for line in lines.split(b"\n"):
            if line and not removed:
                self._is_written(node, billing.journal.decode(line))
        self.faults.point("journal: after")
        return removed

    @staticmethod
    def _finds_room(node: Node) -> bool:
        if (node.folder / "journal" / billing.journal.RESERVE).exists() or not node.room_lines:
            return False
        node.room_lines -= 1
        return True

    def _half_a_line(self, real: Callable[[JournalWriter, bytes], bool], writer: JournalWriter, lines: bytes) -> None:
        real(writer, lines[: self.rng.randrange(1, len(lines) - 1)])
        self._stamp(writer)

    def _is_written(self, node: Node, fact: dict[str, Any]) -> None:
        node.written.setdefault(fact["call_key"], set()).add(fact["kind"])
        for call in self.calls:
            if fact["kind"] == facts.ENDED and call.key == fact["call_key"] and call.over_ms is None:
                call.state, call.over_ms = "over", self.clock.now_ms

    def _dying(self, node: Node, forgotten: set[str]) -> None:
        """Kamailio is killed: which calls does it leave between what their phones heard and what is on the disk?"""
        for call in self.calls:
            if call.node is not node:
                continue
            counted = call.dialog is not None and call.dialog.variables.get("x")
            safe = node.written.get(call.key, set()) & {facts.ENDED, facts.FAILED}
            lost_before = call.unsure or call.key in forgotten
            if call.answered_ms is not None and counted and not safe and not lost_before:
                raise Broken(f"{call}: its end is marked, and its fact is nowhere")
            if call.key in forgotten or call.state == "answering" or (counted and not safe):
                self.tell(f"{call}: what its phones heard is not on the disk")
                call.unsure = True

    def _stamp(self, writer: JournalWriter) -> None:
        path = writer._folder / f"facts-{writer._minute}.journal"
        os.utime(path, (self.clock.time(), self.clock.time()))

    def _done(self, real: Callable[[JournalReader, Any], None], reader: JournalReader, entry: Any) -> None:
        self.faults.point("drain: applied")
        real(reader, entry)
        self.faults.point("drain: done")

    def _call_key(self) -> str:
        assert self.placing is not None
        self.placing.key = self._new_key()
        return self.placing.key

    def _new_key(self) -> str:
        return str(ULID.from_bytes(self.clock.now_ms.to_bytes(6, "big") + self._ulids.randbytes(10)))

    # --- steps --------------------------------------------------------------------------------------------------------

    def _step(self, number: int) -> None:
        self._arm(number)
        actions: list[tuple[int, Callable[[], None]]] = [
            (24, self._place_call), (24, self._answer), (5, self._fail), (10, self._hang_up), (3, self._phone_goes),
            (20, self._pass_time), (12, self._money), (4, self._status), (4, self._kill), (3, self._database),
            (3, self._cut_off), (2, self._disk), (8, self._stranger), (2, self._set_clock), (1, self._for_good),
        ]  # fmt: skip
        (action,) = self.rng.choices([one for _, one in actions], [weight for weight, _ in actions])
        self.tell(f"step {number}: {action.__name__.strip('_')}")
        action()
        if is_rare(self.place.probes, self.faults.wanted):
            self._stranger()
        self._mend(0.4)
        for node in self.nodes:
            self._turn(node, 0.5)

    def _mend(self, chance: float) -> None:
        """Supervision starts what has died, and what is away comes back."""
        if self.faults.database_away and self.rng.random() < chance:
            self._database()
        for node in self.nodes:
            if not node.dead and self.rng.random() < chance:
                self._start(node)
            if node.cut_off and self.rng.random() < chance:
                node.cut_off = False
                self.tell(f"{node.name} back with the database")
            if node.disk_full and self.rng.random() < chance:
                node.disk_full = False
                self.tell(f"{node.name}: disk has room")

    def _arm(self, number: int) -> None:
        """Something may go wrong soon. Every statement has its turn: each step is after one of them."""
        self.faults.wanted = self.targets[(self.seed * self.steps + number) % len(self.targets)]
        chance = self.rng.random()
        if chance < 0.20:
            self.faults.fuse = Fuse(self.rng.randint(1, 30), "killed")
        elif chance < 0.25:
            self.faults.fuse = Fuse(1, "torn")
        elif chance < 0.40:
            self.faults.fuse = Fuse(self.rng.randint(1, 30), "meanwhile")
        if self.rng.random() < 0.5:
            kind = self.rng.choices(["probe", "lose", "late"], [8, 1, 1])[0]
            self.faults.ledger_fault = LedgerFault(self.rng.randint(1, 5), kind, self.rng.random() < 0.25)

    def _turn(self, node: Node, chance: float = 1) -> None:
        """The processes of a node look at what is to be done; no time passes, so not each of them must.

        The drain's periodic work costs a history more than all the rest: at some of its looks is enough.
        """
        drain = node.drain_turn if self.rng.random() < 0.35 else node.drain_facts
        for role, work in (("cutter", node.cutter_tick), ("drain", drain), ("keeper", node.keeper_tick)):
            if self.rng.random() < chance:
                node.do(role, work)

    def _up(self) -> list[Call]:
        return [call for call in self.calls if call.state == "up"]

    def _place_call(self) -> None:
        node = self.rng.choice(self.nodes)
        user, destination = self.rng.choice(list(self.place.users)), self.rng.choice(list(DESTINATIONS))
        if node.meterline is None:
            return
        call = Call(len(self.calls) + 1, self.clock.now_ms, node, user, destination)
        self.calls.append(call)
        self.placing = call
        cancels = self.rng.random() < 0.1
        relays = [-1, 1] if self.rng.random() < 0.1 else [1]

        def cancelled(world: Any, what: str) -> None:
            if cancels and what == "open_call":
                world.truths["cancelled"] = 1

        def invite() -> None:
            world = node.world
            world.avps = {}
            world.truths["cancelled"] = -1
            world.truths["relay"] = relays
            tags = {"ci": f"{self.seed}-{call.number}", "ft": f"from-{call.number}"}
            world.request(rU=DESTINATIONS[destination], au=user, fU=user, **tags)
            self.faults.after = lambda what: cancelled(world, what)
            node.script("authorize")
            call.dialog = world.dialogs.get((tags["ci"], tags["ft"]))
            replied = world.replied
            call.state = "rings" if call.dialog is not None and not replied else "refused"
            if call.state == "refused":
                world.dialogs.pop((tags["ci"], tags["ft"]), None)
            self.seen.update([f"invite: {call.state} {replied}"])

        if not node.do("worker", invite):
            call.state = "gone"
        self.faults.after = lambda what: None
        self.tell(f"{call} of {user} at {node.name}, key {call.key}: {call.state}")

    def _ringing(self) -> list[Call]:
        return [call for call in self.calls if call.state == "rings" and self._known(call)]

    def _known(self, call: Call) -> bool:
        """Kamailio still has the call's dialog, and itself."""
        if call.node.meterline is None:
            return False
        return call.dialog is not None and call.dialog in call.node.world.dialogs.values()

    def _answer(self) -> None:
        ringing = self._ringing()
        if not ringing:
            return
        call = self.rng.choice(ringing)
        world = call.node.world
        call.state = "answering"
        if call.node.do("worker", lambda: world.answered(call.dialog)):
            call.state, call.answered_ms = "up", self.clock.now_ms
        self.tell(f"{call} is answered: {call.state}")

    def _fail(self) -> None:
        ringing = self._ringing()
        if not ringing:
            return
        call = self.rng.choice(ringing)
        code = self.rng.choice([486, 480, 404, 487, 503])
        call.state = "over"

        def failure() -> None:
            world = call.node.world
            world.dialog = call.dialog
            world.reply(code, ci=call.dialog.values["callid"], ft=call.dialog.values["from_tag"])
            world.final_code = code
            world.truths["cancelled"] = 1 if code == 487 else -1
            world.truths["relay"] = [1]
            world.avps = {"tried": "1,2", "started_ms": "0"}
            call.node.script("failure")
            call.dialog.values["state"] = OVER
            call.node.script("dialog_event", "dialog:failed")
            world.dialogs.pop((call.dialog.values["callid"], call.dialog.values["from_tag"]), None)

        call.node.do("worker", failure)
        self.tell(f"{call} fails: {code}")

    def _hang_up(self) -> None:
        up = [call for call in self._up() if call.phone_gone_ms is None and self._known(call)]
        if up:
            call = self.rng.choice(up)
            self._bye(call, caller=self.rng.random() < 0.5)

    def _bye(self, call: Call, *, caller: bool) -> None:
        values = call.dialog.values
        sides = (values["from_tag"], values["to_tag"])
        tags = sides if caller else sides[::-1]

        def bye() -> None:
            world = call.node.world
            source = "203.0.113.50" if caller else "192.0.2.1"
            world.truths["transaction"], world.truths["relay"] = -1, [1]
            world.request("BYE", ci=values["callid"], ft=tags[0], tt=tags[1], si=source, cs="2000")
            from kemi import dialogs

            dialogs.route_in_dialog()
            call.state, call.over_ms = "over", self.clock.now_ms

        if not call.node.do("worker", bye) and call.state == "up":
            call.phone_gone_ms = self.clock.now_ms  # nobody heard it; nobody is there any more
        self.tell(f"{call}: {'caller' if caller else 'callee'} hangs up: {call.state}")

    def _phone_goes(self) -> None:
        up = [call for call in self._up() if call.phone_gone_ms is None]
        if up:
            call = self.rng.choice(up)
            call.phone_gone_ms = self.clock.now_ms
            self.tell(f"{call}: its phone is gone")

    def _heard_bye(self, dialog: Any) -> None:
        """The proxy tells the phones that it is over."""
        for call in self.calls:
            if call.dialog is dialog and call.state == "up":
                call.state, call.over_ms = "over", self.clock.now_ms

    def _relayed(self, key: str) -> None:
        """Rule 4: nothing goes to a carrier that the ledger has not opened."""
        if not self.place.sql("SELECT 1 FROM live_call WHERE call_key = %s", key):
            raise Broken(f"call {key} goes to a carrier, and the ledger has not opened it")

    # --- time ---------------------------------------------------------------------------------------------------------

    def _pass_time(self) -> None:
        self._pass(self.rng.choice([200, 1_000, 7_000, 20_000, 35_000, 60_000, 120_000]))

    def _pass(self, span_ms: int) -> None:
        self._mend(0.6)
        until = self.clock.now_ms + span_ms
        self.tell(f"{span_ms / 1000} s pass")
        while self.clock.now_ms < until:
            for node in self.nodes:  # ten times a second: it knows all deadlines before time passes here
                node.do("cutter", node.cutter_tick)
            cuts = [at for node in self.nodes for at in node.deadlines_ms()]
            step_ms = SUBSTEP_MS if self._up() else IDLE_MS
            self.clock.now_ms = min([until, self.clock.now_ms + step_ms, *cuts])
            self._arrive_all()
            for node in self.nodes:
                self._turn(node)
                node.do("timer", node.world.timers)
                node.write_unwritten()
                self._keepalives(node)
                self._ring_limit(node)

    def _keepalives(self, node: Node) -> None:
        for call in self._up():
            if call.state != "up":  # somebody acted meanwhile
                continue
            gone = call.phone_gone_ms is not None and self.clock.now_ms >= call.phone_gone_ms + KEEPALIVE_MS
            if gone and call.node is node and self._known(call) and call.dialog.values["state"] in UP:
                node.do("timer", lambda call=call: node.world.timed_out(call.dialog))  # type: ignore[misc]

    def _ring_limit(self, node: Node) -> None:
        for call in self._ringing():
            over = self.clock.now_ms >= call.asked_ms + CALLS["ring_limit_s"] * 1000
            if over and call.state == "rings" and call.node is node:
                node.do("worker", lambda call=call: self._rings_out(call))  # type: ignore[misc]

    def _start(self, node: Node) -> None:
        """Supervision."""
        try:
            if node.meterline is None:
                node.start_kamailio()
                self.tell(f"{node.name}: Kamailio starts")
            if node.drain is None:
                node.start_drain()
                self.tell(f"{node.name}: the drain starts")
        except Killed:
            node.kill_drain()

    def _set_clock(self) -> None:
        """A node's, by anything; or the database's, forward by more than a grant and the reaper's patience."""
        node = self.rng.choice([*self.nodes, None])
        if node is None:
            self.ledger_off_ms += 120_000
            self.tell(f"the database's clock is set: {self.ledger_off_ms / 1000} s")
            return
        node.wall_off_ms += self.rng.choice([-3_600_000, -90_000, 90_000, 3_600_000])
        self.tell(f"{node.name}: the clock is set")

    # --- money --------------------------------------------------------------------------------------------------------

    def _money(self) -> None:
        accounts = self.place.accounts
        if self.movements and self.rng.random() < 0.2:
            self._ask_again(self.rng.choice(self.movements))
            return
        kind = self.rng.choice(["top_up", "refund", "adjust", "transfer"])
        amount = Decimal(self.rng.randint(1, 150)) / 100
        names = self.rng.sample(["reseller", "card one", "card two"], 2)
        if kind == "transfer":
            self._move(kind, (accounts[names[0]], accounts[names[1]]), amount)
        else:
            amount = -amount if kind == "adjust" and self.rng.random() < 0.5 else amount
            self._move(kind, (accounts[self.rng.choice(list(accounts))],), amount)

    def _move(self, kind: str, accounts: tuple[int, ...], amount: Decimal) -> None:
        movement = Movement(self._new_key(), kind, accounts, amount)
        self.movements.append(movement)
        self._ask_again(movement)

    def _ask_again(self, movement: Movement) -> None:
        """A cashier, who asks again with his key until he has an answer, some times."""
        ledger, key = self.ledgers["cashier"], movement.key
        asks: dict[str, Callable[[], object]] = {
            "top_up": lambda: ledger.top_up(key, movement.accounts[0], movement.amount, "ann"),
            "refund": lambda: ledger.refund(key, movement.accounts[0], movement.amount, "ann"),
            "adjust": lambda: ledger.adjust(key, movement.accounts[0], movement.amount, "ann", "why"),
            "transfer": lambda: ledger.transfer(key, *movement.accounts[:2], movement.amount, "ann"),
        }
        for _ in range(ATTEMPTS):
            try:
                answer = asks[movement.kind]()
            except LedgerUnavailable:
                continue
            except LedgerRefused as error:
                if movement.answer is not None:
                    raise Broken(f"{movement.kind} {key} was done, and is refused now: {error}") from None
                self.seen.update([f"money: {error.token}"])
                return
            except Killed:
                return
            if movement.answer is not None and movement.answer != answer:
                raise Broken(f"{movement.kind} {key} answered {movement.answer}, and now {answer}")
            movement.answer = answer
            self.tell(f"{movement.kind} {movement.accounts} {movement.amount}: done")
            self.seen.update(["money: moved"])
            return

    def _status(self) -> None:
        name, status = self.rng.choice(list(BALANCES)), self.rng.choice(["active", "active", "active", "suspended"])
        self.tell(f"{name} is {status}")
        with contextlib.suppress(LedgerUnavailable, Killed):
            self.ledgers["admin"].set_account_status(self.place.accounts[name], status)  # type: ignore[arg-type]

    # --- faults -------------------------------------------------------------------------------------------------------

    def _kill(self) -> None:
        node = self.rng.choice(self.nodes)
        if self.rng.random() < 0.5:
            node.kill_drain()
            self.tell(f"{node.name}: the drain is killed")
        elif node.meterline is not None:
            node.kill_kamailio()
            self.tell(f"{node.name}: Kamailio is killed")

    def _database(self) -> None:
        self.faults.database_away = not self.faults.database_away
        self.tell(f"database {'away' if self.faults.database_away else 'back'}")

    def _cut_off(self) -> None:
        node = self.rng.choice(self.nodes)
        node.cut_off = not node.cut_off
        self.tell(f"{node.name} {'cut off from' if node.cut_off else 'back with'} the database")

    def _disk(self) -> None:
        node = self.rng.choice(self.nodes)
        node.disk_full = not node.disk_full
        node.room_lines = self.rng.choice([0, 3, 1000])
        node.disturbed = True
        self.tell(f"{node.name}: disk {'full' if node.disk_full else 'has room'}")

    def _for_good(self) -> None:
        """One node at most never comes back, not even its journal."""
        node = self.nodes[1]
        if not node.dead and self.rng.random() < 0.3:
            node.dead = True
            if node.meterline is not None:
                node.kill_kamailio()
            node.kill_drain()
            self.tell(f"{node.name}: lost for good")

    def _stranger(self) -> None:
        """Somebody with the proxy's password asks what the proxy never would. Nothing may come of it."""
        live = [call.key for call in self.calls if call.state in ("rings", "up") and call.key]
        key = self.rng.choice(live) if live and self.rng.random() < 0.8 else self._new_key()
        proxy, cashier = self.ledgers["proxy"], self.ledgers["cashier"]
        ended = self.place.sql("SELECT call_key FROM cdr ORDER BY call_key")
        over = self.rng.choice(ended)["call_key"] if ended else ""
        one = self.place.accounts["customer"]
        again = self.movements[0]
        asks: list[Callable[[], object]] = [
            lambda: proxy.open_call(key, request([one], steps=(60,), holds=[["0"]])) if key in live else None,
            lambda: proxy.open_call(self._new_key(), request([999_999])),
            *[lambda: proxy.open_call(self._new_key(), request([one], steps=(60,), holds=[["2"]]))] * 2,
            *[lambda: proxy._call("open_call", *self.faults.opened[key]) if key in self.faults.opened else None] * 2,
            lambda: proxy.settle_call(key, settlement(["999"], 60, 60)),
            lambda: [proxy.settle_call(key, settlement(["999"], grant, 1)) for grant in (10, 30, 60, 120)],
            lambda: proxy.settle_call(self._new_key(), settlement(["0"], 60, 0)),
            lambda: proxy.extend_call(key, 60, 9_999, {0: Decimal(0)}),
            lambda: [proxy.extend_call(key, grant, 9_999, {0: Decimal(0)}) for grant in (10, 30, 60)],
            lambda: [proxy.extend_call(key, grant - 1, grant, {0: Decimal(0)}) for grant in (10, 30, 60)],
            lambda: proxy.answer_call(key, 2**63),
            lambda: proxy.answer_call(self._new_key(), 0),
            lambda: proxy.record_call(key, call_record(one)) if key in live else None,
            lambda: proxy.record_call(self._new_key(), call_record(one, result="x" * 99)),
            lambda: proxy.heartbeat(None, 0),  # type: ignore[arg-type]
            lambda: [proxy.heartbeat("n9", 0, instance) for instance in ("one", "another")],
            lambda: proxy.open_call(over, request([one])),
            lambda: proxy.settle_call(over, settlement(["0"], 9_999, 0)),
            lambda: cashier.top_up(again.key, again.accounts[0], Decimal(77), "ann"),
        ]
        with contextlib.suppress(LedgerUnavailable, LedgerError, LedgerRefused, KeyConflict, Killed):
            self.rng.choice(asks)()

    def _meanwhile(self) -> None:
        """Another process acts between two steps of the one in hand."""
        kept, self.faults.ledger_fault = self.faults.ledger_fault, None
        node = self.rng.choice(self.nodes)
        choices: list[Callable[[], object]] = [
            lambda: node.do("keeper", node.keeper_tick) if "keeper" not in node.inside else None,
            lambda: node.do("cutter", node.cutter_tick) if "cutter" not in node.inside else None,
            lambda: node.do("drain", node.drain_turn) if "drain" not in node.inside else None,
            self._money,
            self._hang_up,
            self._answer,
        ]
        self.rng.choice(choices)()
        self.faults.ledger_fault = kept

    def _arrive_all(self) -> None:
        """What is still on its way arrives before much time passes."""
        late, self.faults.late[:] = list(self.faults.late), []
        for one in late:
            self._arrive(one)

    def _arrive(self, late: Late) -> None:
        if self.faults.database_away:
            return  # it never reached the server
        role = "proxy" if "proxy" in late.role else "cashier" if "cashier" in late.role else "admin"
        try:
            self.gone[role].carry_out(late.sql, late.args)
        except pymysql.err.MySQLError as error:
            self.tell(f"late {late.sql}: {error.args}")
        else:
            self.tell(f"late {late.sql.partition('(')[0]} {late.args[:1]}: carried out")

    # --- the end ------------------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        """Everything that can come back does; everybody hangs up sooner or later; the reaper has his time."""
        self.tell("everything comes back")
        self.faults.clear()
        self._arrive_all()
        for node in self.nodes:
            node.cut_off = node.disk_full = False
            if not node.dead:
                self._start(node)
        self._pass(1_000)
        for call in self._up():
            if call.phone_gone_ms is None and self._known(call) and self.rng.random() < 0.7:
                self._bye(call, caller=True)
        for rounds in range(10):
            # The drain has tidied up, too. With a clock set forward the reaper comes before the end of a call.
            up = any(not call.node.dead for call in self._up())
            if rounds > 3 and not up and not self.place.sql("SELECT 1 FROM live_call"):
                break
            self._pass(65_000)
        for _ in range(6):  # the keeper's look for what the ledger holds and nobody else knows
            self._pass(1_000)

    def _rings_out(self, call: Call) -> None:
        world = call.node.world
        world.dialog = call.dialog
        world.request("TIMEOUT", ci=call.dialog.values["callid"], ft=call.dialog.values["from_tag"])
        call.state = "over"
        call.node.script("dialog_event", "dialog:failed")
        world.dialogs.pop((call.dialog.values["callid"], call.dialog.values["from_tag"]), None)
