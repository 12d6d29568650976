"""The drain: every fact reaches the ledger or is set aside, in order, whatever the ledger and the disk do."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from billing import facts
from billing.clock import Moment
from billing.directory import DirectoryFile
from billing.drain import NAME_KEPT_S, Drain, _Every
from billing.errors import InvalidAmount, KeyConflict, LedgerBusy, LedgerError, LedgerRefused, LedgerUnavailable
from billing.instance import claimed_ago_ms, instance_in
from billing.journal import JournalBusy, JournalReader, JournalTail, JournalUnwritable, JournalWriter
from billing.ledger_types import Alarm, CarrierRow, Claim, TrunkRow
from billing.ledger_types_accounts import PremiumPrefix
from billing.logs import EventLog
from billing.settings import Settings
from tests.unit.builders import Ledger, settled, to_settle

TRUNK = TrunkRow(1, "office", "customer", 7, ("198.51.100.0/24",))
CARRIER = CarrierRow(1, "first", "192.0.2.1", 5060, "udp", 0, 1, None, "")


@pytest.fixture
def node(tmp_path):
    return Settings(
        node={"name": "node-1", "state_dir": tmp_path},
        sip={"realm": "example.net", "listen": ("udp:127.0.0.1:5060",)},
        card_pin_key="k" * 32,
        drain={"interval_ms": 1},
    )


@pytest.fixture
def logged(monkeypatch):
    """The lines of the log with an event's name."""
    lines = []
    monkeypatch.setattr("billing.logs.write", lines.append)
    return lambda event: [content for line in lines if (content := json.loads(line))["event"] == event]


def quiet(**answers):
    """A ledger that settles what is asked, with nothing to reap."""
    return Ledger(
        **{
            "call_to_settle": to_settle(),
            "settle_call": settled(),
            "heartbeat": Claim("alive", "own", "here", 0),
            "instance_of": None,
            "trunks": (),
            "carriers": (),
            "premium_prefixes": (),
            "reap_calls": (),
            "uncosted_calls": (),
            "alarms": (),
            "forget_counts": None,
        }
        | answers
    )


def key(number):
    return f"01HX00000000000000000000{number:02}"


def write(node, *numbers):
    writer = JournalWriter(node.node.state_dir / "journal")
    for number in numbers:
        writer.append(facts.ended(key(number), 1000, "caller", None))
    writer.close()


def keys_settled(ledger):
    return [call_key for call_key, _ in ledger.asked_for("settle_call")]


def waiting(drain):
    """The calls whose facts the next drain would find; this one is over."""
    drain._reader.close()
    reader = JournalReader(drain._refused.parent)
    found = [entry.fact["call_key"] for entry in reader.entries()]
    reader.close()
    return found


def run_until(drain, ledger, routine, times=1):
    """Run the drain until the ledger was asked so often for a routine."""
    original = ledger.answers[routine]

    def stop_then(*arguments):
        if len(ledger.asked_for(routine)) >= times:
            drain.stop.set()
        first = original.pop(0) if len(original) > 1 else original[0]
        if isinstance(first, Exception):
            raise first
        return first

    ledger.answers[routine] = [stop_then]
    drain.run()


def run_until_tried(drain, ledger, routine):
    """Turns of the drain until the ledger was asked for a routine; what it answers is not changed."""
    for _ in range(100):
        if ledger.asked_for(routine):
            return
        drain._turn()
    raise AssertionError(routine)


def test_facts_are_applied_in_order(node):
    """What was written first is settled first."""
    write(node, 1, 2, 3)
    ledger = quiet()
    assert 3 == Drain(node, ledger).drain_once()
    assert [key(1), key(2), key(3)] == keys_settled(ledger)


def test_applied_facts_are_done(node):
    """A fact in the ledger is not applied again, by this drain or the next."""
    write(node, 1)
    ledger = quiet()
    drain = Drain(node, ledger)
    assert [1, 0] == [drain.drain_once(), drain.drain_once()]
    assert [] == waiting(drain)


