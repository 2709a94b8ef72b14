"""A19, second half: reads from a replica that lags, fails or is in the way."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.cluster import Cluster
from tests.faults.test_roles import pair
from tests.lab import database, rows
from tests.lab.database import Standby
from tests.lab.figures import Figures, fault
from tests.lab.process import Service, serving
from tests.lab.rig import Lab
from tests.waiting import until

LAG_S = 2.0


@asynccontextmanager
async def replicated(lab: Lab) -> AsyncIterator[tuple[Cluster, Standby, Service]]:
    """A service that writes to a primary and reads from its standby."""
    with pair(lab, is_synchronous=False) as (primary, standby):
        variables = {
            "DATABASE_URL": database.url_of(primary.port),
            "DATABASE_REPLICA_URL": database.url_of(standby.port),
            "DATABASE_REPLICA_LAG": str(LAG_S),
        }
        async with serving(lab.folder, **variables) as service:
            await service.until_ready()
            await asyncio.sleep(1.5)
            yield primary, standby, service


async def version(service: Service, server: int) -> int:
    answer = await service.client.get(f"/servers/{server}")
    assert answer.status == 200, answer.body
    return int(answer.json()["stars"])


async def write(service: Service, server: int, number: int, to: int) -> None:
    body = rows.change("moving", number, to)
    answer = await service.client.write("PATCH", f"/servers/{server}", body)
    assert answer.status == 200, answer.body


@pytest.mark.faults
@fault("A19")
async def test_no_answer_of_a_replica_is_older_than_the_limit(
    lab: Lab, figures: Figures
) -> None:
    async with replicated(lab) as (primary, standby, service):
        server = database.moving_ids(primary)[0]
        database.run(standby, "select pg_wal_replay_pause()")
        await write(service, server, 0, 1)
        at = time.monotonic()
        assert await version(service, server) == 0, "the replica was not asked"
        old_at = at
        while time.monotonic() < at + LAG_S + 2.0:
            asked_at = time.monotonic()
            if await version(service, server) == 0:
                old_at = asked_at
            await asyncio.sleep(0.02)
        figures.at_most("A19", "oldest answer of a replica", old_at - at, LAG_S)
        database.run(standby, "select pg_wal_replay_resume()")

        def has_caught_up() -> bool:
            sql = "select max(stars)::int from server where keywords ? 'moving'"
            return database.value(standby, sql) == 1

        await until(has_caught_up)
        assert await version(service, server) == 1


@pytest.mark.faults
@fault("A19")
async def test_the_primary_answers_for_a_replica_that_fails(
    lab: Lab, figures: Figures
) -> None:
    async with replicated(lab) as (primary, standby, service):
        ids = database.moving_ids(primary)
        standby.stop("immediate")
        took: list[float] = []
        for server in ids:
            answer = await service.client.get(f"/servers/{server}")
            assert answer.status == 200
            took.append(answer.took_s)
            await asyncio.sleep(0.02)
        assert await service.metric("mcps_db_up") == 1
        figures.at_most("A19", "reads while the replica is away", max(took), 0.5)
        standby.start()
        await write(service, ids[0], 0, 1)
        assert await version(service, ids[0]) in {0, 1}


@pytest.mark.faults
@fault("A19")
async def test_a_replica_that_hangs_is_left_within_a_second(
    lab: Lab, figures: Figures
) -> None:
    async with replicated(lab) as (primary, standby, service):
        ids = database.moving_ids(primary)
        standby.pause()
        at = time.monotonic()
        asked = [
            asyncio.create_task(service.client.get(f"/servers/{server}"))
            for server in ids[:5]
        ]
        await asyncio.sleep(1.2)
        later = await service.client.get(f"/servers/{ids[9]}")
        assert later.status == 200
        figures.at_most("A19", "read once a replica hangs", later.took_s, 0.1)
        await asyncio.gather(*asked)
        assert time.monotonic() - at < 10
        standby.resume()
