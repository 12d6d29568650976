"""The node's copy of trunks, carriers and premium ranges: a small file, renewed by the drain, read by every SIP worker.

A worker must know without asking the database whether a source address is a trunk, and where calls may go: also
while the database is away, and right after a restart.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

log = logging.getLogger("meterline.directory")

USE_FILE = "carriers-in-use.json"
"""Beside the directory: calls that other nodes have at carriers with channels."""
PROBE_FILE = "dispatcher.list"
"""Beside it, too: whom Kamailio's dispatcher module asks whether they are there (kemi/health.py)."""

T = TypeVar("T")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Trunk:
    """A trusted source: kind is `customer`, `caller_number` or `ivr`; networks are CIDR texts."""

    trunk_id: int
    name: str
    kind: str
    user_id: int | None
    networks: tuple[str, ...]
    owner_account_id: int | None = None
    """Whose customers and cards alone may call by it; None: anybody's."""


@dataclass(frozen=True)
class Carrier:
    """Where off-net calls go. Without `prefixes` it takes all that its tariff has a rate for, or everything."""

    carrier_id: int
    name: str
    host: str
    port: int
    transport: str
    priority: int
    dial_prefix: str
    weight: int = 1
    tariff_id: int | None = None
    tariff_version: int = 0
    currency: str = ""
    channels: int | None = None
    prefixes: tuple[str, ...] = ()
    trusts_identity: bool = False
    probed: bool = True

    @property
    def uri(self) -> str:
        """Where it is asked whether it is there."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"sip:{host}:{self.port};transport={self.transport}"

    def takes(self, digits: str) -> bool:
        """Whether a number is among its prefixes, if it has any."""
        return not self.prefixes or digits.startswith(self.prefixes)


@dataclass(frozen=True)
class Directory:
    """All active trunks and carriers, and the premium ranges."""

    trunks: tuple[Trunk, ...] = ()
    carriers: tuple[Carrier, ...] = ()
    premium_prefixes: tuple[tuple[str, str], ...] = ()
    """Prefix and name of each range that is barred unless an account allows it."""
    twin: str = ""
    """Not empty: another instance of this node's name is alive, this one; then new calls are refused."""

    @cached_property
    def _networks(self) -> tuple[tuple[Network, Trunk], ...]:
        pairs = [(ipaddress.ip_network(text), trunk) for trunk in self.trunks for text in trunk.networks]
        return tuple(sorted(pairs, key=lambda pair: pair[0].prefixlen, reverse=True))

    @cached_property
    def premium(self) -> dict[str, str]:
        """Premium ranges as billing.barring takes them."""
        return dict(self.premium_prefixes)

    def carrier_with(self, carrier_id: str) -> Carrier | None:
        """The carrier of an id as text; None for any other text."""
        return next((carrier for carrier in self.carriers if str(carrier.carrier_id) == carrier_id), None)

    def carrier_at(self, address: str) -> Carrier | None:
        """The carrier whose host is this address. One known by name is not found: names are not asked for."""
        try:
            return self._carriers_by_address.get(ipaddress.ip_address(address.strip("[]")))
        except ValueError:
            return None

    @cached_property
    def _carriers_by_address(self) -> dict[ipaddress.IPv4Address | ipaddress.IPv6Address, Carrier]:
        found = {}
        for carrier in self.carriers:
            with suppress(ValueError):
                found[ipaddress.ip_address(carrier.host.strip("[]"))] = carrier
        return found

    def trunk_at(self, address: str) -> Trunk | None:
        """The trunk with the narrowest network that holds this source address (text, v4 or v6), or None."""
        source = ipaddress.ip_address(address.strip("[]"))
        for network, trunk in self._networks:
            if source.version == network.version and source in network:
                return trunk
        return None

    @cached_property
    def carriers_in_order(self) -> tuple[Carrier, ...]:
        """Carriers by priority, then by id."""
        return tuple(sorted(self.carriers, key=lambda carrier: (carrier.priority, carrier.carrier_id)))

    def to_json(self) -> str:
        """One JSON text; equal directories give equal texts."""
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Directory:
        """The reverse of `to_json`. Raises ValueError or TypeError for anything else."""
        content = json.loads(text)
        directory = Directory(
            trunks=tuple(Trunk(**{**trunk, "networks": tuple(trunk["networks"])}) for trunk in content["trunks"]),
            carriers=tuple(
                Carrier(**{**carrier, "prefixes": tuple(carrier.get("prefixes", ()))})
                for carrier in content["carriers"]
            ),
            premium_prefixes=tuple((prefix, name) for prefix, name in content.get("premium_prefixes", ())),
            twin=content.get("twin", ""),
        )
        directory._networks  # noqa: B018 - a network that cannot be read must show here, not at a call
        return directory


def publish(directory: Directory, path: Path) -> bool:
    """Replace the file when its content differs; atomic for readers. Returns whether it changed."""
    return _replace(path, directory.to_json(), durable=True)


def publish_use(calls: Mapping[int, int], path: Path) -> bool:
    """The same for the calls that other nodes have at carriers; true for a second, so not forced to disk."""
    return _replace(path, json.dumps({str(one): number for one, number in sorted(calls.items())}), durable=False)


def _replace(path: Path, text: str, *, durable: bool) -> bool:
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    draft = path.with_suffix(f".{os.getpid()}.new")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    draft.replace(path)
    return True


class _FileCopy(Generic[T]):
    """The reader's side of a file: reloads when it was replaced. One object a process."""

    def __init__(self, path: Path, read: Callable[[str], T], before: T) -> None:
        """`path` need not exist yet: `before` holds until then."""
        self._path = path
        self._read = read
        self._stamp: tuple[int, int] | None = None
        self._copy = before

    def current(self) -> T:
        """What the file has now; one stat when nothing changed. A damaged file changes nothing."""
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp != self._stamp:
                self._stamp = stamp
                self._copy = self._read(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError, LookupError) as error:
            if not isinstance(error, FileNotFoundError):
                log.error("directory %s: %s; the last good one serves on", self._path, error)  # noqa: TRY400 - one line
        return self._copy


class DirectoryFile(_FileCopy[Directory]):
    """The directory; without a file there are no trunks and no carriers."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, Directory.from_json, Directory())


class UseFile(_FileCopy[dict[str, int]]):
    """Calls that other nodes have at carriers, by carrier id."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, lambda text: {str(one): int(number) for one, number in json.loads(text).items()}, {})
