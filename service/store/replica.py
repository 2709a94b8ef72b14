"""Reads from a replica, for as long as it is proven to be fresh enough.

The primary is asked for its place in the log twice a second. What the replica has
replayed shows up to which of these moments it knows everything: neither clocks nor a
replication that stands still can make it look newer than it is. The price: when the
primary is away, the replica serves for the limit and no longer.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from typing import Any, TypeVar

import structlog

from service.errors import McpsError, Unavailable
from service.store.base import (
    Dialect,
    Health,
    PoolState,
    Row,
    Snapshot,
    Store,
    Transaction,
    Value,
)
from service.store.queries import load_queries

T = TypeVar("T")

log = structlog.get_logger("store")

LOOK_EVERY_S = 0.5
KEPT_PLACES = 7200
# What has to be right to the last commit, or is about one server alone.
_PRIMARY_ONLY = (
    "extension_",
    "inspection_",
    "kept_",
    "key_",
    "migration_",
    "session_",
)
# A request that learned the serial from the primary reads there too: an older answer
# would be kept under that serial.
_on_primary: ContextVar[bool] = ContextVar("on_primary", default=False)


class Freshness:
    """Up to which moment a replica knows everything."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._places: deque[tuple[float, int]] = deque(maxlen=KEPT_PLACES)
        self._known_at = float("-inf")

    @property
    def is_enough(self) -> bool:
        """Whether an answer would be young enough."""
        return time.monotonic() - self._known_at <= self._limit_s

    def note(self, asked_at: float, place: int) -> None:
        """The primary was at this place of its log, or further, at that time."""
        self._places.append((asked_at, place))

    def replayed(self, place: int) -> None:
        """The replica has replayed the log up to there."""
        while self._places and self._places[0][1] <= place:
            self._known_at = self._places.popleft()[0]


class ReplicatedStore:
    """A primary that takes writes, and a replica that takes reads off it."""

    dialect: Dialect = "postgresql"

    def __init__(self, primary: Store, replica: Store, limit_s: float) -> None:
        self.url = primary.url
        self._primary = primary
        self._replica = replica
        self._freshness = Freshness(limit_s)
        self._writes = {
            name for name, query in load_queries("postgresql").items() if query.is_write
        }
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Get ready to serve; succeeds while both are away."""
        await self._primary.open()
        await self._replica.open()
        self._task = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Give every connection back."""
        if self._task is not None:
            self._task.cancel()
        await self._replica.close()
        await self._primary.close()

    async def value(self, query: str, /, **values: Value) -> Any:  # noqa: ANN401
        """The first column of the first row; None without a row."""
        return await self._read(query, lambda store: store.value(query, **values))

    async def row(self, query: str, /, **values: Value) -> Row | None:
        """The first row, if there is one."""
        return await self._read(query, lambda store: store.row(query, **values))

    async def rows(self, query: str, /, **values: Value) -> Sequence[Row]:
        """All rows."""
        return await self._read(query, lambda store: store.rows(query, **values))

    async def run(self, query: str, /, **values: Value) -> int:
        """Run a statement without an answer; gives the number of rows it touched."""
        return await self._primary.run(query, **values)

    def transaction(
        self, *, timeout_s: float | None = None
    ) -> AbstractAsyncContextManager[Transaction]:
        """One transaction; `timeout_s` replaces the limits of a request."""
        return self._primary.transaction(timeout_s=timeout_s)

    async def transact(
        self,
        work: Callable[[Transaction], Awaitable[T]],
        *,
        is_repeatable: bool = False,
    ) -> T:
        """What `work` gives in one transaction on the primary."""
        return await self._primary.transact(work, is_repeatable=is_repeatable)

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """The primary as it is now, for as long as the block lasts."""
        return self._primary.snapshot()

    async def health(self) -> Health:
        """The state of the primary; at most once a second."""
        return await self._primary.health()

    def pool(self) -> PoolState:
        """The connections to the primary as they are now."""
        return self._primary.pool()

    def report_pool(self) -> PoolState:
        """Bring the gauges up to date; gives what they show of the primary."""
        return self._primary.report_pool()

    @property
    def known_serial(self) -> int | None:
        """Never known: an answer of the replica may be older than the serial."""
        return None

    async def serial(self) -> int:
        """The serial of the state that this request will read."""
        if self._freshness.is_enough:
            try:
                return await self._replica.serial()
            except Unavailable as error:
                log.debug("the primary answers for the replica", code=error.code)
        _on_primary.set(True)
        return await self._primary.serial()

    async def has_vectors(self) -> bool:
        """Whether this database can compare embeddings."""
        return await self._primary.has_vectors()

    async def _read(self, query: str, ask: Callable[[Store], Awaitable[T]]) -> T:
        is_for_primary = query in self._writes or query.startswith(_PRIMARY_ONLY)
        if not (is_for_primary or _on_primary.get()) and self._freshness.is_enough:
            try:
                return await ask(self._replica)
            except Unavailable as error:
                log.debug("the primary answers for the replica", code=error.code)
        return await ask(self._primary)

    async def _follow(self) -> None:
        """Compare the places of the two in the log, for as long as the process runs."""
        was_enough = True
        while True:
            asked_at = time.monotonic()
            if (place := await _place(self._primary)) is not None:
                self._freshness.note(asked_at, place)
            if (place := await _place(self._replica)) is not None:
                self._freshness.replayed(place)
            if was_enough != self._freshness.is_enough:
                was_enough = self._freshness.is_enough
                log.warning("replica", is_fresh=was_enough)
            await asyncio.sleep(LOOK_EVERY_S)


async def _place(store: Store) -> int | None:
    """How far the log of a server is written, or replayed; None without an answer."""
    try:
        return int(await store.value("session_place"))
    except McpsError as error:
        log.debug("a server does not tell its place in the log", code=error.code)
        return None
