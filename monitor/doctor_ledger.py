"""The doctor's checks of the ledger: its server, its logins, its version, its books."""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from billing.errors import LedgerError, MeterlineError, SettingsError
from billing.ledger import Ledger
from db.grants import Right, rights_of
from db.migrate import wanted_versions
from monitor.dialogs import ENDED_KEPT_S, Lasting, billed_call_keys
from monitor.findings import Finding, fail, ok, unit, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from billing.settings import Settings

RuntimeRole = Literal["proxy", "cashier", "admin", "ivr"]
ROLES: tuple[RuntimeRole, ...] = ("proxy", "cashier", "admin", "ivr")
AUDIT_LIMIT_S = 300.0
CLOCKS_APART_WARN_S = 2.0
LOOK_AGAIN_S = 1.0
OVERDUE_S = 90
"""The reaper takes a call 30 s after its funding, looking every 5 s."""
NODE_SILENT_MS = 60_000
MIGRATE = "bin/meterline db migrate"
WANTED = {
    "innodb_flush_log_at_trx_commit": ({"1"}, "it would lose committed money in a crash"),
    "secure_timestamp": ({"SUPER", "YES"}, "a login could choose the time of its calls"),
    "innodb_doublewrite": ({"ON", "1", "fast"}, "a torn page would be a torn ledger"),
    "read_only": ({"OFF", "0"}, "nothing can be charged"),
}
BINARY_LOG = ("log_bin", "sync_binlog")


def database(settings: Settings) -> Iterator[Finding]:
    """Every role whose password the settings hold."""
    where = settings.database.where
    for role in ROLES:
        ledger = _opened(settings, role)
        if ledger is None and role == "proxy":
            yield fail("database", "proxy: no database.proxy_password", "the node needs it")
        elif ledger is None:
            yield ok("database", f"{role}: no password here, so not checked")
        if ledger is None:
            continue
        began_s = time.monotonic()
        try:
            ledger.server_time()
        except MeterlineError as error:
            yield fail("database", f"{role} at {where}: {error}", "does the server run, and is the password right?")
        else:
            yield ok("database", f"{role} at {where} answers in {(time.monotonic() - began_s) * 1000:.0f} ms")
        finally:
            ledger.close()
    local = settings.database.socket or settings.database.host in {"127.0.0.1", "::1", "localhost"}
    if not local and settings.database.tls_ca is None:
        yield warn("database", f"{where} is reached without TLS", "set database.tls_ca")


def privileges(settings: Settings) -> Iterator[Finding]:
    """Exactly what db/grants.py wants; a right more is a way to money."""
    for role in ROLES:
        ledger = _opened(settings, role)
        if ledger is None:
            continue
        try:
            granted, wide = rights_in(ledger.own_grants(), settings.database.name)
        except LedgerError:
            continue  # it does not answer: said above
        finally:
            ledger.close()
        user = settings.database.login(role).user
        wanted = rights_of(role, [], [])
        if wide:
            yield fail(
                "privileges", f"{user} has {', '.join(sorted(wide))}", f"REVOKE that from {user}, then {MIGRATE}"
            )
        if missing := wanted - granted:
            yield fail("privileges", f"{user} lacks {_some(missing)}", MIGRATE)
        if more := granted - wanted:
            yield fail("privileges", f"{user} has {_some(more)} too much", f"{MIGRATE} takes it back")
        if not wide and wanted == granted:
            yield ok("privileges", f"{user} has its {len(wanted)} rights and no other")


def _some(rights: frozenset[Right]) -> str:
    names = sorted(f"{right.privilege} on {right.name}{f'.{right.column}' if right.column else ''}" for right in rights)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


_GRANT = re.compile(r"GRANT (?P<what>.+?) ON (?P<routine>PROCEDURE )?(?P<on>\S+) TO ")
_PRIVILEGE = re.compile(r"([A-Z][A-Z ]*[A-Z])(?: \(([^)]*)\))?")


