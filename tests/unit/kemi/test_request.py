"""Requests as they arrive: what is refused before it costs anything."""

import pytest

from billing.breaker import Breaker


def challenged(world):
    return bool(world.did("challenge"))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("INVITE sip:1@example.net SIP/2.0\r\nX: a\rX-Meterline-Card: 1\r\n\r\n", 400),
        ("INVITE sip:1@example.net SIP/2.0\r\nX: a\r", 400),
        ("INVITE sip:1@example.net SIP/2.0\r\nX: a\n\nX-Meterline-Card: 1\r\n\r\n", 400),
        ("INVITE sip:1@example.net SIP/2.0\r\nX: a\0b\r\n\r\n", 400),
        (b"INVITE sip:1@example.net SIP/2.0\r\nX: \xff\r\n\r\n", 400),
    ],
)
def test_bare_cr_and_foreign_bytes_are_refused(world, script, text, code):
    """A bare CR hides header names, and what is not UTF-8 is not SIP."""
    world.request(mb=text)
    script.request_route()
    assert ([code], []) == (world.replied, world.did("async"))


@pytest.mark.parametrize(
    ("cseq", "refused"), [("1", False), (str(2**31 - 1001), False), (str(2**31 - 1000), True), ("x", True)]
)
def test_cseq_leaves_room_for_our_own_bye(world, script, cseq, refused):
    """A CSeq within 1000 of 2^31 could never be followed by a valid BYE: refused on the first INVITE."""
    world.request(cs=cseq)
    script.request_route()
    assert ([400] if refused else []) == world.replied


def test_sips_goes_on_as_sip(world, script):
    """A carrier on UDP must not be asked by Record-Route to come back by TLS."""
    world.request(ru="sips:030123@example.net")
    script.request_route()
    assert "sip:030123@example.net" == world.message["$ru"]


def test_loop_is_refused(world, script):
    """A request without hops left is 483."""
    world.truths["forwards"] = -1
    script.request_route()
    assert [483] == world.replied


def test_insane_request_is_left_to_the_sanity_module(world, script):
    """The sanity module has answered; nothing else is done."""
    world.truths["sane"] = -1
    script.request_route()
    assert ([], []) == (world.replied, world.did("async"))


def test_from_without_tag_is_refused(world, script):
    """An INVITE without a From-tag can have no dialog."""
    world.request(ft=None)
    script.request_route()
    assert [400] == world.replied


@pytest.mark.parametrize("problem", [{"mb": "a\rb"}, {"cs": "x"}])
def test_malformed_ack_is_not_answered(world, script, problem):
    """Nobody answers an ACK, however bad."""
    world.request("ACK", **problem)
    script.request_route()
    assert [] == world.replied


def test_invite_without_contact_is_refused(world, script):
    """Without a Contact there would be nobody to send the BYE of a cut to."""
    world.request(ct=None)
    script.request_route()
    assert ([400], []) == (world.replied, world.did("async"))


@pytest.mark.parametrize("result", [-1, -3, -5, -6])
def test_nonce_that_is_not_ours_costs_no_database(world, script, result):
    """It is challenged by the SIP worker: no transaction, no async worker."""
    world.truths["digest"] = result
    script.request_route()
    assert (True, [], []) == (challenged(world), world.did("transaction"), world.did("async"))


@pytest.mark.parametrize("method", ["REGISTER", "MESSAGE", "SUBSCRIBE", "REFER", "PUBLISH", "BYE", "UPDATE", "INFO"])
def test_other_methods_are_not_allowed(world, script, method):
    """Outside a dialog there are INVITE and OPTIONS alone."""
    world.request(method)
    script.request_route()
    assert ([405], ["Allow: INVITE, ACK, BYE, CANCEL, OPTIONS"]) == (world.replied, world.reply_headers)


def test_retransmitted_invite_is_absorbed(world, script):
    """An INVITE whose transaction is there is not authorized again."""
    world.truths["transaction"] = 0
    script.request_route()
    assert [] == world.did("async")


def test_invite_goes_to_an_async_worker(world, script):
    """Waiting for the database hurts no SIP worker: the INVITE is suspended, its Record-Route already on it."""
    script.request_route()
    assert [("ksr_authorize",)] == world.did("async")
    assert [()] == world.did("record_route")


def test_full_queue_is_503(world, script):
    """When the async workers' queue is full the caller hears so at once."""
    world.truths["async"] = -1
    script.request_route()
    assert ([503], True) == (world.replied, "Retry-After: 5" in world.reply_headers)


def test_open_breaker_is_503_without_a_queue(world, node, script):
    """While the database is away a new call is refused in the SIP worker."""
    node.breaker = Breaker(1, 60_000)
    node.breaker.failed()
    script.request_route()
    assert ([503], []) == (world.replied, world.did("async"))
    assert {"Retry-After: 5", 'Warning: 399 meterline "billing_unavailable"'} == set(world.reply_headers)


def test_stranger_is_challenged_without_a_database(world, node, script):
    """Neither trunk nor digest: 407 at once, with nothing asked, also while the database is away."""
    world.truths["credentials"] = -1
    node.breaker = Breaker(1, 60_000)
    node.breaker.failed()
    script.request_route()
    assert (True, [], []) == (challenged(world), world.did("async"), world.replied)


