"""Two nodes over one database: restarted one after the other; cut off, and back with a full journal; one lost.
And a phone that is gone."""

import contextlib
import os
import random
import signal
import time
from collections import Counter
from decimal import Decimal
from types import SimpleNamespace

import pytest

from billing.ledger import Ledger
from stack.kamailio import answers_options
from stack.processes import wait_until
from tests.faults.bench import Bench
from tests.faults.kinds import Struck
from tests.faults.load import Load, carrier, people
from tests.faults.oracle import PROXY, Window
from tests.faults.plan import Fault
from tests.faults.run import Round, conclude, records
from tests.support.faults import clock_reaches, journal_waits
from tests.support.party import ANSWER, Party

CALLS = 80
UP = 50
CENT = Decimal("0.01")
GRANT_S = 10


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """For all tests here; the last one leaves one node of it."""
    with Bench.up(tmp_path_factory.mktemp("two-nodes"), "two nodes") as made:
        yield made


def restart(node):
    """SIGTERM for drain and proxy, as an upgrade does; who watches them starts them again."""
    start, before = time.time(), node.kamailio.pid
    for part in node.parts:
        os.kill(part.pid, signal.SIGTERM)
    wait_until(
        lambda: node.kamailio.pid not in (None, before) and node.kamailio.alive and answers_options(node.address),
        30,
        f"{node.name} is back",
    )
    return Struck(Fault(0, "restart", node.name, 0), Window("restart", PROXY, node.name, start, time.time()), "")


def calls_in(bench, state):
    return {row["sip_call_id"] for row in bench.world.live_calls() if row["state"] == state}


