"""`meterline traffic`: calls, answers, minutes, revenue, cost and margin of a period."""

from decimal import Decimal
from typing import Annotated

import typer

from billing.report_types import Traffic, TrafficBy
from cli.ledger import opened
from cli.options import STDOUT, AsJson, CsvFile, From, To, Zone
from cli.output import duration, money, plain, show_csv, show_json, show_table
from cli.values import period

VENDOR = "(vendor)"
NAMELESS: dict[TrafficBy, str] = {
    "destination": "(refused)",
    "carrier": "(no carrier)",
    "reseller": VENDOR,
    "account": "",
}
CSV_COLUMNS = (
    *("level", "calls", "refused", "answered", "asr_percent", "acd_s", "talked_s", "billed_s"),
    *("currency", "revenue", "cost", "margin", "attempts"),
)


def traffic(
    by: Annotated[TrafficBy, typer.Option(help="What a line stands for.")],
    begin: From,
    end: To = None,
    zone: Zone = "UTC",
    csv: CsvFile = None,
    as_json: AsJson = False,
) -> None:
    """Traffic and margin of calls that ended in a period.

    ASR: answered calls of those that were opened, in percent; by carrier, of the attempts there: a call is counted at
    the last carrier that it went to, and an attempt at each that failed it before. ACD: average duration of an
    answered call. Level 1 is what the vendor sold, level 2 what his accounts sold in turn, and so on; a level's cost
    is what its seller paid for the same calls. A reseller's line is what he sold.

    Example: meterline traffic --by destination --from 2026-03-01 --to 2026-04-01
    """
    asked = period(begin, end, zone)
    with opened("cashier") as ledger:
        found = ledger.traffic(by, asked.begin, asked.end)
    if as_json:
        show_json([_object(line, by) for line in found])
    elif csv is not None:
        rows = [tuple(_object(line, by).values()) for line in found]
        show_csv((by, *CSV_COLUMNS), rows, None if csv == STDOUT else csv)
    else:
        columns = (
            *(by, ">level", ">calls", *((">attempts",) if by == "carrier" else ()), ">refused", ">answered"),
            *(">ASR %", ">ACD", ">minutes"),
            *(">revenue", ">cost", ">margin", ""),
        )
        show_table(f"traffic by {by}, {asked}", columns, [_row(line, by) for line in found])


def _name(line: Traffic, by: TrafficBy) -> str:
    return line.name if line.name is not None else NAMELESS[by]


def _object(line: Traffic, by: TrafficBy) -> dict[str, object]:
    values = (
        *(line.level, line.calls, line.refused, line.answered, line.asr_percent, line.acd_s),
        *(Decimal(line.talked_ms) / 1000, line.billed_s, line.currency, line.revenue, line.cost, line.margin),
        line.attempts,
    )
    shown: dict[str, object] = {by: _name(line, by)} | dict(zip(CSV_COLUMNS, values, strict=True))
    return {key: str(value) if key in {"asr_percent", "acd_s"} and value is not None else plain(value)
            for key, value in shown.items()}  # fmt: skip


def _row(line: Traffic, by: TrafficBy) -> tuple[object, ...]:
    acd = duration(float(line.acd_s)) if line.acd_s is not None else ""
    minutes = f"{Decimal(line.billed_s) / 60:.1f}"
    attempts = (line.attempts,) if by == "carrier" else ()
    return (
        *(_name(line, by), line.level, line.calls, *attempts, line.refused, line.answered),
        *(line.asr_percent, acd, minutes),
        *(money(line.revenue), money(line.cost), money(line.margin), line.currency),
    )
