"""Runs that are killed, that meet, and that find a file changed."""

import asyncio
import signal
import subprocess
import time
from pathlib import Path

import asyncpg
import httpx
import pytest

from service import errors
from service.settings import Settings
from service.store import migrate
from service.store.postgres import PostgresStore
from service.store.steps import Step
from tests.conftest import execute
from tests.migrations.conftest import StartRun, add_slow, schema_of, values

LIMIT_S = 60
KILL_POINTS = 10


def read_until(run: "subprocess.Popen[str]", text: str) -> list[str]:
    """The lines of a run up to the one that holds the text."""
    assert run.stdout is not None
    lines = []
    for line in run.stdout:
        lines.append(line)
        if text in line:
            return lines
    message = f"no {text!r} in {lines}"
    raise AssertionError(message)


def kill(run: "subprocess.Popen[str]") -> bool:
    """Kill -9; whether the run was still alive."""
    run.kill()
    run.communicate(timeout=LIMIT_S)
    return run.returncode == -signal.SIGKILL


async def wait_for(url: str, sql: str) -> None:
    """Until a question about a database is answered with yes."""
    limit_at = time.monotonic() + LIMIT_S
    while not (await values(url, sql))[0]:
        assert time.monotonic() < limit_at, sql
        await asyncio.sleep(0.02)


async def log_of(url: str) -> list[str]:
    """Which migrations yoyo logged as applied."""
    sql = "select migration_id from _yoyo_log where operation = 'apply' order by 1"
    return await values(url, sql)


async def fresh(url: str) -> None:
    name = url.rsplit("/", 1)[1]
    await execute(
        "postgres",
        f"drop database if exists {name} with (force)",
        f"create database {name}",
    )


def timed(start: StartRun, url: str, folder: Path, ready: str) -> float:
    """How long a whole run takes from its first line on."""
    run = start(url, folder)
    if ready:
        read_until(run, ready)
    began_at = time.perf_counter()
    printed, _ = run.communicate(timeout=LIMIT_S)
    assert run.returncode == 0, printed
    return time.perf_counter() - began_at


@pytest.mark.slow
@pytest.mark.parametrize("program", ["mcps", "yoyo"])
async def test_the_next_run_completes_after_a_kill_at_any_point(
    program: str,
    empty_url: str,
    slow_folder: Path,
    start_run: StartRun,
    start_yoyo: StartRun,
) -> None:
    start = start_run if program == "mcps" else start_yoyo
    ready = "ready" if program == "mcps" else ""
    whole_s = await asyncio.to_thread(timed, start, empty_url, slow_folder, ready)
    expected = await schema_of(empty_url)
    killed = 0
    for point in range(KILL_POINTS):
        await fresh(empty_url)
        run = start(empty_url, slow_folder)
        if ready:
            await asyncio.to_thread(read_until, run, ready)
        await asyncio.sleep(whole_s * point / KILL_POINTS)
        killed += kill(run)
        await asyncio.to_thread(migrate.apply, empty_url, folder=slow_folder)
        assert await schema_of(empty_url) == expected, f"point {point}"
        steps = await asyncio.to_thread(migrate.status, empty_url, folder=slow_folder)
        assert {step.state for step in steps} == {"applied"}
    assert killed >= KILL_POINTS * 2 // 3


async def test_a_kill_inside_a_statement_frees_the_lock_by_itself(
    empty_url: str, folder: Path, start_run: StartRun
) -> None:
    name = add_slow(folder, 600)
    run = start_run(empty_url, folder)
    sleeping = (
        "select exists (select from pg_stat_activity where datname = current_database()"
        " and wait_event = 'PgSleep')"
    )
    await wait_for(empty_url, sleeping)
    assert kill(run)
    (folder / f"{name}.sql").unlink()
    (folder / f"{name}.rollback.sql").unlink()
    add_slow(folder, 0)
    lines: list[str] = []
    began_at = time.perf_counter()
    applied = await asyncio.to_thread(
        migrate.apply, empty_url, folder=folder, say=lines.append
    )
    assert applied == [name]
    assert lines[0].startswith("Another migration is running (session ")
    assert time.perf_counter() - began_at < 10


