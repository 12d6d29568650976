"""What people type, as values; each error names the option."""

from datetime import UTC, datetime
from decimal import Decimal

from billing.errors import InvalidAmount, MeterlineError
from billing.money import parse_amount


class BadInput(MeterlineError):
    """What was typed makes no sense; the text names the option and what it was."""


def instant(text: str, option: str) -> datetime:
    """ISO 8601 as an aware UTC datetime of whole seconds; without an offset it is UTC."""
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        return found.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        raise BadInput(f"{option} {text!r} is not a time like 2026-03-29T14:30:00") from None


def now() -> datetime:
    """This instant, whole seconds, UTC."""
    return datetime.now(UTC).replace(microsecond=0)


def amount(text: str, option: str) -> Decimal:
    """An amount such as 12.5."""
    try:
        return parse_amount(text)
    except InvalidAmount as error:
        raise BadInput(f"{option}: {error}") from None


def settings(pairs: list[str]) -> dict[str, object]:
    """What `set` was given as NAME=VALUE; "none" is none. Times are ISO 8601, yes and no are truth."""
    found: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise BadInput(f"{pair!r} is no setting like max_calls=3")
        found[name] = _setting(name, value)
    return found


def _setting(name: str, value: str) -> object:
    if value == "none":
        return None
    if name.endswith("_at"):
        return instant(value, name)
    return {"yes": True, "no": False}.get(value, value) if name.endswith("_allowed") else value


def prefix(text: str) -> str:
    """A prefix of E.164 digits; "all" is every number."""
    digits = "" if text == "all" else text
    if digits.strip("0123456789"):
        raise BadInput(f"prefix {text!r} is not digits, and not the word all")
    return digits


def whole_number(text: str, option: str, least: int, most: int) -> int:
    """Decimal digits that stand for `least`..`most`."""
    if text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most:
        return int(text)
    raise BadInput(f"{option} {text!r} is not a whole number from {least} to {most}")
