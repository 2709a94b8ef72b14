"""A fixed number of connections to a file, opened when they are first needed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from service import errors
from service.store.sqlite_connections import Connection


class Slots:
    """Connections of one kind; whoever finds none free waits for a while."""

    def __init__(
        self, size: int, wait_s: float, connect: Callable[[], Awaitable[Connection]]
    ) -> None:
        self.size = size
        self.waiting = 0
        self._wait_s = wait_s
        self._connect = connect
        self._free = asyncio.Semaphore(size)
        self._idle: list[Connection] = []
        self._all: list[Connection] = []

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._all)

    @property
    def idle(self) -> int:
        """How many of them nobody uses."""
        return len(self._idle)

    @asynccontextmanager
    async def take(self, wait_s: float | None = None) -> AsyncIterator[Connection]:
        """One connection for as long as the block runs. Raises PoolExhausted."""
        if self._free.locked():
            await self._wait(self._wait_s if wait_s is None else wait_s)
        else:
            await self._free.acquire()
        try:
            connection = self._idle.pop() if self._idle else await self._open()
            try:
                yield connection
            finally:
                self._idle.append(connection)
        finally:
            self._free.release()

    async def close(self) -> None:
        """Close all; what still runs ends within its limit."""
        everyone, self._all, self._idle = self._all, [], []
        for connection in everyone:
            await connection.close()

    async def _open(self) -> Connection:
        connection = await self._connect()
        self._all.append(connection)
        return connection

    async def _wait(self, wait_s: float) -> None:
        self.waiting += 1
        try:
            async with asyncio.timeout(wait_s):
                await self._free.acquire()
        except TimeoutError:
            raise errors.PoolExhausted from None
        finally:
            self.waiting -= 1
