"""Numbers, PINs and codes of cards and vouchers: made from a cryptographic source, kept as keyed hashes.

The ledger sees no PIN and no code, only hex HMAC-SHA256 under settings.card_pin_key: of 'number:pin' for a card, of
'voucher:code' for a voucher.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from billing.errors import MeterlineError

BATCH_MAX = 50_000
"""The routines take no more at once: a batch is one transaction."""
CARD_DIGITS = range(6, 21)
PIN_DIGITS = range(4, 13)
PIN_DIGITS_DEFAULT = 6
CODE_DIGITS = range(12, 21)
ROOM_FACTOR = 100
"""So many numbers must be possible for each that is made, or a guesser would find one by trying."""
OFFSETS_YEARS = 40
"""How far ahead a card's last midnight is known; a later one goes by the last offset."""


class BadBatch(MeterlineError):
    """A batch that cannot be made; the text names what is wrong."""


@dataclass(frozen=True)
class NewCard:
    """A card that nobody has seen yet. The PIN is nowhere else."""

    number: str
    pin: str


def luhn_digit(digits: str) -> str:
    """The check digit to put behind `digits` (ISO/IEC 7812-1, annex B)."""
    total = sum(sum(divmod(int(digit) * 2, 10)) for digit in digits[::-2]) + sum(map(int, digits[-2::-2]))
    return str(-total % 10)


def has_luhn_digit(number: str) -> bool:
    """Whether the last digit is the check digit of the others."""
    return luhn_digit(number[:-1]) == number[-1]


def new_cards(count: int, prefix: str, digits: int, pin_digits: int) -> list[NewCard]:
    """Cards with numbers that begin with `prefix` and end with a check digit, no two alike.

    Raises BadBatch for a length, a prefix or a count that cannot be.
    """
    _check("PIN", pin_digits, PIN_DIGITS)
    numbers = _numbers("card", count, prefix, digits, CARD_DIGITS)
    return [NewCard(number, _random_digits(pin_digits)) for number in numbers]


def new_pin() -> str:
    """A PIN of the usual length."""
    return _random_digits(PIN_DIGITS_DEFAULT)


def new_codes(count: int, digits: int) -> list[str]:
    """Voucher codes that end with a check digit, no two alike. Raises BadBatch."""
    return list(_numbers("voucher", count, "", digits, CODE_DIGITS))


def _numbers(what: str, count: int, prefix: str, digits: int, allowed: range) -> Iterator[str]:
    _check(what, digits, allowed)
    if not 1 <= count <= BATCH_MAX:
        raise BadBatch(f"a batch has 1 to {BATCH_MAX} {what}s, not {count}")
    if prefix and not (prefix.isascii() and prefix.isdigit()):
        raise BadBatch(f"prefix {prefix!r} is not digits")
    free = digits - len(prefix) - 1
    if free < 0 or 10**free < count * ROOM_FACTOR:
        raise BadBatch(
            f"{count} {what}s of {digits} digits that begin with {prefix!r} leave too little to chance: "
            f"fewer than {ROOM_FACTOR} numbers for each"
        )
    return _unique(count, prefix, free)


def _unique(count: int, prefix: str, free: int) -> Iterator[str]:
    found: set[str] = set()
    while len(found) < count:
        body = prefix + _random_digits(free)
        if body not in found:
            found.add(body)
            yield body + luhn_digit(body)


def _check(what: str, digits: int, allowed: range) -> None:
    if digits not in allowed:
        raise BadBatch(f"a {what} has {allowed.start} to {allowed.stop - 1} digits, not {digits}")


def _random_digits(digits: int) -> str:
    return f"{secrets.randbelow(10**digits):0{digits}d}" if digits else ""


def pin_hash(card_pin_key: str, number: str, pin: str) -> str:
    """What the ledger keeps of a card's PIN: hex HMAC-SHA256 of 'number:pin'."""
    return _keyed(card_pin_key, f"{number}:{pin}")


def code_hash(card_pin_key: str, code: str) -> str:
    """What the ledger keeps of a voucher's code: hex HMAC-SHA256 of 'voucher:code', blanks and hyphens aside."""
    return _keyed(card_pin_key, f"voucher:{code.translate(_READABLE)}")


_READABLE = str.maketrans("", "", " -")


def _keyed(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def day_end(day: date, zone: str) -> datetime:
    """The instant, UTC, at which `day` is over in `zone`. Of a midnight that comes twice it is the first, and the jump
    where the clocks jump over it (PEP 495: both are fold 0)."""
    return datetime.combine(day + timedelta(days=1), time(0), ZoneInfo(zone)).astimezone(UTC)


def zone_offsets(zone: str, now: datetime) -> list[tuple[str, int]]:
    """When the clocks of a zone go how many seconds before UTC, from a year ago on: (since, offset) as SQL keeps them.

    The first one counts from 1970 on.
    """
    clock = ZoneInfo(zone)
    start = datetime(now.year - 1, 1, 1, tzinfo=UTC)
    days = (datetime(now.year + OFFSETS_YEARS, 1, 1, tzinfo=UTC) - start).days
    offset = _offset_s(start, clock)
    found = [("1970-01-01 00:00:00", offset)]
    for number in range(1, days + 1):
        day = start + timedelta(days=number)
        if _offset_s(day, clock) != offset:
            since = _change(day - timedelta(days=1), day, clock)
            offset = _offset_s(since, clock)
            found.append((f"{since:%Y-%m-%d %H:%M:%S}", offset))
    return found


def _change(before: datetime, after: datetime, clock: ZoneInfo) -> datetime:
    """The second at which the offset of `before` ends; there is one change between the two."""
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=int((after - before).total_seconds()) // 2)
        if _offset_s(middle, clock) == _offset_s(before, clock):
            before = middle
        else:
            after = middle
    return after


def _offset_s(at: datetime, clock: ZoneInfo) -> int:
    offset = at.astimezone(clock).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())
