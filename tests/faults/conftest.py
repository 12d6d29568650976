"""What takes long and needs nobody meanwhile."""

from types import SimpleNamespace

import pytest

from tests.support.faults import own_world
from tests.support.party import Party, carrier


@pytest.fixture(scope="session")
def gone(tmp_path_factory):
    """A call whose caller's phone is gone since it was answered, on a stack of its own: account, Call-ID, callee."""
    with own_world(tmp_path_factory.mktemp("gone")) as world, carrier(world) as callee:
        account = world.customer("5")
        with Party(world, host="127.0.0.47") as caller:
            call_id = caller.call(world.phone(account)).call_id
        yield SimpleNamespace(world=world, account=account, callee=callee, call_id=call_id)
