"""A harvester that dies, and a source that fails, wake somebody.

As in `tests/faults/test_observability.py` the harvester is real and the time is not:
scrapes a moment apart count as a minute apart.
"""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest
from aiohttp import web

from tests.cluster import free_port
from tests.harvest.commands import Command, Process
from tests.harvest.places import place
from tests.lab.process import Samples, samples_of
from tests.ops.promql import Series
from tests.ops.test_alerts import firing
from tests.waiting import until

ALERTS = {"McpsHarvestStale", "McpsHarvestFailing"}
EVERY_S = 0.02
STEP_S = 60
JOB = {"instance": "a:9101", "job": "mcps-harvester"}
RUNS = "mcps_harvest_runs_total"
FAILED = frozenset({"source": "http", "outcome": "failed"}.items())
MANY = 6


class Scrapes:
    """What Prometheus got of a harvester, from its first answer on."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/metrics"
        self._count = 0
        self._data: dict[
            str, dict[frozenset[tuple[str, str]], list[tuple[float, float]]]
        ]
        self._data = {}

    async def take(self) -> float:
        """Scrape once; gives how many jobs have failed."""
        found = await self._answer()
        if found is None and not self._count:
            return 0.0
        self._count += 1
        self._add("up", frozenset(), float(found is not None))
        for (name, labels), value in (found or {}).items():
            self._add(name, labels, value)
        return (found or {}).get((RUNS, FAILED), 0.0)

    async def take_until_failed(self, wanted: int) -> None:
        """Scrape until so many jobs have failed."""

        async def have_failed() -> bool:
            return await self.take() >= wanted

        await until(have_failed, limit_s=30)

    async def take_many(self, number: int) -> None:
        """Scrape again and again."""
        for _ in range(number):
            await self.take()
            await asyncio.sleep(EVERY_S)

    def firing(self) -> set[str]:
        """The alerts of the harvester that fired at some time."""
        series = Series({name: dict(found) for name, found in self._data.items()})
        return ALERTS & firing(series, self._count * STEP_S)

    async def _answer(self) -> Samples | None:
        try:
            async with httpx.AsyncClient() as client:
                return samples_of((await client.get(self._url)).text)
        except httpx.TransportError:
            return None

    def _add(self, name: str, labels: frozenset[tuple[str, str]], value: float) -> None:
        series = self._data.setdefault(name, {})
        key = labels | frozenset(JOB.items())
        series.setdefault(key, []).append((self._count * STEP_S, value))


async def failing(_: Process, put_in_line: Callable[[int], Awaitable[None]]) -> None:
    for number in range(MANY):
        await put_in_line(number)


async def dying(process: Process, _: Callable[[int], Awaitable[None]]) -> None:
    process.kill()
    await process.wait()


@pytest.mark.slow
@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("alert", "act", "wanted"),
    [("McpsHarvestFailing", failing, MANY), ("McpsHarvestStale", dying, 0)],
)
async def test_an_alert_fires_in_its_fault_and_not_before(
    command: Command,
    client: httpx.AsyncClient,
    admin: dict[str, str],
    alert: str,
    act: Callable[..., Awaitable[None]],
    wanted: int,
) -> None:
    port = free_port()
    scrapes = Scrapes(port)

    async def broken(_: web.Request) -> web.StreamResponse:
        return web.Response(status=500)

    async with place(broken) as there:

        async def put_in_line(number: int) -> None:
            body = {"url": f"{there.url}/{number}"}
            answer = await client.post("/servers/refresh", json=body, headers=admin)
            assert answer.status_code == 202

        words = ("http", f"{there.url}/first", "--watch", "1h")
        variables = {"HARVEST_METRICS_PORT": str(port), "LOG_LEVEL": "warning"}
        async with command.started(*words, **variables) as process:
            await scrapes.take_until_failed(1)
            await scrapes.take_many(20)
            assert scrapes.firing() == set()
            await act(process, put_in_line)
            await scrapes.take_until_failed(wanted)
            await scrapes.take_many(30)
    assert scrapes.firing() == {alert}
