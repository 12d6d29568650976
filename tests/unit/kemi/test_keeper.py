"""The keeper: grants grow in time, and what the proxy no longer knows gives its hold back."""

from pathlib import Path

import pytest

from billing import facts, journal
from billing.breaker import Breaker, monotonic_ms
from billing.clock import Moment
from billing.errors import InvalidTariff, LedgerBusy, LedgerRefused, LedgerUnavailable
from billing.ledger_types import Reaped
from kemi import keeper
from tests.unit.builders import Ledger, extended, live_call, live_leg
from tests.unit.kemi.conftest import answered_ago

KEY = "01HX0000000000000000000000"


@pytest.fixture
def up(world, node):
    """A call that was answered 60 s ago with a grant of 120."""
    world.known().variables["t"] = answered_ago(60)
    return world


def use(node, **answers):
    quiet = {"live_calls": [[]], "unanswered_calls": [[]], "reaped_calls": [[]], "instance_of": node.instance.name}
    quiet["calls_to_end"] = [[]]
    node._ledger = Ledger(**quiet | answers)


def tick_until_reconciled(script):
    for _ in range(keeper.RECONCILE_EVERY):
        script.keeper("keeper")


def test_ledger_is_asked_at_every_tick(up, node, script):
    """Once a second: which calls of this node run short?"""
    use(node)
    script.keeper("keeper")
    script.keeper("keeper")
    assert [("node-1", 60)] * 2 == node.ledger.asked_for("live_calls")


@pytest.mark.parametrize(("talked_s", "lifetime_s"), [(60, 190), (119, 131), (119.5, 131)])
def test_renewed_call_lasts_longer(up, node, script, talked_s, lifetime_s):
    """The new grant is in the dialog, where the cutter looks, and the dialog's own timer stays behind it."""
    up.dialog.variables["t"] = answered_ago(talked_s)
    use(node, live_calls=[[live_call()]], extend_call=extended(240))
    script.keeper("keeper")
    assert ("240", [lifetime_s]) == (up.dialog.variables["g"], up.dialog.lifetimes)


def test_call_is_not_renewed_before_its_ack(up, node, script):
    """Who is gone between 200 and ACK gets no keepalives, and must not be renewed for ever. With the ACK he is."""
    up.dialog.values["state"] = "3"
    use(node, live_calls=[[live_call()]], extend_call=extended(240))
    script.keeper("keeper")
    assert ([], "120") == (node.ledger.asked_for("extend_call"), up.dialog.variables["g"])
    up.dialog.values["state"] = "4"
    script.keeper("keeper")
    assert "240" == up.dialog.variables["g"]


def test_renewal_is_in_the_dialog_store(up, node, script):
    """The store's row is written with a variable: the longer lifetime is there before it, or a restart brings back the
    old one and ends the call."""
    use(node, live_calls=[[live_call()]], extend_call=extended(240))
    script.keeper("keeper")
    kinds = [kind for kind, *rest in up.actions if kind == "lifetime" or (kind, rest[:1]) == ("variable", ["g"])]
    assert ["lifetime", "variable"] == kinds


def test_call_without_money_keeps_its_end(up, node, script):
    """No money: the lifetime stays, and the next second asks again."""
    use(node, live_calls=[[live_call(live_leg(available="0"))]])
    script.keeper("keeper")
    script.keeper("keeper")
    assert ([], "120") == (up.dialog.lifetimes, up.dialog.variables["g"])
    assert 2 == len(node.ledger.asked_for("live_calls"))


def test_lost_answer_to_a_renewal_is_found_again(up, node, script):
    """The ledger's grant is longer than the dialog's: the dialog follows."""
    use(node, live_calls=[[live_call(live_leg(available="0"), grant_s=240)]])
    script.keeper("keeper")
    assert ("240", [190]) == (up.dialog.variables["g"], up.dialog.lifetimes)


@pytest.mark.parametrize(
    ("left_ms", "answered_ago_ms", "late"),
    [(59_000, 61_000, 0), (31_000, 89_000, 0), (29_000, 91_000, 1), (6_000, 500, 0)],
)
def test_renewal_with_half_of_its_lead_gone_is_late(up, node, script, events, left_ms, answered_ago_ms, late):
    """A database that was away, or slow. A first grant that was short is due at once, and not late."""
    call = live_call(deadline_in_ms=left_ms, answered_ago_ms=answered_ago_ms)
    use(node, live_calls=[[call]], extend_call=extended(240))
    script.keeper("keeper")
    assert [29_000] * late == [line["deadline_in_ms"] for line in events("renewal_late")]
    assert late == node.board.totals().get('events_total{event="renewal_late"}', 0)


