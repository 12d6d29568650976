"""What reports of a period answer: statements, traffic, exported CDRs, retention."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

TrafficBy = Literal["destination", "reseller", "carrier", "account"]


@dataclass(frozen=True, slots=True)
class StatementLine:
    """A change of a balance, and the balance after it. Of a call: the number, its destination, the seconds charged."""

    at: datetime
    kind: str
    entry_key: str
    call_key: str | None
    destination: str | None
    number: str | None
    seconds: int | None
    amount: Decimal
    balance: Decimal
    reason: str
    reference: str


@dataclass(frozen=True, slots=True)
class Statement:
    """The entries of an account from `begin` up to but without `end`: opening + amounts = closing."""

    account: str
    currency: str
    begin: datetime
    end: datetime
    opening: Decimal
    lines: tuple[StatementLine, ...]
    closing: Decimal

    def __post_init__(self) -> None:
        total = self.opening + sum((line.amount for line in self.lines), Decimal(0))
        assert total == self.closing, f"statement of {self.account}: {total} is not {self.closing}"


@dataclass(frozen=True, slots=True)
class Traffic:
    """Calls of a period under one name, on one level in one currency. Level 1: what the vendor sold; level 2: what
    accounts of level 1 sold.. None: calls that were refused before they were opened, counted in `refused` alone, or
    all levels together.

    `revenue` is what the level paid, `cost` what its seller paid for the same calls (None: not known), `margin` the
    difference.
    """

    name: str | None
    level: int | None
    currency: str
    calls: int
    refused: int
    answered: int
    talked_ms: int
    billed_s: int
    revenue: Decimal
    cost: Decimal | None
    failed_attempts: int = 0
    """Under a carrier's name: calls that it failed and that went on to another, which is where they are counted."""

    @property
    def attempts(self) -> int:
        return self.calls + self.failed_attempts

    @property
    def margin(self) -> Decimal | None:
        return None if self.cost is None else self.revenue - self.cost

    @property
    def asr_percent(self) -> Decimal | None:
        """Answer-seizure ratio: answered calls of all that were opened; of a carrier, of all attempts there."""
        return (Decimal(100) * self.answered / self.attempts).quantize(Decimal("0.1")) if self.attempts else None

    @property
    def acd_s(self) -> Decimal | None:
        """Average call duration: seconds talked of answered calls."""
        return (Decimal(self.talked_ms) / 1000 / self.answered).quantize(Decimal("0.1")) if self.answered else None


@dataclass(frozen=True, slots=True)
class ExportedLeg:
    """What one account of the chain was charged; minute bundles paid for its first `bundle_s`."""

    leg: int
    account_name: str
    currency: str
    destination: str
    charge: Decimal
    bundle_s: int = 0


@dataclass(frozen=True, slots=True)
class ExportedCdr:
    """A CDR of the export. A `version` above 1 replaces what came under the same call_key before."""

    position: int
    version: int
    call_key: str
    node: str
    account_name: str | None
    user_name: str | None
    caller: str
    callee: str
    dialled: str
    source: str
    sip_call_id: str
    carrier_name: str | None
    rated_at: datetime | None
    opened_at: datetime
    answered_at: datetime | None
    ended_at: datetime
    settled_at: datetime
    grant_s: int
    talked_ms: int
    billed_s: int
    result: str
    detail: str
    end_reason: str
    sip_code: int | None
    provisional: bool
    shown: str
    carrier_cost: Decimal | None
    carrier_currency: str | None
    archived: bool
    legs: tuple[ExportedLeg, ...]


@dataclass(frozen=True, slots=True)
class Archivable:
    """What retention would move. `provisional`: calls that stay because their truth is not known yet."""

    calls: int
    entries: int
    provisional: int


@dataclass(frozen=True, slots=True)
class Archived:
    """What one batch of retention moved; `done`: there was nothing left."""

    calls: int
    entries: int
    done: bool
