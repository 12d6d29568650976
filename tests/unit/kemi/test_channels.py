"""Channels of carriers: counted where the call is, given back once, found again after a restart."""

import contextlib
import sqlite3

import pytest

from billing import facts
from billing.directory import Directory, publish, publish_use
from kemi import channels, dialogs
from kemi.node import channels_before
from tests.unit.kemi.conftest import answered_ago, carrier

FIRST = ("sip:4930123@192.0.2.1:5060;transport=udp",)
SECOND = ("sip:4930123@192.0.2.2:5060;transport=udp",)


@pytest.fixture(autouse=True)
def one_channel(node, tmp_path):
    """Carrier 1 takes one call at a time."""
    publish(Directory((), (carrier(1, channels=1), carrier(2))), tmp_path / "directory.json")


def used(world, number=1):
    return int(world.tables.get("channels", {}).get(str(number)) or 0)


def call(world, script, number, **more):
    world.request(ci=f"call-{number}", ft=f"from-{number}", **more)
    world.avps.clear()
    script.authorize()
    return world.did("relay")


def fail(world, script, code):
    world.final_code = code
    script.failure()
    script.dialog_event("dialog:failed")


def test_a_full_carrier_is_passed_over(world, script, events):
    """The second call goes to the next one; both are counted where they are."""
    assert [FIRST] == call(world, script, 1)
    assert [SECOND] == call(world, script, 2)
    assert (1, 1) == (used(world), used(world, 2))
    assert ["carrier 1"] == [event["carrier"] for event in events("carrier_full")]


def test_when_all_are_full_the_caller_is_told(world, script, journal, tmp_path):
    """480 no_carrier, and the hold is given back; the CDR says who was full."""
    publish(Directory((), (carrier(1, channels=1), carrier(2, channels=0))), tmp_path / "directory.json")
    call(world, script, 1)
    assert [] == call(world, script, 2)
    assert [("no_carrier", "full: carrier 1, carrier 2")] == [(fact["result"], fact["detail"]) for fact in journal()]
    assert [(480, "Temporarily Unavailable")] == world.did("reply")
    assert 1 == used(world)


def test_a_failed_branch_gives_its_channel_back(world, script):
    """And the call takes one at the next carrier."""
    call(world, script, 1)
    world.final_code = 500
    script.failure()
    assert (0, 1) == (used(world), used(world, 2))
    assert [FIRST] == call(world, script, 2)


def test_the_end_gives_it_back_once(world, script):
    """Busy, or hung up; however often the module tells it."""
    call(world, script, 1)
    fail(world, script, 486)
    script.dialog_event("dialog:failed")
    assert 0 == used(world)
    call(world, script, 2)
    world.dialog.values |= {"state": "4"}
    world.dialog.variables |= {"t": "", "s": "203.0.113.50"}
    for _ in range(2):
        world.request("BYE", ci="call-2", ft="from-2")
        script.dialog_event("dialog:end")
    assert 0 == used(world)


@pytest.mark.parametrize("other", ["timeout", "end"])
def test_an_end_that_two_processes_see_gives_it_back_once(world, script, node, events, monkeypatch, other):
    """A cut, and a BYE or the module's timer at the same moment: the other one comes before the first has marked it."""
    call(world, script, 1)
    world.dialog.values |= {"state": "4"}
    world.dialog.variables |= {"t": answered_ago(120)}
    node._started_ms -= 200_000
    record = node.record

    def record_and_be_overtaken(fact):
        record(fact)
        monkeypatch.setattr(node, "record", record)
        script.dialog_event(f"dialog:{other}")
        world.dialog.variables.pop("x")  # as the first one read it

    monkeypatch.setattr(node, "record", record_and_be_overtaken)
    dialogs.cut()
    assert (0, 1) == (used(world), len(events("call_ended")))


def test_a_call_that_is_over_before_it_could_leave_gives_it_back_once(world, script):
    """Its end comes to another process than the carrier's failure."""
    call(world, script, 1)
    fail(world, script, 486)
    channels.leave()
    assert 0 == used(world)


