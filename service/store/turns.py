"""Transactions side by side, and one alone after it was in the way of others.

Of two that lock the same rows in opposite order the server ends one. Sent again among
the same others it would meet the next of them, so it goes alone: it waits for those
under way, and new ones wait for it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

# Those under way may wait for a lock of somebody else; then it goes beside them.
CALM_LIMIT_S = 0.5


class Turns:
    """Who of the transactions of one process may run now."""

    def __init__(self) -> None:
        self._alone = asyncio.Lock()
        self._running = 0
        self._is_calm = asyncio.Event()
        self._is_calm.set()

    async def beside(self, call: Callable[[], Awaitable[T]]) -> T:
        """What `call` gives, beside others unless one of them goes alone."""
        if self._alone.locked():
            async with self._alone:
                pass
        self._running += 1
        self._is_calm.clear()
        try:
            return await call()
        finally:
            self._running -= 1
            if not self._running:
                self._is_calm.set()

    async def alone(self, call: Callable[[], Awaitable[T]]) -> T:
        """What `call` gives when all others have ended, or take too long to."""
        async with self._alone:
            with suppress(TimeoutError):
                async with asyncio.timeout(CALM_LIMIT_S):
                    await self._is_calm.wait()
            return await call()
