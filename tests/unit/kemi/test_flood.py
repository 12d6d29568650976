"""Floods: whose requests are dropped, whose never, and how much of it is logged."""

import pytest

from kemi import flood


@pytest.fixture
def fast(world):
    """The source in hand sends more than a stranger may."""
    world.truths["pike"] = -2


def dropped(world, script):
    """Whether nothing was answered and nobody was asked."""
    script.request_route()
    return not world.replied and not world.did("challenge") and not world.did("async") and not world.did("relay")


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "REGISTER", "CANCEL", "BYE"])
def test_strangers_flood_is_dropped(world, script, fast, method):
    """Without an answer, whatever the method."""
    world.request(method, tt="nobody" if method == "BYE" else None)
    assert dropped(world, script)


def test_slow_stranger_is_served(world, script):
    """Who sends no more than he may is challenged as ever."""
    world.truths["credentials"] = -1
    assert not dropped(world, script)


@pytest.mark.parametrize("source", ["198.51.100.1", "198.51.100.2", "198.51.100.3", "192.0.2.1"])
def test_trunks_and_carriers_may_send_what_they_like(world, script, fast, source):
    """Their addresses are in the directory."""
    world.request(si=source)
    assert not dropped(world, script)


def test_caller_who_showed_his_password_is_served(world, script, fast):
    """A forged flood from a customer's address does not shut him out."""
    flood.remember_source()
    assert not dropped(world, script)


def test_emergency_call_is_never_dropped(world, script, fast):
    """However fast its source is."""
    world.request(ru="sip:112@example.net", rU="112")
    assert not dropped(world, script)


def test_requests_in_a_call_are_served(world, script, fast):
    """A call that is up goes on while somebody at its address floods."""
    world.known(state="4")
    world.request("BYE", tt="to-1", cs="2")
    assert not dropped(world, script)


def test_cancel_of_a_call_is_served(world, script, fast):
    """A CANCEL with its INVITE's transaction belongs to a call."""
    world.truths["transaction"] = 1
    world.request("CANCEL")
    assert not dropped(world, script)


@pytest.mark.parametrize("source", ["2001:db8:1:2::3", "[2001:db8:1:2:ffff::1]"])
def test_ipv6_is_counted_by_its_network(world, script, source):
    """A customer has a /64 at least, and every address of it."""
    world.request(si=source)
    script.request_route()
    assert [("2001:db8:1:2::",)] == world.did("pike")


def test_known_callers_have_workers_of_their_own(world, script):
    """Strangers, however many, do not keep them busy."""
    script.request_route()
    world.request(si="198.51.100.1")
    strangers = flood.STRANGERS
    assert flood.CALLERS == flood.workers()
    world.request()
    assert strangers == flood.workers()
    flood.remember_source()
    assert flood.CALLERS == flood.workers()


def test_flood_is_told_once(world, script, events, fast, monkeypatch):
    """A line for each source and ten seconds, and not for each request."""
    now = [1000.0]
    monkeypatch.setattr(flood.time, "monotonic", lambda: now[0])
    for _ in range(100):
        script.request_route()
    world.request(si="203.0.113.51")
    script.request_route()
    now[0] += 10
    script.request_route()
    assert ["203.0.113.50", "203.0.113.51", "203.0.113.51"] == [one["source"].split(":")[1] for one in events("flood")]


def test_lines_about_strangers_are_bounded(world, script, node, events, monkeypatch):
    """So many in a second, then one that says so; the next second begins anew."""
    now = [1000.0]
    monkeypatch.setattr(flood.time, "monotonic", lambda: now[0])
    limit = node.settings.flood.log_lines_per_s
    world.request("REGISTER")
    for _ in range(3 * limit):
        script.request_route()
    assert (limit, 1) == (len(events("refused")), len(events("log_suppressed")))
    now[0] += 1
    script.request_route()
    assert limit + 1 == len(events("refused"))


def test_long_text_is_cut_in_the_log(world, script, events):
    """A Call-ID of 60 kB is refused, and not written out."""
    world.request(ci="c" * 60_000)
    script.request_route()
    assert len(events("malformed")[0]["sip_call_id"]) < 500


def test_caller_keeps_his_connection(world, script):
    """A call over TCP outlives the time-out for strangers; over UDP there is no connection."""
    world.known(state="4")
    world.request("INFO", tt="to-1", cs="2", proto="tcp")
    script.request_route()
    assert [(flood.CALLERS_IDLE_S,)] == world.did("idle")
    world.request("INFO", tt="to-1", cs="3")
    script.request_route()
    assert [] == world.did("idle")
