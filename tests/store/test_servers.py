"""Queries about servers: plans that walk an index, pages among equal keys, writes."""

import json
from collections.abc import AsyncIterator
from typing import Any, get_args

import asyncpg
import msgspec
import pytest

from service.catalog import Reference, add_server, delete_server, get_server, put_server
from service.errors import Conflict, NotFound
from service.models import ServerBody, ServerFilters, ServerPatch, ServerQuery, Sort
from service.pages import FEW, page_servers
from service.store.postgres import PostgresStore
from service.store.queries import load_queries

# Rows and plans through a connection of its own.
pytestmark = pytest.mark.postgresql

MANY = 3000
RARE = 10
FILL = f"""
insert into server (
  name, primary_url, keywords, categories, stars, downloads, health_score, updated_at
)
select 'server ' || n % 7, 'https://example.org/' || n,
       case when n % ({MANY} / {RARE}) = 0 then '["ai", "rare"]'
            else '["ai"]' end::jsonb,
       '["data"]', n % 5, n % 3, n % 2,
       timestamptz '2026-01-01Z' + n % 4 * interval '1 microsecond'
  from generate_series(1, {MANY}) n
"""
COLUMNS = ("name", "stars", "downloads", "health_score", "updated_at")
# The longest name that a key is made of, and beyond.
LONG = "x" * 300


class Spy:
    """A store that remembers which queries were asked for."""

    def __init__(self, store: PostgresStore) -> None:
        self.store = store
        self.asked: list[str] = []

    def __getattr__(self, method: str) -> Any:
        async def call(query: str, **values: Any) -> Any:
            self.asked.append(query)
            return await getattr(self.store, method)(query, **values)

        return call


