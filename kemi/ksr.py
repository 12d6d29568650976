"""The one file that touches KSR, Kamailio's KEMI object.

KSR answers with three kinds of truth (bools, ints where success is > 0, None) and with values that may be null. Here
they become real bools, strs, ints and exceptions. Nothing is decided in this file.
"""

from __future__ import annotations

from typing import Any, cast

import KSR as _KSR  # made by app_python3, exists in Kamailio alone

KSR: Any = _KSR

HEADERS_MAX = 64


class KsrError(RuntimeError):
    """Kamailio refused an action that should have worked; the message names it."""


def _true(result: object) -> bool:
    return result if isinstance(result, bool) else cast("int", result) > 0


def _must(result: object, action: str) -> None:
    if result is not None and not _true(result):
        raise KsrError(f"{action} returned {result!r}")


# --- the message in hand -------------------------------------------------------------------------------------------


def pv(name: str) -> str:
    """A pseudo-variable as text, empty when it is null, no UTF-8 or has a NUL (replies may)."""
    try:
        text = str(KSR.pv.gete(name))  # some come as numbers
    except UnicodeDecodeError:
        return ""
    return "" if "\0" in text else text  # no function of Kamailio takes one


def set_pv(name: str, value: str) -> None:
    """Set a pseudo-variable to a text ($dlg_var set this way is locked and stored; dialog.var_sets is neither)."""
    KSR.pv.sets(name, value)


def method() -> str:
    """The request's method, or the CSeq's method of a reply."""
    return pv("$rm")


def raw_message() -> str:
    """The whole message as received. Raises UnicodeDecodeError when it is not UTF-8 (SIP is: RFC 3261 section 7)."""
    return cast("str", KSR.pv.get("$mb"))


def has_to_tag() -> bool:
    """Whether the request belongs to a dialog, or says so."""
    return _true(KSR.siputils.has_totag())


def is_myself(uri: str) -> bool:
    """Whether a URI's host and port are this proxy's."""
    return _true(KSR.is_myself(uri))


def source_ip() -> str:
    """The address the message came from, v6 without brackets."""
    return pv("$si").strip("[]")


def source() -> str:
    """Transport, address and port the message came from, for logs and CDRs."""
    return f"{pv('$proto')}:{pv('$si')}:{pv('$sp')}"


def transport() -> str:
    """udp, tcp or tls: how the message came."""
    return pv("$proto").lower()


def peer_certificate() -> str:
    """The certificate (PEM) that the other end of a TLS message's connection has shown and that was verified, empty
    without one."""
    return pv("$tls_peer_raw_cert") if pv("$tls_peer_verified") == "1" else ""


def contact_host_and_port() -> tuple[str, str]:
    """Of the Contact's URI; an empty port is the transport's own."""
    return pv("$(ct{nameaddr.uri}{uri.host})").strip("[]"), pv("$(ct{nameaddr.uri}{uri.port})")


def headers(name: str) -> list[str]:
    """All bodies of a header, in order; folding undone by the parser is not needed by any caller.

    As `pv`, a body that is no text is empty.
    """
    found: list[str] = []
    while len(found) < HEADERS_MAX:
        try:
            body = KSR.hdr.get_idx(name, len(found))
        except UnicodeDecodeError:
            body = ""
        if body is None:
            break
        found.append("" if "\0" in str(body) else str(body))
    return found


def is_whole() -> bool:
    """Whether every header up to the end of the head can be parsed; what stands behind a broken one is not found."""
    return _true(KSR.hdr.is_present("Via"))  # is there, so "no" means that parsing went wrong


def remove_headers(*names: str) -> None:
    """Remove every occurrence of these headers in any spelling (case, compact form, folding, blanks)."""
    for name in names:
        KSR.hdr.remove(name)


def append_header(name: str, body: str) -> None:
    """Add a header to the request that goes on."""
    _must(KSR.hdr.append(f"{name}: {body}\r\n"), f"append {name}")


def add_to_reply(name: str, body: str) -> None:
    """Add a header to the reply that this request will get."""
    _must(KSR.hdr.append_to_reply(f"{name}: {body}\r\n"), f"append {name} to reply")


def max_forwards_left() -> bool:
    """Decrease Max-Forwards (RFC 3261 16.6); False when it was used up."""
    return _true(KSR.maxfwd.process_maxfwd(70))


def is_sane() -> bool:
    """The sanity module's checks of headers and URIs; it answers a bad request itself."""
    return _true(KSR.sanity.sanity_check(17895, 15))


# --- replies and transactions --------------------------------------------------------------------------------------


def reply(code: int, reason: str) -> None:
    """Answer the request, within its transaction when there is one."""
    KSR.sl.send_reply(code, reason)


