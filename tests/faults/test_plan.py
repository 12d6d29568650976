"""The plan: the same seed, the same faults; every kind in turn."""

from collections import Counter

from tests.faults import plan
from tests.faults.kinds import KINDS


def test_a_seed_replays():
    """Kinds, moments, nodes and what each fault chooses: all of it is the seed's."""
    assert plan.schedule("7", 50, 280) == plan.schedule("7", 50, 280)
    assert plan.schedule("7", 50, 280) != plan.schedule("8", 50, 280)


def test_every_kind_comes_before_any_comes_again():
    """As many faults as asked for, spread over the load, and none of the kinds is left to luck."""
    faults = plan.schedule("7", 50, 280)
    counts = Counter(fault.kind for fault in faults)
    assert 50 == len(faults)
    assert set(plan.KINDS) == set(counts)
    assert {1, 2} >= set(counts.values())
    assert [1, 1] == [counts[kind] for kind in plan.ONCE]
    assert sorted(faults, key=lambda fault: fault.at_s) == faults
    assert all(0 < fault.at_s < 280 for fault in faults)


def test_every_kind_is_known():
    """What the plan names can be done, and what can be done is in the plan."""
    assert set(plan.KINDS) == set(KINDS)


def test_only_asked_for_kinds():
    """The short form leaves some out."""
    faults = plan.schedule("7", 10, 30, ["deadlocks", "proxy killed"])
    assert {"deadlocks": 5, "proxy killed": 5} == Counter(fault.kind for fault in faults)
