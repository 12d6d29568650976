"""What the monitor holds for true, without a node and a ledger to look at."""

import errno
import os
import time
from pathlib import Path

import pytest

from billing.board import Board
from billing.certificates import certificates_in, validity
from billing.errors import LedgerUnavailable
from billing.logs import EventLog
from billing.settings import DatabaseSettings, MonitorSettings, Settings
from monitor import health, metrics, watch
from monitor.dialogs import ENDED_KEPT_S, Lasting
from monitor.watch import LEDGER_FRESH_S, NODE_FRESH_S, LedgerLook, NodeLook, Watch, ping, write_error
from tests.support.tls import Authority, tls_server


@pytest.fixture
def watching(tmp_path):
    """Whoever watches a node that has a state folder and nothing in it."""
    return watch_at(tmp_path, "tls:127.0.0.1:1")  # nobody is there


def watch_at(folder, *listen):
    settings = Settings(
        node={"name": "node-1", "state_dir": folder},
        sip={"realm": "example.net", "listen": listen},
        tls={"certificate": "/nowhere", "private_key": "/nowhere"},
        card_pin_key="k" * 32,
    )
    return Watch(settings, Board(None), EventLog("monitor", "node-1"))


def shown(watching):
    """The names of the figures on the page."""
    return {line.split()[2] for line in metrics.exposition(watching).decode().splitlines() if line.startswith("# TYPE")}


def node_look(age_s):
    return NodeLook(time.monotonic() - age_s, 200, 1, "", 2, 3.0, 4, 5, frozenset("ab"))


@pytest.mark.parametrize(("age_s", "known"), [(NODE_FRESH_S - 5, True), (NODE_FRESH_S + 1, False)])
def test_look_at_the_node_tells_nothing_when_it_is_old(watching, age_s, known):
    """A disk that hangs, and with it whoever looks: what was true then would pass for true now."""
    watching._node = node_look(age_s)
    figures = {"meterline_proxy_up", "meterline_journal_depth_bytes", "meterline_disk_free_bytes", "meterline_dialogs"}
    assert (figures if known else set()) == figures & shown(watching)
    assert known == ("monitor_blind" not in health.not_healthy(watching))


@pytest.mark.parametrize(("age_s", "known"), [(LEDGER_FRESH_S - 5, True), (LEDGER_FRESH_S + 1, False)])
def test_look_at_the_ledger_tells_nothing_when_it_is_old(watching, age_s, known):
    """Nobody has looked since: whether the database is there is not known either."""
    watching._ledger = LedgerLook(time.monotonic() - age_s)
    figures = {"meterline_database_up", "meterline_live_calls", "meterline_provisional_cdrs"}
    assert (figures if known else set()) == figures & shown(watching)


def test_calls_are_not_compared_with_an_old_look_at_the_node(watching, monkeypatch):
    """They have ended since, and would look as if nobody paid for them, however long that were so."""

    class Empty:
        live_keys = staticmethod(lambda node: {})
        live_totals = staticmethod(lambda node: [])
        provisional_cdrs = staticmethod(lambda: 0)
        alarms = staticmethod(list)

    monkeypatch.setattr(watching, "_without_live_call", Lasting(0))
    for age_s, unpaid in ((0, frozenset("ab")), (NODE_FRESH_S + 1, frozenset())):
        watching._node = node_look(age_s)
        watching._look_at_ledger(Empty)
        assert unpaid == watching.ledger.without_live_call


def test_calls_that_have_just_ended_are_not_up(watching):
    """Kamailio keeps each for some seconds: a busy node always has such ones, but none of them for long."""
    for _ in range(2):
        assert (frozenset(), frozenset()) == watching._mismatches({}, frozenset("ab"))
    ended = Lasting(ENDED_KEPT_S)
    for second, keys in enumerate(("ab", "bc", "cd", "de", "ez"), 1):
        assert frozenset() == ended.seen(keys, second * (ENDED_KEPT_S - 1) / 2)
    assert frozenset("z") == ended.seen("yz", 5 * (ENDED_KEPT_S - 1) / 2 + ENDED_KEPT_S)


