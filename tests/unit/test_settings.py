"""The settings: what may be left out, what wins, and the one line that names what is wrong."""

import os
import tomllib
from pathlib import Path

import pytest

from billing import settings
from billing.errors import SettingsError

MINIMAL = """
card_pin_key = "0123456789abcdef0123456789abcdef"
[node]
name = "proxy1"
state_dir = "/var/lib/meterline"
[sip]
realm = "sip.example.net"
listen = ["udp:127.0.0.1:5060"]
"""
CARD_PIN_KEY = "0123456789abcdef0123456789abcdef"
EXAMPLE = Path(__file__).parents[2] / "meterline.toml.example"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch, tmp_path):
    """No METERLINE_* variable and no meterline.toml of the person who runs the tests."""
    for variable in [name for name in os.environ if name.startswith("METERLINE_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def load(tmp_path):
    def _load(text: str) -> settings.Settings:
        file = tmp_path / "some.toml"
        file.write_text(text)
        return settings.load(file)

    return _load


def with_line(section: str, line: str) -> str:
    """MINIMAL with one more line in a section."""
    if f"[{section}]" in MINIMAL:
        return MINIMAL.replace(f"[{section}]", f"[{section}]\n{line}")
    return f"{MINIMAL}[{section}]\n{line}\n"


def test_defaults(load):
    """What has a default may be left out."""
    found = load(MINIMAL)
    assert (120, 60, 60, 86_400, ("112", "911")) == (
        found.calls.grant_s,
        found.calls.renew_lead_s,
        found.calls.ring_limit_s,
        found.calls.longest_call_s,
        found.calls.emergency_numbers,
    )
    assert (3, 300, 3, 2_000, 20) == (
        found.lockout.failures,
        found.lockout.window_s,
        found.breaker.failures,
        found.breaker.open_ms,
        found.drain.interval_ms,
    )


def test_settings_are_frozen(load):
    """Nobody changes a setting of a running program."""
    found = load(MINIMAL)
    with pytest.raises(ValueError, match="frozen"):
        found.calls.grant_s = 1
    with pytest.raises(ValueError, match="frozen"):
        found.calls = None


def test_secrets_do_not_print(load):
    """A log line or a traceback with the settings in it shows no secret."""
    found = load(with_line("database", 'proxy_password = "hunter2"'))
    assert "hunter2" not in repr(found)
    assert CARD_PIN_KEY not in str(found)
    assert found.card_pin_key.get_secret_value() == CARD_PIN_KEY


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (MINIMAL.replace('name = "proxy1"', ""), "node.name is missing"),
        (MINIMAL.replace("card_pin_key", "#card_pin_key"), "card_pin_key is missing"),
        (MINIMAL.replace(CARD_PIN_KEY, "short"), "card_pin_key: "),
        (MINIMAL.replace("/var/lib/meterline", "var/lib"), "node.state_dir: 'var/lib' is not an absolute"),
        (MINIMAL.replace("udp:127.0.0.1:5060", "127.0.0.1:5060"), "sip.listen.0: '127.0.0.1:5060' is not"),
        (MINIMAL.replace("udp:127.0.0.1:5060", "udp:127.0.0.1:99999"), "sip.listen.0: '127.0.0.1:99999' "),
        (MINIMAL.replace('["udp:127.0.0.1:5060"]', "[]"), "sip.listen: "),
        (with_line("calls", "grant_z = 1"), "calls.grant_z: there is no such setting"),
        (with_line("cals", "grant_s = 1"), "cals: there is no such setting"),
        (with_line("calls", "grant_s = 0"), "calls.grant_s: "),
        (with_line("calls", 'grant_s = "many"'), "calls.grant_s: "),
        (with_line("calls", "renew_lead_s = 120"), "calls: renew_lead_s 120 must be less than grant_s 120"),
        (with_line("calls", "shorter_grants_s = [120]"), "calls: shorter_grants_s 120 must be less than"),
        (with_line("calls", "longest_call_s = 100"), "calls: grant_s 120 must not exceed longest_call_s"),
        (with_line("calls", "early_dialog_s = 60"), "early_dialog_s 60 must be more than ring_limit_s 60"),
        (with_line("calls", "early_dialog_s = 91"), "early_dialog_s 91 must be at most ring_limit_s + 30"),
        (with_line("calls", 'emergency_numbers = ["sos"]'), "calls.emergency_numbers.0: "),
        (with_line("calls", 'emergency_gateway = "here"'), "calls.emergency_gateway: 'here' is not HOST:"),
        (with_line("sip", 'digest_algorithm = "SHA-1"'), "sip.digest_algorithm: "),
        (with_line("database", 'name = "a b"'), "database.name: "),
        (with_line("database", 'proxy_password = ""'), "database.proxy_password: "),
        (with_line("database", "timeout_s = 0"), "database.timeout_s: "),
        (with_line("breaker", "failures = 0"), "breaker.failures: "),
        ("card_pin_key = ", "some.toml: Invalid value"),
    ],
)
def test_nonsense_is_refused_by_name(load, text, complaint):
    """One line that names the setting, and never its value where that may be a secret."""
    with pytest.raises(SettingsError) as caught:
        load(text)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_refused_secret_is_not_shown(load):
    """Also a secret that is too short stays out of the complaint."""
    with pytest.raises(SettingsError) as caught:
        load(MINIMAL.replace(CARD_PIN_KEY, "too-short-secret"))
    assert "too-short-secret" not in str(caught.value)


