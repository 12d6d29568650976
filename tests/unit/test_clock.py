"""Moments: time between two facts, across processes, reboots and clock steps."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.clock import Moment, boot_id


def test_moment_comes_back_from_its_text():
    """What is kept with a dialog or in the journal is read back as it was."""
    now = Moment.now()
    assert now == Moment.parse(str(now))


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_any_moment_comes_back_from_its_text(monotonic_ms, wall_ms):
    """However far the clocks have run, no digit is lost."""
    moment = Moment(monotonic_ms, wall_ms, "abcdef01")
    assert moment == Moment.parse(str(moment))


@pytest.mark.parametrize("text", ["", "1/2", "1/2/3/4", "a/2/boot", "1/b/boot", "1.5/2/boot"])
def test_other_text_is_refused(text):
    """A text that is no moment is an error, never a wrong time."""
    with pytest.raises(ValueError):  # noqa: PT011 - Python's own sentences
        Moment.parse(text)


def test_now_is_of_this_boot_and_never_goes_back():
    """Two readings in a row belong to one boot and are in order."""
    first, second = Moment.now(), Moment.now()
    assert (boot_id(), boot_id()) == (first.boot, second.boot)
    assert first.monotonic_ms <= second.monotonic_ms


def test_boot_is_eight_characters():
    """The boot is told by eight hexadecimal characters."""
    assert re.fullmatch(r"[0-9a-f]{8}", boot_id())


@pytest.mark.parametrize("step_ms", [-3_600_000, 0, 3_600_000])
def test_wall_clock_steps_do_not_count_within_a_boot(step_ms):
    """Within one boot the monotonic clock decides, whatever the wall clock does meanwhile."""
    earlier = Moment(1_000, 5_000_000, "boot-one")
    later = Moment(62_000, 5_061_000 + step_ms, "boot-one")
    assert 61_000 == later.ms_since(earlier)


def test_wall_clock_serves_across_a_reboot():
    """After a reboot the monotonic clock began anew, so the wall clock decides."""
    assert 61_000 == Moment(500, 5_061_000, "boot-two").ms_since(Moment(900_000, 5_000_000, "boot-one"))


@pytest.mark.parametrize("later", [Moment(0, 9_000, "boot-one"), Moment(9_000, 0, "boot-two")])
def test_time_between_is_never_negative(later):
    """A clock that went back gives no time at all, not a negative one."""
    assert 0 == later.ms_since(Moment(5_000, 5_000, "boot-one"))
