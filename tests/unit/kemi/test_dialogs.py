"""Calls that are up: who may say what within them, how long they last, and how they end once."""

import pytest

from billing import facts
from billing.clock import Moment
from billing.journal import JournalUnwritable
from kemi import dialogs
from kemi import node as node_module
from tests.unit.kemi.conftest import answered_ago

CALLER, CALLEE = "203.0.113.50", "192.0.2.1"


@pytest.fixture
def up(world):
    """A call that was answered ten seconds ago, with a grant of 120."""
    world.known().variables["t"] = answered_ago(10)
    return world


def from_caller(world, method, **pvs):
    world.request(method, **({"tt": "to-1", "si": CALLER, "cs": "2"} | pvs))


def from_callee(world, method, **pvs):
    world.request(method, **({"ft": "to-1", "tt": "from-1", "si": CALLEE, "cs": "2"} | pvs))


# --- who may ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["INVITE", "BYE", "UPDATE", "INFO", "PRACK", "OPTIONS", "NOTIFY", "MESSAGE"])
def test_callers_request_goes_to_the_callees_contact(up, script, method):
    """Whatever its own URI and Routes say, a request goes to the dialog's contact."""
    from_caller(up, method, ru="sip:attacker@203.0.113.66")
    script.request_route()
    assert ([], [("sip:gw@192.0.2.1",)]) == (up.replied, up.did("relay"))
    assert ("Route",) in up.did("remove")


def test_callees_request_goes_back_where_the_caller_is(up, script):
    """Behind NAT the caller's contact is not where he is: the next hop is."""
    from_callee(up, "BYE")
    script.request_route()
    assert [("sip:alice@203.0.113.50",)] == up.did("relay")
    assert ("sip:203.0.113.50:5060;transport=udp",) in up.did("next_hop")


def test_an_alias_of_ours_is_shown_to_nobody(up, script):
    """What the dialog module needs to find a caller behind NAT is no part of his URI."""
    up.dialog.values["from_contact"] = "sip:alice@192.168.1.5;transport=tls;alias=203.0.113.50~5060~3"
    from_callee(up, "BYE")
    script.request_route()
    assert [("sip:alice@192.168.1.5;transport=tls",)] == up.did("relay")
    dialogs.cut()
    assert [] == [send for send in up.did("send") if "alias" in str(send)]


def test_stored_route_is_followed(up, script):
    """A gateway that record-routes itself is reached by its route set."""
    up.dialog.values["to_rs"] = "<sip:edge.net;lr>, <sip:core.net;lr>"
    from_caller(up, "BYE")
    script.request_route()
    assert [("Route: <sip:edge.net;lr>, <sip:core.net;lr>",)] == up.did("append")
    assert ("sip:edge.net;lr",) in up.did("next_hop")


def test_route_with_a_display_name_is_followed(up, script):
    """A name before the route's URI (RFC 3261 25.1 allows one) changes nothing."""
    up.dialog.values["to_rs"] = '"edge" <sip:edge.net;lr>'
    from_caller(up, "BYE")
    script.request_route()
    assert ("sip:edge.net;lr",) in up.did("next_hop")


@pytest.mark.parametrize("method", ["BYE", "INVITE", "MESSAGE", "UPDATE"])
def test_unknown_dialog_is_481(world, script, method):
    """Tags that belong to no dialog here go nowhere."""
    from_caller(world, method)
    script.request_route()
    assert ([481], []) == (world.replied, world.did("relay"))


@pytest.mark.parametrize("method", ["BYE", "INVITE", "INFO"])
@pytest.mark.parametrize("send", [from_caller, from_callee])
def test_right_tags_from_elsewhere_are_403(up, script, send, method):
    """Overheard tags are not enough; the dialog's state machine does not even run."""
    send(up, method, si="203.0.113.66")
    script.request_route()
    assert ([403], [], []) == (up.replied, up.did("relay"), up.did("manage"))


