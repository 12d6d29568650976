"""The private MariaDB: safe settings, its own port, and a data directory that survives a crash."""

from pathlib import Path

import pymysql
import pytest

from stack.mariadb import PrivateMariaDB
from stack.processes import SUN_PATH_BYTES_MAX, StackError


def ask(server: PrivateMariaDB, sql: str) -> tuple:
    with pymysql.connect(**server.admin_params(), autocommit=True) as connection:
        cursor = connection.cursor()
        cursor.execute(sql)
        return cursor.fetchall()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with PrivateMariaDB(tmp_path_factory.mktemp("mariadb")) as started:
        yield started


def test_settings_the_ledger_relies_on(server):
    """A commit is on disk when it is acknowledged, and no login may set its own clock."""
    row = ask(
        server,
        "SELECT @@innodb_flush_log_at_trx_commit, @@secure_timestamp, @@global.time_zone,"
        " @@character_set_server, @@port, @@bind_address, @@skip_name_resolve",
    )
    assert row == ((1, "SUPER", "+00:00", "utf8mb4", server.port, "127.0.0.1", 1),)


def test_strict_mode(server):
    """A value that does not fit is refused and not clipped."""
    assert "STRICT_TRANS_TABLES" in ask(server, "SELECT @@sql_mode")[0][0]


def test_nobody_gets_in_over_tcp(server):
    """The administrator exists on the socket only."""
    with pytest.raises(pymysql.err.OperationalError):
        pymysql.connect(host="127.0.0.1", port=server.port, user=server.admin_params()["user"])


def test_committed_rows_survive_a_crash(tmp_path):
    """kill -9 and a new start: same port, same rows."""
    server = PrivateMariaDB(tmp_path)
    server.start()
    port = server.port
    ask(server, "CREATE DATABASE d")
    ask(server, "CREATE TABLE d.t (n INT) SELECT 7 AS n")
    server.kill9()
    assert not server.alive
    server.start()
    try:
        assert (port, ((7,),)) == (server.port, ask(server, "SELECT n FROM d.t"))
    finally:
        server.stop()


def test_a_long_path_gets_a_short_socket(tmp_path):
    """A checkout in a deep folder works although a socket's path has 107 bytes."""
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    with PrivateMariaDB(deep) as server:
        assert len(str(server.socket)) <= SUN_PATH_BYTES_MAX
        assert ask(server, "SELECT 1") == ((1,),)
    assert not server.socket.parent.exists()


def test_stop_leaves_no_process(tmp_path):
    """After stop() the process and its pid file are gone."""
    server = PrivateMariaDB(tmp_path)
    server.start()
    pid = server.pid
    server.stop()
    assert not Path(f"/proc/{pid}").exists()
    assert not (tmp_path / "mariadb.pid").exists()


def test_a_server_that_cannot_start_says_why(tmp_path):
    """The error names the server and shows the end of its log, at once."""
    with pytest.raises(StackError, match=r"(?s)mariadb ended with code .*no-such-option"):
        PrivateMariaDB(tmp_path, port=1, options=["--no-such-option=1"]).start()
