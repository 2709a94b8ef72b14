"""From a package in a registry to what the catalog serves of it."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from service.catalog import Reference
from service.entries import read_entry
from service.harvest import Report
from service.jobs import JobName
from service.loading import load_entries
from service.models import ChildQuery, ServerQuery
from service.pages import page_children, page_servers
from service.reading import Piece
from service.risks import get_risk
from service.settings import Settings
from service.sources.fetch import Fetcher
from service.sources.requests import Limits
from service.store.base import Store
from service.targets import Sources, make_sources
from tests.harvest.conftest import item, run
from tests.harvest.npm_registry import Registry
from tests.harvest.packed import tarball
from tests.harvest.places import options, place

NAME = "io.github.acme/files"
JOB = JobName("npm", "@acme/files")
EVIL = JobName("npm", "evil")


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    made = Registry()
    async with place(made.answer) as there:
        made.url = there.url
        yield made


@pytest.fixture
async def sources(
    registry: Registry, harvest_settings: Settings
) -> AsyncIterator[Sources]:
    settings = msgspec.structs.replace(harvest_settings, npm_registry_url=registry.url)
    limits = Limits(total_s=3.0, tries=1)
    async with Fetcher(options(limits=limits), "test") as fetcher:
        yield make_sources(settings, fetcher)


async def servers(store: Store) -> dict[str | None, Any]:
    """The servers of the catalog by their registry names."""
    page = await page_servers(store, ServerQuery())
    return {row["registry_name"]: row for row in msgspec.json.decode(page.body)}


async def names(store: Store, server: Any, kind: Any, key: str = "name") -> set[str]:
    reference = Reference(id=server["id"])
    page = await page_children(store, reference, kind, ChildQuery())
    return {row[key] for row in msgspec.json.decode(page.body)}


async def risks(store: Store, server: Any) -> set[str]:
    body = await get_risk(store, Reference(id=server["id"]))
    return {fact["kind"] for fact in msgspec.json.decode(body)["facts"]}


async def publish(store: Store) -> None:
    """Put in the server that says it is in this repository and has this name."""
    place_of = {
        "url": "https://github.com/Acme/servers",
        "source": "github",
        "subfolder": "src/files",
    }
    entry = msgspec.json.encode(item(NAME, repository=place_of))
    await load_entries(store, [read_entry(Piece(1, entry))])


def counts(report: Report) -> tuple[int, int, int]:
    return report.counts.new, report.counts.changed, report.counts.failed


async def test_a_package_becomes_a_server_with_all_that_belongs_to_it(
    store: Store, sources: Sources, harvest_settings: Settings
) -> None:
    (report,) = await run(store, sources, harvest_settings, JOB)
    assert (counts(report), report.failures) == ((1, 0, 0), [])
    (server,) = (await servers(store)).values()
    assert (server["name"], server["host_type"]) == ("@acme/files", "github")
    assert await names(store, server, "tools") == {"read_file", "listed"}
    assert await names(store, server, "releases", "version") == {
        *("2.0.0-beta.1", "1.2.0", "1.10.0"),
    }
    assert await names(store, server, "dependencies", "library_name") == {
        *("@modelcontextprotocol/sdk", "typescript"),
    }
    assert await risks(store, server) == {"install_script", "dependencies", "shell"}


async def test_a_package_that_changes_nothing_writes_nothing(
    store: Store, sources: Sources, harvest_settings: Settings, registry: Registry
) -> None:
    await run(store, sources, harvest_settings, JOB)
    (before,) = (await servers(store)).values()
    # Another ETag, the same content.
    registry.document["time"]["modified"] = "2026-06-01T00:00:00Z"
    (report,) = await run(store, sources, harvest_settings, JOB)
    assert counts(report) == (0, 0, 0)
    assert report.counts.seen == 1
    (after,) = (await servers(store)).values()
    assert after == before


async def test_a_package_belongs_to_the_server_that_names_it(
    store: Store, sources: Sources, harvest_settings: Settings
) -> None:
    await publish(store)
    named = JobName("npm", "@acme/files", NAME)
    (report,) = await run(store, sources, harvest_settings, named)
    assert counts(report) == (0, 1, 0)
    found = await servers(store)
    assert set(found) == {NAME}
    assert await names(store, found[NAME], "tools") == {"read_file", "listed"}


async def test_a_package_takes_no_server_by_what_it_claims(
    store: Store, sources: Sources, harvest_settings: Settings
) -> None:
    await publish(store)
    (report,) = await run(store, sources, harvest_settings, JOB)
    assert counts(report) == (1, 0, 0)
    found = await servers(store)
    assert set(found) == {NAME, None}
    assert await names(store, found[NAME], "tools") == set()
    assert await risks(store, found[NAME]) == set()
    assert await names(store, found[None], "tools") == {"read_file", "listed"}


async def test_a_package_that_was_made_to_hurt_changes_nothing_and_stops_nobody(
    store: Store, sources: Sources, harvest_settings: Settings, registry: Registry
) -> None:
    await run(store, sources, harvest_settings, JOB)
    before = await servers(store)
    registry.archive = tarball({"dist/bomb.js": bytes(300 << 20)})
    registry.document["time"]["modified"] = "2026-06-01T00:00:00Z"
    (report,) = await run(store, sources, harvest_settings, JOB, EVIL)
    assert {failure.target for failure in report.failures} == {"@acme/files", "evil"}
    assert await servers(store) == before
    assert await names(store, before[None], "tools") == {"read_file", "listed"}