def test_second_drain_is_refused(node):
    """Two drains of one journal would settle out of order: the second says so and ends, and may come when the first
    is gone."""
    first = Drain(node, quiet())
    with pytest.raises(JournalBusy, match="drained by another process"):
        Drain(node, quiet())
    first._reader.close()
    Drain(node, quiet())


def test_ledger_that_goes_away_keeps_the_rest_waiting(node):
    """The fact under way and all behind it wait; those before it are done."""
    write(node, 1, 2, 3)
    drain = Drain(node, quiet(settle_call=[settled(), LedgerUnavailable("gone")]))
    with pytest.raises(LedgerUnavailable):
        drain.drain_once()
    assert [key(2), key(3)] == waiting(drain)


def test_run_waits_for_the_ledger_without_end(node):
    """Each failure is one try more; when the ledger is back everything is applied, once and in order."""
    write(node, 1, 2)
    gone = LedgerUnavailable("gone")
    ledger = quiet(settle_call=[gone, gone, settled(), settled()])
    drain = Drain(node, ledger)
    run_until(drain, ledger, "settle_call", times=4)
    assert [key(1), key(1), key(1), key(2)] == keys_settled(ledger)
    assert [] == waiting(drain)


@pytest.mark.parametrize(
    "error",
    [LedgerRefused("invalid_content", "no"), KeyConflict("other"), InvalidAmount("none"), ValueError("no")],
)
def test_refused_fact_is_set_aside_and_the_next_goes_on(node, error):
    """A fact that the ledger refuses for good is kept in refused.log with its reason, and holds nobody up."""
    write(node, 1, 2)
    drain = Drain(node, quiet(settle_call=[error, settled()]))
    assert 2 == drain.drain_once()
    (line,) = (node.node.state_dir / "journal" / "refused.log").read_text().splitlines()
    kept = json.loads(line)
    assert (repr(error), key(1)) == (kept["error"], kept["fact"]["call_key"])
    assert [] == waiting(drain)


def test_damaged_line_is_reported_and_passed(node, logged):
    """A line that cannot be read is an error in the log, once, and the facts around it are applied."""
    write(node, 1, 2, 3)
    (path,) = (node.node.state_dir / "journal").glob("*.journal")
    first, second, third = (line for line in path.read_bytes().splitlines() if line)
    path.write_bytes(b"\n".join((first, b"x" + second[1:], third, b"")))
    ledger = quiet()
    drain = Drain(node, ledger)
    drain.drain_once()
    drain.drain_once()
    assert [key(1), key(3)] == keys_settled(ledger)
    assert ["checksum does not match"] == [line["reason"] for line in logged("journal_damaged")]


def test_killed_between_settlement_and_position_repeats_that_fact_alone(node, monkeypatch):
    """A drain killed after the ledger's answer settles that call again, which the ledger answers as before."""
    write(node, 1, 2)
    ledger = quiet()
    drain = Drain(node, ledger)

    class Killed(BaseException):
        pass

    def die(self, entry):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(JournalReader, "done", die)
        with pytest.raises(Killed):
            drain.drain_once()
    drain._reader.close()
    after = quiet(settle_call=[settled("already"), settled()])
    assert 2 == Drain(node, after).drain_once()
    assert [key(1), key(2)] == keys_settled(after)


# --- one bad thing among many good ones ---------------------------------------------------------------------


@pytest.mark.parametrize("error", [ArithmeticError("decimal"), AttributeError("slip"), AssertionError("slip")])
def test_fact_that_meets_a_slip_in_the_program_does_not_stop_the_node(node, error):
    """An error nobody expected concerns one fact; it is set aside like any other and the calls behind it settle."""
    write(node, 1, 2)
    ledger = quiet(settle_call=[error, settled()])
    assert 2 == Drain(node, ledger).drain_once()
    assert [key(1), key(2)] == keys_settled(ledger)


def test_call_that_never_settles_does_not_stop_the_others(node):
    """One call whose grant the ledger always calls stale waits by itself; the calls behind it are settled, once."""
    write(node, 1, 2)
    ledger = quiet(settle_call=lambda call_key, content: settled("stale" if call_key == key(1) else "settled"))
    drain = Drain(node, ledger)
    assert [2, 1, 1] == [drain.drain_once() for _ in range(3)]
    assert 1 == keys_settled(ledger).count(key(2))
    assert [key(1)] == waiting(drain)


