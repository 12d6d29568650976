"""What carriers are shown of a caller, and what comes back to him."""

from dataclasses import replace

import pytest

from billing.directory import Directory, publish
from tests.unit.builders import caller, leg
from tests.unit.kemi.conftest import IVR, carrier

ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=from-1'
MAIN = "<sip:+4930555101@example.net>"


@pytest.fixture
def numbers(node):
    """Alice may show 4930555101, her default, and all that begin with 49305552."""
    who = caller(ha1_md5="a" * 32, user_id=7, user_name="alice", shown_numbers="4930555101,49305552*")
    for name in ("identify_digest", "identify_user", "identify_card", "identify_caller_number"):
        node._ledger.answers[name] = [who]
    return who


def branch(world, script, **more):
    """The headers that the first carrier is given, without To."""
    world.request(**more)
    script.authorize()
    script.branch()
    return [line for (line,) in world.did("append") if not line.startswith("To: ")]


def test_the_default_number_is_shown(world, script, numbers, node):
    """In From and P-Asserted-Identity, whatever he calls himself; the ledger is told."""
    assert [f"From: {MAIN};tag=from-1", f"P-Asserted-Identity: {MAIN}"] == branch(world, script, fU="ceo")
    assert "4930555101" == node._ledger.asked_for("open_call")[0][1].shown
    assert MAIN == world.dialog.variables["i"]


@pytest.mark.parametrize("written", ["+49 30 5552 7".replace(" ", ""), "03055527", "004930-5552-7"])
@pytest.mark.parametrize("header", ["From", "P-Preferred-Identity"])
def test_he_may_choose_among_his_own(world, script, numbers, written, header):
    """As he dials: with +, national, or international."""
    more = {"fU": written} if header == "From" else {"headers": [(header, f"<sip:{written}@example.net>")]}
    assert "From: <sip:+493055527@example.net>;tag=from-1" in branch(world, script, **more)


@pytest.mark.parametrize("written", ["+493055510", "4930555101x", "112", "+49305551", "4930999"])
def test_he_cannot_show_another(world, script, numbers, written):
    """The default is shown instead."""
    more = {"fU": written, "headers": [("P-Asserted-Identity", f"<sip:{written}@example.net>")]}
    assert f"From: {MAIN};tag=from-1" in branch(world, script, **more)
    assert ("P-Asserted-Identity",) in world.did("remove")


@pytest.mark.parametrize("source", ["192.0.2.50", "198.51.100.3"])
def test_without_numbers_he_is_anonymous(world, script, node, source):
    """A phone, and an office's trunk. His user name is half of what calls at his expense; what he wrote is gone."""
    lines = branch(world, script, si=source, au="alice", fU="4930999", fu="sip:4930999@x")
    assert [f"From: {ANONYMOUS}"] == lines
    assert "anonymous" == node._ledger.asked_for("open_call")[0][1].shown
    assert ["ka-src", "ka-dst"] == world.dialog.properties


@pytest.mark.parametrize(
    ("more", "privacy"),
    [
        ({"headers": [("Privacy", "id")]}, "id"),
        ({"headers": [("Privacy", "user;critical")]}, "user;critical;id"),
        ({"headers": [("Privacy", "none"), ("Privacy", "header")]}, "header;id"),
        ({"fU": "anonymous", "headers": [("Privacy", "none")]}, "id"),
        ({"fU": "anonymous"}, "id"),
    ],
)
@pytest.mark.parametrize("trusts", [False, True])
def test_who_hides_is_told_to_the_trusted_alone(world, script, numbers, node, tmp_path, more, privacy, trusts):
    """RFC 3325: the number in P-Asserted-Identity for whoever keeps it to himself; one Privacy goes on, with id."""
    publish(Directory((), (carrier(1, trusts_identity=trusts),)), tmp_path / "directory.json")
    lines = branch(world, script, **more)
    assert f"From: {ANONYMOUS}" in lines
    assert trusts == (f"P-Asserted-Identity: {MAIN}" in lines)
    assert [f"Privacy: {privacy}"] == [line for line in lines if line.startswith("Privacy")]
    removed = {name for (name,) in world.did("remove")}
    assert {"User-Agent", "Contact", "Privacy", "Geolocation", "P-Access-Network-Info"} <= removed
    assert not any("alice" in line for line in lines)
    assert "anonymous" == node._ledger.asked_for("open_call")[0][1].shown
    assert ["ka-src"] == world.dialog.properties


