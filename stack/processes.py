"""Child processes: start them, wait on a condition with a limit, stop them by their own id."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from billing.errors import MeterlineError


class StackError(MeterlineError):
    """A private server could not be started, reached or stopped; the text names it."""


def wait_until(condition: Callable[[], bool], limit_s: float, what: str, poll_s: float = 0.02) -> None:
    """Return as soon as `condition()` is true; StackError "`what` .." when it is not within `limit_s`."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() >= deadline:
            raise StackError(f"{what}: not within {limit_s:g} s")
        time.sleep(poll_s)


def free_port(host: str = "127.0.0.1") -> int:
    """A port that neither UDP nor TCP uses on `host` at this moment."""
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            tcp.bind((host, 0))
            port: int = tcp.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
                udp.bind((host, port))
                return port
    raise StackError(f"no port of {host} is free for both UDP and TCP")


class Child:
    """One program in a session of its own: Ctrl-C in the terminal reaches us, and we end it in order."""

    def __init__(
        self,
        name: str,
        args: Sequence[str | Path],
        *,
        folder: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.args = [str(arg) for arg in args]
        self.log = folder / f"{name}.log"
        self.pid_file = folder / f"{name}.pid"
        self._env = env
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs or before it was started; negative for a signal, as in subprocess."""
        return self._process.poll() if self._process else None

    def start(self) -> None:
        """Start the program; what it prints is appended to its log."""
        assert not self.alive, f"{self.name} is running already"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.args,
                env=dict(self._env) if self._env is not None else None,
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid_file.write_text(f"{self._process.pid}\n")

    def wait_ready(self, ready: Callable[[], bool], limit_s: float) -> None:
        """Wait until `ready()`; StackError with the end of its log when it died or took longer."""
        try:
            wait_until(lambda: not self.alive or ready(), limit_s, f"{self.name} answers")
        except StackError as error:
            raise StackError(f"{error}\n{self.last_lines()}") from None
        if not self.alive:
            raise StackError(f"{self.name} ended with code {self.exit_code}\n{self.last_lines()}")

    def stop(self, limit_s: float = 15.0) -> None:
        """SIGTERM, wait, and SIGKILL for what is left of its process group. Harmless when it does not run."""
        if self._process is None:
            return
        if self.alive:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(limit_s)
        self.kill9()

    def kill9(self) -> None:
        """SIGKILL its whole process group, at once: what a crash looks like."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
        self._process = None
        self.pid_file.unlink(missing_ok=True)

    def last_lines(self, count: int = 15) -> str:
        """The end of its log, for an error a person reads."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])
