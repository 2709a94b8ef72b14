"""E: what Prometheus sees while something breaks, and which alerts that raises.

The service is real, the time is not: scrapes a fraction of a second apart count as 15 s
apart, so that an alert which waits for minutes can be seen in seconds.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise

import pytest

from tests.cluster import Cluster
from tests.harvest.test_alerts import ALERTS as HARVEST_ALERTS
from tests.lab import database, rows
from tests.lab.figures import Figures, fault
from tests.lab.http import Client
from tests.lab.process import Service, serving
from tests.lab.proxy import Proxy
from tests.lab.rig import Lab
from tests.ops.promql import Series
from tests.ops.test_alerts import firing
from tests.ops.test_monitoring import rules
from tests.waiting import until

EVERY_S = 0.2
STEP_S = 15.0
JOB = {"instance": "a:8000", "job": "mcps"}
SLOW_FITS = """
create or replace function server_fits(
  s server, host_type text, risk_level text, verified_only boolean, category text,
  keyword text, min_stars bigint, updated_since timestamptz
) returns boolean language plpgsql as $$
begin
  perform pg_sleep(0.01);
  return s.keywords ? keyword;
end
$$
"""
SLOW_INSERT = """
create function be_slow() returns trigger language plpgsql as $$
begin
  perform pg_sleep(1.4);
  return new;
end
$$;
create trigger be_slow before insert on server
  for each row when (new.name like 'slow%') execute function be_slow()
