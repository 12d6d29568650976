"""The routing script on a stand-in for Kamailio, with a real node object: journal and directory are files."""

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest

from billing.clock import Moment
from billing.directory import Carrier, Directory, Trunk, publish
from billing.journal import JournalTail
from billing.settings import Settings
from tests.unit.builders import Ledger, Rates, caller, opened, rate
from tests.unit.kemi import fake_ksr

KSR = sys.modules.setdefault("KSR", ModuleType("KSR"))
fake_ksr.install(KSR, fake_ksr.World())

IVR = Trunk(1, "ivr", "ivr", None, ("198.51.100.1/32",))
GATEWAY = Trunk(2, "gateway", "caller_number", None, ("198.51.100.2/32",))
OFFICE = Trunk(3, "office", "customer", 7, ("198.51.100.3/32",))
ORPHAN = Trunk(4, "orphan", "customer", None, ("198.51.100.4/32",))


def carrier(number, **more):
    values = {"host": f"192.0.2.{number}", "port": 5060, "transport": "udp", "priority": number, "dial_prefix": ""}
    return Carrier(carrier_id=number, name=f"carrier {number}", **values | more)


def answered_ago(seconds):
    """A moment so long ago, as a dialog keeps it."""
    now = Moment.now()
    return str(Moment(now.monotonic_ms - int(seconds * 1000), now.wall_ms - int(seconds * 1000), now.boot))


@pytest.fixture
def world(monkeypatch):
    """A new Kamailio, and a script that has just been loaded into it."""
    made = fake_ksr.World()
    fake_ksr.install(KSR, made)
    monkeypatch.setattr("billing.logs.write", made.logged.append)
    made.request()
    return made


@pytest.fixture
def node(world, tmp_path):
    """The node of this process: two carriers, four trunks, a ledger that knows one caller and opens every call."""
    from kemi import cutter, dialogs, ender, keeper, node

    made = node.start(
        Settings(
            node={"name": "node-1", "state_dir": tmp_path},
            sip={"realm": "example.net", "listen": ("udp:127.0.0.1:5060",)},
            card_pin_key="k" * 32,
            journal={"reserve_mb": 0},
        )
    )
    publish(Directory((IVR, GATEWAY, OFFICE, ORPHAN), (carrier(1), carrier(2))), tmp_path / "directory.json")
    who = caller(ha1_md5="a" * 32, user_id=7, user_name="alice")
    made._ledger = Ledger(
        identify_digest=who, identify_card=who, identify_caller_number=who, identify_user=who, open_call=opened(),
        calls_to_end=[[]], note_carriers=None,
    )  # fmt: skip
    made._rates = Rates(rate())
    keeper._runs = keeper._ticks = 0
    ender._ringing.clear()
    keeper._short_of_money.clear()
    keeper._unsure.clear()
    keeper._watched = True
    keeper._twin_seen = False
    keeper._without_dialog.clear()
    cutter._cutter = None
    dialogs._journal = None
    dialogs._ends_read.clear()
    return made


@pytest.fixture
def script(node):
    """What Kamailio calls: each route without its arguments."""
    from kemi import keeper
    from kemi.meterline import Meterline

    made = Meterline()
    routes = {name: getattr(made, name) for name in dir(made) if name.startswith("ksr_")}
    bound = {name.removeprefix("ksr_"): lambda *rest, route=route: route(None, *rest) for name, route in routes.items()}
    bound["keeper"] = lambda *rest: [made.ksr_keeper(None, *rest) for _ in range(keeper.RUNS_A_TICK)]  # a second
    return SimpleNamespace(**bound)


@pytest.fixture
def journal(node):
    """The facts in the journal, without the times and the `opening` ones."""

    def read():
        facts = JournalTail(node.settings.node.state_dir / "journal").facts()
        return [
            {name: value for name, value in fact.items() if name != "at"} for fact in facts if fact["kind"] != "opening"
        ]

    return read


@pytest.fixture
def events(world):
    """The log's events: name to fields, in order."""

    def read(name):
        lines = (json.loads(line) for line in world.logged)
        return [line for line in lines if line["event"] == name]

    return read
