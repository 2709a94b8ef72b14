"""Migrations: apply, roll back, and what is applied, by yoyo and psycopg.

One session does everything and holds an advisory lock while it does, so the lock lives
exactly as long as the work: whatever kills this process, the next run can begin.
"""

import glob
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI
from yoyo.migrations import Migration, default_migration_table

from service import errors
from service.resources import resource
from service.settings import is_sqlite_url, masked_url, plain_url, sqlite_path
from service.store.address import libpq_url
from service.store.base import Value
from service.store.migrate_sqlite import SqliteBackend, connected
from service.store.queries import read_queries
from service.store.refusals import login_failure, migration_failure, read_only
from service.store.steps import Say, Step, checksum, compare, newest, refuse_edited

WAIT_LIMIT_S = 60.0
CONNECT_TIMEOUT_S = 5
_POLL_S = 0.2
_CHECKSUMS = "migration_checksum"


def _quiet(_message: str) -> None:
    """Say nothing."""


def status(url: str, *, folder: Path | None = None) -> list[Step]:
    """Every migration of this release and of the database; changes nothing."""
    with _connected(url, makes=False) as backend:
        return backend.steps(_files(folder, url))


def apply(
    url: str,
    *,
    folder: Path | None = None,
    say: Say = _quiet,
    wait_s: float = WAIT_LIMIT_S,
) -> list[str]:
    """Apply what is pending; gives the names.

    Raises MigrationFailed when a migration cannot be applied (nothing of it stays) or
    an applied one was edited, Unavailable when the database is away or locked.
    """
    files = _files(folder, url)
    with _connected(url, makes=True) as backend, backend.exclusive(say, wait_s):
        steps = backend.steps(files)
        refuse_edited(steps)
        pending = [step.name for step in steps if step.state == "pending"]
        for name in pending:
            began_at = time.perf_counter()
            backend.apply_file(files[name])
            say(f"{name}: applied in {time.perf_counter() - began_at:.2f} s")
        backend.finish(files)
    return pending


def rollback(
    url: str,
    count: int,
    *,
    folder: Path | None = None,
    say: Say = _quiet,
    wait_s: float = WAIT_LIMIT_S,
) -> list[str]:
    """Take the newest `count` migrations back, with their data; gives the names."""
    files = _files(folder, url)
    with _connected(url, makes=False) as backend, backend.exclusive(say, wait_s):
        applied = [s for s in backend.steps(files) if s.state != "pending"]
        chosen = newest(applied, count)
        for name in chosen:
            backend.rollback_file(files[name])
            say(f"{name}: rolled back")
    return chosen


