"""What the ledger's logins may do, tried out: whoever has a runtime password must not be able to make money."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pymysql
import pytest

from billing.errors import MeterlineError
from db.grants import ADMINISTRATOR, ARCHIVIST, OWNER, READER
from tests.db.bank import Bank, new_key, request, settlement

ROLES = ("proxy", "cashier", "admin", "administrator", "ivr")
"""The logins of programs, and a person who was given the administrators' role."""
ROUTINES_ONLY_TABLES = (
    "purse", "entry", "money_key", "live_call", "live_leg", "cdr", "cdr_leg", "node", "loaded_object", "call_count",
    "alarm", "account_prefix", "user_prefix", "premium_prefix", "end_mark", "credential_digest", "carrier",
    "carrier_prefix", "carrier_state", "shown_number",
    "credential_card", "card_batch", "card", "voucher_batch", "voucher", "voucher_refusal", "guess_count",
    "zone_offset",
    "export_position", "retention", "balance_checkpoint", "cdr_archive", "cdr_leg_archive", "entry_archive",
    "bundle", "bundle_prefix", "account_bundle", "bundle_period", "live_bundle", "cdr_bundle",
    "deck", "deck_rate", "correction", "correction_archive", "accepted_call",
    "attempt", "attempt_archive",
)  # fmt: skip
CONFIGURATION_TABLES = (
    "user", "trunk", "trunk_address", "credential_caller_number",
    "account", "tariff", "rate",
)  # fmt: skip
CARDS = {
    "block_cards", "unblock_cards", "cancel_cards", "block_card", "unblock_card", "cancel_card",
    "block_vouchers", "unblock_vouchers", "cancel_vouchers", "forgive_guesses",
}  # fmt: skip
EXECUTE = {
    "proxy": {
        "identify_digest", "identify_caller_number", "identify_card", "identify_user", "identify_account",
        "open_call", "answer_call", "extend_call", "settle_call", "record_call", "reap_calls", "heartbeat",
        "audit", "forget_counts", "note_carriers", "set_carrier_cost", "record_attempt",
    },
    "cashier": {
        "top_up", "refund", "adjust", "transfer", "identify_account", "audit", "acknowledge_alarms",
        "activate_cards", "activate_card", "activate_vouchers", "redeem_voucher", "card_quote", *CARDS,
        "account_statement", "archivable", "audit_archive", "export_cdrs",
        "correct_charge", "accept_cdr", "retire_node",
    },
    "admin": {
        "create_account", "set_account", "suspend_account", "resume_account", "close_account", "move_account",
        "set_credit_limit", "put_tariff", "put_rate", "remove_rate", "audit", "acknowledge_alarms",
        "add_user", "set_user", "suspend_user", "resume_user", "remove_user", "set_user_password",
        "remove_user_password", "add_caller_number", "remove_caller_number", "add_trunk", "rename_trunk",
        "set_trunk_status", "remove_trunk", "add_trunk_network", "remove_trunk_network", "bar_prefix", "allow_prefix",
        "forget_prefix", "put_premium_prefix", "remove_premium_prefix", "end_call", "end_account_calls",
        "create_carrier", "set_carrier", "set_carrier_status", "set_account_routing",
        "set_tariff_routing", "put_shown_number", "remove_shown_number",
        "issue_cards", "issue_vouchers", "put_card", *CARDS,
        "account_statement", "archivable", "archive", "audit_archive", "export_cdrs",
        "add_bundle", "change_bundle", "remove_bundle", "assign_bundle", "unassign_bundle",
        "create_tariff", "set_tariff", "open_deck", "stage_rates", "deck_problems", "compare_deck",
        "deck_below_cost", "apply_deck", "discard_deck",
        "identify_caller_number", "identify_account",
    },
}  # fmt: skip
DENIED = {1044, 1045, 1142, 1143, 1227, 1356, 1370, 1698, 4151}
"""Access, table, column, SUPER, view, routine and login denied, account locked."""


