"""What people type, as values; each error names the option."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from ulid import ULID

from billing.cards import day_end
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


def last_moment(text: str, option: str, zone: str) -> datetime:
    """A time as `instant` reads it; of a day alone, its end in `zone`."""
    try:
        return day_end(date.fromisoformat(text), zone)
    except (ValueError, OverflowError):
        return instant(text, option)
    except LookupError:
        raise BadInput(f"zone {zone!r} is not a known time zone") from None


def serials(first: str | None, last: str | None) -> tuple[int | None, int | None]:
    """A range of serial numbers, both ends included; None: from the first, to the last."""
    least, most = (
        None if text is None else whole_number(text, option, 1, 50_000)
        for text, option in ((first, "--from"), (last, "--to"))
    )
    return least, most


@dataclass(frozen=True)
class Period:
    """From `begin` up to but without `end`, both UTC, as somebody in `zone` said it."""

    begin: datetime
    end: datetime
    zone: ZoneInfo

    def local(self, at: datetime) -> str:
        """2026-03-29 14:30:00, in the period's zone."""
        return f"{at.astimezone(self.zone):%Y-%m-%d %H:%M:%S}"

    def __str__(self) -> str:
        return f"{self.local(self.begin)} to {self.local(self.end)} ({self.zone})"


def period(begin: str, end: str | None, zone: str) -> Period:
    """Days or times of a zone, `--from`, `--to` (None: now) and `--zone`."""
    place = time_zone(zone, "--zone")
    first = local_instant(begin, "--from", place)
    # Not now(), whose second has begun: what was booked in it would be missing.
    last = datetime.now(UTC) if end is None else local_instant(end, "--to", place)
    if first > last:
        raise BadInput(f"--from {begin} is after --to {end or 'now'}")
    return Period(first, last, place)


def local_instant(text: str, option: str, zone: ZoneInfo) -> datetime:
    """A day (its midnight) or a time of a zone, as UTC; an offset in it wins."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInput(f"{option} {text!r} is not a day like 2026-03-29 nor a time like 2026-03-29T14:30:00") from None


def time_zone(name: str, option: str) -> ZoneInfo:
    """A zone such as Europe/Berlin."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise BadInput(f"{option} {name!r} is no time zone like Europe/Berlin") from None


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


def key_or_new(text: str | None) -> str:
    """The key (a ULID) of an earlier try, or a new one."""
    return str(ULID()) if text is None else ulid(text, "--key")


def ulid(text: str, option: str) -> str:
    """A key such as a program printed earlier."""
    try:
        return str(ULID.from_str(text.upper()))
    except ValueError:
        raise BadInput(f"{option} {text!r} is not a ULID") from None
