"""Towards the carriers: failover, and exactly one 2xx to the caller."""

import pytest

from billing.directory import Directory, publish
from kemi import relay
from tests.unit.kemi.conftest import carrier

FIRST = ("sip:4930123@192.0.2.1:5060;transport=udp",)
SECOND = ("sip:4930123@192.0.2.2:5060;transport=udp",)


@pytest.fixture
def started(world, script):
    """A call on its way to the first carrier, its branch sent."""
    script.authorize()
    script.branch()
    world.actions.clear()
    return world


def fail(world, script, code):
    world.final_code = code
    script.failure()


# --- one branch ---------------------------------------------------------------------------------------------


def test_branch_shows_the_rated_number_and_no_secret(world, script):
    """To is rebuilt from what was rated, and secrets are removed on every branch."""
    script.authorize()
    script.branch()
    assert (f"To: <{FIRST[0]}>",) in world.did("append")
    removed = {name for (name,) in world.did("remove")}
    assert {"To", "X-Meterline-Card", "X-Meterline-PIN", "Proxy-Authorization"} <= removed
    assert {"P-Asserted-Identity", "Diversion", "History-Info", "Referred-By"} <= removed
    assert {"Identity", "y", "Identity-Info", "n", "P-Charge-Info", "P-Served-User"} <= removed


def test_branch_after_a_failover_is_edited_too(started, script):
    """The second carrier sees no more than the first."""
    fail(started, script, 500)
    started.message["$T_branch_idx"] = 1
    started.actions.clear()
    script.branch()
    assert (f"To: <{SECOND[0]}>",) in started.did("append")
    assert ('From: "Anonymous" <sip:anonymous@anonymous.invalid>;tag=from-1',) in started.did("append")
    assert ("X-Meterline-PIN",) in started.did("remove")


def test_carrier_of_version_six_is_written_in_brackets(world, node, script, tmp_path):
    """An address of version 6 is an IPv6reference in the URI."""
    publish(Directory((), (carrier(1, host="2001:db8::1"),)), tmp_path / "directory.json")
    script.authorize()
    assert [("sip:4930123@[2001:db8::1]:5060;transport=udp",)] == world.did("relay")


# --- failover -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [500, 502, 503, 603, 408, 401, 407, 302])
def test_carriers_own_failure_tries_the_next(started, script, code):
    """5xx, 6xx, silence, and what a carrier must not ask of us, go to the next carrier."""
    fail(started, script, code)
    assert ([SECOND], []) == (started.did("relay"), started.replied)


@pytest.mark.parametrize(
    ("code", "result"), [(486, "busy"), (480, "no_answer"), (404, "rejected"), (484, "rejected"), (487, "rejected")]
)
def test_answer_of_the_callee_ends_the_call(started, script, code, result):
    """Busy, unavailable or unknown there is the callee's answer: no other carrier is tried."""
    fail(started, script, code)
    assert [] == started.did("relay")
    assert (result, str(code)) == (started.dialog.variables["r"], started.dialog.variables["e"])


@pytest.mark.parametrize(("code", "result"), [(408, "no_answer"), (503, "carrier_failed")])
def test_nobody_is_rung_twice(started, script, code, result):
    """Once somebody's phone has rung, another carrier would ring it again."""
    started.message["$rs"] = 180
    script.transaction_reply()
    del started.message["$rs"]
    fail(started, script, code)
    assert ([], result) == (started.did("relay"), started.dialog.variables["r"])


def test_session_progress_counts_as_ringing_but_trying_does_not(world, script):
    """183 is somebody's phone, 100 is nobody's."""
    script.authorize()
    world.message["$rs"] = 100
    script.transaction_reply()
    assert "rung" not in world.avps
    world.message["$rs"] = 183
    script.transaction_reply()
    assert "1" == world.avps["rung"]


def test_cancelled_call_tries_nobody(started, script):
    """After a CANCEL a failed branch is the end."""
    started.truths["cancelled"] = 1
    fail(started, script, 500)
    assert ([], "cancelled") == (started.did("relay"), started.dialog.variables["r"])


@pytest.mark.parametrize(("last", "answer"), [(500, 500), (503, 500), (504, 504), (603, 603), (408, 408), (407, 500)])
def test_all_failed_is_the_last_ones_code(started, script, last, answer):
    """The caller gets the last carrier's code, a 503 of theirs as 500 (RFC 3261 16.7), and a token."""
    fail(started, script, 500)
    fail(started, script, last)
    assert ([answer], ['Warning: 399 meterline "carrier_failed"']) == (started.replied, started.reply_headers)