@pytest.mark.parametrize(("send", "own"), [(from_caller, CALLEE), (from_callee, CALLER)])
def test_one_side_cannot_speak_for_the_other(up, script, send, own):
    """The caller's tag from the callee's address is 403, and the other way round."""
    send(up, "BYE", si=own)
    script.request_route()
    assert [403] == up.replied


@pytest.mark.parametrize("method", ["REFER", "SUBSCRIBE", "PUBLISH", "REGISTER"])
def test_methods_that_make_others_call_are_405(up, script, method):
    """A transfer makes somebody else call, and nobody here would pay."""
    from_caller(up, method)
    script.request_route()
    assert ([405], []) == (up.replied, up.did("relay"))


@pytest.mark.parametrize(("cseq", "code"), [("4", 500), ("5", 500), ("6", None)])
def test_stale_cseq_is_500(up, script, cseq, code):
    """A CSeq at or below the last is old (RFC 3261 12.2.2), and ends nothing."""
    up.dialog.values["from_cseq"] = "5"
    from_caller(up, "BYE", cs=cseq)
    script.request_route()
    assert (([code] if code else []), bool(code)) == (up.replied, not up.did("manage"))


def test_each_side_has_its_own_cseq(up, script):
    """The callee's first request may have a CSeq below the caller's."""
    up.dialog.values |= {"from_cseq": "50", "to_cseq": "0"}
    from_callee(up, "BYE", cs="1")
    script.request_route()
    assert 1 == len(up.did("relay"))


@pytest.mark.parametrize(("method", "code"), [("INVITE", 491), ("UPDATE", 491), ("INFO", 491), ("BYE", None)])
def test_before_the_ack_only_a_bye_passes(up, script, method, code):
    """Between 200 and ACK no CSeq is recorded, so anything but a BYE waits."""
    up.dialog.values["state"] = "3"
    from_caller(up, method)
    script.request_route()
    assert ([code] if code else []) == up.replied


@pytest.mark.parametrize("method", ["BYE", "INVITE", "INFO", "MESSAGE"])
def test_ringing_call_takes_no_request_but_prack_and_update(up, script, method):
    """A BYE while it rings would end the dialog and leave the INVITE to be answered by an uncounted call."""
    up.dialog.values["state"] = "2"
    up.dialog.variables["f"] = "to-0 sip:other@192.0.2.1 to-1 sip:gw@192.0.2.1"
    from_caller(up, method)
    script.request_route()
    assert ([481], [], []) == (up.replied, up.did("relay"), up.did("manage"))


def test_prack_reaches_the_ringing_callee(up, script):
    """A reliable provisional answer is acknowledged to the contact it named."""
    up.dialog.values["state"] = "2"
    up.dialog.variables["f"] = "to-0 sip:other@192.0.2.1 to-1 sip:gw@192.0.2.1"
    from_caller(up, "PRACK")
    script.request_route()
    assert [("sip:gw@192.0.2.1",)] == up.did("relay")


@pytest.mark.parametrize("method", ["PRACK", "UPDATE"])
def test_guessed_tag_while_it_rings_is_481(up, script, method):
    """The dialog module takes any To-tag before the 200; only one that a callee gave passes."""
    up.dialog.values["state"] = "2"
    up.dialog.variables["f"] = "to-0 sip:other@192.0.2.1 to-1 sip:gw@192.0.2.1"
    from_caller(up, method, tt="guessed")
    script.request_route()
    assert ([481], []) == (up.replied, up.did("relay"))


def test_early_dialogs_are_remembered(up):
    """The last few of them, each with its contact; a tag or a contact with a blank is none."""
    for tag in ("one", "two", "three", "four", "five", "with blank", ""):
        dialogs.remember_ringing(tag, f"sip:{tag}@192.0.2.1")
    dialogs.remember_ringing("six", "sip:a b")
    expected = " ".join(f"{tag} sip:{tag}@192.0.2.1" for tag in ("two", "three", "four", "five"))
    assert expected == up.dialog.variables["f"]


