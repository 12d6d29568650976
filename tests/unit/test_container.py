"""What can be said of `docker/` without an engine: it is whole, hardened, pinned, and free of secrets.

That it runs is `make container`.
"""

import ast
import importlib.util
import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import typer
import yaml

from billing import settings
from billing.board import FILE_NAME, Board
from billing.settings import MonitorSettings, Settings, SipSettings
from cli.app import app
from tests.support.tls import Authority, tls_server

CHECKOUT = Path(__file__).parents[2]
DOCKER = CHECKOUT / "docker"
DOCKERFILES = [DOCKER / "Dockerfile", DOCKER / "mariadb" / "Dockerfile"]
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
WITH_VALUE = {"--entrypoint", "--user", "--volume", "--workdir", "-e"}
"""Options of `docker compose run` after which a word of theirs follows."""
ONCE = {"secrets", "migrate", "meterline"}
VARIABLES = {"SIP_ADDRESS": "192.0.2.1", "SIP_REALM": "sip.example.net"}

INSTRUCTION = re.compile(r"^(ADD|ARG|CMD|COPY|ENTRYPOINT|ENV|FROM|HEALTHCHECK|LABEL|RUN|USER|VOLUME|WORKDIR) (.+)$")
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::([-?])([^}]*))?\}")
SERVICE_KEYS = {
    *("build", "cap_drop", "command", "depends_on", "entrypoint", "environment", "healthcheck", "image", "logging"),
    *("mem_limit", "network_mode", "pids_limit", "profiles", "read_only", "restart", "security_opt"),
    *("stop_grace_period", "tmpfs", "ulimits", "user", "volumes"),
}


def instructions(file: Path) -> list[tuple[str, str]]:
    """A Dockerfile's instructions, comments gone and continued lines joined. AssertionError for a line that is none."""
    text = re.sub(r"^\s*(#.*)?\n", "", file.read_text("utf-8"), flags=re.MULTILINE)
    found = [INSTRUCTION.match(line) for line in re.sub(r"\\\n\s*", "", text).splitlines()]
    assert None not in found
    return [(one[1], one[2]) for one in found]


def last_stage(file: Path) -> dict[str, list[str]]:
    """The instructions of what becomes the image, by name."""
    found: dict[str, list[str]] = {}
    for name, text in instructions(file):
        if name == "FROM":
            found = {}
        found.setdefault(name, []).append(text)
    return found


def filled(text: str, variables: dict[str, str]) -> str:
    """Text of the compose file with its variables replaced, as compose does. KeyError for one that must be set."""

    def _value(match: re.Match[str]) -> str:
        name, kind, other = match.groups()
        return variables.get(name) or other if kind == "-" else variables[name]

    return VARIABLE.sub(_value, text)


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.parent.name)
def test_images_are_unprivileged_healthy_and_made_of_debian(file):
    """Every stage on Debian's release, a user by number who is not root, a health check, a process 1 that hands on."""
    stages = [text for name, text in instructions(file) if name == "FROM"]
    assert ("ARG", "DEBIAN=bookworm") == instructions(file)[0]
    assert {"debian:${DEBIAN}-slim"} == {stage.split(" AS ")[0] for stage in stages}
    made = last_stage(file)
    assert re.fullmatch(r"([1-9]\d{3,}):\1", made["USER"][-1])
    assert '["/usr/bin/tini", "--"]' == made["ENTRYPOINT"][-1]
    assert json.loads(made["HEALTHCHECK"][-1].split(" CMD ")[1])
    assert json.loads(made["CMD"][-1])
    assert "ADD" not in made


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.parent.name)
def test_what_a_build_is_handed_stays_out_of_the_image(file):
    """Mirrors and proxies come as secrets' files; the only argument is Debian's release."""
    given = instructions(file)
    assert ["DEBIAN=bookworm"] == [text for name, text in given if name == "ARG"]
    assert [] == [text for name, text in given if name == "RUN" and "apt-get" in text and "type=secret" not in text]
    assert not re.search(r"https?://", file.read_text("utf-8"))


def test_the_image_has_what_the_node_needs_and_nothing_that_tests_need():
    """Kamailio's packages are bootstrap's; no compiler, pip, SIPp or database server."""
    bootstrap = (CHECKOUT / "scripts" / "bootstrap.sh").read_text("utf-8")
    needed = re.search(r"needed=\((.*?)\)", bootstrap, re.DOTALL)[1].split()
    wanted = re.search(r"wanted=\((.*?)\)", bootstrap, re.DOTALL)[1].split()
    kamailio = {name for name in needed if name.startswith("kamailio")}
    (run,) = last_stage(DOCKERFILES[0])["RUN"]
    installed = set(re.search(r"--no-install-recommends\s+(.*?)&&", run)[1].split())
    assert kamailio <= installed <= {*kamailio, *wanted, "ca-certificates", "netbase", "tini", "tzdata"}
    (pip,) = [text for name, text in instructions(DOCKERFILES[0]) if "pip install" in text]
    assert "--require-hashes" in pip
    assert "--only-binary :all:" in pip


