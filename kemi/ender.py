"""Ends calls because an administrator says so: end_call and its like leave marks in the ledger (db/routines).

Runs in the keeper's process. An answered call gets its fact and a BYE to both sides, as at a cut; one that rings gets a
final answer, and the carrier a CANCEL. A mark stays until its call has left the ledger, so what cannot be ended now
(its dialog is just being made, its answer is on its way) is ended a second later.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from kemi import dialogs, ksr, log
from kemi.node import here

if TYPE_CHECKING:
    from billing.ledger_types_accounts import EndMark

REASON = "administrator"
CODE, PHRASE = 480, "Temporarily Unavailable"

_ringing: deque[EndMark] = deque()
"""To be refused, one in each run of the keeper's route: ksr.reply_to_call says why."""


def end_marked() -> None:
    """Once a second: end what is marked. Raises LedgerUnavailable."""
    for mark in here().ledger.calls_to_end(here().name):
        try:
            _end(mark)
        except Exception as error:  # noqa: BLE001 - one call's trouble; the mark stays
            log.event("end_failed", "err", call_key=mark.call_key, error=repr(error))


def refuse_next() -> None:
    """Refuse one ringing call, if one is waiting for that."""
    if not _ringing:
        return
    mark = _ringing.popleft()
    if not _enter(mark) or not _rings():
        return  # ended or answered meanwhile: the next look sees which
    if dialogs.refuse_ringing(CODE, PHRASE, REASON, _detail(mark)):
        log.event("call_ended_by_administrator", "notice", call_key=mark.call_key, login=mark.login, reason=mark.reason)
    else:
        log.event("end_failed", "warn", call_key=mark.call_key, error="its INVITE's transaction was not found")


def _end(mark: EndMark) -> None:
    if not _enter(mark):
        return
    if not _rings():
        dialogs.end_at_once(REASON, _detail(mark))
        log.event("call_ended_by_administrator", "notice", call_key=mark.call_key, login=mark.login, reason=mark.reason)
    elif all(mark.call_key != waiting.call_key for waiting in _ringing):
        _ringing.append(mark)


def _enter(mark: EndMark) -> bool:
    """Make its dialog the current one. False when it is not there, or has ended, or is another call's by now."""
    found = ksr.enter_dialog(mark.sip_call_id, mark.sip_from_tag, mark.sip_to_tag or "")
    return found and ksr.dialog_var("k") == mark.call_key and not ksr.dialog_var("x")


def _rings() -> bool:
    return ksr.pv("$dlg(state)") in dialogs.EARLY_STATES


def _detail(mark: EndMark) -> str:
    return f"{mark.login}: {mark.reason}" if mark.reason else mark.login
