"""Calls that were charged by a wrong tariff: priced again to the exact cent, and put right by further entries."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.deck import Deck, DeckFormat, TariffTerms
from billing.deck_import import DeckImport
from billing.deck_types import LegToRerate
from billing.errors import KeyConflict, LedgerRefused
from billing.ledger import Ledger
from billing.ledger_types import OpenLeg
from billing.pricelist import rate_to_json
from billing.rates import RateLookup
from billing.rating import PricedCall
from billing.rerating import Difference, Unpriced, rerated
from tests.db.bank import Bank, new_key, request, settlement

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NUMBER = "4930123"


class Shop:
    """A card below a reseller below another one, each at a tariff of its own, with its own increments and rounding."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.tariffs = {name: f"{name} {new_key()}" for name in ("retail", "middle", "top")}
        self.ids: dict[str, int] = {}
        top = self._account("reseller", "top", None, decimals=6, rounding="down")
        middle = self._account("reseller", "middle", top, decimals=4, rounding="half_up")
        retail = self._account("card", "retail", middle, decimals=2, rounding="up")
        self.accounts = {"retail": retail, "middle": middle, "top": top}
        self.rate("retail", "0.90", initial_s=60, increment_s=6, connect_fee="0.05")
        self.rate("middle", "0.37", increment_s=6)
        self.rate("top", "0.1")

    def _account(self, kind: Any, tariff: str, parent: int | None, **terms: Any) -> int:
        """An account with 10 EUR, charged at a tariff of its parent's."""
        owner = None if parent is None else self.bank.name_of(parent)
        self.ids[tariff] = self.bank.admin.create_tariff(self.tariffs[tariff], "EUR", owner=owner, **terms)
        name = f"{tariff} of {new_key()}"
        account = self.bank.admin.create_account(kind, name, parent, "EUR", self.ids[tariff])
        self.bank.cashier.top_up(new_key(), account, "10", "test")
        return account

    def rate(self, tariff: str, price: str, at: datetime = NOON - DAY, **more: Any) -> None:
        self.bank.admin.put_rate(self.ids[tariff], "49", "Germany", price=price, effective_from=at, **more)

    def call(self, billed_s: int, at: datetime = NOON, number: str = NUMBER) -> str:
        """A call as the proxy and the drain do it, at the rates of its time; its key."""
        legs, charges = [], []
        for tariff, account in self.accounts.items():
            priced = self.priced(tariff, at, number)
            most = priced.cost(3600)
            text = rate_to_json(priced.rate)
            legs.append(OpenLeg(account, self.ids[tariff], priced.rate.rate_id, "Germany", text, (most,), Decimal(0)))
            charges.append(str(priced.cost(billed_s)))
        call = replace(request([1]), legs=tuple(legs), rated_at=at, callee=number, steps=(3600,))
        for tariff in self.accounts:
            self.bank.cashier.top_up(new_key(), self.accounts[tariff], "60", "test")
        key = new_key()
        assert "opened" == self.bank.proxy.open_call(key, call).outcome
        assert "settled" == self.bank.proxy.settle_call(key, settlement(charges, 3600, billed_s)).outcome
        for tariff in self.accounts:
            self.bank.cashier.adjust(new_key(), self.accounts[tariff], "-60", "test", "lent for the hold")
        return key

    def priced(self, tariff: str, at: datetime = NOON, number: str = NUMBER) -> PricedCall:
        found = self.bank.admin.tariff_named(self.tariffs[tariff])
        assert found is not None
        return PricedCall(RateLookup(self.bank.proxy).find(found.tariff_id, found.version, number, at), at, 3600)

    def balance(self, tariff: str) -> str:
        return f"{self.bank.purse(self.accounts[tariff])['balance'].normalize():f}"

    def look(self, tariff: str, since: datetime = NOON - DAY, until: datetime = NOON + DAY) -> list[Any]:
        """What a dry run finds."""
        found = self.bank.cashier.tariff_named(self.tariffs[tariff])
        assert found is not None
        legs = self.bank.cashier.legs_to_rerate(found.tariff_id, since, until)
        return [one for one in rerated(self.bank.cashier, found, legs) if one is not None]

    def correct(self, one: Difference, run: str = "", *, force: bool = False, ledger: Ledger | None = None) -> str:
        return (ledger or self.bank.cashier).correct_charge(
            run or new_key(), one.leg, one.new_charge, one.rate_id, one.rate_json, "test", "a wrong deck", force=force
        ).outcome

    def shown(self, key: str) -> list[tuple[str, str]]:
        """(charge, corrected charge) of each leg."""
        (cdr,) = self.bank.cashier.cdrs(call_key=key)
        return [(f"{leg.charge.normalize():f}", _text(leg.corrected_charge)) for leg in cdr.legs]


def _text(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount.normalize():f}"


