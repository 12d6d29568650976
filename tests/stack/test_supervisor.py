"""The supervisor: what dies comes back, what keeps dying is given up."""

import threading
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from stack.node import RESTARTS_IN_A_ROW_MAX, Supervisor, toml
from stack.processes import StackError


@dataclass
class Part:
    """A part that is told when it dies."""

    name: str
    alive: bool = True
    fails: Exception | None = None
    starts: int = field(default=0)

    def start(self) -> None:
        self.starts += 1
        if self.fails:
            raise self.fails
        self.alive = True

    def stop(self) -> None:
        self.alive = False


@pytest.fixture
def clock(monkeypatch):
    """Monotonic time that the test moves."""

    class Clock:
        now_s = 1000.0

        def monotonic(self) -> float:
            return self.now_s

    clock = Clock()
    monkeypatch.setattr("stack.node.time", clock)
    return clock


def test_what_died_is_started_again(clock):
    """Only that part, and the reader is told."""
    proxy, drain, said = Part("proxy"), Part("drain"), []
    supervisor = Supervisor((proxy, drain), said.append)
    supervisor.check()
    proxy.alive = False
    supervisor.check()
    assert (proxy.alive, proxy.starts, drain.starts) == (True, 1, 0)
    assert said == ["proxy died; starting it again (1)"]


def test_a_full_disk_does_not_end_the_supervisor(clock):
    """What cannot be started for want of room is tried again like anything else, and the others are looked after."""
    proxy, drain, said = Part("proxy", alive=False, fails=OSError(28, "No space left on device")), Part("drain"), []
    supervisor = Supervisor((proxy, drain), said.append)
    supervisor.check()
    drain.alive, proxy.fails = False, None
    clock.now_s += 1
    supervisor.check()
    assert (True, True) == (proxy.alive, drain.alive)
    assert "[Errno 28] No space left on device" in said


def test_the_pause_between_restarts_grows(clock):
    """0.2, 0.4, 0.8 s .. and at most five."""
    proxy = Part("proxy", alive=False, fails=StackError("proxy does not start"))
    supervisor = Supervisor((proxy,), lambda _: None)
    restarts_at = []
    for _ in range(300):
        before = proxy.starts
        supervisor.check()
        if proxy.starts > before:
            restarts_at.append(clock.now_s)
        clock.now_s += 0.1
        if proxy.starts == RESTARTS_IN_A_ROW_MAX:
            break
    pauses = [round(later - earlier, 1) for earlier, later in pairwise(restarts_at)]
    assert pauses[:3] == pytest.approx([0.2, 0.4, 0.8], abs=0.11)
    assert max(pauses) <= 5.1


def test_what_keeps_dying_is_given_up(clock):
    """With its name; the stack then ends."""
    proxy = Part("proxy", alive=False, fails=StackError("proxy does not start"))
    supervisor = Supervisor((proxy,), lambda _: None)
    for _ in range(RESTARTS_IN_A_ROW_MAX):
        supervisor.check()
        clock.now_s += 10
    with pytest.raises(StackError, match=r"^proxy died 9 times in a row, .*given up: proxy does not start$"):
        supervisor.check()
    assert proxy.starts == RESTARTS_IN_A_ROW_MAX


def test_a_part_that_ran_long_starts_anew(clock):
    """A death a day never adds up."""
    proxy = Part("proxy")
    supervisor = Supervisor((proxy,), lambda _: None)
    for _ in range(3 * RESTARTS_IN_A_ROW_MAX):
        proxy.alive = False
        supervisor.check()
        clock.now_s += 31
        supervisor.check()
    assert proxy.alive


def test_it_runs_until_it_is_told_to_stop():
    """The loop ends with its event."""
    stop = threading.Event()
    stop.set()
    Supervisor((Part("proxy"),), lambda _: None).run(stop)


def test_settings_are_written_as_toml():
    """Text with quotes, lists and numbers; None leaves a setting out."""
    assert toml({"a": 'x"y'}, {"s": {"n": 1, "l": ["p", "q"], "none": None, "t": True}}) == (
        'a = "x\\"y"\n\n[s]\nn = 1\nl = ["p", "q"]\nt = true\n'
    )
