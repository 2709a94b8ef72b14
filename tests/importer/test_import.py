"""What comes out of an import, and of the next one."""

import json
from typing import Any

import httpx
import pytest

from service.errors import NotSupported
from service.settings import read_settings
from service.store.base import Store
from service.store.locate import make_store
from service.store.migrate import apply
from service.store.sqlite_file import sqlite_url
from tests.importer.conftest import AT, LATER, Earlier, content, take, unwritten, url


async def test_everything_is_taken_over_with_its_ids(
    store: Store, database: Any, earlier: Earlier
) -> None:
    earlier.fill(10)
    taken = await take(store, earlier.path)
    assert taken.counts("server") == (10, 10, 0, 0, 0)
    assert taken.counts("tool") == (20, 20, 0, 0, 0)
    assert taken.counts("toolembedding") == (1, 1, 0, 0, 0)
    row = await database.fetchrow("select * from server where id = 7")
    assert row["uuid"].hex == f"{7:032x}"
    assert row["primary_url"] == url(7)
    assert (row["host_type"], row["risk_level"]) == ("github", "safe")
    assert (row["keywords"], row["stars"], row["downloads"]) == ('["a"]', 1, 2)
    assert str(row["created_at"]) == "2025-01-02 03:04:05.678901+00:00"
    tool = await database.fetchrow("select server_id, name from tool where id = 13")
    assert tuple(tool) == (7, "read")
    length = await database.fetchval(
        "select cardinality(embedding) from tool_embedding where tool_id = 2"
    )
    assert length == 1536


async def test_new_ids_follow_those_of_the_file(
    store: Store, database: Any, earlier: Earlier
) -> None:
    earlier.add("server", {"id": 70}, {"id": 4000})
    await take(store, earlier.path)
    added = await database.fetchval(
        "insert into server (name, primary_url) values ('n', 'https://n.example')"
        " returning id"
    )
    assert added == 4001


async def test_an_absurd_id_is_refused_and_no_new_id_follows_it(
    store: Store, database: Any, earlier: Earlier
) -> None:
    earlier.add("server", {"id": 7}, {"id": 2**62})
    taken = await take(store, earlier.path)
    assert taken.keys == [("server", 2**62)]
    added = "insert into server (name, primary_url) values ('n', 'https://n.example')"
    assert await database.fetchval(f"{added} returning id") <= 2**53 + 1


async def test_servers_show_up_everywhere(
    store: Store, client: httpx.AsyncClient, earlier: Earlier
) -> None:
    earlier.add("server", {"id": 1, "name": "weather", "description": "It rains"})
    earlier.add("server", {"id": 2, "name": "toolbox"})
    earlier.add("tool", {"id": 1, "server_id": 2, "name": "hammer"})
    earlier.add("release", {"id": 1, "server_id": 1, "version": "1.0.0"})
    earlier.add(
        "release",
        {"id": 2, "server_id": 1, "version": "2.1.0", "published_at": LATER},
    )
    await take(store, earlier.path)

    listed = (await client.get("/v0.1/servers")).json()
    names = [item["server"]["name"] for item in listed["servers"]]
    assert names == ["io.github.owner/server-1", "io.github.owner/server-2"]
    assert [item["server"]["version"] for item in listed["servers"]] == [
        "2.1.0",
        "0.0.0",
    ]

    found = (await client.get("/search", params={"q": "rain"})).json()
    assert [server["name"] for server in found["servers"]] == ["weather"]
    found = (await client.get("/search", params={"q": "hammer"})).json()
    assert [server["name"] for server in found["servers"]] == ["toolbox"]
    assert [tool["name"] for tool in found["tools"]] == ["hammer"]

    whole = (await client.get("/servers/1")).json()
    assert whole["counts"]["releases"] == 2
    assert whole["latest_version"] == "2.1.0"
    feed = (await client.get("/v0.1/x/io.mcps/changes")).json()
    assert "io.github.owner/server-2" in json.dumps(feed)


