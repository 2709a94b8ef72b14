"""Each DB_* setting does what env.sample says, shown on a real server."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec
import pytest
from structlog.testing import capture_logs

from service import errors
from service.settings import read_settings
from service.store.locate import opened as opened_store
from service.store.postgres import PING_AFTER_S, PostgresStore
from service.store.queries import Query
from tests.conftest import execute
from tests.lab.proxy import Proxy
from tests.waiting import until

# asyncpg's pool, sessions of a server: all of it is PostgreSQL's alone.
pytestmark = pytest.mark.postgresql

BACKEND = Query(
    name="test_backend",
    sql="select pg_backend_pid() as pid",
    parameters=(),
    is_write=False,
    needs_vector=False,
)
SLEEP = Query(
    name="test_sleep",
    sql="select pg_sleep($1::double precision)::text",
    parameters=("seconds",),
    is_write=False,
    needs_vector=False,
)


@asynccontextmanager
async def opened(url: str, **variables: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(read_settings({"DATABASE_URL": url, **variables}), url)
    for query in (BACKEND, SLEEP):
        store._queries[query.name] = query
    async with opened_store(store):
        yield store


@asynccontextmanager
async def held(store: PostgresStore, count: int) -> AsyncIterator[None]:
    """Keep `count` connections busy in transactions."""
    async with AsyncExitStack() as stack:
        for _ in range(count):
            await stack.enter_async_context(store.transaction())
        yield


async def backend_of(store: PostgresStore) -> int:
    row = await store.row("test_backend")
    assert row is not None
    return int(row["pid"])


async def login_of(store: PostgresStore) -> int:
    """The number that the connection used last was given when it logged in.

    A pooler gives one of its own, and keeps the session behind it.
    """
    assert await store.value("session_ping") == 1
    return int(store._leases._free[-1].get_server_pid())


async def test_size_plus_overflow_is_the_most_that_exist(database_url: str) -> None:
    async with (
        opened(database_url, DB_POOL_SIZE="2", DB_MAX_OVERFLOW="1") as store,
        held(store, 3),
    ):
        began_at = time.monotonic()
        with pytest.raises(errors.PoolExhausted) as caught:
            await store.value("session_ping")
        assert 0.85 <= time.monotonic() - began_at <= 1.6
        assert caught.value.retry_after_s == 1
        assert store.pool().checked_out == 3
        assert store.pool().overflow == 1


async def test_a_freed_connection_serves_the_one_who_waits(database_url: str) -> None:
    async with opened(database_url, DB_POOL_SIZE="1", DB_MAX_OVERFLOW="0") as store:
        async with held(store, 1):
            waiting = asyncio.create_task(store.value("session_ping"))
            await until(lambda: store.pool().waiting == 1)
        assert await waiting == 1


async def test_pool_timeout_is_how_long_a_request_waits(database_url: str) -> None:
    async with (
        opened(
            database_url,
            DB_POOL_SIZE="1",
            DB_MAX_OVERFLOW="0",
            DB_POOL_TIMEOUT="0.2",
        ) as store,
        held(store, 1),
    ):
        began_at = time.monotonic()
        with pytest.raises(errors.PoolExhausted):
            await store.value("session_ping")
        assert 0.15 <= time.monotonic() - began_at <= 0.7


async def test_a_connection_forgets_no_query(direct_url: str) -> None:
    count = (
        "select count(*) from pg_prepared_statements where statement like '%as one%'"
    )
    texts = [*(f"select {n} as one{n}" for n in range(200)), count]
    async with opened(direct_url, DB_POOL_SIZE="1", DB_MAX_OVERFLOW="0") as store:
        for text in texts:
            store._queries["test_text"] = msgspec.structs.replace(BACKEND, sql=text)
            found = await store.value("test_text")
    assert found >= 200


async def test_who_finds_the_server_full_waits_for_a_connection_that_is_there(
    direct_url: str,
) -> None:
    parts = urlsplit(direct_url)
    role = f"few_{parts.path[1:]}"
    for statement in (
        f"create role {role} login connection limit 4",
        f"grant pg_read_all_data, pg_write_all_data to {role}",
    ):
        await execute("postgres", statement)
    few = urlunsplit(parts._replace(netloc=f"{role}@{parts.hostname}:{parts.port}"))
    async with opened(few, DB_POOL_SIZE="12") as store:
        asked = [store.value("test_sleep", seconds=0.03) for _ in range(12)]
        assert len(await asyncio.gather(*asked)) == 12
        assert store.pool().checked_in < 4
    await execute("postgres", f"drop role {role}")


async def test_overflow_closes_when_idle_and_the_base_stays(database_url: str) -> None:
    async with opened(database_url, DB_POOL_SIZE="2", DB_MAX_OVERFLOW="3") as store:
        async with held(store, 5):
            assert store.pool().overflow == 3
        await until(lambda: store.pool().overflow == 0)
        assert store.pool().checked_in == 2


async def test_recycling_replaces_a_connection_that_is_too_old(
    database_url: str,
) -> None:
    async with opened(database_url, DB_POOL_RECYCLE="1") as store:
        first = await login_of(store)
        assert await login_of(store) == first

        async def is_replaced() -> bool:
            return await login_of(store) != first

        await until(is_replaced)


async def test_pre_ping_hides_a_connection_that_died_idle(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.store.postgres.PING_AFTER_S", 0.0)
    async with opened(database_url, DB_POOL_PRE_PING="true") as store:
        pid = await backend_of(store)
        await execute("postgres", f"select pg_terminate_backend({pid})")
        async with store.transaction() as work:
            assert await work.value("session_ping") == 1


async def test_without_pre_ping_a_dead_connection_shows(
    database_url: str, direct_url: str
) -> None:
    async with opened(database_url, DB_POOL_PRE_PING="false") as store:
        pid = await backend_of(store)
        await execute("postgres", f"select pg_terminate_backend({pid})")
        connection = await asyncpg.connect(direct_url)
        try:
            sql = "select count(*) from pg_stat_activity where pid = $1"

            async def is_gone() -> bool:
                return int(await connection.fetchval(sql, pid)) == 0

            await until(is_gone)
        finally:
            await connection.close()
        # Nothing sees the end of the stream before the next use: one try fails.
        assert await store.value("session_ping") == 1


async def test_echo_logs_each_statement_with_its_time(database_url: str) -> None:
    async with opened(database_url, DB_ECHO="true") as store:
        with capture_logs() as lines:
            await store.value("extension_exists", name="a_secret_value")
    (line,) = [line for line in lines if line["event"] == "query"]
    assert line["query"] == "extension_exists"
    assert line["ms"] >= 0
    assert "a_secret_value" not in str(lines)


async def test_a_slow_statement_is_cancelled_by_the_server(database_url: str) -> None:
    async with opened(database_url, DB_STATEMENT_TIMEOUT="0.3") as store:
        began_at = time.monotonic()
        with pytest.raises(errors.DeadlineExceeded):
            async with store.transaction() as work:
                await work.value("test_sleep", seconds=5.0)
        assert time.monotonic() - began_at < 1.0
        assert await store.value("session_ping") == 1


async def test_the_service_starts_while_the_database_is_away() -> None:
    nobody = "postgresql://mcps@127.0.0.1:9/mcps"
    async with opened(nobody) as store:
        health = await store.health()
        assert not health.healthy
        with pytest.raises(errors.DatabaseDown):
            await store.value("session_ping")
        began_at = time.monotonic()
        with pytest.raises(errors.DatabaseDown):
            await store.value("session_ping")
        assert time.monotonic() - began_at < 0.05


async def test_a_missing_database_is_a_wrong_setting(database_url: str) -> None:
    wrong = database_url.rsplit("/", 1)[0] + "/no_such_database"
    with pytest.raises(errors.InvalidSettings, match="no_such_database"):
        async with opened(wrong):
            pass


async def test_killing_every_connection_again_and_again_loses_no_slot(
    database_url: str,
) -> None:
    """asyncpg before 0.32 lost its whole pool this way."""
    name = database_url.rsplit("/", 1)[1]
    kill = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        f" where datname = '{name}' and application_name = 'mcps'"
    )
    answered = failed = 0
    async with opened(database_url, DB_POOL_SIZE="5", DB_MAX_OVERFLOW="0") as store:
        stop = asyncio.Event()

        async def read() -> None:
            nonlocal answered, failed
            while not stop.is_set():
                try:
                    await store.value("session_ping")
                    answered += 1
                except errors.DatabaseDown:
                    failed += 1
                    await asyncio.sleep(0.01)

        readers = [asyncio.create_task(read()) for _ in range(20)]
        for _ in range(10):
            await execute("postgres", kill)
            await asyncio.sleep(0.15)
        stop.set()
        await asyncio.gather(*readers)
        async with held(store, 5):
            assert store.pool().checked_out == 5
    assert answered > 100
    assert failed <= answered * 0.01


async def test_giving_up_while_a_connection_is_checked_costs_no_slot(
    database_url: str,
) -> None:
    one = {"DB_POOL_SIZE": "1", "DB_MAX_OVERFLOW": "0"}
    async with opened_through_proxy(database_url, **one) as (proxy, store):
        assert await store.value("session_ping") == 1
        store._leases._free[0].used_at -= PING_AFTER_S
        proxy.is_hole = True
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await store.value("session_ping")
        assert store.pool().checked_out == 0
        proxy.is_hole = False
        assert await store.value("session_ping") == 1


async def test_a_login_that_outlasts_its_request_serves_the_next(
    database_url: str,
) -> None:
    limits = {"DB_POOL_SIZE": "1", "DB_MAX_OVERFLOW": "0", "DB_POOL_TIMEOUT": "0.35"}
    async with opened_through_proxy(database_url, **limits) as (proxy, store):
        await store._leases.close_idle(1)
        proxy.latency_s = 0.1
        # The login is two round trips, which is longer than the first try waits.
        assert await store.value("session_ping") == 1
        proxy.latency_s = 0.0
        assert store.pool().checked_out == 0


@asynccontextmanager
async def opened_through_proxy(
    url: str, **variables: str
) -> AsyncIterator[tuple[Proxy, PostgresStore]]:
    """A store whose network breaks in chosen ways."""
    parts = urlsplit(url)
    async with Proxy(lambda: parts.port or 0) as proxy:
        login, _, _ = parts.netloc.rpartition("@")
        way = parts._replace(netloc=f"{login}@127.0.0.1:{proxy.port}")
        async with opened(urlunsplit(way), **variables) as store:
            yield proxy, store
