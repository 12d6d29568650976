"""The commands put together, and the one place where an error becomes a line and an exit code."""

import sys

import typer

from billing.errors import MeterlineError
from cli import db, money, quote, rate, reports
from cli.values import BadInput

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="meterline",
    help="Prepaid billing for SIP calls.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(db.commands, name="db")
app.command("quote")(quote.quote)
app.command("rate")(rate.rate)
app.command("topup")(money.topup)
app.command("calls")(reports.calls)
app.command("cdrs")(reports.cdrs)
app.command("audit")(reports.audit)


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
    except (typer.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    return code if isinstance(code, int) else 0


def _fail(text: str, code: int) -> int:
    line = "; ".join(part.strip() for part in text.splitlines() if part.strip())
    print(f"meterline: {line}", file=sys.stderr)
    return code
