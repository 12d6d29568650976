"""Whom a certificate names: all its alternative names, and nobody else."""

import pytest

from kemi.certificates import names_host
from tests.support.tls import Authority

NAMES = ("DNS:sip.example.net", "DNS:*.carrier.example", "IP:192.0.2.7", "IP:2001:db8::7", "URI:sip:other.example")


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """A certificate with many names; its common name is `common`."""
    authority = Authority(tmp_path_factory.mktemp("names") / "authority")
    return authority.identity("common", *NAMES).certificate.read_text()


@pytest.mark.parametrize(
    "host",
    ["sip.example.net", "SIP.example.NET.", "west.carrier.example", "192.0.2.7", "2001:db8::7", "[2001:db8:0:0::7]"],
)
def test_every_name_counts(pem, host):
    """The second as the first, in any spelling."""
    assert names_host(pem, host)


@pytest.mark.parametrize(
    "host",
    [
        *("common", "other.example", "sip:other.example", "example.net", "xsip.example.net", "carrier.example"),
        *("a.b.carrier.example", ".carrier.example", "192.0.2.70", "192.0.2", "2001:db8::8", ""),
    ],
)
def test_nobody_else_is_named(pem, host):
    """Neither by the common name, nor by a part of a name."""
    assert not names_host(pem, host)


def test_a_certificate_without_alternative_names_names_nobody(tmp_path):
    """Not even its common name."""
    found = Authority(tmp_path / "authority").identity("sip.example.net")
    assert not names_host(found.certificate.read_text(), "sip.example.net")


@pytest.mark.parametrize("cut", [0, 30, 200, 400])
def test_what_is_no_certificate_names_nobody(pem, cut):
    """Cut off anywhere, or no PEM at all."""
    lines = pem.splitlines()
    broken = "\n".join([lines[0], "".join(lines[1:-1])[: cut // 4 * 4], lines[-1]])
    assert not names_host(broken, "sip.example.net")
    assert not names_host(pem[:cut], "sip.example.net")
