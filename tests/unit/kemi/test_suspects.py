"""Carriers over TLS that were silent: each is looked at once in a while, and the log says what is wrong."""

import pytest

from billing.directory import Directory, publish
from kemi import suspects
from tests.unit.kemi.conftest import carrier


@pytest.fixture(autouse=True)
def looked_at(monkeypatch, script, tmp_path):
    """Carriers 1 (TLS) and 2 (UDP); who is looked at, and is found expired."""
    publish(Directory((), (carrier(1, transport="tls"), carrier(2))), tmp_path / "directory.json")
    found = []
    monkeypatch.setattr(suspects, "_looked_at", {})
    monkeypatch.setattr(suspects, "what_is_wrong", lambda host, *_: found.append(host) or "certificate has expired")
    return found


@pytest.mark.parametrize(("code", "errors"), [(408, ["certificate has expired"]), (503, [])])
def test_a_silent_carrier_over_tls_is_looked_at(world, script, events, looked_at, code, errors):
    """One that answers with a code is not."""
    script.authorize()
    world.final_code = code
    script.failure()
    script.suspects("suspects")
    assert errors == [event["error"] for event in events("carrier_untrusted")]
    assert len(errors) == len(looked_at)


def test_many_failures_are_one_look(world, script, looked_at):
    """A flood of calls to a bad carrier is no flood of connections and lines."""
    for _ in range(5):
        suspects.note(carrier(1, transport="tls"))
        script.suspects("suspects")
    assert 1 == len(looked_at)


def test_nobody_is_looked_at_without_reason(world, script, looked_at):
    """Every second, and mostly for nothing."""
    script.suspects("suspects")
    suspects.note(carrier(2))
    script.suspects("suspects")
    assert [] == looked_at
