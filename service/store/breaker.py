"""Whether the database is down: found out by asking, not by counting failures.

A lost connection says little: the next one mostly works. So a failure is a suspicion,
and only a database that answers nobody, not even on a connection of the probe's own,
is known to be down.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from service import errors
from service.store.base import Health

KNOWN_AFTER_S = 0.4
FAST_PROBES = 20
PROBE_EVERY_S = 0.5
# Where connections are cut one of some mostly lives: that is no database that is down.
TRIES = 4
SLOWEST_PROBE_S = 1.5


class Breaker:
    """Asks a suspected database at a bounded rate, and lets nobody wait for it."""

    def __init__(
        self,
        look: Callable[[int], Awaitable[Health]],
        answered_at: Callable[[], float],
        tell: Callable[[bool], None],
    ) -> None:
        """How to look, when the database last answered, whom to tell if it is up."""
        self._look = look
        self._answered_at = answered_at
        self._tell = tell
        self._task: asyncio.Task[None] | None = None
        self._is_open = False
        self._looked_at = 0.0
        self._next_look_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the database is known to be down."""
        return self._is_open

    def check(self) -> None:
        """Raise DatabaseDown, with the time of the next probe, while known down."""
        if self._is_open:
            wait_s = self._next_look_at - time.monotonic()
            raise errors.DatabaseDown(retry_after_s=max(1, min(5, round(wait_s + 0.5))))

    def suspect(self) -> None:
        """Something failed or takes long: look whether the database answers."""
        is_known = time.monotonic() - self._looked_at < PROBE_EVERY_S
        if self._task is None and not is_known:
            self._task = asyncio.create_task(self._watch())

    def trip(self) -> None:
        """Take note that the database is down, and look after it from now on."""
        self._open()
        if self._task is None:
            self._task = asyncio.create_task(self._watch())

    def answered(self) -> None:
        """Somebody else saw it answer: the next look need not be waited for."""
        if self._is_open and self._task is not None:
            self._task.cancel()
            self._end()

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        began_at = time.monotonic()
        tries = 0
        while not (await self._look(1 if self._is_open else TRIES)).answers:
            tries += 1
            silent_since = max(began_at, self._answered_at())
            if time.monotonic() - silent_since >= KNOWN_AFTER_S:
                self._open()
            await self._pause(tries)
        self._end()

    def _end(self) -> None:
        self._looked_at = time.monotonic()
        self._task = None
        if self._is_open:
            self._is_open = False
            self._tell(True)

    async def _pause(self, tries: int) -> None:
        """Wait for the next look; it is slower once the database is long gone."""
        every_s = PROBE_EVERY_S
        if tries > FAST_PROBES:
            every_s = SLOWEST_PROBE_S
        self._next_look_at = time.monotonic() + every_s
        await asyncio.sleep(every_s)

    def _open(self) -> None:
        if not self._is_open:
            self._is_open = True
            self._tell(False)
