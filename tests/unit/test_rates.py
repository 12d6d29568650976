"""Which rate a number has, and what the cache may and may not remember."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.errors import DestinationBarred, InvalidTariff, NoRate
from billing.rates import RateLookup
from billing.rating import PricedCall
from tests.unit.builders import AT, rate_row


class Source:
    """Rate rows as the ledger gives them, and how often it was asked."""

    def __init__(self, *rows):
        self.rows = rows
        self.asked = []

    def rates_for(self, tariff_id, digits):
        self.asked.append((tariff_id, digits))
        return [row for row in self.rows if digits.startswith(row.prefix)]

    def rates_of(self, tariff_ids, digits):
        self.asked.append((tuple(tariff_ids), digits))
        return [row for row in self.rows if row.tariff_id in tariff_ids and digits.startswith(row.prefix)]


def find(source, digits="4930123", at=AT, version=1):
    return RateLookup(source).find(10, version, digits, at)


def test_longest_prefix_wins():
    """Of all prefixes that begin the number, the longest gives the rate."""
    assert "4930" == find(Source(rate_row(""), rate_row("4930"), rate_row("49"))).prefix


def test_prefix_as_long_as_the_number_fits():
    """A rate for one whole number applies to that number."""
    assert "4930123" == find(Source(rate_row("49"), rate_row("4930123"))).prefix


def test_empty_prefix_fits_every_number():
    """A rate without a prefix is the tariff's default."""
    assert "" == find(Source(rate_row(""))).prefix


def test_number_without_a_rate_is_refused():
    """No prefix fits: NoRate names number and tariff."""
    with pytest.raises(NoRate, match="4930123: no rate in tariff 10"):
        find(Source(rate_row("33")))


def test_barred_prefix_is_refused():
    """The longest prefix bars the call though a shorter one would sell it."""
    with pytest.raises(DestinationBarred, match=r"4930123: prefix 4930 \(to 4930\) is barred"):
        find(Source(rate_row("49"), rate_row("4930", blocked=True)))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-1, "49"), (0, "4930"), (59, "4930"), (60, "49")],
)
def test_rate_is_in_effect_from_its_first_second_to_its_last(seconds, expected):
    """A longer prefix that is not yet, or no longer, in effect leaves the shorter one its place."""
    longer = rate_row("4930", effective_from=AT, effective_to=AT + timedelta(seconds=60))
    assert expected == find(Source(rate_row("49"), longer), at=AT + timedelta(seconds=seconds)).prefix


def test_later_rate_of_a_prefix_replaces_the_earlier_one():
    """Of two rates of one prefix in effect, the one that began last counts."""
    new = rate_row("49", rate_id=2, effective_from=datetime(2024, 1, 1, tzinfo=UTC))
    assert 2 == find(Source(rate_row("49"), new)).rate_id


def test_rate_that_begins_later_is_found_in_the_cache_when_its_time_comes():
    """A rate entered for the future acts at its second, on a node that remembers the number."""
    lookup = RateLookup(Source(rate_row("49"), rate_row("49", rate_id=2, effective_from=AT + timedelta(hours=1))))
    assert [1, 2] == [lookup.find(10, 1, "4930123", AT + timedelta(hours=hour)).rate_id for hour in (0, 1)]


def test_number_is_asked_for_once_a_version():
    """The second call to a number costs no query."""
    source = Source(rate_row("49"))
    lookup = RateLookup(source)
    for _ in range(3):
        lookup.find(10, 1, "4930123", AT)
    assert [(10, "4930123")] == source.asked


def test_number_without_a_rate_is_remembered_too():
    """Guessing at numbers that have no rate costs the database one query a number."""
    source = Source()
    lookup = RateLookup(source)
    for _ in range(2):
        with pytest.raises(NoRate):
            lookup.find(10, 1, "999", AT)
    assert [(10, "999")] == source.asked


def test_change_of_the_tariff_acts_on_the_next_call():
    """A new version of the tariff asks anew: no time has to pass."""
    source = Source(rate_row("49"))
    lookup = RateLookup(source)
    lookup.find(10, 1, "4930123", AT)
    source.rows = (rate_row("49", rate_id=2),)
    assert [1, 2] == [lookup.find(10, version, "4930123", AT).rate_id for version in (1, 2)]


def test_new_price_of_the_same_rate_acts_on_the_next_call():
    """A rate that keeps its id and gets another price is priced anew under the tariff's next version."""
    source = Source(rate_row("49", price=Decimal("0.6")))
    lookup = RateLookup(source)
    lookup.find(10, 1, "4930123", AT)
    source.rows = (rate_row("49", price=Decimal("1.2")),)
    rates = [lookup.find(10, version, "4930123", AT) for version in (1, 2)]
    assert ([1, 1], [Decimal("0.6"), Decimal("1.2")]) == (
        [rate.rate_id for rate in rates],
        [PricedCall(rate, AT).cost(60) for rate in rates],
    )


def test_tariffs_do_not_mix():
    """One number has its own rate in each tariff."""
    source = Source(rate_row("49"))
    lookup = RateLookup(source)
    lookup.find(10, 1, "4930123", AT)
    lookup.find(11, 1, "4930123", AT)
    assert [(10, "4930123"), (11, "4930123")] == source.asked


def test_cache_is_bounded():
    """A scan over many numbers does not fill the memory."""
    source = Source(rate_row("49"))
    lookup = RateLookup(source, size=2)
    for digits in ("491", "492", "493", "491"):
        lookup.find(10, 1, digits, AT)
    assert 4 == len(source.asked)


def test_broken_row_of_a_shorter_prefix_stops_no_call():
    """A schedule that cannot be read spoils its own prefix, not the longer ones beside it."""
    assert "4930" == find(Source(rate_row("", schedule="{"), rate_row("4930"))).prefix


def test_broken_row_is_named():
    """A row that cannot be meant is an error that names rate and prefix."""
    with pytest.raises(InvalidTariff, match=r"rate 1 \(prefix '49'\)"):
        find(Source(rate_row("49", schedule="{")))


def test_several_tariffs_are_asked_for_in_one_question():
    """What is known is not asked for again, under the same version; a tariff without a rate is known, too."""
    source = Source(rate_row("49"), rate_row("4930", tariff_id=11), rate_row("44", tariff_id=12))
    rates = RateLookup(source)
    rates.prepare([(10, 1), (11, 5), (12, 1)], "4930123")
    assert ("49", "4930") == tuple(rates.find(*tariff, "4930123", AT).prefix for tariff in ((10, 1), (11, 5)))
    with pytest.raises(NoRate):
        rates.find(12, 1, "4930123", AT)
    rates.prepare([(10, 1), (12, 1)], "4930123")
    rates.prepare([], "4930123")
    rates.prepare([(10, 2), (11, 5)], "4930123")
    assert [((10, 11, 12), "4930123"), ((10,), "4930123")] == source.asked
