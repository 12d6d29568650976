from decimal import Decimal

import pytest

from stack.processes import wait_until
from tests.support.party import Party, carrier, on_the_wire

HOST = "127.0.0.73"


@pytest.fixture
def caller(world):
    with Party(world, host=HOST) as party:
        yield party


@pytest.fixture
def callee(world):
    with carrier(world) as party:
        yield party


def tariff(world, owner=None):
    """A cent a second to Germany, Britain and international premium numbers."""
    made = world.tariff(owner=owner)
    for prefix in ("44", "979"):
        world.admin.put_rate(made, prefix, f"to {prefix}", price="0.60")
    return made


def outcome(world, caller, phone, dialled):
    """Code of a call, which is hung up at once, and the reason in its CDR."""
    dialog = caller.dial(phone, dialled)
    answer = caller.wait_for_final(dialog, "INVITE")
    if answer.code == 200:
        caller.establish(dialog, answer)
        caller.send(caller.request("ACK", dialog, cseq=dialog.cseq))
        caller.ask("BYE", dialog)
    wait_until(lambda: bool(world.cdrs([dialog.call_id])[dialog.call_id]), 10, "the call has its CDR")
    (cdr,) = world.cdrs([dialog.call_id])[dialog.call_id]
    assert answer.code == 200 or (answer.token, cdr.result, cdr.legs) == ("destination_barred",) * 2 + ((),)
    return answer.code, cdr.detail


def test_the_longest_prefix_decides_on_every_level(world, caller, callee):
    """The account's, the user's and the reseller's; each names itself in the CDR, and a change acts at once."""
    reseller = world.reseller("100", tariff(world))
    customer = world.customer("100", tariff(world, reseller), parent=reseller)
    phone = world.phone(customer)
    admin = world.admin

    admin.bar_prefix(customer.name, None, "49")
    admin.allow_prefix(customer.name, None, "4930")
    assert (200, "") == outcome(world, caller, phone, "4930123456")
    assert (403, f"leg 0 account {customer.name}: 4940123456: prefix 49 is barred") == outcome(
        world, caller, phone, "4940123456"
    )
    admin.bar_prefix(customer.name, phone.username, "")
    admin.allow_prefix(customer.name, phone.username, "44")
    assert (403, f"leg 0: user {phone.username}: 4930123456: every number is barred") == outcome(
        world, caller, phone, "4930123456"
    )
    assert 200 == outcome(world, caller, phone, "4420123456")[0]
    admin.bar_prefix(reseller.name, None, "4420")
    assert (403, f"leg 1 account {reseller.name}: 4420123456: prefix 4420 is barred") == outcome(
        world, caller, phone, "4420123456"
    )
    admin.forget_prefix(reseller.name, None, "4420")
    assert 200 == outcome(world, caller, phone, "4420123456")[0]
    on_the_wire(world, [caller], [callee])
    assert Decimal(0) == world.money(customer).held
    world.balance(customer)


def test_premium_ranges_are_barred_until_every_level_allows_them(world, caller, callee):
    """By the flag or the prefix; a range that is added is known within seconds."""
    reseller = world.reseller("100", tariff(world))
    customer = world.customer("100", tariff(world, reseller), parent=reseller)
    phone = world.phone(customer)

    code, detail = outcome(world, caller, phone, "97912345")
    assert (403, True) == (code, detail.startswith(f"leg 0 account {customer.name}: 97912345: prefix 979 ("))
    world.admin.set_account(customer.name, premium_allowed=True)
    code, detail = outcome(world, caller, phone, "97912345")
    assert (403, True) == (code, detail.startswith(f"leg 1 account {reseller.name}: 97912345: prefix 979 ("))
    world.admin.allow_prefix(reseller.name, None, "979")
    assert 200 == outcome(world, caller, phone, "97912345")[0]

    path = world.settings.node.state_dir / "directory.json"
    world.admin.put_premium_prefix("4470", "United Kingdom personal", "this test")
    wait_until(lambda: '"4470"' in path.read_text(encoding="utf-8"), 10, "the node knows the new range")
    assert 403 == outcome(world, caller, phone, "4470123456")[0]
    world.admin.remove_premium_prefix("4470")
    wait_until(lambda: '"4470"' not in path.read_text(encoding="utf-8"), 10, "the node has forgotten it")
    assert 200 == outcome(world, caller, phone, "4470123456")[0]
    on_the_wire(world, [caller], [callee])


def test_an_emergency_number_is_never_barred(world, caller, callee):
    """Whatever the account may call."""
    customer = world.customer("1")
    phone = world.phone(customer)
    world.admin.bar_prefix(customer.name, None, "")
    caller.user = phone.username
    dialog = caller.new_dialog("112")
    answer = caller.invite(dialog)
    assert 200 == answer.code
    caller.establish(dialog, answer)
    caller.send(caller.request("ACK", dialog, cseq=dialog.cseq))
    assert 200 == caller.ask("BYE", dialog).code
    on_the_wire(world, [caller], [callee])


def test_a_users_own_limits(world, caller, callee):
    """His longest call, and his calls a second; his colleague has none."""
    customer = world.customer("100")
    phone, colleague = world.phones(customer, 2)
    world.admin.set_user(customer.name, phone.username, max_calls_per_second=0, longest_call_s=2)
    dialog = caller.dial(phone)
    answer = caller.wait_for_final(dialog, "INVITE")
    assert (480, "too_fast") == (answer.code, answer.token)
    assert 200 == outcome(world, caller, colleague, "4930123456")[0]
    world.admin.set_user(customer.name, phone.username, max_calls_per_second=None)
    caller.call(phone)
    caller.wait_for(lambda one: one.is_request and one.method == "BYE", "BYE", 6)
    calls = on_the_wire(world, [caller], [callee])
    assert [("cut", 2)] == [(one.cdr.end_reason, one.cdr.billed_s) for one in calls if one.cdr.end_reason == "cut"]


def test_a_resellers_ivr_takes_his_own_cards_alone(scene, world):
    """Another's card is as unknown as a wrong PIN, and rings nowhere."""
    reseller = world.reseller("100")
    own, other = world.card("1", parent=reseller), world.card("1")
    world.admin.add_trunk(f"ivr of {reseller.name}", "ivr", reseller.name, None)
    world.admin.add_trunk_network(f"ivr of {reseller.name}", "127.0.0.74/32")
    wait_until(
        lambda: '"127.0.0.74/32"' in (world.settings.node.state_dir / "directory.json").read_text(encoding="utf-8"),
        10,
        "the node knows the trunk's network",
    )
    callee = scene.callee()
    calls = scene.truth(scene.ivr([own, other], host="127.0.0.74", talk_s=0.5).wait())
    assert [(200, ""), (403, "bad_credentials")] == [call.outcome for call in calls]
    assert 1 == len(callee.received("INVITE"))
    world.admin.remove_trunk(f"ivr of {reseller.name}")
