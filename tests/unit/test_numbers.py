"""Dial plans: from what was dialled to the digits that are rated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.errors import InvalidNumber
from billing.numbers import DialPlan

GERMAN = DialPlan("49", ("00",), "0")
AMERICAN = DialPlan("1", ("011",), "1")
PLAIN = DialPlan()


@pytest.mark.parametrize(
    ("plan", "dialled", "expected"),
    [
        (GERMAN, "+4930123456", "4930123456"),
        (GERMAN, "004930123456", "4930123456"),
        (GERMAN, "030123456", "4930123456"),
        (GERMAN, "0044 20".replace(" ", ""), "4420"),
        (GERMAN, "4930123456", "4930123456"),
        (GERMAN, "+49-(30)-123.456", "4930123456"),
        (GERMAN, "(030)123-456", "4930123456"),
        (AMERICAN, "12125550100", "12125550100"),
        (AMERICAN, "0114930123456", "4930123456"),
        (AMERICAN, "+12125550100", "12125550100"),
        (PLAIN, "00123456", "123456"),
        (PLAIN, "011123456", "123456"),
        (PLAIN, "123456", "123456"),
        (PLAIN, "+123456789012345", "123456789012345"),
        (PLAIN, "00123456789012345", "123456789012345"),
        (DialPlan("44", (), "0"), "0113496000", "44113496000"),
        (DialPlan("358", ("00", "99577"), ""), "99577123", "123"),
    ],
)
def test_dialled_number_becomes_e164(plan, dialled, expected):
    """'+', international prefix, national prefix and bare digits all come to country code and number."""
    assert expected == plan.e164(dialled)


def test_longest_international_prefix_is_taken():
    """With "00" and "0011" both in the plan, 0011 goes before what 00 would leave."""
    assert "49301" == DialPlan("61", ("00", "0011"), "0").e164("001149301")


def test_national_prefix_needs_a_country_code():
    """An account without a country code dials no national numbers."""
    with pytest.raises(InvalidNumber) as caught:
        DialPlan("", ("00",), "0").e164("030123456")
    assert "'030123456' has no country code: E.164 numbers never begin with 0" == str(caught.value)


@pytest.mark.parametrize(
    "dialled",
    [
        "",
        "+",
        "-",
        "()",
        "++49",
        "49+30",
        "abc",
        "*123",
        "123#",
        "49 30",
        "49/30",
        "49;ext=1",
        "49\n",
        "49\x00",
        "4930,1",
        "sip:49@x",
        "%34",
        "'",
        "00",
        "0",
        "000123",
        "+030123",
        "0123456789012345678",
        "1234567890123456",
        "+1234567890123456",
        "\u0661\u0662\u0663",
        "49\xb2",
        "\uff14\uff19",
        "4\u20109",
    ],
)
def test_what_is_no_number_is_refused_by_name(dialled):
    """Letters, signs, other scripts' digits, too many digits or none: refused, with the input shown."""
    with pytest.raises(InvalidNumber) as caught:
        GERMAN.e164(dialled)
    assert str(caught.value).startswith(repr(dialled))


def test_long_input_is_shortened_in_the_message():
    """A message does not repeat a megabyte of nonsense."""
    with pytest.raises(InvalidNumber) as caught:
        GERMAN.e164("9" * 1_000_000)
    assert 120 > len(str(caught.value))


@pytest.mark.parametrize(
    "parts",
    [
        ("0", (), ""),
        ("1234", (), ""),
        ("x", (), ""),
        ("\u0661", (), ""),
        ("49", ("",), ""),
        ("49", ("0x",), ""),
        ("49", (), "+"),
        ("49", (), "\xb2"),
    ],
)
def test_plan_of_other_than_digits_is_refused(parts):
    """A dial plan with nonsense in it cannot be made."""
    with pytest.raises(InvalidNumber):
        DialPlan(*parts)


@pytest.mark.parametrize(("text", "expected"), [("00,011", ("00", "011")), ("", ()), (" 00 , 011,", ("00", "011"))])
def test_plan_is_read_from_an_accounts_row(text, expected):
    """The row's comma-separated prefixes become the plan's; an empty text is no prefix."""
    assert DialPlan("49", expected, "0") == DialPlan.from_text("49", text, "0")


@given(st.text(max_size=30))
def test_result_is_always_e164_digits(dialled):
    """Whatever is dialled: up to 15 ASCII digits not beginning with 0, or InvalidNumber."""
    try:
        number = GERMAN.e164(dialled)
    except InvalidNumber:
        return
    assert set(number) <= set("0123456789")
    assert 1 <= len(number) <= 15
    assert "0" != number[0]


@given(st.from_regex(r"[1-9][0-9]{3,12}", fullmatch=True))
def test_all_ways_to_dial_a_number_come_to_the_same(number):
    """'+' and the international prefix lead to one and the same number."""
    assert {number} == {GERMAN.e164("+" + number), GERMAN.e164("00" + number)}