def transaction_reply(code: int, reason: str) -> None:
    """Answer within the transaction: from an async worker or a failure route."""
    _must(KSR.tm.t_reply(code, reason), f"t_reply {code}")


MATCHED, ABSORBED, NEW = 1, 0, -1


def check_transaction() -> int:
    """MATCHED: a CANCEL or a 2xx's ACK that has a transaction; ABSORBED: a retransmission, done; NEW: neither."""
    result = KSR.tm.t_check_trans()
    if isinstance(result, bool):
        return MATCHED if result else NEW
    return MATCHED if result > 0 else ABSORBED if result == 0 else NEW


def reply_has_transaction() -> bool:
    """In the reply route: whether the reply belongs to a transaction of this proxy."""
    return _true(KSR.tm.t_check_trans())


def drop_reply() -> None:
    """Forget the reply in hand: neither its transaction sees it nor anybody else. Nothing of `$T_..` afterwards.

    Who asked for a reply's transaction holds it, and Kamailio lets go of it in tm, where a dropped reply never comes.
    It would stay for ever, and be taken for that of the next request (docs/kamailio.md, 72): t_check_status lets go.
    """
    KSR.set_drop()
    if reply_has_transaction():
        KSR.tm.t_check_status(".")


def new_transaction() -> bool:
    """Make the request's transaction. False for a retransmission, which is answered already."""
    return _true(KSR.tm.t_newtran())


def is_cancelled() -> bool:
    """Whether the caller has cancelled this transaction."""
    return _true(KSR.tm.t_is_canceled())


def final_code() -> int:
    """In the failure route: the code that would go to the caller."""
    return int(KSR.tm.t_get_status_code())


def relay() -> bool:
    """Send the request on. False when no target could be sent to; nothing was answered then."""
    return _true(KSR.tm.t_relay())


def set_invite_timers(silence_ms: int, ring_ms: int) -> None:
    """How long the next branch may be silent, and may ring. Each 180 starts the second one again."""
    _must(KSR.tm.t_set_fr(ring_ms, silence_ms), "t_set_fr")


def on_branch(route: str) -> None:
    """Name the method that edits each branch."""
    _must(KSR.tm.t_on_branch(route), f"t_on_branch {route}")


def on_failure(route: str) -> None:
    """Name the method that takes failed branches."""
    _must(KSR.tm.t_on_failure(route), f"t_on_failure {route}")


def on_reply(route: str) -> None:
    """Name the method that sees replies of the transaction."""
    _must(KSR.tm.t_on_reply(route), f"t_on_reply {route}")


def continue_in_async_worker(route: str, group: str) -> bool:
    """Suspend the transaction and run `route` in an async worker of the group. False when their queue is full.

    After True the message belongs to that worker: touch nothing.
    """
    return cast("int", getattr(KSR, "async").task_group_route(route, group)) >= 0  # 0 is success: "end the script"


def send_request(method_name: str, uri: str, next_hop: str, socket: str, header_lines: str) -> bool:
    """A request of our own, retransmitted by a transaction; empty `next_hop` or `socket`: Kamailio chooses."""
    return _true(KSR.tm.t_uac_send(method_name, uri, next_hop or ".", socket or ".", header_lines, ""))


def reply_to_call(call_id: str, cseq: str, code: int, reason: str) -> bool:
    """A final answer to an INVITE that is in hand elsewhere, found by Call-ID and CSeq; its branches are cancelled.

    Once in each run of a route: the transaction is let go when the route ends, the last one alone (docs/kamailio.md,
    64).
    """
    return _true(KSR.tmx.t_reply_callid(call_id, cseq, code, reason))


# --- carriers that are asked whether they are there ----------------------------------------------------------------


def is_destination_active(group: int, uri: str) -> bool:
    """Whether the dispatcher module has this URI on its list, and found it there."""
    return _true(KSR.dispatcher.ds_is_active_uri(group, uri))


def reload_destinations() -> bool:
    """Have the dispatcher module read its list again."""
    return _true(KSR.dispatcher.ds_reload())


# --- floods --------------------------------------------------------------------------------------------------------


def is_too_fast(address: str) -> bool:
    """Count a request of this address; whether it has sent more in the last second than pike is set to."""
    return not _true(KSR.pike.pike_check_ip(address))


def set_connection_lifetime(seconds: int) -> None:
    """How long the TCP connection that the message came over may be idle from now on. Nothing over UDP."""
    if pv("$proto") != "udp":
        KSR.tcpops.tcp_set_connection_lifetime(seconds)


# --- routing -------------------------------------------------------------------------------------------------------


