"""A ping over TLS: who answers, who turns us away, and who is no proxy."""

import socket
import ssl
import threading

import pytest

from billing.certificates import certificates_in
from monitor.sip import TURNED_AWAY, certificate_shown, options_code
from tests.support.tls import Authority, tls_server

OK = b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("sip") / "authority")


@pytest.fixture(scope="module")
def expired(authority):
    """For another host, too: nobody is believed for it, and so the ping may not mind."""
    return authority.identity("node", "DNS:sip.example.net", expired=True)


@pytest.mark.parametrize(
    ("reply", "code"),
    [(OK, 200), (b"SIP/2.0 503 Service Unavailable\r\n\r\n", 503), (b"HTTP/1.1 200 OK\r\n\r\n", None)],
)
def test_code_of_the_answer(expired, reply, code):
    """Whatever it is, if it is SIP's."""
    with tls_server(expired, reply) as address:
        assert code == options_code(address, "tls", 5)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_who_turns_us_away_is_there(expired, authority, newest):
    """For want of a certificate: in the handshake, or after it (TLS 1.3)."""
    with tls_server(expired, OK, believes=authority, newest=newest) as address:
        assert [TURNED_AWAY] * 20 == [options_code(address, "tls", 5) for _ in range(20)]
        assert TURNED_AWAY is not None


def test_who_says_nothing_is_silent(expired):
    """A handshake alone is no answer: whoever reads requests may hang."""
    with tls_server(expired, b"") as address:
        assert None is options_code(address, "tls", 0.2)


def test_certificate_is_seen_though_it_has_expired(expired):
    """That is when it is wanted."""
    with tls_server(expired, b"") as address:
        assert certificates_in(expired.certificate.read_text()) == [certificate_shown(address, 5)]


def test_who_speaks_no_tls_is_no_proxy():
    """Another program at the port, or nobody: neither answer nor certificate."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"

        def answer():
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    connection.recv(1024)
                    connection.sendall(OK)

        thread = threading.Thread(target=answer)
        thread.start()
        assert (None, None) == (options_code(address, "tls", 5), certificate_shown(address, 5))
        thread.join(5)
    assert (None, None) == (options_code(address, "tls", 5), certificate_shown(address, 5))
