"""What goes to the ledger and what it answers. Money is Decimal, times are aware UTC datetimes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple

AccountKind = Literal["reseller", "customer", "card"]
AccountStatus = Literal["active", "suspended", "closed"]
TrunkKind = Literal["customer", "caller_number", "ivr"]

# --- who is calling ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Leg:
    """One account of a caller's chain as it is now, not locked: leg 0 is his own, each next one the parent."""

    leg: int
    account_id: int
    account_name: str
    parent_id: int | None
    kind: AccountKind
    status: AccountStatus
    expires_at: datetime | None
    currency: str
    country_code: str
    international_prefixes: str
    national_prefix: str
    max_calls: int | None
    low_balance: Decimal | None
    low_balance_max_calls: int | None
    max_calls_per_second: int | None
    longest_call_s: int | None
    tariff_id: int
    tariff_version: int
    decimals: int
    rounding: str
    zone: str
    balance: Decimal
    held: Decimal
    credit_limit: Decimal
    calls: int
    daily_spend_limit: Decimal | None = None
    spent_today: Decimal = Decimal(0)
    premium_allowed: bool = False
    prefix_rules: str | None = None
    """As billing.barring reads them."""
    parent_hold_limit: Decimal | None = None
    parent_held: Decimal = Decimal(0)
    """What its live calls hold of its parent's money, if that is limited."""
    loss_allowed: bool | int = False
    carrier_order: str | None = None
    has_bundles: bool = False
    """Whether it is worth asking for its minute bundles."""

    @property
    def available(self) -> Decimal:
        """What the account can spend."""
        return self.balance + self.credit_limit - self.held

    @property
    def room_today(self) -> Decimal | None:
        """What the day's spending limit leaves; None: it has none."""
        if self.daily_spend_limit is None:
            return None
        return max(Decimal(0), self.daily_spend_limit - self.spent_today - self.held)

    @property
    def parent_room(self) -> Decimal | None:
        """What this account may still hold of its parent's money; None: there is no limit."""
        if self.parent_hold_limit is None:
            return None
        return max(Decimal(0), self.parent_hold_limit - self.parent_held)


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller whom a credential names, not verified yet: the hashes to compare with, and whom his calls charge."""

    legs: tuple[Leg, ...]
    now: datetime
    """The database's clock."""
    user_id: int | None
    user_name: str | None
    user_status: str | None
    user_max_calls: int | None
    ha1_md5: str | None
    ha1_sha256: str | None
    pin_hash: str | None
    card_number: str | None
    user_longest_call_s: int | None = None
    user_max_calls_per_second: int | None = None
    user_prefix_rules: str | None = None
    shown_numbers: str | None = None
    """What he may show, with commas between, the default first; with a * at its end a range."""


@dataclass(frozen=True, slots=True)
class RateRow:
    """A row of v_rate."""

    rate_id: int
    tariff_id: int
    tariff_name: str
    tariff_version: int
    currency: str
    decimals: int
    rounding: str
    zone: str
    prefix: str
    destination: str
    connect_fee: Decimal
    price: Decimal
    per_s: int
    initial_s: int | None
    increment_s: int
    free_seconds: int
    max_cost: Decimal | None
    max_cost_rule: str
    schedule: str | None
    effective_from: datetime
    effective_to: datetime | None
    blocked: bool

    def as_mapping(self) -> Mapping[str, object]:
        """Column names to values, for billing.pricelist.rate_from_row."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


# --- a call's life ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenBundle:
    """A minute bundle that a leg may use, and the period that its seconds come from."""

    account_bundle_id: int
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class OpenLeg:
    """What a call may cost one account: a hold for each step of the request, and the least that any call costs.

    With `bundles`, in the order of their use, `offers` says for each step what else it may hold: (bundle seconds,
    money), most seconds first; the ledger takes the first whose seconds are left.
    """

    account_id: int
    tariff_id: int
    rate_id: int | None
    destination: str
    rate_json: str
    holds: tuple[Decimal, ...]
    smallest: Decimal
    bundles: tuple[OpenBundle, ...] = ()
    offers: tuple[tuple[tuple[int, Decimal], ...], ...] = ()


@dataclass(frozen=True, slots=True)
class CarrierRate:
    """What a carrier asked for a call when it was opened."""

    tariff_id: int
    rate_id: int | None
    currency: str
    rate_json: str


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """A call that wants to start. `steps`: grants in seconds, longest first; `legs`: the caller's account first."""

    node: str
    user_id: int | None
    caller: str
    callee: str
    dialled: str
    source: str
    sip_call_id: str
    sip_from_tag: str
    rated_at: datetime
    limit_s: int
    ring_limit_s: int
    steps: tuple[int, ...]
    legs: tuple[OpenLeg, ...]
    shown: str = ""
    routes: Mapping[int, CarrierRate] = field(default_factory=dict)
    """By carrier, those that have a tariff."""


