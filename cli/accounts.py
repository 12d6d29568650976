"""`meterline reseller` and `meterline customer`: accounts of the two kinds, by their names."""

from typing import Annotated, Literal

import typer

from billing.ledger import Ledger
from billing.ledger_types import Account
from billing.ledger_types_accounts import PrefixRule
from billing.numbers import DialPlan
from cli import values
from cli.ledger import NotFound, account_named, opened
from cli.output import duration, moment, money, show_json, show_table, tell

Kind = Literal["reseller", "customer"]

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The account's name.", show_default=False)]
Tariff = Annotated[str, typer.Option(help="What the account is charged at: its parent's, or the vendor's.")]
Parent = Annotated[str | None, typer.Option(help="The reseller above it. Default: it is the vendor's own.")]
Reason = Annotated[str, typer.Option(help="For the CDRs of the calls that end.")]
Prefixes = Annotated[list[str], typer.Argument(metavar="PREFIX..", help='E.164 digits, or "all".', show_default=False)]


def commands_for(kind: Kind) -> typer.Typer:
    """The commands of one kind; the others' accounts are not found by them."""
    group = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help=f"Look after {kind}s.")
    for register in (_register_list, _register_changes, _register_state, _register_prefixes):
        register(group, kind)
    return group


def _of_kind(ledger: Ledger, name: str, kind: Kind) -> Account:
    account = account_named(ledger, name)
    if account.kind != kind:
        raise NotFound(f"account {name!r} is a {account.kind}, no {kind}")
    return account


def _register_list(group: typer.Typer, kind: Kind) -> None:
    @group.command("list")
    def list_all(
        parent: Annotated[str | None, typer.Option(help="Only those of this reseller.")] = None, as_json: AsJson = False
    ) -> None:
        """All of them, with their money."""
        with opened("admin") as ledger:
            found = [one for one in ledger.accounts() if one.kind == kind]
            if parent is not None:
                above = _of_kind(ledger, parent, "reseller").account_id
                found = [one for one in found if one.parent_id == above]
        if as_json:
            show_json(found)
            return
        columns = ("name", "of", "status", "tariff", "currency", ">balance", ">held", ">available", ">calls")
        show_table(f"{len(found)} {kind}s", columns, [_row(one) for one in found])

    @group.command()
    def show(name: Name, as_json: AsJson = False) -> None:
        """Everything about one."""
        with opened("admin") as ledger:
            account = _of_kind(ledger, name, kind)
            rules = [rule for rule in ledger.prefix_rules(name) if rule.user_name is None]
        if as_json:
            show_json({"account": account, "prefixes": rules})
        else:
            show_table(f"{kind} {account.name}", ("setting", "value"), _facts(account, rules))


def _row(account: Account) -> tuple[object, ...]:
    amounts = (money(account.balance), money(account.held), money(account.available), account.calls)
    return (account.name, account.parent_name, account.status, account.tariff_name, account.currency, *amounts)


def _facts(account: Account, rules: list[PrefixRule]) -> list[tuple[str, str]]:
    facts: list[tuple[str, object]] = [
        ("status", account.status),
        ("of", account.parent_name or "the vendor"),
        ("tariff", account.tariff_name),
        *((name, f"{money(getattr(account, name))} {account.currency}") for name in ("balance", "held", "available")),
        ("credit_limit", money(account.credit_limit)),
        ("calls", account.calls),
        ("spent_today", money(account.spent_today)),
        *((name, money(getattr(account, name))) for name in ("daily_spend_limit", "low_balance", "parent_hold_limit")),
        *((name, getattr(account, name)) for name in _LIMITS),
        ("longest_call_s", duration(account.longest_call_s)),
        ("expires_at", moment(account.expires_at)),
        *((name, getattr(account, name)) for name in _DIALLING),
        ("premium_allowed", "yes" if account.premium_allowed else "no"),
        ("loss_allowed", "yes" if account.loss_allowed else ""),
        ("carrier_order", account.carrier_order),
        ("allowed", " ".join(rule.prefix or "all" for rule in rules if rule.allowed)),
        ("barred", " ".join(rule.prefix or "all" for rule in rules if not rule.allowed)),
    ]
    return [(name, f"{value}") for name, value in facts if value is not None and value != ""]


_LIMITS = (
    "max_calls", "low_balance_max_calls", "max_calls_per_second", "max_calls_per_hour",
    "max_calls_per_hour_per_destination",
)  # fmt: skip
_DIALLING = ("country_code", "international_prefixes", "national_prefix")


