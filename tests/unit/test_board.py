"""The board: counts of many processes, none lost, none in the way, and readable from outside."""

import errno
import os
import time
from pathlib import Path

import pytest

from billing import board as module
from billing.board import NAMES_MAX, OVERFLOW, Board
from billing.breaker import Breaker
from stack.processes import started_at, wait_until

CHILDREN = 8
COUNTS_EACH = 2_000


@pytest.fixture
def path(tmp_path):
    return tmp_path / "board"


def in_child(work):
    """Run `work` in a forked process, as Kamailio's are; its id, to be waited for."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid


def ended_well(*pids):
    return [0] * len(pids) == [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def test_no_count_of_processes_that_count_at_once_is_lost(path):
    """Every process has a slot of its own; the sum is what all did."""
    board = Board(path)
    children = [
        in_child(lambda: [board.count_event("refused") for _ in range(COUNTS_EACH)]) for _ in range(CHILDREN)
    ]
    assert ended_well(*children)
    assert {'events_total{event="refused"}': CHILDREN * COUNTS_EACH} == Board(path).totals()


def test_counters_go_on_after_a_restart(path):
    """A dead process' slot is taken over where it stopped, so a counter never falls."""
    for _ in range(3):
        assert ended_well(in_child(lambda: Board(path).count_call("busy")))
    assert {'calls_total{result="busy"}': 3} == Board(path).totals()


def test_names_that_two_enter_at_once_do_not_overwrite_each_other(path, monkeypatch):
    """The table of names is written under a lock: who comes while another looks into it waits."""
    board = Board(path)
    looked, go_on = os.pipe(), os.pipe()
    names_on_board = Board._names_on_board

    def slow_look(board):
        names = names_on_board(board)
        os.write(looked[1], b".")
        os.read(go_on[0], 1)
        return names

    def enter_slowly():
        monkeypatch.setattr(Board, "_names_on_board", slow_look)
        board.count("first")

    first = in_child(enter_slowly)
    os.read(looked[0], 1)
    second = in_child(lambda: board.count("second"))
    wait_until(lambda: started_at(second) is None or waits_for_lock(second), 10, "the second one waits, or is done")
    os.write(go_on[1], b".")
    assert ended_well(first, second)
    assert {"first": 1, "second": 1} == Board(path).totals()


def waits_for_lock(pid):
    """proc(5), locks: who is blocked stands behind an arrow."""
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f" {pid} " in line for line in lines)


def test_names_without_end_are_counted_together(path):
    """A label that takes any value cannot fill more than the table; what comes later is one figure."""
    board = Board(path)
    for number in range(NAMES_MAX + 10):
        board.count(f"n{number}")
    totals = board.totals()
    assert (NAMES_MAX, NAMES_MAX + 10) == (len(totals), sum(totals.values()))
    assert totals[OVERFLOW] == 11


def test_histogram_counts_each_value_in_one_bucket(path):
    """Bounds are inclusive, as Prometheus' are; the sum is in microseconds."""
    board = Board(path)
    for value_ms in (0.4, 10, 10.5, 99):
        board.observe_ms("cut_lateness", value_ms, (10, 50))
    expected = {'_bucket{le="10"}': 2, '_bucket{le="50"}': 1, '_bucket{le="+Inf"}': 1, "_sum{}": 119_900}
    assert {f"cut_lateness{name}": value for name, value in expected.items()} == board.totals()


def test_notes_are_seen_by_others(path):
    """The time of a mark is on the machine's one monotonic clock."""
    board, other = Board(path), Board(path)
    assert other.ms_since("drain_ms") is None
    board.mark("drain_ms")
    assert 0 <= other.ms_since("drain_ms") < 60_000
    other.note("drain_ms", time.monotonic_ns())
    assert board.ms_since("drain_ms") is None, "a mark of the future is one of an earlier boot"


def test_breaker_on_the_board_can_be_seen_and_begins_closed(path):
    """Whoever reads the board sees it trip; a new proxy starts anew."""
    board = Board(path)
    breaker = Breaker(2, 1000, board.memory_of("breaker_failures", 2))
    breaker.failed()
    breaker.failed()
    assert (True, 2) == (breaker.is_tripped(), Board(path).noted("breaker_failures"))
    assert not Breaker(2, 1000, Board(path).memory_of("breaker_failures", 2)).is_tripped()


def test_board_of_another_version_makes_place(path):
    """What was counted in another layout is forgotten, never misread; who has it open is not disturbed."""
    path.write_bytes(b"meterline board 0" + b"x" * 100_000)
    board = Board(path)
    board.count_event("refused")
    assert {'events_total{event="refused"}': 1} == Board(path).totals()


def test_full_disk_takes_away_the_figures_and_nothing_else(path, monkeypatch):
    """Room is taken when the board is made; without it counting goes on in memory, for its own process."""

    def full(file, offset, size):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, "posix_fallocate", full)
    board = Board(path)
    board.count_event("refused")
    assert (False, 1) == (board.on_disk, sum(board.totals().values()))


def test_room_of_the_board_is_taken_at_once(path):
    """A page that had no room would kill the process that counts on it (SIGBUS)."""
    Board(path)
    stat = path.stat()
    assert (module.SIZE, True) == (stat.st_size, stat.st_blocks * 512 >= module.SIZE)
    assert 0o600 == stat.st_mode & 0o777