def rights_in(grants: list[str], schema: str) -> tuple[frozenset[Right], set[str]]:
    """From a login's GRANT statements: its rights on single objects of the ledger, and whatever else it has."""
    rights, wide = set(), set()
    for line in grants:
        found = _GRANT.match(line)
        if found is None:
            wide.add(line.partition(" TO ")[0])  # a role, or PROXY
            continue
        place, _, name = found["on"].replace("`", "").rpartition(".")
        if place != schema or name == "*":
            if found["what"] != "USAGE":
                wide.add(f"{found['what']} on {found['on']}")
            continue
        kind: Literal["PROCEDURE", "TABLE"] = "PROCEDURE" if found["routine"] else "TABLE"
        for privilege, columns in _PRIVILEGE.findall(found["what"]):
            names = columns.replace("`", "").split(",") if columns else [""]
            rights |= {Right(kind, name, privilege, column.strip()) for column in names}
        if "WITH GRANT OPTION" in line:
            wide.add(f"GRANT OPTION on {found['on']}")
    return frozenset(rights), wide


def server(settings: Settings) -> Iterator[Finding]:
    """Variables that decide whether a commit is kept."""
    with _proxy(settings) as ledger:
        found = ledger.server_variables([*WANTED, *BINARY_LOG])
        version = ledger.server_version()
    for name, (right, why) in WANTED.items():
        value = found.get(name, "unknown")
        if value not in right:
            yield fail("server", f"{name} is {value}: {why}", f"set {name} = {min(right)} in its configuration")
        else:
            yield ok("server", f"{name} is {value}")
    if found.get("log_bin") == "ON" and found.get("sync_binlog") != "1":
        yield warn(
            "server", f"sync_binlog is {found.get('sync_binlog')}", "set it to 1: replicas and backups may miss money"
        )
    yield ok("server", version)


def clocks(settings: Settings) -> Iterator[Finding]:
    """The node's and the database's; expiry and windows go by the database's."""
    with _proxy(settings) as ledger:
        ledger.server_time()  # connects
        before = datetime.now(UTC)
        theirs = ledger.server_time().replace(tzinfo=UTC)
        apart_s = (theirs - before).total_seconds()
    text = f"the database's clock is {apart_s:+.1f} s from this node's"
    if abs(apart_s) > CLOCKS_APART_WARN_S:
        yield warn("clock", text, "synchronize both; talk is measured by a third that nobody sets, so money is right")
    else:
        yield ok("clock", text)


def version(settings: Settings) -> Iterator[Finding]:
    """Tables, routines and views against the files of this checkout."""
    with _proxy(settings) as ledger:
        loaded = ledger.versions()
    wanted = wanted_versions()
    other = {key for key in loaded.keys() | wanted.keys() if loaded.get(key) != wanted.get(key)}
    if other:
        names = ", ".join(sorted(f"{kind.lower()} {name}" for kind, name in other)[:3])
        yield fail("version", f"{len(other)} objects are not of this version: {names}", MIGRATE)
    else:
        yield ok("version", f"{len(wanted)} migrations, routines and views are of this version")


def nodes(settings: Settings) -> Iterator[Finding]:
    """Who else there is."""
    with _proxy(settings) as ledger:
        found = {node.name: node for node in ledger.nodes()}
        overdue, provisional = ledger.overdue_calls(OVERDUE_S), ledger.provisional_cdrs()
    own = found.pop(settings.node.name, None)
    if own is None or own.silent_ms > NODE_SILENT_MS:
        since = "ever" if own is None else f"for {own.silent_ms // 1000} s"
        yield fail(
            "nodes", f"the ledger has not heard of {settings.node.name} {since}", unit("restart", "drain")
        )
    for node in found.values():
        if node.retired_at is not None:
            yield ok("nodes", f"{node.name} is retired, by {node.retired_by}: {node.retired_reason}")
        elif node.silent_ms > NODE_SILENT_MS:
            remedy = f"start it; if it is gone for good: bin/meterline node retire {node.name} --reason .."
            yield warn("nodes", f"{node.name} is silent for {node.silent_ms // 1000} s", remedy)
        else:
            yield ok("nodes", f"{node.name} is alive")
    if overdue:
        yield fail("calls", f"{overdue} calls are overdue", "no drain reaps them: does any run?")
    if provisional:
        remedy = "bin/meterline node list says whose: start the node, or retire it, then refund what is unfair"
        yield warn("calls", f"{provisional} calls are charged provisionally", remedy)


