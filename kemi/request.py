"""Requests as they arrive in a SIP worker: what costs nothing to refuse is refused here, before any database."""

from __future__ import annotations

import re

from billing import readiness
from kemi import calls, dialogs, emergency, flood, ksr
from kemi.headers import NOT_FOR_CARRIERS, is_cseq
from kemi.identity import realm, shows_fresh_credentials, trunk_of_source
from kemi.node import here
from kemi.tables import CALL_ID_CHARACTERS_MAX, TAG_CHARACTERS_MAX

_HIDING = re.compile(r"\r(?!\n)|\x00")
_BARE_LF = re.compile(r"(?<!\r)\n")
_ROUTE_URI = re.compile(r"<([^>]*)>")


def route_request() -> None:
    """Every request starts here."""
    ksr.force_rport()  # first of all: a refusal goes back to where the request came from, too
    if flood.stops() or not _is_acceptable():
        return
    method = ksr.method()
    if method == "CANCEL":
        _cancel()
    elif ksr.has_to_tag():
        dialogs.route_in_dialog()
    elif method == "ACK":
        ksr.check_transaction()  # the ACK of a refusal is absorbed by its transaction, any other one is nobody's
    elif ksr.check_transaction() != ksr.NEW:
        return
    elif method == "INVITE":
        _new_call()
    elif method == "OPTIONS":
        _options()
    else:
        ksr.add_to_reply("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS")
        _refuse(405, "Method Not Allowed", "refused")


def _is_acceptable() -> bool:
    """Malformed and looping requests end here (docs/kamailio.md, 5 and 18)."""
    try:
        raw = ksr.raw_message()
    except UnicodeDecodeError:
        return _refuse(400, "Not UTF-8")
    # Two bare LFs end the head for us, and not for everybody behind us. A bare CR hides header names from everybody who
    # removes or counts headers, a NUL what follows it.
    if _BARE_LF.search(raw.partition("\r\n\r\n")[0]):
        return _refuse(400, "Bare LF")
    if _HIDING.search(raw):
        return _refuse(400, "Bare CR Or NUL")
    if not ksr.max_forwards_left():
        return _refuse(483, "Too Many Hops")
    if not ksr.is_sane():
        return False
    if not is_cseq(ksr.pv("$cs")):
        return _refuse(400, "CSeq Out Of Range")
    if not ksr.pv("$ft"):
        return _refuse(400, "From Without Tag")
    if len(ksr.pv("$ci")) > CALL_ID_CHARACTERS_MAX or len(ksr.pv("$ft")) > TAG_CHARACTERS_MAX:
        return _refuse(400, "Call-ID Or Tag Too Long")
    return True


def _refuse(code: int, reason: str, event: str = "malformed") -> bool:
    """Answer and log; the answer to a question of the checks above is always False."""
    if ksr.method() != "ACK":
        ksr.reply(code, reason)
    where = ksr.source()
    flood.report(event, code=code, reason=reason, method=ksr.method(), source=where, sip_call_id=ksr.pv("$ci"))
    return False


def _cancel() -> None:
    if ksr.check_transaction() == ksr.MATCHED:
        ksr.relay()
    else:
        _refuse(481, "Call/Transaction Does Not Exist", "refused")


def _new_call() -> None:
    """An INVITE without To-tag: emergency first, then whoever can show who he is, in an async worker."""
    if not _routes_are_ours():
        _refuse(403, "Preloaded Route", "refused")
        return
    if not ksr.pv("$ct"):
        _refuse(400, "Missing Contact")  # RFC 3261 8.1.1.8; without it there is nobody to send a BYE to
        return
    if len(ksr.headers("Proxy-Authorization")) > 1:
        _refuse(400, "One Proxy-Authorization")  # the check and the digest-uri could be taken from different ones
        return
    ksr.remove_headers("Route", *NOT_FOR_CARRIERS)
    if (uri := ksr.pv("$ru")).lower().startswith("sips:"):
        ksr.set_request_uri(f"sip:{uri[5:]}")  # or Record-Route would ask a carrier on UDP to come back by TLS
    ksr.record_route()  # here and not in the async worker: edits made there are lost at failover
    if number := emergency.dialled_number():
        emergency.route(number)
        return
    if not _shows_credentials():
        return
    if not ksr.new_transaction():
        return  # a retransmission that another worker has in hand
    if here().breaker.is_open() or not ksr.continue_in_async_worker("ksr_authorize", flood.workers()):
        calls.refuse_before_identity("billing_unavailable")


def _options() -> None:
    """OPTIONS to the proxy itself is a ping; with a number, from an IVR's trunk, it asks for a quote.

    Who distributes calls sends the next ones elsewhere when a ping is answered 503.
    """
    if not ksr.pv("$rU"):
        if readiness.not_ready(here().board, here().settings, here().room):
            calls.answer_ping_not_ready()
        else:
            ksr.reply(200, "OK")
        return
    trunk = trunk_of_source()
    if trunk is None or trunk.kind != "ivr":
        _refuse(404, "Not Found", "refused")
    elif not ksr.new_transaction():
        return
    elif here().breaker.is_open() or not ksr.continue_in_async_worker("ksr_announce", flood.workers()):
        calls.refuse_before_identity("billing_unavailable")


def _shows_credentials() -> bool:
    """A trunk's address or a digest; a caller with neither is challenged, at no cost and without a database."""
    if trunk_of_source() is not None or shows_fresh_credentials():
        return True
    ksr.challenge(realm())
    return False


def _routes_are_ours() -> bool:
    """Phones with an outbound proxy set a Route to us; any other preloaded Route is an attempt to relay through us."""
    for body in ksr.headers("Route"):
        uris = _ROUTE_URI.findall(body)
        if not uris or not all(ksr.is_myself(uri) for uri in uris):
            return False
    return True
