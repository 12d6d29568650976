"""The callbacks: none raises, none answers None, and a failed request gets an answer."""

import json
from datetime import datetime, timedelta

import pytest

from billing.journal import JournalUnwritable
from kemi import log, meterline
from kemi.meterline import Meterline, callback

REQUEST_ROUTES = ["ksr_request_route", "ksr_authorize", "ksr_announce"]


def raising(name):
    def route():
        raise RuntimeError("slip")

    route.__name__ = name
    return callback(route)


def test_every_callback_of_kamailio_is_wrapped():
    """What Kamailio calls by name goes through the wrapper."""
    routes = [name for name in vars(Meterline) if name.startswith("ksr_")]
    assert 12 == len(routes)
    assert all(hasattr(getattr(Meterline, name), "__wrapped__") for name in routes)


def test_callback_answers_a_number(node):
    """None would kill the worker's next request."""
    assert 1 == callback(lambda: None)()
    assert 1 == Meterline().child_init(0)


@pytest.mark.parametrize("name", REQUEST_ROUTES)
def test_failed_request_is_answered(world, node, name):
    """An exception in a route of requests is logged in full and answered 500."""
    assert 1 == raising(name)()
    assert [500] == world.replied
    assert "RuntimeError" in json.loads(world.logged[0])["trace"]


@pytest.mark.parametrize("name", ["ksr_branch", "ksr_failure", "ksr_dialog_event", "ksr_keeper", "ksr_cutter"])
def test_failure_elsewhere_is_only_logged(world, node, name):
    """There is no request to answer in these."""
    assert 1 == raising(name)()
    assert ([], 1, []) == (world.replied, len(world.logged), world.did("drop"))


def test_reply_that_could_not_be_judged_is_dropped(world, node):
    """An exception in the guard of replies must not let an answer through that nobody counts."""
    assert 1 == raising("ksr_reply_route")()
    assert ([()], [], 1) == (world.did("drop"), world.replied, len(world.logged))


def test_what_the_disk_refused_is_written_at_the_next_event(world, node, journal, monkeypatch):
    """A fact that waits in memory goes to the journal with whatever this process does next."""

    def full(fact):
        raise JournalUnwritable(28, "full")

    with monkeypatch.context() as patch:
        patch.setattr(node.journal, "append", full)
        node.record({"kind": "ended", "call_key": "waited"})
        callback(lambda: None)()
    assert [] == journal()
    callback(lambda: None)()
    assert ["waited"] == [fact["call_key"] for fact in journal()]


def test_failed_ack_is_not_answered(world, node):
    """Nobody answers an ACK."""
    world.request("ACK")
    raising("ksr_request_route")()
    assert [] == world.replied


def test_answer_that_fails_too_is_logged(world, node, monkeypatch):
    """When even the 500 cannot be sent, both are in the log and nothing is raised."""

    def fail(code, reason):
        raise RuntimeError("no")

    monkeypatch.setattr(meterline.ksr, "reply", fail)
    assert 1 == raising("ksr_request_route")()
    assert 2 == len(world.logged)


def test_log_line_cannot_be_forged(world):
    """Whatever a caller sends, an event is one line of ASCII."""
    log.event("refused", source='x"\n{"event": "forged"}\r\u2028ü')
    (line,) = world.logged
    assert line.isascii()
    assert 1 == line.count("\n")


def test_line_says_when_where_and_what(world, node):
    """Time in UTC, level, part and node come first; then what there is to say, zero included."""
    log.event("not_sent", "warn", account="", code=0, detail=None)
    line = json.loads(world.logged[0])
    assert datetime.fromisoformat(line.pop("time")).utcoffset() == timedelta(0)
    assert {"level": "warn", "part": "proxy", "node": "node-1", "event": "not_sent", "code": 0} == line
