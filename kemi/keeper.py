"""The keeper: a process of its own inside Kamailio that renews grants and moves dialog lifetimes.

It asks the ledger every second which calls of this node run short, extends each as far as the money goes, and tells
the dialog. It also finds calls of this node that the ledger holds open and the proxy does not know any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing import facts, renewal
from billing.errors import LedgerError, LedgerUnavailable
from kemi import dialogs, ksr, log
from kemi.node import here

if TYPE_CHECKING:
    from billing.ledger_types import LiveCall

TICK_S = 0.1
"""How often Kamailio calls `tick` (kamailio.cfg, the rtimer called keeper)."""

LEDGER_EVERY = 10
"""Ticks between two looks at the ledger."""

RECONCILE_EVERY = 50
"""Ticks between two looks for calls that were ringing when the proxy was restarted."""

_ticks = 0
_unaligned: dict[str, LiveCall] = {}
"""Calls whose grant grew and whose dialog's lifetime waits for the moment when it is a whole number of seconds."""


def tick() -> None:
    """Ten times a second: move lifetimes; once a second: renew what is due."""
    global _ticks  # noqa: PLW0603 - the process's own counter
    _ticks += 1
    _align()
    if _ticks % LEDGER_EVERY == 1:
        _ask_ledger()


def _ask_ledger() -> None:
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
    if int(ksr.dialog_var("g") or 0) < call.grant_s:  # the ledger's answer to an earlier renewal was lost
        _set_grant(call, call.grant_s)
    try:
        outcome = renewal.renew(node.ledger, call, node.settings.calls)
    except LedgerUnavailable:
        raise
    except LedgerError as error:
        log.event("renewal_failed", "err", call_key=call.call_key, error=str(error))
        return
    if outcome.grant_s > call.grant_s:
        _set_grant(call, outcome.grant_s)


def _set_grant(call: LiveCall, grant_s: int) -> None:
    """Let the current dialog end when the new grant does. At once when the old end is near; else see `_align`."""
    left_s = int(ksr.dialog_var("g") or 0) - dialogs.talked_s()
    ksr.set_dialog_var("g", str(grant_s))
    _unaligned[call.call_key] = call
    if left_s < 2:
        ksr.set_dialog_lifetime(dialogs.whole_lifetime_s(grant_s - dialogs.talked_s()))


def _align() -> None:
    """Set lifetimes at the moment when the remaining time is a whole number of seconds.

    The dialog timer takes whole seconds; at any other moment the cut would be up to a second off its deadline.
    """
    for call in list(_unaligned.values()):
        if not ksr.enter_dialog(call.sip_call_id, call.sip_from_tag, call.sip_to_tag or ""):
            del _unaligned[call.call_key]
            continue
        remaining_s = int(ksr.dialog_var("g")) - dialogs.talked_s()
        if remaining_s % 1.0 <= 1.2 * TICK_S:
            ksr.set_dialog_lifetime(max(1, int(remaining_s)))
            del _unaligned[call.call_key]


def _reconcile() -> None:
    """A call that was ringing when Kamailio died never connects (its 2xx is dropped), so its hold is given back."""
    node = here()
    for call in node.ledger.unanswered_calls(node.name):
        if not ksr.table_int("live", f"{call.sip_call_id}|{call.sip_from_tag}"):
            node.record(facts.failed(call.call_key, "cancelled", 0, None, detail="proxy restarted while ringing"))
            log.event("reconciled", "notice", call_key=call.call_key)
