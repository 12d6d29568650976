"""The doctor, on a real stack in which one thing after another is broken: it names the thing, and what to do."""

import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest

from billing import readiness
from billing.journal import encode
from billing.ledger import Ledger
from cli.app import main
from db.grants import Right
from monitor import doctor, doctor_ledger, doctor_node
from monitor.dialogs import billed_call_keys
from monitor.doctor_ledger import rights_in
from stack.processes import wait_until
from tests.support.faults import database_away


@pytest.fixture
def examine(stack, world, watcher, monkeypatch):
    """What is not well, as (level, area, text, remedy); without the clock, which is the machine's own."""
    monkeypatch.setenv("METERLINE_SETTINGS", str(stack.settings_path))
    wait_until(lambda: watcher.judged("/readyz") == (200, []), 20, "the node is ready")

    def run(*, with_audit=False):
        found = [one for one in doctor.examine(with_audit=with_audit) if one.level != "ok" and one.area != "clock"]
        return [(one.level, one.area, one.text, one.remedy) for one in found]

    return run


def strictly_one(found):
    assert 1 == len(found), found
    return found[0]


def test_healthy_node_gives_it_nothing_to_say(examine):
    """The books included."""
    assert [] == examine(with_audit=True)


def test_a_call_that_has_just_ended_is_no_call_that_nobody_pays_for(examine, scene, world):
    """Kamailio keeps its dialog for some seconds more, and no longer."""
    caller = world.customer("1")
    scene.callee()
    scene.phones([world.phone(caller)], talk_s=1).wait()
    world.balance(caller)
    assert frozenset() != billed_call_keys(world.settings.node.state_dir)
    assert [] == examine()
    assert set() == billed_call_keys(world.settings.node.state_dir)


def test_a_call_that_nobody_pays_for_is_named(world, monkeypatch):
    """And one that is paid and not up; but not the one that ends while we wait."""
    looks = iter([{"unpaid", "ending", "paid"}, {"unpaid", "another", "paid"}, *[{"unpaid", "paid"}] * 100])
    monkeypatch.setattr(doctor_ledger, "billed_call_keys", lambda folder: next(looks))
    monkeypatch.setattr(doctor_ledger, "LOOK_AGAIN_S", 0.01)
    monkeypatch.setattr(doctor_ledger, "ENDED_KEPT_S", 0.1)
    live = {"paid": "answered", "held": "answered", "ringing": "open"}
    monkeypatch.setattr(Ledger, "live_keys", lambda ledger, node: live)
    found = [(one.level, one.text, one.remedy) for one in doctor_ledger.calls(world.settings) if one.level != "ok"]
    assert [
        ("fail", "1 calls are up that the ledger does not know", "end them: kamcmd dlg.list; unpaid"),
        ("warn", "1 paid calls are not up", "the reaper takes them; the first is held"),
    ] == found


def test_command_shows_lines_for_people_and_json_for_programs(stack, examine, capsys):
    """The exit code is the worst level; a remedy follows what it is for; no password is ever shown."""
    stack.settings_path.chmod(0o604)
    try:
        codes = [main(["doctor"]), main(["doctor", "--json", "--no-audit"])]
    finally:
        stack.settings_path.chmod(0o600)
    shown = capsys.readouterr().out
    plain, _, as_json = shown.rstrip().rpartition("\n")
    answer = json.loads(as_json)
    assert ([2, 2], "fail") == (codes, answer["worst"])
    assert {"level", "area", "text", "remedy"} == set(answer["findings"][0])
    assert f"\n      -> chmod 640 {stack.settings_path}\n" in plain
    assert "\nok    audit       no differences" in plain
    passwords = [getattr(stack.settings.database, f"{role}_password").get_secret_value() for role in ("proxy", "admin")]
    assert [] == [secret for secret in passwords if secret in shown]


