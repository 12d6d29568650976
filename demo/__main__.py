"""`make demo`: a private stack in run/demo, real calls on it, what they cost, and nothing left running.

`make demo ARGS=phone`: users, passwords and a number that answers, for a softphone at the stack of `make up`.
"""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape
from ulid import ULID

from billing.errors import MeterlineError
from billing.ledger import Ledger
from cli.output import money
from db.demo import DemoCarrier, DemoData, DemoSecrets, load_demo
from demo import closing, softphone
from demo.calls import Played
from demo.script import CARRIER, CARRIER_A_SECOND, IVR, acts
from demo.sip import Carrier
from demo.stage import Stage, check
from stack.kamailio import CHECKOUT
from stack.node import Stack
from stack.processes import stop_left_behind, wait_until

RUN = CHECKOUT / "run" / "demo"
WIDTH_MAX = 90
LEDGER_TIMEOUT_S = 30.0
EXIT_WRONG = 1
EXIT_INTERRUPTED = 130


def main(words: Sequence[str]) -> int:
    """0 when every call went exactly as told, 1 when one did not or nothing could be started."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("calls", "phone"), default="calls")
    what = parser.parse_args(words).what
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _show_calls(_console()) if what == "calls" else softphone.serve()
    except MeterlineError as error:
        print(f"demo: {error}", file=sys.stderr)
        return EXIT_WRONG
    except KeyboardInterrupt:
        print("demo: interrupted, stopped", file=sys.stderr)
        return EXIT_INTERRUPTED


def _show_calls(console: Console) -> int:
    begun_s = time.monotonic()
    pids: list[int] = []
    wrong = _play(console, pids)
    left = _still_running(pids)
    wrong += [f"left running: {name}" for name in left]
    took = f"{time.monotonic() - begun_s:.0f} s"
    console.print(f"Stopped. {len(left) or 'No'} process of the demo is left running. It took {took}.\n")
    if wrong:
        console.print(f"[bold red]{len(wrong)} things were not as told:[/]")
        for fault in wrong:
            console.print(f"  {escape(fault)}")
        return EXIT_WRONG
    console.print("[bold green]Every call went as told, to the last cent.[/]")
    return 0


def _play(console: Console, pids: list[int]) -> list[str]:
    """The whole demo on a fresh stack; what was not as told. `pids` gains every process that it started."""
    stop_left_behind(RUN, first="demo")
    shutil.rmtree(RUN, ignore_errors=True)
    console.print("[bold]Meterline demo[/]: real SIP calls through Kamailio, paid from a ledger in MariaDB.")
    console.print("Starting both, private and empty, in run/demo. No system service is touched.")
    stack = Stack(RUN)
    with stack, Carrier(RUN / "calls", CARRIER) as carrier, _ledgers(stack) as (admin, cashier):
        parts = (stack.mariadb, stack.drain, stack.kamailio, carrier)
        pids += [pid for part in parts if (pid := part.pid) is not None]
        data = _load(stack, carrier, admin, cashier)
        console.print(f"SIP on {stack.sip_address}, realm {data.realm}. Callers and carrier are SIPp, on 127.0.0.x.")
        return _calls(console, stack, carrier, cashier, data, pids)


def _calls(
    console: Console, stack: Stack, carrier: Carrier, cashier: Ledger, data: DemoData, pids: list[int]
) -> list[str]:
    before = {account.name: account.balance for account in cashier.accounts()}
    paid: dict[str, Decimal] = {}

    def pay(account_id: int, amount: Decimal) -> str:
        posted = cashier.top_up(str(ULID()), account_id, amount, "demo", "paid while talking")
        name = next(one.name for one in cashier.accounts() if one.account_id == account_id)
        paid[name] = paid.get(name, Decimal(0)) + amount
        return f"paid in; the balance is {money(posted.balance)} now"

    stage = Stage(
        console, RUN / "calls", proxy=stack.sip_address, realm=data.realm, carrier=carrier, ledger=cashier
    )
    played: list[Played] = []
    wrong: list[str] = []
    for act in acts(data, pay):
        calls = stage.play(act)
        if not check(stage, calls):
            wrong.append(f"act {act.title}")
        played += calls
    pids += stage.pids
    wrong += _close(console, cashier, played, closing.expected_balances(before, played, paid))
    console.print("[bold]A phone of your own[/]")
    console.print(
        "`make up` runs the same stack until Ctrl-C. Beside it, `make demo ARGS=phone` makes three users "
        "with passwords and a number that answers with an echo, and says what to enter in a softphone.\n"
    )
    return wrong


def _close(console: Console, cashier: Ledger, played: list[Played], expected: dict[str, Decimal]) -> list[str]:
    cdrs = [call.cdr for call in played if call.cdr is not None]
    console.print()
    closing.show_cdrs(console, cdrs)
    console.print()
    wrong = closing.show_balances(console, cashier.accounts(), expected)
    console.print()
    wrong += closing.show_audit(console, cashier)
    console.print()
    two_legs = next((cdr for cdr in cdrs if len(cdr.legs) > 1), None)
    if two_legs is None:
        wrong.append("no call of the reseller's was charged on two levels")
    else:
        wrong += closing.show_levels(console, two_legs, CARRIER_A_SECOND)
        console.print()
        wrong += closing.show_arithmetic(console, two_legs)
        console.print()
    return wrong


def _load(stack: Stack, carrier: Carrier, admin: Ledger, cashier: Ledger) -> DemoData:
    """Accounts, tariffs, trunks and the carrier; back when the node knows its carrier."""
    settings = stack.settings
    data = load_demo(
        admin,
        cashier,
        realm=settings.sip.realm,
        ivr_network=f"{IVR}/32",
        carriers=[DemoCarrier(carrier.name, carrier.host, carrier.port, priced=True)],
        secrets=DemoSecrets(settings.card_pin_key.get_secret_value()),
    )
    directory = settings.node.state_dir / "directory.json"
    wait_until(lambda: str(carrier.port) in directory.read_text(encoding="utf-8"), 10, "the node knows its carrier")
    return data


@contextlib.contextmanager
def _ledgers(stack: Stack) -> Iterator[tuple[Ledger, Ledger]]:
    """As administrator and as cashier."""
    admin, cashier = (Ledger.for_role(stack.settings.database, role, LEDGER_TIMEOUT_S) for role in ("admin", "cashier"))
    try:
        yield admin, cashier
    finally:
        admin.close()
        cashier.close()


def _still_running(sessions: list[int]) -> list[str]:
    """Processes in a session that the demo began (proc(5): the sixth field of stat); a moment is given to die."""
    with contextlib.suppress(MeterlineError):
        wait_until(lambda: not _in_sessions(sessions), 5, "all processes end")
    return _in_sessions(sessions)


def _in_sessions(sessions: list[int]) -> list[str]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            head, _, rest = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")
            state, _, _, session = rest.split()[:4]
            if int(session) in sessions and state != "Z":
                found.append(head.replace(" (", " "))
    return found


def _console() -> Console:
    """At most WIDTH_MAX columns; a pipe gets them all, so that tables are not folded."""
    console = Console(highlight=False)
    width = min(WIDTH_MAX, console.width) if console.is_terminal else WIDTH_MAX
    return Console(highlight=False, width=width)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


if __name__ == "__main__":
    os.chdir(CHECKOUT)
    sys.exit(main(sys.argv[1:]))