@pytest.mark.slow
async def test_of_two_runs_at_once_one_works_and_one_waits(
    empty_url: str, folder: Path, start_run: StartRun
) -> None:
    name = add_slow(folder, 1.5)
    runs = [start_run(empty_url, folder) for _ in range(2)]
    printed = [
        (await asyncio.to_thread(run.communicate, timeout=LIMIT_S))[0] for run in runs
    ]
    assert [run.returncode for run in runs] == [0, 0], printed
    waited = [text for text in printed if "Another migration is running" in text]
    assert len(waited) == 1
    assert "applied in" not in waited[0]
    log = await log_of(empty_url)
    assert name in log
    assert len(log) == len(set(log))


@pytest.mark.slow
async def test_a_live_yoyo_run_is_waited_for(
    empty_url: str, folder: Path, start_yoyo: StartRun
) -> None:
    add_slow(folder, 1.5)
    run = start_yoyo(empty_url, folder)
    locked = "select to_regclass('yoyo_lock') is not null"
    await wait_for(empty_url, locked)
    await wait_for(empty_url, "select exists (select from yoyo_lock)")
    lines: list[str] = []
    applied = await asyncio.to_thread(
        migrate.apply, empty_url, folder=folder, say=lines.append
    )
    printed, _ = await asyncio.to_thread(run.communicate, timeout=LIMIT_S)
    assert run.returncode == 0, printed
    assert applied == []
    assert lines[0].startswith("Another migration is running")
    log = await log_of(empty_url)
    assert len(log) == len(set(log))


async def test_the_wait_for_another_run_ends_with_one_line(database_url: str) -> None:
    holder = await asyncpg.connect(database_url)
    await holder.execute("select pg_advisory_lock(hashtextextended('mcps migrate', 0))")
    pid = holder.get_server_pid()
    with pytest.raises(errors.LockTimeout) as caught:
        await asyncio.to_thread(migrate.apply, database_url, wait_s=0.3)
    await holder.close()
    assert f"another migration is still running (session {pid} " in str(caught.value)
    assert migrate.WAIT_LIMIT_S == 60


async def test_the_lock_row_of_a_killed_yoyo_is_removed(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "insert into yoyo_lock (locked, ctime, pid)"
        " values (1, (now() - interval '1 hour') at time zone 'utc', 4711)"
    )
    assert await asyncio.to_thread(migrate.apply, database_url) == []
    assert await connection.fetchval("select count(*) from yoyo_lock") == 0
    await connection.close()


async def test_a_table_that_is_held_stops_the_migration_in_time(
    database_url: str, folder: Path
) -> None:
    (folder / "9999.blocked.sql").write_text(
        "set local lock_timeout = '50ms';\nalter table server add column x int;\n"
    )
    holder = await asyncpg.connect(database_url)
    async with holder.transaction():
        await holder.execute("lock table server")
        with pytest.raises(errors.LockTimeout, match=r"9999\.blocked: another session"):
            await asyncio.to_thread(migrate.apply, database_url, folder=folder)
    await holder.close()
    applied = await asyncio.to_thread(migrate.apply, database_url, folder=folder)
    assert applied == ["9999.blocked"]


@pytest.mark.parametrize("program", ["mcps", "yoyo"])
async def test_an_edited_file_is_named_and_nothing_is_applied(
    program: str, empty_url: str, folder: Path, start_yoyo: StartRun
) -> None:
    if program == "yoyo":
        run = start_yoyo(empty_url, folder)
        await asyncio.to_thread(run.communicate, timeout=LIMIT_S)
    await asyncio.to_thread(migrate.apply, empty_url, folder=folder)
    edited = folder / "0003.children.sql"
    edited.write_text(edited.read_text("utf-8") + "-- one more\n", "utf-8")
    add_slow(folder, 0)
    with pytest.raises(errors.MigrationFailed) as caught:
        await asyncio.to_thread(migrate.apply, empty_url, folder=folder)
    assert str(caught.value).startswith("0003.children.sql was changed after it was")
    assert "new migration" in str(caught.value)
    steps = await asyncio.to_thread(migrate.status, empty_url, folder=folder)
    assert [s.name for s in steps if s.state == "edited"] == ["0003.children"]
    assert [s.name for s in steps if s.state == "pending"] == ["9999.slow"]


