"""One stack for all scenarios, with short timers; at its end the books must be right."""

import pytest

from stack.node import Stack
from stack.processes import free_port
from tests.support.scene import Scene
from tests.support.world import World

OVERRIDES = {
    "flood": {"requests_per_s": 10_000, "log_lines_per_s": 10_000},  # one address is many callers here
    "calls": {
        "grant_s": 10,
        "renew_lead_s": 5,
        "shorter_grants_s": [6, 4, 3, 2, 1],
        "ring_limit_s": 6,
        "early_dialog_s": 12,
        "carrier_silence_s": 2,
    },
    "lockout": {"failures": 3, "window_s": 300},
}
CARRIERS = 3


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    """MariaDB, drain and Kamailio, private."""
    with Stack(tmp_path_factory.mktemp("scenarios"), overrides=OVERRIDES) as running:
        yield running


@pytest.fixture(scope="session")
def world(stack):
    """The ledger's content. When all scenarios are over: everything settled, audit empty, no error in the log."""
    made = World(stack, [free_port() for _ in range(CARRIERS)])
    yield made
    made.wait_until_drained()
    assert [] == made.cashier.audit()
    assert [] == made.live_calls()
    trouble = made.log_lines('"uncaught"', '"fact_lost"', '"pri":"CRITICAL"', "signal 11", limit=10_000)
    # Races inside the dialog module, of which nothing follows: an ACK that was overtaken by its call's BYE finds a
    # dialog without a timer; a doubled 200 meets a dialog that a BYE of the same millisecond has ended.
    harmless = ("update a bogus dlg", "bogus event 3 in state 5")
    assert [] == [line for line in trouble if not any(text in line for text in harmless)]
    refused = made.settings.node.state_dir / "journal" / "refused.log"
    assert not refused.exists(), refused.read_text()


@pytest.fixture
def scene(world, tmp_path, request):
    """This test's SIPp processes; what they saw is printed when it fails."""
    made = Scene(world, tmp_path, request.path.parent)
    yield made
    if getattr(request.node, "failed", False):
        print(made.story())  # noqa: T201 - for the person who reads the failure
    made.end()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call" and report.failed:
        item.failed = True
    return report
