"""The doctor's checks of the node: files, processes, clock, disk. None of them needs the database."""

from __future__ import annotations

import ctypes
import json
import os
import sqlite3
import stat
import tomllib
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from billing import readiness
from billing.board import FILE_NAME, Board
from billing.clock import Moment
from billing.directory import DirectoryFile
from billing.journal_room import JournalRoom, depth_of, oldest_waiting
from billing.settings import FOLDERS_VARIABLE, secret_files
from monitor import doctor_tls
from monitor.dialogs import STORE, billed_call_keys
from monitor.findings import Finding, Part, fail, ok, unit, warn
from monitor.sip import TURNED_AWAY
from monitor.watch import ping, write_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from billing.settings import Settings

JOURNAL_AGE_WARN_S, JOURNAL_AGE_FAIL_S = 10, 300
DISK_FREE_WARN_BYTES = 500_000_000
REMOTE_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "fuse.sshfs", "9p"}
LEAD_ANSWERS_MIN = 5
"""A renewal should have so many tries before its grant is over."""
TIME_ERROR = 5  # adjtimex(2): the clock is not synchronized
UNITS: dict[str, Part] = {"drain": "drain", "keeper": "proxy", "cutter": "proxy"}
"""Of which part each process is."""


def settings_file(path: Path | None) -> Iterator[Finding]:
    """It holds passwords, or files of their own do."""
    if path is None:
        yield ok("settings", "from variables alone")
    folders = filter(None, os.environ.get(FOLDERS_VARIABLE, "").split(":"))
    secrets = [file for folder in folders for file in secret_files(Path(folder))]
    for file in [*([path] if path else []), *secrets]:
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o027 and (file != path or _holds_secrets(file)):
            yield fail("settings", f"{file} has mode {mode:o}: others can read passwords", f"chmod 640 {file}")
        else:
            yield ok("settings", f"{file}, mode {mode:o}")


def _holds_secrets(path: Path) -> bool:
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    sections = [section for section in content.values() if isinstance(section, dict)]
    return "card_pin_key" in content or any(key.endswith("_password") for section in sections for key in section)


def timers(settings: Settings) -> Iterator[Finding]:
    """What is contradictory does not load; this is what is only unwise."""
    calls, answer_s = settings.calls, settings.database.timeout_s + 1
    if calls.renew_lead_s < LEAD_ANSWERS_MIN * answer_s:
        yield warn(
            "timers",
            f"calls.renew_lead_s {calls.renew_lead_s} leaves fewer than {LEAD_ANSWERS_MIN} tries of {answer_s:g} s",
            "raise calls.renew_lead_s, or lower database.timeout_s: a slow database cuts paid calls",
        )
    else:
        yield ok("timers", f"grants of {calls.grant_s} s, renewed {calls.renew_lead_s} s before their end")


def state_folder(settings: Settings) -> Iterator[Finding]:
    """Where journal and dialogs are."""
    folder = settings.node.state_dir
    try:
        found = folder.stat()
    except OSError as error:
        yield fail(
            "state", f"node.state_dir {folder}: {error.strerror}", "make it, for the node's user alone, mode 700"
        )
        return
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        yield warn("state", f"{folder} has mode {mode:o}: it holds whom people called", f"chmod 700 {folder}")
    else:
        yield ok("state", f"{folder}, mode {mode:o}")
    if (kind := _file_system(folder)) in REMOTE_FILE_SYSTEMS:
        yield fail("state", f"{folder} is on {kind}", "name a local disk in node.state_dir: the journal needs one")


def journal(settings: Settings) -> Iterator[Finding]:
    """Facts on their way, room for more, and what was set aside."""
    folder = settings.node.state_dir / "journal"
    if not folder.is_dir():
        yield fail("journal", f"{folder} is not there", f"start the drain, which makes it: {unit('start', 'drain')}")
        return
    if error := write_error(settings.node.state_dir):
        yield fail("journal", f"cannot be written: {error}", "new calls are refused until it can; look at the disk")
    else:
        yield ok("journal", "can be written")
    try:
        JournalRoom(folder, settings.journal).check()
    except OSError as error:
        yield fail("journal", str(error.strerror), "new calls are refused: free the disk, or bring the database back")
    yield from _waiting(folder)
    yield from _set_aside(folder)
    yield from _disk(settings.node.state_dir)


def _waiting(folder: Path) -> Iterator[Finding]:
    depth, oldest = depth_of(folder), oldest_waiting(folder)
    age_s = Moment.now().ms_since(Moment.parse(str(oldest["at"]))) / 1000 if oldest and "at" in oldest else 0.0
    text = f"{depth} bytes wait" + (f", the first for {age_s:.0f} s" if oldest else "")
    remedy = "does the drain run, and does the database answer? (below)"
    if age_s > JOURNAL_AGE_FAIL_S:
        yield fail("journal", text, remedy)
    elif age_s > JOURNAL_AGE_WARN_S:
        yield warn("journal", text, remedy)
    else:
        yield ok("journal", text)


def _set_aside(folder: Path) -> Iterator[Finding]:
    remedies = {
        "damaged.log": "a call of each line may be reaped: meterline cdrs accept, then refund; then move the file away",
        "refused.log": "mend the cause of each and give the fact again (docs/operator.md); then move the file away",
    }
    for name, remedy in remedies.items():
        file = folder / name
        lines = file.read_bytes().count(b"\n") if file.exists() else 0
        if lines:
            yield warn("journal", f"{lines} lines in {file}", remedy)


