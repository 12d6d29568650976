"""The command line on a real ledger: each command as a person calls it, for people and as JSON."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from ulid import ULID

from billing.ledger import Ledger
from billing.ledger_types import CallRecord, OpenLeg, OpenRequest, Settlement
from billing.settings import Settings, load
from stack.mariadb import os_user
from tests.support.commands import Answer


@dataclass(frozen=True)
class World:
    """A reseller above a customer and a card, and what is needed to let them call."""

    settings: Settings
    proxy: Ledger
    retail_id: int
    customer_id: int
    card_id: int
    shop_id: int


@pytest.fixture(scope="module")
def world(settings, run):
    """The ledger, made by `meterline db migrate`, with accounts in it."""
    assert run("db", "migrate").code == 0
    found = load(settings)
    admin = Ledger.for_role(found.database, "admin", 10)
    wholesale = admin.put_tariff("wholesale", "EUR")
    retail = admin.put_tariff("retail", "EUR")
    admin.put_rate(wholesale, "49", "Germany", price="0.06", increment_s=60)
    admin.put_rate(retail, "49", "Germany", connect_fee="0.05", price="0.12")
    admin.put_rate(retail, "49900", "Germany premium", blocked=True)
    shop = admin.create_account("reseller", "shop", None, "EUR", wholesale)
    customer = admin.create_account("customer", "acme", None, "EUR", retail)
    admin.set_account(customer, country_code="49")
    sold = admin.put_tariff("shop retail", "EUR", owner_account_id=shop)
    admin.put_rate(sold, "49", "Germany", connect_fee="0.05", price="0.12")
    card = admin.create_account("card", "card1", shop, "EUR", sold)
    admin.put_card(card, "8000001", "0" * 64)
    return World(found, Ledger.for_role(found.database, "proxy", 10), retail, customer, card, shop)


def chain_of(world: World) -> tuple[OpenLeg, ...]:
    """The card's leg and its reseller's."""
    (leg,) = open_request(world.card_id, world.retail_id).legs
    return (leg, replace(leg, account_id=world.shop_id))


def open_request(account_id: int, tariff_id: int, user_id: int | None = None) -> OpenRequest:
    rate = json.dumps({"prefix": "49", "rate_per_min": "0.12"})
    leg = OpenLeg(account_id, tariff_id, None, "Germany", rate, (Decimal("0.24"),), Decimal("0.05"))
    return OpenRequest(
        node="node1",
        user_id=user_id,
        caller="alice",
        callee="4930123",
        dialled="030123",
        source="127.0.0.1",
        sip_call_id="x@y",
        sip_from_tag="t",
        rated_at=datetime.now(UTC).replace(microsecond=0),
        limit_s=3600,
        ring_limit_s=60,
        steps=(120,),
        legs=(leg,),
    )


def test_migrate_twice_changes_nothing(run, world):
    """The second time it says so."""
    assert run("db", "migrate") == Answer(0, "up to date\n", "")


def test_topup_adds_to_the_balance_once(run, world):
    """The same key books the same money once, and answers the same."""
    key = str(ULID())
    first = run("topup", "acme", "12.50", "--key", key, "--reason", "cash", "--reference", "R1", "--json").json
    assert first == {
        "key": key,
        "account": "acme",
        "account_id": world.customer_id,
        "amount": "12.50",
        "balance": "12.50",
        "available": "12.50",
    }
    assert first == run("topup", "acme", "12.50", "--key", key, "--reason", "cash", "--reference", "R1", "--json").json
    assert run("topup", "shop", "5", "--key", str(ULID())).output.startswith("shop: 5.00 booked, balance 5.00, ")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["acme", "twelve"], "twelve"),
        (["acme", "1.1234567"], "1.1234567"),
        (["acme", "-5"], "-5"),
        (["acme", "--", "-5"], "top-up of acme: AMOUNT -5 must be more than 0"),
        (["acme", "0"], "top-up of acme: AMOUNT 0 must be more than 0"),
        (["acme", "0.000000"], "top-up of acme: AMOUNT 0.000000 must be more than 0"),
        (["nobody", "5"], "nobody"),
        (["acme", "5", "--key", "mykey"], "mykey"),
        (["acme"], "AMOUNT"),
    ],
)
def test_a_topup_that_cannot_be_names_the_thing(run, world, words, named):
    """One line, no traceback, nothing booked."""
    balances = [account.balance for account in Ledger.for_role(world.settings.database, "cashier").accounts()]
    answer = run("topup", *words)
    assert answer.code != 0
    assert named in answer.complaint
    assert 1 == answer.complaint.count("\n")
    assert balances == [account.balance for account in Ledger.for_role(world.settings.database, "cashier").accounts()]


def test_a_key_with_other_content_is_refused(run, world):
    """A key that paid in 1 does not pay in 2."""
    key = str(ULID())
    assert run("topup", "acme", "1", "--key", key).code == 0
    answer = run("topup", "acme", "2", "--key", key)
    assert (1, "") == (answer.code, answer.output)
    assert 1 == answer.complaint.count("\n")


def test_quote_for_an_account(run, world):
    """The account's dial plan, its rate, what its money buys."""
    run("topup", "acme", "3", "--key", str(ULID()))
    answer = run("quote", "--account", "acme", "--to", "030123", "--at", "2027-01-01T10:00:00", "--json").json
    leg = answer["legs"][0]
    assert ("4930123", "2027-01-01T10:00:00Z", None) == (answer["to"], answer["rated_at"], answer["refusal"])
    assert ("acme", "Germany", "0.17") == (leg["account"], leg["destination"], leg["first_minute"])
    expected_s = int((Decimal(leg["available"]) - Decimal("0.05")) * 500)  # 0.12 a minute = 0.002 a second
    assert expected_s == answer["max_duration_s"] == leg["max_duration_s"]
    shown = run("quote", "--account", "acme", "--to", "030123").output
    assert "the call can last" in shown
    assert "Germany (49)" in shown


