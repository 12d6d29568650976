"""Guessing a password or a PIN: stopped within ten tries, however it is spread, and the owner calls on.

The stack's limit is three wrong answers from one place, six from all strange ones together (docs/operator.md).
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.security.auth.digest import Challenge, header, response
from tests.support.party import Party
from tests.support.rawsip import SDP
from tests.support.world import IVR_ADDRESS, NUMBER, PASSWORD

TRIES_MAX = 10
GUESSES = 40
OWNER = "127.0.1.1"
NEW_PLACE = "127.0.1.2"


def tried(end, phone, password, **dialog):
    """The answer to one call with this password."""
    call = end.new_dialog(NUMBER, **dialog)
    challenge = Challenge.of(end.ask("INVITE", call))
    shown = header(response(challenge, phone.username, password, call.target))
    return call, end.ask("INVITE", call, headers=[shown]).code


def calls(world, phone, host):
    """Whether the owner gets a call through from there."""
    with Party(world, host=host, user=phone.username) as end:
        call, code = tried(end, phone, PASSWORD)
        return code == 200 and end.hang_up(call).code == 200


def judged(aftermath):
    """How many guesses were looked at, and not refused unseen: what a guesser learns something from."""
    details = [one.get("detail", "") for one in aftermath.events() if one["event"] == "refused"]
    return sum(detail.startswith("wrong: ") for detail in details)


@pytest.fixture(autouse=True)
def _callee(callee):
    """The carrier answers."""


def test_passwords_from_one_address(world, attacker, phone, account, aftermath):
    """Three are looked at, whatever Call-ID they have; then the right one does not help him, and the owner calls."""
    for number in range(GUESSES):
        _, code = tried(attacker, phone, f"guess{number}", call_id=f"rotating-{number}-{phone.username}")
        assert 403 == code
    assert (403, 3) == (tried(attacker, phone, PASSWORD)[1], judged(aftermath))
    assert calls(world, phone, OWNER)
    aftermath.allow(cdrs=1, charged=[account])


def test_passwords_from_many_addresses(world, phone, account, aftermath):
    """Six are looked at in all. The owner calls from where he called before; a new place waits until it is over."""
    assert calls(world, phone, OWNER)
    for number in range(GUESSES):
        with Party(world, host=f"127.0.2.{number + 1}") as end:
            assert 403 == tried(end, phone, f"guess{number}")[1]
    assert 6 == judged(aftermath) <= TRIES_MAX
    assert calls(world, phone, OWNER)
    assert not calls(world, phone, NEW_PLACE)
    aftermath.allow(cdrs=2, charged=[account])


def test_passwords_at_the_same_moment(world, phone, aftermath):
    """Guesses that arrive together are no more than those that come one after another."""
    with ExitStack() as stack:
        ends = [stack.enter_context(Party(world, host=f"127.0.3.{number + 1}")) for number in range(GUESSES)]
        ready = []
        for end in ends:
            call = end.new_dialog(NUMBER)
            challenge = Challenge.of(end.ask("INVITE", call))
            ready.append((end, call, header(response(challenge, phone.username, "guess", call.target))))
        for end, call, shown in ready:
            end.send(end.request("INVITE", call, headers=[shown], body=SDP))
        with ThreadPoolExecutor(GUESSES) as pool:
            codes = list(pool.map(lambda one: one[0].wait_for_final(one[1], "INVITE").code, ready))
    assert [403] * GUESSES == codes
    assert judged(aftermath) <= 6


def test_passwords_from_the_owners_address(world, phone, account, aftermath):
    """Who shares the owner's address has three tries more than from elsewhere, and locks him there, not at another."""
    for place in (OWNER, NEW_PLACE):
        assert calls(world, phone, place)
    for number in range(GUESSES):
        with Party(world, host=OWNER if number % 2 else f"127.0.4.{number + 1}") as end:
            assert 403 == tried(end, phone, f"guess{number}")[1]
    assert judged(aftermath) <= TRIES_MAX
    assert not calls(world, phone, OWNER)
    assert calls(world, phone, NEW_PLACE)
    aftermath.allow(cdrs=3, charged=[account])


def test_forged_addresses_do_not_lock_the_owner(world, attacker, phone, account, aftermath):
    """A wrong answer in the owner's name from his address wants a nonce that was given there: it uses up no try."""
    assert calls(world, phone, OWNER)
    with Party(world, host=OWNER) as forged:  # what a forger can send: he does not hear the challenges to this address
        for _ in range(GUESSES // 2):
            challenge = Challenge.of(attacker.ask("INVITE", attacker.new_dialog(NUMBER)))
            call = forged.new_dialog(NUMBER)
            shown = header(response(challenge, phone.username, "guess", call.target))
            assert 407 == forged.ask("INVITE", call, headers=[shown]).code
    assert 0 == judged(aftermath)
    assert calls(world, phone, OWNER)
    aftermath.allow(cdrs=2, charged=[account])


def shown_to_ivr(end, card, pin, caller):
    """The code of a call through the IVR with this PIN, from this caller number."""
    end.user = caller
    call = end.new_dialog(NUMBER)
    code = end.ask("INVITE", call, headers=[f"X-Meterline-Card: {card.number}", f"X-Meterline-PIN: {pin}"]).code
    if code == 200:
        assert 200 == end.hang_up(call).code
    return code


def asked_by_ivr(end, card, pin, caller):
    """The code of an announcement with this PIN: it must not be a way to guess for nothing."""
    end.user = caller
    call = end.new_dialog(NUMBER)
    return end.ask("OPTIONS", call, headers=[f"X-Meterline-Card: {card.number}", f"X-Meterline-PIN: {pin}"]).code


def test_pins_from_one_number(world, aftermath):
    """Three are looked at; the owner calls from his own number; an announcement counts like a call."""
    card = world.card("1")
    with Party(world, host=IVR_ADDRESS) as ivr:
        for number in range(GUESSES):
            way = asked_by_ivr if number % 2 else shown_to_ivr
            assert 403 == way(ivr, card, f"{number:04}", "4930666")
        for way in (asked_by_ivr, shown_to_ivr):
            assert 403 == way(ivr, card, card.pin, "4930666")
        assert 3 == judged(aftermath)
        assert 200 == shown_to_ivr(ivr, card, card.pin, "4930777")
    aftermath.allow(cdrs=1, charged=[card])


def test_pins_from_many_numbers(world, aftermath):
    """Six are looked at, whatever numbers are shown; the owner calls from where he called before."""
    card = world.card("1")
    with Party(world, host=IVR_ADDRESS) as ivr:
        assert 200 == shown_to_ivr(ivr, card, card.pin, "4930777")
        for number in range(GUESSES):
            assert 403 == shown_to_ivr(ivr, card, f"{number:04}", f"49666{number}")
        assert 6 == judged(aftermath) <= TRIES_MAX
        assert 403 == shown_to_ivr(ivr, card, card.pin, "4930888")
        assert 200 == shown_to_ivr(ivr, card, card.pin, "4930777")
    aftermath.allow(cdrs=2, charged=[card])


def test_one_pin_for_many_cards(world, aftermath):
    """Guessing sideways: each card has its own tries, and unknown ones among them change nothing."""
    cards = [world.card("1") for _ in range(5)]
    with Party(world, host=IVR_ADDRESS) as ivr:
        for number in range(8):
            for card in cards:
                assert 403 == shown_to_ivr(ivr, card, "0000", f"4967{number}")
    assert 6 * len(cards) == judged(aftermath)
