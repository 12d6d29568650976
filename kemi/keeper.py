"""The keeper: a process of its own inside Kamailio that renews grants.

It asks the ledger every second which calls of this node run short, extends each as far as the money goes, and tells
the dialog, where the cutter looks. It also finds calls of this node that the ledger holds open and that are not, and
those that an administrator wants to end.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from billing import facts, renewal
from billing.clock import Moment
from billing.errors import LedgerBusy, LedgerUnavailable
from billing.instance import claimed_ago_ms
from billing.journal import JournalTail, sync
from kemi import dialog_store, dialogs, ender, health, ksr, log
from kemi.node import here
from kemi.tables import LIVE

if TYPE_CHECKING:
    from billing.journal import Fact
    from billing.ledger_types import LiveCall

RECONCILE_EVERY = 5
"""Ticks between two looks for calls that were ringing when the proxy was restarted."""

RUNS_A_TICK = 10
"""The route runs ten times a second, for the ender; the ledger is asked once."""

_runs = 0
_ticks = 0
_watched = False
_twin_seen = False
_unsure: dict[str, int] = {}
"""Calls whose renewal had no answer, and how often to look: the ledger may lengthen them without their dialogs."""

_without_dialog: set[str] = set()
"""Calls that the ledger had at the start and of which no dialog was found then."""

STORE_LIMIT_MS = 3 * dialog_store.WAIT_MS + 1000
"""How long before a kill an answer may have been written whose dialog was not. Three writes (two variables, the dialog)
may each wait for others, and the pulse is a tenth of a second old."""

SHORT_MARGIN_MS = 1000
"""A disk that was full so shortly before an answer may have been full at it: it is looked at ten times a second."""

NOT_SENT = "proxy died before it sent the answer on"
ENDINGS = (facts.ENDED, facts.FAILED, facts.UNOPENED)
"""Facts that settle a call."""

_short_of_money: set[str] = set()
"""Calls that could not be given a whole step: renewed again and again as money comes, which is not late."""

DRAIN_SILENT_MS = 2000
"""A drain that says nothing for so long is taken to be dead; it looks into the journal many times a second."""

LOOKS = 10
"""A statement whose client has gone may commit some seconds later."""


def run() -> None:
    """Ten times a second: end a ringing call, if one is to end. Every tenth time all the rest."""
    global _runs  # noqa: PLW0603 - the process's own
    ender.refuse_next()
    _runs += 1
    if _runs % RUNS_A_TICK == 0:
        tick()


def tick() -> None:
    """Once a second: renew what is due. The keeper asks whatever the breaker says: nobody waits for it."""
    global _ticks, _watched  # noqa: PLW0603 - the process's own
    _ticks += 1
    node = here()
    node.board.mark("keeper_ms")
    node.board.note("proxy_memory_free", ksr.free_shared_memory())
    node.memory.restore()
    health.look()
    _stand_in_for_the_drain()
    try:
        if not _watched:
            node.lock_wait_s = 0
            _watch_what_was_up()
            _watched = True
        for call_key in list(_unsure):
            _make_sure(call_key)
        due = node.ledger.live_calls(node.name, due_within_s=node.settings.calls.renew_lead_s)
        _short_of_money.intersection_update(call.call_key for call in due)
        for call in due:
            node.board.mark("keeper_ms")  # many renewals on a slow database are work all the same
            _stand_in_for_the_drain()
            _renew(call)
        ender.end_marked()
        if _ticks % RECONCILE_EVERY == 0 and _name_is_ours():
            _reconcile()
        health.tell()
        node.breaker.succeeded()
    except LedgerUnavailable as error:
        if not isinstance(error, LedgerBusy):
            node.breaker.failed()
        log.event("ledger_failed", "err", process="keeper", error=str(error))


def _name_is_ours() -> bool:
    """Whether this node's calls in the ledger are our own. Once another node with our name was seen they are not, also
    when it has fallen silent: it may be cut off with its calls up."""
    global _twin_seen  # noqa: PLW0603 - the process's own
    node = here()
    owner = node.ledger.instance_of(node.name)
    _twin_seen = _twin_seen or not node.instance.same_folder(owner)
    return owner == node.instance.name and not _twin_seen


def _stand_in_for_the_drain() -> None:
    """The journal is on the disk within a second, also while nobody drains it."""
    silent_ms = here().board.ms_since("drain_ms")
    if silent_ms is not None and silent_ms < DRAIN_SILENT_MS:
        return
    try:
        sync(Path(here().settings.node.state_dir) / "journal")
    except OSError as error:
        log.event("journal_unwritable", "err", error=str(error))


def _watch_what_was_up() -> None:
    """After a restart: the cutter learns of the calls whose answers the journal no longer holds, and their dialogs of
    renewals that the ledger had just committed."""
    for call in here().ledger.live_calls(here().name):
        try:
            _watch(call)
        except Exception as error:  # noqa: BLE001 - one call's trouble (a damaged dialog): the others are renewed
            log.event("renewal_failed", "err", call_key=call.call_key, error=repr(error))


def _watch(call: LiveCall) -> None:
    node = here()
    answered = call.state == "answered"
    if answered:
        _adopt(call)
    if not (answered and _has_dialog(call)) and call.opened_ago_ms > node.up_ms:
        _without_dialog.add(call.call_key)
    if answered:
        node.record(
            facts.watch(
                call.call_key,
                call.deadline_in_ms or 0,
                sip_call_id=call.sip_call_id,
                sip_from_tag=call.sip_from_tag,
                sip_to_tag=call.sip_to_tag or "",
            )
        )


def _make_sure(call_key: str) -> None:
    call = here().ledger.live_call(call_key)
    looks = _unsure.pop(call_key) - 1  # before anything can be wrong with it: it must not stop every tick from now on
    if call is not None and _adopt(call) and looks:
        _unsure[call_key] = looks


def _has_dialog(call: LiveCall) -> bool:
    """Whether its dialog is there, one that has ended included."""
    return ksr.enter_dialog(call.sip_call_id, call.sip_from_tag, call.sip_to_tag or "")


def _adopt(call: LiveCall) -> bool:
    """Make a call's dialog the current one, with the ledger's grant if that is longer. False when it is over."""
    if not ksr.enter_dialog(call.sip_call_id, call.sip_from_tag, call.sip_to_tag or "") or ksr.dialog_var("x"):
        return False  # its end is in the journal, or the reaper's
    if int(ksr.dialog_var("g") or 0) < call.grant_s:
        _set_grant(call.grant_s)
    return True


def _renew(call: LiveCall) -> None:
    """Renew one call. What is wrong with it is logged and keeps no other call from its renewal."""
    try:
        if not _adopt(call) or not dialogs.may_be_renewed():
            return
        outcome = renewal.renew(here().ledger, call, here().settings.calls)
        if outcome.grant_s > call.grant_s:
            _set_grant(outcome.grant_s)
            _note_if_late(call)
        if outcome.grant_s < min(call.grant_s + here().settings.calls.grant_s, call.limit_s):
            _short_of_money.add(call.call_key)
    except LedgerBusy as error:
        log.event("renewal_failed", "warn", call_key=call.call_key, error=str(error))
    except LedgerUnavailable:
        _unsure[call.call_key] = LOOKS
        raise
    except Exception as error:  # noqa: BLE001 - one call's trouble
        log.event("renewal_failed", "err", call_key=call.call_key, error=repr(error))


def _note_if_late(call: LiveCall) -> None:
    """A renewal is late when half of its lead is gone, unless it was money that came late."""
    lead_ms = here().settings.calls.renew_lead_s * 1000
    due_for_ms = min(lead_ms - (call.deadline_in_ms or 0), call.answered_ago_ms or 0)
    if due_for_ms > lead_ms / 2 and call.call_key not in _short_of_money:
        log.event("renewal_late", "warn", call_key=call.call_key, deadline_in_ms=call.deadline_in_ms)


def _set_grant(grant_s: int) -> None:
    """Lengthen the current dialog's call. One that has ended meanwhile keeps its end, and one whose phone is gone: a
    renewal during the module's last ten seconds would give it a new life, again and again."""
    if ksr.dialog_var("x") or dialogs.keepalive_lost():
        return
    # The row in the store is written with the variable, with the lifetime as it is then: the other way round a restart
    # brings the dialog back with its old lifetime, and the call is over when that is.
    ksr.set_dialog_lifetime(dialogs.lifetime_s(dialogs.remaining_s(grant_s)))
    ksr.set_dialog_var("g", str(grant_s))