def test_no_time_left_tries_nobody(started, script, monkeypatch):
    """All carriers together ring no longer than the limit."""
    started.avps["started_ms"] = str(relay._now_ms() - 60_000)
    fail(started, script, 500)
    assert ([], [500]) == (started.did("relay"), started.replied)


def test_carrier_that_cannot_be_sent_to_is_passed(world, script):
    """A host that does not resolve is a failed carrier like another."""
    world.truths["relay"] = [-1, 1]
    script.authorize()
    assert [FIRST, SECOND] == world.did("relay")


@pytest.mark.parametrize("last", [503, 486])
def test_failed_attempts_are_written_the_last_one_as_the_calls_end(started, script, journal, last):
    """Each attempt once: those that the call went on from by themselves, the last one with the call's own fact."""
    fail(started, script, 500)
    fail(started, script, last)
    script.dialog_event("dialog:failed")
    assert [("attempt", 1, 1, 500), ("failed", None, 2, 500 if last == 503 else last)] == [
        (fact["kind"], fact.get("ordinal"), fact["carrier"], fact["sip_code"])
        for fact in journal()
        if fact["kind"] != "opening"
    ]


def test_attempts_of_a_call_that_a_later_carrier_may_take(started, script, journal, monkeypatch, tmp_path):
    """Written before the next carrier is asked, numbered, with the code of each: 0 for one that cannot be sent to."""
    publish(Directory((), tuple(carrier(number) for number in (1, 2, 3))), tmp_path / "directory.json")
    started.avps["routes"] = "1,2,3"
    started.truths["relay"] = [-1, 1]
    fail(started, script, 408)
    assert [(1, 1, 408), (2, 2, 0)] == [
        (fact["ordinal"], fact["carrier"], fact["sip_code"]) for fact in journal() if fact["kind"] == "attempt"
    ]


def test_full_carrier_is_no_attempt(started, script, journal, tmp_path):
    """It was sent nothing; and when no other is left the carrier before it is the last one, the CDR's own."""
    publish(Directory((), (carrier(1), carrier(2, channels=0))), tmp_path / "directory.json")
    fail(started, script, 503)
    script.dialog_event("dialog:failed")
    assert [("failed", 1)] == [(fact["kind"], fact["carrier"]) for fact in journal() if fact["kind"] != "opening"]


def test_no_carrier_at_all_is_480_and_holds_nothing(world, node, script, journal, tmp_path):
    """Nobody to send to: the caller hears it, the fact is there, and the ledger was not asked."""
    publish(Directory(), tmp_path / "directory.json")
    script.authorize()
    assert ([480], ["no_carrier"]) == (world.replied, [fact["result"] for fact in journal()])
    assert [] == node._ledger.asked_for("open_call")


def test_carrier_disabled_meanwhile_costs_nobody_his_turn(started, node, script, tmp_path):
    """While the first carrier is silent it is disabled: the second is tried, not passed over."""
    publish(Directory((), (carrier(2),)), tmp_path / "directory.json")
    fail(started, script, 408)
    assert [SECOND] == started.did("relay")


def test_carrier_that_was_tried_is_not_tried_again(started, script, tmp_path):
    """A change of priorities moves nobody: the one that just failed is not tried a second time."""
    publish(Directory((), (carrier(2, priority=0), carrier(1, priority=3))), tmp_path / "directory.json")
    fail(started, script, 500)
    assert [SECOND] == started.did("relay")
    fail(started, script, 500)
    assert [500] == started.replied


def test_carrier_that_came_meanwhile_is_not_tried(started, script, tmp_path):
    """Its price was not fixed with the call. Ids are compared whole: carrier 10 is not carrier 1."""
    publish(Directory((), (carrier(1), carrier(10), carrier(2))), tmp_path / "directory.json")
    fail(started, script, 500)
    fail(started, script, 500)
    assert [SECOND] == started.did("relay")


