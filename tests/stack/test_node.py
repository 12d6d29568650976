"""The whole stack: it comes up, comes back after crashes, and leaves nothing behind."""

import os
import re
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from billing.errors import SettingsError
from billing.ledger import Ledger
from stack.kamailio import answers_options, environment
from stack.node import Stack
from stack.processes import StackError, free_port, pid_in, started_at, wait_until
from tests.support import rpc

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with Stack(tmp_path_factory.mktemp("stack"), overrides={"calls": {"grant_s": 100}}) as running:
        yield running


def test_everything_answers(stack):
    """SIP on its port, the ledger on its socket, each part alive; overrides hold."""
    assert answers_options(stack.sip_address)
    with_cashier = Ledger.for_role(stack.settings.database, "cashier")
    assert with_cashier.audit() == []
    with_cashier.close()
    assert [part.alive for part in stack.parts] == [True, True, True]
    assert (100, 60) == (stack.settings.calls.grant_s, stack.settings.calls.renew_lead_s)


def test_secrets_are_for_the_owner_alone(stack):
    """Settings and secrets have mode 600, the node's state 700."""
    modes = [stat.S_IMODE((stack.folder / name).stat().st_mode) for name in ("meterline.toml", "secrets.json")]
    assert [0o600, 0o600] == modes
    assert 0o700 == stat.S_IMODE(stack.settings.node.state_dir.stat().st_mode)


def test_kamailio_gets_a_clean_environment(stack, monkeypatch):
    """Another Python in PATH and PYTHONPATH stays outside; settings in variables pass."""
    monkeypatch.setenv("PATH", "/opt/other/bin")
    monkeypatch.setenv("PYTHONHOME", "/opt/other")
    monkeypatch.setenv("METERLINE_CALLS__RING_LIMIT_S", "65")
    found = environment(stack.settings, stack.settings_path, stack.kamailio.rpc_socket, stack.folder)
    assert "/usr/sbin:/usr/bin:/sbin:/bin" == found["PATH"]
    assert "PYTHONHOME" not in found
    assert ("65", "65000") == (found["METERLINE_CALLS__RING_LIMIT_S"], found["METERLINE_RING_MS"])


def test_the_control_socket_answers(stack):
    """kamcmd speaks to it."""
    assert "uptime" in rpc.answer(stack.kamailio.rpc_socket, "core.uptime")


def test_kamailio_and_the_database_can_be_killed_and_started(stack):
    """Same ports, same ledger."""
    stack.kamailio.kill9()
    assert not answers_options(stack.sip_address)
    stack.mariadb.kill9()
    stack.mariadb.start()
    stack.kamailio.start()
    assert answers_options(stack.sip_address)


def test_a_supervisor_brings_back_what_is_killed(stack):
    """Beside a running test."""
    from stack.node import Supervisor

    said = []
    with Supervisor(stack.parts, said.append).in_background():
        first = stack.kamailio.pid
        os.killpg(first, signal.SIGKILL)
        wait_until(lambda: stack.kamailio.pid not in {first, None} and answers_options(stack.sip_address), 10, "back")
    assert said == ["kamailio died; starting it again (1)"]


def test_a_second_stack_in_the_same_folder_is_refused(stack):
    """Two must not write to one ledger's files."""
    text = f"from pathlib import Path; from stack.node import Stack; Stack(Path({str(stack.folder)!r})).up()"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False, cwd=CHECKOUT)
    assert 1 == done.returncode
    assert f"is running already (process {os.getpid()})" in done.stderr
    assert answers_options(stack.sip_address)


def test_a_folder_can_be_taken_up_again(tmp_path):
    """Ledger and secrets stay; ports may be others. After `down` nothing runs."""
    first = Stack(tmp_path)
    with first:
        pids = [part.pid for part in first.parts]
        secrets = (tmp_path / "secrets.json").read_text()
    assert [None] * 3 == [started_at(pid) for pid in pids]
    with Stack(tmp_path) as second:
        assert secrets == (tmp_path / "secrets.json").read_text()
        assert second.migrate() == []
    assert [] == list(tmp_path.rglob("*.pid"))


@pytest.mark.parametrize(
    ("overrides", "error", "named"),
    [
        ({"calls": {"grant_s": 0}}, SettingsError, "calls.grant_s"),
        ({"sip": {"listen": ["udp:192.0.2.1:5060"]}}, StackError, "kamailio ended with code"),
    ],
)
def test_what_cannot_start_leaves_nothing_running(tmp_path, overrides, error, named):
    """The error names the reason, and the parts that were up are stopped."""
    stack = Stack(tmp_path, overrides=overrides)
    with pytest.raises(error, match=re.escape(named)):
        stack.up()
    assert [False] * 3 == [part.alive for part in stack.parts]
    assert [] == list(tmp_path.rglob("*.pid"))


def run_up(folder: Path, *words: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "stack", "up", "--folder", folder, *words],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def read_until(process: subprocess.Popen, text: str) -> str:
    """What it prints, up to the line with `text`."""
    lines = []
    limit = threading.Timer(30, process.kill)
    limit.start()
    for line in process.stdout:
        lines.append(line)
        if text in line:
            break
    limit.cancel()
    return "".join(lines)


def test_make_up_tells_what_happens_and_make_down_ends_it(tmp_path):
    """One terminal shows the addresses and a crash; the other ends it in order."""
    up = run_up(tmp_path, "--port", str(free_port()))
    with up:
        assert "realm meterline.test" in read_until(up, "Ctrl-C")
        os.killpg(pid_in(tmp_path / "kamailio.pid"), signal.SIGKILL)
        assert "kamailio died; starting it again (1)" in read_until(up, "died")
        down = [sys.executable, "-m", "stack", "down", "--folder", tmp_path]
        done = subprocess.run(down, cwd=CHECKOUT, capture_output=True, text=True, check=True)
        assert "stack stopped" in done.stdout
        assert up.stdout.read().rstrip().endswith("stopped")
        assert 0 == up.wait(10)
    assert [] == list(tmp_path.rglob("*.pid"))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--host", "300.1.1.1"], "host 300.1.1.1: "),
        (["--host", "192.0.2.1"], "host 192.0.2.1: Cannot assign requested address"),
        (["--port", "99999"], "argument --port: '99999' is not a port from 1 to 65535"),
        (["--port", "0"], "argument --port: '0' is not a port from 1 to 65535"),
        (["--port", "sip"], "argument --port: 'sip' is not a port from 1 to 65535"),
    ],
)
def test_make_up_names_an_address_that_cannot_be(tmp_path, words, named):
    """Before anything is started, and without a traceback."""
    command = [sys.executable, "-m", "stack", "up", "--folder", tmp_path / "up", *words]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert (True, 1) == (done.returncode != 0, done.stderr.count(named))
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "up").exists()


def test_make_down_ends_what_a_killed_make_up_left_behind(tmp_path):
    """kill -9 of the one in the foreground orphans its parts; `down` finds them."""
    up = run_up(tmp_path, "--port", str(free_port()))
    with up:
        read_until(up, "Ctrl-C")
        up.kill()
    pids = [pid_in(file) for file in tmp_path.rglob("*.pid") if file.stem != "stack"]
    assert (4, True) == (len(pids), all(pids))
    down = [sys.executable, "-m", "stack", "down", "--folder", tmp_path]
    subprocess.run(down, cwd=CHECKOUT, capture_output=True, check=True)
    assert [None] * 4 == [started_at(pid) for pid in pids]