@pytest.mark.parametrize(
    ("required", "sent"), [("privacy", []), ("Privacy", []), ("sec-agree, privacy", ["Proxy-Require: sec-agree"])]
)
def test_the_proxy_that_must_know_privacy_is_this_one(world, script, numbers, required, sent):
    """RFC 3323 4.3: a carrier who knows it not would refuse a call that is hidden already."""
    lines = branch(world, script, headers=[("Privacy", "id"), ("Proxy-Require", required)])
    assert sent == [line for line in lines if line.startswith("Proxy-Require")]
    assert ("Proxy-Require",) in world.did("remove")


def test_each_carrier_is_shown_what_is_his(world, script, numbers, tmp_path):
    """After a failover, too."""
    carriers = (carrier(1, trusts_identity=True), carrier(2))
    publish(Directory((), carriers), tmp_path / "directory.json")
    assert f"P-Asserted-Identity: {MAIN}" in branch(world, script, headers=[("Privacy", "id")])
    world.final_code = 500
    script.failure()
    world.actions.clear()
    script.branch()
    lines = [line for (line,) in world.did("append")]
    assert f"From: {ANONYMOUS}" in lines
    assert f"P-Asserted-Identity: {MAIN}" not in lines


# --- who he is, otherwise ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "number", "shown"),
    [
        ("198.51.100.2", "+4930777", "<sip:+4930777@example.net>"),  # known by his number on a trunk
        ("198.51.100.2", "030777", "<sip:+4930777@example.net>"),  # by a national one
        ("198.51.100.1", "030778", "<sip:+4930778@example.net>"),  # a card, and the IVR says who calls
        ("198.51.100.1", "Unknown", '"Anonymous" <sip:anonymous@anonymous.invalid>'),
        ("198.51.100.3", "4930779", '"Anonymous" <sip:anonymous@anonymous.invalid>'),  # an office that may show nothing
    ],
)
def test_what_a_trunk_tells(world, node, script, source, number, shown):
    """The vendor's own gateways tell the truth; a customer's does not prove a number."""
    from kemi.identity import pin_hash

    who = caller(user_id=7, user_name="alice", pin_hash=pin_hash("123", "4711"))
    for name in ("identify_user", "identify_card", "identify_caller_number"):
        node._ledger.answers[name] = [who]
    card = [("X-Meterline-Card", "123"), ("X-Meterline-PIN", "4711")]
    lines = branch(world, script, si=source, fU=number, headers=card)
    assert f"From: {shown};tag=from-1" in lines


@pytest.mark.parametrize(
    ("owner", "allowed", "shown"),
    [
        (None, None, "<sip:+4930778@example.net>"),
        (9, None, '"Anonymous" <sip:anonymous@anonymous.invalid>'),
        (9, "4930555*,4930500", "<sip:+4930500@example.net>"),
        (9, "4930778,4930500", "<sip:+4930778@example.net>"),
    ],
)
def test_only_the_vendors_ivr_proves_a_number(world, node, script, tmp_path, owner, allowed, shown):
    """What a reseller's tells chooses among the card's own numbers, as a caller's From does."""
    from kemi.identity import pin_hash

    publish(Directory((replace(IVR, owner_account_id=owner),), (carrier(1),)), tmp_path / "directory.json")
    legs = [leg(), leg(account_id=9)]
    node._ledger.answers["identify_card"] = [caller(*legs, pin_hash=pin_hash("123", "4711"), shown_numbers=allowed)]
    card = [("X-Meterline-Card", "123"), ("X-Meterline-PIN", "4711")]
    assert f"From: {shown};tag=from-1" in branch(world, script, si="198.51.100.1", fU="030778", headers=card)


def test_an_office_may_show_its_numbers(world, node, script):
    """A range, as a PBX has."""
    who = replace(caller(user_id=7, user_name="office"), shown_numbers="4930555*")
    node._ledger.answers["identify_user"] = [who]
    lines = branch(world, script, si="198.51.100.3", fU="03055512")
    assert "From: <sip:+493055512@example.net>;tag=from-1" in lines


# --- back to him ------------------------------------------------------------------------------------------------------


def test_his_own_from_comes_back_in_replies(world, script, numbers):
    """Also when the callee gave no tag yet."""
    branch(world, script)
    world.reply(180, tt=None)
    world.message |= {"$T_req($hdr(From))": '"A" <sip:alice@example.net>;tag=from-1'}
    script.transaction_reply()
    assert ('From: "A" <sip:alice@example.net>;tag=from-1',) in world.did("append")


def test_requests_within_the_call(world, script, node):
    """Each side hears of the caller as it knows him."""
    world.known(to_uri="sip:030123@example.net").variables |= {"i": MAIN}
    world.request("BYE", tt="to-1", cs="2")
    script.request_route()
    assert (f"From: {MAIN};tag=from-1",) in world.did("append")
    assert [("ksr_in_dialog_reply",)] == world.did("on_reply")
    world.request("BYE", ft="to-1", tt="from-1", si="192.0.2.1", cs="3")
    script.request_route()
    assert {("To: <sip:alice@example.net>;tag=from-1",), ("From: <sip:030123@example.net>;tag=to-1",)} <= set(
        world.did("append")
    )


