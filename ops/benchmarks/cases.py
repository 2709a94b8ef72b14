"""What is measured, and what is wanted of it."""

import random
from collections.abc import Sequence
from typing import Literal

import msgspec

from ops.benchmarks import words
from ops.benchmarks.catalog import SEED
from ops.benchmarks.clients import Outcome

PAGE = "GET /servers?limit=20"
SERVER = "GET /servers/{id}"
SEARCH = "GET /search, frequent word"
HEALTH = "GET /health/db"
REFERENCE_PAGE = "reference: decode 20 rows"
REFERENCE_SERVER = "reference: decode one row"
FLOOR = "floor: constant body"

PAGE_LIMIT = 0.7
SERVER_LIMIT = 1.3
SEARCH_LIMIT_MS = 5.0
_SERVERS_ASKED = 1000


class Case(msgspec.Struct, frozen=True):
    """One kind of request, and who answers it."""

    name: str
    answered_by: Literal["us", "reference"]
    paths: tuple[str, ...]


class Row(msgspec.Struct, frozen=True):
    """What one case took."""

    case: str
    workers: int
    outcome: Outcome
    service_us: float
    """CPU time of the service's processes for one request."""
    postgres_us: float

    @property
    def total_us(self) -> float:
        """CPU time of service and PostgreSQL for one request."""
        return self.service_us + self.postgres_us


class Verdict(msgspec.Struct, frozen=True):
    """One wanted figure, and whether it was met."""

    wanted: str
    workers: int
    value: float
    limit: float

    @property
    def is_met(self) -> bool:
        """Whether the figure is within its limit."""
        return self.value <= self.limit


def cases(servers: int) -> list[Case]:
    """All of them; what is compared is measured one after the other."""
    dice = random.Random(SEED)  # noqa: S311 - no secrets
    asked = [dice.randint(1, servers) for _ in range(_SERVERS_ASKED)]
    one = tuple(f"/servers/{server}" for server in asked)
    return [
        Case(PAGE, "us", ("/servers?limit=20",)),
        Case(REFERENCE_PAGE, "reference", ("/page",)),
        Case(SERVER, "us", one),
        Case(REFERENCE_SERVER, "reference", one),
        Case(SEARCH, "us", (f"/search?q={words.TOPICS[0]}",)),
        Case(HEALTH, "us", ("/health/db",)),
        Case(FLOOR, "reference", ("/constant",)),
    ]


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """What is wanted, against what the same run found."""
    by_case = {(row.case, row.workers): row for row in rows}
    found: list[Verdict] = []
    for workers in sorted({row.workers for row in rows}):
        page = by_case[PAGE, workers].total_us
        reference = by_case[REFERENCE_PAGE, workers].total_us
        one = by_case[SERVER, workers].total_us
        reference_one = by_case[REFERENCE_SERVER, workers].total_us
        search_ms = by_case[SEARCH, workers].postgres_us / 1000
        found += [
            Verdict("page / reference", workers, page / reference, PAGE_LIMIT),
            Verdict("server / reference", workers, one / reference_one, SERVER_LIMIT),
            Verdict("search, PostgreSQL ms", workers, search_ms, SEARCH_LIMIT_MS),
        ]
    return found
