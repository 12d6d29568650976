"""`meterline rate`: one call against one tariff in a file. Needs no settings and no database."""

import json
from pathlib import Path
from typing import Annotated

import typer

from billing.errors import InvalidTariff
from billing.pricelist import load_price_list
from billing.rating import CALL_S_MAX, DAY_S, PricedCall, Rate
from cli.values import BadInput, amount, instant, now, whole_number


def rate(
    tariff_file: Annotated[Path, typer.Option(help="JSON file with one tariff.", show_default=False)],
    at: Annotated[str | None, typer.Option(help="When the call is rated; no offset = UTC. Default: now.")] = None,
    seconds: Annotated[str | None, typer.Option(help="Seconds of talk to price.")] = None,
    balance: Annotated[str | None, typer.Option(help="Money to talk for.")] = None,
) -> None:
    """Price one call, or find how long a balance lasts, by a tariff in a file.

    Prints {"cost": "0.1700"} or {"max_duration_s": 1020}; the latter is capped at a day.
    """
    if (seconds is None) == (balance is None):
        raise BadInput("one of --seconds and --balance must be given")
    talk_s = None if seconds is None else whole_number(seconds, "--seconds", 0, CALL_S_MAX)
    budget = None if balance is None else amount(balance, "--balance")
    found = _one_rate(tariff_file)
    call = PricedCall(found, instant(at, "--at") if at else now(), cap_s=max(DAY_S, talk_s or 0))
    if talk_s is not None:
        print(json.dumps({"cost": f"{call.cost(talk_s):.{found.rounding.decimals}f}"}))
    elif budget is not None:
        print(json.dumps({"max_duration_s": call.max_duration(budget)}))


def _one_rate(tariff_file: Path) -> Rate:
    rates = load_price_list(tariff_file)
    if len(rates) != 1:
        raise InvalidTariff(f"{tariff_file}: {len(rates)} tariffs, where one is wanted")
    return rates[0]
