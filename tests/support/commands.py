"""The command line as a person calls it, on a ledger of its own."""

import io
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cli.app import main
from stack.mariadb import PrivateMariaDB, os_user
from stack.node import SECRETS, toml, write_private

CHECKOUT = Path(__file__).parents[2]
PASSWORD = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    code: int
    output: str
    complaint: str

    @property
    def json(self) -> Any:
        assert (0, "") == (self.code, self.complaint)
        return json.loads(self.output)


@contextmanager
def empty_ledger(folder: Path) -> Iterator[Path]:
    """A settings file for a database that is there but empty."""
    with PrivateMariaDB(folder / "mariadb") as server:
        content = {
            "database": {
                "socket": str(server.socket),
                "setup_user": os_user(),
                **{name: PASSWORD for name in SECRETS if name.endswith("_password")},
            },
            "node": {"name": "node1", "state_dir": str(folder / "state")},
            "sip": {"realm": "meterline.test", "listen": ["udp:127.0.0.1:5060"]},
        }
        write_private(folder / "meterline.toml", toml({"card_pin_key": PASSWORD}, content))
        yield folder / "meterline.toml"


def run_command(settings: Path, *words: str, **variables: str) -> Answer:
    """bin/meterline with these settings."""
    done = subprocess.run(
        [CHECKOUT / "bin" / "meterline", *words],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "METERLINE_SETTINGS": str(settings), **variables},
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def run_here(settings: Path, *words: str) -> Answer:
    """The same within this process, which saves the start of another: for what does not depend on bin/meterline."""
    output, complaint = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(complaint), patch.dict(os.environ, METERLINE_SETTINGS=str(settings)):
        code = main(list(words))
    return Answer(code, output.getvalue(), complaint.getvalue())
