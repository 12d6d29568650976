from decimal import Decimal

import pytest


def attempts(call):
    """Those before the last one, which is the CDR's own."""
    return [(one.ordinal, one.carrier_name, one.sip_code) for one in call.cdr.attempts]


def test_failover_to_the_third_carrier(scene, world):
    """503, then silence, then an answer: one call, one CDR, and the card's secrets on no branch."""
    # 1. Carrier 1 refuses, nobody listens at carrier 2, carrier 3 answers.
    card = world.card("1")
    first = scene.refusing_callee("503 Service Unavailable")
    third = scene.callee(carrier=3)
    (call,) = scene.truth(scene.ivr([card], talk_s=1.5).wait())
    # 2. One answer, charged once, the third carrier's.
    assert (200, "answered", world.carrier_ids[2]) == (call.code, call.cdr.result, call.cdr.carrier_id)
    # 3. And the attempts that failed before it, which the ledger counts against carriers 1 and 2.
    assert [(1, "carrier1", 503), (2, "carrier2", 408)] == attempts(call)
    assert Decimal("0.02") == call.charge
    assert Decimal("0.98") == world.balance(card)
    # 4. Both branches were asked with the same clean INVITE, and stay in our path.
    for callee in (first, third):
        (invite, *_) = callee.received("INVITE")
        for trace in ("x-meterline", "authorization"):
            assert trace not in invite.text.lower()
        assert card.number not in invite.text
        assert 1 == len(invite.headers("record-route"))
    # 5. The BYE came by way of the proxy.
    assert f"127.0.0.1:{world.stack.sip_port}" in third.received("BYE")[0].headers("via")[0]


def test_failover_after_a_500(scene, world):
    """A carrier's 500 is its own trouble; the second one answers."""
    customer = world.customer("1")
    scene.refusing_callee("500 Server Internal Error")
    second = scene.callee(carrier=2)
    (call,) = scene.truth(scene.phones([world.phone(customer)], talk_s=1.5).wait())
    assert (200, world.carrier_ids[1], Decimal("0.02")) == (call.code, call.cdr.carrier_id, call.charge)
    assert "proxy-authorization" not in second.received("INVITE")[0].text.lower()
    assert Decimal("0.98") == world.balance(customer)


@pytest.mark.parametrize(
    ("last", "code"),
    [("503 Service Unavailable", 500), ("502 Bad Gateway", 502), ("603 Decline", 603)],
)
def test_every_carrier_fails(scene, world, last, code):
    """The last carrier's code, but never its 503: an upstream would back off the whole proxy."""
    customer = world.customer("1")
    scene.refusing_callee("500 Server Internal Error")
    scene.refusing_callee("503 Service Unavailable", carrier=2)
    scene.refusing_callee(last, carrier=3)
    (call,) = scene.truth(scene.phones([world.phone(customer)]).wait())
    assert (code, "carrier_failed") == call.outcome
    assert ("carrier_failed", code, Decimal(0)) == (call.cdr.result, call.cdr.sip_code, call.charge)
    assert [(1, "carrier1", 500), (2, "carrier2", 503)] == attempts(call)
    assert world.carrier_ids[2] == call.cdr.carrier_id
    assert Decimal(1) == world.balance(customer) == world.money(customer).available


def test_every_carrier_is_silent(scene, world):
    """Silence everywhere ends the call within the ring limit."""
    customer = world.customer("1")
    (call,) = scene.truth(scene.phones([world.phone(customer)]).wait())
    assert (408, "carrier_failed") == call.outcome
    assert ("carrier_failed", Decimal(0)) == (call.cdr.result, call.charge)
    assert call.final.at - call.caller[0].at < 8
    assert Decimal(1) == world.balance(customer)