@pytest.fixture(params=ROLES)
def role(request: pytest.FixtureRequest) -> str:
    return str(request.param)


EXECUTE["administrator"] = EXECUTE["admin"]
EXECUTE["ivr"] = {"card_quote", "redeem_voucher"}


@pytest.fixture
def thief(bank: Bank, role: str) -> Iterator[Any]:
    """A bare connection with the role's password, and what it is told when it tries something."""
    connection = person(bank) if role == "administrator" else bank.plain(role)

    def tries(sql: str) -> int:
        """The server's error code, 0 if it worked."""
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                while cursor.nextset():
                    pass
        except pymysql.err.MySQLError as error:
            return int(error.args[0])
        return 0

    yield tries
    connection.close()


def person(bank: Bank) -> Any:
    """Anna, who has a login of her own and was given the role, as docs/database.md says."""
    for sql in (
        "CREATE OR REPLACE USER anna@'127.0.0.1' IDENTIFIED BY 'her own'",
        f"GRANT {ADMINISTRATOR} TO anna@'127.0.0.1'", f"SET DEFAULT ROLE {ADMINISTRATOR} FOR anna@'127.0.0.1'",
    ):  # fmt: skip
        bank.sql(sql)
    address = {"host": "127.0.0.1", "port": bank.server.port, "database": bank.database}
    return pymysql.connect(**address, user="anna", password="her own", autocommit=True)


@pytest.mark.parametrize("table", ROUTINES_ONLY_TABLES)
def test_no_login_touches_a_table_that_routines_write(thief: Any, table: str) -> None:
    """Money and whatever has routines: not to write, and not to read either: views are for that."""
    for sql in (
        f"INSERT INTO {table} SELECT * FROM {table}", f"DELETE FROM {table}", f"TRUNCATE {table}",
        f"SELECT 1 FROM {table}",
        f"REPLACE INTO {table} SELECT * FROM {table}", f"ALTER TABLE {table} ADD x INT", f"DROP TABLE {table}",
        f"LOCK TABLES {table} WRITE", f"CREATE INDEX x ON {table} (x)", f"RENAME TABLE {table} TO x",
        f"CREATE TRIGGER x BEFORE INSERT ON {table} FOR EACH ROW SET @x = 1",
    ):  # fmt: skip
        assert thief(sql) in DENIED, sql


def test_no_login_updates_money(thief: Any) -> None:
    """No column of it."""
    for sql in (
        "UPDATE purse SET balance = 1000000", "UPDATE purse SET held = 0", "UPDATE entry SET amount = 1",
        "UPDATE live_call SET grant_s = 1", "UPDATE live_leg SET hold = 0", "UPDATE cdr SET billed_s = 0",
        "UPDATE cdr_leg SET charge = 0", "UPDATE money_key SET content_hash = ''", "UPDATE node SET name = 'x'",
        "UPDATE account SET status = 'active'", "UPDATE account SET parent_id = NULL", "UPDATE account SET id = 5",
        "UPDATE account SET currency = 'USD'", "UPDATE account SET kind = 'card'", "UPDATE user SET account_id = 1",
        "UPDATE tariff SET version = 1", "UPDATE tariff SET currency = 'USD'", "UPDATE rate SET price = 0",
        "UPDATE purse, user SET purse.balance = 1", "INSERT INTO account (name) VALUES ('x')",
        "DELETE FROM account", "INSERT INTO tariff (name) VALUES ('x')", "INSERT INTO rate (prefix) VALUES ('1')",
        "DELETE FROM rate",
    ):  # fmt: skip
        assert thief(sql) in DENIED, sql


