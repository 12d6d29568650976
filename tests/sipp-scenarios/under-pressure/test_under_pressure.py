import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pymysql
import pytest

from billing.journal import SEGMENT_PREFIX, SEGMENT_SPAN_S, SEGMENT_SUFFIX, segments_of
from stack.processes import wait_until
from tests.support.faults import RECOVERY_LIMIT_S, calls_up, clock_reaches, database_away, journal_bytes, own_world
from tests.support.party import Party, books_are_right, carrier, on_the_wire
from tests.support.rawsip import SDP, RawSip

CENT = Decimal("0.01")
GRANT_S = 10
LOCKED_MIN_S = 5


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with own_world(tmp_path_factory.mktemp("under-pressure")) as made:
        yield made


@pytest.fixture
def ends(world):
    """The carrier, and a stack of contexts for callers."""
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(carrier(world)), stack


@pytest.fixture
def root(world):
    """The server's administrator at work in the ledger. What he still holds at the end is released."""
    with contextlib.closing(pymysql.connect(**world.stack.mariadb.admin_params(), database="meterline")) as connection:
        yield connection.cursor()


def once_more(world, stack, phone, limit_s=5.0):
    """One short call of this phone: its final answer; hung up when it was connected."""
    caller = stack.enter_context(Party(world, host="127.0.0.31"))
    dialog = caller.dial(phone)
    answer = caller.wait_for_final(dialog, "INVITE", limit_s)
    if answer.code == 200:
        caller.establish(dialog, answer)
        caller.send(caller.request("ACK", dialog, cseq=dialog.cseq))
        assert 200 == caller.hang_up(dialog).code
    return answer


def the_cdr(world, call_id, limit_s=10.0):
    """A call's one CDR, as soon as it is there."""
    wait_until(lambda: bool(world.cdrs([call_id])[call_id]), limit_s, f"{call_id} has its CDR")
    (cdr,) = world.cdrs([call_id])[call_id]
    return cdr


def ledger_refusals(world):
    """Lines of calls that were refused because nobody could tell what the ledger says."""
    return world.log_lines('"billing_unavailable"', limit=10_000)


def test_renewal_whose_commit_outlives_the_time_out(world, ends, root):
    """Nobody heard that the grant was lengthened, and it was: the call goes on past the old one."""
    callee, stack = ends
    (one,) = calls_up(world, stack, ["5"])
    log = world.stack.kamailio.log
    before = len(log.read_text())
    # 1. Its renewal is asked for while nothing can be written; the keeper gives up waiting, the server does not.
    root.execute("FLUSH TABLES WITH READ LOCK")
    wait_until(lambda: "extend_call: Lost connection" in log.read_text()[before:], 10, "the keeper gave up", 0.001)
    root.execute("UNLOCK TABLES")
    # 2. The grant has grown, and nobody ends the call when the old one is over.
    wait_until(lambda: 2 * GRANT_S == world.live_calls(one.account)[0]["grant_s"], 3, "the ledger has the new grant")
    clock_reaches(one.answered_at + GRANT_S + 0.8, 11)
    one.caller.caught_up()
    assert [] == one.byes()
    assert 200 == one.caller.hang_up(one.dialog).code
    # 3. He pays what he talked.
    (call,) = on_the_wire(world, [one.caller], [callee])
    assert ("caller", 2 * GRANT_S, GRANT_S + 1) == (call.cdr.end_reason, call.cdr.grant_s, call.cdr.billed_s)
    assert Decimal(5) - 11 * CENT == world.balance(one.account)
    books_are_right(world)