"""


class Watch:
    """Scrapes a service and keeps what Prometheus would."""

    def __init__(self, service: Service, cluster: Cluster, proxy: Proxy) -> None:
        self.service = service
        self.cluster = cluster
        self.proxy = proxy
        self.took_s: list[float] = []
        self.count = 0
        self._client = Client(service.port)
        self._data: dict[
            tuple[str, frozenset[tuple[str, str]]], list[tuple[float, float]]
        ] = {}

    async def scrape(self) -> None:
        """Take one sample of everything."""
        self.count += 1
        t = self.count * STEP_S
        up = frozenset(JOB.items())
        if not self.service.is_running:
            self._data.setdefault(("up", up), []).append((t, 0.0))
            return
        self.service.client.close()
        began_at = time.monotonic()
        samples = await self.service.metrics()
        self.took_s.append(time.monotonic() - began_at)
        self._data.setdefault(("up", up), []).append((t, 1.0))
        for (name, labels), value in samples.items():
            key = (name, labels | up)
            self._data.setdefault(key, []).append((t, value))

    async def keep(self) -> None:
        """Scrape for ever."""
        while True:
            await self.scrape()
            await asyncio.sleep(EVERY_S)

    def firing(self) -> set[str]:
        """The alerts that fired at some time."""
        series = Series()
        for (name, labels), samples in self._data.items():
            series.data.setdefault(name, {})[labels] = samples
        return firing(series, self.count * STEP_S)

    def falling(self) -> list[str]:
        """Counters that went down."""
        return [
            name
            for (name, _), samples in self._data.items()
            if name.endswith(("_total", "_count", "_bucket"))
            and any(later[1] < sample[1] for sample, later in pairwise(samples))
        ]

    def names(self) -> int:
        """How many series of ours there are."""
        return sum(name.startswith("mcps_") for name, _ in self._data)


@asynccontextmanager
async def watched(lab: Lab, **variables: str) -> AsyncIterator[Watch]:
    """A service under a little load, scraped all the time."""
    with lab.cluster() as cluster:
        async with Proxy(lambda: cluster.port) as proxy:
            url = database.url_of(proxy.port)
            async with serving(lab.folder, DATABASE_URL=url, **variables) as service:
                await service.until_ready()
                watch = Watch(service, cluster, proxy)
                tasks = [
                    asyncio.create_task(watch.keep()),
                    *(asyncio.create_task(ask(service.port, n)) for n in range(4)),
                ]
                await asyncio.sleep(2)
                try:
                    yield watch
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)


async def ask(port: int, number: int) -> None:
    """Ask for another page each time, so that no kept answer serves it."""
    client = Client(port)
    with suppress(asyncio.CancelledError):
        for turn in range(10**6):
            since = f"2020-01-01T00:00:00.{turn * 4 + number:06}Z"
            path = f"/servers?keyword=static&updated_since={since}"
            await client.get(path)
            await asyncio.sleep(0.05)
    client.close()


async def down(watch: Watch) -> None:
    await watch.proxy.refuse()
    await asyncio.sleep(5)


async def gone(watch: Watch) -> None:
    watch.service.process.kill()
    await asyncio.sleep(3)


async def exhausted(watch: Watch) -> None:
    database.run(watch.cluster, SLOW_INSERT)
    clients = [Client(watch.service.port) for _ in range(12)]
    await asyncio.gather(
        *(
            client.write("POST", "/servers", rows.row("slow", number))
            for number, client in enumerate(clients)
        )
    )
    for client in clients:
        client.close()
    await asyncio.sleep(1)


async def changed(watch: Watch) -> None:
    rename = "alter table server rename doc to document"
    database.run(watch.cluster, rename)
    await asyncio.sleep(3)


async def broken(watch: Watch) -> None:
    # Each time too short for the database to count as down, which is another alert.
    for _ in range(4):
        watch.proxy.refusal = "XX000"
        await asyncio.sleep(0.3)
        watch.proxy.refusal = ""
        await asyncio.sleep(0.7)


async def slow(watch: Watch) -> None:
    database.run(watch.cluster, SLOW_FITS)
    await asyncio.sleep(9)


async def crowded(watch: Watch) -> None:
    clients = [Client(watch.service.port) for _ in range(850)]
    watch.proxy.is_hole = True
    asking = [
        asyncio.create_task(client.get("/admin/stats", headers=KEY, limit_s=30))
        for client in clients
    ]
    await asyncio.sleep(3)
    watch.proxy.is_hole = False
    await asyncio.gather(*asking, return_exceptions=True)
    for client in clients:
        client.close()


async def away(watch: Watch) -> None:
    client = Client(watch.service.port)
    assert (await client.get("/servers?limit=3")).status == 200
    await watch.proxy.refuse()
    for _ in range(10):
        assert (await client.get("/servers?limit=3")).status == 200
        await asyncio.sleep(0.3)
    client.close()


KEY = {"x-api-key": "test_admin_key"}
FAULTS: list[tuple[str, Callable[[Watch], Awaitable[None]]]] = [
    ("McpsDatabaseDown", down),
    ("McpsUnavailable", down),
    ("McpsStaleAnswers", away),
    ("McpsNotScraped", gone),
    ("McpsPoolExhausted", exhausted),
    ("McpsSchemaMismatch", changed),
    ("McpsErrors", broken),
    ("McpsSlowQueries", slow),
    ("McpsNearRequestLimit", crowded),
]


@pytest.mark.faults
@fault("E")
@pytest.mark.parametrize(("alert", "act"), FAULTS)
async def test_an_alert_fires_in_its_fault(
    lab: Lab, figures: Figures, alert: str, act: Callable[[Watch], Awaitable[None]]
) -> None:
    async with watched(lab) as watch:
        assert watch.firing() == set()
        await act(watch)
        assert alert in watch.firing()
        figures.tell("E", f"{alert} fires")


@fault("E")
async def test_no_alert_fires_in_the_calm(lab: Lab, figures: Figures) -> None:
    async with watched(lab) as watch:
        await asyncio.sleep(figures.pick(3, 10))
        assert watch.firing() == set()
        assert watch.falling() == []
        figures.count("E", "series", watch.names(), 500)
        figures.tell("E", "silent in the calm")


def test_every_alert_has_its_fault() -> None:
    alerts = {alert for alert, _ in FAULTS} | HARVEST_ALERTS
    assert alerts == {rule["alert"] for rule in rules()}


@pytest.mark.faults
@fault("E")
async def test_db_up_follows_the_database(lab: Lab, figures: Figures, run: int) -> None:
    async with watched(lab) as watch:
        for begin, end in (
            (watch.cluster.pause, watch.cluster.resume),
            (watch.cluster.stop, watch.cluster.start),
        ):
            for act, wanted in ((begin, 0), (end, 1)):
                await asyncio.to_thread(act)
                at = time.monotonic()

                async def is_so(wanted: int = wanted) -> bool:
                    return await watch.service.metric("mcps_db_up") == wanted

                await until(is_so)
                took_s = time.monotonic() - at
                figures.at_most("E", f"db_up {wanted}", took_s, 1.5)
            await asyncio.sleep(1.0)
        assert watch.falling() == []
        figures.at_most("E", "metrics", max(watch.took_s), 0.1)
