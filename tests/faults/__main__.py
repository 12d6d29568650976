"""`make faults`: so many faults over so many calls, in rounds of their own servers, and a report.

python -m tests.faults --seed 1 --faults 200 --calls 20000
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stack.kamailio import CHECKOUT
from tests.faults import plan
from tests.faults.bench import may_mount
from tests.faults.drill import drill
from tests.faults.oracle import Verdict
from tests.faults.run import Round, play

FAULTS, CALLS = 212, 20_000
FAULTS_THAT_WORKED_MIN = 200
CUTS_JUDGED_MIN = 200
CALLS_A_ROUND = 5000
CALLS_PER_SECOND = 30.0
CHANNELS = 90
"""Calls that the carrier takes at once: fewer than there are while nothing is broken."""


def main() -> int:
    options = parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder: Path = options.folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    reason = may_mount()
    kinds = [kind for kind in plan.KINDS if not reason or kind not in plan.NEED_A_DISK]
    say(f"seed {options.seed}: {options.faults} faults over {options.calls} calls; replay with --seed {options.seed}")
    if reason:
        say(f"without {', '.join(plan.NEED_A_DISK)}: {reason}")
    begun = time.monotonic()
    verdict = Verdict()
    drill(folder / "drill", verdict, say)
    count = max(1, -(-options.calls // CALLS_A_ROUND))
    rounds = []
    for order in range(count):
        calls, faults = _share(options.calls, count, order), _share(options.faults, count, order)
        say(f"round {order + 1} of {count}: {faults} faults over {calls} calls")
        place = folder / f"round{order + 1}"
        one = play(
            place, f"{options.seed}-{order + 1}", calls=calls, faults=faults, seconds=calls / options.per_second,
            kinds=kinds, disks=not reason, channels=CHANNELS, say=say,
        )  # fmt: skip
        rounds.append(one)
        say(f"round {order + 1}: {len(one.verdict.findings)} findings; {one.seconds}")
        for finding in one.verdict.findings[:20]:
            say(f"  {finding}")
        if not one.verdict.findings and not options.keep:
            shutil.rmtree(place, ignore_errors=True)
    if (options.faults, options.calls) == (FAULTS, CALLS):
        judge_size(rounds, kinds, verdict)
    text = write_report(folder, options, rounds, verdict, time.monotonic() - begun)
    say(text)
    return 1 if verdict.findings else 0


def judge_size(rounds: list[Round], kinds: Sequence[str], verdict: Verdict) -> None:
    """A run in which little happens finds nothing, too."""
    struck = Counter(one.fault.kind for each in rounds for one in each.struck if one.worked)
    sums: Counter[str] = sum((each.verdict.sums for each in rounds), Counter())
    for name, count, least in (
        ("faults", struck.total(), FAULTS_THAT_WORKED_MIN),
        ("calls", sums["calls"], CALLS * 0.99),
        ("cuts judged", sums["cuts judged"], CUTS_JUDGED_MIN),
        ("returns of the database watched", sums["returns of the database watched"], 1),
        ("seconds that minute bundles paid", sums["seconds that minute bundles paid"], 1),
        ("calls refused at a full carrier", sums["calls refused at a full carrier"], 1),
        *((f"times {kind}", struck[kind], 1) for kind in kinds),
    ):
        if count < least:
            verdict.say("too little", f"{count} {name}, not {least:g}")


def _share(total: int, parts: int, order: int) -> int:
    return total * (order + 1) // parts - total * order // parts


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--seed", default=secrets.token_hex(3), help="faults, their order and who calls (default: a new one)"
    )
    parser.add_argument(
        "--faults", type=int, default=FAULTS, help="how many; a few meet nothing, and do not count (%(default)s)"
    )
    parser.add_argument("--calls", type=int, default=CALLS, help="how many (default %(default)s)")
    parser.add_argument("--per-second", type=float, default=CALLS_PER_SECOND, help="new calls (default %(default)s)")
    parser.add_argument(
        "--folder", type=Path, default=CHECKOUT / "run" / "faults", help="emptied (default: run/faults)"
    )
    parser.add_argument("--keep", action="store_true", help="keep logs and data of rounds without findings, too")
    return parser.parse_args(words)


def write_report(
    folder: Path, options: argparse.Namespace, rounds: list[Round], verdict: Verdict, took_s: float
) -> str:
    """report.json and report.txt in the folder; the second's text. `verdict` gets the rounds' findings added."""
    struck: Counter[str] = Counter()
    for one in rounds:
        verdict.findings += [f"round {one.seed}: {text}" for text in one.verdict.findings]
        verdict.sums += one.verdict.sums
        for name, value in one.verdict.worst.items():
            verdict.at_most(name, value)
        struck.update(s.fault.kind for s in one.struck if s.worked)
        verdict.sums.update(one.counted)
    content: dict[str, Any] = {
        "seed": options.seed,
        "seconds": round(took_s),
        "faults": sum(struck.values()),
        "kinds": dict(sorted(struck.items())),
        "sums": dict(sorted(verdict.sums.items())),
        "worst": {name: round(value, 3) for name, value in sorted(verdict.worst.items())},
        "findings": verdict.findings,
        "rounds": [
            {
                "seed": one.seed,
                "seconds": one.seconds,
                "struck": [
                    {
                        "fault": str(s.fault),
                        "took_s": round(s.window.end - s.window.start, 2),
                        "met": s.met,
                        "error": s.error,
                    }
                    for s in one.struck
                ],
            }
            for one in rounds
        ],
    }
    (folder / "report.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    lines = [
        f"seed {content['seed']}, {content['seconds']} s, {content['faults']} faults",
        *(f"  {count:5d}  {kind}" for kind, count in content["kinds"].items()),
        "sums",
        *(f"  {count:7d}  {name}" for name, count in content["sums"].items()),
        "at most",
        *(f"  {value:7.3f}  {name}" for name, value in content["worst"].items()),
        f"findings: {len(verdict.findings)}",
        *(f"  {text}" for text in verdict.findings),
    ]
    text = "\n".join(lines)
    (folder / "report.txt").write_text(text + "\n", encoding="utf-8")
    return text


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command


if __name__ == "__main__":
    sys.exit(main())
