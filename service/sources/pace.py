"""How fast one host is asked: so many at once and a second, and the pauses it wants."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 16.0
LONGEST_PAUSE_S = 86_400.0


class Pace:
    """The state of one host."""

    def __init__(self, at_once: int, per_second: float) -> None:
        self._slots = asyncio.Semaphore(at_once)
        self._gap_s = 1 / per_second
        self._next_at = 0.0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a free slot, and for the next moment at which one may ask."""
        async with self._slots:
            wait_s = self.wait_s
            self._next_at = time.monotonic() + wait_s + self._gap_s
            await asyncio.sleep(wait_s)
            yield

    @property
    def wait_s(self) -> float:
        """How long the next call has to wait."""
        return max(0.0, self._next_at - time.monotonic())

    def pause(self, seconds: float) -> None:
        """Ask nothing for so long, because the host said so."""
        self._next_at = max(self._next_at, time.monotonic() + seconds)


def growing_wait(turn: int) -> float:
    """Seconds to wait after a failed try, the first being turn 0.

    It doubles, with some chance in it so that not all come back together.
    """
    longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**turn)
    chance = random.uniform(0.5, 1.0)  # noqa: S311 - no secret
    return float(longest * chance)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """How many seconds a host wants to be left alone, if it says so.

    `Retry-After` (RFC 9110) counts, else the time at which GitHub's limit ends.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return min(LONGEST_PAUSE_S, float(text[:9]))
    if text:
        return _until(text)
    reset = headers.get("X-RateLimit-Reset", "").strip()
    if headers.get("X-RateLimit-Remaining", "").strip() == "0" and reset.isdecimal():
        return min(LONGEST_PAUSE_S, max(0.0, float(reset[:12]) - time.time()))
    return None


def _until(date: str) -> float | None:
    try:
        at = parsedate_to_datetime(date)
    except ValueError:
        return None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return min(LONGEST_PAUSE_S, max(0.0, (at - datetime.now(UTC)).total_seconds()))
