"""Minute bundles on the real ledger: used before money, a prefix of the call, and never a second twice."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest

from billing import facts, settlement
from billing.authorization import CallAttempt, authorize, quote
from billing.bundles import bundles_of
from billing.directory import Carrier
from billing.errors import LedgerRefused, Refused
from billing.ledger import Ledger
from billing.ledger_types import AccountBundle, CdrLeg, ExtendAnswer, LiveCall, OpenAnswer, OpenRequest
from billing.rates import RateLookup
from billing.renewal import Renewal, renew
from billing.routes import Router
from billing.settings import CallSettings, CarrierSettings
from tests.db.bank import Bank, new_key, refused
from tests.db.bank import settlement as settlement_of

DIGITS = "4930123456"
CALLS = CallSettings(grant_s=60, renew_lead_s=10, shorter_grants_s=(30, 10, 1))
SECOND = Decimal("0.01")
ROUTER = Router([Carrier(1, "first", "192.0.2.1", 5060, "udp", 0, "")], CarrierSettings())
NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Desk:
    """Accounts at a price by the second, with bundles; and their calls, by the engine and the ledger."""

    bank: Bank

    def account(self, balance: str = "0", parent: int | None = None, zone: str = "UTC", **rate: object) -> int:
        """A cent a second unless told otherwise."""
        tariff = self.bank.admin.put_tariff(f"tariff {new_key()}", "EUR", zone=zone, owner_account_id=parent)
        self.bank.admin.put_rate(tariff, "49", "Germany", **({"price": "0.6"} | rate))  # type: ignore[arg-type]
        kind = "card" if parent else "reseller"
        return self.bank.account(balance, parent, kind, tariff_id=tariff)

    def name(self, account_id: int) -> str:
        return str(self.bank.sql("SELECT name FROM account WHERE id = %s", account_id)[0]["name"])

    def bundle(
        self, account_id: int, seconds: int, period: str = "month", prefixes: str = "49", priority: int = 0,
        since: datetime = NOON - timedelta(days=700), until: datetime | None = None,
    ) -> str:  # fmt: skip
        """A bundle of the account's seller, given to it; its name."""
        (row,) = self.bank.sql("SELECT parent_id FROM account WHERE id = %s", account_id)
        owner = None if row["parent_id"] is None else self.name(row["parent_id"])
        name = f"bundle {new_key()}"
        self.bank.admin.add_bundle(name, seconds, period, prefixes, owner=owner, priority=priority)
        self.bank.admin.assign_bundle(self.name(account_id), name, since, until)
        return name

    def start(self, account_id: int, at: datetime | None = None, ledger: Ledger | None = None) -> Started:
        """A call of the account, authorized as a node does; Refused if it may not start."""
        asked = ledger or self.bank.proxy
        caller = asked.identify_account(account_id)
        assert caller is not None
        if at is not None:
            caller = replace(caller, now=at)
        attempt = CallAttempt(new_key(), "node1", "4930111", "03012345", "192.0.2.1:5060", "a@example", "from")
        done = authorize(asked, RateLookup(asked), caller, DIGITS, attempt, CALLS, ROUTER)
        return Started(attempt.call_key, done.grant_s, done.answer)

    def live(self, key: str, ledger: Ledger | None = None) -> LiveCall:
        call = (ledger or self.bank.proxy).live_call(key)
        assert call is not None
        return call

    def renew(self, key: str, ledger: Ledger | None = None, grant_s: int = 60) -> Renewal:
        asked = ledger or self.bank.proxy
        settings = CALLS if grant_s == 60 else CallSettings(grant_s=grant_s, renew_lead_s=1, shorter_grants_s=())
        return renew(asked, self.live(key, asked), settings)

    def end(self, key: str, talked_s: int, ledger: Ledger | None = None) -> str:
        """The call ends after so long, as the drain tells it."""
        asked = ledger or self.bank.proxy
        if not talked_s:
            return settlement.apply(asked, facts.failed(key, "cancelled", 487, None))
        return settlement.apply(asked, facts.ended(key, talked_s * 1000, "caller", None))

    def legs(self, key: str) -> list[CdrLeg]:
        (cdr,) = self.bank.cashier.cdrs(call_key=key)
        return list(cdr.legs)

    def charged(self, key: str) -> list[tuple[int, Decimal]]:
        """Bundle seconds and money of each leg."""
        return [(leg.bundle_s, leg.charge) for leg in self.legs(key)]

    def covered(self, key: str) -> list[tuple[int, Decimal]]:
        """Bundle seconds and money that each leg of a live call holds."""
        return [(leg.covered_s, leg.hold) for leg in self.live(key).legs]

    def counters(self, account_id: int) -> list[tuple[int, int, int]]:
        """Granted, used, held of each period of each bundle of the account, in the order of their making."""
        rows = self.bank.sql(
            "SELECT granted_s, used_s, held_s FROM bundle_period JOIN account_bundle ON id = account_bundle_id"
            " WHERE account_id = %s ORDER BY account_bundle_id, bundle_period.starts_at",
            account_id,
        )
        return [(row["granted_s"], row["used_s"], row["held_s"]) for row in rows]

    def shown(self, account_id: int) -> AccountBundle:
        (one,) = self.bank.cashier.bundles(account=self.name(account_id))
        return one


