"""The proxy's events: one line of JSON each (billing/logs.py), and a count on the node's board.

Lines do not go through Kamailio's log, which would wrap each in a line of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.board import CUT_BOUNDS_MS, Board
from billing.logs import EventLog
from kemi import ksr
from kemi.refusals import ANSWERS

if TYPE_CHECKING:
    from billing.logs import Level

PART = "proxy"
RESULTS = ("answered", "busy", "no_answer", "rejected", "cancelled", *ANSWERS)
"""What a call may end as; shown as 0 before the first does."""

_board = Board(None)
_log = EventLog(PART, "")


def begin(node_name: str, board: Board) -> None:
    """Name the node in every line, and count on its board; once, before the fork."""
    global _board, _log  # noqa: PLW0603 - the process's own
    _board = board
    board.declare(*(f'calls_total{{result="{token}"}}' for token in RESULTS))
    _log = EventLog(PART, node_name, board.count_event)


def event(name: str, level: Level = "info", **fields: object) -> None:
    """Log `name` with its fields; absent values (None, '') are left out."""
    _log.event(name, level, **fields)


def refused(token: str, **fields: object) -> None:
    """A request that billing refused; an INVITE is a call with this result."""
    _log.event("refused", "info", token=token, **fields)
    _count_call(token)


def count_refused(token: str) -> None:
    """A refusal of which no line is written."""
    _board.count_event("refused")
    _count_call(token)


def _count_call(token: str) -> None:
    if ksr.method() == "INVITE":
        _board.count_call(token)


def call_ended(token: str, **fields: object) -> None:
    """A call that was up, or held money, is over."""
    _log.event("call_ended", "info", token=token, **fields)
    _board.count_call(token)


def count(name: str) -> None:
    """Count what happens too often for a line."""
    _board.count_event(name)


def cut_late_by(late_ms: float) -> None:
    """How long after its deadline a call was cut."""
    _board.observe_ms("cut_lateness", max(0.0, late_ms), CUT_BOUNDS_MS)
