"""Who is calling: the chain of accounts that a credential leads to, and the rates of a number."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pymysql
import pytest

from billing.errors import InvalidAmount, LedgerRefused
from billing.pricelist import rate_from_row
from tests.db.bank import Bank, new_key, request


def test_a_chain_goes_from_the_account_up(bank: Bank) -> None:
    """Each leg with its own tariff and money."""
    card, reseller, vendor = bank.chain("1", "2", "3")

    caller = bank.proxy.identify_account(card)

    assert caller is not None
    assert [(0, card, reseller, 1), (1, reseller, vendor, 2), (2, vendor, None, 3)] == [
        (leg.leg, leg.account_id, leg.parent_id, leg.available) for leg in caller.legs
    ]
    assert timedelta(seconds=-5) < datetime.now(UTC) - caller.now < timedelta(seconds=5)
    assert (None, None, None, None, None) == (
        caller.user_id, caller.user_status, caller.ha1_md5, caller.pin_hash, caller.card_number,
    )  # fmt: skip


def test_what_is_unknown_is_nobody(bank: Bank) -> None:
    """In every way to ask."""
    assert bank.proxy.identify_account(999_999) is None
    assert bank.proxy.identify_user(999_999) is None
    assert bank.proxy.identify_card("0000000000") is None
    assert bank.proxy.identify_card("1" * 5000) is None
    assert bank.proxy.identify_card("٤٥٦٧") is None
    assert bank.proxy.identify_digest("nobody", "realm") is None
    assert bank.proxy.identify_caller_number(1, "\udcff") is None


def test_a_name_that_nobody_has_is_answered_like_one_that_somebody_has(bank: Bank) -> None:
    """As many rows, so that it takes as long; without a hash, so that nobody can be taken for somebody."""
    user = bank.admin.create_user(bank.account(kind="customer", parent=bank.account(kind="reseller")), "somebody")
    bank.admin.put_digest(user, "somebody", "example.org", "a" * 32, "b" * 64)
    card = bank.account()
    bank.admin.put_card(card, "1230099", "c" * 64)
    for number in range(50):
        rows = bank.proxy._call("identify_digest", f"nobody{number}", "example.org")
        assert rows
        assert {(None, None)} == {(row["ha1_md5"], row["ha1_sha256"]) for row in rows}
        assert {None} == {row["pin_hash"] for row in bank.proxy._call("identify_card", f"77{number:06}")}
        assert bank.proxy.identify_digest(f"nobody{number}", "example.org") is None
        assert bank.proxy.identify_card(f"77{number:06}") is None


def test_a_digest_user_is_found_by_his_exact_name_and_realm(bank: Bank) -> None:
    """Neither case nor blanks are forgiven; both hashes come along, and the user's own limits."""
    account = bank.account("5", kind="customer")
    user = bank.user(account, max_calls=2)
    bank.admin.put_digest(user, "Alice", "example.org", "a" * 32, "b" * 64)

    caller = bank.proxy.identify_digest("Alice", "example.org")

    assert caller is not None
    assert (user, "active", 2, "a" * 32, "b" * 64, account) == (
        caller.user_id, caller.user_status, caller.user_max_calls, caller.ha1_md5, caller.ha1_sha256,
        caller.legs[0].account_id,
    )  # fmt: skip
    for username, realm in (("alice", "example.org"), ("Alice ", "example.org"), ("Alice", "Example.org"),
                            ("Alicé", "example.org"),
                            ("Alice", "example.org "), ("Alice\0", "example.org")):  # fmt: skip
        assert bank.proxy.identify_digest(username, realm) is None


def test_a_card_is_found_by_its_number_alone(bank: Bank) -> None:
    """With the hash of its PIN; the number is compared whole."""
    card = bank.account("5")
    bank.admin.put_card(card, "4711471147", "c" * 64)

    caller = bank.proxy.identify_card("4711471147")

    assert caller is not None
    assert (card, "c" * 64, "4711471147") == (caller.legs[0].account_id, caller.pin_hash, caller.card_number)
    for number in ("471147114", "47114711470", " 4711471147", "4711471147 ", "4711471147\n", "+4711471147"):
        assert bank.proxy.identify_card(number) is None


