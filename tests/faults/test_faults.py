"""The short form of `make faults`: two dozen faults over a few hundred calls, and the same oracle."""

import pytest

from tests.faults import plan
from tests.faults.bench import may_mount
from tests.faults.run import play

CALLS, FAULTS, SECONDS = 330, 25, 24.0
LEFT_OUT = (plan.CUT_OFF, plan.LOST, "phone gone", "database stopped")
"""They take long, and have tests of their own: test_two_nodes.py, tests/sipp-scenarios/database-away."""
SHORT = {"grant_s": 6, "renew_lead_s": 3, "shorter_grants_s": [4, 3, 2, 1]}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_calls_while_everything_breaks(tmp_path, gone):
    """Nothing lost, nobody charged for what he did not talk: nearly every kind of fault, in an order of the
    seed. (Meanwhile `gone` waits for its keepalives.)"""
    disks = not may_mount()
    kinds = [kind for kind in plan.KINDS if kind not in LEFT_OUT and (disks or kind not in plan.NEED_A_DISK)]
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
        gives_up_ms=10_000,
        channels=30,
        settings=SHORT,
        say=print,
    )
    assert [] == made.verdict.findings
    assert CALLS * 0.2 < made.verdict.sums["connected"]
    assert made.verdict.sums["seconds that minute bundles paid"] > 0
    assert FAULTS * 0.8 <= sum(one.worked for one in made.struck), [(one.met, one.error) for one in made.struck]
