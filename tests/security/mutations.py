"""Seeded mutations of real messages against a running proxy, and the check of tests/support/aftermath.py in between.

    .venv/bin/python -m tests.security.mutations --count 100000                      # as `make attacks`
    .venv/bin/python -m tests.security.mutations --seed 7 --first 1200 --count 100   # one round again

Round after round: a call is up, another one rings, and a hundred messages of theirs and of calls to come are sent
with something wrong in them: INVITEs with a digest, from a trunk, from an IVR with a card; quotes; everything within a
dialog, from both sides; CANCEL, ACK, PRACK; answers. What is wrong follows from the seed and the message's number.
What comes of it is paid by accounts of the attack's own; nobody else may lose a cent or find a record.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from kemi.headers import NOT_FOR_CARRIERS
from stack.node import Stack
from stack.processes import free_port
from tests.security.mutate import mutated
from tests.support.aftermath import Aftermath, account_for_good_calls
from tests.support.messages import Message
from tests.support.party import Party, carrier
from tests.support.pings import answers_before_pong
from tests.support.rawsip import SDP, Dialog, new_branch
from tests.support.world import IVR_ADDRESS, NUMBER, Account, Phone, World

ROUND = 100
CHECK_EVERY = 30
"""Rounds between two checks."""
OVERRIDES = {
    "calls": {
        "grant_s": 10,
        "renew_lead_s": 5,
        "shorter_grants_s": [6, 4, 3, 2, 1],
        "ring_limit_s": 6,
        "early_dialog_s": 12,
        "carrier_silence_s": 2,
    },
    "lockout": {"failures": 1000, "window_s": 300},  # a password with an error in it is one of the mutations
    "flood": {"requests_per_s": 10_000, "log_lines_per_s": 10_000},
}
TRUNK_NETWORK = "127.0.7"
PHONE_NETWORK = "127.0.8"
HOSTS = 200
SHOWN_NUMBER = "4930555101"
"""What the phone may show, and all of its calls do; the trunk may show none, and its calls are anonymous."""
ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'
ASSERTED = "p-asserted-identity"
_SENDER = (re.compile(r";received=([0-9.]+)"), re.compile(r"([0-9]+(?:\.[0-9]+){3})"))
"""In the sender's Via: what the proxy wrote behind the address, or the address where it found that to be true."""
LONGEST_CALL_S = 5
IN_DIALOG = ("INVITE", "UPDATE", "INFO", "OPTIONS", "MESSAGE", "BYE", "ACK", "PRACK", "REFER", "NOTIFY")
SETTLED_LIMIT_S = 60
"""What a mutation leaves is over after `LONGEST_CALL_S`, or when nobody answered for as long as it may ring."""


@dataclass(frozen=True)
class Attackers:
    """Whose calls these are, and the card of somebody else that they try to use."""

    phone: Phone
    accounts: tuple[Account, ...]
    card: Account
    victim: Account


def attackers(world: World) -> Attackers:
    """Accounts for a whole run."""
    limits = {"longest_call_s": LONGEST_CALL_S}
    with_phone, with_trunk = (world.customer("100000", **limits) for _ in range(2))
    world.trunk(world.phone(with_trunk), [f"{TRUNK_NETWORK}.0/24"])
    world.admin.put_shown_number(with_phone.name, None, SHOWN_NUMBER)
    card = world.card("100000", max_calls=1000, **limits)
    return Attackers(world.phone(with_phone), (with_phone, with_trunk, card), card, world.card("10"))


class _Caller(Party):
    """Acknowledges what refuses its INVITEs, as a phone does: or each refusal would be sent again for ten seconds."""

    def acknowledge(self) -> None:
        """Every refusal that came in until now."""
        for one in self.heard():
            if one.code >= 300 and one.method == "INVITE":
                number = one.cseq.split()[0]  # not empty: it names the method
                lines = [
                    f"ACK sip:{NUMBER}@{self.realm} SIP/2.0",
                    f"Via: {one.header('via')}",
                    f"From: {one.header('from')}",
                    f"To: {one.header('to')}",
                    f"Call-ID: {one.call_id}",
                    f"CSeq: {number} ACK",
                    "Max-Forwards: 70",
                    "Content-Length: 0",
                ]
                self._socket.sendto(("\r\n".join(lines) + "\r\n\r\n").encode(), self.proxy)


