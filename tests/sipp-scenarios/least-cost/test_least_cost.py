"""Calls along carriers: order, failover, loss, channels, health, cost and margin; and what they see of callers."""

from decimal import Decimal

import pytest

from kemi.headers import NOT_FOR_CARRIERS
from stack.processes import wait_until
from tests.support.messages import tag_of
from tests.support.party import ANSWER, REFUSE, RING, SILENT, Party
from tests.support.rawsip import uri_in
from tests.support.world import NUMBER

D = Decimal
MAIN, OWN = "4930555101", "4930555102"
ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'


def test_by_cost_and_along_it(office):
    """The cheapest takes the call; when it fails the next cheapest does, and is what the call costs."""
    party, phone, _ = office.caller()
    with party:
        cheapest = party.call(phone)
        party.hang_up(cheapest)
        office.carriers[2].invites, office.carriers[2].refusal = REFUSE, (503, "Service Unavailable")
        next_one = party.call(phone)
        party.hang_up(next_one)
    assert ([3], [3, 2]) == (office.took(cheapest.call_id), office.took(next_one.call_id))
    first, second = (office.cdr(one.call_id) for one in (cheapest, next_one))
    # 1 s: 0.10 / 60 = 0.0016666.., rounded up at six decimals; 0.20 / 60.
    assert (D("0.001667"), D("0.003334")) == (first.carrier_cost, second.carrier_cost)
    assert (D("0.01") - D("0.001667"), "carrier2") == (first.margin, second.carrier_name)


def test_by_priority_and_by_weight(office):
    """As the account says: the dearest has the best priority, and only one of them has any weight."""
    party, phone, customer = office.caller()
    with party:
        office.world.admin.set_account_routing(customer.name, loss_allowed=False, carrier_order="priority")
        first = party.call(phone)
        party.hang_up(first)
        for name, weight in (("carrier1", 0), ("carrier2", 5), ("carrier3", 0)):
            office.set(name, weight=weight)
        office.world.admin.set_account_routing(customer.name, loss_allowed=False, carrier_order="weight")
        second = party.call(phone)
        party.hang_up(second)
    assert ([1], [2]) == (office.took(first.call_id), office.took(second.call_id))


def test_each_level_and_the_carrier_count_in_their_own_increments(office):
    """To the last digit, with what everybody earned."""
    world = office.world
    reseller = world.reseller("10", world.tariff("0.30"))
    tariff = world.tariff("0.60", increment_s=60, owner=reseller)
    party, phone, customer = office.caller(parent=reseller, tariff_id=tariff)
    world.admin.set_account_routing(reseller.name, loss_allowed=True, carrier_order=None)
    office.price("carrier3", "0.0777", increment_s=6)
    with party:
        dialog = party.call(phone)
        party.hang_up(dialog)
    cdr = office.cdr(dialog.call_id)
    assert (D("0.6"), D("0.005")) == tuple(leg.charge for leg in cdr.legs)
    assert (D("0.00777"), "EUR", D("0.005") - D("0.00777")) == (cdr.carrier_cost, cdr.carrier_currency, cdr.margin)
    rows = world.cashier._select("SELECT * FROM v_margin WHERE call_key = %s ORDER BY leg", cdr.call_key)
    assert [D("0.595"), D("-0.00277")] == [row["margin"] for row in rows]
    assert [reseller.name, None] == [row["seller_name"] for row in rows]
    assert (D("99.4"), D("9.995")) == (world.balance(customer), world.balance(reseller))


def test_none_is_dearer_than_the_call_unless_that_is_allowed(office):
    """A tariff of 0.15 a minute leaves the cheapest alone; one of 0.05 nobody; then the loss is in the CDR."""
    world = office.world
    party, phone, customer = office.caller(tariff_id=world.tariff("0.15"))
    cheap, cheap_phone, poor = office.caller(tariff_id=world.tariff("0.05"))
    with party, cheap:
        office.carriers[2].invites, office.carriers[2].refusal = REFUSE, (503, "Service Unavailable")
        dialog = party.dial(phone)
        assert 500 == party.wait_for_final(dialog, "INVITE").code
        assert [3] == office.took(dialog.call_id)  # the others would have taken it, and are dearer

        office.carriers[2].invites = ANSWER
        refused = cheap.dial(cheap_phone)
        answer = cheap.wait_for_final(refused, "INVITE")
        assert (480, "no_carrier") == (answer.code, answer.token)
        assert [] == office.took(refused.call_id)
        world.admin.set_account_routing(poor.name, loss_allowed=True, carrier_order=None)
        allowed = cheap.call(cheap_phone)
        cheap.hang_up(allowed)
    cdr = office.cdr(refused.call_id)
    assert ("no_carrier", ()) == (cdr.result, cdr.legs)
    assert f"costs more than account {poor.name} pays: carrier1, carrier2, carrier3" == cdr.detail
    loss = office.cdr(allowed.call_id)
    assert (D("0.0008"), D("0.001667"), D("-0.000867")) == (loss.legs[0].charge, loss.carrier_cost, loss.margin)
    assert D(100) == world.balance(customer)