@pytest.mark.parametrize("address", ["198.51.100.1", "198.51.100.2", "198.51.100.3"])
def test_trunk_needs_no_digest(world, script, address):
    """A trusted source goes on without a challenge."""
    world.truths["credentials"] = -1
    world.request(si=address)
    script.request_route()
    assert (False, [("ksr_authorize",)]) == (challenged(world), world.did("async"))


@pytest.mark.parametrize(
    ("routes", "refused"),
    [
        ([], False),
        (["<sip:example.net;lr>"], False),
        (["<sip:example.net;lr>, <sip:example.net;lr>"], False),
        (["<sip:192.0.2.66;lr>"], True),
        (["<sip:example.net;lr>, <sip:192.0.2.66;lr>"], True),
        (["<sip:example.net;lr>", "<sip:192.0.2.66;lr>"], True),
        (["sip:192.0.2.66;lr"], True),
        (["nonsense"], True),
    ],
)
def test_preloaded_route_to_elsewhere_is_refused(world, script, routes, refused):
    """Only Routes to this proxy may be on a new INVITE: any other is an attempt to relay through us."""
    world.request(headers=[("Route", body) for body in routes])
    script.request_route()
    assert ([403] if refused else []) == world.replied


def test_secrets_and_claims_are_removed_before_anything_goes_on(world, script):
    """Card number, PIN, credentials and asserted identities are gone whoever sent them."""
    script.request_route()
    removed = {name for (name,) in world.did("remove")}
    assert {"X-Meterline-Card", "X-Meterline-PIN", "Proxy-Authorization", "P-Asserted-Identity", "Route"} <= removed


def test_cancel_goes_to_its_transaction(world, script):
    """A CANCEL of a known INVITE is relayed."""
    world.request("CANCEL")
    world.truths["transaction"] = 1
    script.request_route()
    assert 1 == len(world.did("relay"))


def test_cancel_of_nothing_is_481(world, script):
    """A CANCEL that matches nothing is 481 and goes nowhere."""
    world.request("CANCEL")
    script.request_route()
    assert ([481], []) == (world.replied, world.did("relay"))


# --- OPTIONS ------------------------------------------------------------------------------------------------


def test_ping_is_answered(world, node, script):
    """OPTIONS to the proxy itself is a ping, and costs nothing."""
    node.board.mark("drain_ms")
    world.request("OPTIONS", rU=None)
    script.request_route()
    assert ([200], []) == (world.replied, world.did("async"))


def test_ping_of_a_node_that_takes_no_calls_is_503(world, node, script):
    """Whoever distributes calls leaves it out; no line in the log, for pings come every few seconds."""
    node.board.mark("drain_ms")
    for _ in range(node.settings.breaker.failures):
        node.breaker.failed()
    world.request("OPTIONS", rU=None)
    script.request_route()
    assert ([503], [], True) == (world.replied, world.logged, "Retry-After: 5" in world.reply_headers)


def test_quote_is_for_ivrs_alone(world, script):
    """Anybody else who asks what a number costs hears 404."""
    world.request("OPTIONS", si="203.0.113.50")
    script.request_route()
    assert ([404], []) == (world.replied, world.did("async"))


def test_quote_is_worked_out_in_an_async_worker(world, script):
    """An IVR's question waits for the database where it hurts nobody."""
    world.request("OPTIONS", si="198.51.100.1")
    script.request_route()
    assert [("ksr_announce",)] == world.did("async")


# --- emergency ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialled", ["112", "911", "+112", "1-1-2", "(911)"])
def test_emergency_call_goes_out_before_anything_is_asked(world, node, script, dialled):
    """No credentials, no database, no breaker, no queue: straight to the first carrier."""
    world.truths["credentials"] = -1
    node.breaker = Breaker(1, 60_000)
    node.breaker.failed()
    world.request(rU=dialled)
    script.request_route()
    assert ([], [], False) == (world.did("async"), node.ledger.asked, challenged(world))
    number = dialled.translate(str.maketrans("", "", "+-()"))
    assert [(f"sip:{number}@192.0.2.1:5060;transport=udp",)] == world.did("relay")


def test_emergency_call_keeps_its_live_key_while_it_is_up(world, script):
    """Its Call-ID and tag are taken like any other call's, and nobody cuts it."""
    world.request(rU="112")
    script.request_route()
    assert {"call-1|from-1": 1} == world.tables["live"]
    assert ("1", "112") == (world.dialog.variables["m"], world.dialog.variables["n"])
    assert world.dialog.lifetimes[0] >= 86_400


def test_call_with_the_tags_of_an_emergency_call_is_482(world, node, script):
    """Nobody gets at an emergency call's dialog with a second INVITE."""
    world.request(rU="112")
    script.request_route()
    world.request()
    script.authorize()
    assert ([482], []) == (world.replied, node.ledger.asked_for("open_call"))


@pytest.mark.parametrize("dialled", ["1120", "0112", "*112", "49112", "112;phone-context=x"])
def test_number_like_an_emergency_number_is_an_ordinary_call(world, script, dialled):
    """Only the listed numbers themselves are emergency calls."""
    world.request(rU=dialled)
    script.request_route()
    assert ([("ksr_authorize",)], []) == (world.did("async"), world.did("relay"))


def test_emergency_call_is_not_held_up_by_an_unwritable_journal(world, node, script, monkeypatch):
    """A full disk does not keep anybody from calling for help."""
    monkeypatch.setattr(node.journal, "append", lambda fact: (_ for _ in ()).throw(OSError(28, "full")))
    world.request(rU="112")
    script.request_route()
    assert 1 == len(world.did("relay"))