def test_a_locked_purse_stops_nobody_else(world, ends, root):
    """One account is busy for longer than anybody waits: only its own calls notice."""
    callee, stack = ends
    # 1. Four calls are up, one of them with money for 11 s.
    lasting, ending, other, third = up = calls_up(world, stack, ["5", "5", "0.11", "5"])
    busy = lasting.account
    phones = world.phones(busy, 4)
    newcomer = world.customer("5")
    new_phone = world.phone(newcomer)
    refusals = len(ledger_refusals(world))
    # 2. Somebody locks the purses of the first two for seconds.
    root.execute("START TRANSACTION")
    root.execute(
        "SELECT balance FROM purse WHERE account_id IN (%s, %s) FOR UPDATE",
        (busy.account_id, ending.account.account_id),
    )
    locked_at = time.monotonic()
    # 3. One of those calls ends, then a call of somebody else: that one is settled.
    assert 200 == ending.caller.hang_up(ending.dialog).code
    assert 200 == third.caller.hang_up(third.dialog).code
    assert "caller" == the_cdr(world, third.call_id, 5).end_reason
    assert 1 == world.money(ending.account).calls
    # 4. He dials once for each worker and is refused; meanwhile another customer's calls connect.
    callers = [stack.enter_context(Party(world, host="127.0.0.32")) for _ in phones]
    dialogs = [caller.dial(phone) for caller, phone in zip(callers, phones, strict=True)]
    answers = [once_more(world, stack, new_phone) for _ in range(5)]
    assert [200] * 5 == [answer.code for answer in answers], [answer.text for answer in answers]
    finals = [caller.wait_for_final(dialog, "INVITE", 8) for caller, dialog in zip(callers, dialogs, strict=True)]
    assert {(503, "billing_unavailable")} == {(final.code, final.token) for final in finals}
    # 5. A call of somebody else is renewed in time, and ends with its money.
    talked = other.wait_for_bye(callee, 12)
    assert 10.9 < talked < 12, talked
    assert time.monotonic() - locked_at > LOCKED_MIN_S
    # 6. Nobody was refused without asking: the breaker never opened.
    lines = ledger_refusals(world)[refusals:]
    assert len(lines) == len(phones), lines
    assert all(f'"{busy.name}"' in line for line in lines), lines
    root.connection.rollback()
    # 7. Now their calls are settled too.
    calls = on_the_wire(world, [one.caller for one in up], [callee])
    books_are_right(world)
    assert ["cut", "caller", "cut", "caller"] == [call.cdr.end_reason for call in calls]
    assert [GRANT_S, 11] == [calls[0].cdr.billed_s, calls[2].cdr.billed_s]
    for one, call, money in zip(up, calls, ("5", "5", "0.11", "5"), strict=True):
        assert Decimal(money) - call.cdr.billed_s * CENT == world.balance(one.account)
    connected = [cdr for cdr in world.cdrs_of(newcomer) if cdr.result == "answered"]
    assert 5 == len(connected)
    assert Decimal(5) - sum(cdr.billed_s for cdr in connected) * CENT == world.balance(newcomer)


@contextlib.contextmanager
def flood(world, per_second=30):
    """INVITEs of a user whom nobody knows, with a wrong digest, without end; nobody reads the answers."""
    stop = threading.Event()
    with RawSip(world.stack.sip_address, world.realm, host="127.0.0.66", user="nobody") as attacker:
        dialog = attacker.new_dialog("4930123456")
        challenge = attacker.ask("INVITE", dialog)
        assert 407 == challenge.code
        sent = []

        def send():
            while not stop.wait(1 / per_second):
                fresh = attacker.new_dialog("4930123456")
                shown = attacker.authorization(challenge, "INVITE", fresh.target, "nobody", "wrong")
                sent.append(attacker.send(attacker.request("INVITE", fresh, headers=[shown], body=SDP)))

        thread = threading.Thread(target=send, name="flood", daemon=True)
        thread.start()
        try:
            yield sent
        finally:
            stop.set()
            thread.join(5)


