"""`meterline tariff rerate`: what calls should have cost by a tariff that was mended, and entries that put it right."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

import typer
from ulid import ULID

from billing.errors import KeyConflict, LedgerRefused, LedgerUnavailable
from billing.ledger import Ledger
from billing.ledger_types import Tariff
from billing.rerating import Difference, Unpriced, rerated
from cli.ledger import account_named, actor, opened
from cli.output import moment, money, show_json, show_table
from cli.tariff_deck import tariff_named
from cli.values import BadInput, instant, ulid, whole_number

LIMIT_MAX = 10_000_000
REFUSED = 1
"""Exit code when some corrections were refused."""


@dataclass(frozen=True)
class LegShown:
    """A leg of a call and what becomes of it. `outcome`: 'differs' in a dry run, then the ledger's word."""

    call_key: str
    leg: int
    account: str
    to: str
    destination: str
    billed_s: int
    currency: str
    old_charge: Decimal
    new_charge: Decimal | None
    difference: Decimal | None
    outcome: str


@dataclass(frozen=True)
class Rerating:
    """A whole run."""

    run: str
    tariff: str
    priced_by: str
    dry_run: bool
    legs: int
    in_progress: int
    differences: Sequence[LegShown]
    unpriced: Sequence[LegShown]


def rerate(
    name: Annotated[str, typer.Argument(metavar="TARIFF", help="What the calls were charged by.", show_default=False)],
    since: Annotated[str, typer.Option("--from", help="Calls rated since then; no offset: UTC.", show_default=False)],
    until: Annotated[str, typer.Option("--to", help="Until before then.", show_default=False)],
    account: Annotated[str | None, typer.Option(help="Only what this account was charged.")] = None,
    by: Annotated[str | None, typer.Option(metavar="TARIFF", help="Price by another tariff than TARIFF.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Write the correcting entries.")] = False,
    reason: Annotated[str | None, typer.Option(help="For the entries. Default: re-rating by TARIFF.")] = None,
    run: Annotated[str | None, typer.Option(help="An earlier --apply (its key), to be finished.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Also debits that leave less than nothing.")] = False,
    limit: Annotated[str, typer.Option(help="Show the first so many calls.")] = "1000",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Price the calls of a period again, after a tariff was mended. Without --apply it only lists the differences.

    Example: meterline tariff rerate Retail --from 2026-11-01 --to 2026-11-08

    A call is priced with the rates that were in effect when it was rated, as the tariff says now. Each difference
    becomes an entry of its own; the call keeps its charge and shows the corrected one. A second run builds on the
    first. Exit code 1 if the ledger refused some.
    """
    most = whole_number(limit, "--limit", 0, LIMIT_MAX)
    begins, ends = instant(since, "--from"), instant(until, "--to")
    if begins >= ends:
        raise BadInput(f"--to {until} is not after --from {since}")
    if (run or force or reason) and not apply:
        raise BadInput("--run, --force and --reason are for --apply")
    key = ulid(run, "--run") if run else str(ULID())
    with opened("cashier") as ledger:
        if begins < (border := ledger.archived_before()):
            told = f"calls before {moment(border)} may be archived, and are not priced again: --from {since}"
            raise LedgerRefused("period_archived", told)
        tariff = tariff_named(ledger, name)
        prices = _prices(ledger, tariff, by)
        account_id = account_named(ledger, account).account_id if account else None
        legs = 0
        found: list[Difference] = []
        unpriced: list[Unpriced] = []
        for outcome in rerated(ledger, prices, ledger.legs_to_rerate(tariff.tariff_id, begins, ends, account_id)):
            legs += 1
            if isinstance(outcome, Difference):
                found.append(outcome)
            elif outcome is not None:
                unpriced.append(outcome)
        if tariff_named(ledger, prices.name).version != prices.version:
            raise LedgerRefused("tariff_changed", f"tariff {prices.name} was changed while calls were priced: again")
        told = reason or f"re-rating by {prices.name}"
        outcomes = [_corrected(ledger, key, one, told, force=force) if apply else "differs" for one in found]
        shown = Rerating(
            run=key,
            tariff=name,
            priced_by=prices.name,
            dry_run=not apply,
            legs=legs,
            in_progress=ledger.live_legs_of(tariff.tariff_id),
            differences=[_shown(*pair) for pair in zip(found, outcomes, strict=True)],
            unpriced=[_unpriced(one) for one in unpriced],
        )
    show_json(shown) if as_json else _show(shown, most)
    if any(one not in {"differs", "corrected", "already"} for one in outcomes):
        raise typer.Exit(REFUSED)


def _prices(ledger: Ledger, tariff: Tariff, by: str | None) -> Tariff:
    found = tariff_named(ledger, by) if by else tariff
    if found.currency != tariff.currency:
        raise BadInput(f"--by {by}: in {found.currency}, and tariff {tariff.name} in {tariff.currency}")
    return found


def _corrected(ledger: Ledger, run: str, one: Difference, reason: str, *, force: bool) -> str:
    """The ledger's word: an outcome, or the token of a refusal, which keeps no other correction."""
    who = actor()
    try:
        return ledger.correct_charge(
            run, one.leg, one.new_charge, one.rate_id, one.rate_json, who, reason, force=force
        ).outcome
    except (LedgerRefused, KeyConflict) as refusal:
        return refusal.token
    except LedgerUnavailable as error:
        raise LedgerUnavailable(f"{error}; what is left is done by the same with --run {run}") from None


def _shown(one: Difference, outcome: str) -> LegShown:
    leg = one.leg
    return LegShown(
        *(leg.call_key, leg.leg, leg.account_name, leg.callee, leg.destination, leg.billed_s, leg.currency),
        *(leg.comes_to, one.new_charge, one.new_charge - leg.comes_to, outcome),
    )


def _unpriced(one: Unpriced) -> LegShown:
    leg = one.leg
    return LegShown(
        *(leg.call_key, leg.leg, leg.account_name, leg.callee, leg.destination, leg.billed_s, leg.currency),
        *(leg.comes_to, None, None, one.why),
    )


# --- for people -------------------------------------------------------------------------------------------------------


def _show(shown: Rerating, most: int) -> None:
    columns = ("call", "account", "to", "destination", ">billed", ">old", ">new", ">difference", "")
    if shown.differences and most:
        rows = [_row(one) for one in shown.differences[:most]]
        show_table(f"{len(rows)} of {len(shown.differences)} differences", columns, rows)
    if shown.unpriced and most:
        rows = [_row(one) for one in shown.unpriced[:most]]
        show_table(f"{len(rows)} of {len(shown.unpriced)} that have no price now, and stay as they are", columns, rows)
    _show_accounts(shown.differences)
    if shown.in_progress:
        print(f"{shown.in_progress} calls in progress keep their price: run this again when they are over")
    if shown.dry_run:
        print(f"{shown.tariff}: {len(shown.differences)} of {shown.legs} charges differ; --apply corrects them")
        return
    counts = ", ".join(f"{count} {word}" for word, count in Counter(one.outcome for one in shown.differences).items())
    print(f"{shown.tariff}: run {shown.run}: {counts or 'nothing to correct'}")


def _row(one: LegShown) -> tuple[object, ...]:
    return (
        *(one.call_key, one.account, one.to, one.destination, f"{one.billed_s} s"),
        *(money(one.old_charge), money(one.new_charge), money(one.difference), one.outcome),
    )


def _show_accounts(found: Sequence[LegShown]) -> None:
    by_account: dict[tuple[str, str], list[LegShown]] = defaultdict(list)
    for one in found:
        by_account[one.account, one.currency].append(one)
    rows = [
        (
            *(account, currency, len(legs)),
            *(money(sum((leg.old_charge for leg in legs), Decimal(0))),),
            *(money(sum((leg.new_charge or Decimal(0) for leg in legs), Decimal(0))),),
            *(money(sum((leg.difference or Decimal(0) for leg in legs), Decimal(0))),),
        )
        for (account, currency), legs in sorted(by_account.items())
    ]
    if rows:
        show_table("by account", ("account", "currency", ">calls", ">old", ">new", ">difference"), rows)
