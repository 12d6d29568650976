"""Rates that cannot be are refused by name, not by the server's constraints."""

from datetime import UTC, datetime

import pytest

from billing.errors import LedgerRefused
from tests.db.bank import Bank


@pytest.mark.parametrize(
    ("rate", "why"),
    [
        ({"per_s": 0}, "per_s is 1 or more"),
        ({"increment_s": 0}, "increment_s is 1 or more"),
        ({"initial_s": 0}, "initial_s is 1 or more"),
        ({"schedule": "nonsense"}, "its schedule is no JSON"),
        ({"max_cost_rule": "never"}, "max_cost_rule is disconnect or free"),
        ({"effective_to": datetime(1960, 1, 1, tzinfo=UTC)}, "it would end before it begins"),
    ],
)
def test_a_rate_that_cannot_be_is_refused_by_name(bank: Bank, rate: dict[str, object], why: str) -> None:
    """Each says the prefix and what is wrong."""
    plain: dict[str, object] = {"price": "0.6"}
    with pytest.raises(LedgerRefused, match=f"^invalid_content: rate of prefix 4999: {why}$"):
        bank.admin.put_rate(bank.tariff, "4999", "nowhere", **(plain | rate))  # type: ignore[arg-type]