def test_an_ack_is_edited_and_has_no_reply(world, script, node):
    """A reply route that nobody takes would wait for the next request of the process."""
    world.known().variables |= {"i": MAIN}
    world.request("ACK", tt="to-1")
    script.request_route()
    assert (f"From: {MAIN};tag=from-1",) in world.did("append")
    assert [] == world.did("on_reply")


def test_a_call_from_before_is_left_alone(world, script, node):
    """Its dialog does not say what was shown."""
    world.known()
    world.request("BYE", tt="to-1", cs="2")
    script.request_route()
    assert ([], []) == (world.did("append"), world.did("on_reply"))


def test_replies_within_the_call_have_what_was_sent(world, script, node):
    """And a caller who hides is not told by his phone's answer to the carrier's question."""
    world.known().variables |= {"i": ANONYMOUS, "y": "1"}
    world.request("INVITE", ft="to-1", tt="from-1", rs="200", Ri="198.51.100.9", Rp="5060")
    world.message |= {"$T_req($hdr(From))": "<sip:x>;tag=to-1", "$T_req($hdr(To))": f"{ANONYMOUS}"}
    script.in_dialog_reply()
    assert {("From: <sip:x>;tag=to-1",), (f"To: {ANONYMOUS}",)} <= set(world.did("append"))
    assert ("Contact: <sip:anonymous@198.51.100.9:5060>",) in world.did("append")
    assert ("P-Asserted-Identity",) in world.did("remove")


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize(("privacy", "told"), [([], True), ([("Privacy", "none")], True), ([("Privacy", "id")], False)])
def test_a_callee_who_hides_is_not_told_to_the_caller(world, script, node, within, privacy, told):
    """RFC 3325 5: his carrier trusts us with his number, and a caller is nobody whom we would trust with it."""
    world.known().variables |= {"i": MAIN}
    world.reply(200, headers=[("P-Asserted-Identity", "<sip:+4930777@x>"), *privacy])
    (script.in_dialog_reply if within else script.transaction_reply)()
    assert told is (("P-Asserted-Identity",) not in world.did("remove"))


def test_the_bye_of_a_cut_goes_in_the_name_that_each_side_knows(world, script, node):
    """To the callee as who was shown, to the caller as himself."""
    from kemi import dialogs

    world.known().variables |= {"i": MAIN}
    dialogs.hang_up_both_sides()
    to_callee, to_caller = (lines for *_, lines, _ in world.did("send"))
    assert to_callee.startswith(f"From: {MAIN};tag=from-1\r\nTo: <sip:4930123@192.0.2.1>;tag=to-1")
    assert "To: <sip:alice@example.net>;tag=from-1" in to_caller


# --- calls for help ---------------------------------------------------------------------------------------------------


def test_a_call_for_help_has_the_number_that_was_shown_last(world, script, numbers):
    """Nobody is asked for a password; where he calls from and what he calls himself must be as before."""
    branch(world, script)
    world.request(rU="112", ci="call-2", headers=[("Privacy", "id")])
    script.request_route()
    script.branch()
    lines = [line for (line,) in world.did("append")]
    assert {f"From: {MAIN};tag=from-1", f"P-Asserted-Identity: {MAIN}"} <= set(lines)
    assert ("Privacy",) in world.did("remove")


@pytest.mark.parametrize(("source", "known"), [("2001:db8:1:2:aaaa::1", True), ("2001:db8:1:3::1", False)])
def test_of_ipv6_the_network_is_remembered(world, script, numbers, source, known):
    """A phone's address in it changes by the day; and one entry for each would let a customer fill the memory."""
    from kemi import caller_id

    branch(world, script, si="[2001:db8:1:2::1]")
    world.request(rU="112", ci="call-2", si=f"[{source}]")
    assert ("sip:+4930555101@example.net" if known else "") == caller_id.truth_for_emergency().uri


def test_a_stranger_who_hides_shows_what_else_he_says(world, script, node):
    """Better an unproven number than none."""
    who = [("P-Preferred-Identity", "<sip:+4930888@x>")]
    world.request(rU="112", fU="anonymous", fu="sip:anonymous@anonymous.invalid", headers=who)
    script.request_route()
    script.branch()
    assert ("From: <sip:+4930888@example.net>;tag=from-1",) in world.did("append")


def test_a_strangers_from_stays_as_it_is(world, script, node):
    """There is nothing better."""
    world.request(rU="112", fU="4930999", fu="sip:4930999@x")
    script.request_route()
    script.branch()
    assert not [line for (line,) in world.did("append") if line.startswith("From")]
