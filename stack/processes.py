"""Child processes: start them, wait on a condition with a limit, stop them by their own id."""

import atexit
import contextlib
import functools
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from billing.errors import MeterlineError

LEFT_BEHIND_LIMIT_S = 30.0
PORTS_OURS = (12_000, 32_000)
"""Where free ports are taken from: below those that Linux gives to outgoing connections (ip(7): from 32768 on)."""
PORTS_OF_A_PROCESS = 1_000
SUN_PATH_BYTES_MAX = 107  # unix(7): sun_path is 108 bytes with its closing zero
_claims: list[socket.socket] = []  # open as long as this process lives



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
    """A port that neither UDP nor TCP uses on `host` at this moment. StackError when `host` is no address here.

    Whoever asks may bind it much later, or again and again. So it is one that the kernel gives to nobody's outgoing
    connection, and that no other process of ours is given (`_ports`).
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError as error:
            raise StackError(f"host {host}: {error.strerror}") from None
    ports = _ports()
    for _ in range(PORTS_OF_A_PROCESS):
        port = next(ports)
        if port_is_free(host, port):
            return port
    raise StackError(f"no port of {host} is free for both UDP and TCP")


@functools.cache
def _ports() -> Iterator[int]:
    """The ports of this process, one after the other, for ever. No other process has them while this one lives."""
    for first in range(*PORTS_OURS, PORTS_OF_A_PROCESS):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            # An abstract name (unix(7)) leaves no file, and is free again when the process ends, however it ends.
            claim.bind(f"\0meterline-ports-{first}")
        except OSError:
            claim.close()
        else:
            _claims.append(claim)
            return itertools.cycle(range(first, first + PORTS_OF_A_PROCESS))
    raise StackError(f"all ports from {PORTS_OURS[0]} to {PORTS_OURS[1]} are given to other stacks: end one")


def port_is_free(host: str, port: int) -> bool:
    """Whether `port` of `host` can be bound now for UDP and for TCP."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind is socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


def program(name: str) -> str:
    """The full path of a Debian program, whatever PATH says; StackError when it is not installed."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        raise StackError(f"{name} is not installed: run scripts/bootstrap.sh")
    return found


def socket_folder(folder: Path, longest_name: str) -> Path:
    """`folder`, or a short one under the system's temporary folder when a socket's path in it is too long.

    The short one is removed when this process ends.
    """
    if len(os.fsencode(folder / longest_name)) <= SUN_PATH_BYTES_MAX:
        return folder
    short = Path(tempfile.mkdtemp(prefix="meterline-"))
    atexit.register(shutil.rmtree, short, ignore_errors=True)
    return short


def started_at(pid: int) -> str | None:
    """When a process was started, in the kernel's ticks: with the id it names one process for good."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *rest = stat.rpartition(")")[2].split()  # proc(5): the name in brackets may hold anything
    return None if state == "Z" else rest[18]


def write_pid_file(path: Path, pid: int) -> None:
    """Two words: the process id and when that process was started."""
    path.write_text(f"{pid} {started_at(pid) or 0}\n", encoding="ascii")


def pid_in(path: Path) -> int | None:
    """The process that a pid file names, if that very process still runs."""
    try:
        pid, start = path.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return int(pid) if started_at(int(pid)) == start else None


class Child:
    """One program in a session of its own: Ctrl-C in the terminal reaches us, and we end it in order.

    Files in `folder`: NAME.log, which grows over restarts, and NAME.pid. What still runs when this process
    ends is killed.
    """

    def __init__(
        self,
        name: str,
        args: Sequence[str | Path],
        *,
        folder: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        umask: int = -1,
    ) -> None:
        self.name = name
        self.args = [str(arg) for arg in args]
        self.log = folder / f"{name}.log"
        self.pid_file = folder / f"{name}.pid"
        self._env = dict(env) if env is not None else None
        self._cwd = cwd
        self._umask = umask
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
                env=self._env,
                cwd=self._cwd,
                umask=self._umask,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        atexit.register(self.kill9)
        write_pid_file(self.pid_file, self._process.pid)  # a full disk refuses it; the program runs all the same

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
        if self._process is not None and self.alive:
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
        atexit.unregister(self.kill9)

    def last_lines(self, count: int = 15) -> str:
        """The end of its log, for an error a person reads."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])


def stop_left_behind(folder: Path, first: str) -> list[str]:
    """End every process that a pid file under `folder` names; the names of those that ran.

    Those named `first` go before the others: they stop their own children, in order.
    """
    files = sorted(folder.rglob("*.pid"))
    before = [file for file in files if file.stem == first]
    return [*_stop_all(before), *_stop_all([file for file in files if file not in before])]


def _stop_all(files: list[Path]) -> list[str]:
    found = [(file, pid, started_at(pid)) for file in files if (pid := pid_in(file)) is not None]
    for _, pid, _ in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    for file, pid, start in found:
        with contextlib.suppress(StackError):
            wait_until(partial(_is_gone, pid, start), LEFT_BEHIND_LIMIT_S, file.stem)
        for kill in (os.kill, os.killpg):  # it may be the leader of a group that outlives it
            with contextlib.suppress(ProcessLookupError):
                kill(pid, signal.SIGKILL)
        file.unlink(missing_ok=True)
    return [file.stem for file, _, _ in found]


def _is_gone(pid: int, start: str | None) -> bool:
    return started_at(pid) != start
