"""Trunks and carriers, as the drain publishes them and SIP workers read them."""

import os

import pytest

from billing.directory import Carrier, Directory, DirectoryFile, Trunk, publish


def trunk(number, *networks, kind="customer"):
    return Trunk(number, f"trunk {number}", kind, 7, networks)


def carrier(number, priority=0):
    return Carrier(number, f"carrier {number}", "192.0.2.1", 5060, "udp", priority, "")


FULL = Directory((trunk(1, "198.51.100.0/24", "2001:db8::/32"),), (carrier(1), carrier(2, 1)))


# --- trunks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("198.51.100.0", 1),
        ("198.51.100.255", 1),
        ("198.51.101.0", None),
        ("203.0.113.9", 2),
        ("203.0.113.10", None),
        ("2001:db8::5", 1),
        ("[2001:db8::5]", 1),
        ("2001:db9::5", None),
    ],
)
def test_source_address_finds_its_trunk(address, expected):
    """A trunk is found by any address in any of its networks, v4 and v6, and by no other."""
    directory = Directory((trunk(1, "198.51.100.0/24", "2001:db8::/32"), trunk(2, "203.0.113.9/32")))
    found = directory.trunk_at(address)
    assert expected == (found.trunk_id if found else None)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_narrowest_network_wins(order):
    """Of two trunks whose networks hold an address, the one with the narrower network has it."""
    trunks = {1: trunk(1, "198.51.100.0/24"), 2: trunk(2, "198.51.100.7/32")}
    directory = Directory(tuple(trunks[number] for number in order))
    found = directory.trunk_at("198.51.100.7")
    assert found is not None
    assert 2 == found.trunk_id


def test_version_six_source_is_not_in_a_version_four_network():
    """0.0.0.0/0 holds no address of version 6."""
    assert Directory((trunk(1, "0.0.0.0/0"),)).trunk_at("::1") is None


def test_empty_directory_knows_nobody():
    """Before the drain's first copy nobody is trusted."""
    assert Directory().trunk_at("198.51.100.7") is None


def test_network_that_cannot_be_read_shows_before_a_call_does(tmp_path):
    """The drain publishes good networks only; should one be bad all the same, the last good directory serves on."""
    path = tmp_path / "directory.json"
    publish(FULL, path)
    reader = DirectoryFile(path)
    reader.current()
    publish(Directory((trunk(1, "nonsense"), trunk(2, "203.0.113.9/32"))), path)
    assert FULL == reader.current()


# --- carriers -----------------------------------------------------------------------------------------------


def test_carriers_come_by_priority_then_id():
    """The lowest priority is tried first; of equals, the one with the lower id."""
    directory = Directory((), (carrier(3, 0), carrier(1, 5), carrier(2, 0)))
    assert [2, 3, 1] == [one.carrier_id for one in directory.carriers_in_order]


@pytest.mark.parametrize("host", ["2001:db8::1", "[2001:db8::1]", "2001:DB8:0:0::1"])
def test_carrier_is_found_by_its_address_in_any_spelling(host):
    """Addresses are compared, not their texts."""
    directory = Directory((), (Carrier(7, "six", host, 5060, "udp", 0, ""),))
    assert [7, 7, None] == [
        one.carrier_id if (one := directory.carrier_at(address)) else None
        for address in ("2001:db8::1", "[2001:db8:0::1]", "2001:db8::2")
    ]


def test_carrier_known_by_name_has_no_address():
    """Names are not asked for: of an address nobody knows whether it is a named carrier's."""
    assert Directory((), (Carrier(7, "named", "gw.net", 5060, "udp", 0, ""),)).carrier_at("192.0.2.1") is None


# --- the file -----------------------------------------------------------------------------------------------


def test_directory_comes_back_from_its_text():
    """What is published is read back as it was."""
    assert FULL == Directory.from_json(FULL.to_json())


def test_published_directory_is_read(tmp_path):
    """A reader sees what was published."""
    path = tmp_path / "directory.json"
    assert publish(FULL, path) is True
    assert FULL == DirectoryFile(path).current()


def test_reader_sees_the_next_directory(tmp_path):
    """A change is seen at the next look, without a restart."""
    path = tmp_path / "directory.json"
    publish(Directory(), path)
    reader = DirectoryFile(path)
    reader.current()
    publish(FULL, path)
    assert FULL == reader.current()


def test_equal_directory_is_not_written_again(tmp_path):
    """Nothing changed: the file stays as it is, so that no worker reads it again."""
    path = tmp_path / "directory.json"
    publish(FULL, path)
    before = path.stat()
    assert publish(FULL, path) is False
    assert (before.st_ino, before.st_mtime_ns) == (path.stat().st_ino, path.stat().st_mtime_ns)


def test_unchanged_file_is_not_read_again(tmp_path):
    """Between two changes a look costs one stat: the same object is given."""
    path = tmp_path / "directory.json"
    publish(FULL, path)
    reader = DirectoryFile(path)
    assert reader.current() is reader.current()


def test_no_file_yet_means_nobody(tmp_path):
    """A node that never reached its database has no trunks and no carriers, and goes on."""
    assert Directory() == DirectoryFile(tmp_path / "directory.json").current()


def test_file_that_goes_away_keeps_what_was_known(tmp_path):
    """A removed file does not take the trunks away from a running node."""
    path = tmp_path / "directory.json"
    publish(FULL, path)
    reader = DirectoryFile(path)
    reader.current()
    path.unlink()
    assert FULL == reader.current()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"trunks": []}'])
def test_damaged_file_keeps_what_was_known(tmp_path, content):
    """A file that a power cut emptied, or an editor broke, leaves the node with the directory it had."""
    path = tmp_path / "directory.json"
    publish(FULL, path)
    reader = DirectoryFile(path)
    reader.current()
    other = tmp_path / "other"
    other.write_text(content)
    other.replace(path)
    assert FULL == reader.current()
    publish(Directory(), path)
    assert Directory() == reader.current()


def test_damaged_file_is_reported_once(tmp_path, caplog):
    """Each INVITE looks at the file, and not each says so."""
    path = tmp_path / "directory.json"
    path.write_text("{")
    reader = DirectoryFile(path)
    assert [Directory()] * 3 == [reader.current() for _ in range(3)]
    assert 1 == len(caplog.records)


def test_draft_of_a_killed_publisher_does_no_harm(tmp_path):
    """What a killed drain left half-written is not read, and the next one publishes."""
    path = tmp_path / "directory.json"
    path.with_suffix(f".{os.getpid()}.new").write_text('{"tru')
    assert publish(FULL, path) is True
    assert FULL == DirectoryFile(path).current()
    assert ["directory.json"] == [one.name for one in tmp_path.iterdir()]


def test_premium_ranges_come_back_from_their_text():
    """By prefix, as barring takes them; a file of an older version has none."""
    directory = Directory(premium_prefixes=(("979", "international"), ("449", "United Kingdom")))
    assert {"979": "international", "449": "United Kingdom"} == Directory.from_json(directory.to_json()).premium
    assert {} == Directory.from_json('{"trunks": [], "carriers": []}').premium
