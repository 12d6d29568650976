"""Who is calling: digest, trusted source and caller number, trusted IVR and card, or the trunk's address alone."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from billing.errors import BreakerOpen, Refused
from billing.numbers import DialPlan
from kemi import caller_id, flood, ksr, log
from kemi.headers import CARD_HEADER, PIN_HEADER
from kemi.lockout import Guess
from kemi.node import here
from kemi.tables import ANSWERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing.directory import Trunk
    from billing.ledger import Ledger
    from billing.ledger_types import Caller
    from kemi.caller_id import Shown

_NO_HA1 = "0" * 64


class Challenge(Exception):
    """The digest was not wrong but its nonce was old or used: ask again with a new one."""


@dataclass(frozen=True)
class Identified:
    """A verified caller, the number that is his in the CDR, and what carriers are shown of him."""

    caller: Caller
    number: str
    shown: Shown


def realm() -> str:
    """The digest realm, which is also the proxy's domain."""
    return here().settings.sip.realm


def trunk_of_source() -> Trunk | None:
    """The trunk that the message's source address belongs to."""
    return here().directory.current().trunk_at(ksr.source_ip())


def identify() -> Identified:
    """The caller of the INVITE or OPTIONS in hand. Asks the database once.

    Raises Refused (bad_credentials, unknown_caller) or Challenge; LedgerUnavailable when nobody can tell.
    """
    trunk = trunk_of_source()
    if trunk is None:
        return _by_digest()
    if trunk.kind == "ivr":
        return _by_card(trunk)
    if trunk.kind == "caller_number":
        return _by_caller_number(trunk)
    return _by_trunk(trunk)


def shows_fresh_credentials() -> bool:
    """Whether the request has a digest whose nonce was given by this node, lately, and to its address.

    Costs no database and leaves nothing behind: what somebody sends from addresses where he hears no answers ends here.
    """
    if not ksr.has_credentials(realm()):
        return False
    return ksr.check_digest(realm(), _no_ha1()) in (ksr.DIGEST_OK, ksr.DIGEST_WRONG)


def _no_ha1() -> str:
    """A hash that no password has, as long as the node's algorithm makes them."""
    return _NO_HA1[: 64 if here().settings.sip.digest_algorithm == "SHA-256" else 32]


def dial_plan(caller: Caller) -> DialPlan:
    """How the caller's account dials."""
    leg = caller.legs[0]
    return DialPlan.from_text(leg.country_code, leg.international_prefixes, leg.national_prefix)


def _ask(question: Callable[[Ledger], Caller | None]) -> Caller | None:
    """Ask the ledger, if the breaker lets us. That there was an answer, whatever it was, is what the breaker wants.

    Raises BreakerOpen without asking.
    """
    node = here()
    if not node.breaker.allows():
        raise BreakerOpen("the database is away")
    caller = question(node.ledger)
    node.breaker.answered()
    return caller


def _by_digest() -> Identified:
    username, algorithm = ksr.pv("$au"), ksr.pv("$aa")
    if algorithm and algorithm.upper() != here().settings.sip.digest_algorithm:
        raise Challenge  # not what was asked for, whatever it is; the module would take it for its own
    caller = _ask(lambda ledger: ledger.identify_digest(username, realm()))
    sha256 = here().settings.sip.digest_algorithm == "SHA-256"
    ha1 = _no_ha1()  # an unknown user costs the same work as a known one
    if caller is not None:
        ha1 = (caller.ha1_sha256 if sha256 else caller.ha1_md5) or ha1
    result = ksr.check_digest(realm(), ha1)
    if result not in (ksr.DIGEST_OK, ksr.DIGEST_WRONG):
        raise Challenge  # by its nonce alone: the password was not looked at, so this is no guess
    right = result == ksr.DIGEST_OK and ksr.pv("$adu") == ksr.pv("$ou")
    _judge(caller, f"user:{caller.user_id if caller else 0}", ksr.source_ip(), f"user {username[:64]}", right=right)
    assert caller is not None
    if ksr.count_up(ANSWERS, ksr.pv("$adr")) > 1:
        raise Challenge  # overheard and sent again; who knows the password makes another one
    flood.remember_source()
    shown = _shown(caller)
    caller_id.remember(username, shown)
    return Identified(caller, username, shown)


