"""What goes to and comes from the ledger about rate decks and corrected charges. Times are aware UTC datetimes."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

ChangeKind = Literal["new", "dearer", "cheaper", "changed", "unchanged", "gone"]
DeckState = Literal["open", "compared", "applied", "discarded"]


@dataclass(frozen=True, slots=True)
class DeckSummary:
    """What a deck would do to its tariff, or did. `tariff_version`: compared with, or made."""

    deck_key: str
    state: DeckState
    replaces: bool
    effective_from: datetime | None
    rates: int
    added: int
    dearer: int
    cheaper: int
    changed: int
    unchanged: int
    gone: int
    tariff_version: int

    @property
    def changes(self) -> int:
        """How many rates are not what they were."""
        return self.added + self.dearer + self.cheaper + self.changed + self.gone


@dataclass(frozen=True, slots=True)
class DeckProblem:
    """Two lines of a deck that do not go together: `duplicate` (one prefix, one beginning) or `overlap`."""

    problem: Literal["duplicate", "overlap"]
    prefix: str
    line: int
    other_line: int
    effective_from: datetime


@dataclass(frozen=True, slots=True)
class DeckChange:
    """A row of v_deck_change: a rate of a deck beside the one in effect, of which either may be missing (None)."""

    kind: ChangeKind
    prefix: str
    line: int | None
    destination: str
    effective_from: datetime
    effective_to: datetime | None
    price: Decimal | None
    per_s: int | None
    connect_fee: Decimal | None
    initial_s: int | None
    increment_s: int | None
    blocked: bool | None
    old_destination: str | None
    old_price: Decimal | None
    old_per_s: int | None
    old_connect_fee: Decimal | None
    old_initial_s: int | None
    old_increment_s: int | None
    old_blocked: bool | None
    old_effective_to: datetime | None


@dataclass(frozen=True, slots=True)
class DeckRow:
    """A row of v_deck: an import, under way or done."""

    deck_key: str
    tariff_name: str
    state: DeckState
    actor: str
    opened_at: datetime
    replaces: bool
    effective_from: datetime | None
    rates: int
    added: int
    dearer: int
    cheaper: int
    changed: int
    unchanged: int
    gone: int
    tariff_version: int | None
    applied_at: datetime | None


# --- corrections ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LegToRerate:
    """A row of v_charged_leg: what a leg of a call comes to now, and what it takes to work it out again."""

    call_key: str
    leg: int
    account_id: int
    account_name: str
    currency: str
    tariff_id: int
    destination: str
    callee: str
    rated_at: datetime
    grant_s: int
    billed_s: int
    provisional: bool
    bundle_s: int
    charge: Decimal
    comes_to: Decimal


@dataclass(frozen=True, slots=True)
class CorrectionAnswer:
    """'corrected', 'already' (in this run), or 'stale': the leg comes to something else by now, or to nothing sure.

    `amount` is the entry's: positive when money went back; with what the account had after it. None when stale.
    """

    outcome: Literal["corrected", "already", "stale"]
    account_id: int
    amount: Decimal | None
    balance: Decimal | None
    available: Decimal | None
