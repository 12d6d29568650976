"""The oracle: what both ends of every call saw, joined to the ledger by Call-ID, against what was promised.

Pure: it is given all it judges, so each of its sentences can be shown to fail on a doctored log (test_oracle.py). Times
are seconds since the epoch, of one machine's clock.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from billing.pricelist import rate_from_json
from billing.rating import PricedCall
from tests.faults.relay import DELAY_S_MAX
from tests.support.messages import Message

ROUNDING_S = 0.15
"""Between a message at an end and its line in that end's log, or its time in the proxy."""
LATE_S = 1.0
"""BYEs leave within a second of the deadline (docs/architecture.md, rule 3)."""
RECOVERY_LIMIT_S = 10.0
TRIES_MIN = 10
"""So many must have dialled meanwhile, for some are refused for other reasons."""
IN_DIALOG_P99_S = 0.5
KEEPALIVE_LIMIT_S = 60
"""kamailio.cfg: keepalives every 30 s, looked at every 5 s, 10 s for an answer, and 10 s until the dialog goes."""
MARGIN_S = 4.5
"""A BYE is sent again after at most 4 s (RFC 3261 17.1.2.2): so long a fault acts on."""

# What a fault takes away, for as long as its window lasts. What is doubled or reordered (JITTER) arrives all the same,
# DELAY_S_MAX later at most: nothing that takes longer is excused by it.
PROXY, WIRE, JITTER, DATABASE = "proxy", "wire", "jitter", "database"


@dataclass(frozen=True)
class Window:
    """A fault and when it acted. `takes`: PROXY, WIRE (datagrams), JITTER or DATABASE; `node`: empty for both."""

    kind: str
    takes: str
    node: str
    start: float
    end: float

    def touches(self, node: str, start: float, end: float, margin: float = 0.0) -> bool:
        """Whether it acted on a node between two moments."""
        return self.node in ("", node) and self.start - margin <= end and start <= self.end + margin


@dataclass(frozen=True)
class Attempt:
    """A call as its two ends saw it: when, or None for never."""

    call_id: str
    node: str
    code: int = 0
    dialled: float = 0.0
    invited: float | None = None  # the callee heard of it
    answered: float | None = None  # the callee's first 200 went out
    connected: float | None = None  # the caller's first 200 came in
    hung_up: float | None = None  # the first BYE that an end sent
    hung_up_heard: float | None = None  # the first answer to a BYE of an end
    bye_to_caller: float | None = None
    bye_to_callee: float | None = None
    last: float = 0.0

    @property
    def over_at(self) -> float:
        """When one of the two had stopped talking."""
        return min(
            (at for at in (self.hung_up, self.bye_to_caller, self.bye_to_callee) if at is not None), default=self.last
        )

    @property
    def known_at(self) -> float:
        """When the proxy knew of that, at the latest."""
        known = (self.hung_up_heard, self.bye_to_caller, self.bye_to_callee)
        return min((at for at in known if at is not None), default=math.inf)


@dataclass(frozen=True)
class Leg:
    account_id: int
    charge: Decimal
    rate_json: str = ""
    bundle_s: int = 0
    """Its first seconds, that minute bundles paid."""


@dataclass(frozen=True)
class Record:
    """A CDR, and what its call's entries moved."""

    call_key: str
    call_id: str
    node: str
    opened_at: float
    grant_s: int
    talked_ms: int
    billed_s: int
    result: str
    end_reason: str = ""
    provisional: bool = False
    rated_at: datetime | None = None
    legs: tuple[Leg, ...] = ()
    moved: Mapping[int, Decimal] = field(default_factory=dict)


@dataclass(frozen=True)
class Purse:
    """An account's money, and the sum of its entries."""

    account_id: int
    balance: Decimal
    available: Decimal
    held: Decimal
    calls: int
    entries: Decimal