@dataclass(frozen=True, slots=True)
class HeldLeg:
    """One account's hold. `hold` is None if nothing is held."""

    leg: int
    account_id: int
    hold: Decimal | None
    available: Decimal


@dataclass(frozen=True, slots=True)
class OpenAnswer:
    """'opened', or the token of a refusal and the leg that caused it. `available` of a leg: before its hold."""

    outcome: str
    failed_leg: int | None
    grant_s: int
    """0 if nothing was granted."""
    legs: tuple[HeldLeg, ...]


@dataclass(frozen=True, slots=True)
class ExtendAnswer:
    """'extended', 'stale', 'settled', 'unknown_call' or a refusal; grant, holds and `available` as they are now."""

    outcome: str
    failed_leg: int | None
    grant_s: int
    """0 if the call is not live."""
    legs: tuple[HeldLeg, ...]


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a call ended. `charges`: leg to money, worked out for `billed_s` under grant `grant_s`; `bundle_s`: leg to
    seconds of its minute bundles that were used, for those that hold any."""

    grant_s: int
    talked_ms: int
    billed_s: int
    result: str
    detail: str
    end_reason: str
    sip_code: int | None
    carrier_id: int | None
    ended_ago_ms: int
    charges: Mapping[int, Decimal]
    carrier_cost: Decimal | None = None
    bundle_s: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChargedLeg:
    """What one account was charged, and its balance after that."""

    leg: int
    account_id: int
    charge: Decimal
    balance: Decimal


@dataclass(frozen=True, slots=True)
class SettleAnswer:
    """'settled', 'already' (the first result), 'stale' (work it out for grant_s), 'refunded', 'unknown_call'."""

    outcome: str
    grant_s: int
    legs: tuple[ChargedLeg, ...]


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call that never opened. `account_id` None: an emergency call."""

    node: str
    account_id: int | None
    user_id: int | None
    caller: str
    callee: str
    dialled: str
    source: str
    sip_call_id: str
    result: str
    detail: str
    sip_code: int | None
    end_reason: str
    opened_ago_ms: int
    talked_ms: int = 0
    carrier_id: int | None = None
    answered_ago_ms: int | None = None
    ended_ago_ms: int | None = None
    shown: str = ""


@dataclass(frozen=True, slots=True)
class LiveLeg:
    """One account's share of a call in progress; `available` is what the account could hold beyond it, of which
    `parent_room` is what the account below may hold here (None: it has no limit). Minute bundles pay for its first
    `covered_s` seconds, and those it may use have `bundle_left_s` beyond them."""

    leg: int
    account_id: int
    account_name: str
    status: AccountStatus
    tariff_id: int
    rate_id: int | None
    destination: str
    rate_json: str
    hold: Decimal
    available: Decimal
    parent_room: Decimal | None = None
    covered_s: int = 0
    bundle_left_s: int = 0


@dataclass(frozen=True, slots=True)
class LiveCall:
    """A call in progress. The `_ms` are by the database's clock; the last two are None while it rings."""

    call_key: str
    node: str
    account_id: int
    user_id: int | None
    state: Literal["open", "answered"]
    caller: str
    callee: str
    dialled: str
    source: str
    sip_call_id: str
    sip_from_tag: str
    sip_to_tag: str | None
    carrier_id: int | None
    grant_s: int
    limit_s: int
    ring_limit_s: int
    rated_at: datetime
    opened_at: datetime
    answered_at: datetime | None
    hold_until: datetime
    opened_ago_ms: int
    answered_ago_ms: int | None
    deadline_in_ms: int | None
    legs: tuple[LiveLeg, ...]
    shown: str = ""
    routed: bool | int = False
    """Whether a carrier that it may take has a tariff."""


@dataclass(frozen=True, slots=True)
class RatedLeg:
    """The rate that a leg was opened at, and how many seconds its minute bundles pay for."""

    leg: int
    account_id: int
    rate_json: str
    covered_s: int = 0


