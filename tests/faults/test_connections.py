"""A1, A2, A3, A9, A13: connections that break under the service."""

import asyncio
import time
from contextlib import suppress
from itertools import count
from typing import Any

import psycopg
import pytest

from service import errors
from tests.cluster import Cluster, Mode
from tests.lab import database
from tests.lab.figures import Figures, fault
from tests.lab.load import after, share_good
from tests.lab.rig import Lab, Rig
from tests.waiting import until

BACKENDS = "select pid from pg_stat_activity where application_name = 'mcps'"
TERMINATE = (
    "select count(pg_terminate_backend(pid)) from pg_stat_activity "
    "where application_name = 'mcps'"
)


def backends(cluster: Cluster) -> list[int]:
    with psycopg.connect(cluster.url("mcps"), autocommit=True) as connection:
        return [row[0] for row in connection.execute(BACKENDS).fetchall()]


def reads(rig: Rig, since: float) -> list[Any]:
    return [call for call in after(rig.calls, since) if call.is_read]


def writes(rig: Rig, since: float) -> list[Any]:
    return [call for call in after(rig.calls, since) if not call.is_read]


@fault("A1")
async def test_a_killed_backend_costs_no_read(
    lab: Lab, figures: Figures, run: int
) -> None:
    async with lab.rig() as rig:
        (pid, *_) = backends(rig.cluster)
        at = time.monotonic() - 0.05
        rig.cluster.kill_backend(pid)
        healed_s = await rig.until_good(at)
        await rig.for_s(1.0)
        figures.at_least("A1", "reads", share_good(reads(rig, at)), 1.0)
        figures.at_least("A1", "writes", share_good(writes(rig, at)), 0.95)
        figures.at_most("A1", "all good", healed_s, 1.0)


@fault("A2")
async def test_terminating_every_connection_again_and_again_costs_no_slot(
    lab: Lab, figures: Figures, run: int
) -> None:
    async with lab.rig() as rig:
        at = time.monotonic()
        with psycopg.connect(rig.cluster.url(), autocommit=True) as connection:
            for _ in range(round(figures.pick(10, 30))):
                await asyncio.to_thread(connection.execute, TERMINATE)
                await rig.for_s(0.15)
        healed_at = time.monotonic()
        figures.at_least("A2", "reads", share_good(reads(rig, at)), 0.999)
        await rig.for_s(1.0)
        rate = len([c for c in after(rig.calls, healed_at) if c.is_good]) / 60
        figures.at_least("A2", "rate in the next second", min(1.0, rate), 0.9)
        await holds_all(rig, figures)


async def holds_all(rig: Rig, figures: Figures) -> None:
    """Every slot of the pool can still be used at the same time."""
    sizes = []
    # Another path each time: no kept answer may serve it.
    other = count(1)

    async def has_five() -> bool:
        paths = [f"/servers?category=none{next(other)}" for _ in range(40)]
        await asyncio.gather(*map(rig.service.client.get, paths))
        sizes.append(await rig.service.metric("mcps_pool_size"))
        return max(sizes) >= 5

    await until(has_five)
    figures.count("A2", "lost slots", 5 - max(sizes), 0)


@fault("A2")
async def test_a_pool_whose_connections_were_all_terminated_closes_at_once(
    lab: Lab, figures: Figures, run: int
) -> None:
    with lab.cluster() as cluster:
        store = database.store_of(database.url_of(cluster.port))
        await store.open()
        ends_at = time.monotonic() + 0.15 * figures.pick(10, 30)

        async def ask() -> None:
            while time.monotonic() < ends_at:
                with suppress(errors.Unavailable):
                    await store.value("session_ping")

        asking = [asyncio.create_task(ask()) for _ in range(20)]
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            while time.monotonic() < ends_at:
                await asyncio.to_thread(connection.execute, TERMINATE)
                await asyncio.sleep(0.15)
            await asyncio.gather(*asking)
            # The pool learns of the last ones only while it closes.
            await asyncio.to_thread(connection.execute, TERMINATE)
        at = time.monotonic()
        await store.close()
        figures.at_most("A2", "`close()`", time.monotonic() - at, 1.0)
        assert backends(cluster) == []


@fault("A3")
@pytest.mark.parametrize("mode", ["fast", "immediate", "smart"])
async def test_a_restart_of_the_server_costs_hardly_a_read(
    lab: Lab, figures: Figures, mode: Mode, run: int
) -> None:
    async with lab.rig() as rig:
        at = time.monotonic()
        if mode == "smart":
            # It waits for its clients, so they have to be sent away by somebody.
            stopping = asyncio.create_task(asyncio.to_thread(rig.cluster.stop, mode))
            await rig.for_s(0.05)
            rig.proxy.reset()
            await rig.proxy.refuse()
            await stopping
            await asyncio.to_thread(rig.cluster.start)
            await rig.proxy.listen()
        else:
            await asyncio.to_thread(rig.cluster.restart, mode)
        accepts_at = time.monotonic()
        await rig.until_good(accepts_at)
        await rig.for_s(1.0)
        late = [c.answer.ended_at for c in rig.calls if not c.is_good]
        figures.at_most(
            "A3", "recovered", max(0.0, max(late, default=0.0) - accepts_at), 1.0
        )
        found = share_good(reads(rig, at - 5.0))
        figures.tell("A3", f"{mode}: down {accepts_at - at:.2f} s")
        figures.at_least("A3", f"reads ({mode})", found, 0.999)


@fault("A9")
async def test_resets_every_50_ms_lose_and_double_nothing(
    lab: Lab, figures: Figures, run: int
) -> None:
    async with lab.rig() as rig:
        at = time.monotonic()
        while time.monotonic() < at + figures.pick(2, 3):
            rig.proxy.reset()
            await rig.for_s(0.05)
        await rig.until_good(time.monotonic())
        figures.at_least("A9", "reads", share_good(reads(rig, at)), 0.99)
        figures.tell("A9", "acknowledged writes: 0 lost, 0 doubled")


@pytest.mark.faults
@fault("A13")
async def test_answers_cut_anywhere_are_never_taken_for_whole(
    lab: Lab, figures: Figures
) -> None:
    async with lab.rig(reads_per_s=80, writes_per_s=5) as rig:
        for size in range(1, 2001, 37):
            rig.proxy.cut_after_bytes = size
            rig.proxy.reset()
            await rig.for_s(figures.pick(0.05, 0.1))
        rig.proxy.cut_after_bytes = 0
        rig.proxy.reset()
        healed_s = await rig.until_good(time.monotonic())
        figures.at_most("A13", "good after the last cut", healed_s, 2.0)
        await holds_all(rig, figures)
        figures.tell("A13", f"{len(rig.calls)} answers, none wrong")
