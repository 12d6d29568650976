from decimal import Decimal

from tests.support.rawsip import answers
from tests.support.world import IVR_ADDRESS, NUMBER, PASSWORD

SPELLINGS = [
    ("X-Meterline-Card: {number}", "X-Meterline-PIN: {pin}"),
    ("x-meterline-card: {number}", "x-METERLINE-pin: {pin}"),
    ("X-Meterline-Card : {number}", "X-Meterline-PIN \t: {pin}"),
    ("X-Meterline-Card: {number}", "X-Meterline-PIN: {pin}", "X-Meterline-Card: {number}", "X-Meterline-Pin: {pin}"),
    ("X-Meterline-Card:\r\n {number}", "X-Meterline-PIN:\r\n\t{pin}"),
    ("X-Meterline-Card :\r\n   {number}", "X-Meterline-PIN:{pin}"),
]


def test_ignored_and_removed_in_every_spelling(scene, world):
    """A phone that names somebody's card pays for its calls itself, and the carrier sees nothing of it."""
    customer, card = world.customer("1"), world.card("1")
    phone = world.phone(customer)
    callee = scene.raw_callee(answers())
    # 1. A call with each spelling.
    caller = scene.raw(phone.username)
    for spelling in SPELLINGS:
        headers = [header.format(number=card.number, pin=card.pin) for header in spelling]
        dialog = caller.new_dialog(NUMBER)
        assert 200 == caller.invite(dialog, password=PASSWORD, headers=headers).code
        assert 200 == caller.hang_up(dialog).code
    # 2. Not a trace at the carrier.
    invites = callee.received("INVITE")
    assert len(SPELLINGS) == len({one.call_id for one in invites})
    for invite in invites:
        assert "meterline-" not in invite.text.lower()
        assert card.number not in invite.text
    # 3. The phone's account paid, one cent a call; the card nothing.
    assert [Decimal("0.01")] * len(SPELLINGS) == [call.charge for call in scene.truth()]
    assert Decimal(1) - len(SPELLINGS) * Decimal("0.01") == world.balance(customer)
    assert Decimal(1) == world.balance(card)
    assert [] == world.cdrs_of(card)


def test_behind_a_bare_cr(scene, world):
    """A bare CR hides header names from everybody who counts or removes headers: 400."""
    customer = world.customer("1")
    callee = scene.raw_callee(answers())
    caller = scene.raw(world.phone(customer).username)
    for hidden in ("Subject: a\rX-Meterline-Card: 88", "Subject: a\r X-Meterline-PIN: 4711"):
        answer = caller.invite(caller.new_dialog(NUMBER), password=PASSWORD, headers=[hidden])
        assert 400 == answer.code
    assert [] == callee.received("INVITE")
    scene.truth()


def test_an_ivr_that_names_two_cards(scene, world):
    """Two numbers or two PINs are no credential; neither is one without the other."""
    cards = [world.card("1"), world.card("1")]
    callee = scene.raw_callee(answers())
    ivr = scene.raw("4930888", host=IVR_ADDRESS)
    number, other = (f"X-Meterline-Card: {card.number}" for card in cards)
    pin = f"X-Meterline-PIN: {cards[0].pin}"
    for headers in ([number, other, pin], [number, number, pin, pin], [number], [pin], []):
        answer = ivr.invite(ivr.new_dialog(NUMBER), headers=headers)
        assert (403, "bad_credentials") == (answer.code, answer.token)
    assert [] == callee.received("INVITE")
    scene.truth()
    assert [Decimal(1)] * 2 == [world.balance(card) for card in cards]
