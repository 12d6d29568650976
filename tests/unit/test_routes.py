"""Which carriers a call may take: coverage, order by cost, priority and weight, and the guard against loss."""

import random
from collections import Counter
from datetime import time, timedelta
from decimal import Decimal

import pytest

from billing.directory import Carrier
from billing.errors import DestinationBarred, NoRate, Refused
from billing.pricelist import rate_from_json
from billing.rating import PricedCall, Rate, Rounding, Window, short_form
from billing.routes import Retail, Router
from billing.settings import CarrierSettings
from tests.unit.builders import AT, leg, rate

DAY_S = 86_400


def carrier(number, tariff=None, **more):
    """Carrier 1, 2..; `tariff`: its number is the key of the prices below."""
    values = {"priority": 0, "currency": "EUR" if tariff else "", "tariff_id": tariff} | more
    return Carrier(
        number, f"carrier {number}", f"192.0.2.{number}", 5060, "udp", values.pop("priority"), "", **values
    )


class Prices:
    """A rate (or an error) for each tariff."""

    def __init__(self, **rates):
        self.rates = {int(name.removeprefix("t")): one for name, one in rates.items()}
        self.asked = []

    def prepare(self, tariffs, digits):
        self.prepared = list(tariffs)

    def find(self, tariff_id, version, digits, at):
        self.asked.append((tariff_id, version, digits, at))
        found = self.rates[tariff_id]
        if isinstance(found, Exception):
            raise found
        return found


def routes(
    carriers, prices=None, *, retail="0.60", grant_s=120, own=None, seed=1, at=AT, cap_s=DAY_S, **settings
):
    top = Retail(own or leg(), PricedCall(retail if not isinstance(retail, str) else rate(retail), at, cap_s))
    router = Router(carriers, CarrierSettings(**settings), random.Random(seed).randrange)
    return router.find(top, prices or Prices(), "4930123", at, cap_s, grant_s)


def names(found):
    return [route.carrier.carrier_id for route in found.routes]


def refusal(*arguments, **more):
    with pytest.raises(Refused) as refused:
        routes(*arguments, **more)
    assert "no_carrier" == refused.value.token
    return refused.value.detail


# --- coverage ---------------------------------------------------------------------------------------------------------


def test_a_carrier_takes_what_its_tariff_has_a_rate_for():
    """No rate, a barred one, and one at no such time: somebody else's call."""
    prices = Prices(t1=NoRate("none"), t2=DestinationBarred("barred"), t3=rate("0.10"))
    assert [3] == names(routes([carrier(1, 1), carrier(2, 2), carrier(3, 3, tariff_version=7)], prices))
    assert (3, 7, "4930123", AT) == prices.asked[-1]
    assert [(1, 0), (2, 0), (3, 7)] == prices.prepared


@pytest.mark.parametrize(("prefixes", "taken"), [((), True), (("49",), True), (("43", "4930"), True), (("43",), False)])
@pytest.mark.parametrize("tariff", [None, 1])
def test_prefixes_narrow_it(prefixes, taken, tariff):
    """Without a tariff they are all that is known; with one, both must fit."""
    carriers = [carrier(1, tariff, prefixes=prefixes), carrier(2, priority=9)]
    assert taken == (1 in names(routes(carriers, Prices(t1=rate("0.10")))))


def test_nobody_takes_it():
    """The caller is refused before money is held, and the CDR says why."""
    assert "none of 1 carriers takes 4930123" == refusal([carrier(1, prefixes=("43",))])
    assert "none of 0 carriers takes 4930123" == refusal([])


# --- order ------------------------------------------------------------------------------------------------------------

CHEAP, DEAR = rate("0.10"), rate("0.20")


def test_by_cost():
    """The cheaper first, whatever the priority; whose cost is not known comes last, in the order of priority."""
    carriers = [carrier(1, 1), carrier(2, 2, priority=5), carrier(3, priority=2), carrier(4, priority=1)]
    assert [2, 1, 4, 3] == names(routes(carriers, Prices(t1=DEAR, t2=CHEAP)))


@pytest.mark.parametrize(("reference_s", "first"), [(30, 2), (60, 1), (180, 1)])
def test_by_cost_of_the_reference_call(reference_s, first):
    """0.12 a minute, paid whole, against 0.15 by the second: 30 s cost 0.12 and 0.075."""
    prices = Prices(t1=rate("0.12", initial_s=60, increment_s=60), t2=rate("0.15"))
    found = routes([carrier(1, 1), carrier(2, 2)], prices, reference_s=reference_s, grant_s=60)
    assert first == names(found)[0]


def mondays(price):
    """What is sold until midnight only."""
    window = Window(frozenset({1}), time(0), Decimal(0), short_form(Decimal(price)))
    return Rate("49", "Germany", (window,), rounding=Rounding(decimals=6))


@pytest.mark.parametrize(
    ("price", "left_s", "order"), [("0.20", 30, [2, 1]), ("0.05", 180, [1, 2]), ("0.05", 179, [2, 1])]
)
def test_by_cost_of_calls_of_one_length(price, left_s, order):
    """Who sells no more than a part of the reference call does not look cheap for it: he comes last."""
    prices = Prices(t1=mondays(price), t2=CHEAP)
    midnight = AT.replace(hour=0, minute=0) + timedelta(days=1)
    found = routes([carrier(1, 1), carrier(2, 2)], prices, at=midnight - timedelta(seconds=left_s))
    assert order == names(found)


