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
from service.store.resilience import is_full


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
# So many short queries keep the database busy. Whoever comes then waits for a moment: a
# backend that goes on at once costs a tenth less than one more that has to wake up.
BUSY = 6
QUEUE_S = 0.002
# How long a server that takes no more connections is not asked for one.
FULL_S = 1.0

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
        self._full_until = 0.0
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
            connection = await self._find(limit_s - (time.monotonic() - began_at))
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

    async def _find(self, limit_s: float) -> C:
        """One that is free or comes free in time, or else a new one."""
        began_at = time.monotonic()
        ends_at = began_at + limit_s
        overflow_at = min(ends_at, began_at + OVERFLOW_AFTER_S)
        connection = None
        if self.in_use >= BUSY:
            connection = await self._next(min(limit_s, QUEUE_S))
        while connection is None:
            if self._free:
                return self._free.pop()
            now = time.monotonic()
            is_patient = now >= overflow_at
            most = self._most if is_patient else self._kept
            if self._leased < most and now >= self._full_until:
                connection = await self._open_unless_full(ends_at - now)
                continue
            if now >= ends_at:
                raise PoolExhausted
            connection = await self._next(
                (ends_at if is_patient else overflow_at) - now
            )
        return connection

    async def _next(self, limit_s: float) -> C | None:
        """The next one that comes free; None when a place does, or after the limit."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[C | None] = loop.create_future()
        self._waiters.append(waiter)
        # Half as dear as asyncio.timeout, and under load everybody waits for a moment.
        timer = loop.call_later(limit_s, _give_up, waiter)
        try:
            return await waiter
        except BaseException:
            await self._pass_on(waiter)
            raise
        finally:
            timer.cancel()

    async def _open_unless_full(self, limit_s: float) -> C | None:
        """A new one; None where the server takes no more, but has given some."""
        try:
            return await self._open(limit_s)
        except Exception as error:
            if self._leased <= 1 or not is_full(error):
                raise
        self._full_until = time.monotonic() + FULL_S
        return None

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


def _give_up(waiter: "asyncio.Future[Any]") -> None:
    """End a wait that took too long."""
    if not waiter.done():
        waiter.set_result(None)
