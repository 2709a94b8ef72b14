"""The same requests to a catalog in PostgreSQL and to one in SQLite: equal bytes."""

import gzip
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.app import create_app
from service.entries import read_entry
from service.loading import load_entries
from service.models_registry import OFFICIAL
from service.reading import pieces
from service.sample import load_sample
from service.settings import Settings, read_settings
from service.store.base import Store
from service.store.locate import make_store
from service.store.sqlite_file import sqlite_url
from tests.conftest import ADMIN_KEY, execute

pytestmark = pytest.mark.postgresql

HEADERS = {"X-API-Key": ADMIN_KEY}
# The order in which the versions of one load get their ids is left to the database.
KINDS = (
    *("tools", "resources", "prompts"),
    *("dependencies", "releases", "contributors"),
)
SORTS = ("name", "stars", "downloads", "health_score", "updated_at")
ODD = 'Ä "quoted" \\ back\tslash \x01 日本 \U0001f600 </script> \x7f'
# What the clock and the dice decide is made equal by hand, in words both understand.
LEVEL = [
    (
        "update server set uuid = 'ffffffff-0000-4000-8000-' || "
        "substr('000000000000' || id, -12), created_at = '{0}', updated_at = '{0}', "
        "last_indexed_at = '{0}', stars = id % 7, downloads = id * 1000003 % 1009, "
        "health_score = id % 11"
    ),
    (
        "update server_version set published_at = '{0}', updated_at = '{0}', "
        "status_changed_at = '{0}'"
    ),
    *(
        f"update {table} set created_at = '{{0}}', updated_at = '{{0}}'"
        for table in (
            *("tool", "resource_template", "prompt", "dependency"),
            *("release", "contributor"),
        )
    ),
]
AT = "2026-01-02T03:04:05.678900Z"


def _level(dialect: str) -> list[str]:
    texts = [text.format(AT) for text in LEVEL]
    if dialect == "postgresql":
        name = "right('000000000000' || id, 12))::uuid"
        texts[0] = texts[0].replace("substr('000000000000' || id, -12)", name)
        texts[0] = texts[0].replace("'ffffffff", "('ffffffff")
    return texts


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[tuple[httpx.AsyncClient, Store]]:
    settings: Settings = read_settings(
        {"ENVIRONMENT": "development", "DATABASE_URL": url, "ADMIN_API_KEY": ADMIN_KEY}
    )
    store = make_store(settings)
    await store.open()
    transport = httpx.ASGITransport(app=create_app(settings, store))  # type: ignore[arg-type]
    async with httpx.AsyncClient(
        transport=transport, base_url="http://catalog.test", headers=HEADERS
    ) as client:
        yield client, store
    await store.close()


@pytest.fixture
async def both(
    database_url: str, sqlite_template: Path, tmp_path: Path
) -> AsyncIterator[list[tuple[httpx.AsyncClient, Store]]]:
    file = tmp_path / "mcps.db"
    file.write_bytes(sqlite_template.read_bytes())
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(opened(url))
            for url in (database_url, sqlite_url(file))
        ]


async def level(database_url: str, tmp_path: Path) -> None:
    await execute(database_url.rsplit("/", 1)[1], *_level("postgresql"))
    connection = sqlite3.connect(tmp_path / "mcps.db", isolation_level=None)
    for text in _level("sqlite"):
        connection.execute(text)
    connection.close()


async def same(both: Any, method: str, path: str, **options: Any) -> httpx.Response:
    """The answer, which has to be the same on both."""
    ours, theirs = [await client.request(method, path, **options) for client, _ in both]
    assert ours.status_code == theirs.status_code, (path, ours.text, theirs.text)
    assert ours.content == theirs.content, path
    return ours


async def follow(both: Any, path: str) -> int:
    """Every page of a list; gives their number."""
    pages = 0
    while path:
        answer = await same(both, "GET", path)
        assert answer.status_code == 200, answer.text
        pages += 1
        path = answer.links.get("next", {}).get("url", "")
    return pages


