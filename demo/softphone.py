"""What a person with a softphone finds on a stack that stays: the demo's accounts, and a number that answers.

The accounts are loaded once. The ledger keeps hashes of their passwords, so the only copy is a file of the stack's
folder that its owner alone may read.
"""

import contextlib
import json
import time
from pathlib import Path
from typing import Any

from billing import settings as settings_module
from billing.ledger import Ledger
from billing.settings import Settings
from db.demo import LANDLINE, MOBILE, DemoData, DemoSecrets, load_demo
from demo.sip import Carrier
from stack.kamailio import CHECKOUT
from stack.node import write_private
from stack.processes import StackError, free_port, pid_in, port_is_free

IVR = "127.0.0.20"
ACCOUNTS_FILE = "demo-accounts.json"
CARRIER = "echo"
UP = CHECKOUT / "run" / "up"
LEDGER_TIMEOUT_S = 30.0
LOOK_S = 0.5


def serve() -> int:
    """Beside `make up`: make the accounts, say what to enter in a phone, and answer calls until Ctrl-C.

    Raises StackError when nothing is up.
    """
    if pid_in(UP / "stack.pid") is None:
        raise StackError("nothing is up: run `make up` in another terminal first")
    settings = settings_module.load(UP / "meterline.toml")
    guests = Guests(UP, settings)
    admin, cashier = (Ledger.for_role(settings.database, role, LEDGER_TIMEOUT_S) for role in ("admin", "cashier"))
    with guests.carrier, contextlib.closing(admin), contextlib.closing(cashier):
        guests.move_in(admin, cashier)
        print("\n".join(guests.lines()), flush=True)
        print("Ctrl-C ends the number that answers; accounts and passwords stay", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while guests.carrier.alive and pid_in(UP / "stack.pid") is not None:
                time.sleep(LOOK_S)
    return 0


class Guests:
    """The demo's accounts in the ledger of `settings`, and the carrier that calls go to. `folder` is the stack's."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._file = folder / ACCOUNTS_FILE
        self._settings = settings
        self._listen = settings.sip.listen[0].split(":", 1)[1]
        self._known: dict[str, Any] = json.loads(self._file.read_text("utf-8")) if self._file.exists() else {}
        host = self._listen.rpartition(":")[0]
        self.carrier = Carrier(folder, host, CARRIER, self._carrier_port(host))

    def move_in(self, admin: Ledger, cashier: Ledger) -> None:
        """Load the accounts if they are not there yet, and make our carrier the one that calls go to."""
        if "extensions" not in self._known:
            self._remember(self._load(admin, cashier))
        address = f"{self.carrier.host}:{self.carrier.port}"
        carriers: dict[str, int] = self._known.setdefault("carriers", {})
        if address not in carriers:
            carriers[address] = admin.create_carrier(f"{CARRIER} {address}", self.carrier.host, port=self.carrier.port)
        for known in carriers:
            admin.set_carrier_status(f"{CARRIER} {known}", "active" if known == address else "disabled")
        write_private(self._file, json.dumps(self._known, indent=2) + "\n")

    def lines(self) -> list[str]:
        """What a person needs to know, line by line."""
        extensions: dict[str, str] = self._known["extensions"]
        users = [f"           user {user}   password {password}" for user, password in extensions.items()]
        number, pin = self._known["cards"]["card"]
        return [
            f"phone      server {self._listen}, UDP or TCP, without registration; one balance for all three",
            *users,
            f"dial       {LANDLINE} or 03012345678 (0.60 a minute), {MOBILE} (1.20): an echo answers",
            f"card       {number}, PIN {pin}, from an IVR at {IVR} (docs/asterisk)",
        ]

    def _load(self, admin: Ledger, cashier: Ledger) -> DemoData:
        key = self._settings.card_pin_key.get_secret_value()
        return load_demo(
            admin,
            cashier,
            realm=self._settings.sip.realm,
            ivr_network=f"{IVR}/32",
            carriers=[],
            secrets=DemoSecrets(key),
        )

    def _remember(self, data: DemoData) -> None:
        self._known["extensions"] = {one.username: one.password for one in data.extensions.values()}
        self._known["cards"] = {one.name: (one.number, one.pin) for one in data.cards.values()}
        write_private(self._file, json.dumps(self._known, indent=2) + "\n")

    def _carrier_port(self, host: str) -> int:
        """The port of last time if it is free: then the ledger has it already."""
        for address in self._known.get("carriers", {}):
            known_host, _, port = address.rpartition(":")
            if known_host == host and port_is_free(host, int(port)):
                return int(port)
        return free_port(host)
