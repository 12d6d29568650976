from dataclasses import replace
from decimal import Decimal

OWN = ("via", "from", "to", "call-id", "cseq")
ELSEWHERE = "127.0.0.21"


def public(message):
    """An answer without what belongs to its own transaction."""
    return message.start_line, [(name, message.headers(name)) for name in message.header_names() if name not in OWN]


def test_digest_refused(scene, world):
    """Nobody learns from a refusal whether the user exists, the password was wrong, or he is locked."""
    customer = world.customer("1")
    phone = world.phone(customer)
    wrong = replace(phone, password="guess")
    unknown = replace(phone, username="nobody")
    callee = scene.callee()
    # 1. A stranger; three guesses at the owner's password; then the right one, from the guesser's address.
    calls = []
    for attempt in (unknown, wrong, wrong, wrong, phone):
        calls += scene.truth(scene.phones([attempt]).wait())
    assert [(403, "bad_credentials")] * 5 == [call.outcome for call in calls]
    assert [None] * 5 == [call.cdr for call in calls]
    # 2. Alike to the last header.
    assert 1 == len({str(public(call.final)) for call in calls})
    assert [] == callee.received("INVITE")
    # 3. The owner's other phone, at another address, is not locked.
    (call,) = scene.truth(scene.phones([phone], host=ELSEWHERE, talk_s=1.5).wait())
    assert (200, Decimal("0.02")) == (call.code, call.charge)
    assert Decimal("0.98") == world.balance(customer)
