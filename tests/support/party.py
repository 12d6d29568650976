"""A SIP end that reads all the time and, as a callee, answers by itself: for scenarios that SIPp cannot play."""

from __future__ import annotations

import contextlib
import copy
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from stack.processes import wait_until
from tests.support.messages import Message
from tests.support.rawsip import SDP, Dialog, RawSip, new_branch, uri_in
from tests.support.wire import Call, truth
from tests.support.world import NUMBER, Phone, World

ANSWER, RING, SILENT, REFUSE = "answer", "ring", "silent", "refuse"
_calls_over: set[tuple[str, int, str]] = set()
"""Address and Call-ID of what closed ends heard. A BYE that one of them no longer answered comes again, to whoever has
its address now; he answers, and has not heard it."""
QUIET_S = 0.4
"""How long an end must hear nothing after a message that nobody answers."""


class Party(RawSip):
    """A UDP end with a reader of its own. `invites`: what it does with a new call. Requests in a dialog get a 200."""

    def __init__(
        self, world: World, *, host: str = "127.0.0.1", port: int = 0, user: str = "party", invites: str = ANSWER
    ) -> None:
        super().__init__(world.stack.sip_address, world.realm, host=host, port=port, user=user)
        self.world = world
        self.invites = invites
        self.tags: dict[str, str] = {}
        self._news = threading.Condition()
        self._waiting: list[Message] = []
        self._closed = False
        self._marks: set[bytes] = set()
        self._socket.settimeout(0.1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._reader = threading.Thread(target=self._read, name=f"party {host}:{self.port}", daemon=True)
        self._reader.start()

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._mark()  # wakes the reader
        self._reader.join(5)
        self._socket.close()
        _calls_over.update((self.host, self.port, one.call_id) for one in self.seen)

    # --- hearing -----------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        while not self._closed:
            try:
                data, source = self._socket.recvfrom(65_535)
            except TimeoutError:
                continue
            message = Message(data.decode("utf-8", "replace"), time.time(), sent=False, source=source)
            invites = self.invites  # as it is now: whoever hears of the message may change it before it is answered
            with self._news:
                if data in self._marks:
                    self._marks.discard(data)
                elif (self.host, self.port, message.call_id) not in _calls_over:
                    self.seen.append(message)
                    self._waiting.append(message)
                self._news.notify_all()
            if message.is_request and message.text.startswith(
                ("INVITE", "BYE", "CANCEL", "INFO", "OPTIONS", "MESSAGE", "UPDATE", "NOTIFY", "PRACK")
            ):
                self._answer(message, invites)

    def receive(self, limit_s: float = 3.0) -> Message | None:
        return self._take(lambda _: True, limit_s)

    def wait_for(self, matches: Callable[[Message], bool], what: str, limit_s: float = 5.0) -> Message:
        """The first message that matches and that nobody waited for yet, whenever it came."""
        found = self._take(matches, limit_s)
        heard = "\n".join(one.start_line for one in self.seen[-10:])
        assert found is not None, f"{self.host}:{self.port}: no {what} within {limit_s} s; seen:\n{heard}"
        return found

    def _take(self, matches: Callable[[Message], bool], limit_s: float) -> Message | None:
        with self._news:
            found = self._news.wait_for(lambda: next((one for one in self._waiting if matches(one)), None), limit_s)
            if found is not None:
                self._waiting = [one for one in self._waiting if one is not found]
            return found

    def heard(self, method: str = "", code: int = 0, call_id: str = "") -> list[Message]:
        """What came in so far: requests of `method`, or responses `code`."""
        with self._news:
            return [
                one
                for one in self.seen
                if not one.sent
                and call_id in ("", one.call_id)
                and (
                    one.code == code and method in ("", one.method)
                    if code
                    else one.is_request and method in ("", one.method)
                )
            ]

    def caught_up(self) -> None:
        """Until all that was sent to this end before now is read: a datagram of our own is queued behind it."""
        mark = self._mark()
        with self._news:
            assert self._news.wait_for(lambda: mark not in self._marks, 3), f"{self.host}:{self.port} does not read"

    def _mark(self) -> bytes:
        mark = b"mark " + secrets.token_bytes(8)
        with self._news:
            self._marks.add(mark)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.sendto(mark, (self.host, self.port))
        return mark

    def requests(self) -> list[str]:
        """The methods of all requests that came in. One that was sent again (RFC 3261 17.1: the same branch) counts
        once: on a busy machine an answer may take longer than the half second after which it is."""
        self.caught_up()
        return [method for method, *_ in dict.fromkeys(_transaction(one) for one in self.heard())]

    def stays_quiet(self, seconds: float = QUIET_S) -> bool:
        """Whether no message at all comes in this time, and none came before that nobody waited for."""
        return self._take(lambda _: True, seconds) is None

    def messages(self) -> list[Message]:
        """What this end sent and received, as `Sipp.messages`."""
        with self._news:
            return list(self.seen)

    # --- being called ------------------------------------------------------------------------------------------------

    def _answer(self, request: Message, invites: str) -> None:
        if request.method == "CANCEL":
            self.send(self.response(request, 200, "OK"), request.source)
            for one in self.heard("INVITE", call_id=request.call_id):
                if one.cseq.split()[0] == request.cseq.split()[0] and not one.to_tag:
                    self.send(self.response(one, 487, "Request Terminated", tag=self.tag(one)), request.source)
                    break
        elif request.method != "INVITE" or request.to_tag:
            body = SDP if request.method in ("INVITE", "UPDATE") else ""
            self.send(self.response(request, 200, "OK", tag=self.tag(request), body=body), request.source)
        elif invites == REFUSE:
            self.answer(request, 486, "Busy Here")
        elif invites != SILENT:
            self.send(self.response(request, 180, "Ringing", tag=self.tag(request)), request.source)
            if invites == ANSWER:
                self.answer(request)

    def tag(self, request: Message) -> str:
        """This end's tag in the call of a request that came in."""
        return self.tags.setdefault(request.call_id, f"p{secrets.token_hex(6)}")

    def answer(self, invite: Message, code: int = 200, reason: str = "OK") -> None:
        body = SDP if code == 200 else ""
        self.send(self.response(invite, code, reason, tag=self.tag(invite), body=body), invite.source)

    def dialog_of(self, invite: Message) -> Dialog:
        """This callee's side of the call of an INVITE that it answered."""
        return Dialog(
            call_id=invite.call_id,
            local=f"{invite.header('to')};tag={self.tag(invite)}",
            remote=invite.header("from"),
            cseq=0,
            target=uri_in(invite.header("contact")),
            routes=[part.strip() for one in invite.headers("record-route") for part in one.split(",")],
        )

    # --- calling -----------------------------------------------------------------------------------------------------

    def call(self, phone: Phone, dialled: str = NUMBER, *, headers: Sequence[str] = (), limit_s: float = 5.0) -> Dialog:
        """A call of this phone that was answered and acknowledged."""
        dialog = self.dial(phone, dialled, headers=headers)
        answer = self.wait_for_final(dialog, "INVITE", limit_s)
        assert answer.code == 200, answer.text
        self.establish(dialog, answer)
        self.send(self.request("ACK", dialog, cseq=dialog.cseq))
        return dialog

    def dial(self, phone: Phone, dialled: str = NUMBER, *, headers: Sequence[str] = ()) -> Dialog:
        """A call of this phone, sent with its digest; nobody waits for the outcome."""
        self.user = phone.username
        dialog = self.new_dialog(dialled)
        branch = new_branch()
        self.send(self.request("INVITE", dialog, headers=headers, body=SDP, branch=branch))
        challenge = self.wait_for_final(dialog, "INVITE")
        assert challenge.code == 407, challenge.text
        self.send(self.request("ACK", dialog, cseq=dialog.cseq, branch=branch, to=challenge.header("to")))
        shown = self.authorization(challenge, "INVITE", dialog.target, phone.username, phone.password)
        self.send(self.request("INVITE", dialog, headers=[shown, *headers], body=SDP))
        return dialog

    def timed(self, method: str, dialog: Dialog, limit_s: float) -> float:
        """Seconds from a request in the dialog to its 200."""
        before = time.time()
        answer = self.ask(method, dialog, limit_s=limit_s)
        assert answer.code == 200, answer.text
        return answer.at - before


def _transaction(request: Message) -> tuple[str, str, str, str]:
    return request.method, request.header("via"), request.cseq, request.call_id


def forged(dialog: Dialog, **changes: object) -> Dialog:
    """A copy of somebody's dialog for an attacker to work with."""
    taken = copy.deepcopy(dialog)
    for name, value in changes.items():
        setattr(taken, name, value)
    return taken


@contextlib.contextmanager
def carrier(world: World, order: int = 1, invites: str = ANSWER) -> Iterator[Party]:
    """A Party where the world's carrier number `order` (1, 2, 3) is."""
    with Party(world, port=world.carrier_ports[order - 1], user=f"carrier{order}", invites=invites) as party:
        yield party


def on_the_wire(world: World, callers: Sequence[Party], callees: Sequence[Party]) -> list[Call]:
    """`wire.truth` of parties."""
    return truth(world, list(callers), list(callees))  # type: ignore[arg-type]


def books_are_right(world: World) -> None:
    """Everything is settled and no amount differs."""
    world.wait_until_drained()
    assert [] == world.cashier.audit()


def settled_cut(world: World, call_id: str, limit_s: float) -> None:
    """Until a call has its CDR."""
    wait_until(lambda: bool(world.cdrs([call_id])[call_id]), limit_s, f"{call_id} has its CDR")
