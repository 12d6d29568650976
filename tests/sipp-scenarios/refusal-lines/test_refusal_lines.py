import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from stack.processes import wait_until
from tests.support.party import Party, books_are_right, carrier, on_the_wire
from tests.support.world import IVR_ADDRESS, NUMBER, OPERATOR_ADDRESS, PASSWORD, Account

CALLER_HOST = "127.0.0.28"
BARRED = "4990"
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@dataclass(frozen=True)
class Row:
    """`account` pays nothing; `truth` must stand in CDR and log, and must not be in the answer."""

    account: Account
    code: int
    token: str
    dialled: str = NUMBER
    truth: str = ""
    suspended_user: bool = False
    closes: bool = False


def barred_tariff(world):
    tariff = world.tariff()
    world.admin.put_rate(tariff, BARRED, "premium", price="9", blocked=True)
    return tariff


def below(world, **reseller):
    """A customer with money under a reseller; the reseller's name as the truth to look for."""
    status = reseller.pop("status", "active")
    above = world.reseller(reseller.pop("balance", "5"), **reseller)
    account = world.customer("5", parent=above)
    if status != "active":
        world.admin.set_account_status(above.account_id, status)
    return account, above.name


def row(world, name):
    """The rows of the table, by name."""
    if name.startswith("reseller"):
        why = name.partition(" ")[2]
        made = {
            "suspended": {"status": "suspended"},
            "expired": {"expires_at": YESTERDAY},
            "without money": {"balance": "0"},
            "with his calls already": {"max_calls": 0},
        }
        account, truth = below(world, **made[why])
        return Row(account, 480, "unavailable", truth=truth)
    return {
        "suspended": lambda: Row(world.customer("5", status="suspended"), 403, "account_suspended"),
        "closed": lambda: Row(world.customer("0"), 403, "account_suspended", closes=True),
        "expired": lambda: Row(world.customer("5", expires_at=YESTERDAY), 403, "account_expired"),
        "user suspended": lambda: Row(world.customer("5"), 403, "account_suspended", suspended_user=True),
        "no money": lambda: Row(world.customer("0.009999"), 402, "insufficient_balance"),
        "has its calls already": lambda: Row(world.customer("5", max_calls=0), 486, "too_many_calls"),
        "no rate": lambda: Row(world.customer("5"), 404, "destination_unknown", dialled="3312345678"),
        "barred": lambda: Row(
            world.customer("5", barred_tariff(world)), 403, "destination_barred", dialled=BARRED + "1"
        ),
        "too fast": lambda: Row(world.customer("5", max_calls_per_second=0), 480, "too_fast"),
    }[name]()


ROWS = (
    "suspended",
    "closed",
    "expired",
    "user suspended",
    "no money",
    "has its calls already",
    "no rate",
    "barred",
    "too fast",
    "reseller suspended",
    "reseller expired",
    "reseller without money",
    "reseller with his calls already",
)


@pytest.fixture
def caller(world):
    with Party(world, host=CALLER_HOST) as party:
        yield party


@pytest.fixture
def callee(world):
    """Nobody here is ever called."""
    with carrier(world) as party:
        yield party
        assert [] == party.requests()


def lines_of(world, call_id):
    """The structured lines about a call, once there is one."""

    def found():
        return [json.loads(line) for line in world.log_lines(f'"sip_call_id": "{call_id}"')]

    wait_until(lambda: bool(found()), 3, f"a log line about {call_id}")
    return found()


def strictly_one(lines):
    assert 1 == len(lines), lines
    return lines[0]


@pytest.mark.parametrize("name", ROWS)
def test_refused_after_identity(world, caller, callee, name):
    """A known caller who may not call: code, token, one CDR with the token, one line, no charge."""
    # 1. He shows his password and is refused.
    refused = row(world, name)
    balance = world.money(refused.account).balance
    phone = world.phone(refused.account)
    if refused.closes:
        world.admin.close_account(refused.account.account_id)
    if refused.suspended_user:
        world.admin.set_user_status(phone.user_id, "suspended")
    dialog = caller.dial(phone, refused.dialled)
    answer = caller.wait_for_final(dialog, "INVITE")
    # 2. Code and token on the wire, alike for all that an upper account lacks; how long to wait where it is named.
    assert (refused.code, f'399 meterline "{refused.token}"') == (answer.code, answer.header("warning"))
    assert bool(answer.header("retry-after")) == (refused.token == "too_fast")
    assert not refused.truth or refused.truth not in answer.text
    # 3. One CDR that says why, and costs nothing.
    (call,) = on_the_wire(world, [caller], [])
    assert (refused.token, refused.code, 0) == (call.cdr.result, call.cdr.sip_code, call.cdr.billed_s)
    assert refused.truth in call.cdr.detail
    # 4. One line, with the same key.
    line = strictly_one(lines_of(world, dialog.call_id))
    assert ("refused", call.cdr.call_key, refused.token) == (line["event"], line["call_key"], line["token"])
    assert refused.account.name == line["account"]
    assert refused.truth in line.get("detail", "")
    assert balance == world.balance(refused.account)
    books_are_right(world)


