from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

BARRED = "4990"


def test_refusals(scene, world):
    """Each reason has its code and its word, on the wire and in the CDR, and costs nothing."""
    # 1. One account for each reason.
    tariff = world.tariff()
    world.admin.put_rate(tariff, BARRED, "premium", price="9", blocked=True)
    callee = scene.callee()
    yesterday = datetime.now(UTC) - timedelta(days=1)
    suspended_user = world.phone(world.customer("5"))
    world.admin.set_user_status(suspended_user.user_id, "suspended")
    left = world.customer("0")
    closed = world.phone(left)
    world.admin.close_account(left.account_id)
    rich = [world.customer("5", tariff) for _ in range(3)]
    cases = [
        (world.customer("0"), "4930123456", 402, "insufficient_balance"),
        (world.customer("0.009999"), "4930123456", 402, "insufficient_balance"),
        (world.customer("5", expires_at=yesterday), "4930123456", 403, "account_expired"),
        (world.customer("5", status="suspended"), "4930123456", 403, "account_suspended"),
        (closed, "4930123456", 403, "account_suspended"),
        (suspended_user, "4930123456", 403, "account_suspended"),
        (rich[0], "3314012345", 404, "destination_unknown"),
        (rich[1], BARRED + "123", 403, "destination_barred"),
        (rich[2], "alice", 404, "destination_unknown"),
    ]
    # 2. All of them call.
    sipps = []
    for who, dialled, _, _ in cases:
        phone = who if who in (suspended_user, closed) else world.phone(who)
        sipps.append(scene.phones([phone], dialled=dialled))
    # 3. The answer on the wire, the same word in the CDR (`truth` compares them), no charge.
    for sipp, (who, dialled, code, token) in zip(sipps, cases, strict=True):
        (call,) = scene.truth(sipp.wait())
        assert (who, dialled, code, token) == (who, dialled, *call.outcome)
        assert (token, code) == (call.cdr.result, call.cdr.sip_code)
        assert () == call.charges
    # 4. Nobody was called, and nobody paid.
    assert [] == callee.received("INVITE")
    assert [Decimal(5)] * 3 == [world.balance(account) for account in rich]


def test_too_many_calls_a_second(scene, world):
    """`max_calls_per_second` is 480 with Retry-After, so that a caller and not the whole proxy is slowed."""
    # 1. Two calls a second may come; ten do. Within two clock seconds at most four get through.
    customer = world.customer("5", max_calls_per_second=2)
    scene.callee()
    calls = scene.truth(scene.phones(world.phones(customer, 10), talk_s=1.5).wait())
    counted = Counter(call.outcome for call in calls)
    assert set(counted) == {(200, ""), (480, "too_fast")}
    assert counted[200, ""] in (2, 4)
    # 2. Those told to slow down hear for how long.
    assert {"1"} == {call.final.header("Retry-After") for call in calls if not call.answered}
    # 3. Two cents for each that talked.
    assert Decimal(5) - counted[200, ""] * Decimal("0.02") == world.balance(customer)
