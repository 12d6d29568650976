"""The end of a call that the scenarios play."""

from types import SimpleNamespace

import pytest

from tests.support.party import Party
from tests.support.rawsip import RawSip


@pytest.fixture
def party():
    """At nobody's proxy."""
    world = SimpleNamespace(stack=SimpleNamespace(sip_address="127.0.0.1:9"), realm="example.net")
    with Party(world, invites="silent") as made:
        yield made


def test_a_request_that_is_sent_again_counts_once(party):
    """Of the same branch; another transaction is another request, though all else is alike."""
    with RawSip(f"127.0.0.1:{party.port}", "example.net") as proxy:
        dialog = proxy.new_dialog("4930123456")
        for branch in ("z9hG4bKone", "z9hG4bKone", "z9hG4bKtwo"):
            proxy.send(proxy.request("INVITE", dialog, cseq=1, branch=branch))
        proxy.send(proxy.request("ACK", dialog, cseq=1, branch="z9hG4bKone"))
    assert ["INVITE", "INVITE", "ACK"] == party.requests()
