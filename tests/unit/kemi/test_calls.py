"""A new call in the async worker: every way out leaves its answer, its fact and no live key."""

import pytest

from billing import breaker
from billing.breaker import Breaker
from billing.directory import Directory, publish
from billing.errors import InvalidTariff, LedgerBusy, LedgerRefused, LedgerUnavailable, NoRate
from billing.journal import JournalUnwritable
from kemi import calls, dialogs
from kemi.refusals import ANSWERS
from tests.unit.builders import Ledger, Rates, caller, leg, not_opened, opened, rate

KEY = "call-1|from-1"


def use(node, who=None, **answers):
    node._ledger = Ledger(**{"identify_digest": who or caller(user_id=7), "open_call": opened()} | answers)


def live(world):
    return {key: count for key, count in world.tables.get("live", {}).items() if count}


# --- a call that starts -------------------------------------------------------------------------------------


def test_call_that_starts_has_its_dialog(world, script):
    """The dialog lasts the grant from the answer on, knows its call, and both sides are asked whether they live."""
    script.authorize()
    assert [120 + dialogs.BACKSTOP_S] == world.dialog.lifetimes
    assert ["ka-src", "ka-dst"] == world.dialog.properties
    assert ("120", "account 0", "203.0.113.50") == tuple(world.dialog.variables[name] for name in "gas")
    assert "timeout_route" in world.context


def test_lifetime_is_what_the_ledger_granted(world, node, script):
    """A shorter step of the ladder is a shorter lifetime."""
    use(node, open_call=opened(30))
    script.authorize()
    assert ([30 + dialogs.BACKSTOP_S], "30") == (world.dialog.lifetimes, world.dialog.variables["g"])


def test_call_key_is_nothing_of_the_wire(world, node, script):
    """The key is made here, for each attempt anew."""
    script.authorize()
    world.request(ci="call-2")
    script.authorize()
    keys = [key for key, _ in node.ledger.asked_for("open_call")]
    assert (2, {26}) == (len(set(keys)), {len(key) for key in keys})


def test_rated_digits_go_to_the_carrier_with_its_prefix(world, node, script, tmp_path):
    """What is dialled on is what was rated, behind the prefix that the carrier wants."""
    from tests.unit.kemi.conftest import carrier

    publish(Directory((), (carrier(1, dial_prefix="9999"),)), tmp_path / "directory.json")
    world.request(rU="0(30)-1.23")
    script.authorize()
    assert [("sip:99994930123@192.0.2.1:5060;transport=udp",)] == world.did("relay")


@pytest.mark.parametrize(
    ("contact", "pvs", "aliased"),
    [
        ("<sip:alice@203.0.113.50>", {}, False),
        ("<sip:alice@203.0.113.50:5060>", {}, False),
        ("<sip:alice@203.0.113.50;transport=tls>", {"proto": "tls", "sp": 5061}, False),
        ("<sip:alice@203.0.113.50:5061;transport=tls>", {"proto": "tls", "sp": 40000}, True),
        ("<sip:alice@192.168.1.5:5060>", {}, True),
    ],
)
def test_keepalives_go_to_where_the_caller_is(world, script, contact, pvs, aliased):
    """Behind NAT, or over a connection of his own, his Contact is not where the dialog module finds him."""
    world.request(ct=contact, **pvs)
    script.authorize()
    assert aliased == bool(world.did("alias"))


def test_live_key_is_kept_while_the_call_is(world, script):
    """Call-ID and From-tag are taken until the call ends."""
    script.authorize()
    assert {KEY: 1} == live(world)


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "failed_leg", "code", "token"),
    [
        ("insufficient_balance", 0, 402, "insufficient_balance"),
        ("too_many_calls", 0, 486, "too_many_calls"),
        ("account_suspended", 0, 403, "account_suspended"),
        ("account_closed", 0, 403, "account_suspended"),
        ("user_suspended", 0, 403, "account_suspended"),
        ("account_expired", 0, 403, "account_expired"),
        ("insufficient_balance", 1, 480, "unavailable"),
        ("account_suspended", 1, 480, "unavailable"),
    ],
)
def test_refusal_of_the_ledger(world, node, script, journal, outcome, failed_leg, code, token):
    """Code, Warning and CDR as in the table; nothing is relayed and the live key is free."""
    use(node, caller(leg(), leg(1)), open_call=not_opened(outcome, failed_leg))
    node._rates = Rates(rate(), rate())
    script.authorize()
    assert ([code], [f'Warning: 399 meterline "{token}"']) == (world.replied, world.reply_headers)
    (fact,) = journal()
    assert ("unopened", token, code, 100) == (fact["kind"], fact["result"], fact["sip_code"], fact["account"])
    assert ([], {}) == (world.did("relay"), live(world))