def test_emergency_gateway_comes_before_the_carriers(world, node, script, journal, monkeypatch):
    """An emergency call goes to the gateway first and, when that fails, to the carriers; others never go there."""
    calls = node.settings.calls.model_copy(update={"emergency_gateway": "192.0.2.112:5070"})
    monkeypatch.setattr(node, "settings", node.settings.model_copy(update={"calls": calls}))
    world.request(rU="112")
    script.request_route()
    fail(world, script, 503)
    expected = ["sip:112@192.0.2.112:5070;transport=udp", "sip:112@192.0.2.1:5060;transport=udp"]
    assert [(one,) for one in expected] == world.did("relay")
    assert [] == journal()  # no CDR of an emergency call names a carrier, so there is nothing to count it with
    world.avps.clear()  # a transaction has its own
    world.request(ci="call-2")
    script.authorize()
    assert [FIRST] == world.did("relay")


# --- one 2xx ------------------------------------------------------------------------------------------------


def answer(world, script, **pvs):
    """A 2xx arrives; whether it goes on, and the requests that we sent because of it."""
    world.reply(**pvs)
    script.reply_route()
    held = world.did("drop") if world.truths["reply_transaction"] > 0 else []
    assert held == world.did("let_go")  # a transaction that is held on to is there for ever
    return not world.did("drop"), [method for method, *_ in world.did("send")]


def test_first_answer_goes_through(started, script):
    """The 200 of the carrier in hand reaches the caller."""
    assert (True, []) == answer(started, script)


def test_answer_from_an_address_that_is_no_carriers(started, script, events):
    """The branch may have been overheard: dropped, nobody is hung up, and the carrier's own answer still counts."""
    assert (False, []) == answer(started, script, si="203.0.113.9", tt="spoofed")
    assert ["spoofed"] == [one["to_tag"] for one in events("stray_answer")]
    assert (True, []) == answer(started, script)


def test_answer_sent_again_goes_through(started, script):
    """A retransmission is the same answer; the caller's ACK may have been lost."""
    answer(started, script)
    assert [(True, [])] * 3 == [answer(started, script) for _ in range(3)]


def test_second_answer_is_acknowledged_and_hung_up(started, script):
    """Another callee's 200 is dropped, ACKed and sent a BYE with the next CSeq."""
    answer(started, script)
    assert (False, ["ACK", "BYE"]) == answer(started, script, tt="to-2")
    lines = [action[-2] for action in started.did("send")]
    assert ["CSeq: 1 ACK", "CSeq: 2 BYE"] == [line.split("\r\n")[3] for line in lines]


def test_reply_that_cannot_be_parsed_is_dropped(started, script, events):
    """Behind a broken header nothing is found, so its To could not be put right."""
    started.truths["whole"] = -1
    assert (False, []) == answer(started, script)
    assert ["Reply"] == [one["reason"] for one in events("malformed")]


def test_duplicate_in_the_same_instant_waits_for_the_next(started, script):
    """Another worker is just deciding: this copy is dropped without hanging anybody up, and will come again."""
    started.tables["winner"] = {"call-1|from-1#": 1}
    assert (False, []) == answer(started, script)


def test_late_answer_of_a_carrier_given_up_is_hung_up(started, script):
    """The first carrier answers after the second was tried: too late."""
    fail(started, script, 408)
    started.message["$T_branch_idx"] = 1
    script.branch()
    assert (False, ["ACK", "BYE"]) == answer(started, script, T_branch_idx=0)


def test_answer_of_the_second_carrier_goes_through(started, script):
    """After a failover the carrier in hand is the second."""
    fail(started, script, 408)
    started.message["$T_branch_idx"] = 1
    script.branch()
    assert (True, []) == answer(started, script, si="192.0.2.2", T_branch_idx=1)


def test_answer_after_the_caller_was_refused_is_hung_up(started, script):
    """All carriers failed and the caller knows: no 200 may follow."""
    fail(started, script, 486)
    assert (False, ["ACK", "BYE"]) == answer(started, script)


def test_stray_answer_of_a_carrier_is_hung_up(world, script, events):
    """It rang when the proxy was restarted: no transaction, so no call, and the callee is told."""
    world.truths["reply_transaction"] = -1
    assert (False, ["ACK", "BYE"]) == answer(world, script)
    assert 1 == len(events("stray_answer"))


def test_stray_answer_of_anybody_else_makes_us_send_nothing(world, script):
    """A forged 200 from elsewhere is dropped, and its Contact is not written to."""
    world.truths["reply_transaction"] = -1
    assert (False, []) == answer(world, script, si="203.0.113.66")


