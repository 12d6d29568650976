"""Readiness: what the board and the disk say about new calls, without asking anybody."""

import time

import pytest

from billing import readiness
from billing.board import Board
from billing.journal_room import JournalRoom
from billing.settings import Settings


@pytest.fixture
def settings(tmp_path):
    made = Settings(
        node={"name": "node-1", "state_dir": tmp_path},
        sip={"realm": "example.net", "listen": ("udp:127.0.0.1:5060",)},
        card_pin_key="k" * 32,
    )
    (tmp_path / "journal").mkdir()
    JournalRoom(tmp_path / "journal", made.journal).keep_reserve()
    return made


def now_ms():
    return time.monotonic_ns() // 1_000_000


@pytest.fixture
def board(tmp_path):
    """Of a node that works."""
    made = Board(tmp_path / "board")
    made.note("proxy_started_ms", now_ms() - 60_000)
    for process in readiness.PROCESSES:
        made.mark(f"{process}_ms")
    return made


def test_node_that_works_is_ready(board, settings):
    """Nothing is wrong."""
    assert [] == not_ready(board, settings)


def not_ready(board, settings):
    return readiness.not_ready(board, settings, JournalRoom(settings.node.state_dir / "journal", settings.journal))


@pytest.mark.parametrize("process", readiness.PROCESSES)
def test_process_that_does_nothing_makes_it_unready(board, settings, process):
    """Each is named."""
    board.note(f"{process}_ms", now_ms() - readiness.SILENT_MS - 1)
    assert [f"{process}_silent"] == not_ready(board, settings)


def test_keeper_and_cutter_have_a_while_after_the_start(board, settings):
    """What an earlier Kamailio left on the board is not theirs."""
    for process in ("keeper", "cutter"):
        board.note(f"{process}_ms", now_ms() - 30_000)
    board.note("proxy_started_ms", now_ms() - 100)
    assert [] == not_ready(board, settings)


def test_failures_of_the_database_make_it_unready(board, settings):
    """From the failure that trips the breaker on, until a success."""
    board.note("breaker_failures", settings.breaker.failures - 1)
    assert [] == not_ready(board, settings)
    board.note("breaker_failures", settings.breaker.failures)
    assert ["breaker_open"] == not_ready(board, settings)


def test_name_that_another_node_has_makes_it_unready(board, settings):
    """The drain was told by the ledger."""
    board.note("name_taken", 1)
    assert ["name_taken"] == not_ready(board, settings)


def test_journal_that_could_not_be_written_makes_it_unready(board, settings):
    """For a while: then a call may try again."""
    board.mark("journal_failed_ms")
    assert ["journal_unwritable"] == not_ready(board, settings)
    board.note("journal_failed_ms", now_ms() - readiness.SILENT_MS - 1)
    assert [] == not_ready(board, settings)


def test_journal_without_room_makes_it_unready(board, settings):
    """Its reserve is gone."""
    (settings.node.state_dir / "journal" / "reserve").unlink()
    assert ["journal_full"] == not_ready(board, settings)
