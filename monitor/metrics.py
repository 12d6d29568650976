"""The figures as Prometheus reads them. Labels have few values: never an account, a number, an address or a name."""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from billing import readiness
from billing.board import CUT_BOUNDS_MS, DATABASE_BOUNDS_MS
from monitor import health

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from monitor.watch import Watch

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "meterline_"

COUNTERS = {
    "calls_total": "Call attempts that are over, by result.",
    "events_total": "Events of the log, by name (docs/operator.md, Logs).",
    "database_failures_total": "Questions to the database that it did not answer, by what was wrong.",
    "overflow": "Counts without a place of their own; more than 0 is a fault.",
}
HISTOGRAMS = {
    "database": ("database_latency_seconds", "How long the database was waited for, by routine.", DATABASE_BOUNDS_MS),
    "cut_lateness": ("cut_lateness_seconds", "How long after their deadlines calls were cut.", CUT_BOUNDS_MS),
}
SHOWN_FROM_THE_START = (
    "call_broken", "call_reaped", "cut_failed", "fact_lost", "fact_set_aside", "flood", "journal_damaged",
    "journal_unwritable", "ledger_failed", "locked_out", "malformed", "refused_in_dialog", "renewal_failed",
    "renewal_late", "uncaught",
)  # fmt: skip
"""Events that alert rules look at: a counter that appears with its first event shows no increase."""

_NAME = re.compile(r"(\w+?)(?:\{(.*)\})?")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_HISTOGRAM_PART = re.compile(r"(\w+)_(bucket|sum)")


def exposition(watch: Watch) -> bytes:
    """All figures, in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(watch))
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def collect(self) -> Iterator[Metric]:
        yield from _counted(self._watch)
        yield from _of_node(self._watch)
        yield from _of_ledger(self._watch)
        yield from _of_audit(self._watch)


def _gauge(name: str, text: str, value: float | None) -> Iterator[Metric]:
    """A figure that is not known now is not shown: an old one would pass for true."""
    if value is not None:
        yield GaugeMetricFamily(PREFIX + name, text, value=value)


def _labelled(name: str, text: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, text, labels=[label])
    for key, value in values:
        family.add_metric([key], value)
    return family


# --- what processes counted on the board ------------------------------------------------------------------------------


def _counted(watch: Watch) -> Iterator[Metric]:
    totals = watch.board.totals()
    totals.setdefault("cut_lateness_sum{}", 0)
    for event in SHOWN_FROM_THE_START:
        totals.setdefault(f'events_total{{event="{event}"}}', 0)
    totals.setdefault("overflow", 0)
    counters: dict[str, list[tuple[dict[str, str], int]]] = defaultdict(list)
    histograms: dict[str, dict[tuple[tuple[str, str], ...], dict[str, int]]] = {name: {} for name in HISTOGRAMS}
    for name, value in totals.items():
        found = _NAME.fullmatch(name)
        if found is None:
            continue  # a damaged board must not take the other figures along
        metric, labels = found.group(1), dict(_LABEL.findall(found.group(2) or ""))
        part = _HISTOGRAM_PART.fullmatch(metric)
        if part and part.group(1) in HISTOGRAMS:
            bound = labels.pop("le", "sum")
            histograms[part.group(1)].setdefault(tuple(sorted(labels.items())), {})[bound] = value
        else:
            counters[metric].append((labels, value))
    for metric, samples in counters.items():
        yield _counter(metric, samples)
    for name, series in histograms.items():
        yield _histogram(name, series)


def _counter(metric: str, samples: list[tuple[dict[str, str], int]]) -> Metric:
    labels = list(samples[0][0])
    family = CounterMetricFamily(PREFIX + metric, COUNTERS.get(metric, metric), labels=labels)
    for found, value in samples:
        family.add_metric([found.get(label, "") for label in labels], value)
    return family


def _histogram(name: str, series: dict[tuple[tuple[str, str], ...], dict[str, int]]) -> Metric:
    """Each value was counted in one bucket; Prometheus' buckets hold all smaller values, too, and are in seconds."""
    metric, text, bounds_ms = HISTOGRAMS[name]
    labels = [key for key, _ in next(iter(series), ())]
    family = HistogramMetricFamily(PREFIX + metric, text, labels=labels)
    for values, cells in series.items():
        buckets, count = [], 0
        for bound_ms in bounds_ms:
            count += cells.get(str(bound_ms), 0)
            buckets.append((str(bound_ms / 1000), float(count)))
        buckets.append(("+Inf", float(count + cells.get("+Inf", 0))))
        family.add_metric([value for _, value in values], buckets, cells.get("sum", 0) / 1_000_000)
    return family


