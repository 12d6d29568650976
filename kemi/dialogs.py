"""Calls that are up: opening their dialog, the requests within it, its events, and its end."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from billing import facts
from billing.clock import Moment
from billing.journal import JournalTail
from kemi import caller_id, channels, flood, ksr, log
from kemi.headers import NOT_FOR_CARRIERS
from kemi.node import here
from kemi.tables import CURRENT, LIVE, NOBODY, is_first_over

if TYPE_CHECKING:
    from billing.authorization import CallAttempt
    from kemi.identity import Identified

EARLY_STATES = ("1", "2")
UNACKED = "3"
CONFIRMED = "4"
ENDED = "5"
"""$dlg(state): 1 unconfirmed, 2 early, 3 answered but not acknowledged, 4 confirmed, 5 ended."""

ALLOWED_METHODS = ("INVITE", "ACK", "BYE", "UPDATE", "INFO", "PRACK", "OPTIONS", "NOTIFY", "MESSAGE")
"""REFER is not among them: a transfer makes somebody else place a call, and nobody here would pay for it."""

RINGING_MAX = 4
"""Early dialogs of one call that are remembered; a caller acknowledges each within a second."""

BACKSTOP_S = 10
"""The cutter ends calls on time. The dialog timer, which takes whole seconds and errs by up to one (seen: -0.68 to
+0.73 s, differing from start to start), stands behind it and must not come first: of a dialog from the store it takes
as much as Kamailio's start took, because its ticks catch up (seen: 7 s on a machine with far too much to do). Nor may
a lifetime of ours look like KEEPALIVE_LOST_S."""

KEEPALIVE_LOST_S = 10
"""The lifetime that the dialog module gives a dialog when a side answers no keepalives any more. We never set it."""

_URI = re.compile(r"<([^>]*)>")
_HOST = re.compile(r"sips?:(?:[^@;>]*@)?(\[[^\]]*\]|[^:;?>]*)")


@dataclass(frozen=True)
class CallVars:
    """What the proxy keeps with a dialog, as dlg_vars of one letter: k call key, a account, g grant, h caller's hop, s
    caller's address, m emergency and n its number; later c carrier, f To-tags and contacts that ring, t answer, d
    callee's address, r and e outcome and code of a failure, w why it is ended and o what was said about that, x ended
    and counted, b both sides told; i what carriers are shown of the caller, y that he hides, l the
    carrier at which the call is counted."""

    call_key: str
    account: str
    grant_s: int
    caller_hop: str
    emergency: bool = False
    hidden: bool = False


@dataclass(frozen=True)
class Peer:
    """One side of a dialog as the other side would address it."""

    uri: str
    route: str
    next_hop: str
    socket: str
    local: str
    remote: str
    call_id: str


# --- opening --------------------------------------------------------------------------------------------------------


def open_dialog(call: CallVars) -> None:
    """Make the dialog of the INVITE in hand; it will last the grant from the answer on."""
    if call.caller_hop and not _contact_is_source():
        ksr.send_to_source()
    ksr.set_pv("$dlg_ctx(timeout_route)", "cut")  # any text: makes dialog:timeout fire before the dialog is gone
    ksr.manage_dialog()
    ksr.set_dialog_lifetime(lifetime_s(call.grant_s))
    ksr.set_dialog_property("ka-src")
    if not call.hidden:  # the module would ask in his own name
        ksr.set_dialog_property("ka-dst")
    ksr.set_dialog_var("k", call.call_key)
    ksr.set_dialog_var("a", call.account)
    ksr.set_dialog_var("g", str(call.grant_s))
    ksr.set_dialog_var("h", call.caller_hop)
    ksr.set_dialog_var("s", ksr.source_ip())
    flood.keep_connection()
    if call.emergency:
        ksr.set_dialog_var("m", "1")


def _contact_is_source() -> bool:
    """Whether keepalives to the Contact reach the caller: not behind NAT, and not when a connection is his own."""
    host, port = ksr.contact_host_and_port()
    default = "5061" if ksr.transport() == "tls" else "5060"
    return (host, port or default) == (ksr.source_ip(), ksr.pv("$sp"))


def caller_hop() -> str:
    """Where requests to the caller go: back to where he sent from, whatever his Contact (NAT) and his Record-Route say.

    Only a proxy that recorded its own address is reached there: it may listen elsewhere than where it sends from.
    """
    recorded = ksr.headers("Record-Route")
    host = _HOST.match(first_uri(recorded[0])) if recorded else None
    if host is not None and host.group(1).strip("[]") == ksr.source_ip():
        return ""
    return f"sip:{ksr.pv('$si')}:{ksr.pv('$sp')};transport={ksr.pv('$proto')}"


# --- requests within a dialog ----------------------------------------------------------------------------------------


def route_in_dialog() -> None:
    """A request with a To-tag. All checks come before the dialog's state machine runs (docs/kamailio.md)."""
    method = ksr.method()
    if method == "ACK":
        _route_ack()
        return
    if ksr.check_transaction() != ksr.NEW:
        return
    if not ksr.is_known_dialog():
        refusal: tuple[int, str] | None = (481, "Call/Transaction Does Not Exist")
    elif not ksr.new_transaction():
        return  # sent twice within a millisecond: another worker has it in hand
    else:
        refusal = _refusal_in_dialog(method)
    if refusal is not None:
        where = ksr.source()
        flood.report("refused_in_dialog", code=refusal[0], method=method, source=where, sip_call_id=ksr.pv("$ci"))
        ksr.reply(*refusal)
        return
    if ksr.pv("$dlg(state)") in EARLY_STATES:
        _send(Target(_ringing()[ksr.pv("$tt")], "", ""))
        return
    target = _other_side()
    flood.keep_connection()  # he may have had to connect again
    ksr.manage_dialog()
    _send(target)


def _route_ack() -> None:
    """The ACK of a 2xx goes to the callee's own contact; it must not lengthen the call (docs/kamailio.md, 4)."""
    if ksr.check_transaction() == ksr.ABSORBED or not ksr.is_known_dialog() or not _comes_from_its_side():
        return
    state = ksr.pv("$dlg(state)")
    if state in EARLY_STATES:
        return
    target = _other_side()
    if state != ENDED:  # a BYE may overtake the ACK; the callee still waits for it
        ksr.manage_dialog()
    if state == UNACKED:  # only the first one re-arms; setting it at each would let a flood of them put off the end
        ksr.set_dialog_lifetime(lifetime_s(remaining_s()))
    _send(target)


def _refusal_in_dialog(method: str) -> tuple[int, str] | None:
    if not _comes_from_its_side():
        return 403, "Forbidden"
    if ksr.dialog_var("x") or ksr.pv("$dlg(state)") == ENDED:
        # Known for some seconds more; nobody counts any longer. Who hangs up at the same time gets what he wants.
        return (200, "OK") if method == "BYE" else (481, "Call/Transaction Does Not Exist")
    if method not in ALLOWED_METHODS:
        return 405, "Method Not Allowed"
    state = ksr.pv("$dlg(state)")
    if state in EARLY_STATES:
        # Any To-tag passes as known to the module until the 200. A BYE here would end the dialog and leave the INVITE
        # ringing: when it is answered nobody would count. Cancelling is what CANCEL is for.
        early = method in ("PRACK", "UPDATE") and _from_caller() and ksr.pv("$tt") in _ringing()
        return None if early else (481, "Call/Transaction Does Not Exist")
    if state == UNACKED and method not in ("BYE", "PRACK"):
        return 491, "Request Pending"  # no CSeq is recorded between 200 and ACK
    last_cseq = ksr.pv("$dlg(from_cseq)" if _from_caller() else "$dlg(to_cseq)")
    if last_cseq.isdigit() and int(ksr.pv("$cs")) <= int(last_cseq):
        return 500, "CSeq Out Of Order"  # RFC 3261 12.2.2
    return None


def remember_ringing(to_tag: str, contact: str) -> None:
    """Where a PRACK of the caller (RFC 3262) goes, and the To-tag that it must have. Several may ring."""
    if not to_tag or not contact or " " in to_tag + contact:
        return  # neither may hold a blank (RFC 3261 25.1)
    ringing = {**_ringing(), to_tag: contact}
    ksr.set_dialog_var("f", " ".join(f"{tag} {uri}" for tag, uri in list(ringing.items())[-RINGING_MAX:]))


def _ringing() -> dict[str, str]:
    """Contacts by To-tag, the latest last."""
    words = ksr.dialog_var("f").split(" ")
    return dict(zip(words[::2], words[1::2], strict=False))


def _from_caller() -> bool:
    return ksr.pv("$ft") == ksr.pv("$dlg(from_tag)")