@pytest.mark.parametrize(
    ("recorded", "hop"),
    [
        ([], "sip:203.0.113.50:40000;transport=udp"),
        (["<sip:192.0.2.9;lr>"], "sip:203.0.113.50:40000;transport=udp"),
        (["<sip:gateway.example.net;lr>"], "sip:203.0.113.50:40000;transport=udp"),
        (["<sip:203.0.113.50@192.0.2.9;lr>"], "sip:203.0.113.50:40000;transport=udp"),
        (["nothing"], "sip:203.0.113.50:40000;transport=udp"),
        (["<sip:203.0.113.50:5080;lr>"], ""),
        (["<sip:edge@203.0.113.50;transport=tcp;lr>, <sip:192.0.2.9;lr>"], ""),
    ],
)
def test_caller_is_reached_where_he_sent_from(world, recorded, hop):
    """A Record-Route of his leads nowhere else; only one that names the very address is followed."""
    world.request("INVITE", si="203.0.113.50", sp="40000", proto="udp")
    world.headers = [("Record-Route", body) for body in recorded]
    assert hop == dialogs.caller_hop()


@pytest.mark.parametrize("method", ["ACK", "BYE", "INVITE", "UPDATE"])
def test_secrets_do_not_pass_within_a_dialog_either(up, script, method):
    """Credentials, card number, PIN and asserted identities reach no carrier in a later request."""
    from_caller(up, method)
    script.request_route()
    removed = {name for (name,) in up.did("remove")}
    assert {"Proxy-Authorization", "X-Meterline-PIN", "X-Meterline-Card", "P-Asserted-Identity"} <= removed
    assert {"P-Preferred-Identity", "Remote-Party-ID", "Diversion", "History-Info", "Referred-By"} <= removed


def test_retransmission_is_absorbed(up, script):
    """A request whose transaction is there is answered by it."""
    up.truths["transaction"] = 0
    from_caller(up, "BYE")
    script.request_route()
    assert ([], []) == (up.did("relay"), up.did("manage"))


# --- the ACK ------------------------------------------------------------------------------------------------


def test_late_ack_does_not_lengthen_the_call(up, script):
    """The module starts the lifetime anew at the first ACK: what is left is set again, behind the cutter's."""
    up.dialog.variables["t"] = answered_ago(100)
    up.dialog.values["state"] = "3"
    from_caller(up, "ACK", cs="1")
    script.request_route()
    assert ([20 + dialogs.BACKSTOP_S], [("sip:gw@192.0.2.1",)]) == (up.dialog.lifetimes, up.did("relay"))


@pytest.mark.parametrize("send", [from_caller, from_callee])
def test_acks_after_the_deadline_keep_no_call_alive(up, script, send):
    """However many ACKs come, a call at the end of its grant is cut: only the first ACK sets a lifetime."""
    up.dialog.variables["t"] = answered_ago(300)
    for _ in range(5):
        send(up, "ACK", cs="1")
        script.request_route()
    assert [] == up.dialog.lifetimes


def test_no_lifetime_of_ours_looks_like_a_lost_keepalive():
    """The module's own ten seconds mean that a phone is gone: ours are one, or eleven and more."""
    found = {dialogs.lifetime_s(tenths / 10) for tenths in range(-20, 300)}
    assert {1, 11} <= found
    assert dialogs.KEEPALIVE_LOST_S not in found


@pytest.mark.parametrize("send", [from_caller, from_callee])
def test_acks_while_talking_set_no_lifetime(up, script, send):
    """The answer to a re-INVITE is acknowledged too: it goes on, and the call's end stays where it was."""
    send(up, "ACK")
    script.request_route()
    assert ([], 1) == (up.dialog.lifetimes, len(up.did("relay")))


@pytest.mark.parametrize("state", ["1", "2"])
def test_ack_without_an_answer_goes_nowhere(up, script, state):
    """There is nothing to acknowledge while it rings."""
    up.dialog.values["state"] = state
    from_caller(up, "ACK", cs="1")
    script.request_route()
    assert ([], [], []) == (up.did("relay"), up.did("manage"), up.dialog.lifetimes)


