"""The plans of every read, on a catalog of the size that the service is made for."""

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any

import asyncpg
import msgspec
import pytest

from ops.benchmarks.catalog import Size
from ops.benchmarks.loading import load_catalog
from service.store.queries import Query, load_queries
from tests.conftest import TEMPLATE, execute, server_url

pytestmark = pytest.mark.slow

# Smaller tables are read faster as a whole.
LARGE = """
select relname from pg_class
 where relnamespace = 'public'::regnamespace and relkind = 'r' and reltuples >= 400
"""
VECTORS = "select exists (select from pg_extension where extname = 'vector')"
# Reads that have to see every row, each with its reason.
WHOLE = {
    "admin_stale_page": "tells how many servers are stale in all, for an admin",
    "admin_stats": "totals over the whole catalog",
    "copy_count": "how many rows there are to copy, for the progress of an export",
    "copy_is_due": "stops at the first row",
    "export_count": "counts every version, and the servers without one",
    "export_versions": "writes every version, in their order",
    "inspection_catalog": "counts what is there, for `mcps check`",
    "load_is_due": "stops at the first row",
    "server_count": "asked only by `count=true`, with any filters",
}
READS = [query for query in load_queries("postgresql").values() if not query.is_write]
# No index has this column: what looks for scans has to find it.
SCAN = Query(
    "made_up",
    "select id from server where author_name = $1::text",
    ("name",),
    is_write=False,
    needs_vector=False,
)


@pytest.fixture
def loaded() -> Iterator[str]:
    """The URL of a full catalog."""
    name = f"plans_{uuid.uuid4().hex}"
    asyncio.run(execute("postgres", f"create database {name} template {TEMPLATE}"))
    try:
        load_catalog(server_url(name), Size())
        yield server_url(name)
    finally:
        drop = f"drop database if exists {name} with (force)"
        asyncio.run(execute("postgres", drop))


# One test, not one for each query: the catalog takes half a minute to load.
def test_no_read_scans_a_large_table_without_a_reason(loaded: str) -> None:
    scans = asyncio.run(_scans(loaded))
    assert scans.pop(SCAN.name) == ["server"]
    assert {name: scans[name] for name in scans.keys() - WHOLE.keys()} == {}


def test_every_exception_is_a_query_that_exists() -> None:
    assert WHOLE.keys() <= {query.name for query in READS}


async def _scans(url: str) -> dict[str, list[str]]:
    """The queries that read large tables from end to end, with those tables."""
    settings = {"plan_cache_mode": "force_generic_plan", "jit": "off"}
    connection = await asyncpg.connect(url, server_settings=settings)
    try:
        large = {row["relname"] for row in await connection.fetch(LARGE)}
        has_vectors = await connection.fetchval(VECTORS)
        found: dict[str, list[str]] = {}
        for query in [*READS, SCAN]:
            if query.needs_vector and not has_vectors:
                continue
            scanned = large & set(_whole(await _plan(connection, query)))
            if scanned:
                found[query.name] = sorted(scanned)
        return found
    finally:
        await connection.close()


async def _plan(connection: Any, query: Query) -> dict[str, Any]:
    await connection.execute(f"prepare wanted as {query.sql}")
    nulls = ", ".join("null" for _ in query.parameters)
    call = f"wanted({nulls})" if nulls else "wanted"
    text = await connection.fetchval(f"explain (format json) execute {call}")
    await connection.execute("deallocate wanted")
    plan: dict[str, Any] = msgspec.json.decode(text)[0]["Plan"]
    return plan


def _whole(plan: dict[str, Any]) -> Iterator[str]:
    if plan["Node Type"] == "Seq Scan":
        yield plan["Relation Name"]
    for child in plan.get("Plans", []):
        yield from _whole(child)
