"""The demo's own eye: a call that went otherwise than told is found out, to the last cent."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from rich.console import Console

from billing.ledger_types import Cdr, CdrLeg
from demo.calls import Plan, Played, faults
from demo.closing import show_levels
from demo.sip import Line, Message, messages_in

CENT = Decimal("0.01")
AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PLAN = Plan("card", Line("127.0.0.20", "4930999001"), "493012345678", "card", prices={"card": CENT})
LEG = CdrLeg(0, 1, "card", "EUR", 1, 1, "Germany", "{}", Decimal("1.20"), Decimal("0.04"), Decimal("9.96"))
CDR = Cdr(
    "01M8", "node1", 1, "card", None, None, "4930999001", "493012345678", "493012345678", "127.0.0.20:5060", "a@b",
    1, "carrier", AT, AT, AT, AT, 120, 3512, 4, "answered", "", "caller", 200, False, AT, (LEG,),
)  # fmt: skip
FIVE_S = replace(CDR, billed_s=5, legs=(replace(LEG, charge=5 * CENT),))
BYE = Message(103.5, True, "BYE sip:x SIP/2.0", "a@b", "")
WIRE = (
    Message(99.9, True, "INVITE sip:x SIP/2.0", "a@b", ""),
    Message(100.0, False, "SIP/2.0 200 OK", "a@b", ""),
    BYE,
    Message(103.6, False, "SIP/2.0 200 OK", "a@b", ""),
)
RULE = "-" * 47


def played(cdr: Cdr | None = CDR, plan: Plan = PLAN, **more: object) -> Played:
    return Played(plan, **{"wire": WIRE, "carrier": (replace(BYE, sent=False),), "cdr": cdr} | more)


def test_a_call_that_went_as_told_has_no_faults():
    """Seconds, charge, both BYEs."""
    assert [] == list(faults(played()))


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (played(None), "there is no CDR"),
        (played(replace(CDR, legs=(replace(LEG, charge=Decimal("0.05")),))), "charged card 0.05, not card 0.04"),
        (played(replace(CDR, legs=())), "charged nobody, not card 0.04"),
        (played(FIVE_S), "5 s were billed, 3.50 s talked"),
        (played(replace(CDR, end_reason="cut")), "the CDR says answered, ended by cut, not by caller"),
        (played(carrier=()), "the called side was sent no BYE"),
        (played(plan=replace(PLAN, cut_after_s=5)), "4 s were billed, not 5"),
        (played(FIVE_S, replace(PLAN, cut_after_s=5)), "the BYE came after 3.50 s, not 5"),
        (played(plan=replace(PLAN, code=486)), "SIP said 200 OK, not 486"),
    ],
)
def test_what_is_not_as_told_is_a_fault(call, fault):
    """One cent, one second or one BYE is enough."""
    assert fault in list(faults(call))


def test_the_messages_of_a_sipp_log_are_read_while_it_is_written(tmp_path):
    """A message whose headers are not all there yet is left for the next look."""
    log = tmp_path / "messages"
    log.write_text(
        f"{RULE} 2026-11-23 01:58:19.037707\nUDP message sent (304 bytes):\n\n"
        "INVITE sip:x SIP/2.0\r\nCall-ID: a@b\r\n\r\n\n"
        f"{RULE} 2026-11-23\t01:58:19.541894\nUDP message received [285] bytes :\n\n"
        'SIP/2.0 486 Busy Here\r\nCall-ID: a@b\r\nWarning: 399 meterline "too_many_calls"\r\n\r\n\n'
        f"{RULE} 2026-11-23 01:58:20.0\nUDP message sent (3 bytes):\n\nACK sip:x"
    )
    invite, refusal = messages_in(log)
    assert ("INVITE", True, 0) == (invite.method, invite.sent, invite.code)
    assert (486, "486 Busy Here", "too_many_calls") == (refusal.code, refusal.reason, refusal.token)
    assert pytest.approx(0.504187) == refusal.at_s - invite.at_s


@pytest.mark.parametrize(("cost", "found"), [("0.008", 0), ("0.009", 1), (None, 1)])
def test_the_demo_checks_the_vendors_margin_of_its_resellers_call(cost, found):
    """4 s at a wholesale price of 0.005 and a carrier's of 0.002: anything but 0.012 is told."""
    legs = (LEG, replace(LEG, leg=1, account_name="Northwind", charge=Decimal("0.02")))
    cdr = replace(CDR, legs=legs, carrier_currency="EUR", carrier_cost=cost and Decimal(cost))
    assert found == len(show_levels(Console(quiet=True), cdr, Decimal("0.002")))