@pytest.mark.parametrize("role", ["proxy", "cashier"], indirect=True)
@pytest.mark.parametrize("table", CONFIGURATION_TABLES)
def test_only_the_admin_changes_configuration(thief: Any, table: str) -> None:
    """Proxy and cashier have nothing to do with these tables."""
    for sql in (
        f"INSERT INTO {table} SELECT * FROM {table}", f"DELETE FROM {table}", f"SELECT 1 FROM {table}",
        f"UPDATE {table} SET id = 1",
    ):  # fmt: skip
        assert thief(sql) in DENIED, sql


@pytest.mark.parametrize("role", ["admin"], indirect=True)
@pytest.mark.parametrize(
    "sql",
    ["UPDATE account SET max_calls = 1000", "UPDATE account SET tariff_id = 1", "UPDATE user SET status = 'active'",
     "DELETE FROM user", "INSERT INTO trunk (name, kind) VALUES ('x', 'ivr')", "DELETE FROM trunk_address",
     "INSERT INTO credential_caller_number (trunk_id, number, user_id) VALUES (1, '49', 1)"],
)  # fmt: skip
def test_the_admin_changes_who_calls_by_routine_alone(thief: Any, sql: str) -> None:
    """The routines check whose tariff, trunk and user it is."""
    assert thief(sql) in DENIED


def test_views_cannot_be_written_through(bank: Bank, thief: Any) -> None:
    """No view, no verb."""
    views = [row["table_name"] for row in bank.sql(
        "SELECT table_name AS table_name FROM information_schema.views WHERE table_schema = DATABASE()")]  # fmt: skip
    assert len(views) > 15
    for view in views:
        column = bank.sql(f"SHOW COLUMNS FROM {view}")[0]["Field"]
        for sql in (
            f"UPDATE {view} SET {column} = 1", f"DELETE FROM {view}", f"INSERT INTO {view} ({column}) VALUES (1)",
            f"DROP VIEW {view}", f"CREATE OR REPLACE VIEW {view} AS SELECT 1",
        ):  # fmt: skip
            assert thief(sql) in DENIED, sql


def test_views_could_not_be_written_through_even_with_the_right(new_bank: Any) -> None:
    """Their definer may only read: a careless grant on a view does not open the table below."""
    bank = new_bank()
    account = bank.account("5")
    for view in ("v_entry", "v_cdr", "v_live_leg", "v_rate", "v_account", "v_live_call"):
        bank.sql(f"GRANT INSERT, UPDATE, DELETE ON {view} TO 'meterline_cashier'@'127.0.0.1'")
    connection = bank.plain("cashier")
    with connection.cursor() as cursor:
        for sql in (
            "UPDATE v_entry SET amount = 1000000", "UPDATE v_live_leg SET hold = 0", "UPDATE v_rate SET price = 0",
            "UPDATE v_cdr SET billed_s = 0", "UPDATE v_account SET balance = 7", "UPDATE v_live_call SET grant_s = 9",
            "DELETE FROM v_live_call",
        ):  # fmt: skip
            with pytest.raises(pymysql.err.MySQLError):
                cursor.execute(sql)
    connection.close()
    assert bank.purse(account)["balance"] == 5


def test_no_login_shadows_a_table_or_makes_code(thief: Any) -> None:
    """A temporary table called purse would be what a routine reads; a routine of one's own could be anything."""
    for sql in (
        "CREATE TEMPORARY TABLE purse (account_id INT, balance INT)", "CREATE TABLE x (y INT)",
        "CREATE OR REPLACE PROCEDURE top_up() SELECT 1", "CREATE PROCEDURE x() SELECT 1",
        "ALTER PROCEDURE top_up SQL SECURITY INVOKER", "DROP PROCEDURE top_up",
        "CREATE FUNCTION x() RETURNS INT RETURN 1",
        "CREATE EVENT x ON SCHEDULE EVERY 1 DAY DO SELECT 1", "CREATE VIEW x AS SELECT 1",
        "CREATE DATABASE x", "DROP DATABASE ledger", "CREATE USER x", "GRANT ALL ON *.* TO CURRENT_USER()",
        "GRANT EXECUTE ON PROCEDURE move_money TO CURRENT_USER()", "SET GLOBAL innodb_flush_log_at_trx_commit = 0",
        "SELECT * FROM mysql.global_priv", "SELECT LOAD_FILE('/etc/passwd')  FROM mysql.user",
        "FLUSH PRIVILEGES", "SHUTDOWN", "SET ROLE dba",
    ):  # fmt: skip
        assert thief(sql) != 0, sql


