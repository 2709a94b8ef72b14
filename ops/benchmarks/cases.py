"""What is measured, and what is wanted of it."""

import random
from collections.abc import Sequence
from itertools import accumulate
from typing import Literal

import msgspec

from ops.benchmarks import words
from ops.benchmarks.catalog import SEED, Catalog, Size
from ops.benchmarks.clients import Outcome
from service.cursor import Mark, write_cursor
from service.registry import LATEST, LIST, Spot

PAGE = "GET /servers?limit=20"
SERVER = "GET /servers/{id}"
SEARCH = "GET /search, frequent word"
REGISTRY_PAGE = "GET /v0.1/servers, latest, 20"
DEEP_PAGE = "the same in the middle, by cursor"
REGISTRY_SEARCH = "GET /v0.1/servers?search=, frequent word"
HEALTH = "GET /health/db"
KEPT_PAGE = "kept: GET /servers?limit=20"
KEPT_SERVER = "kept: GET /servers/{id}"
CACHED_PAGE = "kept: GET /v0.1/servers, latest, 20"
UNCHANGED = "kept: the same, 304"
MIX = "kept: 82 % of all pages asked before"
REFERENCE_PAGE = "reference: decode 20 rows"
REFERENCE_SERVER = "reference: decode one row"
FLOOR = "floor: constant body"

PAGE_LIMIT = 0.7
SERVER_LIMIT = 1.3
SEARCH_LIMIT_MS = 5.0
CACHED_LIMIT = 2.5
DEEP_LIMIT = 1.2
MIX_PER_S = 5000.0
_SERVERS_ASKED = 1000
_MIXED = 20_000
_POPULAR = 300
_REPEATED = 0.82
_LIST_PATH = f"/v0.1/servers?limit=20&version={LATEST}"

Answerer = Literal["ours", "kept", "reference"]


class Case(msgspec.Struct, frozen=True):
    """One kind of request, and who answers it.

    `ours` keeps no answers in memory, `kept` is the service as it comes.
    """

    name: str
    answered_by: Answerer
    paths: tuple[str, ...]
    status: int = 200
    """304 sends the validator of the first path along."""


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


def cases(size: Size) -> list[Case]:
    """All of them; what is compared is measured one after the other."""
    dice = random.Random(SEED)  # noqa: S311 - no secrets
    asked = [dice.randint(1, size.servers) for _ in range(_SERVERS_ASKED)]
    one = tuple(f"/servers/{server}" for server in asked)
    word = words.TOPICS[0]
    pages = _list_pages(size)
    return [
        Case(PAGE, "ours", ("/servers?limit=20",)),
        Case(REFERENCE_PAGE, "reference", ("/page",)),
        Case(REGISTRY_PAGE, "ours", (_LIST_PATH,)),
        Case(DEEP_PAGE, "ours", (pages[len(pages) // 2],)),
        Case(SERVER, "ours", one),
        Case(REFERENCE_SERVER, "reference", one),
        Case(SEARCH, "ours", (f"/search?q={word}",)),
        Case(REGISTRY_SEARCH, "ours", (f"{_LIST_PATH}&search={word}",)),
        Case(HEALTH, "ours", ("/health/db",)),
        Case(FLOOR, "reference", ("/constant",)),
        Case(KEPT_PAGE, "kept", ("/servers?limit=20",)),
        Case(KEPT_SERVER, "kept", one),
        Case(CACHED_PAGE, "kept", (_LIST_PATH,)),
        Case(UNCHANGED, "kept", (_LIST_PATH,), status=304),
        Case(MIX, "kept", _mixed(dice, pages)),
    ]


def _list_pages(size: Size) -> list[str]:
    """Pages of the list of latest versions, each begun by a cursor of its own."""
    names = sorted(entry.registry_name for entry in Catalog(size).entries)
    spots = (Spot(version=LATEST, after=(name, "~")) for name in names)
    cursors = (write_cursor(LIST, Mark(spot, "", 0)) for spot in spots)
    return [f"/v0.1/servers?limit=20&cursor={cursor}" for cursor in cursors]


def _mixed(dice: random.Random, pages: Sequence[str]) -> tuple[str, ...]:
    """What a registry is asked: some pages all the time, others once (Zipf)."""
    popular = dice.sample(pages, min(_POPULAR, len(pages)))
    weights = list(accumulate(1 / rank for rank in range(1, len(popular) + 1)))
    often = dice.choices(popular, cum_weights=weights, k=_MIXED)
    rarely = dice.choices(pages, k=_MIXED)
    return tuple(
        one if dice.random() < _REPEATED else other
        for one, other in zip(often, rarely, strict=True)
    )


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """What is wanted, against what the same run found."""
    by_case = {(row.case, row.workers): row for row in rows}
    found: list[Verdict] = []
    for workers in sorted({row.workers for row in rows}):
        rows_of = {case: row for (case, w), row in by_case.items() if w == workers}
        for wanted, case, other, limit in _RATIOS:
            value = rows_of[case].total_us / rows_of[other].total_us
            found.append(Verdict(wanted, workers, value, limit))
        for wanted, case in _SEARCHES:
            value = rows_of[case].postgres_us / 1000
            found.append(Verdict(wanted, workers, value, SEARCH_LIMIT_MS))
        mix = rows_of[MIX].outcome
        share = MIX_PER_S * mix.seconds / max(1, mix.requests)
        found.append(Verdict("5,000/s / requests/s of the mix", workers, share, 1.0))
    return found


_RATIOS = (
    ("page / reference", PAGE, REFERENCE_PAGE, PAGE_LIMIT),
    ("registry page / reference", REGISTRY_PAGE, REFERENCE_PAGE, PAGE_LIMIT),
    ("deep page / first page", DEEP_PAGE, REGISTRY_PAGE, DEEP_LIMIT),
    ("server / reference", SERVER, REFERENCE_SERVER, SERVER_LIMIT),
    ("kept page / reference", KEPT_PAGE, REFERENCE_PAGE, PAGE_LIMIT),
    ("kept server / reference", KEPT_SERVER, REFERENCE_SERVER, SERVER_LIMIT),
    ("kept registry page / floor", CACHED_PAGE, FLOOR, CACHED_LIMIT),
    ("304 / floor", UNCHANGED, FLOOR, CACHED_LIMIT),
)
_SEARCHES = (
    ("search, PostgreSQL ms", SEARCH),
    ("registry search, PostgreSQL ms", REGISTRY_SEARCH),
)
