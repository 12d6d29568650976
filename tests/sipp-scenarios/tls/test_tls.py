import contextlib
import socket
import ssl
from decimal import Decimal

import pytest

from billing.board import FILE_NAME, Board
from billing.certificates import certificates_in
from billing.logs import EventLog
from monitor import doctor_node, doctor_tls, health
from monitor.sip import TURNED_AWAY, certificate_shown, options_code
from monitor.watch import Watch
from stack.processes import wait_until
from tests.support.party import carrier, on_the_wire
from tests.support.tls import Authority
from tests.support.world import NUMBER, PASSWORD

HOSTILE_EACH = 40
GARBAGE = b"\x16\x03\x01\xff\xff" + bytes(range(256)) * 4
HALF_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


@pytest.fixture(scope="module")
def good(tls):
    """What a carrier at 127.0.0.1 should show."""
    return tls.authority.identity("carrier", "DNS:elsewhere.example.net", "IP:127.0.0.1")


def test_call_over_tls_on_both_sides(tls, good):
    """Digest, requests within the call, and its end from either side: as over UDP, to the cent."""
    world = tls.world
    tls.reach_carriers_by("tls", "udp", "udp", "udp")
    account = world.customer("1")
    phone = world.phone(account)
    with tls.carrier(good) as callee, tls.party() as caller:
        dialog = caller.call(phone)
        assert 200 == caller.ask("INFO", dialog).code
        assert 200 == caller.hang_up(dialog).code
        second = caller.call(phone)
        (invite,) = callee.heard("INVITE", call_id=second.call_id)
        assert 200 == callee.ask("BYE", callee.dialog_of(invite)).code
        caller.wait_for_request("BYE", 2, second.call_id)
        calls = on_the_wire(world, [caller], [callee])
    assert [Decimal("0.01")] * 2 == [call.charge for call in calls]
    assert {"caller", "callee"} == {call.cdr.end_reason for call in calls}
    assert [True, True] == [call.cdr.source.startswith("tls:") for call in calls]
    assert "/TLS" in invite.headers("via")[0]
    assert (1, 1) == (len(caller.connections.made), len(callee.connections.made))
    assert Decimal("0.98") == world.balance(account)


def test_ping_over_tls_is_answered_and_shows_the_certificate(tls):
    """As over UDP; and what it shows is what is in the file, so the doctor finds it well."""
    settings = tls.world.settings
    (node,) = certificates_in(settings.tls.certificate.read_text())
    assert (200, node) == (options_code(tls.address, "tls", 5), certificate_shown(tls.address, 5))
    assert ["ok"] == [one.level for one in doctor_tls.certificates(settings) if "tls.certificate" in one.text]


def test_a_cut_reaches_a_phone_behind_nat(tls):
    """To `sips:`, and on by UDP: the BYE comes over the phone's own connection; to its Contact nobody can connect."""
    world = tls.world
    tls.reach_carriers_by("udp", "udp", "udp", "udp")
    account = world.customer("0.02")
    phone = world.phone(account)
    with carrier(world) as callee, tls.party(user=phone.username) as caller:
        dialog = caller.new_dialog(NUMBER)
        dialog.target = f"sips:{NUMBER}@{world.realm}"
        assert 200 == caller.invite(dialog, password=PASSWORD).code
        bye = caller.wait_for_request("BYE", 5, dialog.call_id)
        callee.wait_for_request("BYE", 1, dialog.call_id)
        (call,) = on_the_wire(world, [caller], [callee])
        (invite,) = callee.heard("INVITE", call_id=dialog.call_id)
    assert ("cut", Decimal("0.02")) == (call.cdr.end_reason, call.charge)
    assert (1, "/TLS") == (len(caller.connections.made), bye.headers("via")[0][7:11])
    assert f"sip:{phone.username}@{caller.host}:{caller.port};transport=tls" == bye.uri
    assert [] == [body for body in invite.headers("record-route") if "sips:" in body]


