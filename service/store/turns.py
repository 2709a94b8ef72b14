"""Transactions side by side, and one at a time after some were in each other's way.

Of two that lock the same rows in opposite order the server ends one. Sent again among
the same others it would meet the next of them; so for a moment all go one at a time,
after those under way. Who waits has its connection already and holds no lock.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

# Those under way may wait for a lock of somebody else; then nobody waits for them.
CALM_LIMIT_S = 0.5
APART_FOR_S = 1.0


class Turns:
    """Who of the transactions of one process may run now."""

    def __init__(self) -> None:
        self._alone = asyncio.Lock()
        self._running = 0
        self._is_calm = asyncio.Event()
        self._is_calm.set()
        self._apart_until = 0.0

    def part(self) -> None:
        """Some were in each other's way: from now on one at a time."""
        self._apart_until = time.monotonic() + APART_FOR_S

    async def take(self, call: Callable[[], Awaitable[T]]) -> T:
        """What `call` gives when it is its turn."""
        if self._alone.locked() or time.monotonic() < self._apart_until:
            async with self._alone:
                await self._calm()
                return await call()
        self._running += 1
        self._is_calm.clear()
        try:
            return await call()
        finally:
            self._running -= 1
            if not self._running:
                self._is_calm.set()

    async def _calm(self) -> None:
        """Wait until those who run side by side have ended, or take too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CALM_LIMIT_S):
                await self._is_calm.wait()
