"""What A2Billing's tables (versions 1.4 to 2.3) come to in a ledger of ours. Pure: reads rows, makes a plan.

What cannot be taken exactly is not taken, and is listed with its reason: a rate that would charge something else, a
card that could be used differently. A destination that is not taken is not sold: where a shorter prefix would sell it
at another price it is barred.

- Credit and prices are in the base currency there; a card's own currency is what its balance is announced in.
- A call plan (cc_tariffgroup) becomes a tariff. Where several of its rate plans have a prefix, the one that A2Billing
  would try first is taken: the cheapest to buy (lcrtype 0) or to sell (1).
- A cc_card with SIP phones becomes a customer, any other one a card.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

Row = Mapping[str, Any]

WEEK_MINUTES = 10_080
DEFAULT_PREFIX = "defaultprefix"
STATUS = {1: "active", 2: "suspended", 3: "suspended", 4: "suspended", 6: "suspended", 7: "suspended", 8: "suspended"}
"""cc_card.status; 0 is cancelled and 5 expired, and these are not taken."""
GONE = {0: "is cancelled", 5: "is expired"}
NUMBER_DIGITS = range(4, 21)
EVER, NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Source:
    """The tables' rows; times are aware, None for A2Billing's zero date."""

    base_currency: str | None
    card: Sequence[Row]
    tariffgroup: Sequence[Row]
    tariffgroup_plan: Sequence[Row]
    tariffplan: Sequence[Row]
    ratecard: Sequence[Row]
    prefix: Sequence[Row]
    callerid: Sequence[Row]
    sip_buddies: Sequence[Row]


@dataclass(frozen=True)
class Left:
    """A row that is not taken, or not as it was, and why."""

    table: str
    row: str
    reason: str
    amount: Decimal | None = None
    """Credit that stays behind."""


@dataclass(frozen=True)
class PlannedRate:
    """A rate as put_rate takes it."""

    prefix: str
    destination: str
    price: Decimal
    connect_fee: Decimal
    initial_s: int | None
    increment_s: int
    schedule: str | None
    effective_from: datetime | None
    effective_to: datetime | None
    blocked: bool = False


@dataclass(frozen=True)
class PlannedTariff:
    """A call plan."""

    name: str
    rates: tuple[PlannedRate, ...]


@dataclass(frozen=True)
class PlannedUser:
    """A SIP phone; the secret goes no further than into its hashes."""

    username: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class PlannedAccount:
    """A card or customer with what it had. `number`: A2Billing's card number, of which its PIN is made."""

    source_id: int
    name: str
    kind: str
    tariff: str
    balance: Decimal
    credit_limit: Decimal
    status: str
    expires_at: datetime | None
    max_calls: int | None
    number: str | None
    caller_numbers: tuple[str, ...]
    users: tuple[PlannedUser, ...]


@dataclass(frozen=True)
class Plan:
    """Everything that is to be made, and what is left behind."""

    tariffs: tuple[PlannedTariff, ...]
    accounts: tuple[PlannedAccount, ...]
    left: tuple[Left, ...]


def plan(source: Source, now: datetime) -> Plan:
    """What to make of the tables at `now`."""
    left: list[Left] = []
    names = _tariff_names(source.tariffgroup)
    tariffs = tuple(_Tariffs(source, now, left).of(group, names[int(group["id"])]) for group in source.tariffgroup)
    accounts = tuple(_Accounts(source, now, names, left).all())
    return Plan(tariffs, accounts, tuple(left))


# --- prices -----------------------------------------------------------------------------------------------------------


def _tariff_names(groups: Sequence[Row]) -> dict[int, str]:
    """By id. Names are not unique there, and the ledger does not tell capital letters or accents apart: names that are
    alike get their ids, or two call plans would be one tariff."""
    names = {int(row["id"]): str(row["tariffgroupname"]) for row in groups}
    alike = Counter(map(_folded, names.values()))
    return {
        number: f"A2B {name}"[:64] if alike[_folded(name)] == 1 else f"A2B {name[:40]} ({number})"
        for number, name in names.items()
    }


