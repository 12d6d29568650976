"""`meterline doctor`: every check, whatever is broken. A check that cannot be made is a finding, too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from billing import settings as settings_module
from billing.errors import MeterlineError, SettingsError
from monitor import doctor_ledger, doctor_node
from monitor.findings import Finding, fail, warn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from billing.settings import Settings


def examine(*, with_audit: bool = True) -> list[Finding]:
    """Everything that there is to say about this node and its ledger."""
    try:
        settings = settings_module.load()
    except SettingsError as error:
        return [fail("settings", str(error), "correct the file, or name another one in METERLINE_SETTINGS")]
    findings = list(doctor_node.settings_file(_settings_path()))
    for area, check in doctor_node.CHECKS:
        findings += _made(area, check, settings)
    database = _made("database", doctor_ledger.database, settings)
    findings += database
    of_ledger = [(area, check) for area, check in doctor_ledger.CHECKS if area != "audit" or with_audit]
    if any(one.level == "fail" and one.text.startswith("proxy") for one in database):
        areas = ", ".join(area for area, _ in of_ledger)
        return [*findings, warn("database", f"not checked: {areas}", "mend the database first, and run this again")]
    for area, check in of_ledger:
        findings += _made(area, check, settings)
    return findings


def _made(area: str, check: Callable[[Settings], Iterator[Finding]], settings: Settings) -> list[Finding]:
    """What a check found before it broke is kept."""
    found: list[Finding] = []
    try:
        found.extend(check(settings))
    except (MeterlineError, OSError) as error:
        found.append(fail(area, f"could not be checked: {error}", "mend that, and run this again"))
    except Exception as error:  # noqa: BLE001 - a doctor who faints helps nobody
        found.append(fail(area, f"could not be checked: {error!r}", "please report it, with this line"))
    return found


def _settings_path() -> Path | None:
    named = os.environ.get(settings_module.PATH_VARIABLE)
    path = Path(named) if named else settings_module.DEFAULT_PATH
    return path if path.exists() else None
