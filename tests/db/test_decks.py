"""Rate decks in the ledger: what is compared is what happens, all of it or nothing, while others look rates up."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Event
from typing import Any

import pymysql
import pytest

from billing import deck_export
from billing.deck import Deck, DeckFormat, Problem, TariffTerms, staged_json
from billing.deck_import import DeckImport
from billing.deck_types import DeckChange, DeckSummary
from billing.errors import LedgerRefused, NoRate
from billing.ledger import Ledger
from billing.pricelist import rate_from_json, rate_to_json
from billing.rates import RateLookup
from billing.rating import PricedCall
from demo.deck import deck as generated
from stack.processes import wait_until
from tests.db.bank import Bank, new_key, request, settlement

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HEAD = "prefix,destination,price,connect_fee,increments,effective_from,effective_to,blocked"
SIZE = 20_000
POLL_S = 0.2
"""The server looks at its transactions anew only when nobody asked for a tenth of a second."""


def csv_of(*lines: str) -> str:
    """A deck with the usual columns."""
    return "\n".join([HEAD, *lines]) + "\n"


class Tariff:
    """A tariff of a test's own, and decks for it."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.name = f"tariff {new_key()}"
        self.id = bank.admin.create_tariff(self.name, "EUR")

    def deck(self, ledger: Ledger | None = None, key: str = "") -> DeckImport:
        return DeckImport(ledger or self.bank.admin, key or new_key(), self.name, "test")

    def load(self, text: str, at: datetime = NOON, *, replace: bool = False, dry: bool = False) -> DeckSummary:
        """Import a deck, or say what would happen."""
        with self.deck() as deck:
            self.stage(deck, text, at)
            summary = deck.compare(replace=replace, effective_from=at)
            self.changes = list(deck.changes())
            return summary if dry else deck.apply()

    @staticmethod
    def stage(deck: DeckImport, text: str, at: datetime = NOON) -> int:
        problems: list[Problem] = []
        lines = Deck(io.BytesIO(text.encode()), DeckFormat(), TariffTerms(), at)
        count = deck.stage(lines, problems.append)
        assert [] == problems
        return count

    @property
    def version(self) -> int:
        return int(self.bank.sql("SELECT version FROM tariff WHERE id = %s", self.id)[0]["version"])

    def rows(self) -> list[tuple[Any, ...]]:
        """(prefix, price, days from noon on, until) of every rate, as they are stored."""
        found = self.bank.sql(
            "SELECT prefix, price, effective_from, effective_to FROM rate WHERE tariff_id = %s ORDER BY 1, 3", self.id
        )
        return [
            (row["prefix"], f"{row['price'].normalize():f}", _days(row["effective_from"]), _days(row["effective_to"]))
            for row in found
        ]

    def price(self, digits: str, at: datetime = NOON) -> str:
        """What a minute to a number costs then, as the proxy would find it."""
        try:
            rate = RateLookup(self.bank.proxy).find(self.id, self.version, digits, at)
        except NoRate:
            return ""
        return f"{rate.windows[0].slots[0].price.normalize():f}"

    def prices(self) -> str:
        """All that can be asked: a digest of every rate."""
        rows = self.bank.sql("SELECT * FROM rate WHERE tariff_id = %s ORDER BY prefix, effective_from", self.id)
        return json.dumps([{name: str(value) for name, value in row.items() if name != "id"} for row in rows])

    def staged(self) -> int:
        sql = "SELECT COUNT(*) AS n FROM deck_rate JOIN deck ON deck.id = deck_id WHERE tariff_id = %s"
        return int(self.bank.sql(sql, self.id)[0]["n"])


def _days(at: datetime | None) -> float | None:
    return None if at is None else (at.replace(tzinfo=UTC) - NOON) / DAY


def kinds(changes: list[DeckChange]) -> list[tuple[str, str, str, str]]:
    """(kind, prefix, old price, new price) of each change."""

    def text(price: Decimal | None) -> str:
        return "" if price is None else f"{price.normalize():f}"

    return [(one.kind, one.prefix, text(one.old_price), text(one.price)) for one in changes]


@pytest.fixture
def tariff(bank: Bank) -> Tariff:
    return Tariff(bank)


# --- merge ------------------------------------------------------------------------------------------------------------


def test_a_first_deck_is_new_throughout(tariff: Tariff) -> None:
    """All columns arrive; the version rises once, whatever the number of rates."""
    before = tariff.version
    summary = tariff.load(csv_of("49,Germany,0.02,0.1,60/6,,,", "4990,Premium,3,,,,2026-07-01,yes"))

    assert (2, 2, before + 1, "applied") == (summary.rates, summary.added, summary.tariff_version, summary.state)
    assert before + 1 == tariff.version
    first, second = tariff.bank.admin.rates(tariff.id)
    assert ("49", "Germany", Decimal("0.02"), Decimal("0.1"), 60, 6, NOON, None, False) == (
        first.prefix, first.destination, first.price, first.connect_fee, first.initial_s, first.increment_s,
        first.effective_from, first.effective_to, first.blocked,
    )  # fmt: skip
    assert (datetime(2026, 7, 1, tzinfo=UTC), True) == (second.effective_to, second.blocked)
    assert 0 == tariff.staged()


