"""The worked examples of other engines: what they assert or document, this one gives too."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from billing.pricelist import rate_from_dict, rate_to_dict
from billing.rating import PricedCall

EXAMPLES = json.loads((Path(__file__).parent / "data" / "rating-examples.json").read_text())["examples"]
ANY_MOMENT = "2024-05-06T12:00:00"


def examples(kind):
    return [pytest.param(example, id=example["id"]) for example in EXAMPLES if example["kind"] == kind]


def priced(example):
    call = example.get("call") or {}
    start = datetime.fromisoformat(call.get("start_utc") or ANY_MOMENT).replace(tzinfo=UTC)
    return PricedCall(rate_from_dict(example["tariff"]), start)


@pytest.mark.parametrize("example", examples("cost"))
def test_cost(example):
    """A call of the example's duration costs what the example says."""
    assert Decimal(example["expected"]["cost"]) == priced(example).cost(example["call"]["duration_s"])


@pytest.mark.parametrize("example", examples("max_duration"))
def test_max_duration(example):
    """The example's balance lasts as long as the example says, to the second."""
    expected = example["expected"]
    expected_s = expected.get("max_duration_s") or expected["max_duration_min"] * 60
    assert expected_s == priced(example).max_duration(Decimal(example["balance"]))


@pytest.mark.parametrize("example", examples("policy"))
def test_policy(example):
    """A balance below the initial block lasts no second and is less than the smallest charge: denied."""
    call, balance = priced(example), Decimal(example["balance"])
    assert example["expected"]["denied"] is (call.max_duration(balance) == 0 and balance < call.smallest_charge)


@pytest.mark.parametrize("example", examples("deny"))
def test_deny(example):
    """A destination for which no example tariff has a prefix has no rate, so there is nothing to price."""
    prefixes = [other["tariff"].get("prefix") for other in EXAMPLES if other["tariff"]]
    dialled = example["call"]["destination"]
    found = [prefix for prefix in prefixes if prefix and dialled.startswith(prefix)]
    assert example["expected"]["denied"] is (example["tariff"] is None and found == [])


def test_every_example_is_of_a_tested_kind():
    """No example is passed over."""
    assert {"cost", "max_duration", "policy", "deny"} == {example["kind"] for example in EXAMPLES}


@pytest.mark.parametrize("example", [pytest.param(e, id=e["id"]) for e in EXAMPLES if e["tariff"]])
def test_example_survives_its_snapshot(example):
    """The rate that a live call keeps as JSON is the rate it was opened with."""
    rate = rate_from_dict(example["tariff"])
    assert rate == rate_from_dict(json.loads(json.dumps(rate_to_dict(rate))))
