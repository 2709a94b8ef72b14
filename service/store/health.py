"""The readiness probe: one connection of its own, asked at most once a second.

An exhausted pool must not take every pod out of service, so the pool has no part in it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from service.errors import UnsupportedServer
from service.resources import resource
from service.store.base import Dialect, Health, Row
from service.store.resilience import is_cut

SHARED_FOR_S = 1.0
# A look may take longer than anybody waits for it: its answer is there for the next.
LONGER_S = 0.25
# On a new connection the server has to read the statement first.
FIRST_LONGER_S = 1.35
MISSING = "migrations are missing: run `mcps migrate`"
_UNDEFINED_TABLE = "42P01"
_NO_PRIVILEGE = "42501"
_NO_SLOT = "53300"
_LOGIN = ("28", "3D")
# Older PgBouncers have one SQLSTATE for all that they refuse, in words of their own or
# in those of the server.
_POOLER = "08P01"
_POOLER_REFUSES = (
    "does not exist",
    "no such database",
    "no such user",
    "authentication failed",
)
# Only a server that is there says any of these.
_ANSWERS = frozenset({_UNDEFINED_TABLE, _NO_PRIVILEGE, _NO_SLOT})


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
        limit_s: float,
        dialect: Dialect = "postgresql",
    ) -> None:
        """Nobody waits longer than `limit_s` for an answer.

        `connect` has a limit of its own: the next look goes on waiting for it.
        """
        self.error: Exception | None = None
        """What went wrong at the last look, if anything."""
        self._connect = connect
        self._limit_s = limit_s
        self._session: Session | None = None
        self._looking: asyncio.Task[Health] | None = None
        self._last: Health | None = None
        self._looked_at = 0.0
        self._needed = schema_needed(dialect)

    async def health(self) -> Health:
        """The state of the database, no older than a second."""
        if self._last and time.monotonic() - self._looked_at < SHARED_FOR_S:
            return self._last
        return await self.look()

    async def look(self, tries: int = 1) -> Health:
        """The state of the database as of now, known within the limit.

        A connection that is cut is tried again at once, up to `tries` times. Who comes
        while somebody looks already gets the same answer.
        """
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(tries))
        looking = self._looking
        done, _ = await asyncio.wait((looking,), timeout=self._limit_s)
        if done:
            return looking.result()
        late = TimeoutError(f"no answer in {self._limit_s} s")
        return self._noted(self._unhealthy(late, self._limit_s * 1000))

    def close(self) -> None:
        """Give the connection up."""
        if self._looking is not None:
            self._looking.cancel()
        self._cut()

    def _cut(self) -> None:
        if self._session is not None:
            self._session.cut()
            self._session = None

    async def _look(self, tries: int) -> Health:
        began_at = time.perf_counter()
        try:
            row = await self._ask_again(tries)
        except Exception as error:  # noqa: BLE001 - every failure means unhealthy
            return self._noted(self._unhealthy(error, _ms_since(began_at)))
        finally:
            self._looking = None
        version = str(row["schema_version"] or "")
        is_current = version >= self._needed
        self.error = None
        return self._noted(
            Health(
                healthy=is_current,
                latency_ms=_ms_since(began_at),
                detail="" if is_current else MISSING,
                schema_version=version,
                schema_needed=self._needed,
                answers=True,
            )
        )

    async def _ask_again(self, tries: int) -> Row:
        for _ in range(tries - 1):
            try:
                return await self._ask()
            except Exception as error:
                if not is_cut(error):
                    raise
        return await self._ask()

    async def _ask(self) -> Row:
        limit_s = self._limit_s + LONGER_S
        try:
            if self._session is None:
                self._session = await self._connect()
                limit_s = self._limit_s + FIRST_LONGER_S
            async with asyncio.timeout(limit_s):
                return await self._session.ask()
        except BaseException:
            self._cut()
            raise

    def _noted(self, health: Health) -> Health:
        self._last = health
        self._looked_at = time.monotonic()
        return health

    def _unhealthy(self, error: Exception, ms: float) -> Health:
        self.error = error
        return Health(
            healthy=False,
            latency_ms=ms,
            detail=_detail(error),
            schema_version="",
            schema_needed=self._needed,
            answers=_state(error) in _ANSWERS,
        )


def refusal(error: Exception | None) -> str:
    """How a server that is there cannot be used as the settings say, if it cannot."""
    if _state(error).startswith(_LOGIN) or _is_refused_by_pooler(error):
        return "refuses the login"
    return "is too old" if isinstance(error, UnsupportedServer) else ""


def schema_needed(dialect: Dialect = "postgresql") -> str:
    """The newest migration of this release."""
    folder = resource("migrations") / ("" if dialect == "postgresql" else dialect)
    names = sorted(path.stem for path in folder.glob("*.sql"))
    return [name for name in names if not name.endswith(".rollback")][-1]


def _state(error: Exception | None) -> str:
    return str(getattr(error, "sqlstate", None) or "")


def _is_refused_by_pooler(error: Exception | None) -> bool:
    return _state(error) == _POOLER and any(w in str(error) for w in _POOLER_REFUSES)


def _detail(error: Exception) -> str:
    if _state(error) == _UNDEFINED_TABLE:
        return MISSING
    return (str(error) or type(error).__name__).splitlines()[0]


def _ms_since(began_at: float) -> float:
    return round((time.perf_counter() - began_at) * 1000, 2)