def test_only_what_is_named_goes_into_the_image():
    """And it is enough: every package of ours that an imported one imports, every script that a container starts."""
    lines = (CHECKOUT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert ("*", "**/__pycache__") == (rules[0], rules[-1])
    named = [rule.removeprefix("!") for rule in rules[1:-1]]
    assert [] == [name for name in named if not (CHECKOUT / name).exists()]
    packages = {name for name in named if (CHECKOUT / name / "__init__.py").exists()}
    ours = {path.parent.name for path in CHECKOUT.glob("*/__init__.py")}
    for package in packages:
        for file in (CHECKOUT / package).rglob("*.py"):
            assert imported(file) & ours <= packages, file
    text = (DOCKER / "compose.yaml").read_text("utf-8") + DOCKERFILES[0].read_text("utf-8")
    scripts = set(re.findall(r"[\[ \"](docker/[a-z]+\.(?:py|sh)|docs/systemd/[a-z]+\.py)\b", text))
    assert {"docker/health.py", "docker/secrets.sh", "docs/systemd/proxy.py"} == scripts
    assert scripts <= set(named)


def test_what_goes_into_the_image_is_enough_for_the_command_line(tmp_path):
    """Files that it reads at the checkout's root are there, too: it starts, and knows its version."""
    lines = (CHECKOUT / ".dockerignore").read_text("utf-8").splitlines()
    for name in [line.removeprefix("!") for line in lines if line.startswith("!")]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copy
        copy(CHECKOUT / name, tmp_path / name)
    environment = {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "cli", "--version"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=30
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert re.fullmatch(r"meterline \d\S*\n", done.stdout)


def imported(file: Path) -> set[str]:
    """The first words of all modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize(("name", "service"), SERVICES.items())
def test_services_are_hardened_and_bounded(name, service):
    """Read-only root, no capability, no way up, limits, logs that do not fill the disk; and they come back."""
    assert set(service) <= SERVICE_KEYS
    assert (True, ["ALL"], ["no-new-privileges:true"]) == (
        service["read_only"],
        service["cap_drop"],
        service["security_opt"],
    )
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert 0 < service["pids_limit"] <= 512
    assert {"max-size", "max-file"} == set(service["logging"]["options"])
    assert ("no" if name in ONCE else "unless-stopped") == service["restart"]
    assert not {"cap_add", "privileged", "ports"} & set(service)
    assert ("host" if name in {"monitor", "proxy"} else "none") == service["network_mode"]
    assert not service.get("user", "1").startswith("0")


@pytest.mark.parametrize(("name", "service"), SERVICES.items())
def test_services_name_what_there_is(name, service):
    """Services that they wait for, volumes, files of this folder, images that are built here."""
    for other, how in service.get("depends_on", {}).items():
        condition = "service_completed_successfully" if other in ONCE else "service_healthy"
        assert {"condition": condition} == how
        assert other in SERVICES
    for volume in service["volumes"]:
        source, target, *_ = volume.split(":")
        assert target.startswith("/")
        assert source in COMPOSE["volumes"] or (DOCKER / source).exists()
    context = DOCKER / service["build"]["context"]
    assert (context / service["build"].get("dockerfile", "Dockerfile")).is_file()
    assert service["image"].endswith(":local")


def test_whoever_writes_what_must_last_has_time_to_end():
    """More than the engine's ten seconds: a disk that is busy let a drain be killed when it was stopped."""
    patient = {name for name, service in SERVICES.items() if "stop_grace_period" in service}
    assert {"database", "drain", "proxy"} == patient


def test_each_volume_is_written_by_whom_it_belongs_to():
    """Secrets by their maker, data and socket by the server, state by the node; nobody else may."""
    writers: dict[str, set[str]] = {}
    for name, service in SERVICES.items():
        for volume in service["volumes"]:
            source, _, *mode = volume.split(":")
            writers.setdefault(source, set()).update(set() if mode == ["ro"] else {name})
    assert {
        "ledger": {"database"},
        "database-socket": {"database"},
        "state": {"drain", "monitor", "proxy"},
        "node-secrets": {"secrets"},
        "office-secrets": {"secrets"},
        "./meterline.toml": set(),
    } == writers


def test_the_node_has_no_secret_of_the_office():
    """Who breaks into the proxy finds neither the cashier's password nor the administrator's."""
    with_office = {
        name for name, service in SERVICES.items() if any("office" in volume for volume in service["volumes"])
    }
    assert {"secrets", "migrate", "meterline"} == with_office
    assert not any("PASSWORD" in key or "KEY" in key for one in SERVICES.values() for key in one.get("environment", {}))


def told_commands() -> list[list[str]]:
    """`docker compose run` and `exec` in the guide, from the service on; comments and options before it gone."""
    text = (DOCKER / "README.md").read_text("utf-8").replace("\\\n", " ")
    found = []
    for line in re.findall(r"^docker compose (?:run|exec) (.*)$", text, re.MULTILINE):
        words = shlex.split(line, comments=True)
        while words[0].startswith("-"):
            del words[: 2 if words[0] in WITH_VALUE else 1]
        found.append(words)
    return found


def test_commands_that_the_guide_tells_are_there():
    """Services, and what `meterline` is asked: a guide that is followed leads somewhere."""
    told = told_commands()
    assert {"meterline", "proxy", "database", "secrets"} == {words[0] for words in told}
    group = typer.main.get_command(app)
    known = {(name, inner) for name, command in group.commands.items() for inner in getattr(command, "commands", [""])}
    asked = [words[words.index("meterline") + 1 :] for words in told if "meterline" in words[:2]]
    asked = [words for words in asked if not words[0].startswith("/")]  # `cat` of a file
    assert [] == [words for words in asked if (*words, "")[:2] not in known and (words[0], "") not in known]


@pytest.fixture
def made_secrets(tmp_path):
    """What docker/secrets.sh made in an empty folder, and what it said."""
    done = subprocess.run(
        [DOCKER / "secrets.sh", tmp_path / "secrets"], capture_output=True, text=True, check=True, timeout=20
    )
    return tmp_path / "secrets", done.stdout + done.stderr


def test_secrets_are_made_once_and_not_shown(made_secrets):
    """Random, each different, readable by owner and group; made again only where one is missing."""
    folder, said = made_secrets
    files = [*sorted(folder.rglob("*.*")), folder / "node" / "card_pin_key"]
    content = {file: file.read_text() for file in files}
    assert 4 == len(set(content.values()))
    assert {0o640} == {file.stat().st_mode & 0o777 for file in files}
    assert all(re.fullmatch(r"[0-9a-f]{64}", text) and text not in said for text in content.values())
    (folder / "office" / "database.admin_password").unlink()
    subprocess.run([DOCKER / "secrets.sh", folder], capture_output=True, check=True, timeout=20)
    assert ["office/database.admin_password"] == [
        str(file.relative_to(folder)) for file in files if file.read_text() != content[file]
    ]


@pytest.mark.parametrize("name", ["drain", "proxy", "monitor", "migrate", "meterline"])
def test_the_settings_of_each_service_are_settings(monkeypatch, made_secrets, name):
    """The file, the variables and the secrets of a container make up settings that the node starts with."""
    folder, _ = made_secrets
    environment = {"METERLINE_SECRETS": "/etc/meterline/secrets/node", **SERVICES[name]["environment"]}
    for key, text in environment.items():
        if key.startswith("METERLINE_"):
            monkeypatch.setenv(key, filled(text, VARIABLES).replace("/etc/meterline/secrets", str(folder)))
    found: Settings = settings.load(DOCKER / "meterline.toml")
    assert ("udp:192.0.2.1:5060", "tcp:192.0.2.1:5060") == found.sip.listen
    assert ("proxy1", "sip.example.net") == (found.node.name, found.sip.realm)
    assert (name in ONCE) == (found.database.cashier_password is not None)
    assert f"{found.database.socket}".startswith("/run/mysqld/")


def test_address_and_realm_have_no_default():
    """A wrong one is worse than none: the one stands in Via and Record-Route, the other in every password."""
    listen = SERVICES["proxy"]["environment"]["METERLINE_SIP__LISTEN"]
    for missing in VARIABLES:
        with pytest.raises(KeyError):
            filled(
                listen + SERVICES["proxy"]["environment"]["METERLINE_SIP__REALM"],
                {name: value for name, value in VARIABLES.items() if name != missing},
            )
    example = (DOCKER / "example.env").read_text("utf-8")
    asked = set(VARIABLE.findall((DOCKER / "compose.yaml").read_text("utf-8")))
    assert {name for name, *_ in asked} == set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))