@pytest.mark.parametrize(
    ("broken", "mended", "level", "area", "named"),
    [
        (
            "GRANT INSERT ON entry TO meterline_proxy@localhost",
            "REVOKE INSERT ON entry FROM meterline_proxy@localhost",
            "fail", "privileges", "meterline_proxy has INSERT on entry too much",
        ),
        (
            "REVOKE EXECUTE ON PROCEDURE top_up FROM meterline_cashier@localhost",
            "GRANT EXECUTE ON PROCEDURE top_up TO meterline_cashier@localhost",
            "fail", "privileges", "meterline_cashier lacks EXECUTE on top_up",
        ),
        (
            "GRANT SUPER ON *.* TO meterline_admin@localhost", "REVOKE SUPER ON *.* FROM meterline_admin@localhost",
            "fail", "privileges", "meterline_admin has SUPER on *.*",
        ),
        (
            "GRANT SELECT ON v_card TO meterline_ivr@localhost", "REVOKE SELECT ON v_card FROM meterline_ivr@localhost",
            "fail", "privileges", "meterline_ivr has SELECT on v_card too much",
        ),
        (
            "SET GLOBAL innodb_flush_log_at_trx_commit = 2", "SET GLOBAL innodb_flush_log_at_trx_commit = 1",
            "fail", "server", "innodb_flush_log_at_trx_commit is 2",
        ),
        (
            "UPDATE loaded_object SET content_hash = REVERSE(content_hash) WHERE name = 'settle_call'",
            "UPDATE loaded_object SET content_hash = REVERSE(content_hash) WHERE name = 'settle_call'",
            "fail", "version", "1 objects are not of this version: procedure settle_call",
        ),
        (
            "INSERT INTO node (name, booted_at, heartbeat_at) VALUES ('node9', '2026-01-01', '2026-01-01')",
            "DELETE FROM node WHERE name = 'node9'",
            "warn", "nodes", "node9 is silent",
        ),
        (
            "UPDATE purse SET balance = balance + 1 ORDER BY account_id LIMIT 1",
            "UPDATE purse SET balance = balance - 1 ORDER BY account_id LIMIT 1",
            "fail", "audit", "1 differences; balance of ",
        ),
    ],
)  # fmt: skip
def test_ledger_that_is_not_as_it_should_be(examine, world, as_root, broken, mended, level, area, named):
    """Rights too many and too few, variables, versions, nodes, books: each is named, alone, with a remedy."""
    world.customer("1")
    as_root(broken)
    try:
        found = strictly_one(examine(with_audit=area == "audit"))
    finally:
        as_root(mended)
    assert (level, area, True) == (*found[:2], found[2].startswith(named)), found
    assert found[3]
    assert [] == examine(with_audit=area == "audit")


def break_mode(stack):
    stack.settings_path.chmod(0o644)
    return lambda: stack.settings_path.chmod(0o600)


def break_state(stack):
    stack.settings.node.state_dir.chmod(0o755)
    return lambda: stack.settings.node.state_dir.chmod(0o700)


def set_line_aside(stack):
    file = stack.settings.node.state_dir / "journal" / "damaged.log"
    file.write_bytes(b"facts-1.journal 0 torn: ..\n")
    return file.unlink


def refuse_fact(stack):
    file = stack.settings.node.state_dir / "journal" / "refused.log"
    file.write_text('{"error": "..", "fact": {}}\n')
    return file.unlink


def stop_proxy(stack):
    stack.kamailio.kill9()
    return stack.kamailio.start


def stop_monitor(stack):
    stack.monitor.kill9()
    return stack.monitor.start


def clone_node(stack):
    """The drain would write it again as it is at its next look, so it stands still meanwhile."""
    file = stack.settings.node.state_dir / "directory.json"
    os.kill(stack.drain.pid, signal.SIGSTOP)
    own = file.read_text(encoding="utf-8")
    file.write_text(json.dumps({**json.loads(own), "twin": "01M8 at elsewhere"}), encoding="utf-8")

    def mend():
        file.write_text(own, encoding="utf-8")
        os.kill(stack.drain.pid, signal.SIGCONT)

    return mend


def damage_dialogs(stack):
    stack.kamailio.stop()
    store = stack.settings.node.state_dir / "dialogs.sqlite"
    whole = store.read_bytes()
    store.write_bytes(b"no database" + whole[11:])

    def mend():
        store.write_bytes(whole)
        stack.kamailio.start()

    return mend


@pytest.mark.parametrize(
    ("break_it", "level", "area", "named"),
    [
        (break_mode, "fail", "settings", "has mode 644"),
        (break_state, "warn", "state", "has mode 755"),
        (set_line_aside, "warn", "journal", "1 lines in "),
        (refuse_fact, "warn", "journal", "1 lines in "),
        (stop_proxy, "fail", "proxy", "no answer to a ping"),
        (stop_monitor, "warn", "monitor", "no answer at http://"),
        (clone_node, "fail", "directory", "another node has the name node1"),
        (damage_dialogs, "fail", "dialogs", "file is not a database"),
    ],
)
def test_node_that_is_not_as_it_should_be(examine, stack, break_it, level, area, named):
    """Modes, what was set aside, parts that are down, a broken store: each is named, with a remedy."""
    mend = break_it(stack)
    try:
        found = examine()
    finally:
        mend()
    assert [(level, area)] == [one[:2] for one in found if named in one[2]], found
    assert all(remedy for *_, remedy in found)


def test_database_that_is_away_is_named_and_the_rest_is_examined(examine, world):
    """It answers in time, with what could not be looked at."""
    with database_away(world, "killed"):
        found = examine(with_audit=True)
    failed = [one for one in found if one[:2] == ("fail", "database")]
    assert ["proxy", "cashier", "admin", "ivr"] == [text.split()[0] for _, _, text, _ in failed]
    assert any(text.startswith("not checked: server, clock, version, privileges") for *_, text, _ in found)
    assert not any("could not be checked" in text for *_, text, _ in found)


def test_settings_that_do_not_load_are_the_only_finding(examine, monkeypatch):
    """Named as at every start."""
    monkeypatch.setenv("METERLINE_CALLS__GRANT_S", "0")
    assert ("fail", "settings") == strictly_one(examine())[:2]