def _reconcile() -> None:
    """Calls that were opened before this Kamailio started and that nobody can have heard: their money is given back.

    Those that were ringing never connect, for their 2xx is dropped; also when it was down for so long that the reaper
    charged them. Of those that were answered see `_answer_was_not_sent`.

    Those from before the name was ours were another's, who may come back and know better (billing/instance.py).
    """
    node = here()
    lost = {
        call.call_key: "proxy restarted while ringing"
        for call in node.ledger.unanswered_calls(node.name)
        if _is_of_a_former_life(call.opened_ago_ms)
        and not ksr.table_int(LIVE, f"{call.sip_call_id}|{call.sip_from_tag}")
    }
    lost |= _answered_without_dialog()
    for reaped in node.ledger.reaped_calls(node.name):
        if not _is_of_a_former_life(reaped.opened_ago_ms):
            continue  # one of this life's: its end may wait in some process's memory for room on the disk
        if reaped.answered_ago_ms is None:
            lost[reaped.call_key] = "proxy restarted while ringing"
        elif _answer_was_not_sent(reaped.answered_ago_ms):
            lost[reaped.call_key] = NOT_SENT
    if lost:
        _give_back(lost)


def _answered_without_dialog() -> dict[str, str]:
    """Those of the calls that had no dialog at the start whose answers, as the ledger knows by now, nobody heard."""
    lost = {}
    for call_key in list(_without_dialog):
        live = here().ledger.live_call(call_key)
        if live is not None and live.state == "open":
            continue  # its answer may still be on its way to the ledger
        _without_dialog.discard(call_key)
        if live is None or _has_dialog(live) or not _is_of_a_former_life(live.opened_ago_ms):
            continue
        if _answer_was_not_sent(live.answered_ago_ms or 0):
            lost[call_key] = NOT_SENT
    return lost


