"""One line of log, the same for every part of a node: a JSON object, in ASCII, so that nothing a caller sends can break
a line or forge one."""

from __future__ import annotations

import json
import os
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Level = Literal["err", "warn", "notice", "info"]
STANDARD_ERROR = 2
TEXT_CHARACTERS_MAX = 400
"""Of one field: a message may hold 64 kB of a name, and a flood of them fills a disk."""
WHOLE = ("trace",)


def line(part: str, node: str, level: Level, event: str, **fields: object) -> str:
    """The line of an event with its newline; absent values (None, '') are left out. `time` is UTC, ISO 8601."""
    content = {key: _short(key, value) for key, value in fields.items() if value not in (None, "")}
    head = {"time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z", "level": level, "part": part, "node": node}
    return json.dumps(head | {"event": event} | content, ensure_ascii=True, default=str) + "\n"


def _short(key: str, value: object) -> object:
    if isinstance(value, str) and len(value) > TEXT_CHARACTERS_MAX and key not in WHOLE:
        return f"{value[:TEXT_CHARACTERS_MAX]}.. ({len(value)} characters)"
    return value


def write(text: str) -> None:
    """One write, so that lines of many processes do not mix. A log that cannot be written stops nobody."""
    with suppress(OSError):
        os.write(STANDARD_ERROR, text.encode("ascii"))


class EventLog:
    """The log of one part that is a process of its own."""

    def __init__(self, part: str, node: str, count: Callable[[str], None] | None = None) -> None:
        """`count` is told the name of each event."""
        self._part = part
        self._node = node
        self._count = count

    def event(self, name: str, level: Level = "info", **fields: object) -> None:
        """Log an event with its fields."""
        write(line(self._part, self._node, level, name, **fields))
        if self._count is not None:
            self._count(name)

    def failure(self, name: str, error: BaseException, **fields: object) -> None:
        """An error that is no event of its own, with its trace."""
        trace = "".join(traceback.format_exception(error))
        self.event(name, "err", error=repr(error), trace=trace, **fields)