def test_refused_call_is_one_line_of_the_log(world, node, script, events):
    """The line has token, account and call key."""
    use(node, open_call=not_opened("insufficient_balance"))
    script.authorize()
    (line,) = events("refused")
    assert ("insufficient_balance", "account 0", 26) == (line["token"], line["account"], len(line["call_key"]))


@pytest.mark.parametrize("dialled", ["abc", "00", "", "0900;ext=1", "1" * 16])
def test_what_is_no_number_is_unknown(world, node, script, dialled):
    """What cannot be normalised has no rate, and the ledger is not asked to open anything."""
    world.request(rU=dialled)
    script.authorize()
    assert ([404], []) == (world.replied, node.ledger.asked_for("open_call"))


def test_number_without_a_rate_is_unknown(world, node, script, journal):
    """No rate: 404 and a CDR."""
    node._rates = Rates(NoRate("none"))
    script.authorize()
    assert ([404], "destination_unknown") == (world.replied, journal()[0]["result"])


def test_a_users_calls_too_fast_are_refused(world, node, script):
    """His own limit, beside the account's; a colleague is not held up by him."""
    for user_id, number in ((7, 1), (7, 2), (8, 3)):
        use(node, caller(leg(), user_id=user_id, user_max_calls_per_second=1))
        world.request(ci=f"call-{number}")
        script.authorize()
        assert ([480] if number == 2 else []) == world.replied


def test_a_premium_number_is_refused(world, node, script, journal):
    """403 before the ledger is asked, by what the node's directory says."""
    directory = Directory(premium_prefixes=(("4930", "a range"),))
    publish(directory, node.settings.node.state_dir / "directory.json")
    script.authorize()
    assert ([403], "destination_barred", []) == (
        *(world.replied, journal()[0]["result"], node.ledger.asked_for("open_call")),
    )
    assert journal()[0]["detail"].endswith("prefix 4930 (a range) is premium")


def test_calls_too_fast_are_refused(world, node, script):
    """Above the account's calls a second: 480 with a time to wait, whatever the user."""
    use(node, caller(leg(max_calls_per_second=2)))
    for number in range(3):
        world.request(ci=f"call-{number}")
        script.authorize()
    assert ([480], True) == (world.replied, "Retry-After: 1" in world.reply_headers)
    assert 2 == len(node.ledger.asked_for("open_call"))


def test_calls_of_a_whole_tree_too_fast_are_refused(world, node, script, journal):
    """Two customers of one reseller share his calls a second, and do not hear of them; what a customer's own limit
    refuses does not count for him."""
    node._rates = Rates(rate(), rate())
    for account_id, number in ((100, 1), (100, 2), (101, 3), (102, 4)):
        own = leg(account_id=account_id, max_calls_per_second=1)
        use(node, caller(own, leg(1, account_id=900, max_calls_per_second=2)))
        world.request(ci=f"call-{number}")
        script.authorize()
        assert ([480] if number in (2, 4) else []) == world.replied
    assert [
        ("too_fast", "more than 1 calls a second"),
        ("unavailable", "leg 1: too_fast: account account 1: more than 2 calls a second"),
    ] == [(fact["result"], fact["detail"]) for fact in journal() if fact["kind"] == "unopened"]


def test_next_second_begins_anew(world, node, script):
    """The count is of one second."""
    use(node, caller(leg(max_calls_per_second=1)))
    for number in range(3):
        world.request(ci=f"call-{number}", TS=1_700_000_000 + number)
        script.authorize()
    assert 3 == len(node.ledger.asked_for("open_call"))


def test_stranger_leaves_no_cdr(world, node, script, journal, events):
    """Who never authenticated leaves a line in the log and no fact."""
    use(node, identify_digest=None)
    world.truths["digest"] = -2
    script.authorize()
    assert ([403], [], 1) == (world.replied, journal(), len(events("refused")))


def test_old_nonce_is_challenged_again(world, script, journal):
    """A stale nonce costs a challenge, no refusal."""
    world.truths["digest"] = -3
    script.authorize()
    assert ([("example.net",)], [], []) == (world.did("challenge"), world.replied, journal())


