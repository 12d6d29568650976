"""One connection to the ledger: opened when needed, short timeouts, every result read, routines called again when the
server asks for it, and its errors turned into the few that callers tell apart."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pymysql
from pymysql.constants import CR, ER
from pymysql.cursors import DictCursor

from billing.errors import (
    InvalidAmount,
    KeyConflict,
    LedgerBusy,
    LedgerError,
    LedgerRefused,
    LedgerUnavailable,
    MeterlineError,
    SettingsError,
)

Row = Mapping[str, Any]
Connection: TypeAlias = "pymysql.connections.Connection[DictCursor]"

_log = logging.getLogger(__name__)

ER_CHECKREAD = 1020  # record changed since last read (innodb_snapshot_isolation), or a Galera conflict
ER_QUERY_TIMEOUT = 1969  # max_statement_time
ER_SIGNAL_EXCEPTION = 1644
ER_CHECK_FAILED = 4025  # a CHECK constraint

_TRY_AGAIN = frozenset({ER.LOCK_DEADLOCK, ER.LOCK_WAIT_TIMEOUT, ER_CHECKREAD})
"""The transaction was undone and did nothing: the same call may well succeed."""

_AWAY = frozenset({
    CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, CR.CR_CONNECTION_ERROR, CR.CR_CONN_HOST_ERROR, CR.CR_UNKNOWN_HOST,
    CR.CR_COMMANDS_OUT_OF_SYNC, CR.CR_MALFORMED_PACKET,
    ER.CON_COUNT_ERROR, ER.SERVER_SHUTDOWN, ER.UNKNOWN_COM_ERROR, ER.OUT_OF_RESOURCES, ER.DISK_FULL,
    ER.TOO_MANY_USER_CONNECTIONS, ER.OPTION_PREVENTS_STATEMENT, ER.QUERY_INTERRUPTED, ER_QUERY_TIMEOUT,
    ER.NEW_ABORTING_CONNECTION, 1927, 1836, 1114, 1030, 1180, 1026, 3, 1206,
})  # fmt: skip
"""The server is away, going, full (1114, 1030, 3), read-only, or not (yet) part of its cluster (1047)."""

_IN_TRANSACTION = "in_transaction: "
"""How a routine refuses a connection on which something was left open."""

_REFUSED_VALUES = frozenset({
    ER.DATA_TOO_LONG, ER.BAD_NULL_ERROR, ER.WARN_DATA_OUT_OF_RANGE, ER.TRUNCATED_WRONG_VALUE,
    ER.TRUNCATED_WRONG_VALUE_FOR_FIELD, ER.DUP_ENTRY, ER.NO_REFERENCED_ROW_2, ER.ROW_IS_REFERENCED_2, 1265, 1690,
    ER_CHECK_FAILED,
})  # fmt: skip
"""What strict tables refuse; the server's sentence names the column."""


_REFUSALS = (LedgerRefused, InvalidAmount, KeyConflict)

LOCK_TRIES_MAX = 5
"""How often a session that waits for no lock asks for it, some milliseconds apart: longer than any call holds one."""


@dataclass(frozen=True)
class LedgerAddress:
    """Where the ledger is and who we are there. `timeout_s`: to connect and to write; an answer may take `lock_wait_s`
    more. `lock_wait_s`: how long the server waits for a lock (whole seconds are its unit); 0 for those who have other
    work to do meanwhile."""

    host: str = "127.0.0.1"
    port: int = 3306
    socket: Path | str | None = None
    database: str = "meterline"
    user: str = ""
    password: str = field(default="", repr=False)
    tls_ca: Path | str | None = None
    timeout_s: float = 1.0
    lock_wait_s: int = 1
    attempts: int = 3
    """How often a routine is called when the server undoes it (deadlock, conflict)."""
    lock_waits: int = 1
    """How often `lock_wait_s` is waited through for a lock that somebody else holds."""


