"""An instance of a node: one for a state folder on a machine, however often its processes start."""

import pytest

from billing import instance
from billing.clock import Moment
from billing.errors import SettingsError
from billing.instance import claimed_ago_ms, instance_in, note_claim


def test_same_folder_is_the_same_instance(tmp_path):
    """Whoever asks first writes the file, and nobody afterwards."""
    first = instance_in(tmp_path)
    assert first == instance_in(tmp_path)
    assert ["instance"] == [file.name for file in tmp_path.iterdir()]
    assert len(first.name) <= 64
    assert first.place.endswith(f":{tmp_path}")


def test_other_folder_is_another_instance(tmp_path):
    """With the same name in its settings or not."""
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    one, two = map(instance_in, folders)
    assert one.name != two.name
    assert (False, True) == (one.same_folder(two.name), one.same_folder(None))


def test_copy_on_another_machine_is_another_instance_of_the_folder(tmp_path, monkeypatch):
    """A machine that was started anew looks the same: the ledger tells them apart by who is still heard of."""
    here = instance_in(tmp_path)
    (tmp_path / "boot").write_text("another-boot\n")
    monkeypatch.setattr(instance, "BOOT_ID", tmp_path / "boot")
    there = instance_in(tmp_path)
    assert (False, True) == (here.name == there.name, here.same_folder(there.name))


def test_two_who_are_the_first_agree(tmp_path, monkeypatch):
    """Drain and proxy start together on an empty folder: the second one's file does not replace the first's."""
    draft = instance._write_once

    def twice(path):
        draft(path)
        draft(path)

    monkeypatch.setattr(instance, "_write_once", twice)
    first = instance_in(tmp_path)
    draft(tmp_path / "instance")
    assert first == instance_in(tmp_path)


def test_moment_of_a_claim_is_kept(tmp_path, monkeypatch):
    """Over restarts; the last one counts. Without one, or with a damaged one, nobody had the name before."""
    assert claimed_ago_ms(tmp_path) is None
    note_claim(tmp_path)
    now = Moment.now()
    later = Moment(now.monotonic_ms + 60_000, now.wall_ms, now.boot)
    monkeypatch.setattr(instance.Moment, "now", staticmethod(lambda: later))
    assert 60_000 <= claimed_ago_ms(tmp_path) < 70_000
    note_claim(tmp_path)
    assert 0 == claimed_ago_ms(tmp_path)
    (tmp_path / "claimed").write_text("damaged")
    assert claimed_ago_ms(tmp_path) is None


def test_folder_that_cannot_be_written_is_named(tmp_path):
    """Start-up ends with the setting's name."""
    with pytest.raises(SettingsError, match=r"node\.state_dir .*missing"):
        instance_in(tmp_path / "missing")
