"""Demo data: a vendor with retail tariffs, a reseller above a card, cards, and a customer with three extensions.

Numbers, PINs and passwords are made up when the data is loaded; nothing secret stands here. The ledger keeps hashes, so
what `load_demo` returns is the only copy.
"""

import hashlib
import hmac
import secrets as random_secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from ulid import ULID

from billing.errors import LedgerRefused
from billing.ledger import Ledger
from billing.ledger_types import AccountKind

CURRENCY = "EUR"
ACTOR = "demo"

LANDLINE = "493012345678"
"""Germany, fixed: 0.60 a minute retail, so a cent a second."""
MOBILE = "4915112345678"
"""Germany, mobile: 1.20 a minute retail."""
FREE = "4980012345678"
"""Freephone: costs nothing."""
BARRED = "49900123456"
"""Premium: has a rate, which is blocked."""
UNKNOWN = "88216123456"
"""Satellite: no rate at all."""

RESELLER, CUSTOMER = "Northwind", "Acme"
EXTENSIONS = ("101", "102", "103")


class _Card(NamedTuple):
    """A card to make: what it is for, its balance, its tariff, and whether Northwind sold it."""

    name: str
    balance: str
    tariff: str = "Retail by the second"
    resold: bool = False


_CARDS = (
    _Card("card", "10.00"),
    _Card("card with 5 seconds", "0.05"),
    _Card("card with 6 seconds", "0.06"),
    _Card("card by the minute", "3.00", tariff="Retail by the minute"),
    _Card("card of Northwind", "10.00", tariff="Northwind sells", resold=True),
    _Card("empty card", "0"),
)

_RATES = (  # prefix, destination, price a minute: retail, wholesale, and what a carrier with prices takes
    ("49", "Germany", "0.60", "0.30", "0.12"),
    ("4915", "Germany mobile", "1.20", "0.90", "0.66"),
    ("49800", "Germany freephone", "0", "0", "0"),
    ("44", "United Kingdom", "0.90", "0.50", "0.30"),
    ("1", "North America", "0.45", "0.20", "0.06"),
)
_PREMIUM_PREFIX = "49900"
_CARRIER_TARIFF = "Carrier charges"


class DemoCarrier(NamedTuple):
    """A gateway that calls go to, lower priority first; `priced`: what it charges is known."""

    name: str
    host: str
    port: int
    priority: int = 0
    transport: str = "udp"
    priced: bool = False


@dataclass(frozen=True)
class DemoSecrets:
    """What PIN hashes are keyed with (settings.card_pin_key), and passwords by extension; missing ones are made up."""

    card_pin_key: str = field(repr=False)
    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class DemoCard:
    """A loaded card."""

    account_id: int
    name: str
    number: str
    pin: str


@dataclass(frozen=True)
class DemoExtension:
    """A phone of Acme's."""

    user_id: int
    username: str
    password: str


@dataclass(frozen=True)
class DemoData:
    """What was loaded. Cards by name: "card", "card with 5 seconds", "card of Northwind", "empty card".."""

    realm: str
    reseller_id: int
    customer_id: int
    cards: Mapping[str, DemoCard]
    extensions: Mapping[str, DemoExtension]
    tariffs: Mapping[str, int]
    trunks: Mapping[str, int]
    carriers: Mapping[str, int]
    caller_numbers: Mapping[str, str]
    """Number on the trunk for caller numbers: the card or extension that it belongs to."""


def load_demo(
    ledger_admin: Ledger,
    cashier: Ledger,
    *,
    realm: str,
    ivr_network: str,
    carriers: Sequence[DemoCarrier],
    secrets: DemoSecrets,
    caller_number_network: str = "127.0.0.21/32",
    customer_networks: Sequence[str] = ("127.0.0.22/32", "127.0.1.0/24"),
) -> DemoData:
    """Load the demo data into a fresh ledger. Raises LedgerRefused if it is there already."""
    if ledger_admin.account_named(RESELLER) is not None:
        raise LedgerRefused("demo_loaded", f"account {RESELLER} exists: the demo data is in this ledger already")
    tariffs = _tariffs(ledger_admin)
    reseller = _account(ledger_admin, cashier, "reseller", RESELLER, tariffs["Northwind buys"], None, "50.00")
    customer = _account(ledger_admin, cashier, "customer", CUSTOMER, tariffs["Retail by the second"], None, "10.00")
    ledger_admin.set_account(customer, max_calls=3, low_balance="2.00", low_balance_max_calls=1, longest_call_s=7200)
    tariffs["Northwind sells"] = _sold(ledger_admin, reseller)
    cards = {card.name: _card(ledger_admin, cashier, card, tariffs, reseller, secrets) for card in _CARDS}
    extensions = {name: _extension(ledger_admin, customer, name, realm, secrets) for name in EXTENSIONS}
    trunks = {
        "IVR": ledger_admin.create_trunk("IVR", "ivr", [ivr_network]),
        "Callers by number": ledger_admin.create_trunk("Callers by number", "caller_number", [caller_number_network]),
        "Acme PBX": ledger_admin.create_trunk(
            "Acme PBX", "customer", customer_networks, user_id=extensions["103"].user_id
        ),
    }
    caller_numbers = {"4930555001": "card", "4930555101": "101"}
    by_number = trunks["Callers by number"]
    ledger_admin.put_caller_number(by_number, "4930555001", account_id=cards["card"].account_id)
    ledger_admin.put_caller_number(by_number, "4930555101", user_id=extensions["101"].user_id)
    return DemoData(
        realm, reseller, customer, cards, extensions, tariffs, trunks, _carriers(ledger_admin, carriers), caller_numbers
    )