@pytest.mark.parametrize("prefixes", ["", "00, 011"])
def test_dial_plan_is_read_as_the_row_has_it(world, node, script, prefixes):
    """No international prefix, or a blank behind a comma, is a dial plan like another."""
    use(node, caller(leg(international_prefixes=prefixes)))
    world.request(rU="4930123")
    script.authorize()
    assert 1 == len(world.did("relay"))


# --- the same call twice ------------------------------------------------------------------------------------


def test_second_call_with_a_live_id_is_482(world, node, script, journal):
    """A live (Call-ID, From-tag) is unique: the second is 482, holds nothing, and the first goes on."""
    script.authorize()
    world.request()
    script.authorize()
    assert ([482], 1, []) == (world.replied, len(node.ledger.asked_for("open_call")), journal())


def test_second_call_is_482_while_the_first_has_no_dialog_yet(world, node, script, journal):
    """The first is still being authorized in another worker: the shared counter stands at 1, the second makes it 2."""
    world.tables["live"] = {KEY: 1}
    script.authorize()
    assert ([482], ['Warning: 399 meterline "merged"']) == (world.replied, world.reply_headers)
    assert ([], [], {}, {KEY: 2}) == (node.ledger.asked_for("open_call"), journal(), world.dialogs, live(world))


def test_refused_second_call_does_not_free_the_first_ones_key(world, script):
    """However often a second call tries, the key stays the first call's."""
    for _ in range(5):
        world.request()
        script.authorize()
    assert list(live(world)) == [KEY]


def test_known_dialog_is_482_also_after_a_restart(world, node, script):
    """After a restart the tables are empty but the dialogs are there: they count too."""
    world.known()
    script.authorize()
    assert ([482], []) == (world.replied, node.ledger.asked_for("open_call"))


def test_key_is_free_after_a_refusal(world, node, script):
    """Who was refused may try again under the same Call-ID and tag, as phones do."""
    use(node, open_call=[not_opened("insufficient_balance"), opened()])
    script.authorize()
    world.request(cs="2")
    script.authorize()
    assert 1 == len(world.did("relay"))


# --- the ledger is away -------------------------------------------------------------------------------------


def test_unknown_caller_because_nobody_can_tell_is_503(world, node, script, journal):
    """The database is away before anybody is known: 503, no CDR, one failure for the breaker."""
    node.breaker = Breaker(1, 60_000)
    use(node, identify_digest=LedgerUnavailable("gone"))
    script.authorize()
    assert ([503], [], True) == (world.replied, journal(), node.breaker.is_open())


def test_unknown_outcome_is_503_and_left_to_the_journal(world, node, script, journal):
    """Nobody knows whether the call was opened: 503, and the fact lets the drain find out."""
    use(node, open_call=LedgerUnavailable("lost"))
    script.authorize()
    ((opened_key, _),) = node.ledger.asked_for("open_call")
    (fact,) = journal()
    assert ([503], "unopened", "billing_unavailable", opened_key) == (
        world.replied,
        fact["kind"],
        fact["result"],
        fact["call_key"],
    )
    assert ([], {}) == (world.did("relay"), live(world))


def test_error_of_the_ledger_is_no_free_call(world, node, script):
    """A routine that refuses the request itself is 503, and the breaker stays closed."""
    use(node, open_call=LedgerRefused("chain_changed", "leg 1"))
    script.authorize()
    assert ([503], [], False) == (world.replied, world.did("relay"), node.breaker.is_open())


def test_unwritable_journal_refuses_new_calls(world, node, script, monkeypatch):
    """Before money is held the journal must take a fact: 503, and the ledger is not asked."""

    def full(fact):
        raise JournalUnwritable(28, "full")

    monkeypatch.setattr(node.journal, "append", full)
    script.authorize()
    assert ([503], []) == (world.replied, node.ledger.asked_for("open_call"))


def test_journal_that_is_far_too_deep_takes_no_refusal_either(world, node, script, journal, monkeypatch, events):
    """503 and a line in the log, no fact: callers who try again and again must not fill the disk."""
    monkeypatch.setattr(node.room, "takes_refusals", lambda: False)
    world.request(rU="no number")
    script.authorize()
    assert ([503], [], [], {}) == (world.replied, journal(), node.ledger.asked_for("open_call"), live(world))
    assert [("billing_unavailable", "journal too deep")] == [(e["token"], e["detail"]) for e in events("refused")]