def test_each_change_is_named_for_what_it_is(tariff: Tariff) -> None:
    """New, dearer, cheaper, otherwise changed; what stays is counted and not written."""
    tariff.load(csv_of(
        "1,A,0.10,,,,,", "2,B,0.10,,,,,", "3,C,0.10,,,,,", "4,D,0.10,0.1,,,,", "5,E,0.10,,,,,", "6,F,0.10,,,,,",
        "7,G,0.10,,,,,", "8,H,0.10,,,,,",
    ))  # fmt: skip
    summary = tariff.load(
        csv_of(
            "1,A,0.10,,,,,", "2,B,0.11,,,,,", "3,C,0.09,,,,,", "4,D,0.10,0.2,,,,", "5,e,0.10,,,,,", "6,F,0.10,,60/1,,,",
            "7,G,0.20,,,,,yes", "9,I,0.10,,,,,",
        ),
        NOON + DAY,
    )  # fmt: skip

    assert [
        ("dearer", "2", "0.1", "0.11"), ("cheaper", "3", "0.1", "0.09"), ("dearer", "4", "0.1", "0.1"),
        ("changed", "5", "0.1", "0.1"), ("changed", "6", "0.1", "0.1"), ("changed", "7", "0.1", "0.2"),
        ("new", "9", "", "0.1"),
    ] == kinds(tariff.changes)  # fmt: skip
    assert (8, 1, 2, 1, 3, 1, 0) == (
        summary.rates, summary.added, summary.dearer, summary.cheaper, summary.changed, summary.unchanged, summary.gone
    )  # fmt: skip
    assert [("1", "0.1", 0, None), ("2", "0.1", 0, 1), ("2", "0.11", 1, None)] == tariff.rows()[:3]
    assert ("8", "0.1", 0, None) in tariff.rows()


def test_a_second_per_minute_is_the_same_price_in_another_unit(tariff: Tariff) -> None:
    """Dearer and cheaper compare what a minute costs."""
    tariff.load("prefix,price,per_s\n1,0.60,60\n2,0.60,60\n")
    tariff.load("prefix,price,per_s\n1,0.01,1\n2,0.02,1\n", NOON + DAY, dry=True)

    assert ["changed", "dearer"] == [one.kind for one in tariff.changes]


def test_a_price_from_a_date_on_acts_from_that_date_on(tariff: Tariff) -> None:
    """Before it the old one counts; nothing has to happen on the day."""
    tariff.load(csv_of("49,Germany,0.02,,,,,"))
    tariff.load(csv_of("49,Germany,0.03,,,2026-07-01,,"))

    july = datetime(2026, 7, 1, tzinfo=UTC)
    assert ["0.02", "0.02", "0.03"] == [
        tariff.price("4930", at) for at in (NOON, july - timedelta(seconds=1), july)
    ]


def test_a_rate_with_an_end_interrupts_and_is_followed_by_what_it_interrupted(tariff: Tariff) -> None:
    """A week's special price; the usual one needs no second line."""
    tariff.load(csv_of("49,Germany,0.02,,,,,"))
    tariff.load(csv_of("49,Germany,0.01,,,2026-07-01,2026-07-08,"))

    assert ["0.02", "0.01", "0.02"] == [
        tariff.price("4930", datetime(2026, 7, day, tzinfo=UTC) - timedelta(seconds=1)) for day in (1, 8, 9)
    ]


def test_several_rates_of_a_prefix_follow_one_another(tariff: Tariff) -> None:
    """Each ends where the next begins, and the first of them ends what was there."""
    tariff.load(csv_of("49,Germany,0.02,,,,,"))
    tariff.load(csv_of("49,Germany,0.04,,,2026-06-03T12:00:00,,", "49,Germany,0.03,,,2026-06-02T12:00:00,,"))

    assert [("49", "0.02", 0, 1), ("49", "0.03", 1, 2), ("49", "0.04", 2, None)] == tariff.rows()


def test_several_rates_end_each_of_what_was_there(tariff: Tariff) -> None:
    """Of two announced prices each ends where the first new one after its beginning begins."""
    tariff.load(csv_of("49,G,0.02,,,,,"))
    tariff.load(csv_of("49,G,0.03,,,2026-06-04T12:00:00,,"))
    tariff.load(csv_of("49,G,0.05,,,2026-06-02T12:00:00,,", "49,G,0.06,,,2026-06-06T12:00:00,,"))

    assert [
        ("49", "0.02", 0, 1), ("49", "0.05", 1, 5), ("49", "0.03", 3, 5), ("49", "0.06", 5, None)
    ] == tariff.rows()  # fmt: skip
    assert ["0.02", "0.05", "0.03", "0.06"] == [tariff.price("49", NOON + days * DAY) for days in (0, 1, 4, 5)]