@dataclass(frozen=True)
class Evidence:
    """All that is known after a run. `doomed`: calls whose BYE or phone a relay took away. `lives`: calls that
    are live though all is over; `dialogs`: how many a node still has, and `channels`: how many it still counts at the
    carrier, which takes `channels_max` at once. `lost_nodes`: since when, by name; `untold`: the calls of the facts in
    their journals that no drain had brought to the ledger, and now nobody will."""

    attempts: Sequence[Attempt]
    records: Sequence[Record]
    purses: Sequence[Purse]
    windows: Sequence[Window]
    doomed: Mapping[str, str] = field(default_factory=dict)
    lives: Sequence[str] = ()
    dialogs: Mapping[str, int] = field(default_factory=dict)
    channels: Mapping[str, int] = field(default_factory=dict)
    channels_max: int | None = None
    audit: Sequence[Any] = ()
    lost_nodes: Mapping[str, float] = field(default_factory=dict)
    untold: frozenset[str] = frozenset()
    refused_facts: Sequence[str] = ()
    fatal_lines: Sequence[str] = ()


@dataclass
class Verdict:
    """What is wrong, a sentence each, and the sums."""

    findings: list[str] = field(default_factory=list)
    sums: Counter[str] = field(default_factory=Counter)
    worst: dict[str, float] = field(default_factory=dict)

    def say(self, kind: str, text: str) -> None:
        self.sums[f"finding: {kind}"] += 1
        self.findings.append(f"{kind}: {text}")

    def at_most(self, name: str, value: float) -> None:
        self.worst[name] = max(self.worst.get(name, -math.inf), value)


def judge(evidence: Evidence) -> Verdict:
    """Every promise, one after the other."""
    verdict = Verdict()
    found: dict[str, list[Record]] = defaultdict(list)
    for record in evidence.records:
        found[record.call_id].append(record)
    for attempt in evidence.attempts:
        verdict.sums["calls"] += 1
        verdict.sums[f"code {attempt.code or 'none'}"] += 1
        _judge_call(attempt, found.get(attempt.call_id, []), evidence, verdict)
    for record in evidence.records:
        _judge_money(record, verdict)
    _judge_books(evidence, verdict)
    _judge_channels(evidence, verdict)
    _judge_recovery(evidence, verdict)
    return verdict


# --- one call ---------------------------------------------------------------------------------------------------------


def _judge_call(attempt: Attempt, records: Sequence[Record], evidence: Evidence, verdict: Verdict) -> None:
    opened = [record for record in records if record.legs]
    restarted = _touched(evidence, attempt, PROXY, attempt.invited or 0.0, attempt.last)
    if attempt.connected is not None:
        verdict.sums["connected"] += 1
    if attempt.invited is None and attempt.connected is None:
        _judge_unopened(attempt, opened, evidence, verdict)
        return
    verdict.sums["authorized"] += 1
    if not opened:
        verdict.say("no CDR", f"{attempt} reached the callee, and no call was opened: {records}")
        return
    if len(opened) > 1:
        # An INVITE that is sent again after a restart is a new call to the proxy: at most one of them was answered.
        if not restarted or sum(record.result == "answered" for record in opened) > 1:
            verdict.say("several CDRs", f"{attempt}: {opened}")
        opened.sort(key=lambda record: record.result == "answered", reverse=True)
    record = opened[0]
    if record.opened_at > (attempt.invited or attempt.connected or 0.0) + ROUNDING_S:
        verdict.say("connected unauthorized", f"{attempt} reached the callee before it was opened: {record}")
    if record.result == "answered":
        verdict.sums["answered"] += 1
        _judge_seconds(attempt, record, evidence, verdict)
        _judge_deadline(attempt, record, evidence, verdict)
    elif attempt.connected is not None:
        talked = math.ceil(attempt.over_at - attempt.connected)
        verdict.sums["seconds undercharged"] += talked
        verdict.say("free call", f"{attempt} was connected for {talked} s: {record}")


def _judge_unopened(attempt: Attempt, opened: Sequence[Record], evidence: Evidence, verdict: Verdict) -> None:
    """No callee heard of it: it costs nothing, unless its node took the truth along."""
    for record in opened:
        if record.provisional:
            _count_provisional(attempt, record, 0, evidence, verdict)
        elif record.billed_s or any(leg.charge for leg in record.legs):
            verdict.say("charged for nothing", f"{attempt}: {record}")


