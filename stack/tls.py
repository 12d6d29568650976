"""SIP over TLS: what Kamailio's tls module reads. The files that the settings name are looked at first."""

import ssl
from pathlib import Path

from billing.errors import SettingsError
from billing.settings import Settings, TlsSettings


def configuration_file(run_dir: Path) -> Path:
    """Where `prepare` writes."""
    return run_dir / "tls.cfg"


def prepare(settings: Settings, run_dir: Path) -> None:
    """Check certificate, key and authorities, and write the tls module's file. Nothing without a tls socket.

    Raises SettingsError, which names the setting and the file.
    """
    if settings.sip.has_tls:
        check(settings.tls)
        configuration_file(run_dir).write_text(_configuration(settings.tls), encoding="utf-8")


def check(tls: TlsSettings) -> None:
    """Raise SettingsError for a file that Kamailio could not use, or a key that others may read."""
    assert tls.certificate is not None
    assert tls.private_key is not None
    for name, path in (("certificate", tls.certificate), ("private_key", tls.private_key), ("ca", tls.ca)):
        if any(character in str(path) for character in "\r\n"):
            raise SettingsError(f"tls.{name}: {str(path)!r} has a line break")
        try:
            if name != "ca" or not path.is_dir():
                path.open("rb").close()
        except OSError as error:
            raise SettingsError(f"tls.{name} {path}: {error.strerror}") from None
    _refuse_open_key(tls.private_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.certificate, tls.private_key, password=_no_password)
    except (ssl.SSLError, _Encrypted) as error:
        raise SettingsError(f"tls.certificate {tls.certificate}, tls.private_key {tls.private_key}: {error}") from None
    try:
        context.load_verify_locations(*tls.authorities)
    except ssl.SSLError as error:
        raise SettingsError(f"tls.ca {tls.ca}: {error}") from None


def _refuse_open_key(path: Path) -> None:
    mode = path.stat().st_mode
    if mode & 0o007:
        raise SettingsError(f"tls.private_key {path}: mode {mode & 0o777:o} lets everybody at it; chmod 600, or 640")


class _Encrypted(Exception):
    """The key asks for a password, and nobody is there to type one."""


def _no_password() -> str:
    raise _Encrypted("the key is encrypted")


def _configuration(tls: TlsSettings) -> str:
    """Whoever connects is [server], whom we connect to is [client]."""
    both = ("method = TLSv1.2+", f"certificate = {tls.certificate}", f"private_key = {tls.private_key}")
    return "\n".join(
        [
            "[server:default]",
            *both,
            *_verification(tls.verify_callers, tls.ca),
            "",
            "[client:default]",
            *both,
            *_verification(tls.verify_carriers, tls.ca),
            "",
        ]
    )


def _verification(wanted: bool, ca: Path) -> tuple[str, ...]:  # noqa: FBT001 - a setting
    if not wanted:
        return ("verify_certificate = no", "require_certificate = no")
    # A file is read for each process, a folder when it is needed: with Debian's 140 authorities that is seconds.
    place = "ca_path" if ca.is_dir() else "ca_list"
    return ("verify_certificate = yes", "require_certificate = yes", f"{place} = {ca}")
