import contextlib
import sqlite3
from decimal import Decimal

import pytest

from billing.journal import JournalTail
from stack.kamailio import dialog_store
from stack.processes import wait_until
from tests.support import rpc
from tests.support.faults import calls_up, clock_reaches, distinct, journal_bytes, own_world, reconnect
from tests.support.party import Party, books_are_right, carrier, on_the_wire

CENT = Decimal("0.01")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with own_world(tmp_path_factory.mktemp("proxy-killed")) as made:
        yield made


@pytest.fixture
def ends(world):
    """The carrier, and a stack of contexts for callers."""
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(carrier(world)), stack


def kill_and_start(world):
    """SIGKILL for every process of the proxy, then a start with what it left."""
    world.stack.kamailio.kill9()
    world.stack.kamailio.start()


def restart_everything(world):
    world.stack.down()
    world.stack.up()
    reconnect(world)


def told_once(one, callee):
    """Both ends got exactly one BYE, and it was the proxy's."""
    assert 1 == len(one.byes())
    assert 1 == len(distinct(callee.heard("BYE", call_id=one.call_id)))


@pytest.mark.parametrize("restart", [kill_and_start, restart_everything])
def test_calls_that_are_up_go_on(world, ends, restart):
    """After the restart a call is hung up, another cut on time, a third renewed first; each is charged exactly."""
    callee, stack = ends
    # 1. Three calls: one with money for long, one for 8 s, one for 13 s, which is more than a grant.
    up = calls_up(world, stack, ["5", "0.08", "0.13"])
    hung_up, cut, renewed = up
    restart(world)
    # 2. The dialogs are known again.
    for one in up:
        assert one.caller.timed("INFO", one.dialog, 4) < 4
    assert 200 == hung_up.caller.hang_up(hung_up.dialog).code
    # 3. Deadlines hold across the restart.
    assert 7 < cut.wait_for_bye(callee, 12) < 9.5
    assert 12 < renewed.wait_for_bye(callee, 12) < 14.5
    # 4. Both ends agree with the CDRs.
    calls = on_the_wire(world, [one.caller for one in up], [callee])
    assert ["caller", "cut", "cut"] == [call.cdr.end_reason for call in calls]
    assert [8, 13] == [call.cdr.billed_s for call in calls[1:]]
    assert Decimal(5) - calls[0].charge == world.balance(hung_up.account)
    assert [0, 0] == [world.balance(one.account) for one in (cut, renewed)]
    for one in (cut, renewed):
        told_once(one, callee)
    books_are_right(world)


def test_deadlines_while_the_proxy_is_down(world, ends):
    """The money ended while nobody counted: BYEs on the first tick after the start, charged the grant and no more.

    The cutter and the dialog module's timer may find them at one moment: each call ends once all the same, and the
    carrier's channels are free again, no more of them than were taken.
    """
    callee, stack = ends
    up = calls_up(world, stack, ["0.06"] * 12)
    world.stack.kamailio.kill9()
    clock_reaches(max(one.answered_at for one in up) + 7, 9)
    world.stack.kamailio.start()
    for one in up:
        one.wait_for_bye(callee, 8)
    for one, call in zip(up, on_the_wire(world, [one.caller for one in up], [callee]), strict=True):
        assert (6, 6) == (call.cdr.grant_s, call.cdr.billed_s)
        assert 0 == world.balance(one.account)
        told_once(one, callee)
    caller = stack.enter_context(Party(world, host="127.0.0.31"))
    assert 200 == caller.hang_up(caller.call(world.phone(world.customer("1")))).code
    wait_until(lambda: rpc.channels(world.stack.kamailio.rpc_socket) <= 0, 5, "the channels are free")
    assert 0 == rpc.channels(world.stack.kamailio.rpc_socket)
    for one in up:
        assert 1 == sum('"call_ended"' in line for line in world.log_lines(f'"sip_call_id": "{one.call_id}"'))
    books_are_right(world)


