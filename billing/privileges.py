"""What a service of the node checks about itself before it begins: not root, and nobody else reads its secrets."""

from __future__ import annotations

import os
import pwd
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from billing.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from billing.settings import Settings

UMASK = 0o077


def drop_into_place(settings: Settings, source: Path | None) -> None:
    """Let new files be for their owner alone, and refuse what would leave others' doors open.

    Raises SettingsError for root in a state folder that is another's (what root writes there the node could not read
    again), and for a settings file (`source`) with secrets that everybody may read.
    """
    os.umask(UMASK)
    _refuse_root_in_anothers_folder(settings.node.state_dir)
    if source is not None:
        _refuse_open_secrets(source)


def refuse_root() -> None:
    """Raises SettingsError when this is root: whoever took over the proxy would have taken over the machine."""
    if os.geteuid() == 0:
        raise SettingsError("the proxy does not run as root: start it as the node's own user (docs/operator.md)")


def _refuse_root_in_anothers_folder(folder: Path) -> None:
    try:
        owner = folder.stat().st_uid
    except OSError:
        return  # it is made later, or its user is told why it cannot be
    if os.geteuid() == 0 and owner != 0:
        raise SettingsError(f"node.state_dir {folder} belongs to {_name(owner)}, and this is root: run it as that user")


def _refuse_open_secrets(source: Path) -> None:
    mode = source.stat().st_mode & 0o777
    if not mode & 0o004:
        return
    with source.open("rb") as file:
        found = next(_secrets(tomllib.load(file)), None)
    if found:
        raise SettingsError(f"settings file {source}: mode {mode:o} lets everybody read {found}; chmod 600, or 640")


def _secrets(content: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The names of the secrets that a settings file holds."""
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _secrets(value, f"{name}.")
        elif value and (name.endswith("_password") or name == "card_pin_key"):
            yield prefix + name


def _name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return f"user {user_id}"