def test_ack_that_cannot_be_sent_is_not_answered(up, script):
    """Nobody answers an ACK, not even when its target is gone."""
    up.truths["relay"] = [-1]
    from_caller(up, "ACK", cs="1")
    script.request_route()
    assert [] == up.replied


@pytest.mark.parametrize("more", [{"si": "203.0.113.66"}, {"ci": "call-9"}])
def test_foreign_ack_goes_nowhere(up, script, more):
    """An ACK from elsewhere, or for another dialog, touches nothing and is not answered."""
    from_caller(up, "ACK", **more)
    script.request_route()
    assert ([], [], []) == (up.did("relay"), up.replied, up.dialog.lifetimes)


# --- the answer ---------------------------------------------------------------------------------------------


@pytest.fixture
def ringing(world):
    """A call whose 200 is in hand."""
    dialog = world.known(state="3")
    del dialog.variables["d"]
    world.reply()
    return world


def test_answer_is_written_before_anybody_talks(ringing, script, journal):
    """The fact is in the journal, and the dialog knows when, and from where, it was answered."""
    script.dialog_event("dialog:start")
    expected = {"kind": "answered", "call_key": "01HX0000000000000000000000", "carrier": 1, "grant_s": 120}
    assert [expected | {"call_id": "call-1", "from_tag": "from-1", "to_tag": "to-1"}] == journal()
    assert CALLEE == ringing.dialog.variables["d"]
    assert 0 <= Moment.now().ms_since(Moment.parse(ringing.dialog.variables["t"])) < 1000


def test_identifiers_are_cut_to_their_columns(ringing, script, journal):
    """A callee's To-tag of 17,000 characters neither tears the journal nor keeps the answer out of it."""
    ringing.message["$tt"] = "t" * 17_000
    script.dialog_event("dialog:start")
    assert ["t" * 128] == [fact["to_tag"] for fact in journal()]


def test_fact_that_cannot_be_written_blocks_no_other(node, world, journal, events):
    """A fact that no line can hold is lost with a word in the log, and those behind it are written."""
    node.record({"kind": "ended", "call_key": "long", "detail": "x" * 17_000})
    node.record({"kind": "ended", "call_key": "another"})
    assert ["another"] == [fact["call_key"] for fact in journal()]
    assert ["long"] == [line["fact"]["call_key"] for line in events("fact_lost")]


def test_facts_in_memory_have_a_limit(node, world, events, monkeypatch):
    """A disk that never comes back does not fill the memory: the oldest goes, and the log has it."""

    def full(fact):
        raise JournalUnwritable(28, "full")

    monkeypatch.setattr(node.journal, "append", full)
    monkeypatch.setattr(node_module, "FACTS_KEPT_MAX", 3)
    for number in range(5):
        node.record({"kind": "ended", "call_key": number})
    assert [0, 1] == [line["fact"]["call_key"] for line in events("fact_lost")]


def test_full_disk_keeps_facts_for_the_next_write(node, world, monkeypatch, journal):
    """A fact that could not be written goes before the next one that can."""

    def full(fact):
        raise JournalUnwritable(28, "full")

    with monkeypatch.context() as patch:
        patch.setattr(node.journal, "append", full)
        node.record({"kind": "ended", "call_key": "first"})
    node.record({"kind": "ended", "call_key": "second"})
    assert ["first", "second"] == [fact["call_key"] for fact in journal()]


# --- the end ------------------------------------------------------------------------------------------------


def ends(journal):
    return [(fact["end_reason"], round(fact["talked_ms"], -3)) for fact in journal() if fact["kind"] == "ended"]


@pytest.mark.parametrize(("send", "reason"), [(from_caller, "caller"), (from_callee, "callee")])
def test_bye_ends_the_call_for_its_sender(up, script, journal, send, reason):
    """Who sent the BYE ended it; the talk is the monotonic time since the answer."""
    send(up, "BYE")
    script.dialog_event("dialog:end")
    assert [(reason, 10_000)] == ends(journal)


