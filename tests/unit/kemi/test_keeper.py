"""The keeper: grants grow in time, and what the proxy no longer knows gives its hold back."""

import pytest

from billing.breaker import Breaker
from billing.clock import Moment
from billing.errors import InvalidTariff, LedgerRefused, LedgerUnavailable
from kemi import keeper
from tests.unit.builders import Ledger, extended, known_bug, live_call, live_leg

KEY = "01HX0000000000000000000000"


def answered_ago(seconds):
    now = Moment.now()
    return str(Moment(now.monotonic_ms - int(seconds * 1000), now.wall_ms, now.boot))


@pytest.fixture
def up(world, node):
    """A call that was answered 60 s ago with a grant of 120."""
    world.known().variables["t"] = answered_ago(60)
    return world


def use(node, **answers):
    node._ledger = Ledger(**{"live_calls": [[]], "unanswered_calls": [[]]} | answers)


def test_ledger_is_asked_once_a_second(up, node, script):
    """Ten ticks, one question."""
    use(node)
    for _ in range(20):
        script.keeper("keeper")
    assert [("node-1", 60)] * 2 == node.ledger.asked_for("live_calls")


def test_renewed_call_lasts_longer(up, node, script):
    """The new grant is the dialog's deadline, and its lifetime is set when it is a whole number of seconds."""
    use(node, live_calls=[[live_call()], []], extend_call=extended(240))
    script.keeper("keeper")
    assert "240" == up.dialog.variables["g"]
    up.dialog.variables["t"] = answered_ago(60 + 0.95)
    script.keeper("keeper")
    assert 179 == up.dialog.lifetimes[-1]


def test_call_near_its_end_is_lengthened_at_once(up, node, script):
    """With less than two seconds left nobody waits for a whole number."""
    up.dialog.variables["t"] = answered_ago(119)
    use(node, live_calls=[[live_call()]], extend_call=extended(240))
    script.keeper("keeper")
    assert 1 == len(up.dialog.lifetimes)
    assert 120 <= up.dialog.lifetimes[0] <= 122


def test_call_without_money_keeps_its_end(up, node, script):
    """No money: the lifetime stays, and the next second asks again."""
    use(node, live_calls=[[live_call(live_leg(available="0"))]])
    for _ in range(20):
        script.keeper("keeper")
    assert ([], "120") == (up.dialog.lifetimes, up.dialog.variables["g"])
    assert 2 == len(node.ledger.asked_for("live_calls"))


def test_lost_answer_to_a_renewal_is_found_again(up, node, script):
    """The ledger's grant is longer than the dialog's: the dialog follows."""
    use(node, live_calls=[[live_call(live_leg(available="0"), grant_s=240)]])
    script.keeper("keeper")
    assert "240" == up.dialog.variables["g"]


def test_call_without_a_dialog_is_not_renewed(world, node, script):
    """Its end is on the way; no money is held for it any more."""
    use(node, live_calls=[[live_call()]])
    script.keeper("keeper")
    assert [] == node.ledger.asked_for("extend_call")


def test_call_that_ended_while_it_waited_is_forgotten(up, node, script):
    """A dialog that is gone is no longer waited for."""
    use(node, live_calls=[[live_call()], []], extend_call=extended(240))
    script.keeper("keeper")
    up.dialogs.clear()
    script.keeper("keeper")
    assert {} == keeper._unaligned


def test_away_ledger_is_one_failure(up, node, script):
    """The breaker learns of it, and nothing else happens."""
    node.breaker = Breaker(1, 60_000)
    use(node, live_calls=LedgerUnavailable("gone"))
    script.keeper("keeper")
    assert node.breaker.is_open() is True
    for _ in range(20):
        script.keeper("keeper")
    assert 1 == len(node.ledger.asked_for("live_calls"))


@pytest.mark.parametrize(
    "error",
    [
        LedgerRefused("grant_too_long", "call"),
        pytest.param(InvalidTariff("rate"), marks=known_bug("only LedgerError is caught: all calls behind it are cut")),
        pytest.param(ArithmeticError("x"), marks=known_bug("only LedgerError is caught: all calls behind it are cut")),
    ],
)
def test_one_bad_call_does_not_keep_the_others_from_their_renewal(up, node, script, error):
    """An error at one call is logged; the next one is renewed."""
    use(node, live_calls=[[live_call(), live_call(call_key="another")]], extend_call=[error, extended(240)])
    script.keeper("keeper")
    assert [KEY, "another"] == [key for key, *_ in node.ledger.asked_for("extend_call")]


# --- calls that were ringing --------------------------------------------------------------------------------


def ringing(**more):
    return live_call(state="open", answered_at=None, **more)


def test_call_that_rang_when_the_proxy_died_gives_its_hold_back(world, node, script, journal):
    """The ledger knows a ringing call that the proxy does not: it will never connect."""
    use(node, unanswered_calls=[[ringing()]])
    script.keeper("keeper")
    (fact,) = journal()
    assert ("failed", KEY, "cancelled") == (fact["kind"], fact["call_key"], fact["result"])


def test_call_that_rings_is_left_alone(world, node, script, journal):
    """Its live key is there: it goes on ringing."""
    world.tables["live"] = {"call-1|from-1": 1}
    use(node, unanswered_calls=[[ringing()]])
    script.keeper("keeper")
    assert [] == journal()


@known_bug("FREE CALL: the key is read by a pseudo-variable's name, so ')' in a Call-ID settles the ringing call")
@pytest.mark.parametrize("call_id", ["a)b", "a(b", "$(b", "a$b@c"])
def test_no_call_id_makes_a_ringing_call_look_dead(world, node, script, journal, call_id):
    """Whatever its Call-ID, a call that rings keeps its hold."""
    world.tables["live"] = {f"{call_id}|from-1": 1}
    use(node, unanswered_calls=[[ringing(sip_call_id=call_id)]])
    script.keeper("keeper")
    assert [] == journal()


@known_bug("FREE CALL: restored dialogs have no live key; their `answered` fact may still wait behind a dead database")
def test_answered_call_is_not_taken_for_a_dead_one_after_a_restart(up, node, script, journal):
    """The dialog came back from the store, the ledger has not heard of the answer yet: the call is up, and pays."""
    use(node, unanswered_calls=[[ringing()]])
    script.keeper("keeper")
    assert [] == journal()
