"""`meterline premium`: ranges of premium numbers, barred for every account that does not allow them."""

from typing import Annotated

import typer

from cli import values
from cli.ledger import opened
from cli.output import show_json, show_table

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Prefix = Annotated[str, typer.Argument(metavar="PREFIX", help="E.164 digits.", show_default=False)]

commands = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Premium ranges, barred unless allowed.")


@commands.command("list")
def list_all(as_json: AsJson = False) -> None:
    """All of them, with who says that they are premium."""
    with opened("admin") as ledger:
        found = ledger.premium_prefixes()
    if as_json:
        show_json(found)
    else:
        rows = [(one.prefix, one.name, one.source) for one in found]
        show_table(f"{len(found)} premium ranges", ("prefix", "name", "source"), rows)


@commands.command()
def add(
    prefix: Prefix,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Shown in the CDR of a refused call.")],
    source: Annotated[str, typer.Option(help="Who says so.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make or change one. Accounts with premium_allowed=yes, or with the prefix allowed, may call it all the same."""
    digits = values.prefix(prefix)
    with opened("admin") as ledger:
        ledger.put_premium_prefix(digits, name, source)
    if as_json:
        show_json({"prefix": digits, "name": name, "source": source})
    else:
        print(f"{digits}: premium ({name})")


@commands.command()
def remove(prefix: Prefix, as_json: AsJson = False) -> None:
    """Premium no more."""
    digits = values.prefix(prefix)
    with opened("admin") as ledger:
        ledger.remove_premium_prefix(digits)
    if as_json:
        show_json({"prefix": digits, "removed": True})
    else:
        print(f"{digits}: premium no more")