def _register_changes(group: typer.Typer, kind: Kind) -> None:
    @group.command()
    def add(
        name: Name,
        tariff: Tariff,
        parent: Parent = None,
        credit: Annotated[str, typer.Option(help="How far below zero its balance may go.")] = "0",
        country: Annotated[str | None, typer.Option(help="Country code of national numbers, such as 49.")] = None,
        as_json: AsJson = False,
    ) -> None:
        """Make one, active and without money. Limits and the rest: set."""
        limit = values.amount(credit, "--credit")
        DialPlan(country or "")  # InvalidNumber before anything is made
        with opened("admin") as ledger:
            account_id = ledger.create_account(kind, name, parent, None, tariff, limit)
            if country is not None:
                ledger.set_account(name, country_code=country)
        tell({"account": name, "account_id": account_id}, f"{name}: made, charged at {tariff}", as_json)

    @group.command("set")
    def set_some(
        name: Name,
        settings: Annotated[
            list[str], typer.Argument(metavar="SETTING=VALUE..", help="Any number of them.", show_default=False)
        ],
        as_json: AsJson = False,
    ) -> None:
        """Change settings: those of the table account in docs/database.md that no other command changes; none is none.

        As in: set Acme max_calls=3 low_balance=2.00 expires_at=2036-01-01 premium_allowed=yes longest_call_s=none
        """
        changed = values.settings(settings)
        with opened("admin") as ledger:
            _of_kind(ledger, name, kind)
            ledger.set_account(name, **changed)
        tell({"account": name, "changed": sorted(changed)}, f"{name}: {', '.join(sorted(changed))} changed", as_json)

    @group.command()
    def credit(
        name: Name,
        limit: Annotated[str, typer.Argument(metavar="LIMIT", help="Such as 50.00; 0: prepaid.", show_default=False)],
        as_json: AsJson = False,
    ) -> None:
        """How far below zero its balance may go."""
        value = values.amount(limit, "LIMIT")
        with opened("admin") as ledger:
            _of_kind(ledger, name, kind)
            ledger.set_credit_limit(name, value)
        tell({"account": name, "credit_limit": money(value)}, f"{name}: credit limit {money(value)}", as_json)

    @group.command()
    def move(name: Name, tariff: Tariff, parent: Parent = None, as_json: AsJson = False) -> None:
        """Put it, with all below it, under another parent. Nobody below it may be in a call."""
        with opened("admin") as ledger:
            _of_kind(ledger, name, kind)
            ledger.move_account(name, parent, tariff)
        tell({"account": name, "parent": parent}, f"{name}: moved under {parent or 'the vendor'}", as_json)


def _register_state(group: typer.Typer, kind: Kind) -> None:
    @group.command()
    def suspend(
        name: Name,
        now: Annotated[bool, typer.Option("--now", help="End the calls in progress, too.")] = False,
        reason: Reason = "",
        as_json: AsJson = False,
    ) -> None:
        """No new calls of it and of all below it. Those in progress end at their grants, or now."""
        with opened("admin") as ledger:
            _of_kind(ledger, name, kind)
            ending = ledger.suspend_account(name, now=now, reason=reason)
        text = f"{name}: suspended" + (f", {ending} calls are being ended" if now else "")
        tell({"account": name, "status": "suspended", "ending": ending}, text, as_json)

    @group.command()
    def resume(name: Name, as_json: AsJson = False) -> None:
        """Active again."""
        with opened("admin") as ledger:
            _of_kind(ledger, name, kind)
            ledger.resume_account(name)
        tell({"account": name, "status": "active"}, f"{name}: active", as_json)

    @group.command()
    def close(name: Name, as_json: AsJson = False) -> None:
        """Close it for good: without calls, without a balance, without open accounts below it."""
        with opened("admin") as ledger:
            _of_kind(ledger, name, kind)
            ledger.close_account(name)
        tell({"account": name, "status": "closed"}, f"{name}: closed", as_json)

    if kind == "reseller":
        group.command("below-cost")(below_cost)


def below_cost(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Of this one alone.")] = None,
    as_json: AsJson = False,
) -> None:
    """What resellers sell under the price that they buy at."""
    with opened("admin") as ledger:
        found = ledger.below_cost(None if name is None else _of_kind(ledger, name, "reseller").name)
    if as_json:
        show_json(found)
        return
    rows = [
        (
            *(one.account_name, one.tariff_name, one.prefix, one.destination),
            *(money(one.sell_per_minute), money(one.buy_per_minute)),
            *(money(one.sell_connect_fee), money(one.buy_connect_fee)),
        )
        for one in found
    ]
    columns = ("reseller", "tariff", "prefix", "to", ">sold a minute", ">bought", ">sold fee", ">bought")
    show_table(f"{len(found)} prefixes below cost", columns, rows)


def _register_prefixes(group: typer.Typer, kind: Kind) -> None:
    @group.command()
    def bar(name: Name, prefixes: Prefixes, as_json: AsJson = False) -> None:
        """No calls to these prefixes, of it and of all below it. The longest that fits a number decides."""
        checked = [values.prefix(one) for one in prefixes]
        with opened("admin") as ledger:
            _of_kind(ledger, name, kind)
            for digits in checked:
                ledger.bar_prefix(name, None, digits)
        tell({"account": name, "barred": prefixes}, f"{name}: {' '.join(prefixes)} barred", as_json)

    @group.command()
    def allow(name: Name, prefixes: Prefixes, as_json: AsJson = False) -> None:
        """Calls to these prefixes pass, against shorter ones that are barred and against premium ranges."""
        checked = [values.prefix(one) for one in prefixes]
        with opened("admin") as ledger:
            _of_kind(ledger, name, kind)
            for digits in checked:
                ledger.allow_prefix(name, None, digits)
        tell({"account": name, "allowed": prefixes}, f"{name}: {' '.join(prefixes)} allowed", as_json)

    @group.command()
    def forget(name: Name, prefixes: Prefixes, as_json: AsJson = False) -> None:
        """Remove what bar or allow said of these prefixes."""
        checked = [values.prefix(one) for one in prefixes]
        with opened("admin") as ledger:
            _of_kind(ledger, name, kind)
            for digits in checked:
                ledger.forget_prefix(name, None, digits)
        tell({"account": name, "forgotten": prefixes}, f"{name}: {' '.join(prefixes)} forgotten", as_json)
