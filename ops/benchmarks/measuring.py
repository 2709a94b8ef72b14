"""One run: every case with every number of workers, on one loaded database."""

import http
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path

import msgspec
import uvloop

from ops.benchmarks.accounting import cpu_s
from ops.benchmarks.cases import PAGE, Answerer, Case, Row, cases
from ops.benchmarks.catalog import Size
from ops.benchmarks.clients import HOST, drive, request
from ops.benchmarks.databases import Database
from ops.benchmarks.processes import Service, our_service, reference

Say = Callable[[str], None]

_CACHES: dict[Answerer, int] = {"ours": 0, "kept": 67_108_864}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How long, with how many workers."""

    size: Size
    workers: tuple[int, ...] = (1, 2)
    rounds: int = 5
    """How often each case is measured: other work on the machine meets all alike."""
    warm_s: float = 0.3
    measure_s: float = 1.0


def measure(database: Database, plan: Plan, folder: Path, say: Say) -> Iterator[Row]:
    """The rows as they come; the logs of the services are in the folder."""
    wanted = cases(plan.size)
    for workers in plan.workers:
        with ExitStack() as stack:
            services: dict[Answerer, Service] = {}
            for name, cache_bytes in _CACHES.items():
                log = folder / f"{name}-{workers}.log"
                service = our_service(database.url, workers, log, cache_bytes)
                services[name] = stack.enter_context(service)
            body_bytes = len(_ask(services["ours"], _page_path(wanted))[0])
            log = folder / f"reference-{workers}.log"
            other = reference(database.url, workers, body_bytes, log)
            services["reference"] = stack.enter_context(other)
            rounds = []
            for turn in range(1, plan.rounds + 1):
                say(f"{workers} workers, round {turn} of {plan.rounds}")
                rounds.append(
                    [_measure(c, services, database, plan, workers) for c in wanted]
                )
            yield from map(_median, zip(*rounds, strict=True))


def _median(rows: Sequence[Row]) -> Row:
    """The row in the middle, by what a request took; with the errors of all."""
    middle = sorted(rows, key=lambda row: row.total_us)[len(rows) // 2]
    errors = sum(row.outcome.errors for row in rows)
    outcome = msgspec.structs.replace(middle.outcome, errors=errors)
    return msgspec.structs.replace(middle, outcome=outcome)


def _page_path(wanted: list[Case]) -> str:
    """The page that the floor is as long as."""
    return next(case.paths[0] for case in wanted if case.name == PAGE)


def _ask(service: Service, path: str) -> tuple[bytes, str]:
    """The body and the validator of an answer."""
    connection = HTTPConnection(HOST, service.port, timeout=5)
    with closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read(), answer.headers["etag"]


def _measure(
    case: Case,
    services: Mapping[Answerer, Service],
    database: Database,
    plan: Plan,
    workers: int,
) -> Row:
    service = services[case.answered_by]
    tag = "" if case.status == http.HTTPStatus.OK else _ask(service, case.paths[0])[1]
    outcome, before, after = uvloop.run(
        drive(
            service.port,
            [request(path, service.port, tag) for path in case.paths],
            case.status,
            lambda: (cpu_s(service.pid), cpu_s(database.postmaster)),
            warm_s=plan.warm_s,
            measure_s=plan.measure_s,
        )
    )
    share = 1e6 / max(1, outcome.requests)
    return Row(
        case=case.name,
        workers=workers,
        outcome=outcome,
        service_us=(after[0] - before[0]) * share,
        postgres_us=(after[1] - before[1]) * share,
    )
