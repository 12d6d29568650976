"""The settings: one frozen, validated object, read once from a TOML file, files of secrets and METERLINE_* variables.

The file is the one that METERLINE_SETTINGS names, else ./meterline.toml if there is one. A variable wins over
the file: METERLINE_CALLS__GRANT_S=60 is `grant_s` of `[calls]`. `meterline.toml.example` shows every key.

METERLINE_SECRETS names folders, with colons between them, in which a file holds one setting and is named like it:
`card_pin_key`, `database.proxy_password`. It wins over the settings file. That is how containers and systemd's
credentials hand secrets over: a process list and `docker inspect` show variables.
"""

import ipaddress
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from billing.errors import SettingsError

PATH_VARIABLE = "METERLINE_SETTINGS"
FOLDERS_VARIABLE = "METERLINE_SECRETS"
DEFAULT_PATH = Path("meterline.toml")
REAP_MARGIN_S = 30  # how long after its hold ran out `reap_calls` takes a call away, in db/routines
LONGEST_CALL_S_MAX = 7 * 86_400

Role = Literal["proxy", "cashier", "admin", "ivr", "setup"]
CarrierOrder = Literal["cost", "priority", "weight"]
Seconds = Annotated[int, Field(ge=1, le=LONGEST_CALL_S_MAX)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Secret = Annotated[SecretStr, Field(min_length=1)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$")]


def _host_and_port(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65_535:
        raise ValueError(f"{text!r} is not HOST:PORT")
    if host.startswith("[") and host.endswith("]"):
        ipaddress.IPv6Address(host[1:-1])
    elif not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}", host):
        raise ValueError(f"{text!r} is not HOST:PORT")
    return text


def _listen_socket(text: str) -> str:
    transport, _, address = text.partition(":")
    if transport not in {"udp", "tcp", "tls"}:
        raise ValueError(f"{text!r} is not udp:HOST:PORT, tcp:HOST:PORT or tls:HOST:PORT")
    _host_and_port(address)
    return text


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError(f"{str(path)!r} is not an absolute path")
    return path


LoginHost = Annotated[str, Field(pattern=r"^[0-9A-Za-z:][0-9A-Za-z.:%_/-]{0,254}$")]
"""An address or a name as MariaDB takes it in an account's name, with `%` and `_` as wildcards; never `%` alone."""
HostAndPort = Annotated[str, AfterValidator(_host_and_port)]
ListenSocket = Annotated[str, AfterValidator(_listen_socket)]
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


class Login(NamedTuple):
    """A database login; `password` None means the server trusts the operating system's user on its socket."""

    user: str
    password: SecretStr | None


class Section(BaseModel):
    """A table of the file: fixed once read, and a key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DatabaseSettings(Section):
    """Where the ledger is and who we are there. A machine holds the passwords of its own roles only."""

    host: str = "127.0.0.1"
    port: Port = 3306
    socket: AbsolutePath | None = None  # a Unix socket, used instead of host and port
    name: Identifier = "meterline"
    tls_ca: AbsolutePath | None = None  # with it the server must show a certificate of this authority
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 1.0  # to connect and to write; an answer: 1 s more, for a lock
    proxy_user: Identifier = "meterline_proxy"
    proxy_password: Secret | None = None
    cashier_user: Identifier = "meterline_cashier"
    cashier_password: Secret | None = None
    admin_user: Identifier = "meterline_admin"
    admin_password: Secret | None = None
    ivr_user: Identifier = "meterline_ivr"  # `db migrate` and doctor alone: an IVR that asks the ledger itself
    ivr_password: Secret | None = None
    setup_user: Identifier = "root"  # `meterline db migrate` alone: may create tables, routines and logins
    setup_password: Secret | None = None  # none: over the socket, as the operating system's user
    login_hosts: tuple[LoginHost, ...] = ()  # `meterline db migrate` alone: other machines, whose logins need TLS

    @property
    def where(self) -> str:
        """Socket or HOST:PORT, for people."""
        return str(self.socket) if self.socket else f"{self.host}:{self.port}"

    def login(self, role: Role) -> Login:
        """User and password of a role. Raises SettingsError when its password is not set."""
        user: str = getattr(self, f"{role}_user")
        password: SecretStr | None = getattr(self, f"{role}_password")
        if password is None and not (role == "setup" and self.socket):
            raise SettingsError(f"database.{role}_password is missing")
        return Login(user, password)


class NodeSettings(Section):
    """This proxy among its peers, and the folder where it keeps journal, dialogs and directory."""

    name: Identifier
    state_dir: AbsolutePath


class SipSettings(Section):
    """What the wire sees."""

    realm: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,126}$")]  # every stored HA1 contains it
    digest_algorithm: Literal["MD5", "SHA-256"] = "MD5"  # one for the whole node (Kamailio's auth module)
    listen: Annotated[tuple[ListenSocket, ...], Field(min_length=1)]
    workers: Annotated[int, Field(ge=1, le=64)] = 4  # SIP processes per UDP socket, and for TCP in all

    @property
    def has_tls(self) -> bool:
        """Whether any socket is for TLS."""
        return any(address.startswith("tls:") for address in self.listen)


class TlsSettings(Section):
    """SIP over TLS, version 1.2 or newer: for the tls sockets of `sip.listen`."""

    certificate: AbsolutePath | None = None  # PEM: the node's own, then those between it and its authority
    private_key: AbsolutePath | None = None  # PEM, not encrypted; nobody but the node may read it
    ca: AbsolutePath = Path("/etc/ssl/certs")  # authorities that are believed: a PEM file, or a folder (openssl rehash)
    verify_carriers: bool = True  # a carrier shows a certificate of theirs with his host's name, or gets no call
    verify_callers: bool = False  # so does everybody who connects, whoever that is

    @property
    def authorities(self) -> tuple[str | None, str | None]:
        """`ca` as Python's ssl takes it: cafile and capath."""
        return (None, str(self.ca)) if self.ca.is_dir() else (str(self.ca), None)


class CallSettings(Section):
    """How long calls ring, talk and are funded for."""

    grant_s: Seconds = 120  # what a call is funded for at a time
    renew_lead_s: Seconds = 60  # renewed when so much is left
    shorter_grants_s: tuple[Seconds, ...] = (60, 30, 15, 6, 1)  # when there is no money for `grant_s`
    ring_limit_s: Seconds = 60  # over all carriers together
    carrier_silence_s: Seconds = 5  # a carrier that has not answered at all by then is given up
    early_dialog_s: Seconds = 90  # when the dialog module forgets an unanswered call
    longest_call_s: Seconds = 86_400
    emergency_numbers: tuple[Annotated[str, Field(pattern=r"^[0-9]{2,8}$")], ...] = ("112", "911")
    emergency_gateway: HostAndPort | None = None  # none: the first healthy carrier

    @model_validator(mode="after")
    def _timers_nest(self) -> Self:
        if self.renew_lead_s >= self.grant_s:
            raise ValueError(f"renew_lead_s {self.renew_lead_s} must be less than grant_s {self.grant_s}")
        for step in self.shorter_grants_s:
            if step >= self.grant_s:
                raise ValueError(f"shorter_grants_s {step} must be less than grant_s {self.grant_s}")
        if self.grant_s > self.longest_call_s:
            raise ValueError(f"grant_s {self.grant_s} must not exceed longest_call_s {self.longest_call_s}")
        if self.early_dialog_s <= self.ring_limit_s:
            raise ValueError(
                f"early_dialog_s {self.early_dialog_s} must be more than ring_limit_s {self.ring_limit_s}"
            )
        # A hold of the smallest grant (1 s) is reaped no earlier than ring_limit_s + 1 + REAP_MARGIN_S.
        if self.early_dialog_s > self.ring_limit_s + REAP_MARGIN_S:
            raise ValueError(
                f"early_dialog_s {self.early_dialog_s} must be at most ring_limit_s + {REAP_MARGIN_S} "
                f"({self.ring_limit_s + REAP_MARGIN_S}), when the hold of an unanswered call is taken away"
            )
        return self


class CarrierSettings(Section):
    """In which order carriers are tried, and how it is found out whether they are there."""

    order: CarrierOrder = "cost"  # or priority, or weight; an account or its tariff may say otherwise
    reference_s: Seconds = 180  # the length of the call whose cost decides
    probe_interval_s: Annotated[int, Field(ge=0, le=3600)] = 10  # between two OPTIONS to a carrier; 0: none are sent
    probe_failures: Annotated[int, Field(ge=1, le=100)] = 2  # unanswered ones in a row, after which he is passed over


class LockoutSettings(Section):
    """How many wrong credentials of one (user, source) or (card, caller number) are borne within a window."""

    failures: Annotated[int, Field(ge=1, le=1000)] = 3  # from all strange places together: twice as many
    window_s: Annotated[int, Field(ge=1, le=3600)] = 300


class FloodSettings(Section):
    """What strangers may do: sources that no trunk, no carrier and no right password has made known."""

    requests_per_s: Annotated[int, Field(ge=1, le=10_000)] = 30  # of one address, or one IPv6 /64
    log_lines_per_s: Annotated[int, Field(ge=1, le=10_000)] = 50  # about all of them together
    tcp_idle_s: Annotated[int, Field(ge=1, le=3600)] = 30  # then a connection is closed


class BreakerSettings(Section):
    """After `failures` in a row the database is left alone for `open_ms`."""

    failures: Annotated[int, Field(ge=1, le=1000)] = 3
    open_ms: Annotated[int, Field(ge=1, le=10_000)] = 2_000


class JournalSettings(Section):
    """How much of the node's disk its journal may take. Past either bound new calls are refused."""

    depth_max_mb: Annotated[int, Field(ge=1, le=1_000_000)] = 256  # waiting for the ledger; a call takes about 1 kB
    reserve_mb: Annotated[int, Field(ge=0, le=10_000)] = 16  # kept for calls in progress when the disk is full; 0: none

    @property
    def depth_max_bytes(self) -> int:
        """`depth_max_mb` in bytes."""
        return self.depth_max_mb * 1_000_000

    @property
    def reserve_bytes(self) -> int:
        """`reserve_mb` in bytes."""
        return self.reserve_mb * 1_000_000


class DrainSettings(Section):
    """How often the drain looks into the journal."""

    interval_ms: Annotated[int, Field(ge=1, le=1_000)] = 20


class MonitorSettings(Section):
    """Who watches the node: metrics, health and readiness over HTTP."""

    listen: HostAndPort = "127.0.0.1:9466"  # nothing secret is told there, and nothing that is anybody else's business
    audit_interval_s: Annotated[int, Field(ge=1, le=86_400)] = 3_600  # how often it has the ledger audited


class Settings(BaseSettings):
    """Everything that can be set. Make it with `load`; it cannot be changed afterwards."""

    model_config = SettingsConfigDict(
        env_prefix="METERLINE_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    database: DatabaseSettings = DatabaseSettings()
    node: NodeSettings
    sip: SipSettings
    tls: TlsSettings = TlsSettings()
    calls: CallSettings = CallSettings()
    carriers: CarrierSettings = CarrierSettings()
    lockout: LockoutSettings = LockoutSettings()
    flood: FloodSettings = FloodSettings()
    breaker: BreakerSettings = BreakerSettings()
    drain: DrainSettings = DrainSettings()
    journal: JournalSettings = JournalSettings()
    monitor: MonitorSettings = MonitorSettings()
    card_pin_key: Annotated[SecretStr, Field(min_length=32)]  # keys the hashes of all card PINs

    @model_validator(mode="after")
    def _tls_has_a_certificate(self) -> Self:
        for name in ("certificate", "private_key"):
            if self.sip.has_tls and getattr(self.tls, name) is None:
                raise ValueError(f"tls.{name} is missing: sip.listen has a tls socket")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over what the file holds (handed in by `load`)."""
        return env_settings, init_settings


def load(path: Path | None = None) -> Settings:
    """Read and check the settings of `path`, or of the place that the module's docstring names.

    Raises SettingsError, one line that names each setting that is missing, unknown or makes no sense.
    """
    source = path or path_from_environment()
    content = _read(source) if source else {}
    for folder in filter(None, os.environ.get(FOLDERS_VARIABLE, "").split(":")):
        _add_secrets(content, Path(folder))
    _refuse_unknown_variables()
    try:
        return Settings(**content)
    except ValidationError as error:
        where = source or f"no settings file ({PATH_VARIABLE}, ./{DEFAULT_PATH})"
        raise SettingsError(f"{where}: {'; '.join(_describe(one) for one in error.errors())}") from None


def path_from_environment() -> Path | None:
    """The settings file that is read when none is named; None when there is none."""
    if named := os.environ.get(PATH_VARIABLE):
        return Path(named)
    return DEFAULT_PATH if DEFAULT_PATH.exists() else None


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"settings file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings file {path}: {error}") from None


def _add_secrets(content: dict[str, Any], folder: Path) -> None:
    """Put the files of a folder of secrets into `content`. Hidden ones are how Kubernetes swaps a folder's content."""
    for file in secret_files(folder):
        section, _, key = file.name.rpartition(".")
        place = content.setdefault(section, {}) if section else content
        if not isinstance(place, dict):
            raise SettingsError(f"secrets folder {folder}: {section} in the settings file is no section")
        try:
            place[key] = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"secret {file}: {getattr(error, 'strerror', None) or 'is no text'}") from None


def secret_files(folder: Path) -> list[Path]:
    """The files of a folder of secrets. Raises SettingsError when it cannot be read."""
    try:
        return [file for file in sorted(folder.iterdir()) if file.is_file() and not file.name.startswith(".")]
    except OSError as error:
        raise SettingsError(f"{FOLDERS_VARIABLE}: folder {folder}: {error.strerror}") from None


def _refuse_unknown_variables() -> None:
    """pydantic passes over a variable whose first word is no setting; a slip must not be silent.

    Names without a double underscore are left alone: kamailio.cfg takes its own METERLINE_* from there.
    """
    for variable in os.environ:
        section, inner, _ = variable.removeprefix("METERLINE_").partition("__")
        if variable.startswith("METERLINE_") and inner and section.lower() not in Settings.model_fields:
            raise SettingsError(f"variable {variable}: there is no such setting")


def _describe(error: Any) -> str:
    """One finding of pydantic as "calls.grant_s: ..", without the value, which may be a secret."""
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"{name} is missing"
    if error["type"] == "extra_forbidden":
        return f"{name}: there is no such setting"
    text: str = error["msg"].removeprefix("Value error, ")
    return f"{name}: {text}" if name else text