@dataclass(frozen=True)
class Started:
    key: str
    grant_s: int
    answer: OpenAnswer


@pytest.fixture
def desk(bank: Bank) -> Desk:
    return Desk(bank)


# --- one call -------------------------------------------------------------------------------------------------------


def test_a_call_is_paid_by_its_bundle(desk: Desk) -> None:
    """The seconds are held while it lasts, what was not talked comes back, and no money moves."""
    account = desk.account()
    desk.bundle(account, 100)

    call = desk.start(account)
    assert (60, [(60, Decimal(0))], [(100, 0, 60)]) == (call.grant_s, desk.covered(call.key), desk.counters(account))
    assert "settled" == desk.end(call.key, 42)

    assert [(42, Decimal(0))] == desk.charged(call.key)
    assert [(100, 42, 0)] == desk.counters(account)
    shown = desk.shown(account)
    assert (58, 42, 0) == (shown.left_s, shown.used_s, shown.held_s)
    assert [] == desk.bank.cashier.entries(account_id=account)


def test_a_call_begins_with_the_bundle_and_goes_on_with_money(desk: Desk) -> None:
    """100 s of bundle, then 50 s for 0.50, and not a second more."""
    account = desk.account("0.50")
    desk.bundle(account, 100)

    call = desk.start(account)
    assert [(120, ""), (150, "")] == [(one.grant_s, one.token) for one in (desk.renew(call.key), desk.renew(call.key))]
    assert [(100, Decimal("0.50"))] == desk.covered(call.key)
    assert Renewal(150, "insufficient_balance") == desk.renew(call.key)
    desk.end(call.key, 150)

    assert [(100, Decimal("0.50"))] == desk.charged(call.key)
    assert ([(100, 100, 0)], Decimal(0)) == (desk.counters(account), desk.bank.available(account))


def test_the_fee_is_money(desk: Desk) -> None:
    """A bundle without money for the fee opens nothing; with it, it pays for the time."""
    account = desk.account(connect_fee="0.10")
    desk.bundle(account, 100)
    with pytest.raises(Refused, match="insufficient_balance"):
        desk.start(account)
    desk.bank.cashier.top_up(new_key(), account, "0.10", "ann")

    call = desk.start(account)
    desk.end(call.key, 30)

    assert [(30, Decimal("0.10"))] == desk.charged(call.key)


def test_no_increment_is_paid_half(desk: Desk) -> None:
    """At 60/60 a bundle of 100 s pays for one minute; 40 s stay."""
    account = desk.account("0.60", increment_s=60)
    desk.bundle(account, 100)

    call = desk.start(account)
    assert Renewal(120, "") == desk.renew(call.key)
    desk.end(call.key, 61)

    assert [(60, Decimal("0.60"))] == desk.charged(call.key)
    assert [(100, 60, 0)] == desk.counters(account)


def test_a_call_that_nobody_answers_uses_nothing(desk: Desk) -> None:
    """All of it comes back."""
    account = desk.account("1")
    desk.bundle(account, 20)
    call = desk.start(account)
    assert [(20, Decimal("0.40"))] == desk.covered(call.key)

    desk.end(call.key, 0)

    assert [(0, Decimal(0))] == desk.charged(call.key)
    assert [(20, 0, 0)] == desk.counters(account)


def test_covered_seconds_are_fixed_once_money_is_held(desk: Desk) -> None:
    """Another call gives its seconds back: they are for the next call, not for the one that went on with money."""
    account = desk.account("10")
    desk.bundle(account, 80)
    first, second = desk.start(account), desk.start(account)
    assert [[(60, Decimal(0))], [(20, Decimal("0.40"))]] == [desk.covered(one.key) for one in (first, second)]

    desk.end(first.key, 1)
    assert Renewal(120, "") == desk.renew(second.key)
    assert [(20, Decimal("1.00"))] == desk.covered(second.key)
    desk.end(second.key, 120)

    assert [[(1, Decimal(0))], [(20, Decimal("1.00"))]] == [desk.charged(one.key) for one in (first, second)]
    assert [(80, 21, 0)] == desk.counters(account)