def test_quote_for_a_card_names_who_cannot_pay(run, world):
    """Both legs are shown; the card has no money yet."""
    answer = run("quote", "--card", "8000001", "--to", "+4930123", "--json").json
    assert [("card1", "0.052"), ("shop", "0.06")] == [
        (leg["account"], leg["smallest_charge"].rstrip("0")) for leg in answer["legs"]
    ]
    assert ("insufficient_balance", 0) == (answer["refusal"], answer["max_duration_s"])
    assert "account card1" == answer["refusal_detail"]
    told = run("quote", "--card", "8000001", "--to", "+4930123")
    assert (0, "") == (told.code, told.complaint)
    assert told.output.endswith("refused now: insufficient_balance: account card1\n")


def test_quote_for_an_emergency_number_is_free(run):
    """112 has no price and asks nobody, not even the database."""
    away = {"METERLINE_DATABASE__SOCKET": "/nowhere/mariadb.sock"}
    answer = run("quote", "--account", "acme", "--to", "112", "--json", **away).json
    assert ("112", True, None, None, []) == tuple(
        answer[name] for name in ("to", "emergency", "refusal", "max_duration_s", "legs")
    )
    told = run("quote", "--account", "acme", "--to", "+1-1-2", **away)
    assert (0, True) == (told.code, told.output.startswith("112 is an emergency number: free and unrated"))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--to", "030123"], "--account"),
        (["--to", "030123", "--account", "acme", "--card", "8000001"], "--card"),
        (["--account", "acme"], "--to"),
        (["--account", "nobody", "--to", "030123"], "nobody"),
        (["--card", "9", "--to", "030123"], "card '9'"),
        (["--account", "acme", "--to", "abc"], "abc"),
        (["--account", "acme", "--to", "001212"], "1212"),
        (["--account", "acme", "--to", "0900123"], "barred"),
        (["--account", "acme", "--to", "030123", "--at", "soon"], "soon"),
    ],
)
def test_a_quote_that_cannot_be_names_the_thing(run, world, words, named):
    """One line, no traceback, and an exit code that is not 0: there is no price."""
    answer = run("quote", *words)
    assert answer.code != 0
    assert "" == answer.output
    assert named in answer.complaint
    assert 1 == answer.complaint.count("\n")