@pytest.mark.parametrize("restart", [kill_and_start, restart_everything])
def test_ringing_calls_never_connect(world, ends, restart):
    """Nobody counts a call that rang across a restart: its late 200 is ended or dropped, its hold comes back."""
    callee, stack = ends
    callee.invites = "ring"
    # 1. Three phones ring.
    accounts = [world.customer("1") for _ in range(3)]
    callers = [stack.enter_context(Party(world, host="127.0.0.26")) for _ in accounts]
    dialogs = [one.dial(world.phone(account)) for one, account in zip(callers, accounts, strict=True)]
    for one in callers:
        one.wait_for(lambda message: message.code == 180, "180")
    for account in accounts:
        world.wait_for_live(account, state="open")
    restart(world)
    # 2. Two of them are picked up now.
    for dialog in dialogs[:2]:
        (invite,) = distinct(callee.heard("INVITE", call_id=dialog.call_id))
        callee.answer(invite)
    for dialog in dialogs[:2]:
        callee.wait_for_request("BYE", 5, dialog.call_id)
    # 3. The holds come back, one CDR each, no charge.
    for account in accounts:
        assert 1 == world.balance(account)
        (cdr,) = world.cdrs_of(account)
        assert ("cancelled", 0, 0) == (cdr.result, cdr.talked_ms, cdr.billed_s)
    # 4. No caller ever heard a 200 for his INVITE.
    for one in callers:
        one.caught_up()
        assert [] == one.heard("INVITE", 200)
    books_are_right(world)


def test_killed_with_calls_between(world, ends):
    """Killed while many calls are being set up: those that connected are charged, the others are free, all settled."""
    callee, stack = ends
    accounts = [world.customer("0.03") for _ in range(20)]
    phones = [world.phone(account) for account in accounts]
    callers = [stack.enter_context(Party(world, host="127.0.0.27")) for _ in accounts]
    # 1. Twenty dial; the proxy dies when the tenth is on its way to the callee.
    dialogs = [caller.dial(phone) for caller, phone in zip(callers, phones, strict=True)]
    callee_has = lambda: len({one.call_id for one in callee.heard("INVITE")})  # noqa: E731
    wait_until(lambda: callee_has() >= 10, 5, "ten calls are on their way")
    kill_and_start(world)
    # 2. Whoever has a 200 acknowledges it and is cut at his third second; nobody else connects.
    books = [one.heard("INVITE", 200) for one in callers]
    connected = [
        (one, dialog, answers[0]) for one, dialog, answers in zip(callers, dialogs, books, strict=True) if answers
    ]
    for caller, dialog, answer in connected:
        caller.establish(dialog, answer)
        caller.send(caller.request("ACK", dialog, cseq=dialog.cseq))
    for caller, dialog, answer in connected:
        assert 2 < caller.wait_for_request("BYE", 8).at - answer.at < 6
        callee.wait_for_request("BYE", 2, dialog.call_id)
    world.wait_until_drained(60)
    # 3. One CDR each, or none for those who never came as far as the ledger; only who was connected pays: three cents.
    for account, answers in zip(accounts, books, strict=True):
        cdrs = world.cdrs_of(account)
        assert [cdr.provisional for cdr in cdrs] in ([], [False])
        if answers:
            (cdr,) = cdrs
            assert ("answered", 3) == (cdr.result, cdr.billed_s)
        assert (Decimal(0) if answers else Decimal("0.03")) == world.balance(account)
    books_are_right(world)


