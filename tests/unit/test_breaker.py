"""The breaker: a dead database costs a few callers a wait, and nobody else."""

import os

import pytest

from billing import breaker
from billing.breaker import Breaker, monotonic_ms


class Clock:
    """CLOCK_MONOTONIC as the breaker sees it, moved by hand."""

    def __init__(self, monkeypatch):
        self.ms = 1_000_000
        monkeypatch.setattr(breaker, "monotonic_ms", lambda: self.ms)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def opened(failures=3, open_ms=2000):
    broken = Breaker(failures, open_ms)
    for _ in range(failures):
        broken.failed()
    return broken


def test_new_breaker_lets_through():
    """Before anything failed, attempts go through."""
    fresh = Breaker(3, 2000)
    assert (True, False) == (fresh.allows(), fresh.is_open())


def test_fewer_failures_than_the_limit_let_through(clock):
    """One failure less than the limit changes nothing."""
    broken = Breaker(3, 2000)
    broken.failed()
    broken.failed()
    assert (True, False) == (broken.allows(), broken.is_open())


def test_limit_of_failures_opens(clock):
    """At the limit, attempts are refused at once."""
    broken = opened()
    assert (False, True) == (broken.allows(), broken.is_open())


def test_success_in_between_starts_the_count_anew(clock):
    """Only failures in a row count."""
    broken = Breaker(2, 2000)
    broken.failed()
    broken.succeeded()
    broken.failed()
    assert broken.allows() is True


def test_open_until_the_last_millisecond(clock):
    """It stays open for exactly open_ms."""
    broken = opened(open_ms=2000)
    clock.ms += 1999
    assert (False, True) == (broken.allows(), broken.is_open())
    clock.ms += 1
    assert (False, True) == (broken.is_open(), broken.allows())


def test_one_probe_at_a_time(clock):
    """After open_ms one attempt goes through, and the others wait for its result."""
    broken = opened()
    clock.ms += 2000
    assert [True, False, False] == [broken.allows() for _ in range(3)]


def test_asking_whether_it_is_open_is_no_probe(clock):
    """`is_open` takes nobody's turn."""
    broken = opened()
    clock.ms += 2000
    assert [False, False] == [broken.is_open(), broken.is_open()]
    assert broken.allows() is True


def test_probe_that_succeeds_closes(clock):
    """One answer from the database, and everybody may ask again."""
    broken = opened()
    clock.ms += 2000
    broken.allows()
    broken.succeeded()
    assert [True, True] == [broken.allows(), broken.allows()]


def test_probe_that_fails_opens_again(clock):
    """A probe that fails makes the others wait for open_ms from then on."""
    broken = opened()
    clock.ms += 2000
    broken.allows()
    clock.ms += 1000
    broken.failed()
    clock.ms += 1999
    assert broken.allows() is False
    clock.ms += 1
    assert broken.allows() is True


def test_probe_that_died_is_followed_by_another(clock):
    """A prober that was killed holds nobody up for longer than open_ms."""
    broken = opened()
    clock.ms += 2000
    broken.allows()
    clock.ms += 2000
    assert broken.allows() is True


def test_processes_of_a_node_share_it():
    """What a forked worker meets, all others know, and its probe is theirs too."""
    broken = Breaker(3, 60_000)
    child = os.fork()
    if not child:
        for _ in range(3):
            broken.failed()
        os._exit(0)
    assert (child, 0) == os.waitpid(child, 0)
    assert (True, False) == (broken.is_open(), broken.allows())


def test_many_processes_that_fail_at_once_open_it():
    """Failures that processes count at one moment may be lost to each other, but it opens."""
    broken = Breaker(3, 60_000)
    children = []
    for _ in range(8):
        child = os.fork()
        if not child:
            for _ in range(3):
                broken.failed()
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    assert broken.is_open() is True


@pytest.mark.parametrize(("failures", "open_ms"), [(0, 2000), (3, 0), (-1, -1)])
def test_breaker_that_cannot_work_is_refused(failures, open_ms):
    """A limit or a time below 1 is the programmer's error."""
    with pytest.raises(ValueError, match="must be at least 1"):
        Breaker(failures, open_ms)


def test_milliseconds_never_go_back():
    """The clock of the breaker is monotonic."""
    first = monotonic_ms()
    assert first <= monotonic_ms()
