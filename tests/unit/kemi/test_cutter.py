"""The cutter: every call ends at its deadline, once, whatever else goes on."""

import pytest

from billing import facts
from billing.clock import Moment
from billing.journal import JournalUnwritable
from kemi import cutter, dialogs
from kemi.cutter import Cutter
from tests.unit.builders import Ledger, extended, live_call
from tests.unit.kemi.conftest import answered_ago

KEY = "01HX0000000000000000000000"


class Clock:
    """Monotonic and wall clock of everybody, which stand until a test moves them."""

    def __init__(self, monkeypatch):
        self.now = Moment.now()
        monkeypatch.setattr(Moment, "now", staticmethod(lambda: self.now))
        monkeypatch.setattr(cutter, "monotonic_ms", lambda: self.now.monotonic_ms)

    def go_on(self, seconds):
        passed_ms = round(seconds * 1000)
        self.now = Moment(self.now.monotonic_ms + passed_ms, self.now.wall_ms + passed_ms, self.now.boot)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
def up(clock, world, node):
    """A call that was answered just now, with a grant of 120 s; its fact is in the journal."""
    answer(world, node)
    return world


def answer(world, node, key=KEY, call_id="call-1", grant_s=120):
    dialog = world.known(callid=call_id)
    dialog.variables |= {"k": key, "g": str(grant_s), "t": str(Moment.now())}
    node.record(facts.answered(key, Moment.now(), 1, grant_s, call_id, "from-1", "to-1"))
    return dialog


def ends(journal):
    return [(fact["call_key"], fact["end_reason"], fact["talked_ms"]) for fact in journal() if fact["kind"] == "ended"]


# --- calls from the dialog store ------------------------------------------------------------------------------------


@pytest.fixture
def stored(monkeypatch):
    """The dialogs that Kamailio found in its store."""
    found = [("call-1", "from-1", "to-1")]
    monkeypatch.setattr(cutter, "node_dialogs", lambda: found)
    return found


def restored(world, **variables):
    dialog = world.known()
    dialog.variables |= {"k": KEY, "g": "120", "t": str(Moment.now())} | variables
    return dialog


def test_call_from_the_store_is_cut_without_journal_and_ledger(clock, world, node, script, stored, journal):
    """Its answer was settled and tidied away long ago, and the database is away."""
    restored(world)
    script.cutter("cutter")
    clock.go_on(119.9)
    script.cutter("cutter")
    assert [] == ends(journal)
    clock.go_on(0.2)
    script.cutter("cutter")
    assert [(KEY, "cut", 120_100)] == ends(journal)


def test_call_from_the_store_has_its_lifetime_again(clock, world, node, script, stored, journal):
    """Killed between 200 and ACK, its row had none: the dialog timer would end it a second after the start."""
    dialog = restored(world)
    clock.go_on(20)
    script.cutter("cutter")
    assert [100 + dialogs.BACKSTOP_S] == dialog.lifetimes


def test_overdue_call_from_the_store_is_the_cutters_alone(clock, world, node, script, stored, journal):
    """The dialog timer would come to it while the cutter is about it, and both would tell both sides."""
    dialog = restored(world)
    clock.go_on(500)
    script.cutter("cutter")
    assert ([1 + dialogs.BACKSTOP_S, 1], [(KEY, "cut", 500_000)]) == (dialog.lifetimes, ends(journal))


@pytest.mark.parametrize("variables", [{"x": "1"}, {"m": "1"}, {"t": ""}], ids=["ended", "emergency", "ringing"])
def test_other_dialogs_of_the_store_are_left_alone(clock, world, node, script, stored, journal, variables):
    """Ended and told, never charged, or never answered."""
    restored(world, **variables)
    script.cutter("cutter")
    clock.go_on(500)
    script.cutter("cutter")
    assert [] == ends(journal)


def test_damaged_dialog_of_the_store_keeps_no_other_waiting(clock, world, node, script, stored, journal):
    """It is said, and the next one is cut."""
    restored(world, t="no moment")
    stored.append(("call-2", "from-1", "to-1"))
    other = world.known(callid="call-2")
    other.variables |= {"k": "other", "g": "10", "t": str(Moment.now())}
    script.cutter("cutter")
    clock.go_on(10.1)
    script.cutter("cutter")
    assert [("other", "cut", 10_100)] == ends(journal)


# --- at the deadline ---------------------------------------------------------------------------------------------


def test_call_is_cut_at_its_deadline(up, clock, script, journal):
    """Not a tick before the grant is over; then the fact, a BYE to both sides, and the dialog goes."""
    script.cutter("cutter")
    clock.go_on(119.9)
    script.cutter("cutter")
    assert ([], []) == (ends(journal), up.did("send"))
    clock.go_on(0.1)
    script.cutter("cutter")
    assert [(KEY, "cut", 120_000)] == ends(journal)
    assert (["BYE", "BYE"], [1]) == ([method for method, *_ in up.did("send")], up.dialog.lifetimes)


