"""SIPp as processes of our own: started with a limit, their message logs read while they run and after."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from stack.processes import StackError, free_port, program, wait_until
from tests.support.messages import Message, in_sipp_log, shown

LIMIT_S = 40
AT_ONCE_PER_SECOND = 2000
_numbers = itertools.count(1)


class Sipp:
    """One SIPp process with one scenario file. Files in `folder`: NAME.messages, .errors, .csv, .out.

    With `remote` it places `calls` calls, `per_second` of them a second (all at once by default), a line of
    `fields` each, and ends by itself. Without, it answers whoever calls until `stop`.
    """

    def __init__(
        self,
        name: str,
        scenario: Path,
        folder: Path,
        *,
        remote: str = "",
        host: str = "127.0.0.1",
        port: int | None = None,
        calls: int = 1,
        per_second: int = AT_ONCE_PER_SECOND,
        fields: Sequence[Sequence[str]] = (),
        auth_uri: str = "",
        talk_ms: int = 0,
        transport: str = "u1",
        limit_s: int = LIMIT_S,
        keys: Sequence[tuple[str, str]] = (),
        edits: Sequence[tuple[str, str]] = (),
        options: Sequence[str] = (),
    ) -> None:
        self.name = f"{next(_numbers):03d}-{name}"
        self.scenario = scenario
        self.folder = folder
        self.host = host
        self.port = port or free_port(host)
        self.calls = calls
        self._edits = edits
        self.is_caller = bool(remote)
        self._limit_s = limit_s
        self._process: subprocess.Popen[bytes] | None = None
        self._args = [
            program("sipp"),
            *([remote] if remote else []),
            *(
                "-sf",
                str(self._file("xml") if edits else scenario),
                "-i",
                host,
                "-p",
                str(self.port),
                "-bind_local",
                "-nostdin",
            ),
            *("-t", transport, "-timeout", f"{limit_s}s", "-timeout_error", "-max_socket", "1024"),
            *("-trace_msg", "-message_file", str(self._file("messages"))),
            *("-trace_err", "-error_file", str(self._file("errors"))),
            *("-cid_str", f"%u-{self.name}-%p@%s", "-d", str(talk_ms), "-timer_resol", "1"),
            *itertools.chain.from_iterable(("-key", key, value) for key, value in keys),
            *options,
        ]
        if self.is_caller:
            # A burst: the whole number within SIPp's one period, whatever the number.
            self._args += ["-m", str(calls), "-r", str(per_second), "-l", str(calls + 1)]
        if auth_uri:
            self._args += ["-auth_uri", auth_uri]
        if fields:
            lines = ["SEQUENTIAL", *(";".join(line) + ";" for line in fields)]
            self._file("csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
            self._args += ["-inf", str(self._file("csv"))]

    def _file(self, ending: str) -> Path:
        return self.folder / f"{self.name}.{ending}"

    def _edited(self) -> str:
        """The scenario with what SIPp takes from the file alone, such as response codes and timeouts, replaced."""
        text = self.scenario.read_text(encoding="utf-8")
        for old, new in self._edits:
            assert old in text, f"{self.scenario.name} has no {old!r}"
            text = text.replace(old, new)
        return text

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start it; one that answers is ready when this returns."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._edits:
            self._file("xml").write_text(self._edited(), encoding="utf-8")
        with self._file("out").open("wb") as out:
            self._process = subprocess.Popen(
                self._args,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC", "TERM": "dumb", "LANG": "C.UTF-8"},
            )
        if not self.is_caller:
            wait_until(lambda: not self.running or _is_bound(self.host, self.port), 5, f"{self.name} listens")
            assert self.running, f"{self.name} did not start:\n{self.story()}"
        return self

    def wait(self, codes: Sequence[int] = (0,)) -> Self:
        """Until its calls are over. AssertionError with the end of its logs when one went otherwise than written.

        With 1 among `codes` some may: for the scenario whose truth is on the wire alone.
        """
        assert self._process is not None
        try:
            code = self._process.wait(self._limit_s + 5)
        except subprocess.TimeoutExpired:
            self.stop()
            code = -1
        assert code in codes, f"{self.name} ended with {code}:\n{self.story()}"
        return self

    def stop(self) -> None:
        """End it now. Harmless when it has ended."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)

    def messages(self) -> list[Message]:
        """All messages of this end so far, in order."""
        return in_sipp_log(self._file("messages"))

    def received(self, method: str = "", code: int = 0) -> list[Message]:
        """Messages that came in: requests of `method`, or responses `code` (to `method`, if given)."""
        return [one for one in self.messages() if not one.sent and _is(one, method, code)]

    def sent(self, method: str = "", code: int = 0) -> list[Message]:
        """Messages that went out, told apart as in `received`."""
        return [one for one in self.messages() if one.sent and _is(one, method, code)]

    def wait_for(self, method: str = "", code: int = 0, count: int = 1, limit_s: float = 10) -> list[Message]:
        """Until `count` such messages came in."""
        return self.wait_until(lambda: self.received(method, code), count, f"{method} {code or ''}", limit_s)

    def wait_until_sent(self, method: str = "", code: int = 0, count: int = 1, limit_s: float = 10) -> list[Message]:
        """Until `count` such messages went out."""
        return self.wait_until(lambda: self.sent(method, code), count, f"own {method} {code or ''}", limit_s)

    def wait_until(
        self, found: Callable[[], list[Message]], count: int, what: str, limit_s: float = 10
    ) -> list[Message]:
        try:
            wait_until(lambda: len(found()) >= count, limit_s, f"{self.name}: {count} x {what}", poll_s=0.03)
        except StackError as error:
            raise AssertionError(f"{error}\n{self.story()}") from None
        return found()

    def story(self, count: int = 8) -> str:
        """The last messages and complaints of this end, for an error that a person reads."""
        lines = [f"=== {self.name} {self.address} {self.scenario.name}", *shown(self.messages()[-count:])]
        for ending in ("errors", "out"):
            with contextlib.suppress(FileNotFoundError):
                text = self._file(ending).read_text(errors="replace").strip()
                if ending == "errors" or not self.messages():
                    lines.append(f"--- {ending}\n{text[-1500:]}")
        return "\n".join(lines)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _is(message: Message, method: str, code: int) -> bool:
    if code:
        return message.code == code and (not method or message.method == method)
    return message.is_request and message.method == method if method else True


def _is_bound(host: str, port: int) -> bool:
    """Whether a UDP or TCP socket listens there (proc(5): the kernel's tables, addresses as hexadecimal)."""
    address = "".join(f"{int(part):02X}" for part in reversed(host.split(".")))
    wanted = f" {address}:{port:04X} "
    return any(
        wanted in line and (table == "udp" or line.split()[3] == "0A")
        for table in ("udp", "tcp")
        for line in Path(f"/proc/{os.getpid()}/net/{table}").read_text().splitlines()
    )
