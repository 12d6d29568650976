"""Which carriers are there: the dispatcher module's list, what its answers mean, and why one over TLS is silent."""

import pytest

from billing.directory import Directory, publish
from kemi import health
from tests.unit.kemi.conftest import carrier


@pytest.fixture(autouse=True)
def looked_at(monkeypatch, script, tmp_path):
    """Carriers 1 (TLS) and 2 (UDP); who is looked at, and is found expired."""
    publish(Directory((), (carrier(1, transport="tls"), carrier(2))), tmp_path / "directory.json")
    found = []
    monkeypatch.setattr(health, "_looked_at", {})
    monkeypatch.setattr(health, "what_is_wrong", lambda host, *_: found.append(host) or "certificate has expired")
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
        health.note_silence(carrier(1, transport="tls"))
        script.suspects("suspects")
    assert 1 == len(looked_at)


def test_nobody_is_looked_at_without_reason(world, script, looked_at):
    """Every second, and mostly for nothing."""
    script.suspects("suspects")
    health.note_silence(carrier(2))
    script.suspects("suspects")
    assert [] == looked_at


# --- asked with OPTIONS -----------------------------------------------------------------------------------------------

FIRST, SECOND = (carrier(number).uri for number in (1, 2))


@pytest.fixture
def asking(node, world, monkeypatch, tmp_path):
    """Two carriers over UDP; a keeper that has just begun, and may have the list read again at once."""
    publish(Directory((), (carrier(1), carrier(2))), tmp_path / "directory.json")
    for name, value in (("_listed", ()), ("_reloaded_s", -1e9), ("_states", {}), ("_told", None)):
        monkeypatch.setattr(health, name, value)
    monkeypatch.setattr(health, "RELOAD_EVERY_S", -1.0)
    return node


def listed(tmp_path):
    return (tmp_path / "dispatcher.list").read_text("ascii").splitlines()


def test_the_list_is_that_of_the_directory(asking, world, tmp_path):
    """Those alone that are to be asked, each address once; read again when it is another."""
    twins = (carrier(1), carrier(3, host="192.0.2.1"), carrier(2, probed=False))
    publish(Directory((), twins), tmp_path / "directory.json")
    health.look()
    health.look()
    assert ([f"1 {FIRST} 8 0"], 1) == (listed(tmp_path), len(world.did("reload")))


def test_who_was_down_is_down_after_the_list_is_read_again(asking, world, tmp_path):
    """A new carrier must not make the silent one look well until the next question."""
    health.look()
    world.destinations.add(SECOND)
    publish(Directory((), (carrier(1), carrier(2), carrier(3))), tmp_path / "directory.json")
    health.look()
    assert [f"1 {FIRST} 9 0", f"1 {SECOND} 8 0", f"1 {carrier(3).uri} 8 0"] == listed(tmp_path)


def test_down_and_up_are_told_once(asking, world, events):
    """In the log, on the board, and to the ledger."""
    world.destinations.update({FIRST, SECOND})
    health.look()
    health.tell()
    world.destinations.discard(FIRST)
    for _ in range(2):
        health.look()
        health.tell()
    assert (1, 1) == tuple(asking.board.noted(f"carriers_{state}") for state in ("up", "down"))
    world.destinations.add(FIRST)
    health.look()
    health.tell()
    assert ["carrier 1"] == [event["carrier"] for event in events("carrier_down")]
    assert ["carrier 1"] == [event["carrier"] for event in events("carrier_up")]
    both, one = {1: "up", 2: "up"}, {1: "down", 2: "up"}
    assert [both, one, both] == [states for _, states in asking._ledger.asked_for("note_carriers")]


def test_a_carrier_that_is_down_is_tried_last(asking, world, script):
    """And is tried, when no other is left."""
    world.destinations.add(SECOND)
    health.look()
    script.authorize()
    world.final_code = 500
    script.failure()
    assert [f"sip:4930123@192.0.2.{number}:5060;transport=udp" for number in (2, 1)] == [
        uri for (uri,) in world.did("relay")
    ]


@pytest.mark.parametrize(("probed", "interval_s"), [(False, 10), (True, 0)])
def test_who_is_not_asked_is_there(asking, world, monkeypatch, probed, interval_s):
    """Some know no OPTIONS."""
    changed = asking.settings.carriers.model_copy(update={"probe_interval_s": interval_s})
    monkeypatch.setattr(asking, "settings", asking.settings.model_copy(update={"carriers": changed}))
    assert health.is_there(carrier(1, probed=probed))


def test_a_full_disk_keeps_no_call_from_its_renewal(asking, world, script, events, monkeypatch, tmp_path):
    """The list stays as it was, and the keeper goes on."""
    (tmp_path / "dispatcher.new").mkdir()
    health.look()
    assert (1, []) == (len(events("probes_unchanged")), world.did("reload"))
