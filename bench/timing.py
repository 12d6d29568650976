"""What a clock tells of a refusal: known, unknown and locked, for users and for cards.

    .venv/bin/python -m bench.timing [--samples 2000]

`right` is how often an attacker is right by the best threshold between two classes that are as frequent: 50 % is a
coin. Run it on a machine that does nothing else; noise hides differences.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
from pathlib import Path

from stack.node import Stack
from stack.processes import free_port
from tests.support import timing
from tests.support.rawsip import RawSip
from tests.support.world import IVR_ADDRESS, World


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=2000, help="of each class")
    count = parser.parse_args().samples
    overrides = {"flood": {"requests_per_s": 10_000}}
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder), overrides=overrides) as stack:
        world = World(stack, [free_port()])
        sys.stdout.write(f"seed {timing.SEED}, {count} of each class, interleaved\n")
        for name, host, classes in (
            ("users", "127.0.0.66", timing.digest_classes),
            ("cards", IVR_ADDRESS, timing.card_classes),
        ):
            with RawSip(stack.sip_address, world.realm, host=host) as end:
                found = timing.samples(classes(world, end, count), count)
            for kind, times in found.items():
                sys.stdout.write(f"{name} {kind:8} median {statistics.median(times) * 1000:.3f} ms\n")
            for one, other in itertools.combinations(found, 2):
                sys.stdout.write(f"{name} {one}/{other}: right {timing.advantage(found[one], found[other]):.1%}\n")


if __name__ == "__main__":
    main()
