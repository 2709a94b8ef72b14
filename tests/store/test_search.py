"""The search tables follow what they are made of; searches keep to the indexes."""

import asyncio
import random
import unicodedata
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest

from service.search import recount_words
from service.search_words import cut
from service.store.postgres import PostgresStore
from tests.waiting import until

pytestmark = pytest.mark.postgresql

SEED = 11
TOPICS = ["weather", "GitHub", "postgres", "calendar-sync", "Maps", "naïve", "mail"]
PUT = """
insert into server (registry_name, name, primary_url, description, stars)
select 'io.example/' || n, 'server-' || n, 'https://example.org/' || n,
       'Tells the weather of place ' || n, n
  from generate_series($1::int, $2::int) n
"""
STATE = (
    "select server_id, stars, head::text, words::text from server_search order by 1",
    "select server_id, path from server_path order by 1",
    "select tool_id, head::text, words::text from tool_search order by 1",
)
MANY = 2000


@pytest.fixture
async def database(direct_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(
        direct_url,
        server_settings={"plan_cache_mode": "force_generic_plan", "jit": "off"},
    )
    yield connection
    await connection.close()


async def state(database: Any) -> list[list[tuple[Any, ...]]]:
    return [[tuple(row) for row in await database.fetch(sql)] for sql in STATE]


async def rebuilt(database: Any) -> list[list[tuple[Any, ...]]]:
    await database.execute("truncate server_search, server_path, tool_search")
    await database.execute(
        "select server_search_put(array(select id from server)),"
        " server_path_put(array(select id from server)),"
        " tool_search_put(array(select id from tool))"
    )
    return await state(database)


async def found(database: Any, text: str) -> list[int]:
    rows = await database.fetch(
        "select server_id from server_ranked(search_query($1), true, null, 20)",
        cut(text).words_json,
    )
    return [row["server_id"] for row in rows]


async def words(database: Any) -> dict[str, int]:
    rows = await database.fetch("select word, uses from search_word")
    assert len({row["word"] for row in rows}) == len(rows), "a word is there twice"
    return {row["word"]: row["uses"] for row in rows}


class Changes:
    """Random changes of servers and tools."""

    def __init__(self, database: Any) -> None:
        self.database = database
        self.dice = random.Random(SEED)
        self.number = 0

    def text(self) -> str:
        return " ".join(self.dice.choices(TOPICS, k=self.dice.randrange(1, 5)))

    async def any_id(self, table: str) -> int:
        rows = await self.database.fetch(f"select id from {table} order by id")
        return self.dice.choice(rows)["id"] if rows else 0

    async def add_server(self) -> None:
        self.number += 1
        await self.database.execute(
            "insert into server (name, registry_name, title, primary_url, description,"
            " keywords) values ($1, $2, $3, $4, $5, jsonb_build_array($6::text))",
            self.text(),
            self.dice.choice([None, f"io.x/{self.text()}-{self.number}"]),
            self.dice.choice([None, self.text()]),
            f"https://example.org/{self.number}",
            self.dice.choice([None, self.text()]),
            self.text(),
        )

    async def add_tools(self) -> None:
        await self.database.execute(
            "insert into tool (server_id, name, description)"
            " select id, $1, $2 from server where id % 3 = $3",
            self.text(),
            self.text(),
            self.dice.randrange(3),
        )

    async def change_server(self) -> None:
        column = self.dice.choice(["name", "title", "description", "registry_name"])
        self.number += 1
        value = f"{self.text()} {self.number}"
        sql = f"update server set {column} = $1 where id = $2"
        await self.database.execute(sql, value, await self.any_id("server"))

    async def change_numbers(self) -> None:
        await self.database.execute(
            "update server set stars = stars + id % 2, health_score = 7,"
            " primary_url = primary_url || case id % 4 when 0 then 'x' else '' end"
        )

    async def change_tool(self) -> None:
        column = self.dice.choice(["name", "description"])
        sql = f"update tool set {column} = $1 where id = $2"
        await self.database.execute(sql, self.text(), await self.any_id("tool"))

    async def move_tool(self) -> None:
        await self.database.execute(
            "update tool set server_id = $1 where id = $2",
            await self.any_id("server"),
            await self.any_id("tool"),
        )

    async def delete(self) -> None:
        table = self.dice.choice(["server", "tool", "tool"])
        sql = f"delete from {table} where id = $1"
        await self.database.execute(sql, await self.any_id(table))


async def test_the_search_tables_follow_every_change(database: Any) -> None:
    changes = Changes(database)
    for _ in range(5):
        await changes.add_server()
    steps = [
        changes.add_server,
        changes.add_tools,
        changes.change_server,
        changes.change_numbers,
        changes.change_tool,
        changes.move_tool,
        changes.delete,
    ]
    for _ in range(60):
        await changes.dice.choice(steps)()
    followed = await state(database)
    assert all(followed), "nothing left to compare"
    assert followed == await rebuilt(database)


async def test_a_score_leaves_the_search_rows_alone(database: Any) -> None:
    await database.execute(PUT, 1, 3)
    sql = "select ctid::text, xmin::text from server_search order by server_id"
    before = await database.fetch(sql)
    await database.execute("update server set health_score = 9, downloads = 4")
    assert await database.fetch(sql) == before
    await database.execute("update server set stars = stars + 1")
    assert await database.fetch(sql) != before


async def test_the_rows_of_a_statement_are_not_joined_in_a_loop(database: Any) -> None:
    await database.execute("load 'auto_explain'")
    for setting in ("log_min_duration = 0", "log_nested_statements = on"):
        await database.execute(f"set auto_explain.{setting}")
    await database.execute("set client_min_messages = log")
    plans: list[str] = []
    database.add_log_listener(lambda _, message: plans.append(message.message))
    await database.execute(PUT, 1, 1)
    await database.execute("update server set description = 'other', stars = 2")
    await database.execute("insert into tool (server_id, name) values (1, 'a')")
    await database.execute("update tool set name = 'b'")
    await until(lambda: any("update tool set" in plan for plan in plans))
    joins = [p for p in plans if "join old_rows" in p and "array_agg" in p]
    assert len(joins) == 2, "one for servers, one for tools"
    for plan in joins:
        assert "Hash Join" in plan or "Merge Join" in plan


async def test_a_session_that_wrote_one_row_goes_on_with_many(database: Any) -> None:
    await database.execute(PUT, 1, 1)
    await database.execute("update server set description = 'other', stars = 2")
    await database.execute(PUT, 2, MANY)
    await database.execute(
        "insert into tool (server_id, name) select id, 'get_' || id from server"
    )
    await database.execute("update tool set name = name || '_soon'")
    await database.execute("update server set title = 'Title ' || id, stars = 0")
    assert len(await found(database, f"title {MANY}")) == 1
    assert len(await found(database, f"soon {MANY}")) == 1
    await database.execute("delete from tool")
    assert await found(database, f"soon {MANY}") == []


async def test_a_plan_made_on_empty_tables_does_not_read_full_ones(
    database: Any,
) -> None:
    async def search() -> None:
        await found(database, "weather")
        await found(database, "place 77")
        await database.fetch("select * from tool_ranked($1::text::tsquery, 9)", "get")
        await database.fetch("select server_in_path('%io.example/7%')")
        await database.fetch("select search_is_known('nothing'::tsquery)")

    await search()
    await database.execute(PUT, 1, MANY)
    # What was counted for earlier transactions would be shown with this one.
    await database.execute("select pg_stat_force_next_flush()")
    async with database.transaction():
        await search()
        scans = await database.fetch(
            "select relname, seq_scan from pg_stat_xact_user_tables where seq_scan > 0"
        )
    assert scans == []


async def test_of_many_matches_the_popular_and_the_short_come_first(
    database: Any,
) -> None:
    await database.execute(PUT, 1, MANY)
    await database.execute(
        "insert into server (id, name, primary_url, description) values"
        " (90001, 'weather', 'a:1', 'x'),"
        " (90002, 'the-big-weather-report', 'a:2', 'x')"
    )
    assert (await found(database, "weather"))[:3] == [90001, 90002, MANY]
    row = await database.fetchrow(
        "select max(matches) as matches, count(*) as number"
        " from server_ranked('weather', true, null, 100)"
    )
    assert tuple(row) == (MANY + 2, 100)


async def test_there_are_as_many_as_asked_for_where_none_is_popular(
    database: Any,
) -> None:
    await database.execute(PUT, 1, MANY)
    await database.execute("update server set stars = 1000 + id where id > 700")
    await database.execute("update server set description = 'Maps' where id > 700")
    rows = await database.fetch(
        "select * from server_ranked('weather', true, null, 100)"
    )
    assert len({row["server_id"] for row in rows}) == 100
    assert {row["matches"] for row in rows} == {700}


async def test_a_path_of_many_gives_the_most_popular(database: Any) -> None:
    await database.execute(PUT, 1, MANY)
    ids = await database.fetchval("select server_in_path('%example.org/%')")
    assert sorted(ids) == list(range(1501, 2001))
    assert await database.fetchval("select server_in_path('%io.example/77 %')") == [77]


@pytest.mark.parametrize("seed", range(4))
async def test_text_is_cut_alike_on_both_sides(database: Any, seed: int) -> None:
    dice = random.Random(seed)
    blocks = [
        (1, 0xFF),
        (0x2000, 0x20FF),
        (0x3000, 0x30FF),
        (1, 0xD7FF),
        (0xE000, 0x1FFFF),
    ]
    for _ in range(200):
        text = "".join(chr(dice.randint(*dice.choice(blocks))) for _ in range(20))
        text = unicodedata.normalize("NFC", text.replace("/", " "))
        theirs = await database.fetchval("select search_text($1)", text)
        assert cut(text).words == tuple(
            w for w in dict.fromkeys(theirs.split(" ")) if cut(w)
        ), ascii(text)


async def test_no_text_is_an_error_for_the_database(database: Any) -> None:
    dice = random.Random(SEED)
    letters = [*"&|!():*<->'\"\\%_{}[]a b\u0301\u200dé日\U0001f389\ufeff\u0660", "the "]
    for _ in range(500):
        text = "".join(dice.choices(letters, k=dice.randrange(40)))
        await found(database, text)


async def test_two_writers_of_a_new_word_do_not_wait(
    store: PostgresStore, direct_url: str, database: Any
) -> None:
    put = "insert into server (name, primary_url) values ($1, $2)"
    async with database.transaction():
        await database.execute(put, "zeppelin airship", "a:1")
        other = await asyncpg.connect(direct_url)
        await other.execute("set lock_timeout = '200ms'")
        await other.execute(put, "airship zeppelin", "a:2")
        await other.close()
    assert await database.fetchval("select count(*) from server") == 2
    await recount_words(store)
    assert (await words(database))["zeppelin"] == 2


async def test_a_recount_counts_and_forgets(
    store: PostgresStore, database: Any
) -> None:
    await database.execute(PUT, 1, 3)
    await database.execute(
        "insert into tool (server_id, name, description)"
        " values (1, 'get_forecast', 'the weather of 2026')"
    )
    await recount_words(store)
    known = await words(database)
    assert known["weather"] == known["tells"] + 1 == 4
    assert known["forecast"] == 2, "one server and one tool"
    assert not known.keys() & {"the", "2026", "of"}
    await database.execute("delete from server where id = 1")
    await recount_words(store)
    assert (await words(database))["weather"] == 2
    assert "forecast" not in await words(database)


async def test_recounts_at_once_end_well(store: PostgresStore, database: Any) -> None:
    await database.execute(PUT, 1, 200)
    await asyncio.gather(*(recount_words(store) for _ in range(5)))
    await recount_words(store)
    assert (await words(database))["weather"] == 200


async def test_a_search_while_a_load_goes_on_sees_all_or_nothing(
    store: PostgresStore, database: Any
) -> None:
    seen: set[int] = set()

    async def is_there() -> bool:
        page = await store.row(
            "search_page",
            words=cut("weather").words_json,
            pattern=None,
            is_ranked=True,
            wanted=1,
        )
        assert page
        assert msgspec.json.decode(page["body"])["total"] == page["matches"]
        seen.add(page["matches"])
        return bool(page["matches"])

    waiting = asyncio.create_task(until(is_there))
    await database.execute(PUT, 1, 1000)
    await waiting
    assert seen <= {0, 1000}