def test_money_that_comes_late_is_no_late_renewal(up, node, script, events):
    """Refused for money until the last seconds, then paid in."""
    poor = live_call(live_leg(available="0"), deadline_in_ms=20_000, answered_ago_ms=100_000)
    rich = live_call(deadline_in_ms=19_000, answered_ago_ms=101_000)
    use(node, live_calls=[[poor], [rich]], extend_call=extended(240))
    script.keeper("keeper")
    script.keeper("keeper")
    assert ("240", []) == (up.dialog.variables["g"], events("renewal_late"))


def test_dialogs_longer_grant_is_not_shortened(up, node, script):
    """The ledger was asked before the last renewal was answered: an older grant takes nothing back."""
    up.dialog.variables["g"] = "360"
    use(node, live_calls=[[live_call(live_leg(available="0"), grant_s=240)]])
    script.keeper("keeper")
    assert ("360", []) == (up.dialog.variables["g"], up.dialog.lifetimes)


def test_renewal_without_an_answer_is_looked_up(up, node, script):
    """The ledger committed it and could not say so: some second later the dialog has the grant."""
    use(
        node,
        live_calls=[[live_call()], []],
        extend_call=LedgerUnavailable("timed out"),
        live_call=[live_call(grant_s=240)],
    )
    script.keeper("keeper")
    assert "120" == up.dialog.variables["g"]
    script.keeper("keeper")
    assert "240" == up.dialog.variables["g"]
    for _ in range(2 * keeper.LOOKS):
        script.keeper("keeper")
    assert keeper.LOOKS == len(node.ledger.asked_for("live_call"))


def test_busy_account_keeps_no_other_from_its_renewal(up, node, script):
    """A lock that somebody holds is no dead database: the next call is renewed, the breaker hears nothing."""
    node.breaker = Breaker(1, 60_000)
    busy = [LedgerBusy("lock"), extended(240)]
    use(node, live_calls=[[live_call(), live_call(call_key="another")]], extend_call=busy)
    script.keeper("keeper")
    assert [KEY, "another"] == [key for key, *_ in node.ledger.asked_for("extend_call")]
    assert node.breaker.is_open() is False


@pytest.mark.parametrize("grant_s", [120, 240])
def test_call_whose_phone_is_gone_is_not_renewed(up, node, script, grant_s):
    """The dialog module found a side silent and left the dialog ten seconds: a renewal would give it a new life
    again and again."""
    up.dialog.values["lifetime"] = "10"
    use(node, live_calls=[[live_call(grant_s=grant_s)]], extend_call=extended(grant_s + 120))
    script.keeper("keeper")
    assert ([], [], "120") == (node.ledger.asked_for("extend_call"), up.dialog.lifetimes, up.dialog.variables["g"])


def test_call_that_ended_is_not_renewed(up, node, script):
    """Its dialog is known for some seconds more, and no money is held for it."""
    up.dialog.variables["x"] = "1"
    use(node, live_calls=[[live_call()]])
    script.keeper("keeper")
    assert [] == node.ledger.asked_for("extend_call")


def test_call_without_a_dialog_is_not_renewed(world, node, script):
    """Its end is on the way; no money is held for it any more."""
    use(node, live_calls=[[live_call()]])
    script.keeper("keeper")
    assert [] == node.ledger.asked_for("extend_call")


def test_away_ledger_is_one_failure(up, node, script):
    """The breaker learns of it, and the keeper asks on: nobody waits for it."""
    node.breaker = Breaker(1, 60_000)
    use(node, live_calls=LedgerUnavailable("gone"))
    script.keeper("keeper")
    assert node.breaker.is_open() is True
    script.keeper("keeper")
    assert 2 == len(node.ledger.asked_for("live_calls"))