def test_a_variable_wins_over_the_file(load, monkeypatch):
    """METERLINE_CALLS__GRANT_S is grant_s of [calls]; the rest of the section stays."""
    monkeypatch.setenv("METERLINE_CALLS__GRANT_S", "90")
    monkeypatch.setenv("METERLINE_CALLS__EMERGENCY_NUMBERS", '["110", "112"]')
    found = load(with_line("calls", "grant_s = 100\nrenew_lead_s = 50")).calls
    assert (90, 50, ("110", "112")) == (found.grant_s, found.renew_lead_s, found.emergency_numbers)


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("METERLINE_CALS__GRANT_S", "90", "METERLINE_CALS__GRANT_S"),
        ("METERLINE_CALLS__GRANT_Z", "90", "calls.grant_z"),
        ("METERLINE_CALLS__GRANT_S", "ninety", "calls.grant_s"),
        ("METERLINE_CALLS__EMERGENCY_NUMBERS", "112", "emergency_numbers"),
        ("METERLINE_CALLS", "90", "calls"),
    ],
)
def test_nonsense_in_a_variable_is_refused_by_name(load, monkeypatch, variable, value, complaint):
    """A slip in a variable's name or value stops start-up like one in the file."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load(MINIMAL)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_file_is_found(monkeypatch, tmp_path):
    """METERLINE_SETTINGS names it; else meterline.toml in the working folder; else the variables must do."""
    with pytest.raises(SettingsError, match="node is missing"):
        settings.load()
    Path("meterline.toml").write_text(MINIMAL)
    assert settings.load().node.name == "proxy1"
    other = tmp_path / "other.toml"
    other.write_text(MINIMAL.replace("proxy1", "proxy2"))
    monkeypatch.setenv("METERLINE_SETTINGS", str(other))
    assert settings.load().node.name == "proxy2"
    other.unlink()
    with pytest.raises(SettingsError, match=r"other\.toml: No such file"):
        settings.load()


@pytest.fixture
def secret(tmp_path, monkeypatch):
    """Makes a file of secrets: folder, name and content. All folders are in METERLINE_SECRETS."""
    folders = []

    def _secret(folder: str, name: str, content: str | bytes) -> None:
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        (place / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        folders.extend([str(place)] if str(place) not in folders else [])
        monkeypatch.setenv("METERLINE_SECRETS", ":".join(folders))

    return _secret


def test_a_secret_may_have_a_file_of_its_own(load, secret, monkeypatch):
    """Its name is the setting's; it wins over the settings file, and a variable wins over it."""
    secret("node", "card_pin_key", "k" * 32 + "\n")
    secret("node", "database.proxy_password", "from its file\n")
    secret("office", "database.cashier_password", "another folder")
    secret("office", "database.admin_password", "from its file")
    secret("office", "..data", "Kubernetes' own")
    monkeypatch.setenv("METERLINE_DATABASE__ADMIN_PASSWORD", "from the variable")
    found = load(with_line("database", 'name = "ledger"\nproxy_password = "from the settings"'))
    assert ("k" * 32, "ledger") == (found.card_pin_key.get_secret_value(), found.database.name)
    logins = [found.database.login(role).password for role in ("proxy", "cashier", "admin")]
    assert ["from its file", "another folder", "from the variable"] == [one.get_secret_value() for one in logins]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("database.proxy_passwort", "hunter2", "database.proxy_passwort: there is no such setting"),
        ("card_pin_key", "hunter2", "card_pin_key: "),
        ("database.proxy_password", "\n", "database.proxy_password: "),
        ("database.proxy_password", b"hunter2\xff", "database.proxy_password: is no text"),
        ("card_pin_key.old", "hunter2", "card_pin_key in the settings file is no section"),
    ],
)
def test_nonsense_in_a_secrets_file_is_refused_by_name(load, secret, name, content, complaint):
    """And its content is not shown."""
    secret("node", name, content)
    with pytest.raises(SettingsError) as caught:
        load(MINIMAL)
    assert complaint in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_of_secrets_that_is_not_there_is_named(load, monkeypatch):
    """Nobody starts without the secrets that he was told to use."""
    monkeypatch.setenv("METERLINE_SECRETS", "/nowhere/at-all")
    with pytest.raises(SettingsError, match=r"METERLINE_SECRETS: folder /nowhere/at-all: No such file"):
        load(MINIMAL)


def test_a_role_without_password_is_named(load):
    """A machine that lacks a role's password is told so when it takes that role."""
    found = load(with_line("database", 'cashier_password = "pw"')).database
    assert found.login("cashier").user == "meterline_cashier"
    with pytest.raises(SettingsError, match=r"database\.proxy_password is missing"):
        found.login("proxy")


def test_set_up_over_the_socket_needs_no_password(load):
    """MariaDB trusts the system's user on its socket; over the network it does not."""
    assert load(with_line("database", 'socket = "/run/db.sock"')).database.login("setup").password is None
    with pytest.raises(SettingsError, match=r"database\.setup_password is missing"):
        load(MINIMAL).database.login("setup")


def test_the_example_shows_every_setting_with_its_default(load):
    """The example, its commented keys taken in too, holds all settings, with their defaults."""
    lines = EXAMPLE.read_text().splitlines()
    uncommented = [line[1:] if line.startswith("#") and line[1:2].isalpha() else line for line in lines]
    content = tomllib.loads("\n".join(uncommented))
    shown = {(section, key) for section, table in content.items() if isinstance(table, dict) for key in table}
    sections = {name: field.annotation.model_fields for name, field in sections_of(settings.Settings)}
    assert shown == {(section, key) for section, fields in sections.items() for key in fields}
    found = load(EXAMPLE.read_text().replace('card_pin_key = ""', f'card_pin_key = "{CARD_PIN_KEY}"'))
    for section, fields in sections.items():
        for key, field in fields.items():
            if not field.is_required():
                assert (key, getattr(getattr(found, section), key)) == (key, field.default)


def sections_of(model):
    return [(name, field) for name, field in model.model_fields.items() if name != "card_pin_key"]
