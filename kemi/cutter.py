"""The cutter: a process of its own that ends calls at their deadline, within a tenth of a second.

It reads along in the node's journal, so it knows every call that was answered here, and asks nobody: a database that is
away never delays a cut. When a deadline comes it looks into the dialog, whose grant the keeper may have lengthened.
"""

from __future__ import annotations

import heapq
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from billing import facts
from billing.breaker import monotonic_ms
from billing.clock import Moment
from billing.journal import JournalTail
from kemi import dialog_store, dialogs, ksr, log
from kemi.node import here

if TYPE_CHECKING:
    from billing.journal import Fact


@dataclass(order=True)
class _Deadline:
    at_ms: int
    call_key: str
    dialog: tuple[str, str, str] = field(compare=False)


class Cutter:
    """Deadlines of the calls that are up, soonest first."""

    def __init__(self, journal: Path) -> None:
        """Reads the journal from its beginning: after a restart, that is what is not settled or not tidied yet."""
        self._tail = JournalTail(journal)
        self._deadlines: list[_Deadline] = []
        self._waiting: set[str] = set()
        for dialog in node_dialogs():
            self._learn_stored(dialog)

    def tick(self) -> None:
        """Learn what happened and end what is due."""
        for fact in self._tail.facts():
            self._learn(fact)
        now_ms = monotonic_ms()
        while self._deadlines and self._deadlines[0].at_ms <= now_ms:
            self._end(heapq.heappop(self._deadlines))

    def _learn_stored(self, dialog: tuple[str, str, str]) -> None:
        """A call that was up before this Kamailio, whose answer the journal may no longer hold. The ledger is not
        asked: it may be away. The grant in the dialog counts, and is looked at again when its deadline comes.

        Its lifetime is set anew: the store has none of a dialog whose ACK had not come (the module writes the row
        before it sets the timer), and the timer would end it at its first look, a second after the start. Nor may the
        timer come to one that is overdue while this process is about it.
        """
        try:
            if ksr.enter_dialog(*dialog) and ksr.dialog_var("t") and not ksr.dialog_var("x") + ksr.dialog_var("m"):
                rest_s = dialogs.remaining_s()
                ksr.set_dialog_lifetime(dialogs.lifetime_s(max(rest_s, 0.001)))  # before the timer's first look
                self._wait(_Deadline(monotonic_ms() + int(rest_s * 1000) + 1, ksr.dialog_var("k"), dialog))
        except Exception as error:  # noqa: BLE001 - one call's trouble; the dialog timer stands behind
            log.event("cut_failed", "err", sip_call_id=dialog[0], error=repr(error))

    def _learn(self, fact: Fact) -> None:
        """A fact is read once: one that cannot be understood (another version's) must not take the others with it."""
        kind = fact["kind"]
        try:
            if kind == facts.ANSWERED:
                self._expect(fact, int(fact["grant_s"]) * 1000)
            elif kind == facts.WATCH:
                self._expect(fact, int(fact["deadline_in_ms"]))
            elif kind == facts.ENDED:
                self._waiting.discard(fact["call_key"])
        except (LookupError, ValueError, TypeError) as error:
            log.event("cut_failed", "err", call_key=fact.get("call_key"), error=repr(error))

    def _expect(self, fact: Fact, after_ms: int) -> None:
        since_ms = Moment.now().ms_since(Moment.parse(fact["at"]))
        dialog = (fact["call_id"], fact["from_tag"], fact["to_tag"])
        self._wait(_Deadline(monotonic_ms() + after_ms - since_ms, fact["call_key"], dialog))

    def _wait(self, deadline: _Deadline) -> None:
        self._waiting.add(deadline.call_key)
        heapq.heappush(self._deadlines, deadline)

    def _end(self, due: _Deadline) -> None:
        """Cut, or look again later when the grant has grown. What is wrong with one call keeps no other waiting."""
        if due.call_key not in self._waiting:
            return
        self._waiting.discard(due.call_key)
        try:
            if not ksr.enter_dialog(*due.dialog) or ksr.dialog_var("x"):
                return
            rest_s = dialogs.remaining_s()
            if rest_s > 0:
                self._wait(_Deadline(monotonic_ms() + int(rest_s * 1000) + 1, due.call_key, due.dialog))
            else:
                dialogs.cut()
        except Exception as error:  # noqa: BLE001 - the dialog timer stands behind
            log.event("cut_failed", "err", call_key=due.call_key, error=repr(error))


def node_dialogs() -> list[tuple[str, str, str]]:
    """The dialogs that Kamailio brought back from its store."""
    return dialog_store.stored(os.environ.get("METERLINE_DIALOG_DB", ""))


_cutter: Cutter | None = None


def tick() -> None:
    """Ten times a second, in the cutter's process."""
    global _cutter  # noqa: PLW0603 - one a process, made where it is used
    if _cutter is None:
        _cutter = Cutter(Path(here().settings.node.state_dir) / "journal")
    _cutter.tick()
    here().pulse.beat(short=here().room.give_up_when_short())
    here().board.mark("cutter_ms")