def test_the_same_deck_again_changes_nothing(tariff: Tariff) -> None:
    """Whatever has dates and ends in it, today or tomorrow."""
    deck = csv_of(
        "49,G,0.02,,,,,", "33,F,0.03,,,2026-06-03,2026-07-03,", "44,U,0.01,,,2026-01-01,,", "44,U,0.02,,,2026-09-01,,"
    )
    tariff.load(deck)
    rows = tariff.rows()
    again = tariff.load(deck)
    later = tariff.load(csv_of("49,G,0.02,,,,,"), NOON + 7 * DAY)

    assert (0, 4, 0, 1) == (again.changes, again.unchanged, later.changes, later.unchanged)
    assert rows == tariff.rows()


# --- replace ----------------------------------------------------------------------------------------------------------


def test_replacing_ends_what_the_deck_lacks(tariff: Tariff) -> None:
    """At the effective date: until then it is sold."""
    tariff.load(csv_of("49,G,0.02,,,,,", "33,F,0.03,,,,,", "44,U,0.04,,,,,"))
    summary = tariff.load(csv_of("49,G,0.02,,,,,", "33,F,0.05,,,,,"), NOON + DAY, replace=True)

    assert [("dearer", "33", "0.03", "0.05"), ("gone", "44", "0.04", "")] == kinds(tariff.changes)
    assert (1, 1, 1) == (summary.unchanged, summary.dearer, summary.gone)
    assert [
        ("33", "0.03", 0, 1), ("33", "0.05", 1, None), ("44", "0.04", 0, 1), ("49", "0.02", 0, None)
    ] == tariff.rows()  # fmt: skip
    assert ["0.04", ""] == [tariff.price("44", at) for at in (NOON, NOON + DAY)]


def test_replacing_removes_prices_that_were_announced_for_later(tariff: Tariff) -> None:
    """From its date on the tariff is the deck and nothing else."""
    tariff.load(csv_of("49,G,0.02,,,,,", "49,G,0.03,,,2026-07-01,,", "33,F,0.03,,,2026-07-01,,"))
    tariff.load(csv_of("49,G,0.02,,,,,"), NOON + DAY, replace=True)

    assert [("gone", "33", "0.03", ""), ("changed", "49", "0.02", "0.02"), ("gone", "49", "0.03", "")] == sorted(
        kinds(tariff.changes), key=lambda one: one[1]
    )
    assert [("49", "0.02", 0, 1), ("49", "0.02", 1, None)] == tariff.rows()


def test_replacing_with_rates_from_later_on_leaves_a_gap(tariff: Tariff) -> None:
    """What the deck does not sell is not sold, and the list says so."""
    tariff.load(csv_of("49,G,0.02,,,,,"))
    tariff.load(csv_of("49,G,0.02,,,2026-06-05T12:00:00,,"), NOON + DAY, replace=True)

    assert {("gone", "49", "0.02", ""), ("changed", "49", "0.02", "0.02")} == set(kinds(tariff.changes))
    assert [("49", "0.02", 0, 1), ("49", "0.02", 4, None)] == tariff.rows()


def test_replacing_from_a_date_with_rates_before_it_is_refused(tariff: Tariff) -> None:
    """Named by line and prefix."""
    with tariff.deck() as deck:
        tariff.stage(deck, csv_of("49,G,0.02,,,2026-07-01,,", "33,F,0.02,,,2026-06-01,,"))
        with pytest.raises(LedgerRefused, match="invalid_deck: line 3: prefix 33 begins before 2026-06-02 12:00:00"):
            deck.compare(replace=True, effective_from=NOON + DAY)


