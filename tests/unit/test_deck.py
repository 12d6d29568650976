"""Rate decks as carriers write them: columns found, cells understood, and every wrong line named."""

import io
import tracemalloc
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from billing import deck_export
from billing.deck import Deck, DeckFormat, Problem, TariffTerms
from billing.errors import InvalidDeck
from demo.deck import ZONES
from demo.deck import deck as generated
from tests.unit.builders import rate_row

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
DECKS = Path(__file__).parents[2] / "docs" / "decks"


def read(text, form=None, terms=None, **more):
    """Every rate and every problem of a deck."""
    content = text if isinstance(text, bytes) else text.encode()
    deck = Deck(io.BytesIO(content), form or DeckFormat(**more), terms or TariffTerms(), NOON)
    rates, problems = [], []
    for line in deck:
        problems.append(line) if isinstance(line, Problem) else rates.extend(line)
    return deck, rates, problems


def rates(text, **more):
    """The rates of a deck without a wrong line, as (prefix, price, ..) texts."""
    _, found, problems = read(text, **more)
    assert [] == problems
    return found


def wrong(text, **more):
    """What is wrong with the lines of a deck, by line."""
    return {problem.line: problem.text for problem in read(text, **more)[2]}


# --- columns ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("prefix,destination,price", "49,Germany,0.02"),
        ("Destination;Code;Rate/min", "Germany;49;0.02"),
        ("Country\tDial Code\tRate (EUR)", "Germany\t49\t0.02"),
        ("Dial-Code|Description|Price per minute", "49|Germany|0.02"),
        ("Codes,Name,USD/min", "49,Germany,0.02"),
        ('"Dialing Code","Zone","New Rate"', '"49","Germany","0.02"'),
        ("Area Code , Location , Cost per min", " 49 , Germany , 0.02 "),
        ("\ufeffPrefix,Region,Price EUR/min", "49,Germany,0.02"),
    ],
)
def test_headers_that_carriers_use_are_recognised(header, line):
    """With the delimiter, quotes, blanks and byte order mark that come along."""
    (rate,) = rates(f"{header}\n{line}\n")
    assert ("49", "Germany", "0.02", 2) == (rate["prefix"], rate["destination"], rate["price"], rate["line"])


def test_all_columns_of_an_export():
    """Under their own names."""
    head = (
        "prefix,destination,connect_fee,price,per_s,initial_s,increment_s,free_seconds,max_cost,max_cost_rule,"
        "schedule,effective_from,effective_to,blocked"
    )
    (rate,) = rates(f"{head}\n49,Germany,0.1,0.02,1,60,6,3,5,free,,2027-01-01T00:00:00Z,2027-02-01,yes\n")
    assert {
        "line": 2, "prefix": "49", "destination": "Germany", "connect_fee": "0.1", "price": "0.02", "per_s": 1,
        "initial_s": 60, "increment_s": 6, "free_seconds": 3, "max_cost": "5", "max_cost_rule": "free",
        "effective_from": "2027-01-01 00:00:00", "effective_to": "2027-02-01 00:00:00", "blocked": 1,
    } == rate  # fmt: skip


@pytest.mark.parametrize(
    ("header", "cells", "expected"),
    [
        ("Setup fee", "0.5", {"connect_fee": "0.5"}),
        ("Connection charge", "0", {}),
        ("Billing increments", "60/6", {"initial_s": 60, "increment_s": 6}),
        ("Billing increment", "30+30", {"increment_s": 30}),
        ("Increments", "1", {}),
        ("Interval 1", "60", {"initial_s": 60}),
        ("Interval N", "6", {"increment_s": 6}),
        ("Minimum duration", "30", {"initial_s": 30}),
        ("Grace period", "3", {"free_seconds": 3}),
        ("Maximum charge", "2.5", {"max_cost": "2.5"}),
        ("Barred", "x", {"blocked": 1}),
        ("Effective date", "2027-01-01", {"effective_from": "2027-01-01 00:00:00"}),
        ("Valid until", "2027-01-01", {"effective_to": "2027-01-01 00:00:00"}),
    ],
)
def test_other_columns_and_their_synonyms(header, cells, expected):
    """Each as the ledger takes it; what is as usual is left out."""
    (rate,) = rates(f"prefix,price,{header}\n49,0.02,{cells}\n")
    plain = {"line": 2, "prefix": "49", "destination": "49", "price": "0.02", "effective_from": "2026-12-01 12:00:00"}
    assert plain | expected == rate


