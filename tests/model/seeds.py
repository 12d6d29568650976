"""A share of the seeds, on a server of its own."""

from __future__ import annotations

import signal
import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import NoReturn

from tests.model.faults import Broken
from tests.model.history import STEPS, History
from tests.model.place import made
from tests.model.probes import Change, Probes


@dataclass
class Result:
    """What a share of the seeds came across."""

    seen: Counter[str] = field(default_factory=Counter)
    probes: Probes = field(default_factory=Probes)
    failures: list[tuple[int, str, list[str]]] = field(default_factory=list)
    played: int = 0


def end_in_order() -> None:
    """A SIGTERM ends the process as Ctrl-C does, and its server with it."""
    signal.signal(signal.SIGTERM, _exit)


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    sys.exit(1)


def after(aim: tuple[range, str], steps: int = STEPS) -> Result:
    """Histories that are after one statement or point, until one has come to it."""
    seeds, until = aim
    return run_seeds(seeds, steps, until=until)


def run_seeds(
    seeds: Sequence[int],
    steps: int = STEPS,
    failures_max: int = 3,
    change: Change | None = None,
    until: str | None = None,
) -> Result:
    """One server, one history after another, until so many have failed, or `until` was seen."""
    result = Result()
    with made(change) as place:
        result.probes = place.probes
        for seed in seeds:
            history = History(place, seed, steps)
            try:
                history.run()
            except Broken as broken:
                result.failures.append((seed, str(broken), history.lines))
            except Exception:  # noqa: BLE001 - the model's own, and still a seed to look at
                result.failures.append((seed, traceback.format_exc(), history.lines))
            result.seen += history.seen
            result.played += 1
            if len(result.failures) >= failures_max or (until is not None and result.seen[until]):
                break
    return result
