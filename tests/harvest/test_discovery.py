"""What entries point to becomes jobs, each once, of the server that names it."""

import json

from service.discovery import discover
from service.entries import read_entry
from service.jobs import JobName, known_targets, queue_jobs
from service.loading import load_entries
from service.reading import Piece
from service.settings import Settings
from service.store.base import Store
from service.targets import Sources
from tests.harvest.conftest import Item, Scripted, item

ENDPOINT = {"type": "streamable-http", "url": "https://mcp.acme.test/mcp"}


async def load(store: Store, *items: Item) -> None:
    pieces = (Piece(at, json.dumps(it).encode()) for at, it in enumerate(items, 1))
    await load_entries(store, [read_entry(piece) for piece in pieces])


async def test_packages_remotes_and_repositories_become_jobs(
    store: Store, harvest_settings: Settings
) -> None:
    package = {"registryType": "npm", "identifier": "@acme/tools"}
    odd = [None, 5, {"registryType": ["npm"]}, {"identifier": 5, "registryType": "npm"}]
    await load(
        store,
        item(
            "acme/tools",
            packages=[package, {"registryType": "nuget", "identifier": "x"}],
            remotes=[ENDPOINT],
            repository={"url": "https://github.com/acme/tools"},
        ),
        item("acme/odd", packages=odd, remotes=[{"url": 5}, "x"], repository={}),
        item("acme/gone", status="deleted", remotes=[{"url": "https://gone.test/"}]),
    )
    sources: Sources = {
        "npm": Scripted("npm"),
        "http": Scripted("http"),
        "github": Scripted("github"),
    }
    for _ in range(2):
        assert await discover(store, sources) == 3
    assert await known_targets(store, "npm") == ["@acme/tools"]
    assert await known_targets(store, "http") == ["https://mcp.acme.test/mcp"]
    assert await known_targets(store, "github") == ["https://github.com/acme/tools"]


async def test_a_target_of_several_servers_belongs_to_the_first(
    store: Store, harvest_settings: Settings
) -> None:
    await load(store, item("acme/one", remotes=[ENDPOINT]))
    await load(store, item("acme/two", remotes=[ENDPOINT]))
    await discover(store, {"http": Scripted("http")})
    rows = await store.rows(
        "harvest_lease", sources='["http"]', urls=None, worker="w", lease_s=60.0
    )
    assert [row["registry_name"] for row in rows] == ["acme/one"]


async def test_a_target_that_was_asked_for_by_hand_learns_its_server(
    store: Store,
) -> None:
    url = str(ENDPOINT["url"])
    await queue_jobs(store, [JobName("http", url)], is_due=True)
    await load(store, item("acme/tools", remotes=[ENDPOINT]))
    await discover(store, {"http": Scripted("http")})
    rows = await store.rows(
        "harvest_lease", sources='["http"]', urls=None, worker="w", lease_s=60.0
    )
    assert [row["registry_name"] for row in rows] == ["acme/tools"]


async def test_a_source_that_is_not_there_gets_no_jobs(store: Store) -> None:
    await load(store, item("acme/tools", remotes=[ENDPOINT]))
    assert await discover(store, {"npm": Scripted("npm")}) == 0
