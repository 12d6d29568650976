"""A barrier for tests: once a ping is answered, everything that was sent before it was taken up."""

from __future__ import annotations

import secrets

from tests.support.messages import Message
from tests.support.party import QUIET_S, Party
from tests.support.rawsip import Dialog, RawSip
from tests.support.tcp import TcpEnd

PINGS = 3


def ping(end: RawSip | TcpEnd) -> str:
    """An OPTIONS to the proxy itself."""
    mark = secrets.token_hex(8)
    transport = "TCP" if isinstance(end, TcpEnd) else "UDP"
    lines = (
        "OPTIONS sip:ping SIP/2.0",
        f"Via: SIP/2.0/{transport} {end.host}:{end.port};branch=z9hG4bK{mark};rport",
        "Max-Forwards: 70",
        f"From: <sip:ping@{end.host}>;tag={mark}",
        "To: <sip:ping>",
        f"Call-ID: ping-{mark}",
        "CSeq: 1 OPTIONS",
        "Content-Length: 0",
    )
    return "\r\n".join(lines) + "\r\n\r\n"


def is_pong(message: Message) -> bool:
    return message.call_id.startswith("ping-")


def answers_before_pong(end: RawSip | TcpEnd, *, wanted: int = 0, limit_s: float = 3.0) -> list[Message]:
    """What comes until the proxy has answered some pings in a row, and until `wanted` messages came.

    Several pings: the workers run beside each other, so one ping proves little. On a connection that the proxy closed
    there is no pong.
    """
    found: list[Message] = []
    for _ in range(1 if isinstance(end, TcpEnd) else PINGS):
        end.send(ping(end))
        while (message := end.receive(limit_s)) is not None and not is_pong(message):
            found.append(message)
        if message is None:
            break
    while len(found) < wanted and (message := end.receive(limit_s)) is not None:
        found.append(message)
    return found


def final_or_silence(end: Party, dialog: Dialog) -> Message | None:
    """The final answer to the INVITE with the dialog's present CSeq, which is acknowledged; None for one that nobody
    answers. Who gets a 100 gets more."""
    found = [one for one in answers_before_pong(end) if _answers(one, dialog)]
    while not found and (message := end.receive(QUIET_S)) is not None:  # a busy worker may be behind the pings
        found += [message] if _answers(message, dialog) else []
    final = next((one for one in found if one.code >= 200), None)
    if final is None and found:
        final = end.wait_for(lambda one: one.code >= 200 and _answers(one, dialog), "final answer", 8.0)
    if final is not None and final.code == 200:
        end.establish(dialog, final)
        end.send(end.request("ACK", dialog, cseq=dialog.cseq))
    return final


def _answers(message: Message, dialog: Dialog) -> bool:
    return message.code > 0 and message.cseq.split() == [str(dialog.cseq), "INVITE"]
