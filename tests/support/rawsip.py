"""SIP over a UDP socket of our own, for what SIPp cannot send: forged tags, raw bytes, the same digest twice."""

from __future__ import annotations

import hashlib
import itertools
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from stack.processes import free_port
from tests.support.messages import Message, shown

_branches = itertools.count(1)
SDP = (
    "v=0\r\no=raw 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 6000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)


@dataclass
class Dialog:
    """One side's view of a call: what its next request needs."""

    call_id: str
    local: str
    remote: str
    cseq: int
    target: str = ""
    routes: list[str] = field(default_factory=list)


class RawSip:
    """A SIP client on one UDP socket. Messages are texts with CRLF; every wait has a limit."""

    transport = "UDP"

    def __init__(self, proxy: str, realm: str, *, host: str = "127.0.0.1", user: str = "raw", port: int = 0) -> None:
        proxy_host, proxy_port = proxy.rsplit(":", 1)
        self.proxy = (proxy_host, int(proxy_port))
        self.realm = realm
        self.host, self.port, self.user = host, port or free_port(host), user
        self.seen: list[Message] = []
        self._socket = self._open()

    def _open(self) -> Any:
        """What messages come from and go to: a UDP socket, or something that behaves like one."""
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.bind((self.host, self.port))
        return opened

    @property
    def contact(self) -> str:
        """The URI in our Contact."""
        return f"sip:{self.user}@{self.host}:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def messages(self) -> list[Message]:
        """All messages of this end so far, in order; as Sipp.messages."""
        return list(self.seen)

    def received(self, method: str) -> list[Message]:
        """Requests of this method that came in."""
        return [one for one in self.messages() if not one.sent and one.is_request and one.method == method]

    def story(self, count: int = 8) -> str:
        """The last messages of this end, for an error that a person reads."""
        return "\n".join([f"=== {self.user} {self.host}:{self.port}", *shown(self.messages()[-count:])])

    def close(self) -> None:
        self._socket.close()

    # --- texts -------------------------------------------------------------------------------------------------------

    def new_dialog(self, dialled: str, call_id: str = "", tag: str = "") -> Dialog:
        """An outgoing call before its first INVITE."""
        tag = tag or secrets.token_hex(6)
        return Dialog(
            call_id=call_id or f"raw-{secrets.token_hex(8)}@{self.host}",
            local=f"<sip:{self.user}@{self.realm}>;tag={tag}",
            remote=f"<sip:{dialled}@{self.realm}>",
            cseq=0,
            target=f"sip:{dialled}@{self.realm}",
        )

    def request(
        self,
        method: str,
        dialog: Dialog,
        *,
        headers: Sequence[str] = (),
        body: str = "",
        uri: str = "",
        cseq: int | None = None,
        branch: str = "",
        to: str = "",
        routes: Sequence[str] | None = None,
    ) -> str:
        """A request of this dialog. Raises its CSeq unless `cseq` is given (an ACK's or CANCEL's, a forged one)."""
        if cseq is None:
            dialog.cseq += 1
            cseq = dialog.cseq
        lines = [
            f"{method} {uri or dialog.target} SIP/2.0",
            f"Via: SIP/2.0/{self.transport} {self.host}:{self.port};branch={branch or new_branch()};rport",
            "Max-Forwards: 70",
            *(f"Route: {route}" for route in (dialog.routes if routes is None else routes)),
            f"From: {dialog.local}",
            f"To: {to or dialog.remote}",
            f"Call-ID: {dialog.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <{self.contact}>",
            *headers,
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join(lines) + "\r\n\r\n" + body

    def response(
        self,
        request: Message,
        code: int,
        reason: str = "X",
        *,
        tag: str = "",
        headers: Sequence[str] = (),
        body: str = "",
    ) -> str:
        """An answer to a request that came in, with a Contact of ours; `tag` is added to its To."""
        to = request.header("to")
        if tag and not request.to_tag:
            to += f";tag={tag}"
        lines = [
            f"SIP/2.0 {code} {reason}",
            *(f"Via: {body}" for body in request.headers("via")),
            *(f"Record-Route: {body}" for body in request.headers("record-route")),
            f"From: {request.header('from')}",
            f"To: {to}",
            f"Call-ID: {request.call_id}",
            f"CSeq: {request.cseq}",
            f"Contact: <{self.contact}>",
            *headers,
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join(lines) + "\r\n\r\n" + body

    # --- sending and waiting -----------------------------------------------------------------------------------------

    def send(self, text: str | bytes, to: tuple[str, int] | None = None) -> None:
        data = text if isinstance(text, bytes) else text.encode()
        if isinstance(text, str):
            self.seen.append(Message(text, time.time(), sent=True))
        self._socket.sendto(data, to or self.proxy)

    def receive(self, limit_s: float = 3.0) -> Message | None:
        """The next message, or None when none came in time."""
        self._socket.settimeout(max(limit_s, 0.001))
        try:
            data, source = self._socket.recvfrom(65_535)
        except TimeoutError:
            return None
        message = Message(data.decode("utf-8", "replace"), time.time(), sent=False, source=source)
        self.seen.append(message)
        return message

    def wait_for(self, matches: Callable[[Message], bool], what: str, limit_s: float = 5.0) -> Message:
        """The next message that matches; others are kept in `seen`. AssertionError when none came in time."""
        deadline = time.monotonic() + limit_s
        while (left := deadline - time.monotonic()) > 0:
            message = self.receive(left)
            if message is not None and matches(message):
                return message
        heard = "\n".join(one.start_line for one in self.seen[-10:])
        raise AssertionError(f"{self.host}:{self.port}: no {what} within {limit_s} s; seen:\n{heard}")

    def wait_for_final(self, dialog: Dialog, method: str, limit_s: float = 5.0) -> Message:
        """The final answer to the dialog's request with its present CSeq."""
        wanted = f"{dialog.cseq} {method}"
        return self.wait_for(
            lambda one: one.code >= 200 and one.call_id == dialog.call_id and one.cseq == wanted,
            f"final answer to {wanted}",
            limit_s,
        )

    def wait_for_request(self, method: str, limit_s: float = 5.0, call_id: str = "") -> Message:
        return self.wait_for(
            lambda one: one.is_request and one.method == method and call_id in ("", one.call_id), method, limit_s
        )

    def silent_for(self, seconds: float, matches: Callable[[Message], bool]) -> bool:
        """Whether nothing that matches comes in this time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            message = self.receive(left)
            if message is not None and matches(message):
                return False
        return True

    # --- calls -------------------------------------------------------------------------------------------------------

    def invite(
        self,
        dialog: Dialog,
        *,
        password: str = "",
        headers: Sequence[str] = (),
        uri: str = "",
        username: str = "",
        limit_s: float = 5.0,
        on_sent: Callable[[], None] | None = None,
    ) -> Message:
        """Place the call, with a digest if asked for one; its final answer, acknowledged if it is a refusal."""
        answer = self.ask("INVITE", dialog, headers=headers, uri=uri, limit_s=limit_s)
        if answer.code == 407 and password:
            header = self.authorization(answer, "INVITE", uri or dialog.target, username or self.user, password)
            if on_sent:
                on_sent()
            answer = self.ask("INVITE", dialog, headers=[header, *headers], uri=uri, limit_s=limit_s)
        return answer

    def ask(
        self, method: str, dialog: Dialog, *, headers: Sequence[str] = (), uri: str = "", limit_s: float = 5.0
    ) -> Message:
        """Send one request of the dialog and wait for its final answer; a refused INVITE is acknowledged."""
        branch = new_branch()
        body = SDP if method == "INVITE" else ""
        self.send(self.request(method, dialog, headers=headers, uri=uri, body=body, branch=branch))
        answer = self.wait_for_final(dialog, method, limit_s)
        if method == "INVITE":
            self._acknowledge(dialog, answer, branch, uri)
        return answer

    def _acknowledge(self, dialog: Dialog, answer: Message, branch: str, uri: str) -> None:
        if answer.code >= 300:
            self.send(
                self.request("ACK", dialog, cseq=dialog.cseq, branch=branch, to=answer.header("to"), uri=uri, routes=[])
            )
        else:
            self.establish(dialog, answer)
            self.send(self.request("ACK", dialog, cseq=dialog.cseq))

    def establish(self, dialog: Dialog, answer: Message) -> None:
        """Take the remote tag, target and route set from a 2xx (RFC 3261 12.1.2)."""
        dialog.remote = answer.header("to")
        dialog.target = uri_in(answer.header("contact"))
        dialog.routes = [part.strip() for one in reversed(answer.headers("record-route")) for part in one.split(",")]

    def hang_up(self, dialog: Dialog) -> Message:
        return self.ask("BYE", dialog)

    def authorization(
        self,
        challenge: Message,
        method: str,
        uri: str,
        username: str,
        password: str,
        *,
        nonce_count: int = 1,
        algorithm: str = "",
    ) -> str:
        """The Proxy-Authorization that answers a 407 with qop=auth, by its or another algorithm (RFC 2617, 8760)."""
        given = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge.header("proxy-authenticate")))
        realm, nonce, algorithm = given["realm"], given["nonce"], algorithm or given.get("algorithm", "MD5")
        cnonce, count = secrets.token_hex(8), f"{nonce_count:08x}"
        digest = DIGESTS[algorithm]
        ha1 = digest(f"{username}:{realm}:{password}")
        ha2 = digest(f"{method}:{uri}")
        response = digest(f"{ha1}:{nonce}:{count}:{cnonce}:auth:{ha2}")
        return (
            f'Proxy-Authorization: Digest username="{username}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
            f'response="{response}", algorithm={algorithm}, qop=auth, cnonce="{cnonce}", nc={count}'
        )


class RawCallee(RawSip):
    """A carrier in a thread: `script(callee, request)` answers each INVITE, and what else it likes to return True for;
    any other BYE, CANCEL or OPTIONS gets a 200."""

    def __init__(self, proxy: str, realm: str, port: int, script: Callable[[RawCallee, Message], object]) -> None:
        super().__init__(proxy, realm, user="callee", port=port)
        self._script = script
        self._stop = threading.Event()
        self.errors: list[Exception] = []
        self._thread = threading.Thread(target=self._answer, name=f"callee {port}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)
        super().close()

    def answer(self, request: Message, code: int, reason: str = "OK", *, tag: str = "", body: str = "") -> None:
        self.send(self.response(request, code, reason, tag=tag, body=body))

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something after a while, unless the test is over by then."""

        def wait() -> None:
            if not self._stop.wait(seconds):
                action()

        threading.Thread(target=wait, daemon=True).start()

    def _answer(self) -> None:
        while not self._stop.is_set():
            message = self.receive(0.05)
            if message is None or not message.is_request:
                continue
            try:
                if not self._script(self, message) and message.method in ("BYE", "CANCEL", "OPTIONS"):
                    self.answer(message, 200)
            except Exception as error:  # noqa: BLE001 - shown by the test that closes the scene
                self.errors.append(error)


def answers(tag: str = "") -> Callable[[RawCallee, Message], None]:
    """A script: answer every INVITE and re-INVITE at once, without ringing."""

    def script(callee: RawCallee, request: Message) -> None:
        if request.method == "INVITE":
            callee.answer(request, 200, tag=tag or f"tag{request.call_id[:12]}", body=SDP)

    return script


def new_branch() -> str:
    return f"z9hG4bK{next(_branches)}x{secrets.token_hex(6)}"


def uri_in(body: str) -> str:
    """The URI of a name-addr."""
    found = re.search(r"<([^>]*)>", body)
    return found.group(1) if found else body.split(";", maxsplit=1)[0].strip()


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()  # noqa: S324 - SIP's digest


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


DIGESTS = {"MD5": _md5, "SHA-256": _sha256}