def test_rolling_restart_loses_no_call(bench):
    """Every call that was up goes on through the restart of its node, and ends as it would have: hung up by one of the
    two, or cut to the second; one CDR each, and the last cent is right."""
    callers = people(bench, random.Random(1), CALLS, CALLS // 5)
    made = Round("rolling", [])
    with Load(bench, callers, random.Random(2), CALLS, 2.0, talk_ms=(7000, 10_000)) as load:
        # 1. All are answered, and most are still up.
        wait_until(
            lambda: len(calls_in(bench, "answered")) >= UP and not calls_in(bench, "open"), 15, "calls are up", 0.1
        )
        before = calls_in(bench, "answered")
        # 2. One node after the other.
        made.struck = [restart(node) for node in bench.nodes]
        # 3. Nothing is undercharged, overcharged or left; nothing is only assumed.
        conclude(bench, load, made)
        assert [] == made.verdict.findings
        found = {record.call_id: record for record in records(bench)}
    ends = Counter(found[call_id].end_reason for call_id in before)
    assert {"caller", "callee", "cut"} >= set(ends), ends
    assert not any(found[call_id].provisional for call_id in before)
    assert len(before) >= UP


def test_renewed_call_goes_on_through_a_restart(bench):
    """The dialog comes back with the lifetime that its renewal gave it: the call is up when the first grant is over."""
    account = bench.world.customer("5")
    with carrier(bench, 60), Party(bench.world, host="127.0.0.44") as caller:
        dialog = caller.call(bench.world.phone(account))
        answered_at = caller.heard(code=200, call_id=dialog.call_id)[0].at
        wait_until(
            lambda: [2 * GRANT_S] == [row["grant_s"] for row in bench.world.live_calls(account)], 10, "it is renewed"
        )
        assert 1 == bench.nodes[0].channels()
        restart(bench.nodes[0])
        clock_reaches(answered_at + GRANT_S + 2.5, GRANT_S + 3)
        caller.caught_up()
        assert [] == caller.heard("BYE", call_id=dialog.call_id)
        assert 200 == caller.hang_up(dialog).code
        assert Decimal(5) - 13 * CENT == bench.world.balance(account)


def overdue(bench, call_id):
    """The hold of a call ran out long ago, by the database's clock."""
    with bench.root() as cursor:
        cursor.execute(
            "UPDATE live_call SET hold_until = hold_until - INTERVAL 120 SECOND WHERE sip_call_id = %s", (call_id,)
        )
        cursor.connection.commit()


def the_cdr(bench, call_id):
    (cdr,) = bench.world.cdrs([call_id])[call_id]
    return cdr


def test_cut_off_and_back_with_a_full_journal(bench):
    """The other node's drain charges the whole grant; the node comes back with the truth, and the rest is paid back."""
    first, second = bench.nodes
    world = bench.world
    account = world.customer("1")
    place = SimpleNamespace(stack=SimpleNamespace(sip_address=second.address), realm=world.realm)
    with carrier(bench, 60), contextlib.ExitStack() as stack:
        caller = stack.enter_context(Party(place, host="127.0.0.45"))
        # 1. A call at the second node, which then loses its way to the database; the call ends, and nobody hears of it.
        dialog = caller.call(world.phone(account))
        world.wait_for_live(account)
        bench.loop.call(second.wire.hang)
        assert 200 == caller.hang_up(dialog).code
        wait_until(lambda: journal_waits(second.state_dir) > 0, 5, "the end waits in the journal")
        # 2. Its grant is long over: the first node's drain settles it, provisionally.
        overdue(bench, dialog.call_id)
        wait_until(lambda: bool(world.cdrs([dialog.call_id])[dialog.call_id]), 10, "the call is reaped")
        reaped = the_cdr(bench, dialog.call_id)
        assert ("node2", True, GRANT_S) == (reaped.node, reaped.provisional, reaped.billed_s)
        assert 1 - GRANT_S * CENT == world.balance(account)
        # 3. It is back: the CDR is completed, the difference returned.
        bench.loop.call(second.wire.flow)
        wait_until(lambda: not the_cdr(bench, dialog.call_id).provisional, 15, "the truth is known")
        cdr = the_cdr(bench, dialog.call_id)
        assert ("caller", 1) == (cdr.end_reason, cdr.billed_s)
        assert 1 - CENT == world.balance(account)
        assert {account.account_id: -CENT} == world.entries_of_call(cdr.call_key)
        wait_until(lambda: not journal_waits(second.state_dir), 10, "the journal is drained")
        assert [] == world.cashier.audit()
    assert first.kamailio.alive


@pytest.mark.parametrize("number", [0, 1])
def test_ended_from_anywhere(bench, number):
    """A client that knows no node marks the call; its own node, and no other, sends the two BYEs."""
    world, node = bench.world, bench.nodes[number]
    account = world.customer("1")
    place = SimpleNamespace(stack=SimpleNamespace(sip_address=node.address), realm=world.realm)
    host, port = bench.carrier.sipp
    with (
        Party(place, host=host, port=port, invites=ANSWER) as callee,
        Party(place, host=f"127.0.0.{48 + number}") as caller,
    ):
        dialog = caller.call(world.phone(account))
        (live,) = world.wait_for_live(account)
        assert node.name == live["node"]
        with contextlib.closing(Ledger.for_role(world.settings.database, "admin", 10)) as anybody:
            assert node.name == anybody.end_call(live["call_key"], "from a desk").node
        wait_until(lambda: bool(world.cdrs([dialog.call_id])[dialog.call_id]), 10, "the call is settled")
        caller.caught_up()
        byes = caller.heard("BYE", call_id=dialog.call_id) + callee.heard("BYE", call_id=dialog.call_id)
        assert [node.host_port] * 2 == [one.source for one in byes]
    cdr = the_cdr(bench, dialog.call_id)
    assert (node.name, "answered", "administrator") == (cdr.node, cdr.result, cdr.end_reason)
    assert cdr.detail.endswith(": from a desk")
    assert 1 - cdr.billed_s * CENT == world.balance(account)


def test_killed_for_good(bench):
    """A node that never returns: its calls are charged their whole grants, flagged, by the other node's drain, and no
    more; the other node takes calls."""
    _, second = bench.nodes
    world = bench.world
    account = world.customer("1")
    place = SimpleNamespace(stack=SimpleNamespace(sip_address=second.address), realm=world.realm)
    with carrier(bench, 60), contextlib.ExitStack() as stack:
        lost = stack.enter_context(Party(place, host="127.0.0.45"))
        dialog = lost.call(world.phone(account))
        world.wait_for_live(account)
        second.killed = True
        for part in second.parts:
            part.kill9()
        overdue(bench, dialog.call_id)
        wait_until(lambda: bool(world.cdrs([dialog.call_id])[dialog.call_id]), 10, "the call is reaped")
        cdr = the_cdr(bench, dialog.call_id)
        assert ("lost_node", True, GRANT_S) == (cdr.end_reason, cdr.provisional, cdr.billed_s)
        assert 1 - GRANT_S * CENT == world.balance(account)
        here = SimpleNamespace(stack=SimpleNamespace(sip_address=bench.nodes[0].address), realm=world.realm)
        caller = stack.enter_context(Party(here, host="127.0.0.46"))
        assert 200 == caller.hang_up(caller.call(world.phone(account))).code
        assert [] == world.cashier.audit()


def test_phone_that_is_gone(gone):
    """Keepalives find it, however often its call was renewed meanwhile: both the money and the other phone are free."""
    wait_until(lambda: bool(gone.world.cdrs([gone.call_id])[gone.call_id]), 75, "keepalives end the call", 0.2)
    ((cdr,),) = gone.world.cdrs([gone.call_id]).values()
    # The last grant may be over before the ten seconds that the dialog module leaves such a call.
    assert cdr.end_reason in ("keepalive", "cut")
    assert cdr.grant_s > GRANT_S, "it was renewed before"
    gone.callee.wait_for_request("BYE", 3, gone.call_id)
    assert Decimal(5) - cdr.billed_s * CENT == gone.world.balance(gone.account)
