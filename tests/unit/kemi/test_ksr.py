"""The adapter: three kinds of truth become one, and nulls become texts and numbers."""

import pytest

from kemi import ksr


@pytest.mark.parametrize(
    ("answer", "expected"), [(1, True), (5, True), (-1, False), (0, False), (True, True), (False, False)]
)
def test_predicate_is_a_bool(world, answer, expected):
    """A predicate of Kamailio is true when it is True or above zero, and nothing else."""
    world.truths["cancelled"] = answer
    assert ksr.is_cancelled() is expected


@pytest.mark.parametrize("octets", [b"tag\xff", b"tag\0"])
def test_what_is_no_text_is_empty(world, octets):
    """A reply may hold any octets; a variable of it that is no UTF-8, or has a NUL, reads as if it were not there."""
    world.message["$tt"] = octets
    world.headers = [("Record-Route", "<sip:a>"), ("Record-Route", octets), ("Record-Route", "<sip:b>")]
    assert ["<sip:a>", "", "<sip:b>"] == ksr.headers("Record-Route")
    assert ksr.pv("$tt") == ""


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(1, ksr.MATCHED), (0, ksr.ABSORBED), (-1, ksr.NEW), (True, ksr.MATCHED), (False, ksr.NEW)],
)
def test_transaction_check_has_three_answers(world, answer, expected):
    """A retransmission that was absorbed is neither a match nor new."""
    world.truths["transaction"] = answer
    assert expected == ksr.check_transaction()


@pytest.mark.parametrize(("answer", "expected"), [(0, True), (1, True), (-1, False), (-3, False)])
def test_full_queue_of_the_async_workers_is_told(world, answer, expected):
    """Zero is task_route's success; below zero nobody will run the route."""
    world.truths["async"] = answer
    assert ksr.continue_in_async_worker("ksr_authorize", "default") is expected


def test_null_is_an_empty_text(world):
    """A pseudo-variable that is null is an empty text, and one that is a number is its digits."""
    assert ("", "5060") == (ksr.pv("$tt"), ksr.pv("$sp"))


def test_action_that_failed_is_an_error(world):
    """An action that must work raises when Kamailio refuses it, and names itself."""
    with pytest.raises(ksr.KsrError, match="seturi"):
        ksr.set_request_uri("")


def test_source_of_version_six_has_no_brackets(world):
    """Addresses are compared without the brackets of a URI."""
    world.request(si="[2001:db8::1]")
    assert "2001:db8::1" == ksr.source_ip()


def test_all_bodies_of_a_header_are_read(world):
    """Repeated headers are all seen, in order and in any case."""
    world.request(headers=[("X-Card", "1"), ("Other", "9"), ("x-card", "1"), ("X-CARD", "2")])
    assert ["1", "1", "2"] == ksr.headers("X-Card")


def test_empty_header_hides_none_behind_it(world):
    """A repeated header whose first body is empty is two headers."""
    world.request(headers=[("X-Card", ""), ("X-Card", "2")])
    assert ["", "2"] == ksr.headers("X-Card")


def test_counter_counts(world):
    """Each count is one more, from one on."""
    assert [1, 2, 0] == [ksr.count_up("t", "k"), ksr.count_up("t", "k"), ksr.table_int("t", "other")]


@pytest.mark.parametrize("key", ["plain", "call(1)", "call-1|tag=>x", "a)b", "(open", "a$b"])
def test_counter_is_found_whatever_its_key(world, key):
    """A key made of Call-ID, tag or user name, all of the caller's choice, finds what was counted under it."""
    ksr.count_up("t", key)
    assert 1 == ksr.table_int("t", key)


def test_reading_counters_leaves_no_names_behind(world):
    """A worker may look up any number of keys: no pseudo-variable is made for each, whose cache never shrinks."""
    for number in range(100):
        ksr.table_int("t", f"call-{number}")
    assert set() == world.names_asked


def test_text_that_is_not_there_is_empty(world):
    """A table of counters answers 0 for a missing key; as a text that is nothing."""
    world.tables["t"] = {"n": 0}
    assert ("", "") == (ksr.table_text("t", "n"), ksr.table_text("t", "missing"))
