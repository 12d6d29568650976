"""`meterline user`: the persons and phones of an account."""

import getpass
import hashlib
import secrets
import sys
from typing import Annotated

import typer

from billing import settings as settings_module
from billing.ledger import Ledger
from billing.ledger_types_accounts import PrefixRule, UserRow
from cli import values
from cli.ledger import NotFound, account_named, opened
from cli.output import show_json, show_table, tell
from cli.values import BadInput

PASSWORD_CHARACTERS_MIN = 8
GENERATED_BYTES = 15

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
AccountName = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's name.", show_default=False)]
UserName = Annotated[str, typer.Argument(metavar="USER", help="The user's name in it.", show_default=False)]
Settings = Annotated[
    list[str], typer.Argument(metavar="SETTING=VALUE..", help="Any number of them.", show_default=False)
]
Prefixes = Annotated[list[str], typer.Argument(metavar="PREFIX..", help='E.164 digits, or "all".', show_default=False)]

commands = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Look after users: who may call.")


@commands.command("list")
def list_all(
    account: Annotated[str | None, typer.Option(help="Only those of this account.")] = None,
    removed: Annotated[bool, typer.Option("--removed", help="Those who were removed, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """All of them."""
    with opened("admin") as ledger:
        found = ledger.users(account and account_named(ledger, account).name, removed=removed)
    if as_json:
        show_json(found)
        return
    columns = ("account", "user", "status", ">calls", ">of at most", ">longest call", ">calls a second")
    show_table(f"{len(found)} users", columns, [_row(one) for one in found])


def _row(user: UserRow) -> tuple[object, ...]:
    limits = (user.calls, user.max_calls, user.longest_call_s, user.max_calls_per_second)
    return (user.account_name, user.name, user.status, *limits)


@commands.command()
def show(account: AccountName, user: UserName, as_json: AsJson = False) -> None:
    """One, with SIP user names, caller numbers and prefixes."""
    with opened("admin") as ledger:
        found = _named(ledger, account, user)
        names = [one for one in ledger.usernames(account) if one.user_id == found.user_id]
        numbers = [one for one in ledger.caller_numbers(account) if one.user_name == found.name]
        rules = [one for one in ledger.prefix_rules(account) if one.user_name == found.name]
    if as_json:
        show_json({"user": found, "usernames": names, "caller_numbers": numbers, "prefixes": rules})
        return
    facts: list[tuple[str, object]] = [
        ("status", found.status),
        *((name, getattr(found, name)) for name in ("calls", "max_calls", "longest_call_s", "max_calls_per_second")),
        *(("SIP user name", f"{one.username} @ {one.realm}") for one in names),
        *(("caller number", f"{one.number} on {one.trunk_name}") for one in numbers),
        ("allowed", _prefixes(rules, allowed=True)),
        ("barred", _prefixes(rules, allowed=False)),
    ]
    rows = [(name, f"{value}") for name, value in facts if value not in (None, "")]
    show_table(f"user {found.name} of {found.account_name}", ("setting", "value"), rows)


def _prefixes(rules: list[PrefixRule], *, allowed: bool) -> str:
    return " ".join(rule.prefix or "all" for rule in rules if rule.allowed == allowed)


def _named(ledger: Ledger, account: str, user: str) -> UserRow:
    for one in ledger.users(account_named(ledger, account).name):
        if one.name.lower() == user.lower():  # as the ledger compares names
            return one
    raise NotFound(f"user {user!r}: account {account} has none of this name")


@commands.command()
def add(
    account: AccountName,
    user: UserName,
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[SETTING=VALUE..]", help="Any number of them.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make one. Then give him a password, or a caller number.

    As in: add Acme 101 max_calls=2
    """
    with opened("admin") as ledger:
        user_id = ledger.create_user(account, user, **values.settings(settings or []))
    tell({"account": account, "user": user, "user_id": user_id}, f"{user} of {account}: made", as_json)


@commands.command("set")
def set_some(account: AccountName, user: UserName, settings: Settings, as_json: AsJson = False) -> None:
    """Change name, max_calls, longest_call_s or max_calls_per_second; none is none."""
    changed = values.settings(settings)
    with opened("admin") as ledger:
        ledger.set_user(account, user, **changed)
    text = f"{user} of {account}: {', '.join(sorted(changed))} changed"
    tell({"account": account, "user": user, "changed": sorted(changed)}, text, as_json)


@commands.command()
def suspend(
    account: AccountName,
    user: UserName,
    now: Annotated[bool, typer.Option("--now", help="End his calls in progress, too.")] = False,
    reason: Annotated[str, typer.Option(help="For the CDRs of the calls that end.")] = "",
    as_json: AsJson = False,
) -> None:
    """No new calls of his."""
    with opened("admin") as ledger:
        ending = ledger.suspend_user(account, user, now=now, reason=reason)
    text = f"{user} of {account}: suspended" + (f", {ending} calls are being ended" if now else "")
    tell({"account": account, "user": user, "status": "suspended", "ending": ending}, text, as_json)


@commands.command()
def resume(account: AccountName, user: UserName, as_json: AsJson = False) -> None:
    """Active again."""
    with opened("admin") as ledger:
        ledger.resume_user(account, user)
    tell({"account": account, "user": user, "status": "active"}, f"{user} of {account}: active", as_json)


@commands.command()
def remove(account: AccountName, user: UserName, as_json: AsJson = False) -> None:
    """Remove him with passwords and caller numbers. CDRs keep his name, which another may have then."""
    with opened("admin") as ledger:
        ledger.remove_user(account, user)
    tell({"account": account, "user": user, "status": "removed"}, f"{user} of {account}: removed", as_json)


@commands.command()
def password(
    account: AccountName,
    user: UserName,
    username: Annotated[str | None, typer.Option(help="His SIP user name. Default: his name.")] = None,
    generate: Annotated[bool, typer.Option("--generate", help="Make one up and show it, once.")] = False,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read it from the first line of standard input.")] = False,
    take_away: Annotated[bool, typer.Option("--remove", help="Take this SIP user name from him.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give him a SIP password: asked for twice, unless told otherwise. It is never an argument, and never stored.

    The ledger keeps its hashes for the realm of the settings (sip.realm).
    """
    if generate + stdin + take_away > 1:
        raise BadInput("only one of --generate, --stdin and --remove can be given")
    realm = settings_module.load().sip.realm
    sip_name = username or user
    shown = {"account": account, "user": user, "username": sip_name, "realm": realm}
    if take_away:
        with opened("admin") as ledger:
            ledger.remove_user_password(account, user, sip_name, realm)
        tell(shown, f"{sip_name}: no password any more", as_json)
        return
    secret = _password(generate=generate, stdin=stdin)
    ha1_md5, ha1_sha256 = (_ha1(algorithm, sip_name, realm, secret) for algorithm in ("md5", "sha256"))
    with opened("admin") as ledger:
        ledger.set_user_password(account, user, sip_name, realm, ha1_md5, ha1_sha256)
    if generate:
        shown["password"] = secret
    tell(shown, f"{sip_name}: password {secret if generate else 'set'}", as_json)


def _password(*, generate: bool, stdin: bool) -> str:
    if generate:
        return secrets.token_urlsafe(GENERATED_BYTES)
    if stdin:
        secret = sys.stdin.readline().rstrip("\r\n")
    else:
        secret = getpass.getpass("password: ")
        if secret != getpass.getpass("again: "):
            raise BadInput("the two passwords differ")
    if len(secret) < PASSWORD_CHARACTERS_MIN:
        raise BadInput(f"a password has at least {PASSWORD_CHARACTERS_MIN} characters")
    return secret


def _ha1(algorithm: str, username: str, realm: str, secret: str) -> str:
    """HA1 of RFC 7616."""
    return hashlib.new(algorithm, f"{username}:{realm}:{secret}".encode(), usedforsecurity=False).hexdigest()


@commands.command()
def number(
    account: AccountName,
    user: UserName,
    trunk: Annotated[str, typer.Argument(metavar="TRUNK", help="Of kind caller_number.", show_default=False)],
    digits: Annotated[str, typer.Argument(metavar="NUMBER", help="E.164 digits.", show_default=False)],
    take_away: Annotated[bool, typer.Option("--remove", help="Nobody's any more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Calls with this caller number on a trunk are his."""
    with opened("admin") as ledger:
        if take_away:
            owners = {(one.account_name, one.user_name) for one in ledger.caller_numbers(account, trunk)
                      if one.number == digits}  # fmt: skip
            found = _named(ledger, account, user)
            if (found.account_name, found.name) not in owners:
                raise NotFound(f"number {digits!r} on trunk {trunk} is not that of user {user}")
            ledger.remove_caller_number(trunk, digits)
        else:
            ledger.add_caller_number(trunk, digits, account, user)
    shown = {"account": account, "user": user, "trunk": trunk, "number": digits, "removed": take_away}
    tell(shown, f"{digits} on {trunk}: {'nobody' if take_away else f'{user} of {account}'}", as_json)


@commands.command()
def bar(account: AccountName, user: UserName, prefixes: Prefixes, as_json: AsJson = False) -> None:
    """No calls of his to these prefixes. The longest that fits a number decides."""
    checked = [values.prefix(one) for one in prefixes]
    with opened("admin") as ledger:
        for digits in checked:
            ledger.bar_prefix(account, user, digits)
    shown = {"account": account, "user": user, "barred": prefixes}
    tell(shown, f"{user} of {account}: {' '.join(prefixes)} barred", as_json)


@commands.command()
def allow(account: AccountName, user: UserName, prefixes: Prefixes, as_json: AsJson = False) -> None:
    """Calls of his to these prefixes pass him, against shorter ones that are barred. His account has its own say."""
    checked = [values.prefix(one) for one in prefixes]
    with opened("admin") as ledger:
        for digits in checked:
            ledger.allow_prefix(account, user, digits)
    shown = {"account": account, "user": user, "allowed": prefixes}
    tell(shown, f"{user} of {account}: {' '.join(prefixes)} allowed", as_json)


@commands.command()
def forget(account: AccountName, user: UserName, prefixes: Prefixes, as_json: AsJson = False) -> None:
    """Remove what bar or allow said of these prefixes."""
    checked = [values.prefix(one) for one in prefixes]
    with opened("admin") as ledger:
        for digits in checked:
            ledger.forget_prefix(account, user, digits)
    shown = {"account": account, "user": user, "forgotten": prefixes}
    tell(shown, f"{user} of {account}: {' '.join(prefixes)} forgotten", as_json)
