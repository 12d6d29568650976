"""What the ledger's records work out of their own fields."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from billing.ledger_types import Cdr, CdrLeg
from cli.cdrs import _rows

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LEG = CdrLeg(0, 1, "Acme", "EUR", 1, 1, "Germany", "{}", Decimal("1.20"), Decimal("0.60"), Decimal("9.40"))
TOP = replace(LEG, leg=1, account_id=2, account_name="Northwind", charge=Decimal("0.30"))
CDR = Cdr(
    "01M8", "node1", 1, "Acme", None, None, "4930999001", "493012345678", "493012345678", "127.0.0.20:5060", "a@b",
    1, "carrier", AT, AT, AT, AT, 120, 60_000, 60, "answered", "", "caller", 200, False, AT, (LEG, TOP),
    carrier_currency="EUR", carrier_cost=Decimal("0.12"),
)  # fmt: skip


@pytest.mark.parametrize(("corrected", "margin"), [(None, "0.18"), ("0.15", "0.03"), ("0", "-0.12")])
def test_a_margin_is_what_the_last_leg_comes_to_less_the_cost(corrected, margin):
    """After a re-rating, too, as v_margin has it; a correction of the leg below is nothing to the vendor."""
    top = replace(TOP, corrected_charge=corrected and Decimal(corrected))
    below = replace(LEG, corrected_charge=Decimal(9))
    assert Decimal(margin) == replace(CDR, legs=(below, top)).margin


def test_a_corrected_charge_is_shown_with_the_first():
    """So that charge, cost and margin of a line go together."""
    cdr = replace(CDR, legs=(LEG, replace(TOP, corrected_charge=Decimal("0.15"))))
    first, second = _rows(cdr)
    assert ("0.60", "0.12", "0.03") == (first[10], first[13], first[14])
    assert "0.15 (first 0.30)" == second[10]