# --- dry run ----------------------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_then_happens(tariff: Tariff) -> None:
    """Change by change: the prices before and after each date are those of the list; nothing else moves."""
    tariff.load(_generated(3000))
    before = {one.prefix: one for one in tariff.bank.admin.rates(tariff.id)}
    lines = _generated(3000, revision=2).splitlines()
    text = "\n".join(lines[:1] + lines[200:]) + "\n"
    dry = tariff.load(text, NOON + DAY, replace=True, dry=True)
    listed = tariff.changes
    untouched = tariff.prices()
    assert 0 == tariff.staged()
    done = tariff.load(text, NOON + DAY, replace=True)

    assert untouched != tariff.prices()
    assert kinds(listed) == kinds(tariff.changes)
    assert (dry.rates, dry.dearer, dry.cheaper, dry.changed, dry.unchanged, dry.gone) == (
        done.rates, done.dearer, done.cheaper, done.changed, done.unchanged, done.gone
    )  # fmt: skip
    counts = Counter(one.kind for one in listed)
    assert (199, True, True) == (counts["gone"], counts["dearer"] > 50, counts["cheaper"] > 50)
    expected = {prefix: rate.price for prefix, rate in before.items()}
    for one in listed:
        assert before[one.prefix].price == one.old_price
        if one.price is None:
            del expected[one.prefix]
        else:
            expected[one.prefix] = one.price
    pages = tariff.bank.admin.rate_pages(tariff.id)
    after = {row.prefix: row.price for row, _, _ in deck_export.in_effect(pages, NOON + DAY)}
    assert expected == after
    pages = tariff.bank.admin.rate_pages(tariff.id)
    assert {prefix: rate.price for prefix, rate in before.items()} == {
        row.prefix: row.price for row, _, _ in deck_export.in_effect(pages, NOON)
    }


def test_a_dry_run_changes_nothing(tariff: Tariff) -> None:
    """Not even the version, and it leaves no stage."""
    tariff.load(csv_of("49,G,0.02,,,,,"))
    before = (tariff.version, tariff.prices())
    summary = tariff.load(csv_of("49,G,0.03,,,,,"), dry=True)

    assert (before, 1, "compared", 0) == (
        (tariff.version, tariff.prices()), summary.dearer, summary.state, tariff.staged()
    )  # fmt: skip


# --- what is wrong with a deck ----------------------------------------------------------------------------------------


def test_lines_that_do_not_go_together_are_named_all_of_them(tariff: Tariff) -> None:
    """Duplicates and overlaps with both lines; one without an end makes room for the next."""
    text = csv_of(
        "49,G,0.02,,,,,", "33,F,0.02,,,2026-06-01,2026-08-01,", "49,G,0.03,,,,,", "33,F,0.03,,,2026-07-01,,",
        '"44,49",U,0.03,,,,,', "55,B,1,,,2026-06-01,,", "55,B,2,,,2026-07-01,,", "66,T,1,,,2026-06-01,2026-07-01,",
        "66,T,2,,,2026-07-01,,", "33,F,1,,,2026-07-15,,",
    )  # fmt: skip
    with tariff.deck() as deck:
        tariff.stage(deck, text)
        found = {(one.line, one.problem, one.prefix, one.other_line) for one in deck.conflicts()}
        assert {
            (4, "duplicate", "49", 2), (6, "duplicate", "49", 4), (5, "overlap", "33", 3), (11, "overlap", "33", 3)
        } == found  # fmt: skip
        with pytest.raises(LedgerRefused, match=r"invalid_deck: prefix (33|49) stands in lines \d and \d"):
            deck.compare(replace=False, effective_from=None)


def test_a_deck_that_is_not_complete_is_refused(tariff: Tariff) -> None:
    """The client says how many rates it staged; a lost portion is noticed."""
    key = new_key()
    admin = tariff.bank.admin
    admin.open_deck(key, tariff.name, "test")
    admin.stage_rates(key, staged_json([_rate(1), _rate(2)]))

    with pytest.raises(LedgerRefused, match=r"incomplete_deck: 2 rates of deck .* were staged, not 3"):
        admin.compare_deck(key, replace=False, effective_from=None, rates=3)
    admin.discard_deck(key)


def test_a_portion_that_is_staged_again_counts_once(tariff: Tariff) -> None:
    """A lost answer is no reason to begin anew."""
    key = new_key()
    admin = tariff.bank.admin
    admin.open_deck(key, tariff.name, "test")
    admin.open_deck(key, tariff.name, "test")
    for _ in range(2):
        assert 2 == admin.stage_rates(key, staged_json([_rate(1), _rate(2)]))
    assert 2 == admin.compare_deck(key, replace=False, effective_from=None, rates=2).added
    first, again = admin.apply_deck(key), admin.apply_deck(key)

    assert (first, 2) == (again, len(tariff.rows()))
    assert "deck_applied" == _refusal(lambda: admin.stage_rates(key, staged_json([_rate(3)])))
    assert "applied" == admin.discard_deck(key)