class LedgerSession:
    """The connection of one process. Not to be shared between threads, and not to be carried over a fork."""

    def __init__(self, address: LedgerAddress) -> None:
        self._address = address
        self._connection: Connection | None = None
        self._told: Callable[[str, float, str], None] | None = None

    def watch(self, told: Callable[[str, float, str], None]) -> None:
        """Have somebody told of each question: its routine ('query': a view), how long it took in ms, and its outcome:
        ok, refused (an answer, too), busy, unavailable or error."""
        self._told = told

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(pymysql.err.Error, OSError):
                connection.close()

    def check_settings(self) -> None:
        """Raise SettingsError if the server is set up so that it could lose money; LedgerUnavailable if it is away."""
        for attempt in (1, 2):  # a connection found dead is opened again once
            try:
                check_settings(self._connected())
            except pymysql.err.Error as error:
                if self._lost(error) and attempt == 1:
                    continue
                raise self._translated("check_settings", error) from error
            else:
                return

    def _call(self, routine: str, *args: object) -> list[Row]:
        """The rows of a routine's result set, called again a few times if the server undid it.

        Raises LedgerUnavailable when the outcome is unknown: the caller calls again, with the same key.
        """
        places = ", ".join(["%s"] * len(args))
        return self._run(f"CALL {routine}({places})", args, routine)

    def _select(self, sql: str, *args: object) -> list[Row]:
        return self._run(sql, args, sql)

    def _change(self, sql: str, *args: object) -> None:
        """Run a statement on a configuration table."""
        self._run(sql, args, sql, repeatable=False)

    def _insert(self, sql: str, *args: object) -> int:
        """Insert a row and return the id it was given."""
        return int(self._run(f"{sql} RETURNING id", args, sql, repeatable=False)[0]["id"])

    def _run(self, sql: str, args: Sequence[object], what: str, *, repeatable: bool = True) -> list[Row]:
        began_s = time.monotonic()
        outcome = "ok"
        try:
            return self._answered(sql, args, what, repeatable=repeatable)
        except Exception as error:
            outcome = _outcome(error)
            raise
        finally:
            if self._told is not None:
                self._told(what if what.isidentifier() else "query", (time.monotonic() - began_s) * 1000, outcome)

    def _answered(self, sql: str, args: Sequence[object], what: str, *, repeatable: bool) -> list[Row]:
        attempt = 1
        stale = self._connection is not None
        while True:
            try:
                return self._results(sql, args)
            except (pymysql.err.Error, OSError) as error:
                if stale and (_died_idle(error, repeatable=repeatable) or _text(error).startswith(_IN_TRANSACTION)):
                    self.close()  # and ask on a new one: on this the routine did nothing
                elif not self._may_try_again(error, attempt):
                    raise self._translated(what, error) from error
                else:
                    _log.info("%s undone by the server (attempt %d): %s", what, attempt, error)
            stale = False
            time.sleep(0.002 * attempt)
            attempt += 1

    def _may_try_again(self, error: Exception, attempt: int) -> bool:
        """A deadlock is over at once. A lock that was not had in a second is somebody else's for longer: a proxy
        decides for itself, for meanwhile others wait for it; behind a cashier nobody does."""
        code = _code(error)
        if code == ER.LOCK_WAIT_TIMEOUT:
            return attempt < (self._address.lock_waits if self._address.lock_wait_s else LOCK_TRIES_MAX)
        return code in _TRY_AGAIN and attempt < self._address.attempts

    def _results(self, sql: str, args: Sequence[object]) -> list[Row]:
        """Every result set is read to its end: an error may come after the rows, and means they are not true."""
        connection = self._connected()
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, tuple(args) or None)
                rows: list[Row] = list(cursor.fetchall())
                while cursor.nextset():
                    rows += cursor.fetchall()
        except pymysql.err.MySQLError as error:
            if _code(error) not in _AWAY:
                self._undo(connection)
            raise
        return rows

    def _undo(self, connection: Connection) -> None:
        """End what a routine has left open, though its handler rolls back: the server passed over it, or it has none
        for this (docs/kamailio.md, 42 and 70). Or purses stay locked until somebody calls on this connection again."""
        try:
            connection.rollback()
        except (pymysql.err.MySQLError, OSError):
            self.close()

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = connect(self._address)
        return self._connection

    def _lost(self, error: Exception) -> bool:
        """Whether the connection is of no use any more; then it is closed."""
        lost = not isinstance(error, pymysql.err.MySQLError) or _code(error) in _AWAY or _code(error) == 0
        if lost or isinstance(error, pymysql.err.InterfaceError):
            self.close()
            return True
        return False

    def _translated(self, what: str, error: Exception) -> MeterlineError:
        code, text = _code(error), _text(error)
        if self._connection is None or self._lost(error):
            self.close()
            return LedgerUnavailable(f"{what}: {text}")
        if code in _TRY_AGAIN:
            return LedgerBusy(f"{what}: undone: {text}")
        if code == ER_SIGNAL_EXCEPTION:
            return _signalled(text)
        if code in _REFUSED_VALUES:
            return LedgerRefused("invalid_content", f"{what}: {text}")
        return LedgerError(f"{what}: {text}")