def test_calls_and_cdrs_follow_a_call(run, world):
    """A call is in `calls` while it lasts and in `cdrs` when it is over."""
    run("topup", "acme", "3", "--key", str(ULID()))
    key = str(ULID())
    request = open_request(world.customer_id, world.retail_id)
    assert world.proxy.open_call(key, request).outcome == "opened"
    assert [(key, "open", "0.24")] == [
        (call["call_key"], call["state"], call["legs"][0]["hold"]) for call in run("calls", "--json").json
    ]
    assert key in run("calls").output
    world.proxy.answer_call(key, 0, "tag", None)
    settlement = Settlement(120, 30_000, 30, "answered", "", "caller", 200, None, 0, {0: Decimal("0.11")})
    assert world.proxy.settle_call(key, settlement).outcome == "settled"
    assert run("calls", "--json").json == []
    [cdr] = run("cdrs", "--account", "acme", "--limit", "1", "--json").json
    assert (key, 30, "caller", "0.11") == (
        cdr["call_key"],
        cdr["billed_s"],
        cdr["end_reason"],
        cdr["legs"][0]["charge"],
    )
    assert key in run("cdrs").output


def test_cdrs_can_be_narrowed(run, world):
    """By account, by time, by number."""
    for _ in range(3):
        record = CallRecord(
            "node1", world.card_id, None, "8000001", "1", "1", "10.0.0.1", "c", "destination_unknown", "", 404, "", 0
        )
        world.proxy.record_call(str(ULID()), record)
    assert 2 == len(run("cdrs", "--account", "card1", "--limit", "2", "--json").json)
    assert run("cdrs", "--account", "shop", "--json").json == []
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert run("cdrs", "--since", later, "--json").json == []
    assert 3 == len(run("cdrs", "--account", "card1", "--since", "2020-01-01", "--json").json)


def test_text_from_the_wire_cannot_steer_the_terminal(run, world):
    """Escape sequences and markup in a caller's name are shown as text."""
    record = CallRecord(
        "node1", world.card_id, None, "\x1b[31m[bold]eve", "1", "1", "10.0.0.1", "c", "cancelled", "", 487, "", 0
    )
    world.proxy.record_call(str(ULID()), record)
    shown = run("cdrs", "--limit", "1").output
    assert "\x1b" not in shown
    assert "[bold]eve" in shown


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["cdrs", "--limit", "0"], "--limit"),
        (["cdrs", "--limit", "many"], "many"),
        (["cdrs", "--since", "noon"], "noon"),
        (["cdrs", "--account", "nobody"], "nobody"),
        (["calls", "now"], "now"),
    ],
)
def test_a_report_that_cannot_be_names_the_thing(run, world, words, named):
    """One line, no traceback."""
    answer = run(*words)
    assert answer.code != 0
    assert named in answer.complaint
    assert 1 == answer.complaint.count("\n")


def test_audit_finds_nothing_and_then_what_is_wrong(run, world, settings):
    """Exit code 0 only when every balance is the sum of its entries."""
    assert run("audit") == Answer(0, "audit: no differences\n", "")
    server = world.settings.database
    import pymysql

    forged = f"UPDATE {server.name}.purse SET balance = balance + 1 WHERE account_id = {world.shop_id}"
    with pymysql.connect(unix_socket=str(server.socket), user=os_user(), autocommit=True) as connection:
        connection.cursor().execute(forged)
        try:
            answer = run("audit")
            assert 1 == answer.code
            assert "balance" in answer.output
            found = json.loads(run("audit", "--json").output)
            assert (str(world.shop_id), "5.00", "6.00") in [
                (each["id"], each["expected"], each["actual"]) for each in found
            ]
        finally:
            connection.cursor().execute(forged.replace("+ 1", "- 1"))
    assert 0 == run("audit").code