def test_columns_that_somebody_names():
    """By header, whatever it says; the names of others then mean what they mean."""
    text = 'Vorwahl,"Preis, netto",Price\n49,0.02,9\n'
    (rate,) = rates(text, mapping={"prefix": "vorwahl", "price": "Preis, netto"})
    assert ("49", "0.02") == (rate["prefix"], rate["price"])


def test_columns_by_number_without_a_header():
    """From 1 on; the first line is a rate."""
    found = rates("Germany;49;0.02\nFrance;33;0.03\n", mapping={"prefix": "2", "price": "3"}, header=False)
    assert [("49", "0.02", 1), ("33", "0.03", 2)] == [(one["prefix"], one["price"], one["line"]) for one in found]


def test_titles_above_the_header_and_columns_that_nobody_reads():
    """Lines are counted from the file's first; what is passed over is known."""
    deck, found, _ = read("Alpha Carrier\nvalid for EUR\nCode,Rate,Remarks\n49,0.02,hello\n")
    assert ([4], ("Remarks",)) == ([one["line"] for one in found], deck.layout.passed_over)


def test_a_value_for_all_lines():
    """Where a line says nothing of its own."""
    found = rates("prefix,price,increments\n49,0.02,\n33,0.03,60\n", fixed={"increments": "30/6", "connect_fee": "0.1"})
    assert [(30, 6, "0.1"), (None, 60, "0.1")] == [
        (one.get("initial_s"), one["increment_s"], one["connect_fee"]) for one in found
    ]


@pytest.mark.parametrize(
    ("text", "more", "told"),
    [
        ("", {}, "the deck is empty"),
        ("\n \n", {}, "the deck is empty"),
        ("a,b,c\n1,2,3\n", {}, "no header with a prefix and a price .* 'a', 'b', 'c'"),
        ("prefix,name\n49,Germany\n", {}, "no header with a prefix and a price"),
        ("prefix,rate sec\n49,1\n", {}, "no header with a prefix and a price"),
        ("prefix,rate old\n49,1\n", {}, "no header with a prefix and a price"),
        ("prefix,rate\n49,1\n", {"mapping": {"price": "tariff"}}, "--map price='tariff': there is no such header"),
        ("prefix,rate,old price\n49,1,2\n", {"mapping": {"cost": "rate"}}, "--map 'cost': there is no such column"),
        ("prefix,rate,cost\n49,1,2\n", {}, "'rate' and 'cost' both look like price"),
        ("code,prefixes,price\n49,1,2\n", {}, "'code' and 'prefixes' both look like prefix"),
        ("49,1\n", {"header": False}, "--map must say which column is prefix"),
        ("49,1\n", {"header": False, "mapping": {"prefix": "one", "price": "2"}}, "--map prefix=one: .* a number"),
        ("prefix,price\n", {"fixed": {"colour": "red"}}, "--set colour"),
        ("prefix,price\n", {"fixed": {"price": "1"}}, "--set price"),
        ("prefix,price\n", {"decimal": ";"}, "--decimal ';'"),
        ("prefix,price\n", {"delimiter": ";;"}, "--delimiter ';;'"),
        ("prefix,price\n", {"encoding": "utf-16"}, "--encoding utf-16"),
        ("prefix,price\n", {"encoding": "morse"}, "--encoding 'morse'"),
    ],
)
def test_a_deck_that_cannot_be_understood(text, more, told):
    """Says which column it is about, and what to give."""
    with pytest.raises(InvalidDeck, match=told):
        read(text, **more)


# --- cells ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("4915", "4915"),
        ("+4915", "4915"),
        ('"4915,4916"', "4915 4916"),
        ('"4915, 4916; 4917"', "4915 4916 4917"),
        ("4917-4919", "4917 4918 4919"),
        ('"4915,4916,4917-4919"', "4915 4916 4917 4918 4919"),
        ('"4917 - 4919"', "4917 4918 4919"),
        ("008-010", "008 009 010"),
        ("7-7", "7"),
    ],
)
def test_prefixes_of_one_cell(cell, expected):
    """Lists and ranges are as many rates, all of that line."""
    found = rates(f"prefix,price\n{cell},0.02\n")
    assert expected == " ".join(one["prefix"] for one in found)
    assert {2} == {one["line"] for one in found}


