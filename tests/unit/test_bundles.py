"""Minute bundles in the engine: which a call may use, what the ledger is asked, how a grant grows, what is settled."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.authorization import CallAttempt, authorize, quote, refusal_of
from billing.bundles import NEVER, BundlePeriod, bundles_of, offers, usable
from billing.directory import Carrier
from billing.ledger_types import BundleRow
from billing.rating import CALL_S_MAX, PricedCall
from billing.renewal import Renewal, renew
from billing.routes import Router
from billing.settings import CarrierSettings
from billing.settlement import bundle_seconds, charges
from tests.unit.builders import (
    AT,
    CALLS,
    Ledger,
    Rates,
    caller,
    extended,
    leg,
    live_call,
    live_leg,
    opened,
    rate,
    to_settle,
)

ATTEMPT = CallAttempt("01HX0000000000000000000000", "node-1", "alice", "030123", "udp:a:1", "call-1", "from-1")
DAY_S = 86_400
ROUTER = Router([Carrier(1, "first", "192.0.2.1", 5060, "udp", 0, "")], CarrierSettings())


def row(number=1, **more):
    """A prefix of a bundle of account 100 that is in force, 10 minutes a month."""
    values = {
        "account_bundle_id": number,
        "account_id": 100,
        "bundle_name": f"bundle {number}",
        "seconds": 600,
        "period": "month",
        "priority": 0,
        "prefix": "49",
        "excluded": False,
        "starts_at": AT - timedelta(days=1),
        "ends_at": NEVER,
        "counted_from": None,
        "counted_to": None,
        "left_s": 600,
    }
    return BundleRow(**values | more)


def used(*rows, zone="UTC"):
    return [(one.account_bundle_id, one.left_s) for one in usable(leg(zone=zone), rows, AT)]


def period(left_s, number=1):
    return BundlePeriod(number, f"bundle {number}", AT, NEVER, left_s)


def quoted(*legs, rates=None, **left_s):
    """`left_s`: leg0=60 .."""
    bundles = {int(name.removeprefix("leg")): (period(left),) for name, left in left_s.items()}
    return quote(caller(*legs), Rates(*(rates or [rate()] * len(legs))), "4930123", AT, DAY_S, bundles=bundles)


# --- which, and in which order ------------------------------------------------------------------------------


def test_of_several_bundles_the_lowest_priority_is_used_first():
    """Then the one that fits the number more closely, then the one whose seconds lapse first."""
    rows = [
        row(1, priority=1),
        row(2, period="week"),
        row(3, period="day"),
        row(4, prefix="4930"),
        row(5, priority=-1, period="once"),
    ]
    assert [5, 4, 3, 2, 1] == [number for number, _ in used(*rows)]


def test_the_longest_prefix_of_a_bundle_decides():
    """Also that a number is not in it."""
    assert [] == used(row(prefix="49"), row(prefix="4930", excluded=True))
    assert [(1, 600)] == used(row(prefix="49", excluded=True), row(prefix="4930"))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, [(1, 600)]),
        ({"starts_at": AT}, [(1, 600)]),
        ({"starts_at": AT + timedelta(seconds=1)}, []),
        ({"ends_at": AT}, []),
        ({"ends_at": AT + timedelta(seconds=1)}, [(1, 600)]),
    ],
)
def test_a_bundle_counts_from_its_start_to_its_end(more, expected):
    """The rating instant decides; the end is not included."""
    assert expected == used(row(**more))


def test_what_is_left_is_the_counters_if_it_holds_the_instant():
    """A counter of another period says nothing: a new period has all its seconds."""
    now = {"counted_from": AT - timedelta(hours=1), "counted_to": AT + timedelta(hours=1), "left_s": 7}
    assert [(1, 7)] == used(row(**now))
    assert [(1, 600)] == used(row(**{**now, "counted_to": AT}))


def test_the_period_is_that_of_the_accounts_tariff():
    """A new day in Berlin is the evening before in UTC."""
    evening = datetime(2024, 5, 31, 22, 30, tzinfo=UTC)
    (found,) = usable(leg(zone="Europe/Berlin"), [row(starts_at=AT)], evening)
    assert (datetime(2024, 5, 31, 22, tzinfo=UTC), datetime(2024, 6, 30, 22, tzinfo=UTC)) == (
        found.starts_at,
        found.ends_at,
    )


def test_a_period_of_once_is_the_assignment():
    """From its start to its end."""
    (found,) = usable(leg(), [row(period="once")], AT)
    assert (AT - timedelta(days=1), NEVER) == (found.starts_at, found.ends_at)


def test_nobody_with_a_bundle_is_no_question():
    """An account without bundles costs no statement."""
    assert {} == bundles_of(Ledger(), caller(leg(), leg(1)), "4930123", AT)


def test_one_question_for_all_legs():
    """Only those with bundles are asked about, and only those with one for the number come back."""
    ledger = Ledger(bundles_for=[[row(), row(2, account_id=102, excluded=True)]])
    who = caller(leg(has_bundles=True), leg(1), leg(2, has_bundles=True))
    found = bundles_of(ledger, who, "4930123", AT)
    assert [([100, 102], "4930123")] == ledger.asked_for("bundles_for")
    assert {0: [1]} == {number: [one.account_bundle_id for one in periods] for number, periods in found.items()}


@pytest.mark.parametrize("zone", ["Europe/Berln", "Europe", "/etc/passwd"])
def test_a_zone_that_there_is_not_has_no_bundles(zone):
    """A tariff's mistyped zone is told by its rates, which nobody gets either: it is no failure of the node."""
    who = caller(leg(has_bundles=True, zone=zone), leg(1, has_bundles=True))
    ledger = Ledger(bundles_for=[[row(), row(2, account_id=101)]])
    assert [1] == list(bundles_of(ledger, who, "4930123", AT))
    assert [([101], "4930123")] == ledger.asked_for("bundles_for")


