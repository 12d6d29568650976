"""The order of a call's facts: none overtakes one that was put back, over a restart of the drain neither."""

import pytest

from billing import call_order
from billing.call_order import CallOrder, marked
from billing.journal import PUT_BACK_MARK, JournalReader, JournalWriter, encode


def fact(number, call_key="K", boot="boot1", wall=0):
    at = f"{number}/{wall or number}/{boot}"
    return {"kind": "ended", "call_key": call_key, "talked_ms": number, "at": at}


def test_facts_of_an_undisturbed_call_are_next():
    """Nothing was put back: whatever comes may go."""
    order = CallOrder()
    assert order.is_next(fact(1))
    assert order.is_next(fact(2))
    order.done(fact(1))
    assert order.is_next({"kind": "odd"})
    order.done({"kind": "odd"})


def test_later_fact_waits_for_one_that_was_put_back():
    """Until it is applied; those of other calls go on."""
    order = CallOrder()
    order.put_back(fact(1))
    assert not order.is_next(fact(2))
    assert order.is_next(fact(9, "other"))
    order.put_back(fact(2))
    order.done(fact(2))  # not its turn: nothing is forgotten
    assert not order.is_next(fact(2))
    assert order.is_next(fact(1))
    order.done(fact(1))
    assert order.is_next(fact(2))
    order.done(fact(2))
    assert order.is_next(fact(3))


def test_fact_put_back_again_keeps_its_place():
    """It is marked, and known by what it says, not by the mark."""
    order = CallOrder()
    order.put_back(fact(1))
    again = marked(fact(1))
    assert again == {**fact(1), "again": True}
    order.put_back(fact(2))
    order.put_back(again)
    assert order.is_next(again)
    assert not order.is_next(fact(2))


@pytest.mark.parametrize("swapped", [False, True])
def test_order_is_found_again_at_a_start(swapped):
    """The journal holds a later fact before an earlier one that was put back behind it."""
    first, second = {**fact(1), "again": True}, {**fact(2), "again": True} if swapped else fact(2)
    order = CallOrder([second, fact(7, "other"), first])
    assert not order.is_next(second)
    assert order.is_next(first)
    assert order.is_next(fact(7, "other"))
    order.done(first)
    assert order.is_next(second)


def test_order_across_a_boot_is_the_wall_clocks():
    """Monotonic time began anew."""
    before, after = {**fact(900, boot="old", wall=1000), "again": True}, fact(5, boot="new", wall=2000)
    assert CallOrder([after, before]).is_next(before)


def test_fact_that_stands_twice_blocks_nothing():
    """A drain died between writing it to the end and settling its first place."""
    order = CallOrder([fact(1), fact(2), {**fact(1), "again": True}])
    for one in (fact(1), fact(2)):
        assert order.is_next(one)
        order.done(one)
    assert order.is_next({**fact(1), "again": True})


def test_reader_tells_what_is_undone_when_something_was_put_back(tmp_path):
    """Else nothing: the order is the journal's."""
    writer, reader = JournalWriter(tmp_path), JournalReader(tmp_path)
    writer.append(fact(1))
    writer.append(fact(2))
    assert [] == reader.put_back()
    writer.append(marked(fact(1)))
    reader.done(reader.entries()[0])
    assert [fact(2), {**fact(1), "again": True}] == reader.put_back()


def test_mark_is_what_the_reader_looks_for():
    """Two files have it, and must not drift apart."""
    assert PUT_BACK_MARK in encode(marked(fact(1)))
    assert call_order.AGAIN == "again"
