"""`meterline doctor`: what is wrong with this node and its ledger, and what to do about it."""

from typing import Annotated

import typer
from rich.text import Text

from cli.options import AsJson
from cli.output import screen, show_json
from monitor import doctor as examination
from monitor.findings import LEVELS, worst

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    no_audit: Annotated[
        bool, typer.Option("--no-audit", help="Leave the books alone: a big ledger takes a while.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look at everything that can be wrong here, and say what to do. Exit code 1 for warnings, 2 for failures."""
    findings = examination.examine(with_audit=not no_audit)
    level = worst(findings)
    if as_json:
        show_json({"worst": level, "findings": findings})
    else:
        console = screen()
        for one in findings:
            remedy = f"\n      -> {one.remedy}" if one.remedy else ""
            console.print(Text(f"{one.level:<6}", STYLES[one.level]) + Text(f"{one.area:<12}{one.text}{remedy}"))
    raise typer.Exit(LEVELS.index(level))
