"""The drain: a process beside the proxy that brings the journal into the ledger, in order, within tens of milliseconds.

It also keeps what belongs to a node and needs a database now and then: the node's heartbeat, the copy of trunks and
carriers that SIP workers read, and the reaper for calls whose node never came back.

    python -m billing.drain        (settings from METERLINE_SETTINGS)
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from billing import settings as settings_module
from billing import settlement
from billing.board import FILE_NAME, Board
from billing.call_order import CallOrder, marked
from billing.directory import USE_FILE, Carrier, Directory, Trunk, publish, publish_use
from billing.errors import KeyConflict, LedgerBusy, LedgerError, LedgerRefused, LedgerUnavailable, MeterlineError
from billing.instance import instance_in, note_claim
from billing.journal import JournalReader, JournalWriter, sync
from billing.journal_room import JournalRoom
from billing.ledger import Ledger
from billing.logs import EventLog
from billing.money import format_amount
from billing.privileges import drop_into_place
from billing.supervised import ALIVE, READY, STOPPING, tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing.journal import Entry
    from billing.ledger_types import TrunkRow
    from billing.settings import Settings

BATCH_MAX = 500
REAP_MAX = 100
RETRY_S = 0.25
RETRY_MAX_S = 5.0
SYNC_EVERY_S = 0.5
ALIVE_EVERY_S = 5.0
NAME_KEPT_S = 5.0
"""So long after a heartbeat the node's name is its own without a look: nobody else gets it within 10 s."""


