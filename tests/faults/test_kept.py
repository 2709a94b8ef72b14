"""What was read before goes on being answered while PostgreSQL is dead."""

import asyncio
import time
from itertools import cycle

from tests.lab import database
from tests.lab.http import Answer, Client
from tests.lab.process import Service, serving
from tests.lab.rig import Lab
from tests.waiting import until

READERS = 8
DEAD_S = 3.0
# A question for the serial may hang so long before a kept answer goes out.
SLOWEST_S = 1.0
KEPT = (
    *(f"/servers?limit={limit}" for limit in range(1, 30)),
    *(f"/servers/{number}" for number in range(1, 20)),
    *(f"/v0.1/servers?limit={limit}" for limit in range(1, 10)),
    *("/search?q=static", "/search?q=moving", "/tools", "/servers/1/tools"),
    *("/v0/x/io.mcps/facets", "/v0.1/x/io.mcps/changes?since=0"),
)
AWAY = "detail=database-away"


def is_stale(answer: Answer) -> bool:
    return AWAY in answer.headers["cache-status"]


async def read_until(over: asyncio.Event, client: Client, seen: list[Answer]) -> None:
    """Ask for each path in turn; every answer has to be the one from before."""
    first: dict[str, bytes] = {}
    for path in cycle(KEPT):
        if over.is_set():
            return
        answer = await client.get(path)
        assert answer.status == 200, (path, answer)
        assert first.setdefault(path, answer.body) == answer.body
        seen.append(answer)


async def is_kept(service: Service) -> bool:
    """Whether every path is answered from memory."""
    answers = [await service.client.get(path) for path in KEPT]
    return all(a.headers.get("cache-status") == "mcps; hit" for a in answers)


async def test_kill_9_of_postgresql_under_load_stops_no_kept_answer(lab: Lab) -> None:
    seen: list[Answer] = []
    over = asyncio.Event()
    with lab.cluster() as cluster:
        url = database.url_of(cluster.port)
        async with serving(lab.folder, DATABASE_URL=url) as service:
            await service.until_ready()
            await until(lambda: is_kept(service))
            async with asyncio.TaskGroup() as readers:
                for _ in range(READERS):
                    readers.create_task(read_until(over, service.client, seen))
                await until(lambda: len(seen) > 10 * READERS)
                await asyncio.to_thread(cluster.crash)
                crashed_at = time.monotonic()
                await asyncio.sleep(DEAD_S)
                other = await service.client.get("/servers?limit=99")
                began_at = time.monotonic()
                await asyncio.to_thread(cluster.start)
                await until(lambda: not is_stale(seen[-1]))
                over.set()
    assert other.status == 503
    assert int(other.headers["retry-after"]) >= 1
    known_at = crashed_at + SLOWEST_S
    dead = [a for a in seen if known_at < a.began_at and a.ended_at < began_at]
    assert len(dead) > len(KEPT)
    assert all(map(is_stale, dead))
    assert all(int(answer.headers["age"]) >= 1 for answer in dead)
    assert max(answer.took_s for answer in seen) < SLOWEST_S
