"""The drill: 200 calls are up when the database hangs. Everything within a call is answered at once, and new calls come
through soon after the database's return.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from stack.processes import wait_until
from tests.faults.bench import Bench
from tests.faults.load import DIALLED, HERE, carrier, people
from tests.faults.oracle import Verdict, judge_drill
from tests.support.messages import Message
from tests.support.scene import digest
from tests.support.sipp import Sipp
from tests.support.world import Phone

CALLS = 220
HANGS_S = 10.0
GRANTS = {"grant_s": 60, "renew_lead_s": 20, "shorter_grants_s": [30, 10, 1]}
ASKS = """<label id="again"/>
  <pause milliseconds="1000"/>
  <send retrans="500"><![CDATA[
OPTIONS [next_url] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch];rport
Max-Forwards: 70
[routes]
[last_From:]
[last_To:]
[last_Call-ID:]
CSeq: [last_cseq_number+1] OPTIONS
Contact: <sip:[field0]@[local_ip]:[local_port]>
Content-Length: 0

]]></send>
  <recv response="200"/>
  <nop>
    <action>
      <add assign_to="asked" value="1"/>
      <test assign_to="more" variable="asked" compare="less_than" value="22"/>
    </action>
  </nop>
  <nop next="again" test="more"/>
  <Reference variables="talk"/>"""
"""In place of the pause: an OPTIONS a second within the call."""


def drill(folder: Path, verdict: Verdict, say: Callable[[str], None], calls: int = CALLS) -> None:
    """On a bench of its own, with grants that outlast it. The verdict gets figures and findings."""
    with Bench.up(folder, "drill", calls=GRANTS) as bench:
        phones = people(bench, random.Random("drill"), calls, 1).phones
        answering = carrier(bench, 120)
        inside = bench.callers["node1-hangs_up"].inside
        asking = Sipp(
            "asks", HERE / "phone.xml", bench.folder / "sipp", remote=f"{inside[0]}:{inside[1]}", calls=calls,
            per_second=40, auth_uri=f"{DIALLED['hangs_up']}@{bench.world.realm}", limit_s=120,
            fields=[line(phone, 1) for phone in phones],
            keys=[("realm", bench.world.realm)], edits=[('<pause variable="talk"/>', ASKS)],
        )  # fmt: skip
        with answering, asking:
            wait_until(lambda: len(bench.world.live_calls()) >= 0.95 * calls, 30, f"{calls} calls are up", poll_s=0.2)
            begun, ended, up = _hang(bench)
            recovered_s = _first_call_after(bench, ended)
            heard = asking.messages()
        judge_drill(answers_within(heard, begun, ended), up, recovered_s, verdict)
        say(f"drill: {up} calls up, the database hung for {ended - begun:.0f} s; a call after {recovered_s:.1f} s")


def line(phone: Phone, talk_ms: int) -> list[str]:
    """A caller's line of phone.xml."""
    return [phone.username, DIALLED["hangs_up"], digest(phone), str(talk_ms), "X-One: 1", "X-Two: 2"]


def _hang(bench: Bench) -> tuple[float, float, int]:
    up = len(bench.world.live_calls())
    pid = bench.stack.mariadb.pid
    assert pid is not None, "the database runs"
    begun = time.time()
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: time.time() >= begun + HANGS_S, HANGS_S + 1, "ten seconds are over", poll_s=0.1)
    finally:
        os.kill(pid, signal.SIGCONT)
    return begun, time.time(), up


def _first_call_after(bench: Bench, ended: float) -> float:
    """Seconds from the database's return to a new call's 200; SIPp tries twice a second."""
    inside = bench.callers["node1-rings"].inside
    phones = people(bench, random.Random("after"), 30, 1).phones
    trying = Sipp(
        "tries", HERE / "phone.xml", bench.folder / "sipp", remote=f"{inside[0]}:{inside[1]}", calls=len(phones),
        per_second=2, auth_uri=f"{DIALLED['hangs_up']}@{bench.world.realm}", limit_s=60,
        fields=[line(phone, 500) for phone in phones],
        keys=[("realm", bench.world.realm)],
    )  # fmt: skip
    with trying:
        (first, *_) = trying.wait_for("INVITE", 200, limit_s=20)
    return first.at - ended


def answers_within(messages: Sequence[Message], begun: float, ended: float) -> list[float]:
    """Seconds from each OPTIONS that was sent in this time to its 200; infinite for one that had none."""
    asked: dict[tuple[str, str], float] = {}
    answered: dict[tuple[str, str], float] = {}
    for one in messages:
        if one.method != "OPTIONS":
            continue
        key = (one.call_id, one.cseq)
        if one.sent and one.is_request and begun <= one.at <= ended:
            asked.setdefault(key, one.at)
        elif one.code:
            answered.setdefault(key, one.at)
    return [answered.get(key, float("inf")) - at for key, at in asked.items()]