async def test_what_is_no_part_of_the_catalog_is_carried_over_as_it_is(
    store: Store, database: Any, earlier: Earlier
) -> None:
    earlier.fill(1)
    earlier.run("create table notes (word text, number integer, more blob, any_thing)")
    earlier.run("insert into notes values ('a', 1, x'00ff', 2.5), (null, 2, null, 1)")
    earlier.run('create table "odd ""name" (ctid integer, "a b" json, at datetime)')
    earlier.run("""insert into "odd ""name" values (5, '{"a": [1]}', ?)""", AT)
    earlier.run("create table mixed (id integer primary key, at datetime, n integer)")
    earlier.run("insert into mixed values (3, '', 'many'), (4, ?, 5)", AT)
    earlier.run("create table keyed (k text primary key, v) without rowid")
    earlier.run("insert into keyed values ('x', 'y')")
    taken = await take(store, earlier.path)
    assert taken.counts("notes") == (2, 2, 0, 0, 0)
    notes = await database.fetch("select * from legacy.notes order by rowid")
    assert [tuple(row) for row in notes] == [
        (1, "a", 1, b"\x00\xff", 2.5),
        (2, None, 2, None, 1.0),
    ]
    (odd,) = await database.fetch('select * from legacy."odd ""name"')
    assert (odd["ctid_"], odd["a b"], odd["at"].year) == (5, '{"a": [1]}', 2025)
    mixed = await database.fetch("select * from legacy.mixed order by id")
    assert [tuple(row) for row in mixed] == [(3, "", "many"), (4, AT, "5")]
    assert await database.fetchval("select v from legacy.keyed") == "y"
    assert taken.counts("alembic_version") == (0, 0, 0, 0, 0)


async def test_rows_without_their_owner_are_kept_in_legacy(
    store: Store, database: Any, earlier: Earlier
) -> None:
    earlier.fill(3)
    earlier.add("server", {"id": 9, "keywords": "[1, 2"})
    earlier.add("tool", {"id": 50, "server_id": 9}, {"id": 51, "server_id": 777})
    earlier.add("toolembedding", {"id": 5, "tool_id": 51, "vector": "[0.1]"})
    earlier.add("prompt", {"id": 60, "server_id": "nobody"})
    taken = await take(store, earlier.path)
    assert taken.keys == [("server", 9)]
    assert taken.counts("tool") == (8, 6, 2, 0, 0)
    assert taken.counts("toolembedding") == (2, 1, 1, 0, 0)
    assert taken.counts("prompt") == (4, 3, 1, 0, 0)
    kept = await database.fetch("select id, server_id from legacy.tool order by id")
    assert [tuple(row) for row in kept] == [(50, 9), (51, 777)]
    assert await database.fetchval("select vector from legacy.toolembedding") == "[0.1]"
    assert await database.fetchval("select server_id from legacy.prompt") == "nobody"
    original = {(table, r.key): r.original for table, r in taken.repaired}
    assert original["tool", 51] == 777

    again = await take(store, earlier.path)
    assert unwritten(again)
    assert again.counts("tool") == (8, 0, 0, 0, 8)


async def test_the_second_import_touches_nothing(
    store: Store, database: Any, earlier: Earlier
) -> None:
    earlier.fill(20)
    earlier.add("server", {"id": 99, "description": "a\0b"})
    await take(store, earlier.path)
    before = await content(database)
    serial = await database.fetchval("select value from serial")
    versions = await database.fetch(
        "select xmin from server union all select xmin from tool"
    )
    taken = await take(store, earlier.path)
    assert unwritten(taken)
    assert taken.kept == []
    assert await content(database) == before
    assert await database.fetchval("select value from serial") == serial
    assert versions == await database.fetch(
        "select xmin from server union all select xmin from tool"
    )