def test_a_caller_number_counts_on_its_own_trunk_only(bank: Bank) -> None:
    """A user's or a card's; on another trunk, or a suspended one, it is nobody's."""
    card, customer = bank.account("5"), bank.account("5", kind="customer")
    user = bank.user(customer)
    trunk = bank.admin.create_trunk(f"by number {card}", "caller_number", ["192.0.2.0/24"])
    other = bank.admin.create_trunk(f"by number too {card}", "caller_number", ["198.51.100.0/24"])
    bank.admin.put_caller_number(trunk, "49301", user_id=user)
    bank.admin.put_caller_number(trunk, "49302", account_id=card)

    by_user, by_card = (
        bank.proxy.identify_caller_number(trunk, "49301"),
        bank.proxy.identify_caller_number(trunk, "49302"),
    )

    assert by_user is not None
    assert by_card is not None
    assert (user, customer) == (by_user.user_id, by_user.legs[0].account_id)
    assert (None, card) == (by_card.user_id, by_card.legs[0].account_id)
    assert bank.proxy.identify_caller_number(other, "49301") is None
    bank.admin.set_trunk_status(trunk, "suspended")
    assert bank.proxy.identify_caller_number(trunk, "49301") is None


def test_a_chain_has_at_most_eight_accounts(bank: Bank) -> None:
    """The ninth cannot be made; one that grew past the rules is cut in the answer and refused when it calls."""
    chain = bank.chain(*["9"] * 8)
    caller = bank.proxy.identify_account(chain[0])
    assert caller is not None
    assert list(chain) == [leg.account_id for leg in caller.legs]
    bank.give_up(bank.opened(chain))
    with pytest.raises(LedgerRefused, match="invalid_parent"):
        bank.admin.create_account("card", "below a card", chain[0], "EUR", bank.tariff)
    with pytest.raises(LedgerRefused, match="the 9th of its chain"):
        bank.account(parent=_as_reseller(bank, chain[0]))


def _as_reseller(bank: Bank, account: int) -> int:
    bank.sql("UPDATE account SET kind = 'reseller' WHERE id = %s", account)
    return account


def test_a_chain_that_bites_its_tail_ends(bank: Bank) -> None:
    """Nobody but the administrator can make one; it is cut, and opens no call."""
    one, two = bank.account("9", kind="reseller"), bank.account("9", kind="reseller")
    bank.sql("UPDATE account SET parent_id = %s WHERE id = %s", two, one)
    bank.sql("UPDATE account SET parent_id = %s WHERE id = %s", one, two)

    caller = bank.proxy.identify_account(one)

    assert caller is not None
    assert len(caller.legs) == 8
    with pytest.raises(LedgerRefused, match="stands twice"):
        bank.proxy.open_call(new_key(), request([leg.account_id for leg in caller.legs]))
    with pytest.raises(LedgerRefused, match="chain_changed"):
        bank.proxy.open_call(new_key(), request([one, two]))
    bank.sql("UPDATE account SET parent_id = NULL WHERE id IN (%s, %s)", one, two)


# --- rates ------------------------------------------------------------------------------------------------------------


def test_the_rates_of_a_number_are_those_of_its_prefixes(bank: Bank) -> None:
    """All of them, of every time: which one counts at an instant is the engine's to say."""
    tariff = bank.admin.put_tariff("prefixes", "EUR", decimals=2, rounding="up", zone="Europe/Berlin")
    for prefix in ("4", "49", "4930", "4931", "44"):
        bank.admin.put_rate(tariff, prefix, f"to {prefix}", price="0.60")
    later = datetime(2030, 1, 1, tzinfo=UTC)
    bank.admin.put_rate(tariff, "4930", "Berlin 2030", price="0.70", effective_from=later)

    rates = bank.proxy.rates_for(tariff, "493012345")

    assert {("4", "to 4"), ("49", "to 49"), ("4930", "to 4930"), ("4930", "Berlin 2030")} == {
        (rate.prefix, rate.destination) for rate in rates
    }
    assert {later} == {rate.effective_from for rate in rates if rate.destination == "Berlin 2030"}
    assert {("Europe/Berlin", 2, "up")} == {(rate.zone, rate.decimals, rate.rounding) for rate in rates}
    assert bank.proxy.rates_for(tariff, "") == []
    assert bank.proxy.rates_for(tariff, "7") == []


