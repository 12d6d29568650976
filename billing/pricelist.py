"""Rates as JSON: price lists to import, the snapshot that a live call keeps, and the rows of the rate table.

A rate object says its price in one of three forms:

    {"connect_fee": "0.1", "rate_per_min": "0.6", "initial_s": 60, "increment_s": 6}
    {"connect_fee": "0.1", "slots": [{"from_s": 0, "rate": "0.6", "per_s": 60, "increment_s": 6}, ..]}
    {"windows": [{"iso_weekdays": [1, 2], "from_time": "08:00:00", "connect_fee": "0.1", "slots": [..]}, ..]}

The first may say "rate" and "per_s" instead of "rate_per_min", and "initblock_s" for "initial_s". Amounts are
texts (or whole JSON numbers): a JSON number with a fraction is a float in most programs, and is refused.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import time
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import cast

from billing.errors import InvalidAmount, InvalidTariff
from billing.money import format_amount, parse_amount
from billing.rating import MaxCostRule, Rate, Rounding, RoundingMethod, Slot, Window, short_form, whole_week

_SHORT_KEYS = frozenset({"rate", "per_s", "rate_per_min", "initial_s", "initblock_s", "increment_s"})
_OTHER_KEYS = frozenset(
    {"prefix", "destination", "name", "rate_id", "tariff_id", "connect_fee", "slots", "windows"}
    | {"free_seconds", "max_cost", "max_cost_strategy", "rounding", "zone", "blocked"}
)
_RATE_KEYS = _SHORT_KEYS | _OTHER_KEYS
_WINDOW_KEYS = frozenset({"iso_weekdays", "from_time", "connect_fee", "slots"})
_SLOT_KEYS = frozenset({"from_s", "rate", "per_s", "increment_s"})
_ROUNDING_KEYS = frozenset({"method", "decimals"})
_SCHEDULE_KEYS = frozenset({"connect_fee", "slots", "windows"})

_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?")

Json = Mapping[str, object]


def rate_from_dict(data: Json) -> Rate:
    """The rate that a JSON object describes; `name` stands in for a missing `destination`.

    Raises InvalidTariff naming the key: unknown, of the wrong kind, or with a value that cannot be meant.
    """
    _refuse_unknown(data, _RATE_KEYS)
    rule = _text(data, "max_cost_strategy", "disconnect")
    return Rate(
        prefix=_text(data, "prefix", ""),
        destination=_text(data, "destination", _text(data, "name", "")),
        windows=_priced(data),
        free_seconds=_integer(data, "free_seconds", 0),
        max_cost=_amount(data, "max_cost") if data.get("max_cost") is not None else None,
        max_cost_rule=cast(MaxCostRule, rule),  # Rate checks it
        blocked=_flag(data, "blocked"),
        rounding=_rounding(data),
        zone=_text(data, "zone", "UTC"),
        rate_id=_optional_integer(data, "rate_id"),
        tariff_id=_optional_integer(data, "tariff_id"),
    )


def rate_to_dict(rate: Rate) -> dict[str, object]:
    """The rate as JSON takes it, from which rate_from_dict makes an equal one."""
    data: dict[str, object] = {
        "prefix": rate.prefix,
        "destination": rate.destination,
        "windows": [_window_to_dict(window) for window in rate.windows],
        "rounding": {"method": rate.rounding.method, "decimals": rate.rounding.decimals},
        "free_seconds": rate.free_seconds,
        "max_cost": None if rate.max_cost is None else format_amount(rate.max_cost),
        "max_cost_strategy": rate.max_cost_rule,
        "blocked": rate.blocked,
        "zone": rate.zone,
    }
    ids = {"rate_id": rate.rate_id, "tariff_id": rate.tariff_id}
    return data | {key: value for key, value in ids.items() if value is not None}


def rate_from_row(row: Mapping[str, object]) -> Rate:
    """The rate of a row of the rate table joined with its tariff (other columns are passed over).

    A `schedule` replaces price, per_s, initial_s and increment_s; one with "windows" the connect_fee too.
    Raises InvalidTariff naming rate and column, KeyError if a column is missing.
    """
    try:
        return Rate(
            prefix=_text(row, "prefix", ""),
            destination=_text(row, "destination", ""),
            windows=_row_windows(row),
            free_seconds=_integer(row, "free_seconds"),
            max_cost=None if row["max_cost"] is None else _amount(row, "max_cost"),
            max_cost_rule=cast(MaxCostRule, row["max_cost_rule"]),
            blocked=bool(row["blocked"]),
            rounding=Rounding(cast(RoundingMethod, row["rounding"]), _integer(row, "decimals")),
            zone=_text(row, "zone", "UTC"),
            rate_id=_integer(row, "rate_id"),
            tariff_id=_integer(row, "tariff_id"),
        )
    except InvalidTariff as error:
        raise InvalidTariff(f"rate {row['rate_id']} (prefix {row['prefix']!r}): {error}") from None


def load_price_list(path: Path | str) -> tuple[Rate, ...]:
    """The rates of a JSON file: one rate object, a list of them, or {"rates": [..]}.

    Raises InvalidTariff naming the file and the item, also for two rates of one prefix.
    """
    try:
        content = _parse(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidTariff(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError, InvalidTariff) as error:
        raise InvalidTariff(f"{path}: {error}") from None
    rates: dict[str, Rate] = {}
    for number, item in enumerate(_items(content, path), start=1):
        try:
            rate = rate_from_dict(_object(item, "rate"))
        except InvalidTariff as error:
            raise InvalidTariff(f"{path}: rate {number}: {error}") from None
        if rate.prefix in rates:
            raise InvalidTariff(f"{path}: rate {number}: prefix {rate.prefix!r} stands in the list twice")
        rates[rate.prefix] = rate
    return tuple(rates.values())


def _items(content: object, path: Path | str) -> Sequence[object]:
    if isinstance(content, dict):
        if "rates" not in content:
            return [content]
        unknown = sorted(content.keys() - {"rates"})
        if unknown:
            raise InvalidTariff(f"{path}: unknown key {unknown[0]!r} beside rates")
        content = content["rates"]
    if not isinstance(content, list):
        raise InvalidTariff(f"{path}: neither a rate nor a list of rates")
    return content


def _parse(text: str) -> object:
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """JSON lets a key stand twice and Python takes the last; in a price list that is an error."""
    data = dict(pairs)
    if len(data) < len(pairs):
        keys = [key for key, _ in pairs]
        raise InvalidTariff(f"key {next(key for key in keys if keys.count(key) > 1)!r} stands twice in one object")
    return data


# --- prices -----------------------------------------------------------------------------------------------


def _priced(data: Json) -> tuple[Window, ...]:
    """The windows of any of the three forms; none for a blocked rate that has no price."""
    forms = [form for form in ("windows", "slots") if form in data] + sorted(_SHORT_KEYS & data.keys())
    if "windows" in data:
        _refuse_beside(data, "windows", forms[1:] + [key for key in ("connect_fee",) if key in data])
        return tuple(_window(item, f"windows[{number}]") for number, item in enumerate(_list(data, "windows")))
    connect_fee = _amount(data, "connect_fee", Decimal(0))
    if "slots" in data:
        _refuse_beside(data, "slots", forms[1:])
        return whole_week(connect_fee, _slots(data))
    if not forms and data.get("blocked") is True:
        return ()
    return whole_week(connect_fee, _short_slots(data))


def _refuse_beside(data: Json, form: str, others: list[str]) -> None:
    if others:
        raise InvalidTariff(f"{others[0]}: {data[others[0]]!r} cannot stand beside {form}")


def _short_slots(data: Json) -> tuple[Slot, ...]:
    _refuse_both(data, "rate", "rate_per_min")
    _refuse_both(data, "per_s", "rate_per_min")
    _refuse_both(data, "initial_s", "initblock_s")
    price = _amount(data, "rate_per_min" if "rate_per_min" in data else "rate")
    initial = _optional_integer(data, "initblock_s" if "initblock_s" in data else "initial_s")
    return short_form(price, _integer(data, "per_s", 60), initial, _integer(data, "increment_s", 1))


def _refuse_both(data: Json, one: str, other: str) -> None:
    if one in data and other in data:
        raise InvalidTariff(f"{one}: cannot stand beside {other}")


def _row_windows(row: Mapping[str, object]) -> tuple[Window, ...]:
    schedule = row["schedule"]
    if schedule is None:
        slots = short_form(
            _amount(row, "price"),
            _integer(row, "per_s"),
            _optional_integer(row, "initial_s"),
            _integer(row, "increment_s"),
        )
        return whole_week(_amount(row, "connect_fee"), slots)
    try:
        data = _object(_parse(str(schedule)), "the JSON")
    except (ValueError, RecursionError, InvalidTariff) as error:
        raise InvalidTariff(f"schedule: {error}") from None
    with _at("schedule"):
        _refuse_unknown(data, _SCHEDULE_KEYS)
        if "windows" not in data and "slots" not in data:
            raise InvalidTariff("neither windows nor slots")
        fee = {} if "windows" in data else {"connect_fee": row["connect_fee"]}
        return _priced({**fee, **data})


def _window(item: object, where: str) -> Window:
    data = _object(item, where)
    with _at(where):
        _refuse_unknown(data, _WINDOW_KEYS)
        start = _text(data, "from_time")
        if not _TIME.fullmatch(start):
            raise InvalidTariff(f"from_time: {start!r} is not a time like 18:00:00")
        fee = _amount(data, "connect_fee", Decimal(0))
        return Window(_weekdays(data), time.fromisoformat(start), fee, _slots(data))


def _weekdays(data: Json) -> frozenset[int]:
    weekdays = _list(data, "iso_weekdays")
    for weekday in weekdays:
        if not isinstance(weekday, int) or isinstance(weekday, bool):
            raise InvalidTariff(f"iso_weekdays: {weekday!r} is not a whole number")
        if weekdays.count(weekday) > 1:
            raise InvalidTariff(f"iso_weekdays: {weekday} stands twice")
    return frozenset(cast(list[int], weekdays))


def _slots(data: Json) -> tuple[Slot, ...]:
    return tuple(_slot(item, f"slots[{number}]") for number, item in enumerate(_list(data, "slots")))


def _slot(item: object, where: str) -> Slot:
    data = _object(item, where)
    with _at(where):
        _refuse_unknown(data, _SLOT_KEYS)
        return Slot(
            from_s=_integer(data, "from_s"),
            price=_amount(data, "rate"),
            per_s=_integer(data, "per_s"),
            increment_s=_integer(data, "increment_s"),
        )


def _window_to_dict(window: Window) -> dict[str, object]:
    return {
        "iso_weekdays": sorted(window.weekdays),
        "from_time": window.from_time.isoformat(),
        "connect_fee": format_amount(window.connect_fee),
        "slots": [
            {
                "from_s": slot.from_s,
                "rate": format_amount(slot.price),
                "per_s": slot.per_s,
                "increment_s": slot.increment_s,
            }
            for slot in window.slots
        ],
    }


def _rounding(data: Json) -> Rounding:
    if "rounding" not in data:
        return Rounding()
    given = _object(data["rounding"], "rounding")
    with _at("rounding"):
        _refuse_unknown(given, _ROUNDING_KEYS)
        method = cast(RoundingMethod, _text(given, "method", "half_up"))  # Rounding checks it
        return Rounding(method, _integer(given, "decimals", 4))


# --- values -------------------------------------------------------------------------------------------------


@contextmanager
def _at(where: str) -> Iterator[None]:
    """Put the place before the text of an InvalidTariff."""
    try:
        yield
    except InvalidTariff as error:
        raise InvalidTariff(f"{where}: {error}") from None


def _refuse_unknown(data: Json, known: frozenset[str]) -> None:
    unknown = [key for key in data if key not in known]
    if unknown:
        raise InvalidTariff(f"unknown key {unknown[0]!r}")


def _value(data: Json, key: str) -> object:
    if key not in data:
        raise InvalidTariff(f"{key}: missing")
    return data[key]


def _object(value: object, where: str) -> Json:
    if not isinstance(value, dict):
        raise InvalidTariff(f"{where}: {value!r} is not an object")
    return value


def _list(data: Json, key: str) -> list[object]:
    value = _value(data, key)
    if not isinstance(value, list):
        raise InvalidTariff(f"{key}: {value!r} is not a list")
    return value


def _text(data: Json, key: str, default: str | None = None) -> str:
    value = data.get(key, default) if default is not None else _value(data, key)
    if not isinstance(value, str):
        raise InvalidTariff(f"{key}: {value!r} is not a text")
    return value


def _flag(data: Json, key: str) -> bool:
    value = data.get(key, False)
    if not isinstance(value, bool):
        raise InvalidTariff(f"{key}: {value!r} is neither true nor false")
    return value


def _integer(data: Json, key: str, default: int | None = None) -> int:
    value = data.get(key, default) if default is not None else _value(data, key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidTariff(f"{key}: {value!r} is not a whole number")
    return value


def _optional_integer(data: Json, key: str) -> int | None:
    return None if data.get(key) is None else _integer(data, key)


def _amount(data: Json, key: str, default: Decimal | None = None) -> Decimal:
    value = data.get(key, default) if default is not None else _value(data, key)
    if isinstance(value, float):
        raise InvalidTariff(f'{key}: {value!r} is a float, which is not exact; write a text such as "0.1"')
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvalidTariff(f"{key}: {value!r} is not an amount")
    try:
        return parse_amount(str(value))
    except InvalidAmount as error:
        raise InvalidTariff(f"{key}: {error}") from None


def rate_to_json(rate: Rate) -> str:
    """The rate as one JSON text, to travel with a call and to be read back by `rate_from_json`."""
    return json.dumps(rate_to_dict(rate), sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=4096)
def rate_from_json(text: str) -> Rate:
    """The reverse of `rate_to_json`. Raises InvalidTariff for any other text.

    Remembered: a call's rate is read at every renewal and at its end, and a rate never changes.
    """
    content = _parse(text)
    if not isinstance(content, dict):
        raise InvalidTariff("rate: not an object")
    return rate_from_dict(content)
