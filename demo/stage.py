"""One act of the demo: its calls placed at the same time, told line by line as they happen, and checked at the end."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from billing.ledger import Ledger
from cli.output import money
from demo.calls import Plan, Played, faults
from demo.sip import Caller, Carrier, Message
from stack.processes import StackError, wait_until

LOOK_S = 0.03
ACT_LIMIT_S = 45.0
LOOK_AT_GRANTS_S = 0.25
SETTLED_LIMIT_S = 10.0


@dataclass(frozen=True)
class Event:
    """Something done while calls are up: `act`, so many seconds after the answer of a call; it says what it did."""

    after: tuple[str, float]
    who: str
    what: str
    act: Callable[[], str]


@dataclass(frozen=True)
class Act:
    """What the reader is told first, and then sees."""

    title: str
    about: str
    plans: Sequence[Plan]
    events: Sequence[Event] = ()


@dataclass
class _OnStage:
    """A call that was placed."""

    plan: Plan
    caller: Caller
    told: int = 0
    invites: int = 0
    answered: bool = False
    byes: int = 0
    grant_s: int = 0
    messages: list[Message] = field(default_factory=list)


class Stage:
    """Where acts are played: the proxy's address, the carrier, a place for SIPp's files, and a ledger to look into."""

    def __init__(
        self, console: Console, folder: Path, *, proxy: str, realm: str, carrier: Carrier, ledger: Ledger
    ) -> None:
        self._console = console
        self._folder = folder
        self._proxy = proxy
        self._realm = realm
        self._carrier = carrier
        self._ledger = ledger
        self._look_again_s = 0.0
        self.pids: list[int] = []
        """Every SIPp that was started."""
        folder.mkdir(parents=True, exist_ok=True)

    def play(self, act: Act) -> list[Played]:
        """Place the calls, tell what happens until all are over, and return them with their CDRs."""
        self._console.print(f"\n[bold]{act.title}[/]\n{escape(act.about)}\n")
        calls: dict[str, _OnStage] = {}
        with contextlib.ExitStack() as cleaning:
            self._run(act, calls, cleaning)
        played = [self._with_cdr(Played(one.plan, tuple(one.messages))) for one in calls.values()]
        for call in played:
            call.carrier = self._carrier.messages()
        self._console.print()
        return played

    def verdict(self, call: Played, wrong: Sequence[str]) -> None:
        """What the call cost whom, and that it went as told; or what did not."""
        mark = "[bold red]wrong[/]  " if wrong else "[green]as told[/]"
        first, *further = _outcome(call)
        self._console.print(f"  {mark}  {escape(first)}")
        for line in further:
            self._console.print(f"           {escape(line)}")
        for fault in wrong:
            self._console.print(f"           [red]{escape(fault)}[/]")

    def _run(self, act: Act, calls: dict[str, _OnStage], cleaning: contextlib.ExitStack) -> None:
        begun_s, waiting = time.monotonic(), [*act.plans]
        events = list(act.events)
        answered_at: dict[str, float] = {}

        def due(after: tuple[str, float] | None) -> bool:
            return after is None or time.monotonic() >= answered_at.get(after[0], float("inf")) + after[1]

        while waiting or events or not all(one.caller.over for one in calls.values()):
            if time.monotonic() > begun_s + ACT_LIMIT_S:
                break
            for plan in [one for one in waiting if due(one.after)]:
                waiting.remove(plan)
                calls[plan.name] = self._place(plan, cleaning)
            for event in [one for one in events if due(one.after)]:
                events.remove(event)
                self._say(time.monotonic() - begun_s, event.who, event.what, event.act())
            for name, one in calls.items():
                self._tell(one, begun_s)
                if one.answered:
                    answered_at.setdefault(name, time.monotonic())
            self._tell_longer_grants(calls, begun_s)
            time.sleep(LOOK_S)
        for one in calls.values():
            self._tell(one, begun_s)

    def _place(self, plan: Plan, cleaning: contextlib.ExitStack) -> _OnStage:
        caller = Caller(
            self._folder,
            plan.name.replace(" ", "-").replace(",", ""),
            plan.line,
            proxy=self._proxy,
            realm=self._realm,
            number=plan.number,
            talk_ms=plan.talk_ms,
        )
        caller.start()
        cleaning.callback(caller.stop)
        if caller.pid is not None:
            self.pids.append(caller.pid)
        return _OnStage(plan, caller)

    def _tell(self, one: _OnStage, begun_s: float) -> None:
        one.messages = one.caller.messages()
        began = time.time() - (time.monotonic() - begun_s)
        for message in one.messages[one.told :]:
            told = self._in_words(one, message)
            if told is not None:
                self._say(message.at_s - began, one.plan.name, *told)
        one.told = len(one.messages)

    def _in_words(self, one: _OnStage, message: Message) -> tuple[str, str] | None:
        """SIP's word and ours for a message at the caller, or None for what a reader need not see."""
        if message.method == "INVITE":
            one.invites += 1
            return (f"INVITE {one.plan.number}", "") if one.invites == 1 else None
        if message.method == "BYE":
            one.byes += 1
            if one.byes > 1:
                return None
            return "BYE", "the caller hangs up" if message.sent else "the proxy hangs up: no money"
        if message.sent or message.code < 200:
            return None
        if message.code == 407:
            return "407", "the phone shows its digest"
        if message.code != 200:
            return message.reason, message.token
        if one.answered:
            return None
        one.answered = True
        return message.reason, self._funding(one, message.call_id)

    def _funding(self, one: _OnStage, call_id: str) -> str:
        """What the ledger holds for a call that was just answered."""
        for call in self._ledger.live_calls():
            if call.sip_call_id == call_id:
                one.grant_s = call.grant_s
                holds = " + ".join(money(leg.hold) for leg in call.legs)
                return f"{holds} held for {call.grant_s} s"
        return ""

    def _tell_longer_grants(self, calls: Mapping[str, _OnStage], begun_s: float) -> None:
        """The keeper lengthens a call when there is money again; its hold in the ledger grows."""
        now_s = time.monotonic()
        if now_s < self._look_again_s:
            return
        self._look_again_s = now_s + LOOK_AT_GRANTS_S
        grants = {call.sip_call_id: call.grant_s for call in self._ledger.live_calls()}
        for one in calls.values():
            grant_s = grants.get(one.messages[0].call_id, 0) if one.messages else 0
            if one.grant_s and grant_s > one.grant_s:
                self._say(now_s - begun_s, one.plan.name, "", f"lengthened: {one.grant_s} s to {grant_s} s")
                one.grant_s = grant_s

    def _say(self, at_s: float, who: str, sip: str, words: str) -> None:
        line = f"  {max(0.0, at_s):4.1f} s  {who:<19} {sip:<20} {words}"
        self._console.print(line.rstrip(), soft_wrap=True, markup=False)

    def _with_cdr(self, call: Played) -> Played:
        """The CDR follows the call's end within tens of milliseconds: the drain takes it there."""
        call_ids = {one.call_id for one in call.wire}

        def found() -> bool:
            matching = [one for one in self._ledger.cdrs() if one.sip_call_id in call_ids]
            call.cdr = matching[0] if matching else None
            return call.cdr is not None

        with contextlib.suppress(StackError):
            wait_until(found, SETTLED_LIMIT_S, "the CDR is written", poll_s=0.05)
        return call


def _outcome(call: Played) -> list[str]:
    """A line for the call and what its caller's account paid; one for each account above."""
    name, cdr = call.plan.name, call.cdr
    if cdr is None:
        return [f"{name}: no CDR"]
    if not cdr.legs:
        return [f"{name}: refused, nothing charged"]
    shares = [f"{money(leg.charge)} paid, {money(leg.balance_after)} left" for leg in cdr.legs]
    talked = f"{name}: {cdr.talked_ms / 1000:.2f} s talked, {cdr.billed_s} s billed"
    above = zip(cdr.legs[1:], shares[1:], strict=True)
    return [f"{talked}, {shares[0]}", *(f"{leg.account_name}, above it: {share}" for leg, share in above)]


def check(stage: Stage, played: Sequence[Played]) -> bool:
    """Tell the verdict on every call; whether all went as told."""
    good = True
    for call in played:
        wrong = list(faults(call))
        stage.verdict(call, wrong)
        good = good and not wrong
    return good
