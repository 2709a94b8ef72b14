"""Connections between two uses: kept at hand, not given back to the driver's pool.

The pool's own acquire and release make a task each and cost more than a short query. So
a connection stays leased from the pool and goes from one use to the next directly; it
goes back when it failed, grew too old, or is one too many.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

from service import metrics
from service.errors import DatabaseDown, PoolExhausted


class Leased(Protocol):
    """What a connection can do for those who lease it."""

    used_at: float
    proxy: Any

    def is_closed(self) -> bool:
        """Whether it is lost."""

    def is_in_transaction(self) -> bool:
        """Whether somebody left a transaction open."""

    def terminate(self) -> None:
        """Cut it."""


class Pool(Protocol):
    """What leases connections: it hands out proxies of them."""

    def acquire(self) -> Awaitable[Any]:
        """A proxy of a connection that nobody else has."""

    @property
    def release(self) -> Callable[[Any], Awaitable[None]]:
        """Takes one back."""


# What queries take at most on a good day.
OVERFLOW_AFTER_S = 0.05

C = TypeVar("C", bound=Leased)


class Leases(Generic[C]):
    """The connections leased from a pool, last used first.

    Up to `kept` are opened whenever one is needed. More, up to `most`, are for those
    who have waited: opening and closing one costs as much as many queries.
    """

    def __init__(
        self, pool: Pool, kept: int, most: int, is_fit: Callable[[C], Awaitable[bool]]
    ) -> None:
        self._pool = pool
        self._kept = kept
        self._most = most
        self._is_fit = is_fit
        self._free: list[C] = []
        self._leased = 0
        self._moved_at = 0.0
        self.answered_at = 0.0
        """When a connection last came back from work that went well."""
        self._waiters: deque[asyncio.Future[C | None]] = deque()
        self._used: set[C] = set()
        self._opening: set[asyncio.Future[Any]] = set()

    @property
    def in_use(self) -> int:
        """How many connections somebody works with."""
        return self._leased - len(self._free)

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return sum(not waiter.done() for waiter in self._waiters)

    def stuck_s(self) -> float:
        """How long nothing has come back although somebody works or waits."""
        return time.monotonic() - self._moved_at if self.in_use else 0.0

    async def take(self, limit_s: float) -> C:
        """A connection that works, for one user until it comes back.

        Raises PoolExhausted when all are busy for the whole limit, TimeoutError when a
        new one cannot be opened in it.
        """
        began_at = time.monotonic()
        if not self.in_use:
            self._moved_at = began_at
        while True:
            left_s = limit_s - (time.monotonic() - began_at)
            connection = self._free.pop() if self._free else await self._wait(left_s)
            if await self._is_checked(connection):
                break
        metrics.ACQUIRE_SECONDS.observe(time.monotonic() - began_at)
        self._used.add(connection)
        return connection

    async def put(self, connection: C) -> None:
        """Take one back after its work is done; the longest waiter gets it."""
        self._used.discard(connection)
        if connection.is_closed() or connection.is_in_transaction():
            await self.drop(connection)
            return
        now = time.monotonic()
        connection.used_at = self._moved_at = self.answered_at = now
        if not self._wake(connection):
            self._free.append(connection)

    async def drop(self, connection: C) -> None:
        """Give one back to the pool, which looks after what became of it."""
        self._used.discard(connection)
        self._leased -= 1
        self._moved_at = time.monotonic()
        try:
            await self._pool.release(connection.proxy)
        finally:
            self._wake(None)

    def cut(self) -> None:
        """End every use and every wait: the database is known to be down."""
        for connection in self._used:
            connection.terminate()
        self.stop_opening()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(DatabaseDown())

    def stop_opening(self) -> None:
        """Give up what is being opened."""
        for opening in self._opening:
            opening.cancel()

    async def close_idle(self, count: int) -> None:
        """Close up to `count` of those that nobody has used for the longest time."""
        for _ in range(min(count, len(self._free))):
            connection = self._free.pop(0)
            connection.terminate()
            await self.drop(connection)

    async def _is_checked(self, connection: C) -> bool:
        """Whether it works; otherwise, or when nobody waits for the check, it goes."""
        is_fit = False
        try:
            is_fit = await self._is_fit(connection)
        finally:
            if not is_fit:
                connection.terminate()
                await self.drop(connection)
        return is_fit

    async def _wait(self, limit_s: float) -> C:
        if self._leased < self._kept:
            return await self._open(limit_s)
        patience_s = min(limit_s, OVERFLOW_AFTER_S)
        if self._leased < self._most:
            try:
                return await self._next(patience_s)
            except PoolExhausted:
                limit_s -= patience_s
        if self._leased < self._most:
            return await self._open(limit_s)
        return await self._next(limit_s)

    async def _next(self, limit_s: float) -> C:
        """The next one that comes free. Raises PoolExhausted after the limit."""
        began_at = time.monotonic()
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[C | None] = loop.create_future()
        self._waiters.append(waiter)
        # Half as dear as asyncio.timeout, and under load everybody waits for a moment.
        timer = loop.call_later(max(0.0, limit_s), _refuse, waiter)
        try:
            connection = await waiter
        except BaseException:
            await self._pass_on(waiter)
            raise
        finally:
            timer.cancel()
        # Who came at the same moment may have the place that was free.
        return connection or await self._wait(limit_s - time.monotonic() + began_at)

    async def _open(self, limit_s: float) -> C:
        """A new one. One that takes longer to open is there for the next."""
        self._leased += 1
        opening = asyncio.ensure_future(self._pool.acquire())
        self._opening.add(opening)
        try:
            async with asyncio.timeout(max(0.001, limit_s)):
                await asyncio.shield(opening)
        except BaseException:
            opening.add_done_callback(self._arrived_late)
            if opening.cancelled():
                raise DatabaseDown from None
            raise
        connection = self._opened(opening)
        if connection is None:
            message = "the connection was lost as soon as it was there"
            raise ConnectionResetError(message)
        return connection

    def _arrived_late(self, opening: "asyncio.Future[Any]") -> None:
        """Nobody waits any more for what was to be opened; somebody else may."""
        connection = self._opened(opening)
        if connection is not None and not self._wake(connection):
            self._free.append(connection)

    def _opened(self, opening: "asyncio.Future[Any]") -> C | None:
        """The connection; None, and its place is free again, when there is none."""
        self._opening.discard(opening)
        is_there = not opening.cancelled() and opening.exception() is None
        # The proxy of a connection that was lost meanwhile has none.
        itself = getattr(opening.result(), "itself", None) if is_there else None
        if itself is None:
            self._leased -= 1
            self._wake(None)
            return None
        connection: C = itself()
        connection.proxy = opening.result()
        return connection

    async def _pass_on(self, waiter: "asyncio.Future[C | None]") -> None:
        """Whoever gives up waiting hands on what came at the same moment."""
        if not waiter.done():
            waiter.cancel()
            return
        if waiter.cancelled() or waiter.exception():
            return
        connection = waiter.result()
        if connection is None:
            self._wake(None)
        else:
            await self.put(connection)

    def _wake(self, connection: C | None) -> bool:
        """Let the longest waiter go on, with a connection or to open one."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return True
        return False


def _refuse(waiter: "asyncio.Future[Any]") -> None:
    """End a wait that took too long."""
    if not waiter.done():
        waiter.set_exception(PoolExhausted())
