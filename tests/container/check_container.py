"""docker/ for real: the images are built, a call goes through, parts die and come back, and nothing is lost."""

import contextlib
import http.client
import json
import os
import signal
from decimal import Decimal
from pathlib import Path

import pytest

from billing import settings
from stack.kamailio import CHECKOUT
from stack.processes import StackError, free_port, wait_until
from tests.support.containers import Composed, Engine, NoEngine
from tests.support.faults import calls_up, reconnect
from tests.support.party import Party, books_are_right, carrier, on_the_wire
from tests.support.scene import Scene
from tests.support.world import World

RELEASE = os.environ.get("DEBIAN", "bookworm")
PROJECT = "meterline-try"
CENT = Decimal("0.01")


@pytest.fixture(scope="session")
def engine():
    """A container engine; without one there is nothing to try, and that is said."""
    try:
        with Engine(CHECKOUT / "run" / "container") as found:
            yield found
    except NoEngine as error:
        pytest.exit(f"make container: {error}", returncode=3)


@pytest.fixture(scope="session")
def composed(engine, tmp_path_factory):
    """The services, built and up."""
    engine.build(RELEASE)
    variables = {
        "SIP_ADDRESS": "127.0.0.1",
        "SIP_PORT": str(free_port()),
        "SIP_REALM": "meterline.test",
        "DEBIAN": RELEASE,
        "MONITOR_LISTEN": f"127.0.0.1:{free_port()}",
    }
    services = Composed(engine, tmp_path_factory.mktemp("compose"), PROJECT, variables)
    services.add(Path(__file__).with_name("override.yaml"))
    with services:
        services.up()
        yield services


class ComposedStack:
    """What tests/support asks of a stack, answered from outside by the containers' volumes."""

    def __init__(self, composed: Composed, folder: Path) -> None:
        self._composed = composed
        self._folder = folder
        self.kamailio = self
        self.settings = self._settings()
        self.sip_address = self.settings.sip.listen[0].partition(":")[2]

    def _settings(self) -> settings.Settings:
        given = self._composed.inspect("proxy")["Config"]["Env"]
        inside = dict(word.split("=", 1) for word in given if word.startswith("METERLINE_"))
        secrets = [str(self._composed.volume(name)) for name in ("node-secrets", "office-secrets")]
        with pytest.MonkeyPatch.context() as patch:
            for name, value in inside.items():
                patch.setenv(name, value)
            patch.setenv(settings.FOLDERS_VARIABLE, ":".join(secrets))
            patch.setenv("METERLINE_DATABASE__SOCKET", str(self._composed.volume("database-socket") / "mysqld.sock"))
            patch.setenv("METERLINE_NODE__STATE_DIR", str(self._composed.volume("state")))
            return settings.load(CHECKOUT / "docker" / "meterline.toml")

    @property
    def log(self) -> Path:
        """The proxy's log so far, as a file."""
        file = self._folder / "proxy.log"
        file.write_text(self._composed.logs("proxy"), encoding="utf-8")
        return file


@pytest.fixture(scope="session")
def world(composed, tmp_path_factory):
    """The ledger's content; at the end all is settled and the audit, asked within a container, finds nothing."""
    stack = ComposedStack(composed, tmp_path_factory.mktemp("logs"))
    made = World(stack, [free_port() for _ in range(3)], probed=False)  # SIPp's scenarios know no OPTIONS
    yield made
    made.wait_until_drained()
    assert "no differences" in composed.compose("run", "--rm", "meterline", "audit")
    assert [] == made.log_lines('"uncaught"', '"fact_lost"', "CRITICAL")


@pytest.fixture
def ends(world):
    """The carrier, and a stack of contexts for callers."""
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(carrier(world)), stack


