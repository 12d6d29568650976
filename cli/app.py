"""The commands put together, and the one place where an error becomes a line and an exit code."""

import sys
import tomllib
from pathlib import Path
from typing import Annotated

import typer

from billing.errors import MeterlineError
from cli import (
    accounts,
    alarms,
    archive,
    batch,
    bundle,
    calls,
    card,
    carriers,
    cdrs,
    db,
    doctor,
    imports,
    money,
    node,
    premium,
    quote,
    rate,
    reports,
    statement,
    tariff,
    traffic,
    trunk,
    user,
    voucher,
)
from cli.values import BadInput

CHECKOUT = Path(__file__).parents[1]

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="meterline",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(db.commands, name="db")
app.add_typer(carriers.commands, name="carrier")
app.add_typer(carriers.number_commands, name="number")
app.add_typer(card.commands, name="card")
app.add_typer(batch.commands, name="batch")
app.add_typer(voucher.commands, name="voucher")
app.add_typer(imports.commands, name="import")
app.add_typer(bundle.commands, name="bundle")
app.add_typer(tariff.commands, name="tariff")
app.command("quote")(quote.quote)
app.command("rate")(rate.rate)
app.command("topup")(money.topup)
app.command("transfer")(money.transfer)
app.add_typer(accounts.commands_for("reseller"), name="reseller")
app.add_typer(accounts.commands_for("customer"), name="customer")
app.add_typer(user.commands, name="user")
app.add_typer(trunk.commands, name="trunk")
app.add_typer(premium.commands, name="premium")
app.add_typer(calls.commands, name="calls")
app.add_typer(node.commands, name="node")
app.add_typer(cdrs.commands, name="cdrs")
app.command("statement")(statement.statement)
app.command("traffic")(traffic.traffic)
app.command("audit")(reports.audit)
app.command("archive")(archive.archive)
app.command("alarms")(alarms.alarms)
app.command("doctor")(doctor.doctor)


def _show_version(asked: bool) -> None:
    if asked:
        project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        print(f"meterline {project['version']}")
        raise typer.Exit


@app.callback()
def meterline(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Prepaid billing for SIP calls."""
    assert not version  # it ended in _show_version


def main(words: list[str]) -> int:
    """Run a command; the exit code. What goes wrong is one line on standard error that names the thing."""
    try:
        code = app(words, prog_name="meterline", standalone_mode=False)
    except typer.TyperException as error:
        return _fail(error.format_message(), EXIT_USAGE)
    except BadInput as error:
        return _fail(str(error), EXIT_USAGE)
    except MeterlineError as error:
        return _fail(str(error), EXIT_FAILED)
    except OSError as error:  # a file that cannot be read or written
        return _fail(": ".join(str(part) for part in (error.filename, error.strerror or error) if part), EXIT_FAILED)
    except (typer.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    return code if isinstance(code, int) else 0


def _fail(text: str, code: int) -> int:
    line = "; ".join(part.strip() for part in text.splitlines() if part.strip())
    print(f"meterline: {line}", file=sys.stderr)
    return code
