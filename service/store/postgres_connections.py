"""Connections to PostgreSQL: how each is opened, to which of several hosts.

With several hosts that one counts which takes writes, and of two which do, that with
the higher timeline: the other is a primary that came back after its standby took over.
"""

import asyncio
import random
import time
from typing import Any, cast

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy

from service import errors
from service.settings import Settings
from service.store.address import asyncpg_url, host_urls
from service.store.binaries import OLDEST_MAJOR
from service.store.queries import Query

log = structlog.get_logger("store")

# A little longer than the deadlock_timeout of a server that nobody has set up: a wait
# that is a deadlock is told as one, and tried again.
LOCK_TIMEOUT_MS = 1050
IDLE_IN_TRANSACTION_MS = 5000
HEAR_OTHERS_S = 0.3
# There are more queries than the driver keeps by itself, and none gets old: one that it
# forgot is parsed and planned again, in one round trip more.
_STATEMENTS = {"statement_cache_size": 1000, "max_cached_statement_lifetime": 0}
# InternalClientError is neither of the others, and means a lost connection too.
DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)


class Connection(asyncpg.Connection):
    """A connection that knows how old it is and how long it sat idle."""

    opened_at = 0.0
    expires_at = 0.0
    used_at = 0.0
    timeline = 0
    """Which line of history its server writes; 0 unknown."""
    proxy: PoolConnectionProxy | None = None
    """What the pool knows it by while it is leased."""

    def start(self, lifetime_s: float) -> None:
        """Begin its life, up to a tenth shorter so that not all end at once."""
        self.opened_at = now = time.monotonic()
        self.expires_at = now + lifetime_s * (1 - random.random() / 10)  # noqa: S311
        self.used_at = now

    def itself(self) -> "Connection":
        """This connection, without the proxy that the pool puts around it."""
        return self