def test_alarms_are_listed_and_acknowledged(run, world):
    """Nobody's, then the one of a card whose first call is refused; once acknowledged it shows with --all alone."""
    assert [] == run("alarms", "--json").json
    admin = Ledger.for_role(world.settings.database, "admin", 10)
    admin.set_account(world.card_id, max_calls_per_hour=0)
    assert 0 == run("topup", "card1", "5", "--reason", "limits are judged last").code
    wanted = replace(open_request(world.card_id, world.retail_id), legs=chain_of(world))
    assert "hourly_limit" == world.proxy.open_call(str(ULID()), wanted).outcome
    (alarm,) = run("alarms", "--json").json
    assert ("card1", "hourly_limit", 1) == (alarm["account_name"], alarm["kind"], alarm["refused"])
    assert "hourly_limit" in run("alarms").output
    assert "card1: 1 alarms acknowledged\n" == run("alarms", "--acknowledge", "card1").output
    assert ([], 1) == (run("alarms", "--json").json, len(run("alarms", "--all", "--json").json))
    assert "nobody" in run("alarms", "--acknowledge", "nobody").complaint
    admin.set_account(world.card_id, max_calls_per_hour=None)
    admin.close()


def test_bundles_from_their_making_to_their_end(run, world):
    """Made, given, looked at, changed, taken away and removed, each as a person does it."""
    (made,) = run("bundle", "add", "Germany 100", "--minutes", "100", "--to", "49,!49900", "--json").json
    assert ("Germany 100", None, 6000, "month", "49,!49900", 0) == tuple(
        made[name] for name in ("name", "owner_name", "seconds", "period", "prefixes", "accounts")
    )
    account = "acme"
    assert 6000 == run("bundle", "assign", account, "Germany 100", "--json").json["left_s"]
    (shown,) = run("bundle", "show", "--account", account, "--json").json
    assert ("Germany 100", 6000, 0, 0, 6000, None) == tuple(
        shown[name] for name in ("bundle_name", "seconds", "used_s", "held_s", "left_s", "period_from")
    )
    assert "not begun" in run("bundle", "show", "--bundle", "Germany 100").output
    assert 7200 == run("bundle", "set", "Germany 100", "--seconds", "7200", "--json").json[0]["seconds"]
    assert "2:00:00" in run("bundle", "list").output
    refused = run("bundle", "remove", "Germany 100")
    assert (1, True) == (refused.code, refused.complaint.startswith("meterline: bundle_in_use: 1 accounts"))
    assert 1 == run("bundle", "unassign", account, "Germany 100", "--json").json["ended"]
    assert "removed" == run("bundle", "remove", "Germany 100", "--json").json["status"]
    assert [] == run("bundle", "list", "--json").json
    assert ["removed"] == [one["status"] for one in run("bundle", "list", "--all", "--json").json]


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (("add", "x", "--to", "49"), 2, "--minutes"),
        (("add", "x", "--to", "49", "--minutes", "1", "--seconds", "1"), 2, "--seconds"),
        (("add", "x", "--to", "4a9", "--minutes", "1"), 1, "4a9"),
        (("add", "x", "--to", "49", "--minutes", "1", "--period", "year"), 1, "year"),
        (("add", "x", "--to", "49", "--minutes", "1", "--owner", "nobody"), 1, "nobody"),
        (("set", "x"), 2, "--priority"),
        (("set", "nothing", "--minutes", "1"), 1, "nothing"),
        (("assign", "nobody", "nothing"), 1, "nobody"),
        (("unassign", "nobody", "nothing"), 1, "nobody"),
        (("show", "--account", "nobody"), 1, "nobody"),
    ],
)
def test_a_bundle_that_cannot_be_names_the_thing(run, world, words, code, named):
    """Wrong words are exit code 2, what the ledger refuses 1."""
    answer = run("bundle", *words)
    assert (code, 1) == (answer.code, answer.complaint.count("\n"))
    assert named in answer.complaint


# --- carriers, and numbers to show ------------------------------------------------------------------------------------


