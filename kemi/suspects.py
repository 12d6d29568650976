"""Why a carrier over TLS is silent: a process of its own looks at the certificate of each that was.

Whoever shows a wrong certificate is not spoken to by Kamailio's tls module, and to the call he is just silent; the
module's own line about it comes from a process that keeps quiet (kemi/core_log.py).
"""

from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING

from kemi import ksr, log
from kemi.node import here
from kemi.tables import SUSPECTS

if TYPE_CHECKING:
    from billing.directory import Carrier
    from billing.settings import TlsSettings

LOOK_LIMIT_S = 2.0
LOOK_EVERY_S = 60.0
"""A carrier is looked at no more often than this, however many calls he fails."""

_looked_at: dict[int, float] = {}


def note(carrier: Carrier) -> None:
    """The carrier has not answered at all."""
    if carrier.transport == "tls" and here().settings.tls.verify_carriers:
        ksr.set_table_text(SUSPECTS, str(carrier.carrier_id), "1")


def tick() -> None:
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