class Backend(PostgresqlPsycopgBackend):  # type: ignore[misc] # yoyo has no types
    """yoyo's PostgreSQL, on one session that also runs named queries."""

    def __init__(self, url: str) -> None:
        parameters = conninfo_to_dict(libpq_url(url))
        parameters.setdefault("connect_timeout", CONNECT_TIMEOUT_S)
        parameters["application_name"] = "mcps migrate"
        database = parameters.pop("dbname", None)
        address = DatabaseURI(
            "postgresql", None, None, None, None, database, parameters
        )
        file = resource("queries") / "migration.sql"
        self._named = {q.name: q for q in read_queries(file, "postgresql")}
        super().__init__(address, default_migration_table)

    def init_database(self) -> None:
        """Make yoyo's lock table; whether DDL is transactional needs no trial here."""
        if not self.has(self.lock_table):
            self.create_lock_table()

    def get_log_data(
        self, migration: Migration | None = None, operation: str = "apply"
    ) -> dict[str, object]:
        """Who did it; yoyo would ask DNS and the account, which may both be missing."""
        return {
            "id": str(uuid.uuid4()),
            "migration_id": migration and migration.id,
            "migration_hash": migration and migration.hash,
            "username": self.connection.info.user,
            "hostname": socket.gethostname(),
            "created_at_utc": datetime.now(UTC).replace(tzinfo=None),
            "operation": operation,
        }

    def rows(self, query: str, **values: Value) -> list[DictRow]:
        """The rows of a named query."""
        named = self._named[query]
        cursor = psycopg.RawCursor(self.connection, row_factory=dict_row)
        with cursor:
            cursor.execute(named.sql.encode(), named.arguments(values))
            return cursor.fetchall() if cursor.description else []

    def run(self, query: str, **values: Value) -> None:
        """A named query without an answer."""
        self.rows(query, **values)

    def has(self, table: str) -> bool:
        """Whether this table is there."""
        return bool(self.rows("migration_table_exists", name=table)[0]["is_there"])

    def steps(self, files: Mapping[str, Migration]) -> list[Step]:
        """How files and database compare, in the order of their names."""
        return compare(files, self._applied(), self._checksums())

    def apply_file(self, migration: Migration) -> None:
        """Apply one file in its transaction, and enter it."""
        with _named(migration.id):
            migration.process_steps(self, "apply")
            self.log_migration(migration, "apply")
            with self.transaction():
                self.mark_one(migration, log=False)

    def rollback_file(self, migration: Migration) -> None:
        """Take one file back in its transaction, and its entry."""
        with _named(migration.id):
            migration.process_steps(self, "rollback")
            self.log_migration(migration, "rollback")
            with self.transaction():
                self.unmark_one(migration, log=False)

    def finish(self, files: Mapping[str, Migration]) -> None:
        """Record checksums, and make use of extensions that appeared since."""
        if not self.has(_CHECKSUMS):
            return
        recorded = self._checksums()
        for name in set(self._applied()) & set(files) - set(recorded):
            value = checksum(files[name])
            self.run("migration_checksum_put", name=name, sha256=value)
        self.run("migration_extensions")

    @contextmanager
    def exclusive(self, say: Say, wait_s: float) -> Iterator[None]:
        """Hold the lock of migrations, yoyo's own included.

        Raises Unavailable when another run has it for longer than `wait_s`.
        """
        self._check_role()
        limit_at = time.monotonic() + wait_s
        self._wait(self._take, "migration_holder", say, limit_at)
        self.init_database()
        self._wait(self._is_abandoned, "migration_rival", say, limit_at)
        self.break_lock()
        with self.lock():
            self.ensure_internal_schema_updated()
            yield

    def _wait(
        self, is_free: Callable[[], bool], owner: str, say: Say, limit_at: float
    ) -> None:
        is_told = False
        while not is_free():
            found = self.rows(owner)
            who = "session {pid} {place}, begun {started_at} UTC".format_map(
                found[0] if found else {"pid": "?", "place": "", "started_at": "?"}
            )
            if time.monotonic() >= limit_at:
                message = f"another migration is still running ({who}): try again later"
                raise errors.LockTimeout(message)
            if not is_told:
                say(f"Another migration is running ({who}): waiting for it")
                is_told = True
            time.sleep(_POLL_S)

    def _take(self) -> bool:
        return bool(self.rows("migration_lock")[0]["is_locked"])

    def _is_abandoned(self) -> bool:
        return not self.rows("migration_rival")

    def _check_role(self) -> None:
        role = self.rows("migration_role")[0]
        if role["is_read_only"]:
            raise read_only()
        if not role["may_create"]:
            message = (
                f"the role {role['role']} may not create tables in the schema "
                f"{role['schema']}: have its owner run there: {role['statement']}"
            )
            raise errors.MigrationFailed(message)

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
def _connected(url: str, *, makes: bool = True) -> Iterator[Backend | SqliteBackend]:
    """The database of a URL; `makes` lets a file be made that is not there."""
    if is_sqlite_url(url):
        with connected(sqlite_path(url), makes=makes) as file:
            yield file
        return
    address = masked_url(plain_url(url))
    try:
        backend = Backend(url)
    except psycopg.Error as error:
        raise login_failure(address, error) from error
    with backend, _named("the migrations"):
        backend.run("migration_session")
        yield backend


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Turn the driver's errors into one line that begins with the migration."""
    try:
        yield
    except psycopg.Error as error:
        raise migration_failure(name, error) from error


def _files(folder: Path | None, url: str = "") -> dict[str, Migration]:
    home = resource("migrations") / ("sqlite" if is_sqlite_url(url) else "")
    place = glob.escape(os.fspath(folder or home))
    return {migration.id: migration for migration in read_migrations(place)}
