from decimal import Decimal

import pytest

from stack.node import Stack
from stack.processes import free_port
from tests.support.rawsip import answers
from tests.support.scene import Scene
from tests.support.world import NUMBER, PASSWORD, World


@pytest.fixture
def scene(tmp_path, request):
    """A stack that asks for SHA-256."""
    with Stack(tmp_path / "stack", overrides={"sip": {"digest_algorithm": "SHA-256"}}) as stack:
        made = Scene(World(stack, [free_port()]), tmp_path, request.path.parent)
        yield made
        made.end()


def test_sha_256(scene):
    """The setting decides the challenge, the check, and that nothing weaker passes."""
    world = scene.world
    customer = world.customer("1")
    phone = world.phone(customer)
    scene.raw_callee(answers())
    caller = scene.raw(phone.username)
    # 1. The challenge names the algorithm; its answer calls.
    dialog = caller.new_dialog(NUMBER)
    challenge = caller.ask("INVITE", dialog)
    assert "algorithm=SHA-256" in challenge.header("proxy-authenticate")
    assert 200 == caller.invite(dialog, password=PASSWORD).code
    assert 200 == caller.hang_up(dialog).code
    # 2. The right password by MD5 is no answer to it.
    weaker = caller.new_dialog(NUMBER)
    asked = caller.ask("INVITE", weaker)
    header = caller.authorization(
        asked, "INVITE", f"sip:{NUMBER}@{world.realm}", phone.username, PASSWORD, algorithm="MD5"
    )
    assert caller.ask("INVITE", weaker, headers=[header]).code in (403, 407)
    # 3. One call, one cent.
    (call,) = [one for one in scene.truth() if one.code == 200]
    assert Decimal("0.01") == call.charge
    assert Decimal("0.99") == world.balance(customer)
    assert [] == world.cashier.audit()
