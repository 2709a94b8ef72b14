"""Kept answers and the serial: never older than promised, whoever wrote."""

import asyncio
import math
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from service.app import create_app
from service.settings import Settings
from service.store.locate import make_store
from service.store.serial import SURE_FOR_S
from tests.lab.process import serving
from tests.waiting import until

SEED = 4
STEPS = 400
CHANGE = "update server set stars = stars + 1"
LISTENERS = (
    "select count(pg_terminate_backend(pid)) from pg_stat_activity"
    " where datname = current_database() and application_name = 'mcps'"
    " and query ~* '^listen|from serial$'"
)
ADD = "insert into server (name, primary_url) values ('one', 'https://example.org/1')"


@asynccontextmanager
async def process(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application with a store and a memory of its own."""
    kept = msgspec.structs.replace(settings, cache_max_bytes=1 << 20)
    store = make_store(kept)
    await store.open()
    transport = httpx.ASGITransport(app=create_app(kept, store))  # type: ignore[arg-type]
    base = "http://catalog.test"
    async with httpx.AsyncClient(transport=transport, base_url=base) as client:
        yield client
    await store.close()


@pytest.fixture
async def readers(settings: Settings) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Clients of two processes."""
    async with process(settings) as one, process(settings) as two:
        yield [one, two]


@pytest.fixture
async def processes(
    database_url: str, tmp_path: Path
) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Clients of two services that run by themselves."""
    async with AsyncExitStack() as stack:
        clients = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            service = await stack.enter_async_context(
                serving(tmp_path / name, DATABASE_URL=database_url)
            )
            await service.until_ready()
            base = f"http://127.0.0.1:{service.port}"
            client = httpx.AsyncClient(base_url=base, timeout=10)
            clients.append(await stack.enter_async_context(client))
        yield clients


def stars(answer: httpx.Response) -> int:
    assert answer.status_code == 200, answer.text
    return int(answer.json()[0]["stars"])


async def is_hit(client: httpx.AsyncClient) -> bool:
    return (await client.get("/servers")).headers["cache-status"] == "mcps; hit"


async def test_a_change_by_hand_is_heard_of(
    readers: list[httpx.AsyncClient], database: Any
) -> None:
    await database.execute(ADD)
    for reader in readers:
        await until(lambda reader=reader: is_hit(reader))  # type: ignore[misc]
    await database.execute(CHANGE)
    for reader in readers:

        async def is_new(reader: httpx.AsyncClient = reader) -> bool:
            return stars(await reader.get("/servers")) == 1

        await until(is_new, limit_s=SURE_FOR_S)


@pytest.mark.postgresql
async def test_without_notifications_every_read_asks_for_the_serial(
    settings: Settings, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(connection: Any, *_: object) -> None:
        connection.terminate()
        raise OSError

    monkeypatch.setattr("service.store.postgres.SerialSession.listening", nothing)
    await database.execute(ADD)
    async with process(settings) as reader:
        await until(lambda: is_hit(reader))
        for number in range(1, 20):
            await database.execute(CHANGE)
            assert stars(await reader.get("/servers")) == number
            assert await is_hit(reader)


@pytest.mark.postgresql
async def test_a_catalog_that_went_back_in_time_is_read_anew(
    readers: list[httpx.AsyncClient], database: Any
) -> None:
    await database.execute(ADD)
    await database.execute(CHANGE)
    reader = readers[0]
    await until(lambda: is_hit(reader))
    # As after a restore from a backup: an older state, and an older serial.
    await database.execute("alter table server disable trigger user")
    await database.execute("update server set stars = 0, doc = replace(doc, '1', '0')")
    await database.execute("update serial set value = value - 1")

    async def is_back() -> bool:
        return stars(await reader.get("/servers")) == 0

    await until(is_back, limit_s=2 * SURE_FOR_S)


async def test_no_answer_is_older_than_promised_and_none_goes_back(
    processes: list[httpx.AsyncClient],
    database: Any,
    admin: dict[str, str],
    dialect: str,
) -> None:
    dice = random.Random(SEED)
    await database.execute(ADD)
    now = asyncio.get_running_loop().time
    written = [(-math.inf, 0)]
    seen = [0, 0]
    value = killed = 0
    for _ in range(STEPS):
        step = dice.random()
        if step < 0.02:
            if dialect == "postgresql":
                killed += await database.fetchval(LISTENERS)
        elif step < 0.2:
            value += 1
            await database.execute("update server set stars = $1", value)
            written.append((now(), value))
        elif step < 0.3:
            value += 1
            writer = dice.randrange(2)
            body = {"stars": value}
            edited = await processes[writer].patch(
                "/servers/1", json=body, headers=admin
            )
            assert edited.status_code == 200, edited.text
            written.append((now(), value))
            assert stars(await processes[writer].get("/servers")) == value
            seen[writer] = value
        at = dice.randrange(2)
        began_at = now()
        found = stars(await processes[at].get("/servers"))
        assert found >= seen[at], "a version went back"
        seen[at] = found
        due = max(number for when, number in written if when < began_at - SURE_FOR_S)
        assert found >= due, "older than promised"
        await asyncio.sleep(dice.random() * 0.02)
    assert (killed > 0) == (dialect == "postgresql")