def test_the_ledger_itself_keeps_covered_seconds_fixed(desk: Desk) -> None:
    """Whatever a node offers: more bundle seconds for a call that holds money for a later one are not given."""
    account = desk.account("10")
    desk.bundle(account, 80)
    first, second = desk.start(account), desk.start(account)
    desk.end(first.key, 1)
    wanted = {0: [(79, Decimal("0.41")), (20, Decimal("1.00"))]}

    answer = desk.bank.proxy.extend_call(second.key, 60, 120, {0: Decimal("1.00")}, wanted)

    assert ("extended", [(20, Decimal("1.00"))]) == (answer.outcome, desk.covered(second.key))
    desk.end(second.key, 0)


def test_a_renewal_takes_what_came_back_while_the_call_is_all_bundle(desk: Desk) -> None:
    """No money is held for a later second, so nothing is fixed."""
    account = desk.account()
    desk.bundle(account, 80)
    first, second = desk.start(account), desk.start(account)
    assert 20 == second.grant_s
    assert Renewal(20, "insufficient_balance") == desk.renew(second.key)

    desk.end(first.key, 10)
    assert Renewal(70, "") == desk.renew(second.key)
    desk.end(second.key, 70)

    assert [(80, 80, 0)] == desk.counters(account)


# --- several bundles, several legs ------------------------------------------------------------------------------------


def test_several_bundles_are_used_in_their_order(desk: Desk) -> None:
    """By priority; the later ones wait until the earlier are used up, within one call."""
    account = desk.account("1")
    names = [desk.bundle(account, seconds, priority=priority) for seconds, priority in ((40, 2), (30, 1), (20, 3))]

    call = desk.start(account)
    assert Renewal(120, "") == desk.renew(call.key)
    assert [(90, Decimal("0.30"))] == desk.covered(call.key)
    desk.end(call.key, 75)

    used = {row["bundle_name"]: row["used_s"] for row in desk.bank.sql(
        "SELECT bundle_name, used_s FROM v_cdr_bundle WHERE call_key = %s ORDER BY place", call.key)}  # fmt: skip
    assert {names[1]: 30, names[0]: 40, names[2]: 5} == used
    assert [(75, Decimal(0))] == desk.charged(call.key)


def test_each_leg_has_bundles_of_its_own(desk: Desk) -> None:
    """A reseller bought minutes from the vendor; his customer has some of the reseller's; each pays for its own leg."""
    reseller = desk.account("5", price="0.3")
    customer = desk.account("5", reseller)
    desk.bundle(reseller, 25)
    desk.bundle(customer, 40)

    call = desk.start(customer)
    assert [(40, Decimal("0.20")), (25, Decimal("0.175"))] == desk.covered(call.key)
    desk.end(call.key, 30)

    assert [(30, Decimal(0)), (25, Decimal("0.025"))] == desk.charged(call.key)
    assert ([(40, 30, 0)], [(25, 25, 0)]) == (desk.counters(customer), desk.counters(reseller))


def test_a_number_that_the_bundle_excludes_is_paid_with_money(desk: Desk) -> None:
    """The longest prefix decides."""
    account = desk.account("5")
    desk.bundle(account, 600, prefixes="49,!4930")

    call = desk.start(account)
    desk.end(call.key, 10)

    assert [(0, Decimal("0.10"))] == desk.charged(call.key)


def test_a_quote_counts_the_bundle_in(desk: Desk) -> None:
    """What a caller is told: bundle and money together."""
    account = desk.account("0.30")
    desk.bundle(account, 45)
    caller = desk.bank.proxy.identify_account(account)
    assert caller is not None
    bundles = bundles_of(desk.bank.proxy, caller, DIGITS, NOON)

    assert 75 == quote(caller, RateLookup(desk.bank.proxy), DIGITS, NOON, 3600, bundles=bundles).max_duration_s


# --- periods ----------------------------------------------------------------------------------------------------------


def test_a_call_takes_its_seconds_from_the_period_of_its_rating_instant(desk: Desk) -> None:
    """Midnight in Berlin is 23:00 UTC in March, and what was left of the day before is gone."""
    account = desk.account(zone="Europe/Berlin")
    desk.bundle(account, 50, "day")
    before = desk.start(account, datetime(2026, 3, 14, 22, 59, 59, tzinfo=UTC))
    after = desk.start(account, datetime(2026, 3, 14, 23, 0, tzinfo=UTC))

    assert [50, 50] == [before.grant_s, after.grant_s]
    desk.end(before.key, 20)
    late = desk.start(account, datetime(2026, 3, 14, 22, 59, 58, tzinfo=UTC))
    assert 30 == late.grant_s
    desk.end(after.key, 50)
    desk.end(late.key, 1)

    assert [(50, 21, 0), (50, 50, 0)] == desk.counters(account)


