"""Texts that mean something to SQL, to a log, to a terminal, to Kamailio or to a page, in whatever a caller can write:
CDR and log have them as they are or not at all, and nobody acts on them."""

import json

import pytest

from stack.processes import wait_until
from tests.support.party import Party
from tests.support.pings import final_or_silence
from tests.support.rawsip import SDP
from tests.support.world import IVR_ADDRESS, NUMBER, OPERATOR_ADDRESS

TRUNK = "127.0.0.69"
EVIL = {
    "sql": "x' OR '1'='1",
    "sql end": "1'; DROP TABLE cdr; --",
    "sql escape": "\\' OR 1=1 -- ",
    "sql comment": "1/**/UNION/**/SELECT",
    "json": '"}{"event": "forged"',
    "crlf escaped": "%0d%0aX-Evil:1",
    "format": "%s%n%x%d%99999d",
    "kamailio": "$var(x)$ru$sht(live=>x)$(ru{s.len})",
    "terminal": "\x1b[2J\x1b]0;owned\x07",
    "control": "\x01\x02\x08\x7f",
    "html": "<script>alert(1)</script>",
    "formula": "=cmd|' /C calc'!A0",
    "utf-8": "üñ大\u202e\u2028",
    "template": "{{7*7}}${7*7}",
    "path": "../../../etc/passwd",
    "long": "9" * 2000,
}


@pytest.fixture(scope="module")
def trunk_account(world):
    account = world.customer("100")
    world.trunk(world.phone(account), [f"{TRUNK}/32"])
    return account


def place(party, dialog, headers=()):
    """An INVITE as it is; its final answer, or None."""
    party.send(party.request("INVITE", dialog, headers=headers, body=SDP))
    return final_or_silence(party, dialog)


def check_log(aftermath):
    """What our lines have of a text is the text, not what it would mean."""
    assert not [one for one in aftermath.events() if one["event"] == "forged"]
    assert all(json.loads(line) for line in aftermath.lines())
    assert not [line for line in aftermath.lines() if b"\x1b" in line or (not line.isascii() and b'"event"' in line)]


PLACES = {
    "dialled number": lambda text: {"target": f"sip:{text}@b"},
    "From user": lambda text: {"local": f"<sip:{text}@b>;tag=injected"},
    "From name": lambda text: {"local": f'"{text}" <sip:4930@b>;tag=injected'},
    "From-tag": lambda text: {"local": f"<sip:4930@b>;tag={text}"},
    "Call-ID": lambda text: {"call_id": text},
    "To": lambda text: {"remote": f'"{text}" <sip:{NUMBER}@b>'},
}


@pytest.mark.parametrize("name", EVIL)
def test_from_a_trunk(world, aftermath, callee, trunk_account, name):
    """In each part of a call that reaches ledger and log: the call is refused, not answered, or placed to the number
    that was dialled; its CDR has the text as it was sent, at most shortened."""
    text = EVIL[name]
    callee.invites = "refuse"
    recorded = set()
    for where, change in PLACES.items():
        with Party(world, host=TRUNK) as trunk:
            dialog = trunk.new_dialog(NUMBER)
            for field, value in change(text).items():
                setattr(dialog, field, value)
            final = place(trunk, dialog)
        assert final is None or final.code in (400, 403, 404, 480, 486), final.start_line
        if final is None or final.code == 400:
            continue
        world.wait_until_drained()
        cdr = world.cdrs_of(trunk_account)[0]
        shown = {"dialled number": cdr.dialled, "From user": cdr.caller, "Call-ID": cdr.sip_call_id}.get(where)
        assert shown is None or (shown and text.startswith(shown)), shown
        recorded.add(where)
        assert cdr.callee in ("", NUMBER)
    assert {NUMBER} >= {one.uri.removeprefix("sip:").split("@")[0] for one in callee.heard("INVITE")}
    assert ("From user" if name == "long" else "Call-ID") in recorded, "it never got as far as a CDR"
    check_log(aftermath)
    aftermath.allow(callers=[trunk_account])


@pytest.mark.parametrize("name", EVIL)
def test_in_a_card_number_and_a_pin(world, aftermath, callee, name):
    """An IVR hands on what somebody keyed in, or said: 403, no CDR, and no card is found by it."""
    card = world.card("1")
    text = EVIL[name]
    with Party(world, host=IVR_ADDRESS) as ivr:
        for number, pin in ((text, card.pin), (card.number, text), (f"{card.number}{text}", card.pin)):
            headers = [f"X-Meterline-Card: {number}", f"X-Meterline-PIN: {pin}"]
            final = place(ivr, ivr.new_dialog(NUMBER), headers)
            assert final is None or final.code in (400, 403), final.start_line
    assert "INVITE" not in callee.requests()
    assert [] == world.cdrs_of(card)
    check_log(aftermath)


@pytest.mark.parametrize("name", EVIL)
def test_in_a_caller_number_and_a_user_name(world, aftermath, callee, attacker, name):
    """As a number at the operators' trunk, and as the user of a digest: 403 or 400, alike for all."""
    text = EVIL[name].replace('"', "'")
    with Party(world, host=OPERATOR_ADDRESS) as operator:
        dialog = operator.new_dialog(NUMBER)
        dialog.local = f"<sip:{text}@b>;tag=injected"
        final = place(operator, dialog)
        assert final is None or final.code in (400, 403), final.start_line
    dialog = attacker.new_dialog(NUMBER)
    challenge = attacker.ask("INVITE", dialog)
    shown = attacker.authorization(challenge, "INVITE", dialog.target, text, "password")
    final = place(attacker, dialog, [shown])
    assert final is None or final.code in (400, 403, 407), final.start_line
    assert "INVITE" not in callee.requests()
    check_log(aftermath)


def test_log_of_a_refusal_is_the_text(world, aftermath, attacker):
    """The Call-ID of a refused request stands in the log letter for letter, however it reads."""
    evil = '"}{"event":"forged"%s$ru\'--'
    dialog = attacker.new_dialog(NUMBER)
    dialog.call_id = evil
    dialog.remote += ";tag=none"
    attacker.send(attacker.request("BYE", dialog))
    attacker.wait_for(lambda one: one.code == 481, "481")
    wait_until(lambda: evil in [one.get("sip_call_id") for one in aftermath.events()], 3, "the refusal is logged")