def test_the_engine_reads_a_rate_as_it_was_put(bank: Bank) -> None:
    """Short form and schedule, maximum and free seconds, blocked."""
    tariff = bank.admin.put_tariff("rates to read", "EUR")
    bank.admin.put_rate(
        tariff, "1", "short", connect_fee="0.1", price=Decimal("0.6"), per_s=60, initial_s=30, increment_s=6,
        free_seconds=5, max_cost="2.5", max_cost_rule="free", blocked=True,
    )  # fmt: skip
    bank.admin.put_rate(
        tariff, "2", "long", schedule='{"slots": [{"from_s": 0, "rate": "0.01", "per_s": 1, "increment_s": 1}]}'
    )

    short, long = (rate_from_row(rate.as_mapping()) for rate in bank.cashier.rates(tariff))

    assert (5, Decimal("2.5"), "free", True) == (short.free_seconds, short.max_cost, short.max_cost_rule, short.blocked)
    assert (Decimal("0.1"), 2) == (short.windows[0].connect_fee, len(short.windows[0].slots))
    assert ("long", False, 1) == (long.destination, long.blocked, len(long.windows[0].slots))


def test_every_change_of_a_rate_raises_the_version(bank: Bank) -> None:
    """The caller's chain carries it, so that no cache is asked under an old one."""
    tariff = bank.admin.put_tariff("versions", "EUR")
    account = bank.admin.create_account("card", "versioned", None, "EUR", tariff)

    def version() -> int:
        caller = bank.proxy.identify_account(account)
        assert caller is not None
        return caller.legs[0].tariff_version

    seen = [version()]
    one = bank.admin.put_rate(tariff, "49", "Germany", price="0.60")
    seen.append(version())
    again = bank.admin.put_rate(tariff, "49", "Germany", price="0.70")
    seen.append(version())
    bank.admin.remove_rate(tariff, "49")
    seen.append(version())
    assert bank.admin.put_tariff("versions", "EUR", rounding="up") == tariff
    seen.append(version())

    assert one == again
    assert seen == sorted(set(seen))
    assert bank.proxy.rates_for(tariff, "49") == []


def test_a_rate_that_cannot_be_meant_is_refused(bank: Bank) -> None:
    """And the version stays."""
    tariff = bank.admin.put_tariff("nonsense", "EUR")
    put = bank.admin.put_rate
    for prefix in ("", "a", "1" * 21, "+49", "49\n"):
        with pytest.raises(LedgerRefused, match="a prefix is 1 to 20 digits"):
            put(tariff, prefix, "x")
    for amount in ("abc", "-1", "1e20", "1.1234567", ""):
        with pytest.raises(InvalidAmount, match="price, rate of prefix 49"):
            put(tariff, "49", "x", price=amount)
        with pytest.raises(InvalidAmount):
            put(tariff, "49", "x", connect_fee=amount)
        with pytest.raises(InvalidAmount):
            put(tariff, "49", "x", max_cost=amount)
    for nonsense in ({"per_s": 0}, {"increment_s": 0}, {"initial_s": 0}, {"max_cost_rule": "no"}, {"schedule": "{"},
                     {"free_seconds": -1}, {"effective_from": datetime(2030, 1, 1, tzinfo=UTC),
                                            "effective_to": datetime(2029, 1, 1, tzinfo=UTC)}):  # fmt: skip
        with pytest.raises(LedgerRefused):
            put(tariff, "49", "x", **nonsense)  # type: ignore[arg-type]
    with pytest.raises(LedgerRefused, match="unknown_tariff: there is no tariff 999999"):
        put(999_999, "49", "x")
    with pytest.raises(LedgerRefused, match="unknown_rate"):
        bank.admin.remove_rate(tariff, "49")
    assert [1] == [one.version for one in bank.admin.tariffs() if one.tariff_id == tariff]


# --- accounts and configuration ---------------------------------------------------------------------------------------


def test_an_account_is_made_once(bank: Bank) -> None:
    """Its name is its key; it has a purse from the first moment."""
    first = bank.admin.create_account("customer", "Once", None, "EUR", bank.tariff, "5")

    assert first == bank.admin.create_account("customer", "Once", None, "EUR", bank.tariff, Decimal(5))
    assert bank.purse(first)["credit_limit"] == 5
    with pytest.raises(Exception, match="another account named Once"):
        bank.admin.create_account("card", "Once", None, "EUR", bank.tariff, "5")


def test_an_account_that_cannot_be_is_refused(bank: Bank) -> None:
    """A customer above a card, an unknown tariff, another currency, no kind, no parent."""
    customer = bank.account(kind="customer")

    for parent, currency, tariff, kind, words in (
        (customer, "EUR", bank.tariff, "card", "is no open reseller"),
        (999_999, "EUR", bank.tariff, "card", "unknown_account: there is no account 999999"),
        (None, "EUR", 999_999, "card", "unknown_tariff"),
        (None, "USD", bank.tariff, "card", "currency_mismatch"),
        (None, "EUR", bank.tariff, "bank", "is not reseller, customer or card"),
    ):
        with pytest.raises(LedgerRefused, match=words):
            bank.admin.create_account(kind, "Nobody", parent, currency, tariff)  # type: ignore[arg-type]
    assert bank.admin.account_named("Nobody") is None


