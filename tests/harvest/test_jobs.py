"""Jobs are shared, survive their worker, and are given back whatever happens."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from service import jobs
from service.errors import InvalidInput, SourceFailed
from service.harvest import Harvester, Plan, rehearse
from service.jobs import Choice, JobName
from service.models_harvest import Fields, Harvest, Order, Page
from service.settings import Settings
from service.store.base import Store
from service.targets import Sources
from tests.harvest.conftest import Scripted, run
from tests.waiting import until

ONE, TWO = JobName("npm", "one"), JobName("npm", "two")
NPM = Choice(("npm",))
FOUND = Page(harvests=[Harvest(primary_url="https://example.org/x")])


class Slow(Scripted):
    """A source that does not end until it is told to."""

    def __init__(self, *pages: Page) -> None:
        super().__init__("npm", *pages)
        self.going = asyncio.Event()
        self.end = asyncio.Event()

    async def harvest(self, order: Order) -> AsyncIterator[Page]:
        async for page in super().harvest(order):
            yield page
        self.going.set()
        await self.end.wait()


async def state(store: Store, name: JobName) -> str:
    row = await store.row("harvest_job", url=name.url)
    assert row is not None
    return str(row["status"])


def patient(settings: Settings) -> Settings:
    """Nobody else would get a job for a minute."""
    return msgspec.structs.replace(settings, harvest_lease=60.0)


async def stop_in_the_middle(store: Store, slow: Slow, settings: Settings) -> None:
    running = asyncio.create_task(run(store, {"npm": slow}, settings, ONE))
    await slow.going.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_each_job_goes_to_one_worker(store: Store) -> None:
    names = [JobName("npm", str(n)) for n in range(20)]
    await jobs.queue_jobs(store, names, is_due=True)
    taken = await asyncio.gather(
        *(jobs.lease_job(store, NPM, f"w{n % 3}", 60) for n in range(25))
    )
    got = [job.name.target for job in taken if job is not None]
    assert sorted(got) == sorted(name.target for name in names)


async def test_the_lease_of_a_dead_worker_ends_by_itself(store: Store) -> None:
    await jobs.queue_jobs(store, [ONE], is_due=True)
    first = await jobs.lease_job(store, NPM, "dead", 2)
    assert first is not None
    assert await jobs.lease_job(store, NPM, "alive", 2) is None
    waited = [await jobs.wait_for_others(store, NPM)]
    assert 0 < (waited[0] or 0) <= 2

    async def taken() -> bool:
        return await jobs.lease_job(store, NPM, "alive", 60) is not None

    await until(taken)
    assert not await jobs.renew_job(store, first, "dead", 60)
    await jobs.save_place(store, first, "dead", {"cursor": "old"})
    assert await jobs.get_place(store, ONE) == {}


async def test_a_renewed_lease_is_kept(store: Store) -> None:
    await jobs.queue_jobs(store, [ONE], is_due=True)
    job = await jobs.lease_job(store, NPM, "me", 0.2)
    assert job is not None
    assert await jobs.renew_job(store, job, "me", 60)
    await asyncio.sleep(0.3)
    assert await jobs.lease_job(store, NPM, "other", 60) is None


async def test_the_harvester_renews_its_leases(
    store: Store, harvest_settings: Settings
) -> None:
    slow = Slow(FOUND)
    # A slow machine may come a second late.
    short = msgspec.structs.replace(harvest_settings, harvest_lease=2.0)
    running = asyncio.create_task(run(store, {"npm": slow}, short, ONE))
    await slow.going.wait()
    await asyncio.sleep(2 * short.harvest_lease)
    assert await jobs.lease_job(store, NPM, "other", 60) is None
    slow.end.set()
    await running
    assert await state(store, ONE) == "done"


async def test_a_stopped_harvester_gives_its_jobs_back_at_once(
    store: Store, harvest_settings: Settings
) -> None:
    slow = Slow(Page(checkpoint={"page": 1}))
    await stop_in_the_middle(store, slow, patient(harvest_settings))
    leased: list[jobs.Job] = []

    async def is_leased() -> bool:
        # A statement that was cut off may hold the row for a moment more.
        job = await jobs.lease_job(store, NPM, "other", 60)
        leased.extend([job] if job else [])
        return bool(leased)

    await until(is_leased)
    assert leased[0].checkpoint == {"page": 1}


async def test_a_job_is_given_back_to_the_end_when_other_workers_stop_sooner(
    store: Store, harvest_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = jobs.release_job

    async def release_slowly(*given: Any) -> None:
        await asyncio.sleep(0.2)
        await release(*given)

    monkeypatch.setattr(jobs, "release_job", release_slowly)
    slow = Slow()
    await stop_in_the_middle(store, slow, patient(harvest_settings))
    assert await jobs.lease_job(store, NPM, "other", 60) is not None


async def test_a_failure_waits_longer_each_time_and_success_forgets_it(
    store: Store, harvest_settings: Settings
) -> None:
    waits = []
    for message in ("first", "second", ""):
        failing = SourceFailed(message, reason="status") if message else FOUND
        scripted = Scripted("npm", failing)
        (report,) = await run(store, {"npm": scripted}, harvest_settings, ONE)
        row = await store.row("harvest_job", url=ONE.url)
        assert row is not None
        waits.append((row["status"], row["attempts"], row["error_message"]))
        assert len(report.failures) == bool(message)
    assert waits == [
        ("failed", 1, "first"),
        ("failed", 2, "second"),
        ("done", 0, None),
    ]


async def test_a_failed_job_is_not_due_before_its_wait_is_over(
    store: Store, harvest_settings: Settings
) -> None:
    limited = SourceFailed("later", reason="rate_limited", retry_after_s=3600)
    await run(store, {"npm": Scripted("npm", limited)}, harvest_settings, ONE)
    assert await jobs.lease_job(store, NPM, "other", 60) is None


async def test_an_error_of_ours_in_one_source_stops_no_other(
    store: Store, harvest_settings: Settings
) -> None:
    broken = Scripted("pypi", ZeroDivisionError())
    good = Scripted("npm", FOUND)
    names = (JobName("pypi", "x"), ONE)
    reports = await run(store, {"pypi": broken, "npm": good}, harvest_settings, *names)
    by_source = {report.source: report for report in reports}
    assert [it.reason for it in by_source["pypi"].failures] == ["internal"]
    assert by_source["npm"].counts.new == 1


async def test_what_a_search_finds_is_harvested_in_the_same_run(
    store: Store, harvest_settings: Settings
) -> None:
    class Searching(Scripted):
        async def harvest(self, order: Order) -> AsyncIterator[Page]:
            self.orders.append(order)
            yield Page(targets=["one", "two"] if order.target == "search" else [])

    source = Searching("npm")
    await run(store, {"npm": source}, harvest_settings, JobName("npm", "search"))
    assert {order.target for order in source.orders} == {"search", "one", "two"}


async def test_a_checkpoint_is_handed_to_the_next_run(
    store: Store, harvest_settings: Settings
) -> None:
    source = Scripted("npm", Page(checkpoint={"etag": "1"}), Page())
    for _ in range(2):
        await run(store, {"npm": source}, harvest_settings, ONE)
    assert [order.checkpoint for order in source.orders] == [{}, {"etag": "1"}]


async def test_a_run_by_name_waits_for_whoever_has_the_target(
    store: Store, harvest_settings: Settings
) -> None:
    slow, second = Slow(FOUND), Scripted("npm", FOUND)
    long = patient(harvest_settings)
    first = asyncio.create_task(run(store, {"npm": slow}, long, ONE))
    await slow.going.wait()
    rival = asyncio.create_task(run(store, {"npm": second}, long, ONE))
    await asyncio.sleep(0.5)
    assert not rival.done()
    slow.end.set()
    await asyncio.wait_for(asyncio.gather(first, rival), 20)
    assert second.orders == []


async def test_a_dry_run_counts_and_writes_nothing(
    store: Store, harvest_settings: Settings, client: httpx.AsyncClient
) -> None:
    page = Page(
        harvests=[Harvest(primary_url="https://a.test/x", fields=Fields(stars=1))],
        checkpoint={"cursor": "x"},
    )
    sources: Sources = {"npm": Scripted("npm", page)}
    (report,) = await rehearse(store, sources, harvest_settings, [ONE])
    assert report.counts.new == 1
    assert (await client.get("/servers")).json() == []
    assert await jobs.get_place(store, ONE) == {}
    assert await store.row("harvest_job", url=ONE.url) is None


async def test_a_name_that_is_too_long_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInput, match="longer than"):
        await jobs.queue_jobs(store, [JobName("npm", "x" * 3000)], is_due=True)


async def test_only_a_registry_is_due_again_by_the_plan(
    store: Store, harvest_settings: Settings
) -> None:
    settings = msgspec.structs.replace(harvest_settings, harvest_every=5000.0)
    sources: Sources = {
        "npm": Scripted("npm", Page()),
        "registry": Scripted("registry", Page()),
    }
    names = (ONE, JobName("registry", "r"))
    await jobs.queue_jobs(store, names, is_due=True)
    plan = Plan(registry_every_s=1.0)
    harvester = Harvester(store, sources, settings, plan, lambda _: None)
    await harvester.run(Choice(("npm",), (ONE,)))
    await harvester.run(Choice(("registry",)))

    async def due() -> bool:
        return await jobs.lease_job(store, Choice(("registry",)), "w", 60) is not None

    await until(due)
    assert await jobs.lease_job(store, NPM, "w", 60) is None


async def test_a_refresh_puts_a_url_in_line_and_says_what_came_of_it(
    client: httpx.AsyncClient, admin: dict[str, str], store: Store
) -> None:
    body = {"url": "https://mcp.example.org/mcp"}
    first = await client.post("/servers/refresh", json=body, headers=admin)
    assert first.status_code == 202
    assert first.json()["status"] == "waiting"
    assert (first.json()["source"], first.json()["target"]) == ("http", body["url"])
    job = await jobs.lease_job(store, Choice(("http",)), "w", 60)
    assert job is not None
    await jobs.fail_job(store, job, "w", "it does not answer", None)
    again = await client.post("/servers/refresh", json=body, headers=admin)
    assert again.json()["status"] == "failed"
    assert again.json()["error_message"] == "it does not answer"
    assert await jobs.lease_job(store, Choice(("http",)), "w", 60) is None


async def test_a_refresh_of_what_no_source_knows_is_refused(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    for url in ("ftp://example.org/x", "no url"):
        body = {"url": url}
        answer = await client.post("/servers/refresh", json=body, headers=admin)
        assert answer.status_code == 400, answer.text
