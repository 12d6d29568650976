"""A ledger for the command line's tests: one a file, empty until a test migrates it."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.commands import Answer, empty_ledger, run_command


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A settings file for a database that is there but empty."""
    with empty_ledger(tmp_path_factory.mktemp("cli")) as file:
        yield file


@pytest.fixture(scope="module")
def run(settings: Path) -> Callable[..., Answer]:
    """Runs bin/meterline with these settings."""
    return partial(run_command, settings)