def _comes_from_its_side() -> bool:
    """Call-ID and tags can be overheard; the address of the side that they name cannot be taken as easily."""
    return ksr.source_ip() == ksr.dialog_var("s" if _from_caller() else "d")


@dataclass(frozen=True)
class Target:
    """Where a request within a dialog goes: Contact, route set as a header's body, next hop."""

    uri: str
    route: str
    next_hop: str


def _other_side() -> Target:
    """The dialog's own contact by the dialog's own route set, whatever the request itself says."""
    side = "to" if _from_caller() else "from"
    route = ksr.pv(f"$dlg({side}_rs)")
    next_hop = "" if side == "to" else ksr.dialog_var("h")
    return Target(ksr.without_alias(ksr.pv(f"$dlg({side}_contact)")), route, next_hop or first_uri(route))


def _send(target: Target) -> None:
    ksr.remove_headers("Route", *NOT_FOR_CARRIERS)
    if caller_id.edit_in_dialog(from_caller=_from_caller()) and ksr.method() != "ACK":
        ksr.on_reply("ksr_in_dialog_reply")
    ksr.set_request_uri(target.uri)
    if target.route:
        ksr.append_header("Route", target.route)
    if target.next_hop:
        ksr.set_next_hop(target.next_hop)
    else:
        ksr.forget_next_hop()
    if not ksr.relay() and ksr.method() != "ACK":
        ksr.reply(500, "Server Internal Error")


def first_uri(route: str) -> str:
    """The first URI of a Route body, display names aside."""
    found = _URI.search(route)
    return found.group(1) if found else ""


# --- events ----------------------------------------------------------------------------------------------------------


def take_event(name: str) -> None:
    """What the dialog module tells: started, failed, timed out, ended."""
    if name == "dialog:start":
        _answered()
    elif name == "dialog:failed":
        _failed()
    elif name == "dialog:timeout":
        _timed_out()
    elif name == "dialog:end":
        _ended()


def _answered() -> None:
    """The 2xx is here and not yet relayed: what is written now is true before anybody can talk."""
    now = Moment.now()
    if not ksr.dialog_var("m"):
        here().record(
            facts.answered(
                ksr.dialog_var("k"),
                now,
                _carrier_id(),
                int(ksr.dialog_var("g")),
                sip_call_id=ksr.pv("$ci"),
                sip_from_tag=ksr.pv("$ft"),
                sip_to_tag=ksr.pv("$tt"),
            )
        )
    ksr.set_dialog_var("t", str(now))  # after the fact: the dialog store may let its writers wait
    ksr.set_dialog_var("d", ksr.source_ip())


def _failed() -> None:
    if ksr.dialog_var("x"):
        return
    ksr.set_dialog_var("x", "1")
    result = ksr.dialog_var("r") or "no_answer"
    code = int(ksr.dialog_var("e") or ksr.pv("$T_reply_code") or 0)
    if ksr.dialog_var("m"):
        _record_emergency(result, code, 0, "")
    else:
        reason = ksr.dialog_var("w")
        here().record(
            facts.failed(ksr.dialog_var("k"), result, code, _carrier_id(), ksr.dialog_var("o"), end_reason=reason)
        )
        _log_end(result, 0, reason)
    _release()


def _timed_out() -> None:
    """The lifetime is over: the cutter was here before, or keepalives were lost, or the cutter missed it.

    The fact comes first, then a BYE to both sides; the module's own BYEs lose one in a race.
    """
    if ksr.dialog_var("x"):
        if not ksr.dialog_var("b"):  # the proxy died after it had counted the call and before it told anybody
            hang_up_both_sides()
        return
    end_and_hang_up(ksr.dialog_var("w") or ("cut" if remaining_s() <= 0 else "keepalive"))


def end_and_hang_up(reason: str, detail: str = "") -> None:
    """End the current dialog's call: the fact, and a BYE of our own to both sides.

    A dialog that had ended when the proxy died may come back from the store as if it had not: what is set in the event
    of its end is not in there. Its end is in the journal then, and another would be wrong. Whether everybody was told
    before the proxy died is not known: a BYE too many is answered 481.
    """
    if _talked_ms() > here().up_ms and _end_is_written(ksr.dialog_var("k")):
        ksr.set_dialog_var("x", "1")
        _release()  # it may have been another process of this proxy that wrote it
    else:
        _record_end(reason, detail)
    hang_up_both_sides()


