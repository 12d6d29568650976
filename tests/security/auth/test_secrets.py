"""Nothing secret in a log, a process list, an error or the control socket. A stack of its own, with known secrets.

What is secret: the database's passwords, the key of the PINs, passwords, HA1s and PINs of callers. A process's
environment can be read by its own user and root alone (proc(5)); there is no secret in it all the same.
"""

import contextlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from stack.kamailio import CHECKOUT, python_environment
from stack.node import Stack
from stack.processes import free_port, program
from tests.security.auth.digest import Challenge, header, response
from tests.support.faults import database_away
from tests.support.party import Party, carrier
from tests.support.rawsip import DIGESTS
from tests.support.world import IVR_ADDRESS, NUMBER, PASSWORD, PIN, World

GUESSED = "guessed-Pa55word-of-a-caller"
GUESSED_PIN = "90817263"


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with Stack(tmp_path_factory.mktemp("secrets")) as running:
        yield running


@pytest.fixture(scope="module")
def world(stack):
    return World(stack, [free_port()])


@pytest.fixture
def aftermath():
    """The database goes away here: errors are what is looked for."""


@pytest.fixture(scope="module")
def secrets(stack):
    """Every secret of the node by its name: what the settings hold, and what callers show."""
    content = tomllib.loads(stack.settings_path.read_text(encoding="utf-8"))
    found = {name: value for name, value in content["database"].items() if name.endswith("_password")}
    assert len(found) >= 3
    return found | {
        "card_pin_key": content["card_pin_key"],
        "password": PASSWORD,
        "guessed password": GUESSED,
        "guessed PIN": GUESSED_PIN,
    }


@pytest.fixture(scope="module")
def provoked(stack, world):
    """Everything that goes wrong and is written about: the secrets of one caller."""
    account, card = world.customer("10"), world.card("10")
    phone = world.phone(account)
    with carrier(world), Party(world, host="127.0.8.1") as end, Party(world, host=IVR_ADDRESS) as ivr:
        end.hang_up(end.call(phone))
        for password in (GUESSED, PASSWORD):
            tried(end, phone, password, f"sip:{NUMBER}0@{world.realm}")
        end.ask("INVITE", end.new_dialog(NUMBER), headers=[f"Proxy-Authorization: Digest {GUESSED}"])
        asked(ivr, card.number, card.pin)
        for _ in range(5):
            asked(ivr, card.number, GUESSED_PIN)
        asked(ivr, card.number, "1", f"X-Meterline-PIN: {GUESSED_PIN}")
        for fault in ("killed", "hangs"):
            with database_away(world, fault):
                tried(end, phone, PASSWORD, f"sip:{NUMBER}@{world.realm}")
                asked(ivr, card.number, card.pin)
        pin_hash = world.pin_hash(card.number, card.pin)
    ha1 = f"{phone.username}:{world.realm}:{PASSWORD}"
    return {"HA1": DIGESTS["MD5"](ha1), "HA1 by SHA-256": DIGESTS["SHA-256"](ha1), "PIN's hash": pin_hash}


def tried(end, phone, password, uri):
    """A call with this password, however it ends."""
    call = end.new_dialog(NUMBER)
    answer = end.ask("INVITE", call)
    if answer.code == 407:
        shown = header(response(Challenge.of(answer), phone.username, password, uri))
        end.ask("INVITE", call, headers=[shown], limit_s=10)


def asked(ivr, card, pin, *more):
    """The IVR's question, however it is answered."""
    headers = [f"X-Meterline-Card: {card}", f"X-Meterline-PIN: {pin}", *more]
    ivr.ask("OPTIONS", ivr.new_dialog(NUMBER), headers=headers, limit_s=10)


def told(text, secrets):
    """The names of the secrets that a text holds."""
    return [name for name, value in secrets.items() if value in text]


def processes(stack):
    """All processes of the stack: the parts and whatever they started."""
    found, ask = [], [stack.kamailio.pid, stack.drain.pid, stack.mariadb.pid]
    while ask:
        pid = ask.pop()
        found.append(pid)
        with contextlib.suppress(FileNotFoundError):
            ask += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())
    return found