def _disk(folder: Path) -> Iterator[Finding]:
    found = os.statvfs(folder)
    free, inodes = found.f_bavail * found.f_frsize, found.f_favail
    text = f"{free / 1e9:.1f} GB and {inodes} inodes are free under {folder}"
    if free < DISK_FREE_WARN_BYTES or (found.f_files and inodes < 1000):
        yield warn("disk", text, "make room: with a full disk new calls are refused")
    else:
        yield ok("disk", text)


def dialog_store(settings: Settings) -> Iterator[Finding]:
    """Kamailio's calls, as it would find them after a restart."""
    store = settings.node.state_dir / STORE
    if not store.exists():
        yield fail("dialogs", f"{store} is not there", f"start the proxy, which makes it: {unit('start', 'proxy')}")
        return
    try:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=1)) as database:
            (state,) = database.execute("PRAGMA quick_check(1)").fetchone()
        number = len(billed_call_keys(settings.node.state_dir))
    except sqlite3.Error as error:
        state, number = str(error), 0
    if state != "ok":
        yield fail(
            "dialogs", f"{store}: {state}", "stop the proxy when no call is up, move the file away, start it again"
        )
    else:
        yield ok("dialogs", f"{number} calls are up")


def directory(settings: Settings) -> Iterator[Finding]:
    """Where calls come from and go to, as SIP workers know it."""
    path = settings.node.state_dir / "directory.json"
    found = DirectoryFile(path).current()
    if found.twin:
        text = f"another node has the name {settings.node.name} and is alive: {found.twin}; this one takes no calls"
        yield fail("directory", text, "give one of them another node.name, and restart it when it has no call")
    if not found.carriers_in_order:
        yield fail(
            "directory", f"{path} has no carrier: every call fails", "bin/meterline carrier add; does the drain run?"
        )
    else:
        yield ok("directory", f"{len(found.carriers_in_order)} carriers")


def processes(settings: Settings) -> Iterator[Finding]:
    """Who of the node is alive, and what they know about each other."""
    path = settings.node.state_dir / FILE_NAME
    board = Board(path) if path.exists() else None
    if board is None or not board.on_disk:
        yield fail("processes", f"{path} cannot be read", "start the node, or run this as the node's user")
    else:
        silent = readiness.silent_processes(board)
        for name in readiness.PROCESSES:
            if name in silent:
                yield fail("processes", f"the {name} does nothing", f"{unit('restart', UNITS[name])}; see its log")
            else:
                yield ok("processes", f"the {name} works")
        if readiness.breaker_is_open(board, settings):
            yield fail("breaker", "open: the last questions to the database failed", "see the database below")
        else:
            yield ok("breaker", "closed")
        board.close()
    yield from _proxy(settings)
    yield from _monitor(settings)


def _proxy(settings: Settings) -> Iterator[Finding]:
    code = ping(settings)
    where = ", ".join(settings.sip.listen)
    if code is None:
        yield fail("proxy", f"no answer to a ping at {where}", f"start it: {unit('start', 'proxy')}; see its log")
    elif code == TURNED_AWAY:
        yield ok("proxy", f"speaks TLS at {where}, and turns away who shows no certificate (tls.verify_callers)")
    elif code != 200:
        yield fail("proxy", f"answers a ping with {code}: it takes no new calls", "its reasons are among these lines")
    else:
        yield ok("proxy", f"answers a ping at {where}")


def _monitor(settings: Settings) -> Iterator[Finding]:
    url = f"http://{settings.monitor.listen}/healthz"
    try:
        wrong = _asked(url)["wrong"]
    except (OSError, ValueError, LookupError, TypeError):  # nobody, or another program
        remedy = f"start it, without it nobody is alarmed: {unit('start', 'monitor')}"
        yield warn("monitor", f"no answer at {url}", remedy)
        return
    yield ok("monitor", f"answers at {url}" + (f": {', '.join(wrong)}" if wrong else ""))


def _asked(url: str) -> Any:
    """What a GET answers, as JSON, whatever its code."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def clock(settings: Settings) -> Iterator[Finding]:
    """Money does not depend on it; CDRs of emergency calls and lines of the log do."""
    del settings
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    if state < 0:
        yield warn("clock", "the kernel does not say whether it is synchronized", "look outside: timedatectl")
    elif state == TIME_ERROR:
        yield warn("clock", "is not synchronized", "run an NTP client, such as chrony or systemd-timesyncd")
    else:
        yield ok("clock", "is synchronized")


def _file_system(folder: Path) -> str:
    """Its type, by the longest mount point above it (proc(5), mounts)."""
    best, kind = "", ""
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, mount, found, *_ = line.split()
        if folder.is_relative_to(mount) and len(mount) > len(best):
            best, kind = mount, found
    return kind


CHECKS = (
    ("timers", timers),
    ("state", state_folder),
    ("journal", journal),
    ("dialogs", dialog_store),
    ("directory", directory),
    ("processes", processes),
    ("tls", doctor_tls.certificates),
    ("clock", clock),
)
