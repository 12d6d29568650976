"""What systemd hears from a service."""

import socket

import pytest

from billing import supervised


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """What a supervisor reads from."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(5)
        listening.bind(str(tmp_path / "notify"))
        monkeypatch.setenv(supervised.VARIABLE, str(tmp_path / "notify"))
        yield listening


def test_states_are_told(systemd):
    """One datagram each."""
    for state in (supervised.READY, supervised.ALIVE, supervised.STOPPING):
        supervised.tell(state)
    assert [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"] == [systemd.recv(100) for _ in range(3)]


def test_an_abstract_socket_is_found(monkeypatch):
    """Its name begins with an @ in the variable, and with a NUL in the kernel."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("")  # the kernel chooses an abstract name
        listening.settimeout(5)
        monkeypatch.setenv(supervised.VARIABLE, f"@{listening.getsockname()[1:].decode()}")
        supervised.tell(supervised.READY)
        assert b"READY=1" == listening.recv(100)


@pytest.mark.parametrize("address", [None, "", "/nowhere/notify"])
def test_nobody_listening_is_no_harm(monkeypatch, address):
    """Under `make up`, or when systemd has gone away."""
    monkeypatch.delenv(supervised.VARIABLE, raising=False)
    if address is not None:
        monkeypatch.setenv(supervised.VARIABLE, address)
    supervised.tell(supervised.ALIVE)


def test_a_full_socket_does_not_hold_up_the_service(systemd):
    """Nobody reads: what does not fit is not said."""
    for _ in range(10_000):
        supervised.tell(supervised.ALIVE)
