"""The calls that Kamailio keeps on the node, read from its dialog store beside it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from pathlib import Path

STORE = "dialogs.sqlite"
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
