"""Options that many commands share."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
AccountName = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's name.", show_default=False)]
From = Annotated[
    str, typer.Option("--from", metavar="TIME", help="A day, which begins at 0:00, or a time.", show_default=False)
]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Up to, but without it. Default: now.")]
Zone = Annotated[str, typer.Option("--zone", help="Whose days and times these are.")]
CsvFile = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="Write it there as CSV; - is standard output.")
]

STDOUT = Path("-")
