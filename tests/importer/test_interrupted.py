"""An import that is killed, stopped, cut off or watched."""

import asyncio
import random
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ops.benchmarks.earlier import make_file
from service.settings import Settings
from service.store.base import Store
from service.store.locate import make_store
from service.store.migrate import apply
from tests.cluster import Cluster
from tests.conftest import ROOT
from tests.importer.conftest import AT, Earlier, content, take, unwritten
from tests.waiting import until

SERVERS = 400
LIMIT_S = 120.0
RSS_LIMIT_KB = 150_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of some thousand rows."""
    file = tmp_path_factory.mktemp("earlier") / "a large file.db"
    make_file(file, SERVERS)
    return file


def start(url: str, file: Path, folder: Path) -> "subprocess.Popen[bytes]":
    """The real command in a process of its own, in small batches."""
    code = (
        "import sys; from service.importer import source; source.BATCH_ROWS = 100;"
        "from service.cli import main; main()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, "import-sqlite", str(file)],
        env={
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": url,
            "ENVIRONMENT": "development",
        },
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def kill(running: "subprocess.Popen[bytes]") -> None:
    running.kill()
    running.wait()
    if running.stderr:
        running.stderr.close()


async def written(database: Any) -> int:
    """How many rows an unfinished import has noted."""
    return int(
        await database.fetchval("select coalesce(sum(written), 0) from import_progress")
    )


async def undisturbed(store: Store, database: Any, file: Path) -> list[str]:
    """What an import without trouble leaves; the database is empty again afterwards."""
    await take(store, file)
    state = await content(database)
    await database.execute(
        "truncate server, processing_log, import_run, import_moved cascade;"
        " drop schema legacy cascade"
    )
    return state


async def killed_somewhere(
    store: Store, database: Any, database_url: str, file: Path, folder: Path, seed: int
) -> None:
    """Kill it between two rows of the file, and let it go on."""
    dice = random.Random(seed)
    point = dice.randrange(1, 5900)
    running = start(database_url, file, folder)

    async def is_there() -> bool:
        return running.poll() is not None or await written(database) >= point

    try:
        await until(is_there, limit_s=LIMIT_S)
    finally:
        kill(running)
    await until(lambda: nobody_writes(database))
    stored = await written(database)
    taken = await take(store, file)
    assert taken.report.is_resumed or not stored
    assert unwritten(taken) is (running.returncode == 0)


async def nobody_writes(database: Any) -> bool:
    return not await database.fetchval(
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and state <> 'idle' and pid <> pg_backend_pid()"
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_killed_and_run_again_it_ends_in_the_same_state(
    store: Store,
    database: Any,
    database_url: str,
    large: Path,
    tmp_path: Path,
    seed: int,
) -> None:
    wanted = await undisturbed(store, database, large)
    await killed_somewhere(store, database, database_url, large, tmp_path, seed)
    assert await content(database) == wanted


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10, 40))
async def test_killed_at_thirty_points_it_ends_in_the_same_state(
    store: Store,
    database: Any,
    database_url: str,
    large: Path,
    tmp_path: Path,
    seed: int,
) -> None:
    wanted = await undisturbed(store, database, large)
    await killed_somewhere(store, database, database_url, large, tmp_path, seed)
    assert await content(database) == wanted


async def test_what_is_stored_is_not_sent_again(
    store: Store, database: Any, database_url: str, large: Path, tmp_path: Path
) -> None:
    await database.execute(
        "create table sent (name text);"
        "create function sent() returns trigger language plpgsql as"
        " $$ begin insert into sent select 'x' from new_rows; return null; end $$;"
        "create trigger sent after insert on contributor"
        " referencing new table as new_rows for each statement execute function sent()"
    )
    running = start(database_url, large, tmp_path)
    sql = "select count(*) from contributor"
    await until(lambda: at_least(database, sql, 300), limit_s=LIMIT_S)
    kill(running)
    await until(lambda: nobody_writes(database))
    await take(store, large)
    rows = await database.fetchval(sql)
    assert await database.fetchval("select count(*) from sent") == rows


async def at_least(database: Any, sql: str, wanted: int) -> bool:
    return int(await database.fetchval(sql)) >= wanted


async def test_stopped_by_ctrl_c_it_ends_with_75_and_says_how_to_go_on(
    store: Store, database: Any, database_url: str, large: Path, tmp_path: Path
) -> None:
    running = start(database_url, large, tmp_path)
    await until(
        lambda: at_least(database, "select count(*) from server", 100), limit_s=LIMIT_S
    )
    running.send_signal(signal.SIGINT)
    _, said = await asyncio.to_thread(running.communicate, timeout=LIMIT_S)
    assert running.returncode == 75, said
    (line,) = (line for line in said.decode().splitlines() if "to go on: mcps" in line)
    assert str(large) in shlex.split(line)
    assert b"Traceback" not in said
    taken = await take(store, large)
    assert taken.report.is_resumed
    assert unwritten(await take(store, large))


async def test_nobody_ever_sees_half_a_batch(
    store: Store, database: Any, database_url: str, earlier: Earlier
) -> None:
    earlier.add("server", {"id": 1})
    earlier.add(
        "contributor", *({"id": id_, "server_id": 1} for id_ in range(1, 12_001))
    )
    seen: set[int] = set()
    done = asyncio.Event()

    async def watch() -> None:
        watcher = await asyncpg.connect(database_url)
        while not done.is_set():
            seen.add(await watcher.fetchval("select count(*) from contributor"))
            body = await watcher.fetchval("select contributors from server_count")
            seen.add(body or 0)
        await watcher.close()

    watching = asyncio.create_task(watch())
    await take(store, earlier.path)
    done.set()
    await watching
    assert seen <= {0, 5000, 10_000, 12_000}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    # Otherwise the last commits before a crash may be lost.
    with Cluster(settings={"synchronous_commit": "on"}) as started:
        apply(started.url())
        yield started


async def test_a_database_that_goes_away_is_waited_for(
    cluster: Cluster, settings: Settings, large: Path, tmp_path: Path
) -> None:
    running = start(cluster.url(), large, tmp_path)
    try:
        watcher = await asyncpg.connect(cluster.url())
        sql = "select count(*) from tool"
        await until(lambda: at_least(watcher, sql, 200), limit_s=LIMIT_S)
        await watcher.close()
        await asyncio.to_thread(cluster.stop, "immediate")
        lines = await asyncio.to_thread(_until_said, running, b"is away")
        assert lines
        await asyncio.to_thread(cluster.start)
        _, said = await asyncio.to_thread(running.communicate, timeout=LIMIT_S)
        assert running.returncode == 0, said
    finally:
        kill(running)
    store = make_store(settings, cluster.url())
    await store.open()
    try:
        assert unwritten(await take(store, large))
    finally:
        await store.close()


def _until_said(running: "subprocess.Popen[bytes]", words: bytes) -> bool:
    assert running.stderr
    return any(words in line for line in running.stderr)


async def test_a_file_that_is_written_to_is_imported_as_of_one_moment(
    store: Store, database: Any, earlier: Earlier
) -> None:
    earlier.run("pragma journal_mode = wal")
    earlier.add("server", *({"id": id_} for id_ in range(1, 51)))
    stop = threading.Event()
    commits = [0]

    def write() -> None:
        with closing(sqlite3.connect(earlier.path, timeout=30)) as file:
            id_ = 0
            while not stop.is_set():
                id_ += 1
                file.execute("begin immediate")
                for table in ("contributor", "prompt"):
                    name = "username" if table == "contributor" else "name"
                    extra = ", platform, commits" if table == "contributor" else ""
                    marks = ", 'p', 1" if extra else ""
                    file.execute(
                        f"insert into {table} (created_at, updated_at, id, server_id,"
                        f" {name}{extra}) values ('{AT}', '{AT}', {id_}, 1, 'n'{marks})"
                    )
                file.commit()
                commits[0] = id_

    writing = threading.Thread(target=write)
    writing.start()
    try:
        await until(lambda: commits[0] > 20)
        taken = await take(store, earlier.path)
        during = commits[0]
        await until(lambda: commits[0] > during)
    finally:
        stop.set()
        writing.join()
    pairs = taken.counts("contributor")[0]
    assert pairs == taken.counts("prompt")[0] >= 20
    assert await database.fetchval("select count(*) from contributor") == pairs
    log = earlier.path.with_name("earlier.db-wal")
    assert log.exists() or commits[0]


async def test_a_file_with_a_log_beside_it_is_read_with_it(
    store: Store, earlier: Earlier, tmp_path: Path
) -> None:
    earlier.run("pragma journal_mode = wal")
    with closing(sqlite3.connect(earlier.path)) as file:
        file.execute("select count(*) from server").fetchone()
        earlier.add("server", {"id": 1}, {"id": 2})
        copy = tmp_path / "copy.db"
        for ending in ("", "-wal"):
            place = earlier.path.with_name(f"earlier.db{ending}")
            copy.with_name(f"copy.db{ending}").write_bytes(place.read_bytes())
    log = copy.with_name("copy.db-wal")
    before = copy.read_bytes(), log.read_bytes()
    assert before[1]
    taken = await take(store, copy)
    assert taken.counts("server")[0] == 2
    assert (copy.read_bytes(), log.read_bytes()) == before


def test_memory_does_not_grow_with_the_file(
    database_url: str, tmp_path: Path, earlier: Earlier
) -> None:
    earlier.fill(2)
    earlier.add(
        "server",
        *({"id": 100 + n, "readme_content": "x" * 300_000} for n in range(400)),
        {"id": 999, "readme_content": "y" * 10_000_000},
    )
    code = (
        "from service.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "finally: print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "import-sqlite", str(earlier.path)],
        env={"PYTHONPATH": str(ROOT), "DATABASE_URL": database_url,
             "ENVIRONMENT": "development"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < RSS_LIMIT_KB


def test_progress_is_said_in_lines_where_nobody_watches(
    database_url: str, large: Path, tmp_path: Path
) -> None:
    code = (
        "from service.cli import progress; progress.LINE_EVERY_S = 0.0;"
        "from service.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "import-sqlite", str(large)],
        env={"PYTHONPATH": str(ROOT), "DATABASE_URL": database_url,
             "ENVIRONMENT": "development"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"server: 400 of 400, [\d,]+/s", done.stderr)
