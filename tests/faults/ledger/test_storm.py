"""`make faults`, second part, in short."""

from __future__ import annotations

from tests.faults.ledger.__main__ import report
from tests.faults.ledger.storm import Storm


def test_nothing_acknowledged_is_lost(tmp_path):
    """The database dies twice under four clients; every receipt holds, and what had none is done once."""
    outcome = Storm(tmp_path, "short", operations=300, kills=2).run()
    assert [] == outcome.findings, report(outcome)
    assert (2, True) == (outcome.kills, outcome.acknowledged.total() >= 300)
    assert {"open", "answer", "extend", "settle", "record", "top_up", "refund", "adjust", "transfer"} == set(
        outcome.acknowledged
    )
