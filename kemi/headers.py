"""Headers that the proxy itself gives a meaning to, or keeps to itself."""

from __future__ import annotations

CSEQ_LIMIT = 2**31 - 1000
"""A CSeq near 2^31 leaves no room for the proxy's own BYE (RFC 3261 8.1.1.5), so the call could never be cut."""

CARD_HEADER = "X-Meterline-Card"
PIN_HEADER = "X-Meterline-PIN"

IDENTITIES = (
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Remote-Party-ID",
    "Diversion",
    "History-Info",
    "Referred-By",
    "b",
    "Identity",
    "y",
    "Identity-Info",
    "n",
    "P-Charge-Info",
    "P-Served-User",
)
"""Who somebody says that he or another is, signed (RFC 8224) or not: what was signed is another From than goes on. In
short `b` is Referred-By (RFC 3892), `y` Identity and `n` Identity-Info (RFC 4474), which Kamailio need not know."""

NOT_FOR_CARRIERS = (
    CARD_HEADER,
    PIN_HEADER,
    "Proxy-Authorization",
    "Authorization",
    *IDENTITIES,
    "Replaces",
    "Join",
)
"""Never passed on, whoever sent them: secrets, identities that no credential of the caller proves,
and other people's calls."""


def is_cseq(number: str) -> bool:
    """Whether a CSeq's number is one, with room above it."""
    return number.isascii() and number.isdigit() and int(number[:20]) < CSEQ_LIMIT