@pytest.mark.parametrize(
    ("period", "last", "first"),
    [
        ("week", datetime(2026, 3, 29, 21, 59, 59, tzinfo=UTC), datetime(2026, 3, 29, 22, 0, tzinfo=UTC)),
        ("month", datetime(2026, 10, 31, 22, 59, 59, tzinfo=UTC), datetime(2026, 10, 31, 23, 0, tzinfo=UTC)),
    ],
)
def test_weeks_and_months_follow_the_wall_clock(desk: Desk, period: str, last: datetime, first: datetime) -> None:
    """A week ends on Sunday, here the one on which the clocks change, a month with its last day."""
    account = desk.account(zone="Europe/Berlin")
    desk.bundle(account, 50, period)
    calls = [desk.start(account, at) for at in (last, first)]
    assert [50, 50] == [call.grant_s for call in calls]
    for call in calls:
        desk.end(call.key, 50)
    with pytest.raises(Refused, match="insufficient_balance"):
        desk.start(account, first + timedelta(days=6))


def test_a_bundle_of_once_lasts_as_long_as_it_was_given(desk: Desk) -> None:
    """No period brings it back."""
    account = desk.account()
    begin, end = (datetime.now(UTC).replace(microsecond=0) + timedelta(days=days) for days in (-60, 60))
    desk.bundle(account, 50, "once", since=begin, until=end)
    desk.end(desk.start(account, begin).key, 30)
    last = desk.start(account, end - timedelta(seconds=1))
    assert 20 == last.grant_s
    desk.end(last.key, 20)
    for at in (begin - timedelta(seconds=1), begin, end):
        with pytest.raises(Refused, match="insufficient_balance"):
            desk.start(account, at)


def test_another_zone_does_not_grant_twice(desk: Desk) -> None:
    """The account's tariff moves from Berlin to New York: the day that is counted stays, the next begins at its end."""
    account = desk.account(zone="Europe/Berlin")
    desk.bundle(account, 50, "day")
    desk.end(desk.start(account, NOON).key, 50)
    tariff = desk.bank.admin.put_tariff(f"tariff {new_key()}", "EUR", zone="America/New_York")
    desk.bank.admin.put_rate(tariff, "49", "Germany", price="0.6")
    desk.bank.admin.set_account(account, tariff_id=tariff)

    with pytest.raises(Refused, match="insufficient_balance"):
        desk.start(account, datetime(2026, 3, 14, 22, 59, 59, tzinfo=UTC))
    desk.end(desk.start(account, datetime(2026, 3, 14, 23, 0, tzinfo=UTC)).key, 50)
    with pytest.raises(Refused, match="insufficient_balance"):
        desk.start(account, datetime(2026, 3, 15, 3, 59, 59, tzinfo=UTC))

    periods = desk.bank.sql(
        "SELECT bundle_period.starts_at, bundle_period.ends_at FROM bundle_period"
        " JOIN account_bundle ON id = account_bundle_id WHERE account_id = %s ORDER BY 1",
        account,
    )
    assert periods[0]["ends_at"] == periods[1]["starts_at"]


def test_other_seconds_count_from_the_next_period(desk: Desk) -> None:
    """What was granted stays granted."""
    account = desk.account()
    name = desk.bundle(account, 50, "day")
    desk.end(desk.start(account, NOON).key, 10)
    desk.bank.admin.change_bundle(name, seconds=20)

    calls = [desk.start(account, NOON), desk.start(account, NOON + timedelta(days=1))]
    assert [Renewal(40, ""), Renewal(20, "insufficient_balance")] == [desk.renew(call.key) for call in calls]
    for call in calls:
        desk.end(call.key, 0)


def test_a_bundle_that_is_taken_away_stays_with_calls_in_progress(desk: Desk) -> None:
    """The next call has none."""
    account = desk.account()
    name = desk.bundle(account, 100)
    call = desk.start(account)
    assert 1 == desk.bank.admin.unassign_bundle(desk.name(account), name)

    assert Renewal(100, "") == desk.renew(call.key)
    with pytest.raises(Refused, match="insufficient_balance"):
        desk.start(account)
    desk.end(call.key, 100)

    assert [(100, Decimal(0))] == desk.charged(call.key)


# --- many at once -----------------------------------------------------------------------------------------------------


