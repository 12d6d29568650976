"""The model in short: some seeds of `make model`; and a ledger or an engine that is wrong does not get past it."""

from __future__ import annotations

import pymysql
import pytest

from billing.drain import Drain
from db.migrate import _read
from tests.model.faults import Broken
from tests.model.history import History
from tests.model.place import DATABASE, made
from tests.model.probes import Probes, statements, without
from tests.model.reached import UNREACHABLE
from tests.model.seeds import run_seeds

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
    for probe, balance in ((("post_entry", 3), 0), (("move_money", 10), 5)):
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


def test_what_no_history_comes_to_is_there(place):
    """The exceptions are those of today's routines."""
    assert UNREACHABLE.keys() <= set(place.probes.places.values())


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


def test_a_seed_is_one_history(place):
    """The same on another day, after others."""
    first, second = History(place, 7, steps=30), History(place, 7, steps=30)
    first.run()
    second.run()
    assert first.lines == second.lines
