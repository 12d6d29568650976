"""Which instance of a node this is: its state folder on this machine since it was started.

Two nodes configured with one name would reap and reconcile each other's calls. So the name belongs, in the ledger, to
the instance that was heard of last (db/routines/heartbeat.sql). A restart of the node's processes is the same
instance; a copy of the folder on another machine, or of the whole machine, is another.

Whoever gets a name that was another folder's remembers when: that one may be cut off with calls up, and what became of
the calls of before is not for the new one to say.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ulid import ULID

from billing.clock import Moment
from billing.errors import SettingsError

FILE_NAME = "instance"
CLAIM_FILE = "claimed"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Instance:
    """`name`: unlike any other; `place`: for people, machine and folder."""

    name: str
    place: str

    def same_folder(self, other: str | None) -> bool:
        """Whether another instance's name is of this folder too, before the machine was started anew. None: nobody."""
        return other is None or other.partition(".")[0] == self.name.partition(".")[0]


def instance_in(state_dir: Path) -> Instance:
    """The instance whose state is there; a new folder gets a name of its own. Raises SettingsError."""
    path = state_dir / FILE_NAME
    try:
        if not path.exists():
            _write_once(path)
        own = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"node.state_dir {state_dir}: no instance can be kept there: {error}") from None
    return Instance(f"{own[:26]}.{_boot_id()}", f"{socket.gethostname()}:{state_dir}"[:255])


def note_claim(state_dir: Path) -> None:
    """About to claim a name that is, or was, another folder's. Raises OSError."""
    draft = state_dir / f"{CLAIM_FILE}.new"
    draft.write_text(f"{Moment.now()}\n", encoding="ascii")
    draft.replace(state_dir / CLAIM_FILE)


def claimed_ago_ms(state_dir: Path) -> int | None:
    """How long this folder has had its name; None: nobody had it before."""
    try:
        return Moment.now().ms_since(Moment.parse((state_dir / CLAIM_FILE).read_text(encoding="ascii").strip()))
    except (OSError, ValueError):
        return None


def _write_once(path: Path) -> None:
    """The drain and the proxy may both be the first: one of them wins, and both read the same."""
    draft = path.with_suffix(f".{os.getpid()}.new")
    with draft.open("w", encoding="ascii") as file:
        file.write(f"{ULID()}\n")
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


def _boot_id() -> str:
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()[:36]
    except OSError:
        return ""