def _is_of_a_former_life(opened_ago_ms: int) -> bool:
    """Whether a call was opened here, before this Kamailio started. Spans of time, so the two clocks need not agree."""
    if opened_ago_ms <= here().up_ms:  # nearly all; of these no file needs to be read
        return False
    named_ms = claimed_ago_ms(Path(here().settings.node.state_dir))
    return named_ms is None or opened_ago_ms < named_ms


def _answer_was_not_sent(answered_ago_ms: int) -> bool:
    """Whether a call without a dialog was answered in the last instant of the former Kamailio's life.

    It writes the answer to the journal, then the dialog to its store, and only then sends the 200 on (the dialog
    module's order, 5.6.3 and 6.0). So an answer without a dialog never reached its caller - or the store has lost it.
    Hence the instant: what was talking for longer than a write to the store may take is not given back. Nor is what was
    answered while the disk was full: the store lost it without a word, and its caller may have talked since.
    """
    former_end, short = here().pulse.former_end, here().pulse.former_short
    if former_end is None or answered_ago_ms <= here().up_ms:
        return False
    if short is not None and Moment.now().ms_since(short) <= answered_ago_ms + SHORT_MARGIN_MS:
        return False
    answered_before_end_ms = answered_ago_ms - Moment.now().ms_since(former_end)
    return answered_before_end_ms < STORE_LIMIT_MS


def _give_back(lost: dict[str, str]) -> None:
    written = _facts_on_their_way()
    on_their_way = {(fact["call_key"], fact["kind"]) for fact in written}
    # The ledger's clock may have been set forward: then a call that rings looks older than we are, and is reaped.
    ours = {fact["call_key"] for fact in written if fact["kind"] == facts.OPENING and _is_of_this_life(fact)}
    for call_key, why in lost.items():
        if call_key in ours:
            continue
        known = ENDINGS if why == NOT_SENT else (*ENDINGS, facts.ANSWERED)
        if not any((call_key, kind) in on_their_way for kind in known):
            here().record(facts.failed(call_key, "cancelled", 0, None, detail=why))
            log.event("reconciled", "notice", call_key=call_key, detail=why)


def _is_of_this_life(fact: Fact) -> bool:
    return Moment.now().ms_since(Moment.parse(fact["at"])) <= here().up_ms


def _facts_on_their_way() -> list[Fact]:
    return JournalTail(Path(here().settings.node.state_dir) / "journal").facts()
