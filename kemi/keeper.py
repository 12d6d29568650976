"""The keeper: a process of its own inside Kamailio that renews grants and moves dialog lifetimes.

It asks the ledger every second which calls of this node run short, extends each as far as the money goes, and tells
the dialog. It also finds calls of this node that the ledger holds open and the proxy does not know any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing import facts, renewal
from billing.clock import Moment
from billing.errors import LedgerError, LedgerUnavailable
from kemi import dialogs, ksr, log
from kemi.node import here

if TYPE_CHECKING:
    from billing.ledger_types import LiveCall

RECONCILE_EVERY = 5
"""Ticks between two looks for calls that were ringing when the proxy was restarted."""

_ticks = 0


def tick() -> None:
    """Once a second: renew what is due."""
    global _ticks  # noqa: PLW0603 - the process's own counter
    _ticks += 1
    node = here()
    if not node.breaker.allows():
        return
    try:
        for call in node.ledger.live_calls(node.name, due_within_s=node.settings.calls.renew_lead_s):
            _renew(call)
        if _ticks % RECONCILE_EVERY == 1:
            _reconcile()
        node.breaker.succeeded()
    except LedgerUnavailable as error:
        node.breaker.failed()
        log.event("ledger_failed", "err", process="keeper", error=str(error))


def _renew(call: LiveCall) -> None:
    node = here()
    if not ksr.enter_dialog(call.sip_call_id, call.sip_from_tag, call.sip_to_tag or ""):
        return  # over already: its end is in the journal, or the reaper's
    known_s = int(ksr.dialog_var("g") or 0)
    if known_s < call.grant_s:  # the ledger's answer to an earlier renewal was lost
        _set_grant(call.grant_s)
    try:
        outcome = renewal.renew(node.ledger, call, node.settings.calls)
    except LedgerUnavailable:
        raise
    except LedgerError as error:
        log.event("renewal_failed", "err", call_key=call.call_key, error=str(error))
        return
    if outcome.grant_s > call.grant_s:
        _set_grant(outcome.grant_s)


def _set_grant(grant_s: int) -> None:
    """Deadline and dialog move together; a dialog that is just ending keeps its end."""
    answered = ksr.dialog_var("t")
    talked_s = Moment.now().ms_since(Moment.parse(answered)) / 1000 if answered else 0.0
    if ksr.set_dialog_lifetime(dialogs.whole_lifetime_s(grant_s - talked_s)):
        ksr.set_dialog_var("g", str(grant_s))


def _reconcile() -> None:
    """A call that was ringing when Kamailio died never connects (its 2xx is dropped), so its hold is given back."""
    node = here()
    for call in node.ledger.unanswered_calls(node.name):
        if not ksr.table_int("live", f"{call.sip_call_id}|{call.sip_from_tag}"):
            node.record(facts.failed(call.call_key, "cancelled", 0, None, detail="proxy restarted while ringing"))
            log.event("reconciled", "notice", call_key=call.call_key)