def test_call_is_cut_once(up, clock, script, journal):
    """However often the cutter looks afterwards, and though it reads its own fact."""
    clock.go_on(121)
    for _ in range(5):
        script.cutter("cutter")
        clock.go_on(60)
    assert (1, 2) == (len(ends(journal)), len(up.did("send")))


def test_fact_written_twice_cuts_once(up, node, clock, script, journal):
    """The drain puts a fact behind the others when its account is busy: the same answer is read again."""
    script.cutter("cutter")
    node.record(facts.answered(KEY, Moment.now(), 1, 120, "call-1", "from-1", "to-1"))
    clock.go_on(121)
    script.cutter("cutter")
    script.cutter("cutter")
    assert 1 == len(ends(journal))


def test_call_is_cut_by_its_own_deadline(clock, world, node, script, journal):
    """Three calls, answered in one order and over in another, end soonest first."""
    for number, grant_s in enumerate((90, 30, 60)):
        answer(world, node, f"call {number}", f"call-{number}", grant_s)
    ended = []
    for _ in range(10):
        clock.go_on(10)
        script.cutter("cutter")
        ended.append([key for key, *_ in ends(journal)])
    assert [[], [], ["call 1"], ["call 1"], ["call 1"], ["call 1", "call 2"]] == ended[:6]
    assert ["call 1", "call 2", "call 0"] == ended[-1]


def test_deadline_is_counted_from_the_answer(up, clock, script, journal):
    """A cutter that reads the fact late, because it was busy or just started, cuts no later for it."""
    clock.go_on(100)
    script.cutter("cutter")
    clock.go_on(20)
    script.cutter("cutter")
    assert [(KEY, "cut", 120_000)] == ends(journal)


# --- the grant grew ----------------------------------------------------------------------------------------------


def test_renewed_call_is_cut_later(up, clock, script, journal):
    """The dialog's grant is what counts: looked at when the old deadline comes, and cut at the new one."""
    script.cutter("cutter")
    up.dialog.variables["g"] = "240"
    for _ in range(119):
        clock.go_on(1)
        script.cutter("cutter")
    clock.go_on(120.9)
    script.cutter("cutter")
    assert [] == ends(journal)
    clock.go_on(0.2)
    script.cutter("cutter")
    assert [(KEY, "cut", 240_100)] == ends(journal)


def test_keeper_and_cutter_agree(up, node, clock, script, journal):
    """What the keeper renewed is not cut; what it could not renew is."""
    node._ledger = Ledger(live_calls=[[live_call()], []], extend_call=extended(240))
    clock.go_on(119)
    script.keeper("keeper")
    clock.go_on(1)
    script.cutter("cutter")
    assert [] == ends(journal)
    clock.go_on(121)
    script.cutter("cutter")
    assert [KEY] == [key for key, *_ in ends(journal)]


# --- what must not stop it ---------------------------------------------------------------------------------------


def test_one_bad_call_does_not_keep_the_others_from_their_end(clock, world, node, script, journal, events):
    """A call that cannot be ended is logged; the dialog timer stands behind it."""
    answer(world, node, "bad", "call-1").variables["t"] = "nonsense"
    answer(world, node, "good", "call-2")
    clock.go_on(121)
    script.cutter("cutter")
    assert ["good"] == [key for key, *_ in ends(journal)]
    assert ["bad"] == [line["call_key"] for line in events("cut_failed")]


@pytest.mark.parametrize(
    "fact",
    [
        {"kind": "answered", "call_key": "old"},
        {"kind": "answered", "call_key": "old", "at": "yesterday", "grant_s": 1},
        {"kind": "watch"},
        {"kind": "ended"},
        {"kind": "unheard of"},
    ],
)
def test_fact_that_cannot_be_read_hides_none_behind_it(clock, world, node, script, journal, fact):
    """A fact of another version says nothing to this one; the calls behind it in the journal end on time."""
    node.record(fact)
    answer(world, node)
    clock.go_on(121)
    script.cutter("cutter")
    assert [KEY] == [one["call_key"] for one in journal() if one.get("end_reason") == "cut"]


def test_database_that_is_away_delays_no_cut(up, node, clock, script, journal):
    """The cutter asks nobody."""
    node._ledger = Ledger()
    clock.go_on(120)
    script.cutter("cutter")
    assert ([KEY], []) == ([key for key, *_ in ends(journal)], node.ledger.asked)


