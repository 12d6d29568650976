"""What a refused caller gets, in one table (docs/operator.md shows it with the situations)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """A final answer: code, reason phrase, Retry-After in seconds (0: none)."""

    code: int
    reason: str
    retry_after_s: int = 0


ANSWERS = {
    "bad_credentials": Answer(403, "Forbidden"),
    "unknown_caller": Answer(403, "Forbidden"),
    "account_suspended": Answer(403, "Forbidden"),
    "account_expired": Answer(403, "Forbidden"),
    "insufficient_balance": Answer(402, "Payment Required"),
    "spending_limit": Answer(403, "Forbidden"),
    "hourly_limit": Answer(403, "Forbidden"),
    "hourly_destination_limit": Answer(403, "Forbidden"),
    "too_many_calls": Answer(486, "Busy Here"),
    "destination_unknown": Answer(404, "Not Found"),
    "destination_barred": Answer(403, "Forbidden"),
    "too_fast": Answer(480, "Temporarily Unavailable", retry_after_s=1),
    "unavailable": Answer(480, "Temporarily Unavailable"),
    "billing_unavailable": Answer(503, "Service Unavailable", retry_after_s=5),
    "no_carrier": Answer(480, "Temporarily Unavailable"),
    "carrier_failed": Answer(500, "Server Internal Error"),
    "merged": Answer(482, "Loop Detected"),
}


def answer_to(token: str) -> Answer:
    """The answer for a token; one that nobody foresaw is the node's own trouble."""
    return ANSWERS.get(token, ANSWERS["billing_unavailable"])


def warning(token: str) -> str:
    """The body of the Warning header that carries a token (RFC 3261 20.43, code 399)."""
    return f'399 meterline "{token}"'
