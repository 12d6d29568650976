"""The dashboard and the alert rules ask for figures that there are, and the guide tells each of them."""

import json
import re
import time
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from billing.board import CUT_BOUNDS_MS, Board
from billing.journal_room import JournalRoom
from billing.ledger_types import LiveTotal
from billing.settings import Settings
from kemi.refusals import ANSWERS
from monitor import health, metrics
from monitor.watch import AuditLook, LedgerLook, NodeLook

CHECKOUT = Path(__file__).parents[2]
FOLDER = CHECKOUT / "docs" / "monitoring"
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
ALERTS = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [(rule["alert"], rule["expr"]) for rule in RULES]
EXPRESSIONS += [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]

METRIC = re.compile(r"\b(meterline_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(=~?)"([^"]*)"')
COUNTED = re.compile(r'(?:\b(?:event|failure|count|report)\(\s*|event: str = )"(\w+)"')
RESULTS = {"answered", "busy", "no_answer", "rejected", "cancelled", *ANSWERS}
FROM_PROMETHEUS = {"job", "instance"}


@pytest.fixture(scope="module")
def watch(tmp_path_factory):
    """A node that has seen everything there is to see."""
    state = tmp_path_factory.mktemp("state")
    settings = Settings(
        node={"name": "node-1", "state_dir": state},
        sip={"realm": "example.net", "listen": ("udp:127.0.0.1:5060",)},
        card_pin_key="k" * 32,
    )
    board = Board(None)
    board.count_call("answered")
    board.count_database("open_call", 3.2, "unavailable")
    board.mark("drain_ms")
    board.note("proxy_memory_free", 1)
    alarm = SimpleNamespace(kind="spending_limit", stopped_at=None)
    return SimpleNamespace(
        settings=settings,
        board=board,
        room=JournalRoom(settings.node.state_dir / "journal", settings.journal),
        node=NodeLook(time.monotonic(), 200, 1, "", 2, 3.0, 4, 5, frozenset("ab")),
        ledger=LedgerLook(
            time.monotonic(), live=(LiveTotal("answered", "EUR", 2, Decimal("0.10")),), provisional=1, alarms=(alarm,)
        ),
        audit=AuditLook(time.monotonic(), 0, 0.1),
        certificate_until_s=1,
    )


@pytest.fixture(scope="module")
def samples(watch):
    """Every sample's name to the values of each of its labels."""
    found = {}
    for family in text_string_to_metric_families(metrics.exposition(watch).decode()):
        for one in family.samples:
            labels = found.setdefault(one.name, {})
            for label, value in one.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


def events():
    """Everything that is counted as an event anywhere."""
    files = [file for package in ("billing", "kemi", "monitor") for file in (CHECKOUT / package).glob("*.py")]
    return {name for file in files for name in COUNTED.findall(file.read_text(encoding="utf-8"))}


@pytest.mark.parametrize(("name", "expression"), EXPRESSIONS)
def test_expression_asks_for_figures_that_there_are(samples, name, expression):
    """Metric, labels, and the values that labels are compared with."""
    known = {"event": events(), "result": RESULTS, "reason": set(health.REASONS)}
    asked = METRIC.findall(expression)
    assert asked or expression.startswith("up{")
    for metric, matchers in asked:
        assert metric in samples
        for label, _, values in MATCHER.findall(matchers):
            assert label in samples[metric] or label in FROM_PROMETHEUS
            assert label not in known or set(values.split("|")) <= known[label]
        if 'le="' in matchers:
            assert set(re.findall(r'le="([^"]*)"', matchers)) <= samples[metric]["le"]


@pytest.mark.parametrize(("name", "expression"), EXPRESSIONS)
def test_expression_is_whole(name, expression):
    """Brackets and quotes are closed; labels to sum by exist."""
    for begin, end in ("()", "[]", "{}"):
        assert expression.count(begin) == expression.count(end)
    assert 0 == expression.count('"') % 2


def test_every_figure_stands_in_the_guide_with_its_labels(samples):
    """And none that nobody shows."""
    guide = (CHECKOUT / "docs" / "operator.md").read_text(encoding="utf-8")
    section = guide.split("\n## Monitoring\n")[1].split("\n## ")[0]
    rows = "".join(re.findall(r"^\| (`meterline_[^|]*)\|", section, re.MULTILINE))
    named = re.findall(r"`(meterline_\w+)(?:\{([^}]*)\})?`", rows)
    told = {name: set(filter(None, labels.split(", "))) for name, labels in named}
    shown = {}
    for name, labels in samples.items():
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        shown[base] = set(labels) - {"le"}
    assert shown == told


def test_every_figure_is_looked_at(samples):
    """By a rule or a panel: one that nobody sees tells nobody."""
    asked = {metric for _, expression in EXPRESSIONS for metric, _ in METRIC.findall(expression)}
    bases = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}
    assert set() == {re.sub(r"_(bucket|sum|count)$", "", name) for name in samples} - bases


def test_every_reason_stands_in_the_guide():
    """Why a node is not ready, and what it means."""
    guide = (CHECKOUT / "docs" / "operator.md").read_text(encoding="utf-8")
    section = guide.split("\n## Monitoring\n")[1].split("| metric |")[0]
    rows = "".join(re.findall(r"^\| (`[a-z_`, ]+`) \|", section, re.MULTILINE))
    assert set(health.REASONS) == set(re.findall(r"`(\w+)`", rows))


def test_events_shown_from_the_start_exist_and_are_those_asked_for():
    """An alert on the first of its kind sees it only if the counter was there before, as 0."""
    asked = set()
    for _, expression in EXPRESSIONS:
        for values in re.findall(r'event=~?"([^"]*)"', expression):
            asked |= set(values.split("|"))
    assert asked <= set(metrics.SHOWN_FROM_THE_START) <= events()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_alert_says_what_to_do(rule):
    """Severity, summary and action."""
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert {"summary", "action"} == set(rule["annotations"])


def test_dashboard_can_be_imported():
    """One data source to choose, ids that differ, panels that do not lie on each other."""
    assert "datasource" in [variable["type"] for variable in DASHBOARD["templating"]["list"]]
    assert len(DASHBOARD["panels"]) == len({panel["id"] for panel in DASHBOARD["panels"]})
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    sources = {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]}
    assert {"${datasource}"} == sources


def test_scrape_asks_the_default_address():
    """As the settings have it."""
    scrape = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"][0]
    default = Settings.model_fields["monitor"].default.listen
    assert ("meterline", [default]) == (scrape["job_name"], scrape["static_configs"][0]["targets"])


def test_buckets_hold_all_that_is_smaller(watch):
    """As Prometheus wants them: cumulative, in seconds, the sum and the count beside them."""
    board = Board(None)
    for value_ms in (40, 150, 9000):
        board.observe_ms("cut_lateness", value_ms, CUT_BOUNDS_MS)
    page = metrics.exposition(SimpleNamespace(**{**vars(watch), "board": board})).decode()
    shown = dict(re.findall(r'meterline_cut_lateness_seconds_bucket\{le="([^"]*)"\} (\S+)', page))
    expected = {"0.05": 1, "0.1": 1, "0.2": 2, "0.5": 2, "1.0": 2, "2.0": 2, "5.0": 2, "+Inf": 3}
    assert expected == {bound: float(value) for bound, value in shown.items()}
    assert "meterline_cut_lateness_seconds_count 3.0\nmeterline_cut_lateness_seconds_sum 9.19\n" in page


def test_damaged_name_on_the_board_takes_no_other_figure_along(watch):
    """It is passed over."""
    board = Board(None)
    board.count("%% no name")
    board.count_call("busy")
    page = metrics.exposition(SimpleNamespace(**{**vars(watch), "board": board})).decode()
    assert 'meterline_calls_total{result="busy"} 1.0' in page
    assert "no name" not in page
