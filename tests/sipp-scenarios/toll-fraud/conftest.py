"""A call that stands, a gateway that nobody may reach, and an attacker."""

from dataclasses import dataclass

import pytest

from billing.ledger_types import Cdr
from tests.support.messages import Message
from tests.support.party import Party, books_are_right, carrier, on_the_wire
from tests.support.rawsip import Dialog
from tests.support.world import Account, World

CALLER_HOST = "127.0.0.21"
ATTACKER_HOST = "127.0.0.66"


@dataclass
class Stage:
    """`dialog` is the caller's side of the call, `invite` what the callee got."""

    world: World
    account: Account
    caller: Party
    callee: Party
    gateway: Party
    dialog: Dialog
    invite: Message

    def hang_up_and_join(self) -> Cdr:
        """The caller hangs up; both ends agree with the CDR, which is returned. The callee got that BYE alone."""
        assert 200 == self.caller.hang_up(self.dialog).code
        assert 1 == self.callee.requests().count("BYE")
        return self.joined("caller")

    def joined(self, end_reason: str) -> Cdr:
        (call,) = on_the_wire(self.world, [self.caller], [self.callee])
        assert (200, end_reason) == (call.code, call.cdr.end_reason)
        return call.cdr


@pytest.fixture
def gateway(world):
    """Another gateway that the proxy could reach: the second carrier. No test may make it hear anything."""
    with carrier(world, 2) as party:
        yield party
        assert [] == party.requests()


@pytest.fixture
def callee(world):
    with carrier(world, 1) as party:
        yield party


@pytest.fixture
def caller(world):
    with Party(world, host=CALLER_HOST, user="caller") as party:
        yield party


@pytest.fixture
def attacker(world):
    """Somebody at an address that is nobody's."""
    with Party(world, host=ATTACKER_HOST, user="attacker") as party:
        yield party


@pytest.fixture
def neighbour(world):
    """Somebody at the caller's own address: his requests pass as the caller's as far as the address goes."""
    with Party(world, host=CALLER_HOST, user="neighbour") as party:
        yield party


@pytest.fixture
def account(world):
    return world.customer("1")


@pytest.fixture
def up(world, account, caller, callee, gateway):
    """A call that both ends have; the books are right when the test is over."""
    dialog = caller.call(world.phone(account))
    invite = callee.wait_for_request("INVITE")
    callee.wait_for_request("ACK")
    world.wait_for_live(account)
    yield Stage(world, account, caller, callee, gateway, dialog, invite)
    if world.live_calls(account):  # a test that failed must not make the next ones wait
        caller.hang_up(dialog)
    books_are_right(world)


@pytest.fixture
def ringing(world, account, caller, callee, gateway):
    """A call whose callee rings and has not answered."""
    callee.invites = "ring"
    dialog = caller.dial(world.phone(account))
    invite = callee.wait_for_request("INVITE")
    ringing = caller.wait_for(lambda one: one.code == 180, "180")
    dialog.remote = ringing.header("to")
    yield Stage(world, account, caller, callee, gateway, dialog, invite)
    if world.live_calls(account):
        callee.answer(invite, 486, "Busy Here")
    books_are_right(world)
