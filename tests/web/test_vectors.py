"""Search by vectors: what is near, in which order, and where there is none."""

import asyncio
import math
import random
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest

from service.app import create_app
from service.errors import InvalidInput, NotSupported
from service.models_search import DIMENSIONS, SimilarTool
from service.settings import Settings, read_settings
from service.store import sqlite_vectors
from service.store.postgres import PostgresStore
from service.store.sqlite import SqliteStore
from service.vectors import nearest_tools, put_embedding
from tests.by_hand import put

Vector = list[float]
SEED = 5
TOOLS = 150


@pytest.fixture
async def vectors(store: PostgresStore) -> None:
    if not await store.has_vectors():
        pytest.skip("this database has no extension that compares vectors")


@pytest.fixture
async def tools(vectors: None, database: Any, store: PostgresStore) -> list[Vector]:
    """Tools 1 to 150 with embeddings of one model, in five directions."""
    await add_tools(database, TOOLS)
    dice = random.Random(SEED)
    centres = [direction(dice) for _ in range(5)]
    embeddings = [
        [x + 0.5 * dice.gauss(0, 1) for x in centres[n % 5]] for n in range(TOOLS)
    ]
    for number, embedding in enumerate(embeddings, 1):
        await put_embedding(store, number, "model-a", embedding)
    return embeddings


async def add_tools(database: Any, number: int) -> None:
    await database.execute(
        "insert into server (id, name, primary_url) values (1, 'one', 'a:1')"
    )
    numbers = range(1, number + 1)
    tools = [{"id": n, "server_id": 1, "name": f"tool {n}"} for n in numbers]
    await put(database, "tool", tools)


def direction(dice: random.Random) -> Vector:
    return [dice.gauss(0, 1) for _ in range(DIMENSIONS)]


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    product = math.sumprod(one, other) if hasattr(math, "sumprod") else 0.0
    product = product or sum(a * b for a, b in zip(one, other, strict=True))
    return product / math.hypot(*one) / math.hypot(*other)


def nearest(
    probe: Sequence[float], embeddings: Sequence[Vector], number: int
) -> list[int]:
    ids = range(1, len(embeddings) + 1)
    return sorted(ids, key=lambda i: -cosine(probe, embeddings[i - 1]))[:number]


async def near(
    client: httpx.AsyncClient, vector: Any, **body: Any
) -> list[SimilarTool]:
    response = await client.post("/search/vector", json={"vector": vector, **body})
    assert response.status_code == 200, response.text
    return msgspec.json.decode(response.content, type=list[SimilarTool])


async def similar(
    client: httpx.AsyncClient, tool: int, **query: Any
) -> list[SimilarTool]:
    response = await client.get(f"/tools/{tool}/similar", params=query)
    assert response.status_code == 200, response.text
    return msgspec.json.decode(response.content, type=list[SimilarTool])


async def test_the_nearest_tools_come_in_order(
    client: httpx.AsyncClient, tools: list[Vector]
) -> None:
    probe = [x + 0.1 for x in tools[7]]
    found = await near(client, probe)
    assert [item.tool.id for item in found] == nearest(probe, tools, 10)
    for item in found:
        exact = cosine(probe, tools[item.tool.id - 1])
        assert item.similarity == pytest.approx(exact, abs=1e-5)


async def test_a_hundred_of_the_nearest_are_found(
    client: httpx.AsyncClient, tools: list[Vector]
) -> None:
    found = await near(client, tools[0], limit=100)
    assert len(found) == 100
    wanted = set(nearest(tools[0], tools, 100))
    assert len(wanted & {item.tool.id for item in found}) >= 95
    values = [item.similarity for item in found]
    assert values == sorted(values, reverse=True)


async def test_only_the_direction_of_a_vector_counts(
    client: httpx.AsyncClient, tools: list[Vector]
) -> None:
    for scale in (1e-30, 1.0, 1e30, 1e300):
        (item,) = await near(client, [x * scale for x in tools[3]], limit=1)
        assert item.tool.id == 4
        assert item.similarity == pytest.approx(1, abs=1e-5)


async def test_what_is_like_a_tool_leaves_the_tool_out(
    client: httpx.AsyncClient, tools: list[Vector]
) -> None:
    found = await similar(client, 8)
    expected = [i for i in nearest(tools[7], tools, 11) if i != 8]
    assert [item.tool.id for item in found] == expected
    assert len(await similar(client, 8, limit=3)) == 3


async def test_only_embeddings_of_one_model_are_compared(
    client: httpx.AsyncClient, store: PostgresStore, tools: list[Vector]
) -> None:
    for number in range(1, 8):
        await put_embedding(store, number, "model-b", tools[number - 1])
    found = await similar(client, 1, limit=100)
    assert {item.tool.id for item in found} == set(range(2, 8))
    assert not {i.tool.id for i in await similar(client, 8)} & set(range(1, 8))


async def test_an_embedding_replaces_the_one_before_and_goes_with_its_tool(
    client: httpx.AsyncClient, store: PostgresStore, database: Any, tools: list[Vector]
) -> None:
    await put_embedding(store, 1, "model-a", tools[9])
    found = await near(client, tools[9], limit=2)
    assert {item.tool.id for item in found} == {1, 10}
    await database.execute("delete from tool where id = 10")
    assert [item.tool.id for item in await near(client, tools[9], limit=1)] == [1]