async def test_other_line_ends_are_no_edit(empty_url: str, folder: Path) -> None:
    await asyncio.to_thread(migrate.apply, empty_url, folder=folder)
    for path in folder.glob("*.sql"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert await asyncio.to_thread(migrate.apply, empty_url, folder=folder) == []


async def test_a_newer_schema_is_left_alone(empty_url: str, folder: Path) -> None:
    name = add_slow(folder, 0)
    await asyncio.to_thread(migrate.apply, empty_url, folder=folder)
    assert await asyncio.to_thread(migrate.apply, empty_url) == []
    steps = await asyncio.to_thread(migrate.status, empty_url)
    assert steps[-1] == Step(name, "unknown", steps[-1].applied_at)
    with pytest.raises(errors.MigrationFailed, match=f"{name} has no file here"):
        await asyncio.to_thread(migrate.rollback, empty_url, 1)


async def test_more_than_is_applied_cannot_be_rolled_back(database_url: str) -> None:
    count = len(await asyncio.to_thread(migrate.status, database_url))
    said = f"only {count} migrations are applied, {count + 1} were asked for"
    with pytest.raises(errors.MigrationFailed, match=said):
        await asyncio.to_thread(migrate.rollback, database_url, count + 1)


async def test_status_changes_nothing(empty_url: str) -> None:
    steps = await asyncio.to_thread(migrate.status, empty_url)
    assert {step.state for step in steps} == {"pending"}
    tables = "select count(*) from pg_class where relnamespace = 'public'::regnamespace"
    assert await values(empty_url, tables) == [0]


async def test_a_process_that_needs_a_newer_schema_says_so(
    store: PostgresStore, database_url: str
) -> None:
    assert (await store.health()).healthy
    await asyncio.to_thread(migrate.rollback, database_url, 1)
    again = PostgresStore(store._settings, database_url)
    await again.open()
    health = await again.health()
    await again.close()
    assert not health.healthy
    assert "mcps migrate" in health.detail
    assert health.schema_version < health.schema_needed


async def test_an_empty_database_is_unready_and_says_why(
    settings: Settings, empty_url: str
) -> None:
    store = PostgresStore(settings, empty_url)
    await store.open()
    health = await store.health()
    await store.close()
    assert not health.healthy
    assert health.detail == "migrations are missing: run `mcps migrate`"


async def test_readiness_ends_with_the_schema_and_comes_back(
    client: httpx.AsyncClient, database_url: str
) -> None:
    assert (await client.get("/health/db")).status_code == 200
    await asyncio.to_thread(migrate.rollback, database_url, 1)
    refused = await status_within(client, 503)
    assert "mcps migrate" in refused.text
    await asyncio.to_thread(migrate.apply, database_url)
    await status_within(client, 200)


async def status_within(client: httpx.AsyncClient, wanted: int) -> httpx.Response:
    limit_at = time.monotonic() + 10
    while (answer := await client.get("/health/db")).status_code != wanted:
        assert time.monotonic() < limit_at, answer.text
        await asyncio.sleep(0.1)
    return answer


async def test_a_process_serves_a_newer_schema(
    store: PostgresStore, database_url: str, folder: Path
) -> None:
    name = add_slow(folder, 0)
    await asyncio.to_thread(migrate.apply, database_url, folder=folder)
    await store.verify()
    again = PostgresStore(store._settings, database_url)
    await again.open()
    health = await again.health()
    await again.close()
    assert health.healthy
    assert health.schema_version == name
