"""A SIP message as a test looks at it, and SIPp's log of them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length"}
"""RFC 3261 7.3.3: the compact forms that occur here."""

_RULE = re.compile(r"^-{20,} (\d{4}-\d\d-\d\d)[ \t](\d\d:\d\d:\d\d\.\d+).*\r?\n", re.MULTILINE)
_TITLE = re.compile(r"^\w+ message (sent|received)[^\n]*\n\s*\n?", re.MULTILINE)
_TOKEN = re.compile(r'^399 \S+ "([a-z_]+)"$')


@dataclass(frozen=True)
class Message:
    """One message at one end. `at`: seconds since the epoch; `sent`: by the end whose log this is."""

    text: str
    at: float = 0.0
    sent: bool = False
    source: tuple[str, int] = ("", 0)
    _headers: dict[str, list[str]] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        head = self.text.partition("\r\n\r\n")[0]
        for line in re.sub(r"\r\n[ \t]+", " ", head).split("\r\n")[1:]:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            self._headers.setdefault(COMPACT.get(name, name), []).append(value.strip())

    @property
    def start_line(self) -> str:
        return self.text.split("\r\n", 1)[0]

    @property
    def code(self) -> int:
        """The status code, 0 for a request."""
        words = self.start_line.split()
        return int(words[1]) if words and words[0] == "SIP/2.0" else 0

    @property
    def method(self) -> str:
        """The method of a request, or that of the request which a response answers."""
        return (self.cseq.split() or [""])[-1] if self.code else self.start_line.partition(" ")[0]

    @property
    def is_request(self) -> bool:
        return self.code == 0

    @property
    def uri(self) -> str:
        return self.start_line.split()[1]

    @property
    def body(self) -> str:
        return self.text.partition("\r\n\r\n")[2]

    @property
    def call_id(self) -> str:
        return self.header("call-id")

    @property
    def cseq(self) -> str:
        return self.header("cseq")

    @property
    def from_tag(self) -> str:
        return tag_of(self.header("from"))

    @property
    def to_tag(self) -> str:
        return tag_of(self.header("to"))

    @property
    def token(self) -> str:
        """The word of its `Warning: 399`, empty without one."""
        found = [_TOKEN.match(body) for body in self.headers("warning")]
        return next((match.group(1) for match in found if match), "")

    def headers(self, name: str) -> list[str]:
        """All bodies of a header, whatever its case or compact form."""
        return self._headers.get(name.lower(), [])

    def header(self, name: str) -> str:
        """The first body of a header, empty when there is none."""
        return next(iter(self.headers(name)), "")

    def header_names(self) -> list[str]:
        """The names that occur, in small letters."""
        return list(self._headers)


def tag_of(body: str) -> str:
    """The tag of a From or To."""
    found = re.search(r";\s*tag=([^;\s>]+)", body)
    return found.group(1) if found else ""


def shown(messages: Iterable[Message]) -> list[str]:
    """Messages for a person who reads a failure."""
    return [f"--- {_clock(one)} {'sent' if one.sent else 'received'}\n{one.text.strip()}" for one in messages]


def _clock(message: Message) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(message.at)) + f"{message.at % 1:.3f}"[1:]


def in_sipp_log(path: Path) -> list[Message]:
    """The messages of a file that SIPp writes with -trace_msg; those written so far, while it runs."""
    if not path.exists():
        return []
    text = path.read_bytes().decode("utf-8", "replace")
    rules = list(_RULE.finditer(text))
    found = []
    for rule, following in zip(rules, [*rules, None][1:], strict=True):
        piece = text[rule.end() : following.start() if following else len(text)]
        title = _TITLE.match(piece)
        if title is None:
            continue
        content = piece[title.end() :]
        if not content.strip():
            continue
        at = datetime.fromisoformat(f"{rule.group(1)}T{rule.group(2)[:15]}+00:00").timestamp()
        found.append(Message(_restored(content), at, sent=title.group(1) == "sent"))
    return found


def _restored(content: str) -> str:
    """The message with CRLF line ends; SIPp's log has them as they were, and its own blank line at the end."""
    return re.sub(r"\r?\n", "\r\n", content)
