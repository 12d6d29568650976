"""The database's clock, for tests of what follows it."""

from billing.ledger_session import LedgerSession
from stack.processes import wait_until


def wait_for_time_in_the_hour(ledger: LedgerSession, seconds: float) -> None:
    """Until no hour of the clock, and so no day, ends within so many seconds."""

    def left_s() -> float:
        sql = "SELECT 3600 - MOD(TIME_TO_SEC(UTC_TIME(6)), 3600) AS left_s"
        return float(ledger._select(sql)[0]["left_s"])

    wait_until(lambda: left_s() > seconds, seconds + 1, f"no hour ends within {seconds} s", poll_s=0.1)