@pytest.mark.parametrize(
    ("host", "source", "sent"),
    [
        ("2001:db8::1", "2001:DB8:0:0:0:0:0:1", ["ACK", "BYE"]),
        ("[2001:db8::1]", "2001:db8::1", ["ACK", "BYE"]),
        ("gw.carrier.net", "192.0.2.77", []),
    ],
)
def test_stray_answer_is_a_carriers_by_its_address(world, script, tmp_path, host, source, sent):
    """Another spelling of its address is a carrier's; of one known by name nobody can tell, and the callee gives up."""
    publish(Directory((), (carrier(1, host=host),)), tmp_path / "directory.json")
    world.truths["reply_transaction"] = -1
    assert (False, sent) == answer(world, script, si=source)


def test_stray_answer_of_a_call_that_is_up_hangs_nobody_up(world, script, events):
    """The dialog is known, from the store after a restart: its 200 comes again, and is only dropped."""
    world.known()
    world.truths["reply_transaction"] = -1
    assert ((False, []), []) == (answer(world, script), events("stray_answer"))


def test_winner_sent_again_after_its_transaction_is_gone_is_not_hung_up(started, script):
    """A slow retransmission of the call that is up ends nothing."""
    answer(started, script)
    started.truths["reply_transaction"] = -1
    assert (False, []) == answer(started, script)


@pytest.mark.parametrize("code", [100, 180, 200, 302, 404, 503])
@pytest.mark.parametrize("method", ["INVITE", "BYE", "OPTIONS", "MESSAGE"])
def test_answer_to_nothing_that_was_asked_is_dropped(world, script, method, code):
    """Sent on by its Via it would make the proxy an open reflector; and nobody outside makes it send anything."""
    world.request(method, tt="to-1", rs=code, si="203.0.113.66")
    world.truths["reply_transaction"] = -1
    script.reply_route()
    assert ([()], []) == (world.did("drop"), world.did("send"))


@pytest.mark.parametrize("ending", ["cancelled", "refused"])
def test_answer_after_the_end_finds_nobody(started, script, ending):
    """The call failed, its keys are free, and then its 2xx comes after all: nobody would count that call."""
    if ending == "cancelled":
        started.truths["cancelled"] = 1
    fail(started, script, 487)
    script.dialog_event("dialog:failed")
    started.dialogs.clear()
    assert (False, ["ACK", "BYE"]) == answer(started, script)


@pytest.mark.parametrize("code", [180, 200, 486])
def test_caller_gets_the_to_that_he_sent(started, script, code):
    """What the carrier was shown is not what the caller wrote (RFC 3261 8.2.6.2); the tag is the callee's."""
    started.reply(code, **{"T_req($hdr(To))": "Bob <sip:030123@example.net>"})
    script.transaction_reply()
    assert ([("To",)], [("To: Bob <sip:030123@example.net>;tag=to-1",)]) == (
        started.did("remove"),
        started.did("append"),
    )


@pytest.mark.parametrize("more", [{"code": 100}, {"code": 180, "tt": None}])
def test_answer_without_a_tag_keeps_its_to(started, script, more):
    """Trying has none, and an early answer need not."""
    started.reply(**more)
    script.transaction_reply()
    assert [] == started.did("append")


@pytest.mark.parametrize("transaction", [1, -1])
def test_answer_without_to_tag_is_never_passed_unseen(world, script, transaction):
    """An old callee's 200 without a tag has no dialog: after a restart it would be an unbilled call."""
    world.truths["reply_transaction"] = transaction
    world.tables["current"] = {"call-1|from-1": relay.NOBODY}
    assert answer(world, script, tt=None)[0] is False


def test_answer_without_to_tag_does_not_win(started, script):
    """A 200 that no dialog can come of takes nobody's place: the good one after it goes through."""
    assert (False, []) == answer(started, script, tt=None)
    assert (True, []) == answer(started, script)


def test_answer_that_cannot_be_read_is_dropped(world, script):
    """A To-tag that is no UTF-8 must not get past the guard."""
    world.truths["reply_transaction"] = -1
    assert answer(world, script, tt=b"\xff")[0] is False


@pytest.mark.parametrize("code", [100, 180, 183, 404, 486, 503])
def test_other_replies_are_left_alone(started, script, code):
    """Only 2xx are guarded."""
    assert (True, []) == answer(started, script, rs=code)


def test_answer_to_a_bye_is_left_alone(started, script):
    """Only an INVITE's 2xx starts a call."""
    started.request("BYE", rs=200, tt="to-9")
    script.reply_route()
    assert [] == started.did("drop")


