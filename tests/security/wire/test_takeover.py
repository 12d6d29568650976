"""Calls that somebody tries to take over, lengthen, lead elsewhere, or end for others. What toll-fraud
(tests/sipp-scenarios) sends already is not sent again."""

from decimal import Decimal

import pytest

from tests.support.messages import Message
from tests.support.party import Party, carrier, forged
from tests.support.pings import answers_before_pong, final_or_silence
from tests.support.rawsip import SDP, new_branch
from tests.support.world import NUMBER

CSEQ_LIMIT = 2**31 - 1000
DEAR = "4999000"


@pytest.fixture
def up(world, account, phone, caller, callee, gateway, aftermath):
    """A call that both ends have: the caller's dialog. It is hung up and charged in the end, unless the test did."""
    aftermath.allow(cdrs=1, charged=[account])
    dialog = caller.call(phone)
    callee.wait_for_request("ACK")
    world.wait_for_live(account)
    yield dialog
    if world.live_calls(account):
        dialog.cseq += 10
        assert 200 == caller.hang_up(dialog).code


@pytest.fixture
def neighbour(world, caller):
    """Another phone behind the caller's NAT: the same address and another port."""
    with Party(world, host=caller.host, user="neighbour") as party:
        yield party


@pytest.fixture
def ringing(world, account, phone, caller, callee, gateway, aftermath):
    """A call that rings; the callee refuses it in the end."""
    aftermath.allow(cdrs=1)
    callee.invites = "ring"
    dialog = caller.dial(phone)
    invite = callee.wait_for_request("INVITE")
    dialog.remote = caller.wait_for(lambda one: one.code == 180, "180").header("to")
    yield dialog
    callee.answer(invite, 486, "Busy Here")
    assert 486 == caller.wait_for_final(dialog, "INVITE").code


def methods(callee, dialog):
    """What the callee got of this call: a BYE of another one may still be under way."""
    callee.caught_up()
    return [one.method for one in callee.heard(call_id=dialog.call_id)]


def finals(party):
    return {one.code for one in answers_before_pong(party) if one.code >= 200}


def ask(party, method, dialog, **more):
    dialog.cseq += 1
    party.send(party.request(method, dialog, cseq=dialog.cseq, **more))
    return party.wait_for(
        lambda one: one.code >= 200 and one.cseq == f"{dialog.cseq} {method}", f"final answer to {method}"
    )


# --- addresses ---------------------------------------------------------------------------------------------


def test_neighbour_who_knows_the_tags(world, account, up, caller, callee, neighbour):
    """Behind one NAT addresses are alike, and ports change when a router forgets: a side is known by its address. Who
    there knows Call-ID and both tags may end the call; it is charged for its time, and he hears and moves nothing."""
    assert 200 == ask(neighbour, "BYE", forged(up)).code
    callee.wait_for_request("BYE")
    assert [] == [one for one in neighbour.heard() if one.is_request]
    world.wait_until_drained()
    (cdr,) = world.cdrs_of(account)
    assert ("caller", Decimal("0.01") * cdr.billed_s) == (cdr.end_reason, cdr.legs[0].charge)


def test_neighbour_who_guesses(up, neighbour, callee):
    """Without the tags he is a stranger."""
    for guess in (forged(up, remote=f"<sip:{NUMBER}@b>;tag=guess"), forged(up, local="<sip:a@b>;tag=guess")):
        assert ask(neighbour, "BYE", guess).code in (403, 481)
    assert "BYE" not in callee.requests()


@pytest.mark.parametrize("method", ["PRACK", "UPDATE"])
@pytest.mark.parametrize("tag", ["guessed", ""])
def test_guessed_tag_while_it_rings(ringing, caller, callee, method, tag):
    """From the caller's own address: only the tag that the callee gave reaches him."""
    guess = forged(ringing, remote=f"<sip:{NUMBER}@b>;tag={tag}", cseq=50)
    assert ask(caller, method, guess).code in (400, 405, 481)
    assert method not in callee.requests()
    assert 200 == ask(caller, method, forged(ringing, cseq=60)).code
    assert 1 == callee.requests().count(method)


