"""`make faults`, second part: acknowledged ledger operations across kills of the database; none may be lost.

python -m tests.faults.ledger --operations 50000 --kills 20 --seed 1
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
from pathlib import Path

from stack.kamailio import CHECKOUT
from tests.faults.ledger.storm import Outcome, Storm


def main() -> int:
    """0 when every receipt held."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.ledger", description=__doc__)
    parser.add_argument("--seed", default=f"{secrets.randbelow(1_000_000)}")
    parser.add_argument("--operations", type=int, default=50_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--folder", type=Path, default=CHECKOUT / "run" / "faults-ledger")
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    print(f"seed {options.seed}: {options.operations} operations of {options.clients} clients, {options.kills} kills")
    storm = Storm(options.folder, options.seed, options.operations, options.kills, options.clients, print)
    outcome = storm.run()
    print(report(outcome))
    if not outcome.findings:
        shutil.rmtree(options.folder, ignore_errors=True)
    return 1 if outcome.findings else 0


def report(outcome: Outcome) -> str:
    """In words."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(outcome.acknowledged.items()))
    total, kills, seconds = outcome.acknowledged.total(), outcome.kills, round(outcome.seconds)
    lines = [
        f"{total} operations acknowledged across {kills} kills in {seconds} s: {kinds}",
        f"{outcome.asked_again} times there was no answer, and the client asked again with its key",
        f"{outcome.compared} receipts held against the ledger after the kill that followed, and at the end",
        f"{len(outcome.findings)} lost, changed or done twice",
    ]
    return "\n".join(lines + outcome.findings[:20])


if __name__ == "__main__":
    sys.exit(main())
