"""The commands for accounts, users, trunks, prefixes and ending calls, on a real ledger, in this process."""

import hashlib
import io
import itertools
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from billing.ledger import Ledger
from cli.app import main
from stack.node import toml, write_private
from tests.db.bank import PASSWORDS, Bank, new_key

REALM = "commands.example"
Meterline = Callable[..., Any]
_numbers = itertools.count(1)


class Answer(NamedTuple):
    """What a command left behind."""

    code: int
    output: str
    complaint: str

    @property
    def json(self) -> Any:
        assert (0, "") == (self.code, self.complaint), self
        return json.loads(self.output)


@pytest.fixture
def meterline(
    bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Meterline:
    """Runs a command as the shell would."""
    content = {
        "database": {
            "socket": str(bank.server.socket),
            "name": bank.database,
            **{f"{role}_password": password for role, password in PASSWORDS.items()},
        },
        "node": {"name": "node1", "state_dir": str(tmp_path / "state")},
        "sip": {"realm": REALM, "listen": ["udp:127.0.0.1:5060"]},
    }
    write_private(tmp_path / "meterline.toml", toml({"card_pin_key": "k" * 32}, content))
    monkeypatch.setenv("METERLINE_SETTINGS", str(tmp_path / "meterline.toml"))

    def run(*words: str, stdin: str = "") -> Answer:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        capsys.readouterr()
        code = main(list(words))
        return Answer(code, *capsys.readouterr())

    return run


def unique(text: str) -> str:
    return f"{text} {next(_numbers)} of the commands"


@pytest.fixture
def reseller(bank: Bank, meterline: Meterline) -> str:
    """A reseller with a tariff that he sells at, named like him."""
    name = unique("shop")
    assert 0 == meterline("reseller", "add", name, "--tariff", "retail", "--credit", "5").code
    account = bank.cashier.account_named(name)
    assert account is not None
    bank.admin.put_tariff(name, "EUR", owner_account_id=account.account_id)
    return name


@pytest.fixture
def customer(meterline: Meterline, reseller: str) -> str:
    name = unique("customer")
    assert 0 == meterline(
        "customer", "add", name, "--parent", reseller, "--tariff", reseller, "--country", "49"
    ).code
    return name


def test_an_account_from_its_making_to_its_end(bank: Bank, meterline: Meterline, reseller: str, customer: str) -> None:
    """Made, listed, shown, changed, suspended, resumed, closed: each by its name, as JSON and for people."""
    shown = meterline("customer", "show", customer, "--json").json["account"]
    assert (reseller, reseller, "49", "active") == tuple(
        shown[name] for name in ("parent_name", "tariff_name", "country_code", "status")
    )
    assert [customer] == [
        one["name"] for one in meterline("customer", "list", "--parent", reseller, "--json").json
    ]
    assert 0 == meterline(
        "customer", "set", customer, "max_calls=3", "low_balance=2.50", "premium_allowed=yes", "expires_at=2036-01-01"
    ).code
    meterline("customer", "set", customer, "low_balance=none", "parent_hold_limit=7")
    meterline("customer", "bar", customer, "all")
    meterline("customer", "allow", customer, "49", "43")
    meterline("customer", "forget", customer, "43")
    text = meterline("customer", "show", customer).output
    for line in ("max_calls", "parent_hold_limit", "7.00", "2036-01-01T00:00:00Z", "barred"):
        assert line in text
    assert "low_balance" not in text
    everything = meterline("customer", "show", customer, "--json").json
    assert [("", False), ("49", True)] == [(one["prefix"], one["allowed"]) for one in everything["prefixes"]]

    meterline("reseller", "credit", reseller, "7.50")
    assert "7.50" == meterline("reseller", "show", reseller, "--json").json["account"]["credit_limit"]
    assert {"account": reseller, "status": "suspended", "ending": 0} == meterline(
        "reseller", "suspend", reseller, "--now", "--json"
    ).json
    assert f"{reseller}: active\n" == meterline("reseller", "resume", reseller).output
    refused = meterline("reseller", "close", reseller)
    why = f"open_children: account {reseller} has 1 open accounts below it, such as {customer}"
    assert (1, "", f"meterline: {why}\n") == refused
    moved = meterline("customer", "move", customer, "--tariff", "retail").output
    assert f"{customer}: moved under the vendor\n" == moved
    assert 0 == meterline("reseller", "close", reseller).code
    assert "closed" in meterline("reseller", "list").output
    assert bank.cashier.account_named(reseller).status == "closed"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["reseller", "show", "nobody"], "account 'nobody': there is none of this name"),
        (["reseller", "show", "CUSTOMER"], "is a customer, no reseller"),
        (["customer", "set", "CUSTOMER", "max_calls"], "'max_calls' is no setting like max_calls=3"),
        (["customer", "set", "CUSTOMER", "max_cals=3"], "has no setting max_cals"),
        (["customer", "set", "CUSTOMER", "expires_at=soon"], "expires_at 'soon' is not a time"),
        (["customer", "add", "another", "--tariff", "no such"], "unknown_tariff: there is no tariff no such"),
        (["customer", "add", "another", "--tariff", "retail", "--credit", "much"], "--credit"),
        (["customer", "add", "another", "--tariff", "retail", "--country", "+49"], "country_code '+49' is not 1 to 3"),
        (["customer", "set", "CUSTOMER", "country_code=+49"], "country_code +49 is not 1 to 3 digits"),
        (["customer", "credit", "CUSTOMER", "-5"], "No such option"),
        (["customer", "bar", "CUSTOMER", "+49"], "prefix '+49' is not digits"),
        (["customer", "forget", "CUSTOMER", "49"], "unknown_prefix"),
        (["calls", "kill", "01HX0000000000000000000000", "x"], "unknown_call: there is no call 01HX"),
        (["user", "add", "CUSTOMER", "101", "max_cals=2"], "has no setting max_cals"),
        (["user", "show", "CUSTOMER", "102"], "user '102': account"),
        (["user", "set", "CUSTOMER", "102", "max_calls=1"], "unknown_user: account"),
        (["user", "password", "CUSTOMER", "102", "--generate", "--stdin"], "only one of --generate"),
        (["trunk", "add", "x", "--kind", "customer"], "a trunk of kind customer has a user"),
        (["trunk", "add", "x", "--kind", "sip"], "--kind"),
        (["trunk", "add", "x", "--kind", "ivr", "--network", "192.0.2.1/28"], "network '192.0.2.1/28'"),
        (["trunk", "show", "x"], "trunk 'x': there is none"),
        (["trunk", "suspend", "x"], "unknown_trunk: there is no trunk x"),
        (["premium", "remove", "888"], "unknown_prefix: there is no premium prefix 888"),
        (["transfer", "CUSTOMER", "CUSTOMER", "0"], "must be more than 0"),
        (["transfer", "CUSTOMER", "nobody", "1"], "nobody"),
        (["transfer", "CUSTOMER", "RESELLER", "1"], "insufficient_balance"),
        (["calls", "kill"], "either KEYs or --account"),
        (["calls", "kill", "x"], "invalid_key"),
        (["calls", "kill", "01HX0000000000000000000000"], "unknown_call: there is no call 01HX"),
        (["calls", "kill", "--account", "nobody"], "nobody"),
        (["calls", "kill", "--account", "CUSTOMER", "--wait", "long"], "--wait"),
    ],
)
def test_what_cannot_be_is_one_line_that_names_it(
    bank: Bank, meterline: Meterline, words: list[str], named: str
) -> None:
    """No traceback, and an exit code that is not 0."""
    parent = bank.account(kind="reseller")
    customer, reseller = bank.name_of(bank.account(parent=parent, kind="customer")), bank.name_of(parent)
    given = [{"CUSTOMER": customer, "RESELLER": reseller}.get(word, word) for word in words]
    answer = meterline(*given)
    assert answer.code != 0
    assert "" == answer.output
    assert named in answer.complaint
    assert 1 == answer.complaint.count("\n")
    assert bank.cashier.account_named("another") is None


