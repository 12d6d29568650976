"""Floods: how much of a stranger's is looked at, who is none, and what is left of it in the log.

A source address can be forged, so no address is shut out for what seems to come from it. Dropped are only requests of
strangers that would begin something: whoever is in a call, showed the right password lately, or is a trunk or
carrier goes on. An emergency call is never dropped.
"""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING

from billing.numbers import emergency_number
from kemi import ksr, log
from kemi.node import here
from kemi.tables import KNOWN, LOGGED

if TYPE_CHECKING:
    from billing.logs import Level

STRANGERS, CALLERS = "default", "known"
"""The groups of async workers (kamailio.cfg)."""
CALLERS_IDLE_S = 3605
"""How long a caller's TCP connection may say nothing."""
_FLOOD_TOLD_S = 10


def stops() -> bool:
    """Whether the request in hand is one too many. It is dropped then, unanswered: an answer would help a flood."""
    network = network_of_source()
    if ksr.table_int(KNOWN, network) or not ksr.is_too_fast(network) or _is_gateway() or _goes_on():
        return False
    if ksr.count_up(LOGGED, f"{network}/{int(time.monotonic()) // _FLOOD_TOLD_S}") == 1:
        report("flood", "warn", source=ksr.source(), method=ksr.method())
    return True


def workers() -> str:
    """The async workers for the request in hand: those of known callers are not kept busy by strangers."""
    return CALLERS if ksr.table_int(KNOWN, network_of_source()) or _is_gateway() else STRANGERS


def remember_source() -> None:
    """The right password came from here."""
    network = network_of_source()
    ksr.count_up(KNOWN, network)
    here().memory.add(KNOWN, network)


def keep_connection() -> None:
    """The message in hand is a caller's: his TCP connection need not fear the time-out for strangers."""
    ksr.set_connection_lifetime(CALLERS_IDLE_S)


def network_of_source() -> str:
    """The source address; of IPv6 the /64, for nobody has less: a key for each address of it would fill any table."""
    address = ksr.source_ip()
    return str(ipaddress.ip_network(f"{address}/64", strict=False).network_address) if ":" in address else address


def report(name: str, level: Level = "info", **fields: object) -> None:
    """Log what anybody may provoke, while there is a line left for it; count it in any case."""
    if _line_is_left():
        log.event(name, level, **fields)
    else:
        log.count(name)


def report_refusal(token: str, **fields: object) -> None:
    """The same for a request that billing refused before it knew whose it is."""
    if _line_is_left():
        log.refused(token, **fields)
    else:
        log.count_refused(token)


def _line_is_left() -> bool:
    """So many a second, then one that says that the others are left out."""
    limit = here().settings.flood.log_lines_per_s
    number = ksr.count_up(LOGGED, f"lines/{int(time.monotonic())}")
    if number == limit + 1:
        log.event("log_suppressed", "warn", lines_per_s=limit)
    return number <= limit


def _is_gateway() -> bool:
    directory, address = here().directory.current(), ksr.source_ip()
    return directory.trunk_at(address) is not None or directory.carrier_at(address) is not None


def _goes_on() -> bool:
    """Whether the request belongs to something that is under way, or is an emergency call."""
    method = ksr.method()
    if method == "INVITE" and not ksr.has_to_tag():
        return emergency_number(ksr.pv("$rU"), here().settings.calls.emergency_numbers) is not None
    if method == "CANCEL":
        return ksr.check_transaction() == ksr.MATCHED
    return ksr.has_to_tag() and ksr.is_known_dialog()