def test_decimal_commas_are_found_out():
    """By the first amounts, or as somebody says."""
    assert ["0.0087", "1"] == [one["price"] for one in rates("Code;Rate\n49;0,0087\n33;1\n")]
    assert ["0.0087"] == [one["price"] for one in rates('Code,Rate\n49,"0,0087"\n')]
    assert ["0.5"] == [one["price"] for one in rates("Code;Rate\n49;0,5\n", decimal=",")]
    assert {3: "price '0.5': a point, where decimals have a comma"} == wrong("Code;Rate\n49;0,5\n33;0.5\n", decimal=",")


def test_a_decimal_comma_that_is_the_delimiter_too_makes_no_price_of_nothing():
    """0,10 without quotes is two cells: a line with more cells than columns is no rate. Empty ones do not count."""
    told = "{} cells, and there are 3 columns: a delimiter within a cell?"
    text = "Code,Name,Rate\n49,Germany,0,10\n33,France,0.1\n44,UK,0.2, ,\n1,Canada, and USA,0.3\n"
    assert [2, 5] == list(wrong(text))
    assert told.format(4) == wrong(text)[2]
    by_number = {"mapping": {"prefix": "1", "price": "3"}, "header": False}
    assert {3: told.format(4)} == wrong('\n"49",Germany,"0.1"\n49,Germany,0,10\n', **by_number)
    assert {3: told.format(4)} == wrong('49,"two\nlines",1\n49,Germany,0,10\n', **by_number)
    assert [] == rates("Code,Name,Rate,,\n49,Germany,0.1,old,0.2\n")[1:]


def test_zeros_after_the_sixth_decimal_are_nothing():
    """Programs write them; a seventh digit that counts is refused."""
    assert ["0.012"] == [one["price"] for one in rates("prefix,price\n49,0.01200000\n")]
    assert "price '0.0120001'" in wrong("prefix,price\n49,0.0120001\n")[2]


def test_dates_in_another_form_and_zone():
    """UTC unless they say otherwise; midnight unless they say when."""
    head = "prefix,price,effective_from\n"
    assert ["2026-12-01 00:00:00", "2026-11-30 23:00:00", "2026-12-01 12:00:00"] == [
        one["effective_from"]
        for one in rates(f"{head}49,1,2026-12-01\n33,1,2026-12-01T00:00:00+01:00\n44,1,\n")
    ]
    assert ["2026-12-01 00:00:00"] == [
        one["effective_from"] for one in rates(f"{head}49,1,01.12.2026\n", date_format="%d.%m.%Y")
    ]


SCHEDULE = '"{""windows"": []}"'


