"""Reading a registry: what is new, what vanished, what was cut short, what is wrong."""

import asyncio
import time
from datetime import datetime
from typing import Any

import httpx
import pytest
from aiohttp import web

from service.harvest import Report
from service.jobs import JobName, get_place
from service.models_harvest import Order
from service.settings import Settings
from service.store.base import Store
from service.targets import Sources
from tests.harvest.conftest import item, run
from tests.harvest.places import Place, place
from tests.harvest.registries import Registry, endless, text


class Mirror:
    """What the tests of this file ask again and again."""

    def __init__(self, store: Store, sources: Sources, settings: Settings) -> None:
        self.store = store
        self.sources = sources
        self.settings = settings

    async def read(self, there: Place) -> Report:
        (report,) = await run(
            self.store, self.sources, self.settings, JobName("registry", there.url)
        )
        return report

    async def place(self, there: Place) -> dict[str, Any]:
        return await get_place(self.store, JobName("registry", there.url))

    async def latest(self) -> dict[str, str]:
        """Names and packages of what is latest and not deleted."""
        rows = await self.store.rows("harvest_published", after=0, wanted=1000)
        return {row["registry_name"]: row["packages"] for row in rows}


@pytest.fixture
def mirror(store: Store, sources: Sources, harvest_settings: Settings) -> Mirror:
    return Mirror(store, sources, harvest_settings)


async def test_every_page_is_stored_and_reading_again_changes_nothing(
    mirror: Mirror,
) -> None:
    registry = Registry(*(item(f"a/s{n}") for n in range(5)))
    async with place(registry) as there:
        first = await mirror.read(there)
        again = await mirror.read(there)
    assert (first.counts.seen, first.counts.new, first.failures) == (5, 5, [])
    assert (again.counts.new, again.counts.changed, again.counts.gone) == (0, 0, 0)
    assert len(await mirror.latest()) == 5


async def test_the_second_reading_asks_for_what_was_updated_since_with_overlap(
    mirror: Mirror,
) -> None:
    registry = Registry(item("a/old"), item("a/new"))
    async with place(registry) as there:
        await mirror.read(there)
        registry.items[1] = item("a/new", at="2099-01-01", title="new")
        report = await mirror.read(there)
        asked = there.asked[-1].query
    assert (report.counts.seen, report.counts.changed) == (1, 1)
    assert asked["include_deleted"] == "true"
    age_s = time.time() - _seconds(asked["updated_since"])
    assert 590 < age_s < 700


async def test_a_tombstone_is_carried_over(mirror: Mirror) -> None:
    registry = Registry(item("a/b"))
    async with place(registry) as there:
        await mirror.read(there)
        gone = item("a/b", at="2099-01-01", status="deleted", statusMessage="spam")
        registry.items = [gone]
        report = await mirror.read(there)
    assert report.counts.changed == 1
    assert await mirror.latest() == {}


async def test_what_vanished_is_found_when_everything_is_read_again(
    mirror: Mirror,
) -> None:
    registry = Registry(item("a/stays"), item("a/goes"))
    async with place(registry) as there:
        await mirror.read(there)
        registry.items.pop()
        assert (await mirror.read(there)).counts.gone == 0
        mirror = _always_whole(mirror)
        assert (await mirror.read(there)).counts.gone == 1
        assert [*await mirror.latest()] == ["a/stays"]
        registry.items.append(item("a/goes"))
        await mirror.read(there)
    assert {*await mirror.latest()} == {"a/stays", "a/goes"}


async def test_a_silent_rewrite_is_found_when_everything_is_read_again(
    mirror: Mirror,
) -> None:
    registry = Registry(item("a/b"))
    async with place(registry) as there:
        await mirror.read(there)
        registry.items = [item("a/b", packages=[])]
        assert (await mirror.read(there)).counts.changed == 0
        assert (await _always_whole(mirror).read(there)).counts.changed == 1


async def test_a_registry_that_suddenly_lists_little_deletes_nothing(
    mirror: Mirror,
) -> None:
    registry = Registry(*(item(f"a/s{n}") for n in range(50)))
    registry.page_size = 100
    mirror = _always_whole(mirror)
    async with place(registry) as there:
        await mirror.read(there)
        registry.items = registry.items[:5]
        report = await mirror.read(there)
    assert [it.reason for it in report.failures] == ["bad_answer"]
    assert "HARVEST_MAX_LOSS" in report.failures[0].message
    assert len(await mirror.latest()) == 50


