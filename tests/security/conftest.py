"""One stack for all attacks, with short timers. After each test the same check: tests/support/aftermath.py."""

import pytest

from stack.node import Stack
from stack.processes import free_port
from tests.support.aftermath import Aftermath, account_for_good_calls
from tests.support.party import Party, carrier
from tests.support.world import World

OVERRIDES = {
    "calls": {
        "grant_s": 10,
        "renew_lead_s": 5,
        "shorter_grants_s": [6, 4, 3, 2, 1],
        "ring_limit_s": 6,
        "early_dialog_s": 12,
        "carrier_silence_s": 2,
    },
    "lockout": {"failures": 3, "window_s": 300},
    "flood": {"requests_per_s": 10_000, "log_lines_per_s": 10_000},  # every attack is looked at; floods/ is apart
}
CALLER_HOST = "127.0.0.41"
ATTACKER_HOST = "127.0.0.66"


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    """MariaDB, drain and Kamailio, private."""
    with Stack(tmp_path_factory.mktemp("attacks"), overrides=OVERRIDES) as running:
        yield running


@pytest.fixture(scope="session")
def world(stack):
    """The ledger's content. When all attacks are over: everything settled, no call left, audit empty."""
    made = World(stack, [free_port() for _ in range(3)])
    yield made
    made.wait_until_drained()
    assert [] == made.cashier.audit()
    assert [] == made.live_calls()
    refused = made.settings.node.state_dir / "journal" / "refused.log"
    assert not refused.exists(), refused.read_text()


@pytest.fixture(scope="session")
def good_account(world):
    return account_for_good_calls(world)


@pytest.fixture(autouse=True)
def aftermath(world, good_account):
    """After each attack; a test that places calls of its own says so with `aftermath.allow`."""
    found = Aftermath(world, good_account)
    yield found
    found.check()


@pytest.fixture
def account(world):
    return world.customer("1")


@pytest.fixture
def phone(world, account):
    return world.phone(account)


@pytest.fixture
def callee(world):
    with carrier(world, 1) as party:
        yield party


@pytest.fixture
def gateway(world):
    """Another gateway that the proxy could reach: the second carrier. No test may make it hear anything."""
    with carrier(world, 2) as party:
        yield party
        assert [] == party.requests()


@pytest.fixture
def caller(world):
    with Party(world, host=CALLER_HOST, user="caller") as party:
        yield party


@pytest.fixture
def attacker(world):
    """Somebody at an address that is nobody's."""
    with Party(world, host=ATTACKER_HOST, user="attacker") as party:
        yield party
