"""PostgreSQL through asyncpg; the only file that knows that driver."""

import asyncio
import random
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Sequence,
)
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy

from service import errors, metrics
from service.settings import Settings, masked_url
from service.store.address import asyncpg_url
from service.store.base import (
    Dialect,
    Health,
    PoolState,
    Row,
    Snapshot,
    Transaction,
    Value,
)
from service.store.health import MISSING, Probe
from service.store.leases import Leases
from service.store.postgres_sessions import ProbeSession, SerialSession, connect
from service.store.queries import Query, load_queries
from service.store.resilience import (
    Breaker,
    again,
    is_transient,
    proves_nothing_ran,
    translate,
)
from service.store.rounds import Rounds
from service.store.serial import SerialWatch, Told
from service.store.transaction import DriverTransaction, count

log = structlog.get_logger("store")

PING_AFTER_S = 1.0
PING_TIMEOUT_S = 0.5
REAP_EVERY_S = 1.0
LOCK_TIMEOUT_MS = 1000
IDLE_IN_TRANSACTION_MS = 5000
SNAPSHOT_LIMIT_S = 86_400.0

Fetch = Callable[..., Awaitable[Any]]
# InternalClientError is neither of the others, and means a lost connection too.
DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)


class Connection(asyncpg.Connection):
    """A connection that knows how old it is and how long it sat idle."""

    expires_at = 0.0
    used_at = 0.0
    proxy: PoolConnectionProxy | None = None
    """What the pool knows it by while it is leased."""

    def start(self, lifetime_s: float) -> None:
        """Begin its life, up to a tenth shorter so that not all end at once."""
        now = time.monotonic()
        self.expires_at = now + lifetime_s * (1 - random.random() / 10)  # noqa: S311
        self.used_at = now

    def itself(self) -> "Connection":
        """This connection, without the proxy that the pool puts around it."""
        return self


async def _keep(_connection: object) -> None:
    """Reset nothing between uses: no statement here leaves session state behind."""