def test_a_carrier_that_cannot_be_believed_gets_no_call(tls, good, tmp_path):
    """Expired, signed by somebody else, for another host: each is passed over, and the log says why."""
    world = tls.world
    tls.reach_carriers_by("tls", "tls", "tls", "tls")
    bad = (
        tls.authority.identity("expired", "IP:127.0.0.1", expired=True),
        Authority(tmp_path / "other", "Other Authority").identity("foreign", "IP:127.0.0.1"),
        tls.authority.identity("misnamed", "DNS:carrier.example.net", "IP:192.0.2.1"),
    )
    account = world.customer("1")
    phone = world.phone(account)
    with contextlib.ExitStack() as stack:
        rejected = [stack.enter_context(tls.carrier(one, order)) for order, one in enumerate(bad, 1)]
        callee = stack.enter_context(tls.carrier(good, 4))
        caller = stack.enter_context(tls.party())
        dialog = caller.call(phone, limit_s=10)
        assert 200 == caller.hang_up(dialog).code
        (call,) = on_the_wire(world, [caller], [callee])
        log_says_why(world)
        heard = [[one.method for one in party.heard("INVITE")] for party in rejected]
    assert (Decimal("0.01"), Decimal("0.99")) == (call.charge, world.balance(account))
    assert [[], []] == heard[:2]


def log_says_why(world) -> None:
    """Each carrier by its name, and what is wrong with it."""
    for order, reason in enumerate(("certificate has expired", "unable to get local issuer", "IP address mismatch"), 1):
        # A handshake may also end before its reason is known (EOF): the next one tells.
        wait_until(
            lambda order=order, reason=reason: any(reason in line for line in told(world, order)),
            5,
            f"the log says of carrier {order}: {reason}",
        )


def told(world, order: int) -> list[str]:
    """What the log has against a carrier."""
    lines = world.log_lines('"carrier_untrusted"', limit=1000)
    return [line for line in lines if f'"carrier": "carrier{order}"' in line and '"error"' in line]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_what_is_no_tls_ends_no_process(tls, good):
    """Plain SIP, an old version, garbage, half a handshake: the next good call works, and the same processes run."""
    world = tls.world
    tls.reach_carriers_by("tls", "udp", "udp", "udp")
    host, port = tls.address.split(":")
    pid = world.stack.kamailio.pid
    plain = f"OPTIONS sip:{tls.address} SIP/2.0\r\nContent-Length: 0\r\n\r\n".encode()
    answers = set()
    for _ in range(HOSTILE_EACH):
        for data in (plain, GARBAGE, HALF_HELLO, b""):
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 5) as one:
                one.sendall(data)
                if data is plain:
                    one.settimeout(5)
                    answers.add(one.recv(100)[:7])
        answers.add(handshake_error(tls.address, ssl.TLSVersion.TLSv1_1))
    assert b"SIP/2.0" not in answers
    assert None not in answers
    account = world.customer("1")
    phone = world.phone(account)
    with tls.carrier(good) as callee, tls.party() as caller:
        caller.hang_up(caller.call(phone))
        (call,) = on_the_wire(world, [caller], [callee])
    assert (Decimal("0.01"), pid) == (call.charge, world.stack.kamailio.pid)
    assert world.stack.kamailio.alive


def handshake_error(address: str, newest: ssl.TLSVersion) -> str | None:
    """How the proxy refuses a client that knows nothing newer; None if it does not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version, context.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, newest
    context.set_ciphers("ALL:@SECLEVEL=0")
    host, port = address.split(":")
    try:
        with socket.create_connection((host, int(port)), 5) as plain, context.wrap_socket(plain):
            return None
    except OSError as error:
        return str(error)


def test_callers_show_certificates_by_setting(tls, good):
    """With `verify_callers` who has none of the authority's is not heard; who has one is asked for a digest. A node
    that listens there and nowhere else starts, and turns its monitor away, which is an answer: it counts as there."""
    world = tls.world
    stack = world.stack
    asked = {"verify_callers": True, "ca": str(tls.authority.certificate)}
    alone = {**stack._overrides["sip"], "listen": [f"tls:{tls.address}"]}
    stack._overrides = {**stack._overrides, "tls": {**stack._overrides["tls"], **asked}, "sip": alone}
    stack._write_settings()
    stack.kamailio.stop()
    stack.kamailio.start()
    watching = Watch(stack.settings, Board(stack.settings.node.state_dir / FILE_NAME), EventLog("monitor", "node1"))
    watching.look_at_node()
    assert (TURNED_AWAY, []) == (watching.node.sip_code, health.not_healthy(watching))
    assert [("ok", "proxy")] == [(one.level, one.area) for one in doctor_node._proxy(stack.settings)]
    phone = world.phone(world.customer("1"))
    with tls.party(user=phone.username) as stranger:
        with contextlib.suppress(OSError):
            stranger.send(stranger.request("INVITE", stranger.new_dialog(NUMBER)))
        wait_until(lambda: stranger.connections.ended == 1, 5, "the proxy ends the connection")
        assert [] == stranger.heard()
    with tls.party(user=phone.username, shown=good) as known:
        assert 407 == known.ask("INVITE", known.new_dialog(NUMBER)).code