@pytest.mark.parametrize(
    "error",
    [LedgerRefused("grant_too_long", "call"), InvalidTariff("rate"), ArithmeticError("x")],
)
def test_one_bad_call_does_not_keep_the_others_from_their_renewal(up, node, script, error):
    """An error at one call is logged; the next one is renewed."""
    use(node, live_calls=[[live_call(), live_call(call_key="another")]], extend_call=[error, extended(240)])
    script.keeper("keeper")
    assert [KEY, "another"] == [key for key, *_ in node.ledger.asked_for("extend_call")]


# --- the journal's way to the disk --------------------------------------------------------------------------------


@pytest.fixture
def synced(monkeypatch):
    """The files that were forced to the disk."""
    found = []
    links = Path("/proc/self/fd")
    monkeypatch.setattr(journal.os, "fdatasync", lambda file: found.append(str((links / str(file)).readlink())))
    return found


@pytest.mark.parametrize(("silent_ms", "count"), [(None, 1), (5000, 1), (100, 0)])
def test_journal_reaches_the_disk_without_a_drain(world, node, script, synced, silent_ms, count):
    """A drain that is dead, or never was, syncs nothing: the keeper does. One that is alive does it itself."""
    use(node)
    node.record(facts.ended(KEY, 1000, "caller", 1))
    if silent_ms is not None:
        node.board.note("drain_ms", monotonic_ms() - silent_ms)
    script.keeper("keeper")
    assert count == len(synced)
    assert all(path.endswith(".journal") for path in synced)


def test_disk_that_refuses_to_sync_keeps_nobody_from_his_renewal(up, node, script, monkeypatch):
    """It is said, and the second goes on."""

    def refuse(_):
        raise OSError(5, "broken")

    monkeypatch.setattr(journal.os, "fdatasync", refuse)
    node.record(facts.ended("another", 1000, "caller", 1))
    use(node, live_calls=[[live_call()]], extend_call=extended(240))
    script.keeper("keeper")
    assert "240" == up.dialog.variables["g"]
    assert any("journal_unwritable" in str(line) for line in up.logged)


# --- calls that were up ------------------------------------------------------------------------------------------


@pytest.fixture
def restarted(node):
    """The keeper of a proxy that has just been started."""
    keeper._watched = False
    return node


def test_cutter_is_told_of_the_calls_that_were_up(world, restarted, script, journal):
    """After a restart: every answered call with its deadline and its dialog, once; a ringing one has no deadline."""
    calls = [live_call(deadline_in_ms=61_500), live_call(call_key="ringing", state="open", answered_at=None)]
    use(restarted, live_calls=[calls])
    script.keeper("keeper")
    script.keeper("keeper")
    assert ("node-1",) == restarted.ledger.asked_for("live_calls")[0]
    expected = {"kind": "watch", "call_key": KEY, "deadline_in_ms": 61_500}
    assert [expected | {"call_id": "call-1", "from_tag": "from-1", "to_tag": "to-1"}] == journal()


def test_calls_that_were_up_are_told_when_the_ledger_is_back(world, restarted, script, journal):
    """A database that is away at the start only puts it off."""
    use(restarted, live_calls=[LedgerUnavailable("gone"), [live_call()], []])
    script.keeper("keeper")
    assert [] == journal()
    script.keeper("keeper")
    assert [KEY] == [fact["call_key"] for fact in journal()]


def test_watched_call_over_its_deadline_is_told_too(world, restarted, script, journal):
    """The proxy was away when the grant ended: the deadline lies behind, and the cutter ends the call at once."""
    use(restarted, live_calls=[[live_call(deadline_in_ms=-5000)], []])
    script.keeper("keeper")
    assert [-5000] == [fact["deadline_in_ms"] for fact in journal()]


def test_damaged_dialog_keeps_no_other_from_being_watched_and_renewed(world, restarted, script, journal, events):
    """It is said once; the next call is told to the cutter, and the keeper goes on to what is due."""
    world.known(callid="call-1").variables |= {"t": answered_ago(60), "g": "no number"}
    world.known(callid="call-2").variables |= {"t": answered_ago(60), "g": "120"}
    other = live_call(call_key="other", sip_call_id="call-2")
    use(restarted, live_calls=[[live_call(), other], [other], []], extend_call=extended(240))
    script.keeper("keeper")
    script.keeper("keeper")
    assert ["other"] == [fact["call_key"] for fact in journal()]
    assert [KEY] == [line["call_key"] for line in events("renewal_failed")]
    assert ["other"] == [key for key, *_ in restarted.ledger.asked_for("extend_call")]


