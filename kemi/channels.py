"""How many calls are at each carrier now: each call is counted where it is, and no full carrier is sent one.

Exact on this node: a shared counter, that a call takes before it is sent and gives back when it is over or goes on
elsewhere. What other nodes have there the ledger tells, a second late (billing/drain.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kemi import ksr
from kemi.node import here
from kemi.tables import CHANNELS, is_first_over

if TYPE_CHECKING:
    from billing.directory import Carrier

_READY, _RESTORING = "ready", "restoring"


def take(carrier: Carrier) -> bool:
    """Count the current dialog's call at this carrier. False when the carrier is full."""
    ready = ksr.table_int(CHANNELS, _READY) or _restore()
    number = ksr.count_up(CHANNELS, str(carrier.carrier_id))
    if carrier.channels is not None:
        elsewhere = here().use.current().get(str(carrier.carrier_id), 0)
        if not ready or number + elsewhere > carrier.channels:
            ksr.count_down(CHANNELS, str(carrier.carrier_id))
            return False
    ksr.set_dialog_var("l", str(carrier.carrier_id))
    return True


def leave() -> None:
    """The call in hand is not at its carrier any more, and goes on elsewhere."""
    if ksr.dialog_var("l"):
        count_off()
        ksr.set_dialog_var("l", "")


def count_off() -> None:
    """The current dialog's call is over: once, and its dialog is not written for it. One that was over before this
    Kamailio started was not counted, and ends again when its phone repeats a BYE that had no answer."""
    held, call_key = ksr.dialog_var("l"), ksr.dialog_var("k")
    if held and call_key not in here().over_before and is_first_over(f"{call_key} {held}"):  # each is tried once
        ksr.count_down(CHANNELS, held)


def _restore() -> bool:
    """After a restart: the calls that the dialog store brought back. False while another process is about it."""
    if ksr.count_up(CHANNELS, _RESTORING) > 1:
        return ksr.table_int(CHANNELS, _READY) > 0
    for carrier_id in here().carriers_before:
        ksr.count_up(CHANNELS, carrier_id)
    ksr.count_up(CHANNELS, _READY)
    return True
