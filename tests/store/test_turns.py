"""Transactions side by side, and alone after a conflict."""

import asyncio

from service.store.turns import CALM_LIMIT_S, Turns


async def test_who_goes_alone_waits_for_others_and_others_wait_for_it() -> None:
    turns = Turns()
    told: list[str] = []
    ends = {name: asyncio.Event() for name in ("first", "alone", "later")}

    async def work(name: str) -> str:
        told.append(f"{name} begins")
        await ends[name].wait()
        told.append(f"{name} ends")
        return name

    first = asyncio.create_task(turns.beside(lambda: work("first")))
    await asyncio.sleep(0)
    alone = asyncio.create_task(turns.alone(lambda: work("alone")))
    await asyncio.sleep(0)
    later = asyncio.create_task(turns.beside(lambda: work("later")))
    for name in ("first", "alone", "later"):
        await asyncio.sleep(0.01)
        ends[name].set()
    assert [await task for task in (first, alone, later)] == list(ends)
    assert told[:3] == ["first begins", "first ends", "alone begins"]
    assert told[3:] == ["alone ends", "later begins", "later ends"]


async def test_others_run_beside_each_other() -> None:
    turns = Turns()
    both = asyncio.Barrier(2)
    async with asyncio.timeout(5):
        await asyncio.gather(turns.beside(both.wait), turns.beside(both.wait))


async def test_who_goes_alone_does_not_wait_for_ever() -> None:
    turns = Turns()
    stuck = asyncio.create_task(turns.beside(asyncio.Event().wait))
    await asyncio.sleep(0)

    async def answer() -> int:
        return 7

    async with asyncio.timeout(CALM_LIMIT_S + 5):
        assert await turns.alone(answer) == 7
    stuck.cancel()
    await asyncio.gather(stuck, return_exceptions=True)


async def test_a_failure_gives_the_turn_back() -> None:
    turns = Turns()

    async def fail() -> None:
        raise OSError

    async def answer() -> int:
        return 7

    results = [
        *await asyncio.gather(turns.beside(fail), return_exceptions=True),
        *await asyncio.gather(turns.alone(fail), return_exceptions=True),
    ]
    assert [type(result) for result in results] == [OSError, OSError]
    assert await turns.alone(answer) == await turns.beside(answer) == 7