def test_twenty_calls_on_one_bundle_and_little_money_use_each_second_once(desk: Desk) -> None:
    """They grow until nothing is left: together exactly the bundle's 200 s and the 30 s that 0.30 pays."""
    account = desk.account("0.30")
    desk.bundle(account, 200)

    def work(ledger: Ledger, _: int) -> tuple[str, int]:
        try:
            call = desk.start(account, ledger=ledger)
        except Refused as refusal:
            return refusal.token, 0
        grant_s = call.grant_s
        for _ in range(60):
            renewed = desk.renew(call.key, ledger, grant_s=7)
            grant_s = max(grant_s, renewed.grant_s)
            if renewed.token:
                break
        return call.key, grant_s

    found = desk.bank.at_once("proxy", 20, work)
    calls = [(key, grant_s) for key, grant_s in found if grant_s]

    assert {key for key, grant_s in found if not grant_s} <= {"insufficient_balance"}
    assert 230 == sum(grant_s for _, grant_s in calls)
    assert [(200, 0, 200)] == desk.counters(account)
    assert (Decimal(0), len(calls)) == (desk.bank.available(account), desk.bank.purse(account)["calls"])
    for key, grant_s in calls:
        desk.end(key, grant_s)
    legs = [leg for key, _ in calls for leg in desk.charged(key)]
    assert (200, Decimal("0.30")) == (sum(seconds for seconds, _ in legs), sum(money for _, money in legs))
    assert ([(200, 200, 0)], 0) == (desk.counters(account), desk.bank.purse(account)["balance"])


@pytest.mark.parametrize("increment_s", [1, 6])
def test_calls_that_come_and_go_at_once_keep_exact_counters(desk: Desk, increment_s: int) -> None:
    """Twenty connections open, renew and end calls at random; a bundle at each level, and little money."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - for the person who reads the failure
    reseller = desk.account("1.50", price="0.3", increment_s=increment_s)
    customer = desk.account("2", reseller, increment_s=increment_s)
    for account, seconds in ((reseller, 150), (customer, 170), (customer, 80)):
        desk.bundle(account, seconds)

    def work(ledger: Ledger, number: int) -> list[str]:
        dice = random.Random(seed + number)
        keys: list[str] = []
        for _ in range(5):
            try:
                call = desk.start(customer, ledger=ledger)
            except Refused:  # for money, here or above
                continue
            grant_s = call.grant_s
            for _ in range(dice.randrange(3)):
                grant_s = max(grant_s, desk.renew(call.key, ledger, grant_s=dice.choice((5, 20))).grant_s)
            assert "settled" == desk.end(call.key, dice.randrange(min(grant_s, 12) + 1), ledger)
            keys.append(call.key)
        return keys

    keys = [key for found in desk.bank.at_once("proxy", 20, work) for key in found]

    assert len(keys) > 10
    for leg, account in enumerate((customer, reseller)):
        counters = desk.counters(account)
        legs = [desk.charged(key)[leg] for key in keys]
        assert all(held == 0 and used <= granted for granted, used, held in counters)
        assert sum(used for _, used, _ in counters) == sum(seconds for seconds, _ in legs)
        assert all(seconds % increment_s == 0 for seconds, _ in legs)
        paid = Decimal(2 if account == customer else "1.50") - desk.bank.purse(account)["balance"]
        assert paid == sum(money for _, money in legs)


def test_seconds_that_were_seen_and_are_gone_fall_to_fewer_and_to_money(desk: Desk) -> None:
    """The caller was identified when the bundle was whole; under the locks it is not."""
    account = desk.account("10")
    desk.bundle(account, 60)

    class Late:
        """A ledger whose open_call comes after somebody else's."""

        def __init__(self, taken_s: int) -> None:
            self.taken_s = taken_s

        def __getattr__(self, name: str) -> object:
            return getattr(desk.bank.proxy, name)

        def open_call(self, key: str, request: OpenRequest) -> OpenAnswer:
            other = desk.start(account)
            desk.end(other.key, self.taken_s)
            return desk.bank.proxy.open_call(key, request)

    call = desk.start(account, ledger=Late(25))  # type: ignore[arg-type]
    assert [(35, Decimal("0.25"))] == desk.covered(call.key)
    desk.end(call.key, 35)
    call = desk.start(account, ledger=Late(0))  # type: ignore[arg-type]
    assert [(0, Decimal("0.60"))] == desk.covered(call.key)
    desk.end(call.key, 0)
    assert [(60, 60, 0)] == desk.counters(account)


# --- answers that were lost, and nodes --------------------------------------------------------------------------------


