"""Every alert fires for what it is about, and none in the calm."""

from collections.abc import Callable
from typing import Any

import pytest

from service import metrics
from tests.ops.promql import Expression, Samples, Series, fires, seconds
from tests.ops.test_monitoring import rules

LENGTH_S = 2400
STEP = 15
TROUBLE_AT = 900
RATE = 100.0
Change = Callable[[Series], None]


def over_time(value: Callable[[float], float], start: float = 0) -> Samples:
    """A sample of a value at every scrape."""
    return [(t, value(t)) for t in range(int(start), LENGTH_S + 1, STEP)]


def after(t: float, per_second: float) -> float:
    """What a counter has gained since the trouble began."""
    return max(0.0, t - TROUBLE_AT) * per_second


def calm() -> Series:
    """An instance that serves 100 requests a second and is well, but for a little."""
    series = Series()
    labels = {"instance": "a:8000", "job": "mcps"}
    series.add("up", over_time(lambda _: 1), **labels)
    series.add("mcps_db_up", over_time(lambda _: 1), **labels)
    series.add("mcps_requests_in_flight", over_time(lambda t: 5 + t % 7), **labels)
    for status, rate in (("200", RATE), ("404", 3.0), ("500", 0.01), ("503", 0.1)):
        samples = over_time(lambda t, rate=rate: t * rate)  # type: ignore[misc]
        route = {"route": "/servers", "method": "GET", "status": status}
        series.add("mcps_requests_total", samples, **labels, **route)
    samples = over_time(lambda t: t * 0.1)
    series.add("mcps_unavailable_total", samples, code="overloaded", **labels)
    put_durations(series, slow_share=0.001)
    put_harvests(series)
    return series


def put_harvests(series: Series) -> None:
    """A harvester beside it, with a broken endpoint among many."""
    labels = {"instance": "a:9101", "job": "mcps-harvester"}
    series.add("up", over_time(lambda _: 1), **labels)
    done_at = "mcps_harvest_done_timestamp_seconds"
    series.add(done_at, over_time(lambda t: t), source="registry", **labels)
    for outcome, rate in (("done", 0.1), ("failed", 0.01)):
        samples = over_time(lambda t, rate=rate: t * rate)  # type: ignore[misc]
        kind = {"source": "http", "outcome": outcome}
        series.add("mcps_harvest_runs_total", samples, **labels, **kind)


def put_durations(series: Series, slow_share: float) -> None:
    """Query times: mostly 3 ms, and from the trouble on a share between 1 and 2 s."""
    for bound in (*metrics.QUERY_DURATION._upper_bounds,):
        quick = 1.0 if bound >= 0.005 else 0.0
        slow = 1.0 if bound >= 2.0 else 0.0

        def count(t: float, quick: float = quick, slow: float = slow) -> float:
            share = slow_share if t > TROUBLE_AT else 0.0
            return RATE * (t * quick * (1 - share) + t * slow * share)

        series.add(
            "mcps_query_duration_seconds_bucket",
            over_time(count),
            instance="a:8000",
            job="mcps",
            le=str(bound),
        )


def replace(name: str, value: Callable[[float], float], **labels: str) -> Change:
    """Trouble: a series has these values instead."""

    def change(series: Series) -> None:
        found = {"instance": "a:8000", "job": "mcps", **labels}
        series.add(name, over_time(value), **found)

    return change


def unavailable(code: str, per_second: float) -> Change:
    """Trouble: 503 for one reason."""
    return replace("mcps_unavailable_total", lambda t: after(t, per_second), code=code)


def once(code: str) -> Change:
    """Trouble: one burst of 503, the first of its kind, so that its series is new."""

    def change(series: Series) -> None:
        samples = over_time(lambda _: 7, start=TROUBLE_AT)
        labels = {"instance": "a:8000", "job": "mcps", "code": code}
        series.add("mcps_unavailable_total", samples, **labels)

    return change


def gone(series: Series) -> None:
    """Trouble: Prometheus does not even know the instance any more."""
    del series.data["up"]


def is_down(t: float) -> float:
    """Zero from the trouble on."""
    return float(t < TROUBLE_AT)


def unharvested(series: Series) -> None:
    """Trouble: the registry was last done long ago."""
    (labels,) = series.data["mcps_harvest_done_timestamp_seconds"]
    samples = over_time(lambda _: -12_000)
    series.data["mcps_harvest_done_timestamp_seconds"][labels] = samples


