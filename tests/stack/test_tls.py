"""What Kamailio's tls module is given, and the files that are looked at first."""

import subprocess

import pytest

from billing.errors import SettingsError
from billing.settings import Settings
from stack import tls
from tests.support.tls import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture
def identity(authority):
    found = authority.identity("node", "IP:127.0.0.1")
    found.key.chmod(0o640)
    return found


def settings(identity, authority, folder, listen="tls:127.0.0.1:5061", **changes):
    files = {"certificate": identity.certificate, "private_key": identity.key, "ca": authority.certificate}
    return Settings(
        node={"name": "node1", "state_dir": folder},
        sip={"realm": "example.net", "listen": (listen,)},
        tls={**files, **changes},
        card_pin_key="k" * 32,
    )


def test_servers_and_clients_are_verified_as_the_settings_say(identity, authority, tmp_path):
    """By default carriers are and callers are not; TLS 1.2 at least."""
    tls.prepare(settings(identity, authority, tmp_path), tmp_path)
    server, client = tls.configuration_file(tmp_path).read_text().split("[client:default]")
    assert (1, 1) == (server.count("method = TLSv1.2+"), client.count("method = TLSv1.2+"))
    assert ("require_certificate = no" in server, "require_certificate = yes" in client) == (True, True)
    assert f"ca_list = {authority.certificate}" in client
    tls.prepare(settings(identity, authority, tmp_path, ca=tmp_path), tmp_path)
    assert f"ca_path = {tmp_path}" in tls.configuration_file(tmp_path).read_text()
    tls.prepare(settings(identity, authority, tmp_path, verify_callers=True, verify_carriers=False), tmp_path)
    server, client = tls.configuration_file(tmp_path).read_text().split("[client:default]")
    assert ("require_certificate = yes" in server, "require_certificate = no" in client) == (True, True)


def test_nothing_is_looked_at_without_a_tls_socket(authority, tmp_path):
    """Neither file nor key."""
    nowhere = type("Identity", (), {"certificate": tmp_path / "none.pem", "key": tmp_path / "none.key"})
    tls.prepare(settings(nowhere, authority, tmp_path, listen="udp:127.0.0.1:5060"), tmp_path)
    assert not tls.configuration_file(tmp_path).exists()


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o646, 0o601])
def test_a_key_that_others_may_read_is_refused(identity, authority, tmp_path, mode):
    """With its name and its mode."""
    identity.key.chmod(mode)
    with pytest.raises(SettingsError, match=rf"^tls\.private_key {identity.key}: mode {mode:o} lets everybody at it"):
        tls.prepare(settings(identity, authority, tmp_path), tmp_path)


def test_a_file_that_cannot_be_used_is_named(identity, authority, tmp_path):
    """Not there, no PEM, another's key, encrypted."""
    other = authority.identity("other", "IP:127.0.0.1")
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "pkey", "-in", identity.key, "-aes256", "-passout", "pass:x", "-out", locked], check=True
    )
    (tmp_path / "empty").touch(0o600)
    for changes, named in (
        ({"certificate": tmp_path / "none.pem"}, f"tls.certificate {tmp_path}/none.pem: No such file"),
        ({"ca": tmp_path / "empty"}, f"tls.ca {tmp_path}/empty: "),
        ({"certificate": tmp_path / "empty"}, f"tls.certificate {tmp_path}/empty, "),
        ({"private_key": other.key}, "mismatch"),
        ({"private_key": locked}, "the key is encrypted"),
    ):
        with pytest.raises(SettingsError) as told:
            tls.prepare(settings(identity, authority, tmp_path, **changes), tmp_path)
        assert named.lower() in str(told.value).lower()


@pytest.mark.parametrize("missing", ["certificate", "private_key"])
def test_a_tls_socket_needs_a_certificate(identity, authority, tmp_path, missing):
    """Start-up ends with the setting's name."""
    with pytest.raises(ValueError, match=rf"tls\.{missing} is missing: sip.listen has a tls socket"):
        settings(identity, authority, tmp_path, **{missing: None})