@pytest.fixture
def shop(bank: Bank) -> Shop:
    return Shop(bank)


def test_three_levels_are_priced_again_to_the_exact_cent(shop: Shop) -> None:
    """97 s, each level at its own tariff, increments and rounding; each is mended on its own, and only then corrected.

    Retail: 60 + 7 x 6 s = 102 s at 0.90 + 0.05 = 1.58; mended 0.60: 1.07. Middle: 17 x 6 s = 102 s at 0.37 = 0.629;
    mended 0.40: 0.68. Top: 97 s at 0.1 = 0.161666; mended 0.07: 0.113166.
    """
    key = shop.call(97)
    assert ["8.42", "9.371", "9.838334"] == [shop.balance(name) for name in shop.accounts]
    assert [] == shop.look("retail")
    exported = max(cdr.position for cdr in shop.bank.cashier.export_cdrs(0))

    shop.rate("retail", "0.60", initial_s=60, increment_s=6, connect_fee="0.05")
    shop.rate("middle", "0.40", increment_s=6)
    shop.rate("top", "0.07")
    found = {name: shop.look(name) for name in shop.accounts}
    assert {
        "retail": [("1.58", "1.07", "0.51")],
        "middle": [("0.629", "0.68", "-0.051")],
        "top": [("0.161666", "0.113166", "0.0485")],
    } == {
        name: [(_text(one.leg.comes_to), _text(one.new_charge), _text(one.amount)) for one in differences]
        for name, differences in found.items()
    }
    assert ["8.42", "9.371", "9.838334"] == [shop.balance(name) for name in shop.accounts]

    assert ["corrected"] * 3 == [shop.correct(*found[name]) for name in shop.accounts]
    assert ["8.93", "9.32", "9.886834"] == [shop.balance(name) for name in shop.accounts]
    assert [("1.58", "1.07"), ("0.629", "0.68"), ("0.161666", "0.113166")] == shop.shown(key)
    (again,) = [cdr for cdr in shop.bank.cashier.export_cdrs(exported) if cdr.call_key == key]
    assert ["1.07", "0.68", "0.113166"] == [_text(leg.charge) for leg in again.legs]
    assert [[], [], []] == [shop.look(name) for name in shop.accounts]


def test_an_entry_of_its_own_says_what_was_corrected_and_why(shop: Shop) -> None:
    """With the call's key, so that a call's entries add up to what it comes to."""
    key = shop.call(60)
    shop.rate("retail", "0.60", connect_fee="0.05")
    (one,) = shop.look("retail")
    shop.correct(one)

    entries = shop.bank.cashier.entries(account_id=shop.accounts["retail"])
    entries = [entry for entry in entries if entry.call_key == key]
    assert [("correction", "0.3", key, "test", "a wrong deck"), ("call", "-0.95", "", "node1", "")] == [
        (entry.kind, _text(entry.amount), entry.reference, entry.actor, entry.reason) for entry in entries
    ]
    assert -sum(entry.amount for entry in entries) == one.new_charge
    (kept,) = shop.bank.sql("SELECT * FROM v_correction WHERE call_key = %s", key)
    assert (Decimal("0.95"), Decimal("0.65"), one.rate_json) == (kept["old_charge"], kept["new_charge"], kept["rate"])


def test_the_same_run_again_does_nothing(shop: Shop) -> None:
    """After a lost answer, or when a run is finished later; with another charge it is an error."""
    shop.call(60)
    shop.rate("retail", "0.60", connect_fee="0.05")
    (one,), run = shop.look("retail"), new_key()
    assert ["corrected", "already"] == [shop.correct(one, run), shop.correct(one, run)]
    assert "9.35" == shop.balance("retail")
    with pytest.raises(KeyConflict, match=r"corrected leg 0 of call .* to 0.650000 already"):
        shop.correct(replace(one, new_charge=Decimal("0.66")), run)
    assert "stale" == shop.correct(one)
    assert "9.35" == shop.balance("retail")


def test_the_same_run_from_many_connections_corrects_once(shop: Shop) -> None:
    """As everything that moves money."""
    shop.call(60)
    shop.rate("retail", "0.60", connect_fee="0.05")
    (one,), run = shop.look("retail"), new_key()
    outcomes = shop.bank.at_once("cashier", 8, lambda ledger, _: shop.correct(one, run, ledger=ledger), lock_wait_s=20)

    assert ["already"] * 7 + ["corrected"] == sorted(outcomes)
    assert "9.35" == shop.balance("retail")