def test_everything_may_be_said_twice(desk: Desk) -> None:
    """The same key gives the same answer, and the counters move once."""
    account = desk.account("1")
    desk.bundle(account, 100)
    call = desk.start(account)
    live = desk.live(call.key)
    offered = {0: [(100, Decimal("0.20")), (60, Decimal("0.60"))]}

    def extend() -> ExtendAnswer:
        return desk.bank.proxy.extend_call(call.key, 60, 120, {0: Decimal("0.60")}, offered)

    first, again = extend(), extend()
    assert first == again
    assert ([(100, Decimal("0.20"))], [(100, 0, 100)]) == (desk.covered(call.key), desk.counters(account))
    assert (60, 40) == (live.legs[0].covered_s, live.legs[0].bundle_left_s)
    content = settlement_of(["0.05"], 120, 105, bundle_s={0: 100})
    answers = [desk.bank.proxy.settle_call(call.key, content) for _ in range(3)]
    assert ["settled", "already", "already"] == [answer.outcome for answer in answers]
    assert ([(100, 100, 0)], [(100, Decimal("0.05"))]) == (desk.counters(account), desk.charged(call.key))


def test_an_open_with_the_same_key_holds_once(desk: Desk) -> None:
    """And with other bundles it is another call."""
    account = desk.account()
    desk.bundle(account, 100)
    kept: list[tuple[str, OpenRequest]] = []

    class Kept:
        def __getattr__(self, name: str) -> object:
            return getattr(desk.bank.proxy, name)

        def open_call(self, key: str, request: OpenRequest) -> OpenAnswer:
            kept.append((key, request))
            return desk.bank.proxy.open_call(key, request)

    call = desk.start(account, ledger=Kept())  # type: ignore[arg-type]
    ((key, request),) = kept
    assert call.answer == desk.bank.proxy.open_call(key, request)
    assert [(100, 0, 60)] == desk.counters(account)
    other = replace(request, legs=(replace(request.legs[0], bundles=(), offers=()),))
    assert "key_conflict" == refused(partial(desk.bank.proxy.open_call, key, other))
    desk.end(key, 0)


def test_the_reaper_takes_the_whole_grant_and_a_late_truth_gives_back_both(desk: Desk) -> None:
    """Seconds and money, to the bundles that they came from, last used first."""
    account = desk.account("1")
    first = desk.bundle(account, 40, priority=1)
    second = desk.bundle(account, 30, priority=2)
    call = desk.start(account)
    desk.renew(call.key)
    assert [(70, Decimal("0.50"))] == desk.covered(call.key)
    desk.bank.overdue(call.key)
    desk.bank.proxy.reap_calls(None, 100)
    assert [(70, Decimal("0.50"))] == desk.charged(call.key)
    assert [(40, 40, 0), (30, 30, 0)] == desk.counters(account)

    assert "refunded" == desk.end(call.key, 50)

    assert [(50, Decimal(0))] == desk.charged(call.key)
    assert ([(40, 40, 0), (30, 10, 0)], Decimal(1)) == (desk.counters(account), desk.bank.available(account))
    shown = {one.bundle_name: one.left_s for one in desk.bank.cashier.bundles(account=desk.name(account))}
    assert {first: 0, second: 20} == shown


# --- what the ledger refuses ------------------------------------------------------------------------------------------


def test_a_settlement_uses_no_more_than_is_held(desk: Desk) -> None:
    """Nor anything for no talk; and the call is settled all the same afterwards."""
    account = desk.account("1")
    desk.bundle(account, 20)
    call = desk.start(account)
    for content in (
        settlement_of(["0.40"], 60, 60, bundle_s={0: 21}),
        settlement_of(["0"], 60, 0, bundle_s={0: 1}),
    ):
        with pytest.raises(LedgerRefused, match="invalid_charge: leg 0"):
            desk.bank.proxy.settle_call(call.key, content)
    assert "settled" == desk.end(call.key, 60)


@pytest.mark.parametrize(
    ("change", "token"),
    [
        (lambda leg: {**leg, "offers": leg["offers"][1:]}, "invalid_content"),
        (lambda leg: {**leg, "offers": [[[1, "x"]] for _ in leg["offers"]]}, "invalid_amount"),
        (lambda leg: {**leg, "offers": [[["x", "1"]] for _ in leg["offers"]]}, "invalid_content"),
        (lambda leg: {**leg, "offers": [[[1]] for _ in leg["offers"]]}, "invalid_amount"),
        (lambda leg: {**leg, "offers": [[[100_000, "0"]] for _ in leg["offers"]]}, "invalid_content"),
        (lambda leg: {**leg, "offers": [[[]] for _ in leg["offers"]]}, "invalid_amount"),
        (lambda leg: {**leg, "offers": [[] for _ in leg["offers"]]}, "invalid_content"),
        (lambda leg: {**leg, "bundles": leg["bundles"] * 2}, "invalid_content"),
        (lambda leg: {**leg, "bundles": [{}]}, "invalid_content"),
        (lambda leg: {name: value for name, value in leg.items() if name != "offers"}, "invalid_content"),
    ],
)
def test_offers_that_cannot_be_meant_are_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, change: Callable[[dict[str, object]], object], token: str
) -> None:
    """And hold nothing."""
    import json

    from billing import ledger_calls

    account = desk.account("1")
    desk.bundle(account, 20)
    written = ledger_calls._open_content

    def changed(request: OpenRequest) -> str:
        content = json.loads(written(request))
        content["legs"][0] = change(content["legs"][0])
        return json.dumps(content)

    monkeypatch.setattr(ledger_calls, "_open_content", changed)
    with pytest.raises(Exception, match=r"leg 0|offer") as caught:
        desk.start(account)
    assert token == getattr(caught.value, "token", "")
    assert ([], 0) == (desk.counters(account), desk.bank.purse(account)["calls"])