async def test_a_reading_that_broke_off_goes_on_at_its_page(mirror: Mirror) -> None:
    registry = Registry(*(item(f"a/s{n}") for n in range(6)))
    async with place(registry) as there:
        registry.faults = [text("", 404), registry.serve, text("nothing", 400)]
        broken = await mirror.read(there)
        assert broken.counts.seen == 2
        assert (await mirror.place(there))["cursor"] == "a/s1:1.0.0"
        asked = len(there.asked)
        whole = await mirror.read(there)
    assert whole.counts.seen == 4
    assert there.asked[asked].query["cursor"] == "a/s1:1.0.0"
    assert len(await mirror.latest()) == 6


async def drip(request: web.Request) -> web.StreamResponse:
    """One byte a second."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for _ in range(60):
        await response.write(b" ")
        await asyncio.sleep(1)
    return response


async def inside(_request: web.Request) -> web.StreamResponse:
    """A redirect to where only the machine itself gets to."""
    target = "http://169.254.169.254/latest/meta-data"
    return web.Response(status=302, headers={"Location": target})


BAD = {
    "one byte a second": drip,
    "a redirect inside": inside,
    "ten megabytes": text('{"servers": [' + " " * 10_000_000 + "]}"),
    "html": text("<html>Sign in</html>", kind="text/html"),
    "no list": text('{"servers": 5}'),
    "a server error": text("", 500),
    "too many requests": text("", 429),
    "deep": text("[" * 50_000),
    "the same page for ever": endless("same"),
    "empty pages for ever": endless("empty"),
    "nothing": text("", 404),
}


@pytest.mark.postgresql
@pytest.mark.parametrize("fault", BAD)
async def test_a_bad_registry_is_left_in_time_and_the_others_go_on(
    mirror: Mirror, fault: str
) -> None:
    good = Registry(item("a/good"))
    async with place(good) as one, place(BAD[fault]) as other:
        names = [JobName("registry", there.url) for there in (other, one)]
        began_at = time.monotonic()
        (report,) = await run(mirror.store, mirror.sources, mirror.settings, *names)
        assert time.monotonic() - began_at < 30
    assert [it.target for it in report.failures] == [other.url]
    assert set(await mirror.latest()) <= {"a/good", "a/b"}
    job = await mirror.store.row("harvest_job", url=names[0].url)
    assert job is not None
    assert job["status"] == "failed"
    assert job["error_message"] == report.failures[0].message


async def test_what_came_by_the_api_is_not_replaced_and_not_buried(
    mirror: Mirror, client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    registry = Registry(item("a/mine"), item("a/other"))
    mirror = _always_whole(mirror)
    async with place(registry) as there:
        await mirror.read(there)
        change = await client.patch(
            "/v0.1/servers/a%2Fmine/versions/1.0.0/status",
            json={"status": "deprecated"},
            headers=admin,
        )
        assert change.status_code == 200, change.text
        registry.items[0] = item("a/mine", at="2099-01-01", title="newer")
        assert (await mirror.read(there)).counts.changed == 0
        registry.items.pop(0)
        assert (await mirror.read(there)).counts.gone == 0
    assert {*await mirror.latest()} == {"a/mine", "a/other"}


async def test_a_time_by_hand_moves_no_checkpoint(mirror: Mirror) -> None:
    registry = Registry(item("a/old"), item("a/new", at="2025-06-01"))
    async with place(registry) as there:
        source = mirror.sources["registry"]
        order = Order(target=there.url, since="2025-03-01T00:00:00Z")
        pages = [page async for page in source.harvest(order)]
    assert sum(len(page.entries) for page in pages) == 1
    assert all(not isinstance(page.checkpoint, dict) for page in pages)


@pytest.mark.parametrize(
    "typed",
    [
        "http://r.test/base",
        "http://r.test/base/",
        "http://r.test/base/v0.1/servers?x=1",
    ],
)
def test_a_registry_is_known_by_its_base(sources: Sources, typed: str) -> None:
    assert sources["registry"].target_of(typed) == "http://r.test/base"
    assert sources["registry"].target_of("r.test") is None


def _always_whole(mirror: Mirror) -> Mirror:
    source: Any = mirror.sources["registry"]
    source._full_every_s = 0.0
    return mirror


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
