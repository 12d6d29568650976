import json
import os
import subprocess
from decimal import Decimal
from pathlib import Path

from stack.processes import wait_until
from tests.support.party import RING, Party, carrier, on_the_wire

CHECKOUT = Path(__file__).parents[3]
ENDS_WITHIN_S = 6
"""The mark is seen within a second, ringing calls are refused ten a second; the rest is the machine's."""


def meterline(world, *words):
    """What the command printed, as JSON."""
    done = subprocess.run(
        [CHECKOUT / "bin" / "meterline", *words, "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "METERLINE_SETTINGS": str(world.stack.settings_path)},
    )
    assert (0, "") == (done.returncode, done.stderr)
    return json.loads(done.stdout)


def test_a_talking_call_is_ended_from_sql(scene, world):
    """A BYE to both sides, the charge for what was talked, the rest free again."""
    # 1. A call that is funded for ten seconds and would be renewed.
    customer = world.customer("10")
    scene.callee()
    calling = scene.phones([world.phone(customer)], "phone_waits")
    (live,) = world.wait_for_live(customer)
    # 2. Marked in the ledger, by its key.
    assert world.settings.node.name == world.admin.end_call(live["call_key"], "stolen password").node
    # 3. Both sides hear a BYE; charged by the second.
    (call,) = scene.truth(calling.wait())
    assert call.ended_by_proxy
    assert ("answered", "administrator") == (call.cdr.result, call.cdr.end_reason)
    assert call.cdr.detail.startswith("meterline_admin@")
    assert call.cdr.detail.endswith(": stolen password")
    assert call.seconds < ENDS_WITHIN_S
    assert call.charge == Decimal("0.01") * call.cdr.billed_s > 0
    assert Decimal(10) - call.charge == world.balance(customer) == world.money(customer).available


def test_a_ringing_call_is_ended_by_the_command(scene, world):
    """480 to the caller, a CANCEL to the carrier, no charge."""
    # 1. A call that rings.
    customer = world.customer("10")
    callee = scene.callee("callee_rings")
    calling = scene.phones([world.phone(customer)], "phone_waits")
    (live,) = world.wait_for_live(customer, state="open")
    callee.wait_until_sent(code=180)
    # 2. Killed by its key.
    key = live["call_key"]
    assert [{"call_key": key, "ended": True}] == meterline(world, "calls", "kill", key, "--reason", "wrong number")
    # 3. Both sides know.
    (call,) = scene.truth(calling.wait())
    assert (480, "") == call.outcome
    callee.wait_for("CANCEL")
    assert ("cancelled", "administrator", 480) == (call.cdr.result, call.cdr.end_reason, call.cdr.sip_code)
    assert call.cdr.detail.endswith(": wrong number")
    assert Decimal(10) == world.balance(customer) == world.money(customer).available


def test_a_suspended_tree_ends_at_once(world):
    """Two levels below: three that talk, four that ring; a stranger's call goes on, and no new one opens."""
    # 1. A reseller, one below him, and a customer of his; and a customer of the vendor's.
    top = world.reseller("100")
    customer, stranger = world.customer("10", parent=world.reseller("100", parent=top)), world.customer("10")
    with carrier(world) as callee, Party(world, host="127.0.0.71") as caller:
        talking = [caller.call(phone) for phone in world.phones(customer, 3)]
        other = caller.call(world.phone(stranger))
        callee.invites = RING
        ringing = [caller.dial(phone) for phone in world.phones(customer, 4)]
        wait_until(lambda: len(callee.heard("INVITE")) >= 8, 5, "four phones ring")
        world.wait_for_live(customer, 3)
        # 2. Suspended, now.
        told = meterline(world, "reseller", "suspend", top.name, "--now", "--reason", "unpaid")
        assert 7 == told["ending"]
        # 3. All seven end: 480 where it rang, a BYE to both sides where they talked.
        for dialog in ringing:
            assert 480 == caller.wait_for_final(dialog, "INVITE", ENDS_WITHIN_S).code
        for dialog in talking:
            caller.wait_for(lambda one, dialog=dialog: (one.method, one.call_id) == ("BYE", dialog.call_id), "BYE")
            wait_until(lambda dialog=dialog: callee.heard("BYE", call_id=dialog.call_id), 5, "the callee's BYE")
        wait_until(lambda: len(callee.heard("CANCEL")) >= 4, 5, "four CANCELs")
        # 4. Nobody below him opens another; the stranger talks on.
        refused = caller.dial(world.phone(customer))
        assert 480 == caller.wait_for_final(refused, "INVITE").code
        assert 200 == caller.ask("BYE", other).code
        calls = {call.call_id: call for call in on_the_wire(world, [caller], [callee])}
    ended = [calls[dialog.call_id] for dialog in (*ringing, *talking)]
    assert [("cancelled", "administrator")] * 4 + [("answered", "administrator")] * 3 == [
        (call.cdr.result, call.cdr.end_reason) for call in ended
    ]
    assert all(call.cdr.detail.endswith(": unpaid") for call in ended)
    assert {(3, True)} == {(len(call.charges), all(call.charges)) for call in ended[4:]}
    assert "caller" == calls[other.call_id].cdr.end_reason
    world.balance(customer)


def test_whoever_answers_all_the_same_is_hung_up_on(scene, world):
    """The carrier's 200 crosses the CANCEL: ACK and BYE to him, nothing to the caller, and no charge."""
    customer = world.customer("10")
    phone = world.phone(customer)
    at_the_carrier = {"port": world.carrier_ports[0], "user": "late", "invites": RING}
    with AnswersTheCancel(world, **at_the_carrier) as callee, Party(world, host="127.0.0.72") as caller:
        dialog = caller.dial(phone)
        (live,) = world.wait_for_live(customer, state="open")
        wait_until(lambda: callee.heard("INVITE"), 5, "it rings")
        world.admin.end_call(live["call_key"])
        assert 480 == caller.wait_for_final(dialog, "INVITE", ENDS_WITHIN_S).code
        callee.wait_for(lambda one: one.is_request and one.method == "ACK", "ACK")
        callee.wait_for(lambda one: one.is_request and one.method == "BYE", "BYE")
        (call,) = on_the_wire(world, [caller], [callee])
        assert 480 == call.code
    assert ("cancelled", "administrator", ()) == (
        *(call.cdr.result, call.cdr.end_reason),
        tuple(charge for charge in call.charges if charge),
    )
    assert Decimal(10) == world.balance(customer)


class AnswersTheCancel(Party):
    """A carrier that answers a CANCEL with 200, and the INVITE with 200 in the same instant."""

    def _answer(self, request, invites):
        if request.method != "CANCEL":
            super()._answer(request, invites)
            return
        self.send(self.response(request, 200, "OK"), request.source)
        (invite,) = self.heard("INVITE", call_id=request.call_id)
        self.answer(invite)
