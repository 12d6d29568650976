"""The pulse: a start knows when the proxy before it died, or that it cannot know."""

import pytest

from billing.clock import Moment
from kemi import cutter
from kemi.pulse import Pulse


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pulse"


def test_next_life_knows_the_last_beat(path):
    """To the millisecond, however often it beat."""
    pulse = Pulse(path, 7)
    before = Moment.now()
    for _ in range(3):
        pulse.beat()
    after = Moment.now()
    former = Pulse(path, 7).former_end
    assert before.monotonic_ms <= former.monotonic_ms <= after.monotonic_ms
    assert before.boot == former.boot


def test_file_does_not_grow(path):
    """Overwriting it needs no room on a full disk."""
    pulse = Pulse(path, 7)
    pulse.beat()
    first = path.stat().st_size
    pulse.beat()
    Pulse(path, 2**31).beat(short=True)
    assert first == path.stat().st_size


def test_next_life_knows_when_the_disk_was_short(path):
    """The last time, however long ago; a life without shortage hands it on."""
    Pulse(path, 7).beat()
    assert Pulse(path, 7).former_short is None
    pulse = Pulse(path, 7)
    before = Moment.now()
    pulse.beat(short=True)
    after = Moment.now()
    pulse.beat()
    Pulse(path, 7).beat()
    former = Pulse(path, 7)
    assert before.monotonic_ms <= former.former_short.monotonic_ms <= after.monotonic_ms
    assert former.former_end is not None
    assert (None, None) == (Pulse(path, 8).former_end, Pulse(path, 8).former_short)


@pytest.mark.parametrize(("stored", "now"), [(7, 8), (0, 0), (0, 7)])
def test_other_dialog_store_tells_nothing(path, stored, now):
    """What is not in this one may have been in the other."""
    Pulse(path, stored).beat()
    assert Pulse(path, now).former_end is None


def test_other_boot_tells_nothing(path):
    """Monotonic time began anew, and the last writes may be gone."""
    path.write_text("1000/1000/00000000 7\n")
    assert Pulse(path, 7).former_end is None


@pytest.mark.parametrize("content", [None, "", "x", "1/2 7", "1/2/3/4 7", "\\xff"])
def test_no_pulse_tells_nothing(path, content):
    """A first start, or a damaged file."""
    if content is not None:
        path.write_text(content)
    assert Pulse(path, 7).former_end is None


def test_cutter_looks_at_the_disk(node, script, monkeypatch):
    """What it finds is in the pulse."""
    monkeypatch.setattr(node.room, "give_up_when_short", lambda: True)
    script.cutter("cutter")
    assert node.settings.node.state_dir.joinpath("pulse").read_text().split()[2]


def test_cutter_beats(node, script):
    """Ten times a second, in its own process."""
    assert cutter._cutter is None
    script.cutter("cutter")
    assert node.settings.node.state_dir.joinpath("pulse").exists()
