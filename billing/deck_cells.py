"""The cells of a rate deck as values. Each raises InvalidDeck with the column and what stands there."""

import re
from datetime import UTC, datetime

from billing.deck_columns import INCREMENTS
from billing.errors import InvalidAmount, InvalidDeck
from billing.money import format_amount, parse_amount
from billing.rating import PREFIX_DIGITS_MAX, SECONDS_MAX

PREFIXES_MAX = 10_000
"""What one cell may stand for: 4900-4999 is a hundred prefixes, 1-999999999 a slip of the pen."""
FIRST_YEAR = 1970
"""The ledger's "since ever"."""

_RANGE = re.compile(r"([0-9]+)(?:-([0-9]+))?")
_LONG_ZEROS = re.compile(r"(\.[0-9]{6})0+")
_PAIR = re.compile(r"([0-9]+)(?:\s*[/+:]\s*([0-9]+))?")
_YES = frozenset({"1", "yes", "y", "true", "x", "blocked", "barred"})
_NO = frozenset({"", "0", "no", "n", "false", "open"})


def prefixes(text: str) -> list[str]:
    """Each prefix that a cell such as "4915, 4917-4919" stands for."""
    if not text:
        raise InvalidDeck("prefix: missing")
    found: list[str] = []
    for part in re.split(r"[,;\s]+", re.sub(r"\s*-\s*", "-", text).strip(",; ")):
        found += _range(part.removeprefix("+"))
        if len(found) > PREFIXES_MAX:
            raise InvalidDeck(f"prefix {text[:40]!r}: more than {PREFIXES_MAX} prefixes in one cell")
    return found


def _range(text: str) -> list[str]:
    matched = _RANGE.fullmatch(text)
    if matched is None:
        raise InvalidDeck(f"prefix {text[:40]!r}: not digits, nor a range of them")
    first, last = matched[1], matched[2] or matched[1]
    if max(len(first), len(last)) > PREFIX_DIGITS_MAX:
        raise InvalidDeck(f"prefix {text[:60]!r}: more than {PREFIX_DIGITS_MAX} digits")
    if len(first) != len(last) or first > last:
        raise InvalidDeck(f"prefix {text!r}: no range of prefixes of one length, the lower first")
    if int(last) - int(first) >= PREFIXES_MAX:
        raise InvalidDeck(f"prefix {text!r}: a range of more than {PREFIXES_MAX} prefixes")
    return [f"{one:0{len(first)}}" for one in range(int(first), int(last) + 1)]


def seconds(column: str, text: str, least: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= SECONDS_MAX):
        raise InvalidDeck(f"{column} {text[:40]!r}: no whole number of seconds from {least} on")
    return int(text)


def increments(text: str) -> dict[str, int]:
    """60/6 is a first step of 60 seconds and then steps of 6."""
    matched = _PAIR.fullmatch(text)
    if matched is None:
        raise InvalidDeck(f"{INCREMENTS} {text[:40]!r}: not like 60/6, or 1")
    first, then = seconds(INCREMENTS, matched[1], 1), seconds(INCREMENTS, matched[2] or matched[1], 1)
    return {"increment_s": then} if first == then else {"initial_s": first, "increment_s": then}


def flag(text: str) -> int:
    if text.casefold() in _YES | _NO:
        return int(text.casefold() in _YES)
    raise InvalidDeck(f"blocked {text[:40]!r}: neither yes nor no")


def amount(column: str, text: str, decimal: str) -> str:
    """An amount in its shortest form. Zeros after the sixth decimal are none."""
    if not text:
        raise InvalidDeck(f"{column}: missing")
    shown = f"{column} {text[:40]!r}"
    if decimal == ",":
        if "." in text:
            raise InvalidDeck(f"{shown}: a point, where decimals have a comma")
        text = text.replace(",", ".")
    try:
        found = parse_amount(_LONG_ZEROS.sub(r"\1", text))
    except InvalidAmount:
        raise InvalidDeck(f"{shown}: no amount of at most 12 digits and 6 decimals") from None
    if found < 0:
        raise InvalidDeck(f"{shown}: negative")
    return format_amount(found)


def moment(column: str, text: str, date_format: str | None) -> datetime | None:
    """A date or a time, UTC unless it says otherwise; None for an empty cell. Without a format it is ISO 8601."""
    if not text:
        return None
    try:
        found = datetime.strptime(text, date_format) if date_format else datetime.fromisoformat(text)  # noqa: DTZ007
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        wanted = date_format or "2026-12-01 or 2026-12-01T00:00:00"
        raise InvalidDeck(f"{column} {text[:40]!r}: no time like {wanted}") from None
    if found.year < FIRST_YEAR:
        raise InvalidDeck(f"{column} {text[:40]!r}: before {FIRST_YEAR}")
    return found
