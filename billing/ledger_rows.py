"""Rows to dataclasses, and dataclasses to the JSON that routines read."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

T = TypeVar("T")

_names: dict[type, tuple[str, ...]] = {}


def record(kind: type[T], row: Mapping[str, Any], **more: object) -> T:
    """A dataclass from the columns named like its fields; `more` fills or replaces fields. Datetimes become UTC."""
    values = {name: _aware(row[name]) for name in _field_names(kind) if name not in more}
    return kind(**values, **more)


def utc(moment: datetime) -> datetime:
    """A column's DATETIME, which is UTC everywhere in the ledger, as an aware datetime."""
    return moment.replace(tzinfo=UTC)


def naive(moment: datetime | None) -> datetime | None:
    """An aware datetime as the column keeps it."""
    assert moment is None or moment.tzinfo is not None, "a time without a zone"
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)


def clean(text: str) -> str:
    """Text that the database takes: what came over the wire may hold halves of surrogate pairs, and zero bytes."""
    return text.encode("utf-8", "replace").decode().replace("\0", "?")


def amount_text(amount: Decimal | str) -> str:
    """An amount as the routines read it; not rounded here, so that they can refuse its seventh decimal."""
    return f"{amount:f}" if isinstance(amount, Decimal) else amount


def content(item: object, renamed: Mapping[str, str]) -> dict[str, object]:
    """The plain fields (text, number, None) of a dataclass as a JSON object; others are the caller's to write."""
    plain: dict[str, object] = {}
    for name in _field_names(type(item)):
        value = getattr(item, name)
        if isinstance(value, str):
            plain[renamed.get(name, name)] = clean(value)
        elif value is None or isinstance(value, int):
            plain[renamed.get(name, name)] = value
    return plain


def _field_names(kind: Any) -> tuple[str, ...]:
    names = _names.get(kind)
    if names is None:
        names = _names[kind] = tuple(field.name for field in fields(kind))
    return names


def _aware(value: Any) -> Any:
    return utc(value) if isinstance(value, datetime) else value
