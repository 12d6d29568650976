"""Towards the carriers: one target at a time, failover, and one 2xx through to the caller."""

from __future__ import annotations

import re
import time

from billing.directory import Carrier
from kemi import dialogs, ksr, log
from kemi.headers import NOT_FOR_CARRIERS
from kemi.node import here
from kemi.refusals import ANSWERS, warning

CURRENT = "current"
"""Shared table: (Call-ID, From-tag) -> the branch that may answer, or CLOSED once the caller was refused."""

WINNER = "winner"
"""Shared table: (Call-ID, From-tag) -> To-tag of the 2xx that went through; a counter beside it settles races."""

CLOSED = "closed"

_ROUTE_URI = re.compile(r"<([^>]*)>")


def live_key() -> str:
    """(Call-ID, From-tag) of the message in hand."""
    return f"{ksr.pv('$ci')}|{ksr.pv('$ft')}"


def release_live_key(key: str = "") -> None:
    """The call with this (Call-ID, From-tag) is over: another may use it, though nobody sane does."""
    key = key or live_key()
    for table in ("live", CURRENT, WINNER):
        ksr.forget(table, key)
    ksr.forget(WINNER, f"{key}#")


def relay_to_first_carrier() -> None:
    """Send the call to the first carrier in order of priority."""
    ksr.set_pv("$avp(started_ms)", str(_now_ms()))
    if not _relay_to(0):
        _give_up(ANSWERS["carrier_failed"].code, "carrier_failed")
        dialogs.take_event("dialog:failed")  # cancelled in this moment, no event follows; twice does no harm


def take_failed_branch() -> None:
    """Failure route: the next carrier when this one failed by itself and nobody has rung yet; else the end."""
    if ksr.is_cancelled():
        dialogs.remember_outcome("cancelled", 487)
        return
    code = ksr.final_code()
    carrier_at_fault = code >= 500 or code in (401, 407, 408) or 300 <= code < 400
    if not carrier_at_fault:
        dialogs.remember_outcome("busy" if code in (486, 600) else "rejected" if code != 480 else "no_answer", code)
        _close()
        return
    if ksr.pv("$avp(rung)") == "1":
        dialogs.remember_outcome("no_answer" if code == 408 else "carrier_failed", code)
        _close()
        return
    index = int(ksr.pv("$avp(carrier)") or 0) + 1
    log.event("carrier_failed", "warn", call_key=ksr.dialog_var("k"), carrier=index - 1, code=code)
    if not _time_is_left() or not _relay_to(index):
        _give_up(_passable(code), "carrier_failed")


def edit_branch() -> None:
    """Branch route: what this carrier must and must not see, on every branch, after failover too."""
    ksr.remove_headers("To", *NOT_FOR_CARRIERS)
    ksr.append_header("To", f"<{ksr.pv('$ru')}>")
    ksr.set_table_text(CURRENT, live_key(), ksr.pv("$T_branch_idx"))


def see_reply() -> None:
    """Reply route of the transaction: note that somebody's phone rings; then a silent failover would be wrong."""
    code = int(ksr.pv("$rs") or 0)
    if 180 <= code < 200:
        ksr.set_pv("$avp(rung)", "1")
    if 100 < code < 200 and (contact := ksr.pv("$ct")):
        found = _ROUTE_URI.findall(contact)
        ksr.set_dialog_var("f", found[0] if found else contact.split(";")[0])  # for a PRACK (RFC 3262)


def guard_replies() -> None:
    """Every reply, before its transaction sees it: exactly one 2xx of an INVITE goes through (KAMAILIO.md, 8, 14)."""
    if ksr.method() != "INVITE" or not ksr.pv("$rs").startswith("2"):
        return
    to_tag = ksr.pv("$tt")
    winner = ksr.table_text(WINNER, live_key())
    if winner == to_tag:
        return  # a retransmission, or the answer to a re-INVITE
    if not ksr.reply_has_transaction():
        ksr.drop()  # still ringing when the proxy was restarted, or very late: nobody holds money for it
        if not winner:
            log.event("stray_answer", "warn", sip_call_id=ksr.pv("$ci"), source=ksr.source())
        if _comes_from_a_carrier():  # nobody else may make us send requests to a Contact of his choice
            _hang_up_loser()
        return
    current = ksr.table_text(CURRENT, live_key())
    if current and current != ksr.pv("$T_branch_idx"):
        _refuse_2xx(to_tag)
    elif ksr.count_up(WINNER, f"{live_key()}#") == 1:
        ksr.set_table_text(WINNER, live_key(), to_tag)
    elif winner:
        _refuse_2xx(to_tag)
    else:
        ksr.drop()  # a duplicate in the same instant: it will be sent again, and then the winner is known


def _refuse_2xx(to_tag: str) -> None:
    log.event("second_answer", "warn", sip_call_id=ksr.pv("$ci"), to_tag=to_tag, source=ksr.source())
    ksr.drop()
    _hang_up_loser()


def _comes_from_a_carrier() -> bool:
    source = ksr.source_ip()
    return any(carrier.host == source for carrier in here().directory.current().carriers)


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


def _relay_to(index: int) -> bool:
    """Relay to carrier number `index` in order; False when there is none, or it cannot be sent to."""
    targets = _targets()
    while index < len(targets):
        carrier = targets[index]
        host = f"[{carrier.host}]" if ":" in carrier.host else carrier.host
        ksr.set_request_uri(
            f"sip:{carrier.dial_prefix}{ksr.pv('$avp(digits)')}@{host}:{carrier.port};transport={carrier.transport}"
        )
        ksr.forget_next_hop()
        ksr.set_pv("$avp(carrier)", str(index))
        ksr.set_dialog_var("c", str(carrier.carrier_id))
        ksr.on_branch("ksr_branch")
        ksr.on_failure("ksr_failure")
        ksr.on_reply("ksr_transaction_reply")
        if ksr.relay():
            return True
        log.event("carrier_unreachable", "warn", call_key=ksr.dialog_var("k"), carrier=carrier.name)
        index += 1
    return False


def _targets() -> tuple[Carrier, ...]:
    carriers = here().directory.current().carriers_in_order
    gateway = here().settings.calls.emergency_gateway
    if gateway is None or not ksr.dialog_var("m"):
        return carriers
    host, port = gateway.rsplit(":", 1)
    return (Carrier(0, "emergency gateway", host.strip("[]"), int(port), "udp", 0, ""), *carriers)


def _give_up(code: int, token: str) -> None:
    """Every carrier failed: the caller gets the last one's code, and a 503 of theirs as 500 (RFC 3261 16.7)."""
    dialogs.remember_outcome(token, code)
    _close()
    if ksr.is_cancelled():
        return  # answered already
    ksr.add_to_reply("Warning", warning(token))
    ksr.transaction_reply(code, "Carrier Failed")


def _close() -> None:
    ksr.set_table_text(CURRENT, live_key(), CLOSED)


def _passable(code: int) -> int:
    return code if code == 408 or (500 <= code < 700 and code != 503) else 500


def _time_is_left() -> bool:
    elapsed_ms = _now_ms() - int(ksr.pv("$avp(started_ms)") or 0)
    return elapsed_ms < here().settings.calls.ring_limit_s * 1000


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