class Round:
    """Two calls, and the messages that are made from them."""

    def __init__(self, world: World, who: Attackers, seed: int, number: int, callee: Party) -> None:
        self.world, self.who, self.callee = world, who, callee
        self.seed, self.number = seed, number
        self.host = 1 + number % HOSTS

    def play(self, first: int, last: int) -> None:
        """Send the mutations `first` up to `last`, without it."""
        with contextlib.ExitStack() as stack:
            self.phone = stack.enter_context(_Caller(self.world, host=f"{PHONE_NETWORK}.{self.host}"))
            self.trunk = stack.enter_context(_Caller(self.world, host=f"{TRUNK_NETWORK}.{self.host}", user="trunk"))
            self.ivr = stack.enter_context(_Caller(self.world, host=IVR_ADDRESS, user="49301"))
            self._set_up()
            for number in range(first, last):
                self._attack(number)
            self._end()

    def _set_up(self) -> None:
        self.callee.invites = "answer"
        self.up = self.phone.call(self.who.phone)
        self.up_invite = self.callee.wait_for(lambda one: _is_invite(one, self.up.call_id), "INVITE")
        self.callee.wait_for(lambda one: one.method == "ACK" and one.call_id == self.up.call_id, "ACK")
        self.callee.invites = "ring"
        self.ringing = self.phone.dial(self.who.phone)
        self.ringing_invite = self.callee.wait_for(lambda one: _is_invite(one, self.ringing.call_id), "INVITE")
        ringing = self.phone.wait_for(lambda one: one.code == 180 and one.call_id == self.ringing.call_id, "180")
        self.ringing.remote = ringing.header("to")
        self.callee.invites = "refuse"

    def _attack(self, number: int) -> None:
        chance = random.Random(f"{self.seed}/{number}/what")
        sender, message = chance.choice(KINDS)(self, chance)
        sender._socket.sendto(mutated(message.encode(), self.seed, number), sender.proxy)

    def _end(self) -> None:
        """Everybody hangs up. What a mutation made of the calls is settled later, and looked at by the check."""
        answers_before_pong(self.trunk)
        for party in (self.phone, self.trunk, self.ivr):
            party.acknowledge()
        for dialog in (self.up, *self._answered()):
            self.phone.send(self.phone.request("BYE", dialog, branch=new_branch()))
        self.callee.send(self.callee.response(self.ringing_invite, 486, tag=self.callee.tag(self.ringing_invite)))
        answers_before_pong(self.trunk)

    def _answered(self) -> list[Dialog]:
        """Calls of the phone that a mutation of an answer connected."""
        found = {one.call_id: one for one in self.phone.heard("INVITE", 200) if one.call_id != self.up.call_id}
        dialogs = []
        for call_id, answer in found.items():
            dialog = self.phone.new_dialog(NUMBER, call_id)
            dialog.local, dialog.cseq = answer.header("from"), 1000
            self.phone.establish(dialog, answer)
            dialogs.append(dialog)
        return dialogs

    # --- messages ----------------------------------------------------------------------------------------------------

    def stranger(self, _: random.Random) -> tuple[Party, str]:
        return self.phone, self.phone.request("INVITE", self.phone.new_dialog(NUMBER), body=SDP)

    def with_digest(self, _: random.Random) -> tuple[Party, str]:
        dialog = self.phone.new_dialog(NUMBER)
        challenge = self.phone.ask("INVITE", dialog)
        if challenge.code != 407:
            return self.phone, self.phone.request("INVITE", dialog, body=SDP)
        shown = self.phone.authorization(
            challenge, "INVITE", dialog.target, self.who.phone.username, self.who.phone.password
        )
        return self.phone, self.phone.request("INVITE", dialog, headers=[shown], body=SDP)

    def from_trunk(self, _: random.Random) -> tuple[Party, str]:
        return self.trunk, self.trunk.request("INVITE", self.trunk.new_dialog(NUMBER), body=SDP)

    def with_card(self, chance: random.Random) -> tuple[Party, str]:
        method = chance.choice(("INVITE", "OPTIONS"))
        headers = [f"X-Meterline-Card: {self.who.card.number}", f"X-Meterline-PIN: {self.who.card.pin}"]
        return self.ivr, self.ivr.request(method, self.ivr.new_dialog(NUMBER), headers=headers)

    def with_anothers_card(self, chance: random.Random) -> tuple[Party, str]:
        sender = chance.choice((self.phone, self.trunk))
        headers = [f"X-Meterline-Card: {self.who.victim.number}", f"X-Meterline-PIN: {self.who.victim.pin}"]
        return sender, sender.request("INVITE", sender.new_dialog(NUMBER), headers=headers, body=SDP)

    def ping(self, _: random.Random) -> tuple[Party, str]:
        return self.phone, self.phone.request("OPTIONS", self.phone.new_dialog(NUMBER), uri=f"sip:{self.phone.realm}")

    def other(self, chance: random.Random) -> tuple[Party, str]:
        method = chance.choice(("REGISTER", "MESSAGE", "REFER", "SUBSCRIBE", "PUBLISH", "BYE", "CANCEL", "ACK"))
        return self.phone, self.phone.request(method, self.phone.new_dialog(NUMBER))

    def in_dialog(self, chance: random.Random) -> tuple[Party, str]:
        method = chance.choice(IN_DIALOG)
        return self.phone, self.phone.request(method, self.up, headers=_refresh(chance), body=SDP)

    def from_callee(self, chance: random.Random) -> tuple[Party, str]:
        dialog = self.callee.dialog_of(self.up_invite)
        dialog.cseq = chance.randrange(1, 100)
        method = chance.choice(("INVITE", "UPDATE", "INFO", "BYE", "ACK"))
        return self.callee, self.callee.request(method, dialog, body=SDP)

    def while_ringing(self, chance: random.Random) -> tuple[Party, str]:
        method = chance.choice(("CANCEL", "PRACK", "UPDATE", "BYE", "ACK", "INVITE"))
        return self.phone, self.phone.request(method, self.ringing, cseq=2)

    def answer(self, chance: random.Random) -> tuple[Party, str]:
        invite = chance.choice((self.ringing_invite, self.up_invite))
        code = chance.choice((100, 180, 183, 200, 200, 202, 302, 407, 486, 503, 603))
        return self.callee, self.callee.response(invite, code, tag=self.callee.tag(invite), body=SDP)