def test_an_account_keeps_the_currency_of_its_tariff(bank: Bank) -> None:
    """Neither changes without the other; past the routines the table itself refuses."""
    account = bank.account()
    dollars = bank.admin.put_tariff("other dollars", "USD")

    with pytest.raises(LedgerRefused, match="currency_mismatch"):
        bank.admin.set_account(account, tariff_id=dollars)
    with pytest.raises(LedgerRefused) as refusal:
        bank.admin.put_tariff("retail", "USD")
    assert "tariff_in_use: accounts are charged at tariff retail: its currency stays" == str(refusal.value)
    with pytest.raises(pymysql.err.IntegrityError, match="account_tariff"):
        bank.sql("UPDATE tariff SET currency = 'USD' WHERE name = 'retail'")


def test_what_is_closed_stays_closed(bank: Bank) -> None:
    """And nothing is closed under a call in progress."""
    account = bank.account("9")
    key = bank.opened([account])
    with pytest.raises(LedgerRefused, match="calls_in_progress"):
        bank.admin.set_account_status(account, "closed")
    bank.give_up(key)
    bank.emptied(account)
    bank.admin.set_account_status(account, "closed")

    with pytest.raises(LedgerRefused, match="account_closed"):
        bank.admin.set_account_status(account, "active")


def test_the_configuration_has_another_version_after_every_change(bank: Bank) -> None:
    """Trunks, their networks, carriers: made, changed, removed."""
    seen = [bank.proxy.config_version()]

    def changed() -> None:
        seen.append(bank.proxy.config_version())

    trunk = bank.admin.create_trunk("changing", "ivr", ["192.0.2.1/32", "2001:db8::/32"])
    changed()
    bank.admin.remove_trunk_network("changing", "192.0.2.1/32")
    changed()
    bank.admin.set_trunk_status(trunk, "suspended")
    changed()
    bank.admin.create_carrier("changing", "192.0.2.9", port=5080, priority=3)
    changed()
    changes = {"priority": 4, "prefixes": ["49"], "channels": 3, "trusts_identity": True, "probed": False}
    for name, value in changes.items():
        bank.admin.set_carrier("changing", **{name: value})
        changed()
    bank.admin.set_carrier_status("changing", "disabled")
    changed()

    assert all(before != after for before, after in pairwise(seen))


def test_trunks_and_carriers_are_listed_as_the_proxy_needs_them(bank: Bank) -> None:
    """Active ones; a trunk with all its networks; carriers by priority."""
    trunk = bank.admin.create_trunk("listed", "ivr", ["192.0.2.2/32", "192.0.2.3/32"])
    bare = bank.admin.create_trunk("bare", "ivr", [])
    last, first = (bank.admin.create_carrier(f"listed {n}", "192.0.2.9", priority=n) for n in (9, 1))
    off = bank.admin.create_carrier("off", "192.0.2.9")
    bank.admin.set_carrier_status("off", "disabled")

    networks = {one.trunk_id: one.networks for one in bank.proxy.trunks()}
    carriers = [one.carrier_id for one in bank.proxy.carriers()]

    assert (("192.0.2.2/32", "192.0.2.3/32"), ()) == (networks[trunk], networks[bare])
    assert off not in carriers
    assert carriers.index(first) < carriers.index(last)


@pytest.mark.parametrize(
    "sql",
    ["INSERT INTO trunk (name, kind) VALUES ('nobody', 'customer')",
     "INSERT INTO credential_card (account_id, number, pin_hash) VALUES (1, '12', REPEAT('a', 64))",
     "INSERT INTO credential_card (account_id, number, pin_hash) VALUES (1, '123456x', REPEAT('a', 64))",
     "INSERT INTO credential_card (account_id, number, pin_hash) VALUES (1, '123456', '1234')",
     "INSERT INTO credential_digest (user_id, username, realm, ha1_md5, ha1_sha256) VALUES (1, 'x', 'y', 'pw', 'z')",
     "INSERT INTO credential_caller_number (trunk_id, number) VALUES (1, '123')",
     "INSERT INTO user (account_id, name) VALUES (999999, 'x')"],
)  # fmt: skip
def test_configuration_that_cannot_be_is_refused(bank: Bank, sql: str) -> None:
    """By the tables themselves."""
    with pytest.raises(pymysql.err.MySQLError):
        bank.sql(sql)