def _judge_seconds(attempt: Attempt, record: Record, evidence: Evidence, verdict: Verdict) -> None:
    """Billed seconds against what the two certainly talked, and what they may have talked at most."""
    begun = attempt.answered if attempt.answered is not None else attempt.invited or 0.0
    certain_s = max(0.0, attempt.over_at - attempt.connected) if attempt.connected is not None else 0.0
    possible_s = attempt.known_at - begun
    least = min(math.ceil(certain_s - ROUNDING_S), record.grant_s)
    meant = math.ceil(certain_s + ROUNDING_S + _jitter_s(evidence, attempt)) if attempt.connected is not None else 0
    under = max(0, least - record.billed_s)
    if under:
        verdict.sums["seconds undercharged"] += under
        verdict.say("undercharged", f"{under} s of {certain_s:.2f} s: {attempt} {record}")
    if record.provisional:
        _count_provisional(attempt, record, meant, evidence, verdict)
        return
    over = max(0, record.billed_s - math.ceil(possible_s + ROUNDING_S)) if math.isfinite(possible_s) else 0
    if over:
        verdict.sums["seconds overcharged"] += over
        verdict.say("overcharged", f"{over} s, talked {possible_s:.2f} s at most: {attempt} {record}")
    late = max(0, record.billed_s - meant) - over
    if late > 0:
        _count_late(attempt, record, late, evidence, verdict)


def _jitter_s(evidence: Evidence, attempt: Attempt) -> float:
    """By how much datagrams that come late lengthen what is charged: the caller hears of the answer after the proxy,
    and the proxy of the hang-up after whoever hung up. Each may be held back once."""
    if attempt.answered is None or attempt.connected is None:
        return 0.0
    late = [one for one in evidence.windows if one.kind.startswith("reordered")]
    answer_late = any(
        one.touches(attempt.node, attempt.answered, attempt.connected, DELAY_S_MAX)
        for one in late
        if one.kind.endswith("callers")
    )
    hang_up_late = any(one.touches(attempt.node, attempt.over_at, attempt.over_at, DELAY_S_MAX) for one in late)
    return DELAY_S_MAX * (answer_late + hang_up_late)


def _count_provisional(attempt: Attempt, record: Record, meant: int, evidence: Evidence, verdict: Verdict) -> None:
    """The whole grant, flagged, because the node that knew is gone: only where one was lost before the call's end or
    took its truth along, or died in that moment."""
    over = max(0, record.billed_s - meant)
    verdict.sums["calls charged provisionally"] += 1
    verdict.sums["seconds overcharged, node lost"] += over
    started = attempt.invited or attempt.last
    lost = record.node in evidence.lost_nodes and (
        record.call_key in evidence.untold
        or evidence.lost_nodes[record.node] <= max(attempt.last, started) + MARGIN_S
    )
    moments = (attempt.answered, attempt.over_at) if attempt.answered is not None else (started, attempt.last)
    if not lost and not any(_touched(evidence, attempt, PROXY, moment, moment) for moment in moments):
        verdict.say("provisional", f"{attempt} and no node was lost: {record}")
    if record.billed_s > record.grant_s:
        verdict.say("beyond the grant", f"{attempt}: {record}")


def _count_late(attempt: Attempt, record: Record, late: int, evidence: Evidence, verdict: Verdict) -> None:
    """Seconds between a hang-up and the proxy's hearing of it, or between the answer and the caller's hearing of it:
    the wire's and the downtime's, and no others."""
    fate = evidence.doomed.get(attempt.call_id, "")
    spans = [(attempt.over_at, min(attempt.over_at + late, attempt.last))]
    if attempt.answered is not None:
        spans.append((attempt.answered, attempt.connected if attempt.connected is not None else attempt.over_at))
    for name, cause in (
        (fate, bool(fate)),
        ("datagrams lost", any(_touched(evidence, attempt, WIRE, *span) for span in spans)),
        ("proxy down", any(_touched(evidence, attempt, PROXY, *span) for span in spans)),
    ):
        if cause:
            verdict.sums[f"seconds charged after the hang-up, {name}"] += late
            verdict.at_most(f"seconds charged after one hang-up, {name}", late)
            if late > KEEPALIVE_LIMIT_S + _restarted_after_s(evidence, attempt):
                verdict.say("late without end", f"{late} s after the hang-up: {attempt} {record}")
            return
    verdict.sums["seconds overcharged"] += late
    verdict.say("overcharged", f"{late} s after the hang-up, and nothing was broken: {attempt} {record}")


