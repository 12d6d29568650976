"""A MariaDB server of our own in a folder: no system service, no password in a file, gone when stopped."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pymysql

from stack.processes import Child, StackError, free_port, program, socket_folder

START_LIMIT_S = 30.0
START_ATTEMPTS_MAX = 3  # a free port may be taken between our look and the server's bind


class PrivateMariaDB:
    """MariaDB in `folder`: data/, mariadb.sock, mariadb.log, mariadb.pid. 127.0.0.1 only.

    The administrator is the operating system's user who made it, over the socket and without a password
    (`unix_socket`); nobody else gets in. The settings that the ledger relies on are set here.
    """

    name = "mariadb"

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        server_user: str | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.folder = folder.absolute()
        self.socket = self.folder / "mariadb.sock"
        self._wanted_port = port
        self._port: int | None = port
        self._server_user = server_user or ""
        self._options = tuple(options)
        self._child: Child | None = None

    @property
    def port(self) -> int:
        assert self._port is not None, "the port is known once the server was started"
        return self._port

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def _temporary(self) -> Path:
        return self.folder / "tmp"

    def start(self) -> None:
        """Make the data directory on first use, start, and return when the server answers.

        Starting the same object again keeps the port.
        """
        assert not self.alive, "MariaDB is running already"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._choose_server_user()
        self._choose_socket()
        self._make_temporary_folder()
        if not (self.data / "mysql").is_dir():
            self._install()
        fixed_port = self._port
        for attempt in range(1, START_ATTEMPTS_MAX + 1):
            self._port = fixed_port or free_port()
            self._child = self._server()
            self._child.start()
            try:
                self._child.wait_ready(self._answers, START_LIMIT_S)
            except StackError:
                self._child.kill9()
                if fixed_port or attempt == START_ATTEMPTS_MAX:
                    raise
            else:
                return

    def stop(self) -> None:
        """An orderly shutdown: SIGTERM, wait, and SIGKILL if it hangs."""
        if self._child:
            self._child.stop(limit_s=30.0)
        if self.socket.parent != self.folder:
            shutil.rmtree(self.socket.parent, ignore_errors=True)

    def kill9(self) -> None:
        """SIGKILL: the data directory stays as a crash leaves it."""
        if self._child:
            self._child.kill9()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def admin_params(self) -> dict[str, Any]:
        """Keyword arguments for `pymysql.connect` as the server's administrator, over the socket."""
        return {"unix_socket": str(self.socket), "user": os_user(), "charset": "utf8mb4"}

    def _choose_server_user(self) -> None:
        """mariadbd refuses to run as root unless told so: as root it becomes `nobody`, or stays root in a
        folder that nobody else may enter (a checkout under /root)."""
        if not self._server_user:
            runs_as_nobody = os.geteuid() == 0 and open_to_others(self.folder.parent)
            self._server_user = "nobody" if runs_as_nobody else os_user()
        if os.geteuid() == 0:
            shutil.chown(self.folder, self._server_user)

    def _choose_socket(self) -> None:
        if self.socket.parent.is_dir() and self.socket.parent != self.folder:
            return
        chosen = socket_folder(self.folder, self.socket.name)
        if chosen != self.folder:
            chosen.chmod(0o755)
            if os.geteuid() == 0:
                shutil.chown(chosen, self._server_user)
        self.socket = chosen / self.socket.name

    def _make_temporary_folder(self) -> None:
        """Its own: the servers of one machine name their temporary tables alike, and in /tmp they met each other's."""
        self._temporary.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(self._temporary, self._server_user)

    def _install(self) -> None:
        shutil.rmtree(self.data, ignore_errors=True)
        done = subprocess.run(
            [
                program("mariadb-install-db"),
                "--no-defaults",
                f"--datadir={self.data}",
                f"--tmpdir={self._temporary}",
                f"--user={self._server_user}",
                "--auth-root-authentication-method=socket",
                f"--auth-root-socket-user={os_user()}",
                "--skip-test-db",
                "--skip-name-resolve",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = f"{done.stdout}{done.stderr}"
            raise StackError(f"mariadb-install-db ended with code {done.returncode}\n{said}")

    def _server(self) -> Child:
        args = [
            program("mariadbd"),
            "--no-defaults",
            f"--user={self._server_user}",
            f"--datadir={self.data}",
            f"--tmpdir={self._temporary}",
            f"--socket={self.socket}",
            f"--pid-file={self.data / 'mariadbd'}",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            "--skip-name-resolve",
            "--innodb-flush-log-at-trx-commit=1",
            "--secure-timestamp=SUPER",
            "--default-time-zone=+00:00",
            "--character-set-server=utf8mb4",
            "--local-infile=OFF",
            "--max-connections=400",
            "--innodb-buffer-pool-size=128M",
            "--innodb-log-file-size=64M",
            *self._options,
        ]
        return Child(self.name, args, folder=self.folder)

    def _answers(self) -> bool:
        try:
            pymysql.connect(**self.admin_params(), connect_timeout=1, read_timeout=1).close()
        except pymysql.err.OperationalError:
            return False
        return True


def os_user() -> str:
    """The name of the user this process runs as."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise StackError(f"user id {os.geteuid()} has no name in /etc/passwd; MariaDB needs one") from None


def open_to_others(folder: Path) -> bool:
    """May any user enter `folder` and every folder above it?"""
    return all(step.stat().st_mode & 0o001 for step in (folder, *folder.parents))