def test_a_call_through_it(composed, world, tmp_path):
    """A phone's and a card's call by SIPp: 2.5 s talked, 3 billed, to the cent; and `meterline cdrs` shows it."""
    scene = Scene(world, tmp_path, Path(__file__).parent)
    customer, card = world.customer("10"), world.card("1")
    try:
        scene.callee()
        callers = [scene.phones([world.phone(customer)], talk_s=2.5), scene.ivr([card], talk_s=2.5)]
        for caller in callers:
            caller.wait()
        calls = scene.truth()
    finally:
        scene.end()
    assert [("caller", 3, 3 * CENT)] * 2 == [(one.cdr.end_reason, one.cdr.billed_s, one.charge) for one in calls]
    assert [Decimal("9.97"), Decimal("0.97")] == [world.balance(customer), world.balance(card)]
    shown = composed.compose("run", "--rm", "meterline", "cdrs", "--account", customer.name)
    assert customer.name in shown
    books_are_right(world)


def test_cards_are_printed_into_a_folder_of_the_host(composed, world, tmp_path):
    """As docker/README.md says: for whoever asks, whose user id has no name in the image; nobody else may read it."""
    tariff_id = world.tariff()
    (tariff,) = [one.name for one in world.cashier.tariffs() if one.tariff_id == tariff_id]
    os.chown(tmp_path, 12345, 12345)
    as_oneself = ("--user", "12345:10001", "--volume", f"{tmp_path}:/files", "--workdir", "/files", "meterline")
    batch = ("card", "batch", "Printed", "--count", "3", "--value", "1", "--tariff", tariff, "--file", "cards.csv")
    composed.compose("run", "--rm", *as_oneself, *batch)
    file = tmp_path / "cards.csv"
    assert 4 == len(file.read_text(encoding="utf-8").splitlines())
    assert (12345, 0o600) == (file.stat().st_uid, file.stat().st_mode & 0o777)


def test_it_is_what_was_asked_for(composed):
    """Debian's release; and the node's own doctor finds nothing that does not work."""
    inside = ("exec", composed.id_of("proxy"))
    assert f"VERSION_CODENAME={RELEASE}" in composed.engine.docker(*inside, "cat", "/etc/os-release")
    said = composed.engine.docker(*inside, "sh", "-c", "meterline doctor --json || test $? = 1")  # 1: warnings
    assert [] == [one for one in json.loads(said)["findings"] if one["level"] == "fail"]


def test_a_carrier_is_asked_whether_it_is_there(composed, world, ends):
    """By Kamailio's dispatcher: the image has the module, and a list that it may write."""
    world.admin.set_carrier("carrier1", probed=True)
    try:
        wait_until(lambda: bool(ends[0].heard("OPTIONS")), 40, "carrier1 is asked")  # up until it does not answer
        wait_until(lambda: ["up"] == [one.state for one in world.cashier.carrier_states()], 40, "carrier1 is there")
    finally:
        world.admin.set_carrier("carrier1", probed=False)
    wait_until(lambda: [] == world.cashier.carrier_states(), 20, "nobody is asked any more")


def test_readiness_is_told(composed, world):
    """The monitor, outside the node's containers, hears that new calls are welcome."""
    address = world.settings.monitor.listen
    wait_until(lambda: status(address, "/readyz") == 200, 20, "the node is ready")
    assert 200 == status(address, "/healthz")


def status(address: str, path: str) -> int:
    host, port = address.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=3)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_proxy_killed(composed, world, ends):
    """SIGKILL: the engine starts it again; one call is hung up, another cut on time, each charged exactly."""
    callee, stack = ends
    # 1. Money for long, and for 25 s. It is held before the kill: how long the engine takes decides about no renewal.
    hung_up, cut = calls_up(world, stack, ["5", "0.25"])
    wait_until(lambda: [25] == [row["grant_s"] for row in world.live_calls(cut.account)], 15, "25 s are funded")
    composed.crash("proxy")
    # 2. The dialogs are known again, as soon as it answers.
    wait_until(lambda: answered(hung_up), 20, "the proxy knows the call again")
    assert 200 == hung_up.caller.hang_up(hung_up.dialog).code
    assert 24 < cut.wait_for_bye(callee, 30) < 26.5
    # 3. Both ends agree with the CDRs.
    calls = {call.call_id: call for call in on_the_wire(world, [hung_up.caller, cut.caller], [callee])}
    assert ["caller", "cut"] == [calls[one.call_id].cdr.end_reason for one in (hung_up, cut)]
    assert Decimal(5) - calls[hung_up.call_id].charge == world.balance(hung_up.account)
    assert (25, 0) == (calls[cut.call_id].cdr.billed_s, world.balance(cut.account))
    composed.wait_healthy("proxy")
    books_are_right(world)


