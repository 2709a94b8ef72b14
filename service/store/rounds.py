"""One call that many share, each with an answer no older than its question."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Rounds(Generic[Answer]):
    """Calls in rounds: whoever asks while one is under way is answered by the next."""

    def __init__(self, call: Callable[[], Awaitable[Answer]]) -> None:
        self._call = call
        self._running: asyncio.Task[Answer] | None = None
        self._next: asyncio.Task[Answer] | None = None

    async def ask(self) -> Answer:
        """The answer of a call that begins after this; raises what that call raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._run_after(self._running))
        # Shielded: who goes away must not take the answer from the others who wait.
        return await asyncio.shield(self._next)

    async def _run_after(self, earlier: asyncio.Task[Answer] | None) -> Answer:
        if earlier is not None:
            await asyncio.wait([earlier])
        self._running, self._next = self._next, None
        return await self._call()
