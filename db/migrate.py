"""Brings the ledger into a MariaDB server, or an older ledger up to date: tables, routines, views, logins, rights.

Tables are migrations that yoyo applies once (db/migrations). Routines and views are loaded whole, when their content
differs from what was loaded last. Running it again changes nothing and says so.
"""

import hashlib
import secrets as random_secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pymysql
import pymysql.cursors
import yoyo
from yoyo.backends.core.mysql import MySQLBackend
from yoyo.connections import DatabaseURI

from billing.errors import SettingsError
from billing.ledger_session import check_settings
from db.grants import ADMINISTRATOR, ARCHIVIST, OWNER, OWNERS_HOST, READER, Right, Role, rights_of

FOLDER = Path(__file__).parent
SQL_MODE = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION"
"""A routine keeps the sql_mode it was created under: strict, so that what does not fit is an error and not cut."""
CHARACTER_SET, COLLATION = "utf8mb4", "utf8mb4_general_ci"
LOCK_NAME, LOCK_WAIT_S = "meterline_migrate", 30

Connection: TypeAlias = "pymysql.connections.Connection[pymysql.cursors.Cursor]"
Kind = Literal["PROCEDURE", "VIEW"]


@dataclass(frozen=True)
class RuntimeLogin:
    """A login that programs use. The password comes from generated secrets."""

    role: Literal["proxy", "cashier", "admin", "ivr"]
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Host:
    """Where a login may come from; over a network by TLS alone."""

    name: str
    needs_tls: bool = False


THIS_MACHINE = (Host("localhost"), Host("127.0.0.1"))


@dataclass(frozen=True)
class _Object:
    """A routine or view as its file says it."""

    kind: Kind
    name: str
    sql: str

    @property
    def content_hash(self) -> str:
        return hashlib.sha256(f"{SQL_MODE}\n{self.sql}".encode()).hexdigest()


def migrate(
    server: Mapping[str, Any], database: str, logins: Sequence[RuntimeLogin], other_hosts: Sequence[str] = ()
) -> list[str]:
    """Make or update the ledger in `database`, and return what was changed, a line each: none if nothing was.

    Logins are made for this machine, and for `other_hosts`, from which they need TLS.

    `server`: keyword arguments of pymysql.connect for a login that may create databases, users and routines for other
    definers. Raises SettingsError when the server's settings would lose money, or a login has rights of its own.
    """
    params = {key: value for key, value in server.items() if key not in {"database", "db"}}
    with closing(
        pymysql.connect(**params, charset=CHARACTER_SET) if "charset" not in params else pymysql.connect(**params)
    ) as connection:
        check_settings(connection)
        _prepare(connection, database)
        changes = [
            *_locked_owners(connection),
            *_migrations({**params, "database": database}),
            *_objects(connection),
            *_logins(connection, logins, [*THIS_MACHINE, *(Host(name, needs_tls=True) for name in other_hosts)]),
        ]
        _execute(connection, "SELECT RELEASE_LOCK(%s)", LOCK_NAME)
        return changes


def _prepare(connection: Connection, database: str) -> None:
    """The session and the schema: names compare and routines behave alike on every version and server."""
    if _value(connection, "SELECT GET_LOCK(%s, %s)", LOCK_NAME, LOCK_WAIT_S) != 1:
        raise SettingsError(f"another migration has been running for {LOCK_WAIT_S} s")
    _execute(connection, f"SET NAMES {CHARACTER_SET} COLLATE {COLLATION}")
    _execute(connection, "SET SESSION sql_mode = %s", SQL_MODE)
    _execute(connection, f"CREATE DATABASE IF NOT EXISTS {_quoted(database)}")
    collation = _value(
        connection,
        "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = %s",
        database,
    )
    if collation != COLLATION:
        _execute(connection, f"ALTER DATABASE {_quoted(database)} CHARACTER SET {CHARACTER_SET} COLLATE {COLLATION}")
    connection.select_db(database)


# --- tables -----------------------------------------------------------------------------------------------------------


class _Backend(MySQLBackend):  # type: ignore[misc]  # yoyo carries no types
    """yoyo over a connection of ours: no password in a URL."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params
        uri = DatabaseURI("mysql", None, None, None, None, params["database"], {})
        super().__init__(uri, "_yoyo_migration")

    def copy(self) -> "_Backend":
        return _Backend(self._params)

    def connect(self, _uri: object) -> Connection:
        connection: Connection = pymysql.connect(**self._params)
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION sql_mode = %s", (SQL_MODE,))
        return connection


def _migrations(params: Mapping[str, Any]) -> list[str]:
    """yoyo's own lock is a row that a killed run leaves behind; ours, which ends with its connection, is held."""
    backend = _Backend(params)
    with closing(backend.connection):
        backend.init_database()
        backend.break_lock()
        waiting = backend.to_apply(yoyo.read_migrations(str(FOLDER / "migrations")))
        with backend.lock():
            backend.apply_migrations(waiting)
        return [f"migration {migration.id}" for migration in waiting]


