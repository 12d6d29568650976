from decimal import Decimal

from tests.support.rawsip import answers, uri_in
from tests.support.world import NUMBER, PASSWORD

DIALLED = [
    NUMBER,
    f"+{NUMBER}",
    f"00{NUMBER}",
    f"011{NUMBER}",
    "030123456",
    "+49-30-123.456",
]
WITH_PARAMETERS = [
    f"+{NUMBER};rn=+4990999999;npdi",
    f"{NUMBER};ext=77",
    "030123456;phone-context=+44",
    f"{NUMBER};isub=9;rn=00881",
]


def test_numbers_rebuilt(scene, world):
    """One number in ten spellings: one URI at the carrier, one price."""
    # 1. A German account dials it in every way.
    tariff = world.tariff()
    world.admin.put_rate(tariff, "4990", "premium", price="60")
    customer = world.customer("1", tariff, country_code="49", international_prefixes="00,011")
    callee = scene.raw_callee(answers())
    caller = scene.raw(world.phone(customer).username)
    for dialled in DIALLED:
        dialog = caller.new_dialog(dialled)
        dialog.target = f"sip:{dialled}@{world.realm};user=phone;rn=+4990999999"
        dialog.remote = f'"Premium" <sip:{dialled};ext=77@{world.realm};user=phone>'
        assert 200 == caller.invite(dialog, password=PASSWORD).code, dialled
        assert 200 == caller.hang_up(dialog).code
    # 2. The carrier sees the rated digits and nothing else.
    wanted = f"sip:{NUMBER}@127.0.0.1:{callee.port};transport=udp"
    invites = {one.call_id: one for one in callee.received("INVITE")}
    assert len(DIALLED) == len(invites)
    for invite in invites.values():
        assert [wanted] == [invite.uri]
        assert [wanted] == [uri_in(body) for body in invite.headers("to")]
        for trace in (";rn", ";ext", "Premium", "user=phone"):
            assert trace not in invite.text
    # 3. One price, and the CDR has both numbers.
    calls = scene.truth()
    assert {(NUMBER, Decimal("0.01"))} == {(call.cdr.callee, call.charge) for call in calls}
    assert Decimal(1) - len(DIALLED) * Decimal("0.01") == world.balance(customer)


def test_parameters_of_the_number_never_pass(scene, world):
    """A number with routing parameters in its user part is not dialled on: nobody rated those."""
    customer = world.customer("1", country_code="49")
    callee = scene.raw_callee(answers())
    caller = scene.raw(world.phone(customer).username)
    for dialled in WITH_PARAMETERS:
        answer = caller.invite(caller.new_dialog(dialled), password=PASSWORD)
        assert (404, "destination_unknown") == (answer.code, answer.token), dialled
    assert [] == callee.received("INVITE")
    scene.truth()
    assert Decimal(1) == world.balance(customer)


def test_what_is_no_number(scene, world):
    """Letters, nothing, other digits, too many digits, and no country code are unknown destinations."""
    customer = world.customer("1")
    callee = scene.raw_callee(answers())
    caller = scene.raw(world.phone(customer).username)
    for dialled in ("alice", "+", "49301234567890123", "0", "+030123", "49%20301", "*#06#"):
        answer = caller.invite(caller.new_dialog(dialled), password=PASSWORD)
        assert (404, "destination_unknown") == (answer.code, answer.token), dialled
    assert [] == callee.received("INVITE")
    scene.truth()
    assert Decimal(1) == world.balance(customer)
