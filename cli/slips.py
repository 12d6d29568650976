"""The one file in which PINs or codes ever stand: written before the ledger is asked, removed if it says no."""

import csv
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from billing.errors import LedgerUnavailable, MeterlineError

T = TypeVar("T")

TRIES = 3
"""How often a batch whose outcome is unknown is issued again, with its key: it is issued once."""


class SlipsError(MeterlineError):
    """The file cannot be written or read; the text names it."""


def write_slips(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A new CSV file that its owner alone can read, on disk when this returns. An existing one is never touched."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SlipsError(f"{path}: {error.strerror}") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(rows)
            file.flush()
            os.fsync(file.fileno())
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise SlipsError(f"{path}: {error.strerror}") from None
        raise


def read_slips(path: Path, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """These columns of a file that write_slips wrote."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [tuple(row[column] for column in columns) for row in csv.DictReader(file)]
    except OSError as error:
        raise SlipsError(f"{path}: {error.strerror}") from None
    except (KeyError, UnicodeDecodeError, csv.Error):
        raise SlipsError(f"{path}: is no list of {', '.join(columns)}") from None


def issued(path: Path, key: str, issue: Callable[[], T], *, keep: bool) -> T:
    """What `issue` answers. The file is removed when nothing was issued; when nobody can tell, or `keep`, it stays.

    Raises what `issue` raises; LedgerUnavailable says how to go on.
    """
    for _ in range(TRIES):
        try:
            return issue()
        except (LedgerUnavailable, KeyboardInterrupt) as error:
            keep, unknown = True, str(error) or "interrupted"
            if isinstance(error, KeyboardInterrupt):
                break
        except MeterlineError:
            if not keep:
                path.unlink(missing_ok=True)
            raise
    raise LedgerUnavailable(
        f"{unknown}; whether the batch was issued is unknown: {path} is kept, repeat the command with --key {key}"
    )