def test_journal_that_cannot_be_read_is_not_shown_as_empty(watching, monkeypatch):
    """Its depth and age are not known then."""
    watching.look_at_node()
    assert (0, 0.0) == (watching.node.journal_bytes, watching.node.journal_age_s)

    def broken(folder):
        raise OSError(errno.EIO, "it is broken")

    monkeypatch.setattr(watch, "depth_of", broken)
    watching.look_at_node()
    figures = shown(watching)
    assert "meterline_journal_damaged_bytes" in figures
    assert set() == {"meterline_journal_depth_bytes", "meterline_journal_oldest_fact_age_seconds"} & figures


@pytest.mark.parametrize(("interval_s", "retry_s"), [(3600, 300), (60, 60)])
def test_audit_that_did_not_come_to_its_end_is_made_again_soon(watching, interval_s, retry_s):
    """Not after the whole interval: at a boot the monitor may be there before the database. Then as usual."""
    watching.settings = watching.settings.model_copy(update={"monitor": MonitorSettings(audit_interval_s=interval_s)})
    answers = iter([LedgerUnavailable("not yet"), []])
    pauses = []

    class Books:
        def audit(self):
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            return answer

    class Stop:
        def wait(self, pause_s):
            pauses.append(pause_s)
            return len(pauses) == 2

    watching.stop = Stop()
    watching._again_and_again(lambda: watching._audit(Books()), interval_s)
    assert [retry_s, interval_s] == pauses
    assert 0 == watching.audit.differences


def test_two_may_try_the_disk_at_once(tmp_path, monkeypatch):
    """Monitor and doctor: the one who removes the file first does not make the disk unwritable for the other."""
    write = os.write

    def overtaken(file, content):
        Path(tmp_path / "probe").unlink()
        return write(file, content)

    monkeypatch.setattr(os, "write", overtaken)
    assert "" == write_error(tmp_path)


def test_node_that_has_tls_alone_is_pinged_there(tmp_path):
    """Its proxy is no silent one. Another socket is asked before TLS, wherever it stands."""
    node = Authority(tmp_path / "authority").identity("node", expired=True)
    with tls_server(node, b"SIP/2.0 200 OK\r\n\r\n") as address:
        watching = watch_at(tmp_path, f"tls:{address}")
        watching.look_at_node()
        assert (200, []) == (watching.node.sip_code, [one for one in health.not_healthy(watching) if "proxy" in one])
        assert None is ping(watch_at(tmp_path, f"tls:{address}", "tcp:127.0.0.1:1").settings)
    watching.look_at_node()
    assert (None, True) == (watching.node.sip_code, "proxy_silent" in health.not_healthy(watching))


def test_expiry_is_of_the_certificate_that_is_shown(tmp_path):
    """The file is not asked (here it is not there); a node that shows none now has no such figure."""
    node = Authority(tmp_path / "authority").identity("node", expired=True)
    (der,) = certificates_in(node.certificate.read_text())
    with tls_server(node, b"") as address:
        watching = watch_at(tmp_path, "udp:127.0.0.1:1", f"tls:{address}")
        assert "meterline_tls_certificate_expires_seconds" not in shown(watching)
        watching.look_at_certificate()
        page = metrics.exposition(watching).decode()
    (value,) = (line.split()[1] for line in page.splitlines() if line.startswith("meterline_tls_certificate_expires"))
    assert validity(der).until_s == float(value)
    watching.look_at_certificate()
    assert "meterline_tls_certificate_expires_seconds" not in shown(watching)


@pytest.mark.parametrize(("listen", "looked_at"), [(("udp:127.0.0.1:1",), False), (("tls:127.0.0.1:1",), True)])
def test_certificate_is_looked_at_if_there_is_one(tmp_path, monkeypatch, listen, looked_at):
    """Again and again, beside the others."""
    works = []
    monkeypatch.setattr(Watch, "_again_and_again", lambda watch, work, every_s: works.append((work, every_s)))
    monkeypatch.setattr(watch.threading, "Thread", AtOnce)
    watching = watch_at(tmp_path, *listen)
    watching.settings = watching.settings.model_copy(update={"database": DatabaseSettings(proxy_password="p")})
    watching.start()
    assert looked_at == ((watching.look_at_certificate, watch.CERTIFICATE_EVERY_S) in works)


class AtOnce:
    """A thread that has run when it is started."""

    def __init__(self, target, args, daemon):
        self.start = lambda: target(*args)
