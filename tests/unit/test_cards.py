"""Numbers, PINs, codes and the file that they are printed into; a zone's midnights."""

import hashlib
import hmac
import stat
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from billing import cards
from billing.cards import BadBatch
from billing.errors import LedgerRefused, LedgerUnavailable
from cli.slips import SlipsError, issued, read_slips, write_slips
from cli.values import BadInput, last_moment

KEY = "0123456789" * 4


@pytest.mark.parametrize(("body", "digit"), [("7992739871", "3"), ("411111111111111", "1"), ("0", "0"), ("1", "8")])
def test_check_digits_are_those_of_the_standard(body, digit):
    """Known numbers with their last digits (ISO/IEC 7812-1)."""
    assert digit == cards.luhn_digit(body)
    assert cards.has_luhn_digit(body + digit)


def test_a_wrong_digit_and_two_swapped_ones_are_noticed():
    """What a finger does to a number; 09 and 90 are the pair that the method cannot tell apart."""
    number = "4711000815" + cards.luhn_digit("4711000815")
    for place, digit in enumerate(number):
        other = str((int(digit) + 1) % 10)
        assert not cards.has_luhn_digit(number[:place] + other + number[place + 1 :])
    for place in range(len(number) - 1):
        pair = number[place : place + 2]
        if pair[0] != pair[1] and set(pair) != {"0", "9"}:
            assert not cards.has_luhn_digit(number[:place] + pair[::-1] + number[place + 2 :])


def test_cards_have_the_pattern_that_was_asked_for_and_no_number_twice():
    """Prefix, length, check digit, PIN; every digit of a PIN comes up at every place."""
    made = cards.new_cards(2000, "4711", 12, 6)
    assert 2000 == len({one.number for one in made})
    assert all(one.number.startswith("4711") and len(one.number) == 12 for one in made)
    assert all(cards.has_luhn_digit(one.number) for one in made)
    for place in range(6):
        assert set("0123456789") == {one.pin[place] for one in made}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0, "", 12, 6), "not 0"),
        ((50_001, "", 12, 6), "not 50001"),
        ((1, "", 5, 6), "a card has 6 to 20 digits, not 5"),
        ((1, "", 12, 3), "a PIN has 4 to 12 digits, not 3"),
        ((1, "47x", 12, 6), "prefix '47x' is not digits"),
        ((1, "٤٧", 12, 6), "is not digits"),
        ((11, "4711000", 11, 6), "leave too little to chance"),
        ((1, "471100081512", 12, 6), "leave too little to chance"),
    ],
)
def test_a_batch_that_cannot_be_is_refused_by_what_is_wrong(arguments, words):
    """Among few possible numbers a guesser would find one."""
    with pytest.raises(BadBatch, match=words):
        cards.new_cards(*arguments)


def test_codes_are_long_and_different():
    """A voucher's code is all that there is to guess."""
    codes = cards.new_codes(1000, 14)
    assert (1000, {14}) == (len(set(codes)), {len(code) for code in codes})
    assert all(cards.has_luhn_digit(code) for code in codes)
    with pytest.raises(BadBatch, match="a voucher has 12 to 20 digits, not 11"):
        cards.new_codes(1, 11)


def test_hashes_are_keyed_and_of_their_kind():
    """A PIN's hash is the documented one; a code's is never a PIN's; blanks and hyphens are for reading alone."""
    expected = hmac.new(KEY.encode(), b"4711000815:123456", hashlib.sha256).hexdigest()
    assert expected == cards.pin_hash(KEY, "4711000815", "123456")
    assert cards.code_hash(KEY, "1234 5678-9012 34") == cards.code_hash(KEY, "12345678901234")
    assert cards.code_hash(KEY, "12345678901234") != cards.code_hash(KEY[::-1], "12345678901234")


# --- midnights --------------------------------------------------------------------------------------------------------

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland", "Asia/Kolkata", "America/Santiago",
         "Asia/Beirut", "Australia/Lord_Howe", "America/Havana")  # fmt: skip


@pytest.mark.parametrize("zone", ZONES)
def test_a_zones_offsets_are_those_of_its_clock(zone):
    """At each change, a second before and after it, and on ordinary days."""
    clock = ZoneInfo(zone)
    offsets = cards.zone_offsets(zone, datetime(2026, 3, 1, tzinfo=UTC))
    moments = [datetime.fromisoformat(since).replace(tzinfo=UTC) for since, _ in offsets]
    assert (datetime(1970, 1, 1, tzinfo=UTC), sorted(moments)) == (moments[0], moments)

    def known(at):
        return [offset for since, (_, offset) in zip(moments, offsets, strict=True) if since <= at][-1]

    near = [since + timedelta(seconds=step) for since in moments[1:] for step in (-1, 0, 1)]
    days = [datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=number * 11) for number in range(300)]
    for at in near + days:
        assert at.astimezone(clock).utcoffset() == timedelta(seconds=known(at)), at


