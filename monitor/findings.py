"""What the doctor says: findings, each with what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]
Part = Literal["drain", "monitor", "proxy"]
LEVELS: tuple[Level, ...] = ("ok", "warn", "fail")


@dataclass(frozen=True)
class Finding:
    """`area` is what was looked at, `text` what was seen, `remedy` what to do ('' when it is well)."""

    level: Level
    area: str
    text: str
    remedy: str = ""


def ok(area: str, text: str) -> Finding:
    """It is as it should be."""
    return Finding("ok", area, text)


def warn(area: str, text: str, remedy: str) -> Finding:
    """It works, and somebody should look."""
    return Finding("warn", area, text, remedy)


def fail(area: str, text: str, remedy: str) -> Finding:
    """It does not work, or money is in danger."""
    return Finding("fail", area, text, remedy)


def unit(verb: Literal["start", "restart"], part: Part) -> str:
    """What to do to a part of the node, as a remedy tells it: who reads it may have either."""
    return f"systemctl {verb} meterline-{part}, or docker compose {verb} {part}"


def worst(findings: list[Finding]) -> Level:
    """The worst level among them."""
    return max((one.level for one in findings), key=LEVELS.index, default="ok")
