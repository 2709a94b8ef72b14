"""One run: every case with every number of workers, on one loaded database."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path

import msgspec
import uvloop

from ops.benchmarks.accounting import cpu_s
from ops.benchmarks.cases import PAGE, Case, Row, cases
from ops.benchmarks.clients import HOST, drive
from ops.benchmarks.databases import Database
from ops.benchmarks.processes import Service, our_service, reference

Say = Callable[[str], None]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How long, with how many workers."""

    servers: int
    workers: tuple[int, ...] = (1, 2)
    warm_s: float = 1.0
    measure_s: float = 5.0


def measure(database: Database, plan: Plan, folder: Path, say: Say) -> Iterator[Row]:
    """The rows as they come; the logs of the services are in the folder."""
    wanted = cases(plan.servers)
    for workers in plan.workers:
        with ExitStack() as stack:
            log = folder / f"service-{workers}.log"
            ours = stack.enter_context(our_service(database.url, workers, log))
            body_bytes = _page_bytes(ours, wanted)
            log = folder / f"reference-{workers}.log"
            other = stack.enter_context(
                reference(database.url, workers, body_bytes, log)
            )
            services = {"us": ours, "reference": other}
            for case in wanted:
                say(f"{case.name}, {workers} workers")
                yield _measure(case, services, database, plan, workers)


def _page_bytes(ours: Service, wanted: list[Case]) -> int:
    """How long our page is; the floor is as long."""
    path = next(case.paths[0] for case in wanted if case.name == PAGE)
    connection = HTTPConnection(HOST, ours.port, timeout=5)
    with closing(connection):
        connection.request("GET", path)
        return len(connection.getresponse().read())


def _measure(
    case: Case,
    services: Mapping[str, Service],
    database: Database,
    plan: Plan,
    workers: int,
) -> Row:
    service = services[case.answered_by]
    outcome, before, after = uvloop.run(
        drive(
            service.port,
            case.paths,
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
