"""Allowed, barred and premium prefixes: the longest that fits decides, on every level."""

import pytest

from billing import barring
from billing.errors import Refused
from tests.unit.builders import caller, leg

PREMIUM = {"49900": "Germany 0900", "979": "international"}


def verdict(digits, *legs, premium=PREMIUM, **user):
    """'' if the number passes, else the refusal's leg and reason."""
    try:
        barring.check(caller(*legs, **user), digits, premium)
    except Refused as refused:
        return f"{refused.leg}: {refused.detail}" if refused.token == "destination_barred" else refused.token
    return ""


@pytest.mark.parametrize(
    ("rules", "digits", "barred"),
    [
        (None, "4930123", ""),
        ("-49", "4930123", "prefix 49"),
        ("-49", "5930123", ""),
        ("-49,+4930", "4930123", ""),
        ("-49,+4930", "4940123", "prefix 49"),
        ("-49,+4930,-493012", "4930123", "prefix 493012"),
        ("-", "4930123", "every number"),
        ("-,+49", "4930123", ""),
        ("-,+49", "4330123", "every number"),
        ("-4930123", "4930123", "prefix 4930123"),
        ("-49301234", "4930123", ""),
    ],
)
def test_the_longest_prefix_decides(rules, digits, barred):
    """A bar on a short prefix and a longer one that is allowed go together."""
    found = verdict(digits, leg(prefix_rules=rules))
    assert (f"0: leg 0 account account 0: {digits}: {barred} is barred" if barred else "") == found


@pytest.mark.parametrize(
    ("rules", "allowed", "passes"),
    [
        (None, False, False),
        (None, True, True),
        ("+49", False, False),
        ("+49900", False, True),
        ("+4990012", False, True),
        ("+", False, False),
        ("-49900", True, False),
    ],
)
def test_premium_ranges_are_barred_unless_they_are_allowed(rules, allowed, passes):
    """By the flag, or by a prefix that is as long as the range; a bar of the account's own stays."""
    assert passes == (verdict("49900123", leg(prefix_rules=rules, premium_allowed=allowed)) == "")


def test_every_level_has_its_say():
    """A reseller's bar holds for all below him, and so do premium ranges that he does not allow."""
    open_leg = leg(premium_allowed=True, prefix_rules="+49900")
    assert verdict("4930123", open_leg, leg(1), leg(2, prefix_rules="-4930")).startswith("2: leg 2 account account 2")
    assert verdict("49900123", open_leg, leg(1)).endswith("49900123: prefix 49900 (Germany 0900) is premium")
    assert "" == verdict("49900123", open_leg, leg(1, premium_allowed=True))


def test_a_users_rules_come_first():
    """His own bar, whatever his account allows; and what he is allowed his account may bar."""
    assert verdict("4930", leg(), user_name="101", user_prefix_rules="-49").startswith("0: leg 0: user 101")
    assert verdict("4930", leg(prefix_rules="-49"), user_prefix_rules="+4930").startswith("0: leg 0 account")
