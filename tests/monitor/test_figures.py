"""Figures of real calls on a real stack, and what the monitor says when something is away."""

import os
import signal
from dataclasses import replace
from decimal import Decimal

from monitor.sip import options_code
from stack.processes import wait_until
from tests.support.faults import database_away
from tests.support.world import NUMBER

LATENCY = "database_latency_seconds_count"


def results(watcher):
    """Calls by result."""
    return {
        dict(labels)["result"]: value for (name, labels), value in watcher.samples().items() if name == "calls_total"
    }


def gained(before, after):
    """What grew, and by how much."""
    return {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)}


def test_every_call_is_counted_once_with_its_result(scene, world, watcher):
    """Two that talk, and a wrong PIN; while they talk, what they hold is what the ledger holds, to the cent."""
    before, opened = results(watcher), watcher.value(LATENCY, routine="open_call") or 0
    customer, card = world.customer("10"), world.card("1")
    scene.callee()
    phones = world.phones(customer, 2)
    talking = scene.phones(phones, talk_s=7)
    world.wait_for_live(customer, 2)
    # The two calls and what they hold are on the page; nobody's name, number or address is.
    watcher.wait_for(2, "live_calls", state="answered")
    watcher.wait_for(2, "dialogs")
    assert 10e6 < watcher.value("proxy_memory_free_bytes") < 256 * 2**20
    held = sum(Decimal(row["hold"]) for row in world.cashier._select("SELECT hold FROM v_live_leg"))
    assert held == Decimal(str(watcher.value("held_amount", currency="EUR")))
    page = watcher.get("/metrics")[1] + watcher.get("/readyz")[1]
    private = (customer.name, card.name, card.number, phones[0].username, NUMBER, "127.0.0.")
    assert [] == [text for text in private if text in page]
    scene.ivr([replace(card, pin="0000")]).wait()
    talking.wait()
    world.balance(customer)  # settled
    assert {"answered": 2, "bad_credentials": 1} == gained(before, results(watcher))
    assert opened + 2 == watcher.value(LATENCY, routine="open_call")
    watcher.wait_for(0, "live_calls", state="answered")
    assert None is watcher.value("held_amount", currency="EUR")


def test_cut_is_on_time_and_refusals_are_told_apart(scene, world, watcher):
    """The histogram of cuts has one more, in a bucket within the second; no money and busy are results of their own."""
    before, cuts = results(watcher), watcher.value("cut_lateness_seconds_count")
    late = watcher.value("cut_lateness_seconds_bucket", le="1.0")
    poor, broke = world.customer("0.02"), world.customer("0")
    callee = scene.callee()
    scene.phones([world.phone(poor)], "phone_waits").wait()
    scene.phones([world.phone(broke)]).wait()
    callee.stop()
    scene.refusing_callee("486 Busy Here")
    scene.phones([world.phone(world.customer("1"))]).wait()
    assert {"answered": 1, "insufficient_balance": 1, "busy": 1} == gained(before, results(watcher))
    assert (cuts + 1, late + 1) == (
        watcher.value("cut_lateness_seconds_count"),
        watcher.value("cut_lateness_seconds_bucket", le="1.0"),
    )


def test_books_that_differ_are_a_figure(world, watcher, as_root):
    """The monitor has the ledger audited; a purse that somebody changed by hand is one difference."""
    account = world.customer("5")
    watcher.wait_for(0, "audit_differences")
    as_root(f"UPDATE purse SET balance = balance + 1 WHERE account_id = {account.account_id}")
    watcher.wait_for(1, "audit_differences")
    as_root(f"UPDATE purse SET balance = balance - 1 WHERE account_id = {account.account_id}")
    watcher.wait_for(0, "audit_differences")


def test_figures_stay_when_everything_else_is_away(scene, world, watcher):
    """The drain stands still and the database hangs: what waits is seen, and since when; the node is not ready, and
    says so over HTTP and SIP; what it knows by itself is shown, and what it does not know is not."""
    address, drain = world.stack.sip_address, world.stack.drain.pid
    poor, rich = (world.phone(world.customer(balance)) for balance in ("0", "1"))
    wait_until(lambda: watcher.judged("/readyz") == (200, []), 10, "the node is ready")
    assert (200, 200) == (watcher.judged("/healthz")[0], options_code(address))
    os.kill(drain, signal.SIGSTOP)
    try:
        scene.phones([poor]).wait()  # refused: its CDR goes through the journal
        wait_until(lambda: watcher.value("journal_depth_bytes") > 100, 10, "something waits")
        wait_until(lambda: watcher.value("journal_oldest_fact_age_seconds") > 1, 10, "and it grows older")
        with database_away(world, "hangs"):
            watcher.wait_for(0, "database_up")
            watcher.wait_for(1, "breaker_open")
            assert 503 == options_code(address)
            before = results(watcher)
            scene.phones([rich]).wait()
            assert {"billing_unavailable": 1} == gained(before, results(watcher))
            missed = (503, {"drain_silent", "breaker_open", "database_silent"})
            wait_until(lambda: (code_and_set(watcher.judged("/readyz"))) == missed, 20, "all of it is missed")
            assert (503, ["drain_silent"]) == watcher.judged("/healthz"), "a restart does not mend a database"
            samples = watcher.samples()
            assert (0, 1) == (samples["ready", ()], samples["not_ready", (("reason", "breaker_open"),)])
            assert samples["process_silent_seconds", (("process", "drain"),)] > 10
            assert samples["database_failures_total", (("kind", "unavailable"),)] > 0
            assert [] == [name for name, _ in samples if name in {"live_calls", "held_amount", "provisional_cdrs"}]
    finally:
        os.kill(drain, signal.SIGCONT)
    wait_until(lambda: watcher.judged("/readyz") == (200, []), 10, "the node is ready again")
    assert 200 == options_code(address)
    watcher.wait_for(0, "live_calls", state="answered")
    watcher.wait_for(0, "journal_depth_bytes")
    watcher.wait_for(0, "journal_oldest_fact_age_seconds")


def code_and_set(judged):
    return judged[0], set(judged[1])


def test_counters_go_on_after_the_proxy_was_killed(world, watcher):
    """A new Kamailio counts where the old one stopped, and is missed in between."""
    before = results(watcher)
    assert sum(before.values()) > 0
    world.stack.kamailio.kill9()
    wait_until(lambda: "proxy_silent" in watcher.judged("/healthz")[1], 10, "the proxy is missed")
    world.stack.kamailio.start()
    wait_until(lambda: watcher.judged("/readyz") == (200, []), 10, "it is back")
    assert before == results(watcher)


def test_other_paths_and_methods_tell_nothing(watcher):
    """Three paths, and reading alone."""
    assert 404 == watcher.get("/")[0]
    assert 404 == watcher.get("/../etc/passwd")[0]