def test_what_an_administrator_does_bears_his_name(bank: Bank) -> None:
    """The role is no login: the server, and so the ledger, knows who it is; and the rights are those of the admin's."""
    anna = person(bank)
    with anna.cursor() as cursor:
        cursor.execute("CALL put_tariff('of Anna', NULL, 'EUR', 4, 'half_up', 'UTC')")
        cursor.fetchall()
        cursor.execute("SELECT USER(), CURRENT_ROLE()")
        assert ("anna@127.0.0.1", ADMINISTRATOR) == cursor.fetchone()
        cursor.execute("SET ROLE NONE")
        with pytest.raises(pymysql.err.MySQLError):
            cursor.execute("SELECT 1 FROM v_account")
    anna.close()
    rights = (
        "SELECT table_name, privilege_type FROM information_schema.table_privileges WHERE table_schema = DATABASE()"
        " AND grantee LIKE %s ORDER BY 1, 2"
    )
    assert bank.sql(rights, f"'{ADMINISTRATOR}'%") == bank.sql(rights, "'meterline_admin'@'localhost'") != []


@pytest.mark.parametrize("role", ["cashier", "admin", "administrator", "ivr"], indirect=True)
def test_nobody_but_a_node_reads_a_hash(bank: Bank, thief: Any) -> None:
    """With somebody's HA1 one could call on his account, and no trace says who it was; a PIN has few digits."""
    for sql in ("CALL identify_digest('101', 'sip.example.net')", "CALL identify_card('4711000815')"):
        assert thief(sql) in DENIED, sql
    shown = "column_name REGEXP 'ha1|hash|pin' AND table_name LIKE 'v\\_%%' AND column_name <> 'content_hash'"
    assert [] == bank.sql(
        f"SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND {shown}"
    )


@pytest.mark.parametrize("role", ["ivr"], indirect=True)
def test_an_ivr_reads_nothing(bank: Bank, thief: Any) -> None:
    """No table and no view: who has its password must guess."""
    for row in bank.sql("SHOW FULL TABLES"):
        name = next(iter(row.values()))
        assert thief(f"SELECT 1 FROM {name}") in DENIED, name


def test_no_login_chooses_the_time(thief: Any) -> None:
    """SET timestamp would make a call last no time at all."""
    assert thief("SET timestamp = 1") in DENIED
    assert thief("SET SESSION timestamp = 1, time_zone = '+00:00'") in DENIED


def test_a_login_executes_its_own_routines_and_no_others(bank: Bank, role: str, thief: Any) -> None:
    """Least of all the internal ones: who could call move_money could make money."""
    routines = {row["name"]: row["arguments"] for row in bank.sql(
        "SELECT r.routine_name AS name, (SELECT COUNT(*) FROM information_schema.parameters AS p"
        " WHERE p.specific_schema = r.routine_schema AND p.specific_name = r.routine_name) AS arguments"
        " FROM information_schema.routines AS r WHERE r.routine_schema = DATABASE()")}  # fmt: skip
    assert len(routines) > 50

    allowed = {
        name for name, arguments in routines.items()
        if thief(f"CALL {name}({', '.join(['NULL'] * arguments)})") not in DENIED
    }  # fmt: skip

    assert EXECUTE[role] == allowed