# --- what the monitor sees --------------------------------------------------------------------------------------------


def _of_node(watch: Watch) -> Iterator[Metric]:
    wrong = health.not_ready(watch)
    yield from _gauge("ready", "Whether the node may be given new calls.", float(not wrong))
    reasons = ((reason, float(reason in wrong)) for reason in health.REASONS)
    yield _labelled("not_ready", "Why not, by reason.", "reason", reasons)
    yield from _gauge(
        "breaker_open", "Whether the proxy leaves the database alone.",
        float(readiness.breaker_is_open(watch.board, watch.settings)),
    )  # fmt: skip
    silent = ((name, watch.board.ms_since(f"{name}_ms")) for name in readiness.PROCESSES)
    seconds = [(name, ms / 1000) for name, ms in silent if ms is not None]
    yield _labelled("process_silent_seconds", "Since when a process did nothing.", "process", seconds)
    carriers = ((state, float(watch.board.noted(f"carriers_{state}"))) for state in ("up", "down"))
    yield _labelled("carriers", "Carriers that are asked whether they are there, by the answer.", "state", carriers)
    memory = watch.board.noted("proxy_memory_free")
    yield from _gauge("proxy_memory_free_bytes", "Kamailio's shared memory that is left.", memory or None)
    yield from _gauge(
        "tls_certificate_expires_seconds", "When the certificate that the node shows expires, as Unix time.",
        watch.certificate_until_s,
    )  # fmt: skip
    look = watch.node
    if look is None:
        return
    yield from _gauge("proxy_up", "Whether the proxy answers a ping over SIP.", float(look.sip_code is not None))
    yield from _gauge("journal_depth_bytes", "What waits in the journal.", look.journal_bytes)
    yield from _gauge("journal_oldest_fact_age_seconds", "How long the first of it has waited.", look.journal_age_s)
    yield from _gauge("journal_damaged_bytes", "Lines that could not be read.", look.damaged_bytes)
    yield from _gauge("journal_refused_bytes", "Facts that the ledger refused for good.", look.refused_bytes)
    yield from _gauge("disk_free_bytes", "Room under node.state_dir.", look.free_bytes)
    if look.dialogs is not None:
        yield from _gauge("dialogs", "Answered calls that the proxy keeps, without emergency calls.", len(look.dialogs))


def _of_ledger(watch: Watch) -> Iterator[Metric]:
    look = watch.ledger
    if look is None:
        return
    yield from _gauge("database_up", "Whether the ledger's server answered the monitor.", float(not look.error))
    if look.error:
        return
    calls = {"open": 0, "answered": 0}
    held: dict[str, Decimal] = defaultdict(Decimal)
    for total in look.live:
        calls[total.state] += total.calls
        held[total.currency] += total.held
    live = ((state, float(number)) for state, number in calls.items())
    yield _labelled("live_calls", "This node's calls in progress; open: they ring.", "state", live)
    amounts = ((currency, float(amount)) for currency, amount in sorted(held.items()))
    yield _labelled("held_amount", "What this node's calls hold, on all legs.", "currency", amounts)
    yield from _gauge("provisional_cdrs", "Calls charged before their truth was known, of all nodes.", look.provisional)
    kinds = Counter((one.kind, "near" if one.stopped_at is None else "reached") for one in look.alarms)
    alarms = GaugeMetricFamily(PREFIX + "alarms", "Limits nearly reached, or reached.", labels=["kind", "limit"])
    for labels, number in kinds.items():
        alarms.add_metric(labels, number)
    yield alarms
    yield from _gauge("dialogs_without_live_call", "Calls up that nobody pays for.", len(look.without_live_call))
    yield from _gauge("live_calls_without_dialog", "Paid calls that are not up.", len(look.without_dialog))


def _of_audit(watch: Watch) -> Iterator[Metric]:
    look = watch.audit
    if look is None:
        return
    yield from _gauge("audit_differences", "What the last audit found wrong.", look.differences)
    yield from _gauge("audit_age_seconds", "How long ago that was.", time.monotonic() - look.at_s)
    yield from _gauge("audit_duration_seconds", "How long it took.", look.took_s)
