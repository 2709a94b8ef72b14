"""Following the change feed of another MCPS, also one that was put back or lies."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web

from service.harvest import Report
from service.jobs import JobName, get_place
from service.settings import Settings
from service.sources.fetch import Fetcher
from service.store.base import Store
from service.targets import Sources, make_sources
from tests.harvest.conftest import Item, item, run
from tests.harvest.places import options, place
from tests.harvest.registries import text

FEED = "/v0.1/x/io.mcps/changes"


class Feed:
    """The feed of an MCPS: one change a serial."""

    def __init__(self, *items: Item) -> None:
        self.changes: list[Item] = []
        for entry in items:
            self.put(entry)

    def put(self, entry: Item) -> None:
        """A version is there."""
        self._add(entry, {"deleted": False, "item": entry})

    def drop(self, entry: Item) -> None:
        """A version is gone."""
        self._add(entry, {"deleted": True})

    def _add(self, entry: Item, more: Item) -> None:
        document = entry["server"]
        named = {"name": document["name"], "version": document["version"]}
        serial = len(self.changes) + 1
        self.changes.append({"serial": serial, "kind": "version", **named, **more})

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        assert request.path == FEED, "a list is not asked for where there is a feed"
        place = request.query.get("since", "0")
        since = int(place.partition(".")[0])
        page = self.changes[since : since + int(request.query["limit"])]
        following = f"{page[-1]['serial']}.1" if page else place
        body = {"changes": page, "next": following, "serial": len(self.changes)}
        return web.json_response(body)


class Follower:
    """Follows one feed into the catalog."""

    def __init__(self, store: Store, sources: Sources, settings: Settings) -> None:
        self.store = store
        self._sources = sources
        self._settings = settings

    async def read(self, url: str) -> Report:
        name = JobName("registry", url)
        (report,) = await run(self.store, self._sources, self._settings, name)
        return report

    async def names(self) -> set[str]:
        rows = await self.store.rows("harvest_published", after=0, wanted=1000)
        return {row["registry_name"] for row in rows}


@pytest.fixture
def follower(store: Store, sources: Sources, harvest_settings: Settings) -> Follower:
    return Follower(store, sources, harvest_settings)


async def test_only_what_is_new_is_asked_for(follower: Follower) -> None:
    feed = Feed(*(item(f"a/s{n}") for n in range(250)))
    async with place(feed) as there:
        first = await follower.read(there.url)
        assert (first.counts.pages, first.counts.new) == (3, 250)
        feed.put(item("a/new"))
        feed.drop(item("a/s0"))
        asked = len(there.asked)
        second = await follower.read(there.url)
        assert [it.query["since"] for it in there.asked[asked:]] == ["250.1"]
    assert (second.counts.new, second.counts.gone) == (1, 1)
    assert len(await follower.names()) == 250


async def test_a_catalog_that_was_put_back_is_read_from_its_beginning(
    follower: Follower,
) -> None:
    feed = Feed(*(item(f"a/s{n}") for n in range(5)))
    async with place(feed) as there:
        await follower.read(there.url)
        feed.changes = feed.changes[:3]
        report = await follower.read(there.url)
    assert report.failures == []
    assert report.counts.gone == 2
    assert await follower.names() == {"a/s0", "a/s1", "a/s2"}


async def test_a_version_that_came_back_is_there_again(follower: Follower) -> None:
    feed = Feed(item("a/b"))
    async with place(feed) as there:
        await follower.read(there.url)
        feed.drop(item("a/b"))
        await follower.read(there.url)
        assert await follower.names() == set()
        feed.put(item("a/b"))
        await follower.read(there.url)
    assert await follower.names() == {"a/b"}


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "body",
    [
        '{"changes":[],"next":"x","serial":5}',
        '{"changes":[],"next":"1","serial":"5"}',
        '{"changes":5}',
        "<html>",
    ],
)
async def test_a_feed_that_breaks_fails_and_keeps_its_place(
    follower: Follower, body: str
) -> None:
    feed = Feed(item("a/b"))
    answers: list[Any] = [feed]

    async def handler(request: web.Request) -> web.StreamResponse:
        answer: web.StreamResponse = await answers[-1](request)
        return answer

    async with place(handler) as there:
        await follower.read(there.url)
        before = await get_place(follower.store, JobName("registry", there.url))
        answers.append(text(body))
        report = await follower.read(there.url)
        after = await get_place(follower.store, JobName("registry", there.url))
    assert [it.reason for it in report.failures] == ["bad_answer"]
    assert after == before
    assert await follower.names() == {"a/b"}


async def test_a_feed_that_does_not_go_on_is_left(follower: Follower) -> None:
    change = {"serial": 1, "kind": "server", "name": None, "deleted": False}

    async def stuck(request: web.Request) -> web.StreamResponse:
        body = {"changes": [change] * 100, "next": "1.1", "serial": 9}
        return web.json_response(body)

    async with place(stuck) as there:
        report = await follower.read(there.url)
        assert len(there.asked) < 10
    assert [it.reason for it in report.failures] == ["bad_answer"]


@pytest.fixture
async def with_key(harvest_settings: Settings) -> AsyncIterator[Any]:
    """Makes the sources of settings with a key for one registry."""
    async with Fetcher(options(), "test") as fetcher:

        def make(url: str) -> Sources:
            changed = msgspec.structs.replace(
                harvest_settings, registry_url=url, registry_api_key="s3cret"
            )
            return make_sources(changed, fetcher)

        yield make


async def test_the_key_goes_to_the_configured_registry_alone(
    with_key: Any, store: Store, harvest_settings: Settings
) -> None:
    async with place(Feed(item("a/b"))) as mine, place(Feed(item("a/c"))) as other:
        sources = with_key(f"{mine.url}/v0.1/servers")
        names = [JobName("registry", there.url) for there in (mine, other)]
        await run(store, sources, harvest_settings, *names)
        assert {it.headers["X-API-Key"] for it in mine.asked} == {"s3cret"}
        assert not any("X-API-Key" in it.headers for it in other.asked)