def _folded(name: str) -> str:
    """As the ledger compares names, or less exactly."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(one for one in decomposed if not unicodedata.combining(one)).strip()


class _Tariffs:
    def __init__(self, source: Source, now: datetime, left: list[Left]) -> None:
        self._now, self._left = now, left
        self._plans = {int(row["id"]): row for row in source.tariffplan}
        self._of_group: dict[int, list[int]] = {}
        for row in source.tariffgroup_plan:
            self._of_group.setdefault(int(row["idtariffgroup"]), []).append(int(row["idtariffplan"]))
        self._cards: dict[int, list[Row]] = {}
        for row in source.ratecard:
            self._cards.setdefault(int(row["idtariffplan"]), []).append(row)
        self._destinations = {str(row["prefix"]): str(row["destination"]) for row in source.prefix}

    def of(self, group: Row, name: str) -> PlannedTariff:
        """The tariff of a call plan."""
        if int(group.get("id_cc_package_offer") or -1) > 0:
            self._leave("cc_tariffgroup", group, "its package offer (free minutes) is not taken")
        by = "buyrate" if int(group["lcrtype"]) == 0 else "rateinitial"
        rows = sorted(self._rows(group), key=lambda row: (Decimal(row[by]), int(row["id"])))
        taken: dict[str, list[PlannedRate]] = {}
        untaken: list[Row] = []
        for row in rows:
            untaken += [row for prefix in self._prefixes(row, rows) if not self._take(row, prefix, taken)]
        sold = frozenset(taken)
        for row in untaken:
            self._bar(row, sold, taken)
        return PlannedTariff(name, tuple(rate for prefix in sorted(taken) for rate in taken[prefix]))

    def _rows(self, group: Row) -> Iterator[Row]:
        for number in self._of_group.get(int(group["id"]), []):
            rate_plan = self._plans.get(number)
            if rate_plan is None:
                continue
            if rate_plan["dnidprefix"] != "all" or rate_plan["calleridprefix"] != "all":
                self._leave("cc_tariffplan", rate_plan, "is for some called or calling numbers alone")
                continue
            for row in self._cards.get(number, []):
                starts = [at for at in (row["startdate"], rate_plan["startingdate"]) if at is not None]
                ends = [at for at in (row["stopdate"], rate_plan["expirationdate"]) if at is not None]
                yield {**row, "startdate": max(starts, default=None), "stopdate": min(ends, default=None)}

    def _prefixes(self, row: Row, rows: Sequence[Row]) -> list[str]:
        prefix = str(row["dialprefix"])
        if prefix == DEFAULT_PREFIX:  # whatever no other rate is for; no E.164 number begins with 0
            known = {str(other["dialprefix"]) for other in rows}
            return [digit for digit in "123456789" if digit not in known]
        return [prefix]

    def _take(self, row: Row, prefix: str, taken: dict[str, list[PlannedRate]]) -> bool:
        """Whether it is as it was there; if not, it is listed."""
        reason = self._why_not(row, prefix)
        if reason is None and any(_overlap(row, other) for other in taken.get(prefix, [])):
            reason = f"prefix {prefix} has a rate that comes before it"
        if reason is not None:
            self._leave("cc_ratecard", row, reason)
        elif self._lasts(row):
            taken.setdefault(prefix, []).append(self._rate(row, prefix))
        return reason is None

    def _bar(self, row: Row, sold: frozenset[str], taken: dict[str, list[PlannedRate]]) -> None:
        """A rate that is not taken must not leave its numbers to a shorter prefix, at another price. Of a pattern its
        first digits count."""
        matched = re.match("_?([0-9]{1,20})", str(row["dialprefix"]))
        prefix = matched[1] if matched else ""
        if self._lasts(row) and any(prefix[:digits] in sold for digits in range(1, len(prefix))):
            rates = taken.setdefault(prefix, [])
            rates += [
                PlannedRate(
                    prefix=prefix,
                    destination=self._destination(row, prefix)[:64],
                    price=Decimal(0),
                    connect_fee=Decimal(0),
                    initial_s=None,
                    increment_s=1,
                    schedule=None,
                    effective_from=None if begins == EVER else begins,
                    effective_to=None if ends == NEVER else ends,
                    blocked=True,
                )
                for begins, ends in list(_gaps(row["startdate"] or EVER, row["stopdate"] or NEVER, rates))
            ]

    def _lasts(self, row: Row) -> bool:
        return row["stopdate"] is None or row["stopdate"] > self._now

    @staticmethod
    def _why_not(row: Row, prefix: str) -> str | None:
        """What a rate of ours cannot say exactly."""
        if not (prefix.isascii() and prefix.isdigit() and len(prefix) <= 20):
            return f"prefix {prefix!r} is not digits"
        if row["startdate"] and row["stopdate"] and row["startdate"] >= row["stopdate"]:
            return "it ends before it begins"
        if int(row["starttime"] or 0) > 0 or int(row["endtime"] or 0) < WEEK_MINUTES - 1:
            return f"it is for some hours of the week alone ({row['starttime']} to {row['endtime']})"
        if Decimal(row["chargea"]) and int(row["timechargea"]):
            return "it is progressive (chargea)"
        for name in ("minimal_cost", "additional_grace", "rounding_calltime"):
            if Decimal(row[name]):
                return f"{name} is {row[name]}"
        if Decimal(row["additional_block_charge"]) and int(row["additional_block_charge_time"]):
            return f"additional_block_charge is {row['additional_block_charge']}"
        if Decimal(row["disconnectcharge"]) and int(row["disconnectcharge_after"]):
            return f"its disconnectcharge comes after {row['disconnectcharge_after']} s"
        return None

    def _rate(self, row: Row, prefix: str) -> PlannedRate:
        price, initial_s = abs(Decimal(row["rateinitial"])), max(0, int(row["initblock"]))
        increment_s = max(1, int(row["billingblock"]))
        return PlannedRate(
            prefix=prefix,
            destination=self._destination(row, prefix)[:64],
            price=price,
            connect_fee=abs(Decimal(row["connectcharge"])) + abs(Decimal(row["disconnectcharge"])),
            initial_s=initial_s or None,
            increment_s=increment_s,
            schedule=_schedule(price, initial_s, increment_s),
            effective_from=row["startdate"],
            effective_to=row["stopdate"],
        )

    def _destination(self, row: Row, prefix: str) -> str:
        named = self._destinations.get(str(row["destination"]))
        if named is None:
            named = next((self._destinations[prefix[:end]] for end in range(len(prefix), 0, -1)
                          if prefix[:end] in self._destinations), None)  # fmt: skip
        return named or f"prefix {prefix}"

    def _leave(self, table: str, row: Row, reason: str) -> None:
        self._left.append(Left(table, str(row["id"]), reason))


def _overlap(row: Row, other: PlannedRate) -> bool:
    begins = row["startdate"] is None or other.effective_to is None or row["startdate"] < other.effective_to
    ends = row["stopdate"] is None or other.effective_from is None or row["stopdate"] > other.effective_from
    return begins and ends


def _gaps(begins: datetime, ends: datetime, rates: Iterable[PlannedRate]) -> Iterator[tuple[datetime, datetime]]:
    """The parts of a time in which none of these rates is in effect; they do not overlap."""
    for rate in sorted(rates, key=lambda one: one.effective_from or EVER):
        since = min(rate.effective_from or EVER, ends)
        if begins < since:
            yield begins, since
        begins = max(begins, rate.effective_to or NEVER)
    if begins < ends:
        yield begins, ends


def _schedule(price: Decimal, initial_s: int, increment_s: int) -> str | None:
    """A2Billing counts increments from the call's beginning, also behind the initial block: 10/6 charges 10, 12, 18 s.
    Ours begin behind it, so that a slot of one short increment goes between; None when there is none."""
    short_s = -initial_s % increment_s
    if not initial_s or not short_s:
        return None
    steps = ((0, initial_s), (initial_s, short_s), (initial_s + short_s, increment_s))
    slots = [{"from_s": at, "rate": f"{price:f}", "per_s": 60, "increment_s": length} for at, length in steps]
    return json.dumps({"slots": slots}, separators=(",", ":"))


# --- accounts ---------------------------------------------------------------------------------------------------------


class _Accounts:
    def __init__(self, source: Source, now: datetime, tariffs: Mapping[int, str], left: list[Left]) -> None:
        self._source, self._now, self._tariffs, self._left = source, now, tariffs, left
        self._phones: dict[int, list[Row]] = {}
        for row in source.sip_buddies:
            self._phones.setdefault(int(row["id_cc_card"]), []).append(row)
        self._callers: dict[int, list[Row]] = {}
        for row in source.callerid:
            self._callers.setdefault(int(row["id_cc_card"]), []).append(row)

    def all(self) -> Iterator[PlannedAccount]:
        """Cards and customers, by id."""
        known = {int(row["id"]) for row in self._source.card}
        for table, rows in (("cc_sip_buddies", self._phones), ("cc_callerid", self._callers)):
            for card_id in sorted(rows.keys() - known):
                for row in rows[card_id]:
                    self._left.append(Left(table, str(row["id"]), f"there is no cc_card {card_id}"))
        for row in self._source.card:
            account = self._account(row)
            if account is not None:
                yield account

    def _account(self, row: Row) -> PlannedAccount | None:
        number, credit, status = int(row["id"]), Decimal(row["credit"]), int(row["status"])
        tariff = self._tariffs.get(int(row["tariff"] or 0))
        reason = GONE.get(status)
        if reason is None and status not in STATUS:
            reason = f"has status {status}, which nobody knows"
        if reason is None and tariff is None:
            reason = f"its call plan {row['tariff']} does not exist"
        if reason is not None or tariff is None:
            self._left.append(Left("cc_card", str(number), reason or "", credit))
            return None
        users = tuple(self._users(number))
        return PlannedAccount(
            source_id=number,
            name=f"a2b-{number}",
            kind="customer" if users else "card",
            tariff=tariff,
            balance=credit,
            credit_limit=_credit_limit(row),
            status=STATUS[status],
            expires_at=self._expiry(row),
            max_calls=_max_calls(row),
            number=self._number(row),
            caller_numbers=tuple(self._caller_numbers(number)),
            users=users,
        )

    def _expiry(self, row: Row) -> datetime | None:
        rule, days = int(row["enableexpire"] or 0), timedelta(days=int(row["expiredays"] or 0))
        if rule == 1:
            expires_at: datetime | None = row["expirationdate"]
            return expires_at
        if rule == 2 and days and row["firstusedate"] is None:
            text = f"expires {days.days} days after its first use, which is to come: taken without an expiry"
            self._left.append(Left("cc_card", str(row["id"]), text))
        since = {2: row["firstusedate"], 3: row["creationdate"]}.get(rule)
        return since + days if since is not None and days else None

    def _number(self, row: Row) -> str | None:
        number = str(row["username"])
        if number.isascii() and number.isdigit() and len(number) in NUMBER_DIGITS:
            return number
        self._left.append(Left("cc_card", str(row["id"]), "its number is not 4 to 20 digits: taken without a number"))
        return None

    def _caller_numbers(self, card_id: int) -> Iterator[str]:
        for row in self._callers.get(card_id, []):
            number = str(row["cid"]).removeprefix("+")
            if str(row["activated"]) not in {"t", "1"}:
                self._left.append(Left("cc_callerid", str(row["id"]), "is not activated"))
            elif not (number.isascii() and number.isdigit() and 2 <= len(number) <= 20):
                self._left.append(Left("cc_callerid", str(row["id"]), f"{row['cid']!r} is no number"))
            else:
                yield number

    def _users(self, card_id: int) -> Iterator[PlannedUser]:
        for row in self._phones.get(card_id, []):
            name = str(row["username"] or row["name"])
            if not row["secret"]:
                kept = "only md5secret, which is for Asterisk's realm" if row["md5secret"] else "no secret"
                self._left.append(Left("cc_sip_buddies", str(row["id"]), f"phone {name} has {kept}"))
            elif len(name) > 64:
                self._left.append(Left("cc_sip_buddies", str(row["id"]), f"phone {name[:20]}.. has too long a name"))
            else:
                yield PlannedUser(name, str(row["secret"]))


def _credit_limit(row: Row) -> Decimal:
    """Whoever is billed afterwards may go so far below zero."""
    return Decimal(max(0, int(row["creditlimit"] or 0))) if int(row["typepaid"] or 0) == 1 else Decimal(0)


def _max_calls(row: Row) -> int | None:
    """Individual access is one call at a time."""
    if not int(row["simultaccess"] or 0):
        return 1
    return int(row["max_concurrent"]) if row.get("max_concurrent") else None