def test_early_bye(ringing, caller, callee):
    """A BYE while it rings ends nothing: CANCEL is for that."""
    assert 481 == ask(caller, "BYE", forged(ringing, cseq=50)).code
    assert ["INVITE"] == methods(callee, ringing)


# --- where requests lead -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header", ["Record-Route: <sip:{gateway};lr>", "record-route : <sip:x@{gateway}>, <sip:127.0.0.1:9;lr>"]
)
@pytest.mark.parametrize("contact", ["gateway", "proxy", "callee"])
def test_caller_who_leads_elsewhere(world, aftermath, account, phone, caller, callee, gateway, header, contact):
    """A Record-Route made up by the caller, and a Contact at another gateway, at the proxy or at the callee: what the
    callee and the proxy send within the call comes to the caller's own address."""
    there = {
        "gateway": f"{gateway.host}:{gateway.port}",
        "proxy": f"{caller.proxy[0]}:{caller.proxy[1]}",
        "callee": f"{callee.host}:{callee.port}",
    }
    caller.user = phone.username
    dialog = caller.new_dialog(NUMBER)
    shown = caller.authorization(
        caller.ask("INVITE", dialog), "INVITE", dialog.target, phone.username, phone.password
    )
    headers = [shown, header.format(gateway=there["gateway"])]
    text = caller.request("INVITE", dialog, headers=headers, body=SDP)
    caller.send(text.replace(f"@{caller.host}:{caller.port}>", f"@{there[contact]}>"))
    assert 200 == final_or_silence(caller, dialog).code
    invite = callee.wait_for_request("INVITE")
    callee.wait_for_request("ACK")
    side = callee.dialog_of(invite)
    assert 200 == ask(callee, "INFO", side).code
    caller.wait_for_request("INFO")
    assert 200 == ask(callee, "BYE", side).code
    caller.wait_for_request("BYE")
    aftermath.allow(cdrs=1, charged=[account])


def test_callee_whose_contact_is_the_proxy(world, aftermath, account, phone, caller, gateway):
    """A 200 that names the proxy as its Contact: requests do not go round, and the BYE ends and settles the call."""
    with carrier(world, 1, "silent") as callee:
        dialog = caller.dial(phone)
        invite = callee.wait_for_request("INVITE")
        answer = callee.response(invite, 200, tag=callee.tag(invite), body=SDP)
        callee.send(answer.replace(f"@{callee.host}:{callee.port}>", f"@{caller.proxy[0]}:{caller.proxy[1]}>"))
        assert 200 == final_or_silence(caller, dialog).code
        dialog.target = f"sip:carrier1@{caller.proxy[0]}:{caller.proxy[1]}"
        assert 403 == caller.hang_up(dialog).code  # it came back to the proxy, from an address that is not the caller's
        world.wait_until_drained()
    (cdr,) = world.cdrs_of(account)
    assert ("caller", Decimal("0.01") * cdr.billed_s) == (cdr.end_reason, cdr.legs[0].charge)
    aftermath.allow(cdrs=1, charged=[account])


@pytest.mark.parametrize("code", [300, 301, 302, 305, 380])
def test_redirection(world, aftermath, account, phone, caller, callee, code):
    """A callee who redirects, to a dear number or to another gateway: neither caller nor proxy is led there."""
    callee.invites = "silent"
    with carrier(world, 2, "refuse") as second:
        dialog = caller.dial(phone)
        invite = callee.wait_for_request("INVITE")
        contacts = [f"Contact: <sip:{DEAR}@{world.realm}>", f"Contact: <sip:{NUMBER}@127.0.0.1:5999>;q=0.9"]
        callee.send(callee.response(invite, code, "Moved", tag="m", headers=contacts), invite.source)
        final = final_or_silence(caller, dialog)
        assert 486 == final.code
        assert DEAR not in final.text
        assert {NUMBER} == {one.uri.removeprefix("sip:").split("@")[0] for one in second.heard("INVITE")}
    aftermath.allow(cdrs=1)


# --- transfers and takeovers -------------------------------------------------------------------------------


