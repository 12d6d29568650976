"""Cards and vouchers from the command line, and moving in from A2Billing, as a person does it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pymysql
import pytest
from pymysql.constants import CLIENT

from billing import authorization, cards
from billing.errors import LedgerUnavailable, Refused
from billing.ledger import Ledger
from billing.rates import RateLookup
from cli import slips
from cli.app import main
from stack.node import toml, write_private
from tests.db.bank import PASSWORDS, Bank

DUMP = Path(__file__).parent / "a2billing.sql"
KEY = "0123456789" * 4
ZERO = Decimal(0)

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Run:
    """Runs a command in this process against the tests' ledger: exit code, output, complaint."""
    content = {
        "database": {
            "port": bank.server.port, "name": bank.database,
            **{f"{role}_password": password for role, password in PASSWORDS.items()},
        },
        "node": {"name": "node1", "state_dir": str(tmp_path / "state")},
        "sip": {"realm": "meterline.test", "listen": ["udp:127.0.0.1:5060"]},
    }  # fmt: skip
    write_private(tmp_path / "meterline.toml", toml({"card_pin_key": KEY}, content))
    monkeypatch.setenv("METERLINE_SETTINGS", str(tmp_path / "meterline.toml"))

    def _run(*words: str, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        code = main(list(words))
        out, complaint = capsys.readouterr()
        return code, out, complaint

    return _run


def said(answer: tuple[int, str, str]) -> Any:
    """The JSON of a command that went well."""
    code, out, complaint = answer
    assert (0, "") == (code, complaint)
    return json.loads(out)


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def batch_words(name: str, path: Path, *more: str) -> tuple[str, ...]:
    return ("card", "batch", name, "--count", "3", "--value", "10", "--tariff", "retail", "--file", str(path), *more)


def test_a_batch_from_its_making_to_its_last_card(run: Run, bank: Bank, tmp_path: Path) -> None:
    """Issued, printed once, sold, blocked, cancelled, reported; what is printed is what the ledger believes."""
    path = tmp_path / "cards.csv"
    made = said(run(*batch_words("CLI", path, "--prefix", "4711", "--expires", "2035-12-31", "--json")))
    assert ("CLI", 3, "EUR", "10.00") == (made["batch"], made["cards"], made["currency"], made["value"])
    printed = lines(path)
    assert (0o600, ["1", "2", "3"]) == (stat.S_IMODE(path.stat().st_mode), [row["serial"] for row in printed])
    first, second, third = (row["number"] for row in printed)
    assert all(number.startswith("4711") and cards.has_luhn_digit(number) for number in (first, second, third))
    stored = bank.sql("SELECT pin_hash FROM credential_card WHERE number = %s", first)[0]["pin_hash"]
    assert cards.pin_hash(KEY, first, printed[0]["pin"]) == stored
    assert "activated with 10.00" in run("card", "activate", first)[1]
    sold = said(run("batch", "activate", "CLI", "--json"))
    assert (2, "20.00") == (sold["cards"], sold["value"])
    assert "no_card" in run("batch", "activate", "CLI")[2]
    run("card", "block", second)
    run("batch", "cancel", "CLI", "--from", "3", "--to", "3")
    shown = said(run("card", "list", "--batch", "CLI", "--json"))
    assert ["active", "blocked", "cancelled"] == [one["state"] for one in shown]
    assert "2036-01-01T00:00:00Z" == shown[0]["expires_at"]
    report = said(run("batch", "show", "CLI", "--json"))
    assert (3, 1, 1, "30.00", "20.00", "10.00") == tuple(
        report[name] for name in ("sold", "blocked", "cancelled", "sold_value", "remaining", "forfeited")
    )
    for words in (("batch", "list"), ("card", "list"), ("card", "show", first), ("batch", "show", "CLI")):
        assert 0 == run(*words)[0]
    run("batch", "unblock", "CLI", "--to", "2")
    assert "active" == said(run("card", "show", second, "--json"))["state"]
    run("card", "unblock", first)
    run("card", "cancel", first)
    assert "cancelled" == said(run("card", "show", first, "--json"))["state"]


def test_a_batch_that_is_refused_leaves_no_file_and_one_that_is_there_is_not_touched(run: Run, tmp_path: Path) -> None:
    """A name that is taken; a file that exists; a tariff that does not."""
    path, other = tmp_path / "one.csv", tmp_path / "other.csv"
    assert 0 == run(*batch_words("taken", path))[0]
    code, _, complaint = run(*batch_words("taken", other))
    assert (1, False) == (code, other.exists())
    assert "meterline: batch taken: there is another batch of cards with this name\n" == complaint
    before = path.read_bytes()
    assert "File exists" in run(*batch_words("another", path))[2]
    assert before == path.read_bytes()
    words = ("--count", "1", "--value", "1", "--tariff", "none", "--file", str(other))
    code, _, complaint = run("card", "batch", "x", *words)
    assert (1, "meterline: tariff 'none': there is none of this name\n", False) == (code, complaint, other.exists())


@pytest.mark.parametrize("came_through", [True, False])
def test_a_lost_answer_is_asked_for_with_the_key(
    run: Run, bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, came_through: bool
) -> None:
    """Three times at once; then the file is kept, and the command repeated with its key issues the batch once."""
    issue, asked = Ledger.issue_cards, []

    def lose(self: Ledger, key: str, *rest: Any) -> Any:
        asked.append(key)
        if came_through:
            issue(self, key, *rest)
        raise LedgerUnavailable("the answer was lost")

    path, name = tmp_path / "cards.csv", f"lost {came_through}"
    monkeypatch.setattr(Ledger, "issue_cards", lose)
    code, _, complaint = run(*batch_words(name, path))
    assert (1, slips.TRIES, 1, True) == (code, len(asked), len(set(asked)), path.exists())
    assert f"repeat the command with --key {asked[0]}" in complaint
    before = path.read_bytes()
    monkeypatch.setattr(Ledger, "issue_cards", issue)
    assert 0 == run(*batch_words(name, path, "--key", asked[0]))[0]
    assert before == path.read_bytes()
    assert [row["number"] for row in lines(path)] == [card.number for card in bank.cashier.cards(name)]


def test_numbers_that_are_taken_are_made_anew(
    run: Run, bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By chance two cards may get one number: then others are made and printed."""
    run(*batch_words("first", tmp_path / "first.csv"))
    taken = lines(tmp_path / "first.csv")[0]["number"]
    make, calls = cards.new_cards, []

    def unlucky(*arguments: Any) -> list[cards.NewCard]:
        calls.append(arguments)
        made = make(*arguments)
        return [cards.NewCard(taken, "000000"), *made[1:]] if len(calls) < 3 else made

    monkeypatch.setattr(cards, "new_cards", unlucky)
    assert 0 == run(*batch_words("second", tmp_path / "second.csv"))[0]
    printed = [row["number"] for row in lines(tmp_path / "second.csv")]
    assert (3, printed) == (len(calls), [card.number for card in bank.cashier.cards("second")])


def test_a_card_gets_another_pin(run: Run, bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made up, read or asked for; the ledger keeps hashes, and the old PIN is over."""
    account = bank.account(kind="card")
    number = f"4712{account:08}"
    bank.admin.put_card(account, number, "0" * 64)

    def is_pin(pin: str) -> bool:
        caller = bank.proxy.identify_card(number)
        return caller is not None and caller.pin_hash == cards.pin_hash(KEY, number, pin)

    made = said(run("card", "pin", number, "--generate", "--json"))
    assert (bank.name_of(account), True) == (made["account"], is_pin(made["pin"]))
    assert (0, f"card {number}: PIN set\n", "") == run("card", "pin", number, "--stdin", typed="471100\n")
    assert is_pin("471100")
    for typed, complaint in ((["1234", "1235"], "the two PINs differ"), (["5678"] * 2, "")):
        answers = iter(typed)
        monkeypatch.setattr("getpass.getpass", lambda prompt, answers=answers: next(answers))
        assert complaint in run("card", "pin", number)[2]
    assert is_pin("5678")


@pytest.mark.parametrize(
    ("words", "typed", "code", "complaint"),
    [
        (["47110000000", "--generate"], "", 1, "card '47110000000': there is none of this number"),
        (["4711", "--generate", "--stdin"], "", 2, "only one of --generate and --stdin can be given"),
        (["4711", "--stdin"], "123\n", 2, "a PIN has 4 to 12 digits"),
        (["4711", "--stdin"], "12a4\n", 2, "a PIN has 4 to 12 digits"),
        (["4711", "--stdin"], "", 2, "a PIN has 4 to 12 digits"),
    ],
)
def test_a_pin_that_cannot_be_is_one_line(run: Run, words: list[str], typed: str, code: int, complaint: str) -> None:
    """And is not repeated in it."""
    assert (code, "", f"meterline: {complaint}\n") == run("card", "pin", *words, typed=typed)


def test_vouchers_from_their_making_to_the_last_guess(run: Run, bank: Bank, tmp_path: Path) -> None:
    """Issued, sold, redeemed, refused, forgiven; the code comes from standard input."""
    path = tmp_path / "codes.csv"
    words = ("--count", "4", "--value", "5", "--currency", "EUR", "--file", str(path), "--expires", "2035-12-31")
    made = said(run("voucher", "batch", "CLI codes", *words, "--json"))
    assert (4, "5.00") == (made["vouchers"], made["value"])
    codes = [row["code"] for row in lines(path)]
    assert (0o600, 4) == (stat.S_IMODE(path.stat().st_mode), len(codes))
    account = bank.name_of(bank.account())
    refused = run("voucher", "redeem", account, typed=f"{codes[0]}\n")
    assert (1, "meterline: voucher_refused: this code cannot be redeemed\n") == (refused[0], refused[2])
    assert "4 vouchers activated" in run("voucher", "activate", "CLI codes")[1]
    readable = f"{codes[0][:4]} {codes[0][4:]}\n"
    paid = said(run("voucher", "redeem", account, "--source", "192.0.2.7", "--json", typed=readable))
    assert (account, "5.00", "5.00") == (paid["account"], paid["amount"], paid["balance"])
    assert 1 == run("voucher", "redeem", account, typed=readable)[0]
    run("voucher", "block", "CLI codes", "--from", "2", "--to", "3")
    run("voucher", "unblock", "CLI codes", "--to", "2")
    run("voucher", "cancel", "CLI codes", "--from", "4")
    states = [one["state"] for one in said(run("voucher", "list", "CLI codes", "--json"))]
    assert ["redeemed", "active", "blocked", "cancelled"] == states
    found = said(run("voucher", "refusals", "--account", account, "--json"))
    assert ["is_redeemed", "is_issued"] == [one["outcome"] for one in found]
    batch = next(one for one in said(run("voucher", "batches", "--json")) if one["name"] == "CLI codes")
    assert (1, 1, "5.00") == (batch["redeemed"], batch["active"], batch["redeemed_value"])
    assert {"account": account, "forgiven": 1} == said(run("voucher", "forgive", account, "--json"))
    for more in (("batches",), ("list", "CLI codes"), ("refusals",)):
        assert 0 == run("voucher", *more)[0]
    assert (2, "meterline: the code is not digits\n") == run("voucher", "redeem", account, typed="abc\n")[::2]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("card", "show", "999"), "card '999': there is none of this number"),
        (("batch", "show", "none"), "batch 'none': there is none of this name"),
        (("batch", "block", "none"), "unknown_batch: there is no batch of cards named none"),
        (("batch", "block", "none", "--from", "0"), "--from '0' is not a whole number from 1 to 50000"),
        (("card", "activate", "12345678", "--key", "x"), "--key 'x' is not a ULID"),
        (("voucher", "redeem", "none"), "the code is not digits"),
        (("voucher", "forgive", "none"), "unknown_account: there is no account none"),
        (("import", "a2billing"), "one of --pin-digits and --pins must be given: A2Billing's cards have no PIN"),
        (("import", "a2billing", "--pin-digits", "4", "--source-database", "none"), "database none: "),
        (("import", "a2billing", "--pin-digits", "4", "--country-code", "+49"), "country_code '+49' is not 1 to 3"),
    ],
)
def test_what_cannot_be_is_one_line_that_names_it(run: Run, words: tuple[str, ...], complaint: str) -> None:
    """On standard error, with an exit code."""
    code, out, told = run(*words)
    assert code in {1, 2}
    assert ("", 1) == (out, told.count("\n"))
    assert complaint in told


