"""Towards the carriers: one target at a time, failover, and one 2xx through to the caller."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from billing import facts
from billing.certificates import names_host
from billing.directory import Carrier
from kemi import caller_id, channels, dialogs, flood, health, ksr, log
from kemi.headers import NOT_FOR_CARRIERS, is_cseq
from kemi.node import here
from kemi.refusals import ANSWERS, warning
from kemi.tables import CURRENT, NOBODY, TAG_CHARACTERS_MAX, WINNER, live_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing.routes import Route

_ROUTE_URI = re.compile(r"<([^>]*)>")


def relay_to_first_carrier(routes: Sequence[Route] = ()) -> None:
    """Send the call to the first of these carriers; an emergency call has none of its own."""
    ksr.set_pv("$avp(started_ms)", str(_now_ms()))
    ksr.set_pv("$avp(sent)", "0")
    ksr.set_pv("$avp(routes)", ",".join(str(route.carrier.carrier_id) for route in routes))
    for key in (live_key(), f"{live_key()}#"):
        ksr.forget(WINNER, key)
    if not _relay_to_next():
        full = ksr.pv("$avp(full)")
        none_is_free = bool(full) and ksr.pv("$avp(sent)") == "0"
        if none_is_free:
            ksr.set_dialog_var("o", f"full: {full}")
        token = "no_carrier" if none_is_free else "carrier_failed"
        _give_up(ANSWERS[token].code, token)
        dialogs.take_event("dialog:failed")  # cancelled in this moment, no event follows; twice does no harm


def take_failed_branch() -> None:
    """Failure route: the next carrier when this one failed by itself and nobody has rung yet; else the end."""
    let_nobody_answer()
    if ksr.is_cancelled():
        dialogs.remember_outcome("cancelled", 487)
        return
    code = ksr.final_code()
    carrier_at_fault = (code >= 500 and code != 600) or code in (401, 407, 408) or 300 <= code < 400
    if not carrier_at_fault:
        dialogs.remember_outcome("busy" if code in (486, 600) else "rejected" if code != 480 else "no_answer", code)
    elif code == 408 and ksr.pv("$avp(rung)") == "1":
        dialogs.remember_outcome("no_answer", code)
    elif ksr.pv("$avp(rung)") == "1":
        # A carrier's redirection or challenge is not the caller's to follow, and another carrier would ring again.
        _give_up(_passable(code), "carrier_failed")
    else:
        carrier = here().directory.current().carrier_with(ksr.dialog_var("c"))
        if code == 408 and carrier is not None:
            health.note_silence(carrier)
        log.event("carrier_failed", "warn", call_key=ksr.dialog_var("k"), carrier=ksr.dialog_var("c"), code=code)
        if not _time_is_left() or not _relay_to_next(code):
            _give_up(_passable(code), "carrier_failed")


def edit_branch() -> None:
    """Branch route: what this carrier must and must not see, on every branch, after failover too."""
    ksr.remove_headers("To", *NOT_FOR_CARRIERS)
    ksr.append_header("To", f"<{ksr.pv('$ru')}>")
    caller_id.edit_branch()
    _let_answer(ksr.pv("$T_branch_idx"))


def see_reply() -> None:
    """Reply route of the transaction: note that somebody's phone rings; then a silent failover would be wrong.

    The caller gets the To and From that he sent (RFC 3261 8.2.6.2), not those that this carrier was shown.
    """
    code = int(ksr.pv("$rs") or 0)
    if code > 100 and (to_tag := ksr.pv("$tt")):
        ksr.remove_headers("To")
        ksr.append_header("To", f"{ksr.pv('$T_req($hdr(To))')};tag={to_tag}")
    if code > 100:
        caller_id.restore_in_reply()
    if 180 <= code < 200:
        ksr.set_pv("$avp(rung)", "1")
    if 100 < code < 200 and (contact := ksr.pv("$ct")):
        found = _ROUTE_URI.findall(contact)
        dialogs.remember_ringing(ksr.pv("$tt"), found[0] if found else contact.split(";")[0])


def guard_replies() -> None:
    """Every reply, before its transaction sees it.

    What answers nothing that we asked is dropped: sent on by its Via, it would make us an open reflector. Of the 2xx of
    an INVITE exactly one goes through (docs/kamailio.md, 8 and 14).
    """
    answers_invite = ksr.method() == "INVITE" and ksr.pv("$rs").startswith("2")
    if not ksr.reply_has_transaction():
        ksr.drop_reply()
        if answers_invite:
            _take_stray_2xx()
    elif not ksr.is_whole() or not is_cseq(ksr.pv("$cs")):
        ksr.drop_reply()  # neither could its To be put right, nor anything else in it be believed
        log.event("malformed", reason="Reply", source=ksr.source(), sip_call_id=ksr.pv("$ci"))
    elif ksr.method() == "INVITE" and not _comes_from_whom_we_called():
        ksr.drop_reply()  # to us that carrier stays silent, and the next one is tried
    elif answers_invite and not 0 < len(ksr.pv("$tt")) <= TAG_CHARACTERS_MAX:
        ksr.drop_reply()  # without a tag no dialog can come of it (RFC 3261 12.1), one that long could not be found
    elif answers_invite and (current := ksr.table_text(CURRENT, live_key())):
        _choose_2xx(ksr.pv("$tt"), current)
    # else no 2xx, or the answer to a re-INVITE


def _comes_from_whom_we_called() -> bool:
    """Over TLS: whether the connection's certificate is for the carrier's host. Any other message passes."""
    current = ksr.table_text(CURRENT, live_key())
    if not current or current == NOBODY or not here().settings.tls.verify_carriers:
        return True
    carrier = here().directory.current().carrier_with(ksr.dialog_var("c"))
    if carrier is None or carrier.transport != "tls":
        return True
    if ksr.transport() == "tls" and names_host(ksr.peer_certificate(), carrier.host):
        return True
    log.event(
        "carrier_untrusted",
        "err",
        carrier=carrier.name,
        host=carrier.host,
        source=ksr.source(),
        sip_call_id=ksr.pv("$ci"),
    )
    return False


def _take_stray_2xx() -> None:
    """Dropped already. If it rang through a restart of the proxy, nobody pays for it, and the callee is told."""
    if ksr.table_text(WINNER, live_key()) or ksr.is_known_dialog():
        return
    flood.report("stray_answer", "warn", sip_call_id=ksr.pv("$ci"), source=ksr.source())
    if here().directory.current().carrier_at(ksr.source_ip()) and is_cseq(ksr.pv("$cs")):
        _hang_up_loser()  # nobody but a carrier may make us send requests to a Contact of his choice


def _choose_2xx(to_tag: str, current: str) -> None:
    winner = ksr.table_text(WINNER, live_key())
    if winner == to_tag:
        if ksr.pv("$dlg(state)") == dialogs.ENDED:
            ksr.drop_reply()  # sent again after the call is over
        return  # sent again, or the answer to a re-INVITE
    if not winner and not _is_a_carriers(ksr.source_ip()):
        log.event("stray_answer", "warn", sip_call_id=ksr.pv("$ci"), to_tag=to_tag, source=ksr.source())
        ksr.drop_reply()
    elif winner or current != ksr.pv("$T_branch_idx"):
        log.event("second_answer", "warn", sip_call_id=ksr.pv("$ci"), to_tag=to_tag, source=ksr.source())
        ksr.drop_reply()
        _hang_up_loser()
    elif ksr.count_up(WINNER, f"{live_key()}#") == 1:
        ksr.set_table_text(WINNER, live_key(), to_tag)
    else:
        ksr.drop_reply()  # a duplicate in the same instant: it will be sent again, and then the winner is known


def _is_a_carriers(address: str) -> bool:
    """Whether an answer may come from here: its branch could have been overheard. Of a carrier known by name, and of an
    emergency gateway, no address is known."""
    directory = here().directory.current()
    called = directory.carrier_with(ksr.dialog_var("c"))
    return called is None or directory.carrier_at(called.host) is None or directory.carrier_at(address) is not None


def _hang_up_loser() -> None:
    """ACK and BYE towards a callee whose 2xx nobody wants (RFC 3261 13.2.2.4)."""
    cseq = ksr.pv("$cs")
    contact = _ROUTE_URI.findall(ksr.pv("$ct"))
    uri = contact[0] if contact else ksr.pv("$ct").split(";")[0]
    routes = []
    for body in ksr.headers("Record-Route"):
        routes += _ROUTE_URI.findall(body)
    beyond_us = [route for route in routes if not ksr.is_myself(route)]
    dialogs.send_in_dialog(
        dialogs.Peer(
            uri=uri,
            route=", ".join(f"<{route}>" for route in reversed(beyond_us)),
            next_hop="" if beyond_us else f"sip:{ksr.pv('$si')}:{ksr.pv('$sp')};transport={ksr.pv('$proto')}",
            socket="",
            local=f"<{ksr.pv('$fu')}>;tag={ksr.pv('$ft')}",
            remote=f"<{ksr.pv('$tu')}>;tag={ksr.pv('$tt')}",
            call_id=ksr.pv("$ci"),
        ),
        [("ACK", int(cseq)), ("BYE", int(cseq) + 1)],
    )


def _relay_to_next(code: int = 0) -> bool:
    """Relay to the next carrier in order that was not tried yet; False when there is none, or none can be sent to.

    `code`: how the one before it failed. Its attempt is written down when another begins, and only then: the last one
    of a call is the CDR's own, so each is counted once.
    """
    calls = here().settings.calls
    tried = ksr.pv("$avp(tried)").split(",")
    channels.leave()
    for carrier in _targets():
        if str(carrier.carrier_id) in tried:
            continue
        tried.append(str(carrier.carrier_id))
        ksr.set_pv("$avp(tried)", ",".join(tried))
        if not ksr.dialog_var("m") and not channels.take(carrier):
            full = ksr.pv("$avp(full)")
            ksr.set_pv("$avp(full)", f"{full}, {carrier.name}" if full else carrier.name)
            log.event("carrier_full", "notice", call_key=ksr.dialog_var("k"), carrier=carrier.name)
            continue
        sent = int(ksr.pv("$avp(sent)") or 0)
        if sent:
            _note_failed_attempt(sent, code)
        code = 0  # of one that cannot be sent to there is none
        ksr.set_pv("$avp(sent)", str(sent + 1))
        caller_id.aim_at(carrier)
        host = f"[{carrier.host}]" if ":" in carrier.host else carrier.host
        ksr.set_request_uri(
            f"sip:{carrier.dial_prefix}{ksr.pv('$avp(digits)')}@{host}:{carrier.port};transport={carrier.transport}"
        )
        ksr.forget_next_hop()
        ksr.set_dialog_var("c", str(carrier.carrier_id))
        ksr.set_invite_timers(calls.carrier_silence_s * 1000, calls.ring_limit_s * 1000)
        ksr.on_branch("ksr_branch")
        ksr.on_failure("ksr_failure")
        ksr.on_reply("ksr_transaction_reply")
        if ksr.relay():
            return True
        log.event("carrier_unreachable", "warn", call_key=ksr.dialog_var("k"), carrier=carrier.name)
        channels.leave()
    return False


def _note_failed_attempt(ordinal: int, code: int) -> None:
    """The carrier in hand failed. Of an emergency call no CDR names a carrier, so none of its attempts counts; and of a
    call that was cancelled before it could be sent no carrier is to blame."""
    if not ksr.dialog_var("m") and (code or not ksr.is_cancelled()):
        here().record(facts.attempt(ksr.dialog_var("k"), ordinal, int(ksr.dialog_var("c")), code))


def _targets() -> tuple[Carrier, ...]:
    """The call's carriers in order; those that do not answer when they are asked come last."""
    directory = here().directory.current()
    if not ksr.dialog_var("m"):
        chosen = map(directory.carrier_with, ksr.pv("$avp(routes)").split(","))
        return _those_there_first([carrier for carrier in chosen if carrier is not None])
    carriers = _those_there_first(directory.carriers_in_order)
    gateway = here().settings.calls.emergency_gateway
    if gateway is None:
        return carriers
    host, port = gateway.rsplit(":", 1)
    return (Carrier(0, "emergency gateway", host.strip("[]"), int(port), "udp", 0, ""), *carriers)


