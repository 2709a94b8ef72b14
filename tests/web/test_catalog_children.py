"""What belongs to a server, and the tools of all servers."""

import asyncio
import random
from itertools import chain
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from service.models import (
    Contributor,
    Dependency,
    Prompt,
    Release,
    Resource,
    ServerVersion,
    Tool,
)
from tests.by_hand import put
from tests.web.rows import (
    CHILDREN,
    KINDS,
    Headers,
    Json,
    add_children,
    add_servers,
    follow,
)

ITEMS: dict[str, Any] = {
    "tools": Tool,
    "resources": Resource,
    "prompts": Prompt,
    "dependencies": Dependency,
    "releases": Release,
    "contributors": Contributor,
    "versions": ServerVersion,
}
TABLES = {
    "tools": "tool",
    "resources": "resource_template",
    "prompts": "prompt",
    "dependencies": "dependency",
    "releases": "release",
    "contributors": "contributor",
    "versions": "server_version",
}
NUMBER = 11


def bodies(number: int) -> list[Json]:
    """Bodies of plain servers."""
    base = "https://example.org/"
    return [{"name": f"s{n}", "primary_url": f"{base}{n}"} for n in range(number)]


@pytest.fixture
async def three(client: httpx.AsyncClient, admin: Headers, database: Any) -> list[Json]:
    """Three servers; the last has nothing, the others eleven of each kind."""
    found = await add_servers(client, admin, bodies(3))
    for server in found[:2]:
        await add_children(database, server["id"], NUMBER)
    return found


def joined(pages: list[list[Json]]) -> list[Json]:
    """The rows of all pages."""
    return list(chain.from_iterable(pages))


async def test_every_kind_is_listed_as_the_document_says(
    client: httpx.AsyncClient, three: list[Json]
) -> None:
    second = three[1]["id"]
    for kind, item in ITEMS.items():
        response = await client.get(f"/servers/{second}/{kind}")
        decoded = msgspec.json.decode(response.content, type=list[item])  # type: ignore[valid-type]
        assert len(decoded) == NUMBER
        assert {row["server_id"] for row in response.json()} == {second}
        assert set(response.json()[0]) == set(item.__struct_fields__)
        assert "link" not in response.headers


async def test_pages_hold_every_child_once_in_order(
    client: httpx.AsyncClient, three: list[Json]
) -> None:
    for kind in KINDS:
        for reference in (three[0]["id"], three[0]["uuid"]):
            pages = await follow(client, f"/servers/{reference}/{kind}?limit=4")
            assert [len(page) for page in pages] == [4, 4, 3]
            rows = joined(pages)
            if kind in {"releases", "versions"}:
                keys = [(row["published_at"], row["id"]) for row in rows]
                assert keys == sorted(keys, reverse=True)
            else:
                assert [r["id"] for r in rows] == sorted(r["id"] for r in rows)
            assert len({row["id"] for row in rows}) == NUMBER
        skipped = await follow(client, f"/servers/{reference}/{kind}?limit=4&skip=5")
        assert joined(skipped) == rows[5:]
        exact = await follow(client, f"/servers/{reference}/{kind}?limit={NUMBER}")
        assert exact == [rows]


async def test_a_server_without_children_has_empty_lists(
    client: httpx.AsyncClient, three: list[Json]
) -> None:
    for kind in KINDS:
        response = await client.get(f"/servers/{three[2]['id']}/{kind}?skip=3")
        assert (response.status_code, response.content) == (200, b"[]")


async def test_without_the_server_there_is_no_list(
    client: httpx.AsyncClient, three: list[Json]
) -> None:
    nobody = "00000000-0000-4000-8000-000000000000"
    for kind in KINDS:
        for reference in (three[2]["id"] + 1, nobody, "x"):
            response = await client.get(f"/servers/{reference}/{kind}")
            assert response.status_code == 404


async def test_a_cursor_serves_only_the_list_it_came_from(
    client: httpx.AsyncClient, three: list[Json]
) -> None:
    first, second = three[0]["id"], three[1]["id"]
    response = await client.get(f"/servers/{first}/tools?limit=2")
    query = response.links["next"]["url"].split("?")[1]
    for path in (f"/servers/{second}/tools", f"/servers/{first}/prompts", "/tools"):
        refused = await client.get(f"{path}?{query}")
        assert refused.status_code == 400
        assert refused.json()["code"] == "invalid_cursor"
    assert (
        await client.get(f"/servers/{first}/tools?{query}&skip=1")
    ).status_code == 400


