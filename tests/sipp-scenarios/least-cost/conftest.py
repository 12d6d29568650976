"""A stack whose carriers have tariffs and are asked with OPTIONS; each is there unless a test says otherwise."""

import contextlib

import pytest

from billing.directory import Directory
from billing.ledger import Ledger
from stack.node import Stack
from stack.processes import free_port, wait_until
from tests.support.party import ANSWER, REFUSE, Party
from tests.support.world import World

OVERRIDES = {
    "flood": {"requests_per_s": 10_000, "log_lines_per_s": 10_000},
    "carriers": {"probe_interval_s": 1, "probe_failures": 1},
    "calls": {
        "grant_s": 10,
        "renew_lead_s": 5,
        "shorter_grants_s": [6, 3, 1],
        "ring_limit_s": 6,
        "early_dialog_s": 12,
        "carrier_silence_s": 2,
    },
}
PRICES = {"carrier1": "0.30", "carrier2": "0.20", "carrier3": "0.10"}
"""What each asks for a minute, by the second, in the order of their priorities."""


class Carrier(Party):
    """A carrier that may refuse with a code of its own, and may leave OPTIONS unanswered."""

    def __init__(self, world, order):
        self.pings = True
        self.refusal = (486, "Busy Here")
        super().__init__(world, port=world.carrier_ports[order - 1], user=f"carrier{order}")

    def _answer(self, request, invites):
        if request.method == "OPTIONS" and not request.to_tag:
            if self.pings:
                self.send(self.response(request, 200, "OK", tag="ping"), request.source)
        elif request.method == "INVITE" and not request.to_tag and invites == REFUSE:
            self.answer(request, *self.refusal)
        else:
            super()._answer(request, invites)


class Office:
    """The world, its three carriers, and whoever calls."""

    def __init__(self, stack):
        self.stack = stack
        self.world = World(stack, [free_port() for _ in range(3)])
        self.proxy = Ledger.for_proxy(self.world.settings.database)
        self.carriers = []
        self.changed = set(PRICES)
        self.reset()

    def price(self, name, price, **rate):
        """What a carrier asks for a minute from now on; by the second unless told otherwise."""
        tariff = self.world.admin.put_tariff(f"{name} buys", "EUR", decimals=6, rounding="up")
        self.world.admin.put_rate(tariff, "49", "Germany", price=price, **rate)
        self.set(name, tariff=f"{name} buys")

    def set(self, name, **settings):
        """Change a carrier; the node knows of it when this returns."""
        self.changed.add(name)
        self.world.admin.set_carrier(name, **settings)
        self.wait_for_directory()

    def reset(self):
        """Every carrier that a test has changed is as it was."""
        for name in self.changed:
            tariff = self.world.admin.put_tariff(f"{name} buys", "EUR", decimals=6, rounding="up")
            self.world.admin.put_rate(tariff, "49", "Germany", price=PRICES[name])
            plain = {"channels": None, "prefixes": [], "trusts_identity": False, "weight": 1, "dial_prefix": ""}
            self.world.admin.set_carrier(name, tariff=f"{name} buys", **plain)
        if self.changed:
            self.wait_for_directory()
        self.changed.clear()

    def wait_for_directory(self):
        path = self.world.settings.node.state_dir / "directory.json"

        def known():
            there = Directory.from_json(path.read_text("utf-8")).carriers
            return {_known(one) for one in self.proxy.carriers()} == {_known(one) for one in there}

        wait_until(known, 5, "the node knows the carriers")

    def states(self):
        return {one.name: one.state for one in self.world.cashier.carrier_states()}

    def wait_for_states(self, limit_s=20.0, **states):
        wait_until(lambda: self.states() == states, limit_s, f"carriers are {states}")

    def caller(self, **columns):
        """An end that calls as a phone of a customer with 100, and the customer."""
        customer = self.world.customer("100", **columns)
        phone = self.world.phone(customer)
        return Party(self.world), phone, customer

    def took(self, call_id):
        """The carriers that an INVITE of this call reached, in order."""
        heard = [(one.at, number) for number, carrier in enumerate(self.carriers, 1)
                 for one in carrier.heard("INVITE", call_id=call_id)]  # fmt: skip
        return list(dict.fromkeys(number for _, number in sorted(heard)))

    def cdr(self, call_id):
        self.world.wait_until_drained()
        (cdr,) = self.world.cdrs([call_id])[call_id]
        return cdr


def _known(one):
    """What the ledger's row and the directory's entry must have in common."""
    return (
        *(one.name, one.tariff_version, one.channels, one.prefixes, one.weight, one.dial_prefix),
        bool(one.trusts_identity),
    )


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """At its end all is settled, the audit is empty and nothing was uncaught."""
    with Stack(tmp_path_factory.mktemp("least-cost"), overrides=OVERRIDES) as stack, contextlib.ExitStack() as ends:
        office = Office(stack)
        office.carriers = [ends.enter_context(Carrier(office.world, order)) for order in (1, 2, 3)]
        office.wait_for_states(carrier1="up", carrier2="up", carrier3="up")
        yield office
        office.world.wait_until_drained()
        assert [] == office.world.cashier.audit()
        assert [] == office.world.log_lines('"uncaught"')


@pytest.fixture
def office(shared):
    """Everybody as he was: answering, at his first price, without limits."""
    yield shared
    for carrier in shared.carriers:
        carrier.invites, carrier.pings, carrier.refusal = ANSWER, True, (486, "Busy Here")
    shared.reset()