def test_damaged_dialog_that_is_unsure_is_given_up(world, node, script):
    """Its look fails once, and not at every tick from then on."""
    world.known().variables |= {"t": answered_ago(60), "g": "no number"}
    keeper._unsure[KEY] = keeper.LOOKS
    use(node, live_call=[live_call()])
    script.keeper("keeper")
    script.keeper("keeper")
    assert ({}, 1) == (keeper._unsure, len(node.ledger.asked_for("live_calls")))


# --- calls that were ringing -------------------------------------------------------------------------------------


def ringing(**more):
    return live_call(**{"state": "open", "answered_at": None} | more)


def test_call_that_rang_when_the_proxy_died_gives_its_hold_back(world, node, script, journal):
    """The ledger knows a ringing call that the proxy does not: it will never connect. It is said once."""
    use(node, unanswered_calls=[[ringing()]])
    node.record({**facts.opening(KEY, 100), "at": answered_ago(60)})  # what every call of the former life began with
    tick_until_reconciled(script)
    tick_until_reconciled(script)
    (fact,) = journal()
    assert ("failed", KEY, "cancelled") == (fact["kind"], fact["call_key"], fact["result"])


def test_look_for_lost_calls_is_taken_now_and_then(world, node, script):
    """Every fifth tick is enough."""
    use(node)
    for _ in range(2 * keeper.RECONCILE_EVERY + 1):
        script.keeper("keeper")
    assert [("node-1",)] * 2 == node.ledger.asked_for("unanswered_calls")


def test_call_opened_since_the_start_is_left_alone(world, node, script, journal):
    """Its end may wait in another process's memory for room on the disk: only what is older than we are is lost."""
    use(node, unanswered_calls=[[ringing(opened_ago_ms=node.up_ms)]])
    tick_until_reconciled(script)
    assert [] == journal()


def test_reaped_call_that_only_rang_is_paid_back(world, node, script, journal):
    """The node was away for so long that the reaper charged a call that rang: it never connected."""
    use(node, reaped_calls=[[Reaped("reaped", "call-9", node.up_ms + 60_000)]])
    tick_until_reconciled(script)
    (fact,) = journal()
    assert ("failed", "reaped") == (fact["kind"], fact["call_key"])


def test_call_that_rings_is_not_paid_back_when_the_ledgers_clock_is_set_forward(world, killed, script, journal):
    """It looks older than this proxy, and the reaper has charged it; its beginning in the journal is of this life."""
    killed.record(facts.opening("reaped", 100))
    use(killed, reaped_calls=[[Reaped("reaped", "call-9", 3_600_000)]])
    tick_until_reconciled(script)
    assert [] == journal()


def test_call_of_the_first_millisecond_is_of_this_life(world, killed, script, journal, monkeypatch):
    """Two who look at one clock at once see the same."""
    now = Moment.now()
    at = Moment(now.monotonic_ms - killed.up_ms, now.wall_ms - killed.up_ms, now.boot)
    monkeypatch.setattr(type(killed), "up_ms", now.monotonic_ms - at.monotonic_ms)
    monkeypatch.setattr(Moment, "now", staticmethod(lambda: now))
    killed.record({**facts.opening("reaped", 100), "at": str(at)})
    use(killed, reaped_calls=[[Reaped("reaped", "call-9", 3_600_000)]])
    tick_until_reconciled(script)
    assert [] == journal()


# --- calls whose answer was not sent on ------------------------------------------------------------------------------


@pytest.fixture
def killed(restarted, monkeypatch):
    """A proxy whose former life ended 10 s ago, and that has been up for 8 s."""
    now = Moment.now()
    restarted.pulse.former_end = Moment(now.monotonic_ms - 10_000, now.wall_ms - 10_000, now.boot)
    restarted._started_ms = now.monotonic_ms - 8000
    return restarted


def answered_before(ms, **more):
    """A call that was opened and answered before the proxy died, by so many milliseconds."""
    return live_call(opened_ago_ms=70_000, answered_ago_ms=10_000 + ms, **more)


def reconciled(killed, script, journal, call, **answers):
    use(killed, **{"live_calls": [[call], []], "live_call": [call]} | answers)
    tick_until_reconciled(script)
    return [fact for fact in journal() if fact["kind"] == "failed"]