def record_route() -> None:
    """Stay in the path of the dialog."""
    _must(KSR.rr.record_route(), "record_route")


def set_request_uri(uri: str) -> None:
    """The URI the request goes on with."""
    _must(KSR.seturi(uri), f"seturi {uri}")


def set_next_hop(uri: str) -> None:
    """Where the request is sent, whatever its URI says."""
    _must(KSR.setdsturi(uri), f"setdsturi {uri}")


def send_to_source() -> None:
    """Let what the dialog module sends go to where the message in hand came from, whatever its Contact says, by a
    parameter of the Contact that Kamailio alone reads. Before the dialog is made."""
    _must(KSR.nathelper.set_contact_alias(), "set_contact_alias")


def without_alias(uri: str) -> str:
    """A dialog's Contact as its owner wrote it."""
    return uri.partition(";alias=")[0]


def forget_next_hop() -> None:
    """Send by the request URI again."""
    KSR.resetdsturi()


def force_rport() -> None:
    """Answer to the port the request came from (RFC 3581)."""
    KSR.force_rport()


# --- digest --------------------------------------------------------------------------------------------------------


def has_credentials(realm: str) -> bool:
    """Whether a Proxy-Authorization for this realm is there."""
    return _true(KSR.auth.has_credentials(realm))


def challenge(realm: str) -> None:
    """Send 407 with a fresh nonce, qop=auth."""
    _must(KSR.auth.auth_challenge(realm, 1), "auth_challenge")


DIGEST_OK = 1
DIGEST_WRONG = -2


def check_digest(realm: str, ha1: str) -> int:
    """Check the response against HA1: DIGEST_OK, DIGEST_WRONG, or another negative number (stale or used nonce)."""
    return int(KSR.auth.pv_auth_check(realm, ha1, 1, 0))


# --- shared tables -------------------------------------------------------------------------------------------------


def count_up(table: str, key: str) -> int:
    """Add one to a shared counter, atomically; its new value."""
    return int(KSR.htable.sht_inc(table, key))


def count_down(table: str, key: str) -> None:
    """Take one from a shared counter, atomically."""
    KSR.htable.sht_dec(table, key)


def table_int(table: str, key: str) -> int:
    """A shared counter's value, 0 when it is not there.

    Never by a pseudo-variable: its name would hold what the wire sent, be misread, and be remembered for ever.
    """
    value = KSR.htable.sht_get(table, key)
    return value if isinstance(value, int) else 0


def table_text(table: str, key: str) -> str:
    """A shared text, empty when it is not there."""
    value = KSR.htable.sht_get(table, key)
    return value if isinstance(value, str) else ""


def set_table_text(table: str, key: str, value: str) -> None:
    """Set a shared text."""
    KSR.htable.sht_sets(table, key, value)


def forget(table: str, key: str) -> None:
    """Remove a shared value."""
    KSR.htable.sht_rm(table, key)


# --- dialogs -------------------------------------------------------------------------------------------------------

NO_TAG = "-"
"""A To-tag that no dialog has."""


def is_known_dialog() -> bool:
    """Whether Call-ID and tags belong to a dialog here. Changes nothing."""
    return _true(KSR.dialog.is_known_dlg())


def manage_dialog() -> None:
    """Make the dialog of an initial INVITE, or run the dialog's state machine for a request within it."""
    _must(KSR.dialog.dlg_manage(), "dlg_manage")


def enter_dialog(call_id: str, from_tag: str, to_tag: str) -> bool:
    """Make a dialog the current one, from a process that has no message of it. False when it is gone.

    One that was not answered is found by any To-tag, but an empty one is refused: NO_TAG.
    """
    return _true(KSR.dialog.dlg_get(call_id, from_tag, to_tag or NO_TAG))


def set_dialog_lifetime(seconds: int) -> bool:
    """Let the current dialog end `seconds` from now. False when it is already over."""
    return _true(KSR.dialog.dlg_set_timeout(seconds))


def set_dialog_property(name: str) -> None:
    """ka-src, ka-dst, timeout-noreset.."""
    _must(KSR.dialog.dlg_set_property(name), f"dlg_set_property {name}")


def dialog_var(name: str) -> str:
    """A value kept with the current dialog, empty when it is not set."""
    return pv(f"$dlg_var({name})")


def set_dialog_var(name: str, value: str) -> None:
    """Keep a value with the current dialog, across restarts."""
    set_pv(f"$dlg_var({name})", value)


# --- the proxy itself ----------------------------------------------------------------------------------------------


def free_shared_memory() -> int:
    """Bytes of shared memory that are left: every call and every message in hand takes some."""
    return int(pv("$stat(free_size)") or 0)