_journal: JournalTail | None = None
_ends_read: set[str] = set()
"""The journal as far as it was read, and the calls whose ends are in it: many dialogs may be over when the proxy comes
back, and each asks."""


def _end_is_written(call_key: str) -> bool:
    global _journal  # noqa: PLW0603 - the process's own
    if _journal is None:
        _journal = JournalTail(Path(here().settings.node.state_dir) / "journal")
    _ends_read.update(fact.get("call_key", "") for fact in _journal.facts() if fact["kind"] == facts.ENDED)
    return call_key in _ends_read


def cut() -> None:
    """End the current dialog's call because its grant is over; the dialog itself goes at its timer's next look."""
    log.cut_late_by(-1000 * remaining_s())
    end_and_hang_up("cut")
    ksr.set_dialog_lifetime(1)


def end_at_once(reason: str, detail: str) -> None:
    """End the current dialog's answered call, whatever it is funded for."""
    end_and_hang_up(reason, detail)
    ksr.set_dialog_lifetime(1)


def refuse_ringing(code: int, phrase: str, reason: str, detail: str) -> bool:
    """Give the caller of the current dialog, which rings, a final answer; the transaction then cancels downstream.

    Whoever answers all the same gets ACK and BYE. False when there is nothing to answer any more, or when the
    transaction is not found (docs/kamailio.md, 63); then nothing was done.
    """
    dialog = ksr.pv("$dlg(callid)"), ksr.pv("$dlg(from_tag)"), ""
    key = f"{dialog[0]}|{dialog[1]}"
    might_answer = ksr.table_text(CURRENT, key)
    ksr.set_table_text(CURRENT, key, NOBODY)
    remember_outcome("cancelled", code)
    ksr.set_dialog_var("o", detail)
    ksr.set_dialog_var("w", reason)
    if not ksr.reply_to_call(dialog[0], ksr.pv("$dlg(from_cseq)"), code, phrase):
        ksr.set_dialog_var("w", "")
        ksr.set_table_text(CURRENT, key, might_answer)
        return False
    if ksr.enter_dialog(*dialog):  # its event has come meanwhile, and leaves another dialog current, or none
        take_event("dialog:failed")
    return True


def _ended() -> None:
    if ksr.dialog_var("x"):
        return
    if ksr.method() == "BYE":
        _record_end("caller" if _from_caller() else "callee")
    else:
        _record_end(ksr.dialog_var("w") or ("cut" if remaining_s() <= 0 else "administrator"))


def _record_end(reason: str, detail: str = "") -> None:
    """The fact comes before the mark: of a kill between the two the next proxy writes a second end, which counts for
    nothing; the other way round nobody would write any.

    A BYE, the cutter, the dialog module's timer and the keeper may come at one moment. Each writes its fact, for none
    can rely on another's (the module's timer takes the dialog away as soon as it returns); what is counted, is counted
    once.
    """
    talked_ms = _talked_ms()
    if ksr.dialog_var("m"):
        _record_emergency("answered", 200, talked_ms, reason)
    else:
        fact = facts.ended(ksr.dialog_var("k"), talked_ms, reason, _carrier_id(), detail)
        here().record(fact)
        _log_end("answered", fact["talked_ms"], reason)  # as the CDR will have it
    ksr.set_dialog_var("x", "1")
    _release()


def _record_emergency(result: str, code: int, talked_ms: int, reason: str) -> None:
    here().record(
        facts.unopened(
            ksr.dialog_var("k"),
            node=here().name,
            account_id=None,
            user_id=None,
            caller=ksr.pv("$dlg(from_uri)")[:64],
            shown=caller_id.shown_in_dialog()[:64],
            callee=ksr.dialog_var("n"),
            dialled=ksr.dialog_var("n"),
            source=ksr.dialog_var("s"),
            sip_call_id=ksr.pv("$dlg(callid)")[:255],
            result=result,
            sip_code=code,
            detail="emergency",
            end_reason=reason,
            talked_ms=talked_ms,
        )
    )
    _log_end(result, talked_ms, reason or "emergency")


def _log_end(result: str, talked_ms: int, reason: str) -> None:
    if not is_first_over(ksr.dialog_var("k")):
        return
    log.call_ended(
        result,
        call_key=ksr.dialog_var("k"),
        account=ksr.dialog_var("a"),
        talked_ms=talked_ms,
        end_reason=reason,
        sip_call_id=ksr.pv("$dlg(callid)"),
    )