@pytest.mark.parametrize("before_ms", [0, 50, 2500])
def test_answer_of_the_last_instant_without_a_dialog_costs_nothing(world, killed, script, journal, before_ms):
    """The dialog is stored before the 200 is sent: its caller never heard it."""
    (fact,) = reconciled(killed, script, journal, answered_before(before_ms))
    assert (KEY, "cancelled", keeper.NOT_SENT) == (fact["call_key"], fact["result"], fact["detail"])


def test_call_that_talked_is_not_given_back(world, killed, script, journal):
    """No dialog, but it was up for longer than a write to the store takes: lost by the store, the reaper charges."""
    assert [] == reconciled(killed, script, journal, answered_before(keeper.STORE_LIMIT_MS + 100))


@pytest.mark.parametrize(("short_before_ms", "given_back"), [(0, 0), (3000, 0), (4000, 1), (9000, 1)])
def test_call_that_was_answered_on_a_full_disk_is_not_given_back(
    world, killed, script, journal, short_before_ms, given_back
):
    """The store lost its dialog without a word; its caller may have talked. Answered 2.5 s before the kill, and the
    disk was last short then, or so long before."""
    now = Moment.now()
    killed.pulse.former_short = Moment(
        now.monotonic_ms - 10_000 - short_before_ms, now.wall_ms - 10_000 - short_before_ms, now.boot
    )
    assert given_back == len(reconciled(killed, script, journal, answered_before(2500)))


def test_call_with_its_dialog_goes_on(up, killed, script, journal):
    """The store had it: the caller may have heard the answer, and talks."""
    up.dialog.variables["t"] = answered_ago(10)
    assert [] == reconciled(killed, script, journal, answered_before(50))


def test_call_whose_dialog_had_ended_is_not_given_back(up, killed, script, journal):
    """Its dialog came back with the mark of its end: it was there, so the caller may have heard the answer."""
    up.dialog.variables |= {"t": answered_ago(10), "x": "1"}
    assert [] == reconciled(killed, script, journal, answered_before(50))


def test_call_whose_end_is_on_its_way_pays(world, killed, script, journal):
    """Answered and hung up in the last instant: its end is in the journal."""
    killed.record(facts.ended(KEY, 40, "caller", 1))
    assert [] == reconciled(killed, script, journal, answered_before(50))


def test_without_a_former_life_nothing_is_given_back(world, killed, script, journal):
    """Another boot, another dialog store: nobody knows what was in it."""
    killed.pulse.former_end = None
    assert [] == reconciled(killed, script, journal, answered_before(0))


def test_answer_that_the_ledger_hears_of_late_is_judged_then(world, killed, script, journal):
    """At the start its answer was still in the journal, and the ledger had it ringing."""
    ringing_still = answered_before(50, state="open", answered_at=None)
    killed.record(facts.answered(KEY, Moment.now(), 1, 120, "call-1", "from-1", "to-1"))
    use(killed, live_calls=[[ringing_still], []], live_call=[ringing_still, answered_before(50)])
    tick_until_reconciled(script)
    assert [] == [fact for fact in journal() if fact["kind"] == "failed"]
    tick_until_reconciled(script)
    assert [KEY] == [fact["call_key"] for fact in journal() if fact["kind"] == "failed"]


def test_reaped_call_whose_answer_was_not_sent_is_paid_back(world, killed, script, journal):
    """The proxy came back late: the reaper had charged the whole grant. What talked for longer stays charged."""
    reaped = [Reaped("silent", "call-8", 70_000, 10_050), Reaped("talked", "call-9", 70_000, 20_000)]
    use(killed, reaped_calls=[reaped])
    tick_until_reconciled(script)
    assert ["silent"] == [fact["call_key"] for fact in journal() if fact["kind"] == "failed"]


@pytest.mark.parametrize("answered_ago_ms", [None, 3000])
def test_reaped_call_of_this_life_stays_charged(world, killed, script, journal, answered_ago_ms):
    """Its end waits in some process's memory for room on the disk, or lies in damaged.log."""
    use(killed, reaped_calls=[[Reaped("late", "call-8", 4000, answered_ago_ms)]])
    tick_until_reconciled(script)
    assert [] == journal()


def test_answer_of_this_life_was_sent(world, killed, script, journal):
    """It rang through the start, and was answered after: not in the last instant of the former life."""
    assert [] == reconciled(killed, script, journal, live_call(opened_ago_ms=70_000, answered_ago_ms=7000))


