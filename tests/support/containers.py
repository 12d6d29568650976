"""A container engine to try `docker/` with: the one that runs on this machine, or Debian's own, ours for the time.

Ours takes nothing from the machine but packages: data, sockets and process ids are in a folder, it makes no network and
no firewall rule, and it ends with the test. Its data stays for the next time (run/container).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from stack.kamailio import CHECKOUT
from stack.processes import Child, StackError, program, wait_until

DOCKER = CHECKOUT / "docker"
START_LIMIT_S = 60
BUILD_LIMIT_S = 900
COMMAND_LIMIT_S = 180
NODE, DATABASE = "meterline:local", "meterline-mariadb:local"


class NoEngine(StackError):
    """No container engine can be had here; the text says why."""


class Engine:
    """A container engine that answers. `own`: we started it, and stop it."""

    def __init__(self, folder: Path) -> None:
        """`folder` keeps what an engine of our own stores."""
        self._folder = folder
        self._run = Path(tempfile.mkdtemp(prefix="meterline-engine-"))  # short: sockets are in it
        self._child: Child | None = None
        self.env = {**os.environ, "DOCKER_BUILDKIT": "1"}

    @property
    def own(self) -> bool:
        return self._child is not None

    def __enter__(self) -> Self:
        """Raises NoEngine."""
        if os.geteuid() != 0:
            raise NoEngine("only root may look into volumes, and kill what runs in a container")
        if not self._answers():
            self._start_own()
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self._child.stop(limit_s=60)
            for left in self._run.glob("exec/netns/*"):  # mounts that dockerd leaves behind
                subprocess.run([program("umount"), left], check=False, capture_output=True, timeout=20)
        shutil.rmtree(self._run, ignore_errors=True)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            return self._run_client("info", "--format", "{{.ServerVersion}}", limit_s=20).returncode == 0
        return False

    def _start_own(self) -> None:
        done = subprocess.run([CHECKOUT / "scripts" / "bootstrap.sh", "engine"], check=False, timeout=BUILD_LIMIT_S)
        if done.returncode != 0:
            raise NoEngine("no container engine answers, and Debian's could not be installed (above)")
        self._folder.mkdir(parents=True, exist_ok=True)
        socket = f"unix://{self._run}/docker.sock"
        self._child = Child(
            "dockerd",
            [
                program("dockerd"),
                *("--data-root", self._folder / "data", "--exec-root", self._run / "exec"),
                *("--host", socket, "--pidfile", self._run / "dockerd.id"),
                *("--bridge=none", "--iptables=false", "--ip6tables=false"),
            ],
            folder=self._folder,
        )
        self.env |= {"DOCKER_HOST": socket, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        self._child.start()
        try:
            self._child.wait_ready(self._answers, START_LIMIT_S)
        except StackError as error:
            self._child.kill9()
            raise NoEngine(f"Debian's container engine does not start here: {error}") from None

    # --- commands ----------------------------------------------------------------------------------------------------

    def _run_client(self, *words: str | Path, limit_s: float = COMMAND_LIMIT_S) -> subprocess.CompletedProcess[str]:
        client = shutil.which("docker", path=self.env["PATH"])
        if client is None:
            raise FileNotFoundError("docker")
        return subprocess.run(
            [client, *map(str, words)],
            env=self.env, capture_output=True, text=True, errors="replace", check=False, timeout=limit_s,
        )  # fmt: skip

    def docker(self, *words: str | Path, limit_s: float = COMMAND_LIMIT_S) -> str:
        """What a docker command printed, both streams. AssertionError with the end of it when it failed."""
        done = self._run_client(*words, limit_s=limit_s)
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"docker {' '.join(map(str, words))}: {done.returncode}\n{said[-4000:]}"
        return said

    def has(self, image: str) -> bool:
        return self._run_client("image", "inspect", image).returncode == 0

    def inspect(self, container: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.docker("inspect", container))[0]
        return found

    # --- images ------------------------------------------------------------------------------------------------------

    def make_base(self, release: str) -> None:
        """The base image, from a registry or, where none can be reached, by docker/base-image.sh."""
        image = f"debian:{release}-slim"
        if self.has(image):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            if not self.own and self._run_client("pull", image).returncode == 0:
                return
        done = subprocess.run(
            [DOCKER / "base-image.sh", release], env=self.env, capture_output=True, text=True, check=False,
            timeout=BUILD_LIMIT_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def build(self, release: str) -> None:
        """Both images, on the host's network, with this machine's own ways to packages as secrets of the build."""
        self.make_base(release)
        with tempfile.TemporaryDirectory() as folder:
            given = [word for one in _build_secrets(Path(folder)) for word in ("--secret", one)]
            shared = ("build", "--network", "host", "--progress", "plain", "--build-arg", f"DEBIAN={release}", *given)
            node = ("--file", DOCKER / "Dockerfile", "--tag", NODE, CHECKOUT)
            self.docker(*shared, *node, limit_s=BUILD_LIMIT_S)
            self.docker(*shared, "--tag", DATABASE, DOCKER / "mariadb", limit_s=BUILD_LIMIT_S)


def _build_secrets(folder: Path) -> list[str]:
    """`id=..,src=..` for pip's index and authority and apt's proxies, where this machine has its own."""
    found = []
    pip = ["[global]"]
    if index := _pip_setting("index-url"):
        pip.append(f"index-url = {index}")
    if authority := _pip_setting("cert"):
        pip.append("cert = /run/secrets/ca.crt")
        found.append(f"id=ca.crt,src={authority}")
    ask_apt = [program("apt-config"), "dump"]
    apt = subprocess.run(ask_apt, capture_output=True, text=True, check=True, timeout=20).stdout.splitlines()
    ways = [line for line in apt if line.startswith(("Acquire::http", "Acquire::https"))]
    texts = {"pip.conf": pip, "apt.conf": ways}
    for name, lines in texts.items():
        file = folder / name
        file.touch(mode=0o600)
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        found.append(f"id={name},src={file}")
    return found


def _pip_setting(name: str) -> str:
    """From pip's variables or its configuration; empty without one."""
    variable = f"PIP_{name.upper().replace('-', '_')}"
    if variable in os.environ:
        return os.environ[variable]
    ask_pip = [CHECKOUT / ".venv" / "bin" / "python", "-m", "pip", "config", "get", f"global.{name}"]
    return subprocess.run(ask_pip, capture_output=True, text=True, check=False, timeout=60).stdout.strip()