@pytest.mark.parametrize("user", [OWNER, ARCHIVIST, READER])
def test_nobody_logs_in_as_a_definer(bank: Bank, user: str) -> None:
    """Locked, whatever the password."""
    bank.sql(f"SELECT 1 FROM mysql.user WHERE user = '{user}'")
    for password in ("", user):
        with pytest.raises(pymysql.err.OperationalError) as refusal:
            pymysql.connect(unix_socket=str(bank.server.socket), user=user, password=password)
        assert refusal.value.args[0] in DENIED


def test_not_even_the_owner_rewrites_the_past(bank: Bank) -> None:
    """The routines' definer has no right to update or delete an entry, a spent key, or a CDR's existence."""
    grants = "\n".join(str(row) for row in bank.sql(f"SHOW GRANTS FOR {OWNER}@localhost"))

    for line in grants.splitlines():
        if ".`entry`" in line or ".`money_key`" in line:
            assert "GRANT SELECT, INSERT ON" in line
        if ".`cdr" in line or ".`purse`" in line or ".`account`" in line:
            assert "DELETE" not in line
    assert "ALL PRIVILEGES" not in grants


def test_checks_switched_off_do_not_let_money_out(bank: Bank) -> None:
    """CHECK constraints are a backstop that any session can switch off; the routines do not lean on them."""
    account = bank.account("1")
    connection = bank.plain("cashier")
    with connection.cursor() as cursor:
        cursor.execute("SET check_constraint_checks = 0, foreign_key_checks = 0, unique_checks = 0, sql_mode = ''")
        with pytest.raises(pymysql.err.MySQLError, match="insufficient_balance"):
            cursor.execute("CALL adjust(%s, %s, '-2', 'ann', 'why', '', FALSE)", (new_key(), account))
    connection.close()


@pytest.mark.parametrize(
    "sabotage",
    ["sql_mode = ''",
     "sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,IGNORE_SPACE,SIMULTANEOUS_ASSIGNMENT'",
     "group_concat_max_len = 4", "max_recursive_iterations = 1", "default_regex_flags = 'MULTILINE,EXTENDED,DOTALL'",
     "autocommit = 0", "sql_select_limit = 1", "sql_safe_updates = 1", "collation_connection = 'latin1_swedish_ci'",
     "tx_isolation = 'SERIALIZABLE'", "tx_isolation = 'READ-UNCOMMITTED'", "time_zone = '+13:00'",
     "optimizer_switch = 'derived_merge=off,semijoin=off,materialization=off,condition_pushdown_for_derived=off'",
     "check_constraint_checks = 0", "lc_time_names = 'de_DE'", "character_set_connection = 'latin1'",
     "innodb_lock_wait_timeout = 1", "tx_read_only = 1", "completion_type = 'CHAIN'", "old_mode = ''"],
)  # fmt: skip
def test_a_session_set_up_strangely_changes_nothing(bank: Bank, sabotage: str) -> None:
    """A routine either does what it always does or fails whole: the books are right in both cases."""
    accounts = bank.chain("10", "10")
    key, top_up = new_key(), new_key()
    proxy, cashier = bank.another("proxy"), bank.another("cashier")
    for ledger, ask in (
        (cashier, lambda: cashier.top_up(top_up, accounts[0], "5", "ann")),
        (proxy, lambda: proxy.open_call(key, request(accounts))),
        (proxy, lambda: proxy.answer_call(key, 0)),
        (proxy, lambda: proxy.settle_call(key, settlement(["0.6", "0.3"]))),
    ):
        with ledger._connected().cursor() as cursor:
            cursor.execute(f"SET SESSION {sabotage}")
        with suppress(MeterlineError):
            ask()
        ledger.close()

    # the same again, from sessions in order: what was done is not done twice, what was not is done now
    bank.cashier.top_up(top_up, accounts[0], "5", "ann")
    bank.proxy.open_call(key, request(accounts))
    bank.proxy.settle_call(key, settlement(["0.6", "0.3"]))
    assert [("14.4", 0), ("9.7", 0)] == [
        (str(purse["balance"].normalize()), purse["held"]) for purse in map(bank.purse, accounts)
    ]
