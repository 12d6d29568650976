"""Bringing a ledger into a server, and keeping it up to date."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest

from billing.errors import SettingsError
from db import migrate as module
from db.grants import OWNER, READER
from db.migrate import RuntimeLogin, migrate
from stack.mariadb import PrivateMariaDB
from tests.db.bank import PASSWORDS, Bank, logins, new_key


@pytest.fixture
def bank(new_bank: Callable[[], Bank]) -> Bank:
    """A ledger of this test's own."""
    return new_bank()


@pytest.fixture
def again(bank: Bank) -> Callable[..., list[str]]:
    """Migrates it once more."""

    def run(**more: Any) -> list[str]:
        return migrate(bank.server.admin_params(), bank.database, more.pop("logins", logins()), **more)

    return run


def test_a_second_run_changes_nothing_and_says_so(again: Callable[..., list[str]]) -> None:
    """No line, no change."""
    assert again() == []


def test_money_outlives_a_migration(bank: Bank, again: Callable[..., list[str]]) -> None:
    """Whatever is loaded again, balances stay."""
    account = bank.account("5")
    bank.sql("UPDATE loaded_object SET content_hash = ''")

    assert len(again()) > 50
    assert bank.purse(account)["balance"] == 5
    bank.cashier.top_up(new_key(), account, "1", "ann")