def test_a_user_with_password_number_and_prefixes(bank: Bank, meterline: Meterline, customer: str) -> None:
    """Made, given what identifies him, limited, shown, suspended and removed; CDRs would keep his name."""
    assert customer == meterline("user", "add", customer, "101", "max_calls=2", "--json").json["account"]
    meterline("user", "set", customer, "101", "longest_call_s=60", "max_calls_per_second=1")
    sip_name, trunk = unique("101"), unique("gateway")
    assert f"{sip_name}: password set\n" == meterline(
        "user", "password", customer, "101", "--username", sip_name, "--stdin", stdin="correct horse\n"
    ).output
    caller = bank.proxy.identify_digest(sip_name, REALM)
    assert caller is not None
    assert (
        hashlib.md5(f"{sip_name}:{REALM}:correct horse".encode(), usedforsecurity=False).hexdigest() == caller.ha1_md5
    )
    assert (60, 1) == (caller.user_longest_call_s, caller.user_max_calls_per_second)

    meterline("trunk", "add", trunk, "--kind", "caller_number")
    meterline("user", "number", customer, "101", trunk, "4930555")
    meterline("user", "bar", customer, "101", "all")
    meterline("user", "allow", customer, "101", "49")
    shown = meterline("user", "show", customer, "101", "--json").json
    assert ([sip_name], ["4930555"], [("", False), ("49", True)]) == (
        [one["username"] for one in shown["usernames"]],
        [one["number"] for one in shown["caller_numbers"]],
        [(one["prefix"], one["allowed"]) for one in shown["prefixes"]],
    )
    assert "4930555 on" in meterline("user", "show", customer, "101").output
    assert "4930555" in meterline("trunk", "show", trunk).output
    meterline("user", "forget", customer, "101", "49")

    assert 0 == meterline("user", "suspend", customer, "101", "--now", "--json").json["ending"]
    meterline("user", "resume", customer, "101")
    meterline("user", "number", customer, "101", trunk, "4930555", "--remove")
    meterline("user", "password", customer, "101", "--username", sip_name, "--remove")
    assert bank.proxy.identify_digest(sip_name, REALM) is None
    assert 0 == meterline("user", "remove", customer, "101").code
    assert [] == meterline("user", "list", "--account", customer, "--json").json
    removed = meterline("user", "list", "--account", customer, "--removed", "--json").json
    assert [("101", "removed")] == [(one["name"], one["status"]) for one in removed]