@pytest.mark.postgresql
async def test_the_index_is_used_from_the_first_row_on(
    database: Any, tools: list[Vector]
) -> None:
    assert tools
    async with database.transaction():
        await database.execute("load 'vector'")
        call = "select * from tool_nearest($1::real[], null, null, 5)"
        assert len(await database.fetch(call, tools[0])) == 5
        row = await database.fetchrow(
            "select seq_scan, idx_scan from pg_stat_xact_user_tables"
            " where relname = 'tool_embedding'"
        )
    assert tuple(row) == (0, 1)


@pytest.mark.usefixtures("vectors")
async def test_an_embedding_without_direction_is_like_none(
    client: httpx.AsyncClient, store: PostgresStore, database: Any
) -> None:
    await add_tools(database, 2)
    await put_embedding(store, 1, "model-a", [0.0] * DIMENSIONS)
    await put_embedding(store, 2, "model-a", [1.0] * DIMENSIONS)
    assert await similar(client, 1) == []
    assert await similar(client, 2) == []
    assert [i.tool.id for i in await near(client, [0.5] * DIMENSIONS)] == [2]


@pytest.mark.usefixtures("vectors")
async def test_a_tool_without_an_embedding_is_told_from_one_that_is_not_there(
    client: httpx.AsyncClient, database: Any
) -> None:
    await add_tools(database, 1)
    details = []
    for tool in ("1", "2", "0", "abc", "9" * 30):
        response = await client.get(f"/tools/{tool}/similar")
        assert response.status_code == 404
        details.append(response.json()["detail"])
    assert "no embedding" in details[0]
    assert "no such tool" in details[1]


@pytest.mark.usefixtures("vectors")
async def test_an_empty_catalog_has_nothing_near(client: httpx.AsyncClient) -> None:
    assert await near(client, [1] * DIMENSIONS) == []


NOT_COMPARABLE: list[Any] = [
    [1.0] * (DIMENSIONS - 1),
    [1.0] * (DIMENSIONS + 1),
    [],
    [math.nan] * DIMENSIONS,
    [math.inf] * DIMENSIONS,
    [None] * DIMENSIONS,
    [[1.0] * DIMENSIONS],
]


async def test_no_embedding_is_stored_that_cannot_be_compared(
    store: PostgresStore, database: Any
) -> None:
    await add_tools(database, 1)
    for embedding in NOT_COMPARABLE:
        with pytest.raises(InvalidInput):
            await put_embedding(store, 1, "model-a", embedding)
    assert await database.fetchval("select count(*) from tool_embedding") == 0


NO_VECTORS = [
    "{}",
    '{"vector": []}',
    '{"vector": null}',
    f'{{"vector": [{"1," * 1534}1]}}',
    f'{{"vector": [{"1," * 1536}1]}}',
    f'{{"vector": [{"0," * 1535}0]}}',
    f'{{"vector": [{"-0.0," * 1535}0]}}',
    f'{{"vector": [{"1," * 1535}NaN]}}',
    f'{{"vector": [{"1," * 1535}1e400]}}',
    f'{{"vector": [{"1," * 1535}"1"]}}',
    f'{{"vector": [{"1," * 1535}true]}}',
    f'{{"vector": [{"1," * 1535}1], "limit": 0}}',
    f'{{"vector": [{"1," * 1535}1], "limit": 101}}',
    f'{{"vector": [{"1," * 1535}1], "model": "x"}}',
    "[",
]


async def test_a_body_that_is_no_vector_is_refused(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json"}
    for body in NO_VECTORS:
        response = await client.post("/search/vector", content=body, headers=headers)
        assert response.status_code == 400, body[-40:]
        place = response.json()["errors"][0]["location"]
        assert place.startswith("body"), body[-40:]


async def test_a_query_out_of_bounds_is_refused(client: httpx.AsyncClient) -> None:
    for query in ("limit=0", "limit=101", "skip=1", "limit=x"):
        response = await client.get(f"/tools/1/similar?{query}")
        assert response.status_code == 400, query


@pytest.mark.postgresql
async def test_a_database_without_vectors_says_so(
    settings: Settings, database: Any, database_url: str
) -> None:
    await database.execute("drop extension if exists vector cascade")
    store = PostgresStore(settings, database_url)
    await store.open()
    app: Any = create_app(settings, store)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://a.test"
    ) as client:
        answers = await asyncio.gather(
            client.get("/tools/1/similar"),
            client.post("/search/vector", json={"vector": [1] * DIMENSIONS}),
        )
    await store.close()
    for answer in answers:
        assert answer.status_code == 501
        assert "`vector`" in answer.json()["detail"]


class Loading:
    """A connection of a Python that may load extensions."""

    enable_load_extension = None


@pytest.mark.parametrize(
    ("connection", "found", "said"),
    [
        (object, "there", "Python that may load extensions"),
        (Loading, None, "package `sqlite-vec`"),
    ],
)
async def test_a_file_without_vectors_says_what_is_missing(
    sqlite_template: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    connection: Any,
    found: str | None,
    said: str,
) -> None:
    driver = SimpleNamespace(Connection=connection)
    monkeypatch.setattr(sqlite_vectors, "sqlite3", driver)
    monkeypatch.setattr(sqlite_vectors, "find_spec", lambda _name: found)
    file = tmp_path / "mcps.db"
    file.write_bytes(sqlite_template.read_bytes())
    store = SqliteStore(read_settings({}), file)
    await store.open()
    try:
        assert not await store.has_vectors()
        with pytest.raises(NotSupported, match=said):
            await nearest_tools(store, [1.0] * DIMENSIONS, 1)
    finally:
        await store.close()
