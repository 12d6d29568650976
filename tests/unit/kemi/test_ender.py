"""Calls that an administrator ends: both sides are told, or the ringing is answered, once, and the fact says why."""

from datetime import UTC, datetime

import pytest

from billing.errors import LedgerUnavailable
from billing.ledger_types_accounts import EndMark
from tests.unit.builders import Ledger
from tests.unit.kemi.conftest import answered_ago

KEY = "01HX0000000000000000000000"


def mark(call_key=KEY, state="answered", reason="fraud", **more):
    values = {"sip_call_id": "call-1", "sip_from_tag": "from-1", "sip_to_tag": "to-1"} | more
    return EndMark(call_key, reason, "admin@localhost", datetime(2026, 1, 1, tzinfo=UTC), state, **values)


def marked(node, *marks):
    node._ledger = Ledger(live_calls=[[]], calls_to_end=[list(marks)])


@pytest.fixture
def up(world, node):
    """A call that was answered 3.4 s ago."""
    world.known().variables["t"] = answered_ago(3.4)
    return world


@pytest.fixture
def ringing(world, node):
    """A call that rings."""
    world.known(state="2", to_tag=None, from_cseq="2").variables.pop("d")
    world.tables["current"] = {"call-1|from-1": "0"}
    return world


def test_an_answered_call_ends_with_a_bye_to_both_sides(up, node, script, journal):
    """Charged for what was talked, with who and why in the CDR's detail; the dialog goes at once."""
    marked(node, mark())
    script.keeper("keeper")
    (fact,) = journal()
    assert ("ended", KEY, "administrator", "admin@localhost: fraud") == tuple(
        fact[name] for name in ("kind", "call_key", "end_reason", "detail")
    )
    assert 3400 <= fact["talked_ms"] < 5000
    assert (["BYE", "BYE"], [1]) == ([send[0] for send in up.did("send")], up.dialog.lifetimes)


def test_a_mark_that_stays_ends_nothing_twice(up, node, script, journal):
    """The mark goes with the live call, which may take the drain a while."""
    marked(node, mark())
    for _ in range(3):
        script.keeper("keeper")
    assert (1, 2) == (len(journal()), len(up.did("send")))


def test_a_ringing_call_gets_a_final_answer(ringing, node, script, journal):
    """By Call-ID and CSeq of its INVITE; whoever answers all the same is hung up on; nothing is charged."""
    marked(node, mark(state="open", sip_to_tag=None))
    script.keeper("keeper")
    assert [] == ringing.did("reply_callid")
    script.keeper("keeper")
    assert [("call-1", "2", 480, "Temporarily Unavailable")] == ringing.did("reply_callid")
    assert "nobody" == ringing.tables["current"]["call-1|from-1"]
    (fact,) = journal()
    assert ("failed", "cancelled", 480, "administrator", "admin@localhost: fraud") == tuple(
        fact[name] for name in ("kind", "result", "sip_code", "end_reason", "detail")
    )


def test_one_ringing_call_is_answered_in_each_run(world, node, script):
    """The transaction is let go at the end of a run, the last one alone: ten a second, and none is forgotten."""
    for number in (1, 2, 3):
        dialog = world.known(callid=f"call-{number}", state="1", to_tag=None)
        dialog.variables["k"] = f"key {number}"
    marked(node, *(mark(f"key {number}", "open", sip_call_id=f"call-{number}") for number in (1, 2, 3)))
    script.keeper("keeper")
    from kemi import ender

    seen = []
    for _ in range(4):
        ender.refuse_next()
        seen.append(len(world.did("reply_callid")))
    assert [1, 2, 3, 3] == seen


def test_a_transaction_that_is_not_found_changes_nothing(ringing, node, script, journal, events):
    """The phone may write Call-ID in a way that Kamailio 5.6 does not find: it is answered, or ends by itself."""
    ringing.truths["reply_callid"] = -1
    marked(node, mark(state="open", sip_to_tag=None))
    script.keeper("keeper")
    script.keeper("keeper")
    assert ([], "0", "") == (
        journal(), ringing.tables["current"]["call-1|from-1"], ringing.dialog.variables["w"],
    )  # fmt: skip
    assert [KEY] == [event["call_key"] for event in events("end_failed")]


@pytest.mark.parametrize(
    "other",
    [{"sip_call_id": "another"}, {"call_key": "01HX0000000000000000000009"}],
    ids=["no dialog", "another call's dialog"],
)
def test_what_is_not_there_is_left_alone(up, node, script, journal, other):
    """Its dialog is just being made, or gone, or its tags are another call's by now."""
    marked(node, mark(**other))
    script.keeper("keeper")
    assert ([], []) == (journal(), up.did("send"))


def test_one_calls_trouble_keeps_no_other(up, node, script, journal, events, monkeypatch):
    """It is logged, and the next one ends."""
    from kemi import dialogs

    told = []

    def end(reason, detail):
        told.append(reason)
        if len(told) == 1:
            raise RuntimeError("no luck")

    monkeypatch.setattr(dialogs, "end_at_once", end)
    marked(node, mark(), mark())
    script.keeper("keeper")
    assert (2, 1) == (len(told), len(events("end_failed")))


def test_a_database_that_is_away_ends_nothing(up, node, script, journal):
    """The marks are there when it is back."""
    node._ledger = Ledger(live_calls=[[]], calls_to_end=LedgerUnavailable("away"))
    script.keeper("keeper")
    assert [] == journal()