def calls(settings: Settings) -> Iterator[Finding]:
    """What the ledger holds for this node, against what Kamailio has. Looked at for a while, for calls come and go."""
    with _proxy(settings) as ledger:
        gone, unpaid = _mismatches(settings, ledger)
        total = ledger.live_totals(settings.node.name)
    if unpaid:
        yield fail(
            "calls",
            f"{len(unpaid)} calls are up that the ledger does not know",
            f"end them: kamcmd dlg.list; {_first(unpaid)}",
        )
    if gone:
        yield warn("calls", f"{len(gone)} paid calls are not up", f"the reaper takes them; the first is {_first(gone)}")
    held = ", ".join(f"{one.held} {one.currency} ({one.state})" for one in total) or "nothing"
    yield ok("calls", f"{sum(one.calls for one in total)} calls of this node are in progress and hold {held}")


def _mismatches(settings: Settings, ledger: Ledger) -> tuple[frozenset[str], frozenset[str]]:
    """Answered calls without a dialog, and dialogs without a call; both as long as it takes to be sure of them."""
    without_dialog, without_call = Lasting(LOOK_AGAIN_S), Lasting(ENDED_KEPT_S)
    first: frozenset[str] | None = None
    while True:
        try:
            up = billed_call_keys(settings.node.state_dir)
        except sqlite3.Error:
            return frozenset(), frozenset()  # said among the node's checks
        live = ledger.live_keys(settings.node.name)
        answered = {key for key, state in live.items() if state == "answered"}
        suspects = (answered - up) | (up - live.keys())
        first = frozenset(suspects) if first is None else first & suspects  # later ones are another look's
        now_s = time.monotonic()
        gone = without_dialog.seen(answered & first, now_s)
        unpaid = without_call.seen(first - answered, now_s)
        if first == gone | unpaid:
            return gone, unpaid
        time.sleep(LOOK_AGAIN_S)


def _first(keys: frozenset[str]) -> str:
    return min(keys)


def audit(settings: Settings) -> Iterator[Finding]:
    """The books, in one snapshot."""
    ledger = Ledger.for_role(settings.database, "proxy", AUDIT_LIMIT_S)
    try:
        differences = ledger.audit()
    except MeterlineError as error:
        yield fail("audit", f"could not be made: {error}", "see the database above")
        return
    finally:
        ledger.close()
    if differences:
        first = differences[0]
        yield fail(
            "audit",
            f"{len(differences)} differences; {first.what} of {first.id} is {first.actual}, not {first.expected}",
            "bin/meterline audit shows all; take a backup before anything else, and find what wrote there",
        )
    else:
        yield ok("audit", "no differences")


@contextmanager
def _proxy(settings: Settings) -> Iterator[Ledger]:
    """The ledger as the node sees it, closed afterwards."""
    ledger = Ledger.for_proxy(settings.database)
    try:
        yield ledger
    finally:
        ledger.close()


def _opened(settings: Settings, role: RuntimeRole) -> Ledger | None:
    try:
        return Ledger.for_role(settings.database, role)
    except SettingsError:
        return None


def alarms(settings: Settings) -> Iterator[Finding]:
    """Limits of spending and of calls that were nearly reached, and that nobody has looked at."""
    with _proxy(settings) as ledger:
        found = ledger.alarms()
    stopped = sum(one.stopped_at is not None for one in found)
    if found:
        text = f"{len(found)} limits were nearly reached, {stopped} of them refused something"
        yield warn("alarms", text, "bin/meterline alarms; then --acknowledge each account")
    else:
        yield ok("alarms", "none that nobody has seen")


CHECKS = (
    ("server", server),
    ("clock", clocks),
    ("version", version),
    ("privileges", privileges),
    ("nodes", nodes),
    ("calls", calls),
    ("alarms", alarms),
    ("audit", audit),
)
"""Made when the database answers the node."""
