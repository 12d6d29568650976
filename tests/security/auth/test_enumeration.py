"""Known, unknown and locked: nobody learns from a refusal which it was, by its bytes or by the time it takes."""

import itertools
import re
import sys

import pytest

from tests.security.auth.digest import Challenge, header, response
from tests.support import timing
from tests.support.party import Party
from tests.support.rawsip import RawSip
from tests.support.world import IVR_ADDRESS, NUMBER, OPERATOR_ADDRESS, PASSWORD

SAMPLES = 300
"""Of each class; `bench/timing.py` takes 2000. What they can show is told at tests.support.timing.advantage."""
ADVANTAGE_MAX = 0.6
OWN = ("via", "from", "to", "call-id", "cseq")
TAG = re.compile(r"tag=[^;\r\n]+")


def bytes_of(answer):
    """An answer to the last byte, apart from what it repeats of its request, and the proxy's To-tag."""
    lines = answer.text.split("\r\n")
    kept = [line for line in lines if line.partition(":")[0].strip().lower() not in OWN]
    names = [line.partition(":")[0] for line in lines]
    return "\r\n".join(kept), names, [len(tag) for tag in TAG.findall(answer.header("to"))]


def by_digest(end, username, password):
    """The answer to a call with these credentials."""
    call = end.new_dialog(NUMBER)
    challenge = Challenge.of(end.ask("INVITE", call))
    return end.ask("INVITE", call, headers=[header(response(challenge, username, password, call.target))])


def by_card(end, method, number, pin, caller="4930666"):
    """The answer to a call or a question of the IVR."""
    end.user = caller
    call = end.new_dialog(NUMBER)
    return end.ask(method, call, headers=[f"X-Meterline-Card: {number}", f"X-Meterline-PIN: {pin}"])


def test_users_are_alike(world, attacker, phone, account, callee):
    """Wrong, unknown, locked with a wrong and with the right password, without money, suspended: one answer."""
    poor = world.phone(world.customer("0"))
    suspended = world.phone(world.customer("1", status="suspended"))
    answers = [
        by_digest(attacker, *shown)
        for shown in (
            (phone.username, "guess"),
            ("nobody", "guess"),
            (poor.username, "guess"),
            (suspended.username, "guess"),
            *[(phone.username, "guess")] * 5,
            (phone.username, PASSWORD),
        )
    ]
    assert {403} == {answer.code for answer in answers}
    assert 1 == len({str(bytes_of(answer)) for answer in answers}), answers


def test_challenges_are_alike(world, attacker, phone):
    """Before anybody shows a password all names get the same challenge, but for its nonce."""
    answers = []
    for name in (phone.username, "nobody", "x" * 200):
        attacker.user = name
        answers.append(attacker.ask("INVITE", attacker.new_dialog(NUMBER)))
    shown = {re.sub(r'nonce="[^"]+"', "", str(bytes_of(answer))) for answer in answers}
    assert (1, {407}) == (len(shown), {answer.code for answer in answers})


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_cards_are_alike(world, method):
    """A wrong PIN, an unknown card, a locked card with the wrong and the right PIN, one without money."""
    card, poor = world.card("1"), world.card("0")
    with Party(world, host=IVR_ADDRESS) as ivr:
        answers = [
            by_card(ivr, method, *shown)
            for shown in (
                (card.number, "0000"),
                ("7700000000", "0000"),
                ("not-a-card", "0000"),
                (poor.number, "0000"),
                *[(card.number, "0000")] * 5,
                (card.number, card.pin),
            )
        ]
    assert {403} == {answer.code for answer in answers}
    assert 1 == len({str(bytes_of(answer)) for answer in answers}), answers


def test_caller_numbers_are_alike(world, phone):
    """On a trunk that is trusted with numbers: one that nobody has, one of another trunk, one that is none."""
    elsewhere = world.admin.create_trunk(f"elsewhere{phone.user_id}", "caller_number", ["127.0.9.9/32"])
    world.admin.put_caller_number(elsewhere, "493088888", user_id=phone.user_id)
    answers = []
    with Party(world, host=OPERATOR_ADDRESS) as operator:
        for number in ("493099999", "493088888", "anonymous", "0" * 40, "%27"):
            operator.user = number
            answers.append(operator.ask("INVITE", operator.new_dialog(NUMBER)))
    assert {403} == {answer.code for answer in answers}
    assert 1 == len({str(bytes_of(answer)) for answer in answers}), answers


@pytest.mark.parametrize(
    ("host", "classes"),
    [("127.0.0.66", timing.digest_classes), (IVR_ADDRESS, timing.card_classes)],
    ids=["users", "cards"],
)
def test_times_are_alike(stack, world, host, classes):
    """By the best threshold between two classes' times an attacker is right in less than six of ten cases."""
    with RawSip(stack.sip_address, world.realm, host=host) as end:
        found = timing.samples(classes(world, end, SAMPLES), SAMPLES)
    shares = {pair: timing.advantage(found[pair[0]], found[pair[1]]) for pair in itertools.combinations(found, 2)}
    sys.stdout.write(f"seed {timing.SEED}, {SAMPLES} of each: {shares}\n")
    assert max(shares.values()) < ADVANTAGE_MAX, shares
