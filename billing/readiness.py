"""Whether a node may be given new calls, as its board and its disk say: nobody is asked, so it may be asked often."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from billing.board import Board
    from billing.journal_room import JournalRoom
    from billing.settings import Settings

SILENT_MS = 10_000
"""A process that has not shown itself for so long does not run, or hangs: each does so many times a second."""
PROCESSES = ("drain", "keeper", "cutter")


def silent_processes(board: Board) -> list[str]:
    """Those of PROCESSES that do nothing. Keeper and cutter are Kamailio's: after its start they have a while."""
    since_start_ms = board.ms_since("proxy_started_ms")
    silent = []
    for name in PROCESSES:
        since_ms = board.ms_since(f"{name}_ms")
        if name != "drain" and since_start_ms is not None and (since_ms is None or since_ms > since_start_ms):
            since_ms = since_start_ms
        if since_ms is None or since_ms > SILENT_MS:
            silent.append(name)
    return silent


def breaker_is_open(board: Board, settings: Settings) -> bool:
    """Whether the proxy leaves the database alone, or tries it again after failures."""
    return board.noted("breaker_failures") >= settings.breaker.failures


def not_ready(board: Board, settings: Settings, room: JournalRoom) -> list[str]:
    """Why the node should get no new calls; empty when it may."""
    reasons = [f"{name}_silent" for name in silent_processes(board)]
    if breaker_is_open(board, settings):
        reasons.append("breaker_open")
    if board.noted("name_taken"):
        reasons.append("name_taken")
    failed_ms = board.ms_since("journal_failed_ms")
    if failed_ms is not None and failed_ms < SILENT_MS:
        reasons.append("journal_unwritable")
    try:
        room.check()
    except OSError:
        reasons.append("journal_full")
    return reasons
