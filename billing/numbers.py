"""Dialled numbers to E.164 digits by an account's dial plan."""

import re
from collections.abc import Container
from dataclasses import dataclass
from typing import Self

from billing.errors import InvalidNumber

E164_DIGITS_MAX = 15
"""ITU-T E.164, 6.2.1: the longest international number, country code included."""

_VISUAL_SEPARATORS = str.maketrans("", "", "-.()")
"""RFC 3966, 5.1.1: marks that mean nothing and are not dialled."""

# [0-9], not str.isdigit: that is true of digits in any script, and of superscripts.
_DIGITS = re.compile(r"[0-9]*")
_COUNTRY_CODE = re.compile(r"([1-9][0-9]{0,2})?")
_SHOWN_CHARACTERS_MAX = 40


def emergency_number(dialled: str, emergency_numbers: Container[str]) -> str | None:
    """The number of the local list that was dialled, visual separators and a leading + aside; or None."""
    number = dialled.translate(_VISUAL_SEPARATORS).removeprefix("+")
    return number if number in emergency_numbers else None


@dataclass(frozen=True)
class DialPlan:
    """How the users of one account dial.

    country_code            digits put before a national number; "" = the account dials none
    international_prefixes  what is dialled instead of '+', such as ("00", "011"); the longest that fits
    national_prefix         what is dialled before a national number, such as "0"; "" = none

    An international prefix goes before the national one: a plan with "011" and "0" cannot reach a national
    number that begins 011 (Britain's Leeds is 0113), so an account is best given those of its own country.

    Raises InvalidNumber if a part of the plan is not digits.
    """

    country_code: str = ""
    international_prefixes: tuple[str, ...] = ("00", "011")
    national_prefix: str = "0"

    def __post_init__(self) -> None:
        if not _COUNTRY_CODE.fullmatch(self.country_code):
            raise InvalidNumber(f"country_code {_shown(self.country_code)} is not 1 to 3 digits from 1 on")
        for prefix in self.international_prefixes:
            if not prefix or not _DIGITS.fullmatch(prefix):
                raise InvalidNumber(f"international_prefixes: {_shown(prefix)} is not digits")
        if not _DIGITS.fullmatch(self.national_prefix):
            raise InvalidNumber(f"national_prefix {_shown(self.national_prefix)} is not digits")

    @classmethod
    def from_text(cls, country_code: str, international_prefixes: str, national_prefix: str) -> Self:
        """The plan as an account's row holds it, the international prefixes with commas between: "00,011"."""
        prefixes = (prefix.strip() for prefix in international_prefixes.split(","))
        return cls(country_code, tuple(prefix for prefix in prefixes if prefix), national_prefix)

    def e164(self, dialled: str) -> str:
        """The E.164 digits, country code first and no '+', of what was dialled.

        Looked at in this order: '+'; an international prefix; the national prefix, if the account has a
        country code; otherwise the digits are taken to be E.164 already. The marks - . ( ) are passed over.

        Raises InvalidNumber naming the input if it is empty, has anything but ASCII digits (letters, '*',
        '#', a space), comes to more than 15 digits, or to a number that begins with 0: no country code does.
        """
        bare = dialled.translate(_VISUAL_SEPARATORS)
        digits = bare.removeprefix("+")
        if not digits or not _DIGITS.fullmatch(digits):
            raise InvalidNumber(f"{_shown(dialled)} is not a telephone number")
        number = digits if bare.startswith("+") else self._internationalised(digits)
        if not number:
            raise InvalidNumber(f"{_shown(dialled)} has no digits after its prefix")
        if number.startswith("0"):
            raise InvalidNumber(f"{_shown(dialled)} has no country code: E.164 numbers never begin with 0")
        if len(number) > E164_DIGITS_MAX:
            raise InvalidNumber(f"{_shown(dialled)} has more than {E164_DIGITS_MAX} digits (E.164)")
        return number

    def _internationalised(self, digits: str) -> str:
        for prefix in sorted(self.international_prefixes, key=len, reverse=True):
            if digits.startswith(prefix):
                return digits.removeprefix(prefix)
        if self.country_code and self.national_prefix and digits.startswith(self.national_prefix):
            national = digits.removeprefix(self.national_prefix)
            return self.country_code + national if national else ""
        return digits


def _shown(value: str) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS_MAX else f"{text[:_SHOWN_CHARACTERS_MAX]}..."