@dataclass(frozen=True, slots=True)
class CallToSettle:
    """A call whose end the ledger does not know: live, or (`provisional`) charged at its whole grant by the reaper.

    The latter also if somebody has accepted that charge since."""

    call_key: str
    grant_s: int
    rated_at: datetime
    provisional: bool
    legs: tuple[RatedLeg, ...]
    carrier_id: int | None = None
    routes: Mapping[int, CarrierRate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Uncosted:
    """A call that the reaper charged for its whole grant, at a carrier whose rate is known."""

    call_key: str
    grant_s: int
    rated_at: datetime
    carrier_rate: str


@dataclass(frozen=True, slots=True)
class Reaped:
    """A call that was charged provisionally. `answered_ago_ms`: None when the ledger never heard of an answer."""

    call_key: str
    sip_call_id: str
    opened_ago_ms: int
    answered_ago_ms: int | None = None


# --- money and reports ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Posted:
    """A movement of money as it was booked: what the account had after it."""

    account_id: int
    amount: Decimal
    balance: Decimal
    available: Decimal


@dataclass(frozen=True, slots=True)
class LiveTotal:
    """Calls in progress of one node in one state ('open': ringing), and what they hold in one currency, on all legs."""

    state: str
    currency: str
    calls: int
    held: Decimal


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that the audit found wrong. `id` is an account's or a call's."""

    what: str
    id: str
    expected: Decimal | None
    actual: Decimal | None


@dataclass(frozen=True, slots=True)
class Account:
    """A row of v_account."""

    account_id: int
    parent_id: int | None
    parent_name: str | None
    kind: AccountKind
    name: str
    status: AccountStatus
    currency: str
    tariff_id: int
    tariff_name: str
    country_code: str
    international_prefixes: str
    national_prefix: str
    max_calls: int | None
    low_balance: Decimal | None
    low_balance_max_calls: int | None
    max_calls_per_second: int | None
    longest_call_s: int | None
    daily_spend_limit: Decimal | None
    max_calls_per_hour: int | None
    max_calls_per_hour_per_destination: int | None
    parent_hold_limit: Decimal | None
    premium_allowed: bool
    prefix_rules: str | None
    expires_at: datetime | None
    created_at: datetime
    balance: Decimal
    held: Decimal
    credit_limit: Decimal
    calls: int
    spent_today: Decimal
    available: Decimal
    card_number: str | None
    loss_allowed: bool
    carrier_order: str | None
    """Of the vendor's own accounts: a carrier may cost more than their calls; cost, priority or weight, None: as their
    tariffs say."""


@dataclass(frozen=True, slots=True)
class CdrLeg:
    """What one account was charged for a call, and at which rate; minute bundles paid for its first `bundle_s`."""

    leg: int
    account_id: int
    account_name: str
    currency: str
    tariff_id: int
    rate_id: int | None
    destination: str
    rate_json: str
    hold: Decimal
    charge: Decimal
    balance_after: Decimal
    bundle_s: int = 0
    corrected_charge: Decimal | None = None
    """What a re-rating made of the charge; None: it is right."""

    @property
    def comes_to(self) -> Decimal:
        """What the account pays for the call, after corrections."""
        return self.charge if self.corrected_charge is None else self.corrected_charge


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """A carrier that failed a call before it went on to the next; sip_code 408: silence, 0: it could not be sent to."""

    ordinal: int
    carrier_id: int
    carrier_name: str | None
    sip_code: int
    failed_at: datetime


@dataclass(frozen=True, slots=True)
class Cdr:
    """A call detail record with its legs (none if it never opened)."""

    call_key: str
    node: str
    account_id: int | None
    account_name: str | None
    user_id: int | None
    user_name: str | None
    caller: str
    callee: str
    dialled: str
    source: str
    sip_call_id: str
    carrier_id: int | None
    carrier_name: str | None
    rated_at: datetime | None
    opened_at: datetime
    answered_at: datetime | None
    ended_at: datetime
    grant_s: int
    talked_ms: int
    billed_s: int
    result: str
    detail: str
    end_reason: str
    sip_code: int | None
    provisional: bool
    settled_at: datetime
    legs: tuple[CdrLeg, ...]
    shown: str = ""
    carrier_currency: str | None = None
    carrier_cost: Decimal | None = None
    attempts: tuple[FailedAttempt, ...] = ()
    """Those before the last one, whose carrier is the call's own."""

    @property
    def margin(self) -> Decimal | None:
        """What the vendor earned: what the last leg comes to less the carrier's cost, if they are in one currency."""
        if self.carrier_cost is None or not self.legs or self.legs[-1].currency != self.carrier_currency:
            return None
        return self.legs[-1].comes_to - self.carrier_cost


@dataclass(frozen=True, slots=True)
class Entry:
    """A change of one balance."""

    entry_key: str
    account_id: int
    account_name: str
    currency: str
    kind: str
    amount: Decimal
    balance_after: Decimal
    available_after: Decimal
    forced: bool
    call_key: str | None
    actor: str
    login: str
    reason: str
    reference: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TrunkRow:
    """An active trunk; `networks` are CIDR texts."""

    trunk_id: int
    name: str
    kind: TrunkKind
    user_id: int | None
    networks: tuple[str, ...]
    owner_account_id: int | None = None
    """Whose customers and cards alone may call by it; None: anybody's."""


@dataclass(frozen=True, slots=True)
class CarrierRow:
    """An active carrier, as nodes need it."""

    carrier_id: int
    name: str
    host: str
    port: int
    transport: str
    priority: int
    weight: int
    tariff_id: int | None
    dial_prefix: str
    tariff_version: int = 0
    currency: str | None = None
    channels: int | None = None
    prefixes: tuple[str, ...] = ()
    trusts_identity: bool | int = False
    probed: bool | int = True


@dataclass(frozen=True, slots=True)
class CarrierShown:
    """A row of v_carrier."""

    carrier_id: int
    name: str
    status: Literal["active", "disabled"]
    host: str
    port: int
    transport: str
    priority: int
    weight: int
    channels: int | None
    calls: int
    tariff_name: str | None
    currency: str | None
    prefixes: str
    dial_prefix: str
    trusts_identity: bool | int
    probed: bool | int


@dataclass(frozen=True, slots=True)
class CarrierState:
    """Whether a node finds a carrier there."""

    carrier_id: int
    name: str
    node: str
    state: Literal["up", "down"]
    since: datetime


@dataclass(frozen=True, slots=True)
class ShownNumber:
    """A row of v_shown_number."""

    account_name: str
    user_name: str | None
    number: str
    is_default: bool | int


@dataclass(frozen=True, slots=True)
class Tariff:
    """A row of v_tariff."""

    tariff_id: int
    owner_account_id: int | None
    name: str
    currency: str
    decimals: int
    rounding: str
    zone: str
    version: int
    rates: int
    loss_allowed: bool
    carrier_order: str | None
    owner_name: str | None = None


class SavedRate(NamedTuple):
    """A rate that was made or changed. `warning`: that a reseller sells under his own buy price there; else None."""

    rate_id: int
    warning: str | None


@dataclass(frozen=True, slots=True)
class Alarm:
    """A limit that was nearly reached (`stopped_at` None) or reached, in the day or hour that began `since`."""

    account_id: int
    account_name: str
    currency: str
    kind: Literal["spending_limit", "hourly_limit", "hourly_destination_limit"]
    destination: str
    since: datetime
    limit_value: Decimal
    reached: Decimal
    first_at: datetime
    last_at: datetime
    times: int
    refused: int
    stopped_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A proxy, and how long ago it was heard of."""

    name: str
    booted_at: datetime
    heartbeat_at: datetime
    silent_ms: int
    instance: str | None
    place: str
    retired_at: datetime | None = None
    retired_by: str | None = None
    retired_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Retired:
    """A node that never returns. `outcome`: 'retired' or, before, 'already'; `accepted`: calls that stay charged."""

    outcome: str
    accepted: int
    retired_at: datetime
    retired_by: str
    retired_reason: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """A provisional charge that is final. `outcome`: 'accepted' or, before, by this `actor`, 'already'."""

    outcome: str
    accepted_at: datetime
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose a node's name is: ours ('alive'), or another instance's that was heard of `silent_ms` ago ('taken').

    `retired_by`: who had retired the node, until this heartbeat; None: nobody."""

    outcome: str
    instance: str | None
    place: str
    silent_ms: int
    retired_by: str | None = None


# --- minute bundles ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BundleRow:
    """A prefix of a bundle that an account has, with what the period of now has left (`counted_*` None: unused)."""

    account_bundle_id: int
    account_id: int
    bundle_name: str
    seconds: int
    period: str
    priority: int
    prefix: str
    excluded: bool
    starts_at: datetime
    ends_at: datetime
    counted_from: datetime | None
    counted_to: datetime | None
    left_s: int


@dataclass(frozen=True, slots=True)
class BundlePlan:
    """A row of v_bundle_plan. `prefixes`: such as "43,49,!49900"."""

    bundle_id: int
    name: str
    owner_name: str | None
    status: str
    seconds: int
    period: str
    priority: int
    prefixes: str
    accounts: int


@dataclass(frozen=True, slots=True)
class AccountBundle:
    """A row of v_bundle: what an account has left, held and used. The period is None before its first call."""

    account_bundle_id: int
    account_id: int
    account_name: str
    bundle_name: str
    period: str
    priority: int
    starts_at: datetime
    ends_at: datetime | None
    period_from: datetime | None
    period_to: datetime | None
    seconds: int
    used_s: int
    held_s: int
    left_s: int
