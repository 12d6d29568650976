"""How commands appear in the ledger."""

import os
import pwd

import pytest

from cli.ledger import actor


@pytest.fixture
def nobody(monkeypatch):
    """No variable says who this is."""
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)


def test_who_does_it_is_the_systems_user(nobody, monkeypatch):
    """A variable comes first, so that a container can be told."""
    assert f"cli:{pwd.getpwuid(os.getuid()).pw_name}" == actor()
    monkeypatch.setenv("LOGNAME", "anna")
    assert "cli:anna" == actor()


def test_user_without_a_name_does_it_by_his_number(nobody, monkeypatch):
    """As in a container that runs under a user of its host."""

    def unknown(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert f"cli:{os.getuid()}" == actor()