async def test_the_sample_is_served_in_equal_bytes(
    both: Any, database_url: str, tmp_path: Path
) -> None:
    for _, store in both:
        assert await load_sample(store)
    await level(database_url, tmp_path)
    for sort in SORTS:
        for sign in ("", "-"):
            assert await follow(both, f"/servers?limit=3&sort={sign}{sort}") > 1
    for query in (
        *("host_type=github", "risk_level=safe", "verified_only=true", "min_stars=3"),
        *("category=data&sort=name", "keyword=files&sort=-updated_at", "count=true"),
        "updated_since=2026-01-01T00:00:00Z&sort=name&limit=2",
    ):
        await follow(both, f"/servers?{query}")
    servers = (await same(both, "GET", "/servers?limit=100&sort=name")).json()
    for server in servers:
        await same(both, "GET", f"/servers/{server['id']}")
        await same(both, "GET", f"/servers/{server['uuid']}")
        for kind in KINDS:
            await follow(both, f"/servers/{server['id']}/{kind}?limit=1")
    assert await follow(both, "/tools?limit=3") > 1
    await same(both, "GET", "/tools/1")
    await same(both, "GET", "/admin/stats")
    for work in ("update-health-scores", "update-risk-levels"):
        answer = await same(both, "POST", f"/admin/{work}")
        assert answer.status_code == 200
        await level(database_url, tmp_path)
    await ends_are_equal(both)


async def ends_are_equal(both: Any) -> None:
    for missing in ("/servers/999", "/tools/999", "/servers/999/tools", "/servers/x"):
        assert (await same(both, "GET", missing)).status_code == 404


async def test_edits_leave_equal_bytes(
    both: Any, database_url: str, tmp_path: Path
) -> None:
    body = {
        "name": ODD,
        "primary_url": "https://example.org/a",
        "description": ODD * 3,
        "keywords": ["b,", ODD, '","', ","],
        "categories": ["one"],
        "stars": 2**62,
        "last_indexed_at": "2026-05-06T07:08:09.5+02:00",
    }
    for client, _ in both:
        assert (await client.post("/servers", json=body)).status_code == 201
    await level(database_url, tmp_path)
    await same(both, "GET", "/servers/1")
    patch: dict[str, Any] = {
        "title": "T",
        "keywords": [],
        "license": None,
        "verified_source": True,
    }
    for client, _ in both:
        assert (await client.patch("/servers/1", json=patch)).status_code == 200
    await level(database_url, tmp_path)
    shown = (await same(both, "GET", "/servers/1")).json()
    assert (shown["title"], shown["keywords"]) == ("T", [])
    assert (await same(both, "POST", "/servers", json=body)).status_code == 409
    for wrong in ({"name": "a\0b"}, {"name": None}, {"stars": 2**64}, {"name": ""}):
        answers = [await client.patch("/servers/1", json=wrong) for client, _ in both]
        assert {answer.status_code for answer in answers} == {400}
    assert (await same(both, "DELETE", "/servers/1")).status_code == 204
    await same(both, "GET", "/servers/1")


async def test_a_search_finds_the_same(both: Any, shared_data: Path) -> None:
    file = shared_data / "registry" / "official-2025-11-12.json.gz"
    text = gzip.decompress(file.read_bytes())
    for _, store in both:
        await load_entries(store, map(read_entry, pieces([text])))
    found = 0
    for words in (
        *("postgres database", "github", "weather", "search", "io.github", "calendar"),
        *(
            "the",
            "what is an API",
            "🎉",
            '"quoted" AND (x',
            "kubernetes",
            "browser-use",
            "github.com/a",
            "io.github/",
            "example.org/none",
            "github.com/b search",
        ),
    ):
        path = "/search?limit=100&q=" + str(httpx.QueryParams({"q": words}))[2:]
        answers = [(await client.get(path)).json() for client, _ in both]
        ours, theirs = answers
        assert ours["total"] == theirs["total"], (words, ours["total"], theirs["total"])
        if ours["total"] <= 100:
            names = [{s["name"] for s in answer["servers"]} for answer in answers]
            assert names[0] == names[1], words
        found += ours["total"]
    assert found > 50
    for wrong, right in (("kuberentes", "kubernetes"), ("githbu", "github")):
        answers = [(await c.get(f"/search?q={wrong}")).json() for c, _ in both]
        assert [answer.get("corrected") for answer in answers] == [right, right]


