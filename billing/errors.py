"""The expected failures of Meterline, one small tree.

`token` is the word that a refused caller's Warning header, the log line and the CDR carry (the table of
docs/operator.md), or the one that a ledger routine signals; it is empty where there is none.
"""

# ruff: noqa: S105 -- named for what happened (NoRate, KeyConflict); a token here is a word, no secret


class MeterlineError(Exception):
    """The root: whatever can be expected to go wrong."""

    token: str = ""


class SettingsError(MeterlineError):
    """A setting is missing or nonsensical; the message names it."""


class InvalidAmount(MeterlineError):
    """Not an amount of the form 123.456789 (at most 12 integer digits and 6 decimals)."""

    token = "invalid_amount"  # nosec B105  # a word


class InvalidTariff(MeterlineError):
    """A rate or price list that cannot be meant; the message names the field and its value."""


class InvalidDeck(MeterlineError):
    """A CSV file that is no rate deck, or not one that can be read as it was said to be."""


class InvalidNumber(MeterlineError):
    """What was dialled is no telephone number, so no rate can be found for it."""

    token = "destination_unknown"  # nosec B105  # a word


class NoRate(MeterlineError):
    """No rate for the destination, or none at that moment."""

    token = "destination_unknown"  # nosec B105  # a word


class DestinationBarred(MeterlineError):
    """The destination's rate is blocked."""

    token = "destination_barred"  # nosec B105  # a word


class LedgerError(MeterlineError):
    """The ledger did not do what was asked."""


class LedgerUnavailable(LedgerError):
    """The database is away or silent. The outcome is unknown: call again with the same key."""

    token = "billing_unavailable"  # nosec B105  # a word


class LedgerBusy(LedgerUnavailable):
    """The database is there but undid the call every time (a hot account, a deadlock). Nothing was done."""


class BreakerOpen(LedgerUnavailable):
    """The database is left alone for a moment; it was not asked."""


class LedgerRefused(LedgerError):
    """A routine refused; `token` says why and `message` names the thing."""

    def __init__(self, token: str, message: str) -> None:
        super().__init__(token, message)
        self.token = token
        self.message = message

    def __str__(self) -> str:
        return f"{self.token}: {self.message}"


class KeyConflict(LedgerError):
    """The key was used before with other content."""

    token = "key_conflict"  # nosec B105  # a word


class Refused(MeterlineError):
    """A call that may not start: `token` for the caller, `detail` for log and CDR, `leg` of the chain."""

    def __init__(self, token: str, detail: str = "", leg: int = 0) -> None:
        super().__init__(token, detail, leg)
        self.token = token
        self.detail = detail
        self.leg = leg

    def __str__(self) -> str:
        return f"{self.token}: {self.detail}" if self.detail else self.token
