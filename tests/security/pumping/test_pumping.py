"""Traffic pumping: many short calls to one dear destination, by whoever has the password. Stopped at the limit, to the
call and to the cent, with an alarm before; what is not pumped goes on."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from stack.processes import wait_until
from tests.support.clocks import wait_for_time_in_the_hour
from tests.support.scene import Scene

CUBA = "5371234567"
DEAR = Decimal("4.00")
"""A call to Cuba: connect fee and one whole minute, whatever the machine's load makes of its seconds."""
SOURCES = ("127.0.0.61", "127.0.0.62", "127.0.0.63")
LONGEST_TEST_S = 40


@pytest.fixture
def scene(world, tmp_path, request):
    """This test's SIPp processes."""
    made = Scene(world, tmp_path, request.path.parent)
    yield made
    made.end()


@pytest.fixture(autouse=True)
def in_one_hour(world):
    """The limits follow the clock of the database."""
    wait_for_time_in_the_hour(world.cashier, LONGEST_TEST_S)


@pytest.fixture
def tariff(world):
    """Cuba, which is dear under two prefixes, and a cent a second for the rest."""
    return sold(world)


def sold(world, owner=None):
    """Such a tariff of the vendor's, or of a reseller's own."""
    made = world.tariff("0.60", increment_s=60, owner=owner)
    for prefix in ("53", "5371"):
        world.admin.put_rate(made, prefix, "Cuba", connect_fee="1", price="3", increment_s=60)
    return made


def attack(scene, phones, calls, **more):
    """Calls that hang up at once, from every source at the same moment; a phone for each source."""
    crowds = [
        scene.phones([phone] * calls, host=host, dialled=CUBA, **more)
        for phone, host in zip(phones, SOURCES, strict=True)
    ]
    for crowd in crowds:
        crowd.wait()
    return [call for crowd in crowds for call in scene.truth(crowd)]


def alarms(world, account):
    return [one for one in world.cashier.alarms(open_only=False) if one.account_id == account.account_id]


def said_by_the_drain(world, account):
    """What its log says of an account's limits."""
    lines = world.stack.drain.log.read_text(encoding="ascii").splitlines()
    return [line for line in lines if '"event": "alarm"' in line and f'"account": "{account.name}"' in line]


def test_stolen_password_gets_so_many_calls_to_one_destination(scene, world, tariff, aftermath):
    """One digest at three sources, 30 calls at once: ten are let through, and other destinations are open as ever."""
    victim = world.customer("1000", tariff, max_calls_per_hour_per_destination=10)
    aftermath.allow(callers=[victim])
    phone = world.phone(victim)
    scene.callee()

    calls = attack(scene, [phone] * 3, 10)

    assert {(200, ""): 10, (403, "hourly_destination_limit"): 20} == Counter(call.outcome for call in calls)
    assert {DEAR} == {call.charge for call in calls if call.answered}
    assert 1000 - 10 * DEAR == world.balance(victim)
    (alarm,) = alarms(world, victim)
    assert ("hourly_destination_limit", "Cuba", 10, 20, 23) == (
        *(alarm.kind, alarm.destination, alarm.reached, alarm.refused, alarm.times),
    )
    assert alarm.first_at < alarm.stopped_at
    wait_until(lambda: said_by_the_drain(world, victim), 20, "the drain's log has the alarm")
    (elsewhere,) = scene.truth(scene.phones([phone]).wait())
    assert (200, "") == elsewhere.outcome
    # The administrator lets the owner call again: one more, and no more.
    world.admin.set_account(victim.account_id, max_calls_per_hour_per_destination=11)
    one_more = scene.truth(scene.phones([phone] * 2, dialled=CUBA).wait())
    assert {(200, ""): 1, (403, "hourly_destination_limit"): 1} == Counter(call.outcome for call in one_more)


def test_pumping_spread_over_a_resellers_accounts_ends_at_his_day(scene, world, tariff, aftermath):
    """Three customers of one reseller, 18 calls at once: he loses what he set, to the cent; they hear nothing of it.
    Another reseller's customers call on."""
    reseller = world.reseller("1000", tariff, daily_spend_limit=Decimal(40))
    customers = [world.customer("1000", sold(world, reseller), parent=reseller) for _ in SOURCES]
    other_reseller = world.reseller("1000", tariff)
    neighbour = world.customer("1000", sold(world, other_reseller), parent=other_reseller)
    aftermath.allow(callers=[neighbour, *customers], charged=[reseller, other_reseller])
    scene.callee()

    calls = attack(scene, [world.phone(one) for one in customers], 6)
    (served,) = scene.truth(scene.phones([world.phone(neighbour)], dialled=CUBA).wait())

    assert {(200, ""): 10, (480, "unavailable"): 8} == Counter(call.outcome for call in calls)
    assert 1000 - Decimal(40) == world.balance(reseller)
    assert 3000 - 10 * DEAR == sum(world.balance(one) for one in customers)
    details = {call.cdr.detail for call in calls if not call.answered}
    assert {f"leg 1: spending_limit: account {reseller.name}"} == details
    (alarm,) = alarms(world, reseller)
    assert ("spending_limit", Decimal(40), Decimal(40), 8) == (
        *(alarm.kind, alarm.limit_value, alarm.reached, alarm.refused),
    )
    assert (200, "") == served.outcome


def test_call_in_progress_ends_at_its_grant_unless_the_limit_is_lifted(scene, world, aftermath):
    """Two long calls on 0.11 a day each, at a cent a second, funded for 10 s: one is cut there. The other's limit is
    set higher meanwhile, and it lasts as long as it may."""
    stopped, lifted = (
        world.customer("5", daily_spend_limit=Decimal("0.11"), longest_call_s=12) for _ in range(2)
    )
    aftermath.allow(callers=[stopped, lifted])
    scene.callee()
    calls = {one: scene.phones([world.phone(one)], "phone_waits") for one in (stopped, lifted)}
    for one in calls:
        wait_until(lambda one=one: any(alarm.stopped_at for alarm in alarms(world, one)), 15, "its renewal is refused")

    world.admin.set_account(lifted.account_id, daily_spend_limit=Decimal(5))

    (cut,), (longer,) = (scene.truth(calling.wait()) for calling in calls.values())
    assert ("cut", 10, Decimal("0.10")) == (cut.cdr.end_reason, cut.cdr.billed_s, cut.charge)
    assert ("cut", 12, Decimal("0.12")) == (longer.cdr.end_reason, longer.cdr.billed_s, longer.charge)
    assert cut.lasted(10)
    assert (Decimal("4.90"), Decimal("4.88")) == (world.balance(stopped), world.balance(lifted))
    assert [0, 0] == [alarm.refused for one in calls for alarm in alarms(world, one)]
    # New calls get what is left of the day, and then none until the administrator lifts it. (Each from a phone of its
    # own: every SIPp begins with the same cnonce, and the same answer twice in a second is a replay.)
    (short,) = scene.truth(scene.phones([world.phone(stopped)], "phone_waits").wait())
    assert ("cut", 1, Decimal("0.01")) == (short.cdr.end_reason, short.cdr.billed_s, short.charge)
    (refused,) = scene.truth(scene.phones([world.phone(stopped)]).wait())
    assert (403, "spending_limit") == refused.outcome
    world.admin.set_account(stopped.account_id, daily_spend_limit=Decimal(1))
    (again,) = scene.truth(scene.phones([world.phone(stopped)]).wait())
    assert (200, "") == again.outcome