# --- A2Billing --------------------------------------------------------------------------------------------------------


@pytest.fixture
def source(bank: Bank) -> Iterator[str]:
    """The made-up database; the admin's login may read it."""
    name = "a2billing_made_up"
    if not any(trunk.name == "by number" for trunk in bank.proxy.trunks()):
        bank.admin.create_trunk("by number", "caller_number", ["192.0.2.9/32"])
    root = pymysql.connect(**bank.server.admin_params(), autocommit=True, client_flag=CLIENT.MULTI_STATEMENTS)
    with root.cursor() as cursor:
        cursor.execute("SET SESSION time_zone = '+00:00', SESSION sql_mode = ''")
        cursor.execute(f"DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name}; USE {name}; {DUMP.read_text('utf-8')}")
        while cursor.nextset():
            pass
        cursor.execute(f"GRANT SELECT ON {name}.* TO 'meterline_admin'@'127.0.0.1'")
        yield name
        cursor.execute(f"REVOKE SELECT ON {name}.* FROM 'meterline_admin'@'127.0.0.1'")
        cursor.execute(f"DROP DATABASE {name}")
    root.close()


def moved(run: Run, source: str, *more: str) -> Any:
    words = ("--source-database", source, "--country-code", "49", "--trunk", "by number", "--json", *more)
    return said(run("import", "a2billing", *words))