def connect(address: LedgerAddress) -> Connection:
    """A session as the ledger wants it: autocommit, READ COMMITTED, UTC, and no wait for a lock longer than ours for
    the answer. Raises pymysql.err.Error."""
    where: dict[str, Any] = {"host": address.host, "port": address.port}
    if address.socket is not None:
        # It never leaves the machine; and without a CA PyMySQL would load every certificate of the system first.
        where = {"unix_socket": str(address.socket), "ssl_disabled": address.tls_ca is None}
    if address.tls_ca is not None:
        where |= {"ssl_ca": str(address.tls_ca), "ssl_verify_cert": True, "ssl_verify_identity": True}
    connection = pymysql.connect(
        **where,
        user=address.user,
        password=address.password,
        database=address.database,
        charset="utf8mb4",
        connect_timeout=address.timeout_s,
        read_timeout=address.timeout_s + address.lock_wait_s,  # or a busy account would look like a dead database
        write_timeout=address.timeout_s,
        autocommit=True,
        cursorclass=DictCursor,
    )
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        cursor.execute(
            f"SET SESSION innodb_lock_wait_timeout = {address.lock_wait_s}, SESSION time_zone = '+00:00', "
            "SESSION sql_mode = "
            "'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION'"
        )
    return connection


def check_settings(connection: "pymysql.connections.Connection[Any]") -> None:
    """Raise SettingsError if a commit could be lost (flush) or a login could choose the time it is (timestamp)."""
    with connection.cursor(pymysql.cursors.Cursor) as cursor:
        cursor.execute("SELECT @@global.innodb_flush_log_at_trx_commit, @@global.secure_timestamp")
        row = cursor.fetchone()
    assert row is not None
    flush, timestamp = row
    if int(flush) != 1:
        raise SettingsError(
            f"the database server's innodb_flush_log_at_trx_commit is {flush} and must be 1: "
            "it would lose committed money in a crash"
        )
    if str(timestamp) not in {"SUPER", "YES"}:
        raise SettingsError(
            f"the database server's secure_timestamp is {timestamp} and must be SUPER or YES: "
            "any login could choose the time at which its calls happen"
        )


def _outcome(error: Exception) -> str:
    kinds = ((LedgerBusy, "busy"), (LedgerUnavailable, "unavailable"), (_REFUSALS, "refused"))
    return next((name for kind, name in kinds if isinstance(error, kind)), "error")


def _signalled(text: str) -> MeterlineError:
    """The error of a routine's SIGNAL, whose text is 'token: sentence'."""
    token, _, sentence = text.partition(": ")
    if token == InvalidAmount.token:
        return InvalidAmount(sentence)
    if token == KeyConflict.token:
        return KeyConflict(sentence)
    return LedgerRefused(token, sentence)


def _died_idle(error: Exception, *, repeatable: bool) -> bool:
    """Whether a connection was dead before we used it. 2006: the request did not get out. 2013 without a time-out: it
    may have, so only what has a key, or changes nothing, is said again."""
    code = _code(error)
    return code == CR.CR_SERVER_GONE_ERROR or (
        repeatable and code == CR.CR_SERVER_LOST and "timed out" not in _text(error)
    )


def _code(error: Exception) -> int:
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def _text(error: Exception) -> str:
    return str(error.args[1]) if len(error.args) > 1 else str(error) or type(error).__name__