async def test_a_newer_file_brings_its_changes_and_an_older_takes_none_back(
    store: Store, database: Any, earlier: Earlier, tmp_path: Any
) -> None:
    earlier.fill(3)
    older = tmp_path / "older.db"
    older.write_bytes(earlier.path.read_bytes())
    await take(store, earlier.path)
    earlier.run("update server set stars = 100, updated_at = ? where id = 2", LATER)
    earlier.run("update tool set name = 'write', updated_at = ? where id = 3", LATER)
    earlier.add("tool", {"id": 7, "server_id": 2})
    taken = await take(store, earlier.path)
    assert taken.counts("server") == (3, 1, 0, 0, 2)
    assert taken.counts("tool") == (7, 2, 0, 0, 5)
    state = await content(database)
    assert await database.fetchval("select stars from server where id = 2") == 100

    taken = await take(store, older)
    assert unwritten(taken)
    assert {*taken.kept} == {("server", 2), ("tool", 3)}
    assert taken.report.kept == 2
    assert await content(database) == state


async def test_a_new_release_becomes_the_latest_version(
    store: Store, database: Any, client: httpx.AsyncClient, earlier: Earlier
) -> None:
    earlier.add("server", {"id": 1})
    earlier.add("release", {"id": 1, "server_id": 1})
    await take(store, earlier.path)
    newer = {"id": 2, "server_id": 1, "version": "1.1.0", "published_at": LATER}
    earlier.add("release", newer)
    earlier.run("update server set updated_at = ?, description = 'New'", LATER)
    await take(store, earlier.path)
    body = (
        await client.get("/v0.1/servers/io.github.owner%2Fserver-1/versions")
    ).json()
    found = {
        item["server"]["version"]: next(iter(item["_meta"].values()))["isLatest"]
        for item in body["servers"]
    }
    assert found == {"1.0.0": False, "1.1.0": True}
    assert await database.fetchval("select latest_version from server") == "1.1.0"


async def test_an_import_merges_into_a_catalog_by_url(
    store: Store, database: Any, earlier: Earlier
) -> None:
    await database.execute(
        "insert into server (id, name, primary_url, registry_name, updated_at) values"
        " (1, 'ours', 'https://ours.example', 'a/ours', now()),"
        " (2, 'newer here', $1, 'a/newer', now()),"
        " (3, 'older here', $2, null, '2020-01-01')",
        url(11),
        url(12),
    )
    await database.execute(
        "insert into tool (id, server_id, name) values (1, 1, 'ours')"
    )
    earlier.add("server", {"id": 1}, {"id": 11}, {"id": 12, "name": "theirs"})
    earlier.add("tool", *({"id": id_, "server_id": id_} for id_ in (1, 11, 12)))
    taken = await take(store, earlier.path)
    assert taken.counts("server") == (3, 2, 0, 0, 1)
    assert taken.kept == [("server", 11)]
    rows = await database.fetch(
        "select s.name, array_agg(t.name) from server s left join tool t"
        " on t.server_id = s.id group by s.id order by s.name"
    )
    assert [tuple(row) for row in rows] == [
        ("newer here", ["read"]),
        ("ours", ["ours"]),
        ("server-1", ["read"]),
        ("theirs", ["read"]),
    ]
    merged = await database.fetchrow(
        "select registry_name, name from server where id = 3"
    )
    assert tuple(merged) == ("io.github.owner/server-12", "theirs")

    state = await content(database)
    assert unwritten(await take(store, earlier.path))
    assert await content(database) == state


async def test_a_registry_name_that_is_taken_gives_way(
    store: Store, database: Any, earlier: Earlier
) -> None:
    await database.execute(
        "insert into server (name, primary_url, registry_name)"
        " values ('n', 'https://elsewhere.example', 'io.github.owner/server-1')"
    )
    earlier.add("server", {"id": 8, "primary_url": url(1)})
    await take(store, earlier.path)
    name = await database.fetchval("select registry_name from server where id = 8")
    assert name.startswith("io.github.owner/server-1-")
    document = await database.fetchval("select document from server_version")
    assert json.loads(document)["name"] == name