class PostgresStore:
    """The catalog in PostgreSQL."""

    dialect: Dialect = "postgresql"

    def __init__(self, settings: Settings, url: str) -> None:
        self.url = masked_url(url)
        self._dsn = asyncpg_url(url)
        self._settings = settings
        # The server gives up first, and the connection stays usable.
        self._command_s = settings.db_statement_timeout + 0.5
        self._queries = load_queries("postgresql")
        self._timers = {
            name: metrics.QUERY_SECONDS.labels(name) for name in self._queries
        }
        self._pool: asyncpg.Pool[Any] = self._make_pool()
        kept = settings.db_pool_size
        most = kept + settings.db_max_overflow
        self._leases: Leases[Connection] = Leases(self._pool, kept, most, self._is_fit)
        self._probe = Probe(self._connect_probe)
        self._breaker = Breaker(self._probe.ask)
        self._watch = SerialWatch(self._connect_watch)
        self._serials = Rounds(self._ask_serial)
        self._reaper: asyncio.Task[None] | None = None
        self._vectors: bool | None = None

    async def open(self) -> None:
        """Start the pool empty and fill it on demand: the database may be away.

        Raises InvalidSettings for a login that the database refuses.
        """
        await self._pool
        self._reaper = asyncio.create_task(self._reap())
        await self._refuse_wrong_settings()
        health = await self._probe.health()
        metrics.DB_UP.set(1 if health.healthy else 0)
        if health.healthy:
            await self.verify()

    async def _refuse_wrong_settings(self) -> None:
        """An absent server may come back; a wrong password will not get right."""
        try:
            await self._probe.ask()
        except (
            asyncpg.InvalidAuthorizationSpecificationError,
            asyncpg.InvalidCatalogNameError,
        ) as error:
            message = f"{self.url} refuses the login: {error}"
            raise errors.InvalidSettings(message) from error
        except asyncpg.UndefinedTableError:
            log.warning(MISSING)
        except Exception as error:  # noqa: BLE001 - it may be there later
            log.warning("database does not answer yet", error=str(error))

    async def verify(self) -> None:
        """Prepare every query once, so that a wrong one stops the start.

        Raises SchemaMismatch that names the query.
        """
        if not (await self.health()).healthy:
            return
        has_vectors = await self.has_vectors()
        async with self._connection() as connection:
            for query in self._queries.values():
                if query.needs_vector and not has_vectors:
                    continue
                try:
                    await connection.prepare(query.sql)
                except asyncpg.PostgresError as error:
                    message = f"query {query.name} does not fit the schema: {error}"
                    raise errors.SchemaMismatch(message) from error

    async def close(self) -> None:
        """Close every connection; those still busy after a second are cut."""
        if self._reaper is not None:
            self._reaper.cancel()
        await self._breaker.close()
        await self._watch.close()
        self._probe.close()
        await self._leases.close_idle(self._pool.get_size())
        try:
            await asyncio.wait_for(self._pool.close(), 1.0)
        except TimeoutError:
            self._pool.terminate()

    async def value(self, query: str, /, **values: Value) -> Any:  # noqa: ANN401
        """The first column of the first row; None without a row."""
        return await self._call(self._query(query), values, Connection.fetchval)

    async def row(self, query: str, /, **values: Value) -> Row | None:
        """The first row, if there is one."""
        row: Row | None = await self._call(
            self._query(query), values, Connection.fetchrow
        )
        return row

    async def rows(self, query: str, /, **values: Value) -> Sequence[Row]:
        """All rows."""
        rows: Sequence[Row] = await self._call(
            self._query(query), values, Connection.fetch
        )
        return rows

    async def run(self, query: str, /, **values: Value) -> int:
        """Run a statement without an answer; gives the number of rows it touched."""
        return count(await self._call(self._query(query), values, Connection.execute))

    @asynccontextmanager
    async def transaction(
        self, *, timeout_s: float | None = None
    ) -> AsyncIterator[Transaction]:
        """One transaction; `timeout_s` replaces the limits of a request."""
        try:
            async with self._connection() as connection, connection.transaction():
                work = DriverTransaction(connection, self._query, timeout_s)
                if timeout_s is not None:
                    limit = str(round(timeout_s * 1000))
                    await work.row("session_limits", timeout_ms=limit)
                yield work
        except DRIVER_ERRORS as error:
            raise self._failed(error) from error
        finally:
            self._watch.doubt()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """The database as it is now, for as long as the block lasts."""
        try:
            async with (
                self._connection() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                work = DriverTransaction(connection, self._query, SNAPSHOT_LIMIT_S)
                await work.row("session_patience")
                yield work
        except DRIVER_ERRORS as error:
            raise self._failed(error) from error

    async def health(self) -> Health:
        """Ask the database on a connection of its own; at most once a second."""
        health = await self._probe.health()
        metrics.DB_UP.set(1 if health.healthy else 0)
        return health

    def pool(self) -> PoolState:
        """The connections as they are now."""
        size = self._pool.get_size()
        in_use = self._leases.in_use
        return PoolState(
            size=self._settings.db_pool_size,
            checked_in=max(0, size - in_use),
            checked_out=in_use,
            overflow=max(0, size - self._settings.db_pool_size),
            waiting=self._leases.waiting,
            timeout_s=self._settings.db_pool_timeout,
        )

    def report_pool(self) -> PoolState:
        """Bring the gauges of the pool up to date; gives what they show."""
        state = self.pool()
        metrics.POOL_SIZE.set(state.checked_in + state.checked_out)
        metrics.POOL_CHECKED_OUT.set(state.checked_out)
        metrics.POOL_OVERFLOW.set(state.overflow)
        metrics.POOL_WAITING.set(state.waiting)
        return state

    @property
    def known_serial(self) -> int | None:
        """The serial of the catalog; None while this process is not sure of it."""
        return self._watch.known

    async def serial(self) -> int:
        """The serial of the catalog, asked of the database after this call began."""
        return await self._serials.ask()

    async def _ask_serial(self) -> int:
        return int(await self.value("serial_get"))

    async def has_vectors(self) -> bool:
        """Whether the `vector` extension is there; asked once."""
        if self._vectors is None:
            self._vectors = bool(await self.value("extension_exists", name="vector"))
        return self._vectors

    def _query(self, name: str) -> Query:
        query = self._queries[name]
        if query.needs_vector and self._vectors is False:
            message = "this database has no extension `vector`: no vector search here"
            raise errors.NotSupported(message)
        return query

    async def _call(self, query: Query, values: dict[str, Value], fetch: Fetch) -> Any:  # noqa: ANN401
        arguments = query.arguments(values)
        self._breaker.check()
        began_at = time.monotonic()
        try:
            return await self._once(query, arguments, fetch)
        except Exception as error:  # noqa: BLE001 - translated or tried again
            first = error
        finally:
            if query.is_write:
                self._watch.doubt()
        may_repeat = not query.is_write or proves_nothing_ran(first)
        if not may_repeat or not is_transient(first):
            raise self._failed(first) from first
        try:
            spent_s = time.monotonic() - began_at
            async with asyncio.timeout(self._settings.db_request_timeout - spent_s):
                return await again(lambda: self._once(query, arguments, fetch), first)
        except Exception as error:
            raise self._failed(error) from error

    async def _once(self, query: Query, arguments: list[Value], fetch: Fetch) -> Any:  # noqa: ANN401
        began_at = time.perf_counter()
        connection = await self._leases.take(self._settings.db_pool_timeout)
        try:
            limit_s = self._settings.db_request_timeout - time.perf_counter() + began_at
            limit_s = min(limit_s, self._command_s)
            answer = await fetch(connection, query.sql, *arguments, timeout=limit_s)
        except BaseException as error:
            await self._give_up(connection, error)
            raise
        await self._leases.put(connection)
        took_s = time.perf_counter() - began_at
        self._timers[query.name].observe(took_s)
        metrics.QUERY_DURATION.observe(took_s)
        if self._settings.db_echo:
            log.info("query", query=query.name, ms=round(took_s * 1000, 2))
        return answer

    async def _give_up(self, connection: Connection, error: BaseException) -> None:
        """After an answer of the server the connection is good; else nobody knows."""
        if not isinstance(error, asyncpg.PostgresError):
            connection.terminate()
        await self._leases.drop(connection)

    def _failed(self, error: BaseException) -> errors.McpsError:
        failure = translate(error)
        if isinstance(failure, errors.DatabaseDown):
            self._breaker.trip()
        return failure

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        connection = await self._leases.take(self._settings.db_pool_timeout)
        try:
            yield connection
        except BaseException as error:
            await self._give_up(connection, error)
            raise
        await self._leases.put(connection)

    async def _is_fit(self, connection: Connection) -> bool:
        now = time.monotonic()
        if connection.is_closed() or connection.expires_at <= now:
            return False
        is_fresh = now - connection.used_at < PING_AFTER_S
        if is_fresh or not self._settings.db_pool_pre_ping:
            return True
        try:
            await connection.fetchval(
                self._queries["session_ping"].sql, timeout=PING_TIMEOUT_S
            )
        except DRIVER_ERRORS:
            return False
        return True

    async def _reap(self) -> None:
        """Close idle connections beyond the pool size, and keep the gauges current."""
        was_idle = 0
        while True:
            await asyncio.sleep(REAP_EVERY_S)
            state = self.report_pool()
            await self._leases.close_idle(min(state.overflow, was_idle))
            was_idle = state.checked_in

    def _make_pool(self) -> "asyncpg.Pool[Any]":
        settings = self._settings
        pool: asyncpg.Pool[Any] = asyncpg.create_pool(  # type: ignore[call-overload]
            self._dsn,
            min_size=0,
            max_size=settings.db_pool_size + settings.db_max_overflow,
            max_inactive_connection_lifetime=0,
            max_queries=2**62,
            connection_class=Connection,
            init=self._init,
            reset=_keep,
            timeout=settings.db_connect_timeout,
            command_timeout=self._command_s,
            server_settings=self._server_settings(),
        )
        return pool

    async def _init(self, connection: PoolConnectionProxy) -> None:
        connection.start(self._settings.db_pool_recycle)  # type: ignore[attr-defined]

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

    async def _connect_probe(self) -> ProbeSession:
        return ProbeSession(await connect(self._dsn), self._queries["session_health"])

    async def _connect_watch(self, tell: Told) -> SerialSession:
        query = self._queries["serial_get"]
        return await SerialSession.listening(await connect(self._dsn), query, tell)
