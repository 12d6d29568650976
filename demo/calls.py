"""The demo's calls: what each is told to do, and whether it did exactly that, down to the last cent."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from billing.ledger_types import Cdr
from cli.output import money
from demo.sip import Line, Message

WAITS_MS = 40_000
"""A caller who does not hang up: the proxy ends his call long before."""
CLOCK_ERROR_S = 0.25
"""Between the caller's clock and the proxy's, on a busy machine; one started second more or less is the same call."""
BYE_LATE_S = 1.0
"""docs/architecture.md, rule 3: the BYEs of a cut leave within a second after the deadline."""


@dataclass(frozen=True)
class Plan:
    """One call as it is told: from whom, to where, for how long, and what must come of it."""

    name: str
    line: Line
    number: str
    account: str
    talk_ms: int = WAITS_MS
    after: tuple[str, float] | None = None
    """Starts so many seconds after the answer of that call; None: at once."""
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    """Account to price of a second, for each account that pays. Empty: the call must be refused."""
    code: int = 200
    token: str = ""
    end_reason: str = "caller"
    cut_after_s: int | None = None


@dataclass
class Played:
    """A call as it went: what the caller's end saw, what the carrier's end saw, and the CDR."""

    plan: Plan
    wire: Sequence[Message] = ()
    carrier: Sequence[Message] = ()
    cdr: Cdr | None = None

    @property
    def answered(self) -> Message | None:
        """The 200 of the INVITE at the caller."""
        return next((one for one in self.wire if one.code == 200 and not one.sent), None)

    @property
    def bye(self) -> Message | None:
        """The first BYE at the caller, sent or received."""
        return next((one for one in self.wire if one.method == "BYE"), None)

    @property
    def final(self) -> Message | None:
        """The answer to the INVITE, challenges aside."""
        return next((one for one in self.wire if one.code >= 200 and one.code != 407 and not one.sent), None)

    @property
    def talked_s(self) -> float:
        """From answer to BYE by the caller's clock."""
        if self.answered is None or self.bye is None:
            return 0.0
        return self.bye.at_s - self.answered.at_s

    def charges(self) -> dict[str, Decimal]:
        """What the call must have cost each account: the price of a second times the seconds billed."""
        seconds = self.cdr.billed_s if self.cdr else 0
        return {account: price * seconds for account, price in self.plan.prices.items()}


def faults(call: Played) -> Iterator[str]:
    """Everything about a call that is not as it was told, in words. None is the only good answer."""
    plan, final, cdr = call.plan, call.final, call.cdr
    if final is None or final.code != plan.code:
        yield f"SIP said {final.reason if final else 'nothing'}, not {plan.code}"
    elif final.token != plan.token:
        yield f"the refusal's token is {final.token!r}, not {plan.token!r}"
    if cdr is None:
        yield "there is no CDR"
    elif plan.code == 200:
        yield from _faults_of_answered(call, cdr)
    elif (cdr.result, cdr.billed_s, cdr.legs) != (plan.token, 0, ()):
        yield f"the CDR says {cdr.result}, {cdr.billed_s} s, {len(cdr.legs)} charges"


def _faults_of_answered(call: Played, cdr: Cdr) -> Iterator[str]:
    plan = call.plan
    if (cdr.result, cdr.end_reason) != ("answered", plan.end_reason):
        yield f"the CDR says {cdr.result}, ended by {cdr.end_reason}, not by {plan.end_reason}"
    if plan.cut_after_s is None:
        least, most = (max(1, math.ceil(call.talked_s + error)) for error in (-CLOCK_ERROR_S, CLOCK_ERROR_S))
        if not least <= cdr.billed_s <= most:
            yield f"{cdr.billed_s} s were billed, {call.talked_s:.2f} s talked"
    elif cdr.billed_s != plan.cut_after_s:
        yield f"{cdr.billed_s} s were billed, not {plan.cut_after_s}"
    elif abs(call.talked_s - plan.cut_after_s) > BYE_LATE_S:
        yield f"the BYE came after {call.talked_s:.2f} s, not {plan.cut_after_s}"
    charged = {leg.account_name: leg.charge for leg in cdr.legs}
    if charged != call.charges():
        yield f"charged {_shown(charged)}, not {_shown(call.charges())}"
    byes = {one.call_id for one in call.carrier if one.method == "BYE"}
    if cdr.sip_call_id not in byes:
        yield "the called side was sent no BYE"


def _shown(charges: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{account} {money(charge)}" for account, charge in charges.items()) or "nobody"
