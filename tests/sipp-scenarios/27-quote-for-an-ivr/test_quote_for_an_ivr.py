from decimal import Decimal

from tests.support.world import IVR_ADDRESS, NUMBER


def quote(ivr, card, *, number=NUMBER, pin=None):
    headers = [f"X-Meterline-Card: {card.number}", f"X-Meterline-PIN: {pin or card.pin}"]
    return ivr.ask("OPTIONS", ivr.new_dialog(number), headers=headers)


def announced(answer):
    names = ("X-Meterline-Balance", "X-Meterline-Currency", "X-Meterline-Seconds")
    balance, currency, seconds = (answer.header(name) for name in names)
    return answer.code, Decimal(balance), currency, int(seconds)


def test_quote(scene, world):
    """Balance and seconds for this card and this number, now."""
    ivr = scene.raw("4930555", host=IVR_ADDRESS)
    card, below, empty = world.card("1"), world.card("1", parent=world.reseller("0.50")), world.card("0")
    # 1. Its own money; the least of the chain; none.
    assert (200, Decimal(1), "EUR", 100) == announced(quote(ivr, card))
    assert (200, Decimal(1), "EUR", 50) == announced(quote(ivr, below))
    refused = quote(ivr, empty)
    assert (402, Decimal(0), "EUR", 0) == announced(refused)
    assert "insufficient_balance" == refused.token
    # 2. A number that nobody sells.
    unknown = quote(ivr, card, number="3314012345")
    assert (404, "destination_unknown", "0") == (unknown.code, unknown.token, unknown.header("X-Meterline-Seconds"))
    # 3. A wrong PIN tells nothing.
    wrong = quote(ivr, card, pin="0000")
    assert (403, "bad_credentials") == (wrong.code, wrong.token)
    assert "x-meterline" not in wrong.text.lower()
    # 4. Nothing was held, nothing recorded.
    assert Decimal(1) == world.balance(card) == world.money(card).available
    assert [] == world.cdrs_of(card) + world.cdrs_of(empty)


def test_not_for_others(scene, world):
    """A phone that knows number and PIN learns nothing, and a ping is still a ping."""
    card = world.card("1")
    phone = scene.raw("phone")
    answer = quote(phone, card)
    assert 404 == answer.code
    assert "x-meterline" not in answer.text.lower()
    ping = phone.new_dialog("nobody")
    assert 200 == phone.ask("OPTIONS", ping, uri=f"sip:{world.stack.sip_address}").code
