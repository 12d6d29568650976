"""One structured line per event: JSON, ASCII only, so that nothing a caller sends can break a line or forge one."""

from __future__ import annotations

import json

from kemi import ksr


def event(name: str, level: str = "info", **fields: object) -> None:
    """Log `name` with its fields; absent values (None, '') are left out."""
    content = {key: value for key, value in fields.items() if value not in (None, "")}
    ksr.log(level, "meterline " + json.dumps({"event": name, **content}, ensure_ascii=True, default=str))
