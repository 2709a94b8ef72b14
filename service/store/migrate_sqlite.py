"""Migrations of an SQLite file, by yoyo: one process at a time.

A lock on a file beside it lives exactly as long as the process that holds it.
"""

import fcntl
import getpass
import io
import socket
import sqlite3
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path

from yoyo.backends.core.sqlite3 import SQLiteBackend
from yoyo.connections import DatabaseURI
from yoyo.migrations import Migration, default_migration_table

from service import errors
from service.resources import resource
from service.store.base import Value
from service.store.queries import read_queries
from service.store.sqlite_file import require_usable
from service.store.steps import Say, Step, checksum, compare

BUSY_S = 10.0
_POLL_S = 0.2
_CHECKSUMS = "migration_checksum"
_FAILED = "the migration failed, and nothing of it stays"


class SqliteBackend(SQLiteBackend):  # type: ignore[misc] # yoyo has no types
    """yoyo's SQLite, on one connection that also runs named queries."""

    def __init__(self, path: Path) -> None:
        self._path = path
        file = resource("queries") / "sqlite" / "migration.sql"
        self._named = {q.name: q for q in read_queries(file, "sqlite")}
        address = DatabaseURI("sqlite", None, None, None, None, str(path), {})
        super().__init__(address, default_migration_table)

    def connect(self, dburi: DatabaseURI) -> sqlite3.Connection:
        """One connection of its own: a shared cache would lock by table."""
        return sqlite3.connect(dburi.database, isolation_level=None, timeout=BUSY_S)

    def init_database(self) -> None:
        """Make yoyo's lock table; that DDL is transactional needs no trial here."""
        if not self.has(self.lock_table):
            self.create_lock_table()

    def get_log_data(
        self, migration: Migration | None = None, operation: str = "apply"
    ) -> dict[str, object]:
        """Who did it; yoyo would ask DNS, which may be missing."""
        return {
            "id": str(uuid.uuid4()),
            "migration_id": migration and migration.id,
            "migration_hash": migration and migration.hash,
            "username": _user(),
            "hostname": socket.gethostname(),
            "created_at_utc": datetime.now(UTC).replace(tzinfo=None).isoformat(" "),
            "operation": operation,
        }

    def rows(self, query: str, **values: Value) -> list[sqlite3.Row]:
        """The rows of a named query."""
        cursor = self.connection.cursor()
        cursor.row_factory = sqlite3.Row
        cursor.execute(self._named[query].sql, values)
        found: list[sqlite3.Row] = cursor.fetchall()
        return found

    def has(self, table: str) -> bool:
        """Whether this table is there."""
        return bool(self.rows("migration_table_exists", name=table)[0]["is_there"])

    def steps(self, files: Mapping[str, Migration]) -> list[Step]:
        """How files and database compare, in the order of their names."""
        return compare(files, self._applied(), self._checksums())

    def apply_file(self, migration: Migration) -> None:
        """Apply one file in its transaction; it enters itself there."""
        with _named(migration.id), _hushed():
            migration.process_steps(self, "apply")
            self.log_migration(migration, "apply")

    def rollback_file(self, migration: Migration) -> None:
        """Take one file back in its transaction, and its entry."""
        with _named(migration.id), _hushed():
            migration.process_steps(self, "rollback")
            self.log_migration(migration, "rollback")

    def finish(self, files: Mapping[str, Migration]) -> None:
        """Record the checksums of what is applied."""
        if not self.has(_CHECKSUMS):
            return
        recorded = self._checksums()
        for name in set(self._applied()) & set(files) - set(recorded):
            value = checksum(files[name])
            self.rows("migration_checksum_put", name=name, sha256=value)

    @contextmanager
    def exclusive(self, say: Say, wait_s: float) -> Iterator[None]:
        """Hold the lock of migrations. Raises LockTimeout when another run has it."""
        place = self._path.with_name(f"{self._path.name}-migrate")
        with place.open("a") as file:
            _wait(file.fileno(), say, time.monotonic() + wait_s)
            self.init_database()
            self.break_lock()
            with self.lock():
                self.ensure_internal_schema_updated()
                yield

    def _applied(self) -> dict[str, str]:
        if not self.has(self.migration_table):
            return {}
        return {row["name"]: row["applied_at"] for row in self.rows("migration_rows")}

    def _checksums(self) -> dict[str, str]:
        if not self.has(_CHECKSUMS):
            return {}
        rows = self.rows("migration_checksum_rows")
        return {row["name"]: row["sha256"] for row in rows}


@contextmanager
def connected(path: Path, *, makes: bool) -> Iterator[SqliteBackend]:
    """The backend of a file, which is looked at first and made only when `makes`.

    Raises RefusedFile for a file that cannot hold a catalog.
    """
    if path.exists():
        require_usable(path)
    elif not makes:
        message = f"there is no SQLite file {path}: `mcps migrate` makes it"
        raise errors.InvalidSettings(message)
    else:
        _make_folder(path)
    with _named(str(path)), SqliteBackend(path) as backend:
        yield backend


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{path.parent} cannot be made: {error.strerror}"
        raise errors.InvalidSettings(message) from error


def _wait(file: int, say: Say, limit_at: float) -> None:
    is_told = False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= limit_at:
                message = "another migration of this file is still running: try later"
                raise errors.LockTimeout(message) from None
            if not is_told:
                say("Another migration of this file is running: waiting for it")
                is_told = True
            time.sleep(_POLL_S)
        else:
            return


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _hushed() -> AbstractContextManager[object]:
    """Keep yoyo from printing the rows by which SQLite checks a column it adds."""
    return redirect_stdout(io.StringIO())


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Turn the driver's errors into one line that begins with the migration."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None) or 0
        if code & 255 in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            message = f"{name}: another process writes to the file; run it again"
            raise errors.LockTimeout(message) from error
        message = f"{name}: {error}; {_FAILED}"
        raise errors.MigrationFailed(message) from error
