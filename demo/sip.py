"""SIPp as caller and as carrier, and what went over the wire as its logs have it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from stack.processes import Child, free_port, program

SCENARIOS = Path(__file__).parent / "scenarios"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC", "TERM": "dumb", "LANG": "C.UTF-8"}
CALL_LIMIT_S = 60

_RULE = re.compile(r"^-{20,} (\d{4}-\d\d-\d\d)[ \t](\d\d:\d\d:\d\d\.\d+)[^\n]*\n\w+ message (sent|received)[^\n]*\n\s*")
_TOKEN = re.compile(r'^Warning:\s*399 \S+ "([a-z_]+)"', re.MULTILINE | re.IGNORECASE)
_CALL_ID = re.compile(r"^Call-ID:\s*(\S+)", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Message:
    """One SIP message at one end of a call. `at_s`: seconds since the epoch; `sent`: by that end."""

    at_s: float
    sent: bool
    start_line: str
    call_id: str
    token: str
    """The word of its `Warning: 399`, which says why a call was refused; empty without one."""

    @property
    def code(self) -> int:
        """The status code; 0 for a request."""
        return int(self.start_line.split()[1]) if self.start_line.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        """The method of a request; empty for a response."""
        return "" if self.code else self.start_line.split(" ", 1)[0]

    @property
    def reason(self) -> str:
        """Code and phrase of a response: "486 Busy Here"."""
        return self.start_line.removeprefix("SIP/2.0 ")


def messages_in(log: Path) -> list[Message]:
    """The messages that SIPp has logged so far."""
    if not log.exists():
        return []
    text = log.read_text(encoding="utf-8", errors="replace").replace("\r", "")
    pieces = re.split(r"(?m)^(?=-{20,} \d{4}-)", text)
    return [message for piece in pieces if (message := _message(piece)) is not None]


def _message(piece: str) -> Message | None:
    found = _RULE.match(piece)
    if found is None:
        return None
    date, clock, direction = found.groups()
    content = piece[found.end() :]
    start_line, ended, _ = content.partition("\n")
    call_id = _CALL_ID.search(content)
    if not ended or call_id is None:
        return None  # SIPp is just writing it
    token = _TOKEN.search(content)
    return Message(
        at_s=datetime.fromisoformat(f"{date}T{clock[:15]}").replace(tzinfo=UTC).timestamp(),
        sent=direction == "sent",
        start_line=start_line,
        call_id=call_id.group(1),
        token=token.group(1) if token else "",
    )


class Carrier:
    """A gateway on `host` that answers every call and echoes its sound. Files in `folder`: NAME.log, NAME.messages."""

    def __init__(self, folder: Path, host: str, name: str = "carrier", port: int | None = None) -> None:
        self.name = name
        self.folder = folder
        self.host = host
        self._port = port
        self._child: Child | None = None

    @property
    def port(self) -> int:
        """Where it listens, UDP."""
        if self._port is None:
            self._port = free_port(self.host)
        return self._port

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    def start(self) -> None:
        """Start it; it listens when this returns."""
        self.folder.mkdir(parents=True, exist_ok=True)
        args = [
            program("sipp"),
            *("-sf", str(SCENARIOS / "carrier.xml"), "-i", self.host, "-p", str(self.port), "-bind_local"),
            *("-nostdin", "-aa", "-rtp_echo", "-mp", str(free_port(self.host)), "-max_socket", "1024"),
            *("-trace_msg", "-message_file", str(self.folder / f"{self.name}.messages")),
        ]
        self._child = Child(self.name, args, folder=self.folder, env=ENVIRONMENT, cwd=self.folder)
        self._child.start()
        self._child.wait_ready(lambda: _listens(self.host, self.port), 10)

    def stop(self) -> None:
        """End it with all its calls."""
        if self._child:
            self._child.kill9()  # SIPp answers SIGTERM only when its calls are over

    def messages(self) -> list[Message]:
        """What it sent and received so far."""
        return messages_in(self.folder / f"{self.name}.messages")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@dataclass(frozen=True)
class Line:
    """Where a caller calls from and how he shows who he is."""

    host: str
    caller: str
    card: tuple[str, str] | None = None
    """Card number and PIN, as an IVR passes them on."""
    digest: tuple[str, str] | None = None
    """User name and password of a phone."""


class Caller:
    """One call placed by a SIPp of its own. Files in `folder`: NAME.xml, NAME.messages, NAME.log."""

    def __init__(
        self, folder: Path, name: str, line: Line, *, proxy: str, realm: str, number: str, talk_ms: int
    ) -> None:
        self._log = folder / f"{name}.messages"
        self._scenario = folder / f"{name}.xml"
        port = free_port(line.host)
        card_number, pin = line.card or ("", "")
        username, password = line.digest or ("", "")
        self._content = {
            "NUMBER": number,
            "CALLER": line.caller,
            "REALM": realm,
            "TALK_MS": str(talk_ms),
            "CARD_HEADERS": f"\nX-Meterline-Card: {card_number}\nX-Meterline-PIN: {pin}" if line.card else "",
            "DIGEST": f"[authentication username={username} password={password}]",
        }
        args = [
            program("sipp"),
            *(proxy, "-sf", str(self._scenario), "-i", line.host, "-p", str(port), "-bind_local"),
            *("-nostdin", "-aa", "-m", "1", "-timeout", f"{CALL_LIMIT_S}s", "-timeout_error"),
            *("-cid_str", f"{name}-%p@%s", "-auth_uri", f"{number}@{realm}"),
            *("-trace_msg", "-message_file", str(self._log)),
        ]
        self._child = Child(name, args, folder=folder, env=ENVIRONMENT, cwd=folder)

    def start(self) -> None:
        """Place the call."""
        self._scenario.write_text(_filled(self._content), encoding="utf-8")
        self._scenario.chmod(0o600)
        self._child.start()

    @property
    def pid(self) -> int | None:
        return self._child.pid

    @property
    def over(self) -> bool:
        """Whether the call has ended, however it went."""
        return not self._child.alive

    def stop(self) -> None:
        """End SIPp if it still runs."""
        self._child.kill9()

    def messages(self) -> list[Message]:
        """What the caller sent and received so far."""
        return messages_in(self._log)


def _filled(content: Mapping[str, str]) -> str:
    text = (SCENARIOS / "caller.xml").read_text(encoding="utf-8")
    for name, value in content.items():
        text = text.replace(f"@{name}@", value)
    return text


def _listens(host: str, port: int) -> bool:
    """Whether a UDP socket is bound there (proc(5): the kernel's table, addresses as hexadecimal)."""
    address = "".join(f"{int(part):02X}" for part in reversed(host.split(".")))
    table = Path("/proc/self/net/udp").read_text(encoding="ascii")
    return f" {address}:{port:04X} " in table
