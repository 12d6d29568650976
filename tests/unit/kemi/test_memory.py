"""The memory of places: who showed the right credentials is no stranger after a restart."""

import json
import time

import pytest

from kemi import memory
from kemi.memory import Memory
from kemi.tables import KNOWN, TRUSTED

HOME = "203.0.113.50"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "places"


def remembered(world, path):
    """What the tables of a proxy hold that starts now."""
    world.tables.clear()
    Memory(path).restore()
    return world.tables


def test_place_is_known_after_a_restart(world, path):
    """Of both tables, each once."""
    first = Memory(path)
    first.add(KNOWN, HOME)
    first.add(KNOWN, HOME)
    first.add(TRUSTED, f"user:7|{HOME}")
    assert {HOME: 1} == remembered(world, path)[KNOWN]
    assert {f"user:7|{HOME}": 1, "user:7": 1} == world.tables[TRUSTED]


def test_place_that_called_meanwhile_is_not_counted_twice(world, path):
    """Its own call came before the keeper's first second."""
    Memory(path).add(KNOWN, HOME)
    world.tables[KNOWN] = {HOME: 1}
    Memory(path).restore()
    assert {HOME: 1} == world.tables[KNOWN]


def test_old_places_are_forgotten(world, path, monkeypatch):
    """And their lines go. Those of the future stay, of a machine that starts with its clock in the past."""
    now = int(time.time())
    ages = {"old": now - memory.KEPT_S - 1, "young": now - memory.KEPT_S + 60, "future": now + 3600}
    path.write_text("".join(json.dumps([at, KNOWN, key]) + "\n" for key, at in ages.items()))
    assert {"young": 1, "future": 1} == remembered(world, path)[KNOWN]
    assert 2 == len(path.read_text().splitlines())


def test_place_that_is_used_every_day_is_not_forgotten(world, path, monkeypatch):
    """A line a day, and not one a call; the last one counts."""
    start = int(time.time())
    places = Memory(path)
    for day in range(40):
        monkeypatch.setattr(memory.time, "time", lambda day=day: start + day * memory.DAY_S)
        for _ in range(3):
            places.add(KNOWN, "here")
    assert 40 == len(path.read_text().splitlines())
    assert {"here": 1} == remembered(world, path)[KNOWN]


def test_newest_places_are_kept_when_there_are_too_many(world, path, monkeypatch):
    """Whoever has one good password and many addresses does not fill the memory."""
    monkeypatch.setattr(memory, "ENTRIES_MAX", 2)
    now = int(time.time())
    path.write_text("".join(json.dumps([now - age, KNOWN, f"{age}"]) + "\n" for age in (30, 10, 20)))
    assert {"10": 1, "20": 1} == remembered(world, path)[KNOWN]


@pytest.mark.parametrize(
    "line", ["", "torn [17", '{"a": 1}', '[1, "live", "x"]', '["x", "known", "y"]', "[1, 2]", "[]", "7", "\x00"]
)
def test_damaged_line_costs_that_line(world, path, line):
    """No start fails for it, and no other table is written to."""
    Memory(path).add(KNOWN, HOME)
    with path.open("a") as file:
        file.write(line + "\n")
    assert {KNOWN: {HOME: 1}} == remembered(world, path)


def test_full_disk_is_said_and_costs_the_memory_alone(world, path, monkeypatch):
    """The call goes on."""
    made = Memory(path)

    def refuse(*_):
        raise OSError(28, "full")

    monkeypatch.setattr(memory.os, "open", refuse)
    made.add(KNOWN, HOME)
    Memory(path).restore()


def test_readable_by_its_owner_alone(path):
    """It says who called from where."""
    made = Memory(path)
    made.add(KNOWN, HOME)
    assert 0o600 == path.stat().st_mode & 0o777
    Memory(path)
    assert 0o600 == path.stat().st_mode & 0o777
