import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from stack.processes import wait_until
from tests.support.faults import (
    RECOVERY_LIMIT_S,
    calls_up,
    database_away,
    distinct,
    journal_bytes,
    own_world,
    percentile,
)
from tests.support.party import Party, books_are_right, carrier, on_the_wire

IN_DIALOG_LIMIT_S = 4.0
IN_DIALOG_P90_S = 0.5
"""Of the 99th in a hundred says `make faults`; of these few dozen one may meet a busy machine."""
AT_ONCE_S = 0.5
GRANT_S = 10
CENT = Decimal("0.01")
FAULTS = pytest.mark.parametrize("fault", ["hangs", "killed"])


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with own_world(tmp_path_factory.mktemp("database-away")) as made:
        yield made


@pytest.fixture
def ends(world):
    """The carrier, and a stack of contexts for callers. No breaker is open any more from the test before."""
    with contextlib.ExitStack() as stack:
        with carrier(world):
            for _ in range(4):  # as many as there are workers
                wait_for_recovery(stack, world, world.customer("1"))
        yield stack.enter_context(carrier(world)), stack


def refused(stack, world, phone, limit_s=6.0):
    """One call attempt: its final answer and how long that took."""
    caller = stack.enter_context(Party(world, host="127.0.0.22"))
    dialog = caller.dial(phone)
    before = time.monotonic()
    answer = caller.wait_for_final(dialog, "INVITE", limit_s)
    return answer, time.monotonic() - before


def is_refusal(answer):
    return (503, "billing_unavailable") == (answer.code, answer.token) and answer.header("Retry-After").isdigit()


def wait_for_recovery(stack, world, account):
    """Somebody gets through again, within the limit; his call, which he ends."""

    def connects():
        caller = stack.enter_context(Party(world, host="127.0.0.23"))
        dialog = caller.dial(world.phone(account))
        answer = caller.wait_for_final(dialog, "INVITE", 6)
        if answer.code != 200:
            assert is_refusal(answer), answer.text
            return False
        caller.establish(dialog, answer)
        caller.send(caller.request("ACK", dialog, cseq=dialog.cseq))
        return caller.hang_up(dialog).code == 200

    wait_until(connects, RECOVERY_LIMIT_S, "calls connect again after the database's return", poll_s=0.2)


@FAULTS
def test_calls_go_on_while_the_database_is_away(world, ends, fault, request):
    """In-dialog requests are answered, ends wait in the journal, grants end on time, all is settled after."""
    callee, stack = ends
    # 1. Eight calls are up, each with a grant of 10 s and money for more.
    up = calls_up(world, stack, ["5"] * 8)
    ended, lasting = up[:4], up[4:]
    with database_away(world, fault):
        # 2. Re-INVITE, OPTIONS, INFO, UPDATE in all of them, one after the other, twice over; then four hang up.
        took = [
            one.caller.timed(method, one.dialog, IN_DIALOG_LIMIT_S)
            for method in ("INVITE", "OPTIONS", "INFO", "UPDATE", "OPTIONS", "INFO")
            for one in up
        ]
        took += [one.caller.timed("BYE", one.dialog, IN_DIALOG_LIMIT_S) for one in ended]
        assert max(took) < IN_DIALOG_LIMIT_S
        assert percentile(took, 0.9) < IN_DIALOG_P90_S
        request.node.user_properties.append(("in_dialog_p99_ms", round(percentile(took, 0.99) * 1000, 1)))
        # 3. Their ends wait in the journal.
        assert journal_bytes(world) > 0
        # 4. The others' grants cannot be renewed: cut when they end, both sides told.
        for one in lasting:
            talked = one.wait_for_bye(callee, GRANT_S + 3)
            assert GRANT_S - 1 < talked < GRANT_S + 1.5, talked
        assert journal_bytes(world) > 0
    # 5. The database is back: what waited is settled to the cent.
    calls = on_the_wire(world, [one.caller for one in up], [callee])
    books_are_right(world)
    assert ["caller"] * 4 + ["cut"] * 4 == [call.cdr.end_reason for call in calls]
    for one, call in zip(up, calls, strict=True):
        assert Decimal(5) - call.cdr.billed_s * CENT == world.balance(one.account)
    for one, call in zip(lasting, calls[4:], strict=True):
        assert (GRANT_S, GRANT_S, GRANT_S * CENT) == (call.cdr.grant_s, call.cdr.billed_s, call.charge)
        assert 1 == len(one.byes())
        assert 1 == len(distinct(callee.heard("BYE", call_id=one.call_id)))
    # 6. And new calls connect.
    wait_for_recovery(stack, world, world.customer("1"))