def test_somebody_elses_bundle_is_worth_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that names another account's bundle gets no second of it."""
    mine, other = desk.account("1"), desk.account()
    desk.bundle(mine, 20)
    desk.bundle(other, 20)
    (theirs,) = desk.bank.sql("SELECT id FROM account_bundle WHERE account_id = %s", other)
    sent = authorize.__globals__["OpenBundle"]
    monkeypatch.setitem(authorize.__globals__, "OpenBundle", lambda _, start, end: sent(theirs["id"], start, end))

    call = desk.start(mine)

    assert [(0, Decimal("0.60"))] == desk.covered(call.key)
    desk.end(call.key, 0)
    assert ([], []) == (desk.counters(mine), desk.counters(other))


# --- what an administrator does ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "token"),
    [
        (("", 60, "month", "49"), "invalid_content"),
        (("x", 0, "month", "49"), "invalid_content"),
        (("x", 10**9, "month", "49"), "invalid_content"),
        (("x", 60, "year", "49"), "invalid_content"),
        (("x", 60, "month", ""), "invalid_content"),
        (("x", 60, "month", "49,"), "invalid_content"),
        (("x", 60, "month", "+49"), "invalid_content"),
        (("x", 60, "month", "49,!49"), "invalid_content"),
        (("x", 60, "month", "!49"), "invalid_content"),
        (("x", 60, "month", "1" * 21), "invalid_content"),
    ],
)
def test_a_bundle_that_cannot_be_meant_is_refused(bank: Bank, arguments: Sequence[object], token: str) -> None:
    """And is not there afterwards."""
    assert token == refused(lambda: bank.admin.add_bundle(*arguments))  # type: ignore[arg-type]
    assert arguments[0] not in {one.name for one in bank.cashier.bundle_plans()}


def test_a_bundle_is_changed_and_removed(desk: Desk) -> None:
    """Not while somebody has it; its name stays taken, for the CDRs."""
    admin, account = desk.bank.admin, desk.account()
    name = desk.bundle(account, 60, prefixes="49, 43,!49900")
    admin.change_bundle(name, seconds=90, prefixes="44", priority=5)
    (plan,) = [one for one in desk.bank.cashier.bundle_plans() if one.name == name]
    assert (90, "44", 5, 1, "active") == (plan.seconds, plan.prefixes, plan.priority, plan.accounts, plan.status)
    assert "bundle_in_use" == refused(partial(admin.remove_bundle, name))
    admin.unassign_bundle(desk.name(account), name)
    admin.remove_bundle(name)
    assert "unknown_bundle" == refused(partial(admin.assign_bundle, desk.name(account), name))
    assert "unknown_bundle" == refused(partial(admin.change_bundle, name, seconds=1))
    assert "key_conflict" == refused(partial(admin.add_bundle, name, 60, "day", "49"))


def test_an_assignment_that_is_asked_for_again_counts_once(desk: Desk) -> None:
    """The answer was lost: the same key gives the same row, also after it was taken away; not with other content."""
    admin, account, other = desk.bank.admin, desk.account(), desk.account()
    name = f"bundle {new_key()}"
    admin.add_bundle(name, 60, "day", "49")
    key = new_key()
    first = admin.assign_bundle(desk.name(account), name, key=key)
    assert first == admin.assign_bundle(desk.name(account), name, key=key)
    assert first != admin.assign_bundle(desk.name(account), name)
    assert 2 == admin.unassign_bundle(desk.name(account), name)
    admin.remove_bundle(name)
    assert first == admin.assign_bundle(desk.name(account), name, key=key)
    assert [] == admin.bundles(bundle=name)
    for content in ((desk.name(other), name), (desk.name(account), "other"), (desk.name(account), name, NOON)):
        assert "key_conflict" == refused(partial(admin.assign_bundle, *content, key=key))
    assert "invalid_key" == refused(partial(admin.assign_bundle, desk.name(account), name, key="once"))