def test_recovers_while_wrong_digests_keep_coming(world, ends):
    """After the database's return a customer gets through within the limit, although most questions are a flood's."""
    _, stack = ends
    account = world.customer("5")
    phone = world.phone(account)
    with flood(world) as sent:
        # 1. The database hangs for seconds; the flood and a few customers meet it: the breaker opens.
        with database_away(world, "hangs"), ThreadPoolExecutor(4) as pool:
            refused = list(pool.map(lambda _: once_more(world, stack, phone, 6), range(4)))
            assert [503] * 4 == [answer.code for answer in refused]
            reached = len(sent)
            wait_until(lambda: len(sent) > reached + 60, 5, "two seconds of flood more")
        # 2. It is back, and the flood goes on: he gets through.
        back = len(sent)
        wait_until(
            lambda: 200 == once_more(world, stack, phone, 6).code, RECOVERY_LIMIT_S, "a call connects", poll_s=0.2
        )
        wait_until(lambda: len(sent) > back + 30, 3, "the flood goes on")
        # 3. And so do the next ones.
        assert [200] * 3 == [once_more(world, stack, phone).code for _ in range(3)]
    books_are_right(world)
    connected = [cdr for cdr in world.cdrs_of(account) if cdr.result == "answered"]
    assert 4 == len(connected)
    assert Decimal(5) - sum(cdr.billed_s for cdr in connected) * CENT == world.balance(account)


def test_a_right_that_is_missing_and_a_call_that_ended_meanwhile(world, ends, root):
    """The proxy may not settle for some seconds: the end waits, is not set aside, and renews nothing any more."""
    callee, stack = ends
    (one,) = calls_up(world, stack, ["5"])
    proxy = world.settings.database.login("proxy").user
    drain_log = world.stack.folder / "drain.log"
    root.execute("SELECT host FROM mysql.user WHERE user = %s", (proxy,))
    logins = [f"'{proxy}'@'{host}'" for (host,) in root.fetchall()]
    # 1. EXECUTE is gone; the call ends, and its end waits.
    for login in logins:
        root.execute(f"REVOKE EXECUTE ON PROCEDURE settle_call FROM {login}")
    try:
        assert 200 == one.caller.hang_up(one.dialog).code
        wait_until(lambda: "execute command denied" in drain_log.read_text(), 5, "the drain was refused")
        # 2. For the ledger it is still up, and due for renewal: the keeper leaves it alone.
        wait_until(lambda: world.live_calls(one.account)[0]["deadline_in_ms"] < 3000, 9, "two ticks of the keeper")
        (live,) = world.live_calls(one.account)
        assert GRANT_S == live["grant_s"]
    finally:
        for login in logins:
            root.execute(f"GRANT EXECUTE ON PROCEDURE settle_call TO {login}")
    # 3. The right is back: settled, with the grant it had.
    (call,) = on_the_wire(world, [one.caller], [callee])
    assert ("caller", GRANT_S) == (call.cdr.end_reason, call.cdr.grant_s)
    assert Decimal(5) - call.charge == world.balance(one.account)
    assert not (world.settings.node.state_dir / "journal" / "refused.log").exists()
    books_are_right(world)


def test_node_lost_while_a_call_rings(world, ends, root):
    """The reaper charges what it cannot know; the node comes back, knows, and all of it is paid back."""
    callee, stack = ends
    callee.invites = "ring"
    account = world.customer("1")
    caller = stack.enter_context(Party(world, host="127.0.0.33"))
    # 1. A phone rings; the node dies.
    dialog = caller.dial(world.phone(account))
    caller.wait_for(lambda message: message.code == 180, "180")
    world.wait_for_live(account, state="open")
    world.stack.kamailio.kill9()
    # 2. Its hold ran out long ago: the reaper charges the whole grant, provisionally.
    root.execute(
        "UPDATE live_call SET hold_until = hold_until - INTERVAL 120 SECOND WHERE sip_call_id = %s", (dialog.call_id,)
    )
    root.connection.commit()
    reaped = the_cdr(world, dialog.call_id)
    assert ("lost_node", True, GRANT_S * CENT) == (reaped.end_reason, reaped.provisional, reaped.legs[0].charge)
    assert 1 - GRANT_S * CENT == world.balance(account)
    # 3. The node is back: the call never connected, so it costs nothing.
    world.stack.kamailio.start()
    wait_until(lambda: not the_cdr(world, dialog.call_id).provisional, 12, "the truth is known")
    cdr = the_cdr(world, dialog.call_id)
    assert ("cancelled", 0, 0, 0) == (cdr.result, cdr.talked_ms, cdr.billed_s, cdr.legs[0].charge)
    assert cdr.answered_at is None
    assert {account.account_id: 0} == world.entries_of_call(cdr.call_key)
    assert 1 == world.balance(account)
    caller.caught_up()
    assert [] == caller.heard("INVITE", 200)
    books_are_right(world)


