"""Health: does the node work? Readiness: may it be given new calls? Each as a list of what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing import readiness

if TYPE_CHECKING:
    from monitor.watch import Watch


def not_healthy(watch: Watch) -> list[str]:
    """What a restart may mend: a process that does nothing. The database is not part of it."""
    wrong = [f"{name}_silent" for name in readiness.silent_processes(watch.board)]
    look = watch.node
    if look is None:
        wrong.append("monitor_blind")
    elif look.sip_code is None:
        wrong.append("proxy_silent")
    return wrong


def not_ready(watch: Watch) -> list[str]:
    """Why new calls should go to another node."""
    wrong = dict.fromkeys([*not_healthy(watch), *readiness.not_ready(watch.board, watch.settings, watch.room)])
    since_ms = watch.board.ms_since("drain_ledger_ms")
    if since_ms is None or since_ms > readiness.SILENT_MS:
        wrong["database_silent"] = None
    look = watch.node
    if look is not None and look.disk_error:
        wrong["journal_unwritable"] = None
    return list(wrong)


REASONS = (
    "proxy_silent", "keeper_silent", "cutter_silent", "drain_silent", "monitor_blind", "breaker_open", "name_taken",
    "database_silent", "journal_unwritable", "journal_full",
)  # fmt: skip
"""Every reason there can be."""