def test_a_second_rerating_builds_on_the_first(shop: Shop) -> None:
    """Down, up and back to where it was: the entries add up, the first charge stays to be seen."""
    key = shop.call(60)
    for price, comes_to, balance in (("0.60", "0.65", "9.35"), ("1.20", "1.25", "8.75"), ("0.90", "0.95", "9.05")):
        shop.rate("retail", price, connect_fee="0.05")
        (one,) = shop.look("retail")
        assert "corrected" == shop.correct(one)
        assert (("0.95", comes_to), balance) == (shop.shown(key)[0], shop.balance("retail"))
    assert 3 == len(shop.bank.sql("SELECT 1 FROM v_correction WHERE call_key = %s", key))


def test_a_debit_never_goes_below_zero_unless_it_is_forced(shop: Shop) -> None:
    """Credits always; a forced debit is marked in its entry."""
    shop.call(60)
    shop.bank.cashier.adjust(new_key(), shop.accounts["retail"], "-9", "test", "spent elsewhere")
    shop.rate("retail", "1.20", connect_fee="0.05")
    (one,), run = shop.look("retail"), new_key()
    assert "-0.3" == _text(one.amount)
    with pytest.raises(LedgerRefused, match=r"insufficient_balance: account .* has 0.050000 available"):
        shop.correct(one, run)
    assert ("0.05", "") == (shop.balance("retail"), shop.shown(one.leg.call_key)[0][1])

    assert "corrected" == shop.correct(one, run, force=True)
    assert ("-0.25", ("0.95", "1.25")) == (shop.balance("retail"), shop.shown(one.leg.call_key)[0])
    entries = shop.bank.cashier.entries(account_id=shop.accounts["retail"])
    (entry,) = [entry for entry in entries if entry.kind == "correction"]
    assert entry.forced
    shop.rate("retail", "0.60", connect_fee="0.05")
    (back,) = shop.look("retail")
    assert "corrected" == shop.correct(back)


def test_rates_in_effect_when_the_call_was_rated_count(shop: Shop) -> None:
    """Not those of today: a deck for the past that was wrong is replaced by a right one from the same date."""
    early, late = shop.call(60, NOON), shop.call(60, NOON + 2 * DAY)
    dates = [NOON.isoformat(), (NOON + DAY).isoformat()]
    text = f"prefix,price,effective_from\n49,0.30,{dates[0]}\n49,0.10,{dates[1]}\n"
    with DeckImport(shop.bank.admin, new_key(), shop.tariffs["retail"], "test") as deck:
        deck.stage(Deck(io.BytesIO(text.encode()), DeckFormat(), TariffTerms(), NOON), print)
        deck.compare(replace=False, effective_from=None)
        deck.apply()

    found = shop.look("retail", until=NOON + 3 * DAY)
    assert [(early, "0.3"), (late, "0.1")] == [(one.leg.call_key, _text(one.new_charge)) for one in found]
    assert [early] == [one.leg.call_key for one in shop.look("retail", until=NOON + DAY)]
    assert [late] == [one.leg.call_key for one in shop.look("retail", NOON + DAY, NOON + 3 * DAY)]


def test_what_has_no_rate_now_is_told_and_not_guessed(shop: Shop) -> None:
    """No rate, a barred one, or a call whose truth is not known yet."""
    shop.call(60)
    shop.bank.admin.remove_rate(shop.ids["retail"], "49", NOON - DAY)
    (none,) = shop.look("retail")
    assert isinstance(none, Unpriced)
    assert f"{NUMBER}: no rate in tariff" in none.why
    shop.rate("retail", "1", blocked=True)
    (barred,) = shop.look("retail")
    assert isinstance(barred, Unpriced)
    assert "is barred" in barred.why
    shop.rate("retail", "0.30")
    shop.bank.sql("UPDATE cdr SET provisional = TRUE WHERE call_key = %s", none.leg.call_key)
    (early,) = shop.look("retail")
    assert isinstance(early, Unpriced)
    assert "provisionally" in early.why
    forged = Difference(none.leg, Decimal("0.3"), None, "{}")
    assert "stale" == shop.correct(forged)
    shop.bank.sql("UPDATE cdr SET provisional = FALSE WHERE call_key = %s", none.leg.call_key)


def test_a_provisional_call_is_settled_to_its_truth_and_then_corrected(shop: Shop) -> None:
    """The reaper's charge, the refund of what was not talked, and the correction add up."""
    key = shop.call(60)
    shop.rate("retail", "0.60", connect_fee="0.05")
    (one,) = shop.look("retail")
    assert "corrected" == shop.correct(one)
    assert "already" == shop.bank.proxy.settle_call(key, settlement(["0.5", "0.1", "0.1"], 3600, 30)).outcome
    assert ("0.95", "0.65") == shop.shown(key)[0]