def _rate(number: int) -> dict[str, Any]:
    return {
        "number": number, "line": number, "prefix": f"49{number}", "destination": "G", "price": "0.02",
        "effective_from": "2026-06-01 12:00:00",
    }  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"number": 0}, {"number": "x"}, {"prefix": ""}, {"prefix": "4a"}, {"prefix": "1" * 21}, {"prefix": None},
        {"destination": None}, {"destination": "x" * 65}, {"price": None}, {"price": "abc"}, {"price": "-1"},
        {"price": "1e3"}, {"price": "0.1234567"}, {"price": "1234567890123"}, {"connect_fee": ""}, {"per_s": 0},
        {"per_s": "x"}, {"initial_s": 0}, {"increment_s": 0}, {"increment_s": "1.5"}, {"free_seconds": -1},
        {"free_seconds": 31 * 86_400 + 1},
        {"max_cost": "x"}, {"max_cost": "-1"}, {"max_cost_rule": "stop"}, {"schedule": "{"},
        {"effective_from": "soon"}, {"effective_from": None}, {"effective_from": "2026-02-30 00:00:00"},
        {"effective_to": "2026-06-01 12:00:00"}, {"effective_to": "x"}, {"blocked": 2}, {"blocked": "yes"},
        {"line": "x"},
    ],
)  # fmt: skip
def test_the_ledger_itself_takes_no_wrong_rate(tariff: Tariff, wrong: dict[str, Any]) -> None:
    """Whoever stages by hand gets no further than the command line: nothing of the portion stays."""
    key = new_key()
    tariff.bank.admin.open_deck(key, tariff.name, "test")
    ((column, value),) = wrong.items()
    with pytest.raises(LedgerRefused) as refusal:
        tariff.bank.admin.stage_rates(key, json.dumps([_rate(1), _rate(2) | wrong]))

    assert "invalid_content" == refusal.value.token
    if (column, value) != ("effective_from", "2026-02-30 00:00:00"):
        assert f"rate 2 of those given to deck {key}: {column}" in str(refusal.value)
    assert 0 == tariff.staged()
    tariff.bank.admin.discard_deck(key)


@pytest.mark.parametrize(
    ("token", "ask"),
    [
        ("unknown_tariff", lambda ledger: ledger.open_deck(new_key(), "nobody's", "test")),
        ("invalid_key", lambda ledger: ledger.open_deck("short", "retail", "test")),
        ("invalid_content", lambda ledger: ledger.open_deck(new_key(), "retail", " ")),
        ("unknown_deck", lambda ledger: ledger.stage_rates(new_key(), "[]")),
        ("unknown_deck", lambda ledger: ledger.apply_deck(new_key())),
        ("unknown_deck", lambda ledger: ledger.deck_problems(new_key())),
        ("unknown_deck", lambda ledger: ledger.compare_deck(new_key(), replace=False, effective_from=None, rates=0)),
        ("unknown_tariff", lambda ledger: ledger.set_tariff("nobody's", zone="UTC")),
        ("tariff_exists", lambda ledger: ledger.create_tariff("retail", "EUR")),
        ("unknown_account", lambda ledger: ledger.create_tariff("new", "EUR", owner="nobody")),
        ("invalid_content", lambda ledger: ledger.create_tariff(" ", "EUR")),
        ("invalid_content", lambda ledger: ledger.create_tariff("new", "euro")),
        ("invalid_content", lambda ledger: ledger.create_tariff("new", "EUR", decimals=7)),
    ],
)
def test_what_cannot_be_is_refused_by_name(bank: Bank, token: str, ask: Any) -> None:
    """Each with its word."""
    assert token == _refusal(lambda: ask(bank.admin))


def _refusal(ask: Any) -> str:
    try:
        ask()
    except LedgerRefused as refusal:
        return refusal.token
    return ""


def test_a_deck_must_be_compared_before_it_is_applied(tariff: Tariff) -> None:
    """And again after more was added, or after somebody changed the tariff."""
    admin, key = tariff.bank.admin, new_key()
    admin.open_deck(key, tariff.name, "test")
    admin.stage_rates(key, staged_json([_rate(1)]))
    assert "deck_not_compared" == _refusal(lambda: admin.apply_deck(key))
    admin.compare_deck(key, replace=False, effective_from=None, rates=1)
    admin.stage_rates(key, staged_json([_rate(2)]))
    assert "deck_not_compared" == _refusal(lambda: admin.apply_deck(key))
    admin.compare_deck(key, replace=False, effective_from=None, rates=2)
    admin.put_rate(tariff.id, "491", "G", price="5", effective_from=NOON)
    assert "deck_out_of_date" == _refusal(lambda: admin.apply_deck(key))
    again = admin.compare_deck(key, replace=False, effective_from=None, rates=2)
    assert (1, 1, "applied") == (again.cheaper, again.added, admin.apply_deck(key).state)


def test_an_import_compares_again_by_itself(tariff: Tariff) -> None:
    """Somebody who sets a rate meanwhile does not undo an import."""
    with tariff.deck() as deck:
        tariff.stage(deck, csv_of("49,G,0.02,,,,,"))
        deck.compare(replace=True, effective_from=NOON)
        tariff.bank.admin.put_rate(tariff.id, "33", "F", price="1")
        assert 1 == deck.apply().gone
    assert [("49", "0.02", 0, None)] == [row for row in tariff.rows() if row[3] is None]


# --- all or nothing ---------------------------------------------------------------------------------------------------


