"""Rates that cannot be are refused by name, not by the server's constraints."""

from datetime import UTC, datetime

import pytest

from billing.errors import LedgerRefused
from tests.db.bank import Bank, new_key


@pytest.mark.parametrize(
    ("rate", "why"),
    [
        ({"per_s": 0}, "per_s is 1 or more"),
        ({"increment_s": 0}, "increment_s is 1 or more"),
        ({"initial_s": 0}, "initial_s is 1 or more"),
        ({"schedule": "nonsense"}, "its schedule is no JSON"),
        ({"max_cost_rule": "never"}, "max_cost_rule is disconnect or free"),
        ({"max_cost": "0.00001"}, "max_cost has more decimals than its tariff"),
        ({"effective_to": datetime(1960, 1, 1, tzinfo=UTC)}, "it would end before it begins"),
    ],
)
def test_a_rate_that_cannot_be_is_refused_by_name(bank: Bank, rate: dict[str, object], why: str) -> None:
    """Each says the prefix and what is wrong."""
    plain: dict[str, object] = {"price": "0.6"}
    with pytest.raises(LedgerRefused, match=f"^invalid_content: rate of prefix 4999: {why}$"):
        bank.admin.put_rate(bank.tariff, "4999", "nowhere", **(plain | rate))  # type: ignore[arg-type]


def test_a_tariff_keeps_the_decimals_that_a_highest_cost_needs(bank: Bank) -> None:
    """However it is changed: with fewer, every call to that prefix would be refused."""
    name = f"tariff {new_key()}"
    tariff = bank.admin.put_tariff(name, "EUR", decimals=4)
    bank.admin.put_rate(tariff, "49", "Germany", price="0.6", max_cost="0.1234")
    told = f"^invalid_content: tariff {name} cannot have 2 decimals: max_cost of prefix 49 has more$"
    for change in (
        lambda: bank.admin.put_tariff(name, "EUR", decimals=2), lambda: bank.admin.set_tariff(name, decimals=2),
    ):  # fmt: skip
        with pytest.raises(LedgerRefused, match=told):
            change()
    assert [4] == [one.decimals for one in bank.admin.tariffs() if one.name == name]