def _restarted_after_s(evidence: Evidence, attempt: Attempt) -> float:
    """How long after the hang-up its node was last restarted: keepalives begin anew then."""
    ends = [
        one.end
        for one in evidence.windows
        if one.takes == PROXY and one.touches(attempt.node, attempt.over_at, attempt.last)
    ]
    return max(0.0, max(ends, default=0.0) - attempt.over_at)


def _judge_deadline(attempt: Attempt, record: Record, evidence: Evidence, verdict: Verdict) -> None:
    """The BYEs leave at the deadline and within a second of it, while the proxy is up and the wire carries them."""
    if attempt.connected is None or attempt.answered is None:
        return
    _judge_reason(attempt, record, evidence, verdict)
    deadline = attempt.connected + record.grant_s
    doomed = attempt.call_id in evidence.doomed
    # What broke long before the deadline is no excuse for missing it: a cutter that forgets is found that way.
    disturbed = doomed or any(
        _touched(evidence, attempt, takes, deadline, deadline + LATE_S) for takes in (PROXY, WIRE)
    )
    if record.end_reason == "cut":
        verdict.sums["cut"] += 1
        verdict.sums["cuts judged"] += not disturbed
        _judge_cut(attempt, record, deadline, disturbed, evidence, verdict)
    past = attempt.over_at - deadline - LATE_S
    if past > 0 and not disturbed:
        verdict.sums["seconds talked past the grant"] += math.ceil(past)
        if record.end_reason != "cut":
            verdict.say("talked past the grant", f"{past:.2f} s more than a second: {attempt} {record}")
    elif past > 0:
        verdict.sums["seconds talked past the grant, proxy down or wire broken"] += math.ceil(past + LATE_S)
        late = attempt.over_at - _whole_again(evidence, attempt, deadline) - LATE_S
        if late > 0 and not doomed:
            verdict.say("talked past the grant", f"{late:.2f} s after all was well again: {attempt} {record}")


def _whole_again(evidence: Evidence, attempt: Attempt, deadline: float) -> float:
    """When nothing kept the BYEs back any more that were due at the deadline: what broke then is over, and what broke
    before that was over, too."""
    broken = sorted(
        (window.start - MARGIN_S, window.end + MARGIN_S)
        for window in evidence.windows
        if window.takes in (PROXY, WIRE) and window.node in ("", attempt.node)
    )
    for start, end in broken:
        if start <= deadline + LATE_S:
            deadline = max(deadline, end)
    return deadline


def _judge_cut(
    attempt: Attempt, record: Record, deadline: float, disturbed: bool, evidence: Evidence, verdict: Verdict
) -> None:
    """Both ends are told, at the deadline. Its earliest is the callee's: nobody talked before he answered."""
    assert attempt.answered is not None, "it was connected"
    assert attempt.connected is not None, "it was connected"
    earliest = attempt.answered + record.grant_s
    blurred = attempt.call_id in evidence.doomed or _touched(
        evidence, attempt, WIRE, attempt.answered, attempt.connected
    )
    for end, bye in (("caller", attempt.bye_to_caller), ("callee", attempt.bye_to_callee)):
        if bye is None:
            if not disturbed and attempt.hung_up is None:
                verdict.say("no BYE", f"the {end} of {attempt}: {record}")
            continue
        late = bye - deadline
        if not disturbed:
            verdict.at_most("cut late by, s", late)
            if late > LATE_S:
                verdict.say("cut late", f"the {end} of {attempt}, {late:.2f} s: {record}")
        if not blurred:
            verdict.at_most("cut early by, s", earliest - bye)
            if earliest - bye > LATE_S and bye <= attempt.over_at:
                verdict.say("cut early", f"the {end} of {attempt}, {late:.2f} s: {record}")


def _judge_reason(attempt: Attempt, record: Record, evidence: Evidence, verdict: Verdict) -> None:
    """Who is up stays up: a call ends because one of the two hung up, its money is over, or a phone is gone."""
    told = min((at for at in (attempt.bye_to_caller, attempt.bye_to_callee) if at is not None), default=math.inf)
    wished = attempt.hung_up is not None and attempt.hung_up <= told
    if (
        record.end_reason not in ("caller", "callee", "cut")
        and not record.provisional
        and not wished
        and attempt.call_id not in evidence.doomed
    ):
        verdict.say("ended for no reason", f"{attempt}: {record}")


