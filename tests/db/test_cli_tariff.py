"""`meterline tariff`: each command as a person calls it, for people and as JSON."""

import csv
import io
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cli.app import main
from tests.db.bank import PASSWORDS, Bank, new_key
from tests.db.test_rerating import Shop

DECKS = Path(__file__).parents[2] / "docs" / "decks"


class Shell:
    """Runs commands on the ledger of the tests."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.code = 0

    def __call__(self, *words: str, code: int = 0) -> str:
        """What a command printed; errors come after it."""
        self._capsys.readouterr()
        assert code == main(["tariff", *words])
        said = self._capsys.readouterr()
        return said.out + said.err

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self(*words, "--json", code=code))


@pytest.fixture
def shell(bank: Bank, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    values = {
        "DATABASE__PORT": str(bank.server.port),
        "DATABASE__NAME": bank.database,
        "DATABASE__ADMIN_PASSWORD": PASSWORDS["admin"],
        "DATABASE__CASHIER_PASSWORD": PASSWORDS["cashier"],
        "CARD_PIN_KEY": "0" * 32,
        "NODE__NAME": "node1",
        "NODE__STATE_DIR": str(tmp_path),
        "SIP__REALM": "meterline.test",
        "SIP__LISTEN": '["udp:127.0.0.1:5060"]',
    }
    for name, value in values.items():
        monkeypatch.setenv(f"METERLINE_{name}", value)
    monkeypatch.chdir(tmp_path)
    return Shell(capsys)


@pytest.fixture
def name(shell: Shell) -> str:
    """A new tariff."""
    made = f"tariff {new_key()}"
    shell("add", made, "EUR")
    return made


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "deck.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_tariff_is_added_set_shown_and_listed(shell: Shell) -> None:
    """Each change is answered with how it is now."""
    made = f"tariff {new_key()}"
    added = shell.json("add", made, "EUR", "--decimals", "2", "--rounding", "up", "--zone", "Europe/Berlin")
    assert (made, "EUR", 2, "up", "Europe/Berlin", 0, None) == tuple(
        added[key] for key in ("name", "currency", "decimals", "rounding", "zone", "rates", "owner_name")
    )
    assert "down" == shell.json("set", made, "--rounding", "down", "--name", f"{made}!")["rounding"]
    assert f"{made}!" in shell("show", f"{made}!")
    assert f"{made}!" in [one["name"] for one in shell.json("list")]
    assert made in shell("list")
    for words in (
        ("add", f"{made}!", "EUR"), ("set", "nobody's", "--decimals", "2"), ("show", "nobody's"),
        ("add", "new", "EUR", "--owner", "nobody"),
    ):  # fmt: skip
        assert "meterline: " in shell(*words, code=1)
    for words in (("set", made), ("add", "x", "EUR", "--zone", "Mars/Base"), ("add", "x", "EUR", "--rounding", "off")):
        assert "meterline: " in shell(*words, code=2)


def test_single_rates(shell: Shell, name: str) -> None:
    """Set, seen and removed by prefix and date."""
    shell("set-rate", name, "49", "0.02", "--destination", "Germany", "--increments", "60/6", "--connect-fee", "0.1")
    shell("set-rate", name, "49", "0.03", "--from", "2090-01-01")
    (now,) = shell.json("rates", name)
    assert ("49", "Germany", "0.02", 60, 6, "0.10") == tuple(
        now[key] for key in ("prefix", "destination", "price", "initial_s", "increment_s", "connect_fee")
    )
    assert ("1970-01-01T00:00:00Z", "2090-01-01T00:00:00Z") == (now["effective_from"], now["effective_to"])
    assert ["0.03"] == [one["price"] for one in shell.json("rates", name, "--at", "2091-01-01")]
    assert 2 == len(shell.json("rates", name, "--all"))
    assert [] == shell.json("rates", name, "--prefix", "33")
    assert "60/6" in shell("rates", name)
    shell("remove-rate", name, "49", "--from", "2090-01-01")
    assert 1 == len(shell.json("rates", name, "--all"))
    assert "unknown_rate" in shell("remove-rate", name, "33", code=1)
    assert "--increments" in shell("set-rate", name, "49", "1", "--increments", "often", code=2)


def test_a_dry_run_lists_and_an_import_does(shell: Shell, name: str, tmp_path: Path) -> None:
    """New, dearer, cheaper, gone; the file of changes has all of them."""
    first = written(tmp_path, "prefix,name,price\n1,A,1\n2,B,1\n3,C,1\n4,D,1\n")
    shell("import", name, first, "--effective", "2026-01-01")
    deck = written(tmp_path, "prefix,name,price,Remarks\n1,A,1,\n2,B,2,up\n3,C,0.5,\n5,E,1,\n")
    words = ("import", name, deck, "--effective", "2026-02-01", "--replace", "--limit", "3")
    dry = shell.json(*words, "--dry-run", "--changes", str(tmp_path / "changes.csv"))

    assert ("compared", ["Remarks"], 1, 1, 1, 1, 1) == (
        dry["state"], dry["passed_over"], *(dry[kind] for kind in ("added", "dearer", "cheaper", "gone", "unchanged"))
    )  # fmt: skip
    assert [("dearer", "2", "1.00", "2.00"), ("cheaper", "3", "1.00", "0.50"), ("gone", "4", "1.00", "")] == [
        (one["kind"], one["prefix"], one["old_price"], one["price"] or "") for one in dry["changes"]
    ]
    assert 5 == len((tmp_path / "changes.csv").read_text().splitlines())
    told = shell(*words, "--dry-run")
    for text in ("columns passed over: Remarks", "dearer", "gone", "3 of 4 changes", "nothing was changed yet"):
        assert text in told
    assert ["1.00"] * 4 == [one["price"] for one in shell.json("rates", name, "--at", "2027-01-01")]

    done = shell(*words)
    assert f"{name}: 4 rates: 1 new, 1 dearer, 1 cheaper, 0 changed, 1 unchanged, 1 gone; version 3" in done
    assert ["1.00", "2.00", "0.50", "1.00"] == [one["price"] for one in shell.json("rates", name, "--at", "2027-01-01")]
    assert "applied" in shell("show", name)


def test_every_wrong_line_is_told_and_nothing_is_changed(shell: Shell, name: str, tmp_path: Path) -> None:
    """With its number; duplicates and overlaps too."""
    deck = written(tmp_path, "prefix,price\n49,x\n33,1\n,1\n33,2\n44,1\n")
    told = shell("import", name, deck, code=1)
    for line in (
        "deck.csv: line 2: price 'x': no amount of at most 12 digits and 6 decimals",
        "deck.csv: line 4: prefix: missing",
        "deck.csv: line 5: prefix 33: stands in line 3 already, with the same beginning",
        f"deck.csv: 3 lines are wrong, so tariff {name} stays as it was",
    ):
        assert line in told
    problems = shell.json("import", name, deck, code=1)["problems"]
    assert [2, 4, 5] == [one["line"] for one in problems]
    assert [] == shell.json("rates", name, "--all")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("nothing.csv",), 1, "nothing.csv: No such file"),
        (("deck.csv", "--map", "price"), 2, "--map 'price' is not like column=text"),
        (("deck.csv", "--map", "price=a,price=b"), 2, "price is given twice"),
        (("deck.csv", "--map", "price=Preis"), 1, "--map price='Preis': there is no such header"),
        (("deck.csv", "--effective", "soon"), 2, "--effective 'soon'"),
        (("deck.csv", "--limit", "-1"), 2, "--limit '-1'"),
        (("deck.csv", "--set", "colour=red"), 1, "--set colour"),
    ],
)
def test_what_cannot_be_asked_for(
    shell: Shell, name: str, tmp_path: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    """One line that names the option."""
    written(tmp_path, "prefix,price\n49,1\n")
    assert told in shell("import", name, *words, code=code)


def test_a_deck_without_a_rate_ends_none(shell: Shell, name: str, tmp_path: Path) -> None:
    """With --replace it would empty the tariff: a file that broke off behind its header."""
    shell("set-rate", name, "49", "1")
    for text, more in (("prefix,price\n", ()), ("", ("--no-header", "--map", "prefix=1,price=2"))):
        told = shell("import", name, written(tmp_path, text), "--replace", *more, code=1)
        assert f"there is no rate in it, so tariff {name} stays as it was" in told
    assert ["49"] == [one["prefix"] for one in shell.json("rates", name)]


def test_selling_under_the_buy_price_is_told_when_it_is_saved(shell: Shell, bank: Bank, tmp_path: Path) -> None:
    """Of a single rate, and of a deck, in the dry run too; and the import goes on."""
    buys, sells, owner = (f"{what} {new_key()}" for what in ("buys", "sells", "reseller"))
    shell("add", buys, "EUR")
    shell("import", buys, written(tmp_path, "prefix,price,connect_fee\n49,0.30,0\n4915,0.90,0\n43,0.2,0.1\n"))
    bank.admin.create_account("reseller", owner, None, None, buys)
    shell("add", sells, "EUR", "--owner", owner)
    deck = written(tmp_path, "prefix,price,blocked\n49,0.40,\n491512,0.80,\n43,0.3,\n1,0.01,\n4916,0.1,yes\n")
    told = f"below_cost: 2 rates are under what {owner} buys at, such as prefix 43: see meterline reseller below-cost"
    assert told in shell("import", sells, deck, "--dry-run")
    assert 2 == shell.json("import", sells, deck)["below_cost"]
    assert "below_cost" not in shell("import", buys, deck)
    assert "below_cost: 49 is sold at 0.290000" in shell("set-rate", sells, "49", "0.29")
    assert shell.json("set-rate", sells, "49", "0.28")["warning"].startswith("below_cost: 49 is sold at 0.280000")
    assert shell.json("set-rate", sells, "49", "9")["warning"] is None


def test_files_that_cannot_be_written_and_names_that_are_formulas(shell: Shell, name: str, tmp_path: Path) -> None:
    """One line that names the file, and nothing is changed; a carrier's name stays a text in a spreadsheet."""
    deck = written(tmp_path, "prefix,price,name\n49,1,=1+1\n")
    nowhere = str(tmp_path / "none" / "file.csv")
    assert f"meterline: {nowhere}: No such file or directory\n" == shell("export", name, nowhere, code=1)
    assert f"meterline: {nowhere}: No such file" in shell("import", name, deck, "--changes", nowhere, code=1)
    assert [] == shell.json("rates", name, "--all")
    changes = tmp_path / "changes.csv"
    shell("import", name, deck, "--changes", str(changes))
    (row,) = csv.DictReader(changes.read_text().splitlines())
    assert ("new", "'=1+1", "1.00", "no", "") == tuple(
        row[column] for column in ("kind", "destination", "price", "blocked", "old_price")
    )
    assert "49,'=1+1," in shell("export", name)
    assert "=1+1" == shell.json("rates", name)[0]["destination"]


