"""The serial: moves for everything a client can see, in order, without gaps."""

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest

from service.store.base import Store
from tests.registry.conftest import item, load, serial_of

WRITERS = 4
WRITES = 25
SEEN = """
insert into tool (server_id, name) select id, 't' from server limit 1
update tool set description = 'd'
update tool set input_schema = '{"a": 1}'
insert into prompt (server_id, name) select id, 'p' from server limit 1
insert into resource_template (server_id, uri_template) select id, 'u' from server
insert into dependency (server_id, ecosystem, library_name) select id, '', '' from tool
insert into release (server_id, version, published_at) select id, '1', now() from server
insert into contributor (server_id, username, platform) select id, 'u', 'p' from server
insert into risk (server_id, source, kind) select id, 'npm', 'eval' from server
update risk set line = 1
delete from risk
update contributor set commits = 1
update server set stars = stars + 1
update server set readme_content = 'read me'
update server_version set status = 'deprecated'
update server_version set status_message = 'old'
update server_version set problems = '[{}]'
update server_version set is_latest = false
update server_version set is_latest = true where version = '1.0.0'
update server_version set version = '1.0.1' where version = '1.0.0'
delete from contributor
truncate release
delete from server_version where version = '1.0.1'
delete from server
truncate server cascade
"""
UNSEEN = """
update server set stars = stars
update server_version set status = status, is_latest = is_latest
update tool set name = name
delete from tool where false
insert into tool (server_id, name) select id, 't' from server where false
insert into processing_log (url, status) values ('u', 's')
insert into source (name) values ('s')
update server set stars = stars + 1 where false
"""


@pytest.fixture
async def filled(store: Store) -> None:
    await load(store, item("io.a/one"), item("io.a/one", "0.9.0"))


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


async def value(database: Any) -> int:
    found: int = await database.fetchval("select value from serial")
    return found


@pytest.mark.postgresql
@pytest.mark.usefixtures("filled")
async def test_every_visible_change_by_hand_moves_it_once(database: Any) -> None:
    for statement in lines(SEEN):
        before = await value(database)
        await database.execute(statement)
        assert await value(database) == before + 1, statement


@pytest.mark.usefixtures("filled")
async def test_what_nobody_can_see_does_not_move_it(database: Any) -> None:
    await database.execute(
        "insert into tool (server_id, name) select id, 't' from server"
    )
    before = await value(database)
    for statement in lines(UNSEEN):
        await database.execute(statement)
        assert await value(database) == before, statement


async def test_a_load_moves_it_and_the_same_load_again_does_not(
    client: httpx.AsyncClient, store: Store
) -> None:
    before = await serial_of(client)
    await load(store, item("io.a/one"), item("io.b/two"))
    after = await serial_of(client)
    assert after == before + 1
    await load(store, item("io.a/one"), item("io.b/two"))
    assert await serial_of(client) == after


@pytest.mark.postgresql
async def test_one_transaction_takes_one_and_one_rolled_back_takes_none(
    database: Any,
) -> None:
    before = await value(database)
    add = "insert into server (name, primary_url) values ($1, $1)"
    async with database.transaction():
        await database.execute(add, "https://a")
        point = database.transaction()
        await point.start()
        await database.execute(add, "https://b")
        await point.rollback()
        await database.execute(add, "https://c")
    assert await value(database) == before + 1
    whole = database.transaction()
    await whole.start()
    await database.execute(add, "https://d")
    await whole.rollback()
    await database.execute(add, "https://d")
    assert await value(database) == before + 2


async def test_a_mark_of_the_latest_that_moves_moves_the_time(
    client: httpx.AsyncClient, database: Any, store: Store
) -> None:
    await load(store, item("io.a/one"))
    read = "select updated_at from server_version"
    before = await database.fetchval(read)
    await database.execute("update server_version set is_latest = false")
    assert await database.fetchval(read) > before
    found = await client.get("/v0.1/servers")
    (official,) = found.json()["servers"][0]["_meta"].values()
    assert official["isLatest"] is False


@pytest.mark.postgresql
async def test_it_is_announced(database: Any, direct_url: str) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    listener = await asyncpg.connect(direct_url)
    try:
        await listener.add_listener(
            "mcps_serial", lambda *told: heard.put_nowait(str(told[-1]))
        )
        await database.execute(
            "insert into server (name, primary_url) values ('a', 'https://a')"
        )
        told = await asyncio.wait_for(heard.get(), 5)
    finally:
        await listener.close()
    assert int(told) == await value(database)


async def watch(url: str, done: asyncio.Event) -> list[tuple[int, ...]]:
    """The serial and the number of changes, in one snapshot, again and again."""
    connection = await asyncpg.connect(url)
    seen = []
    try:
        while not done.is_set():
            row = await connection.fetchrow(
                "select (select value from serial), "
                "(select sum(stars)::bigint from server), "
                "(select count(*) from change_set where serial is not null), "
                "(select max(serial) from change_set)"
            )
            seen.append(tuple(row or ()))
    finally:
        await connection.close()
    return seen


@pytest.mark.postgresql
async def test_readers_see_serials_in_order_and_without_gaps(
    database: Any, direct_url: str
) -> None:
    names = [f"https://{at}" for at in range(WRITERS)]
    for name in names:
        await database.execute(
            "insert into server (name, primary_url) values ($1, $1)", name
        )
    start = await value(database)
    done = asyncio.Event()
    watchers = [asyncio.create_task(watch(direct_url, done)) for _ in range(2)]
    await asyncio.gather(*(write(direct_url, name) for name in names))
    done.set()
    for seen in await asyncio.gather(*watchers):
        assert seen
        assert seen == sorted(seen)
        for serial, stars, sets, last in seen:
            assert serial == sets == last
            assert stars == serial - start
    assert await value(database) == start + WRITERS * WRITES


async def write(url: str, name: str) -> None:
    """Change one row that no other writer touches, in several statements."""
    connection = await asyncpg.connect(url)
    try:
        for _ in range(WRITES):
            async with connection.transaction():
                await connection.execute(
                    "update server set forks = forks + 1 where name = $1", name
                )
                await asyncio.sleep(0)
                await connection.execute(
                    "update server set stars = stars + 1 where name = $1", name
                )
    finally:
        await connection.close()


@pytest.mark.postgresql
async def test_writers_that_hold_rows_do_not_block_each_other(
    database: Any, direct_url: str
) -> None:
    """The counter is locked after every row: no ring, and no wait for a long writer."""
    for name in ("a", "b"):
        await database.execute(
            "insert into server (name, primary_url) values ($1, $1)", name
        )
    bump = "update server set stars = stars + 1 where name = $1"
    other = await asyncpg.connect(direct_url)
    try:
        async with asyncio.timeout(5):
            long = database.transaction()
            await long.start()
            await database.execute(bump, "a")
            await other.execute(bump, "b")
            await database.execute(bump, "b")
            await long.commit()
    finally:
        await other.close()
