"""Alerts, dashboard and runbook fit the metrics that the service exports."""

import json
import re
from collections.abc import Iterator
from typing import Any

import prometheus_client.metrics
import pytest
import yaml

from service import errors, metrics
from service.settings import Settings
from tests.house.test_errors import tree
from tests.house.test_texts import anchors
from tests.house.tree import ROOT

_SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
    "summary": ("_count", "_sum"),
}
_WORDS = {
    *("absent", "and", "by", "group_left", "histogram_quantile", "increase", "max"),
    *(
        "max_over_time",
        "min",
        "offset",
        "on",
        "or",
        "rate",
        "sum",
        "time",
        "topk",
        "unless",
    ),
}
_SCRAPED = {"up": {"instance", "job"}}
_SELECTOR = re.compile(r"([a-z_]\w*)\{([^}]*)\}")
_MATCHER = re.compile(r'([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|on|group_left)\s*\(([^)]*)\)")


def exported() -> dict[str, set[str]]:
    """Every series of the service with its labels."""
    found = dict(_SCRAPED)
    for metric in vars(metrics).values():
        if not isinstance(metric, prometheus_client.metrics.MetricWrapperBase):
            continue
        for suffix in _SUFFIXES[str(metric._type)]:
            extra = {"le"} if suffix == "_bucket" else set()
            labels = {*metric._labelnames, *extra, "instance", "job"}
            found[metric._name + suffix] = labels
    return found


def codes() -> set[str]:
    """The codes of all errors that are a 503."""
    return {kind.code for kind in tree(errors.Unavailable)}


def wrong(expression: str) -> list[str]:
    """Names in an expression that the service does not export."""
    known = exported()
    found = []
    for series, matchers in _SELECTOR.findall(expression):
        for label, operator, value in _MATCHER.findall(matchers):
            if label not in known.get(series, set()):
                found.append(f"{series} has no label {label}")
            if label == "code" and operator == "=" and value not in codes():
                found.append(f"there is no code {value}")
    rest = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"", "", expression)
    labels = {
        word.strip() for group in _GROUPING.findall(rest) for word in group.split(",")
    }
    found += [
        f"no label {w}" for w in labels if w and w not in set().union(*known.values())
    ]
    rest = _GROUPING.sub("", rest)
    for word in re.findall(r"(?<![\w.])[a-zA-Z_]\w*", rest):
        if word not in known and word not in _WORDS and not re.match(r"\d", word):
            found.append(f"there is no {word}")
    if expression.count("(") != expression.count(")"):
        found.append("the parentheses do not match")
    return found


def rules() -> list[Any]:
    """The alerts."""
    text = (ROOT / "ops/prometheus/alerts.yml").read_text(encoding="utf-8")
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def dashboards() -> Iterator[tuple[str, Any]]:
    """The dashboards by file name."""
    for path in sorted((ROOT / "ops/grafana").glob("*.json")):
        yield path.name, json.loads(path.read_text(encoding="utf-8"))


def runbook() -> str:
    """The text of the runbook."""
    return (ROOT / "ops/RUNBOOK.md").read_text(encoding="utf-8")


def entries(text: str) -> dict[str, str]:
    """The entries of a runbook by their heading."""
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_alert_asks_for_what_the_service_exports() -> None:
    assert [w for rule in rules() for w in wrong(rule["expr"])] == []


def test_every_alert_says_what_is_wrong_and_where_to_read_on() -> None:
    links = anchors(runbook())
    for rule in rules():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]
        file, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert (ROOT / file).samefile(ROOT / "ops/RUNBOOK.md")
        assert anchor == rule["alert"].lower()
        assert anchor in links


def test_every_alert_has_an_entry_with_meaning_check_and_mend() -> None:
    found = entries(runbook())
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    assert {n for n in found if n.startswith("Mcps")} == set(names)
    for name in names:
        assert [
            w for w in ("Means", "Check", "Mend") if f"**{w}**" not in found[name]
        ] == []


def test_the_runbook_knows_every_reason_of_a_503() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \|", runbook(), re.MULTILINE))
    assert listed == codes()


def test_the_limit_of_requests_is_told_before_it_is_reached() -> None:
    (rule,) = (r for r in rules() if r["alert"] == "McpsNearRequestLimit")
    threshold = int(rule["expr"].rpartition(">")[2])
    assert threshold == 0.8 * Settings().max_requests_in_flight


def test_slow_queries_are_told_below_the_limit_of_one() -> None:
    (rule,) = (r for r in rules() if r["alert"] == "McpsSlowQueries")
    assert rule["expr"].endswith("> 1")
    buckets = metrics.QUERY_DURATION._upper_bounds
    assert 1.0 in buckets
    assert Settings().db_statement_timeout > 1


def test_prometheus_loads_these_alerts_and_scrapes_the_default_port() -> None:
    text = (ROOT / "ops/prometheus/prometheus.yml").read_text(encoding="utf-8")
    config = yaml.safe_load(text)
    for name in config["rule_files"]:
        assert (ROOT / "ops/prometheus" / name).is_file()
    job, harvester = config["scrape_configs"]
    assert job["job_name"] == "mcps"
    assert job["static_configs"] == [{"targets": [f"localhost:{Settings().api_port}"]}]
    assert harvester["static_configs"] == [{"targets": ["localhost:9101"]}]


def test_every_panel_asks_for_what_the_service_exports() -> None:
    asked = [
        (panel["title"], target["expr"].replace("$__rate_interval", "5m"))
        for _, dashboard in dashboards()
        for panel in dashboard["panels"]
        for target in panel["targets"]
    ]
    assert asked
    assert [(title, w) for title, expr in asked for w in wrong(expr)] == []


def test_the_dashboard_shows_every_metric() -> None:
    text = json.dumps([dashboard for _, dashboard in dashboards()])
    shown = set(re.findall(r"mcps_[a-z_]+", text))
    hidden = [
        metric._name
        for metric in vars(metrics).values()
        if isinstance(metric, prometheus_client.metrics.MetricWrapperBase)
        and not any(metric._name + s in shown for s in _SUFFIXES[str(metric._type)])
    ]
    assert hidden == []


def test_the_panels_do_not_lie_on_each_other() -> None:
    for name, dashboard in dashboards():
        cells = [
            (x, y)
            for panel in dashboard["panels"]
            for x in range(
                panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"]
            )
            for y in range(
                panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"]
            )
        ]
        assert len(cells) == len(set(cells)), name
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(ids) == len(set(ids)), name


@pytest.mark.parametrize(
    "expression",
    [
        "mcps_nothing > 0",
        "rate(mcps_requests[5m]) > 0",
        'mcps_requests_total{code="x"} > 0',
        'mcps_unavailable_total{code="x"} > 0',
        "sum by (kind) (mcps_db_up) == 0",
        "summ(mcps_db_up) == 0",
        "sum(mcps_db_up == 0",
        "rate(mcps_query_seconds_bucket[5m]) > 0",
    ],
)
def test_the_rule_sees_a_wrong_expression(expression: str) -> None:
    assert wrong(expression)
    assert (
        wrong('sum by (code) (rate(mcps_unavailable_total{job="mcps"}[5m])) > 0') == []
    )
