"""The keeper: a process of its own inside Kamailio that renews grants.

It asks the ledger every second which calls of this node run short, extends each as far as the money goes, and tells
the dialog, where the cutter looks. It also finds calls of this node that the ledger holds open and that are not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from billing import facts, renewal
from billing.errors import LedgerUnavailable
from billing.journal import JournalTail
from kemi import dialogs, ksr, log
from kemi.node import here

if TYPE_CHECKING:
    from billing.journal import Fact
    from billing.ledger_types import LiveCall

RECONCILE_EVERY = 5
"""Ticks between two looks for calls that were ringing when the proxy was restarted."""

_ticks = 0
_watched = False


def tick() -> None:
    """Once a second: renew what is due."""
    global _ticks, _watched  # noqa: PLW0603 - the process's own
    _ticks += 1
    node = here()
    if not node.breaker.allows():
        return
    try:
        if not _watched:
            _watch_what_was_up()
            _watched = True
        for call in node.ledger.live_calls(node.name, due_within_s=node.settings.calls.renew_lead_s):
            _renew(call)
        if _ticks % RECONCILE_EVERY == 0:
            _reconcile()
        node.breaker.succeeded()
    except LedgerUnavailable as error:
        node.breaker.failed()
        log.event("ledger_failed", "err", process="keeper", error=str(error))


def _watch_what_was_up() -> None:
    """After a restart the cutter learns of the calls whose answers the journal no longer holds."""
    node = here()
    for call in node.ledger.live_calls(node.name):
        if call.state == "answered":
            node.record(
                facts.watch(
                    call.call_key,
                    call.deadline_in_ms or 0,
                    sip_call_id=call.sip_call_id,
                    sip_from_tag=call.sip_from_tag,
                    sip_to_tag=call.sip_to_tag or "",
                )
            )


def _renew(call: LiveCall) -> None:
    """Renew one call. What is wrong with it is logged and keeps no other call from its renewal."""
    try:
        if not ksr.enter_dialog(call.sip_call_id, call.sip_from_tag, call.sip_to_tag or ""):
            return  # over already: its end is in the journal, or the reaper's
        if int(ksr.dialog_var("g") or 0) < call.grant_s:  # the ledger's answer to an earlier renewal was lost
            _set_grant(call.grant_s)
        outcome = renewal.renew(here().ledger, call, here().settings.calls)
        if outcome.grant_s > call.grant_s:
            _set_grant(outcome.grant_s)
    except LedgerUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - one call's trouble
        log.event("renewal_failed", "err", call_key=call.call_key, error=repr(error))


def _set_grant(grant_s: int) -> None:
    """Lengthen the current dialog's call. One that is ending in this moment keeps its end."""
    ksr.set_dialog_var("g", str(grant_s))
    ksr.set_dialog_lifetime(dialogs.lifetime_s(dialogs.remaining_s()))


def _reconcile() -> None:
    """A call that was ringing when Kamailio died never connects (its 2xx is dropped), so its hold is given back.

    One that was answered may still look unanswered to the ledger: then its answer waits in the journal.
    """
    node = here()
    lost = [
        call
        for call in node.ledger.unanswered_calls(node.name)
        if not ksr.table_int("live", f"{call.sip_call_id}|{call.sip_from_tag}")
    ]
    if not lost:
        return
    known = {fact["call_key"] for fact in _facts_on_their_way() if fact["kind"] != facts.OPENING}
    for call in lost:
        if call.call_key not in known:
            node.record(facts.failed(call.call_key, "cancelled", 0, None, detail="proxy restarted while ringing"))
            log.event("reconciled", "notice", call_key=call.call_key)


def _facts_on_their_way() -> list[Fact]:
    return JournalTail(Path(here().settings.node.state_dir) / "journal").facts()
