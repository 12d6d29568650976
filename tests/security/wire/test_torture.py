"""RFC 4475, every message: over UDP and TCP from a stranger, and from a trunk, which needs no password.

What is wanted is in the table below. What cannot be parsed gets no answer, or one that fits; nothing
may be relayed, charged or recorded, and the proxy goes on (tests/support/aftermath.py).
"""

import pytest

from tests.security.wire.torture import MESSAGES
from tests.support.pings import answers_before_pong
from tests.support.rawsip import RawSip
from tests.support.tcp import TcpEnd

STRANGER, TRUNK = "127.0.0.66", "127.0.0.67"
CHALLENGED = {407}
NOT_SERVED = {405, 501}
MALFORMED = {400}
NOTHING: set[int] = set()
NOT_FOUND = {404}
"""An OPTIONS for a number asks for a quote, which is for an IVR alone."""

# name: (codes over UDP, codes over TCP). An empty set: no answer; over TCP the connection may be closed as well.
WANTED = {
    "wsinv": (NOTHING, NOTHING),  # its folded CSeq is more than Kamailio's parser takes
    "intmeth": (NOTHING, NOTHING),  # an escaped NUL in a name
    "esc01": (CHALLENGED, CHALLENGED),
    "escnull": (NOT_SERVED, NOT_SERVED),
    "esc02": (NOTHING, NOTHING),  # % in a header's name
    "lwsdisp": (NOT_FOUND, NOT_FOUND),
    "longreq": (MALFORMED, MALFORMED),  # a From-tag longer than the ledger's column
    "dblreq": (MALFORMED, NOT_SERVED | MALFORMED),  # over TCP the rest is a second request, and has no Contact
    "semiuri": (NOT_FOUND, NOT_FOUND),
    "transports": (NOT_FOUND, NOT_FOUND),
    "mpart01": (MALFORMED, MALFORMED),  # not UTF-8
    "unreason": (NOTHING, NOTHING),
    "noreason": (NOTHING, NOTHING),
    "badinv01": (NOTHING, NOTHING),
    "clerr": (MALFORMED, NOTHING),  # over TCP the rest is waited for
    "ncl": (NOTHING, NOTHING),
    "scalar02": (MALFORMED, MALFORMED),
    "scalarlg": (NOTHING, NOTHING),
    "quotbal": (NOTHING, NOTHING),
    "ltgtruri": (MALFORMED, MALFORMED),
    "lwsruri": (NOTHING, NOTHING),
    "lwsstart": (NOTHING, NOTHING),
    "trws": (NOT_FOUND, NOT_FOUND),
    "escruri": (CHALLENGED, CHALLENGED),
    "baddate": (CHALLENGED, CHALLENGED),
    "regbadct": (NOT_SERVED, NOT_SERVED),
    "badaspec": (NOT_FOUND, NOT_FOUND),
    "baddn": (NOT_FOUND, NOT_FOUND),
    "badvers": (NOTHING, NOTHING),
    "mismatch01": (MALFORMED, MALFORMED),
    "mismatch02": (MALFORMED, MALFORMED),
    "bigcode": (NOTHING, NOTHING),
    "badbranch": (NOT_FOUND, NOT_FOUND),
    "insuf": (NOTHING, NOTHING),  # no From and no Call-ID: there is nobody to answer
    "unkscm": (MALFORMED, MALFORMED),
    "novelsc": (MALFORMED, MALFORMED),
    "unksm2": (MALFORMED, MALFORMED),
    "bext01": (NOT_FOUND | {420}, NOT_FOUND | {420}),
    "invut": (CHALLENGED, CHALLENGED),
    "regaut01": (NOT_SERVED, NOT_SERVED),
    "multi01": (NOTHING, NOTHING),
    "mcl01": (NOTHING, NOTHING),
    "bcast": (NOTHING, NOTHING),
    "zeromf": ({483}, {483}),
    "cparam01": (NOT_SERVED, NOT_SERVED),
    "cparam02": (NOT_SERVED, NOT_SERVED),
    "regescrt": (NOT_SERVED, NOT_SERVED),
    "sdp01": (CHALLENGED, CHALLENGED),
    "inv2543": (MALFORMED, NOTHING),  # RFC 3261 wants a tag in From, and a Content-Length on a stream
}


@pytest.fixture(scope="module")
def trunk_account(world):
    """Its calls need no password: the address is the credential."""
    account = world.customer("1")
    world.trunk(world.phone(account), [f"{TRUNK}/32"])
    return account


def codes(messages):
    return {one.code for one in messages}


def test_all_of_them():
    """Every section of RFC 4475 that has a message: 3.1.1 (13), 3.1.2 (19), 3.2 (1), 3.3 (15), 3.4 (1)."""
    sections = [one.section for one in MESSAGES.values()]
    chapters = ("3.1.1.", "3.1.2.", "3.2", "3.3", "3.4")
    counts = [sum(section.startswith(chapter) for section in sections) for chapter in chapters]
    assert [13, 19, 1, 15, 1] == counts
    assert list(WANTED) == list(MESSAGES)


@pytest.mark.parametrize("name", MESSAGES)
def test_torture(world, gateway, callee, aftermath, trunk_account, name):
    """The answer that is wanted and no other, whoever sends it on whatever; no gateway hears of it."""
    over_udp, over_tcp = WANTED[name]
    # 1. From a stranger, over TCP and over UDP.
    with TcpEnd(callee.proxy, host=STRANGER) as end:
        assert_wanted(end, name, over_tcp, limit_s=0.3 if name == "clerr" else 3.0)
    with RawSip(world.stack.sip_address, world.realm, host=STRANGER) as end:
        assert_wanted(end, name, over_udp)
    # 2. From a trunk: an INVITE that can be read is a call; it is refused, for `user` is no number, and costs nothing.
    is_call = over_udp == CHALLENGED
    with RawSip(world.stack.sip_address, world.realm, host=TRUNK) as end:
        assert_wanted(end, name, {100, 404} if is_call else over_udp)
    assert "INVITE" not in callee.requests()
    aftermath.allow(cdrs=is_call)


def assert_wanted(end, name, wanted, limit_s=3.0):
    """Send the message; all wanted codes come, or one of them where any will do, and no other."""
    end.send(MESSAGES[name].data)
    answers = answers_before_pong(end, wanted=2 if 100 in wanted else bool(wanted), limit_s=limit_s)
    assert codes(answers) <= wanted, [one.start_line for one in answers]
    assert answers or not wanted, f"no answer to {name}"
