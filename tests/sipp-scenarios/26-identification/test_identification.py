from decimal import Decimal

from tests.support.world import NUMBER, OPERATOR_ADDRESS

ADDRESSES = ("127.0.0.41", "127.0.0.42", "127.0.1.77")
NETWORKS = ("127.0.0.41/32", "127.0.0.42/32", "127.0.1.64/28")
BESIDE = "127.0.1.80"


def test_identification(scene, world):
    """Four ways to be known, each charged to its own account."""
    # 1. A phone, a user and a card known by their numbers, an IVR's card, a trunk with two addresses and a range.
    accounts = {name: world.customer("1") for name in ("digest", "number", "trunk")}
    card, card_by_number = world.card("1"), world.card("1")
    by_number = world.phone(accounts["number"])
    world.admin.put_caller_number(world.operator, "493011111", user_id=by_number.user_id)
    world.admin.put_caller_number(world.operator, "493022222", account_id=card_by_number.account_id)
    world.trunk(world.phone(accounts["trunk"]), NETWORKS)
    scene.callee()
    # 2. All call at once.
    phone = world.phone(accounts["digest"])
    sipps = [
        scene.phones([phone], talk_s=1.5),
        scene.calls("phone", [("+493011111", "")], talk_s=1.5, host=OPERATOR_ADDRESS),
        scene.calls("phone", [("493022222", "")], talk_s=1.5, host=OPERATOR_ADDRESS),
        scene.ivr([card], talk_s=1.5),
        *(scene.calls("phone", [("anything", "")], talk_s=1.5, host=address) for address in ADDRESSES),
    ]
    calls = [scene.truth(sipp.wait())[0] for sipp in sipps]
    # 3. Each is answered and costs two cents.
    assert [(200, Decimal("0.02"))] * len(sipps) == [(call.code, call.charge) for call in calls]
    payers = [accounts["digest"], accounts["number"], card_by_number, card, *[accounts["trunk"]] * len(ADDRESSES)]
    assert [payer.account_id for payer in payers] == [call.cdr.account_id for call in calls]
    callers = [phone.username, "493011111", "493022222", "4920555", *["anything"] * len(ADDRESSES)]
    assert callers == [call.cdr.caller.removeprefix("+") for call in calls]
    assert {NUMBER} == {call.cdr.callee for call in calls}
    # 4. From the right purses.
    for account in (accounts["digest"], accounts["number"], card, card_by_number):
        assert Decimal("0.98") == world.balance(account)
    assert Decimal("0.94") == world.balance(accounts["trunk"])


def test_unknown_on_a_trusted_trunk(scene, world):
    """A trunk is trusted to say who calls, not to call for nobody."""
    callee = scene.callee()
    (call,) = scene.truth(scene.calls("phone", [("493099999", "")], host=OPERATOR_ADDRESS).wait())
    assert ((403, "unknown_caller"), None) == (call.outcome, call.cdr)
    assert [] == callee.received("INVITE")


def test_beside_the_range(scene, world):
    """An address that is nobody's is asked for a digest, which a caller's number does not replace."""
    world.trunk(world.phone(world.customer("1")), ["127.0.2.64/28"])
    caller = scene.raw("493011111", host="127.0.2.80")
    assert 407 == caller.ask("INVITE", caller.new_dialog(NUMBER)).code
    within = scene.raw("493011111", host="127.0.2.79")
    scene.callee()
    dialog = within.new_dialog(NUMBER)
    assert 200 == within.ask("INVITE", dialog).code
    assert 200 == within.hang_up(dialog).code
    scene.truth(within)