def test_node_that_was_never_started_is_told_what_is_missing(examine, tmp_path, monkeypatch):
    """No state folder, no board, no journal: each with what to start."""
    monkeypatch.setenv("METERLINE_NODE__STATE_DIR", str(tmp_path / "nothing"))
    found = examine()
    assert {"state", "journal", "dialogs", "directory", "processes"} <= {area for _, area, *_ in found}
    assert [] == [one for one in found if "could not be checked" in one[2]]
    assert not (tmp_path / "nothing").exists(), "it changed something"


def test_lead_that_leaves_no_time_to_try_again_is_unwise(examine, monkeypatch):
    """It loads, and is a warning."""
    monkeypatch.setenv("METERLINE_DATABASE__TIMEOUT_S", "4")
    assert ("warn", "timers") == strictly_one(examine())[:2]


def test_facts_that_wait_for_long_are_seen(tmp_path):
    """By the time that the first of them was written at."""
    now_ms, boot = time.monotonic_ns() // 1_000_000, doctor_node.Moment.now().boot
    for age_s, level in ((1, "ok"), (60, "warn"), (600, "fail")):
        fact = {"kind": "ended", "call_key": "k", "at": f"{now_ms - age_s * 1000}/0/{boot}"}
        (tmp_path / "facts-1.journal").write_bytes(b"\n" + encode(fact) + b"\n")
        assert [level] == [one.level for one in doctor_node._waiting(tmp_path)]


def test_clock_that_the_kernel_does_not_tell_of_is_not_called_synchronized(monkeypatch):
    """As where a container's filter of system calls leaves adjtimex out."""

    class Library:
        state = 0

        def adjtimex(self, _):
            return self.state

    monkeypatch.setattr(doctor_node.ctypes, "CDLL", lambda _: Library())
    for Library.state, level in ((0, "ok"), (doctor_node.TIME_ERROR, "warn"), (-1, "warn")):
        (found,) = doctor_node.clock(None)
        assert (level, "clock") == (found.level, found.area)


def test_another_program_at_the_monitors_address_is_not_the_monitor():
    """It answers, and not as the monitor does."""

    class Other(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        listen = f"127.0.0.1:{server.server_port}"
        (found,) = doctor_node._monitor(SimpleNamespace(monitor=SimpleNamespace(listen=listen)))
    assert ("warn", "monitor", f"no answer at http://{listen}/healthz") == (found.level, found.area, found.text)


def test_process_that_stands_still_is_named(examine, stack, monkeypatch):
    """As readiness sees it."""
    monkeypatch.setattr(readiness, "silent_processes", lambda board: ["cutter"])
    assert ("fail", "processes", "the cutter does nothing") == strictly_one(examine())[:3]


def test_check_that_breaks_is_a_finding(examine, monkeypatch):
    """A doctor who faints helps nobody."""

    def faint(settings):
        yield from ()
        raise RuntimeError("fainted")

    monkeypatch.setattr(doctor_node, "CHECKS", (("disk", faint),))
    assert ("fail", "disk") == strictly_one(examine())[:2]


def test_grants_are_read_as_the_server_writes_them():
    """Single objects of the ledger, columns among them, on one side; everything wider on the other."""
    rights, wide = rights_in(
        [
            "GRANT USAGE ON *.* TO `u`@`localhost` IDENTIFIED BY PASSWORD '*00'",
            "GRANT SELECT, INSERT, UPDATE (`name`, `status`) ON `meterline`.`user` TO `u`@`localhost`",
            "GRANT EXECUTE ON PROCEDURE `meterline`.`audit` TO `u`@`localhost`",
            "GRANT CREATE TEMPORARY TABLES ON `meterline`.* TO `u`@`localhost`",
            "GRANT SELECT ON `mysql`.`user` TO `u`@`localhost`",
            "GRANT `dba` TO `u`@`localhost`",
        ],
        "meterline",
    )
    assert {
        Right("TABLE", "user", "SELECT"), Right("TABLE", "user", "INSERT"), Right("TABLE", "user", "UPDATE", "name"),
        Right("TABLE", "user", "UPDATE", "status"), Right("PROCEDURE", "audit", "EXECUTE"),
    } == rights  # fmt: skip
    assert {"CREATE TEMPORARY TABLES on `meterline`.*", "SELECT on `mysql`.`user`", "GRANT `dba`"} == wide


def test_only_files_that_hold_secrets_must_be_private(tmp_path, monkeypatch):
    """Settings without any may be read by all; a secret in a file of its own may not."""
    plain, secret = tmp_path / "plain.toml", tmp_path / "secrets" / "database.proxy_password"
    plain.write_text('[node]\nname = "n"\n')
    secret.parent.mkdir()
    secret.write_text("hunter2")
    monkeypatch.setenv("METERLINE_SECRETS", str(secret.parent))
    for mode, level in ((0o640, "ok"), (0o644, "fail")):
        plain.chmod(0o644)
        secret.chmod(mode)
        assert ["ok", level] == [one.level for one in doctor_node.settings_file(plain)]
    plain.write_text('[database]\nadmin_password = "hunter2"\n')
    assert ["fail", "fail"] == [one.level for one in doctor_node.settings_file(plain)]