def test_busy_account_waits_behind_the_others(node):
    """A fact whose account is locked by others goes to the journal's end, as it was, and is tried again there."""
    write(node, 1, 2, 3)
    ledger = quiet(settle_call=[LedgerBusy("hot account"), settled(), settled(), settled()])
    drain = Drain(node, ledger)
    assert [3, 1, 0] == [drain.drain_once() for _ in range(3)]
    assert [key(1), key(2), key(3), key(1)] == keys_settled(ledger)
    first, *_, last = JournalTail(node.node.state_dir / "journal").facts()
    assert {**first, "again": True} == last
    assert not (node.node.state_dir / "journal" / "refused.log").exists()


def two_ends(node):
    """A call that ended twice, as after a kill that lost its end: the first is true."""
    writer = JournalWriter(node.node.state_dir / "journal")
    for talked_ms in (1142, 17764):
        writer.append(facts.ended(key(1), talked_ms, "caller", None))
    writer.append(facts.ended(key(2), 1000, "caller", None))
    writer.close()


def talked(ledger):
    return [settlement.talked_ms for _, settlement in ledger.asked_for("settle_call")]


def test_busy_fact_is_not_overtaken_by_its_own_calls_next(node):
    """Other calls go on; the second end waits behind the first."""
    two_ends(node)
    ledger = quiet(settle_call=[LedgerBusy("hot account"), settled(), settled(), settled()])
    drain = Drain(node, ledger)
    assert [3, 2, 0] == [drain.drain_once() for _ in range(3)]
    assert [1142, 1000, 1142, 17764] == talked(ledger)


def test_next_drain_keeps_the_order_of_what_was_put_back(node):
    """The drain dies after it put the first end behind the second."""
    two_ends(node)
    drain = Drain(node, quiet(settle_call=[LedgerBusy("hot account"), settled()]))
    (first, *_) = drain._reader.entries()
    drain._apply(first)
    drain._reader.close()
    ledger = quiet(settle_call=[settled(), settled(), settled()])
    after = Drain(node, ledger)
    while after.drain_once():
        pass
    assert [1000, 1142, 17764] == talked(ledger)


def test_busy_fact_that_cannot_be_written_again_is_not_lost(node, monkeypatch):
    """With a full disk it stays where it is, undone, until there is room."""
    write(node, 1, 2)
    drain = Drain(node, quiet(settle_call=[LedgerBusy("hot account"), settled()]))

    def full(fact):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(drain._writer, "append", full)
    with pytest.raises(OSError, match="No space"):
        drain.drain_once()
    assert [key(1), key(2)] == waiting(drain)


def test_fact_that_cannot_be_set_aside_is_not_lost(node, monkeypatch):
    """A refused fact is done only when refused.log has it."""
    write(node, 1)
    drain = Drain(node, quiet(settle_call=LedgerRefused("invalid_content", "no")))
    drain._refused.mkdir()  # nothing can be written to it
    with pytest.raises(OSError, match="directory"):
        drain.drain_once()
    assert [key(1)] == waiting(drain)


def test_watches_and_openings_ask_the_ledger_for_nothing(node):
    """They speak to others, and are done when read."""
    writer = JournalWriter(node.node.state_dir / "journal")
    writer.append(facts.opening(key(1), 100))
    writer.append(facts.watch(key(1), 1000, "call-1", "from-1", "to-1"))
    ledger = quiet()
    drain = Drain(node, ledger)
    assert 2 == drain.drain_once()
    assert ([], []) == (ledger.asked, waiting(drain))


@pytest.mark.parametrize("routine", ["heartbeat", "trunks", "carriers", "reap_calls", "alarms", "forget_counts"])
def test_periodic_work_that_is_refused_does_not_end_the_drain(node, routine):
    """A heartbeat or a reap that the ledger refuses is logged; facts go on being applied."""
    ledger = quiet(**{routine: LedgerRefused("reap_failed", "call x"), "call_to_settle": None})
    drain = Drain(node, ledger)
    write(node, 1)
    drain.drain_once()
    run_until_tried(drain, ledger, "reap_calls" if routine != "reap_calls" else "carriers")
    assert ledger.asked_for(routine)
    write(node, 2)
    assert 1 == drain.drain_once()


