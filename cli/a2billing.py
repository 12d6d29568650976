"""Writes what billing.a2billing planned into the ledger: in an order in which a run that broke off can be run again."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from billing import cards
from billing.a2billing import Left, Plan, PlannedAccount, PlannedRate, PlannedTariff
from billing.errors import KeyConflict, LedgerRefused
from billing.ledger import Ledger
from billing.ledger_types import Account, RateRow
from billing.settings import Settings
from cli.slips import write_slips
from db.demo import digest_ha1

ACTOR, REASON = "import:a2billing", "opening balance"
SINCE_EVER = datetime(1970, 1, 1, tzinfo=UTC)
DECIMALS = 6
"""A2Billing rounds a call's charge to so many, half up."""


@dataclass(frozen=True)
class Pins:
    """Where a card's PIN comes from: the last `digits` of its number, or a new one into `file`."""

    digits: int | None
    file: Path | None


@dataclass
class Outcome:
    """What a run did."""

    written: int = 0
    left: list[Left] = field(default_factory=list)


class Importer:
    """One run."""

    def __init__(
        self,
        admin: Ledger,
        cashier: Ledger,
        found: Settings,
        currency: str,
        pins: Pins,
        parent_id: int | None,
        country_code: str,
        trunk_id: int | None,
        source: str,
    ) -> None:
        self._admin, self._cashier, self._settings = admin, cashier, found
        self._currency, self._pins, self._parent_id = currency, pins, parent_id
        self._country_code, self._trunk_id, self._source = country_code, trunk_id, source
        self._outcome = Outcome()

    def run(self, what: Plan) -> Outcome:
        """Make everything that is not there yet."""
        pins = self._new_pins(what)
        tariffs = {one.name: self._tariff(one) for one in what.tariffs}
        for account in what.accounts:
            tariff_id = tariffs[account.tariff]
            if tariff_id is None:
                self._leave("cc_card", account.source_id, f"its tariff {account.tariff} is another's", account.balance)
                continue
            try:
                self._account(account, tariff_id, pins)
            except (LedgerRefused, KeyConflict) as refusal:
                self._leave("cc_card", account.source_id, str(refusal), account.balance)
        return self._outcome

    def _leave(self, table: str, row: int | str, reason: str, amount: Decimal | None = None) -> None:
        self._outcome.left.append(Left(table, str(row), reason, amount))

    # --- prices -------------------------------------------------------------------------------------------------------

    def _tariff(self, planned: PlannedTariff) -> int | None:
        known = self._admin.tariff_named(planned.name)
        if known is not None and (known.currency, known.owner_account_id) != (self._currency, self._parent_id):
            return None
        if known is None:
            tariff_id = self._admin.put_tariff(
                planned.name, self._currency, decimals=DECIMALS, owner_account_id=self._parent_id
            )
            self._outcome.written += 1
        else:
            tariff_id = known.tariff_id
        there = {(rate.prefix, rate.effective_from): rate for rate in self._admin.all_rates(tariff_id)}
        for rate in planned.rates:
            since = rate.effective_from or SINCE_EVER
            if _same(rate, there.get((rate.prefix, since))):
                continue
            self._put_rate(tariff_id, rate, since)
        return tariff_id

    def _put_rate(self, tariff_id: int, rate: PlannedRate, since: datetime) -> None:
        self._admin.put_rate(
            tariff_id,
            rate.prefix,
            rate.destination,
            connect_fee=rate.connect_fee,
            price=rate.price,
            initial_s=rate.initial_s,
            increment_s=rate.increment_s,
            schedule=rate.schedule,
            effective_from=since,
            effective_to=rate.effective_to,
            blocked=rate.blocked,
        )
        self._outcome.written += 1

    # --- accounts -----------------------------------------------------------------------------------------------------

    def _account(self, planned: PlannedAccount, tariff_id: int, pins: Mapping[str, str]) -> None:
        """The account first, then what limits it, then what lets it call, and its money last."""
        known = self._admin.account_named(planned.name)
        if known is None:
            self._admin.create_account(
                "customer" if planned.kind == "customer" else "card", planned.name, self._parent_id, self._currency,
                tariff_id, planned.credit_limit,
            )  # fmt: skip
            self._outcome.written += 1
            known = self._admin.account_named(planned.name)
            assert known is not None
        if known.card_number is None and known.max_calls is None and known.expires_at is None:
            self._limit(known, planned)
        self._number(known, planned, pins)
        self._callers(known, planned)
        self._phones(known, planned)
        self._opening(known, planned)

    def _limit(self, known: Account, planned: PlannedAccount) -> None:
        """The status first: a run that breaks off between the two does both again."""
        if planned.status != known.status:
            self._admin.set_account_status(known.account_id, "suspended")
        changes: dict[str, object] = {
            "country_code": self._country_code, "max_calls": planned.max_calls, "expires_at": planned.expires_at,
        }  # fmt: skip
        if any(changes.values()):
            self._admin.set_account(known.account_id, **changes)

    def _number(self, known: Account, planned: PlannedAccount, pins: Mapping[str, str]) -> None:
        if planned.number is None or known.card_number is not None:
            return
        owner = self._admin.card_owner(planned.number)
        if owner is not None:
            self._leave("cc_card", planned.source_id, f"its number {planned.number} is another account's")
            return
        pin = pins.get(planned.number) or planned.number[-(self._pins.digits or 0) :]
        secret = self._settings.card_pin_key.get_secret_value()
        self._admin.put_card(known.account_id, planned.number, cards.pin_hash(secret, planned.number, pin))
        self._outcome.written += 1

    def _callers(self, known: Account, planned: PlannedAccount) -> None:
        for number in planned.caller_numbers:
            if self._trunk_id is None:
                self._leave("cc_callerid", number, "no --trunk is given that it could come from")
                continue
            owner = self._admin.caller_number_owner(self._trunk_id, number)
            if owner is None:
                self._admin.put_caller_number(self._trunk_id, number, account_id=known.account_id)
                self._outcome.written += 1
            elif owner != known.account_id:
                self._leave("cc_callerid", number, "is another account's on this trunk")

    def _phones(self, known: Account, planned: PlannedAccount) -> None:
        realm = self._settings.sip.realm
        for phone in planned.users:
            owner = self._admin.digest_owner(phone.username, realm)
            if owner is None:
                user_id = self._admin.create_user(known.account_id, phone.username)
                md5, sha256 = (digest_ha1(name, phone.username, realm, phone.secret) for name in ("md5", "sha256"))
                self._admin.put_digest(user_id, phone.username, realm, md5, sha256)
                self._outcome.written += 1
            elif owner != known.account_id:
                self._leave("cc_sip_buddies", phone.username, "is another account's user name")

    def _opening(self, known: Account, planned: PlannedAccount) -> None:
        """The same key whenever it is run: booked once."""
        key, reference = opening_key(self._source, planned.source_id), f"cc_card {planned.source_id}"
        before = self._cashier.has_entry(key)
        if planned.balance > 0:
            self._cashier.top_up(key, known.account_id, planned.balance, ACTOR, REASON, reference)
        elif planned.balance < 0:
            self._cashier.adjust(key, known.account_id, planned.balance, ACTOR, REASON, reference, force=True)
        if planned.balance and not before:
            self._outcome.written += 1

    def _new_pins(self, what: Plan) -> dict[str, str]:
        """New PINs for the numbers that the ledger does not have yet, on disk before the first is written there."""
        if self._pins.file is None:
            return {}
        wanted = [one for one in what.accounts if one.number and self._admin.card_owner(one.number) is None]
        made = {str(one.number): cards.new_pin() for one in wanted}
        if made:
            write_slips(self._pins.file, ("account", "number", "pin"),
                        ((one.name, one.number, made[str(one.number)]) for one in wanted))  # fmt: skip
        return made


def opening_key(source: str, card_id: int) -> str:
    """The key of a card's opening entry: 26 letters and digits that follow from where it was."""
    digest = hashlib.sha256(f"a2billing:{source}:cc_card:{card_id}".encode()).digest()
    return base64.b32encode(digest).decode()[:26]


def _same(rate: PlannedRate, row: RateRow | None) -> bool:
    if row is None or (row.schedule is None) != (rate.schedule is None):
        return False
    columns = ("destination", "price", "connect_fee", "initial_s", "increment_s", "schedule", "effective_to", "blocked")
    return all(getattr(rate, name) == getattr(row, name) for name in columns)