LISTS = (
    *("limit=3", "limit=2&version=latest", "include_deleted=true", "status=deleted"),
    *("registry_type=npm&limit=1", "transport=stdio", "transport=sse", "remote=true"),
    *("remote=false&version=latest", "version=1.0.0", "registry_type=a"),
    *("updated_since=2020-01-01T00:00:00Z&limit=2", "search=io.b/", "search=%25"),
)


def _official(**fields: Any) -> dict[str, Any]:
    return {"_meta": {OFFICIAL: {"publishedAt": "2025-01-01T00:00:00Z", **fields}}}


def _odd_entries() -> list[dict[str, Any]]:
    """What lists hold that no schema allows, and what they should hold."""
    stdio = {"type": "stdio"}
    npm = {"registryType": "npm", "transport": stdio}
    documents: list[dict[str, Any]] = [
        {"description": ODD, "packages": [npm, npm, {"registryType": "a,b"}]},
        {"description": " \u2003\n", "title": "\t" + ODD, "remotes": [{"type": "sse"}]},
        {"description": 5, "title": " ", "packages": [1, "x", {"registryType": "q"}]},
        {"title": "only", "remotes": [{"url": "https://a"}], "packages": []},
        {"description": "", "b": 1.0, "a": [{"c": 1e5}, None], "n": {"description": 1}},
        {"remotes": {"x": 1}, "description": "d", "packages": "none"},
    ]
    entries = [
        {"server": {"name": f"io.b/n{at}", "version": "1.0.0", **document}}
        for at, document in enumerate(documents)
    ]
    entries += [
        {"server": {"name": "io.b/n0", "version": f"1.{at}.0-b", "description": "d"}}
        for at in range(2)
    ]
    entries[0] |= _official(status="deprecated", statusMessage=ODD)
    entries[1] |= _official(status="deleted", statusMessage="")
    return [{**_official(), **entry} for entry in entries]


async def follow_cursors(both: Any, path: str) -> None:
    while path:
        body = (await same(both, "GET", path)).json()
        cursor = body["metadata"].get("nextCursor")
        path = cursor and f"/v0/servers?limit=2&cursor={cursor}"


def _changes(answer: httpx.Response) -> dict[tuple[str, str, str | None], Any]:
    return {
        (change["kind"], change["name"], change.get("version")): change.get("item")
        for change in answer.json()["changes"]
    }


@pytest.fixture
async def registries(both: Any, database_url: str, tmp_path: Path) -> Any:
    text = json.dumps(_odd_entries()).encode()
    for _, store in both:
        report = await load_entries(store, map(read_entry, pieces([text])))
        assert report.rejected == 0
    await level(database_url, tmp_path)
    return both


async def test_the_registry_api_answers_in_equal_bytes(registries: Any) -> None:
    for query in LISTS:
        await follow_cursors(registries, f"/v0.1/servers?{query}")
    for at in range(7):
        base = f"/v0.1/servers/io.b%2Fn{at}/versions"
        for path in (base, f"{base}/latest", f"{base}/1.0.0"):
            for tail in ("", "?include_deleted=true"):
                await same(registries, "GET", path + tail)
    for name in ("kiro", "managed-settings"):
        await same(registries, "GET", f"/exports/{name}.json")


async def test_what_other_registries_lack_is_the_same_too(registries: Any) -> None:
    names = {"names": ["io.b/n3", ODD, "io.b/n0", "io.b/n1", "x"]}
    batch = await same(registries, "POST", "/v0/x/io.mcps/batch", json=names)
    assert len(batch.json()["servers"]) == 2
    facets = (await same(registries, "GET", "/v0/x/io.mcps/facets")).json()
    assert facets["labels"]["type:q"] == 1
    path = "/v0/x/io.mcps/changes?since=2"
    ours, theirs = [_changes(await client.get(path)) for client, _ in registries]
    assert ours == theirs
    assert len(ours) == 14
