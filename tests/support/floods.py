"""A flood beside good calls: a process that floods, and a caller who goes on calling meanwhile."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.messages import Message
from tests.support.party import Party
from tests.support.rawsip import SDP, Dialog, new_branch
from tests.support.world import NUMBER, Phone, World

FLOODER = Path(__file__).with_name("flooder.py")
CALLER = "127.0.5.1"
ONE = ["127.0.6.1"]
MANY = [f"127.0.7.{number}" for number in range(1, 201)]
FLOODS = {
    "INVITE, one source": ("invite", ONE),
    "INVITE, 200 sources": ("invite", MANY),
    "INVITE with forged nonces, 200 sources": ("forged", MANY),
    "INVITE from the caller's own address": ("invite", [CALLER]),
    "REGISTER, one source": ("register", ONE),
    "REGISTER, 200 sources": ("register", MANY),
    "OPTIONS, one source": ("options", ONE),
    "BYE with made-up tags, one source": ("bye", ONE),
    "malformed, 200 sources": ("garbage", MANY),
}


@dataclass(frozen=True)
class Calls:
    """What the calls of a good caller were like; delays from the first INVITE to its 200."""

    wanted: int
    delays_s: tuple[float, ...]

    @property
    def share(self) -> float:
        return len(self.delays_s) / self.wanted

    @property
    def median_ms(self) -> float:
        return statistics.median(self.delays_s) * 1000 if self.delays_s else float("inf")


@contextlib.contextmanager
def flooding(world: World, kind: str, addresses: list[str], per_second: int) -> Iterator[list[int]]:
    """A flood goes on while the block runs; then the list holds how many requests were sent."""
    sent: list[int] = []
    command = [sys.executable, str(FLOODER), world.stack.sip_address, kind, ",".join(addresses), str(per_second)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert "began\n" == process.stdout.readline()
            yield sent
        finally:
            told, _ = process.communicate("end\n", timeout=20)
            sent.append(int(told))


def good_calls(caller: Party, phone: Phone, count: int) -> Calls:
    """So many calls, one after another, each from INVITE to BYE as a phone makes them: with repetitions after 0.5 s."""
    delays = []
    for _ in range(count):
        delay = _good_call(caller, phone)
        if delay is not None:
            delays.append(delay)
    return Calls(count, tuple(delays))


def _good_call(caller: Party, phone: Phone) -> float | None:
    """Seconds from the first INVITE to the 200; None when the call failed within what a phone would wait."""
    caller.user = phone.username
    dialog, began = caller.new_dialog(NUMBER), time.monotonic()
    answer = patiently(caller, dialog, "INVITE")
    if answer is None or answer.code != 407:
        return None
    shown = caller.authorization(answer, "INVITE", dialog.target, phone.username, phone.password)
    answer = patiently(caller, dialog, "INVITE", [shown])
    delay = time.monotonic() - began
    if answer is None or answer.code != 200:
        return None
    ended = patiently(caller, dialog, "BYE")
    return delay if ended is not None and ended.code == 200 else None


def patiently(
    caller: Party, dialog: Dialog, method: str, headers: Sequence[str] = (), limit_s: float = 16.0
) -> Message | None:
    """The final answer to a request that is repeated like a phone's (RFC 3261 17.1.1.2); None without one."""
    branch, body = new_branch(), SDP if method == "INVITE" else ""
    text = caller.request(method, dialog, headers=headers, body=body, branch=branch)
    wanted, wait_s, deadline = f"{dialog.cseq} {method}", 0.5, time.monotonic() + limit_s
    while time.monotonic() < deadline:
        caller.send(text)
        answer = caller._take(
            lambda one: one.code >= 200 and one.call_id == dialog.call_id and one.cseq == wanted, wait_s
        )
        if answer is not None:
            if method == "INVITE":
                caller._acknowledge(dialog, answer, branch, "")
            return answer
        wait_s *= 2
    return None