# --- routines and views -----------------------------------------------------------------------------------------------


def _objects(connection: Connection) -> list[str]:
    wanted = [*_read("PROCEDURE", "routines"), *_read("VIEW", "views")]
    loaded = {
        (kind, name): content_hash
        for kind, name, content_hash in _rows(connection, "SELECT kind, name, content_hash FROM loaded_object")
    }
    present = set(
        _rows(
            connection,
            "SELECT 'PROCEDURE', routine_name FROM information_schema.routines WHERE routine_schema = DATABASE()"
            " UNION ALL SELECT 'VIEW', table_name FROM information_schema.views WHERE table_schema = DATABASE()",
        )
    )
    changes = []
    for item in wanted:
        key = (item.kind, item.name)
        if key not in present or loaded.get(key) != item.content_hash:
            _load(connection, item)
            changes.append(f"{item.kind.lower()} {item.name}")
    for kind, name in sorted(present - {(item.kind, item.name) for item in wanted}):
        _execute(connection, f"DROP {kind} {_quoted(name)}")
        _execute(connection, "DELETE FROM loaded_object WHERE kind = %s AND name = %s", kind, name)
        changes.append(f"{kind.lower()} {name} dropped")
    connection.commit()
    return changes


def wanted_versions() -> dict[tuple[str, str], str]:
    """What `migrate` would load, as v_version shows it: (kind, name) to content's hash, empty for a migration."""
    loaded = (*_read("PROCEDURE", "routines"), *_read("VIEW", "views"))
    migrations = {("MIGRATION", path.stem): "" for path in (FOLDER / "migrations").glob("*.sql")}
    return {(item.kind, item.name): item.content_hash for item in loaded} | migrations


def _read(kind: Kind, folder: str) -> Iterator[_Object]:
    for path in sorted((FOLDER / folder).glob("*.sql")):
        yield _Object(kind, path.stem, path.read_text(encoding="utf-8").rstrip().removesuffix(";"))


def _load(connection: Connection, item: _Object) -> None:
    """CREATE OR REPLACE keeps the grants on a routine; DROP would lose them under the feet of a running proxy."""
    try:
        _execute(connection, item.sql)
    except pymysql.err.MySQLError as error:
        raise SettingsError(f"{item.kind.lower()} {item.name} does not load: {error}") from error
    _execute(
        connection,
        "REPLACE INTO loaded_object (kind, name, content_hash, loaded_at) VALUES (%s, %s, %s, UTC_TIMESTAMP(6))",
        item.kind, item.name, item.content_hash,
    )  # fmt: skip


# --- logins and rights ------------------------------------------------------------------------------------------------


def _locked_owners(connection: Connection) -> list[str]:
    """The definers: nobody can log in as one, for each is locked and its password was never kept."""
    changes = []
    for user in (OWNER, ARCHIVIST, READER):
        if not _exists(connection, user, OWNERS_HOST):
            password = random_secrets.token_hex(32)
            _execute(connection, "CREATE USER %s@%s IDENTIFIED BY %s ACCOUNT LOCK", user, OWNERS_HOST, password)
            changes.append(f"locked account {user}@{OWNERS_HOST}")
        elif not _locked(connection, user):
            _execute(connection, "ALTER USER %s@%s ACCOUNT LOCK", user, OWNERS_HOST)
            changes.append(f"account {user}@{OWNERS_HOST} locked again")
    return changes


def _locked(connection: Connection, user: str) -> bool:
    sql = "SELECT JSON_VALUE(priv, '$.account_locked') FROM mysql.global_priv WHERE user = %s AND host = %s"
    return _value(connection, sql, user, OWNERS_HOST) in {"1", "true"}


def _logins(connection: Connection, logins: Sequence[RuntimeLogin], hosts: Sequence[Host]) -> list[str]:
    changes = []
    for login in logins:
        if not login.password:
            raise SettingsError(f"the password of {login.user} is empty")
        for host in hosts:
            changes += _login(connection, login, host)
    changes += _administrators(connection)
    accounts: list[tuple[Role, str, str]] = [
        ("owner", OWNER, OWNERS_HOST),
        ("archivist", ARCHIVIST, OWNERS_HOST),
        ("reader", READER, OWNERS_HOST),
        ("admin", ADMINISTRATOR, ""),
    ]
    accounts += [(login.role, login.user, host.name) for login in logins for host in hosts]
    for role, user, name in accounts:
        changes += _rights(connection, role, user, name)
    return changes


def _administrators(connection: Connection) -> list[str]:
    """The role that people are given. It belongs to the set-up login, which may grant it on."""
    sql = "SELECT is_role FROM mysql.user WHERE User = %s AND Host = ''"
    found = _rows(connection, sql, ADMINISTRATOR)
    if found:
        return []
    _execute(connection, f"CREATE ROLE {_quoted(ADMINISTRATOR)}")
    return [f"role {ADMINISTRATOR}"]


