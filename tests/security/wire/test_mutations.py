"""The short form of `make attacks`: some thousands of mutations of real messages, always the same."""

import pytest

from stack.node import Stack
from stack.processes import free_port
from tests.security import mutations
from tests.security.mutate import mutated
from tests.support.aftermath import account_for_good_calls
from tests.support.messages import Message
from tests.support.world import IVR_ADDRESS, NUMBER, World

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


SHOWN, QUEEN = f"<sip:+{mutations.SHOWN_NUMBER}@meterline.test>", "<sip:+442079304832@palace.example>"
PHONE, OFFICE = f"{mutations.PHONE_NETWORK}.1", f"{mutations.TRUNK_NETWORK}.1"


def seen(source, shown, *headers, method="INVITE", number=NUMBER, to_tag=""):
    """A request as a carrier gets it."""
    lines = [
        f"{method} sip:{number}@127.0.0.1:5999;transport=udp SIP/2.0",
        "Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKproxy",
        f"Via: SIP/2.0/UDP 10.0.0.1:5060;received={source};branch=z9hG4bKx;received={IVR_ADDRESS};rport=5060",
        f"From: {shown};tag=x",
        f"To: <sip:{number}@127.0.0.1>{to_tag}",
        *headers,
    ]
    return Message("\r\n".join(lines) + "\r\n\r\n")


def asserted(body):
    return f"P-Asserted-Identity: {body}"


def test_what_a_carrier_may_be_shown(own_world):
    """The one identity that is the sender's, once, and nothing else: whatever is more or other is found."""
    told = "<sip:+4930777@meterline.test>"
    good = [
        seen(PHONE, SHOWN, asserted(SHOWN)),
        seen(PHONE, mutations.ANONYMOUS),
        seen(OFFICE, mutations.ANONYMOUS),
        seen(IVR_ADDRESS, told, asserted(told)),
        seen(PHONE, QUEEN, number="112"),
        seen(PHONE, SHOWN, method="BYE", to_tag=";tag=y"),
    ]
    bad = [
        seen(PHONE, SHOWN),
        seen(PHONE, SHOWN, asserted(SHOWN), asserted(SHOWN)),
        seen(PHONE, SHOWN, asserted(QUEEN)),
        seen(PHONE, SHOWN, asserted(f"{SHOWN}, {QUEEN}")),
        seen(PHONE, QUEEN, asserted(QUEEN)),
        seen(PHONE, "<sip:phone1@meterline.test>", asserted("<sip:phone1@meterline.test>")),
        seen(PHONE, told, asserted(told)),
        seen(PHONE, mutations.ANONYMOUS, asserted(SHOWN)),
        seen(OFFICE, SHOWN, asserted(SHOWN)),
        seen(IVR_ADDRESS, QUEEN, asserted(QUEEN)),
        seen(PHONE, SHOWN, asserted(SHOWN), method="BYE", to_tag=";tag=y"),
        seen(PHONE, SHOWN, asserted(SHOWN), "Remote-Party-ID: <sip:1@x>"),
    ]
    mutations.assert_kept_back(good, own_world)
    for one in bad:
        with pytest.raises(AssertionError):
            mutations.assert_kept_back([one], own_world)


def test_mutations(own_world):
    """Whatever is wrong with a message, the proxy goes on, and nobody pays but the sender."""
    good = account_for_good_calls(own_world)
    mutations.run(own_world, good, seed=SEED, first=0, count=COUNT, say=mutations.say)
