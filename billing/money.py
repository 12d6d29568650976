"""Amounts as they travel: text such as "123.456789", exact on both sides, as DECIMAL(18,6) keeps them."""

import re
from decimal import Decimal

from billing.errors import InvalidAmount

INTEGER_DIGITS_MAX = 12
DECIMALS_MAX = 6
MICROS = 10**DECIMALS_MAX
"""Millionths in one unit of currency."""

# [0-9], not \d: Python's \d also takes digits of other scripts, which the database does not.
_AMOUNT = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,6})?")
_SHOWN_CHARACTERS_MAX = 40


def parse_amount(text: str) -> Decimal:
    """Read an amount such as "123.456789", "-0.5" or "12"; zero has no sign.

    Raises InvalidAmount for anything else: exponents, spaces, a plus sign, a comma, a missing digit.
    """
    value: object = text
    if not isinstance(value, str) or not _AMOUNT.fullmatch(value):
        raise InvalidAmount(f"{_shown(text)} is not an amount like 123.456789")
    return Decimal(text) or Decimal(0)


def format_amount(amount: Decimal) -> str:
    """Write an amount in its one shortest form: "12", "0.17", "-0.5", "0".

    Raises InvalidAmount if it is not finite or needs more than 12 integer digits or 6 decimals.
    """
    whole, fraction = divmod(abs(to_micros(amount)), MICROS)
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole}.{fraction:06d}".rstrip("0").rstrip(".")


def to_micros(amount: Decimal) -> int:
    """The amount in millionths, exact whatever the decimal context; raises as format_amount."""
    value: object = amount
    if not isinstance(value, Decimal) or not amount.is_finite():
        raise InvalidAmount(f"{_shown(amount)} is not a finite decimal number")
    if amount.is_zero():
        return 0
    # Before the conversion below, which would write out all the digits of 1e999999.
    if amount.adjusted() >= INTEGER_DIGITS_MAX:
        raise InvalidAmount(f"{_shown(amount)} has more than {INTEGER_DIGITS_MAX} integer digits")
    if amount.adjusted() < -DECIMALS_MAX:
        raise InvalidAmount(f"{_shown(amount)} has more than {DECIMALS_MAX} decimals")
    numerator, denominator = amount.as_integer_ratio()
    micros: int = numerator * MICROS // denominator
    if micros * denominator != numerator * MICROS:
        raise InvalidAmount(f"{_shown(amount)} has more than {DECIMALS_MAX} decimals")
    return micros


def _shown(value: object) -> str:
    text = f'"{value}"' if isinstance(value, str | Decimal) else repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS_MAX else f"{text[:_SHOWN_CHARACTERS_MAX]}..."