TAKEOVERS = [
    "Replaces: {call_id};to-tag={to_tag};from-tag={from_tag}",
    "Replaces: {call_id};to-tag={from_tag};from-tag={to_tag};early-only",
    "Join: {call_id};to-tag={to_tag};from-tag={from_tag}",
    "Target-Dialog: {call_id};local-tag={from_tag};remote-tag={to_tag}",
]


@pytest.mark.parametrize("header", TAKEOVERS)
def test_invite_that_takes_over(world, aftermath, up, attacker, callee, header):
    """An INVITE with Replaces or Join (RFC 3891, 3911) of a call that is up: a stranger gets 407; a paying caller has a
    call of his own, and the first goes on."""
    tags = {"call_id": up.call_id, "from_tag": _tag(up.local), "to_tag": _tag(up.remote)}
    taking = [header.format(**tags)]
    assert 407 == attacker.invite(attacker.new_dialog(NUMBER), headers=taking).code
    other = world.customer("1")
    dialog = attacker.call(world.phone(other), headers=taking)
    seen = callee.wait_for(lambda one: one.method == "INVITE" and one.call_id == dialog.call_id, "INVITE")
    assert not {"replaces", "join"} & set(seen.header_names())
    assert 200 == attacker.hang_up(dialog).code
    assert 2 == len({one.call_id for one in callee.heard("INVITE")})
    aftermath.allow(cdrs=1, charged=[other])


def _tag(body):
    return body.rpartition(";tag=")[2]


@pytest.mark.parametrize(
    "refer_to", ["sip:{dear}@b", "sip:{number}@b?Replaces=x%3Bto-tag%3Da%3Bfrom-tag%3Db", "tel:{dear}"]
)
def test_refer(up, caller, callee, attacker, refer_to):
    """A transfer, within the call and outside of any: nobody here would pay for what it starts. 405."""
    where = refer_to.format(dear=DEAR, number=NUMBER)
    headers = [f"Refer-To: <{where}>", "Referred-By: <sip:a@b>"]
    assert 405 == caller.ask("REFER", up, headers=headers).code
    assert attacker.ask("REFER", attacker.new_dialog(NUMBER), headers=headers).code in (403, 405)
    assert ["INVITE", "ACK"] == methods(callee, up)


# --- sequence and time -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cseq", ["-1", "2147483648", "4294967297", "9" * 20, "1.5", "0x10", "", " ", "१"])
def test_cseq(up, caller, attacker, callee, cseq):
    """A CSeq that is none, or too high, in a call and outside: 400 or nothing, and the call goes on."""
    for text in (
        attacker.request("INVITE", attacker.new_dialog(NUMBER), body=SDP),
        caller.request("INFO", forged(up, cseq=100)),
    ):
        sender = attacker if text.startswith("INVITE") else caller
        lines = [f"CSeq: {cseq} {text.split()[0]}" if one.startswith("CSeq:") else one for one in text.split("\r\n")]
        sender.send("\r\n".join(lines))
        assert finals(sender) <= {400}
    assert ["INVITE", "ACK"] == methods(callee, up)


@pytest.mark.parametrize("method", ["ACK", "BYE", "CANCEL", "INFO"])
def test_cseq_of_another_method(up, caller, callee, method):
    """The method of the start line and that of the CSeq differ: 400, whatever it would have done."""
    text = caller.request("UPDATE", forged(up, cseq=100))
    caller.send(text.replace("101 UPDATE", f"101 {method}"))
    assert finals(caller) <= {400}
    assert ["INVITE", "ACK"] == methods(callee, up)


TIMERS = [
    ["Session-Expires: 86400;refresher=uac", "Supported: timer"],
    ["Session-Expires: 1;refresher=uas", "Min-SE: 86400"],
    ["Session-Expires: -1", "Min-SE: -1"],
    ["Session-Expires: 99999999999999999999", "Require: timer"],
    ["x: 86400", "Expires: 0"],
    ["Expires: 4294967296"],
]


