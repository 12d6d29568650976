"""What a flood costs those who call meanwhile, beside the same calls without one.

    .venv/bin/python -m bench.floods [--calls 100] [--per-second 3000]

A known caller calls again and again, INVITE to BYE, while a process floods the proxy; a line for each kind of flood.
Loopback only, with the seed that is printed.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from stack.node import Stack
from stack.processes import free_port
from tests.support.flooder import SEED
from tests.support.floods import CALLER, FLOODS, flooding, good_calls
from tests.support.party import Party, carrier
from tests.support.world import World


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--per-second", type=int, default=3000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack:
        world = World(stack, [free_port()])
        phone = world.phone(world.customer("1000"))
        print(f"seed {SEED}; {options.calls} calls; {options.per_second} requests a second")
        print("| flood | requests | calls completed | post-dial delay, median | of that without a flood |")
        print("|---|---|---|---|---|")
        with carrier(world), Party(world, host=CALLER) as caller:
            good_calls(caller, phone, 10)
            quiet = good_calls(caller, phone, options.calls)
            print(f"| none | 0 | {quiet.share:.1%} | {quiet.median_ms:.1f} ms | 1.0 |")
            for name, (kind, addresses) in FLOODS.items():
                with flooding(world, kind, addresses, options.per_second) as sent:
                    seen = good_calls(caller, phone, options.calls)
                ratio = seen.median_ms / quiet.median_ms
                print(f"| {name} | {sent[0]} | {seen.share:.1%} | {seen.median_ms:.1f} ms | {ratio:.1f} |", flush=True)
            world.wait_until_drained()
        print(f"audit: {len(world.cashier.audit())} differences")


if __name__ == "__main__":
    main()
