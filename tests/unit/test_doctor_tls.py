"""The doctor on certificates: files by their dates, and what the node shows."""

import shutil

import pytest

from billing.settings import Settings
from monitor.doctor_tls import certificates
from tests.support.tls import Authority, tls_server

NOT_NOW = "valid from 2020-01-01 00:00 UTC to 2020-01-02 00:00 UTC, and not now"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Its own certificate lasts two days."""
    return Authority(tmp_path_factory.mktemp("doctor") / "authority")


@pytest.fixture(scope="module")
def good(authority):
    return authority.identity("good")


@pytest.fixture(scope="module")
def expired(authority):
    return authority.identity("expired", expired=True)


@pytest.fixture
def settings(good, authority, tmp_path):
    """Of a node whose TLS socket nobody listens at, and whose authorities are a folder."""

    def make(listen="tls:127.0.0.1:1", database=None, **tls):
        files = {"certificate": good.certificate, "private_key": good.key, "ca": authority.folder}
        return Settings(
            node={"name": "node1", "state_dir": tmp_path},
            sip={"realm": "example.net", "listen": (listen,)},
            tls=files | tls,
            database={"tls_ca": database},
            card_pin_key="k" * 32,
        )

    return make


def found(settings):
    return [(one.level, one.text.split(": ", 1)[1]) for one in certificates(settings)]


def test_certificate_that_is_good_for_long_is_well(settings, good):
    """And without a TLS socket nothing is looked at."""
    (one,) = certificates(settings())
    assert ("ok", f"tls.certificate {good.certificate}: valid until 2099-12-31 00:00 UTC") == (one.level, one.text)
    assert [] == list(certificates(settings("udp:127.0.0.1:1", certificate=None)))


@pytest.mark.parametrize(
    ("days", "level", "text"),
    [
        ((-1, 21), "ok", "UTC"),
        ((-1, 20), "warn", "UTC, 20 days more"),
        ((-1, 0), "warn", "UTC, 0 days more"),
        ((-2, -1), "fail", "and not now"),
        ((1, 90), "fail", "and not now"),
    ],
)
def test_certificate_is_judged_by_its_dates(settings, authority, days, level, text):
    """Three weeks before its end is time to do something; expired, or of tomorrow, nobody believes it."""
    made = authority.identity("dated", days=days)
    (one,) = certificates(settings(certificate=made.certificate))
    assert (level, True) == (one.level, one.text.endswith(text)), one
    assert (level != "ok") == ("put a new one there; then systemctl restart meterline-proxy" in one.remedy)


def test_chain_is_as_good_as_its_worst_and_authorities_as_their_best(settings, good, expired, tmp_path):
    """Each of a chain is shown to callers; of some authorities one may be old, but not all."""
    both = tmp_path / "both.pem"
    both.write_text(good.certificate.read_text() + expired.certificate.read_text())
    one_of_two = f"1 of the 2 certificates in {{}} {both}: {NOT_NOW}"
    for changes, level, name in (
        ({"certificate": both}, "fail", "tls.certificate"),
        ({"ca": both}, "warn", "tls.ca"),
        ({"database": both}, "warn", "database.tls_ca"),
    ):
        (one,) = (one for one in certificates(settings(**changes)) if one.level != "ok")
        assert (level, one_of_two.format(name)) == (one.level, one.text)
    assert ["ok", "fail"] == [level for level, _ in found(settings(ca=expired.certificate))]


@pytest.mark.parametrize("content", [None, "", "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"])
def test_file_that_tells_nothing_is_named(settings, tmp_path, content):
    """Not there, empty, broken: the setting, the file, and what to do."""
    file = tmp_path / "bad.pem"
    if content is not None:
        file.write_text(content)
    (one,) = (one for one in certificates(settings(certificate=file)) if one.level != "ok")
    assert ("fail", True) == (one.level, one.text.startswith(f"tls.certificate {file}")), one
    assert one.remedy


def test_node_that_shows_an_old_certificate_is_told_to_restart(settings, good, expired, authority, tmp_path):
    """The file was renewed, and the node reads it when it starts; one that shows what is in the file is well."""
    file = tmp_path / "node.pem"
    shutil.copy(good.certificate, file)
    old = authority.identity("old")
    for shown, levels in ((good, ["ok"]), (old, ["ok", "warn"]), (expired, ["ok", "fail"])):
        with tls_server(shown, b"") as address:
            findings = list(certificates(settings(f"tls:{address}", certificate=file)))
        assert levels == [one.level for one in findings]
        if shown is not good:
            assert f"the proxy shows another certificate than tls.certificate {file}: " in findings[1].text
            assert findings[1].remedy.startswith("systemctl restart meterline-proxy, or docker compose restart proxy: ")
    assert findings[1].text.endswith(NOT_NOW)
