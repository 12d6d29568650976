"""The check that ends every attack is one that fails: each thing that it looks for, done on purpose."""

import pytest

from stack.processes import StackError
from tests.support.aftermath import Aftermath, account_for_good_calls, check_lines


def test_a_call_that_nobody_allowed(world, aftermath, account, phone, caller, callee):
    """A CDR is seen; then a charge on an account that was not to be charged; both allowed, it passes."""
    caller.hang_up(caller.call(phone))
    with pytest.raises(AssertionError, match="0 CDRs allowed"):
        aftermath.check()
    aftermath.allow(cdrs=1)
    with pytest.raises(AssertionError, match="were charged"):
        aftermath.check()
    aftermath.allow(charged=[account])


def test_a_call_that_is_still_up(aftermath, account, phone, caller, callee):
    """A live call with its hold is seen."""
    dialog = caller.call(phone)
    with pytest.raises(StackError, match="no call is left"):
        aftermath.check(limit_s=0.5)
    caller.hang_up(dialog)
    aftermath.allow(cdrs=1, charged=[account])


def test_processes_that_are_others(aftermath, stack):
    """A proxy that died and came back is seen."""
    stack.kamailio.kill9()
    stack.kamailio.start()
    with pytest.raises(AssertionError, match="died or were started"):
        aftermath.check()
    aftermath.begin()


def test_a_good_call_that_fails(world, aftermath):
    """A caller who is refused is seen."""
    account = account_for_good_calls(world)
    watch = Aftermath(world, account)
    world.admin.set_account_status(account.account_id, "suspended")
    with pytest.raises(AssertionError, match="403"):
        watch.check()
    aftermath.allow(cdrs=1)


@pytest.mark.parametrize(
    "line",
    [
        '{"level": "err", "event": "uncaught", "route": "ksr_request_route"}',
        '{"event": "forged"}',
        '{"event": "refus',
        '{"event": "refused", "detail": "ü"}',
        '{"pri":"CRITICAL","subsys":"core","msg":"EOF on 31"}',
        "corrupted size vs. prev_size",
        "Traceback (most recent call last):",
    ],
)
def test_lines(line):
    """An error that nobody caught, a line that a caller wrote, half a line, one that is not ASCII: all are seen."""
    with pytest.raises((AssertionError, ValueError)):
        check_lines([b'{"pri":"INFO","msg":"a line before"}', line.encode()])