def test_a_generated_password_is_shown_once_and_kept_as_hashes(
    bank: Bank, meterline: Meterline, customer: str
) -> None:
    """It is right, long enough to be nobody's guess, and not in the ledger."""
    name = unique("generated")
    meterline("user", "add", customer, name)
    secret = meterline("user", "password", customer, name, "--generate", "--json").json["password"]
    caller = bank.proxy.identify_digest(name, REALM)
    assert caller is not None
    assert hashlib.sha256(f"{name}:{REALM}:{secret}".encode()).hexdigest() == caller.ha1_sha256
    assert len(secret) >= 20
    assert secret not in str(bank.sql("SELECT * FROM credential_digest"))


def test_a_password_is_asked_for_twice(
    bank: Bank, meterline: Meterline, customer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that differ, or a short one, change nothing."""
    name = unique("asked")
    meterline("user", "add", customer, name)
    for typed, complaint in (
        (["one of these", "another one"], "the two passwords differ"),
        (["short"] * 2, "a password has at least 8 characters"),
        (["long enough"] * 2, ""),
    ):
        answers = iter(typed)
        monkeypatch.setattr("getpass.getpass", lambda prompt, answers=answers: next(answers))
        answer = meterline("user", "password", customer, name)
        assert (complaint == "", complaint in answer.complaint) == (answer.code == 0, True)
        assert bool(not complaint) == (bank.proxy.identify_digest(name, REALM) is not None)


def test_a_trunk_from_its_making_to_its_end(meterline: Meterline, reseller: str, customer: str) -> None:
    """A customer's own with two networks, and a reseller's; renamed, suspended, removed."""
    meterline("user", "add", customer, "pbx")
    own, shop = unique("own"), unique("of shop")
    number = next(_numbers)
    networks = [f"198.51.{number}.0/28", f"2001:db8:{number}::/64"]
    made = meterline(
        "trunk", "add", own, "--kind", "customer", "--account", customer, "--user", "pbx",
        "--network", networks[0], "--network", networks[1], "--json",
    )  # fmt: skip
    assert networks == made.json["networks"]
    meterline("trunk", "add", shop, "--kind", "ivr", "--account", reseller)
    found = {one["name"]: one for one in meterline("trunk", "list", "--json").json}
    assert (customer, "pbx", None) == tuple(
        found[own][name] for name in ("account_name", "user_name", "owner_name")
    )
    assert (reseller, "ivr", []) == tuple(found[shop][name] for name in ("owner_name", "kind", "networks"))
    taken = f"meterline: network_taken: network {networks[0]} is that of trunk {own}\n"
    assert taken == meterline("trunk", "network", shop, networks[0]).complaint
    half = unique("half")
    assert (1, "", taken) == meterline(
        "trunk", "add", half, "--kind", "ivr", "--network", f"203.0.113.{number}/32", "--network", networks[0]
    )
    assert half not in meterline("trunk", "list").output
    meterline("trunk", "network", own, networks[0], "--remove")
    assert 0 == meterline("trunk", "network", shop, networks[0]).code
    refused = meterline("user", "remove", customer, "pbx")
    assert "trunk_in_use: trunk" in refused.complaint
    meterline("trunk", "suspend", own)
    assert "suspended" in meterline("trunk", "show", own).output
    meterline("trunk", "resume", own)
    meterline("trunk", "set", own, "--name", f"{own} renamed")
    for name in (f"{own} renamed", shop):
        assert f"trunk {name}: removed\n" == meterline("trunk", "remove", name).output


def test_a_bundle_is_changed_however_its_name_is_written(meterline: Meterline) -> None:
    """The ledger makes no difference between capitals and small letters; what it is called is shown."""
    name = unique("Germany")
    assert name == meterline("bundle", "add", name, "--minutes", "10", "--to", "49", "--json").json[0]["name"]
    changed = meterline("bundle", "set", name.upper(), "--minutes", "20", "--json").json
    assert [(name, 1200)] == [(one["name"], one["seconds"]) for one in changed]
    assert 0 == meterline("bundle", "remove", name.lower()).code


def test_premium_ranges(meterline: Meterline) -> None:
    """Shipped ones with their sources; one more, and gone again."""
    assert "979" in {one["prefix"] for one in meterline("premium", "list", "--json").json}
    assert "888777: premium (test range)\n" == meterline("premium", "add", "888777", "test range").output
    assert "888777" in meterline("premium", "list").output
    assert {"prefix": "888777", "removed": True} == meterline("premium", "remove", "888777", "--json").json


def test_money_between_accounts_of_one_owner(bank: Bank, meterline: Meterline, reseller: str, customer: str) -> None:
    """From parent to child, once for each key; never to a stranger."""
    stranger = bank.name_of(bank.account(parent=bank.account(kind="reseller"), kind="customer"))
    meterline("topup", reseller, "10")
    moved = meterline("transfer", reseller, customer, "4", "--json").json
    again = meterline("transfer", reseller, customer, "4", "--key", moved["key"], "--json").json
    assert moved == again
    assert ("6.00", "4.00") == (moved["left"]["balance"], moved["arrived"]["balance"])
    assert "1.50 moved: " in meterline("transfer", customer, reseller, "1.50").output
    assert "foreign_account: accounts" in meterline("transfer", customer, stranger, "1").complaint


def test_below_cost(bank: Bank, meterline: Meterline, reseller: str) -> None:
    """What a reseller sells under his price."""
    buys = bank.admin.put_tariff(f"{reseller} buys", "EUR")
    bank.admin.put_rate(buys, "886", "Taiwan", price="0.50")
    account = bank.cashier.account_named(reseller)
    assert account is not None
    bank.admin.set_account(reseller, tariff=f"{reseller} buys")
    sells = next(one.tariff_id for one in bank.admin.tariffs() if one.name == reseller)
    bank.admin.put_rate(sells, "886", "Taiwan", price="0.40")
    (found,) = meterline("reseller", "below-cost", reseller, "--json").json
    assert ("886", "0.40", "0.50") == (found["prefix"], found["sell_per_minute"], found["buy_per_minute"])
    assert "Taiwan" in meterline("reseller", "below-cost").output


def test_killing_marks_calls_and_tells_what_became_of_them(
    bank: Bank, meterline: Meterline, reseller: str, customer: str
) -> None:
    """By key and by account, of the whole tree; a call that its node has not ended is said to be there."""
    ids = [bank.cashier.account_named(name).account_id for name in (customer, reseller)]  # type: ignore[union-attr]
    for account in ids:
        bank.cashier.top_up(new_key(), account, "10", "test")
    mine, other = bank.opened(ids), bank.opened(ids)
    told = meterline("calls", "kill", mine.lower(), "--wait", "0", "--reason", "fraud", "--json")
    assert (1, [{"call_key": mine, "ended": False}], "") == (told.code, json.loads(told.output), told.complaint)
    (mark,) = [one for one in bank.proxy.calls_to_end("node1") if one.call_key == mine]
    assert mark.reason.startswith("cli:")
    assert mark.reason.endswith(": fraud")
    bank.proxy.heartbeat("node1", 0)
    waiting = meterline("calls", "kill", "--account", reseller, "--wait", "0")
    assert (1, 2) == (waiting.code, waiting.output.count("marked; node node1 has not ended it yet"))
    bank.sql("UPDATE node SET heartbeat_at = UTC_TIMESTAMP(6) - INTERVAL 1 HOUR WHERE name = 'node1'")
    silent = meterline("calls", "kill", "--account", reseller, "--wait", "0").output
    assert sorted([mine, other]) == [line.split(":")[0] for line in silent.splitlines()]
    assert 2 == silent.count("its node node1 is silent")
    bank.give_up(mine, other)
    assert "call_ended: call" in meterline("calls", "kill", mine).complaint
    assert "no calls in progress\n" == meterline("calls", "kill", "--account", reseller).output
    assert Decimal(10) == bank.purse(ids[0])["balance"]


@pytest.mark.parametrize("wrong", ["x", "01HX0000000000000000000000", "ended"])
def test_a_wrong_key_among_calls_ends_none_of_them(bank: Bank, meterline: Meterline, wrong: str) -> None:
    """Whatever is wrong with it, and wherever it stands."""
    chain = bank.chain("10")
    up, over = bank.opened(chain), bank.opened(chain)
    bank.give_up(over)
    answer = meterline("calls", "kill", up, over if wrong == "ended" else wrong, "--wait", "0")
    assert (1, "", 1) == (answer.code, answer.output, answer.complaint.count("\n"))
    assert up not in {one.call_key for one in bank.proxy.calls_to_end("node1")}
    bank.give_up(up)


def test_a_call_that_ends_meanwhile_is_no_mistake(
    bank: Bank, meterline: Meterline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was in progress when it was looked at, and is over when it is marked; the other one is marked, too."""
    chain = bank.chain("10")
    gone, up = bank.opened(chain), bank.opened(chain)
    mark = Ledger.end_call

    def too_late(ledger: Ledger, key: str, reason: str) -> object:
        if key == gone:
            bank.give_up(gone)
        return mark(ledger, key, reason)

    monkeypatch.setattr(Ledger, "end_call", too_late)
    answer = meterline("calls", "kill", gone, up, "--wait", "0", "--json")
    assert [True, False] == [one["ended"] for one in json.loads(answer.output)]
    assert up in {one.call_key for one in bank.proxy.calls_to_end("node1")}
    bank.give_up(up)


@pytest.mark.parametrize("verb", ["bar", "allow", "forget"])
@pytest.mark.parametrize("whose", [["reseller", "R"], ["customer", "C"], ["user", "C", "101"]])
def test_prefixes_are_checked_before_anything_is_done(
    meterline: Meterline, monkeypatch: pytest.MonkeyPatch, whose: list[str], verb: str
) -> None:
    """Even without a ledger a wrong one is what is complained of."""
    monkeypatch.setenv("METERLINE_SETTINGS", "/nowhere.toml")
    answer = meterline(whose[0], verb, *whose[1:], "49", "+43")
    assert (2, "", "meterline: prefix '+43' is not digits, and not the word all\n") == answer


def test_a_number_is_taken_from_a_user_however_his_name_is_written(meterline: Meterline, customer: str) -> None:
    """The ledger makes no difference between capitals and small letters."""
    trunk = unique("gateway")
    meterline("user", "add", customer, "Reception")
    meterline("user", "add", customer, "Kitchen")
    meterline("trunk", "add", trunk, "--kind", "caller_number")
    meterline("user", "number", customer, "reception", trunk, "4930556")
    assert "is not that of user kitchen" in meterline(
        "user", "number", customer, "kitchen", trunk, "4930556", "--remove"
    ).complaint
    assert 0 == meterline("user", "number", customer.upper(), "RECEPTION", trunk, "4930556", "--remove").code
    assert [] == meterline("user", "show", customer, "reception", "--json").json["caller_numbers"]
