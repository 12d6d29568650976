"""What is left when the calls are over: CDRs, balances, audit, one charge's arithmetic."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from decimal import Decimal

from rich.console import Console
from rich.table import Table

from billing.ledger import Ledger
from billing.ledger_types import Account, Cdr
from billing.pricelist import rate_from_json
from billing.rating import PricedCall
from cli.output import money
from demo.calls import Played

AUDITED = {
    "balances, from their entries": ("balance", "available", "forced_floor", "purse_missing", "account_missing"),
    "holds and calls, from the calls in progress": ("held", "calls"),
    "charges, from the calls' entries": ("charge",),
    "minute bundles, from their calls": (
        "bundle_held", "bundle_used", "bundle_granted", "bundle_of_leg", "bundle_of_cdr", "bundle_flag",
    ),
    "calls in progress and their legs": ("legs_of_call", "account_of_call", "leg_without_call", "live_and_settled"),
}  # fmt: skip
"""What the routine `audit` checks, and the names it gives to differences."""


def show_cdrs(console: Console, cdrs: Iterable[Cdr]) -> None:
    """A line a call, and one for each further account that it charged."""
    table = _table("Call detail records", "account", "to", "result", ">talked", ">billed", ">charge", gap=1)
    for cdr in cdrs:
        first, *further = cdr.legs or (None,)
        result = f"answered, {cdr.end_reason}" if cdr.legs else cdr.result
        talked, billed = (f"{cdr.talked_ms / 1000:.2f} s", f"{cdr.billed_s} s") if cdr.legs else ("", "")
        charge = money(first.charge) if first else ""
        table.add_row(cdr.account_name, cdr.callee or cdr.dialled, result, talked, billed, charge)
        for leg in further:
            table.add_row(f"< {leg.account_name}", "", "", "", "", money(leg.charge))
    console.print(table)


def show_balances(console: Console, accounts: Iterable[Account], expected: Mapping[str, Decimal]) -> list[str]:
    """Every account that the demo touched, and the faults: balances that are not what they must be, holds left over."""
    table = _table("Balances", "account", "tariff", "under", ">balance", ">held", ">calls")
    wrong = []
    for account in accounts:
        table.add_row(
            *(account.name, account.tariff_name, account.parent_name or ""),
            *(money(account.balance), money(account.held), str(account.calls)),
        )
        must = expected[account.name]
        if (account.balance, account.held, account.calls) != (must, Decimal(0), 0):
            wrong.append(
                f"{account.name}: {money(account.balance)} with {money(account.held)} held by {account.calls} calls, "
                f"not {money(must)} with nothing held"
            )
    console.print(table)
    return wrong


def show_audit(console: Console, ledger: Ledger) -> list[str]:
    """The audit recomputes every balance, hold, counter and charge; the faults it found."""
    differences = ledger.audit()
    table = _table("Audit", "recomputed", "found")
    for what, names in AUDITED.items():
        count = sum(one.what in names for one in differences)
        table.add_row(what, f"{count} differences" if count else "no difference")
    console.print(table)
    return [f"audit: {one.what} {one.id}: {one.actual}, not {one.expected}" for one in differences]


def show_levels(console: Console, cdr: Cdr, carrier_a_second: Decimal) -> list[str]:
    """What each level of a call paid, and to whom, what each seller kept, and the vendor's margin; the faults."""
    table = _table("A reseller's call, level by level", "who pays", "to whom", ">pays", ">who then pays", ">and keeps")
    sellers = [*(leg.account_name for leg in cdr.legs[1:]), "the vendor"]
    costs = [*(leg.charge for leg in cdr.legs[1:]), cdr.carrier_cost]
    for leg, seller, cost in zip(cdr.legs, sellers, costs, strict=True):
        kept = money(leg.charge - cost) if cost is not None else "?"
        table.add_row(leg.account_name, seller, money(leg.charge), money(cost), kept)
    table.add_row("the vendor", "the carrier", money(cdr.carrier_cost))
    console.print(table)
    console.print(f"The vendor's margin of these {cdr.billed_s} s: {money(cdr.margin)}")
    must = cdr.legs[-1].charge - carrier_a_second * cdr.billed_s
    return [] if cdr.margin == must else [f"the vendor's margin is {money(cdr.margin)}, not {money(must)}"]


def show_arithmetic(console: Console, cdr: Cdr) -> list[str]:
    """One call's charges, worked out again from the rates that its CDR keeps; the faults."""
    console.print("[bold]One CDR's arithmetic[/]")
    console.print(f"Call {cdr.call_key} to {cdr.callee}: {cdr.billed_s} s, by the rates that its CDR keeps")
    wrong = []
    assert cdr.rated_at is not None, "an answered call was rated"
    for leg in cdr.legs:
        priced = PricedCall(rate_from_json(leg.rate_json), cdr.rated_at.replace(tzinfo=UTC), max(1, cdr.grant_s))
        console.print(f"\n  {leg.account_name} (rate of prefix {priced.rate.prefix}, {leg.destination})")
        for line in priced.explain(cdr.billed_s, leg.bundle_s):
            console.print(f"    {line.text}", markup=False, soft_wrap=True)
        if priced.cost(cdr.billed_s, leg.bundle_s) != leg.charge:
            wrong.append(f"{leg.account_name} was charged {money(leg.charge)}, which its rate does not give")
    return wrong


def expected_balances(
    before: Mapping[str, Decimal], calls: Sequence[Played], paid: Mapping[str, Decimal]
) -> dict[str, Decimal]:
    """What each account must have now: what it had, what was paid in, less every charge as the demo works it out."""
    now = {name: balance + paid.get(name, Decimal(0)) for name, balance in before.items()}
    for call in calls:
        for account, charge in call.charges().items():
            now[account] -= charge
    return now


def _table(title: str, *columns: str, gap: int = 2) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=None,
        padding=(0, gap, 0, 0),
        pad_edge=False,
    )
    for column in columns:
        right = column.startswith(">")
        table.add_column(column.removeprefix(">"), justify="right" if right else "left", no_wrap=True)
    return table
