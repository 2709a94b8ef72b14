"""The readiness probe: one connection of its own, asked at most once a second.

An exhausted pool must not take every pod out of service, so the pool has no part in it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from service.resources import resource
from service.store.base import Dialect, Health, Row

SHARED_FOR_S = 1.0
LIMIT_S = 0.9
MISSING = "migrations are missing: run `mcps migrate`"
_UNDEFINED_TABLE = "42P01"


class Session(Protocol):
    """A connection that is there for the probe alone."""

    async def ask(self) -> Row:
        """The newest applied migration, as `schema_version`."""

    def cut(self) -> None:
        """Close it without a word."""


class Probe:
    """Asks whether the database answers and has the schema that this release needs."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Session]],
        dialect: Dialect = "postgresql",
    ) -> None:
        self._connect = connect
        self._session: Session | None = None
        self._lock = asyncio.Lock()
        self._last: Health | None = None
        self._asked_at = 0.0
        self._needed = schema_needed(dialect)

    async def health(self) -> Health:
        """The state of the database, no older than a second."""
        async with self._lock:
            if self._last and time.monotonic() - self._asked_at < SHARED_FOR_S:
                return self._last
            self._last = await self._look()
            self._asked_at = time.monotonic()
            return self._last

    async def ask(self) -> Row:
        """One question to the database within the limit; raises what went wrong."""
        async with asyncio.timeout(LIMIT_S):
            try:
                if self._session is None:
                    self._session = await self._connect()
                return await self._session.ask()
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Give the connection up."""
        if self._session is not None:
            self._session.cut()
            self._session = None

    async def _look(self) -> Health:
        began_at = time.perf_counter()
        try:
            row = await self.ask()
        except Exception as error:  # noqa: BLE001 - every failure means unhealthy
            return Health(
                healthy=False,
                latency_ms=_ms_since(began_at),
                detail=_detail(error),
                schema_version="",
                schema_needed=self._needed,
            )
        version = str(row["schema_version"] or "")
        is_current = version >= self._needed
        return Health(
            healthy=is_current,
            latency_ms=_ms_since(began_at),
            detail="" if is_current else MISSING,
            schema_version=version,
            schema_needed=self._needed,
        )


def schema_needed(dialect: Dialect = "postgresql") -> str:
    """The newest migration of this release."""
    folder = resource("migrations") / ("" if dialect == "postgresql" else dialect)
    names = sorted(path.stem for path in folder.glob("*.sql"))
    return [name for name in names if not name.endswith(".rollback")][-1]


def _detail(error: Exception) -> str:
    if getattr(error, "sqlstate", None) == _UNDEFINED_TABLE:
        return MISSING
    return (str(error) or type(error).__name__).splitlines()[0]


def _ms_since(began_at: float) -> float:
    return round((time.perf_counter() - began_at) * 1000, 2)
