"""Amounts: the one text form that travels."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.errors import InvalidAmount
from billing.money import format_amount, parse_amount, to_micros

AMOUNTS = st.decimals(min_value=Decimal("-999999999999.999999"), max_value=Decimal("999999999999.999999"), places=6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("123.456789", Decimal("123.456789")),
        ("0", Decimal(0)),
        ("-0.5", Decimal("-0.5")),
        ("007", Decimal(7)),
        ("999999999999.999999", Decimal("999999999999.999999")),
    ],
)
def test_amount_is_read(text, expected):
    """Plain decimal text is an amount."""
    assert expected == parse_amount(text)


@pytest.mark.parametrize("text", ["-0", "-0.000000"])
def test_zero_has_no_sign(text):
    """Minus zero is read as zero, so that no text ever shows it."""
    assert "0" == str(parse_amount(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "1\n",
        "+1",
        "1e3",
        "1,5",
        ".5",
        "5.",
        "1_000",
        "abc",
        "NaN",
        "Infinity",
        "0x10",
        "--1",
        "1234567890123",
        "0.1234567",
        "\u0661",
        "1.\u0665",
        "\uff11",
        "\xb2",
    ],
)
def test_other_text_is_refused_by_name(text):
    """Whatever the database would clip, round or misread is refused, with the text in the message."""
    with pytest.raises(InvalidAmount) as caught:
        parse_amount(text)
    assert f'"{text}" is not an amount like 123.456789' == str(caught.value)


@pytest.mark.parametrize("value", [1.5, 1, None, True, b"1", Decimal(1)])
def test_only_text_is_parsed(value):
    """A float or any other object is no amount text."""
    with pytest.raises(InvalidAmount):
        parse_amount(value)


def test_long_text_is_shortened_in_the_message():
    """A message does not repeat a megabyte of nonsense."""
    with pytest.raises(InvalidAmount) as caught:
        parse_amount("9" * 1_000_000)
    assert 100 > len(str(caught.value))


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (Decimal(12), "12"),
        (Decimal("12.000000"), "12"),
        (Decimal("0.170000"), "0.17"),
        (Decimal("-0.5"), "-0.5"),
        (Decimal("-0.0"), "0"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-6"), "0.000001"),
        (Decimal("0E+999999"), "0"),
        (Decimal(100), "100"),
        (Decimal("0.10000000000"), "0.1"),
    ],
)
def test_amount_is_written_in_its_shortest_form(amount, expected):
    """Equal amounts have one text, whatever their exponents."""
    assert expected == format_amount(amount)


@pytest.mark.parametrize(
    "amount",
    [
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("1E+12"),
        Decimal("1E+999999"),
        Decimal("1E-7"),
        Decimal("0.0000005"),
        Decimal("1.0000001"),
        Decimal("1E-999999"),
        0.5,
        1,
    ],
)
def test_amount_that_does_not_fit_is_refused(amount):
    """No more than 12 integer digits and 6 decimals leave the engine, and nothing but a Decimal."""
    with pytest.raises(InvalidAmount):
        format_amount(amount)


@given(AMOUNTS)
def test_amount_survives_its_text(amount):
    """What is written is read as the same amount."""
    assert amount == parse_amount(format_amount(amount))


@given(AMOUNTS)
def test_micros_do_not_depend_on_the_decimal_context(amount):
    """A thread whose decimal context is coarse still counts exactly."""
    expected = to_micros(amount)
    with localcontext() as context:
        context.prec = 2
        assert expected == to_micros(amount)
