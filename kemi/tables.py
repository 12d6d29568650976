"""The tables that all processes of the proxy share (htable; sizes and expiry in kamailio.cfg).

LIVE       (Call-ID, From-tag) in use: a second INVITE with a live one is 482, however close in time
CURRENT    the same -> the branch that may answer, or NOBODY while there is none
WINNER     the same -> To-tag of the 2xx that went through; a counter beside it settles races
FAILURES   failed credentials. Keys hold their time window, for an entry's expiry starts again at every update
TRUSTED    (user, source address) that the right password came from, (card, caller number) likewise for the PIN
CALL_RATE  calls of an account in a second
SUSPECTS   carriers over TLS that did not answer at all
ANSWERS    right answers to challenges, each of which works once; nobody fills this who has no password
KNOWN      networks that the right password came from lately
LOGGED     lines about strangers in a second; sources whose flood was told
CHANNELS   calls at each carrier, by its id
OVER       what was counted as over: calls, by their keys, and their stays at carriers. Two processes may see one end
NUMBERS    (source network, user) -> the URI that the carriers were shown last, for calls for help
"""

from __future__ import annotations

from kemi import ksr

LIVE = "live"
CURRENT = "current"
WINNER = "winner"
FAILURES = "failures"
TRUSTED = "trusted"
CALL_RATE = "call_rate"
SUSPECTS = "suspects"
ANSWERS = "answers"
KNOWN = "known"
LOGGED = "logged"
CHANNELS = "channels"
NUMBERS = "numbers"
OVER = "over"

NOBODY = "nobody"

CALL_ID_CHARACTERS_MAX = 255
TAG_CHARACTERS_MAX = 128
"""As the ledger's columns: by Call-ID and tags the keeper and the cutter find a call again."""


def live_key() -> str:
    """(Call-ID, From-tag) of the message in hand."""
    return f"{ksr.pv('$ci')}|{ksr.pv('$ft')}"


def is_second_with_live_key() -> bool:
    """Take the live key of the INVITE in hand; True when another call has it."""
    return ksr.count_up(LIVE, live_key()) > 1


def release_live_key() -> None:
    """The call attempt in hand is over: its (Call-ID, From-tag) may be used again."""
    ksr.forget(LIVE, live_key())


def is_first_over(what: str) -> bool:
    """Whether no process of this proxy has counted this as over yet; from now on one has. Also when it cannot be noted,
    for want of memory."""
    return ksr.count_up(OVER, what) <= 1