def test_no_call_is_as_long_as_the_reference():
    """What the longest call costs is known, and compared."""
    assert [2, 1] == names(routes([carrier(1, 1), carrier(2, 2)], Prices(t1=DEAR, t2=CHEAP), cap_s=60, grant_s=60))


def test_equal_costs_are_ordered_by_priority():
    """Then comes who is preferred."""
    carriers = [carrier(1, 1, priority=2), carrier(2, 2, priority=1)]
    assert [2, 1] == names(routes(carriers, Prices(t1=CHEAP, t2=rate("0.10"))))


def test_by_priority():
    """Cost does not count."""
    carriers = [carrier(1, 1, priority=2), carrier(2, 2, priority=1)]
    assert [2, 1] == names(routes(carriers, Prices(t1=CHEAP, t2=DEAR), order="priority"))


@pytest.mark.parametrize("order", ["cost", "priority", "weight"])
def test_equals_share_by_weight(order):
    """Three of four calls go to the one with weight 3; 0 comes after all others."""
    carriers = [carrier(1, weight=3), carrier(2, weight=1), carrier(3, weight=0)]
    found = [names(routes(carriers, order=order, seed=seed)) for seed in range(400)]
    first = Counter(one[0] for one in found)
    assert 250 < first[1] < 350
    assert (400 - first[1], 0) == (first[2], first[3])
    assert {3} == {one[-1] for one in found}


def test_by_weight_priority_does_not_count():
    """Whoever wants shares over all."""
    carriers = [carrier(1, priority=9), carrier(2)]
    assert {1, 2} == {names(routes(carriers, order="weight", seed=seed))[0] for seed in range(20)}


def test_the_account_may_have_an_order_of_its_own():
    """Its own, or its tariff's, before the setting."""
    carriers = [carrier(1, 1, priority=2), carrier(2, 2, priority=1)]
    prices = Prices(t1=CHEAP, t2=DEAR)
    assert [2, 1] == names(routes(carriers, prices, own=leg(carrier_order="priority")))


# --- loss -------------------------------------------------------------------------------------------------------------


def test_a_carrier_that_asks_more_than_the_call_brings_is_not_taken():
    """Equal is not more."""
    prices = Prices(t1=rate("0.61"), t2=rate("0.60"))
    assert [2] == names(routes([carrier(1, 1), carrier(2, 2)], prices))
    detail = refusal([carrier(1, 1)], prices)
    assert "costs more than account account 0 pays: carrier 1" == detail


@pytest.mark.parametrize(("grant_s", "taken"), [(10, False), (60, True), (120, True)])
def test_the_grant_is_compared_exactly(grant_s, taken):
    """A minute paid whole costs 0.30; by the second 10 s bring 0.10, and 60 s 0.60."""
    prices = Prices(t1=rate("0.30", initial_s=60, increment_s=60))
    carriers = [carrier(1, 1), carrier(2, priority=5)]
    assert taken == (1 in names(routes(carriers, prices, grant_s=grant_s)))


def test_a_shorter_grant_than_was_asked_for_is_compared_again():
    """The ledger may have money for 10 s only."""
    found = routes([carrier(1, 1)], Prices(t1=rate("0.30", initial_s=60, increment_s=60)))
    assert ([1], []) == ([one.carrier.carrier_id for one in found.for_grant(60)], list(found.for_grant(10)))


def test_the_reference_call_is_compared_too():
    """Dear from the third minute on."""
    late = {"free_seconds": 150}
    prices = Prices(t1=rate("0.70", **late))
    assert "costs more" in refusal([carrier(1, 1)], prices)
    assert [1] == names(routes([carrier(1, 1)], prices, reference_s=60))


def test_a_loss_may_be_allowed():
    """For the account or its tariff; the grant is not compared either."""
    found = routes([carrier(1, 1)], Prices(t1=rate("9")), own=leg(loss_allowed=1))
    assert ([1], 1) == (names(found), len(found.for_grant(1)))


def test_another_currency_counts_as_dearer_unless_a_loss_is_allowed():
    """Nobody knows what it comes to."""
    prices, carriers = Prices(t1=rate("0.01")), [carrier(1, 1, currency="USD")]
    assert "costs more" in refusal(carriers, prices)
    assert [1] == names(routes(carriers, prices, own=leg(loss_allowed=1)))


# --- what is kept with the call ---------------------------------------------------------------------------------------


def test_the_rates_travel_with_the_call():
    """Those of carriers with a tariff, whole."""
    kept = routes([carrier(1, 1), carrier(2)], Prices(t1=CHEAP)).rates()
    assert ({1}, 1, "EUR") == (set(kept), kept[1].tariff_id, kept[1].currency)
    assert Decimal("0.30") == PricedCall(rate_from_json(kept[1].rate_json), AT, DAY_S).cost(180)


def test_without_tariffs_nothing_is_kept():
    """Such a call costs the ledger what it always did."""
    assert {} == routes([carrier(1), carrier(2)]).rates()
