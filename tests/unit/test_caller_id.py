"""Which number a caller shows."""

import pytest

from billing.caller_id import may_show, number_in, number_to_show, privacy_of_hidden, wants_to_hide


@pytest.mark.parametrize(
    ("asked", "allowed", "shown"),
    [
        (["4930555102"], ["4930555101", "4930555102"], "4930555102"),
        (["4930999"], ["4930555101", "4930555102"], "4930555101"),
        ([], ["4930555101"], "4930555101"),
        (["493055577"], ["4930555*"], "493055577"),
        (["4930999"], ["4930555*"], ""),
        (["4930999"], ["4930555*", "4930100"], "4930100"),
        (["1", "4930555102"], ["4930555102"], "4930555102"),
        (["4930999"], [], ""),
    ],
)
def test_number_to_show(asked, allowed, shown):
    """One that is asked for and allowed; else the default; never one for the asking alone."""
    assert shown == number_to_show(asked, allowed)


def test_a_range_is_a_beginning():
    """And what it says itself is no number."""
    assert (True, False, False) == tuple(may_show(one, ["4930*"]) for one in ("49301", "4931", "4930*"[:-2]))


@pytest.mark.parametrize(
    ("privacy", "user", "host", "hidden"),
    [
        ([], "101", "example.net", False),
        (["none"], "101", "example.net", False),
        (["critical"], "101", "example.net", False),
        (["id"], "101", "example.net", True),
        (["user; critical"], "101", "example.net", True),
        (["critical", " Header "], "101", "example.net", True),
        ([], "Anonymous", "example.net", True),
        ([], "101", "anonymous.invalid", True),
    ],
)
def test_wants_to_hide(privacy, user, host, hidden):
    """RFC 3323 4.2 and 4.1.1.3, RFC 3325 9.3."""
    assert hidden == wants_to_hide(privacy, user, host)


@pytest.mark.parametrize(
    ("privacy", "sent"),
    [
        ([], "id"),
        (["none"], "id"),
        (["id"], "id"),
        (["user"], "user;id"),
        (["user; Critical", "id, header"], "user;critical;id;header"),
        (["", "none;session", "\u00e9;a b;<sip:x>"], "session;id"),
    ],
)
def test_privacy_of_hidden(privacy, sent):
    """Always with id, never with none; nothing but words goes on."""
    assert sent == privacy_of_hidden(privacy)


@pytest.mark.parametrize(
    ("header", "number"),
    [
        ('"Bob" <sip:+4930555@example.net;user=phone>', "+4930555"),
        ("<tel:+49-30-555>", "+49-30-555"),
        ("sip:4930555@example.net", "4930555"),
        ("<sip:bob@example.net>", ""),
        ("", ""),
    ],
)
def test_number_in(header, number):
    """Of a P-Preferred-Identity."""
    assert number == number_in(header)
