"""SIP over TLS for tests: an authority of their own, and ends that speak over connections."""

from __future__ import annotations

import contextlib
import re
import select
import shutil
import socket
import ssl
import subprocess
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.party import ANSWER, Party
from tests.support.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

_LENGTH = re.compile(rb"\r\n(?:Content-Length|l)[ \t]*:[ \t]*(\d+)", re.IGNORECASE)
_CA_SETTINGS = """
[ca]
default_ca = test
[test]
new_certs_dir = {folder}
database = {folder}/index.txt
serial = {folder}/serial
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
"""


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority that lives as long as its test; openssl does the work."""

    def __init__(self, folder: Path, name: str = "Test Authority") -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.certificate = folder / "ca.pem"
        self._key = folder / "ca.key"
        (folder / "index.txt").touch()
        (folder / "serial").write_text("01\n")
        (folder / "ca.cnf").write_text(_CA_SETTINGS.format(folder=folder))
        self._openssl(
            *("req", "-x509", "-days", "2", *_new_key(self._key), "-subj", f"/CN={name}", "-out", "ca.pem"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),  # Python 3.13 asks for it (RFC 5280 4.2.1.3)
        )

    def as_folder(self) -> Path:
        """A folder that OpenSSL finds this authority in."""
        folder = self.folder / "trusted"
        folder.mkdir()
        shutil.copy(self.certificate, folder)
        self._openssl("rehash", str(folder))
        return folder

    def identity(
        self, name: str, *alternatives: str, expired: bool = False, days: tuple[int, int] | None = None
    ) -> Identity:
        """A key and a certificate with this common name and these alternative names ("DNS:..", "IP:.."), valid for 79
        years, or from and until so many days from now (`days`)."""
        made = Identity(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        names = ["-addext", f"subjectAltName={','.join(alternatives)}"] if alternatives else []
        self._openssl("req", *_new_key(made.key), "-subj", f"/CN={name}", *names, "-out", "request.pem")
        dates = ["20200101000000Z", "20200102000000Z" if expired else "20991231000000Z"]
        if days is not None:
            now = datetime.now(UTC)
            # An hour more: whole days are left while the test runs.
            dates = [f"{now + timedelta(days=day, hours=1):%Y%m%d%H%M%SZ}" for day in days]
        self._openssl(
            *("ca", "-config", "ca.cnf", "-batch", "-notext", "-in", "request.pem", "-out", str(made.certificate)),
            *("-cert", "ca.pem", "-keyfile", "ca.key", "-startdate", dates[0], "-enddate", dates[1]),
        )
        return made

    def _openssl(self, *words: str) -> None:
        done = subprocess.run(["openssl", *words], cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def _new_key(path: Path) -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-keyout", str(path)]


@contextlib.contextmanager
def tls_server(
    identity: Identity, reply: bytes, *, believes: Authority | None = None, newest: ssl.TLSVersion | None = None
) -> Iterator[str]:
    """HOST:PORT of somebody who says `reply` to whatever comes, one connection after another. `believes`: who shows no
    certificate of theirs is turned away. With an empty reply he says nothing until he is left."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    if believes is not None:
        context.load_verify_locations(believes.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
    if newest is not None:
        context.maximum_version = newest

    def serve() -> None:
        while True:
            plain, _ = listener.accept()
            plain.settimeout(5)
            with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as one:
                if one.recv(65_535) and reply:
                    one.sendall(reply)
                one.recv(65_535)
            plain.close()

    def run() -> None:
        with contextlib.suppress(OSError):
            serve()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept
    thread.join(10)


class Connections:
    """Behaves like a UDP socket towards a Party, over TLS connections: its own to the proxy, and those it accepted."""

    def __init__(
        self, proxy: tuple[str, int], client: ssl.SSLContext, server: ssl.SSLContext | None, port: int
    ) -> None:
        self.made: list[tuple[str, int]] = []
        """The far end of every connection that was made, by either side."""
        self.ended = 0
        """How many of them the far end has ended."""
        self._proxy, self._client, self._server = proxy, client, server
        self._open: dict[tuple[str, int], tuple[ssl.SSLSocket, bytearray]] = {}
        self._lock = threading.RLock()
        self._timeout_s = 0.1
        self._listener: socket.socket | None = None
        if server is not None:
            self._listener = socket.create_server(("127.0.0.1", port))

    def settimeout(self, seconds: float) -> None:
        self._timeout_s = seconds

    def setsockopt(self, *_: object) -> None:
        """Streams need no larger buffer."""

    def connect(self) -> ssl.SSLSocket:
        """A connection of our own to the proxy; another than before."""
        plain = socket.create_connection(self._proxy, 5)
        return self._take(self._client.wrap_socket(plain, server_hostname="127.0.0.1"), self._proxy)

    def _take(self, connection: ssl.SSLSocket, peer: tuple[str, int]) -> ssl.SSLSocket:
        connection.setblocking(False)
        with self._lock:
            self._open[peer] = (connection, bytearray())
            self.made.append(peer)
        return connection

    def sendto(self, data: bytes, to: tuple[str, int]) -> None:
        with self._lock:
            found = self._open.get(to) or next(reversed(self._open.values()), None)
            connection = found[0] if found else self.connect()
            connection.settimeout(5)
            connection.sendall(data)
            connection.setblocking(False)

    def recvfrom(self, _: int) -> tuple[bytes, tuple[str, int]]:
        """The next whole message of any connection. Raises TimeoutError."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            if found := self._whole_message():
                return found
            if time.monotonic() >= deadline:
                raise TimeoutError
            self._read_what_is_there()

    def _whole_message(self) -> tuple[bytes, tuple[str, int]] | None:
        for peer, (_, buffer) in list(self._open.items()):
            while buffer.startswith(b"\r\n"):
                del buffer[:2]
            head, found, _ = bytes(buffer).partition(b"\r\n\r\n")
            length = _LENGTH.search(head)
            size = len(head) + 4 + int(length.group(1) if length else 0)
            if found and len(buffer) >= size:
                data = bytes(buffer[:size])
                del buffer[:size]
                return data, peer
        return None

    def _read_what_is_there(self) -> None:
        sockets: dict[Any, Any] = {connection: peer for peer, (connection, _) in list(self._open.items())}
        ready, _, _ = select.select([*sockets, *([self._listener] if self._listener else [])], [], [], 0.05)
        for one in ready:
            if one is self._listener:
                self._accept()
                continue
            with self._lock, contextlib.suppress(ssl.SSLWantReadError):
                try:
                    data = one.recv(65_535)
                except (OSError, ssl.SSLError):
                    data = b""
                if data:
                    self._open[sockets[one]][1].extend(data)
                else:
                    del self._open[sockets[one]]
                    one.close()
                    self.ended += 1

    def _accept(self) -> None:
        assert self._listener is not None
        assert self._server is not None
        plain, peer = self._listener.accept()
        plain.settimeout(5)
        try:
            self._take(self._server.wrap_socket(plain, server_side=True), peer)
        except (OSError, ssl.SSLError):
            plain.close()

    def close(self) -> None:
        for connection, _ in self._open.values():
            connection.close()
        if self._listener:
            self._listener.close()


class TlsParty(Party):
    """A Party over TLS. With an identity it listens, as a carrier does; else it connects, as a phone does, and may show
    a certificate of its own."""

    transport = "TLS"

    def __init__(
        self,
        world: World,
        authority: Authority,
        tls_address: str,
        *,
        identity: Identity | None = None,
        port: int = 0,
        user: str = "tlsparty",
        invites: str = ANSWER,
        shown: Identity | None = None,
    ) -> None:
        host, tls_port = tls_address.rsplit(":", 1)
        self.tls_proxy = (host, int(tls_port))
        self._client = ssl.create_default_context(cafile=str(authority.certificate))
        self._server: ssl.SSLContext | None = None
        if shown is not None:
            self._client.load_cert_chain(shown.certificate, shown.key)
        if identity is not None:
            self._server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._server.load_cert_chain(identity.certificate, identity.key)
        super().__init__(world, port=port, user=user, invites=invites)
        self.proxy = self.tls_proxy

    def _open(self) -> Connections:
        self.connections = Connections(self.tls_proxy, self._client, self._server, self.port)
        return self.connections

    @property
    def contact(self) -> str:
        """As phones behind NAT do: an address at which nobody can connect to them."""
        return f"sip:{self.user}@{self.host}:{self.port};transport=tls"

    def caught_up(self) -> None:
        """Streams lose nothing; what was sent to us comes in a moment."""