def unauthenticated(world, host, user, headers=(), password=""):
    """An INVITE from this address: its final answer."""
    with Party(world, host=host, user=user) as party:
        dialog = party.new_dialog(NUMBER)
        answer = party.invite(dialog, headers=headers, password=password)
        return dialog.call_id, answer


@pytest.mark.parametrize(
    ("host", "user", "headers", "password", "token"),
    [
        (OPERATOR_ADDRESS, "4920999999", (), "", "unknown_caller"),
        (OPERATOR_ADDRESS, "anonymous", (), "", "unknown_caller"),
        (IVR_ADDRESS, "4920999999", (), "", "bad_credentials"),
        (IVR_ADDRESS, "4920999999", ("X-Meterline-Card: 8899999999", "X-Meterline-PIN: 1"), "", "bad_credentials"),
        (
            IVR_ADDRESS,
            "4920",
            ("X-Meterline-Card: 1", "X-Meterline-Card: 2", "X-Meterline-PIN: 1"),
            "",
            "bad_credentials",
        ),
        (CALLER_HOST, "nobody", (), PASSWORD, "bad_credentials"),
    ],
)
def test_refused_before_identity(world, callee, host, user, headers, password, token):
    """Who is not known gets 403 with the token, one line with his address, and leaves no CDR."""
    call_id, answer = unauthenticated(world, host, user, headers, password)
    assert (403, token) == (answer.code, answer.token)
    line = strictly_one(lines_of(world, call_id))
    assert ("refused", token) == (line["event"], line["token"])
    assert f"udp:{host}:" in line["source"]
    books_are_right(world)
    assert {call_id: []} == world.cdrs([call_id])


def test_card_headers_of_a_stranger(world, caller, callee):
    """Card and PIN are believed from the IVR's address alone: from elsewhere they are a request without credentials."""
    card = world.card("1")
    headers = [f"X-Meterline-Card: {card.number}", f"X-Meterline-PIN: {card.pin}"]
    answer = caller.invite(caller.new_dialog(NUMBER), headers=headers)
    assert 407 == answer.code
    assert [] == world.cdrs_of(card)


@pytest.mark.parametrize("codes", [(503, 503, 503), (500, 502, 504)])
def test_carrier_failed(world, caller, codes):
    """Every carrier failed: the last one's code, a 503 of theirs as 500; one CDR and one line, no charge."""
    # 1. Three carriers that answer with these codes.
    account = world.customer("1")
    with carrier(world, 1, "silent") as one, carrier(world, 2, "silent") as two, carrier(world, 3, "silent") as three:
        dialog = caller.dial(world.phone(account))
        for party, code in zip((one, two, three), codes, strict=True):
            party.answer(party.wait_for_request("INVITE"), code, "Broken")
        answer = caller.wait_for_final(dialog, "INVITE")
    # 2. One answer, one CDR, one line about the end.
    passed = 500 if codes[-1] == 503 else codes[-1]
    assert (passed, "carrier_failed") == (answer.code, answer.token)
    (call,) = on_the_wire(world, [caller], [])
    assert ("carrier_failed", passed, 0) == (call.cdr.result, call.cdr.sip_code, call.charge)
    line = strictly_one([one for one in lines_of(world, dialog.call_id) if one["event"] == "call_ended"])
    assert (call.cdr.call_key, account.name, "carrier_failed") == (line["call_key"], line["account"], line["token"])
    assert Decimal(1) == world.balance(account)
    books_are_right(world)


def test_one_line_for_a_call_that_ended(world, caller):
    """An answered call leaves one line with call key, account, token, who ended it and how long it was."""
    account = world.customer("1")
    with carrier(world) as callee:
        dialog = caller.call(world.phone(account))
        assert 200 == caller.hang_up(dialog).code
        (call,) = on_the_wire(world, [caller], [callee])
    line = strictly_one([one for one in lines_of(world, dialog.call_id) if one["event"] == "call_ended"])
    expected = (call.cdr.call_key, account.name, "answered", "caller", call.cdr.talked_ms)
    assert expected == tuple(line[key] for key in ("call_key", "account", "token", "end_reason", "talked_ms"))
    books_are_right(world)


@pytest.mark.parametrize("evil", ['"}{"event":"forged"', "%s%n%d", "\\", "{}", "<x>"], ids=range(5))
def test_nothing_a_caller_sends_forges_a_line(world, caller, callee, evil):
    """Whatever stands in a Call-ID, the log keeps one JSON line a refusal, and ASCII."""
    # 1. A refused call whose Call-ID (RFC 3261 25.1: word) tries to be more than text.
    account = world.customer("0")
    phone = world.phone(account)
    dialog = caller.new_dialog(NUMBER)
    dialog.call_id = f"{evil}{dialog.call_id}"
    answer = caller.invite(dialog, password=phone.password, username=phone.username)
    assert (402, "insufficient_balance") == (answer.code, answer.token)
    # 2. One line, whole, with the account's name in it and nothing beside.
    wait_until(lambda: bool(world.log_lines(f'"{account.name}"')), 3, "the refusal is logged")
    line = strictly_one(world.log_lines(f'"{account.name}"'))
    content = json.loads(line)
    assert line.isascii()
    assert ("refused", "insufficient_balance") == (content["event"], content["token"])
    assert [] == world.log_lines('"event": "forged"')
