"""Which carriers are there, and why one is not.

Kamailio's dispatcher module asks each with an OPTIONS now and then. The keeper gives it the list, and tells log, board
and ledger what it finds; calls are sent to one that does not answer only when no other is left.

Of a carrier over TLS that is silent, to a call or to an OPTIONS, a process of its own looks at the certificate.
Whoever shows a wrong one is not spoken to by Kamailio's tls module, and the module's own line about it comes from a
process that keeps quiet (kemi/core_log.py).
"""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING

from billing.directory import PROBE_FILE
from billing.errors import LedgerError, LedgerUnavailable
from kemi import ksr, log
from kemi.node import here
from kemi.tables import SUSPECTS

if TYPE_CHECKING:
    from billing.directory import Carrier
    from billing.settings import TlsSettings

LOOK_LIMIT_S = 2.0
LOOK_EVERY_S = 60.0
"""A carrier is looked at no more often than this, however many calls he fails."""

SET = 1
LISTED, INACTIVE = "8", "9"
"""Flags of the dispatcher module: asked (8), and not there until it answers (1)."""
RELOAD_EVERY_S = 6.0
"""The module frees the list before the last one when it reads a new one, and somebody may still be looking at it: it
wants five seconds between two."""

_looked_at: dict[int, float] = {}
_listed: tuple[str, ...] = ()
_reloaded_s = -RELOAD_EVERY_S
_states: dict[int, str] = {}
_told: dict[int, str] | None = None


def is_there(carrier: Carrier) -> bool:
    """Whether the carrier answers, as far as it is asked."""
    return not _is_asked(carrier) or ksr.is_destination_active(SET, carrier.uri)


def _is_asked(carrier: Carrier) -> bool:
    return carrier.probed and here().settings.carriers.probe_interval_s > 0


# --- the keeper's part ------------------------------------------------------------------------------------------------


def look() -> None:
    """Once a second: the module's list is that of the directory; who came and who went is logged."""
    global _states  # noqa: PLW0603 - the keeper's own
    asked = [carrier for carrier in here().directory.current().carriers if _is_asked(carrier)]
    _keep_list(tuple(sorted({carrier.uri for carrier in asked})))
    states = {one.carrier_id: "up" if is_there(one) else "down" for one in asked if one.uri in _listed}
    for carrier in asked:
        before, now = _states.get(carrier.carrier_id, "up"), states.get(carrier.carrier_id, "up")
        if (before, now) == ("up", "down"):
            log.event("carrier_down", "err", carrier=carrier.name, host=carrier.host)
            note_silence(carrier)
        elif (before, now) == ("down", "up"):
            log.event("carrier_up", "notice", carrier=carrier.name, host=carrier.host)
    _states = states
    here().board.note("carriers_up", sum(state == "up" for state in states.values()))
    here().board.note("carriers_down", sum(state == "down" for state in states.values()))


def tell() -> None:
    """Tell the ledger what is new. Raises LedgerUnavailable; what it refuses is logged, once."""
    global _told  # noqa: PLW0603 - the keeper's own
    if _states == _told:
        return
    try:
        here().ledger.note_carriers(here().name, _states)
    except LedgerUnavailable:
        raise
    except LedgerError as error:
        log.event("ledger_failed", "err", process="keeper", error=str(error))
    _told = _states


def _keep_list(wanted: tuple[str, ...]) -> None:
    """Whoever was not there when the list is read anew is not there after it, either."""
    global _listed, _reloaded_s  # noqa: PLW0603 - the keeper's own
    if wanted == _listed or time.monotonic() - _reloaded_s < RELOAD_EVERY_S:
        return
    _reloaded_s = time.monotonic()
    gone = {uri for uri in _listed if not ksr.is_destination_active(SET, uri)}
    lines = [f"{SET} {uri} {INACTIVE if uri in gone else LISTED} 0\n" for uri in wanted]
    path = Path(here().settings.node.state_dir) / PROBE_FILE
    draft = path.with_suffix(".new")
    try:
        draft.write_text("".join(lines), encoding="ascii")
        draft.replace(path)
    except OSError as error:  # renewals do not wait for it
        log.event("probes_unchanged", "err", error=str(error))
        return
    if ksr.reload_destinations():
        _listed = wanted


# --- certificates -----------------------------------------------------------------------------------------------------


def note_silence(carrier: Carrier) -> None:
    """The carrier has not answered at all."""
    if carrier.transport == "tls" and here().settings.tls.verify_carriers:
        ksr.set_table_text(SUSPECTS, str(carrier.carrier_id), "1")


def look_at_certificates() -> None:
    """Once a second: look at whoever was noted."""
    for carrier in here().directory.current().carriers:
        if not ksr.table_text(SUSPECTS, str(carrier.carrier_id)):
            continue
        ksr.forget(SUSPECTS, str(carrier.carrier_id))
        now = time.monotonic()
        if now - _looked_at.get(carrier.carrier_id, -LOOK_EVERY_S) < LOOK_EVERY_S:
            continue
        _looked_at[carrier.carrier_id] = now
        if error := what_is_wrong(carrier.host, carrier.port, here().settings.tls):
            log.event("carrier_untrusted", "err", carrier=carrier.name, host=carrier.host, error=error)


def what_is_wrong(host: str, port: int, tls: TlsSettings) -> str:
    """Connect as Kamailio does; what OpenSSL has against the certificate, empty if it is good."""
    file, folder = tls.authorities
    context = ssl.create_default_context(cafile=file, capath=folder)
    assert tls.certificate is not None
    context.load_cert_chain(tls.certificate, tls.private_key)
    try:
        with (
            socket.create_connection((host.strip("[]"), port), LOOK_LIMIT_S) as plain,
            context.wrap_socket(plain, server_hostname=host.strip("[]")),
        ):
            return ""
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except OSError as error:
        return error.strerror or str(error) or type(error).__name__