def _those_there_first(carriers: Sequence[Carrier]) -> tuple[Carrier, ...]:
    return tuple(sorted(carriers, key=lambda carrier: not health.is_there(carrier)))


def _give_up(code: int, token: str) -> None:
    """Every carrier failed: the caller gets the last one's code, and a 503 of theirs as 500 (RFC 3261 16.7)."""
    let_nobody_answer()
    if ksr.is_cancelled():
        dialogs.remember_outcome("cancelled", 487)
        return  # answered already
    dialogs.remember_outcome(token, code)
    ksr.add_to_reply("Warning", warning(token))
    answer = ANSWERS[token]
    ksr.transaction_reply(code, answer.reason if code == answer.code else "Carrier Failed")


def let_nobody_answer() -> None:
    """The call in hand was refused: a 2xx that comes all the same is acknowledged and ended."""
    _let_answer(NOBODY)


def _let_answer(branch: str) -> None:
    ksr.set_table_text(CURRENT, live_key(), branch)


def _passable(code: int) -> int:
    return code if code == 408 or (500 <= code < 700 and code != 503) else 500


def _time_is_left() -> bool:
    elapsed_ms = _now_ms() - int(ksr.pv("$avp(started_ms)") or 0)
    return elapsed_ms < here().settings.calls.ring_limit_s * 1000


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