def test_an_edited_routine_is_loaded_and_keeps_its_grants(
    bank: Bank, again: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its content: nobody has to remember a number."""
    for folder in ("routines", "views", "migrations"):
        (tmp_path / folder).mkdir()
        for path in (module.FOLDER / folder).glob("*.sql"):
            (tmp_path / folder / path.name).write_text(path.read_text())
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    edited = tmp_path / "routines" / "heartbeat.sql"
    edited.write_text(f"-- edited\n{edited.read_text()}")

    assert again() == ["procedure heartbeat"]
    assert again() == []
    bank.proxy.heartbeat("node")


def test_what_has_no_file_any_more_is_dropped(bank: Bank, again: Callable[..., list[str]]) -> None:
    """An old routine, or one that somebody left here, is a way round the new ones."""
    bank.sql("CREATE PROCEDURE old_top_up() SELECT 1")
    bank.sql("CREATE VIEW v_old AS SELECT 1")

    assert again() == ["procedure old_top_up dropped", "view v_old dropped"]


def test_a_dropped_routine_comes_back(bank: Bank, again: Callable[..., list[str]]) -> None:
    """With its rights, which DROP took along."""
    bank.sql("DROP PROCEDURE top_up")

    changes = again()

    assert "procedure top_up" in changes
    assert bank.cashier.top_up(new_key(), bank.account(), "1", "ann").balance == 1


def test_a_routine_keeps_the_strict_mode_it_was_loaded_under(bank: Bank) -> None:
    """And the character set and collation, on every server."""
    modes = bank.sql("SELECT DISTINCT sql_mode, collation_connection, database_collation, security_type,"
                     " REPLACE(definer, 'archivist', 'owner') AS definer"
                     " FROM information_schema.routines WHERE routine_schema = DATABASE()")  # fmt: skip

    assert len(modes) == 1
    lowered = {key.lower(): value for key, value in modes[0].items()}
    assert "STRICT_ALL_TABLES" in lowered["sql_mode"]
    assert ("utf8mb4_general_ci", "utf8mb4_general_ci", f"{OWNER}@localhost", "DEFINER") == (
        lowered["collation_connection"], lowered["database_collation"], lowered["definer"], lowered["security_type"],
    )  # fmt: skip


def test_a_database_with_another_collation_is_put_right(server: PrivateMariaDB, bank: Bank) -> None:
    """A newer server's default would compare differently."""
    bank.sql(f"CREATE DATABASE {bank.database}_x CHARACTER SET latin1")

    migrate(server.admin_params(), f"{bank.database}_x", logins())

    (row,) = bank.sql("SELECT default_collation_name AS c FROM information_schema.schemata WHERE schema_name = %s",
                      f"{bank.database}_x")  # fmt: skip
    bank.sql(f"DROP DATABASE {bank.database}_x")
    assert row["c"] == "utf8mb4_general_ci"


def test_a_migration_that_was_killed_is_finished(bank: Bank, again: Callable[..., list[str]]) -> None:
    """It leaves yoyo's lock behind, and half of the tables: MariaDB cannot roll those back."""
    bank.sql("DELETE FROM _yoyo_migration")
    bank.sql("INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, NOW(), 1)")
    bank.sql("DROP TABLE node")

    assert again()[0] == "migration 0001.ledger"
    bank.proxy.heartbeat("node")


def test_two_migrations_at_once_follow_one_another(
    bank: Bank, again: Callable[..., list[str]], monkeypatch: Any
) -> None:
    """The second waits, and gives up with a sentence."""
    monkeypatch.setattr(module, "LOCK_WAIT_S", 0)
    bank.sql(f"SELECT GET_LOCK('{module.LOCK_NAME}', 0)")
    try:
        with pytest.raises(SettingsError, match="another migration"):
            again()
    finally:
        bank.sql(f"SELECT RELEASE_LOCK('{module.LOCK_NAME}')")
    assert again() == []


def test_a_changed_password_is_set_and_an_empty_one_refused(bank: Bank, again: Callable[..., list[str]]) -> None:
    """On every host of the login."""
    changed = [RuntimeLogin("proxy", "meterline_proxy", "another"), *logins()[1:]]
    try:
        assert again(logins=changed) == [
            "password of meterline_proxy@localhost",
            "password of meterline_proxy@127.0.0.1",
        ]
        bank.another("proxy", password="another").heartbeat("node")
        with pytest.raises(SettingsError, match="password of meterline_proxy is empty"):
            again(logins=[RuntimeLogin("proxy", "meterline_proxy", "")])
    finally:
        again()
    bank.another("proxy", password=PASSWORDS["proxy"]).heartbeat("node")


def test_rights_that_somebody_added_are_taken_back(bank: Bank, again: Callable[..., list[str]]) -> None:
    """Table, column and routine; and those that somebody took are given again."""
    bank.sql("GRANT SELECT, UPDATE ON purse TO 'meterline_proxy'@'127.0.0.1'")
    bank.sql("GRANT UPDATE (status) ON account TO 'meterline_admin'@'127.0.0.1'")
    bank.sql("GRANT EXECUTE, ALTER ROUTINE ON PROCEDURE move_money TO 'meterline_cashier'@'127.0.0.1'")
    bank.sql("REVOKE EXECUTE ON PROCEDURE open_call FROM 'meterline_proxy'@'127.0.0.1'")

    changes = again()

    assert {"3 rights of meterline_proxy@127.0.0.1", "1 rights of meterline_admin@127.0.0.1",
            "2 rights of meterline_cashier@127.0.0.1"} == set(changes)  # fmt: skip
    assert again() == []


@pytest.mark.parametrize("scope", ["*.*", "{database}.*", "`%`.*"])
def test_a_login_with_wide_rights_is_refused(bank: Bank, again: Callable[..., list[str]], scope: str) -> None:
    """On the schema, schemas that look like it, or the server it would own the purses; taking that back is for whoever
    gave it."""
    target = scope.format(database=bank.database)
    bank.sql(f"GRANT SELECT, UPDATE ON {target} TO 'meterline_proxy'@'localhost'")
    try:
        with pytest.raises(SettingsError, match="'meterline_proxy'@'localhost' has SELECT, UPDATE"):
            again()
    finally:
        bank.sql(f"REVOKE SELECT, UPDATE ON {target} FROM 'meterline_proxy'@'localhost'")
    assert again() == []


@pytest.mark.parametrize("owner", [OWNER, READER])
def test_an_unlocked_owner_is_locked_again(bank: Bank, again: Callable[..., list[str]], owner: str) -> None:
    """Nobody is to log in as one."""
    bank.sql(f"ALTER USER {owner}@localhost ACCOUNT UNLOCK")

    assert again() == [f"account {owner}@localhost locked again"]
    assert again() == []


def test_a_server_that_could_lose_commits_is_refused(bank: Bank, again: Callable[..., list[str]]) -> None:
    """By migrate, and by every proxy at its start; the sentence names the setting."""
    bank.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    try:
        with pytest.raises(SettingsError, match="innodb_flush_log_at_trx_commit is 2 and must be 1"):
            again()
        with pytest.raises(SettingsError, match="innodb_flush_log_at_trx_commit is 2 and must be 1"):
            bank.proxy.check_settings()
    finally:
        bank.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    bank.proxy.check_settings()


@pytest.fixture
def lax_server(tmp_path: Path) -> Iterator[PrivateMariaDB]:
    with PrivateMariaDB(tmp_path / "lax", options=["--secure-timestamp=NO"]) as mariadb:
        yield mariadb


def test_a_server_whose_clients_choose_the_time_is_refused(lax_server: PrivateMariaDB) -> None:
    """Nothing is made there."""
    with pytest.raises(SettingsError, match="secure_timestamp is NO and must be SUPER or YES"):
        migrate(lax_server.admin_params(), "ledger", logins())
    with pytest.raises(pymysql.err.OperationalError, match="Unknown database"):
        pymysql.connect(**lax_server.admin_params(), database="ledger")
