"""A ledger of these tests' own, with probes between the statements of its routines (tests/model/probes.py)."""

from __future__ import annotations

import pytest

from stack.mariadb import PrivateMariaDB
from tests.db.bank import Bank
from tests.model.probes import install


@pytest.fixture(scope="package")
def ledger_server(tmp_path_factory):
    with PrivateMariaDB(tmp_path_factory.mktemp("ledger")) as server:
        yield server


@pytest.fixture(scope="package")
def probed(ledger_server):
    """The bank, and its probes by routine and place."""
    bank = Bank.found(ledger_server, "ledger")
    yield bank, install(ledger_server.admin_params(), "ledger")
    bank.close()


@pytest.fixture
def bank(probed):
    """Nothing that a test does leaves anything that the audit finds."""
    yield probed[0]
    assert [] == probed[0].cashier.audit()
