"""The dialog store's identity: a store that was lost and made anew is another one."""

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