class _Every:
    """Runs something at most once in `seconds`. What goes wrong in it is logged and keeps nothing else from running."""

    def __init__(self, seconds: float, action: Callable[[], object], log: EventLog) -> None:
        self._log = log
        self._seconds = seconds
        self._action = action
        self._next = 0.0

    def run_if_due(self) -> None:
        """Raises LedgerUnavailable alone."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + self._seconds
        try:
            self._action()
        except LedgerUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - logged in full
            self._log.failure("work_failed", error)


class Drain:
    """One journal, one ledger. `run` until `stop` is set."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        """Raises JournalBusy while another drain has this journal, SettingsError when nothing can be kept there."""
        state = Path(settings.node.state_dir)
        self._settings = settings
        self._ledger = ledger
        self._reader = JournalReader(state / "journal")
        self._writer = JournalWriter(state / "journal")
        self._refused = state / "journal" / "refused.log"
        self._directory = state / "directory.json"
        self._use = state / USE_FILE
        self._board = Board(state / FILE_NAME)
        self.log = EventLog("drain", settings.node.name, self._board.count_event)
        self._started_s = time.monotonic()
        self._put_back = 0
        self._troubled = 0
        """Facts of the last batch that the ledger could not take for want of something: a right, a routine."""
        self._pause_s = RETRY_S
        self._order = CallOrder(self._reader.put_back())
        self._instance = instance_in(state)
        self._twin = ""
        self._had_name_s = -NAME_KEPT_S
        self._alarms_told: set[tuple[object, ...]] = set()
        self._room = JournalRoom(state / "journal", settings.journal)
        self._alive = _Every(ALIVE_EVERY_S, partial(tell, ALIVE), self.log)
        self._disk_work = (
            _Every(5.0, self._room.keep_reserve, self.log),
            _Every(30.0, self._reader.tidy, self.log),
        )
        self._heartbeat = (_Every(1.0, self._beat, self.log),)
        self._ledger_work = (
            _Every(1.0, self._publish_directory, self.log),
            _Every(5.0, self._reap, self.log),
            _Every(5.0, self._log_alarms, self.log),
            _Every(60.0, self._forget_counts, self.log),
        )
        ledger.watch(self._board.count_database)
        self.stop = threading.Event()

    def run(self) -> None:
        """Until `stop`: facts first, then the periodic work. A database that is away is waited for, without end."""
        tell(READY)
        threading.Thread(target=self._sync, name="sync", daemon=True).start()
        while not self.stop.is_set():
            pause_s = self._turn()
            self._alive.run_if_due()
            self.stop.wait(pause_s)
        tell(STOPPING)

    def _sync(self) -> None:
        """In a thread of its own: a slow database makes one turn last long, and the disk must not wait for it."""
        while not self.stop.wait(SYNC_EVERY_S):
            try:
                sync(self._refused.parent)
            except OSError as error:
                self.log.failure("disk_failed", error)

    def _turn(self) -> float:
        """One look at everything; how long to wait until the next, in seconds."""
        self._board.mark("drain_ms")
        try:
            applied = self.drain_once()
            self._run(self._disk_work)
            self._run(self._heartbeat)
            if applied < BATCH_MAX:  # nothing is reaped while facts of our own calls may still be waiting
                self._run(self._ledger_work)
        except LedgerUnavailable as error:
            self.log.event("ledger_failed", "warn", error=str(error), journal_bytes=self._reader.depth())
            self._run(self._disk_work)
            return RETRY_S
        except OSError as error:
            self.log.failure("disk_failed", error)
            self._run(self._disk_work)  # which may make room
            return RETRY_S
        if applied and applied == self._put_back:  # at once again would only spin, and fill the journal
            self._pause_s = min(RETRY_MAX_S, 2 * self._pause_s) if self._troubled == applied else RETRY_S
            return self._pause_s
        self._pause_s = RETRY_S
        return 0.0 if applied else self._settings.drain.interval_ms / 1000

    @staticmethod
    def _run(works: tuple[_Every, ...]) -> None:
        for work in works:
            work.run_if_due()

    def drain_once(self) -> int:
        """Apply what is in the journal now; how many facts. Raises LedgerUnavailable with the rest still to do."""
        entries = self._reader.entries(BATCH_MAX)
        self._troubled = 0
        self._put_back = sum(not self._apply(entry) for entry in entries)
        for damaged in self._reader.take_damaged():
            self.log.event(
                "journal_damaged", "err", segment=damaged.segment, offset=damaged.offset, reason=damaged.reason
            )
        return len(entries)

    def _apply(self, entry: Entry) -> bool:
        """Bring one fact into the ledger; False when it was put back.

        A fact that the ledger refuses for good must not hold up the others, and must not vanish: it is set aside.

        One whose account is busy goes to the journal's end and is tried again after the others.
        """
        self._alive.run_if_due()  # a full batch on a slow database takes minutes, and is work all the same
        self._board.mark("drain_ms")
        applied = True
        try:
            if not self._order.is_next(entry.fact):
                applied = self._put_back_entry(entry)
            elif settlement.apply(self._ledger, entry.fact) == settlement.ACCEPTED:
                self.log.event("late_truth", "warn", call_key=entry.fact["call_key"])
        except (LedgerBusy, settlement.NotSettled) as error:
            self.log.event("call_waits", "warn", call_key=entry.fact.get("call_key"), error=str(error))
            applied = self._put_back_entry(entry)
        except (LedgerRefused, KeyConflict) as error:
            self._set_aside(entry, error)
        except LedgerUnavailable:
            raise
        except LedgerError as error:  # a right is missing, a routine is being replaced: not the fact's fault
            self.log.event("call_waits", "err", call_key=entry.fact.get("call_key"), error=str(error))
            self._troubled += 1
            applied = self._put_back_entry(entry)
        except OSError:  # it could not be put back: it stays where it is
            raise
        except Exception as error:  # noqa: BLE001 - a fact that cannot be understood
            self._set_aside(entry, error)
        if applied:
            self._order.done(entry.fact)
        self._reader.done(entry)
        return applied

    def _put_back_entry(self, entry: Entry) -> bool:
        self._writer.append(marked(entry.fact))
        self._order.put_back(entry.fact)
        return False

    def _set_aside(self, entry: Entry, error: Exception) -> None:
        self.log.failure("fact_set_aside", error, file=self._refused, fact=entry.fact)
        with self._refused.open("a", encoding="ascii") as file:
            file.write(json.dumps({"error": repr(error), "fact": entry.fact}) + "\n")

    def _beat(self) -> None:
        now_s = time.monotonic()
        up_ms = int((now_s - self._started_s) * 1000)
        own, name = self._instance, self._settings.node.name
        if now_s - self._had_name_s >= NAME_KEPT_S and not own.same_folder(self._ledger.instance_of(name)):
            note_claim(self._directory.parent)  # before the claim: the keeper acts on the name as soon as it is ours
        claim = self._ledger.heartbeat(name, up_ms, own.name, own.place)
        self._had_name_s = now_s if claim.outcome == "alive" else -NAME_KEPT_S
        self._board.mark("drain_ledger_ms")
        if claim.retired_by is not None:
            self.log.event("node_returned", "notice", retired_by=claim.retired_by)
        self._note_twin("" if claim.outcome == "alive" else f"{claim.instance} at {claim.place}")

    def _note_twin(self, twin: str) -> None:
        """Another instance of our name is alive: it goes on untouched, and here new calls are refused (the proxy reads
        it in the directory) and nothing is reaped or reconciled, until that one is silent for 10 s."""
        if twin != self._twin:
            own = f"{self._instance.name} at {self._instance.place}"
            if twin:
                self.log.event("node_taken", "err", other=twin, own=own)
            else:
                self.log.event("node_regained", "notice", own=own)
        self._twin = twin
        self._board.note("name_taken", int(bool(twin)))

    def _publish_directory(self) -> None:
        trunks = tuple(
            Trunk(
                *(trunk.trunk_id, trunk.name, trunk.kind, trunk.user_id, self._good_networks(trunk)),
                owner_account_id=trunk.owner_account_id,
            )
            for trunk in self._ledger.trunks()
        )
        carriers = tuple(
            Carrier(
                carrier_id=one.carrier_id,
                name=one.name,
                host=one.host,
                port=one.port,
                transport=one.transport,
                priority=one.priority,
                dial_prefix=one.dial_prefix,
                weight=one.weight,
                tariff_id=one.tariff_id,
                tariff_version=one.tariff_version,
                currency=one.currency or "",
                channels=one.channels,
                prefixes=one.prefixes,
                trusts_identity=bool(one.trusts_identity),
                probed=bool(one.probed),
            )
            for one in self._ledger.carriers()
        )
        premium = tuple((one.prefix, one.name) for one in self._ledger.premium_prefixes())
        if publish(Directory(trunks, carriers, premium, self._twin), self._directory):
            self.log.event("directory_changed", trunks=len(trunks), carriers=len(carriers), premium=len(premium))
        if any(carrier.channels is not None for carrier in carriers):
            publish_use(self._ledger.carriers_in_use(self._settings.node.name), self._use)

    def _good_networks(self, trunk: TrunkRow) -> tuple[str, ...]:
        """One mistyped address must not keep the other trunks out; host bits are read as the network they are in."""
        good = []
        for text in trunk.networks:
            try:
                good.append(str(ip_network(text, strict=False)))
            except ValueError:
                self.log.event("trunk_address_skipped", "err", trunk=trunk.name, network=text)
        return tuple(good)

    def _log_alarms(self) -> None:
        """Each once when it is raised, and once more when it stops somebody; again after a restart."""
        alarms = {
            (one.account_id, one.kind, one.destination, one.since, one.stopped_at is not None): one
            for one in self._ledger.alarms()
        }
        for key, one in alarms.items():
            if key not in self._alarms_told:
                self.log.event(
                    "alarm",
                    "err",
                    limit=one.kind,
                    account=one.account_name,
                    destination=one.destination,
                    since=f"{one.since:%Y-%m-%d %H:%M}",
                    reached=format_amount(one.reached),
                    of=format_amount(one.limit_value),
                    stopped=one.stopped_at is not None,
                )
        self._alarms_told = set(alarms)

    def _forget_counts(self) -> None:
        self._ledger.forget_counts()

    def _reap(self) -> None:
        if self._twin:
            return
        for call_key in self._ledger.reap_calls(None, REAP_MAX):
            self.log.event("call_reaped", "err", call_key=call_key)
        settlement.cost_reaped(self._ledger)


def main() -> int:
    """Run until SIGTERM or SIGINT. Exit code 2 for a bad setting, named in one line of the log."""
    try:
        settings = settings_module.load()
        drop_into_place(settings, settings_module.path_from_environment())
        ledger = Ledger.for_proxy(settings.database, lock_wait_s=0)
        drain = Drain(settings, ledger)
        try:
            ledger.check_settings()
        except LedgerUnavailable as error:
            drain.log.event("ledger_failed", "warn", process="start", error=str(error))
    except MeterlineError as error:
        EventLog("drain", "").event("start_refused", "err", error=str(error))
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: drain.stop.set())
    drain.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