def test_full_disk_does_not_end_the_drain(node, monkeypatch):
    """A position that cannot be written is a fact to repeat later, not the end of the process."""
    write(node, 1)
    ledger = quiet()
    drain = Drain(node, ledger)

    def full(self, entry):
        drain.stop.set()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(JournalReader, "done", full)
    drain.run()
    assert drain.stop.is_set() is True


# --- what a node needs now and then -------------------------------------------------------------------------


def test_trunks_and_carriers_are_published(node):
    """SIP workers find the ledger's trunks and carriers in the node's file."""
    ledger = quiet(trunks=(TRUNK,), carriers=(CARRIER,))
    drain = Drain(node, ledger)
    run_until(drain, ledger, "reap_calls")
    directory = DirectoryFile(node.node.state_dir / "directory.json").current()
    assert (["office"], ["first"]) == ([one.name for one in directory.trunks], [one.name for one in directory.carriers])


def test_premium_ranges_and_owners_of_trunks_are_published(node):
    """What a call is judged by without asking the ledger."""
    ledger = quiet(trunks=(replace(TRUNK, owner_account_id=5),), premium_prefixes=(PremiumPrefix("979", "x", "y"),))
    drain = Drain(node, ledger)
    run_until(drain, ledger, "reap_calls")
    directory = DirectoryFile(node.node.state_dir / "directory.json").current()
    assert ({"979": "x"}, 5) == (directory.premium, directory.trunks[0].owner_account_id)


def test_slip_in_one_trunk_keeps_no_other_out(node, logged):
    """A mistyped network is passed over and named; host bits are read as the network they stand in."""
    slip = TrunkRow(2, "slip", "customer", 8, ("nonsense", "203.0.113.9/24"))
    ledger = quiet(trunks=(slip, TRUNK))
    drain = Drain(node, ledger)
    run_until(drain, ledger, "reap_calls")
    directory = DirectoryFile(node.node.state_dir / "directory.json").current()
    assert [2, 1] == [directory.trunk_at(address).trunk_id for address in ("203.0.113.77", "198.51.100.7")]
    assert {("slip", "nonsense")} == {(line["trunk"], line["network"]) for line in logged("trunk_address_skipped")}


def test_node_says_that_it_lives(node):
    """The heartbeat names the node."""
    ledger = quiet()
    drain = Drain(node, ledger)
    run_until(drain, ledger, "reap_calls")
    assert "node-1" == ledger.asked_for("heartbeat")[0][0]


def test_node_whose_name_is_taken_says_so_and_reaps_nothing(node, logged):
    """The proxy reads it in the directory; when the other one is silent, all is well again. Logged at each change."""
    taken = Claim("taken", "01HX.boot", "host2:/state", 400)
    ledger = quiet(heartbeat=[taken, taken, Claim("alive", "own", "here", 0)])
    drain = Drain(node, ledger)
    directory = DirectoryFile(node.node.state_dir / "directory.json")
    seen = []
    for _ in range(3):
        drain._beat()
        drain._publish_directory()
        drain._reap()
        seen.append((directory.current().twin, len(ledger.asked_for("reap_calls"))))
    other = "01HX.boot at host2:/state"
    assert [(other, 0), (other, 0), ("", 1)] == seen
    assert ([other], 1) == ([line["other"] for line in logged("node_taken")], len(logged("node_regained")))
    assert instance_in(node.node.state_dir).name == ledger.asked_for("heartbeat")[0][2]


@pytest.mark.parametrize("before", [None, "own", "another"])
def test_name_that_was_another_folders_is_claimed_with_its_moment(node, before):
    """Before the claim: the keeper never has the name without it. A name that is kept is not looked up again."""
    state = node.node.state_dir
    own = instance_in(state).name.partition(".")[0]
    ledger = quiet(instance_of={"own": f"{own}.earlier-boot", "another": "01HX.boot"}.get(before))
    drain = Drain(node, ledger)
    noted = []
    ledger.answers["heartbeat"] = [
        lambda *_: noted.append(claimed_ago_ms(state)) or Claim("alive", "own", "here", 0),
    ]
    drain._beat()
    drain._beat()
    assert [before == "another"] * 2 == [ago is not None for ago in noted]
    assert [("node-1",)] == ledger.asked_for("instance_of")


