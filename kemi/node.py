"""What one process of the proxy works with: settings, journal, breaker, ledger client, rates, directory.

Made once by `mod_init` before Kamailio forks; what must not cross a fork (database connection, open files) is opened by
each process at its first use.
"""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from ulid import ULID

from billing import facts
from billing.board import FILE_NAME, Board
from billing.breaker import Breaker, monotonic_ms
from billing.directory import USE_FILE, DirectoryFile, UseFile
from billing.instance import instance_in
from billing.journal import JournalTail, JournalUnwritable, JournalWriter
from billing.journal_room import JournalRoom
from billing.ledger import Ledger
from billing.rates import RateLookup
from kemi import dialog_store, log
from kemi.memory import Memory
from kemi.pulse import Pulse

if TYPE_CHECKING:
    from billing.journal import Fact
    from billing.settings import Settings

FACTS_KEPT_MAX = 10_000


class Node:
    """The process-wide objects. Methods that touch the disk say so."""

    def __init__(self, settings: Settings) -> None:
        """Before the fork: opens nothing that must not cross it."""
        self.settings = settings
        self.name = settings.node.name
        state = Path(settings.node.state_dir)
        self.journal = JournalWriter(state / "journal")
        self.board = Board(state / FILE_NAME)
        self.breaker = Breaker(
            settings.breaker.failures, settings.breaker.open_ms, self.board.memory_of("breaker_failures", 2)
        )
        self.room = JournalRoom(state / "journal", settings.journal)
        self.pulse = Pulse(state / "pulse", dialog_store.identity(os.environ.get("METERLINE_DIALOG_DB", "")))
        self.memory = Memory(state / "places")
        self.instance = instance_in(state)
        self.directory = DirectoryFile(state / "directory.json")
        self.use = UseFile(state / USE_FILE)
        self.carriers_before, self.over_before = channels_before(state, os.environ.get("METERLINE_DIALOG_DB", ""))
        """The carriers (ids) of the calls that were up when this Kamailio started, each as often as it has calls; and
        the calls that only look as if they were, because their dialogs are there: they hold no channel."""
        self._started_ms = monotonic_ms()
        self.board.note("proxy_started_ms", self._started_ms)
        self.lock_wait_s = 1
        """Set before the ledger is first used. 0: one busy account must not keep the process from the others."""
        self._unwritten: deque[Fact] = deque()
        self._ledger: Ledger | None = None
        self._rates: RateLookup | None = None

    @property
    def up_ms(self) -> int:
        """How long ago this Kamailio started."""
        return monotonic_ms() - self._started_ms

    @property
    def ledger(self) -> Ledger:
        """This process's ledger client; connects at its first call."""
        if self._ledger is None:
            self._ledger = Ledger.for_proxy(self.settings.database, self.lock_wait_s)
            self._ledger.watch(self.board.count_database)
        return self._ledger

    def forget_ledger(self) -> None:
        """The next use makes another client."""
        self._ledger = None

    @property
    def rates(self) -> RateLookup:
        """This process's rate cache."""
        if self._rates is None:
            self._rates = RateLookup(self.ledger)
        return self._rates

    def record(self, fact: Fact) -> None:
        """Write a fact to the journal. One that cannot be written is kept in memory and tried again at every event."""
        self._unwritten.append(fact)
        self.write_unwritten()

    def write_unwritten(self) -> None:
        """Try again to write what the disk refused."""
        while self._unwritten:
            try:
                self.journal.append(self._unwritten[0])
            except JournalUnwritable as error:
                self.board.mark("journal_failed_ms")
                log.event("journal_unwritable", "err", error=str(error), waiting=len(self._unwritten))
                if len(self._unwritten) > FACTS_KEPT_MAX:
                    log.event("fact_lost", "err", fact=self._unwritten.popleft())
                return
            except ValueError as error:  # too long for a line: it must not keep the others from the disk
                log.event("fact_lost", "err", error=str(error), fact=self._unwritten[0])
            self._unwritten.popleft()


def channels_before(state: Path, store: str) -> tuple[list[str], frozenset[str]]:
    """The carriers of the calls in the dialog store that are not marked as ended.

    Those whose end is in the journal only look as if they were up: their keys, for they give nothing back when their
    dialogs end (count_off in kemi/channels.py).
    """
    stored = dialog_store.variables(store)
    held = {one.get("k", ""): one["l"] for one in stored if one.get("l") and not one.get("x")}
    if not held:
        return [], frozenset()
    ended = {fact.get("call_key") for fact in JournalTail(state / "journal").facts() if fact["kind"] == facts.ENDED}
    return [carrier for call_key, carrier in held.items() if call_key not in ended], frozenset(held) & ended


_node: Node | None = None


def start(settings: Settings) -> Node:
    """Make the node object; once, before the fork."""
    global _node  # noqa: PLW0603 - Kamailio's callbacks have no other place to find it
    _node = Node(settings)
    log.begin(_node.name, _node.board)
    return _node


def here() -> Node:
    """The node this process belongs to."""
    assert _node is not None, "mod_init has not run"
    return _node


def new_call_key() -> str:
    """A fresh ULID: sortable by time, 80 random bits, nothing of it from the wire."""
    return str(ULID())
