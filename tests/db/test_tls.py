"""TLS to the database: nobody speaks to a server that cannot show who it is, and other machines need it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest

from billing.errors import LedgerUnavailable
from billing.ledger import Ledger
from billing.settings import DatabaseSettings
from cli.db import set_up
from stack.mariadb import PrivateMariaDB
from stack.node import toml, write_private
from tests.support.tls import Authority

CHECKOUT = Path(__file__).parents[2]
PASSWORD = "correct-horse"
OTHER_MACHINE = "127.0.0.2"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture(scope="module")
def with_tls(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[PrivateMariaDB]:
    """A server whose certificate is for 127.0.0.1 and no other name."""
    folder = tmp_path_factory.mktemp("mariadb-tls")
    shown = authority.identity("ledger", "IP:127.0.0.1")
    for file in (shown.certificate, shown.key):
        shutil.copy(file, folder)
        (folder / file.name).chmod(0o644)  # a private server runs as nobody
    options = [f"--ssl-cert={folder / shown.certificate.name}", f"--ssl-key={folder / shown.key.name}"]
    with PrivateMariaDB(folder / "server", options=options) as server:
        allow_set_up(server)
        yield server


@pytest.fixture(scope="module")
def without_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateMariaDB]:
    """A server that offers none."""
    with PrivateMariaDB(tmp_path_factory.mktemp("mariadb-plain") / "server", options=["--skip-ssl"]) as server:
        allow_set_up(server)
        yield server


def allow_set_up(server: PrivateMariaDB) -> None:
    with pymysql.connect(**server.admin_params(), autocommit=True) as connection:
        sql = f"GRANT ALL ON *.* TO setup@'127.0.0.1' IDENTIFIED BY '{PASSWORD}' WITH GRANT OPTION"
        connection.cursor().execute(sql)


def database(server: PrivateMariaDB, ca: Path, **more: Any) -> DatabaseSettings:
    """How a node elsewhere would reach this server: over TCP."""
    passwords = {f"{role}_password": PASSWORD for role in ("proxy", "cashier", "admin", "setup")}
    return DatabaseSettings(port=server.port, tls_ca=ca, setup_user="setup", **passwords, **more)


@pytest.fixture(scope="module")
def ledger(with_tls: PrivateMariaDB, authority: Authority) -> DatabaseSettings:
    """Made over TLS, with logins for another machine."""
    found = database(with_tls, authority.certificate, login_hosts=(OTHER_MACHINE,))
    assert f"login meterline_proxy@{OTHER_MACHINE}" in set_up(found)
    with pymysql.connect(**with_tls.admin_params()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT ssl_type FROM mysql.user WHERE Host = %s", (OTHER_MACHINE,))
        assert (("ANY",),) == cursor.fetchall()
    return found


def ask(settings: DatabaseSettings, role: Any) -> None:
    if role == "setup":
        set_up(settings)
    else:
        with_role = Ledger.for_role(settings, role)
        try:
            with_role.check_settings()
        finally:
            with_role.close()


ROLES = ("proxy", "cashier", "admin", "setup")


@pytest.mark.parametrize("role", ROLES)
def test_a_server_that_shows_the_right_certificate_is_spoken_to(ledger: DatabaseSettings, role: str) -> None:
    """By every login."""
    ask(ledger, role)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("fault", ["authority", "host", "none"])
def test_any_other_server_is_not(
    ledger: DatabaseSettings, without_tls: PrivateMariaDB, tmp_path: Path, role: str, fault: str
) -> None:
    """Signed by somebody else, for another host, or plain: no login tells it a password."""
    settings, told = {
        "authority": (
            {"tls_ca": Authority(tmp_path / "other").certificate} if fault == "authority" else {},
            "certificate verify failed",
        ),
        "host": ({"host": "localhost"}, "doesn't match|mismatch|not valid for"),
        "none": ({"port": without_tls.port}, "SSL is required|doesn't support"),
    }[fault]
    with pytest.raises(LedgerUnavailable, match=told):
        ask(ledger.model_copy(update=settings), role)


def test_the_command_line_says_why(ledger: DatabaseSettings, without_tls: PrivateMariaDB, tmp_path: Path) -> None:
    """One line, as for any other reason."""
    content = {
        "database": {"port": without_tls.port, "tls_ca": str(ledger.tls_ca), "cashier_password": PASSWORD},
        "node": {"name": "node1", "state_dir": str(tmp_path)},
        "sip": {"realm": "example.net", "listen": ["udp:127.0.0.1:5060"]},
    }
    settings = tmp_path / "meterline.toml"
    write_private(settings, toml({"card_pin_key": "k" * 32}, content))
    done = subprocess.run(
        [sys.executable, "-m", "cli", "audit"],
        cwd=CHECKOUT,
        env={"METERLINE_SETTINGS": str(settings)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (1, 1) == (done.returncode, done.stderr.count("\n"))
    assert "SSL" in done.stderr


def login_from(server: PrivateMariaDB, address: str, user: str, **tls: Any) -> None:
    where = {"host": "127.0.0.1", "port": server.port, "bind_address": address}
    pymysql.connect(**where, user=user, password=PASSWORD, database="meterline", **tls).close()


@pytest.mark.parametrize("user", ["meterline_proxy", "meterline_cashier", "meterline_admin"])
def test_another_machine_gets_in_by_tls_alone(
    ledger: DatabaseSettings, with_tls: PrivateMariaDB, authority: Authority, user: str
) -> None:
    """The right password does not help in the clear; this machine needs none."""
    tls = {"ssl_ca": str(authority.certificate), "ssl_verify_cert": True, "ssl_verify_identity": True}
    login_from(with_tls, OTHER_MACHINE, user, **tls)
    login_from(with_tls, "127.0.0.1", user, ssl_disabled=True)
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        login_from(with_tls, OTHER_MACHINE, user, ssl_disabled=True)
    with pytest.raises(pymysql.err.OperationalError, match="is not allowed to connect"):
        login_from(with_tls, "127.0.0.3", user, **tls)


def test_a_login_that_was_made_without_needs_it_from_now_on(
    ledger: DatabaseSettings, with_tls: PrivateMariaDB
) -> None:
    """`db migrate` puts it right, once, and says so."""
    with pymysql.connect(**with_tls.admin_params(), autocommit=True) as connection:
        connection.cursor().execute(f"ALTER USER meterline_proxy@'{OTHER_MACHINE}' REQUIRE NONE")
    assert [f"login meterline_proxy@{OTHER_MACHINE} needs TLS"] == set_up(ledger)
    assert [] == set_up(ledger)


@pytest.mark.parametrize("host", ["%", "", "a b", "'x'", "%.net"])
def test_no_login_is_for_everywhere(host: str) -> None:
    """A host is named, or its network."""
    with pytest.raises(ValueError, match="login_hosts"):
        DatabaseSettings(login_hosts=(host,))