def reasons(answer: Any) -> set[tuple[str, str, str]]:
    return {(one["table"], one["row"], one["reason"]) for one in answer["left"]}


LEFT = {
    ("cc_ratecard", "1", "prefix 49 has a rate that comes before it"),
    ("cc_ratecard", "8", "prefix '_39ZX.' is not digits"),
    ("cc_ratecard", "9", "minimal_cost is 0.10000"),
    ("cc_tariffplan", "3", "is for some called or calling numbers alone"),
    ("cc_tariffgroup", "2", "its package offer (free minutes) is not taken"),
    ("cc_card", "3", "is cancelled"),
    ("cc_card", "5", "its call plan 9 does not exist"),
    ("cc_card", "6", "its number is not 4 to 20 digits: taken without a number"),
    ("cc_callerid", "3", "'anonymous' is no number"),
}


def test_moving_in_twice_moves_in_once(run: Run, bank: Bank, source: str) -> None:
    """A dry run changes nothing; then balances, expiries, numbers, phones are there; and a second time, nothing."""
    before = bank.sql("SELECT COUNT(*) AS number FROM account")
    plan = moved(run, source, "--dry-run")
    assert (True, 6, 0, "EUR", "18.09567", "8.50") == tuple(
        plan[name] for name in ("dry_run", "accounts", "written", "currency", "credit", "credit_left")
    )
    assert LEFT == reasons(plan)
    assert before == bank.sql("SELECT COUNT(*) AS number FROM account")

    first = moved(run, source, "--pin-digits", "4")
    assert LEFT == reasons(first)
    assert first["written"] > 20
    second = moved(run, source, "--pin-digits", "4")
    assert (0, LEFT) == (second["written"], reasons(second))

    accounts = {one.name: one for one in bank.cashier.accounts() if one.name.startswith("a2b-")}
    assert {
        "a2b-1": ("card", "active", Decimal("12.34567"), ZERO, 1, "4711000101", "A2B Retail"),
        "a2b-2": ("card", "active", ZERO, ZERO, 1, "4711000202", "A2B Retail"),
        "a2b-4": ("card", "suspended", Decimal(3), ZERO, 1, "4711000404", "A2B Retail"),
        "a2b-6": ("card", "active", Decimal(2), ZERO, 1, None, "A2B Retail"),
        "a2b-7": ("customer", "active", Decimal("-4.25"), Decimal(50), 10, "4711000707", "A2B Business"),
        "a2b-8": ("card", "active", Decimal(5), ZERO, 1, "4711000808", "A2B Retail"),
    } == {
        name: (one.kind, one.status, one.balance, one.credit_limit, one.max_calls, one.card_number, one.tariff_name)
        for name, one in accounts.items()
    }
    assert datetime(2036, 6, 1, tzinfo=UTC) == accounts["a2b-8"].expires_at
    assert {"49"} == {one.country_code for one in accounts.values()}
    entries = bank.sql("SELECT * FROM v_entry WHERE account_name LIKE 'a2b-%%'")
    assert {"opening balance"} == {row["reason"] for row in entries}
    assert 5 == len(entries)
    identified = bank.proxy.identify_card("4711000101")
    assert identified is not None
    assert cards.pin_hash(KEY, "4711000101", "0101") == identified.pin_hash
    phone = bank.proxy.identify_digest("office1", "meterline.test")
    assert phone is not None
    assert hashlib.md5(b"office1:meterline.test:made up 1").hexdigest() == phone.ha1_md5  # noqa: S324 - RFC 2617
    (trunk,) = (one.trunk_id for one in bank.proxy.trunks() if one.name == "by number")
    for number in ("4930555001", "4930555002"):
        caller = bank.proxy.identify_caller_number(trunk, number)
        assert caller is not None
        assert "a2b-1" == caller.legs[0].account_name


