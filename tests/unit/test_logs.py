"""Lines of the log: JSON whatever is in them, and never in the way."""

import errno
import json

from billing import logs
from billing.logs import EventLog


def test_event_is_written_and_counted(monkeypatch):
    """With time, level, part and node; empty fields are left out."""
    lines, counted = [], []
    monkeypatch.setattr(logs, "write", lines.append)
    EventLog("drain", "node1", counted.append).event("call_waits", "warn", call_key="k", error="", depth=0)
    line = json.loads(lines[0])
    assert line.pop("time").endswith("Z")
    assert {
        "level": "warn", "part": "drain", "node": "node1", "event": "call_waits", "call_key": "k", "depth": 0,
    } == line  # fmt: skip
    assert ["call_waits"] == counted


def test_failure_keeps_its_trace_on_one_line(monkeypatch):
    """A trace has many lines; a log line is one."""
    lines = []
    monkeypatch.setattr(logs, "write", lines.append)
    try:
        int("a\nb")
    except ValueError as error:
        EventLog("drain", "node1").failure("work_failed", error)
    assert (1, 1) == (len(lines), lines[0].count("\n"))
    assert "Traceback" in json.loads(lines[0])["trace"]


def test_log_that_cannot_be_written_stops_nobody(monkeypatch):
    """The disk of the log may be full; the call goes on."""

    def full(file, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(logs.os, "write", full)
    logs.write("line\n")
