"""What breaks on purpose: a stack of one's own, a database that hangs or dies, calls that are up meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from billing.journal import segments_of
from stack.node import Stack
from stack.processes import free_port, wait_until
from tests.support.messages import Message
from tests.support.party import Party
from tests.support.rawsip import Dialog
from tests.support.world import Account, Phone, World

OVERRIDES = {
    "flood": {"requests_per_s": 10_000, "log_lines_per_s": 10_000},  # one address is many callers here
    "calls": {
        "grant_s": 10,
        "renew_lead_s": 5,
        "shorter_grants_s": [6, 4, 3, 2, 1],
        "ring_limit_s": 20,
        "early_dialog_s": 40,
        "carrier_silence_s": 2,
    },
}
RECOVERY_LIMIT_S = 10
"""docs/architecture.md, When things break: recovery within 10 s of the database's return."""


@contextlib.contextmanager
def own_world(folder: Path) -> Iterator[World]:
    """A stack and its ledger that nobody else uses. At the end all is settled and the audit is empty."""
    with Stack(folder, overrides=OVERRIDES) as stack:
        world = World(stack, [free_port() for _ in range(3)])
        yield world
        world.wait_until_drained()
        assert [] == world.cashier.audit()
        assert [] == world.log_lines('"uncaught"', '"fact_lost"')
        refused = world.settings.node.state_dir / "journal" / "refused.log"
        assert not refused.exists(), refused.read_text()


@contextlib.contextmanager
def database_away(world: World, fault: str) -> Iterator[None]:
    """The database `hangs` (SIGSTOP: connections stay and nothing answers) or is `killed` (SIGKILL), and returns."""
    server = world.stack.mariadb
    if fault == "hangs":
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
    else:
        server.kill9()
    try:
        yield
    finally:
        if fault == "hangs":
            assert server.pid is not None
            os.kill(server.pid, signal.SIGCONT)
        else:
            server.start()
            reconnect(world)


def reconnect(world: World) -> None:
    """The test's own logins take new connections to a server that was restarted."""
    world.admin.close()
    world.cashier.close()


class Up:
    """A call that is up: its account, its caller with a port of his own, his dialog, and when he was answered."""

    def __init__(self, caller: Party, account: Account, phone: Phone) -> None:
        self.caller, self.account = caller, account
        self.dialog: Dialog = caller.call(phone)
        self.call_id = self.dialog.call_id
        self.answered_at = next(one.at for one in caller.heard(code=200, call_id=self.call_id))

    def byes(self) -> list[Message]:
        """BYEs that came to the caller, repetitions of one request aside."""
        return distinct(self.caller.heard("BYE", call_id=self.call_id))

    def wait_for_bye(self, callee: Party, limit_s: float) -> float:
        """Seconds from the answer to the proxy's BYE to the caller; the callee has his within a second of it."""
        bye = self.caller.wait_for_request("BYE", limit_s, self.call_id)
        callee.wait_for_request("BYE", 1, self.call_id)
        return bye.at - self.answered_at


def calls_up(world: World, stack: contextlib.ExitStack, balances: list[str]) -> list[Up]:
    """A call for each balance (a cent a second), each of an account and from a port of its own, known to the ledger."""
    accounts = [world.customer(balance) for balance in balances]
    phones = [world.phone(account) for account in accounts]
    callers = [stack.enter_context(Party(world, host="127.0.0.21")) for _ in balances]
    up = [Up(*each) for each in zip(callers, accounts, phones, strict=True)]
    for account in accounts:
        world.wait_for_live(account)
    return up


def distinct(requests: list[Message]) -> list[Message]:
    """The requests without retransmissions: one for each branch."""
    return list({one.header("via").partition("branch=")[2].split(";")[0]: one for one in requests}.values())


def journal_bytes(world: World) -> int:
    """What waits in the journal: written and not yet settled, as the positions beside its segments say."""
    return journal_waits(world.settings.node.state_dir)


def journal_waits(state_dir: Path) -> int:
    """The same of a node's folder."""
    return sum(_unsettled(path) for path in segments_of(state_dir / "journal"))


def _unsettled(segment: Path) -> int:
    done = segment.with_suffix(".done")
    settled = int(done.read_text(encoding="ascii") or 0) if done.exists() else 0
    return max(0, segment.stat().st_size - settled)


def clock_reaches(moment: float, limit_s: float) -> None:
    """Until the wall clock shows `moment` (seconds since the epoch)."""
    wait_until(lambda: time.time() >= moment, limit_s, f"the clock shows {moment}")


def percentile(values: list[float], part: float) -> float:
    """The value that `part` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
