"""Which processes quote nobody."""

import ctypes

import pytest

from kemi import core_log


@pytest.mark.parametrize(("rank", "levels"), [(1, [-2]), (9, [-2]), (-2, [-2]), (0, []), (-1, []), (-4, [])])
def test_processes_that_read_from_the_network(monkeypatch, rank, levels):
    """SIP and async workers log what is critical; the first process, timers and TCP's main one log errors as well."""
    set_to = []

    class Kamailio:
        set_local_debug_level = staticmethod(set_to.append)

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Kamailio)
    core_log.keep_quiet(rank)
    assert levels == set_to
