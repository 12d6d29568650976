"""The worked examples of other engines: what they assert or document, this one gives too."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from billing.errors import NoRate
from billing.pricelist import rate_from_dict, rate_to_dict
from billing.rates import RateLookup
from billing.rating import PricedCall
from tests.unit.builders import AT, rate_row

EXAMPLES = json.loads((Path(__file__).parent / "data" / "rating-examples.json").read_text())["examples"]
ANY_MOMENT = "2024-05-06T12:00:00"


PREFIXES = sorted({example["tariff"]["prefix"] for example in EXAMPLES if (example["tariff"] or {}).get("prefix")})


class AllExamples:
    """One tariff with the prefixes of all examples, asked as the ledger is."""

    def rates_for(self, tariff_id, digits):
        return [rate_row(prefix) for prefix in PREFIXES if digits.startswith(prefix)]


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
    """A destination for which no example tariff has a prefix has no rate in a tariff of all of them: denied."""
    denied = False
    try:
        RateLookup(AllExamples()).find(10, 1, example["call"]["destination"], AT)
    except NoRate:
        denied = True
    assert example["expected"]["denied"] is denied


def test_what_the_examples_sell_is_found():
    """The tariff of all the examples is not empty: each one's own prefix has its rate."""
    lookup = RateLookup(AllExamples())
    assert PREFIXES == [lookup.find(10, 1, prefix, AT).prefix for prefix in PREFIXES]


def test_every_example_is_of_a_tested_kind():
    """No example is passed over."""
    assert {"cost", "max_duration", "policy", "deny"} == {example["kind"] for example in EXAMPLES}


@pytest.mark.parametrize("example", [pytest.param(e, id=e["id"]) for e in EXAMPLES if e["tariff"]])
def test_example_survives_its_snapshot(example):
    """The rate that a live call keeps as JSON is the rate it was opened with."""
    rate = rate_from_dict(example["tariff"])
    assert rate == rate_from_dict(json.loads(json.dumps(rate_to_dict(rate))))
