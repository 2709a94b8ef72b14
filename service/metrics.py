"""What is counted. Labels are bounded: query names and route templates, never values.

With several workers prometheus-client works in multiprocess mode: gauges carry the mode
in which the workers' values are put together.
"""

from typing import Any

from prometheus_client import (
    Counter,
    Gauge,
    Histogram,
    Summary,
    disable_created_metrics,
    values,
)

from service.errors import Unavailable

_Number = values.ValueClass


class _Counted(_Number):  # type: ignore[misc,valid-type]
    """A number that the thread of the event loop alone changes: it needs no lock.

    With several workers it has a place in the file of its process, and is written there
    as the double that it is. What the library does each time took 18 us of a request.
    """

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self._place = 0
        self._numbers: Any = [0.0]
        if self._multiprocess:
            file = self._file
            # When the file grows it is mapped anew, but this part stays part of it.
            self._numbers = memoryview(file._m).cast("d")  # noqa: SLF001 - as it says
            self._place = file._positions[self._key] // 8  # noqa: SLF001

    def inc(self, amount: float) -> None:
        """Count on."""
        self._value += amount
        self._numbers[self._place] = self._value


disable_created_metrics()  # type: ignore[no-untyped-call]
values.ValueClass = _Counted

# Every reason has its series from the start, so that a rate sees the first one.
UNAVAILABLE_CODES = (
    "unavailable",
    *(kind.code for kind in Unavailable.__subclasses__()),
)

REQUESTS = Counter(
    "mcps_requests",
    "Requests by route template, method and status.",
    ("route", "method", "status"),
)
REQUEST_SECONDS = Histogram(
    "mcps_request_seconds",
    "Time to the last byte of the answer.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
REQUESTS_IN_FLIGHT = Gauge(
    "mcps_requests_in_flight",
    "Requests being answered.",
    multiprocess_mode="livesum",
)
UNAVAILABLE = Counter(
    "mcps_unavailable", "Answers with 503, by the code of their reason.", ("code",)
)
for _code in UNAVAILABLE_CODES:
    UNAVAILABLE.labels(_code)
QUERY_SECONDS = Summary(
    "mcps_query_seconds", "Time in the database by query name.", ("query",)
)
_timers: dict[str, Summary] = {}
QUERY_DURATION = Histogram(
    "mcps_query_duration_seconds",
    "Time in the database, all queries together.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 2.0),
)
QUERY_ERRORS = Counter(
    "mcps_query_errors", "Failed queries by class of SQLSTATE.", ("sqlstate_class",)
)
RETRIES = Counter("mcps_retries", "Repeated tries of a query.")
ACQUIRE_SECONDS = Histogram(
    "mcps_pool_acquire_seconds",
    "Wait for a connection.",
    buckets=(0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.0),
)
POOL_SIZE = Gauge("mcps_pool_size", "Open connections.", multiprocess_mode="livesum")
POOL_CHECKED_OUT = Gauge(
    "mcps_pool_checked_out", "Connections in use.", multiprocess_mode="livesum"
)
POOL_OVERFLOW = Gauge(
    "mcps_pool_overflow",
    "Open connections beyond DB_POOL_SIZE.",
    multiprocess_mode="livesum",
)
POOL_WAITING = Gauge(
    "mcps_pool_waiting",
    "Requests that wait for a connection.",
    multiprocess_mode="livesum",
)
DB_UP = Gauge(
    "mcps_db_up",
    "1 while the database answers.",
    multiprocess_mode="livemin",
)
SERIAL = Gauge(
    "mcps_serial",
    "How often the catalog changed, as far as this process knows.",
    multiprocess_mode="livemax",
)
SERIAL_FOLLOWED = Gauge(
    "mcps_serial_followed",
    "1 while the database tells of new serials; without, every read asks for it.",
    multiprocess_mode="livemin",
)
CACHE_ANSWERS = Counter(
    "mcps_cache_answers",
    "Reads by what the response cache had: hit, miss, outdated, stale.",
    ("result",),
)
CACHE_BYTES = Gauge(
    "mcps_cache_bytes",
    "Answers kept in memory.",
    multiprocess_mode="livesum",
)
HARVEST_REQUESTS = Counter(
    "mcps_harvest_requests",
    "Requests to other places, by source and by status or reason of failure.",
    ("source", "outcome"),
)
HARVEST_RUNS = Counter(
    "mcps_harvest_runs", "Jobs of the harvester that ended.", ("source", "outcome")
)
HARVEST_SECONDS = Summary(
    "mcps_harvest_seconds", "Time that a job of the harvester took.", ("source",)
)
HARVEST_ENTRIES = Counter(
    "mcps_harvest_entries",
    "Entries and servers that sources gave: seen, new, changed, gone, failed.",
    ("source", "outcome"),
)
HARVEST_DONE_AT = Gauge(
    "mcps_harvest_done_timestamp_seconds",
    "When a job of the source was last done, in Unix time.",
    ("source",),
    multiprocess_mode="max",
)


def time_query(name: str, took_s: float) -> None:
    """Count one call of a query; its series begins with the first."""
    timer = _timers.get(name)
    if timer is None:
        timer = _timers[name] = QUERY_SECONDS.labels(name)
    timer.observe(took_s)
    QUERY_DURATION.observe(took_s)