def test_name_is_looked_up_again_after_a_silence_or_a_refusal(node, monkeypatch):
    """Somebody else may have had it meanwhile."""
    taken, alive = Claim("taken", "01HX.boot", "host2:/state", 400), Claim("alive", "own", "here", 0)
    ledger = quiet(heartbeat=[alive, taken, alive])
    drain = Drain(node, ledger)
    drain._beat()
    later = drain._started_s + NAME_KEPT_S + 60
    monkeypatch.setattr("billing.drain.time.monotonic", lambda: later)
    drain._beat()
    drain._beat()
    assert 3 == len(ledger.asked_for("instance_of"))


def test_node_that_was_retired_and_returns_is_told(node, logged):
    """Somebody said that it never would: once, and it goes on as any other."""
    back = Claim("alive", "own", "here", 0, retired_by="cli:anna")
    drain = Drain(node, quiet(heartbeat=[back, Claim("alive", "own", "here", 0)]))
    for _ in range(2):
        drain._beat()
    assert ["cli:anna"] == [line["retired_by"] for line in logged("node_returned")]


def test_late_truth_is_told_and_stands_in_nobodys_way(node, logged):
    """A call whose charge was accepted as final: its fact is done as any other, and the log names it."""
    write(node, 1, 2)
    drain = Drain(node, quiet(settle_call=[settled("accepted"), settled()]))
    assert 2 == drain.drain_once()
    assert ([key(1)], []) == ([line["call_key"] for line in logged("late_truth")], waiting(drain))


def test_an_alarm_is_told_when_it_is_raised_and_when_it_stops_somebody(node, logged):
    """Twice, however often the drain looks, and however many more calls are refused."""
    at = datetime(2026, 3, 1, tzinfo=UTC)
    near = Alarm(7, "Acme", "EUR", "spending_limit", "", at, Decimal(50), Decimal("41.5"), at, at, 1, 0, None, None, "")
    stopped = replace(near, reached=Decimal("50.000000"), refused=3, stopped_at=at)
    drain = Drain(node, quiet(alarms=[(near,), (near,), (stopped,), (replace(stopped, refused=9),)]))
    for _ in range(4):
        drain._log_alarms()
    assert [
        ("spending_limit", "Acme", "2026-03-01 00:00", "41.5", "50", False),
        ("spending_limit", "Acme", "2026-03-01 00:00", "50", "50", True),
    ] == [
        tuple(line[name] for name in ("limit", "account", "since", "reached", "of", "stopped"))
        for line in logged("alarm")
    ]


def test_reaped_calls_are_reported(node, logged):
    """A call charged at its whole grant because nobody knows better is an error in the log."""
    ledger = quiet(reap_calls=[("01HX0000000000000000000009",), ()])
    drain = Drain(node, ledger)
    run_until(drain, ledger, "reap_calls")
    assert ["01HX0000000000000000000009"] == [line["call_key"] for line in logged("call_reaped")]


def test_facts_go_before_the_reaper(node):
    """What the journal knows about a call is in the ledger before anything is reaped."""
    write(node, 1)
    ledger = quiet()
    drain = Drain(node, ledger)
    run_until(drain, ledger, "reap_calls")
    routines = [one[0] for one in ledger.asked]
    assert routines.index("settle_call") < routines.index("reap_calls")


def test_nothing_is_reaped_while_facts_wait(node, monkeypatch):
    """With a full batch in hand there may be more: a call whose end is still in the journal must not be reaped."""
    monkeypatch.setattr("billing.drain.BATCH_MAX", 2)
    write(node, 1, 2, 3)
    ledger = quiet()
    drain = Drain(node, ledger)
    drain._turn()
    assert ([], 1) == (ledger.asked_for("reap_calls"), len(ledger.asked_for("heartbeat")))
    drain._turn()
    assert ([key(1), key(2), key(3)], 1) == (keys_settled(ledger), len(ledger.asked_for("reap_calls")))