class Composed:
    """The services of docker/compose.yaml under a project name of their own; gone with their volumes at the end."""

    def __init__(self, engine: Engine, folder: Path, project: str, variables: Mapping[str, str]) -> None:
        self.engine = engine
        self.project = project
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._variables = folder / "env"
        self._variables.write_text("".join(f"{name}={value}\n" for name, value in variables.items()), encoding="utf-8")
        self._files = [DOCKER / "compose.yaml"]

    def add(self, file: Path) -> None:
        """A compose file that changes the first one."""
        self._files.append(file)

    def __enter__(self) -> Self:
        """Whatever a killed run left behind goes first."""
        self._down()
        return self

    def __exit__(self, *_: object) -> None:
        self._down()

    def _down(self) -> None:
        self.compose("down", "--volumes", "--timeout", "20")

    def compose(self, *words: str, limit_s: float = COMMAND_LIMIT_S) -> str:
        """What a compose command printed, both streams. AssertionError with the end of it when it failed."""
        files = [word for file in self._files for word in ("-f", str(file))]
        named = ("--project-name", self.project, "--env-file", str(self._variables))
        said = self._compose([*named, *files, *words], limit_s)
        assert said.returncode == 0, f"compose {' '.join(words)}: {said.returncode}\n{said.stdout[-4000:]}"
        return said.stdout

    def _compose(self, words: Sequence[str], limit_s: float) -> subprocess.CompletedProcess[str]:
        program_words = ["docker", "compose"]
        if self.engine._run_client("compose", "version").returncode != 0:  # the plugin is a package of its own
            program_words = ["docker-compose"]
        return subprocess.run(
            [*program_words, *words],
            env=self.engine.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            check=False, timeout=limit_s, cwd=DOCKER,
        )  # fmt: skip

    def up(self) -> None:
        """Start everything; return when all of it is healthy."""
        try:
            self.compose("up", "-d", "--no-build")
            for service in ("database", "drain", "proxy", "monitor"):
                self.wait_healthy(service)
        except AssertionError:
            print(self.story())  # noqa: T201 - for the person who reads the failure
            raise

    def story(self) -> str:
        return self.compose("ps", "--all") + self.compose("logs", "--tail=15", "--no-color")

    # --- one container -----------------------------------------------------------------------------------------------

    def id_of(self, service: str) -> str:
        """The container of a service, whether it runs or not."""
        names = self.engine.docker(
            *("ps", "--all", "--quiet", "--no-trunc"),
            *("--filter", f"label=com.docker.compose.project={self.project}"),
            *("--filter", f"label=com.docker.compose.service={service}"),
        )
        return names.split()[-1]

    def inspect(self, service: str) -> dict[str, Any]:
        return self.engine.inspect(self.id_of(service))

    def state(self, service: str) -> dict[str, Any]:
        found: dict[str, Any] = self.inspect(service)["State"]
        return found

    def pid(self, service: str) -> int:
        """Process 1 of a container, as this machine numbers it."""
        return int(self.state(service)["Pid"])

    def logs(self, service: str) -> str:
        return self.engine.docker("logs", self.id_of(service))

    def wait_healthy(self, service: str, limit_s: float = 60) -> None:
        def healthy() -> bool:
            state = self.state(service)
            return bool(state["Running"]) and state["Health"]["Status"] == "healthy"

        wait_until(healthy, limit_s, f"{service} is healthy", poll_s=0.2)

    def crash(self, service: str) -> None:
        """SIGKILL its process 1 from outside, as the kernel does; return when the engine has started it again.

        `docker kill` would not do: the engine takes it for a wish, and leaves the container down.
        """
        before, restarts = self.pid(service), self.inspect(service)["RestartCount"]
        os.kill(before, signal.SIGKILL)
        wait_until(
            lambda: self.inspect(service)["RestartCount"] > restarts and self.pid(service) not in (0, before),
            30, f"{service} was started again", poll_s=0.1,
        )  # fmt: skip

    def children(self, service: str) -> list[int]:
        """What runs directly below process 1."""
        pid = self.pid(service)
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]

    def volume(self, name: str) -> Path:
        """Where a volume's files are on this machine; for root's eyes."""
        volume = json.loads(self.engine.docker("volume", "inspect", f"{self.project}_{name}"))[0]
        return Path(volume["Mountpoint"])
