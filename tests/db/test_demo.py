"""The demo data: loads into a fresh ledger, once, and is what the demo's calls need."""

import hashlib
from collections.abc import Callable
from decimal import Decimal

import pytest

from billing.errors import LedgerRefused
from billing.ledger import Ledger
from billing.pricelist import rate_from_row
from billing.rating import PricedCall
from db.demo import BARRED, FREE, LANDLINE, MOBILE, UNKNOWN, DemoCarrier, DemoData, DemoSecrets, load_demo, pin_hash
from tests.db.bank import Bank

KEY = "k" * 32


@pytest.fixture
def bank(new_bank: Callable[[], Bank]) -> Bank:
    return new_bank()


@pytest.fixture
def demo(bank: Bank) -> DemoData:
    return _load(bank)


def _load(bank: Bank) -> DemoData:
    return load_demo(
        bank.admin,
        bank.cashier,
        realm="demo.example",
        ivr_network="127.0.0.20/32",
        carriers=[DemoCarrier("second", "127.0.0.1", 5071, priority=1), DemoCarrier("first", "127.0.0.1", 5070)],
        secrets=DemoSecrets(KEY, {"101": "known"}),
    )


def test_every_card_opens_with_its_pin_and_has_its_money(bank: Bank, demo: DemoData) -> None:
    """By number and PIN; one call at a time; Northwind above its own card alone."""
    balances = {}
    for name, card in demo.cards.items():
        caller = bank.proxy.identify_card(card.number)
        assert caller is not None
        assert pin_hash(KEY, card.number, card.pin) == caller.pin_hash
        assert (card.account_id, 1) == (caller.legs[0].account_id, caller.legs[0].max_calls)
        balances[name] = (caller.legs[0].balance, len(caller.legs))

    assert {
        "card": (10, 1),
        "card with 5 seconds": (Decimal("0.05"), 1),
        "card with 6 seconds": (Decimal("0.06"), 1),
        "card by the minute": (3, 1),
        "card of Northwind": (10, 2),
        "empty card": (0, 1),
    } == balances


def test_extensions_share_one_balance(bank: Bank, demo: DemoData) -> None:
    """Three users of one customer; passwords given or made up, kept as hashes only."""
    for name, extension in demo.extensions.items():
        caller = bank.proxy.identify_digest(name, "demo.example")
        assert caller is not None
        text = f"{name}:demo.example:{extension.password}".encode()
        assert (demo.customer_id, extension.user_id) == (caller.legs[0].account_id, caller.user_id)
        assert hashlib.md5(text, usedforsecurity=False).hexdigest() == caller.ha1_md5
        assert hashlib.sha256(text).hexdigest() == caller.ha1_sha256
    assert demo.extensions["101"].password == "known"
    assert len({extension.password for extension in demo.extensions.values()}) == 3


@pytest.mark.parametrize(
    ("number", "retail", "wholesale"), [(LANDLINE, "0.6", "0.3"), (MOBILE, "1.2", "0.9"), (FREE, "0", "0")]
)
def test_numbers_cost_what_the_demo_says(bank: Bank, demo: DemoData, number: str, retail: str, wholesale: str) -> None:
    """A minute, at retail by the second and by the minute, and at Northwind's own tariff."""
    for tariff, expected in (
        ("Retail by the second", retail),
        ("Retail by the minute", retail),
        ("Northwind buys", wholesale),
        ("Northwind sells", retail),
    ):
        rate = _longest(bank.proxy, demo.tariffs[tariff], number)
        caller = bank.proxy.identify_account(demo.customer_id)
        assert caller is not None
        assert PricedCall(rate, caller.now.replace(microsecond=0)).cost(60) == Decimal(expected)


def test_one_number_is_barred_and_one_unknown(bank: Bank, demo: DemoData) -> None:
    """For the refusals."""
    tariff = demo.tariffs["Retail by the second"]

    assert _longest(bank.proxy, tariff, BARRED).blocked
    assert bank.proxy.rates_for(tariff, UNKNOWN) == []


def _longest(ledger: Ledger, tariff: int, number: str):
    rows = ledger.rates_for(tariff, number)
    return rate_from_row(max(rows, key=lambda row: len(row.prefix)).as_mapping())


def test_trunks_and_carriers_stand_ready(bank: Bank, demo: DemoData) -> None:
    """All three kinds of trunk, one with two networks; carriers in order."""
    trunks = {trunk.name: (trunk.kind, len(trunk.networks)) for trunk in bank.proxy.trunks()}

    assert {"IVR": ("ivr", 1), "Callers by number": ("caller_number", 1), "Acme PBX": ("customer", 2)} == trunks
    assert ["first", "second"] == [carrier.name for carrier in bank.proxy.carriers()]
    by_number = demo.trunks["Callers by number"]
    card, user = (bank.proxy.identify_caller_number(by_number, number) for number in demo.caller_numbers)
    assert card is not None
    assert user is not None
    assert ("card", "101") == (card.legs[0].account_name, user.user_name)


def test_it_loads_once(bank: Bank, demo: DemoData) -> None:
    """What was printed the first time stays true."""
    with pytest.raises(LedgerRefused, match="demo_loaded"):
        _load(bank)
    assert bank.cashier.audit() == []


def test_nothing_secret_is_kept_or_shown(bank: Bank, demo: DemoData) -> None:
    """PINs and passwords are not in the database."""
    stored = str(bank.sql("SELECT * FROM credential_card")) + str(bank.sql("SELECT * FROM credential_digest"))

    assert not any(card.pin in stored.split("'") for card in demo.cards.values())
    assert not any(extension.password in stored for extension in demo.extensions.values())
    assert "known" not in repr(DemoSecrets(KEY, {"101": "known"}))
