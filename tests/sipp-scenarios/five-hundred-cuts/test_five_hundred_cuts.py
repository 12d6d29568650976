from collections import Counter
from decimal import Decimal

import pytest

from tests.support.faults import distinct
from tests.support.wire import talk_seconds

CALLS = 500
SECONDS = (2, 3, 4)
PER_SECOND_OF_EACH = 25
EARLY_S, LATE_S = 1.0, 1.0
"""A cut is never so early that a second is lost, and leaves within a second (docs/architecture.md, rule 3)."""


@pytest.mark.slow
def test_five_hundred_cuts(scene, world, request):
    """The timeout cut at speed: everybody is told once, everything is settled once, to the cent and to the second."""
    # 1. 500 accounts with money for 2, 3 or 4 s: cards and customers with a phone each.
    tariff = world.tariff()
    seconds = {f"{order}": SECONDS[order % len(SECONDS)] for order in range(CALLS)}
    cards = [world.card(f"0.0{seconds[f'{order}']}", tariff) for order in range(0, CALLS, 2)]
    customers = [world.customer(f"0.0{seconds[f'{order}']}", tariff) for order in range(1, CALLS, 2)]
    funded = {
        account.name: order
        for account, order in zip([*cards, *customers], [*range(0, CALLS, 2), *range(1, CALLS, 2)], strict=True)
    }
    # 2. All call, 50 a second, and wait to be cut.
    callee = scene.callee(options=["-l", str(2 * CALLS)])
    more = {"per_second": PER_SECOND_OF_EACH, "limit_s": 60}
    by_ivr = scene.ivr(cards, "ivr_waits", **more)
    by_phone = scene.phones([world.phone(customer) for customer in customers], "phone_waits", **more)
    by_ivr.wait()
    by_phone.wait()
    # 3. Both ends' logs joined to the CDRs: 500 calls, each cut, each billed what its account could pay.
    calls = scene.truth()
    assert CALLS == len(calls)
    assert {(200, "cut")} == {(call.code, call.cdr.end_reason) for call in calls}
    names = {account.account_id: account.name for account in [*cards, *customers]}
    for call in calls:
        expected_s = SECONDS[funded[names[call.cdr.account_id]] % len(SECONDS)]
        assert (expected_s, expected_s, expected_s * Decimal("0.01")) == (
            call.cdr.grant_s,
            call.cdr.billed_s,
            call.charge,
        )
    # 4. Each end of each call got one BYE and sent none.
    for call in calls:
        for end in (call.caller, call.callee):
            byes = [one for one in end if one.is_request and one.method == "BYE"]
            assert 1 == len(distinct(byes)), f"{call.call_id}: {[one.start_line for one in byes]}"
            assert not any(one.sent for one in byes), call.call_id
    # 5. On time, at both ends.
    off = [talk_seconds(end) - call.cdr.grant_s for call in calls for end in (call.caller, call.callee)]
    request.node.user_properties.append(("cut_error_s", f"{min(off):+.2f} .. {max(off):+.2f}"))
    request.node.user_properties.append(("retransmitted_byes", len(callee.received("BYE")) - CALLS))
    assert -EARLY_S < min(off), f"{min(off)} s"
    assert max(off) < LATE_S, f"{max(off)} s"
    # 6. Settled once: one CDR, one entry, an empty balance each.
    assert {1: CALLS} == Counter(Counter(call.cdr.call_key for call in calls).values())
    assert {Decimal(0)} == {world.balance(account) for account in [*cards, *customers]}
    world.wait_until_drained()
    assert [] == world.cashier.audit()