def test_carrier_is_made_changed_and_switched_off(run, world):
    """Each answer has all that is set."""
    made = run("carrier", "add", "Alpha", "203.0.113.10", "--tariff", "wholesale", "--channels", "30", "--json").json
    assert ("active", "203.0.113.10", 5060, "wholesale", 30, [], 0, []) == tuple(
        made[name] for name in ("status", "host", "port", "tariff_name", "channels", "prefixes", "calls", "health")
    )
    words = ["--prefix", "49", "--prefix", "43", "--tariff", "none", "--channels", "unlimited", "--trusts-identity"]
    changed = run("carrier", "set", "Alpha", *words, "--weight", "0", "--no-probed", "--json").json
    assert (["43", "49"], None, None, True, 0, False) == tuple(
        changed[name] for name in ("prefixes", "tariff_name", "channels", "trusts_identity", "weight", "probed")
    )
    assert [] == run("carrier", "set", "Alpha", "--prefix", "all", "--probed", "--json").json["prefixes"]
    assert "disabled" == run("carrier", "disable", "Alpha", "--json").json["status"]
    assert "active" == run("carrier", "enable", "Alpha", "--json").json["status"]
    world.proxy.note_carriers("node1", {made["carrier_id"]: "down"})
    (listed,) = run("carrier", "list", "--json").json
    assert [("node1", "down")] == [(one["node"], one["state"]) for one in listed["health"]]
    assert "node1: down" in run("carrier", "list").output
    assert "203.0.113.10" in run("carrier", "show", "Alpha").output


def test_every_setting_of_a_carrier_can_be_given_and_changed(run):
    """What was not said stays."""
    words = ["--port", "5062", "--transport", "tcp", "--priority", "3", "--weight", "7", "--dial-prefix", "00"]
    made = run("carrier", "add", "Gamma", "203.0.113.30", *words, "--json").json
    expected = {"host": "203.0.113.30", "port": 5062, "transport": "tcp", "priority": 3, "weight": 7}
    expected |= {"dial_prefix": "00", "trusts_identity": False, "probed": True}
    assert expected == {name: made[name] for name in expected}
    words = ["--host", "gamma.example", "--port", "5061", "--transport", "tls", "--priority", "1"]
    changed = run("carrier", "set", "Gamma", *words, "--json").json
    expected |= {"host": "gamma.example", "port": 5061, "transport": "tls", "priority": 1}
    assert expected == {name: changed[name] for name in expected}
    assert changed == run("carrier", "show", "gamma", "--json").json
    assert "disabled" in run("carrier", "disable", "Gamma").output


def test_routing_is_set_for_accounts_and_tariffs(run, world):
    """And goes along with the next caller."""
    words = ["--account", "acme", "--order", "weight", "--loss-allowed"]
    assert "may cost more than they bring" in run("carrier", "routing", *words).output
    leg = world.proxy.identify_account(world.customer_id).legs[0]
    assert (True, "weight") == (bool(leg.loss_allowed), leg.carrier_order)
    # What is not given stays, and can be looked at.
    assert "may cost more" in run("carrier", "routing", "--account", "acme", "--order", "cost").output
    assert "in the order of cost; calls may cost more" in run("carrier", "routing", "--account", "acme").output
    account = run("customer", "show", "acme", "--json").json["account"]
    assert (True, "cost") == (account["loss_allowed"], account["carrier_order"])
    assert run("carrier", "routing", "--account", "acme", "--order", "default", "--no-loss-allowed").code == 0
    shown = run("carrier", "routing", "--tariff", "retail", "--order", "priority", "--json").json
    assert {"account": None, "tariff": "retail", "carrier_order": "priority", "loss_allowed": False} == shown
    assert "priority" == world.proxy.identify_account(world.customer_id).legs[0].carrier_order


def test_numbers_are_given_and_taken(run, world):
    """The first is the default."""
    assert "by default" in run("number", "add", "acme", "4930555101").output
    assert not run("number", "add", "acme", "49305552*", "--json").json["is_default"]
    assert "4930555101,49305552*" == world.proxy.identify_account(world.customer_id).shown_numbers
    listed = run("number", "list", "--account", "acme", "--json").json
    assert [("4930555101", True), ("49305552*", False)] == [(one["number"], one["is_default"]) for one in listed]
    assert "49305552*" in run("number", "list").output
    assert run("number", "remove", "acme", "4930555101", "--json").json["removed"]
    assert "may not show 49305552* any more" in run("number", "remove", "acme", "49305552*").output
    assert [] == run("number", "list", "--account", "acme", "--json").json


