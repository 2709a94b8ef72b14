"""Transactions side by side, and one at a time after a conflict."""

import asyncio

import pytest

from service.store.turns import APART_FOR_S, CALM_LIMIT_S, Turns


class Work:
    """Some of it, and how much of it was under way at once."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0

    async def do(self) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0.001)
        self.running -= 1


async def test_transactions_run_side_by_side() -> None:
    turns, work = Turns(), Work()
    await asyncio.gather(*(turns.take(work.do) for _ in range(5)))
    assert work.most == 5


async def test_after_a_conflict_they_go_one_at_a_time_for_a_moment() -> None:
    turns, work = Turns(), Work()
    turns.part()
    await asyncio.gather(*(turns.take(work.do) for _ in range(5)))
    assert work.most == 1
    turns._apart_until -= APART_FOR_S
    await asyncio.gather(*(turns.take(work.do) for _ in range(5)))
    assert work.most == 5


async def test_after_a_conflict_those_under_way_end_first() -> None:
    turns, work = Turns(), Work()
    before = [asyncio.create_task(turns.take(work.do)) for _ in range(5)]
    await asyncio.sleep(0)
    turns.part()
    await turns.take(work.do)
    assert work.most == 5
    assert all(task.done() for task in before)


async def test_nobody_waits_for_ever_for_those_under_way() -> None:
    turns, work = Turns(), Work()
    stuck = asyncio.create_task(turns.take(asyncio.Event().wait))
    await asyncio.sleep(0)
    turns.part()
    async with asyncio.timeout(CALM_LIMIT_S + 5):
        await turns.take(work.do)
    stuck.cancel()
    await asyncio.gather(stuck, return_exceptions=True)


async def test_a_failure_gives_the_turn_back() -> None:
    turns, work = Turns(), Work()

    async def fail() -> None:
        raise OSError

    for _ in range(2):
        with pytest.raises(OSError):
            await turns.take(fail)
        turns.part()
        async with asyncio.timeout(5):
            await turns.take(work.do)
