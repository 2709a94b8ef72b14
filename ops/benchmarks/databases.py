"""The PostgreSQL under the benchmarks: one of our own, or the one that is given."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import asyncpg
import msgspec

from ops.benchmarks.accounting import parent_of
from ops.benchmarks.loading import statements
from tests.cluster import Cluster

DATABASE = "mcps_bench"
GIVEN = "TEST_DATABASE_URL"
# As in compose.yaml, and as safe as a server that holds real data.
_SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "autovacuum_naptime": "1min",
}


class Database(msgspec.Struct, frozen=True):
    """An empty database, and the server process behind it."""

    url: str
    postmaster: int
    version: str


@contextmanager
def bench_database() -> Iterator[Database]:
    """An empty database that goes away again with the block."""
    with _server() as url:
        asyncio.run(_execute(url, "database_delete", "database_create"))
        try:
            ours = urlsplit(url)._replace(path=f"/{DATABASE}").geturl()
            yield asyncio.run(find(ours))
        finally:
            asyncio.run(_execute(url, "database_delete"))


@contextmanager
def _server() -> Iterator[str]:
    given = os.environ.get(GIVEN)
    if given:
        yield given
        return
    with Cluster(max_connections=200, settings=_SETTINGS) as cluster:
        yield cluster.url()


async def find(url: str) -> Database:
    """The server behind a URL. Raises OSError when it does not run on this machine."""
    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetchrow(statements()["backend_here"])
        pid, version = row or (0, "")
        # Asked before the connection closes: its process ends with it.
        return Database(url, parent_of(pid), version)
    finally:
        await connection.close()


async def _execute(url: str, *names: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for name in names:
            await connection.execute(statements()[name])
    finally:
        await connection.close()