@FAULTS
def test_nobody_connects_and_the_breaker_spares_the_others(world, ends, fault):
    """Authorization unknown is 503 with Retry-After: soon for the first, at once for those after; then it recovers."""
    callee, stack = ends
    account, others = world.customer("5"), world.customer("5")
    phones = world.phones(account, 40)
    with database_away(world, fault):
        # 1. The first ones wait for the database as long as its time-out, and are refused.
        first = [refused(stack, world, phone) for phone in phones[:3]]
        assert all(is_refusal(answer) for answer, _ in first), [answer.text for answer, _ in first]
        # 2. The breaker is open: of ten at once all but a probe or two are refused without waiting.
        with ThreadPoolExecutor(10) as pool:
            later = list(pool.map(lambda phone: refused(stack, world, phone), phones[3:13]))
        assert all(is_refusal(answer) for answer, _ in later)
        assert sum(seconds < AT_ONCE_S for _, seconds in later) >= 8, [round(seconds, 2) for _, seconds in later]
        # 3. It goes on like that: one after the other, nobody waits longer than the time-outs, most not at all.
        more = [refused(stack, world, phone) for phone in phones[13:33]]
        assert all(is_refusal(answer) for answer, _ in more)
        assert sum(seconds < AT_ONCE_S for _, seconds in more) >= 16, [round(seconds, 2) for _, seconds in more]
        # 4. No carrier heard of any of them.
        assert [] == callee.requests()
    # 5. Back within ten seconds, for everybody: the breaker is closed.
    wait_for_recovery(stack, world, others)
    for phone in phones[33:38]:
        caller = stack.enter_context(Party(world, host="127.0.0.24"))
        dialog = caller.call(phone)
        assert 200 == caller.hang_up(dialog).code
    # 6. Those who were refused have no call, no charge, and a CDR at most if they had been identified.
    books_are_right(world)
    cdrs = world.cdrs_of(account)
    assert {"answered", "billing_unavailable"} >= {cdr.result for cdr in cdrs}
    assert 5 == sum(cdr.result == "answered" for cdr in cdrs)
    assert all(not any(leg.charge for leg in cdr.legs) for cdr in cdrs if cdr.result != "answered")
    assert len({cdr.sip_call_id for cdr in cdrs}) == len(cdrs)


@FAULTS
def test_away_in_the_middle_of_authorizations(world, ends, fault):
    """Calls that were being authorized in that moment: connected and paid, or refused and free. Nothing between."""
    callee, stack = ends
    accounts = [world.customer("1") for _ in range(24)]
    phones = [world.phone(account) for account in accounts]
    callers = [stack.enter_context(Party(world, host="127.0.0.25")) for _ in accounts]
    # 1. All dial; the database goes away when the first calls are answered.
    with ThreadPoolExecutor(8) as pool:
        dialling = pool.map(lambda pair: pair[0].dial(pair[1]), zip(callers, phones, strict=True))
        callee.wait_for_request("INVITE")
        with database_away(world, fault):
            dialogs = list(dialling)
            finals = [
                caller.wait_for_final(dialog, "INVITE", 8) for caller, dialog in zip(callers, dialogs, strict=True)
            ]
            for caller, dialog, final in zip(callers, dialogs, finals, strict=True):
                if final.code == 200:
                    caller.establish(dialog, final)
                    caller.send(caller.request("ACK", dialog, cseq=dialog.cseq))
                    assert 200 == caller.hang_up(dialog).code
        assert all(final.code == 200 or is_refusal(final) for final in finals), [final.code for final in finals]
    # 2. Afterwards: one CDR for each that connected; no money and no hold for the others.
    books_are_right(world)
    connected = {final.call_id for final in finals if final.code == 200}
    assert connected, "the database went away too early: nobody connected"
    on_the_wire(world, [one for one, final in zip(callers, finals, strict=True) if final.code == 200], [callee])
    for account, final in zip(accounts, finals, strict=True):
        answered = [cdr for cdr in world.cdrs_of(account) if cdr.result == "answered"]
        assert (1 if final.call_id in connected else 0) == len(answered)
        assert Decimal(1) - sum(cdr.billed_s for cdr in answered) * CENT == world.balance(account)


@FAULTS
def test_renewed_after_a_short_outage(world, ends, fault):
    """Away for less than what is left of the grant: nobody notices, the calls are renewed and go on past it."""
    callee, stack = ends
    (one,) = calls_up(world, stack, ["0.13"])
    with database_away(world, fault):
        assert one.caller.timed("OPTIONS", one.dialog, IN_DIALOG_LIMIT_S) < IN_DIALOG_LIMIT_S
    talked = one.wait_for_bye(callee, 16)
    assert 12 < talked < 14.5
    (call,) = on_the_wire(world, [one.caller], [callee])
    assert ("cut", 13) == (call.cdr.end_reason, call.cdr.billed_s)
    assert 0 == world.balance(one.account)
    books_are_right(world)