def _generated(count: int, revision: int = 1) -> str:
    return "\n".join(",".join(line) for line in generated(count, revision=revision)) + "\n"


def _last_changed(tariff: Tariff, text: str) -> str:
    """A deck with another price for the tariff's last prefix."""
    last = max(row[0] for row in tariff.rows())
    lines = [line.split(",") for line in text.splitlines()]
    return "".join(",".join([*line[:2], "9.9", *line[3:]] if line[1] == last else line) + "\n" for line in lines)


@contextmanager
def _held(tariff: Tariff, isolation: str, where: str) -> Iterator[None]:
    """Somebody has the tariff's last rate locked ("=", READ COMMITTED: whoever ends it waits), or the place after it
    (">", REPEATABLE READ: whoever writes there)."""
    last = max(row[0] for row in tariff.rows())
    holder = pymysql.connect(**tariff.bank.server.admin_params(), database=tariff.bank.database)
    try:
        with holder.cursor() as cursor:
            cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {isolation}")
            cursor.execute(
                f"SELECT 1 FROM rate WHERE tariff_id = %s AND prefix {where} %s FOR UPDATE", (tariff.id, last)
            )
        yield
    finally:
        holder.close()


def _waiting(bank: Bank) -> list[dict[str, Any]]:
    """Transactions that wait for a lock: their connection, and how many rows they changed so far."""
    return bank.sql(
        "SELECT trx_mysql_thread_id AS id, trx_rows_modified AS rows_modified FROM information_schema.innodb_trx"
        " WHERE trx_state = 'LOCK WAIT'"
    )


def test_a_connection_that_is_killed_in_the_middle_leaves_the_old_tariff(tariff: Tariff) -> None:
    """Most of 20,000 rates are written when it dies; then it is done again, with the same key."""
    tariff.load(_generated(SIZE))
    before = (tariff.version, tariff.prices())
    key = new_key()
    victim = tariff.bank.plain("admin")
    with victim.cursor() as cursor:
        cursor.execute("SET SESSION innodb_lock_wait_timeout = 60")
    with tariff.deck(key=key) as deck, ThreadPoolExecutor(1) as pool:
        rates = tariff.stage(deck, _last_changed(tariff, _generated(SIZE, revision=2)), NOON + DAY)
        deck.compare(replace=True, effective_from=NOON + DAY)
        with _held(tariff, "REPEATABLE READ", ">"):
            asked = pool.submit(victim.cursor().execute, "CALL apply_deck(%s)", (key,))
            wait_until(lambda: bool(_waiting(tariff.bank)), 30, "the import waits for the last rate", POLL_S)
            (row,) = _waiting(tariff.bank)
            assert row["rows_modified"] > SIZE // 20
            assert before == (tariff.version, tariff.prices())
            tariff.bank.sql(f"KILL CONNECTION {row['id']}")
            with pytest.raises(pymysql.err.OperationalError):
                asked.result(30)
        open_ones = "SELECT 1 FROM information_schema.innodb_trx"
        wait_until(lambda: not tariff.bank.sql(open_ones), 30, "it is rolled back", POLL_S)

        assert before == (tariff.version, tariff.prices())
        done = deck.apply()
    assert (rates, before[0] + 1) == (done.rates, tariff.version)
    assert before[1] != tariff.prices()


def test_an_import_that_was_broken_off_leaves_nothing(tariff: Tariff) -> None:
    """Neither rates nor a stage; a stage that nobody could remove goes with a later import, a day after."""

    class Stop(Exception):
        pass

    with suppress(Stop), tariff.deck() as deck:
        tariff.stage(deck, csv_of("49,G,0.02,,,,,"))
        raise Stop
    assert (0, []) == (tariff.staged(), tariff.rows())

    left, fresh = new_key(), new_key()
    for key in (left, fresh):
        tariff.bank.admin.open_deck(key, tariff.name, "test")
        tariff.bank.admin.stage_rates(key, staged_json([_rate(1)]))
    tariff.bank.sql("UPDATE deck SET opened_at = opened_at - INTERVAL 25 HOUR WHERE deck_key = %s", left)
    tariff.load(csv_of("33,F,0.02,,,,,"))

    assert 1 == tariff.staged()
    assert {fresh: "open"} == {
        row["deck_key"]: row["state"]
        for row in tariff.bank.sql("SELECT * FROM deck WHERE tariff_id = %s AND state <> 'applied'", tariff.id)
    }
    assert "discarded" == tariff.bank.admin.discard_deck(fresh)