def test_answer_to_a_callers_reinvite_goes_through(started, script):
    """The answer to a re-INVITE has the winner's tag, on branch 0 whatever carrier the call is on."""
    started.tables["current"]["call-1|from-1"] = "1"
    started.tables["winner"] = {"call-1|from-1": "to-1", "call-1|from-1#": 1}
    assert (True, []) == answer(started, script, cs="2", T_branch_idx=0)


def test_answer_to_a_callees_reinvite_goes_through(started, script):
    """In the other direction the tags change places; every answer goes through, repeated or not."""
    answer(started, script)
    for cseq in ("1", "1", "2"):
        assert (True, []) == answer(started, script, ft="to-1", tt="from-1", cs=cseq)


def test_answer_to_a_reinvite_after_a_restart_goes_through(world, script):
    """The tables are empty after a restart; the answer has its transaction and goes on."""
    assert (True, []) == answer(world, script, cs="3")


def test_callees_reinvite_leaves_nothing_behind(started, script):
    """Only the call's own direction has keys in the tables; what its callee asks later adds none."""
    answer(started, script)
    before = {name: dict(table) for name, table in started.tables.items()}
    answer(started, script, ft="to-1", tt="from-1")
    assert before == started.tables


def test_next_call_of_the_same_name_has_its_own_winner(started, script):
    """A phone that was refused tries again with Call-ID and tag unchanged: who won before wins nothing now."""
    answer(started, script)
    script.dialog_event("dialog:end")
    started.dialogs.clear()
    started.request(cs="2")
    script.authorize()
    script.branch()
    assert (True, []) == answer(started, script, tt="to-2", cs="2")
    assert (False, ["ACK", "BYE"]) == answer(started, script, tt="to-1", cs="2")


def test_loser_behind_proxies_is_reached_by_their_route(started, script):
    """ACK and BYE follow the loser's own Record-Route, ours left out, in reverse order."""
    answer(started, script)
    started.reply(tt="to-2")
    started.headers = [("Record-Route", "<sip:a.net;lr>, <sip:b.net;lr>"), ("Record-Route", "<sip:example.net;lr>")]
    script.reply_route()
    (_, uri, next_hop, _, lines, _), _ = started.did("send")
    assert ("sip:gw@192.0.2.1", "sip:b.net;lr") == (uri, next_hop)
    assert "Route: <sip:b.net;lr>, <sip:a.net;lr>" in lines


# --- over TLS -----------------------------------------------------------------------------------------------


@pytest.fixture
def over_tls(world, script, tmp_path):
    """A call on its way to a carrier over TLS, its branch sent."""
    publish(Directory((), (carrier(1, transport="tls"),)), tmp_path / "directory.json")
    script.authorize()
    script.branch()
    world.actions.clear()
    return world


@pytest.mark.parametrize(
    ("code", "pvs", "passes"),
    [
        (200, {"proto": "tls", "tls_peer_verified": 1, "tls_peer_raw_cert": "right"}, True),
        (200, {"proto": "tls", "tls_peer_verified": 1, "tls_peer_raw_cert": "wrong"}, False),
        (180, {"proto": "tls", "tls_peer_verified": 1, "tls_peer_raw_cert": "wrong"}, False),
        (200, {"proto": "tls", "tls_peer_verified": 0, "tls_peer_raw_cert": "right"}, False),
        (200, {"proto": "tls"}, False),
        (200, {"proto": "udp"}, False),
    ],
)
def test_a_carrier_over_tls_shows_a_certificate_of_its_host(over_tls, script, events, monkeypatch, code, pvs, passes):
    """Any other answer, even a ringing, is dropped; to the call that carrier is silent."""
    monkeypatch.setattr("kemi.relay.names_host", lambda pem, host: (pem, host) == ("right", "192.0.2.1"))
    over_tls.reply(code, **pvs)
    script.reply_route()
    assert (passes, passes) == (over_tls.did("drop") == [], events("carrier_untrusted") == [])


def test_certificates_are_not_asked_for_when_the_setting_says_so(over_tls, node, script):
    """`tls.verify_carriers` off."""
    node.settings = node.settings.model_copy(
        update={"tls": node.settings.tls.model_copy(update={"verify_carriers": False})}
    )
    over_tls.reply(200, proto="tls")
    script.reply_route()
    assert [] == over_tls.did("drop")