async def test_tools_are_found_by_server_and_by_whole_name(
    client: httpx.AsyncClient, three: list[Json]
) -> None:
    rows = joined(await follow(client, "/tools?limit=5"))
    assert len(rows) == 2 * NUMBER
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    second = three[1]["id"]
    for query, wanted in {
        "name=tool_1": [r for r in rows if r["name"] == "tool_1"],
        "name=tool": [],
        "name=tool_%25": [],
        f"server_id={second}": [r for r in rows if r["server_id"] == second],
        f"server_id={second}&name=tool_2": [
            r for r in rows if r["server_id"] == second and r["name"] == "tool_2"
        ],
        "server_id=999": [],
        f"server_id={three[2]['id']}": [],
    }.items():
        got = await follow(client, f"/tools?limit=3&{query}")
        assert joined(got) == wanted, query
    link = (await client.get("/tools?limit=2&name=tool_1")).links["next"]["url"]
    assert (await client.get(f"{link}&name=tool_1")).status_code == 200
    assert (await client.get(f"{link}&name=tool_2")).status_code == 400


async def test_names_that_begin_alike_are_told_apart(
    client: httpx.AsyncClient, three: list[Json], database: Any
) -> None:
    for ending in ("a", "b"):
        add = "insert into tool (server_id, name) values ($1, $2)"
        await database.execute(add, three[2]["id"], "x" * 250 + ending)
    got = (await client.get(f"/tools?name={'x' * 250}b")).json()
    assert [row["name"][-1] for row in got] == ["b"]


async def test_one_tool_is_found_by_its_id(
    client: httpx.AsyncClient, three: list[Json]
) -> None:
    tool = (await client.get(f"/servers/{three[0]['id']}/tools")).json()[3]
    response = await client.get(f"/tools/{tool['id']}")
    assert response.json() == tool
    assert tool["input_schema"] == {"n": [1, 2]}
    msgspec.json.decode(response.content, type=Tool)
    assert (await client.get("/tools/999")).status_code == 404


async def test_counts_follow_whatever_happens_to_children(
    client: httpx.AsyncClient, three: list[Json], database: Any
) -> None:
    ids = [server["id"] for server in three]
    dice = random.Random(3)
    for _ in range(60):
        table = dice.choice(list(TABLES.values()))
        some = f"id in (select id from {table} where id % {dice.randrange(2, 6)} = 0)"
        move = f"update {table} set server_id = {dice.choice(ids)} where {some}"
        delete = f"delete from {table} where {some}"
        touch = f"update {table} set id = id where {some}"
        nothing = f"delete from {table} where false"
        await database.execute(dice.choice([move, delete, touch, nothing]))
        if table != "server_version":
            await add_some(database, table, dice.choice(ids))
    await database.execute("delete from prompt")
    for server in ids:
        shown = (await client.get(f"/servers/{server}")).json()["counts"]
        for kind, table in TABLES.items():
            query = f"select count(*) from {table} where server_id = $1"
            assert shown[kind] == await database.fetchval(query, server), kind


async def add_some(database: Any, table: str, server: int) -> None:
    """Give a server one more row."""
    await put(database, table, [{"server_id": server, **CHILDREN[table](1)}])


@pytest.mark.postgresql
async def test_counts_are_right_when_many_write_at_once(
    client: httpx.AsyncClient, three: list[Json], database_url: str
) -> None:
    server = three[2]["id"]
    connections = [await asyncpg.connect(database_url) for _ in range(4)]

    async def write(connection: Any) -> None:
        for n in range(10):
            async with connection.transaction():
                await add_some(connection, "tool", server)
                await add_some(connection, "prompt", server)
            if n % 3 == 0:
                await connection.execute(
                    "delete from tool where id = (select min(id) from tool"
                    " where server_id = $1)",
                    server,
                )

    await asyncio.gather(*(write(connection) for connection in connections))
    shown = (await client.get(f"/servers/{server}")).json()["counts"]
    for kind in ("tools", "prompts"):
        listed = (await client.get(f"/servers/{server}/{kind}")).json()
        assert shown[kind] == len(listed)
    for connection in connections:
        await connection.close()
