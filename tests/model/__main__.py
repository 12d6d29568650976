"""Histories by seed: `python -m tests.model --seeds 2000`, and one again: `python -m tests.model --seed 123`."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from functools import partial

from tests.model.history import STEPS
from tests.model.probes import planned
from tests.model.reached import aims, missing, stale
from tests.model.seeds import Result, after, end_in_order, run_seeds

SHARE = 50
"""Seeds that one server serves."""


def main() -> int:
    """0 when every history held and every place was reached; 2 when an exception is of no statement of today's."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--seed", type=int, help="this one alone, with its history")
    parser.add_argument("--seeds", type=int, default=2000, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if wrong := stale(planned()[0]):
        print(*wrong, sep="\n")
        return 2
    end_in_order()
    if options.seed is not None:
        return _report([run_seeds([options.seed], options.steps)], whole=True, complete=False)
    seeds = list(range(options.first, options.first + options.seeds))
    started = time.monotonic()
    shares = [seeds[start : start + SHARE] for start in range(0, len(seeds), SHARE)]
    results: list[Result] = []
    with multiprocessing.get_context("spawn").Pool(options.processes, end_in_order) as pool:
        run = partial(run_seeds, steps=options.steps)
        for result in pool.imap_unordered(run, shares):
            results.append(result)
            failed = [seed for seed, *_ in result.failures]
            played = min(len(results) * SHARE, len(seeds))
            print(f"{played} seeds, {f'failed: {failed}' if failed else 'all held'}", flush=True)
        seen: Counter[str] = sum((result.seen for result in results), Counter())
        complete = options.seeds >= 1000
        left = aims(seen, results[0].probes) if complete else []
        # Chance leaves out a few of the hundreds of statements and points: some histories more for each of them.
        for (_, aim), result in zip(left, pool.imap(partial(after, steps=options.steps), left), strict=True):
            results.append(result)
            kind, _, number = aim.partition("probe ")
            print(f"{result.played} seeds after {kind or result.probes.name(int(number))}", flush=True)
        pool.close()  # they end by themselves: a SIGTERM is for whoever is in the middle of something
        pool.join()
    print(f"{options.seeds} seeds of {options.steps} steps in {time.monotonic() - started:.0f} s")
    return _report(results, whole=False, complete=complete)


def _report(results: list[Result], *, whole: bool, complete: bool) -> int:
    seen: Counter[str] = sum((result.seen for result in results), Counter())
    probes = results[0].probes
    failures = [failure for result in results for failure in result.failures]
    for name, count in sorted(seen.items()):
        if not name.startswith("probe "):
            print(f"{count:9d}  {name}")
    left = missing(seen, probes)
    crashed = sum(1 for number in probes.places if seen[f"probe {number}"])
    print(f"{sum(seen[f'probe {number}'] for number in probes.places):9d}  connections killed, at {crashed} statements")
    if left and not whole:
        print("never reached:", *left, sep="\n  ")
    for seed, broken, lines in failures:
        print(f"\nseed {seed}: {broken}\n  again with: make model ARGS='--seed {seed}'")
        for line in lines if whole else lines[-25:]:
            print(f"  {line}")
    if whole and not failures:
        print("it held")
    return 1 if failures or (complete and left) else 0


if __name__ == "__main__":
    sys.exit(main())
