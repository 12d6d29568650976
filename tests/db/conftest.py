"""A real MariaDB for the ledger's tests: one server and one ledger a run, and an audit after every test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.mariadb import PrivateMariaDB
from tests.db.bank import Bank


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateMariaDB]:
    with PrivateMariaDB(tmp_path_factory.mktemp("mariadb")) as mariadb:
        yield mariadb


@pytest.fixture(scope="session")
def shared_bank(server: PrivateMariaDB) -> Iterator[Bank]:
    bank = Bank.found(server, "ledger")
    yield bank
    bank.close()


@pytest.fixture
def bank(shared_bank: Bank) -> Iterator[Bank]:
    """The ledger that tests share: each makes accounts of its own, and leaves nothing that the audit finds."""
    yield shared_bank
    assert shared_bank.cashier.audit() == []


@pytest.fixture
def new_bank(server: PrivateMariaDB, request: pytest.FixtureRequest) -> Callable[[], Bank]:
    """Makes a ledger for this test alone, to be damaged."""

    def found() -> Bank:
        bank = Bank.found(server, f"ledger_{Path(request.node.name).name[:40].replace('[', '_').replace(']', '')}")
        request.addfinalizer(bank.drop)
        return bank

    return found