def test_logs(stack, secrets, provoked):
    """Wrong passwords and PINs, malformed credentials, a database that is killed or hangs: nothing of it is written."""
    logs = [*stack.folder.glob("*.log"), *stack.folder.glob("mariadb/*.log")]
    assert {"kamailio.log", "drain.log", "mariadb.log"} <= {log.name for log in logs}
    said = "\n".join(log.read_text(errors="replace") for log in logs)
    assert "bad_credentials" in said
    assert "ledger_failed" in said
    assert [] == told(said, secrets | provoked)
    assert not re.search(rf"\b{PIN}\b", "".join(re.findall(r'"(?:detail|error|trace)": "([^"]*)"', said)))


def test_process_list(stack, secrets, provoked):
    """Neither in the arguments, which everybody may read, nor in the environment, which the same user may."""
    for pid in processes(stack):
        for name in ("cmdline", "environ"):
            with contextlib.suppress(FileNotFoundError):
                text = Path(f"/proc/{pid}/{name}").read_bytes().decode("utf-8", "replace")
                assert [] == told(text, secrets | provoked), (pid, name, text)
    mode = Path(f"/proc/{stack.kamailio.pid}/environ").stat().st_mode
    assert 0o400 == mode & 0o777


def test_control_socket(stack, secrets, provoked):
    """What `kamcmd` shows of tables, dialogs and configuration names users and places, and no secret."""
    commands = [["dlg.list"], ["core.ps"], ["core.info"], ["cfg.list"], ["htable.listTables"], ["pike.list", "ALL"]]
    tables = re.findall(r'"htable", "(\w+)=>', (CHECKOUT / "kamailio.cfg").read_text(encoding="utf-8"))
    assert "trusted" in tables
    commands += [["htable.dump", table] for table in [*tables, "failures"]]
    for words in commands:
        done = subprocess.run(
            [program("kamcmd"), "-s", f"unix:{stack.kamailio.rpc_socket}", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
        assert [] == told(done.stdout + done.stderr, secrets | provoked), words


@pytest.mark.parametrize(
    ("command", "variables"),
    [
        (
            ["db", "migrate"],
            {"METERLINE_DATABASE__SETUP_PASSWORD": "s3cret-of-setup", "METERLINE_DATABASE__SETUP_USER": "nobody1"},
        ),
        (["audit"], {"METERLINE_DATABASE__SOCKET": "/nowhere.sock"}),
        (["audit"], {"METERLINE_DATABASE__CASHIER_USER": "meterline_admin"}),
        (["audit"], {"METERLINE_CARD_PIN_KEY": "s3cret-too-short"}),
        (["audit"], {"METERLINE_DATABASE__CASHIER_PASWORD": "s3cret-in-a-slip"}),
        (["topup", "nobody", "1"], {}),
    ],
    ids=" ".join,
)
def test_errors_of_commands(stack, world, secrets, command, variables):
    """A bad setting, a wrong password, a server that is not there: the error names the thing and not its value."""
    done = subprocess.run(
        [CHECKOUT / "bin" / "meterline", *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
        env=python_environment(stack.settings_path) | variables,
        timeout=30,
    )
    said = done.stdout + done.stderr
    assert (1, True) == (done.returncode, "Traceback" not in said), said
    assert len(said.strip()) > 10
    assert [] == told(said, secrets)
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("line", "wrong"),
    [("card_pin_key", "s3cret-too-short"), ("proxy_password", ""), ("cashier_password", "s3cret\\q")],
)
def test_errors_of_a_start(stack, tmp_path, secrets, line, wrong):
    """A settings file with a bad secret stops whoever reads it, by its name alone."""
    text = stack.settings_path.read_text(encoding="utf-8")
    bad = tmp_path / "meterline.toml"
    changed = re.sub(rf'(?m)^{line} = ".*"$', lambda _: f'{line} = "{wrong}"', text)
    assert changed != text
    bad.write_text(changed, encoding="utf-8")
    bad.chmod(0o600)
    done = subprocess.run(
        [sys.executable, "-m", "billing.drain"],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
        env=python_environment(bad) | {"PATH": os.environ["PATH"]},
        timeout=30,
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert said.strip()
    assert [] == told(said, secrets)
    assert "s3cret" not in said


def test_files(stack, provoked):
    """What holds secrets, or says who called whom, is for the node's own user."""
    for path in (stack.settings_path, stack.settings.node.state_dir, stack.kamailio.rpc_socket):
        assert 0 == path.stat().st_mode & 0o007, path
    assert 0 == stack.settings_path.stat().st_mode & 0o077