@pytest.mark.parametrize(
    ("token", "more"),
    [
        ("invalid_key", {"run": "x"}),
        ("invalid_key", {"call_key": "x"}),
        ("unknown_call", {"call_key": new_key()}),
        ("unknown_call", {"leg": 9}),
        ("invalid_amount", {"new": "-1"}),
        ("invalid_amount", {"new": "0.1234567"}),
        ("invalid_amount", {"new": "0.95"}),
        ("invalid_content", {"actor": " "}),
        ("invalid_content", {"reason": ""}),
        ("invalid_content", {"rate": "no JSON"}),
    ],
)
def test_a_correction_that_cannot_be_is_refused(shop: Shop, token: str, more: dict[str, Any]) -> None:
    """By name; nothing moves."""
    key = shop.call(60)
    given: dict[str, Any] = {
        "run": new_key(), "call_key": key, "leg": 0, "old": "0.95", "new": "0.65", "rate_id": None, "rate": "{}",
        "actor": "test", "reason": "why",
    }  # fmt: skip
    with pytest.raises(Exception) as refusal:  # noqa: PT011 - its token is looked at
        shop.bank.cashier._call("correct_charge", *(given | more).values(), False)
    assert token == refusal.value.token  # type: ignore[attr-defined]
    assert "9.05" == shop.balance("retail")


def test_a_closed_account_is_not_corrected(shop: Shop) -> None:
    """As no other movement of money."""
    shop.call(60)
    shop.rate("retail", "0.60", connect_fee="0.05")
    (one,) = shop.look("retail")
    shop.bank.emptied(shop.accounts["retail"])
    shop.bank.admin.close_account(shop.accounts["retail"])
    with pytest.raises(LedgerRefused, match="account_closed"):
        shop.correct(one)


def test_only_one_account_when_asked_so(shop: Shop) -> None:
    """Two resellers at one tariff; one is re-rated."""
    other = Shop(shop.bank)
    tariff = shop.ids["retail"]
    other.ids["retail"], other.tariffs["retail"] = tariff, shop.tariffs["retail"]
    shop.call(60)
    other.call(60)
    both = [leg.account_id for leg in shop.bank.cashier.legs_to_rerate(tariff, NOON - DAY, NOON + DAY)]
    one = shop.bank.cashier.legs_to_rerate(tariff, NOON - DAY, NOON + DAY, other.accounts["retail"])

    assert {shop.accounts["retail"], other.accounts["retail"]} == set(both)
    assert [other.accounts["retail"]] == [leg.account_id for leg in one]


def test_more_legs_than_fit_on_a_page_are_all_found_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call whose legs would be cut is read again with the next page."""
    keys = {shop.call(60) for _ in range(7)}
    monkeypatch.setattr("billing.ledger_tariffs.PAGE_ROWS", 3)
    found: list[LegToRerate] = list(shop.bank.cashier.legs_to_rerate(shop.ids["retail"], NOON - DAY, NOON + DAY))
    assert (7, keys) == (len(found), {leg.call_key for leg in found})


# --- the audit --------------------------------------------------------------------------------------------------------


SABOTAGES = [
    ("UPDATE cdr_leg SET corrected_charge = 0.7 WHERE call_key = %s AND leg = 0", {"charge", "corrected_charge"}),
    ("UPDATE cdr_leg SET corrected_charge = NULL WHERE call_key = %s AND leg = 0", {"charge", "corrected_charge"}),
    ("UPDATE cdr_leg SET corrected_charge = 0.1 WHERE call_key = %s AND leg = 1", {"charge", "corrected_charge"}),
    ("DELETE FROM correction WHERE call_key = %s", {"corrected_charge"}),
    ("UPDATE correction SET new_charge = 0.6 WHERE call_key = %s", {"corrected_charge"}),
    ("DELETE FROM entry WHERE kind = 'correction' AND reference = %s", {"balance", "charge"}),
    ("UPDATE entry SET amount = 0.31 WHERE kind = 'correction' AND reference = %s", {"balance", "charge"}),
]


def test_the_audit_finds_a_correction_that_was_tampered_with(new_bank: Any) -> None:
    """Each thing that could be made wrong is named, with the call; one after the other in one ledger."""
    shop = Shop(new_bank())
    key = shop.call(60)
    shop.rate("retail", "0.60", connect_fee="0.05")
    (one,) = shop.look("retail")
    shop.correct(one)
    assert [] == shop.bank.cashier.audit()
    tables = ("cdr_leg", "correction", "entry")
    for table in tables:
        shop.bank.sql(f"CREATE TABLE {table}_as_it_was SELECT * FROM {table}")
    for sabotage, what in SABOTAGES:
        shop.bank.sql(sabotage, key)
        found = shop.bank.cashier.audit()
        assert (sabotage, what) == (sabotage, {difference.what for difference in found})
        assert {key} == {difference.id for difference in found if difference.what != "balance"}
        for table in tables:
            shop.bank.sql(f"DELETE FROM {table}")
            shop.bank.sql(f"INSERT INTO {table} SELECT * FROM {table}_as_it_was")
    assert [] == shop.bank.cashier.audit()
