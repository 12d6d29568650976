"""The short form of `make attacks`: some thousands of mutations of real messages, always the same."""

import pytest

from stack.node import Stack
from stack.processes import free_port
from tests.security import mutations
from tests.security.mutate import mutated
from tests.support.aftermath import account_for_good_calls
from tests.support.world import World

SEED, COUNT = 4475, 3000


@pytest.fixture(scope="module")
def own_world(tmp_path_factory):
    """On a stack of its own: mutated passwords must lock nobody out."""
    with Stack(tmp_path_factory.mktemp("mutations"), overrides=mutations.OVERRIDES) as running:
        yield World(running, [free_port() for _ in range(3)])


def test_a_seed_says_it_all():
    """The same seed and number change a message in the same way; others in other ways."""
    message = b"INVITE sip:1@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\nCSeq: 1 INVITE\r\n\r\nbody"
    assert mutated(message, SEED, 17) == mutated(message, SEED, 17)
    assert 90 < len({mutated(message, SEED, number) for number in range(100)})
    assert mutated(message, SEED, 17) != mutated(message, SEED + 1, 17)


def test_mutations(own_world):
    """Whatever is wrong with a message, the proxy goes on, and nobody pays but the sender."""
    good = account_for_good_calls(own_world)
    mutations.run(own_world, good, seed=SEED, first=0, count=COUNT, say=mutations.say)