def test_unwritable_journal_keeps_nobody_talking(up, node, clock, script, journal, monkeypatch):
    """The BYEs go out at the deadline; the fact waits in memory and is written when the disk takes it."""
    script.cutter("cutter")
    clock.go_on(120)
    with monkeypatch.context() as patch:
        patch.setattr(node.journal, "append", full)
        script.cutter("cutter")
    assert (2, []) == (len(up.did("send")), ends(journal))
    script.cutter("cutter")
    assert [KEY] == [key for key, *_ in ends(journal)]


def full(fact):
    raise JournalUnwritable(28, "full")


# --- calls that are over -----------------------------------------------------------------------------------------


def test_call_that_ended_by_itself_is_left_alone(up, clock, script, journal):
    """Its end is in the journal: at the deadline nobody is told anything."""
    script.cutter("cutter")
    clock.go_on(30)
    up.request("BYE", tt="to-1")
    script.dialog_event("dialog:end")
    clock.go_on(200)
    script.cutter("cutter")
    assert ([(KEY, "caller", 30_000)], []) == (ends(journal), up.did("send"))


@pytest.mark.parametrize("gone", ["dialog", "mark"])
def test_call_whose_end_is_not_read_yet_is_left_alone(up, clock, script, journal, gone):
    """The dialog that is gone, or says that it is ended, is proof enough."""
    script.cutter("cutter")
    if gone == "dialog":
        up.dialogs.clear()
    else:
        up.dialog.variables["x"] = "1"
    clock.go_on(120)
    script.cutter("cutter")
    assert ([], [], []) == (ends(journal), up.did("send"), up.dialog.lifetimes)


def test_ended_calls_are_not_remembered_for_ever(clock, world, node):
    """When its deadline is over nothing of a call is kept, however it ended."""
    made = Cutter(node.settings.node.state_dir / "journal")
    for number in range(20):
        answer(world, node, f"call {number}", f"call-{number}")
        if number % 2:
            node.record(facts.ended(f"call {number}", 1000, "caller", 1))
        elif number % 4:
            del world.dialogs[f"call-{number}", "from-1"]  # and nobody knows why
    made.tick()
    assert 10 == len(made._waiting)
    clock.go_on(120)
    made.tick()
    made.tick()
    assert ([], set()) == (made._deadlines, made._waiting)


def test_end_in_the_journal_is_enough(up, node, clock, script, journal):
    """The proxy died before the dialog store had the mark: the end that was written is the end that counts."""
    node.record(facts.ended(KEY, 1000, "caller", 1))
    clock.go_on(120)
    script.cutter("cutter")
    assert ([(KEY, "caller", 1000)], []) == (ends(journal), up.did("send"))


# --- after a restart ---------------------------------------------------------------------------------------------


def test_restarted_cutter_reads_what_the_journal_still_has(up, clock, script, journal):
    """The proxy died after an answer: the new cutter finds the fact and ends the call on time."""
    script.cutter("cutter")
    cutter._cutter = None
    clock.go_on(120)
    script.cutter("cutter")
    assert [(KEY, "cut", 120_000)] == ends(journal)


def test_call_from_before_a_restart_is_watched(clock, world, node, script, journal):
    """Its answer is no longer in the journal: the keeper's word has deadline and dialog."""
    world.known().variables["t"] = answered_ago(60)
    node.record(facts.watch(KEY, 60_000, "call-1", "from-1", "to-1"))
    script.cutter("cutter")
    clock.go_on(59.9)
    script.cutter("cutter")
    assert [] == ends(journal)
    clock.go_on(0.2)
    script.cutter("cutter")
    assert [KEY] == [key for key, *_ in ends(journal)]


def test_call_over_its_deadline_at_the_restart_is_cut_at_once(clock, world, node, script, journal):
    """The proxy was down when the grant ended."""
    world.known().variables["t"] = answered_ago(130)
    node.record(facts.watch(KEY, -10_000, "call-1", "from-1", "to-1"))
    script.cutter("cutter")
    assert [(KEY, "cut", 130_000)] == ends(journal)


def test_call_that_is_known_and_watched_is_cut_once(up, node, clock, script, journal):
    """Fact and word of the same call make one end."""
    node.record(facts.watch(KEY, 120_000, "call-1", "from-1", "to-1"))
    up.dialog.variables["g"] = "180"
    for _ in range(20):
        clock.go_on(10)
        script.cutter("cutter")
    assert (1, 2) == (len(ends(journal)), len(up.did("send")))
    assert [1] == up.dialog.lifetimes


def test_cut_that_failed_leaves_the_call_to_the_dialog_timer(up, clock, script, journal, monkeypatch):
    """The backstop: what the cutter missed ends with the dialog's own timer, as a cut."""

    def fail():
        raise RuntimeError

    clock.go_on(120)
    with monkeypatch.context() as patch:
        patch.setattr(dialogs, "cut", fail)
        script.cutter("cutter")
    clock.go_on(1)
    script.dialog_event("dialog:timeout")
    assert [(KEY, "cut", 121_000)] == ends(journal)
