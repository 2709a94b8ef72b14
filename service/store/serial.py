"""The serial of the catalog, as far as this process can be sure of it.

PostgreSQL announces every new serial on a connection of its own, which is also asked
once a second: a connection that went deaf is found out, and who relies on the serial is
never further behind than `SURE_FOR_S`. After a write of this process nothing is sure
until the database has been asked again, so that every client reads its own writes.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from service import metrics

log = structlog.get_logger("store")

ASK_EVERY_S = 1.0
ANSWER_LIMIT_S = 1.0
# A login takes several round trips, and the first question on it two.
CONNECT_LIMIT_S = 3.0
SURE_FOR_S = 2.5
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0

Told = Callable[[int], None]


class Session(Protocol):
    """A connection that hears of new serials."""

    async def ask(self) -> int:
        """The serial as it is now."""

    def cut(self) -> None:
        """Close it without a word."""


class SerialWatch:
    """Follows the serial for as long as the process serves."""

    def __init__(self, connect: Callable[[Told], Awaitable[Session]]) -> None:
        """`connect` opens a session that calls what it is given with new serials."""
        self._connect = connect
        self._value = 0
        self._sure_until = 0.0
        self._is_doubted = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def known(self) -> int | None:
        """The serial; None while this process is not sure of it.

        The first question makes this process follow it.
        """
        if self._task is None:
            self._task = asyncio.create_task(self._follow())
        if self._is_doubted or time.monotonic() > self._sure_until:
            return None
        return self._value

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def doubt(self) -> None:
        """Something was written: nothing is sure until the serial is asked for."""
        self._is_doubted = True
        self._wake.set()

    async def _follow(self) -> None:
        wait_s = FIRST_WAIT_S
        while True:
            try:
                await self._listen()
            except Exception as error:  # noqa: BLE001 - it is connected anew
                if self._sure_until:
                    log.warning("nobody tells of new serials", error=repr(error))
            if self._sure_until:
                wait_s = FIRST_WAIT_S
            self._sure_until = 0.0
            metrics.SERIAL_FOLLOWED.set(0)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def _listen(self) -> None:
        """Hear of serials, and ask for them, until there is no answer."""
        async with asyncio.timeout(CONNECT_LIMIT_S):
            session = await self._connect(self._tell)
        limit_s = CONNECT_LIMIT_S
        try:
            while True:
                async with asyncio.timeout(limit_s):
                    await self._check(session)
                limit_s = ANSWER_LIMIT_S
                metrics.SERIAL_FOLLOWED.set(1)
                await self._until_due()
        finally:
            session.cut()

    async def _until_due(self) -> None:
        try:
            async with asyncio.timeout(ASK_EVERY_S):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _check(self, session: Session) -> None:
        """Ask for the serial; what was written before the question is settled then."""
        self._wake.clear()
        self._value = await session.ask()
        self._sure_until = time.monotonic() + SURE_FOR_S
        metrics.SERIAL.set(self._value)
        if not self._wake.is_set():
            self._is_doubted = False

    def _tell(self, serial: int) -> None:
        self._value = max(serial, self._value)
        metrics.SERIAL.set(self._value)
