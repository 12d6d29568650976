"""How long refusals take, by the class of what was refused: what an attacker could tell apart by a clock."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Sequence

from tests.support.rawsip import SDP, RawSip
from tests.support.world import IVR_ADDRESS, NUMBER, World

SEED = 20261123
GUESSES_PER_CREDENTIAL = 2
"""Fewer than would lock it: a wrong answer is to be a wrong one to the end."""


def advantage(one: Sequence[float], other: Sequence[float]) -> float:
    """The share of right guesses, of 0.5 to 1, by the best threshold between two classes that are as frequent.

    It is (1 + D) / 2 with D of Kolmogorov and Smirnov. By chance alone it exceeds 0.6 (D > 0.2) once in 10^5 times with
    300 of each (2 exp(-300 x 0.04)); a true advantage of 0.7 is missed by the limit 0.6 less than once in 10^5.
    """
    times = sorted([(value, 1 / len(one)) for value in one] + [(value, -1 / len(other)) for value in other])
    return (1 + max(abs(step) for step in itertools.accumulate(weight for _, weight in times))) / 2


def samples(classes: dict[str, Callable[[], float]], count: int) -> dict[str, list[float]]:
    """So many times of each class, in rounds, each round in another order: a slow minute meets all alike."""
    chance, found = random.Random(SEED), {name: [] for name in classes}
    for _ in range(count):
        for name in chance.sample(sorted(classes), len(classes)):
            found[name].append(classes[name]())
    return found


def digest_classes(world: World, end: RawSip, count: int) -> dict[str, Callable[[], float]]:
    """Wrong passwords of users who exist, names that nobody has, and one who is locked."""
    account = world.customer("1")
    users = [world.phone(account).username for _ in range(count // GUESSES_PER_CREDENTIAL + 1)]
    known = itertools.chain.from_iterable(itertools.repeat(user, GUESSES_PER_CREDENTIAL) for user in users)
    unknown = (f"phone-{number}" for number in itertools.count())
    locked = world.phone(account).username
    for _ in range(10):
        refused_in(end, locked)
    return {
        "known": lambda: refused_in(end, next(known)),
        "unknown": lambda: refused_in(end, next(unknown)),
        "locked": lambda: refused_in(end, locked),
    }


def card_classes(world: World, end: RawSip, count: int) -> dict[str, Callable[[], float]]:
    """Wrong PINs of cards that exist, cards that do not, and one that is locked, shown by the IVR."""
    assert end.host == IVR_ADDRESS
    cards = [world.card("0").number for _ in range(count // GUESSES_PER_CREDENTIAL + 1)]
    known = itertools.chain.from_iterable(itertools.repeat(card, GUESSES_PER_CREDENTIAL) for card in cards)
    unknown = (f"77{number:08}" for number in itertools.count())
    locked = world.card("0").number
    for _ in range(10):
        pin_refused_in(end, locked)
    return {
        "known": lambda: pin_refused_in(end, next(known)),
        "unknown": lambda: pin_refused_in(end, next(unknown)),
        "locked": lambda: pin_refused_in(end, locked),
    }


def refused_in(end: RawSip, username: str) -> float:
    """Seconds from an INVITE with a wrong password to its 403."""
    call = end.new_dialog(NUMBER)
    challenge = end.ask("INVITE", call)
    shown = end.authorization(challenge, "INVITE", call.target, username, "guess")
    return _timed(end, call, [shown])


def pin_refused_in(end: RawSip, card: str) -> float:
    """Seconds from an INVITE with a wrong PIN to its 403."""
    return _timed(end, end.new_dialog(NUMBER), [f"X-Meterline-Card: {card}", "X-Meterline-PIN: 0000"])


def _timed(end: RawSip, call, headers: list[str]) -> float:
    branch = f"z9hG4bK{call.call_id[4:20]}{call.cseq}"
    text = end.request("INVITE", call, headers=headers, body=SDP, branch=branch)
    began = time.perf_counter()
    end.send(text)
    answer = end.wait_for_final(call, "INVITE")
    took = time.perf_counter() - began
    assert 403 == answer.code, answer.text
    end._acknowledge(call, answer, branch, "")
    end.seen.clear()
    return took
