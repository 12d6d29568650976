"""The node's disk is full when a call is answered, and then its proxy is killed."""

from decimal import Decimal

import pytest

from billing.journal import RESERVE
from stack.processes import wait_until
from tests.faults.bench import fill, may_mount, mounted
from tests.support.faults import own_world
from tests.support.party import Party, books_are_right, carrier, on_the_wire

DISK_MB = 64


@pytest.fixture
def world(tmp_path):
    """Its state is on a small disk of its own."""
    if reason := may_mount():
        pytest.skip(reason)
    with mounted(tmp_path / "state", DISK_MB), own_world(tmp_path) as made:
        yield made


def test_call_that_is_answered_on_a_full_disk_goes_on_through_a_kill(world):
    """The reserve is given up before the dialog store finds no room, which it would tell nobody: the call is known to
    the next proxy, and pays for each second. No new call begins meanwhile."""
    state = world.settings.node.state_dir
    account, other = world.customer("5"), world.customer("5")
    with (
        carrier(world, invites="ring") as callee,
        Party(world, host="127.0.0.46") as caller,
        Party(world, host="127.0.0.47") as late,
    ):
        # 1. A phone rings, and the disk fills up.
        dialog = caller.dial(world.phone(account))
        caller.wait_for(lambda message: message.code == 180, "180")
        ballast = fill(state)
        wait_until(lambda: not (state / "journal" / RESERVE).exists(), 5, "the reserve is given up")
        # 2. Who calls now is refused; who rang is answered.
        wait_until(lambda: late.wait_for_final(late.dial(world.phone(other)), "INVITE").code == 503, 5, "503", 0.3)
        (invite,) = {one.call_id: one for one in callee.heard("INVITE", call_id=dialog.call_id)}.values()
        callee.answer(invite)
        caller.establish(dialog, caller.wait_for_final(dialog, "INVITE"))
        caller.send(caller.request("ACK", dialog, cseq=dialog.cseq))
        callee.wait_for_request("ACK", 5, dialog.call_id)
        # 3. There is room again, the proxy is killed at once, and the call is up in the next one.
        ballast.unlink()
        world.stack.kamailio.kill9()
        world.stack.kamailio.start()
        assert caller.timed("INFO", dialog, 4) < 4
        assert 200 == caller.hang_up(dialog).code
        (call,) = on_the_wire(world, [caller], [callee])
        assert ("answered", "caller", False) == (call.cdr.result, call.cdr.end_reason, call.cdr.provisional)
        assert Decimal(5) - call.charge == world.balance(account)
        assert 0 < call.charge
        books_are_right(world)