def test_away_ledger_does_not_keep_the_journal_from_the_disk(node, monkeypatch):
    """While the database is away the journal is still synced."""
    write(node, 1)
    ledger = quiet(settle_call=LedgerUnavailable("gone"))
    drain = Drain(node, ledger)
    synced = []
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: (synced.append(descriptor), drain.stop.set()))
    drain.run()
    assert synced


def test_fact_that_cannot_be_put_back_stays_where_it_is(node, monkeypatch):
    """The account is busy and the disk full: it is neither done nor set aside, and stands in nobody's way after."""
    write(node, 1)
    ledger = quiet(settle_call=[LedgerBusy("purse"), settled()])
    drain = Drain(node, ledger)
    put_back = JournalWriter.append
    monkeypatch.setattr(JournalWriter, "append", lambda *_: (_ for _ in ()).throw(JournalUnwritable(28, "full")))
    drain._turn()
    monkeypatch.setattr(JournalWriter, "append", put_back)
    assert not drain._refused.exists()
    drain._turn()
    assert 2 == len(ledger.asked_for("settle_call"))
    assert [] == waiting(drain)


def test_second_fact_that_cannot_be_put_back_stays_where_it_is(node, monkeypatch):
    """It waits for an earlier one of its call, and there is no room behind that one."""
    writer = JournalWriter(node.node.state_dir / "journal")
    writer.append(facts.answered(key(1), Moment.now(), 1, 120, "c", "f", "t"))
    writer.append(facts.ended(key(1), 1000, "caller", None))
    ledger = quiet(answer_call=[LedgerBusy("purse"), "answered"])
    drain = Drain(node, ledger)
    kept = JournalWriter.append

    def once(self, fact):
        monkeypatch.setattr(JournalWriter, "append", lambda *_: (_ for _ in ()).throw(JournalUnwritable(28, "full")))
        kept(self, fact)

    monkeypatch.setattr(JournalWriter, "append", once)
    drain._turn()
    monkeypatch.setattr(JournalWriter, "append", kept)
    assert not drain._refused.exists()
    for _ in range(3):
        drain._turn()
    assert [key(1)] == keys_settled(ledger)
    assert [] == waiting(drain)


def test_full_disk_does_not_keep_facts_from_the_ledger(node, monkeypatch):
    """How far the journal is settled finds no room: it is remembered, and everything goes on."""
    write(node, 1, 2)
    ledger = quiet()
    drain = Drain(node, ledger)
    monkeypatch.setattr("billing.journal.os.pwrite", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    for _ in range(2):
        drain._turn()
    assert [key(1), key(2)] == keys_settled(ledger)


def test_facts_that_want_a_right_are_tried_less_and_less_often(node):
    """A routine is missing: the journal must not fill up with the same facts, nor the log with lines."""
    write(node, 1)
    drain = Drain(node, quiet(call_to_settle=LedgerError("no EXECUTE")))
    assert [0.5, 1.0, 2.0, 4.0, 5.0, 5.0] == [drain._turn() for _ in range(6)]


def test_every_runs_at_most_once_in_its_time(monkeypatch):
    """Periodic work runs when its time has come, and not again before."""
    now = [100.0]
    monkeypatch.setattr("billing.drain.time.monotonic", lambda: now[0])
    ran = []
    every = _Every(5.0, lambda: ran.append(now[0]), EventLog("drain", "node-1"))
    for at in (100.0, 104.9, 105.0, 105.1, 111.0):
        now[0] = at
        every.run_if_due()
    assert [100.0, 105.0, 111.0] == ran


def test_every_that_raises_is_not_tried_again_at_once(monkeypatch):
    """Work that fails waits its time like any other."""
    monkeypatch.setattr("billing.drain.time.monotonic", lambda: 100.0)
    tried = []

    def fail():
        tried.append(1)
        raise LedgerUnavailable("gone")

    every = _Every(5.0, fail, EventLog("drain", "node-1"))
    with pytest.raises(LedgerUnavailable):
        every.run_if_due()
    every.run_if_due()
    assert [1] == tried