def test_deadline_tells_both_sides(up, script, journal):
    """At the deadline: the fact, then our own BYEs to callee and caller, above the last CSeq of each."""
    up.dialog.variables["t"] = answered_ago(120)
    up.dialog.values |= {"from_cseq": "7", "to_cseq": "3"}
    script.dialog_event("dialog:timeout")
    assert [("cut", 120_000)] == ends(journal)
    sent = [(method, uri, lines.split("\r\n")[3]) for method, uri, _, _, lines, _ in up.did("send")]
    assert [
        ("BYE", "sip:gw@192.0.2.1", "CSeq: 8 BYE"),
        ("BYE", "sip:alice@203.0.113.50", "CSeq: 4 BYE"),
    ] == sent


def test_byes_have_the_tags_of_their_direction(up, script):
    """To the callee the caller speaks, to the caller the callee."""
    script.dialog_event("dialog:timeout")
    (_, _, _, _, to_callee, _), (_, _, _, _, to_caller, _) = up.did("send")
    assert to_callee.startswith("From: <sip:alice@example.net>;tag=from-1\r\nTo: <sip:4930123@192.0.2.1>;tag=to-1\r\n")
    assert to_caller.startswith("From: <sip:4930123@192.0.2.1>;tag=to-1\r\nTo: <sip:alice@example.net>;tag=from-1\r\n")


def test_lost_keepalive_is_told_from_a_cut(up, script, journal):
    """A timeout long before the deadline is a side that no longer answers."""
    script.dialog_event("dialog:timeout")
    assert [("keepalive", 10_000)] == ends(journal)


@pytest.mark.parametrize("events", [("timeout", "end"), ("timeout", "timeout"), ("end", "end"), ("end", "timeout")])
def test_call_ends_once_however_many_events_come(up, script, journal, events):
    """The second event of a call that ended writes nothing and sends nothing."""
    for event in events:
        script.dialog_event(f"dialog:{event}")
    assert 1 == len(journal())


def test_call_counted_before_a_crash_tells_both_sides_after_it(up, script, journal):
    """The proxy died between the fact and the BYEs: the restored dialog's timer sends them and counts nothing again."""
    up.dialog.variables["x"] = "1"
    script.dialog_event("dialog:timeout")
    assert ([], 2) == (ends(journal), len(up.did("send")))
    script.dialog_event("dialog:timeout")
    assert 2 == len(up.did("send"))


def test_end_frees_the_live_key(up, script):
    """After its end Call-ID and tag are free; who may answer, and who did, is remembered on, for a late 2xx."""
    up.tables |= {"live": {"call-1|from-1": 1}, "current": {"call-1|from-1": "0"}}
    up.tables["winner"] = {"call-1|from-1": "to-1", "call-1|from-1#": 1}
    from_caller(up, "BYE")
    script.dialog_event("dialog:end")
    assert ({}, "to-1", "0") == (
        up.tables["live"],
        up.tables["winner"]["call-1|from-1"],
        up.tables["current"]["call-1|from-1"],
    )


def test_end_is_one_line_of_the_log(up, script, events):
    """The line has call key, account, seconds and reason."""
    from_caller(up, "BYE")
    script.dialog_event("dialog:end")
    (line,) = events("call_ended")
    assert ("01HX0000000000000000000000", "card", "caller") == (line["call_key"], line["account"], line["end_reason"])


def test_call_of_no_time_at_all_is_the_same_in_log_and_ledger(up, script, events, journal):
    """A BYE in the millisecond of the answer: it was answered, so it lasted."""
    up.known().variables["t"] = answered_ago(-1)
    from_caller(up, "BYE")
    script.dialog_event("dialog:end")
    (line,) = events("call_ended")
    (fact,) = [one for one in journal() if one["kind"] == "ended"]
    assert [1, 1] == [line["talked_ms"], fact["talked_ms"]]


def test_end_by_an_administrator_is_no_cut(up, script, journal):
    """dlg.end_dlg long before the deadline was somebody's doing."""
    up.request("OPTIONS")
    script.dialog_event("dialog:end")
    assert [("administrator", 10_000)] == ends(journal)


