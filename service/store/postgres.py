"""The catalog in PostgreSQL: queries, transactions and snapshots on a pool."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg
import structlog

from service import errors, metrics
from service.logs import Seldom
from service.settings import Settings, masked_url
from service.store.base import (
    Dialect,
    Health,
    PoolState,
    Row,
    Snapshot,
    Transaction,
    Value,
)
from service.store.breaker import Breaker
from service.store.health import Probe, refusal
from service.store.leases import Leases
from service.store.postgres_connections import (
    DRIVER_ERRORS,
    LOCK_TIMEOUT_MS,
    Connection,
    Connector,
    is_lost,
    prepare,
)
from service.store.postgres_sessions import ProbeSession, SerialSession
from service.store.queries import Query, load_queries
from service.store.resilience import (
    again,
    is_conflict,
    is_transient,
    proves_nothing_ran,
    translate,
)
from service.store.rounds import Rounds
from service.store.serial import SerialWatch, Told
from service.store.transaction import DriverTransaction, begun, count
from service.store.turns import Turns

log = structlog.get_logger("store")
_seldom = Seldom(log)

PING_AFTER_S = 1.0
PING_TIMEOUT_S = 0.8
REAP_EVERY_S = 1.0
LOOK_EVERY_S = 0.05
# Nothing came back for so long: a statement may take its time, a database may hang.
STUCK_S = 0.25
RENEW_EVERY_S = 1.0
SNAPSHOT_LIMIT_S = 86_400.0

Fetch = Callable[..., Awaitable[Any]]
T = TypeVar("T")


class PostgresStore:
    """The catalog in PostgreSQL."""

    dialect: Dialect = "postgresql"

    def __init__(
        self, settings: Settings, url: str, *, is_replica: bool = False
    ) -> None:
        """A replica tries nothing twice, and no gauge shows it."""
        self.url = masked_url(url)
        self._is_replica = is_replica
        self._settings = settings
        self._queries = load_queries("postgresql")
        role_sql = self._queries["session_role"].sql
        self._connector = Connector(settings, url, role_sql=role_sql)
        self._pool = self._connector.pool()
        kept = settings.db_pool_size
        most = kept + settings.db_max_overflow
        self._leases: Leases[Connection] = Leases(self._pool, kept, most, self._is_fit)
        self._probe = Probe(self._connect_probe, settings.db_probe_timeout)
        self._breaker = Breaker(
            self._probe.look, lambda: self._leases.answered_at, self._tell
        )
        self._watch = SerialWatch(self._connect_watch)
        self._serials = Rounds(self._ask_serial)
        self._turns = Turns()
        self._tasks: list[asyncio.Task[None]] = []
        self._renewed_at = 0.0
        self._vectors: bool | None = None

    async def open(self) -> None:
        """Start the pool empty and fill it on demand: the database may be away.

        Raises InvalidSettings for a login that the database refuses, and for a server
        that is too old.
        """
        await self._pool
        self._tasks = [
            asyncio.create_task(self._reap()),
            asyncio.create_task(self._notice_hangs()),
        ]
        health = await self.health()
        if health.healthy:
            await self.verify()
        elif health.answers:
            _seldom("schema", health.detail)
        elif words := refusal(self._probe.error):
            # An absent server may come back; a wrong password will not get right.
            message = f"{self.url} {words}: {health.detail}"
            raise errors.InvalidSettings(message)
        else:
            self._breaker.trip()

    async def verify(self) -> None:
        """Prepare every query once, so that a wrong one stops the start.

        Raises SchemaMismatch that names the query.
        """
        if not (await self.health()).healthy:
            return
        has_vectors = await self.has_vectors()
        async with self._connection() as connection:
            for query in self._queries.values():
                if has_vectors or not query.needs_vector:
                    await prepare(connection, query)
            # Preparing alone ends nothing: its locks would stay and stop migrations.
            await connection.fetchval(self._queries["session_ping"].sql)

    async def close(self) -> None:
        """Close every connection; those still busy after a second are cut."""
        if not self._tasks:
            return
        for task in self._tasks:
            task.cancel()
        await self._breaker.close()
        await self._watch.close()
        self._probe.close()
        self._leases.stop_opening()
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
        limit_s = self._settings.db_request_timeout if timeout_s is None else None
        try:
            async with (
                asyncio.timeout(limit_s),
                self._connection() as connection,
                begun(connection.transaction(), is_lost),
            ):
                work = DriverTransaction(connection, self._query, timeout_s)
                await self._set_limits(work, timeout_s)
                yield work
        except DRIVER_ERRORS as error:
            raise self._failed(error) from error
        finally:
            self._watch.doubt()

    async def _set_limits(
        self, work: DriverTransaction, timeout_s: float | None
    ) -> None:
        if timeout_s is not None:
            limit = str(round(timeout_s * 1000))
            await work.row("session_limits", timeout_ms=limit, lock_ms=limit)
        elif self._connector.is_pooled:
            limit = str(round(self._settings.db_statement_timeout * 1000))
            lock = str(LOCK_TIMEOUT_MS)
            await work.row("session_limits", timeout_ms=limit, lock_ms=lock)

    async def transact(
        self,
        work: Callable[[Transaction], Awaitable[T]],
        *,
        is_repeatable: bool = False,
    ) -> T:
        """What `work` gives in one transaction; again when none of it happened."""
        began_at = time.monotonic()
        is_ending = False

        async def attempt() -> T:
            nonlocal is_ending
            is_ending = False
            async with self.transaction() as inside:
                answer = await self._turns.take(lambda: work(inside))
                is_ending = True
            return answer

        def may_repeat(error: Exception) -> bool:
            # Whether a commit happened whose answer was lost, nobody knows.
            is_sure = not is_ending or proves_nothing_ran(error.__cause__ or error)
            return (is_sure or is_repeatable) and self._may_repeat(error)

        self._breaker.check()
        try:
            return await attempt()
        except errors.Unavailable as error:
            if not may_repeat(error):
                raise
            first = error
        if is_conflict(first):
            self._turns.part()
        left_s = self._settings.db_request_timeout - time.monotonic() + began_at
        try:
            async with asyncio.timeout(left_s):
                return await again(attempt, first, may_repeat)
        except TimeoutError as error:
            raise self._failed(error) from error

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """The database as it is now, for as long as the block lasts."""
        try:
            async with (
                self._connection() as connection,
                begun(
                    connection.transaction(isolation="repeatable_read", readonly=True),
                    is_lost,
                ),
            ):
                work = DriverTransaction(connection, self._query, SNAPSHOT_LIMIT_S)
                await work.row("session_patience")
                yield work
        except DRIVER_ERRORS as error:
            raise self._failed(error) from error

    async def health(self) -> Health:
        """Ask the database on a connection of its own; at most once a second."""
        health = await self._probe.health()
        if health.answers:
            self._breaker.answered()
        if not self._is_replica:
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
        if not self._is_replica:
            state.show()
        return state

    @property
    def known_serial(self) -> int | None:
        """The serial of the catalog; None while this process is not sure of it."""
        return self._watch.known

    async def serial(self) -> int:
        """The serial of the catalog, asked of the database after this call began."""
        self._breaker.check()
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
        began_at = time.monotonic()
        try:
            return await self._once(query, arguments, fetch)
        except Exception as error:  # noqa: BLE001 - translated or tried again
            first = error
        finally:
            if query.is_write:
                self._watch.doubt()
        may_repeat = not query.is_write or proves_nothing_ran(first)
        if self._is_replica or not may_repeat or not self._may_repeat(first):
            raise self._failed(first) from first
        try:
            spent_s = time.monotonic() - began_at
            async with asyncio.timeout(self._settings.db_request_timeout - spent_s):
                return await again(
                    lambda: self._once(query, arguments, fetch), first, self._may_repeat
                )
        except Exception as error:
            raise self._failed(error) from error

    async def _once(self, query: Query, arguments: list[Value], fetch: Fetch) -> Any:  # noqa: ANN401
        self._breaker.check()
        began_at = time.perf_counter()
        connection = await self._leases.take(self._settings.db_pool_timeout)
        try:
            limit_s = self._settings.db_request_timeout - time.perf_counter() + began_at
            limit_s = min(limit_s, self._connector.command_s)
            answer = await fetch(connection, query.sql, *arguments, timeout=limit_s)
        except BaseException as error:
            await self._give_up(connection, error)
            raise
        await self._leases.put(connection)
        took_s = time.perf_counter() - began_at
        metrics.time_query(query.name, took_s)
        if self._settings.db_echo:
            log.info("query", query=query.name, ms=round(took_s * 1000, 2))
        return answer

    def _may_repeat(self, error: Exception) -> bool:
        """Whether another try may go better: not while the database is down."""
        return is_transient(error) and not self._breaker.is_open

    async def _give_up(self, connection: Connection, error: BaseException) -> None:
        """After an answer of the server the connection is good; else nobody knows."""
        if isinstance(error, errors.McpsError):
            await self._leases.put(connection)
            return
        if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
            self._renew()
        if self._is_old(connection) or not isinstance(error, asyncpg.PostgresError):
            connection.terminate()
        await self._leases.drop(connection)

    def _renew(self) -> None:
        """Replace every connection: this server takes no writes, another one may."""
        now = time.monotonic()
        if now - self._renewed_at >= RENEW_EVERY_S:
            self._renewed_at = now

    def _failed(self, error: BaseException) -> errors.McpsError:
        failure = translate(error)
        if isinstance(failure, errors.DatabaseDown):
            self._breaker.suspect()
        elif isinstance(failure, errors.PoolExhausted):
            _seldom(failure.code, failure.message, in_use=self._leases.in_use)
        return failure

    def _tell(self, is_up: bool) -> None:  # noqa: FBT001 - a callback
        error = str(self._probe.error)
        if not self._is_replica:
            metrics.DB_UP.set(is_up)
        if not is_up:
            self._leases.cut()
        if is_up:
            log.warning("database is back", url=self.url)
        elif words := refusal(self._probe.error):
            event = f"database {words}"
            log.critical(event, url=self.url, error=error)
        else:
            log.error("database is down", url=self.url, error=error)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        self._breaker.check()
        connection = await self._leases.take(self._settings.db_pool_timeout)
        try:
            yield connection
        except BaseException as error:
            await self._give_up(connection, error)
            raise
        await self._leases.put(connection)

    async def _is_fit(self, connection: Connection) -> bool:
        now = time.monotonic()
        if connection.is_closed() or self._is_old(connection):
            return False
        is_fresh = now - connection.used_at < PING_AFTER_S
        if is_fresh or not self._settings.db_pool_pre_ping:
            return True
        try:
            # One round trip, also where the server does not know the statement yet.
            limit_s = max(PING_TIMEOUT_S, self._settings.db_probe_timeout)
            await connection.execute(self._queries["session_ping"].sql, timeout=limit_s)
        except DRIVER_ERRORS:
            return False
        return True

    def _is_old(self, connection: Connection) -> bool:
        is_expired = connection.expires_at <= time.monotonic()
        is_outdated = self._connector.is_outdated(connection)
        return is_expired or is_outdated or connection.opened_at < self._renewed_at

    async def _notice_hangs(self) -> None:
        """Have the database looked at when nothing comes back any more."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._leases.stuck_s() > STUCK_S:
                self._breaker.suspect()

    async def _reap(self) -> None:
        """Close idle connections beyond the pool size, and keep the gauges current."""
        was_idle = 0
        while True:
            await asyncio.sleep(REAP_EVERY_S)
            state = self.report_pool()
            await self._leases.close_idle(min(state.overflow, was_idle))
            was_idle = state.checked_in

    async def _connect_probe(self) -> ProbeSession:
        query = self._queries["session_health"]
        return ProbeSession(await self._connector.open(), query)

    async def _connect_watch(self, tell: Told) -> SerialSession:
        query = self._queries["serial_get"]
        return await SerialSession.listening(await self._connector.open(), query, tell)