async def test_of_rows_with_the_same_url_the_newest_is_kept(
    store: Store, database: Any, earlier: Earlier
) -> None:
    earlier.run("drop index ix_server_primary_url")
    earlier.add(
        "server", {"id": 1}, {"id": 2, "primary_url": url(1), "updated_at": LATER}
    )
    taken = await take(store, earlier.path)
    assert taken.keys == [("server", 1)]
    assert "server 2, as new or newer" in taken.refused[0][1].reason
    assert await database.fetchval("select array_agg(id) from server") == [2]


async def test_strict_refuses_what_could_be_repaired(
    store: Store, database: Any, earlier: Earlier
) -> None:
    earlier.add(
        "server", {"id": 1}, {"id": 2, "stars": 1.5}, {"id": 3, "license": b"\xff"}
    )
    earlier.add("tool", {"id": 1, "server_id": 1}, {"id": 2, "server_id": 99})
    taken = await take(store, earlier.path, is_strict=True)
    assert taken.keys == [("server", 2), ("server", 3), ("tool", 2)]
    assert taken.repaired == []
    assert await database.fetchval("select array_agg(id) from server") == [1]
    assert taken.refused[1][1].raw == b"\xff"


async def test_a_dry_run_writes_nothing_and_says_the_same(
    store: Store, database: Any, earlier: Earlier
) -> None:
    earlier.fill(5)
    earlier.add("server", {"id": 9, "stars": 1.5}, {"id": 10, "stars": "many"})
    earlier.add("tool", {"id": 99, "server_id": 1234})
    before = await content(database)
    tried = await take(None, earlier.path)
    assert await content(database) == before
    assert await database.fetchval("select count(*) from import_run") == 0
    taken = await take(store, earlier.path)
    for name in taken.report.tables:
        assert taken.counts(name) == tried.counts(name)
        ours, theirs = taken.report.tables[name], tried.report.tables[name]
        assert ours.checksum_source == theirs.checksum_source
    assert taken.refused == tried.refused


async def test_a_row_that_the_database_refuses_is_found_and_costs_no_other(
    store: Store, database: Any, earlier: Earlier
) -> None:
    await database.execute("alter table prompt add check (name not like 'bad%')")
    earlier.fill(300)
    for id_ in (7, 8, 150, 300):
        earlier.run("update prompt set name = 'bad' where id = ?", id_)
    taken = await take(store, earlier.path)
    assert taken.counts("prompt") == (300, 296, 0, 4, 0)
    assert taken.keys == [
        ("prompt", 7),
        ("prompt", 8),
        ("prompt", 150),
        ("prompt", 300),
    ]
    assert "the database refuses it" in taken.refused[0][1].reason
    assert taken.refused[0][1].row["name"] == "bad"
    assert await database.fetchval("select count(*) from prompt") == 296


async def test_characters_that_mean_something_to_copy_stay_as_they_are(
    store: Store, database: Any, earlier: Earlier
) -> None:
    names = ["\\N", "\x1e", "a\tb", "a\nb", "a\r\nb", "\\.", "\\\\t", "\x1f", "é\\", ""]
    earlier.add("server", {"id": 1, "readme_content": "\n".join(names)})
    earlier.add(
        "prompt",
        *({"id": 1 + n, "server_id": 1, "name": name} for n, name in enumerate(names)),
    )
    earlier.run("create table odd (id integer primary key, b blob, t text, r real)")
    for n, name in enumerate(names):
        earlier.run(
            "insert into odd values (?, ?, ?, ?)", n, name.encode(), name, n / 7
        )
    taken = await take(store, earlier.path)
    assert taken.report.is_equal
    assert taken.refused == []
    found = await database.fetch("select name from prompt order by id")
    assert [row["name"] for row in found] == names
    readme = await database.fetchval("select readme_content from server")
    assert readme == "\n".join(names)
    odd = await database.fetch("select b, t, r from legacy.odd order by id")
    assert [tuple(row) for row in odd] == [
        (name.encode(), name, n / 7) for n, name in enumerate(names)
    ]