def _login(connection: Connection, login: RuntimeLogin, host: Host) -> list[str]:
    account = f"{login.user}@{host.name}"
    needs = "SSL" if host.needs_tls else "NONE"
    if not _exists(connection, login.user, host.name):
        sql = f"CREATE USER %s@%s IDENTIFIED BY %s REQUIRE {needs}"
        _execute(connection, sql, login.user, host.name, login.password)
        return [f"login {account}"]
    sql = "SELECT authentication_string, ssl_type FROM mysql.user WHERE User = %s AND Host = %s"
    ((stored, needed),) = _rows(connection, sql, login.user, host.name)
    changes = []
    if stored != _value(connection, "SELECT PASSWORD(%s)", login.password):
        _execute(connection, "ALTER USER %s@%s IDENTIFIED BY %s", login.user, host.name, login.password)
        changes.append(f"password of {account}")
    if host.needs_tls and not needed:  # whoever wants more of a login (X509, a subject) keeps it
        _execute(connection, "ALTER USER %s@%s REQUIRE SSL", login.user, host.name)
        changes.append(f"login {account} needs TLS")
    return changes


def _exists(connection: Connection, user: str, host: str) -> bool:
    return bool(_value(connection, "SELECT COUNT(*) FROM mysql.user WHERE User = %s AND Host = %s", user, host))


def _rights(connection: Connection, role: Role, user: str, host: str) -> list[str]:
    """Give what is missing and take back what is too much, on this schema."""
    _refuse_wide_rights(connection, user, host)
    routines = [item.name for item in _read("PROCEDURE", "routines")]
    views = [item.name for item in _read("VIEW", "views")]
    wanted, given = rights_of(role, routines, views), _given(connection, user, host)
    for verb, preposition, rights in (("GRANT", "TO", wanted - given), ("REVOKE", "FROM", given - wanted)):
        for target, privileges in _grouped(rights):
            _execute(connection, f"{verb} {privileges} ON {target} {preposition} {_grantee(user, host)}")
    changed = wanted ^ given
    return [f"{len(changed)} rights of {f'{user}@{host}'.removesuffix('@')}"] if changed else []


def _grantee(user: str, host: str) -> str:
    """As GRANT names it; a role has no host."""
    return f"{_quoted(user)}@{_quoted(host)}" if host else _quoted(user)


def _refuse_wide_rights(connection: Connection, user: str, host: str) -> None:
    """Rights on the whole server or schema would include the purses; they are not ours to take back silently."""
    grantee = f"'{user}'@'{host}'"
    wide = _rows(
        connection,
        "SELECT privilege_type FROM information_schema.user_privileges WHERE grantee = %s AND privilege_type <> 'USAGE'"
        " UNION SELECT privilege_type FROM information_schema.schema_privileges"
        " WHERE grantee = %s AND DATABASE() LIKE table_schema",  # a grant may be on a pattern of names
        grantee, grantee,
    )  # fmt: skip
    if wide:
        names = ", ".join(sorted(name for (name,) in wide))
        raise SettingsError(f"login {grantee} has {names} on more than single objects of the ledger: revoke that first")


def _given(connection: Connection, user: str, host: str) -> frozenset[Right]:
    grantee = f"'{user}'@'{host}'"
    tables = _rows(
        connection,
        "SELECT table_name, privilege_type, '' FROM information_schema.table_privileges"
        " WHERE grantee = %s AND table_schema = DATABASE()"
        " UNION ALL SELECT table_name, privilege_type, column_name FROM information_schema.column_privileges"
        " WHERE grantee = %s AND table_schema = DATABASE()",
        grantee, grantee,
    )  # fmt: skip
    routines = _rows(
        connection,
        "SELECT routine_name, CAST(proc_priv AS CHAR) FROM mysql.procs_priv"
        " WHERE user = %s AND host = %s AND db = DATABASE() AND routine_type = 'PROCEDURE'",
        user, host,
    )  # fmt: skip
    return frozenset(Right("TABLE", name, privilege, column) for name, privilege, column in tables) | frozenset(
        Right("PROCEDURE", name, privilege.upper()) for name, listed in routines for privilege in listed.split(",")
    )


def _grouped(rights: frozenset[Right]) -> Iterator[tuple[str, str]]:
    """(object, privileges) as GRANT writes them, each object once."""
    objects: dict[str, list[str]] = {}
    for right in sorted(rights):
        privilege = f"{right.privilege} ({_quoted(right.column)})" if right.column else right.privilege
        objects.setdefault(f"{right.kind} {_quoted(right.name)}", []).append(privilege)
    for target, privileges in objects.items():
        yield target, ", ".join(privileges)


# --- SQL --------------------------------------------------------------------------------------------------------------


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


def _execute(connection: Connection, sql: str, *args: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, args or None)


def _rows(connection: Connection, sql: str, *args: object) -> tuple[tuple[Any, ...], ...]:
    with connection.cursor(pymysql.cursors.Cursor) as cursor:
        cursor.execute(sql, args or None)
        return tuple(cursor.fetchall())


def _value(connection: Connection, sql: str, *args: object) -> Any:
    return _rows(connection, sql, *args)[0][0]