def answered(one) -> bool:
    """Whether the proxy relays an INFO within the call now."""
    try:
        return one.caller.timed("INFO", one.dialog, 1) < 1
    except AssertionError:
        return False


def test_kamailio_killed_below_process_1(composed, world, ends):
    """Process 1 is tini: it ends with Kamailio, and so the container is started again."""
    callee, stack = ends
    (one,) = calls_up(world, stack, ["5"])
    before, restarts = composed.pid("proxy"), composed.inspect("proxy")["RestartCount"]
    (kamailio,) = composed.children("proxy")
    os.kill(kamailio, signal.SIGKILL)
    wait_until(lambda: composed.inspect("proxy")["RestartCount"] > restarts, 30, "the proxy was started again")
    wait_until(lambda: answered(one), 20, "the proxy knows the call again")
    assert before != composed.pid("proxy")
    assert 200 == one.caller.hang_up(one.dialog).code
    (call,) = on_the_wire(world, [one.caller], [callee])
    assert Decimal(5) - call.charge == world.balance(one.account)
    books_are_right(world)


def test_a_restart_with_calls_up(composed, world, ends):
    """`restart` is SIGTERM: a clean end well within the time it is given, and no call that is up is lost."""
    callee, stack = ends
    up = calls_up(world, stack, ["5", "5", "5"])
    for service in ("proxy", "drain"):
        composed.compose("restart", "--timeout", "25", service)
        assert 137 != composed.state(service)["ExitCode"]
    for one in up:
        wait_until(lambda one=one: answered(one), 20, "the proxy knows the call again")
        assert 200 == one.caller.hang_up(one.dialog).code
    calls = on_the_wire(world, [one.caller for one in up], [callee])
    assert ["caller"] * 3 == [call.cdr.end_reason for call in calls]
    for one, call in zip(up, calls, strict=True):
        assert one.call_id == call.call_id
        assert Decimal(5) - call.charge == world.balance(one.account)
    books_are_right(world)


def test_stopped_is_clean(composed, world):
    """SIGTERM ends each part by itself: no SIGKILL (137) was needed, and the database shut down in order."""
    for service in ("monitor", "proxy", "drain", "database"):
        composed.compose("stop", service)
        assert (service, 0) == (service, composed.state(service)["ExitCode"] % 143)  # 143: SIGTERM, told by tini
    assert "Shutdown complete" in composed.logs("database")
    composed.up()
    reconnect(world)


def test_the_drain_killed(composed, world, ends):
    """Ends wait in the journal until the engine has started it again."""
    callee, stack = ends
    (one,) = calls_up(world, stack, ["5"])
    composed.crash("drain")
    assert 200 == one.caller.hang_up(one.dialog).code
    (call,) = on_the_wire(world, [one.caller], [callee])
    assert Decimal(5) - call.charge == world.balance(one.account)
    composed.wait_healthy("drain")
    books_are_right(world)


def test_the_database_killed(composed, world, ends):
    """It comes back with all it acknowledged; a call that ended meanwhile is charged; new ones are let in."""
    callee, stack = ends
    (one,) = calls_up(world, stack, ["5"])
    before = world.money(one.account)
    composed.crash("database")
    assert 200 == one.caller.hang_up(one.dialog).code
    composed.wait_healthy("database")
    reconnect(world)
    (call,) = on_the_wire(world, [one.caller], [callee])
    assert before.balance - call.charge == world.balance(one.account)
    # The breaker lets calls in again.
    account = world.customer("5")
    phone = world.phone(account)
    wait_until(lambda: connects(world, stack, phone), 15, "new calls are let in")
    books_are_right(world)