def test_killed_between_the_answer_and_the_200(world, ends):
    """The callee's answer is in the journal, and the proxy dies before it can tell the caller: nobody pays.

    The dialog store is locked, which holds the worker exactly there.
    """
    callee, stack = ends
    account = world.customer("0.03")
    caller = stack.enter_context(Party(world, host="127.0.0.28"))
    journal = JournalTail(world.settings.node.state_dir / "journal")
    with contextlib.closing(sqlite3.connect(dialog_store(world.settings.node.state_dir), timeout=5)) as store:
        store.isolation_level = None
        store.execute("BEGIN IMMEDIATE")
        dialog = caller.dial(world.phone(account))
        answered = lambda: dialog.call_id in [fact.get("call_id") for fact in journal.facts()]  # noqa: E731
        wait_until(answered, 5, "the answer is in the journal")
        world.stack.kamailio.kill9()
    world.stack.kamailio.start()
    callee.answer(callee.heard("INVITE", call_id=dialog.call_id)[0])  # sent again, for no ACK came
    callee.wait_for_request("BYE", 5, dialog.call_id)
    assert Decimal("0.03") == world.balance(account)
    (cdr,) = world.cdrs_of(account)
    assert ("cancelled", 0, 0, False) == (cdr.result, cdr.talked_ms, cdr.billed_s, cdr.provisional)
    assert "proxy died before it sent the answer on" == cdr.detail
    caller.caught_up()
    assert [] == caller.heard("INVITE", 200)
    books_are_right(world)


def test_killed_between_the_200_and_the_ack(world, ends):
    """The caller has heard the answer, and his ACK finds nobody: he talks for as long as he paid for."""
    callee, stack = ends
    account = world.customer("0.06")
    caller = stack.enter_context(Party(world, host="127.0.0.30"))
    dialog = caller.dial(world.phone(account))
    answer = caller.wait_for_final(dialog, "INVITE")
    kill_and_start(world)
    assert 5 < caller.wait_for_request("BYE", 10).at - answer.at < 8
    callee.wait_for_request("BYE", 2, dialog.call_id)
    assert 0 == world.balance(account)
    (cdr,) = world.cdrs_of(account)
    assert ("cut", 6) == (cdr.end_reason, cdr.billed_s)
    books_are_right(world)


def test_callers_are_no_strangers_after_a_kill(world, ends):
    """From where the right password came is known to the next proxy: a flood is none of theirs (kemi/flood.py)."""
    _, stack = ends
    caller = stack.enter_context(Party(world, host="127.0.0.29"))
    dialog = caller.call(world.phone(world.customer("1")))
    assert 200 == caller.hang_up(dialog).code
    kill_and_start(world)
    known = lambda: " ".join(rpc.lines(world.stack.kamailio.rpc_socket, "htable.dump known"))  # noqa: E731
    wait_until(lambda: "127.0.0.29" in known(), 5, "the place is known again")
    books_are_right(world)


def test_drain_killed(world, ends):
    """The drain dies and calls end meanwhile: their facts wait, and the next drain settles each of them once."""
    callee, stack = ends
    up = calls_up(world, stack, ["5"] * 4)
    for _ in range(2):
        world.stack.drain.kill9()
        ended, up = up[:2], up[2:]
        for one in ended:
            assert 200 == one.caller.hang_up(one.dialog).code
        assert journal_bytes(world) > 0
        assert [1, 1] == [world.money(one.account).calls for one in ended]
        world.stack.drain.start()
        for call, one in zip(on_the_wire(world, [one.caller for one in ended], [callee]), ended, strict=True):
            assert "caller" == call.cdr.end_reason
            assert Decimal(5) - call.charge == world.balance(one.account)
    books_are_right(world)


def test_supervised_parts_come_back(world, ends):
    """`make up` watches its parts: killed, they are started again by themselves and the calls go on."""
    from stack.node import Supervisor

    callee, stack = ends
    (one,) = calls_up(world, stack, ["5"])
    with Supervisor(world.stack.parts, print).in_background():
        for part in (world.stack.kamailio, world.stack.drain):
            part.kill9()
            wait_until(lambda part=part: part.alive, 20, f"{part.name} runs again")
        wait_until(lambda: answers(one), 10, "the call is known again", poll_s=0.2)
        assert 200 == one.caller.hang_up(one.dialog).code
    (call,) = on_the_wire(world, [one.caller], [callee])
    assert "caller" == call.cdr.end_reason
    books_are_right(world)


def answers(one):
    """Whether a request in the call's dialog gets its 200."""
    one.caller.send(one.caller.request("OPTIONS", one.dialog))
    cseq = f"{one.dialog.cseq} OPTIONS"
    return one.caller._take(lambda message: message.code == 200 and message.cseq == cseq, 1.0) is not None
