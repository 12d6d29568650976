"""What holds for all tests: they end in order, they know no settings of the person who runs them."""

import os
import signal
from types import FrameType
from typing import NoReturn

import hypothesis
import pytest

# The databases and proxies that an example talks to have no steady pace.
hypothesis.settings.register_profile("meterline", deadline=None, print_blob=True)
hypothesis.settings.load_profile("meterline")


def pytest_configure(config: pytest.Config) -> None:
    """A SIGTERM ends the run as Ctrl-C does, so that fixtures stop their servers."""
    del config
    signal.signal(signal.SIGTERM, _interrupt)
    for variable in [name for name in os.environ if name.startswith("METERLINE_")]:
        del os.environ[variable]


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt
