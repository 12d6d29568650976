"""A stack of which everything speaks TLS: callers, carriers, and the database."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import pytest

from stack.node import Stack
from stack.processes import free_port, wait_until
from tests.support.faults import OVERRIDES
from tests.support.tls import Authority, Identity, TlsParty
from tests.support.world import World

CARRIERS = 4


@dataclass(frozen=True)
class TlsWorld:
    """The world, the authority that all believe, and where the proxy listens for TLS."""

    world: World
    authority: Authority
    address: str

    def party(self, **more) -> TlsParty:
        return TlsParty(self.world, self.authority, self.address, **more)

    def carrier(self, identity: Identity, order: int = 1, **more) -> TlsParty:
        """Who answers where the world's carrier number `order` is."""
        port = self.world.carrier_ports[order - 1]
        return self.party(identity=identity, port=port, user=f"carrier{order}", **more)

    def reach_carriers_by(self, *transports: str) -> None:
        """Carrier 1, 2, ..; known to the proxy when this returns."""
        for order, transport in enumerate(transports, 1):
            self.world.admin.set_carrier(f"carrier{order}", transport=transport)
        path = self.world.settings.node.state_dir / "directory.json"
        wanted = transports.count("tls")
        wait_until(lambda: path.read_text().count('"transport": "tls"') == wanted, 5, f"{wanted} carriers over TLS")


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """At its end all is settled, the audit is empty and nothing was uncaught."""
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder / "authority")
    node = authority.identity("node", "DNS:sip.example.net", "IP:127.0.0.1")
    ledger = authority.identity("ledger", "DNS:localhost", "IP:127.0.0.1")
    for file in (ledger.key, ledger.certificate):
        shutil.copy(file, folder)
        (folder / file.name).chmod(0o644)  # a private server runs as nobody
    sip, sips = free_port(), free_port()
    sockets = [f"udp:127.0.0.1:{sip}", f"tcp:127.0.0.1:{sip}", f"tls:127.0.0.1:{sips}"]
    files = {"certificate": str(node.certificate), "private_key": str(node.key), "ca": str(authority.as_folder())}
    overrides = OVERRIDES | {
        "calls": {**OVERRIDES["calls"], "carrier_silence_s": 1},
        "database": {"tls_ca": str(authority.certificate)},
        "sip": {"realm": "meterline.test", "listen": sockets},
        "tls": files,
    }
    options = [f"--ssl-cert={folder / ledger.certificate.name}", f"--ssl-key={folder / ledger.key.name}"]
    with Stack(folder / "stack", sip_port=sip, overrides=overrides, mariadb_options=options) as stack:
        world = World(stack, [free_port() for _ in range(CARRIERS)])
        yield TlsWorld(world, authority, f"127.0.0.1:{sips}")
        world.wait_until_drained()
        assert [] == world.cashier.audit()
        assert [] == world.log_lines('"uncaught"', '"fact_lost"', "signal 11")
