"""What a proxy of ours tells on its control socket."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from stack.processes import program

if TYPE_CHECKING:
    from pathlib import Path


def answer(socket: Path, command: str, *, check: bool = True) -> str:
    """What it says; an error when nobody answers, or with `check` off whatever came."""
    words = [program("kamcmd"), "-s", f"unix:{socket}", *command.split()]
    return subprocess.run(words, capture_output=True, text=True, timeout=10, check=check).stdout


def lines(socket: Path, command: str) -> list[str]:
    """The lines of an answer; none when nobody answers."""
    return answer(socket, command, check=False).splitlines()


def channels(socket: Path) -> int:
    """Calls that the proxy counts at carriers, in progress or not. After a restart it begins with the next call."""
    text = " ".join(lines(socket, "htable.dump channels"))
    counts = {name: int(value) for name, value in re.findall(r"name: (\w+)\s+value: (-?\d+)", text)}
    if not counts.get("ready"):
        return 0
    return sum(value for name, value in counts.items() if name.isdigit())


def transactions(socket: Path) -> int:
    """Transactions in the proxy's memory, those too that are over and wait for late messages (5 s). -1: no answer."""
    counts = dict(line.strip().partition(":")[::2] for line in lines(socket, "tm.stats"))
    return int(counts.get("current", -1))