def test_the_database_has_the_settings_that_the_ledger_demands():
    """Those of docs/database.md, with which alone anything here starts."""
    text = (DOCKER / "mariadb" / "meterline.cnf").read_text("utf-8")
    have = {key.replace("-", "_"): value for key, value in re.findall(r"^([a-z-]+) = (.+)$", text, re.MULTILINE)}
    document = (CHECKOUT / "docs" / "database.md").read_text("utf-8").split("\n## Server settings\n")[1]
    demanded = re.findall(r"^\| `([a-z_]+)` \| `(\w+)`", document, re.MULTILINE)
    assert {"innodb_flush_log_at_trx_commit", "secure_timestamp"} <= {name for name, _ in demanded}
    assert dict(demanded).items() <= have.items()


@pytest.fixture
def health():
    """docker/health.py as a module."""
    spec = importlib.util.spec_from_file_location("health", DOCKER / "health.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def node_settings(port: int, state_dir: Path = Path("/nowhere")) -> Settings:
    return Settings(
        card_pin_key="k" * 32,
        node={"name": "n", "state_dir": state_dir},
        sip={"realm": "r", "listen": [f"udp:127.0.0.1:{port}"]},
        database={"proxy_password": "p", "port": port},
    )


def test_health_of_the_proxy_is_that_it_answers(health, monkeypatch, tmp_path):
    """An answer to OPTIONS, of whatever code, and rounds of keeper and cutter; silence, or nobody there, is named."""
    monkeypatch.setattr(health, "ANSWER_LIMIT_S", 0.2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        assert f"no answer to OPTIONS at udp:127.0.0.1:{port}" == health.proxy(node_settings(port))
        server.recvfrom(65_535)

        def answer() -> None:
            _, source = server.recvfrom(65_535)
            server.sendto(b"SIP/2.0 405 Method Not Allowed\r\n\r\n", source)

        for process, trouble in (("keeper", "silent: cutter"), ("cutter", "")):
            Board(tmp_path / FILE_NAME).mark(f"{process}_ms")
            thread = threading.Thread(target=answer)
            thread.start()
            assert trouble == health.proxy(node_settings(port, tmp_path))
            thread.join(5)
    assert health.proxy(node_settings(port))


def test_health_of_the_proxy_over_tls_is_that_it_answers_there(health, monkeypatch, tmp_path):
    """A handshake is no answer to OPTIONS."""
    monkeypatch.setattr(health, "ANSWER_LIMIT_S", 0.2)
    node = Authority(tmp_path / "authority").identity("node")
    with tls_server(node, b"") as address:
        sip = SipSettings(realm="r", listen=(f"tls:{address}",))
        settings = node_settings(1).model_copy(update={"sip": sip})
        assert f"no answer to OPTIONS at tls:{address}" == health.proxy(settings)


def test_health_of_the_monitor_is_that_it_answers(health, monkeypatch):
    """Whatever it says about the others; nobody there is named."""
    monkeypatch.setattr(health, "ANSWER_LIMIT_S", 2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        settings = node_settings(5060).model_copy(update={"monitor": MonitorSettings(listen=address)})

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"HTTP/1.0 503 Service Unavailable\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert "" == health.monitor(settings)
        thread.join(5)
    assert health.monitor(settings).startswith(f"no answer at {address}: ")


@pytest.mark.parametrize(
    ("nodes", "trouble"),
    [
        ([("other", 5), ("n", 900)], ""),
        ([("n", 60_000)], "no heartbeat for 60000 ms"),
        ([("other", 5)], "the ledger never heard of node n"),
    ],
)
def test_health_of_the_drain_is_its_heartbeat(health, monkeypatch, nodes, trouble):
    """By the ledger's clock, of this node alone."""

    class Heard:
        def __init__(self, _) -> None:
            pass

        def nodes(self):
            return [type("Row", (), {"name": name, "silent_ms": ms})() for name, ms in nodes]

    monkeypatch.setattr(health, "Ledger", type("Ledger", (), {"for_proxy": Heard}))
    assert trouble == health.drain(node_settings(1))


def test_health_of_the_drain_without_its_database(health, monkeypatch, capsys):
    """The ledger is away: one line, and not healthy."""
    monkeypatch.setattr(health.settings_module, "load", lambda: node_settings(1))
    monkeypatch.setattr(health.sys, "argv", ["health.py", "drain"])
    assert 1 == health.main()
    assert 1 == len(capsys.readouterr().out.splitlines())