@pytest.mark.parametrize(
    ("header", "line", "told"),
    [
        ("", ",0.02", "prefix: missing"),
        ("", "49x,0.02", "prefix '49x': not digits, nor a range of them"),
        ("", "4.9E+11,0.02", "prefix '4.9E+11': not digits, nor a range of them"),
        ("", "4917-18,0.02", "prefix '4917-18': no range of prefixes of one length, the lower first"),
        ("", "4919-4917,0.02", "prefix '4919-4917': no range of prefixes of one length, the lower first"),
        ("", "10000-99999,0.02", "prefix '10000-99999': a range of more than 10000 prefixes"),
        ("", '"1000-9999,10000-19999",0.02', "more than 10000 prefixes in one cell"),
        ("", f"{'4' * 21},0.02", f"prefix '{'4' * 21}': more than 20 digits"),
        ("", "49,", "price: missing"),
        ("", "49", "price: missing"),
        ("", "49,free", "price 'free': no amount of at most 12 digits and 6 decimals"),
        ("", "49,1e-2", "price '1e-2': no amount"),
        ("", "49,-0.02", "price '-0.02': negative"),
        ("", "49,1234567890123", "price '1234567890123': no amount"),
        ("connect_fee", "49,0.02,$1", "connect_fee '$1': no amount"),
        ("max_cost", "49,0.02,a", "max_cost 'a': no amount"),
        ("max_cost", "49,0.02,0.00001", "max_cost 0.00001 has more decimals than the rounding's 4"),
        ("max_cost_rule", "49,0.02,stop", "max_cost_rule 'stop' is not one of disconnect, free"),
        ("per_s", "49,0.02,0", "per_s '0': no whole number of seconds from 1 on"),
        ("initial_s", "49,0.02,0", "initial_s '0': no whole number of seconds from 1 on"),
        ("increment_s", "49,0.02,1.5", "increment_s '1.5': no whole number of seconds from 1 on"),
        ("increments", "49,0.02,60/6/6", "increments '60/6/6': not like 60/6, or 1"),
        ("increments", "49,0.02,60/0", "increments '0': no whole number of seconds from 1 on"),
        ("free_seconds", "49,0.02,-1", "free_seconds '-1': no whole number of seconds from 0 on"),
        ("free_seconds", "49,0.02,9999999", "free_seconds 9999999 is not a whole number from 0 to 2678400"),
        ("schedule", f"49,0.02,{SCHEDULE}", "windows: none given"),
        ("schedule", "49,0.02,night", "schedule: "),
        ("blocked", "49,0.02,maybe", "blocked 'maybe': neither yes nor no"),
        ("destination", f"49,0.02,{'x' * 65}", "65 characters, more than 64"),
        ("effective_from", "49,0.02,01/12/2026", "effective_from '01/12/2026': no time like 2026-12-01"),
        ("effective_from", "49,0.02,1969-12-31", "effective_from '1969-12-31': before 1970"),
        ("effective_to", "49,0.02,soon", "effective_to 'soon': no time like"),
        ("effective_to", "49,0.02,2026-12-01", "effective_to 2026-12-01 00:00:00: not after 2026-12-01 12:00:00"),
        ("", '49,"0.02" x', "no CSV: "),
        ("", '49,"0.02', "no CSV: "),
    ],
)
def test_a_wrong_line_is_named_with_what_is_wrong(header, line, told):
    """By its number; the lines around it are rates."""
    more = f",{header}" if header else ""
    _, found, problems = read(f"prefix,price{more}\n33,1\n{line}\n")
    assert (["33"], [3]) == ([one["prefix"] for one in found], [one.line for one in problems])
    assert told in problems[0].text


def test_all_that_is_wrong_is_told_of_all_lines():
    """Not the first thing of the first line."""
    text = "prefix,price,blocked\n4x,y,z\n49,1,\n,2,\n"
    assert {
        2: "prefix '4x': not digits, nor a range of them; price 'y': no amount of at most 12 digits and 6 decimals; "
        "blocked 'z': neither yes nor no",
        4: "prefix: missing",
    } == wrong(text)


def test_a_line_that_is_no_text():
    """Named by the encoding that it breaks; the right encoding reads it."""
    content = "prefix,price,name\n49,1,München\n33,1,Paris\n".encode("latin-1")
    assert {2: "not utf-8"} == wrong(content)
    assert ["München", "Paris"] == [one["destination"] for one in rates(content, encoding="latin-1")]


def test_lines_are_counted_over_line_ends_in_quotes():
    """The number is that of the line where the row begins, as an editor shows it."""
    assert {4: "prefix: missing"} == wrong('prefix,price,name\n49,1,"two\nlines"\n,2,x\n\n33,1,x\n')


def test_nothing_is_kept_of_a_long_deck():
    """Neither a line nor its rates are held, which would be hundreds of bytes a line."""
    def most(lines):
        content = io.BytesIO(b"prefix,price\n" + b"".join(b"%d,0.01\n" % (1000 + line) for line in range(lines)))
        tracemalloc.start()
        count = sum(1 for _ in Deck(content, DeckFormat(), TariffTerms(), NOON))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert lines == count
        return peak

    # CPython keeps up to 2,000 freed tuples of a size for itself, a quarter of a megabyte of ours, until it collects.
    assert most(50_000) - most(5_000) < 45_000 * 10


# --- decks that are shipped -------------------------------------------------------------------------------------------


def test_the_generated_deck_is_the_same_every_time_and_has_no_wrong_line():
    """Thousands of prefixes, none twice, in every country."""
    lines = list(generated(5000))
    assert lines == list(generated(5000))
    found = rates("\n".join(",".join(line) for line in lines))
    assert 5000 == len({one["prefix"] for one in found}) == len(found)
    assert {code for code, _ in ZONES} <= {one["prefix"] for one in found}