def test_cut_ends_the_call_and_then_the_dialog(up, script, journal):
    """The cutter's end: the fact, BYEs to both sides, and the dialog goes at its timer's next look."""
    up.dialog.variables["t"] = answered_ago(120)
    dialogs.cut()
    assert ([("cut", 120_000)], ["BYE", "BYE"], [1]) == (
        ends(journal),
        [method for method, *_ in up.did("send")],
        up.dialog.lifetimes,
    )


@pytest.mark.parametrize("event", ["timeout", "end"])
def test_events_after_a_cut_write_nothing(up, script, journal, event):
    """The dialog module's own end of a call that was cut is nobody's news, nor is a BYE that crossed the cut."""
    dialogs.cut()
    up.actions.clear()
    from_caller(up, "BYE")
    script.dialog_event(f"dialog:{event}")
    assert (1, []) == (len(journal()), up.did("send"))


@pytest.mark.parametrize("send", [from_caller, from_callee])
@pytest.mark.parametrize(("method", "code"), [("BYE", 200), ("INVITE", 481), ("UPDATE", 481), ("INFO", 481)])
def test_ended_call_takes_no_request_any_more(up, script, send, method, code):
    """The dialog is known for some seconds more, and nobody counts: who hangs up too is told that it is done."""
    dialogs.cut()
    send(up, method)
    script.request_route()
    assert ([code], [], []) == (up.replied, up.did("relay"), up.did("manage"))


def test_ack_overtaken_by_its_bye_reaches_the_callee(up, script):
    """He still waits for it; the dialog that is over is not touched."""
    up.dialog.values["state"] = "5"
    from_caller(up, "ACK", cs="1")
    script.request_route()
    assert (1, [], []) == (len(up.did("relay")), up.did("manage"), up.dialog.lifetimes)


def test_ack_after_a_cut_does_not_keep_the_dialog(up, script):
    """The module would start its whole lifetime anew at the first ACK: a call that was cut has none left."""
    up.dialog.variables["t"] = answered_ago(120)
    up.dialog.values["state"] = "3"
    dialogs.cut()
    from_caller(up, "ACK", cs="1")
    script.request_route()
    assert (1, [1, 1]) == (len(up.did("relay")), up.dialog.lifetimes)


@pytest.mark.parametrize("end", [lambda script: dialogs.cut(), lambda script: dialogs.end_and_hang_up("keepalive")])
def test_dialog_that_had_ended_before_the_restart_does_not_end_again(up, node, script, journal, end):
    """The store brings it back without the mark of its end. The end in the journal is the only one; who was told before
    the proxy died is not known, so both are."""
    up.dialog.variables["t"] = answered_ago(120)
    node.record(facts.ended(up.dialog.variables["k"], 1142, "callee", 1))
    before = journal()
    end(script)
    told = [method for method, *_ in up.did("send")]
    assert (before, ["BYE", "BYE"], "1") == (journal(), told, up.dialog.variables["x"])


def test_fact_of_an_end_comes_before_its_mark(up, node, monkeypatch):
    """The mark alone would come back from the store as a call that was counted, and cost nothing."""

    def die(fact):
        raise RuntimeError

    monkeypatch.setattr(node, "record", die)
    with pytest.raises(RuntimeError):
        dialogs.cut()
    assert "x" not in up.dialog.variables


def test_fact_of_a_cut_comes_before_its_byes(up, node, script, journal, monkeypatch):
    """When nobody can be told any more the fact is there all the same."""

    def fail():
        raise RuntimeError

    monkeypatch.setattr(dialogs, "hang_up_both_sides", fail)
    script.dialog_event("dialog:timeout")
    assert 1 == len(ends(journal))


def test_clock_step_while_talking_changes_nothing(up, script, journal):
    """An hour's step of the wall clock charges nobody an hour."""
    monotonic, wall, boot = up.dialog.variables["t"].split("/")
    up.dialog.variables["t"] = f"{monotonic}/{int(wall) - 3_600_000}/{boot}"
    from_caller(up, "BYE")
    script.dialog_event("dialog:end")
    assert [("caller", 10_000)] == ends(journal)