def test_a_stage_that_is_left_of_an_applied_deck_goes_with_the_next(tariff: Tariff) -> None:
    """The connection was lost between commit and clearing up."""
    tariff.load(csv_of("49,G,0.02,,,,,"))
    tariff.bank.sql(
        "INSERT INTO deck_rate SELECT deck.id, '1', NOW(), 1, 1, '', 0, 0, 60, NULL, 1, 0, NULL, 'disconnect', NULL,"
        " NULL, 0, 1, 1, 'new', NULL FROM deck WHERE tariff_id = %s",
        tariff.id,
    )
    assert 1 == tariff.staged()
    tariff.load(csv_of("33,F,0.02,,,,,"))
    assert 0 == tariff.staged()


def test_two_imports_at_once_are_one_after_the_other(tariff: Tariff) -> None:
    """Each all of its rates; the second is compared with what the first made of the tariff."""
    decks = [csv_of(*(f"{prefix},X,0.0{number},,,,," for prefix in range(100, 1100))) for number in (1, 2)]

    def load(ledger: Ledger, number: int) -> int:
        with tariff.deck(ledger) as deck:
            tariff.stage(deck, decks[number])
            deck.compare(replace=False, effective_from=None)
            return deck.apply().tariff_version

    versions = tariff.bank.at_once("admin", 2, load, lock_wait_s=30)
    assert 2 == len(set(versions))
    assert 1 == len({price for _, price, _, _ in tariff.rows()})
    assert 1000 == len(tariff.rows())