def test_coverage(office):
    """Prefixes narrow what a carrier takes; the cheapest of those that are left is called."""
    office.set("carrier3", prefixes=["43"])
    office.set("carrier2", prefixes=["4930", "44"])
    party, phone, _ = office.caller()
    with party:
        dialog = party.call(phone)
        party.hang_up(dialog)
    assert [2] == office.took(dialog.call_id)


def test_channels(office):
    """No call is sent to a full carrier: not while one rings there, nor after a restart of the proxy with a call up."""
    for name in ("carrier2", "carrier3"):
        office.set(name, channels=1)
    office.set("carrier1", channels=0)
    party, phone, _ = office.caller()
    with party:
        office.carriers[2].invites = RING
        ringing = party.dial(phone)
        party.wait_for(lambda one: one.code == 180 and one.call_id == ringing.call_id, "180")
        second = party.call(phone)
        third = party.dial(phone)
        answer = party.wait_for_final(third, "INVITE")
        assert ([3], [2], []) == tuple(office.took(one.call_id) for one in (ringing, second, third))
        assert (480, "no_carrier") == (answer.code, answer.token)
        # The one that rings is over with the proxy, the one that is up is not.
        office.world.wait_for_live(_account(office, phone))
        office.stack.kamailio.kill9()
        office.stack.kamailio.start()
        office.wait_for_states(carrier1="up", carrier2="up", carrier3="up")
        office.carriers[2].invites = ANSWER
        fourth, fifth = party.call(phone), party.dial(phone)
        assert 480 == party.wait_for_final(fifth, "INVITE").code
        party.hang_up(second)
        sixth = party.call(phone)
        assert ([3], [], [2]) == tuple(office.took(one.call_id) for one in (fourth, fifth, sixth))
        for one in (fourth, sixth):
            party.hang_up(one)


def _account(office, phone):
    row = office.world.cashier._select("SELECT account_id FROM v_user WHERE user_id = %s", phone.user_id)[0]
    return type("A", (), {"account_id": row["account_id"], "name": "its"})()


def test_a_carrier_that_does_not_answer_is_tried_last_and_comes_back(office):
    """Down after the question that nobody answered (10 s); calls do not wait for it; up with its next answer."""
    party, phone, _ = office.caller()
    with party:
        office.carriers[2].pings = False
        office.carriers[2].invites = SILENT
        office.wait_for_states(carrier1="up", carrier2="up", carrier3="down")
        dialog = party.call(phone, limit_s=1.5)  # less than the silence that a call bears
        party.hang_up(dialog)
        assert [2] == office.took(dialog.call_id)
        # When no other is left it is tried all the same.
        for name in ("carrier1", "carrier2"):
            office.set(name, prefixes=["1"])
        last = party.dial(phone)
        wait_until(lambda: office.took(last.call_id) == [3], 3, "the one that is down is tried")
        assert 408 == party.wait_for_final(last, "INVITE").code
        office.carriers[2].pings, office.carriers[2].invites = True, "answer"
        for name in ("carrier1", "carrier2"):
            office.set(name, prefixes=[])
        office.wait_for_states(carrier1="up", carrier2="up", carrier3="up")
        again = party.call(phone)
        party.hang_up(again)
        assert [3] == office.took(again.call_id)
    told = [line for line in office.world.log_lines('"carrier_down"', '"carrier_up"') if '"carrier3"' in line]
    assert ["carrier_down", "carrier_up"] == ["carrier_down" if "carrier_down" in one else "carrier_up" for one in told]


def test_the_number_that_was_dialled_is_the_one_that_carriers_get(office):
    """With a dial prefix of its own."""
    office.set("carrier3", dial_prefix="0099")
    party, phone, _ = office.caller()
    with party:
        dialog = party.call(phone)
        party.hang_up(dialog)
        (invite,) = office.carriers[2].heard("INVITE", call_id=dialog.call_id)
        assert invite.uri.startswith(f"sip:0099{NUMBER}@")


# --- what carriers are shown ------------------------------------------------------------------------------------------


@pytest.fixture
def alice(office):
    """A phone whose user may show two numbers; and the carrier that takes all calls."""
    party, phone, customer = office.caller()
    for number in (MAIN, OWN):
        office.world.admin.put_shown_number(customer.name, phone.username, number)
    with party:
        yield party, phone, office.carriers[2]


