"""What a service refuses to be, and to leave open."""

import os
import stat

import pytest

from billing import privileges
from billing.errors import SettingsError
from billing.settings import load

TEXT = """
card_pin_key = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
[node]
name = "node1"
state_dir = "{state}"
[sip]
realm = "example.net"
listen = ["udp:127.0.0.1:5060"]
"""


@pytest.fixture(autouse=True)
def umask():
    """Each test leaves the run's own as it was."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def settings(tmp_path):
    """A settings file with a secret, and what it says."""
    file = tmp_path / "meterline.toml"
    file.write_text(TEXT.format(state=tmp_path / "state"))
    (tmp_path / "state").mkdir()
    file.chmod(0o640)
    return load(file), file


def test_new_files_are_for_their_owner(settings, tmp_path):
    """Whatever the umask of the one who started it."""
    privileges.drop_into_place(*settings)
    (tmp_path / "new").write_text("")
    assert 0o600 == stat.S_IMODE((tmp_path / "new").stat().st_mode)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o666])
def test_a_settings_file_that_everybody_reads_is_refused(settings, mode):
    """With its name, its mode and a secret's name; not with the secret."""
    found, file = settings
    file.chmod(mode)
    with pytest.raises(SettingsError) as told:
        privileges.drop_into_place(found, file)
    assert f"settings file {file}: mode {mode:o} lets everybody read card_pin_key; chmod 600, or 640" == str(told.value)


def test_a_file_without_secrets_may_be_read(settings):
    """They come from elsewhere: METERLINE_SECRETS, or variables."""
    found, file = settings
    file.write_text('[database]\nproxy_password = ""\nhost = "192.0.2.1"\n')
    file.chmod(0o644)
    privileges.drop_into_place(found, file)
    file.write_text('[database]\nadmin_password = "x"\n')
    with pytest.raises(SettingsError, match=r"lets everybody read database\.admin_password"):
        privileges.drop_into_place(found, file)


def test_root_does_not_write_into_anothers_folder(settings, monkeypatch):
    """The node could not read again what root wrote there."""
    found, file = settings
    monkeypatch.setattr(privileges.os, "geteuid", lambda: 0)
    owner = found.node.state_dir.stat().st_uid
    if owner == 0:
        os.chown(found.node.state_dir, 65_534, -1)
    with pytest.raises(SettingsError, match=r"^node\.state_dir .*/state belongs to \S+.*, and this is root"):
        privileges.drop_into_place(found, file)


def test_the_proxy_is_not_root(monkeypatch):
    """Nor would it have to be, for a port above 1023."""
    monkeypatch.setattr(privileges.os, "geteuid", lambda: 0)
    with pytest.raises(SettingsError, match="does not run as root"):
        privileges.refuse_root()
    monkeypatch.setattr(privileges.os, "geteuid", lambda: 1000)
    privileges.refuse_root()
