"""What the monitor sees: looks at the node and at the ledger, each again and again in a thread of its own, so that what
hangs keeps no other from looking. A look is an object that never changes; the last one is there for whoever asks."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from billing.certificates import validity
from billing.clock import Moment
from billing.errors import MeterlineError
from billing.journal import free_bytes
from billing.journal_room import JournalRoom, depth_of, oldest_waiting
from billing.ledger import Ledger
from monitor.dialogs import ENDED_KEPT_S, Lasting, billed_call_keys
from monitor.sip import certificate_shown, options_code

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing.board import Board
    from billing.ledger_types import Alarm, LiveTotal
    from billing.logs import EventLog
    from billing.settings import Settings

NODE_EVERY_S = 1.0
LEDGER_EVERY_S = 2.0
CERTIFICATE_EVERY_S = 10.0
PING_LIMIT_S = 1.0
AUDIT_LIMIT_S = 300.0
AUDIT_RETRY_S = 300.0
"""After an audit that did not come to its end, if that is sooner: the monitor may have started before the database."""
NODE_FRESH_S = 10.0
LEDGER_FRESH_S = 30.0
"""A look that is older tells nothing any more: whoever looks hangs, or fails again and again. A look at a slow ledger
takes several answers."""
PROBE_BYTES = 4096


@dataclass(frozen=True)
class NodeLook:
    """The node at `at_s` (monotonic). `sip_code`: how the proxy answered a ping, None if it did not."""

    at_s: float
    sip_code: int | None
    free_bytes: int
    disk_error: str
    journal_bytes: int | None
    journal_age_s: float | None
    damaged_bytes: int
    refused_bytes: int
    dialogs: frozenset[str] | None


@dataclass(frozen=True)
class LedgerLook:
    """The ledger at `at_s`; with an `error` it did not answer, and the rest says nothing. The calls that are on one
    side alone have been so for some time."""

    at_s: float
    error: str = ""
    live: tuple[LiveTotal, ...] = ()
    provisional: int = 0
    alarms: tuple[Alarm, ...] = ()
    without_dialog: frozenset[str] = field(default_factory=frozenset)
    without_live_call: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class AuditLook:
    """The last audit that came to its end."""

    at_s: float
    differences: int
    took_s: float


class Watch:
    """`node`, `ledger` and `audit` are the last looks; None before the first, and the first two also when it is old.

    `certificate_until_s` (Unix time) is until when the certificate is valid that the node shows, None if it shows none.
    Not the one in the file: who renews that and forgets the restart shows the old one.
    """

    def __init__(self, settings: Settings, board: Board, log: EventLog) -> None:
        """Looks at nothing yet."""
        self.settings = settings
        self.board = board
        self.room = JournalRoom(settings.node.state_dir / "journal", settings.journal)
        self.audit: AuditLook | None = None
        self.certificate_until_s: int | None = None
        self.stop = threading.Event()
        self._node: NodeLook | None = None
        self._ledger: LedgerLook | None = None
        self._log = log
        # The two sides are not read at one instant: what one alone knows counts when it does so at the next look, too.
        self._without_dialog = Lasting(LEDGER_EVERY_S / 2)
        self._without_live_call = Lasting(ENDED_KEPT_S)

    @property
    def node(self) -> NodeLook | None:
        """How the node is now."""
        look = self._node
        return look if look and time.monotonic() - look.at_s <= NODE_FRESH_S else None

    @property
    def ledger(self) -> LedgerLook | None:
        """How the ledger is now."""
        look = self._ledger
        return look if look and time.monotonic() - look.at_s <= LEDGER_FRESH_S else None

    def start(self) -> None:
        """Begin to look, until `stop` is set."""
        works: tuple[tuple[Callable[[], float | None], float], ...] = (
            (self.look_at_node, NODE_EVERY_S),
            (partial(self._look_at_ledger, Ledger.for_proxy(self.settings.database)), LEDGER_EVERY_S),
            (
                partial(self._audit, Ledger.for_role(self.settings.database, "proxy", AUDIT_LIMIT_S)),
                self.settings.monitor.audit_interval_s,
            ),
        )
        if self.settings.sip.has_tls:
            works += ((self.look_at_certificate, CERTIFICATE_EVERY_S),)
        for work, every_s in works:
            threading.Thread(target=self._again_and_again, args=(work, every_s), daemon=True).start()

    def _again_and_again(self, work: Callable[[], float | None], every_s: float) -> None:
        """`work` answers when to do it again, in seconds, if that is not in `every_s`."""
        while True:
            pause_s = None
            try:
                pause_s = work()
            except Exception as error:  # noqa: BLE001 - one look fails, the next may not
                self._log.failure("work_failed", error)
            if self.stop.wait(every_s if pause_s is None else pause_s):
                return

    # --- the node ----------------------------------------------------------------------------------------------------

    def look_at_node(self) -> None:
        """Ping the proxy, try the disk, read the journal's position."""
        state = Path(self.settings.node.state_dir)
        depth, age_s = _journal(state / "journal")
        free, disk_error = _disk(state)
        self._node = NodeLook(
            at_s=time.monotonic(),
            sip_code=ping(self.settings),
            free_bytes=free,
            disk_error=disk_error,
            journal_bytes=depth,
            journal_age_s=age_s,
            damaged_bytes=_size(state / "journal" / "damaged.log"),
            refused_bytes=_size(state / "journal" / "refused.log"),
            dialogs=_dialogs(state),
        )

    def look_at_certificate(self) -> None:
        """The one that the node shows now."""
        shown = shown_certificate(self.settings)
        self.certificate_until_s = None if shown is None else validity(shown).until_s

    # --- the ledger --------------------------------------------------------------------------------------------------

    def _look_at_ledger(self, ledger: Ledger) -> None:
        name = self.settings.node.name
        try:
            node = self.node
            live = ledger.live_keys(name)
            without_dialog, without_live_call = self._mismatches(live, node.dialogs if node else None)
            self._ledger = LedgerLook(
                at_s=time.monotonic(),
                live=tuple(ledger.live_totals(name)),
                provisional=ledger.provisional_cdrs(),
                alarms=tuple(ledger.alarms()),
                without_dialog=without_dialog,
                without_live_call=without_live_call,
            )
        except MeterlineError as error:
            self._ledger = LedgerLook(time.monotonic(), error=str(error))

    def _mismatches(
        self, live: dict[str, str], dialogs: frozenset[str] | None
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Calls that the ledger alone knows, and those that the node alone does; both for some time."""
        if dialogs is None:
            return frozenset(), frozenset()
        answered = {key for key, state in live.items() if state == "answered"}
        now_s = time.monotonic()
        return (
            self._without_dialog.seen(answered - dialogs, now_s),
            self._without_live_call.seen(dialogs - live.keys(), now_s),
        )

    def _audit(self, ledger: Ledger) -> float | None:
        began_s = time.monotonic()
        try:
            differences = len(ledger.audit())
        except MeterlineError as error:
            self._log.event("audit_failed", "warn", error=str(error))
            return min(AUDIT_RETRY_S, self.settings.monitor.audit_interval_s)
        self.audit = AuditLook(time.monotonic(), differences, time.monotonic() - began_s)
        if differences:
            self._log.event("audit_differs", "err", differences=differences)
        return None


def ping(settings: Settings) -> int | None:
    """How the proxy answers an OPTIONS on the first of its sockets; one that is not TLS costs less, if there is one."""
    transport, address = min(settings.sip.listen, key=lambda listen: listen.startswith("tls:")).split(":", 1)
    return options_code(address, transport, PING_LIMIT_S)


def shown_certificate(settings: Settings) -> bytes | None:
    """What the proxy shows on the first of its TLS sockets, as DER; None: nothing, or there is none."""
    for listen in settings.sip.listen:
        transport, address = listen.split(":", 1)
        if transport == "tls":
            return certificate_shown(address, PING_LIMIT_S)
    return None


def write_error(state: Path) -> str:
    """Why a block cannot be written where the journal is; empty when it can."""
    probe = state / "probe"
    try:
        file = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            if os.write(file, bytes(PROBE_BYTES)) != PROBE_BYTES:
                return f"{probe}: no room for a block"
        finally:
            os.close(file)
            probe.unlink(missing_ok=True)  # the doctor tries, too
    except OSError as error:
        return str(error)
    return ""


def _journal(folder: Path) -> tuple[int | None, float | None]:
    """Bytes that wait, and for how many seconds the first of them has; None where it cannot be read."""
    try:
        depth, oldest = depth_of(folder), oldest_waiting(folder)
        at = Moment.parse(str(oldest["at"])) if oldest else None
    except (OSError, KeyError, ValueError):
        return None, None
    return depth, Moment.now().ms_since(at) / 1000 if at else 0.0


def _disk(state: Path) -> tuple[int, str]:
    """Room for the journal, and why nothing can be written there."""
    try:
        free = free_bytes(state)
    except OSError as error:
        return 0, str(error)
    return free, write_error(state)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _dialogs(state: Path) -> frozenset[str] | None:
    try:
        return frozenset(billed_call_keys(state))
    except sqlite3.Error:
        return None
