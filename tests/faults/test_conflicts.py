"""A19, A21, A22: transactions in each other's way, schemas and clocks that change."""

import asyncio
import time
from collections import Counter

import pytest

from service import errors
from service.store.base import Queries
from service.store.postgres import PostgresStore
from service.store.queries import Query
from tests.lab import database
from tests.lab.figures import Figures, fault
from tests.lab.http import Client
from tests.lab.load import after, share_good
from tests.lab.proxy import Proxy
from tests.lab.rig import Lab

TOUCH = Query(
    name="test_touch",
    sql="update server set forks = forks + 1 where id = $1::bigint",
    parameters=("id",),
    is_write=True,
    needs_vector=False,
)


def store_of(url: str, pool_size: int = 5) -> PostgresStore:
    store = database.store_of(url, pool_size)
    store._queries[TOUCH.name] = TOUCH
    return store


@pytest.mark.faults
@fault("A19")
async def test_writers_in_opposite_order_all_succeed(
    lab: Lab, figures: Figures
) -> None:
    # As `mcps dev` and compose.yaml set it. A server that nobody has set up looks for a
    # deadlock after a second, which is as long as a request waits for a connection.
    settings = {"deadlock_timeout": "100ms"}
    with lab.cluster(settings=settings) as cluster:
        ids = database.moving_ids(cluster)[:5]
        store = store_of(database.url_of(cluster.port))
        await store.open()
        done = again = most = failed = 0
        ends_at = time.monotonic() + figures.pick(3, 10)

        async def write(order: list[int]) -> None:
            nonlocal done, again, most, failed
            while time.monotonic() < ends_at:
                tries = 0

                async def touch(work: Queries) -> None:
                    nonlocal tries
                    tries += 1
                    for server in order:
                        await work.run("test_touch", id=server)

                try:
                    await store.transact(touch)
                    done += 1
                except errors.Unavailable:
                    failed += 1
                again += tries > 1
                most = max(most, tries)

        orders = [ids if number % 2 else ids[::-1] for number in range(20)]
        await asyncio.gather(*map(write, orders))
        await store.close()
        sql = "select sum(forks) from server where keywords ? 'moving'"
        assert database.value(cluster, sql) == len(ids) * done
        figures.count("A19", f"failed of {done + failed} transactions", failed, 0)
        figures.count("A19", "tries of one at most", most, 3)
        figures.tell("A19", f"deadlock_timeout 100 ms: {again} tried again")
        assert again > 0, "no transaction was in the way of another"


@pytest.mark.faults
@fault("A19")
async def test_requests_on_the_same_rows_in_opposite_order_all_succeed(
    lab: Lab, figures: Figures
) -> None:
    # A server as nobody has set it up: requests that write lock one row each.
    async with lab.rig(reads_per_s=0, writes_per_s=0) as rig:
        ids = database.moving_ids(rig.cluster)[:5]
        ends_at = time.monotonic() + figures.pick(3, 10)
        statuses: Counter[int] = Counter()

        async def write(order: list[int]) -> None:
            client = Client(rig.service.port)
            while time.monotonic() < ends_at:
                for server in order:
                    path = f"/servers/{server}"
                    answer = await client.write("PATCH", path, {"forks": server})
                    statuses[answer.status] += 1
            client.close()

        orders = [ids if number % 2 else ids[::-1] for number in range(20)]
        await asyncio.gather(*map(write, orders))
        forks = "select count(*) from server where forks = id"
        assert database.value(rig.cluster, forks) == len(ids)
        bad = statuses.total() - statuses[200]
        figures.count("A19", f"failed of {statuses.total()} requests", bad, 0)


@pytest.mark.faults
@fault("A21")
async def test_a_schema_that_changes_under_the_service_gives_no_500(
    lab: Lab, figures: Figures
) -> None:
    async with lab.rig() as rig:
        at = time.monotonic()
        for statement in (
            "alter table server add column extra text",
            "drop index server_by_name",
            "alter table server drop column extra",
            "create index server_by_name on server (left(name, 200), id)",
        ):
            await rig.sql(statement)
            await rig.for_s(0.7)
        found = after(rig.calls, at)
        figures.at_least("A21", "answers", share_good(found), 0.99)
        await rig.sql("alter table server rename doc to document")
        await rig.for_s(1.5)
        reason = await rig.service.client.get("/servers?limit=7&sort=name")
        assert reason.status == 503
        assert reason.json()["code"] == "schema_mismatch"
        await rig.sql("alter table server rename document to doc")
        await rig.until_good(time.monotonic())
        told = [line for line in rig.service.lines() if "42703" in line]
        assert told
        assert '"level":"critical"' in told[0]


@pytest.mark.faults
@fault("A22")
@pytest.mark.parametrize("hours", [1, -1])
async def test_a_clock_that_jumps_ends_no_connection(
    lab: Lab, figures: Figures, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lab.cluster() as cluster:
        store = store_of(database.url_of(cluster.port))
        await store.open()
        pids = "select string_agg(pid::text, ',') from pg_stat_activity "
        pids += "where application_name = 'mcps'"
        assert await store.value("session_ping") == 1
        before = database.value(cluster, pids)
        real = time.time
        monkeypatch.setattr("time.time", lambda: real() + hours * 3600)
        for _ in range(10):
            assert await store.value("session_ping") == 1
            assert (await store.health()).healthy
            await asyncio.sleep(0.15)
        assert database.value(cluster, pids) == before
        await store.close()
        figures.tell("A22", f"{hours:+} h: same connections, probe on time")


@fault("A19")
async def test_an_injected_conflict_is_repeated_at_most_twice(
    lab: Lab, figures: Figures
) -> None:
    with lab.cluster() as cluster:
        async with Proxy(lambda: cluster.port) as proxy:
            store = store_of(database.url_of(proxy.port))
            await store.open()
            assert await store.value("session_ping") == 1
            tries = 0

            async def work(inside: Queries) -> None:
                nonlocal tries
                tries += 1
                proxy.refusal = "40001"
                await inside.value("session_ping")

            with pytest.raises(errors.Unavailable):
                await store.transact(work)
            figures.count("A19", "tries of an injected conflict", tries, 3)
            proxy.refusal = ""
            assert await store.value("session_ping") == 1
            await store.close()
