"""The truth is the wire: what both ends of every call saw, joined to the ledger by Call-ID."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from typing import Protocol

from billing.ledger_types import Cdr
from billing.pricelist import rate_from_json
from billing.rating import PricedCall
from stack.processes import StackError, wait_until
from tests.support.messages import Message
from tests.support.world import World

WITHOUT_CDR = ("bad_credentials", "unknown_caller", "merged")
"""Refused before anybody knew whose call it was: a counter and a log line, no CDR."""
CODES_WITHOUT_CDR = (400, 407, 481, 482, 483)
TOLERANCE_S = 1.0


class End(Protocol):
    """One end of calls: a SIPp process or a raw one."""

    def messages(self) -> list[Message]: ...


@dataclass(frozen=True)
class Call:
    """One call attempt as its caller saw it, and the CDR it left."""

    call_id: str
    final: Message | None
    caller: tuple[Message, ...]
    callee: tuple[Message, ...]
    cdr: Cdr | None

    @property
    def code(self) -> int:
        """The final answer to the caller's INVITE; 0 when none came."""
        return self.final.code if self.final else 0

    @property
    def token(self) -> str:
        return self.final.token if self.final else ""

    @property
    def answered(self) -> bool:
        return self.code == 200

    @property
    def charges(self) -> tuple[Decimal, ...]:
        """What each leg paid, the caller's own account first."""
        return tuple(leg.charge for leg in self.cdr.legs) if self.cdr else ()

    @property
    def charge(self) -> Decimal:
        """What the caller's own account paid."""
        return self.charges[0] if self.charges else Decimal(0)

    @property
    def outcome(self) -> tuple[int, str]:
        return self.code, self.token

    @property
    def seconds(self) -> float:
        """From 200 to the first BYE at the caller's end."""
        return talk_seconds(self.caller)

    def lasted(self, seconds: int) -> bool:
        """Whether it was cut at its last funded second, and at most 1 s after it (docs/architecture.md, rule 3)."""
        return -0.1 <= self.seconds - seconds <= TOLERANCE_S

    @property
    def ended_by_proxy(self) -> bool:
        """Whether a BYE came to the caller and another to the callee."""
        return _has_bye(self.caller, sent=False) and _has_bye(self.callee, sent=False)


def truth(world: World, callers: Sequence[End], callees: Sequence[End] = (), *, reachable: bool = True) -> list[Call]:
    """Join both ends to the CDRs and check what must hold for every call there is; the calls, as first sent.

    Each answered leg has exactly one CDR, whose seconds are those on the wire at both ends; charge, rating engine
    and ledger entries agree; a call that was not answered costs nothing. `reachable`: a callee answered by SIPp.
    """
    calls = _told(callers, callees)
    wanted = [call.call_id for call in calls if leaves_a_cdr(call) and not may_lack_a_cdr(call)]
    try:
        wait_until(lambda: all(world.cdrs(wanted).values()), 10, "every call has its CDR", poll_s=0.05)
    except StackError:
        missing = [call_id for call_id, cdrs in world.cdrs(wanted).items() if not cdrs]
        raise AssertionError(f"{len(missing)} of {len(wanted)} calls have no CDR: {missing[:5]}") from None
    cdrs = world.cdrs([call.call_id for call in calls])
    joined = []
    for call in calls:
        found = cdrs[call.call_id]
        right = (0, 1) if may_lack_a_cdr(call) else (1,) if leaves_a_cdr(call) else (0,)
        assert len(found) in right, f"{call.call_id} {call.outcome}: {found}"
        joined.append(Call(call.call_id, call.final, call.caller, call.callee, found[0] if found else None))
    for call in joined:
        check(world, call, both_ends=reachable and bool(callees))
    return joined


def _told(callers: Sequence[End], callees: Sequence[End]) -> list[Call]:
    """The calls as both ends saw them, once those that were answered have their BYEs; or as they are after 3 s."""

    def seen() -> list[Call]:
        heard = _by_call_id(message for end in callers for message in end.messages())
        answering = _by_call_id(message for end in callees for message in end.messages())
        return [_as_seen(call_id, messages, answering.get(call_id, [])) for call_id, messages in heard.items()]

    def over(call: Call) -> bool:
        ends = (call.caller, call.callee) if call.callee else (call.caller,)
        return not call.answered or all(any(one.is_request and one.method == "BYE" for one in end) for end in ends)

    with contextlib.suppress(StackError):  # a BYE that never came is for `check` to say
        wait_until(lambda: all(map(over, seen())), 3, "every answered call has its BYEs", poll_s=0.05)
    return seen()