def call(party, phone, *, user="", headers=()):
    """A call of this phone under another From; its dialog."""
    dialog = party.dial(phone, headers=headers) if not user else _dialled(party, phone, user, headers)
    answer = party.wait_for_final(dialog, "INVITE")
    assert 200 == answer.code, answer.text
    assert dialog.local == answer.header("from")
    party.establish(dialog, answer)
    party.send(party.request("ACK", dialog, cseq=dialog.cseq))
    return dialog


def _dialled(party, phone, user, headers):
    """As Party.dial, with a From that is not the phone's."""
    known, party.new_dialog = party.new_dialog, None

    def forged(dialled):
        dialog = known(dialled)
        dialog.local = f"{user};tag={tag_of(dialog.local)}"
        return dialog

    party.new_dialog = forged
    try:
        return party.dial(phone, headers=headers)
    finally:
        party.new_dialog = known


def heard(carrier, dialog, method):
    wait_until(lambda: carrier.heard(method, call_id=dialog.call_id), 3, f"{method} reaches the carrier")
    return carrier.heard(method, call_id=dialog.call_id)[-1]


def who(message):
    """From without its tag, and P-Asserted-Identity."""
    return message.header("from").partition(";tag=")[0], message.headers("p-asserted-identity")


def of(office, number):
    return f"<sip:+{number}@{office.world.realm}>"


@pytest.mark.parametrize(
    ("written", "headers", "number"),
    [
        ("", [], MAIN),
        ('"The Queen" <sip:442079304832@palace.example>', [], MAIN),
        ("<sip:+4930555102@anywhere>", [], OWN),
        ("<sip:112@x>", ["P-Preferred-Identity: <sip:+4930555102@x>"], OWN),
        ("", ["P-Asserted-Identity: <sip:+442079304832@x>", "Remote-Party-ID: <sip:1@x>"], MAIN),
        ("", ["Diversion: <sip:1@x>", "History-Info: <sip:1@x>;index=1", "Referred-By: <sip:1@x>"], MAIN),
        ("", ["b: <sip:1@x>", "y: e30.e30.AA;info=<https://x/>;alg=ES256;ppt=shaken"], MAIN),
        ("", ["Identity: e30.e30.AA", "P-Charge-Info: <sip:1@x>", "P-Served-User: <sip:1@x>"], MAIN),
    ],
)
def test_only_what_he_may_show_is_shown(office, alice, written, headers, number):
    """In From and P-Asserted-Identity; the CDR has it."""
    party, phone, carrier = alice
    dialog = call(party, phone, user=written, headers=headers)
    invite = heard(carrier, dialog, "INVITE")
    assert (of(office, number), [of(office, number)]) == who(invite)
    assert tag_of(dialog.local) == invite.from_tag
    assert [] == [name for name in NOT_FOR_CARRIERS if name != "P-Asserted-Identity" and invite.headers(name.lower())]
    party.hang_up(dialog)
    assert (of(office, number), []) == who(heard(carrier, dialog, "BYE"))
    assert number == office.cdr(dialog.call_id).shown


def test_each_side_keeps_its_own_view_through_the_call(office, alice):
    """Requests and answers in both directions."""
    party, phone, carrier = alice
    dialog = call(party, phone, user='"Boss" <sip:boss@example.org>')
    shown = of(office, MAIN)
    assert (shown, []) == who(heard(carrier, dialog, "ACK"))
    answer = party.ask("INFO", dialog)
    assert (200, dialog.local) == (answer.code, answer.header("from"))
    assert (shown, []) == who(heard(carrier, dialog, "INFO"))
    own = carrier.dialog_of(heard(carrier, dialog, "INVITE"))
    answer = carrier.ask("INFO", own)
    assert (200, own.remote, own.local) == (answer.code, answer.header("to"), answer.header("from"))
    asked = party.wait_for(lambda one: one.is_request and one.method == "INFO", "INFO")
    assert "<sip:boss@example.org>" == asked.header("to").partition(";tag=")[0]
    assert uri_in(dialog.remote) == uri_in(asked.header("from"))
    carrier.send(carrier.request("BYE", own))
    bye = party.wait_for(lambda one: one.is_request and one.method == "BYE", "BYE")
    assert ("<sip:boss@example.org>", tag_of(dialog.local)) == (bye.header("to").partition(";tag=")[0], bye.to_tag)
    assert "callee" == office.cdr(dialog.call_id).end_reason


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize(
    ("written", "headers", "privacy"),
    [
        ("", ["Privacy: id"], "id"),
        ("", ["Privacy: user;critical"], "user;critical;id"),
        (ANONYMOUS, ["Privacy: none"], "id"),
        (ANONYMOUS, [], "id"),
    ],
)
def test_who_hides_is_hidden(office, alice, trusted, written, headers, privacy):
    """Nothing of a whole call names him, but P-Asserted-Identity to whom the vendor trusts."""
    party, phone, carrier = alice
    if trusted:
        office.set("carrier3", trusts_identity=True)
    more = ["User-Agent: Alice's phone", "Subject: Alice", "Geolocation: <cid:Alice>", "Proxy-Require: privacy"]
    dialog = call(party, phone, user=written, headers=[*headers, *more])
    invite = heard(carrier, dialog, "INVITE")
    assert [] == invite.headers("proxy-require")
    assert (ANONYMOUS, [of(office, MAIN)] if trusted else []) == who(invite)
    assert [privacy] == invite.headers("privacy")
    party.ask("INFO", dialog)
    carrier.ask("INFO", carrier.dialog_of(invite))
    party.hang_up(dialog)
    heard(carrier, dialog, "BYE")
    carrier.caught_up()
    for message in carrier.heard(call_id=dialog.call_id) + carrier.heard(code=200, call_id=dialog.call_id):
        told = message.text.replace(of(office, MAIN), "") if trusted else message.text
        for name in (phone.username, MAIN, "Alice"):
            assert name not in told, f"{name} in\n{told}"
    assert "anonymous" == office.cdr(dialog.call_id).shown


