"""The dialog store's identity: a store that was lost and made anew is another one."""

import contextlib
import sqlite3

from kemi import dialog_store
from stack.kamailio import dialog_store as path_of
from stack.kamailio import make_state


def identity(folder):
    return dialog_store.identity(f"sqlite:///{path_of(folder)}")


def test_store_keeps_its_identity(tmp_path):
    """However often it is taken up again, and although nobody has its write-ahead log open."""
    make_state(tmp_path)
    first = identity(tmp_path)
    make_state(tmp_path)
    assert first == identity(tmp_path) > 0


def test_store_made_anew_is_another(tmp_path):
    """What was in the old one is not in this."""
    make_state(tmp_path)
    first = identity(tmp_path)
    path_of(tmp_path).unlink()
    make_state(tmp_path)
    assert first != identity(tmp_path) > 0


def test_no_store_has_no_identity(tmp_path):
    """None is made by asking; an address of another kind is none either."""
    assert 0 == identity(tmp_path)
    assert [] == list(tmp_path.iterdir())
    assert 0 == dialog_store.identity("mysql://somewhere/db")


def test_dialogs_of_the_store(tmp_path):
    """As Kamailio wrote them; none where there is no store."""
    assert [] == dialog_store.stored(f"sqlite:///{path_of(tmp_path)}")
    make_state(tmp_path)
    with contextlib.closing(sqlite3.connect(path_of(tmp_path))) as store:
        columns = [row[1] for row in store.execute("PRAGMA table_info(dialog)")]
        known = {"callid": "call-1", "from_tag": "from-1", "to_tag": "to-1"}
        row = [known.get(name, 0) for name in columns]
        store.execute(f"INSERT INTO dialog VALUES ({', '.join('?' * len(columns))})", row)
        store.commit()
    assert [("call-1", "from-1", "to-1")] == dialog_store.stored(f"sqlite:///{path_of(tmp_path)}")