class Connector:
    """Opens connections as the settings want them."""

    def __init__(self, settings: Settings, url: str, *, role_sql: str) -> None:
        """`role_sql` asks a server for its timeline and whether it takes writes."""
        self._settings = settings
        self._dsn = asyncpg_url(url)
        self._hosts = [asyncpg_url(one) for one in host_urls(url)]
        self._role_sql = role_sql
        self.command_s = settings.db_statement_timeout + 0.5
        """A little longer than a statement may take: the server gives up first."""
        self.timeline = 0
        """The highest one that any connection has seen."""
        self.is_pooled = False
        """Whether a PgBouncer is in between, which takes no settings at the start."""

    def pool(self) -> "asyncpg.Pool[Any]":
        """A pool that opens its connections here, each when it is needed."""
        settings = self._settings
        pool: asyncpg.Pool[Any] = asyncpg.create_pool(  # type: ignore[call-overload]
            self._dsn,
            min_size=0,
            max_size=settings.db_pool_size + settings.db_max_overflow,
            max_inactive_connection_lifetime=0,
            max_queries=2**62,
            connect=self._connect,
            connection_class=Connection,
            reset=_keep,
        )
        return pool

    async def open(self, **options: Any) -> Connection:  # noqa: ANN401 - asyncpg's
        """One connection, to the host that takes writes if there is one."""
        options.setdefault("connection_class", Connection)
        if len(self._hosts) == 1:
            return await self._open_one(self._hosts[0], options)
        opening = [
            asyncio.create_task(self._open_with_role(host, options))
            for host in self._hosts
        ]
        try:
            return await self._best(opening)
        except BaseException:
            _leave(opening, None)
            raise

    def is_outdated(self, connection: Connection) -> bool:
        """Whether its server was replaced by one with a longer history."""
        return 0 < connection.timeline < self.timeline

    async def _connect(self, _dsn: str, **options: Any) -> Connection:  # noqa: ANN401
        connection = await self.open(**options)
        connection.start(self._settings.db_pool_recycle)
        return connection

    async def _best(self, opening: list["asyncio.Task[Connection]"]) -> Connection:
        """The one that takes writes on the highest timeline, else any that answers.

        Raises the error of the first host when none does.
        """
        waiting = set(opening)
        found: list[Connection] = []
        limit_s: float | None = None
        while waiting:
            done, waiting = await asyncio.wait(
                waiting, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                break
            found += [t.result() for t in done if not t.exception()]
            if any(connection.timeline for connection in found):
                limit_s = HEAR_OTHERS_S
        if not found:
            await opening[0]
        best = max(found, key=lambda connection: connection.timeline)
        if 0 < best.timeline < self.timeline:
            message = "only a server answers that another one has replaced"
            raise errors.DatabaseDown(message)
        self.timeline = max(self.timeline, best.timeline)
        _leave(opening, best)
        return best

    async def _open_with_role(self, host: str, options: dict[str, Any]) -> Connection:
        connection = await self._open_one(host, options)
        try:
            row: Any = await connection.fetchrow(self._role_sql)
        except BaseException:
            connection.terminate()
            raise
        connection.timeline = row["timeline"]
        return connection

    async def _open_one(self, host: str, options: dict[str, Any]) -> Connection:
        if not self.is_pooled:
            try:
                kept = {**_STATEMENTS, **options}
                return await self._open_plain(host, kept, self._server_settings())
            except asyncpg.ProtocolViolationError as error:
                if "startup parameter" not in str(error):
                    raise
                log.warning("PgBouncer found: limits are set in each transaction")
                self.is_pooled = True
        # The next transaction may run on a server that knows no statement of ours.
        options = {**options, "statement_cache_size": 0}
        return await self._open_plain(host, options, {"application_name": "mcps"})

    async def _open_plain(
        self, host: str, options: dict[str, Any], server_settings: dict[str, str]
    ) -> Connection:
        connection = await asyncpg.connect(
            host,
            timeout=self._settings.db_connect_timeout,
            command_timeout=self.command_s,
            server_settings=server_settings,
            **options,
        )
        _refuse_old(connection)
        return cast("Connection", connection)

    def _server_settings(self) -> dict[str, str]:
        return {
            "application_name": "mcps",
            "timezone": "UTC",
            "jit": "off",
            "plan_cache_mode": "force_generic_plan",
            "statement_timeout": str(round(self._settings.db_statement_timeout * 1000)),
            "lock_timeout": str(LOCK_TIMEOUT_MS),
            "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS),
        }


async def prepare(connection: Connection, query: Query) -> None:
    """Raise SchemaMismatch, which names the query, when it does not fit the schema."""
    try:
        # Without a name: behind a PgBouncer others have the same ones.
        await connection.prepare(query.sql, name="")
    except asyncpg.PostgresError as error:
        message = f"query {query.name} does not fit the schema: {error}"
        raise errors.SchemaMismatch(message) from error


def is_lost(error: BaseException) -> bool:
    """Whether the connection went, or nobody knows what became of it."""
    is_answer = isinstance(error, (errors.McpsError, asyncpg.PostgresError))
    return not is_answer or isinstance(error, asyncpg.PostgresConnectionError)


def _refuse_old(connection: asyncpg.Connection) -> None:
    """Raise UnsupportedServer where no migration and no query would fit."""
    found = connection.get_server_version().major
    if found >= OLDEST_MAJOR:
        return
    connection.terminate()
    message = (
        f"this is PostgreSQL {found}, MCPS needs {OLDEST_MAJOR} or newer: move the "
        "data to a newer server, or name another one in DATABASE_URL"
    )
    raise errors.UnsupportedServer(message)


async def _keep(_connection: object) -> None:
    """Reset nothing between uses: no statement here leaves session state behind."""


def _leave(opening: list["asyncio.Task[Connection]"], best: Connection | None) -> None:
    """Close what is not wanted, also what is still being opened."""

    def close(task: "asyncio.Task[Connection]") -> None:
        if not task.cancelled() and not task.exception() and task.result() is not best:
            task.result().terminate()

    for task in opening:
        task.cancel()
        task.add_done_callback(close)