def test_timers_do_not_lengthen_a_call(world, aftermath, callee, caller, gateway):
    """Three seconds of money, and every header that speaks of time, in the INVITE and in refreshes twice a second: cut
    at the third second, and charged for three."""
    poor = world.customer("0.03")
    dialog = caller.call(world.phone(poor), headers=TIMERS[0])
    callee.wait_for_request("ACK")
    answered = caller.heard("INVITE", 200)[-1].at
    number = 0
    while not caller.heard("BYE"):
        method, headers = ("UPDATE", "INVITE")[number % 2], TIMERS[number % len(TIMERS)]
        number += 1
        dialog.cseq += 1
        caller.send(caller.request(method, dialog, cseq=dialog.cseq, headers=headers, body=SDP))
        caller.wait_for(lambda one: one.code >= 200 or one.method == "BYE", "answer or BYE")
        if method == "INVITE":
            caller.send(caller.request("ACK", dialog, cseq=dialog.cseq))
        caller.stays_quiet(0.3)
    assert caller.heard("BYE")[0].at - answered < 4.5
    assert 3 < number
    assert 0 == world.balance(poor)
    (cdr,) = world.cdrs_of(poor)
    assert ("cut", 3) == (cdr.end_reason, cdr.billed_s)
    aftermath.allow(cdrs=1, charged=[poor])


# --- answers -----------------------------------------------------------------------------------------------


def test_spoofed_answers(ringing, caller, callee, attacker, neighbour):
    """Answers to a ringing INVITE from elsewhere, with a Via that is not the proxy's, with a branch that is
    guessed: none of them answers the call."""
    invite = callee.heard("INVITE")[-1]
    mine = callee.response(invite, 200, tag="spoofed", body=SDP)
    top = invite.headers("via")[0]
    guessed = mine.replace(top, f"SIP/2.0/UDP {caller.proxy[0]}:{caller.proxy[1]};branch={new_branch()}", 1)
    foreign = mine.replace(top, "SIP/2.0/UDP 127.0.0.1:5999;branch=z9hG4bKforeign", 1)
    for sender in (attacker, neighbour, callee):
        for text in (guessed, foreign, mine.replace(f"Via: {top}\r\n", "", 1)):
            sender.send(text)
    answers_before_pong(attacker)
    assert [] == caller.heard("INVITE", 200)


def test_answer_of_another_address(ringing, caller, attacker, callee):
    """The whole true answer, overheard and sent before the callee's from an address that is no carrier's."""
    invite = callee.heard("INVITE")[-1]
    attacker.send(callee.response(invite, 200, tag="overheard", body=SDP))
    answers_before_pong(attacker)
    assert [] == caller.heard("INVITE", 200)


def test_flood_of_acks(up, caller, attacker, callee, neighbour):
    """Two thousand ACKs of the call and of none, from here and there: none delays its end or reaches anybody else."""
    for number in range(2000):
        sender = (attacker, neighbour, caller)[number % 3]
        dialog = forged(up) if number % 2 else sender.new_dialog(NUMBER)
        sender._socket.sendto(sender.request("ACK", dialog, cseq=1 + number % 3).encode(), sender.proxy)
        if number % 100 == 0:
            answers_before_pong(caller)
    callee.caught_up()
    assert {"INVITE", "ACK"} == set(methods(callee, up))


def test_several_answers_from_two_addresses(world, aftermath, account, phone, caller, callee):
    """Two callees answer the one INVITE, one from the carrier's address and one from elsewhere: one 200 reaches the
    caller; and a third, late one does not."""
    callee.invites = "silent"
    with Party(world, host="127.0.0.1", user="fork") as fork:
        dialog = caller.dial(phone)
        invite = callee.wait_for_request("INVITE")
        for sender, tag in ((callee, "one"), (fork, "two"), (callee, "three")):
            sender.send(sender.response(invite, 200, tag=tag, body=SDP))
        assert 200 == final_or_silence(caller, dialog).code
        answers_before_pong(caller)
        callee.send(callee.response(invite, 200, tag="late", body=SDP))
        answers_before_pong(caller)
        assert 1 == len({one.to_tag for one in caller.heard("INVITE", 200)})
        assert 200 == caller.hang_up(dialog).code
    aftermath.allow(cdrs=1, charged=[account])


def test_answer_is_for_a_message(caller):
    """Texts of this module are whole messages: a guard against a test that sends nothing."""
    text = caller.request("INVITE", caller.new_dialog(NUMBER), body=SDP)
    assert Message(text).body == SDP
