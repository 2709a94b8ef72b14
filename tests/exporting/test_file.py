"""`mcps export-sqlite`: everything in one file that MCPS serves, and the way back."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.app import create_app
from service.copying import TABLES, copy_catalog, sums
from service.errors import Conflict
from service.file_copy import copy_from_file
from service.keys import create_key
from service.models_search import DIMENSIONS
from service.settings import Settings, read_settings
from service.store.base import Store
from service.store.locate import make_store
from service.store.sqlite_file import sqlite_url
from service.vectors import put_embedding
from tests.by_hand import put
from tests.conftest import ROOT, TEMPLATE, RunMcps, execute, server_url
from tests.registry.conftest import item, load, page, serial_of, whole
from tests.registry.test_changes import Mirror, everything
from tests.waiting import until
from tests.web.rows import add_children

ODD = 'Ä "quoted" \\ back\tslash \x01 日本 \U0001f600 </script> \x7f'
# Made by the database from what is copied, or of the one database alone.
DERIVED = {
    *("serial", "change_set", "change", "migration_checksum", "yoyo_lock"),
    *("server_search", "server_path", "tool_search", "search_word", "server_label"),
    "server_version_remote",
    *("load_server", "load_version", "search_stop_word", "server_count"),
    *("import_run", "import_progress", "import_note", "import_moved"),
    # Repeated to those who ask again within a day.
    "kept_answer",
}


def silent(_table: str, _done: int, _total: int) -> None:
    """Nobody watches."""


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    store = make_store(read_settings({}), url)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def filled(store: Store, database: Any) -> str:
    """Rows in every table, with values that are easily lost; gives the key of one."""
    await load(
        store,
        item("io.a/one", title=ODD, description=ODD),
        item("io.a/one", "0.9.0", status="deprecated", statusMessage=ODD),
        item("io.b/two", status="deleted", weight=1.0, deep=[{"n": 1e5}, None]),
    )
    bare = {"name": ODD, "primary_url": "https://example.org/bare", "stars": 2**62}
    nested = '[{"a": [true, "x"], "bb": 1.5}, true, null, 2]'
    words = {"keywords": '["a", "b\\"", "ü"]', "categories": nested}
    said = {"field_sources": '{"title": "api", "name": "registry"}'}
    await put(database, "server", [bare | words | said])
    number = await database.fetchval("select max(id) from server")
    await add_children(database, number, 3)
    tool = await database.fetchval("select min(id) from tool")
    numbers = [0.1 * n - 70 for n in range(DIMENSIONS - 2)] + [1e-38, 3e38]
    await put_embedding(store, tool, "model", numbers)
    seen = {"source": ODD, "kind": "shell", "file": ODD, "line": 2**40, "detail": ODD}
    await put(database, "risk", [{"server_id": number, **seen}])
    job = {"url": ODD, "status": "done", "source": ODD, "target": ODD}
    await put(database, "processing_log", [job])
    await put(database, "source", [{"name": ODD}])
    return (await create_key(store, name="Ä 日本", role="editor")).key


@pytest.fixture
async def other_url() -> AsyncIterator[str]:
    """An empty catalog in another PostgreSQL database."""
    name = f"test_{uuid.uuid4().hex}"
    await execute("postgres", f"create database {name} template {TEMPLATE}")
    yield server_url(name)
    await execute("postgres", f"drop database {name} with (force)")


async def test_a_copy_and_the_copy_of_it_have_equal_sums(
    filled: str, store: Store, run_mcps: RunMcps, tmp_path: Path, other_url: str
) -> None:
    done = run_mcps("export-sqlite", "copy.db")
    assert done.returncode == 0, done.stderr
    ours = await sums(store)
    assert all(each.rows for each in ours)
    file, plain = tmp_path / "copy.db", read_settings({})
    async with opened(sqlite_url(file)) as copy:
        assert await sums(copy) == ours
    before = file.read_bytes()
    back = {"DATABASE_URL": other_url}
    done = run_mcps("import-sqlite", "copy.db", env=back)
    assert done.returncode == 0, done.stderr
    async with opened(other_url) as again:
        assert await sums(again) == ours
        with pytest.raises(Conflict, match="empty"):
            await copy_from_file(again, plain, file, listener=silent)
    done = run_mcps("import-sqlite", "copy.db", "--dry-run", env=back)
    assert done.returncode == 2
    assert "copied as it is" in done.stderr
    assert file.read_bytes() == before


async def test_the_copy_serves_the_same_answers(
    filled: str,
    store: Store,
    settings: Settings,
    client: httpx.AsyncClient,
    run_mcps: RunMcps,
    tmp_path: Path,
) -> None:
    assert run_mcps("export-sqlite", "copy.db").returncode == 0
    async with opened(sqlite_url(tmp_path / "copy.db")) as copy:
        app: Any = create_app(settings, copy)
        transport = httpx.ASGITransport(app=app)
        base = "http://catalog.test"
        async with httpx.AsyncClient(transport=transport, base_url=base) as other:
            for path in (
                *("/servers?sort=name", "/servers/1", "/servers/3", "/tools"),
                *(f"/servers/3/{kind}" for kind in ("releases", "versions")),
                *("/v0.1/servers?include_deleted=true", "/v0/servers?search=one"),
                "/v0.1/servers/io.a%2Fone/versions",
            ):
                ours, theirs = await client.get(path), await other.get(path)
                assert (theirs.status_code, theirs.content) == (200, ours.content), path
            key = {"X-API-Key": filled}
            body = {"name": "new", "primary_url": "https://example.org/new"}
            added = await other.post("/servers", json=body, headers=key)
            assert added.status_code == 201
            assert added.json()["id"] == 4


async def test_a_mirror_of_the_one_may_follow_the_other(
    store: Store,
    settings: Settings,
    client: httpx.AsyncClient,
    run_mcps: RunMcps,
    tmp_path: Path,
) -> None:
    for at in range(5):
        await load(store, item(f"io.a/n{at}"))
    mirror = Mirror()
    await mirror.follow(client)
    await load(store, item("io.a/late"))
    assert run_mcps("export-sqlite", "copy.db").returncode == 0
    async with opened(sqlite_url(tmp_path / "copy.db")) as copy:
        app: Any = create_app(settings, copy)
        transport = httpx.ASGITransport(app=app)
        base = "http://catalog.test"
        async with httpx.AsyncClient(transport=transport, base_url=base) as other:
            assert await serial_of(other) > await serial_of(client)
            await mirror.follow(other)
            assert mirror.entries == await everything(other)
            assert len(await whole(other)) == 6
            assert (await page(other, search="late"))["metadata"]["count"] == 1


async def test_ids_go_on_after_those_that_came(
    filled: str, store: Store, other_url: str
) -> None:
    async with opened(other_url) as other:
        await copy_catalog(store, other, silent)
        report = await load(other, item("io.c/new"))
        assert report.servers_new == 1
        await create_key(other, name="new", role="reader")
        assert [each.rows for each in await sums(other)][:2] == [4, 7]


async def test_the_file_is_its_owners_and_nobody_elses(
    run_mcps: RunMcps, tmp_path: Path
) -> None:
    assert run_mcps("export-sqlite", "copy.db").returncode == 0
    copy = tmp_path / "copy.db"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    others = {path.name for path in tmp_path.iterdir() if "copy" in path.name}
    assert others == {"copy.db"}


async def test_what_is_there_or_in_use_stays(
    run_mcps: RunMcps, tmp_path: Path, database_url: str
) -> None:
    copy = tmp_path / "copy.db"
    copy.write_text("mine")
    refused = run_mcps("export-sqlite", "copy.db")
    assert (refused.returncode, copy.read_text()) == (2, "mine")
    assert "--force" in refused.stderr
    assert run_mcps("export-sqlite", "--force", "copy.db").returncode == 0
    with closing(sqlite3.connect(copy)) as reader:
        reader.execute("select count(*) from server").fetchall()
        before = copy.read_bytes()
        for target in ("copy.db", str(copy), f"{tmp_path}/../{tmp_path.name}/copy.db"):
            refused = run_mcps("export-sqlite", "--force", target)
            assert refused.returncode == 2
            assert "in use" in refused.stderr
        assert copy.read_bytes() == before
    own = run_mcps(
        "export-sqlite", "--force", "copy.db", env={"DATABASE_URL": sqlite_url(copy)}
    )
    assert (own.returncode, "in use" in own.stderr) == (2, True)
    assert run_mcps("export-sqlite", "none/copy.db").returncode == 2


def test_a_file_whose_name_is_no_utf_8_is_written_and_served(
    run_mcps: RunMcps, tmp_path: Path
) -> None:
    name = os.fsdecode(b"k\xe4.db")
    assert run_mcps("export-sqlite", name).returncode == 0
    for env in (
        {"DATABASE_URL": f"sqlite:///{tmp_path}/k%E4.db"},
        {"DATABASE_URL": "", "USE_SQLITE": "true", "DATABASE_PATH": name},
    ):
        done = run_mcps("check", env=env)
        assert done.returncode == 0, done.stderr
    again = run_mcps("import-sqlite", name)
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize("command", ["export", "export-sqlite"])
def test_what_is_no_file_is_never_replaced(
    run_mcps: RunMcps, tmp_path: Path, command: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for name in ("pipe", "link"):
        refused = run_mcps(command, "--force", name)
        assert (refused.returncode, "is not a file" in refused.stderr) == (2, True)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_copy_that_is_stopped_leaves_nothing(
    store: Store, database_url: str, tmp_path: Path, number: int
) -> None:
    await load(store, *(item(f"io.a/n{at}") for at in range(3000)))
    process = start(database_url, tmp_path)

    async def has_begun() -> bool:
        return any(path.suffix == f".{process.pid}" for path in drafts(tmp_path))

    await until(has_begun, limit_s=30)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode in {75, 143}
    assert b"Traceback" not in said
    assert drafts(tmp_path) == []


def start(database_url: str, folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "service", "export-sqlite", "copy.db"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "DATABASE_URL": database_url},
        cwd=folder,
        stderr=subprocess.PIPE,
    )


def drafts(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if "copy.db" in path.name]


@pytest.mark.postgresql
async def test_what_stays_behind_is_said(database: Any, run_mcps: RunMcps) -> None:
    done = run_mcps("export-sqlite", "copy.db")
    assert "legacy" not in done.stderr
    await database.execute("create schema legacy")
    await database.execute("create table legacy.sociallink (id bigint primary key)")
    done = run_mcps("export-sqlite", "copy.db", "--force")
    assert done.returncode == 0, done.stderr
    assert "1 tables of the schema `legacy`" in done.stderr


async def test_every_table_is_copied_or_made_of_what_is(
    database: Any, dialect: str
) -> None:
    listed = (
        "select name from sqlite_schema "
        "where type = 'table' and name not like 'sqlite%'"
        if dialect == "sqlite"
        else "select relname as name from pg_class where relkind in ('r', 'p') "
        "and relnamespace = 'public'::regnamespace"
    )
    rows = await database.fetch(listed)
    names = {
        row["name"] for row in rows if not row["name"].startswith(("_yoyo", "yoyo"))
    }
    texts = ("server_search_", "tool_search_", "server_word", "tool_word")
    names = {name for name in names if not name.startswith(texts)}
    assert names - DERIVED == set(TABLES)
