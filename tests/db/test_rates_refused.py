"""Rates that cannot be are refused by name, not by the server's constraints."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from billing.errors import InvalidTariff, LedgerRefused
from billing.pricelist import rate_from_row
from tests.db.bank import Bank, new_key


@pytest.mark.parametrize(
    ("rate", "why"),
    [
        ({"per_s": 0}, "per_s is 1 or more"),
        ({"increment_s": 0}, "increment_s is 1 or more"),
        ({"initial_s": 0}, "initial_s is 1 or more"),
        ({"per_s": 2**31}, "its seconds are at most 2147483647"),
        ({"free_seconds": 31 * 86_400 + 1}, "free_seconds is at most 2678400"),
        ({"free_seconds": None}, "free_seconds is missing"),
        ({"destination": None}, "its destination is missing"),
        ({"blocked": None}, "blocked is TRUE or FALSE"),
        ({"schedule": "nonsense"}, "its schedule is no JSON"),
        ({"max_cost_rule": "never"}, "max_cost_rule is disconnect or free"),
        ({"max_cost": "0.00001"}, "max_cost has more decimals than its tariff"),
        ({"effective_to": datetime(1960, 1, 1, tzinfo=UTC)}, "it would end before it begins"),
    ],
)
def test_a_rate_that_cannot_be_is_refused_by_name(bank: Bank, rate: dict[str, object], why: str) -> None:
    """Each says the prefix and what is wrong."""
    plain: dict[str, object] = {"destination": "nowhere", "price": "0.6"}
    with pytest.raises(LedgerRefused, match=f"^invalid_content: rate of prefix 4999: {why}$"):
        bank.admin.put_rate(bank.tariff, "4999", **(plain | rate))  # type: ignore[arg-type]


SLOT = {"from_s": 0, "rate": "0.6", "per_s": 60, "increment_s": 1}
WINDOW = {"iso_weekdays": [1, 2], "from_time": "08:00", "connect_fee": "0.1", "slots": [SLOT]}
LATER = SLOT | {"from_s": 60}
ROW = {
    "rate_id": 7, "tariff_id": 3, "prefix": "4999", "destination": "x", "connect_fee": Decimal(0), "price": Decimal(0),
    "per_s": 60, "initial_s": None, "increment_s": 1, "free_seconds": 0, "max_cost": None,
    "max_cost_rule": "disconnect", "blocked": 0, "decimals": 4, "rounding": "half_up", "zone": "UTC",
}  # fmt: skip


@pytest.mark.parametrize(
    ("schedule", "why"),
    [
        ("[]", "is no object"),
        ('{"slots": [], "\n": 1}', "is no JSON"),
        (json.dumps({"slots": [SLOT]}).replace("increment", "incremen\\t"), "has a backslash"),
        ("{}", "has neither windows nor slots"),
        ('{"connect_fee": "1"}', "has neither windows nor slots"),
        ('{"slots": [], "slots": []}', "has a key that is unknown or stands twice"),
        ({"slots": [SLOT], "price": "1"}, "has a key that is unknown or stands twice"),
        ({"slots": [SLOT], "windows": [WINDOW]}, "has slots or a connect_fee beside windows"),
        ({"connect_fee": "1", "windows": [WINDOW]}, "has slots or a connect_fee beside windows"),
        ({"slots": [SLOT], "connect_fee": 0.5}, "has a connect_fee that is no amount"),
        ({"slots": [SLOT], "connect_fee": None}, "has a connect_fee that is no amount"),
        ({"windows": {}}, "has no windows"),
        ({"windows": []}, "has no windows"),
        ({"slots": []}, "has no slots"),
        ({"slots": SLOT}, "has no slots"),
        ({"slots": None}, "has no slots"),
        ({"slots": [SLOT, 5]}, r"slots\[1\]: is no object"),
        ({"slots": [{"from_s": 0}]}, r"slots\[0\]: has other keys than from_s, rate, per_s and increment_s"),
        ({"slots": [SLOT | {"x": 1}]}, r"slots\[0\]: has other keys than from_s, rate, per_s and increment_s"),
        ({"slots": [SLOT | {"from_s": "0"}]}, r"slots\[0\]: from_s is no whole number up to 2147483647"),
        ({"slots": [SLOT | {"rate": 0.6}]}, r"slots\[0\]: rate is no amount"),
        ({"slots": [SLOT | {"rate": "-1"}]}, r"slots\[0\]: rate is no amount"),
        ({"slots": [SLOT | {"per_s": 0}]}, r"slots\[0\]: per_s is no whole number from 1 to 2147483647"),
        ({"slots": [SLOT | {"per_s": 2**31}]}, r"slots\[0\]: per_s is no whole number from 1 to 2147483647"),
        ({"slots": [SLOT | {"per_s": True}]}, r"slots\[0\]: per_s is no whole number from 1 to 2147483647"),
        ({"slots": [SLOT | {"increment_s": 0}]}, r"slots\[0\]: increment_s is no whole number from 1 to 2147483647"),
        ({"slots": [SLOT | {"increment_s": 1.0}]}, r"slots\[0\]: increment_s is no whole number from 1 to 2147483647"),
        ({"slots": [LATER]}, r"slots\[0\]: from_s of the first is 0"),
        ({"slots": [SLOT, LATER, LATER]}, r"slots\[2\]: from_s does not come after the one before"),
        ({"windows": [WINDOW, 5]}, r"windows\[1\]: is no object"),
        ({"windows": [WINDOW | {"x": 1}]}, r"windows\[0\]: has a key that is unknown or stands twice"),
        ({"windows": [WINDOW | {"iso_weekdays": []}]}, r"windows\[0\]: iso_weekdays is no list of 1 to 7"),
        ({"windows": [WINDOW | {"iso_weekdays": [0]}]}, r"windows\[0\]: iso_weekdays is no list of 1 to 7"),
        ({"windows": [WINDOW | {"iso_weekdays": [3, 1, 3]}]}, r"windows\[0\]: iso_weekdays has a day twice"),
        ({"windows": [WINDOW | {"from_time": "24:00"}]}, r"windows\[0\]: from_time is no time like 18:00:00"),
        ({"windows": [WINDOW | {"connect_fee": "x"}]}, r"windows\[0\]: connect_fee is no amount"),
        ({"windows": [WINDOW | {"slots": []}]}, r"windows\[0\]: has no slots"),
        ({"windows": [WINDOW | {"slots": [LATER]}]}, r"windows\[0\]: slots\[0\]: from_s of the first is 0"),
        (
            {"windows": [WINDOW, WINDOW | {"iso_weekdays": [7, 2], "from_time": "08:00:00"}]},
            "windows: two begin at 08:00 on weekday 2",
        ),
    ],
)
def test_a_schedule_that_prices_no_call_is_refused(bank: Bank, schedule: object, why: str) -> None:
    """It would be read at the first call, and refuse each. The engine does not take it either; nor does a deck."""
    text = schedule if isinstance(schedule, str) else json.dumps(schedule)
    name = f"tariff {new_key()}"
    tariff = bank.admin.put_tariff(name, "EUR")
    with pytest.raises(LedgerRefused, match=f"^invalid_content: rate of prefix 4999: its schedule {why}$"):
        bank.admin.put_rate(tariff, "4999", "nowhere", schedule=text)
    assert [] == list(bank.admin.rate_pages(tariff))
    with pytest.raises(InvalidTariff):
        rate_from_row(ROW | {"schedule": text})
    key = new_key()
    bank.admin.open_deck(key, name, "test")
    plain = {"number": 1, "prefix": "49", "destination": "x", "price": "1", "effective_from": "2026-06-01 12:00:00"}
    staged = json.dumps([plain, plain | {"number": 2, "prefix": "4999", "schedule": text}])
    told = f"^invalid_content: rate 2 of those given to deck {key}: its schedule {why}$"
    with pytest.raises(LedgerRefused, match=told):
        bank.admin.stage_rates(key, staged)
    bank.admin.discard_deck(key)


@pytest.mark.parametrize(
    "schedule",
    [
        {"slots": [SLOT]},
        {"slots": [SLOT, LATER, LATER | {"from_s": 600, "rate": 1}], "connect_fee": "0.5"},
        {"slots": [SLOT | {"per_s": 2**31 - 1, "increment_s": 2**31 - 1}, LATER | {"from_s": 2**31 - 1}]},
        {"windows": [WINDOW]},
        {"windows": [WINDOW, WINDOW | {"from_time": "18:00:00"}, WINDOW | {"iso_weekdays": [7, 3]}]},
        {"windows": [{"iso_weekdays": [1], "from_time": "00:00", "slots": [SLOT, LATER]}, WINDOW]},
    ],
)
def test_a_schedule_that_the_engine_takes_is_taken(bank: Bank, schedule: object) -> None:
    """Each of the forms."""
    for text in (json.dumps(schedule), json.dumps(schedule, indent=1)):
        rate_from_row(ROW | {"schedule": text})
        bank.admin.put_rate(bank.tariff, "4998", "somewhere", schedule=text)


def test_a_staged_schedule_is_a_text(bank: Bank) -> None:
    """As an object it would be taken for none, and the flat price would be charged; null is none."""
    key, name = new_key(), f"tariff {new_key()}"
    bank.admin.put_tariff(name, "EUR")
    bank.admin.open_deck(key, name, "test")
    rate = {"number": 1, "prefix": "49", "destination": "x", "price": "1", "effective_from": "2026-06-01 12:00:00"}
    told = f"^invalid_content: rate 1 of those given to deck {key}: its schedule is no text$"
    with pytest.raises(LedgerRefused, match=told):
        bank.admin.stage_rates(key, json.dumps([rate | {"schedule": {"slots": [SLOT]}}]))
    assert 1 == bank.admin.stage_rates(key, json.dumps([rate | {"schedule": None}]))
    bank.admin.discard_deck(key)


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