def test_no_country_code_begins_another():
    """Or a number would belong to two countries."""
    codes = [code for code, _ in ZONES]
    assert len(codes) > 200
    assert [] == [(one, other) for one in codes for other in codes if one != other and other.startswith(one)]


def test_a_later_revision_has_the_same_prefixes_at_other_prices():
    """About a tenth of them."""
    before, after = list(generated(2000)), list(generated(2000, revision=2))
    assert [line[1] for line in before] == [line[1] for line in after]
    assert 100 < sum(one != other for one, other in zip(before, after, strict=True)) < 300


def test_the_decks_of_the_guide_are_read():
    """One as an export writes it, one as a carrier would."""
    assert 15 == len(rates((DECKS / "retail.csv").read_bytes()))
    carrier = rates((DECKS / "carrier.csv").read_bytes(), date_format="%d.%m.%Y")
    assert ["49", "4915", "4916", "4917", "4918", "4919"] == [one["prefix"] for one in carrier[:6]]
    assert ("0.0245", 60, "2026-12-01 00:00:00") == (
        carrier[1]["price"], carrier[1]["initial_s"], carrier[1]["effective_from"]
    )  # fmt: skip


# --- an export --------------------------------------------------------------------------------------------------------

DAY = timedelta(days=1)


def row(price, begins, ends=None, prefix="49"):
    """A rate that begins and ends so many days after noon."""
    return rate_row(
        prefix, price=Decimal(price), effective_from=NOON + begins * DAY,
        effective_to=None if ends is None else NOON + ends * DAY,
    )  # fmt: skip


def in_effect(*rows):
    """(price, first day, last day) of each period."""
    return [
        (str(one.price), (begins - NOON).days, None if ends is None else (ends - NOON).days)
        for one, begins, ends in deck_export.periods(rows)
    ]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("1", 0, None)], [("1", 0, None)]),
        ([("1", 0, None), ("2", 5, None)], [("1", 0, 5), ("2", 5, None)]),
        ([("1", 0, 5), ("2", 5, None)], [("1", 0, 5), ("2", 5, None)]),
        ([("1", 0, None), ("2", 5, 7)], [("1", 0, 5), ("2", 5, 7), ("1", 7, None)]),
        ([("1", 0, 9), ("2", 3, 12)], [("1", 0, 3), ("2", 3, 12)]),
        ([("1", 0, 2), ("2", 5, None)], [("1", 0, 2), ("2", 5, None)]),
        ([("1", 0, 9), ("2", 0 + 1, 9), ("3", 2, 4)], [("1", 0, 1), ("2", 1, 2), ("3", 2, 4), ("2", 4, 9)]),
    ],
)
def test_periods_of_a_prefix_do_not_overlap(rows, expected):
    """The rate that began last counts; when it ends, the one before it does again."""
    assert expected == in_effect(*(row(*one) for one in rows))


def test_an_export_is_read_as_it_is():
    """What a deck says comes back from the lines of its export."""
    lines = list(deck_export.lines([[row("0.02", 0, 5), row("0.03", 5), row("1", 0, prefix="50")]]))
    (first, second, third) = rates("\n".join(",".join(line) for line in lines))
    assert ("0.02", "2026-12-01 12:00:00", "2026-12-06 12:00:00") == (
        first["price"], first["effective_from"], first["effective_to"]
    )  # fmt: skip
    assert ("0.03", "2026-12-06 12:00:00") == (second["price"], second["effective_from"])
    assert ("50", "effective_to" in third) == (third["prefix"], False)


@pytest.mark.parametrize(
    "name", ["=cmd|' /C calc'!A0", "+1 Canada", "-", "@x", "'s-Hertogenbosch", "'=x", "''=x", "Oman"]
)
def test_a_name_that_looks_like_a_formula_is_none_in_an_export(name):
    """A carrier chose it, and a spreadsheet would run it; it comes back as it was."""
    _, line = deck_export.lines([[rate_row("49", destination=name)]])
    assert line[1][0] not in "=+-@"
    (rate,) = rates("\n".join([",".join(deck_export.COLUMNS), ",".join(line)]))
    assert name == rate["destination"]


def test_an_export_of_a_day_has_only_what_is_in_effect_then():
    """With the whole period of each."""
    pages = [[row("1", 0, 5), row("2", 5)]]
    assert ["2"] == [line[3] for line in deck_export.lines(pages, NOON + 6 * DAY)][1:]