@pytest.fixture
async def connection(
    direct_url: str,
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A session with three thousand servers, planning as the service does."""
    planned = {"plan_cache_mode": "force_generic_plan", "jit": "off"}
    opened = await asyncpg.connect(direct_url, server_settings=planned)
    await opened.execute(FILL)
    await opened.execute("analyze server")
    yield opened
    await opened.close()


async def plan(connection: Any, name: str, **values: Any) -> dict[str, Any]:
    """How PostgreSQL runs a query, with what each step met."""
    query = load_queries("postgresql")[name]
    await connection.execute(f"prepare {name} as {query.sql}")
    given = ", ".join(_literal(value) for value in query.arguments(values))
    options = "analyze, timing off, format json"
    text = await connection.fetchval(f"explain ({options}) execute {name}({given})")
    await connection.execute(f"deallocate {name}")
    found: dict[str, Any] = json.loads(text)[0]["Plan"]
    return found


def _literal(value: Any) -> str:
    if value is None:
        return "null"
    return "'" + str(value).replace("'", "''") + "'"


def steps(node: dict[str, Any]) -> list[dict[str, Any]]:
    """A plan and all below it."""
    return [node, *(step for part in node.get("Plans", []) for step in steps(part))]


async def server_pages(store: Any, query: ServerQuery) -> list[list[int]]:
    """The ids of every page."""
    pages = []
    while True:
        page = await page_servers(store, query)
        pages.append([row["id"] for row in msgspec.json.decode(page.body)])
        if not page.cursor:
            return pages
        query = ServerQuery(limit=query.limit, cursor=page.cursor)


@pytest.mark.parametrize("way", ["", "_desc"])
async def test_every_page_walks_its_index_and_stops(connection: Any, way: str) -> None:
    filters = dict.fromkeys(ServerFilters.__struct_fields__[1:])
    for column in COLUMNS:
        keys = {
            "name": "~" if way else "",
            "updated_at": "infinity" if way else "-infinity",
        }
        edge = 2**63 - 1 if way else -(2**63)
        found = await plan(
            connection,
            f"server_page_by_{column}{way}",
            **filters | {"verified_only": False},
            key=keys.get(column, edge),
            from_id=edge,
            wanted=20,
            skip=0,
        )
        scans = [step for step in steps(found) if "Scan" in step["Node Type"]]
        assert not [step for step in steps(found) if "Sort" in step["Node Type"]]
        assert [scan["Index Name"] for scan in scans] == [f"server_by_{column}"]
        assert scans[0]["Actual Rows"] <= 22


async def test_a_rare_word_is_found_by_its_index(connection: Any) -> None:
    found = await plan(
        connection,
        "server_page_of_few",
        labels='["rare"]',
        by="stars",
        direction=-1,
        number=2**63 - 1,
        word="",
        most=FEW,
        **dict.fromkeys(ServerFilters.__struct_fields__[1:]) | {"keyword": "rare"},
        from_id=2**63 - 1,
        wanted=20,
        skip=0,
    )
    scans = [s for s in steps(found) if "Scan" in s["Node Type"] and s["Actual Loops"]]
    assert "server_by_label" in {scan.get("Index Name") for scan in scans}
    assert max(scan["Actual Rows"] for scan in scans) == RARE
    assert "Seq Scan" not in {scan["Node Type"] for scan in scans}


async def test_few_are_sorted_and_many_are_walked(
    store: PostgresStore, connection: Any
) -> None:
    for query, names in [
        (ServerQuery(keyword="rare"), ["server_page_of_few"]),
        (ServerQuery(keyword="rare", category="data"), ["server_page_of_few"]),
        (
            ServerQuery(keyword="ai"),
            ["server_page_of_few", "server_page_by_stars_desc"],
        ),
        (ServerQuery(min_stars=3), ["server_page_by_stars_desc"]),
        (
            ServerQuery(updated_since="2026-01-01T00:00:00Z", sort="updated_at"),
            ["server_page_by_updated_at"],
        ),
        (ServerQuery(updated_since="2027-01-01T00:00:00Z"), ["server_page_of_few"]),
    ]:
        spy = Spy(store)
        await page_servers(spy, query)
        assert spy.asked == names
    assert connection


async def test_among_equal_keys_no_row_is_lost_or_shown_twice(
    store: PostgresStore, connection: Any
) -> None:
    for sort in get_args(Sort):
        pages = await server_pages(store, ServerQuery(sort=sort, limit=700))
        assert [len(page) for page in pages] == [700, 700, 700, 700, 200]
        ids = [number for page in pages for number in page]
        way = "desc" if sort.startswith("-") else "asc"
        order = f"order by {sort.removeprefix('-')} {way}, id {way}"
        rows = await connection.fetch(f"select id from server {order}")
        assert ids == [row["id"] for row in rows]


async def test_the_longest_and_the_highest_names_are_in_the_list(
    store: PostgresStore,
) -> None:
    names = [LONG + "b", LONG + "a", "\U0010ffff" * 250, "\U0010ffff" * 200, "\x01"]
    for number, name in enumerate(names):
        url = f"https://example.org/{number}"
        await add_server(store, ServerBody(name=name, primary_url=url))
    up = await server_pages(store, ServerQuery(sort="name", limit=1))
    assert up == [[5], [1], [2], [3], [4]]
    down = await server_pages(store, ServerQuery(sort="-name", limit=2))
    assert down == [[4, 3], [2, 1], [5]]


async def test_negative_counters_are_in_the_list(
    store: PostgresStore, connection: Any
) -> None:
    await connection.execute(f"update server set stars = {-(2**63)} where id = 7")
    await connection.execute(f"update server set stars = {2**63 - 1} where id = 8")
    up = await page_servers(store, ServerQuery(sort="stars", limit=1))
    down = await page_servers(store, ServerQuery(limit=1))
    assert json.loads(up.body)[0]["id"] == 7
    assert json.loads(down.body)[0]["id"] == 8


async def test_a_whole_server_is_one_row(connection: Any) -> None:
    found = await plan(connection, "server_get", id=5)
    scans = [s for s in steps(found) if "Scan" in s["Node Type"] and s["Actual Loops"]]
    assert sorted(scan["Index Name"] for scan in scans) == [
        "server_count_pkey",
        "server_pkey",
    ]


async def test_the_document_is_what_the_columns_say_after_any_write(
    store: PostgresStore, connection: Any
) -> None:
    await connection.execute("update server set title = 'by \"hand\"' where id = 9")
    body = json.loads(await get_server(store, Reference(id=9)))
    row = await connection.fetchrow("select * from server where id = 9")
    assert body["title"] == row["title"] == 'by "hand"'
    assert body["uuid"] == str(row["uuid"])
    assert body["keywords"] == json.loads(row["keywords"])
    shown = {name for name in body if name != "counts"}
    assert shown == set(row.keys()) - {"doc", "field_sources"}


async def test_writes_raise_what_they_say(store: PostgresStore) -> None:
    body = ServerBody(name="one", primary_url="https://example.org/one")
    added, _ = await add_server(store, body)
    with pytest.raises(Conflict) as caught:
        await add_server(store, body)
    assert caught.value.existing == added.path
    other, _ = await add_server(store, ServerBody(name="two", primary_url="x:two"))
    with pytest.raises(Conflict) as caught:
        await put_server(store, other, ServerPatch(primary_url=body.primary_url))
    assert caught.value.existing == added.path
    await delete_server(store, added)
    for call in (
        get_server(store, added),
        put_server(store, added, ServerPatch(stars=1)),
        delete_server(store, added),
    ):
        with pytest.raises(NotFound):
            await call
