"""What only a file can do: be of another program, damaged, shared, killed under."""

import asyncio
import gzip
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from service import errors
from service.settings import Settings, read_settings
from service.store.base import Value
from service.store.locate import located, make_store
from service.store.locate import opened as opened_store
from service.store.migrate import apply, rollback, status
from service.store.sqlite import SqliteStore
from service.store.sqlite_file import sqlite_url
from tests.conftest import ADMIN_KEY, ROOT, RunMcps
from tests.waiting import until

HEADERS = {"X-API-Key": ADMIN_KEY}
KEY: dict[str, Value] = {
    "prefix": "p",
    "secret_hash": bytes(32),
    "role": "admin",
    "name": "n",
}


@pytest.fixture
def file(sqlite_template: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "mcps.db"
    copy.write_bytes(sqlite_template.read_bytes())
    return copy


@asynccontextmanager
async def opened(file: Path, **variables: str) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(read_settings(variables), file)
    async with opened_store(store):
        yield store


def _earlier(path: Path) -> None:
    with closing(sqlite3.connect(path)) as made:
        for table in ("server", "tool", "toolembedding", "alembic_version"):
            made.execute(f"create table {table} (id integer)")


def _foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as made:
        made.execute("create table bookmark (id integer)")


def _torn(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[4096 * 3 : 4096 * 12] = b"\xff" * 4096 * 9
    path.write_bytes(whole)


def _text(path: Path) -> None:
    path.write_text("this is a note, not a catalog\n" * 50)


REFUSED = {
    "earlier": (_earlier, r"earlier MCPS.*`mcps import-sqlite "),
    "foreign": (_foreign, "belongs to another program: it has a table bookmark"),
    "torn": (_torn, "is damaged: restore it"),
    "text": (_text, "is not an SQLite database"),
}


@pytest.mark.parametrize("kind", REFUSED)
async def test_a_file_that_cannot_be_served_is_refused_and_left_alone(
    kind: str, sqlite_template: Path, tmp_path: Path
) -> None:
    spoil, said = REFUSED[kind]
    path = tmp_path / "brought.db"
    if kind == "torn":
        path.write_bytes(sqlite_template.read_bytes())
    spoil(path)
    before = path.read_bytes()
    for attempt in (
        SqliteStore(read_settings({}), path).open,
        lambda: asyncio.to_thread(apply, sqlite_url(path)),
    ):
        with pytest.raises(errors.RefusedFile, match=said) as refused:
            await attempt()
        assert "\n" not in refused.value.message
    assert path.read_bytes() == before


async def test_a_file_of_the_earlier_mcps_is_told_how_to_move(
    shared_data: Path, tmp_path: Path, run_mcps: RunMcps
) -> None:
    path = tmp_path / "old.db"
    packed = shared_data / "sqlite" / "mcps-300.db.gz"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    before = path.read_bytes()
    for command in ("migrate", "serve", "load", "check"):
        arguments = [command, "/dev/null"] if command == "load" else [command]
        done = run_mcps(*arguments, env={"DATABASE_URL": sqlite_url(path)})
        assert done.returncode in {1, 2}
        assert (
            f"mcps import-sqlite {path}"
            in (done.stdout + done.stderr).replace("\n", "")
            or command == "check"
        )
    assert path.read_bytes() == before


async def test_a_read_only_file_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)
    with pytest.raises(errors.RefusedFile, match="is read-only"):
        await SqliteStore(read_settings({}), file).open()


async def test_a_missing_file_is_not_made_by_serving(tmp_path: Path) -> None:
    missing = tmp_path / "none.db"
    with pytest.raises(errors.InvalidSettings, match="`mcps migrate` makes it"):
        await SqliteStore(read_settings({}), missing).open()
    assert not missing.exists()


async def test_who_is_stopped_while_it_opens_leaves_no_thread(file: Path) -> None:
    """A thread that is left keeps the process from ending."""

    async def use() -> None:
        async with opened_store(SqliteStore(Settings(), file)):
            await asyncio.Event().wait()

    async def are_gone() -> bool:
        return not any("connection" in thread.name for thread in threading.enumerate())

    for steps in range(0, 300, 20):
        opening = asyncio.create_task(use())
        for _ in range(steps):
            await asyncio.sleep(0)
        # A connection has begun by then, and the rest is under way.
        await asyncio.sleep(steps / 10_000)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await until(are_gone)


async def test_a_removed_file_takes_no_writes_and_still_answers(file: Path) -> None:
    async with opened(file) as store:
        await store.run("key_use", id=1)
        assert await store.value("session_ping") == 1
        file.rename(file.with_suffix(".gone"))
        assert await store.value("session_ping") == 1
        with pytest.raises(errors.DatabaseDown, match="removed or replaced"):
            await store.run("key_use", id=1)


@contextmanager
def held(file: Path) -> Iterator[None]:
    """Another process writes."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("begin immediate")
        yield
        other.execute("rollback")


async def test_a_write_waits_for_another_process_no_longer_than_asked(
    file: Path,
) -> None:
    async with opened(file, DB_POOL_TIMEOUT="0.3") as store:
        with held(file):
            assert await store.value("server_count", **NO_FILTERS) == 0
            began_at = time.monotonic()
            with pytest.raises(errors.LockTimeout):
                await store.run("key_use", id=1)
            assert 0.25 < time.monotonic() - began_at < 2
        await store.run("key_use", id=1)


NO_FILTERS = {
    "host_type": None,
    "risk_level": None,
    "verified_only": False,
    "category": None,
    "keyword": None,
    "min_stars": None,
    "updated_since": None,
}


async def test_a_statement_that_takes_too_long_is_interrupted(file: Path) -> None:
    async with opened(file, DB_STATEMENT_TIMEOUT="0.000001") as store:
        await store.value("session_ping")
        with pytest.raises(errors.DeadlineExceeded):
            await store.row(
                "search_word_near", word="kubernetes", edits=str([*range(200_000)])
            )


async def test_a_failed_transaction_leaves_nothing(file: Path) -> None:
    async with opened(file) as store:

        async def twice() -> None:
            async with store.transaction() as work:
                await work.row("key_put", **KEY, expires_at=None)
                await work.row("key_put", **KEY, expires_at=None)

        with pytest.raises(errors.Conflict):
            await twice()
        assert await store.rows("key_list") == []
        with pytest.raises(errors.InvalidInput):
            await store.row("key_put", **{**KEY, "role": "king"}, expires_at=None)


async def test_a_write_that_is_cancelled_in_the_middle_is_no_error(file: Path) -> None:
    times = ("created_at", "updated_at", "next_try_at")
    at = dict.fromkeys(times, "2026-01-31T12:00:00.000000Z")
    row = {"status": "done", "attempts": 0, **at}
    rows = json.dumps([{"id": n, "url": f"x:{n}", **row} for n in range(100_000)])
    async with opened(file) as store:

        async def write() -> None:
            async with store.transaction(timeout_s=60) as work:
                await work.run("copy_put_processing_log", rows=rows)

        for wait_s in (0.1, 0.15, 0.2):
            task = asyncio.create_task(write())
            await asyncio.sleep(wait_s)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await store.row("key_put", **KEY, expires_at=None)


async def test_a_cancelled_transaction_leaves_nothing_and_frees_the_writer(
    file: Path,
) -> None:
    async with opened(file) as store:

        async def write() -> None:
            async with store.transaction() as work:
                await work.row("key_put", **KEY, expires_at=None)
                await asyncio.sleep(60)

        task = asyncio.create_task(write())
        await until(lambda: asyncio.sleep(0, store.pool().checked_out == 1))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await store.rows("key_list") == []
        await store.row("key_put", **KEY, expires_at=None)
        assert len(await store.rows("key_list")) == 1


def test_migrations_go_back_and_forth(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "new" / "mcps.db")
    names = apply(url)
    assert apply(url) == []
    assert {step.state for step in status(url)} == {"applied"}
    rollback(url, len(names))
    assert {step.state for step in status(url)} == {"pending"}
    assert apply(url) == names


async def test_without_postgresql_a_file_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(_wanted: Path | None) -> None:
        message = "there is no PostgreSQL on this machine"
        raise errors.NotSupported(message)

    monkeypatch.setattr("service.store.locate.find_binaries", nothing)
    said: list[str] = []
    settings = read_settings({"DATA_DIR": str(tmp_path)})
    with located(settings, said.append) as found:
        assert found.url == sqlite_url(tmp_path / "mcps.db")
        assert make_store(settings, found.url).dialect == "sqlite"
    assert "SQLite" in said[0]
    (tmp_path / "postgres").mkdir()
    with pytest.raises(errors.NotSupported), located(settings, said.append):
        pass


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_url_without_a_file_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(errors.InvalidSettings, match="three slashes"):
        read_settings({"DATABASE_URL": url})


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///a/b.db", "a/b.db"),
        ("sqlite:////a/b.db", "/a/b.db"),
        ("sqlite+aiosqlite:///a%20b.db", "a b.db"),
    ],
)
def test_three_slashes_are_relative_and_four_absolute(url: str, path: str) -> None:
    settings: Settings = read_settings({"DATABASE_URL": url})
    assert settings.is_sqlite
    assert settings.sqlite_path == Path(path)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def served(file: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    environ = {
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": sqlite_url(file),
        "ENVIRONMENT": "development",
        "ADMIN_API_KEY": ADMIN_KEY,
        "LOG_LEVEL": "error",
    }
    process = subprocess.Popen(
        command, env={**os.environ, **environ}, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def is_up(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health/db")).status_code == 200
    except httpx.HTTPError:
        return False


async def write(client: httpx.AsyncClient, names: Iterator[str]) -> set[str]:
    """Add servers until the catalog is gone; gives the names that were confirmed."""
    confirmed = set()
    for name in names:
        body = {"name": name, "primary_url": f"https://example.org/{name}"}
        try:
            answer = await client.post("/servers", json=body)
        except httpx.HTTPError:
            break
        if answer.status_code == 201:
            confirmed.add(name)
    return confirmed


def stored(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
        return {name for (name,) in connection.execute("select name from server")}


def caller(port: int) -> httpx.AsyncClient:
    base = f"http://127.0.0.1:{port}"
    return httpx.AsyncClient(base_url=base, headers=HEADERS, timeout=10)


@pytest.mark.slow
async def test_two_processes_write_one_file(file: Path) -> None:
    ports = [free_port(), free_port()]
    with served(file, ports[0]), served(file, ports[1]):
        async with caller(ports[0]) as one, caller(ports[1]) as two:
            for client in (one, two):
                await until(partial(is_up, client), limit_s=30)
            writers = [
                write(client, iter([f"{letter}{n}" for n in range(60)]))
                for letter, client in zip("abcd", (one, two, one, two), strict=True)
            ]
            confirmed = set().union(*await asyncio.gather(*writers))
            listed = (await two.get("/servers?limit=100&count=true")).headers
    assert len(confirmed) == 240
    assert stored(file) == confirmed
    assert "240" in listed.values()


@pytest.mark.slow
async def test_twenty_kills_lose_nothing_that_was_confirmed(file: Path) -> None:
    confirmed: set[str] = set()
    for turn in range(20):
        port = free_port()
        with served(file, port) as process:
            async with caller(port) as client:
                await until(partial(is_up, client), limit_s=30)
                names = (f"t{turn}n{n}" for n in range(100_000))
                writing = asyncio.create_task(write(client, names))
                await asyncio.sleep(0.05 + turn * 0.01)
                process.send_signal(signal.SIGKILL)
                confirmed |= await writing
        assert confirmed <= stored(file)
    assert len(confirmed) > 20
