"""The short form of `make faults`: a dozen faults over a few hundred calls, and the same oracle."""

import pytest

from tests.faults import plan
from tests.faults.bench import may_mount
from tests.faults.run import play

CALLS, FAULTS, SECONDS = 420, 24, 30.0
LONG = ("phone gone", "bye lost", plan.CUT_OFF, plan.LOST, "database stopped")
"""Kinds whose ends take a minute: they are in `make faults`, and the last in other tests here."""


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_calls_while_everything_breaks(tmp_path):
    """Nothing lost, nobody charged for what he did not talk: every kind of fault that is over soon, in an order of the
    seed."""
    disks = not may_mount()
    kinds = [kind for kind in plan.KINDS if kind not in LONG and (disks or kind not in plan.NEED_A_DISK)]
    made = play(
        tmp_path,
        "short",
        calls=CALLS,
        faults=FAULTS,
        seconds=SECONDS,
        kinds=kinds,
        disks=disks,
        customers=60,
        cards=30,
        say=print,
    )
    assert [] == made.verdict.findings
    assert CALLS * 0.4 < made.verdict.sums["connected"]