def test_columns_by_name_and_values_for_all_lines(shell: Shell, name: str, tmp_path: Path) -> None:
    """As the help says."""
    deck = written(tmp_path, 'Code;Name;"Rate, EUR";Rate/min\n49;G;0,02;9\n')
    mapping = ("--map", 'prefix=Code,price="Rate, EUR"')
    shell("import", name, deck, *mapping, "--set", "increments=60/6", "--set", "per_s=1")
    (rate,) = shell.json("rates", name)
    assert ("0.02", 60, 6, 1) == (rate["price"], rate["initial_s"], rate["increment_s"], rate["per_s"])


def test_a_deck_from_a_pipe(shell: Shell, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """- is standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"prefix,price\n49,1\n")))
    assert 1 == shell.json("import", name, "-")["added"]


def test_the_shipped_decks_go_in_and_come_out(shell: Shell, name: str, tmp_path: Path) -> None:
    """The retail deck is an export: it comes back to the byte."""
    shell("import", name, str(DECKS / "retail.csv"))
    assert (DECKS / "retail.csv").read_text() == shell("export", name)
    assert 15 == shell.json("export", name, str(tmp_path / "out.csv"))["rates"]
    assert 3 == len(shell("export", name, "--prefix", "44", "--at", "2028-01-01").splitlines())
    other = f"tariff {new_key()}"
    shell("add", other, "EUR", "--decimals", "6")
    assert 12 == shell.json("import", other, str(DECKS / "carrier.csv"), "--date-format", "%d.%m.%Y")["added"]


def test_rerating_lists_then_corrects(shell: Shell, bank: Bank) -> None:
    """Differences by call and account first; entries only with --apply, and a run is finished with its key."""
    shop = Shop(bank)
    dear, cheap = shop.call(120), shop.call(60)
    shop.rate("retail", "1.20", initial_s=60, increment_s=6, connect_fee="0.05")
    bank.cashier.adjust(new_key(), shop.accounts["retail"], "-7.14", "test", "spent elsewhere")
    words = ("rerate", shop.tariffs["retail"], "--from", "2026-06-01", "--to", "2026-06-02")

    dry = shell.json(*words)
    assert {(dear, "1.85", "2.45", "0.60"), (cheap, "0.95", "1.25", "0.30")} == {
        tuple(one[key] for key in ("call_key", "old_charge", "new_charge", "difference")) for one in dry["differences"]
    }
    assert (True, 2, []) == (dry["dry_run"], dry["legs"], dry["unpriced"])
    told = shell(*words)
    assert "2 of 2 charges differ" in told
    assert "0.90" in told  # what the account owes in all
    assert "0.06" == shop.balance("retail")

    refused = shell.json(*words, "--apply", "--reason", "wrong deck", code=1)
    assert ["insufficient_balance"] * 2 == [one["outcome"] for one in refused["differences"]]
    bank.cashier.top_up(new_key(), shop.accounts["retail"], "0.30", "test")
    half = shell.json(*words, "--apply", "--run", refused["run"], code=1)
    assert {cheap: "corrected", dear: "insufficient_balance"} == {
        one["call_key"]: one["outcome"] for one in half["differences"]
    }
    rest = shell(*words, "--apply", "--run", refused["run"], "--force")
    assert f"run {refused['run']}: 1 corrected" in rest
    assert "-0.54" == shop.balance("retail")
    assert "nothing to correct" in shell(*words, "--apply")


def test_rerating_of_one_account_by_another_tariff(shell: Shell, bank: Bank) -> None:
    """When it was the assignment that was wrong."""
    shop = Shop(bank)
    shop.call(60)
    account = bank.name_of(shop.accounts["retail"])
    words = ("rerate", shop.tariffs["retail"], "--from", "2026-06-01", "--to", "2026-06-02", "--account", account)
    (one,) = shell.json(*words, "--by", shop.tariffs["top"])["differences"]
    assert ("0.95", "0.10") == (one["old_charge"], one["new_charge"])
    shell(*words, "--by", shop.tariffs["top"], "--apply")
    assert "9.9" == shop.balance("retail")
    assert Decimal("9.9") == bank.purse(shop.accounts["retail"])["balance"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--from", "2026-06-02", "--to", "2026-06-01"), "--to 2026-06-01 is not after"),
        (("--from", "2026-06-01", "--to", "2026-06-02", "--force"), "are for --apply"),
        (("--from", "2026-06-01", "--to", "2026-06-02", "--apply", "--run", "x"), "--run 'x' is not a ULID"),
    ],
)
def test_what_cannot_be_rerated(shell: Shell, name: str, words: tuple[str, ...], told: str) -> None:
    """One line that names the option."""
    assert told in shell("rerate", name, *words, code=2)