@pytest.mark.parametrize("hides", [False, True])
def test_calls_that_nobody_answers_are_shown_alike(office, alice, hides):
    """CANCEL and the ACKs of refusals, which the proxy makes itself; and the caller has his own From back."""
    party, phone, carrier = alice
    headers = ["Privacy: id"] if hides else []
    shown = ANONYMOUS if hides else of(office, MAIN)
    carrier.invites = RING
    ringing = _dialled(party, phone, '"Boss" <sip:boss@example.org>', headers)
    party.wait_for(lambda one: one.code == 180 and one.call_id == ringing.call_id, "180")
    (sent,) = [one for one in party.messages() if one.sent and one.call_id == ringing.call_id
               and one.method == "INVITE" and one.headers("proxy-authorization")]  # fmt: skip
    branch = sent.header("via").partition("branch=")[2].partition(";")[0]
    party.send(party.request("CANCEL", ringing, cseq=ringing.cseq, branch=branch))
    cancelled = party.wait_for_final(ringing, "INVITE")
    carrier.invites = REFUSE
    refused = _dialled(party, phone, '"Boss" <sip:boss@example.org>', headers)
    busy = party.wait_for_final(refused, "INVITE")
    assert (487, ringing.local, 486, refused.local) == (
        *(cancelled.code, cancelled.header("from")), *(busy.code, busy.header("from"))
    )  # fmt: skip
    for dialog, method in ((ringing, "CANCEL"), (ringing, "ACK"), (refused, "ACK")):
        message = heard(carrier, dialog, method)
        assert (shown, []) == who(message)
        assert phone.username not in message.text
        assert MAIN not in message.text or not hides


def test_a_cut_is_told_to_each_side_in_its_own_words(office):
    """The BYEs of the proxy."""
    party, phone, customer = office.caller()
    office.world.admin.put_shown_number(customer.name, phone.username, MAIN)
    office.world.admin.set_account(customer.account_id, longest_call_s=1)
    carrier = office.carriers[2]
    with party:
        dialog = call(party, phone)
        assert of(office, MAIN) == heard(carrier, dialog, "BYE").header("from").partition(";tag=")[0]
        bye = party.wait_for(lambda one: one.is_request and one.method == "BYE", "BYE")
        assert dialog.local == bye.header("to")


def test_a_call_for_help_is_never_anonymous(office, alice):
    """The number that this phone showed last, though it hides and shows no password now."""
    party, phone, _ = alice
    party.hang_up(call(party, phone))
    with Party(office.world, user=phone.username) as same_phone:
        dialog = same_phone.new_dialog("112")
        same_phone.send(same_phone.request("INVITE", dialog, headers=["Privacy: id"]))
        answer = same_phone.wait_for_final(dialog, "INVITE")
        assert (200, dialog.local) == (answer.code, answer.header("from"))
        same_phone.establish(dialog, answer)
        same_phone.send(same_phone.request("ACK", dialog, cseq=dialog.cseq))
        took = next(one for one in office.carriers if one.heard("INVITE", call_id=dialog.call_id))
        invite = heard(took, dialog, "INVITE")
        assert (of(office, MAIN), [of(office, MAIN)], []) == (*who(invite), invite.headers("privacy"))
        same_phone.hang_up(dialog)
    assert (None, MAIN) == (office.cdr(dialog.call_id).account_id, office.cdr(dialog.call_id).shown)
