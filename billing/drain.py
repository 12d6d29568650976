"""The drain: a process beside the proxy that brings the journal into the ledger, in order, within tens of milliseconds.

It also keeps what belongs to a node and needs a database now and then: the node's heartbeat, the copy of trunks and
carriers that SIP workers read, and the reaper for calls whose node never came back.

    python -m billing.drain        (settings from METERLINE_SETTINGS)
"""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from billing import settings as settings_module
from billing import settlement
from billing.directory import Carrier, Directory, Trunk, publish
from billing.errors import LedgerError, LedgerUnavailable, MeterlineError
from billing.journal import JournalReader
from billing.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing.journal import Entry
    from billing.settings import Settings

BATCH_MAX = 500
REAP_MAX = 100
RETRY_S = 0.25
log = logging.getLogger("meterline.drain")


class _Every:
    """Runs something at most once in `seconds`."""

    def __init__(self, seconds: float, action: Callable[[], None]) -> None:
        self._seconds = seconds
        self._action = action
        self._next = 0.0

    def run_if_due(self) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._seconds
            self._action()


class Drain:
    """One journal, one ledger. `run` until `stop` is set."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        """Reads nothing yet."""
        state = Path(settings.node.state_dir)
        self._settings = settings
        self._ledger = ledger
        self._reader = JournalReader(state / "journal")
        self._refused = state / "journal" / "refused.log"
        self._directory = state / "directory.json"
        self._damaged = 0
        self._started_s = time.monotonic()
        self._disk_work = (_Every(0.5, self._reader.sync), _Every(30.0, self._tidy))
        self._ledger_work = (
            _Every(1.0, self._beat),
            _Every(1.0, self._publish_directory),
            _Every(5.0, self._reap),
        )
        self.stop = threading.Event()

    def run(self) -> None:
        """Until `stop`: facts first, then the periodic work. A database that is away is waited for, without end."""
        idle_s = self._settings.drain.interval_ms / 1000
        while not self.stop.is_set():
            try:
                applied = self.drain_once()
                for work in self._disk_work if applied == BATCH_MAX else (*self._disk_work, *self._ledger_work):
                    work.run_if_due()  # nothing is reaped while facts of our own calls may still be waiting
                pause_s = 0.0 if applied else idle_s
            except (LedgerUnavailable, settlement.NotSettled) as error:
                log.warning("ledger unavailable: %s; %d bytes wait in the journal", error, self._reader.depth())
                for work in self._disk_work:
                    work.run_if_due()
                pause_s = RETRY_S
            self.stop.wait(pause_s)

    def drain_once(self) -> int:
        """Apply what is in the journal now; how many facts. Raises LedgerUnavailable with the rest still to do."""
        entries = self._reader.entries(BATCH_MAX)
        for entry in entries:
            self._apply(entry)
        for damaged in self._reader.damaged[self._damaged :]:
            log.error("journal line set aside: %s at %d: %s", damaged.segment, damaged.offset, damaged.reason)
        self._damaged = len(self._reader.damaged)
        return len(entries)

    def _apply(self, entry: Entry) -> None:
        """A fact that the ledger refuses for good must not hold up the others, and must not vanish: it is set aside."""
        try:
            settlement.apply(self._ledger, entry.fact)
        except (LedgerUnavailable, settlement.NotSettled):
            raise
        except (MeterlineError, LookupError, TypeError, ValueError) as error:
            log.error("fact refused, set aside in %s: %s: %r", self._refused, error, entry.fact)  # noqa: TRY400 - one line
            with self._refused.open("a", encoding="ascii") as file:
                file.write(json.dumps({"error": str(error), "fact": entry.fact}) + "\n")
        self._reader.done(entry)

    def _beat(self) -> None:
        self._ledger.heartbeat(self._settings.node.name, int((time.monotonic() - self._started_s) * 1000))

    def _tidy(self) -> None:
        self._reader.set_torn_aside()
        self._reader.forget_settled()

    def _publish_directory(self) -> None:
        trunks = tuple(
            Trunk(trunk.trunk_id, trunk.name, trunk.kind, trunk.user_id, trunk.networks)
            for trunk in self._ledger.trunks()
        )
        carriers = tuple(
            Carrier(one.carrier_id, one.name, one.host, one.port, one.transport, one.priority, one.dial_prefix)
            for one in self._ledger.carriers()
        )
        if publish(Directory(trunks, carriers), self._directory):
            log.info("directory: %d trunks, %d carriers", len(trunks), len(carriers))

    def _reap(self) -> None:
        for call_key in self._ledger.reap_calls(None, REAP_MAX):
            log.error("call %s reaped: charged for its whole grant, the truth is unknown", call_key)


def main() -> int:
    """Run until SIGTERM or SIGINT. Exit code 2 for a bad setting, named in one line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        settings = settings_module.load()
        drain = Drain(settings, Ledger.for_proxy(settings.database))
    except LedgerError:
        raise
    except MeterlineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: drain.stop.set())
    drain.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