def _release() -> None:
    """Another call may use these tags. Who answered, or might, is remembered on: a late 2xx must not find a gap."""
    ksr.forget(LIVE, f"{ksr.pv('$dlg(callid)')}|{ksr.pv('$dlg(from_tag)')}")
    channels.count_off()


def remember_outcome(result: str, code: int) -> None:
    """Why the call in hand is about to fail; the event that follows writes it down."""
    ksr.set_dialog_var("r", result)
    ksr.set_dialog_var("e", str(code))


def fail_call(attempt: CallAttempt, identified: Identified, result: str, code: int, detail: str = "") -> None:
    """A call that was opened and will never be relayed; it may have no dialog."""
    here().record(facts.failed(attempt.call_key, result, code, None, detail))
    log.call_ended(
        result,
        call_key=attempt.call_key,
        account=identified.caller.legs[0].account_name,
        detail=detail,
        sip_call_id=attempt.sip_call_id,
    )


# --- time ------------------------------------------------------------------------------------------------------------


def remaining_s(grant_s: int | None = None) -> float:
    """Seconds until the current dialog's grant, or another, is over; the whole of it before the answer."""
    return (int(ksr.dialog_var("g") or 0) if grant_s is None else grant_s) - _talked_ms() / 1000


def _talked_ms() -> int:
    answered = ksr.dialog_var("t")
    return Moment.now().ms_since(Moment.parse(answered)) if answered else 0


def lifetime_s(rest_s: float) -> int:
    """The dialog timer's whole seconds for a remaining time: behind the cutter, never before it."""
    return math.ceil(rest_s) + BACKSTOP_S if rest_s > 0 else 1


def may_be_renewed() -> bool:
    """Whether the current dialog's two sides are known to be there. The dialog module's keepalives begin with the ACK:
    who never sent one has the grant that he was answered with, and no other."""
    return not keepalive_lost() and ksr.pv("$dlg(state)") != UNACKED


def keepalive_lost() -> bool:
    """Whether a side of the current dialog is gone, and the module's timer about to end it."""
    return ksr.pv("$dlg(lifetime)") == str(KEEPALIVE_LOST_S)


# --- ending ----------------------------------------------------------------------------------------------------------


def hang_up_both_sides() -> None:
    """A BYE of our own to the callee and to the caller of the current dialog (RFC 3261 15)."""
    call_id = ksr.pv("$dlg(callid)")
    caller = f"<{ksr.pv('$dlg(from_uri)')}>;tag={ksr.pv('$dlg(from_tag)')}"
    callee = f"<{ksr.pv('$dlg(to_uri)')}>;tag={ksr.pv('$dlg(to_tag)')}"
    shown = f"{caller_id.local_party()};tag={ksr.pv('$dlg(from_tag)')}"
    sides = (
        ("to", "", callee, shown, _cseq("$dlg(from_cseq)")),
        ("from", ksr.dialog_var("h"), caller, callee, _cseq("$dlg(to_cseq)")),
    )
    for side, next_hop, remote, local, cseq in sides:
        route = ksr.pv(f"$dlg({side}_rs)")
        peer = Peer(
            uri=ksr.without_alias(ksr.pv(f"$dlg({side}_contact)")),
            route=route,
            next_hop=next_hop,
            socket=ksr.pv(f"$dlg({side}_bindaddr)"),
            local=local,
            remote=remote,
            call_id=call_id,
        )
        send_in_dialog(peer, [("BYE", cseq + 1)])
    ksr.set_dialog_var("b", "1")


def _cseq(name: str) -> int:
    value = ksr.pv(name)
    return int(value) if value.isdigit() else 0


def send_in_dialog(peer: Peer, requests: list[tuple[str, int]]) -> None:
    """Requests of our own within a dialog, each retransmitted by its transaction."""
    next_hop = peer.next_hop or first_uri(peer.route)
    for method, cseq in requests:
        lines = f"From: {peer.local}\r\nTo: {peer.remote}\r\nCall-ID: {peer.call_id}\r\nCSeq: {cseq} {method}\r\n"
        if peer.route:
            lines += f"Route: {peer.route}\r\n"
        if not ksr.send_request(method, peer.uri, next_hop, peer.socket, lines):
            log.event("not_sent", "err", method=method, uri=peer.uri, sip_call_id=peer.call_id)


def _carrier_id() -> int | None:
    text = ksr.dialog_var("c")
    return int(text) if text.isdigit() else None