def pin_hash(card_pin_key: str, number: str, pin: str) -> str:
    """What the ledger keeps of a card's PIN: hex HMAC-SHA256 of 'number:pin'."""
    return hmac.new(card_pin_key.encode(), f"{number}:{pin}".encode(), hashlib.sha256).hexdigest()


def digest_ha1(algorithm: str, username: str, realm: str, password: str) -> str:
    """HA1 of RFC 7616: hex hash of username:realm:password. `algorithm`: md5 or sha256."""
    return hashlib.new(algorithm, f"{username}:{realm}:{password}".encode(), usedforsecurity=False).hexdigest()


def _tariffs(admin: Ledger) -> dict[str, int]:
    by_second = admin.put_tariff("Retail by the second", CURRENCY)
    by_minute = admin.put_tariff("Retail by the minute", CURRENCY)
    buys = admin.put_tariff("Northwind buys", CURRENCY)
    carrier = admin.put_tariff(_CARRIER_TARIFF, CURRENCY)
    for prefix, destination, retail, wholesale, cost in _RATES:
        admin.put_rate(carrier, prefix, destination, price=cost)
        admin.put_rate(by_second, prefix, destination, price=retail)
        admin.put_rate(by_minute, prefix, destination, price=retail, initial_s=60, increment_s=60)
        admin.put_rate(buys, prefix, destination, price=wholesale)
    for tariff in (by_second, by_minute, buys):
        admin.put_rate(tariff, _PREMIUM_PREFIX, "Germany premium", price="3.00", blocked=True)
    return {"Retail by the second": by_second, "Retail by the minute": by_minute, "Northwind buys": buys}


def _sold(admin: Ledger, reseller_id: int) -> int:
    """What Northwind sells at: his own tariff, at the vendor's retail prices."""
    tariff_id = admin.put_tariff("Northwind sells", CURRENCY, owner_account_id=reseller_id)
    for prefix, destination, retail, *_ in _RATES:
        admin.put_rate(tariff_id, prefix, destination, price=retail)
    admin.put_rate(tariff_id, _PREMIUM_PREFIX, "Germany premium", price="3.00", blocked=True)
    return tariff_id


def _account(
    admin: Ledger, cashier: Ledger, kind: AccountKind, name: str, tariff_id: int, parent_id: int | None, balance: str
) -> int:
    account_id = admin.create_account(kind, name, parent_id, CURRENCY, tariff_id)
    admin.set_account(account_id, country_code="49")
    if Decimal(balance) > 0:
        cashier.top_up(str(ULID()), account_id, balance, ACTOR, "demo data")
    return account_id


def _card(
    admin: Ledger,
    cashier: Ledger,
    card: _Card,
    tariffs: Mapping[str, int],
    reseller_id: int,
    secrets: DemoSecrets,
) -> DemoCard:
    parent_id = reseller_id if card.resold else None
    account_id = _account(admin, cashier, "card", card.name, tariffs[card.tariff], parent_id, card.balance)
    admin.set_account(account_id, max_calls=1)
    number = f"{random_secrets.randbelow(9 * 10**9) + 10**9}"
    pin = f"{random_secrets.randbelow(10**6):06d}"
    admin.put_card(account_id, number, pin_hash(secrets.card_pin_key, number, pin))
    return DemoCard(account_id, card.name, number, pin)


def _extension(admin: Ledger, account_id: int, name: str, realm: str, secrets: DemoSecrets) -> DemoExtension:
    user_id = admin.create_user(account_id, name, max_calls=2)
    password = secrets.passwords.get(name) or random_secrets.token_urlsafe(12)
    ha1_md5, ha1_sha256 = (digest_ha1(algorithm, name, realm, password) for algorithm in ("md5", "sha256"))
    admin.put_digest(user_id, name, realm, ha1_md5, ha1_sha256)
    return DemoExtension(user_id, name, password)


def _carriers(admin: Ledger, carriers: Sequence[DemoCarrier]) -> dict[str, int]:
    return {
        one.name: admin.create_carrier(
            one.name,
            one.host,
            port=one.port,
            transport=one.transport,
            priority=one.priority,
            **({"tariff": _CARRIER_TARIFF} if one.priced else {}),
        )
        for one in carriers
    }