def _touched(evidence: Evidence, attempt: Attempt, takes: str, start: float, end: float) -> bool:
    return any(
        window.takes == takes and window.touches(attempt.node, start, end, MARGIN_S) for window in evidence.windows
    )


# --- the books --------------------------------------------------------------------------------------------------------


def _judge_money(record: Record, verdict: Verdict) -> None:
    """Each leg's charge is the rate's for the billed seconds, and the entries are the charges."""
    verdict.sums["CDRs"] += 1
    expected = {}
    for leg in record.legs:
        if leg.rate_json and record.rated_at is not None:
            priced = PricedCall(
                rate_from_json(leg.rate_json), record.rated_at.replace(tzinfo=UTC), max(record.grant_s, 1)
            )
            if leg.charge != priced.cost(record.billed_s, leg.bundle_s):
                verdict.say("wrong charge", f"{leg} of {record}")
            if leg.bundle_s != priced.bundle_used(record.billed_s, leg.bundle_s):
                verdict.say("wrong bundle", f"{leg} of {record}")
            verdict.sums["seconds that minute bundles paid"] += leg.bundle_s
        if leg.charge:
            expected[leg.account_id] = expected.get(leg.account_id, Decimal(0)) - leg.charge
    moved = {account: amount for account, amount in record.moved.items() if amount}
    if moved != expected:
        verdict.say("entries differ", f"{moved} moved: {record}")
    if record.billed_s > record.grant_s:
        verdict.say("beyond the grant", f"{record}")
    if not record.provisional and record.billed_s != min(-(-record.talked_ms // 1000), record.grant_s):
        verdict.say("wrong seconds", f"{record}")


def _judge_books(evidence: Evidence, verdict: Verdict) -> None:
    for purse in evidence.purses:
        if purse.balance != purse.entries:
            verdict.say("balance", f"entries sum up to {purse.entries}: {purse}")
        if purse.available < 0:
            verdict.say("overdrawn", f"{purse}")
        if (purse.held or purse.calls) and not evidence.lives:
            verdict.say("hold without a call", f"{purse}")
    dialogs = [f"{count} at {node}" for node, count in evidence.dialogs.items() if count]
    channels = [f"{count} at {node}" for node, count in evidence.channels.items() if count]
    for kind, left in (
        ("call never settled", evidence.lives),
        ("dialog without a call", dialogs),
        ("channel without a call", channels),
        ("audit", evidence.audit),
        ("fact refused", evidence.refused_facts),
        ("fatal", evidence.fatal_lines),
    ):
        for one in left:
            verdict.say(kind, f"{one}")


def _judge_channels(evidence: Evidence, verdict: Verdict) -> None:
    """Of one node never more at once than the carrier takes. (Of both a few more: each hears of the other's late.)"""
    changes: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for attempt in evidence.attempts:
        if attempt.connected is not None and attempt.connected + 2 * ROUNDING_S < attempt.over_at:
            changes[attempt.node] += [(attempt.connected + ROUNDING_S, 1), (attempt.over_at - ROUNDING_S, -1)]
    for node, moments in changes.items():
        now = most = 0
        for _, change in sorted(moments):
            now += change
            most = max(most, now)
        verdict.at_most("calls up at once, of one node", most)
        if evidence.channels_max is not None and most > evidence.channels_max:
            verdict.say("carrier too full", f"{most} calls of {node}, at most {evidence.channels_max}")
    full = sum(record.result == "no_carrier" for record in evidence.records)
    if evidence.channels_max is not None:
        verdict.sums["calls refused at a full carrier"] += full
    elif full:
        verdict.say("no carrier", f"{full} calls, and the carrier takes any number")


# --- recovery ---------------------------------------------------------------------------------------------------------


def _judge_recovery(evidence: Evidence, verdict: Verdict) -> None:
    """Within ten seconds of the database's return somebody connects, at each node that nothing else ails."""
    connected: dict[str, list[float]] = defaultdict(list)
    tried: dict[str, list[float]] = defaultdict(list)
    for attempt in evidence.attempts:
        if attempt.connected is not None:
            connected[attempt.node].append(attempt.connected)
        tried[attempt.node].append(attempt.dialled)
    for window in evidence.windows:
        if window.takes != DATABASE:
            continue
        for node, moments in tried.items():
            if window.node not in ("", node):
                continue
            limit = window.end + RECOVERY_LIMIT_S
            others = (
                other
                for other in evidence.windows
                if other is not window
                and other.takes in (PROXY, DATABASE)
                and other.touches(node, window.end, limit)
                and other.end > window.end
            )
            if any(others) or sum(window.end <= at <= limit - 2 for at in moments) < TRIES_MIN:
                continue
            verdict.sums["returns of the database watched"] += 1
            first = min((at for at in connected[node] if at > window.end), default=math.inf)
            verdict.at_most("first call after the database's return, s", first - window.end)
            if first > limit:
                verdict.say("no recovery", f"{node}: {first - window.end:.1f} s after {window}")


def judge_drill(in_dialog_s: Sequence[float], calls_up: int, recovered_s: float, verdict: Verdict) -> None:
    """Requests within dialogs while the database hangs, with so many calls up, and the first new call after."""
    verdict.sums["calls up while the database hung"] += calls_up
    verdict.sums["in-dialog requests while the database hung"] += len(in_dialog_s)
    slow = percentile(in_dialog_s, 0.99)
    verdict.at_most("in-dialog p99 while the database hung, s", slow)
    verdict.at_most("first call after the drill, s", recovered_s)
    if calls_up < 200:
        verdict.say("drill", f"only {calls_up} calls were up")
    if slow >= IN_DIALOG_P99_S:
        verdict.say("in-dialog slow", f"p99 {slow:.3f} s")
    if recovered_s > RECOVERY_LIMIT_S:
        verdict.say("no recovery", f"{recovered_s:.1f} s after the drill")


def percentile(values: Sequence[float], part: float) -> float:
    """The value that `part` of all do not exceed; infinite for none, which is no good answer either."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else math.inf


# --- from logs --------------------------------------------------------------------------------------------------------


def attempts_of(callers: Mapping[str, Sequence[Message]], callee: Sequence[Message]) -> list[Attempt]:
    """The call attempts in SIPp's logs: those of each node's callers (NODE-KIND), and the carrier's."""
    heard: dict[str, tuple[str, list[Message]]] = {}
    for name, messages in callers.items():
        for message in messages:
            if message.call_id:
                heard.setdefault(message.call_id, (name.partition("-")[0], []))[1].append(message)
    answering: dict[str, list[Message]] = defaultdict(list)
    for message in callee:
        answering[message.call_id].append(message)
    return [_attempt(call_id, node, messages, answering[call_id]) for call_id, (node, messages) in heard.items()]


def _attempt(call_id: str, node: str, caller: Sequence[Message], callee: Sequence[Message]) -> Attempt:
    finals = [
        one.code for one in caller if not one.sent and one.method == "INVITE" and one.code >= 200 and one.code != 407
    ]
    both = (caller, callee)
    return Attempt(
        call_id,
        node,
        dialled=min(one.at for one in caller),
        code=200 if 200 in finals else finals[-1] if finals else 0,
        invited=_first(callee, lambda one: not one.sent and one.is_request and one.method == "INVITE"),
        answered=_first(callee, lambda one: one.sent and one.code == 200 and one.method == "INVITE"),
        connected=_first(caller, lambda one: not one.sent and one.code == 200 and one.method == "INVITE"),
        hung_up=_earliest(_first(end, lambda one: one.sent and one.is_request and one.method == "BYE") for end in both),
        hung_up_heard=_earliest(
            _first(end, lambda one: not one.sent and one.code >= 200 and one.method == "BYE") for end in both
        ),
        bye_to_caller=_first(caller, lambda one: not one.sent and one.is_request and one.method == "BYE"),
        bye_to_callee=_first(callee, lambda one: not one.sent and one.is_request and one.method == "BYE"),
        last=max(one.at for end in both for one in end),
    )


def _first(messages: Iterable[Message], matches: Any) -> float | None:
    return next((one.at for one in messages if matches(one)), None)


def _earliest(moments: Iterable[float | None]) -> float | None:
    return min((at for at in moments if at is not None), default=None)