def test_call_that_rings_is_left_alone(world, node, script, journal):
    """Its live key is there: it goes on ringing."""
    world.tables["live"] = {"call-1|from-1": 1}
    use(node, unanswered_calls=[[ringing()]])
    tick_until_reconciled(script)
    assert [("node-1",)] == node.ledger.asked_for("unanswered_calls")
    assert [] == journal()


@pytest.mark.parametrize("call_id", ["a)b", "a(b", "$(b", "a$b@c"])
def test_no_call_id_makes_a_ringing_call_look_dead(world, node, script, journal, call_id):
    """Whatever its Call-ID, a call that rings keeps its hold."""
    world.tables["live"] = {f"{call_id}|from-1": 1}
    use(node, unanswered_calls=[[ringing(sip_call_id=call_id)]])
    tick_until_reconciled(script)
    assert [] == journal()


ANSWERED = facts.answered(KEY, Moment.now(), 1, 120, "call-1", "from-1", "to-1")


@pytest.mark.parametrize(
    "on_its_way", [ANSWERED, facts.ended(KEY, 1000, "caller", 1), facts.failed(KEY, "busy", 486, 1)]
)
def test_call_whose_fact_is_on_its_way_is_left_alone(world, node, script, journal, on_its_way):
    """The ledger has not heard of it yet, the dialog came from the store: the call is up or settled, and pays."""
    node.record(on_its_way)
    use(node, unanswered_calls=[[ringing()]])
    tick_until_reconciled(script)
    assert [on_its_way["kind"]] == [fact["kind"] for fact in journal()]


def test_facts_of_one_call_save_no_other(world, node, script, journal):
    """Of two calls that nobody rings any more, the one without a fact is given back."""
    node.record(ANSWERED)
    use(node, unanswered_calls=[[ringing(), ringing(call_key="lost", sip_call_id="call-2")]])
    tick_until_reconciled(script)
    assert [("answered", KEY), ("failed", "lost")] == [(fact["kind"], fact["call_key"]) for fact in journal()]


def test_calls_of_another_node_with_our_name_are_left_alone(world, node, script, journal):
    """It is alive, or nobody has heard of us yet; and if it falls silent it may be cut off with its calls up."""
    folder, _, _ = node.instance.name.partition(".")
    other, own = "01HX0000000000000000000000.boot", node.instance.name
    use(node, unanswered_calls=[[ringing()]], instance_of=[None, f"{folder}.earlier-boot", other, own])
    for _ in range(4):
        tick_until_reconciled(script)
    assert ([], []) == (node.ledger.asked_for("unanswered_calls"), journal())


@pytest.mark.parametrize(("opened_ago_ms", "given_back"), [(2 * 60_000, []), (30_000, ["rang", "reaped", "silent"])])
def test_calls_from_before_the_name_was_ours_are_anothers(world, killed, script, journal, opened_ago_ms, given_back):
    """The first node with this name is cut off, and a replacement has it: what rang, or was answered long after this
    machine's own proxy had ended, may be up there. What was opened here since then is our own."""
    state = Path(killed.settings.node.state_dir)
    now = Moment.now()
    (state / "claimed").write_text(str(Moment(now.monotonic_ms - 60_000, now.wall_ms - 60_000, now.boot)))
    rang = ringing(call_key="rang", opened_ago_ms=opened_ago_ms)
    silent = live_call(call_key="silent", opened_ago_ms=opened_ago_ms, answered_ago_ms=10_000)
    use(
        killed,
        live_calls=[[silent], []],
        live_call=[silent],
        unanswered_calls=[[rang]],
        reaped_calls=[[Reaped("reaped", "call-9", opened_ago_ms)]],
    )
    tick_until_reconciled(script)
    assert given_back == sorted(fact["call_key"] for fact in journal() if fact["kind"] == "failed")


def test_name_from_before_the_machine_was_started_anew_is_ours_again(world, node, script, journal):
    """As soon as the drain was heard."""
    before = f"{node.instance.name.partition('.')[0]}.earlier-boot"
    use(node, unanswered_calls=[[ringing()]], instance_of=[before, node.instance.name])
    for _ in range(2):
        tick_until_reconciled(script)
    assert ["failed"] == [fact["kind"] for fact in journal()]
