"""The facts that a node writes to its journal, and nothing else does. Plain dictionaries on disk, built here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.clock import Moment

if TYPE_CHECKING:
    from billing.journal import Fact

OPENING = "opening"
ANSWERED = "answered"
WATCH = "watch"
ENDED = "ended"
FAILED = "failed"
UNOPENED = "unopened"
ATTEMPT = "attempt"


def opening(call_key: str, account_id: int) -> Fact:
    """About to ask the ledger for this call. Proves that the journal can be written before money is held."""
    return {"kind": OPENING, "call_key": call_key, "account": account_id, "at": str(Moment.now())}


def answered(
    call_key: str,
    at: Moment,
    carrier_id: int | None,
    grant_s: int,
    sip_call_id: str,
    sip_from_tag: str,
    sip_to_tag: str,
) -> Fact:
    """The callee answered at `at`; the call is funded for `grant_s` from then on."""
    return {
        "kind": ANSWERED,
        "call_key": call_key,
        "at": str(at),
        "carrier": carrier_id,
        "grant_s": grant_s,
        "call_id": sip_call_id[:255],
        "from_tag": sip_from_tag[:128],
        "to_tag": sip_to_tag[:128],
    }


def attempt(call_key: str, ordinal: int, carrier_id: int, sip_code: int) -> Fact:
    """A carrier failed a call, which goes on to the next one: not the last attempt, which the CDR names. `ordinal`: 1
    for the call's first; `sip_code`: 408 for silence, 0 for a carrier that could not be sent to."""
    return {
        "kind": ATTEMPT,
        "call_key": call_key,
        "ordinal": ordinal,
        "carrier": carrier_id,
        "sip_code": sip_code,
        "at": str(Moment.now()),
    }


def watch(call_key: str, deadline_in_ms: int, sip_call_id: str, sip_from_tag: str, sip_to_tag: str) -> Fact:
    """For the cutter alone: a call that it may not know, because it was answered before the proxy was restarted."""
    return {
        "kind": WATCH,
        "call_key": call_key,
        "at": str(Moment.now()),
        "deadline_in_ms": deadline_in_ms,
        "call_id": sip_call_id,
        "from_tag": sip_from_tag,
        "to_tag": sip_to_tag,
    }


def ended(call_key: str, talked_ms: int, end_reason: str, carrier_id: int | None, detail: str = "") -> Fact:
    """An answered call ended after `talked_ms`; end_reason as in the CDR (caller, callee, cut, keepalive..)."""
    return {
        "kind": ENDED,
        "call_key": call_key,
        "talked_ms": max(1, talked_ms),
        "end_reason": end_reason,
        "carrier": carrier_id,
        "detail": detail,
        "at": str(Moment.now()),
    }


def failed(
    call_key: str, result: str, sip_code: int, carrier_id: int | None, detail: str = "", end_reason: str = ""
) -> Fact:
    """An opened call was never answered: busy, no_answer, cancelled, carrier_failed.. `end_reason`: administrator."""
    ended_by = {"end_reason": end_reason} if end_reason else {}
    return ended_by | {
        "kind": FAILED,
        "call_key": call_key,
        "result": result,
        "sip_code": sip_code,
        "carrier": carrier_id,
        "detail": detail,
        "at": str(Moment.now()),
    }


def unopened(
    call_key: str,
    *,
    node: str,
    account_id: int | None,
    user_id: int | None,
    caller: str,
    callee: str,
    dialled: str,
    source: str,
    sip_call_id: str,
    result: str,
    sip_code: int,
    detail: str = "",
    end_reason: str = "",
    talked_ms: int = 0,
    shown: str = "",
) -> Fact:
    """A call that holds no money, or of which that is not known: refused, unknown outcome of open_call, emergency."""
    return {
        "kind": UNOPENED,
        "call_key": call_key,
        "node": node,
        "account": account_id,
        "user": user_id,
        "caller": caller,
        "callee": callee,
        "dialled": dialled,
        "source": source,
        "sip_call_id": sip_call_id,
        "result": result,
        "sip_code": sip_code,
        "detail": detail,
        "end_reason": end_reason,
        "talked_ms": talked_ms,
        "shown": shown,
        "at": str(Moment.now()),
    }