async def test_an_embedding_that_the_database_refuses_is_shown_with_its_numbers(
    store: Store, database: Any, earlier: Earlier
) -> None:
    await database.execute("alter table tool_embedding add check (model_name <> 'bad')")
    earlier.fill(3)
    earlier.add("toolembedding", {"id": 2, "tool_id": 3, "model_name": "bad"})
    taken = await take(store, earlier.path)
    assert taken.counts("toolembedding") == (2, 1, 0, 1, 0)
    vector: Any = taken.refused[0][1].row["vector"]
    assert (len(vector), vector[0]) == (1536, 0.5)


async def test_text_that_is_no_utf8_costs_no_row_before_or_after_it(
    store: Store, database: Any, earlier: Earlier
) -> None:
    earlier.fill(300)
    earlier.run("update prompt set name = cast(x'62ff' as text) where id = 250")
    taken = await take(store, earlier.path)
    assert taken.counts("prompt") == (300, 299, 1, 0, 0)
    names = await database.fetch("select name from prompt order by id")
    wanted = ["b\ufffd" if id_ == 250 else "ask" for id_ in range(1, 301)]
    assert [row["name"] for row in names] == wanted
    assert taken.report.is_equal


async def test_a_text_of_ten_megabytes_is_taken_over(
    store: Store, database: Any, earlier: Earlier
) -> None:
    earlier.add("server", {"id": 1, "readme_content": "é" * 5_000_000}, {"id": 2})
    taken = await take(store, earlier.path)
    assert taken.counts("server") == (2, 2, 0, 0, 0)
    length = await database.fetchval("select octet_length(readme_content) from server")
    assert length == 10_000_000


async def test_older_files_with_fewer_columns_and_other_tables_are_taken(
    store: Store, database: Any, earlier: Earlier
) -> None:
    for column in ("downloads", "health_score", "uuid", "last_indexed_at"):
        earlier.run(f"drop index if exists ix_server_{column}")
        earlier.run(f"alter table server drop column {column}")
    earlier.run(
        "insert into server (created_at, updated_at, id, name, primary_url, host_type,"
        " stars, forks, open_issues, risk_level, verified_source)"
        " values (?, ?, 5, 'n', ?, 'npm', 1, 1, 1, 'SAFE', 0)",
        AT, AT, url(5),
    )  # fmt: skip
    earlier.run("drop table tool")
    earlier.run("create table tool (title text)")
    earlier.run("insert into tool values ('another table of that name')")
    taken = await take(store, earlier.path)
    assert taken.counts("server") == (1, 1, 0, 0, 0)
    assert await database.fetchval("select title from legacy.tool")
    row = await database.fetchrow("select id, downloads, uuid from server")
    assert (row["id"], row["downloads"]) == (5, 0)
    assert row["uuid"]
    assert unwritten(await take(store, earlier.path))


async def test_another_catalog_in_sqlite_is_told_where_files_go(
    earlier: Earlier, tmp_path: Any
) -> None:
    address = sqlite_url(tmp_path / "mcps.db")
    apply(address)
    target = make_store(
        read_settings({"ENVIRONMENT": "development", "DATABASE_URL": address})
    )
    await target.open()
    try:
        with pytest.raises(NotSupported, match="works in PostgreSQL: set DATABASE_URL"):
            await take(target, earlier.path)
    finally:
        await target.close()


async def test_the_database_itself_finds_what_is_not_as_it_was_sent(
    store: Store, database: Any, earlier: Earlier
) -> None:
    await database.execute(
        "create function cut() returns trigger language plpgsql as"
        " $$ begin new.username := left(new.username, 2); return new; end $$;"
        " create trigger cut before insert on contributor"
        " for each row execute function cut()"
    )
    earlier.add("server", {"id": 1})
    earlier.add("contributor", {"id": 1, "server_id": 1, "username": "somebody"})
    with pytest.raises(AssertionError):
        await take(store, earlier.path)
