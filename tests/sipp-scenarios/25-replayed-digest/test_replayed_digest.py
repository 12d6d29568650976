from decimal import Decimal

from tests.support.rawsip import answers
from tests.support.world import NUMBER, PASSWORD


def test_replayed_digest(scene, world):
    """A digest works once, for one request."""
    # 1. The owner calls; somebody overhears his credentials.
    customer = world.customer("1")
    phone = world.phone(customer)
    callee = scene.raw_callee(answers())
    owner = scene.raw(phone.username)
    dialog = owner.new_dialog(NUMBER)
    assert 200 == owner.invite(dialog, password=PASSWORD).code
    assert 200 == owner.hang_up(dialog).code
    (overheard,) = {
        f"Proxy-Authorization: {one.header('proxy-authorization')}"
        for one in owner.seen
        if one.sent and one.headers("proxy-authorization")
    }
    # 2. Again under another Call-ID; by a thief at the owner's address, and at another; to another number.
    thief, elsewhere = scene.raw("thief"), scene.raw(phone.username, host="127.0.0.22")
    for caller, number in ((owner, NUMBER), (thief, NUMBER), (elsewhere, NUMBER), (owner, "4940999999")):
        replay = caller.new_dialog(number)
        assert caller.ask("INVITE", replay, headers=[overheard]).code in (403, 407)
    # 3. A fresh challenge, answered for another URI than that of the request.
    cheat = owner.new_dialog("4940999999")
    challenge = owner.ask("INVITE", cheat)
    cheap = owner.authorization(challenge, "INVITE", f"sip:{NUMBER}@{world.realm}", phone.username, PASSWORD)
    assert 403 == owner.ask("INVITE", cheat, headers=[cheap]).code
    # 4. One call reached the carrier, one was charged.
    assert 1 == len({one.call_id for one in callee.received("INVITE")})
    (call,) = scene.truth(owner, thief, elsewhere)[:1]
    assert Decimal("0.01") == call.charge
    assert 1 == len(world.cdrs_of(customer))
    assert Decimal("0.99") == world.balance(customer)
