"""A stack with the limits that an operator has by default, apart from short time-outs."""

import pytest

from stack.node import Stack
from stack.processes import free_port
from tests.support.aftermath import Aftermath, account_for_good_calls
from tests.support.floods import CALLER
from tests.support.party import Party
from tests.support.world import World

TCP_IDLE_S = 1


@pytest.fixture(scope="package")
def stack(tmp_path_factory):
    with Stack(tmp_path_factory.mktemp("floods"), overrides={"flood": {"tcp_idle_s": TCP_IDLE_S}}) as running:
        yield running


@pytest.fixture(scope="package")
def world(stack):
    return World(stack, [free_port()])


@pytest.fixture(scope="package")
def good_account(world):
    return account_for_good_calls(world)


@pytest.fixture(autouse=True)
def aftermath(world, good_account):
    found = Aftermath(world, good_account)
    yield found
    found.check()


@pytest.fixture(scope="package")
def regular(world):
    """A customer, and his phone."""
    account = world.customer("1000")
    return account, world.phone(account)


@pytest.fixture
def owner(world):
    """The end at which that phone is."""
    with Party(world, host=CALLER) as party:
        yield party
