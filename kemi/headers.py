"""Headers that the proxy itself gives a meaning to, or keeps to itself."""

from __future__ import annotations

CARD_HEADER = "X-Meterline-Card"
PIN_HEADER = "X-Meterline-PIN"

NOT_FOR_CARRIERS = (
    CARD_HEADER,
    PIN_HEADER,
    "Proxy-Authorization",
    "Authorization",
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Remote-Party-ID",
    "Replaces",
)
"""Never passed on, whoever sent them: secrets, and identities that no credential of the caller proves."""