# --- quote and request --------------------------------------------------------------------------------------


def test_quote_counts_the_bundle_in():
    """60 s of the bundle, and 30 s for 0.30."""
    assert 90 == quoted(leg(balance="0.3"), leg0=60).max_duration_s


def test_quote_with_a_bundle_and_no_money():
    """The bundle alone, unless there is a connect fee, which is money."""
    assert 60 == quoted(leg(balance="0"), leg0=60).max_duration_s
    found = quoted(leg(balance="0.1"), leg0=60, rates=[rate(fee="0.11")])
    assert (0, "insufficient_balance") == (found.max_duration_s, refusal_of(caller(leg(balance="0.1")), found).token)
    assert 60 == quoted(leg(balance="0.11"), leg0=60, rates=[rate(fee="0.11")]).max_duration_s


def test_a_part_of_an_increment_is_no_cover():
    """59 s of a bundle do not pay for a whole minute, 119 s for one."""
    by_minute = [rate(increment_s=60)]
    assert 0 == quoted(leg(balance="0"), leg0=59, rates=by_minute).max_duration_s
    assert 60 == quoted(leg(balance="0"), leg0=119, rates=by_minute).max_duration_s


def test_every_level_pays_with_its_own():
    """A reseller's bundle does not pay for his customer, nor the other way round."""
    assert 30 == quoted(leg(balance="0.3"), leg(1, balance="0"), leg1=60).max_duration_s
    assert 60 == quoted(leg(balance="0"), leg(1, balance="1"), leg0=60).max_duration_s


def test_what_costs_nothing_uses_no_bundle():
    """A free number is free also with an empty bundle."""
    found = quoted(leg(balance="0"), leg0=60, rates=[rate(price="0")])
    assert ((), DAY_S) == (found.legs[0].bundles, found.max_duration_s)


def test_the_ledger_is_offered_every_coverage_of_every_step():
    """It may find fewer seconds than were seen, and takes as many as there are."""
    ledger = Ledger(open_call=opened(), bundles_for=[[row(left_s=90, counted_from=AT, counted_to=NEVER)]])
    who = caller(leg(balance="100", has_bundles=True))
    authorize(ledger, Rates(rate()), who, "4930123", ATTEMPT, CALLS, ROUTER)
    ((_, request),) = ledger.asked_for("open_call")
    (one,) = request.legs
    assert [1] == [bundle.account_bundle_id for bundle in one.bundles]
    assert len(request.steps) == len(one.offers) == len(one.holds)
    for step, offered, hold in zip(request.steps, one.offers, one.holds, strict=True):
        by_the_second = [(seconds, Decimal(step - seconds) / 100) for seconds in range(step, -1, -1)]
        assert (by_the_second, (0, hold)) == (list(offered), offered[-1])


def test_a_request_without_bundles_is_as_ever():
    """Nothing of them travels."""
    ledger = Ledger(open_call=opened())
    authorize(ledger, Rates(rate()), caller(leg()), "4930123", ATTEMPT, CALLS, ROUTER)
    ((_, request),) = ledger.asked_for("open_call")
    assert ((), ()) == (request.legs[0].bundles, request.legs[0].offers)


