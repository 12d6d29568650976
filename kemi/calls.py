"""A new call in an async worker: identify, reserve, relay; or refuse, with the truth in log and CDR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing import authorization, facts
from billing.bundles import bundles_of
from billing.errors import (
    BreakerOpen,
    InvalidNumber,
    LedgerBusy,
    LedgerError,
    LedgerUnavailable,
    MeterlineError,
    Refused,
)
from billing.journal import JournalUnwritable
from billing.money import format_amount
from billing.routes import NO_CARRIER, Router
from kemi import caller_id, dialogs, flood, identity, ksr, log, relay, tables
from kemi.node import here, new_call_key
from kemi.refusals import answer_to, warning

if TYPE_CHECKING:
    from billing.authorization import Authorized, CallAttempt
    from kemi.identity import Identified

def authorize_and_relay() -> None:
    """The INVITE was suspended by a SIP worker and goes on here, where waiting for the database hurts nobody."""
    if ksr.is_cancelled():
        ksr.transaction_reply(487, "Request Terminated")
        return
    identified = _identify()
    if identified is None:
        return
    if not here().room.takes_refusals():  # a CDR of it would wait with all that wait already
        _log_refusal("billing_unavailable", identified, "journal too deep")
        _answer("billing_unavailable")
        return
    if ksr.is_known_dialog() or tables.is_second_with_live_key():
        _log_refusal("merged", identified)
        _answer("merged")
        return
    attempt = _attempt(identified)
    try:
        _place(identified, attempt)
    except Exception:  # whatever it was: what may be held must not stay, and then the wrapper answers
        log.event("call_broken", "err", call_key=attempt.call_key)
        _record_refusal(identified, attempt, Refused("unavailable", "the proxy failed"), 500)
        relay.let_nobody_answer()
        tables.release_live_key()
        raise


def _place(identified: Identified, attempt: CallAttempt) -> None:
    try:
        _refuse_when_too_fast(identified)
        digits = _digits(identified)
        authorized = _reserve(identified, digits, attempt)
    except Refused as refused:
        _refuse(identified, attempt, refused)
    else:
        _start(identified, digits, attempt, authorized)


def announce() -> None:
    """An IVR asks before it dials on: balance and seconds for a card and a number, in the headers of a 200."""
    identified = _identify()
    if identified is None:
        return
    caller = identified.caller
    at = caller.now.replace(microsecond=0)
    try:
        digits, longest_s = _digits(identified), here().settings.calls.longest_call_s
        premium = here().directory.current().premium
        bundles = bundles_of(here().ledger, caller, digits, at)
        quote = authorization.quote(caller, here().rates, digits, at, longest_s, premium, bundles)
        refused = authorization.refusal_of(caller, quote)
        here().breaker.succeeded()
    except Refused as error:
        refused = error
    except LedgerError as error:
        _ledger_failed(error)
        return
    ksr.add_to_reply("X-Meterline-Balance", format_amount(caller.legs[0].available))
    ksr.add_to_reply("X-Meterline-Currency", caller.legs[0].currency)
    if refused is not None:
        ksr.add_to_reply("X-Meterline-Seconds", "0")
        _log_refusal(refused.token, identified, refused.detail)
        _answer(refused.token)
        return
    ksr.add_to_reply("X-Meterline-Seconds", str(quote.max_duration_s))
    ksr.transaction_reply(200, "OK")


def answer_ping_not_ready() -> None:
    """No line and no count: pings come every few seconds."""
    _answer("billing_unavailable")


def refuse_before_identity(token: str) -> None:
    """Refuse a request of which nobody knows who sent it: no CDR, a line in the log."""
    flood.report_refusal(token, source=ksr.source(), sip_call_id=ksr.pv("$ci"))
    _answer(token)


def _identify() -> Identified | None:
    """Who it is, or None after answering."""
    try:
        found = identity.identify()
    except identity.Challenge:
        ksr.challenge(identity.realm())
        return None
    except Refused as refused:
        flood.report_refusal(refused.token, detail=refused.detail, source=ksr.source(), sip_call_id=ksr.pv("$ci"))
        _answer(refused.token)
        return None
    except LedgerError as error:
        _ledger_failed(error)
        return None
    return found


def _count(error: LedgerError) -> None:
    """One busy account is no dead database, and one that was not asked has not failed."""
    if isinstance(error, LedgerUnavailable) and not isinstance(error, (LedgerBusy, BreakerOpen)):
        here().breaker.failed()


def _ledger_failed(error: LedgerError) -> None:
    _count(error)
    if not isinstance(error, BreakerOpen):
        log.event("ledger_failed", "err", error=str(error))
    refuse_before_identity("billing_unavailable")


def _attempt(identified: Identified) -> CallAttempt:
    return authorization.CallAttempt(
        call_key=new_call_key(),
        node=here().name,
        caller=identified.number[:64],
        dialled=ksr.pv("$rU")[:64],
        source=ksr.source(),
        sip_call_id=ksr.pv("$ci")[:255],
        sip_from_tag=ksr.pv("$ft")[:128],
        shown=identified.shown.label[:64],
    )


def _refuse_when_too_fast(identified: Identified) -> None:
    """What his own account or user is refused for does not count for the accounts above."""
    caller = identified.caller
    own, *above = caller.legs
    limits = (
        (f"{own.account_id}", own.max_calls_per_second, own),
        (f"user {caller.user_id}", caller.user_max_calls_per_second, own),
        *((f"{leg.account_id}", leg.max_calls_per_second, leg) for leg in above),
    )
    for who, limit, leg in limits:
        if limit is not None and ksr.count_up(tables.CALL_RATE, f"{who}/{ksr.pv('$TS')}") > limit:
            whose = "" if leg is own else f"account {leg.account_name}: "
            raise authorization.refused("too_fast", leg.leg, f"{whose}more than {limit} calls a second")


def _digits(identified: Identified) -> str:
    try:
        return identity.dial_plan(identified.caller).e164(ksr.pv("$rU"))
    except InvalidNumber as error:
        raise Refused("destination_unknown", str(error)) from error


def _reserve(identified: Identified, digits: str, attempt: CallAttempt) -> Authorized:
    """Open the call in the ledger. Raises Refused, also when nobody can say whether it was opened."""
    node = here()
    directory = node.directory.current()
    if directory.twin:  # its calls and ours could not be told apart
        raise Refused("billing_unavailable", f"node {node.name} is also {directory.twin}")
    try:
        node.room.check()
        node.journal.append(facts.opening(attempt.call_key, identified.caller.legs[0].account_id))
        authorized = authorization.authorize(
            *(node.ledger, node.rates, identified.caller, digits, attempt, node.settings.calls),
            Router(directory.carriers, node.settings.carriers),
            premium=directory.premium,
        )
    except JournalUnwritable as error:
        node.board.mark("journal_failed_ms")
        log.event("journal_unwritable", "err", error=str(error))
        detail = "journal unwritable"
    except Refused:
        node.breaker.succeeded()  # refused in a database that answers
        raise
    except MeterlineError as error:
        if isinstance(error, LedgerError):
            _count(error)
        log.event("ledger_failed", "err", call_key=attempt.call_key, error=str(error))
        detail = str(error)
    else:
        node.breaker.succeeded()
        return authorized
    raise Refused("billing_unavailable", detail)


def _refuse(identified: Identified, attempt: CallAttempt, refused: Refused) -> None:
    """Answer, log, and leave the CDR to the journal; a ledger that may have opened the call is told to end it."""
    _record_refusal(identified, attempt, refused, answer_to(refused.token).code)
    log.refused(
        refused.token,
        detail=refused.detail,
        call_key=attempt.call_key,
        account=identified.caller.legs[0].account_name,
        source=attempt.source,
        sip_call_id=attempt.sip_call_id,
    )
    tables.release_live_key()
    _answer(refused.token)


def _record_refusal(identified: Identified, attempt: CallAttempt, refused: Refused, sip_code: int) -> None:
    caller = identified.caller
    here().record(
        facts.unopened(
            attempt.call_key,
            node=attempt.node,
            account_id=caller.legs[0].account_id,
            user_id=caller.user_id,
            caller=attempt.caller,
            callee="",
            dialled=attempt.dialled,
            source=attempt.source,
            sip_call_id=attempt.sip_call_id,
            result=refused.token,
            sip_code=sip_code,
            detail=refused.detail,
            shown=attempt.shown,
        )
    )


def _log_refusal(token: str, identified: Identified, detail: str = "") -> None:
    """A refusal that is no call attempt of its own: a line, and no CDR."""
    account = identified.caller.legs[0].account_name
    log.refused(token, detail=detail, account=account, source=ksr.source(), sip_call_id=ksr.pv("$ci"))


def _answer(token: str) -> None:
    answer = answer_to(token)
    ksr.add_to_reply("Warning", warning(token))
    if answer.retry_after_s:
        ksr.add_to_reply("Retry-After", str(answer.retry_after_s))
    ksr.reply(answer.code, answer.reason)


def _start(identified: Identified, digits: str, attempt: CallAttempt, authorized: Authorized) -> None:
    """Money is held: from here on every way out leads to a fact in the journal."""
    if ksr.is_cancelled():
        dialogs.fail_call(attempt, identified, "cancelled", 487)
        tables.release_live_key()
        ksr.transaction_reply(487, "Request Terminated")
        return
    if not authorized.routes:  # the money was enough for a short grant alone, and that is dearer than what it brings
        dialogs.fail_call(attempt, identified, NO_CARRIER, answer_to(NO_CARRIER).code, f"for {authorized.grant_s} s")
        tables.release_live_key()
        _answer(NO_CARRIER)
        return
    dialogs.open_dialog(
        dialogs.CallVars(
            call_key=attempt.call_key,
            account=identified.caller.legs[0].account_name,
            grant_s=authorized.grant_s,
            caller_hop=dialogs.caller_hop(),
            hidden=identified.shown.hidden,
        )
    )
    caller_id.prepare(identified.shown)
    ksr.set_pv("$avp(digits)", digits)
    relay.relay_to_first_carrier(authorized.routes)
