"""The model in short: some seeds of `make model`; and a ledger or an engine that is wrong does not get past it."""

from __future__ import annotations

import inspect
import sys
from collections import Counter, deque

import pymysql
import pytest

import kemi.health
from billing.drain import Drain
from db.migrate import _read
from tests.model import reached
from tests.model.faults import Broken, Faults
from tests.model.history import History
from tests.model.kamailio import MEMORIES
from tests.model.place import DATABASE, made
from tests.model.probes import Probes, planned, statements, without
from tests.model.seeds import after, run_seeds

SEEDS = 12


@pytest.fixture(scope="module")
def place():
    with made() as one:
        yield one


def test_a_routine_without_its_probes_is_the_routine(place):
    """Byte for byte; and what the server runs is what was put there."""
    probes = Probes()
    for routine in _read("PROCEDURE", "routines"):
        text = probes.text(routine.name, routine.sql)
        assert routine.sql == without(text) == "".join(statements(routine.sql))
        (row,) = place.sql("SELECT body FROM mysql.proc WHERE db = %s AND name = %s", DATABASE, routine.name)
        body = row["body"].decode() if isinstance(row["body"], bytes) else row["body"]
        assert routine.sql.endswith(without(body)), routine.name
    assert len(place.probes.places) > 200


def test_a_probe_kills_its_connection_and_nothing_else(place):
    """Where it stands and not before: what was committed is there, what was not is undone."""
    numbers = {(routine, at): number for number, (routine, at, _) in place.probes.places.items()}
    account = place.accounts["customer"]
    for probe, balance in ((("post_entry", 3), 0), (("move_money", 11), 5)):
        number = numbers[probe]
        login = place.logins["cashier"]
        connection = pymysql.connect(
            unix_socket=str(login.socket), user=login.user, password=login.password, database=DATABASE, autocommit=True
        )
        with connection.cursor() as cursor:
            cursor.execute(f"SET @meterline_crash = {number}")
            with pytest.raises(pymysql.err.OperationalError, match="killed"):
                cursor.execute("CALL top_up(%s, %s, '5', 'ann', '', '')", (f"{number:026d}", account))
        History(place, 0)._wait_gone(connection.thread_id())
        assert [{"balance": balance}] == place.sql("SELECT balance FROM purse WHERE account_id = %s", account)


def test_what_no_history_comes_to_is_there():
    """The exceptions are those of today's routines, and no history is after one of them."""
    probes, _ = planned()
    assert [] == reached.stale(probes)
    left = reached.left_out(Counter(), probes)
    assert set(left) == set(reached.targets(probes))
    assert len(reached.UNREACHABLE) == len({n for r in reached.ROUTINES for n in probes.within(r)}) - len(left)


def test_an_exception_of_yesterday_is_named(monkeypatch):
    """A routine changed, and nobody said what became of its exception. A statement more before it is no such change."""
    monkeypatch.setitem(reached.UNREACHABLE, ("reap_call", "ELSE ROLLBACK;", 1), "gone")
    probes, _ = planned(("reap_call", "  START TRANSACTION READ WRITE;", "  START TRANSACTION READ WRITE;\n  DO 1;"))
    (told,) = reached.stale(probes)
    assert told.startswith("reap_call has no statement 'ELSE ROLLBACK;' number 1")


def test_histories_after_a_statement_end_when_it_is_reached(place):
    """`make model` plays some for each statement that chance has left out."""
    (number,) = (one for one, (name, at, _) in place.probes.places.items() if (name, at) == ("answer_call", 1))
    result = after((reached.aimed_seeds(number), f"probe {number}"))
    assert [] == result.failures
    assert result.seen[f"probe {number}"]
    assert result.played < len(reached.aimed_seeds(number))


def test_histories_that_die_at_a_point_end_when_they_have_died_there(place):
    """The same for the steps of a process; those of which nothing is left out have no such histories."""
    names = [f"probe {number}" for number in place.probes.places] + [f"killed at {point}" for point in reached.POINTS]
    everything = Counter(dict.fromkeys(names, 1))
    assert [] == reached.aims(everything, place.probes)
    del everything["killed at ksr relay"]
    (aim,) = reached.aims(everything, place.probes)
    result = after(aim)
    assert [] == result.failures
    assert result.seen["killed at ksr relay"]
    assert result.played < len(aim[0])


@pytest.mark.timeout(300)
def test_a_wrong_routine_is_found_out():
    """One that does not know its key again."""
    change = ("claim_key", "SET p_repeated = v_hash IS NOT NULL;", "SET p_repeated = FALSE;")
    assert run_seeds(range(1, 31), failures_max=1, change=change).failures


@pytest.mark.timeout(300)
def test_a_wrong_drain_is_found_out(place, monkeypatch):
    """One that ticks a fact off before it is in the ledger loses it when it dies in between."""

    def hasty(drain, entry):
        drain._reader.done(entry)
        return patient(drain, entry)

    patient = Drain._apply
    monkeypatch.setattr(Drain, "_apply", hasty)
    with pytest.raises(Broken):
        _play(place, range(1, 61))


def _play(place, seeds):
    for seed in seeds:
        History(place, seed).run()


@pytest.mark.timeout(300)
def test_every_history_holds(place):
    """Fifty steps each, and what is reached is more than nothing."""
    exact = 0
    for seed in range(1, SEEDS + 1):
        history = History(place, seed)
        try:
            history.run()
        except BaseException as broken:
            broken.add_note("\n".join((f"make model ARGS='--seed {seed}'", *history.lines)))
            raise
        exact += history.seen["cdr: exact"]
    assert exact > SEEDS / 3


def test_a_seed_is_one_history(place, monkeypatch):
    """The same on another day, after others, and whatever those left in the script's modules: point by point."""
    points = []
    point = Faults.point
    monkeypatch.setattr(Faults, "point", lambda faults, name: (points.append(name), point(faults, name))[1])
    histories = [History(place, 7, steps=30) for _ in range(2)]
    for history, told in zip(histories, ({99: "down"}, {}), strict=True):
        monkeypatch.setattr(kemi.health, "_told", told)
        history.run()
        points.append("over")
    first, second = "|".join(points).split("|over")[:2]
    assert first.removeprefix("|") == second.removeprefix("|")
    assert histories[0].lines == histories[1].lines


def test_no_module_of_the_script_remembers_past_a_kill():
    """What a process keeps in a module's variables is put back for each process of each node: kept by sqlite alone."""
    of_the_model = {"kemi.node", "kemi.log"}  # put in by `acting` and `_logged`
    for name, module in sorted(sys.modules.items()):
        if not name.startswith("kemi.") or name in of_the_model or module in MEMORIES:
            continue
        kept = {
            variable
            for variable, value in vars(module).items()
            if variable.startswith("_")
            and not variable.startswith("__")
            and (isinstance(value, list | dict | set | deque) or f"global {variable}" in inspect.getsource(module))
        }
        assert kept <= {"_kept"}, name