def connects(world, stack, phone) -> bool:
    """Whether a call of this phone is answered; it is hung up at once."""
    caller = stack.enter_context(Party(world, host="127.0.0.24"))
    try:
        dialog = caller.call(phone)
    except AssertionError:
        return False
    return caller.hang_up(dialog).code == 200


def test_docker_kill_is_a_wish(composed, world):
    """The engine leaves a container down that `docker kill` ended: docker/README.md says so."""
    composed.engine.docker("kill", "--signal", "KILL", composed.id_of("proxy"))
    wait_until(lambda: not composed.state("proxy")["Running"], 10, "the proxy is down")
    with pytest.raises(StackError):
        wait_until(lambda: composed.state("proxy")["Running"], 3, "it is up again")
    composed.compose("up", "-d", "--no-build")
    composed.wait_healthy("proxy")


@pytest.mark.parametrize("service", ["database", "drain", "monitor", "proxy"])
def test_what_a_container_may_not_do(composed, service):
    """No root, no capability, no new privileges, a filter of system calls, nothing to write on but its volumes."""
    status = Path(f"/proc/{composed.pid(service)}/status").read_text(encoding="ascii")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {"10002" if service == "database" else "10001"} == set(fields["Uid"].split())
    assert {"0" * 16} == {fields[f"Cap{one}"] for one in ("Inh", "Prm", "Eff", "Bnd", "Amb")}
    assert ("1", "2") == (fields["NoNewPrivs"], fields["Seccomp"])
    script = "for place in / /opt /etc /usr/bin /var/lib; do touch $place/x 2>/dev/null && echo $place; done; true"
    assert "" == composed.engine.docker("exec", composed.id_of(service), "sh", "-c", script)


def test_no_secret_is_shown(composed):
    """Not by the engine, not in a process's arguments or environment, not in a log, not in the image."""
    files = [file for name in ("node-secrets", "office-secrets") for file in composed.volume(name).iterdir()]
    secrets = {file.read_text(encoding="ascii") for file in files}
    assert 4 == len(secrets)
    services = ("database", "drain", "migrate", "monitor", "proxy", "secrets")
    shown = [json.dumps(composed.inspect(service)) + composed.logs(service) for service in services]
    shown.append(composed.engine.docker("history", "--no-trunc", "meterline:local"))
    for service in ("database", "drain", "monitor", "proxy"):
        for pid in composed.engine.docker("top", composed.id_of(service), "-eo", "pid").split()[1:]:
            shown += [Path(f"/proc/{pid}/{what}").read_text(errors="replace") for what in ("cmdline", "environ")]
    assert [] == [text[:200] for text in shown if any(secret in text for secret in secrets)]
    assert {0o640} == {file.stat().st_mode & 0o777 for file in files}


def test_health_is_told_true(composed):
    """With the database hung the drain is unhealthy and the proxy is not; afterwards both are well."""
    composed.engine.docker("pause", composed.id_of("database"))
    try:
        wait_until(lambda: composed.state("drain")["Health"]["Status"] == "unhealthy", 60, "the drain is unhealthy")
        assert "healthy" == composed.state("proxy")["Health"]["Status"]  # calls that are up need it
    finally:
        composed.engine.docker("unpause", composed.id_of("database"))
    composed.wait_healthy("drain")


def test_up_again_changes_nothing(composed, world):
    """Secrets, ledger and journal are those of before, and the ledger is up to date."""
    secrets = {file: file.read_text() for file in composed.volume("node-secrets").iterdir()}
    composed.compose("down")
    composed.up()
    reconnect(world)
    assert secrets == {file: file.read_text() for file in composed.volume("node-secrets").iterdir()}
    assert "up to date" in composed.logs("migrate")
    books_are_right(world)
