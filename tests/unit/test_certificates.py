"""Whom a certificate names: all its alternative names, and nobody else."""

from datetime import UTC, datetime

import pytest

from billing.certificates import certificates_in, names_host, validity
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


def test_dates_are_read_in_both_spellings(tmp_path):
    """Two digits of a year until 2049, four from then on; expired or not, each of a file with several."""
    authority = Authority(tmp_path / "authority")
    made = [authority.identity("old", expired=True), authority.identity("new")]
    both = "words\n".join(one.key.read_text() + one.certificate.read_text() for one in made)
    old, new = map(validity, certificates_in(both))
    dates = [datetime.fromtimestamp(at, UTC).isoformat()[:16] for at in (*old, new.until_s)]
    assert ["2020-01-01T00:00", "2020-01-02T00:00", "2099-12-31T00:00"] == dates


def test_what_is_no_certificate_has_no_dates(pem):
    """Cut off anywhere: one kind of error, and never a wrong date."""
    (whole,) = certificates_in(pem)
    dates = validity(whole)
    for size in range(len(whole)):
        with pytest.raises(ValueError, match=r"cut off|no certificate|not enough values"):
            validity(whole[:size])
    assert [] == certificates_in("") == certificates_in("-----BEGIN CERTIFICATE-----")
    assert dates == validity(whole)


def test_two_digits_of_a_year_are_of_two_centuries():
    """50 to 99 were before 2000 (RFC 5280 4.1.2.5)."""

    def element(tag, *parts):
        content = b"".join(parts)
        return bytes((tag, len(content))) + content

    empty = element(0x30)
    dates = element(0x30, element(0x17, b"500101000000Z"), element(0x17, b"491231235959Z"))
    for version in ((), (element(0xA0),)):
        der = element(0x30, element(0x30, *version, element(2), empty, empty, dates))
        since, until = (datetime.fromtimestamp(at, UTC).year for at in validity(der))
        assert (1950, 2049) == (since, until)
