"""Which database a process uses, found in the same way by every command.

A configured one wins. Without any it is the embedded PostgreSQL in
`$DATA_DIR/postgres`, shared with whoever runs it already and started for the length of
the command otherwise; on a machine without PostgreSQL it is the SQLite file
`$DATA_DIR/mcps.db`.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec

from service.errors import NotSupported
from service.settings import Settings, is_sqlite_url, masked_url, sqlite_path
from service.store.base import Store
from service.store.binaries import Binaries, find_binaries
from service.store.embedded import embedded
from service.store.postgres import PostgresStore
from service.store.replica import ReplicatedStore
from service.store.sqlite import SqliteStore
from service.store.sqlite_file import sqlite_url

Say = Callable[[str], None]


class Located(msgspec.Struct, frozen=True):
    """A database and how it was found."""

    url: str
    source: str
    """The setting that names it, or what runs the embedded server."""


@contextmanager
def located(settings: Settings, say: Say) -> Iterator[Located]:
    """The database of these settings; the embedded one answers until the block ends.

    `say` hears of everything that takes a while.
    """
    if settings.is_sqlite:
        yield Located(sqlite_url(settings.sqlite_path), _configured_by(settings))
        return
    if settings.is_configured:
        yield Located(settings.postgres_url, _configured_by(settings))
        return
    folder = Path(settings.data_dir) / "postgres"
    binaries = _binaries(settings, folder, say)
    if binaries is None:
        file = Path(settings.data_dir) / "mcps.db"
        yield Located(sqlite_url(file), "SQLite, because there is no PostgreSQL here")
        return
    with embedded(folder, binaries, say=say) as url:
        yield Located(url, binaries.source)


def make_store(settings: Settings, url: str = "") -> Store:
    """The store of a located database; without a URL that of the settings."""
    if is_sqlite_url(url):
        return SqliteStore(settings, sqlite_path(url))
    if not url and settings.is_sqlite:
        return SqliteStore(settings, settings.sqlite_path)
    primary = PostgresStore(settings, url or settings.postgres_url)
    if not settings.database_replica_url:
        return primary
    replica = PostgresStore(settings, settings.database_replica_url, is_replica=True)
    return ReplicatedStore(primary, replica, settings.database_replica_lag)


@asynccontextmanager
async def opened(store: Store) -> AsyncIterator[Store]:
    """The store, open for as long as the block lasts.

    Who is stopped while it opens leaves nothing behind: a connection to an SQLite file
    is a thread, which the end of the process would wait for.
    """
    try:
        await store.open()
        yield store
    finally:
        await store.close()


def shown(found: Located) -> str:
    """A located database for people, without its password."""
    url = found.url if is_sqlite_url(found.url) else masked_url(found.url)
    return f"{url} ({found.source})"


def _binaries(settings: Settings, folder: Path, say: Say) -> Binaries | None:
    """The programs of the embedded server; None where an SQLite file has to do."""
    wanted = Path(settings.postgres_bindir) if settings.postgres_bindir else None
    try:
        return find_binaries(wanted)
    except NotSupported as error:
        if folder.exists():
            raise
        say(f"{error.message}. Using an SQLite file instead")
        return None


def _configured_by(settings: Settings) -> str:
    if settings.database_url:
        return "DATABASE_URL"
    return "DATABASE_PATH" if settings.is_sqlite else "POSTGRES_HOST"
