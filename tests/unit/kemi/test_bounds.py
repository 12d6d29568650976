"""What a caller may choose freely must stay within what ledger and tables can hold."""

import pytest


@pytest.mark.parametrize("more", [{"ci": "c" * 256}, {"ft": "f" * 129}])
def test_identifier_longer_than_its_column_is_refused(world, script, more):
    """A Call-ID or tag that the ledger cannot hold whole is 400: a shortened one is another call's."""
    world.request(**more)
    script.request_route()
    assert [400] == world.replied


def test_two_sets_of_credentials_are_refused(world, script):
    """One Proxy-Authorization is enough: with two, the URI that is compared is not the one that was hashed."""
    world.request(headers=[("Proxy-Authorization", "Digest realm=a"), ("Proxy-Authorization", "Digest realm=b")])
    script.request_route()
    assert ([400], []) == (world.replied, world.did("async"))


def test_one_set_of_credentials_is_none_too_many(world, script):
    """The header itself, in whatever case, is no reason to refuse."""
    world.request(headers=[("proxy-authorization", "Digest realm=a")])
    script.request_route()
    assert ([], [("ksr_authorize",)]) == (world.replied, world.did("async"))
