"""A26: faults at random, one after the other, with the oracle watching all the time."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import pytest

from tests.lab import database
from tests.lab.figures import Figures, fault
from tests.lab.load import after, share_good
from tests.lab.rig import Lab, Rig

Act = Callable[[Rig, float], Awaitable[None]]
TERMINATE = (
    "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'mcps'"
)


async def terminate(rig: Rig, seconds: float) -> None:
    await rig.sql(TERMINATE)
    await rig.for_s(seconds)


async def kill(rig: Rig, seconds: float) -> None:
    sql = "select max(pid) from pg_stat_activity where usename = 'mcps'"
    pid = database.value(rig.cluster, sql)
    if pid:
        rig.cluster.kill_backend(int(str(pid)))
    await rig.for_s(seconds)


async def restart(rig: Rig, seconds: float) -> None:
    await asyncio.to_thread(rig.cluster.restart, "fast")
    await rig.for_s(seconds)


async def pause(rig: Rig, seconds: float) -> None:
    rig.cluster.pause()
    await rig.for_s(seconds)
    rig.cluster.resume()


async def hole(rig: Rig, seconds: float) -> None:
    rig.proxy.is_hole = True
    await rig.for_s(seconds)
    rig.proxy.is_hole = False


async def drop(rig: Rig, seconds: float) -> None:
    rig.proxy.drops_down = True
    await rig.for_s(seconds)
    rig.proxy.drops_down = False
    rig.proxy.reset()


async def reset(rig: Rig, seconds: float) -> None:
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        rig.proxy.reset()
        await rig.for_s(0.2)


async def slow(rig: Rig, seconds: float) -> None:
    rig.proxy.latency_s = 0.03
    await rig.for_s(seconds)
    rig.proxy.latency_s = 0.0


async def refuse(rig: Rig, seconds: float) -> None:
    await rig.proxy.refuse()
    await rig.for_s(seconds)
    await rig.proxy.listen()


ACTS: tuple[Act, ...] = (
    terminate,
    kill,
    restart,
    pause,
    hole,
    drop,
    reset,
    slow,
    refuse,
)


@pytest.mark.faults
@fault("A26")
async def test_whatever_breaks_in_whatever_order_nothing_is_wrong(
    lab: Lab, figures: Figures
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    length_s = figures.pick(20, 60, 1800)
    down: list[tuple[float, float]] = []
    async with lab.rig() as rig:
        rig.judges_memory = False
        begin_at = time.monotonic()
        while time.monotonic() < begin_at + length_s:
            act = chance.choice(ACTS)
            at = time.monotonic()
            await act(rig, chance.uniform(0.5, 3.0))
            healed_s = await rig.until_good(time.monotonic())
            down.append((at - 3.0, time.monotonic() - 1.0))
            figures.at_most("A26", "good after", healed_s, 3.0)
            await rig.for_s(chance.uniform(0.5, 2.0))
        reads = [c for c in after(rig.calls, begin_at) if c.is_read]
        outside = [
            c for c in reads if not any(a <= c.answer.began_at <= b for a, b in down)
        ]
        figures.tell("A26", f"seed {seed}, {len(down)} faults in {length_s:.0f} s")
        figures.at_least("A26", "reads outside of faults", share_good(outside), 0.99)
