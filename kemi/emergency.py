"""Emergency numbers: out before anything else is asked. No database, no digest, no locks, no limits."""

from __future__ import annotations

from billing.numbers import emergency_number
from kemi import caller_id, dialogs, ksr, log, relay, tables
from kemi.node import here, new_call_key

LIFETIME_S = 86_400
"""Nobody cuts an emergency call; the dialog module wants a number."""


def dialled_number() -> str | None:
    """The emergency number of the local list that the INVITE in hand is for, or None."""
    return emergency_number(ksr.pv("$rU"), here().settings.calls.emergency_numbers)


def route(number: str) -> None:
    """Relay to the emergency gateway, or to the carriers in order; the CDR goes through the journal at the end."""
    if not ksr.new_transaction():
        return
    if tables.is_second_with_live_key():
        log.refused("merged", detail=number, source=ksr.source(), sip_call_id=ksr.pv("$ci"))
        ksr.transaction_reply(482, "Loop Detected")  # the tags of a call that is up: no phone does that
        return
    call_key = new_call_key()
    dialogs.open_dialog(
        dialogs.CallVars(call_key, "", LIFETIME_S, dialogs.caller_hop(), emergency=True),
    )
    ksr.set_dialog_var("n", number)
    shown = caller_id.truth_for_emergency()
    if shown.uri:
        caller_id.prepare(shown)
    log.event("emergency", "notice", call_key=call_key, number=number, source=ksr.source())
    ksr.set_pv("$avp(digits)", number)
    relay.relay_to_first_carrier()