@pytest.mark.parametrize("route", ["authorize", "announce"])
def test_queued_calls_do_not_wait_for_a_dead_database(world, node, script, route):
    """A call that was queued when the breaker opened is refused at once."""
    node.breaker = Breaker(1, 60_000)
    node.breaker.failed()
    getattr(script, route)()
    assert ([503], []) == (world.replied, node.ledger.asked)


def test_database_that_reads_but_does_not_write_opens_the_breaker(world, node, script):
    """When only open_call hangs (full disk, locked table) the breaker opens all the same."""
    use(node, open_call=LedgerUnavailable("timeout"))
    for number in range(5):
        world.request(ci=f"call-{number}")
        script.authorize()
    assert node.breaker.is_open() is True


@pytest.mark.parametrize("routine", ["identify_digest", "open_call"])
def test_busy_account_does_not_open_the_breaker(world, node, script, routine):
    """One hot account is no dead database: its callers hear 503, everybody else calls on."""
    node.breaker = Breaker(1, 60_000)
    use(node, **{routine: LedgerBusy("undone 3 times")})
    script.authorize()
    assert ([503], [], {}) == (world.replied, world.did("relay"), live(world))
    assert node.breaker.is_open() is False


def test_busy_account_leaves_it_to_the_journal_what_was_opened(world, node, script, journal):
    """The call is refused with a fact, so that nothing stays held if the ledger did open it."""
    use(node, open_call=LedgerBusy("undone 3 times"))
    script.authorize()
    assert [("unopened", "billing_unavailable")] == [(fact["kind"], fact["result"]) for fact in journal()]


def test_refusal_shows_a_ledger_that_answers(world, node, script):
    """Who is refused for money was refused by a database that is there."""
    node.breaker = Breaker(2, 60_000)
    node.breaker.failed()
    use(node, open_call=not_opened("insufficient_balance"))
    script.authorize()
    node.breaker.failed()
    assert node.breaker.is_open() is False


def test_call_after_the_breakers_time_is_its_probe(world, node, script, monkeypatch):
    """When the breaker's time is over one call finds out whether the database is back, and closes the breaker."""
    now_ms = [1_000_000]
    monkeypatch.setattr(breaker, "monotonic_ms", lambda: now_ms[0])
    node.breaker = Breaker(1, 5000)
    node.breaker.failed()
    now_ms[0] += 5001
    script.request_route()
    assert [("ksr_authorize",)] == world.did("async")
    script.authorize()
    assert 1 == len(world.did("relay"))
    node.breaker.failed()
    assert node.breaker.is_open() is True
    now_ms[0] += 5001
    script.request_route()
    assert [] == world.replied


# --- whatever goes wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["manage_dialog", "set_dialog_property", "set_request_uri"])
def test_exception_after_the_hold_gives_it_back(world, script, journal, monkeypatch, step):
    """Money is held and the proxy fails: the fact is written, so that nobody pays for a call that never was, and a 2xx
    that comes all the same finds nobody."""

    def fail(*arguments):
        raise RuntimeError(step)

    monkeypatch.setattr(dialogs.ksr, step, fail)
    script.authorize()
    (fact,) = journal()
    assert ([500], "unopened", "unavailable", 500) == (
        world.replied,
        fact["kind"],
        fact["result"],
        fact["sip_code"],
    )
    assert {"nobody"} == set(world.tables["current"].values())


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), ArithmeticError("x")])
def test_exception_before_anybody_knows_leaves_a_cdr_and_no_key(world, node, script, journal, error):
    """Whatever goes wrong while the call is reserved: refused, recorded, and its tags free again."""
    node._ledger.answers["open_call"] = [error]
    script.authorize()
    assert ([500], ["unopened"]) == (world.replied, [fact["kind"] for fact in journal()])
    assert {} == live(world)


def test_exception_after_the_hold_frees_the_live_key(world, script, monkeypatch):
    """A call that the proxy failed to start leaves no live key when no dialog event follows."""

    def fail():
        raise RuntimeError

    monkeypatch.setattr(dialogs.ksr, "manage_dialog", fail)
    script.authorize()
    assert {} == live(world)


def test_broken_rate_refuses_the_call_properly(world, node, script, journal):
    """A rate that cannot be read sells no call: 404, a CDR that names the rate, and the key is free."""
    node._rates = Rates(InvalidTariff("rate 7: schedule"))
    script.authorize()
    (fact,) = journal()
    assert ([404], {}, True) == (world.replied, live(world), "rate 7: schedule" in fact["detail"])