@contextlib.contextmanager
def no_room(world):
    """The journal's disk is full: its segments of these minutes are /dev/full. The drain is down, for it would read
    them; the proxy's open segments are removed, which makes it open them anew."""
    journal = Path(world.settings.node.state_dir) / "journal"
    wait_until(lambda: journal_bytes(world) == 0, 5, "the journal is drained")
    world.stack.drain.kill9()
    for segment in segments_of(journal):
        segment.with_suffix(".done").unlink(missing_ok=True)
        segment.unlink()
    minute = int(time.time()) // SEGMENT_SPAN_S
    full = [journal / f"{SEGMENT_PREFIX}{minute + later}{SEGMENT_SUFFIX}" for later in range(3)]
    for path in full:
        path.symlink_to("/dev/full")
    try:
        yield
    finally:
        for path in full:
            path.unlink()
        world.stack.drain.start()


def test_journal_without_room(world, ends):
    """Nobody connects while nothing can be written down; who was up, or was answered just then, pays his seconds."""
    callee, stack = ends
    (one,) = calls_up(world, stack, ["5"])
    # 1. A second phone rings.
    callee.invites = "ring"
    account = world.customer("5")
    others = world.phone(world.customer("5"))
    caller = stack.enter_context(Party(world, host="127.0.0.34"))
    dialog = caller.dial(world.phone(account))
    invite = callee.wait_for(lambda message: message.call_id == dialog.call_id, "INVITE")
    world.wait_for_live(account, state="open")
    callee.invites = "answer"
    with no_room(world):
        # 2. It is answered, and nobody can write that down. New calls are refused.
        callee.answer(invite)
        answer = caller.wait_for_final(dialog, "INVITE")
        assert 200 == answer.code
        caller.establish(dialog, answer)
        caller.send(caller.request("ACK", dialog, cseq=dialog.cseq))
        refused = [once_more(world, stack, others) for _ in range(4)]
        assert {(503, "billing_unavailable")} == {(one.code, one.token) for one in refused}
        assert world.log_lines('"journal_unwritable"')
        # 3. Both calls end; the ledger hears nothing of it, and the keeper, who looks every five seconds for calls that
        #    ring no more, invents nothing.
        assert 200 == caller.hang_up(dialog).code
        assert 200 == one.caller.hang_up(one.dialog).code
        ended_at = time.time()
        clock_reaches(ended_at + 6, 7)
        assert ["open"] == [row["state"] for row in world.live_calls(account)]
    # 4. There is room: whoever kept a fact writes it down at his next event.
    wait_until(
        lambda: once_more(world, stack, others).code == 200
        and not world.live_calls(account)
        and not world.live_calls(one.account),
        10,
        "both calls are settled",
    )
    calls = on_the_wire(world, [one.caller, caller], [callee])
    assert ["caller", "caller"] == [call.cdr.end_reason for call in calls]
    assert 1 <= calls[1].cdr.billed_s <= 3
    assert Decimal(5) - calls[0].charge == world.balance(one.account)
    assert Decimal(5) - calls[1].charge == world.balance(account)
    books_are_right(world)