# --- no answer ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("remembered", "expected"),
    [(None, ("no_answer", 487)), (("busy", "486"), ("busy", 486)), (("cancelled", "487"), ("cancelled", 487))],
)
def test_failed_call_has_its_reason(world, script, journal, remembered, expected):
    """What the failure route found out is in the fact, else the code that went to the caller."""
    dialog = world.known(state="1")
    if remembered:
        dialog.variables["r"], dialog.variables["e"] = remembered
    world.request(T_reply_code=487)
    script.dialog_event("dialog:failed")
    (fact,) = journal()
    assert ("failed", *expected) == (fact["kind"], fact["result"], fact["sip_code"])


def test_failed_twice_is_one_fact(world, script, journal):
    """A second event of a failed call writes nothing."""
    world.known(state="1")
    script.dialog_event("dialog:failed")
    script.dialog_event("dialog:failed")
    assert 1 == len(journal())


# --- emergency ----------------------------------------------------------------------------------------------


def test_emergency_call_leaves_a_record_and_no_charge(world, node, script, journal):
    """Its CDR comes through the journal, with talk and reason and without an account."""
    world.request(rU="112")
    script.request_route()
    world.dialog.variables["t"] = answered_ago(30)
    world.request("BYE", tt="to-1")
    script.dialog_event("dialog:end")
    (fact,) = journal()
    assert ("unopened", None, "112", "answered", "caller", 30_000) == (
        fact["kind"],
        fact["account"],
        fact["callee"],
        fact["result"],
        fact["end_reason"],
        round(fact["talked_ms"], -3),
    )


def test_emergency_answer_is_no_fact_of_the_ledger(world, script, journal):
    """There is no call in the ledger to be answered."""
    world.known().variables["m"] = "1"
    world.reply()
    script.dialog_event("dialog:start")
    assert [] == journal()


def test_emergency_call_with_the_tags_of_a_live_call_is_482(world, script):
    """It would get the live call's dialog, and its end would free that call's key."""
    script.authorize()
    first = world.dialog
    world.request(rU="112")
    script.request_route()
    assert ([482], [], True) == (world.replied, world.did("relay"), world.dialog is first)
    assert world.tables["live"]["call-1|from-1"] > 0


def test_emergency_call_may_be_tried_again(world, script):
    """One that failed has freed its Call-ID and tag."""
    world.request(rU="112")
    script.request_route()
    script.dialog_event("dialog:failed")
    world.request(rU="112", cs="2")
    script.request_route()
    assert ([], 1) == (world.replied, len(world.did("relay")))


# --- time ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rest_s", "expected"), [(120, 130), (119.7, 130), (119.01, 130), (0.7, 11), (0.2, 11), (0, 1), (-5, 1)]
)
def test_lifetime_is_whole_seconds_behind_the_cutter(rest_s, expected):
    """The timer takes whole seconds, at least one, and never comes before the call's end."""
    assert expected == dialogs.lifetime_s(rest_s)


@pytest.mark.parametrize(("answered", "expected"), [(None, 120), (0, 120), (119, 1), (120, 0), (125, -5)])
def test_rest_is_counted_from_the_answer(up, answered, expected):
    """Before the answer the whole grant is left; after it, what was not talked, below zero when it is over."""
    del up.dialog.variables["t"]
    if answered is not None:
        up.dialog.variables["t"] = answered_ago(answered)
    assert expected == round(dialogs.remaining_s())


def test_end_is_in_the_journal_before_it_is_marked(up, node, script, monkeypatch):
    """Killed between the two, the next proxy ends it again, and the first end counts; else nobody would pay."""
    seen = []
    monkeypatch.setattr(node, "record", lambda fact: seen.append((fact["kind"], up.dialog.variables.get("x"))))
    up.dialog.variables["t"] = answered_ago(120)
    dialogs.cut()
    assert ([("ended", None)], "1") == (seen, up.dialog.variables["x"])
