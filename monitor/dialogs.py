"""The calls that Kamailio keeps on the node, read from its dialog store beside it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

STORE = "dialogs.sqlite"
ENDED_KEPT_S = 20
"""How long the store may have a dialog that is over: Kamailio forgets it with the transaction of its BYE, which lives
for `fr_timer` (10 s) when nobody answers, and 5 s more; a cut adds a second or two. What is set at the end is not in
the store."""
_BILLED = """
    SELECT key.dialog_value
      FROM dialog
      JOIN dialog_vars AS key ON key.hash_entry = dialog.hash_entry AND key.hash_id = dialog.hash_id
     WHERE key.dialog_key = 'k'
       AND NOT EXISTS (SELECT 1 FROM dialog_vars AS other
                        WHERE other.hash_entry = key.hash_entry AND other.hash_id = key.hash_id
                          AND other.dialog_key IN ('m', 'x'))
"""
"""Call keys of dialogs that are no emergency calls (m) and not counted and ended yet (x): kemi/dialogs.py, CallVars."""


def billed_call_keys(state_dir: Path) -> set[str]:
    """The calls that are up here and cost somebody money. Raises sqlite3.Error."""
    with closing(sqlite3.connect(f"file:{quote(str(state_dir / STORE))}?mode=ro", uri=True, timeout=1)) as store:
        return {str(key) for (key,) in store.execute(_BILLED)}


class Lasting:
    """Which of the keys that are seen again and again have been there for some time without a break."""

    def __init__(self, least_s: float) -> None:
        """`least_s`: how long a key must have been seen, from its first look to this one."""
        self._least_s = least_s
        self._since_s: dict[str, float] = {}

    def seen(self, keys: Iterable[str], now_s: float) -> frozenset[str]:
        """Take what is there now; answers those that have lasted."""
        self._since_s = {key: self._since_s.get(key, now_s) for key in keys}
        return frozenset(key for key, since_s in self._since_s.items() if now_s - since_s >= self._least_s)
