"""A7, A8, A10, A11, A12: a database that answers late, or not at all."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from tests.lab import database
from tests.lab.figures import Figures, fault
from tests.lab.http import Answer, Client
from tests.lab.load import after, quantile_s, share_good
from tests.lab.process import serving
from tests.lab.proxy import Proxy
from tests.lab.rig import Lab, Rig

KNOWN_S = 0.05
GRACE_S = 1.0
FAR_S = 0.3
FAR_NAME = "300 ms each way, DB_REQUEST_TIMEOUT=8"
# begin, insert, read, commit; a change holds its row first.
ADD_TRIPS = 4
CHANGE_TRIPS = 5


@asynccontextmanager
async def watched(rig: Rig, path: str) -> AsyncIterator[list[Answer]]:
    """Ask a path five times a second; gives the answers."""
    answers: list[Answer] = []
    client = Client(rig.service.port)

    async def ask() -> None:
        while True:
            answers.append(await client.get(path))
            await asyncio.sleep(0.2)

    asking = asyncio.create_task(ask())
    try:
        yield answers
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        client.close()


async def hang(rig: Rig, figures: Figures, line: str, seconds: float) -> None:
    """What a hang may cost, whatever makes it; the caller began it just now."""
    at = time.monotonic()
    async with (
        watched(rig, "/health") as alive,
        watched(rig, "/health/db") as ready,
        watched(rig, "/metrics") as metrics,
    ):
        await rig.for_s(seconds)
    worst = max((a.took_s for a in ready), default=0.0)
    figures.at_most(line, "readiness", worst, 1.0)
    assert {a.status for a in alive} == {200}
    figures.at_most(line, "liveness", max(a.took_s for a in alive), 0.05)
    figures.at_most(line, "metrics", max(a.took_s for a in metrics), 0.05)
    known = after(rig.calls, at + GRACE_S)
    figures.at_most(line, "answers once known, p99", quantile_s(known, 0.99), KNOWN_S)
    assert known


def all_answered(rig: Rig, figures: Figures, line: str, at: float) -> None:
    worst = max(call.answer.took_s for call in after(rig.calls, at - 3.0))
    figures.at_most(line, "slowest answer", worst, 3.0)


@fault("A7")
async def test_a_database_that_hangs_is_known_to_within_a_second(
    lab: Lab, figures: Figures, run: int
) -> None:
    async with lab.rig() as rig:
        at = time.monotonic()
        rig.cluster.pause()
        await hang(rig, figures, "A7", figures.pick(5, 15))
        rig.cluster.resume()
        healed_s = await rig.until_good(time.monotonic())
        all_answered(rig, figures, "A7", at)
        figures.at_most("A7", "good after", healed_s, 1.5)


@pytest.mark.faults
@fault("A8")
async def test_open_connections_go_on_without_the_postmaster(
    lab: Lab, figures: Figures
) -> None:
    async with lab.rig() as rig:
        before = await rig.service.metric("mcps_pool_size")
        at = time.monotonic()
        rig.cluster.pause(only_postmaster=True)
        await rig.for_s(10)
        rig.cluster.resume()
        figures.at_least("A8", "answers", share_good(after(rig.calls, at)), 1.0)
        after_size = await rig.service.metric("mcps_pool_size")
        figures.count("A8", "pool grew by", after_size - before, 1)


@fault("A10")
async def test_a_black_hole_is_known_to_within_a_second(
    lab: Lab, figures: Figures, run: int
) -> None:
    async with lab.rig() as rig:
        at = time.monotonic()
        rig.proxy.is_hole = True
        await hang(rig, figures, "A10", figures.pick(5, 15))
        rig.proxy.is_hole = False
        healed_s = await rig.until_good(time.monotonic())
        all_answered(rig, figures, "A10", at)
        figures.at_most("A10", "good after", healed_s, 0.5)


@pytest.mark.faults
@fault("A11")
@pytest.mark.parametrize("way", ["drops_down", "drops_up", "keeps_ends"])
async def test_a_half_open_connection_is_a_hang(
    lab: Lab, figures: Figures, way: str
) -> None:
    async with lab.rig() as rig:
        at = time.monotonic()
        setattr(rig.proxy, way, True)
        if way == "keeps_ends":
            rig.cluster.stop("immediate")
            await rig.for_s(0.5)
            rig.cluster.start()
            await rig.for_s(5)
        else:
            await hang(rig, figures, "A11", 8)
        idle_s = await asyncio.to_thread(longest_idle_s, rig)
        setattr(rig.proxy, way, False)
        healed_s = await rig.until_good(time.monotonic())
        all_answered(rig, figures, "A11", at)
        figures.at_most("A11", "good after", healed_s, 1.5)
        figures.at_most("A11", "idle in transaction", idle_s, 5.5)


def longest_idle_s(rig: Rig) -> float:
    sql = (
        "select coalesce(max(extract(epoch from now() - state_change)), 0)::float8 "
        "from pg_stat_activity where state like 'idle in transaction%'"
    )
    with psycopg.connect(rig.cluster.url(), autocommit=True) as connection:
        (row,) = connection.execute(sql).fetchall()
    return float(row[0])


@pytest.mark.faults
@fault("A12")
@pytest.mark.parametrize(
    ("name", "settings", "rates", "limit_s"),
    [
        ("50 ms each way", {"latency_s": 0.05}, (15, 1.0), 0.6),
        ("300 ms each way", {"latency_s": 0.3}, (3, 0.0), 2.9),
        ("7 bytes at a time", {"slice_bytes": 7}, (50, 10.0), 0.5),
        ("32 KB/s", {"bytes_per_s": 32_768}, (3, 0.5), 2.0),
    ],
)
async def test_a_slow_network_loses_nothing(
    lab: Lab,
    figures: Figures,
    name: str,
    settings: dict[str, float],
    rates: tuple[float, float],
    limit_s: float,
) -> None:
    """As much as five connections can do at that speed.

    A change is five round trips: at 300 ms each way more than a request may take.
    """
    if not rates[1]:
        figures.tell("A12", f"{name}: reads alone, as a change would take over 2.5 s")
    async with lab.rig(reads_per_s=rates[0], writes_per_s=rates[1]) as rig:
        for attribute, value in settings.items():
            setattr(rig.proxy, attribute, value)
        at = time.monotonic()
        await rig.for_s(10)
        found = after(rig.calls, at)
        reads = [call for call in found if call.is_read]
        figures.at_most("A12", f"reads, p99 ({name})", quantile_s(reads, 0.99), limit_s)
        figures.at_least("A12", f"good ({name})", share_good(found), 1.0)
        rig.proxy.latency_s = rig.proxy.slice_bytes = rig.proxy.bytes_per_s = 0


@pytest.mark.faults
@fault("A12")
async def test_writes_far_from_the_database_take_no_more_than_their_round_trips(
    lab: Lab, figures: Figures
) -> None:
    """With the limits that such a link needs: see the runbook."""
    async with lab.rig(
        reads_per_s=2,
        writes_per_s=0.5,
        DB_REQUEST_TIMEOUT="8",
        REQUEST_TIMEOUT="9",
        DB_POOL_TIMEOUT="3",
        DB_PROBE_TIMEOUT="1.5",
    ) as rig:
        rig.proxy.latency_s = FAR_S
        # What is under way meanwhile sees half of it.
        await rig.for_s(2)
        at = time.monotonic()
        await rig.for_s(30)
        found = after(rig.calls, at)
        figures.at_least("A12", f"good ({FAR_NAME})", share_good(found), 1.0)
        for kind, trips in (("add", ADD_TRIPS), ("change", CHANGE_TRIPS)):
            took = [call for call in found if call.kind == kind]
            assert took
            fewest = min(call.answer.took_s for call in took) / (2 * FAR_S)
            figures.count("A12", f"round trips ({kind})", int(fewest), trips)
            for share, most in ((0.5, trips + 1), (0.99, 2 * trips)):
                name = f"{kind}, p{share * 100:.0f} ({FAR_NAME})"
                limit_s = most * 2 * FAR_S + 0.6
                figures.at_most("A12", name, quantile_s(took, share), limit_s)
        figures.tell(
            "A12",
            "for writes DB_PROBE_TIMEOUT=1.5, REQUEST_TIMEOUT=9, DB_POOL_TIMEOUT=3 "
            "too; one is a round trip more on a connection that sat idle, two on a "
            "new one, and one for each statement that this one does not know yet",
        )
        rig.proxy.latency_s = 0


@pytest.mark.faults
@fault("A12")
async def test_a_service_far_from_its_database_starts_and_serves(
    lab: Lab, figures: Figures
) -> None:
    with lab.cluster() as cluster:
        async with Proxy(lambda: cluster.port) as proxy:
            proxy.latency_s = 0.3
            url = database.url_of(proxy.port)
            async with serving(lab.folder, DATABASE_URL=url) as service:
                await service.until_ready()
                ids = database.moving_ids(cluster)
                at = time.monotonic()
                while (await service.client.get(f"/servers/{ids[0]}")).status != 200:
                    assert time.monotonic() - at < 10, service.lines()[-3:]
                figures.at_most("A12", "warm (300 ms)", time.monotonic() - at, 6.0)
                # The question for the serial may be under way for the first time.
                await service.client.get(f"/servers/{ids[1]}")
                answers = [
                    await service.client.get(f"/servers/{server}")
                    for server in ids[2:12]
                ]
                assert {answer.status for answer in answers} == {200}
                slowest_s = max(answer.took_s for answer in answers)
                figures.at_most("A12", "reads once warm (300 ms)", slowest_s, 1.5)