def test_who_looks_rates_up_meanwhile_sees_the_old_or_the_new_and_never_a_mix(tariff: Tariff) -> None:
    """Every look-up under the new version finds the new price; one answer is of one moment."""
    prefixes = [str(prefix) for prefix in range(1000, 5000)]

    def deck_of(price: int) -> str:
        return csv_of(*(f"{prefix},X,{price},,,2026-01-01,," for prefix in prefixes))

    tariff.load(deck_of(1))
    first = tariff.version
    over = Event()
    seen: list[tuple[int, set[str]]] = []

    def look(ledger: Ledger) -> None:
        places = ", ".join(["%s"] * 200)
        sql = f"SELECT tariff_version, price FROM v_rate WHERE tariff_id = %s AND prefix IN ({places})"
        while not over.is_set():
            version = ledger._select("SELECT MAX(tariff_version) AS v FROM v_rate WHERE tariff_id = %s", tariff.id)
            rows = ledger._select(sql, tariff.id, *prefixes[::20])
            assert 200 == len(rows)
            seen.append((int(version[0]["v"]), {f"{row['price']:.0f}@{row['tariff_version'] - first}" for row in rows}))

    proxies = [tariff.bank.another("proxy") for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        looks = [pool.submit(look, proxy) for proxy in proxies]
        for price in (2, 3):
            tariff.load(deck_of(price))
        wait_until(lambda: bool(seen) and seen[-1][1] == {"3@2"}, 30, "the last prices are seen")
        over.set()
        for one in looks:
            one.result(30)
    for version, answers in seen:
        (answer,) = answers
        price, _, made = answer.partition("@")
        assert int(price) == int(made) + 1
        assert int(made) >= version - first
    for proxy in proxies:
        proxy.close()


def test_another_tariff_can_be_changed_while_a_deck_goes_in(tariff: Tariff) -> None:
    """An import holds no lock that others need."""
    other = tariff
    tariff = Tariff(other.bank)
    tariff.load(_generated(2000))
    admin = tariff.bank.another("admin", lock_wait_s=60)
    with tariff.deck(admin) as deck, ThreadPoolExecutor(1) as pool:
        tariff.stage(deck, _last_changed(tariff, _generated(2000, revision=2)), NOON + DAY)
        deck.compare(replace=True, effective_from=NOON + DAY)
        with _held(tariff, "READ COMMITTED", "="):
            asked = pool.submit(deck.apply)
            wait_until(lambda: bool(_waiting(tariff.bank)), 30, "the import waits for the last rate", POLL_S)
            tariff.bank.admin.put_rate(other.id, "49", "G", price="1")
            tariff.bank.account("5")
        assert "applied" == asked.result(60).state
    admin.close()


def test_an_import_reads_each_rate_a_few_times(tariff: Tariff) -> None:
    """A million must not be a join of all with all. Compared, ended, written and cleared up, each by index."""

    def touched() -> int:
        rows = tariff.bank.admin._select("SHOW SESSION STATUS LIKE 'Handler_read%%'")
        return sum(int(row["Value"]) for row in rows)

    size = 4000
    tariff.load(_generated(size))
    for replaces in (False, True):
        before = touched()
        tariff.load(_generated(size, revision=2 + replaces), NOON + (1 + replaces) * DAY, replace=replaces)
        assert touched() - before < 100 * size


# --- calls ------------------------------------------------------------------------------------------------------------


def test_a_call_in_progress_keeps_its_price_through_an_import(bank: Bank) -> None:
    """It is charged by the rate that it was opened at; the next call pays what the deck says."""
    tariff = Tariff(bank)
    tariff.load(csv_of("49,Germany,0.60,,,2026-01-01,,"))
    account = bank.account("5")
    charged = []
    for price in ("1.20", "2.40"):
        rate = RateLookup(bank.proxy).find(tariff.id, tariff.version, "4930", NOON)
        leg = replace(request([account]).legs[0], tariff_id=tariff.id, rate_id=rate.rate_id, holds=(Decimal(2),))
        key = bank.opened([account], legs=(replace(leg, rate_json=rate_to_json(rate)),), steps=(120,))
        tariff.load(csv_of(f"49,Germany,{price},,,2026-01-01,,"))
        call = bank.proxy.call_to_settle(key)
        assert call is not None
        cost = PricedCall(rate_from_json(call.legs[0].rate_json), NOON, 120).cost(30)
        bank.proxy.settle_call(key, settlement([str(cost)], 120, 30))
        charged.append(str(bank.cashier.cdrs(call_key=key)[0].legs[0].charge.normalize()))
    assert ["0.3", "0.6"] == charged


# --- export -----------------------------------------------------------------------------------------------------------


def _exported(tariff: Tariff) -> str:
    pages = tariff.bank.admin.rate_pages(tariff.id)
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(deck_export.lines(pages))
    return stream.getvalue()


def test_an_export_imported_and_exported_again_is_the_same(bank: Bank) -> None:
    """To the byte, whatever a rate can be; and where it came from it changes nothing."""
    tariff, other = Tariff(bank), Tariff(bank)
    tariff.load(_generated(2000))
    quoted = '"888","Gérmany; ""x""",0.02,0.1,60/6,2026-01-01,2026-12-01,'
    tariff.load(csv_of(quoted, "888,G,0.000001,,,2026-12-01,,yes"))
    schedule = '{"slots": [{"from_s": 0, "rate": "0.1", "per_s": 60, "increment_s": 1}]}'
    bank.admin.put_rate(tariff.id, "8889", "S", schedule=schedule, max_cost="1.5", max_cost_rule="free", free_seconds=3)
    bank.admin.put_rate(
        tariff.id, "8888", "t", price="1", initial_s=60, increment_s=60, effective_from=NOON + timedelta(microseconds=7)
    )
    bank.admin.put_rate(tariff.id, "8887", "", price="1", per_s=1)

    text = _exported(tariff)
    assert 2005 < len(text.splitlines())
    other.load(text)
    assert text == _exported(other)
    assert (0, []) == (tariff.load(text).changes, kinds(tariff.changes))
    assert text == _exported(tariff)


def test_rates_that_overlap_are_exported_as_what_counts_when(bank: Bank) -> None:
    """So that the deck can be imported, and gives the same prices."""
    tariff, other = Tariff(bank), Tariff(bank)
    bank.admin.put_rate(tariff.id, "49", "usual", price="2")
    bank.admin.put_rate(tariff.id, "49", "week", price="1", effective_from=NOON, effective_to=NOON + 7 * DAY)
    text = _exported(tariff)
    other.load(text)

    assert ["2", "1", "2"] == [other.price("49", at) for at in (NOON - DAY, NOON, NOON + 7 * DAY)]
    assert text == _exported(other)
    tariff.load(text)
    assert ["2", "1", "2"] == [tariff.price("49", at) for at in (NOON - DAY, NOON, NOON + 7 * DAY)]


# --- tariffs ----------------------------------------------------------------------------------------------------------


def test_a_tariff_of_a_reseller_by_name(bank: Bank) -> None:
    """Made, shown with its owner, changed; the version says so."""
    reseller = bank.account("5", kind="reseller")
    owner = bank.name_of(reseller)
    name = f"tariff {new_key()}"
    bank.admin.create_tariff(name, "EUR", owner=owner, decimals=2, rounding="up", zone="Europe/Berlin")
    made = bank.admin.tariff_named(name)
    assert made is not None
    assert (owner, 2, "up", "Europe/Berlin", 1) == (
        made.owner_name, made.decimals, made.rounding, made.zone, made.version
    )  # fmt: skip
    assert 2 == bank.admin.set_tariff(name, new_name=f"{name}!", decimals=3)
    changed = bank.admin.tariff_named(f"{name}!")
    assert changed is not None
    assert (3, "up") == (changed.decimals, changed.rounding)


def test_decimals_that_a_rate_could_not_be_charged_with_are_refused(tariff: Tariff) -> None:
    """Or every call to its prefix would fail."""
    tariff.bank.admin.put_rate(tariff.id, "49", "G", price="1", max_cost="1.505")
    with pytest.raises(LedgerRefused, match="cannot have 2 decimals: max_cost of prefix 49 has more"):
        tariff.bank.admin.set_tariff(tariff.name, decimals=2)
    tariff.bank.admin.set_tariff(tariff.name, decimals=3)