@pytest.mark.parametrize(
    ("day", "zone", "end"),
    [
        ("2026-03-01", "UTC", "2026-03-02T00:00"),
        ("2026-03-28", "Europe/Berlin", "2026-03-28T23:00"),
        ("2026-03-29", "Europe/Berlin", "2026-03-29T22:00"),  # the clocks went forward that day
        ("2026-10-25", "Europe/Berlin", "2026-10-25T23:00"),  # and back
        ("2026-09-05", "America/Santiago", "2026-09-06T04:00"),  # midnight is jumped over
        ("2026-10-31", "America/Havana", "2026-11-01T04:00"),  # at 01:00 it is midnight again
        ("2026-10-24", "Asia/Beirut", "2026-10-24T22:00"),  # at midnight it is 23:00 again
    ],
)
def test_a_day_ends_with_its_last_second(day, zone, end):
    """Whatever the clocks do around midnight; a second before the end it is still that day."""
    found = cards.day_end(date.fromisoformat(day), zone)
    assert datetime.fromisoformat(end).replace(tzinfo=UTC) == found
    before, after = ((found + timedelta(seconds=step)).astimezone(ZoneInfo(zone)).date() for step in (-1, 0))
    assert before == date.fromisoformat(day) < after


def test_a_day_as_typed_is_a_whole_one_and_a_time_is_itself():
    """--expires."""
    assert datetime(2027, 12, 31, 23, tzinfo=UTC) == last_moment("2027-12-31", "--expires", "Europe/Berlin")
    assert datetime(2027, 12, 31, 11, tzinfo=UTC) == last_moment("2027-12-31T12:00+01:00", "--expires", "UTC")
    with pytest.raises(BadInput, match="--expires 'soon'"):
        last_moment("soon", "--expires", "UTC")
    with pytest.raises(BadInput, match="'Mars/Base'"):
        last_moment("2027-12-31", "--expires", "Mars/Base")


# --- the file ---------------------------------------------------------------------------------------------------------


def test_the_file_is_its_owners_alone_and_never_written_over(tmp_path):
    """Mode 600 whatever the umask lets; what is there stays."""
    path = tmp_path / "cards.csv"
    write_slips(path, ("number", "pin"), [("1", "2")])
    assert (0o600, "number,pin\r\n1,2\r\n") == (stat.S_IMODE(path.stat().st_mode), path.read_bytes().decode())
    with pytest.raises(SlipsError, match="File exists"):
        write_slips(path, ("number",), [("3",)])
    (tmp_path / "link.csv").symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(SlipsError, match="File exists"):
        write_slips(tmp_path / "link.csv", ("number",), [("3",)])
    assert [("2", "1")] == read_slips(path, ("pin", "number"))
    with pytest.raises(SlipsError, match="is no list of code"):
        read_slips(path, ("code",))


def test_a_file_that_breaks_off_is_removed(tmp_path):
    """Half a list would be taken for a whole one."""

    def rows():
        yield ("1",)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_slips(tmp_path / "cards.csv", ("number",), rows())
    assert [] == list(tmp_path.iterdir())


def answers(*given):
    """A ledger that says these, one after the other."""
    queue = list(given)

    def issue():
        answer = queue.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return issue


AWAY, NO = LedgerUnavailable("away"), LedgerRefused("key_conflict", "taken")


@pytest.mark.parametrize(
    ("given", "keep", "raised", "stays"),
    [
        (["made"], False, None, True),
        ([AWAY, "made"], False, None, True),
        ([NO], False, LedgerRefused, False),
        ([AWAY, AWAY, AWAY], False, LedgerUnavailable, True),
        ([AWAY, NO], False, LedgerRefused, True),  # the first may have come through
        ([KeyboardInterrupt()], False, LedgerUnavailable, True),
        ([NO], True, LedgerRefused, True),  # a file of an earlier try, perhaps the only copy
    ],
)
def test_the_file_goes_only_when_nothing_was_issued(tmp_path, given, keep, raised, stays):
    """Issued, refused, or nobody knows."""
    path = tmp_path / "cards.csv"
    path.write_text("secrets")
    if raised is None:
        assert "made" == issued(path, "KEY", answers(*given), keep=keep)
    else:
        with pytest.raises(raised) as error:
            issued(path, "KEY", answers(*given), keep=keep)
        assert raised is not LedgerUnavailable or "repeat the command with --key KEY" in str(error.value)
    assert stays == path.exists()