HARVESTER = {"instance": "a:9101", "job": "mcps-harvester"}
BROKEN = {**HARVESTER, "source": "npm", "outcome": "failed"}
ERRORS = {"route": "/servers", "method": "GET", "status": "500"}
TROUBLES: list[tuple[str, Change]] = [
    ("McpsNotScraped", replace("up", is_down)),
    ("McpsNotScraped", gone),
    ("McpsDatabaseDown", replace("mcps_db_up", is_down)),
    ("McpsSchemaMismatch", unavailable("schema_mismatch", 0.1)),
    ("McpsSchemaMismatch", once("schema_mismatch")),
    ("McpsPoolExhausted", unavailable("pool_exhausted", 0.1)),
    ("McpsPoolExhausted", once("pool_exhausted")),
    ("McpsUnavailable", unavailable("storage_full", 2.0)),
    ("McpsErrors", replace("mcps_requests_total", lambda t: after(t, 0.5), **ERRORS)),
    ("McpsSlowQueries", lambda series: put_durations(series, slow_share=0.05)),
    (
        "McpsStaleAnswers",
        replace("mcps_cache_answers_total", lambda t: after(t, 1.0), result="stale"),
    ),
    ("McpsHarvestStale", unharvested),
    ("McpsHarvestStale", replace("up", is_down, **HARVESTER)),
    (
        "McpsHarvestFailing",
        replace("mcps_harvest_runs_total", lambda t: after(t, 0.01), **BROKEN),
    ),
    ("McpsNearRequestLimit", replace("mcps_requests_in_flight", lambda t: t / 2.5)),
]


def firing(series: Series, until_s: float = LENGTH_S) -> set[str]:
    """The alerts that fire in the time."""
    return {
        rule["alert"]
        for rule in rules()
        if fires(rule["expr"], waits(rule), series, until_s=until_s)
    }


def waits(rule: Any) -> float:
    """How long the expression of an alert has to hold."""
    return seconds(rule.get("for", "0s"))


def test_no_alert_fires_in_the_calm() -> None:
    assert firing(calm()) == set()


@pytest.mark.parametrize(("alert", "trouble"), TROUBLES)
def test_an_alert_fires_for_its_trouble_and_no_other_does(
    alert: str, trouble: Change
) -> None:
    series = calm()
    trouble(series)
    assert firing(series) == {alert}


def test_every_alert_has_a_trouble_here() -> None:
    assert {alert for alert, _ in TROUBLES} == {rule["alert"] for rule in rules()}


def test_a_short_gap_wakes_nobody() -> None:
    series = calm()
    gap = range(TROUBLE_AT, TROUBLE_AT + 30)
    for name in ("up", "mcps_db_up"):
        replace(name, lambda t: float(t not in gap))(series)
    assert firing(series) == set()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("up", {("a",): 1.0, ("b",): 0.0}),
        ('up{instance="b"} == 0', {("b",): 0.0}),
        ("up > 0 or up == 0", {("a",): 1.0, ("b",): 0.0}),
        ("up unless up == 0", {("a",): 1.0}),
        ("sum(up)", {(): 1.0}),
        ("min by (instance) (up) == 0", {("b",): 0.0}),
        ("increase(count[1m])", {("a",): 11.0}),
        ("count offset 1m / count", {("a",): 5.0 / 3}),
        ("absent(nothing) == 1", {(): 1.0}),
        ("time() - sum(up) > 100", {(): 119.0}),
        ('absent(up{instance="a"})', {}),
        ("histogram_quantile(0.5, bucket)", {(): 1.5}),
    ],
)
def test_the_reader_knows_promql(
    text: str, value: dict[tuple[str, ...], float]
) -> None:
    series = Series()
    series.add("up", [(120, 1)], instance="a")
    series.add("up", [(120, 0)], instance="b")
    # A restart between 90 and 105: the counter begins again.
    samples = [(60, 5.0), (75, 5.0), (90, 13.0), (105, 1.0), (120, 3.0)]
    series.add("count", samples, instance="a")
    for bound, count in (("1", 2.0), ("2", 6.0), ("+Inf", 8.0)):
        series.add("bucket", [(120, count)], le=bound)
    found = Expression(text, series, 120).value()
    assert isinstance(found, dict)
    assert {tuple(v for _, v in k): x for k, x in found.items()} == value


@pytest.mark.parametrize("text", ["up >", "sum by (instance) up", "up / up)", "1 > 1"])
def test_the_reader_refuses_what_is_no_expression(text: str) -> None:
    with pytest.raises(SyntaxError):
        Expression(text, Series(), 0).value()