def test_prices_are_those_of_before_to_the_last_decimal(run: Run, bank: Bank, source: str) -> None:
    """Blocks, fees, dates and the default prefix, on the ledger's own rates."""
    moved(run, source, "--pin-digits", "4")
    caller = bank.proxy.identify_card("4711000101")
    assert caller is not None
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def cost(digits: str, seconds: int) -> Decimal:
        found = authorization.quote(caller, RateLookup(bank.proxy), digits, at, 86_400)
        return found.legs[0].price.cost(seconds)

    assert Decimal("0.321605") == cost("4930123", 1) == cost("4930123", 30)  # 0.05 + 0.54321 / 2
    assert Decimal("0.375926") == cost("4930123", 31)  # 36 s
    assert [Decimal("0.2"), Decimal("0.24"), Decimal("0.36")] == [cost("4915123", at) for at in (10, 12, 13)]
    assert Decimal(1) == cost("33123", 61)
    assert Decimal(9) == cost("81312345", 1)
    for left in ("44123", "39512"):  # their rates are not taken, and the default's price is not theirs
        with pytest.raises(Refused, match=f"destination_barred: .* prefix {left[:2]} "):
            cost(left, 1)


@pytest.mark.parametrize("lost", ["set_account_status", "set_account"])
def test_a_run_that_broke_off_does_not_let_a_suspended_card_call(
    run: Run, bank: Bank, source: str, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """Whatever it was at: the next one takes its status over, before its number and its money."""
    new = {"set_account": 41, "set_account_status": 42}[lost]
    bank.sql(f"UPDATE {source}.cc_card SET id = %s, username = %s WHERE id = 4", new, f"47110004{new}")
    change = getattr(Ledger, lost)

    def breaks_off(ledger: Ledger, account: int, *words: Any, **settings: Any) -> None:
        if next(one for one in ledger.accounts() if one.account_id == account).name == f"a2b-{new}":
            raise LedgerUnavailable("away")
        change(ledger, account, *words, **settings)

    with monkeypatch.context() as broken:
        broken.setattr(Ledger, lost, breaks_off)
        code, _, told = run("import", "a2billing", "--source-database", source, "--pin-digits", "4")
        assert (1, True) == (code, told.endswith(": away\n"))
    moved(run, source, "--pin-digits", "4")
    (card,) = [one for one in bank.cashier.accounts() if one.name == f"a2b-{new}"]
    assert ("suspended", 1, f"47110004{new}") == (card.status, card.max_calls, card.card_number)


def test_new_pins_are_printed_once(run: Run, bank: Bank, source: str, tmp_path: Path) -> None:
    """--pins: for the numbers that are new here; when there are none there is no file."""
    moved(run, source, "--pin-digits", "4")
    bank.sql("DELETE credential_card FROM credential_card JOIN account ON account.id = account_id"
             " WHERE account.name IN ('a2b-1', 'a2b-2')")  # fmt: skip
    path = tmp_path / "pins.csv"
    moved(run, source, "--pins", str(path))
    printed = {row["number"]: row["pin"] for row in lines(path)}
    assert {"4711000101", "4711000202"} <= set(printed)
    for number, pin in printed.items():
        found = bank.proxy.identify_card(number)
        assert found is not None
        assert cards.pin_hash(KEY, number, pin) == found.pin_hash
    path.unlink()
    moved(run, source, "--pins", str(path))
    assert not path.exists()