def _is_invite(message: Message, call_id: str) -> bool:
    return message.is_request and message.method == "INVITE" and message.call_id == call_id


def _refresh(chance: random.Random) -> list[str]:
    return chance.choice(([], ["Session-Expires: 1800;refresher=uac", "Min-SE: 90"], ["RAck: 1 2 INVITE"]))


Kind = Callable[[Round, random.Random], tuple[Party, str]]
KINDS: tuple[Kind, ...] = (
    Round.stranger,
    Round.with_digest,
    Round.with_digest,
    Round.from_trunk,
    Round.with_card,
    Round.with_anothers_card,
    Round.ping,
    Round.other,
    *[Round.in_dialog] * 3,
    Round.from_callee,
    Round.while_ringing,
    *[Round.answer] * 2,
)


def run(world: World, good: Account, *, seed: int, first: int, count: int, say: Callable[[str], None]) -> None:
    """`count` mutations from number `first` on. AssertionError names the rounds in which it went wrong."""
    who = attackers(world)
    victims = world.money(who.victim)
    aftermath = Aftermath(world, good)
    since = first
    for number, begin in enumerate(range(first, first + count, ROUND)):
        end = min(begin + ROUND, first + count)
        again = f"--seed {seed} --first {since} --count {end - since}"
        try:
            with carrier(world) as callee:
                Round(world, who, seed, begin // ROUND, callee).play(begin, end)
                assert_kept_back(callee.heard(), world)
            if number % CHECK_EVERY == CHECK_EVERY - 1 or end == first + count:
                aftermath.allow(callers=who.accounts, emergencies=True)
                aftermath.check(SETTLED_LIMIT_S)
                assert victims == world.money(who.victim), "somebody else's card"
                assert [] == world.cdrs_of(who.victim)
                since = end
                say(f"{end - first} mutations, {Counter(one['event'] for one in aftermath.last_events).most_common(4)}")
        except Exception as error:
            raise AssertionError(f"again with {again}: {error}") from error


def assert_kept_back(heard: Iterable[Message], world: World) -> None:
    """No secret and no identity that nobody proved reaches the carrier; what he is shown, and once, is the proxy's."""
    kept_back = {name.lower() for name in NOT_FOR_CARRIERS} - {ASSERTED}
    for one in heard:
        if one.is_request:
            assert not kept_back & set(one.header_names()), one.text
            assert one.headers(ASSERTED) in _assertions(one, world), one.text


def _assertions(one: Message, world: World) -> list[list[str]]:
    """The P-Asserted-Identity that a request may have: none but in an INVITE for a new call, and there the address in
    From. AssertionError when that is not the one of whoever sent the INVITE."""
    if one.method != "INVITE" or one.to_tag:
        return [[]]
    shown = one.header("from").partition(";tag=")[0]
    if one.uri.removeprefix("sip:").partition("@")[0] in world.settings.calls.emergency_numbers:
        return [[], [shown]]  # whatever he says: nobody is asked for a password
    via = one.headers("via")[1]
    sender = next((match.group(1) for pattern in _SENDER if (match := pattern.search(via))), "")
    if sender == IVR_ADDRESS:
        proven = re.fullmatch(rf"<sip:\+[1-9][0-9]*@{re.escape(world.realm)}>", shown) is not None
    else:
        from_phone = sender.startswith(f"{PHONE_NETWORK}.")
        proven = from_phone and shown == f"<sip:+{SHOWN_NUMBER}@{world.realm}>"
    assert proven or shown == ANONYMOUS, one.text
    return [[shown] if proven else []]


def main() -> int:
    parser = argparse.ArgumentParser(description="Seeded mutations of real messages against a proxy of its own.")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutation")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    say(f"seed {options.seed}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="meterline-") as folder, Stack(Path(folder), overrides=OVERRIDES) as stack:
        world = World(stack, [free_port() for _ in range(3)])
        good = account_for_good_calls(world)
        run(world, good, seed=options.seed, first=options.first, count=options.count, say=say)
    say(f"{options.count} mutations in {time.monotonic() - began:.0f} s, seed {options.seed}: nothing found")
    return 0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
