"""The serial of an SQLite file that somebody changes by hand, as in the sqlite3 shell.

Nothing there tells where a transaction begins: every row takes a serial of its own.
"""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from service.settings import read_settings
from service.store.migrate import apply, rollback, status
from service.store.sqlite import SqliteStore
from service.store.sqlite_file import sqlite_url
from tests.registry.conftest import item, load

SEEN = """
insert into tool (server_id, name) select id, 't' from server limit 1
update tool set description = 'd'
update tool set input_schema = '{"a": 1}'
insert into tool_embedding select 1, id, 'm', zeroblob(6144) from tool
update tool_embedding set model_name = 'n'
delete from tool_embedding
insert into prompt (server_id, name) select id, 'p' from server limit 1
insert into resource_template (server_id, uri_template) select id, 'u' from server
insert into dependency (server_id, ecosystem, library_name) select id, '', '' from tool
insert into release (server_id, version, published_at) select id, '1', '26' from server
insert into contributor (server_id, username, platform) select id, 'u', 'p' from server
update contributor set commits = 1
update server set stars = stars + 1
update server set readme_content = 'read me'
update server_version set status_message = 'old' where version = '1.0.0'
update server_version set problems = '[{}]' where version = '1.0.0'
update server_version set document = '{"name": "x"}' where version = '1.0.0'
delete from contributor
delete from server_version where version = '0.9.0'
"""
MANY = """
update server_version set status = 'deprecated'
update server_version set is_latest = 0
update server_version set is_latest = 1 where version = '1.0.0'
update server_version set version = '1.0.1' where version = '1.0.0'
delete from server
"""
UNSEEN = """
update server set stars = stars
update server_version set status = status, is_latest = is_latest
update server_version set item = item
update tool set name = name
delete from tool where false
insert into processing_log (url, status) values ('u', 's')
insert into source (name) values ('s')
update server set stars = stars + 1 where false
"""
Shell = sqlite3.Connection


@pytest.fixture
async def file(sqlite_template: Path, tmp_path: Path) -> Path:
    """A catalog of one server with two versions."""
    path = tmp_path / "by-hand.db"
    path.write_bytes(sqlite_template.read_bytes())
    store = SqliteStore(read_settings({}), path)
    await store.open()
    await load(store, item("io.a/one"), item("io.a/one", "0.9.0"))
    await store.close()
    return path


@pytest.fixture
async def shell(file: Path) -> AsyncIterator[Shell]:
    with closing(sqlite3.connect(file, isolation_level=None)) as opened:
        opened.execute("pragma foreign_keys = on")
        yield opened


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


def value(shell: Shell) -> int:
    (found,) = shell.execute("select value from serial").fetchone()
    return int(found)


def sets(shell: Shell) -> list[int]:
    """The serial of every set, in the order in which they were opened."""
    return [n for (n,) in shell.execute("select serial from change_set order by id")]


async def test_every_visible_change_moves_it(shell: Shell) -> None:
    for statement in lines(SEEN):
        before = value(shell)
        shell.execute(statement)
        assert value(shell) == before + 1, statement
    assert sets(shell) == list(range(1, value(shell) + 1))


async def test_a_change_of_many_rows_moves_it_for_each(shell: Shell) -> None:
    for statement in lines(MANY):
        before = value(shell)
        shell.execute(statement)
        assert before < value(shell) <= before + 3, statement
    assert sets(shell) == list(range(1, value(shell) + 1))


async def test_what_nobody_can_see_does_not_move_it(shell: Shell) -> None:
    shell.execute("insert into tool (server_id, name) select id, 't' from server")
    before = value(shell)
    for statement in lines(UNSEEN):
        shell.execute(statement)
        assert value(shell) == before, statement


async def test_what_is_rolled_back_does_not_move_it(shell: Shell) -> None:
    before = value(shell), sets(shell)
    shell.execute("begin")
    shell.execute("update server set stars = stars + 1")
    shell.execute("rollback")
    assert (value(shell), sets(shell)) == before


async def test_what_goes_with_its_server_is_told_once(shell: Shell) -> None:
    shell.execute("insert into tool (server_id, name) select id, 't' from server")
    before = value(shell)
    shell.execute("delete from server")
    told = shell.execute(
        "select c.kind, c.version from change c join change_set g on g.id = c.set_id "
        "where g.serial > ? order by c.kind, c.version",
        [before],
    ).fetchall()
    assert told == [("server", None), ("version", "0.9.0"), ("version", "1.0.0")]


@pytest.fixture
async def store(file: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(read_settings({}), file)
    await opened.open()
    yield opened
    await opened.close()


async def test_the_transaction_of_a_process_is_one_set(store: SqliteStore) -> None:
    (before,) = await store.rows("registry_facets")
    async with store.transaction() as work:
        for name in ("a", "b"):
            items = f'[{{"server": "io.a/one", "name": "{name}"}}]'
            await work.run("load_tools", items=items)
        await work.run("load_prompts", items=items)
    (after,) = await store.rows("registry_facets")
    assert after["serial"] == before["serial"] + 1
    async with store.transaction() as work:
        await work.run("load_tools", items="[]")
    (same,) = await store.rows("registry_facets")
    assert same["serial"] == after["serial"]
    (changes,) = await store.rows(
        "change_page", serial=after["serial"], place=0, wanted=9
    )
    assert changes["number"] == 1


async def test_a_file_from_before_the_feed_gets_items_and_a_feed(file: Path) -> None:
    with closing(sqlite3.connect(file)) as opened:
        read = "select item, labels from server_version order by id"
        items = opened.execute(read).fetchall()
    later = [step.name for step in status(sqlite_url(file)) if step.name >= "0009"]
    rollback(sqlite_url(file), len(later))
    apply(sqlite_url(file))
    with closing(sqlite3.connect(file)) as opened:
        assert opened.execute(read).fetchall() == items
        assert value(opened) == 1
        kinds = opened.execute("select kind from change").fetchall()
        assert sorted(kinds) == [("server",), ("version",), ("version",)]
