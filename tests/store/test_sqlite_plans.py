"""The plans of every read on SQLite: none walks a large table without a reason."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from service.copying import TABLES
from service.store.migrate import apply
from service.store.queries import Query, load_queries
from service.store.sqlite_connections import Connection, Script, load_scripts
from service.store.sqlite_file import sqlite_url
from service.store.sqlite_vectors import missing_vectors

LARGE = (
    *TABLES,
    *("server_label", "server_version_remote", "server_path", "search_word", "change"),
)
# Reads that have to see every row, each with its reason.
WHOLE = {
    "admin_stale_page": "tells how many servers are stale in all, for an admin",
    "admin_stats": "totals over the whole catalog",
    "key_list": "shows every key to an admin",
    "registry_search": "a part of a path has no index here; short rows alone are read",
    "search_word_near": "likeness has no index here; only for words that find nothing",
    "server_count": "asked only by `count=true`, with any filters",
    **{f"copy_{table}": "copies the whole table" for table in TABLES},
}
READS = [query for query in load_queries("sqlite").values() if not query.is_write]
# No index has this column: what looks for scans has to find it.
SCAN = Query(
    "made_up",
    "select s.id from server s where s.author_name = :name",
    ("name",),
    is_write=False,
    needs_vector=False,
)
VIEWS = Query(
    "views",
    "select sql from sqlite_schema where type = 'view'",
    (),
    is_write=False,
    needs_vector=False,
)


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    """A connection of the service to an empty catalog."""
    file = tmp_path / "catalog.db"
    apply(sqlite_url(file))
    opened = await Connection.connect(file, load_scripts(), wait_s=1.0, writes=True)
    try:
        yield opened
    finally:
        await opened.close()


async def test_no_read_walks_a_large_table_without_a_reason(
    connection: Connection,
) -> None:
    views = "\n".join(row["sql"] for row in await fetched(connection, VIEWS, VIEWS.sql))
    found = {}
    for query in [*READS, SCAN]:
        if query.needs_vector and missing_vectors():
            continue
        walked = set()
        for statement in re.split(r";[ ]*\n", query.sql):
            plan = await fetched(connection, query, f"explain query plan {statement}")
            steps = [row["detail"] for row in plan]
            walked |= set(tables(steps, f"{statement}\n{views}"))
        if walked:
            found[query.name] = sorted(walked)
    assert found.pop(SCAN.name) == ["server"]
    assert found.keys() - WHOLE.keys() == set(), found
    assert found.keys() == WHOLE.keys()


async def test_tools_of_a_name_are_found_by_their_name(connection: Connection) -> None:
    query = load_queries("sqlite")["tool_page_of_name"]
    plan = await fetched(connection, query, f"explain query plan {query.sql}")
    assert any("USING INDEX tool_by_name (<expr>=?" in row["detail"] for row in plan)


def tables(steps: list[str], text: str) -> Iterator[str]:
    """The large tables that are walked; a plan calls them as the query does."""
    for step in steps:
        if (walked := re.fullmatch(r"SCAN (\w+)( LEFT-JOIN)?", step)) is None:
            continue
        name = walked[1]
        known = re.search(rf"\b({'|'.join(LARGE)})\s+(?:as\s+)?{name}\b", text)
        if name in LARGE:
            yield name
        elif known is not None:
            yield known[1]


async def fetched(
    connection: Connection, query: Query, sql: str
) -> list[dict[str, str]]:
    script = Script(query, (sql,))
    rows = await connection.fetch(script, dict.fromkeys(query.parameters))
    return [dict(row) for row in rows]