def _by_card(trunk: Trunk) -> Identified:
    numbers, pins = ksr.headers(CARD_HEADER), ksr.headers(PIN_HEADER)
    if len(numbers) != 1 or len(pins) != 1:
        raise Refused("bad_credentials", f"trunk {trunk.name}: {len(numbers)} card numbers, {len(pins)} PINs")
    number, pin = numbers[0].strip(), pins[0].strip()
    caller = _ask(lambda ledger: ledger.identify_card(number[:20]))
    expected = caller.pin_hash if caller is not None and caller.pin_hash else _NO_HA1
    right = hmac.compare_digest(pin_hash(number, pin), expected) and _may_use(trunk, caller)
    account_id = caller.legs[0].account_id if caller else 0
    _judge(caller, f"card:{account_id}", ksr.pv("$fU")[:32], f"trunk {trunk.name}: card of {account_id}", right=right)
    assert caller is not None
    told = ""
    if trunk.owner_account_id is None:  # the vendor's own IVR tells the truth; a reseller's proves no number
        told = caller_id.as_number(ksr.pv("$fU"), dial_plan(caller))
    return Identified(caller, ksr.pv("$fU"), _shown(caller, told))


def _judge(caller: Caller | None, credential: str, place: str, detail: str, *, right: bool) -> None:
    """Raises Refused unless the credential is known, not locked, and right: alike for all three to the caller."""
    if caller is None:
        Guess("nobody", "nowhere").is_allowed()  # nothing to guess, and as much work as a guess
        raise Refused("bad_credentials", f"unknown: {detail}")
    guess = Guess(credential, place)
    if not guess.is_allowed():
        log.count("locked_out")
        raise Refused("bad_credentials", f"locked: {detail}")
    if not right:
        raise Refused("bad_credentials", f"wrong: {detail}")
    guess.was_right()


def _shown(caller: Caller, verified: str = "") -> Shown:
    return caller_id.choose(caller.shown_numbers or "", verified, dial_plan(caller))


def _by_caller_number(trunk: Trunk) -> Identified:
    number = ksr.pv("$fU").removeprefix("+")
    caller = _ask(lambda ledger: ledger.identify_caller_number(trunk.trunk_id, number[:20]))
    if caller is None or not _may_use(trunk, caller):
        raise Refused("unknown_caller", f"trunk {trunk.name}: {number[:20]!r}")
    return Identified(caller, number, _shown(caller, _e164(caller, number[:20])))


def _e164(caller: Caller, number: str) -> str:
    """A number that a trunk's callers are known by: E.164 already, or as the account dials it."""
    return caller_id.as_number(number, dial_plan(caller)) if number.startswith("0") else number


def _may_use(trunk: Trunk, caller: Caller | None) -> bool:
    """Whether the trunk is the vendor's, or that of a reseller above the caller."""
    owner = trunk.owner_account_id
    return owner is None or (caller is not None and owner in (leg.account_id for leg in caller.legs))


def _by_trunk(trunk: Trunk) -> Identified:
    user_id = trunk.user_id
    caller = None if user_id is None else _ask(lambda ledger: ledger.identify_user(user_id))
    if caller is None:
        raise Refused("unknown_caller", f"trunk {trunk.name} belongs to nobody")
    return Identified(caller, ksr.pv("$fU"), _shown(caller))


def pin_hash(number: str, pin: str) -> str:
    """The keyed hash a card's PIN is stored as: HMAC-SHA256 of 'number:pin', hex."""
    key = here().settings.card_pin_key.get_secret_value().encode()
    return hmac.new(key, f"{number}:{pin}".encode(), hashlib.sha256).hexdigest()
