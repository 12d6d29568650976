"""Which numbers a call may go to: allowed and barred prefixes of users and accounts, and premium ranges.

Pure: what is needed came with the caller (prefix_rules), and the premium ranges are in the node's directory. Emergency
numbers go out before anybody asks here.
"""

from __future__ import annotations

from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from billing.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.ledger_types import Caller, Leg

NO_PREMIUM: Mapping[str, str] = MappingProxyType({})
TOKEN = "destination_barred"  # noqa: S105  # nosec B105
EVERY_NUMBER = "every number"


def check(caller: Caller, digits: str, premium: Mapping[str, str]) -> None:
    """Raises Refused (destination_barred) unless the user and every account of the chain let E.164 `digits` pass.

    On each level the longest prefix that fits decides, so a bar on a short one and a longer one that is allowed go
    together; without any the number passes. `premium`: prefix to name; each bars like a prefix of the account's own
    unless it has `premium_allowed`, and one of its own of the same length wins.
    """
    prefix = longest(rules_of(caller.user_prefix_rules), digits)
    if prefix is not None and not rules_of(caller.user_prefix_rules)[prefix]:
        raise Refused(TOKEN, f"leg 0: user {caller.user_name}: {digits}: {_shown(prefix)} is barred")
    for leg in caller.legs:
        reason = _bar_of(leg, digits, premium)
        if reason:
            raise Refused(TOKEN, f"leg {leg.leg} account {leg.account_name}: {digits}: {reason}", leg.leg)


@lru_cache(maxsize=4096)
def rules_of(text: str | None) -> Mapping[str, bool]:
    """Prefix to allowed, of a text such as "-,+49,-49900": all but Germany, and there no premium numbers."""
    if text is None:
        return MappingProxyType({})
    return MappingProxyType({one[1:]: one.startswith("+") for one in text.split(",")})


def longest(rules: Mapping[str, object], digits: str) -> str | None:
    """The longest of these prefixes that begins `digits`; an empty one fits every number."""
    if not rules:
        return None
    return next((digits[:length] for length in range(len(digits), -1, -1) if digits[:length] in rules), None)


def _bar_of(leg: Leg, digits: str, premium: Mapping[str, str]) -> str:
    """Why this account bars the number, or nothing."""
    rules = rules_of(leg.prefix_rules)
    own = longest(rules, digits)
    dear = None if leg.premium_allowed else longest(premium, digits)
    if dear is not None and (own is None or len(own) < len(dear)):
        return f"prefix {dear} ({premium[dear]}) is premium"
    return f"{_shown(own)} is barred" if own is not None and not rules[own] else ""


def _shown(prefix: str) -> str:
    return f"prefix {prefix}" if prefix else EVERY_NUMBER