def test_offers_of_a_very_long_grant_are_some():
    """The whole coverage, none, and what was seen are among them."""
    price = PricedCall(rate(), AT, CALL_S_MAX)
    found = [seconds for seconds, _ in offers(price, 10_000, 0, 1234)]
    assert {10_000, 1234, 0} <= set(found)
    assert len(found) < 300


# --- renewal ------------------------------------------------------------------------------------------------


def covered_leg(covered_s, left_s, hold="0", available="0", rated=None):
    found = live_leg(hold=hold, available=available, rated=rated)
    return replace(found, covered_s=covered_s, bundle_left_s=left_s)


def test_a_grant_grows_by_bundle_first():
    """All that is left of it is offered, down to what is held."""
    ledger = Ledger(extend_call=extended(240))
    call = live_call(covered_leg(120, 600))
    assert Renewal(240, "") == renew(ledger, call, CALLS)
    ((_, old_s, new_s, holds, offered),) = ledger.asked_for("extend_call")
    assert (120, 240, {0: Decimal("1.2")}) == (old_s, new_s, holds)
    assert [(240, Decimal(0)), (239, Decimal("0.01"))] == list(offered[0][:2])
    assert (120, Decimal("1.2")) == offered[0][-1]


def test_a_grant_goes_on_with_money_when_the_bundle_ends():
    """30 s of the bundle and 20 s for 0.20."""
    ledger = Ledger(extend_call=extended(170))
    assert Renewal(170, "") == renew(ledger, live_call(covered_leg(120, 30, available="0.2")), CALLS)
    ((_, _, new_s, _, offered),) = ledger.asked_for("extend_call")
    assert 170 == new_s
    assert (150, Decimal("0.2")) in offered[0]


def test_covered_seconds_are_fixed_once_money_is_held():
    """Also when the bundle has seconds again."""
    ledger = Ledger(extend_call=extended(240))
    call = live_call(covered_leg(60, 600, hold="0.6", available="10"))
    assert Renewal(240, "") == renew(ledger, call, CALLS)
    assert [("01HX0000000000000000000000", 120, 240, {0: Decimal("1.8")})] == ledger.asked_for("extend_call")


def test_covered_seconds_are_fixed_while_money_is_held_for_the_smallest_charge():
    """A free call's hold is that of its first charged second, which the bundle did not reach."""
    free = rate(increment_s=60, free_seconds=200)
    ledger = Ledger(extend_call=extended(240))
    call = live_call(covered_leg(180, 600, hold="0.6", available="10", rated=free))
    renew(ledger, call, CALLS)
    assert 4 == len(ledger.asked_for("extend_call")[0])


def test_no_bundle_and_no_money_is_no_renewal():
    """The call ends with its grant; it is tried again until then."""
    assert Renewal(120, "insufficient_balance") == renew(Ledger(), live_call(covered_leg(120, 0)), CALLS)


def test_seconds_that_somebody_took_meanwhile_are_looked_for_again():
    """The ledger refuses for money: what is left now is tried."""
    fewer = live_call(covered_leg(120, 10))
    ledger = Ledger(extend_call=[extended(120, "insufficient_balance", 0, leg0="0"), extended(130)], live_call=fewer)
    assert Renewal(130, "") == renew(ledger, live_call(covered_leg(120, 600)), CALLS)
    assert [240, 130] == [asked[2] for asked in ledger.asked_for("extend_call")]


# --- settlement ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("talked_s", "charge", "seconds"),
    [(0, "0", 0), (1, "0.1", 60), (60, "0.1", 60), (61, "0.7", 60), (119, "0.7", 60)],
)
def test_talk_beyond_the_bundle_is_charged(talked_s, charge, seconds):
    """Whole increments of the bundle, then money; the fee is money; no talk uses nothing."""
    call = to_settle(rate(increment_s=60, fee="0.1"))
    call = replace(call, legs=(replace(call.legs[0], covered_s=60),))
    assert ({0: Decimal(charge)}, {0: seconds}) == (charges(call, talked_s), bundle_seconds(call, talked_s))


def test_a_leg_without_bundle_says_nothing_of_it():
    """Only what is held is settled."""
    assert {} == bundle_seconds(to_settle(), 60)


def test_free_seconds_use_no_bundle():
    """A call no longer than these costs nothing at all."""
    call = to_settle(rate(free_seconds=10))
    call = replace(call, legs=(replace(call.legs[0], covered_s=60),))
    assert [{0: 0}, {0: 11}] == [bundle_seconds(call, 10), bundle_seconds(call, 11)]
