"""Reads the tables of an A2Billing database (versions 1.4 to 2.3), for billing.a2billing to make sense of.

Read only, in one snapshot. Columns that only some versions have are left out where they are missing.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pymysql
import pymysql.cursors

from billing.a2billing import Source
from billing.errors import MeterlineError

Row = Mapping[str, Any]

CARD = (
    "id username credit tariff status currency simultaccess max_concurrent typepaid creditlimit enableexpire "
    "expirationdate expiredays firstusedate creationdate"
)
RATE = (
    "id idtariffplan dialprefix destination rateinitial initblock billingblock connectcharge disconnectcharge "
    "disconnectcharge_after chargea timechargea stepchargea rounding_calltime rounding_threshold "
    "additional_block_charge additional_block_charge_time additional_grace minimal_cost buyrate startdate stopdate "
    "starttime endtime"
)
TABLES = {
    "cc_card": CARD,
    "cc_tariffgroup": "id tariffgroupname lcrtype id_cc_package_offer",
    "cc_tariffgroup_plan": "idtariffgroup idtariffplan",
    "cc_tariffplan": "id tariffname startingdate expirationdate dnidprefix calleridprefix",
    "cc_ratecard": RATE,
    "cc_prefix": "prefix destination",
    "cc_callerid": "id cid id_cc_card activated",
    "cc_sip_buddies": "id id_cc_card name username secret md5secret host",
}
MAY_LACK = {"max_concurrent", "id_cc_package_offer"}


class SourceError(MeterlineError):
    """The other database is away, or is not A2Billing's; the text names what is missing."""


def read_source(server: Mapping[str, Any], database: str) -> Source:
    """All that can be taken over, with times in UTC. `server`: keyword arguments of pymysql.connect.

    Raises SourceError.
    """
    try:
        with closing(
            pymysql.connect(**server, database=database, charset="utf8mb4", cursorclass=pymysql.cursors.DictCursor)
        ) as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION time_zone = '+00:00', SESSION sql_mode = ''")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            tables = {name: _rows(cursor, database, name, columns.split()) for name, columns in TABLES.items()}
            return Source(
                base_currency=_base_currency(cursor, database),
                **{name.removeprefix("cc_"): rows for name, rows in tables.items()},
            )
    except pymysql.err.MySQLError as error:
        raise SourceError(f"database {database}: {error.args[-1]}") from None


def _rows(cursor: Any, database: str, table: str, columns: Sequence[str]) -> list[Row]:
    present = _columns(cursor, database, table)
    missing = [name for name in columns if name not in present and name not in MAY_LACK]
    if missing:
        raise SourceError(f"database {database}: table {table} has no column {missing[0]}: not A2Billing's")
    names = ", ".join(f"`{name}`" for name in columns if name in present)
    cursor.execute(f"SELECT {names} FROM `{table}` ORDER BY 1, 2")  # nosec B608  # noqa: S608 - names above
    return [{name: _known(value) for name, value in row.items()} for row in cursor.fetchall()]


def _known(value: object) -> object:
    """Times as aware UTC; the zero date, which the driver leaves as text, is none."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    return None if isinstance(value, str) and value.startswith("0000-00-00") else value


def _columns(cursor: Any, database: str, table: str) -> set[str]:
    cursor.execute(
        "SELECT column_name AS name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
        (database, table),
    )
    return {str(row["name"]) for row in cursor.fetchall()}


def _base_currency(cursor: Any, database: str) -> str | None:
    """What credit and rates are in. Without the table of settings somebody must say so."""
    if not {"config_key", "config_value"} <= _columns(cursor, database, "cc_config"):
        return None
    cursor.execute("SELECT config_value AS value FROM cc_config WHERE config_key = 'base_currency' LIMIT 1")
    row = cursor.fetchone()
    return None if row is None else str(row["value"]).upper()
