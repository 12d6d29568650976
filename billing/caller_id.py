"""Which number a caller shows: one that he may, by what is known of him; never one for his asking alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HIDING = frozenset({"id", "user", "header", "session"})
"""Values of the Privacy header (RFC 3323, 3325) of which each asks that the caller be not told."""

_PRIVACY_VALUE = re.compile(r"[a-z][a-z0-9.-]*")
_NUMBER_IN_URI = re.compile(r"(?:sips?|tel):([+0-9.()-]+)", re.IGNORECASE)


def may_show(number: str, allowed: Sequence[str]) -> bool:
    """Whether E.164 digits are among what is allowed: numbers, or beginnings of numbers with a * behind them."""
    return any(number.startswith(one[:-1]) if one.endswith("*") else number == one for one in allowed)


def number_to_show(asked: Sequence[str], allowed: Sequence[str]) -> str:
    """The first that is asked for and allowed, else the first that is allowed and no range; empty if there is none."""
    chosen = next((number for number in asked if may_show(number, allowed)), "")
    return chosen or next((one for one in allowed if not one.endswith("*")), "")


def wants_to_hide(privacy: Sequence[str], user: str, host: str) -> bool:
    """By the bodies of Privacy headers, or a From that is anonymous already."""
    asked = bool(HIDING.intersection(_values(privacy)))
    return asked or user.lower() == "anonymous" or host.lower() == "anonymous.invalid"


def privacy_of_hidden(privacy: Sequence[str]) -> str:
    """The one Privacy header of a call that hides: what its own ask for, and `id`.

    `id` alone keeps a number from going on out of P-Asserted-Identity (RFC 3325 9.3), and `none` forbids just that.
    """
    asked = [value for value in _values(privacy) if value != "none" and _PRIVACY_VALUE.fullmatch(value)]
    return ";".join(dict.fromkeys([*asked, "id"]))


def _values(privacy: Sequence[str]) -> list[str]:
    return [value.strip().lower() for body in privacy for value in re.split("[;,]", body)]


def number_in(header: str) -> str:
    """What the URI of a header such as P-Preferred-Identity has for a number, as it stands there; empty without one."""
    found = _NUMBER_IN_URI.search(header)
    return found.group(1) if found else ""