def leaves_a_cdr(call: Call) -> bool:
    return call.final is not None and call.token not in WITHOUT_CDR and call.code not in CODES_WITHOUT_CDR


def may_lack_a_cdr(call: Call) -> bool:
    """Cancelled so early that no callee heard of it: perhaps before it was known whose call it was."""
    return call.code == 487 and not call.callee


def check(world: World, call: Call, *, both_ends: bool) -> None:
    """What holds for every call, whatever its scenario."""
    cdr = call.cdr
    if cdr is None:
        return
    where = f"{call.call_id} {call.outcome} {cdr}"
    if call.answered:
        assert cdr.result == "answered", where
        assert cdr.end_reason in ("caller", "callee", "cut", "keepalive", "administrator"), where
        ends = [call.caller, _winning_leg(call)] if both_ends else [call.caller]
        for messages in ends:
            seconds = talk_seconds(messages)
            assert abs(seconds - cdr.talked_ms / 1000) <= TOLERANCE_S, f"{seconds} s on the wire: {where}"
    else:
        assert cdr.result != "answered", where
        assert (cdr.talked_ms, cdr.billed_s) == (0, 0), where
        assert sum(call.charges) == 0, where
        assert not call.token or cdr.result == call.token, where
        assert cdr.sip_code == call.code, where
    assert not cdr.provisional, where
    assert cdr.billed_s == min(-(-cdr.talked_ms // 1000), cdr.grant_s), where
    _check_losing_legs(call)
    _check_money(world, cdr)


def _check_money(world: World, cdr: Cdr) -> None:
    expected: dict[int, Decimal] = {}
    for leg in cdr.legs:
        assert cdr.rated_at is not None
        priced = PricedCall(rate_from_json(leg.rate_json), cdr.rated_at.replace(tzinfo=UTC), max(cdr.grant_s, 1))
        assert leg.charge == priced.cost(cdr.billed_s, leg.bundle_s), f"leg {leg.leg} of {cdr}"
        if leg.charge:
            expected[leg.account_id] = -leg.charge
    assert world.entries_of_call(cdr.call_key) == expected, cdr


def _check_losing_legs(call: Call) -> None:
    """Every 2xx that a callee gave and that did not reach the caller was acknowledged and ended."""
    tags = {one.to_tag for one in call.callee if one.sent and one.code == 200 and one.method == "INVITE"}
    winner = call.final.to_tag if call.final is not None and call.answered else ""
    for tag in tags - {winner}:
        leg = [one for one in call.callee if tag in (one.to_tag, one.from_tag)]
        requests = [one.method for one in leg if one.is_request and not one.sent]
        assert "BYE" in requests, f"{call.call_id}: the losing leg {tag} was never told: {requests}"


def talk_seconds(messages: Sequence[Message]) -> float:
    """From the first 200 of an INVITE to the first BYE, as one end saw it."""
    answer = next((one.at for one in messages if one.code == 200 and one.method == "INVITE"), None)
    end = next((one.at for one in messages if one.is_request and one.method == "BYE"), None)
    assert answer is not None, "no 200 on the wire"
    assert end is not None, "no BYE on the wire"
    return end - answer


def _winning_leg(call: Call) -> tuple[Message, ...]:
    assert call.final is not None
    tag = call.final.to_tag
    leg = tuple(one for one in call.callee if tag in (one.to_tag, one.from_tag))
    assert leg, f"{call.call_id}: no callee knows the To-tag {tag}"
    return leg


def _as_seen(call_id: str, caller: list[Message], callee: list[Message]) -> Call:
    finals = [
        one
        for one in caller
        if not one.sent and one.method == "INVITE" and one.code >= 200 and _is_initial(one, caller)
    ]
    answers = [one for one in finals if one.code == 200]
    final = answers[0] if answers else finals[-1] if finals else None
    return Call(call_id, final, tuple(caller), tuple(callee), None)


def _is_initial(response: Message, messages: list[Message]) -> bool:
    """Whether a response is to an INVITE without To-tag."""
    return any(
        one.sent and one.is_request and one.method == "INVITE" and not one.to_tag and one.cseq == response.cseq
        for one in messages
    )


def _has_bye(messages: Sequence[Message], *, sent: bool) -> bool:
    return any(one.is_request and one.method == "BYE" and one.sent == sent for one in messages)


def _by_call_id(messages: Iterable[Message]) -> dict[str, list[Message]]:
    found: dict[str, list[Message]] = {}
    for message in sorted(messages, key=lambda one: one.at):
        if message.call_id:
            found.setdefault(message.call_id, []).append(message)
    return found