def test_numbers_of_one_user(run):
    """The default of his moves to the one that is said to be it; others of the account have none of his."""
    run("user", "add", "acme", "901")
    assert run("number", "add", "acme", "4930555901", "--user", "901", "--json").json["is_default"]
    made = run("number", "add", "acme", "4930555902", "--user", "901", "--default", "--json").json
    assert {"account": "acme", "user": "901", "number": "4930555902", "is_default": True} == made
    listed = run("number", "list", "--account", "acme", "--json").json
    assert {("901", "4930555901", False), ("901", "4930555902", True)} == {
        (one["user_name"], one["number"], one["is_default"]) for one in listed
    }
    assert "unknown_number" in run("number", "remove", "acme", "4930555901").complaint
    for number in ("4930555901", "4930555902"):
        assert 0 == run("number", "remove", "acme", number, "--user", "901").code
    assert [] == run("number", "list", "--account", "acme", "--json").json


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (["carrier", "show", "Omega"], 1, "Omega"),
        (["carrier", "disable", "Omega"], 1, "Omega"),
        (["carrier", "add", "X", "a b"], 1, "a b"),
        (["carrier", "add", "X", "192.0.2.1", "--tariff", "dreams"], 1, "dreams"),
        (["carrier", "add", "X", "192.0.2.1", "--port", "70000"], 2, "--port"),
        (["carrier", "add", "X", "192.0.2.1", "--channels", "many"], 2, "--channels"),
        (["carrier", "routing"], 2, "--account"),
        (["carrier", "routing", "--tariff", "retail", "--order", "chance"], 1, "retail"),
        (["carrier", "add", "X"], 2, "HOST"),
        (["carrier", "add", "X", "192.0.2.1", "--transport", "sctp"], 1, "sctp"),
        (["carrier", "add", "X", "192.0.2.1", "--weight", "-1"], 2, "--weight"),
        (["carrier", "add", "X", "192.0.2.1", "--prefix", "4x"], 1, "4x"),
        (["carrier", "set", "Omega", "--priority", "2"], 1, "Omega"),
        (["carrier", "enable", "Omega"], 1, "Omega"),
        (["carrier", "routing", "--account", "nobody"], 1, "nobody"),
        (["carrier", "routing", "--account", "acme", "--tariff", "retail"], 2, "--account"),
        (["number", "list", "--account", "nobody"], 1, "nobody"),
        (["number", "add", "acme", "4930*", "--default"], 1, "4930*"),
        (["number", "add", "acme", "4930", "--user", "nobody"], 1, "nobody"),
        (["number", "remove", "nobody", "4930"], 1, "nobody"),
        (["number", "add", "acme", "0301"], 1, "0301"),
        (["number", "add", "nobody", "4930"], 1, "nobody"),
        (["number", "remove", "acme", "4930"], 1, "4930"),
    ],
)
def test_what_carriers_cannot_be_is_one_line(run, world, words, code, named):
    """That names the thing."""
    answer = run(*words)
    assert (code, 1) == (answer.code, answer.complaint.count("\n"))
    assert named in answer.complaint


@pytest.mark.parametrize("words", [["audit"], ["calls"], ["cdrs"], ["db", "migrate"], ["topup", "acme", "1"]])
def test_a_database_that_is_away_is_named(run, words):
    """One line, quickly, no traceback."""
    answer = run(*words, METERLINE_DATABASE__SOCKET="/nowhere/mariadb.sock")
    assert (1, "") == (answer.code, answer.output)
    assert "/nowhere/mariadb.sock" in answer.complaint
    assert 1 == answer.complaint.count("\n")


def test_version(run):
    """Without settings and without a database."""
    assert Answer(0, "meterline 0.1.0\n", "") == run("--version", METERLINE_SETTINGS="/nowhere")


def test_usage_of_topup_names_its_arguments(run):
    """In one form."""
    assert run("topup", "--help").output.startswith("Usage: meterline topup [OPTIONS] {ACCOUNT} {AMOUNT}\n")


def test_bad_settings_are_named(run):
    """Like everywhere else."""
    answer = run("audit", METERLINE_CALLS__GRANT_S="0")
    assert 1 == answer.code
    assert "calls.grant_s" in answer.complaint
    assert 1 == answer.complaint.count("\n")