def test_cancelled_while_queued_is_nothing(world, node, script, journal):
    """A call cancelled before its turn asks nothing and leaves nothing but its 487."""
    world.truths["cancelled"] = 1
    script.authorize()
    assert ([], [], {}, [487]) == (node.ledger.asked, journal(), live(world), world.replied)


def test_cancelled_while_it_was_opened_is_given_back(world, node, script, journal, monkeypatch):
    """A CANCEL during open_call: the hold goes back, nothing rings, the key is free."""

    def cancel(call_key, request):
        world.truths["cancelled"] = 1
        return opened()

    use(node, open_call=cancel)
    script.authorize()
    (fact,) = journal()
    assert ("failed", "cancelled", 487) == (fact["kind"], fact["result"], fact["sip_code"])
    assert ([], {}, [487]) == (world.did("relay"), live(world), world.replied)


def test_cancelled_on_the_way_to_the_carrier_is_cancelled(world, script, journal):
    """A CANCEL between the dialog and the relay is the caller's doing, not the carriers'."""

    def cancelled():
        world.truths["cancelled"] = 1
        return -1

    relayed = type("Cancels", (list,), {"__getitem__": lambda self, index: cancelled()})
    world.truths["relay"] = relayed([0])
    script.authorize()
    assert ["cancelled"] == [fact["result"] for fact in journal()]


# --- announcements ------------------------------------------------------------------------------------------


def announce(world, node, script, who=None, **more):
    node._ledger = Ledger(identify_card=who, identify_digest=who)
    world.request("OPTIONS", **more)
    script.announce()
    return dict(line.split(": ", 1) for line in world.reply_headers)


def test_announcement_has_balance_and_seconds(world, node, script, journal):
    """An IVR hears what is left and how long it lasts, and nothing is held."""
    headers = announce(world, node, script, caller(leg(balance="1.2")))
    assert [200] == world.replied
    assert ("1.2", "EUR", "120") == tuple(headers[f"X-Meterline-{name}"] for name in ("Balance", "Currency", "Seconds"))
    assert [] == journal()


def test_announcement_to_an_empty_card_says_so(world, node, script):
    """No money: no seconds, with the code and token that the call would get."""
    headers = announce(world, node, script, caller(leg(balance="0")))
    assert ([402], "0", "0") == (world.replied, headers["X-Meterline-Balance"], headers["X-Meterline-Seconds"])


def test_announcement_for_an_unknown_number_has_the_balance(world, node, script):
    """The number has no rate: 404, and the balance all the same."""
    headers = announce(world, node, script, caller(leg(balance="5")), rU="abc")
    assert ([404], "5") == (world.replied, headers["X-Meterline-Balance"])


def test_announcement_that_the_ledger_refuses_is_503(world, node, script):
    """An error of the ledger is the node's own trouble."""
    node._rates = Rates(LedgerRefused("x", "y"))
    announce(world, node, script, caller())
    assert [503] == world.replied


# --- the table ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "code", "retry"),
    [
        ("bad_credentials", 403, False),
        ("unknown_caller", 403, False),
        ("account_suspended", 403, False),
        ("account_expired", 403, False),
        ("insufficient_balance", 402, False),
        ("too_many_calls", 486, False),
        ("destination_unknown", 404, False),
        ("destination_barred", 403, False),
        ("too_fast", 480, True),
        ("unavailable", 480, False),
        ("billing_unavailable", 503, True),
    ],
)
def test_refusals_are_those_of_the_design(token, code, retry):
    """The table of docs/operator.md; 503 for the node's own trouble alone."""
    assert (code, retry) == (ANSWERS[token].code, ANSWERS[token].retry_after_s > 0)


def test_token_nobody_knows_is_the_nodes_own_trouble(world, script):
    """An outcome that has no row of its own is 503, never a call."""
    calls.refuse_before_identity("call_ended")
    assert [503] == world.replied


def test_new_calls_are_503_while_another_node_has_our_name(world, node, script, journal, events):
    """The ledger is not asked; the truth is in CDR and log."""
    publish(Directory(twin="X at host2:/state"), node.settings.node.state_dir / "directory.json")
    script.authorize()
    assert ([503], []) == (world.replied, node.ledger.asked_for("open_call"))
    (fact,) = journal()
    assert ("billing_unavailable", "node node-1 is also X at host2:/state") == (fact["result"], fact["detail"])
