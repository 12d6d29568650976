"""The doctor's check of certificates: the files that the settings name, and what the node really shows."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from billing.certificates import Validity, certificates_in, validity
from monitor.findings import Finding, fail, ok, unit, warn
from monitor.watch import shown_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from billing.settings import Settings

DAY_S = 86_400
EXPIRES_WARN_S = 21 * DAY_S
RESTART = unit("restart", "proxy")
RENEW = f"put a new one there; then {RESTART}"
RENEW_FOR_DATABASE = "put a new one there: it is read for each connection"


def certificates(settings: Settings) -> Iterator[Finding]:
    """The node's own, and those of the authorities that it believes. A folder of authorities is the system's affair."""
    tls = settings.tls
    if settings.sip.has_tls:
        assert tls.certificate is not None
        yield _file("tls.certificate", tls.certificate, RENEW, all_needed=True)
        yield from _shown(settings, tls.certificate)
        if not tls.ca.is_dir():
            yield _file("tls.ca", tls.ca, RENEW)
    if settings.database.tls_ca is not None:
        yield _file("database.tls_ca", settings.database.tls_ca, RENEW_FOR_DATABASE)


def _file(name: str, path: Path, remedy: str, *, all_needed: bool = False) -> Finding:
    """A chain is as good as its worst certificate (`all_needed`), a file of authorities as its best."""
    try:
        found = [validity(der) for der in certificates_in(path.read_text(encoding="latin-1"))]
    except OSError as error:
        return fail("tls", f"{name} {path}: {error.strerror}", "put it there, readable for the node's user")
    except ValueError:
        found = []
    if not found:
        return fail("tls", f"{name} {path} holds no certificate, or one that is broken", "put a PEM file there")
    return _judged(f"{name} {path}", found, remedy, all_needed=all_needed)


def _shown(settings: Settings, path: Path) -> Iterator[Finding]:
    """The file is read at the start alone: it may be renewed, and the node show the old one for ever."""
    shown = shown_certificate(settings)
    if shown is None:
        return  # whether the proxy is there is said elsewhere
    try:
        own = certificates_in(path.read_text(encoding="latin-1"))[:1]
    except (OSError, ValueError):
        return  # said above
    if [shown] != own:
        name = f"the proxy shows another certificate than tls.certificate {path}"
        remedy = f"{RESTART}: it reads the file when it starts; calls that are up stay"
        found = _judged(name, [validity(shown)], remedy, all_needed=True)
        yield warn("tls", found.text, remedy) if found.level == "ok" else found


def _judged(name: str, found: list[Validity], remedy: str, *, all_needed: bool) -> Finding:
    now_s = int(time.time())
    bad = [one for one in found if not one.since_s <= now_s <= one.until_s]
    first = min(bad or found, key=lambda one: one.until_s)
    if bad:
        which = name if len(found) == 1 else f"{len(bad)} of the {len(found)} certificates in {name}"
        text = f"{which}: valid from {_utc(first.since_s)} to {_utc(first.until_s)}, and not now"
        return (fail if all_needed or len(bad) == len(found) else warn)("tls", text, remedy)
    text = f"{name}: valid until {_utc(first.until_s)}"
    left_s = first.until_s - now_s
    if left_s < EXPIRES_WARN_S:
        return warn("tls", f"{text}, {left_s // DAY_S} days more", remedy)
    return ok("tls", text)


def _utc(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
