"""The catalog in one SQLite file: one connection writes, several read."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite
import structlog

from service import errors, metrics
from service.logs import Seldom
from service.settings import Settings
from service.store.base import (
    Dialect,
    Health,
    PoolState,
    Row,
    Snapshot,
    Transaction,
    Value,
)
from service.store.dialects import missing_because
from service.store.health import MISSING, Probe
from service.store.rounds import Rounds
from service.store.sqlite_connections import Connection, Script, load_scripts
from service.store.sqlite_errors import is_busy, is_missing, translate_sqlite
from service.store.sqlite_file import require_file, sqlite_url
from service.store.sqlite_pool import Slots
from service.store.sqlite_vectors import missing_vectors

log = structlog.get_logger("store")
_seldom = Seldom(log)

T = TypeVar("T")

MOST_READERS = 4
MOVED = "the SQLite file was removed or replaced: stop MCPS, put it back, start again"


class SqliteStore:
    """The catalog in an SQLite file."""

    dialect: Dialect = "sqlite"

    def __init__(self, settings: Settings, path: Path) -> None:
        self.url = sqlite_url(path)
        self._path = path.absolute()
        self._settings = settings
        self._scripts = load_scripts()
        readers = min(MOST_READERS, settings.db_pool_size)
        self._readers = Slots(readers, settings.db_pool_timeout, self._connect_reader)
        self._writer = Slots(1, settings.db_pool_timeout, self._connect_writer)
        self._probe = Probe(
            self._connect_probe, settings.db_probe_timeout, self.dialect
        )
        self._serials = Rounds(self._ask_serial)
        self._identity = (0, 0)
        self._leaving: set[asyncio.Future[None]] = set()

    async def open(self) -> None:
        """Get ready to serve.

        Raises InvalidSettings when there is no file, RefusedFile when it is none of
        ours, SchemaMismatch for a query that does not fit.
        """
        await asyncio.to_thread(require_file, self._path)
        self._identity = self._found()
        health = await self.health()
        if health.healthy:
            await self.verify()
        else:
            _seldom("schema", health.detail)

    async def verify(self) -> None:
        """Compile every query once, so that a wrong one stops the start.

        Raises SchemaMismatch that names the query.
        """
        async with self._writer.take() as connection:
            for script in self._scripts.values():
                # A pragma acts when it is compiled.
                if script.query.name.startswith("connection_"):
                    continue
                if script.query.needs_vector and missing_vectors():
                    continue
                try:
                    await connection.prepare(script)
                except aiosqlite.Error as error:
                    name = script.query.name
                    message = f"query {name} does not fit the schema: {error}"
                    raise errors.SchemaMismatch(message) from error

    async def close(self) -> None:
        """Close every connection."""
        self._probe.close()
        await asyncio.gather(*self._leaving)
        await self._readers.close()
        await self._writer.close()

    async def value(self, query: str, /, **values: Value) -> Any:  # noqa: ANN401
        """The first column of the first row; None without a row."""
        found = await self.rows(query, **values)
        return found[0][0] if found else None

    async def row(self, query: str, /, **values: Value) -> Row | None:
        """The first row, if there is one."""
        found = await self.rows(query, **values)
        return found[0] if found else None

    async def rows(self, query: str, /, **values: Value) -> Sequence[Row]:
        """All rows."""
        script = self.script(query)
        if script.query.is_write:
            async with self.transaction() as work:
                return await work.rows(query, **values)
        return await self._read(script, values)

    async def run(self, query: str, /, **values: Value) -> int:
        """Run a statement without an answer; gives the number of rows it touched."""
        async with self.transaction() as work:
            return await work.run(query, **values)

    @asynccontextmanager
    async def transaction(
        self, *, timeout_s: float | None = None
    ) -> AsyncIterator[Transaction]:
        """One transaction; `timeout_s` replaces the limits of a request."""
        try:
            async with self._writer.take(timeout_s) as connection:
                await self._begin(connection, timeout_s)
                work = SqliteTransaction(self, connection, timeout_s)
                try:
                    yield work
                    await self._end(connection, "connection_commit")
                except BaseException:
                    await self._end(connection, "connection_rollback")
                    raise
        except (aiosqlite.Error, OverflowError, UnicodeError) as error:
            raise translate_sqlite(error) from error

    async def transact(
        self,
        work: Callable[[Transaction], Awaitable[T]],
        *,
        is_repeatable: bool = False,
    ) -> T:
        """What `work` gives in one transaction; a file has nothing to repeat for."""
        del is_repeatable
        async with self.transaction() as inside:
            return await work(inside)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """The database as it is now, for as long as the block lasts."""
        try:
            async with self._readers.take() as connection:
                connection.limit(None)
                await connection.fetch(self._scripts["connection_begin_read"], {})
                try:
                    yield SqliteSnapshot(self, connection)
                finally:
                    await self._end(connection, "connection_rollback")
        except aiosqlite.Error as error:
            raise translate_sqlite(error) from error

    async def health(self) -> Health:
        """Ask the database on a connection of its own; at most once a second."""
        health = await self._probe.health()
        metrics.DB_UP.set(1 if health.healthy else 0)
        return health

    def pool(self) -> PoolState:
        """The connections as they are now: the readers and the one that writes."""
        opened = self._readers.open + self._writer.open
        idle = self._readers.idle + self._writer.idle
        return PoolState(
            size=self._readers.size + self._writer.size,
            checked_in=idle,
            checked_out=opened - idle,
            overflow=0,
            waiting=self._readers.waiting + self._writer.waiting,
            timeout_s=self._settings.db_pool_timeout,
        )

    def report_pool(self) -> PoolState:
        """Bring the gauges of the pool up to date; gives what they show."""
        state = self.pool()
        state.show()
        return state

    @property
    def known_serial(self) -> int | None:
        """Nobody tells what another process wrote into the file: ask it."""
        return None

    async def serial(self) -> int:
        """The serial of the catalog, asked of the file after this call began."""
        return await self._serials.ask()

    async def _ask_serial(self) -> int:
        return int(await self.value("serial_get"))

    async def has_vectors(self) -> bool:
        """Whether embeddings can be compared here."""
        return not missing_vectors()

    def script(self, name: str) -> Script:
        """A query by its name. Raises NotSupported for what SQLite cannot do."""
        if name not in self._scripts and (reason := missing_because(name)):
            raise errors.NotSupported(reason)
        script = self._scripts[name]
        if script.query.needs_vector and (reason := missing_vectors()):
            raise errors.NotSupported(reason)
        return script

    async def _read(
        self, script: Script, values: dict[str, Value]
    ) -> Sequence[aiosqlite.Row]:
        script.checked(values)
        began_at = time.perf_counter()
        try:
            async with (
                asyncio.timeout(self._settings.db_request_timeout),
                self._readers.take() as connection,
            ):
                metrics.ACQUIRE_SECONDS.observe(time.perf_counter() - began_at)
                connection.limit(self._settings.db_statement_timeout)
                rows = await connection.fetch(script, values)
        except Exception as error:
            raise translate_sqlite(error) from error
        self.note(script, began_at)
        return rows

    def leave(self, connection: Connection) -> None:
        """Close a connection on its own thread; the store ends after that."""
        if closing := connection.cut():
            self._leaving.add(closing)
            closing.add_done_callback(self._leaving.discard)

    def note(self, script: Script, began_at: float) -> None:
        """Count one call of a query."""
        took_s = time.perf_counter() - began_at
        metrics.time_query(script.query.name, took_s)
        if self._settings.db_echo:
            log.info("query", query=script.query.name, ms=round(took_s * 1000, 2))

    @property
    def statement_timeout_s(self) -> float:
        """How long a statement of a request may take."""
        return self._settings.db_statement_timeout

    async def _begin(self, connection: Connection, timeout_s: float | None) -> None:
        """Become the one who writes, among all processes.

        Raises DatabaseDown when the file is not where it was, LockTimeout when another
        process writes for too long.
        """
        self.require_place()
        wait_s = timeout_s or self._settings.db_pool_timeout
        ends_at = time.monotonic() + wait_s
        connection.limit(None)
        while True:
            try:
                await connection.fetch(self._scripts["connection_begin"], {})
            except asyncio.CancelledError:
                await self._end(connection, "connection_rollback")
                raise
            except aiosqlite.Error as error:
                if not is_busy(error) or time.monotonic() >= ends_at:
                    raise
            else:
                return

    async def _end(self, connection: Connection, name: str) -> None:
        """Commit or roll back, to the end even when the caller is cancelled."""
        connection.limit(None)
        ending = asyncio.ensure_future(self._ended(connection, name))
        await asyncio.shield(ending)

    async def _ended(self, connection: Connection, name: str) -> None:
        is_rollback = name == "connection_rollback"
        if is_rollback and not connection.in_transaction:
            return
        try:
            await connection.fetch(self._scripts[name], {})
        except aiosqlite.OperationalError:
            # A write that was interrupted took its transaction back by itself.
            if not is_rollback or connection.in_transaction:
                raise

    def _found(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0)
        return (found.st_dev, found.st_ino)

    async def _connect_reader(self) -> Connection:
        return await self._connect(writes=False)

    async def _connect_writer(self) -> Connection:
        connection = await self._connect(writes=True)
        try:
            await connection.fetch(self._scripts["connection_is_log"], {})
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _connect(self, *, writes: bool) -> Connection:
        wait_s = self._settings.db_pool_timeout
        return await Connection.connect(
            self._path, self._scripts, wait_s=wait_s, writes=writes
        )

    async def _connect_probe(self) -> "ProbeSession":
        connection = await self._connect(writes=False)
        return ProbeSession(self, connection, self._scripts["session_health"])

    def require_place(self) -> None:
        """Raise DatabaseDown when the file is not where it was."""
        if self._found() != self._identity:
            raise errors.DatabaseDown(MOVED)


class SqliteTransaction:
    """Named queries inside one transaction."""

    def __init__(
        self, store: SqliteStore, connection: Connection, timeout_s: float | None
    ) -> None:
        self._store = store
        self._connection = connection
        self._limit_s = timeout_s or store.statement_timeout_s

    async def value(self, query: str, /, **values: Value) -> Any:  # noqa: ANN401
        """The first column of the first row; None without a row."""
        found = await self.rows(query, **values)
        return found[0][0] if found else None

    async def row(self, query: str, /, **values: Value) -> Row | None:
        """The first row, if there is one."""
        found = await self.rows(query, **values)
        return found[0] if found else None

    async def rows(self, query: str, /, **values: Value) -> Sequence[Row]:
        """All rows."""
        script = self._store.script(query)
        script.checked(values)
        began_at = time.perf_counter()
        self._connection.limit(self._limit_s)
        rows = await self._connection.fetch(script, values)
        self._store.note(script, began_at)
        return rows

    async def run(self, query: str, /, **values: Value) -> int:
        """Run a statement without an answer; gives the number of rows it touched."""
        script = self._store.script(query)
        script.checked(values)
        began_at = time.perf_counter()
        self._connection.limit(self._limit_s)
        touched = await self._connection.run(script, values)
        self._store.note(script, began_at)
        return touched

    async def copy(
        self, table: str, columns: Sequence[str], records: Iterable[Sequence[Value]]
    ) -> int:
        """Load records in bulk; gives their number."""
        script = self._store.script(f"connection_{table}")
        order = [columns.index(name) for name in script.query.parameters]
        self._connection.limit(self._limit_s)
        return await self._connection.copy(
            script, ([record[place] for place in order] for record in records)
        )

    async def copy_lines(
        self,
        table: Sequence[str],
        columns: Sequence[str],  # noqa: ARG002 - as in PostgreSQL
        lines: bytes,  # noqa: ARG002
        *,
        null: str | None,  # noqa: ARG002
    ) -> int:
        """Raise NotSupported: SQLite reads no lines."""
        message = f"{'.'.join(table)}: SQLite has no COPY"
        raise errors.NotSupported(message)


class SqliteSnapshot:
    """One state of the file."""

    def __init__(self, store: SqliteStore, connection: Connection) -> None:
        self._store = store
        self._connection = connection

    async def rows(self, query: str, /, **values: Value) -> Sequence[Row]:
        """All rows."""
        script = self._store.script(query)
        script.checked(values)
        return await self._connection.fetch(script, values)

    @asynccontextmanager
    async def stream(
        self, query: str, /, **values: Value
    ) -> AsyncIterator[AsyncIterator[Row]]:
        """All rows of a large answer, a few at a time."""
        script = self._store.script(query)
        script.checked(values)
        async with self._connection.cursor(script, values) as rows:
            yield rows


class ProbeSession:
    """The connection of the readiness probe."""

    def __init__(
        self, store: SqliteStore, connection: Connection, script: Script
    ) -> None:
        self._store = store
        self._connection = connection
        self._script = script

    async def ask(self) -> Row:
        """The newest applied migration, as `schema_version`."""
        self._store.require_place()
        try:
            (row,) = await self._connection.fetch(self._script, {})
        except aiosqlite.OperationalError as error:
            if is_missing(error):
                raise errors.SchemaMismatch(MISSING) from error
            raise
        return row

    def cut(self) -> None:
        """Close it without a word."""
        self._store.leave(self._connection)