def test_what_cannot_be_sent_takes_no_channel(world, script):
    """A host that does not resolve."""
    world.truths["relay"] = [-1, 1]
    assert [FIRST, SECOND] == call(world, script, 1)
    assert (0, 1) == (used(world), used(world, 2))


def test_calls_of_other_nodes_count(world, script, tmp_path):
    """As far as the ledger knows of them."""
    publish_use({1: 1}, tmp_path / "carriers-in-use.json")
    assert [SECOND] == call(world, script, 1)


def test_calls_that_a_restart_brought_back_count(world, node, script):
    """Each once, whichever process is the first to ask."""
    node.carriers_before = ["1", "2", "2"]
    assert [SECOND] == call(world, script, 1)
    assert (1, 3) == (used(world), used(world, 2))


def test_a_bye_that_comes_again_after_a_restart_gives_nothing_back(world, node, script):
    """Its call was over before, and is not among those that the restart brought back: none is taken off for it."""
    call(world, script, 1)
    node.over_before = frozenset({world.dialog.variables["k"]})
    world.dialog.values |= {"state": "4"}
    world.dialog.variables |= {"t": "", "s": "203.0.113.50"}
    world.request("BYE", ci="call-1", ft="from-1")
    script.dialog_event("dialog:end")
    assert 1 == used(world)


def test_which_calls_a_restart_brings_back(tmp_path, node):
    """One each, at the carrier that it came to last; not whose end is written or marked, nor those of former versions.
    """
    store = tmp_path / "store.sqlite"
    with contextlib.closing(sqlite3.connect(store)) as made:
        made.execute("CREATE TABLE dialog (hash_entry, hash_id)")
        made.execute("CREATE TABLE dialog_vars (id INTEGER PRIMARY KEY, hash_entry, hash_id, dialog_key, dialog_value)")
        rows = [
            *[(1, 1, "k", "UP"), (1, 1, "l", "3"), (1, 1, "l", "2")],
            *[(1, 2, "k", "OVER"), (1, 2, "l", "2")],
            *[(1, 3, "k", "TOLD"), (1, 3, "l", "2"), (1, 3, "x", "1")],
            *[(2, 1, "k", "OLD")],
            *[(2, 2, "k", "FREE"), (2, 2, "l", "")],
            *[(9, 9, "k", "GONE"), (9, 9, "l", "2")],
        ]
        made.executemany("INSERT INTO dialog VALUES (?, ?)", [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)])
        made.executemany(
            "INSERT INTO dialog_vars (hash_entry, hash_id, dialog_key, dialog_value) VALUES (?, ?, ?, ?)", rows
        )
        made.commit()
    node.record(facts.ended("OVER", 1000, "caller", 2))
    assert (["2"], {"OVER"}) == channels_before(tmp_path, f"sqlite:///{store}")
    assert ([], set()) == channels_before(tmp_path, "sqlite:///nowhere")


def test_while_they_are_counted_nobody_gets_a_channel_that_may_be_taken(world, node, script):
    """Another process is at it."""
    world.tables["channels"] = {"restoring": 1}
    assert [SECOND] == call(world, script, 1)


def test_an_emergency_call_is_not_counted_and_not_held_up(world, script):
    """Whatever is full."""
    call(world, script, 1)
    world.request(ci="call-9", ft="from-9", rU="112")
    world.avps.clear()
    script.request_route()
    assert [("sip:112@192.0.2.1:5060;transport=udp",)] == world.did("relay")
    assert 1 == used(world)


def test_a_carrier_without_channels_is_counted_all_the_same(world, script, tmp_path):
    """It may be given some while calls are up."""
    publish(Directory((), (carrier(1), carrier(2))), tmp_path / "directory.json")
    call(world, script, 1)
    publish(Directory((), (carrier(1, channels=1), carrier(2))), tmp_path / "directory.json")
    assert [SECOND] == call(world, script, 2)


def test_leave_twice_is_leave_once(world, script):
    """The variable says whether there is anything to leave."""
    call(world, script, 1)
    channels.leave()
    channels.leave()
    assert 0 == used(world)