def test_who_may_have_what(desk: Desk) -> None:
    """A bundle goes to the accounts of him who sells it; the refusals name the thing."""
    admin = desk.bank.admin
    reseller = desk.account()
    customer = desk.account(parent=reseller)
    his, vendors = (f"bundle {new_key()}" for _ in range(2))
    admin.add_bundle(his, 60, "day", "49", owner=desk.name(reseller))
    admin.add_bundle(vendors, 60, "day", "49")
    for account, name in ((reseller, his), (customer, vendors)):
        assert "foreign_bundle" == refused(partial(admin.assign_bundle, desk.name(account), name))
    admin.assign_bundle(desk.name(reseller), vendors)
    admin.assign_bundle(desk.name(customer), his)
    assert "unknown_account" == refused(partial(admin.assign_bundle, "nobody", his))
    assert "unknown_account" == refused(partial(admin.add_bundle, "x", 1, "day", "49", owner=desk.name(customer)))
    assert "unknown_bundle" == refused(partial(admin.unassign_bundle, desk.name(reseller), his))
    assert "invalid_content" == refused(
        partial(admin.assign_bundle, desk.name(customer), his, NOON, NOON - timedelta(seconds=1))
    )
    admin.set_account_status(customer, "closed")
    assert "account_closed" == refused(partial(admin.assign_bundle, desk.name(customer), his))


# --- the audit --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("UPDATE bundle_period SET held_s = held_s + 1", {"bundle_held"}),
        ("UPDATE bundle_period SET used_s = used_s - 1", {"bundle_used"}),
        ("UPDATE live_bundle SET held_s = held_s - 1", {"bundle_held", "bundle_of_leg"}),
        ("UPDATE live_leg SET covered_s = covered_s + 1", {"bundle_of_leg"}),
        ("UPDATE cdr_bundle SET used_s = used_s - 1", {"bundle_used", "bundle_of_cdr"}),
        ("UPDATE cdr_leg SET bundle_s = bundle_s + 1", {"bundle_of_cdr"}),
        ("DELETE FROM cdr_bundle", {"bundle_used", "bundle_of_cdr"}),
        ("DELETE FROM live_bundle", {"bundle_held", "bundle_of_leg"}),
        ("DELETE FROM bundle_period", {"bundle_held", "bundle_used"}),
        ("UPDATE account SET has_bundles = FALSE", {"bundle_flag"}),
    ],
)
def test_the_audit_finds_what_is_wrong(damaged: Desk, damage: str, found: set[str]) -> None:
    """Each counter that is not what the calls say, and nothing else."""
    desk = damaged
    before = {table: desk.bank.sql(f"SELECT * FROM {table}") for table in TABLES}
    assert [] == desk.bank.cashier.audit()
    desk.bank.sql(damage)
    assert found == {one.what for one in desk.bank.cashier.audit()}
    for table, rows in before.items():
        if table == "account":
            desk.bank.sql("UPDATE account SET has_bundles = TRUE")
            continue
        desk.bank.sql(f"DELETE FROM {table}")
        for row in rows:
            places = ", ".join(["%s"] * len(row))
            desk.bank.sql(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values())
    assert [] == desk.bank.cashier.audit()


def test_an_archived_call_leaves_the_counters_right(damaged: Desk) -> None:
    """What it used stays used, its leg in the archive says so, and the audit is content."""
    desk = damaged
    (key,) = (cdr.call_key for cdr in desk.bank.cashier.cdrs())
    desk.bank.sql("UPDATE cdr SET ended_at = ended_at - INTERVAL 60 DAY, settled_at = settled_at - INTERVAL 60 DAY")
    for _ in desk.bank.admin.archive(datetime.now(UTC) - timedelta(days=40)):
        pass

    assert ([], []) == (desk.bank.cashier.cdrs(), desk.bank.cashier.audit())
    (leg,) = desk.bank.sql("SELECT bundle_s, charge FROM v_cdr_leg_archive WHERE call_key = %s", key)
    assert (30, 0) == (leg["bundle_s"], leg["charge"])
    desk.bank.sql("UPDATE bundle_period SET used_s = used_s - 1")
    assert ["bundle_used"] == [one.what for one in desk.bank.cashier.audit()]


TABLES = ("account", "bundle_period", "live_bundle", "cdr_bundle", "live_leg", "cdr_leg")


@pytest.fixture(scope="module")
def damaged(shared_bank: Bank) -> Desk:
    """A ledger with a call in progress and one that is over, of an account with a bundle."""
    bank = Bank.found(shared_bank.server, "ledger_bundles_damaged")
    desk = Desk(bank)
    account = desk.account("1")
    desk.bundle(account, 100)
    desk.end(desk.start(account).key, 30)
    desk.start(account)
    return desk
