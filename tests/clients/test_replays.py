"""What the clients of a registry send, and what each of them needs back."""

import gzip
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import jsonschema_rs
import msgspec
import pytest
import yaml

from service.app import create_app
from service.models_registry import OFFICIAL
from service.settings import Settings
from service.store.base import Store
from tests.registry.conftest import item, load
from tests.registry.test_changes import load_file

NAMES = [f"io.github.owner{at:03}/Bird_watcher.v2" for at in range(120)]
ORIGIN = {"Origin": "vscode-file://vscode-app"}
REMOTE: dict[str, Any] = {
    "remotes": [{"type": "streamable-http", "url": "https://a.example/mcp"}]
}


@pytest.fixture
async def catalog(store: Store) -> tuple[str, str]:
    """A name and a word to search for, in a catalog of made-up servers."""
    entries = [item(name, description="", **REMOTE) for name in NAMES]
    await load(store, *entries, item(NAMES[0], "1.1.0+build.5"))
    return NAMES[0], "bird"


def usable(entry: dict[str, Any]) -> bool:
    """Whether VS Code shows an item: all three are text, and `_meta` is an object."""
    server = entry["server"]
    texts = [server.get(key) for key in ("name", "description", "version")]
    return all(isinstance(t, str) and t.strip() for t in texts) and isinstance(
        entry["_meta"], dict
    )


async def pages(
    client: httpx.AsyncClient, first: str, following: str
) -> list[dict[str, Any]]:
    """All items; the cursor is put into the URL as it is, without encoding."""
    found: list[dict[str, Any]] = []
    url = first
    while True:
        answer = await client.get(url, headers=ORIGIN)
        assert answer.status_code == 200, answer.text
        assert answer.headers["access-control-allow-origin"] == "*"
        body = answer.json()
        found += body["servers"]
        cursor = body["metadata"].get("nextCursor")
        if not cursor:
            return found
        assert re.fullmatch(r"[A-Za-z0-9_-]+", cursor)
        url = f"{following}&cursor={cursor}"


async def test_vs_code_shows_every_server_once(
    client: httpx.AsyncClient, catalog: tuple[str, str]
) -> None:
    probe = await client.get("/v0.1/servers?limit=1", headers=ORIGIN)
    assert probe.status_code == 200
    url = "/v0.1/servers?limit=50&version=latest"
    found = await pages(client, url, url)
    assert all(usable(entry) for entry in found)
    names = [entry["server"]["name"] for entry in found]
    assert len(names) == len(set(names)) >= 120
    assert catalog[0] in names
    assert all(entry["_meta"][OFFICIAL]["isLatest"] for entry in found)


async def test_real_entries_are_usable_for_the_strictest_client(
    client: httpx.AsyncClient, store: Store, shared_data: Path
) -> None:
    await load_file(store, shared_data / "registry" / "official-2025-12-18.json.gz")
    url = "/v0.1/servers?limit=50&version=latest"
    found = await pages(client, url, url)
    names = [entry["server"]["name"] for entry in found]
    assert all(usable(entry) for entry in found)
    assert names == sorted(set(names), key=str.encode)
    assert len(names) > 1000
    for name in names[::97]:
        path = f"/v0.1/servers/{quote(name, safe='')}/versions/latest"
        assert (await client.get(path, headers=ORIGIN)).status_code == 200
    first = (await client.get(f"{url}&search=github")).json()["servers"]
    assert "github" in first[0]["server"]["name"].partition("/")[2].lower()


async def test_vs_code_does_not_repeat_the_search_on_page_two(
    client: httpx.AsyncClient, store: Store
) -> None:
    await load(store, *(item(name) for name in NAMES), item("io.z/nothing"))
    url = "/v0.1/servers?limit=50&version=latest"
    found = await pages(client, f"{url}&search={quote('bird watcher')}", url)
    assert sorted(entry["server"]["name"] for entry in found) == NAMES


@pytest.mark.parametrize("prefix", ["/v0.1", "/v0"])
async def test_an_install_page_finds_one_server(
    client: httpx.AsyncClient, catalog: tuple[str, str], prefix: str
) -> None:
    """VS Code, Copilot CLI and the others: 404 only means that it is not listed."""
    name, _ = catalog
    base = f"{prefix}/servers/{quote(name, safe='')}/versions"
    answer = await client.get(f"{base}/latest", headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json()["server"]["name"] == name
    version = answer.json()["server"]["version"]
    same = await client.get(f"{base}/{quote(version, safe='')}")
    assert same.content == answer.content
    other = f"{prefix}/servers/io.github.nobody%2Fnothing/versions/latest"
    missing = await client.get(other)
    assert missing.status_code == 404
    assert missing.json()["error"]
    assert (await client.head(f"{base}/latest")).status_code == 200


@pytest.mark.parametrize("path", ["", "/a%2Fb/versions/latest", "/a%2Fb/versions/1.0"])
async def test_copilot_may_ask_from_any_origin(
    client: httpx.AsyncClient, path: str
) -> None:
    url = f"/v0.1/servers{path}"
    preflight = await client.options(
        url, headers={**ORIGIN, "Access-Control-Request-Method": "GET"}
    )
    assert preflight.status_code in {200, 204}
    allowed = preflight.headers["access-control-allow-methods"]
    assert {"GET", "OPTIONS"} <= set(allowed.split(", "))
    headers = preflight.headers["access-control-allow-headers"]
    assert {"Authorization", "Content-Type"} <= set(headers.split(", "))
    answer = await client.get(url, headers=ORIGIN)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "X-MCPS-Serial" in answer.headers["access-control-expose-headers"]


async def test_copilot_needs_no_key_even_where_other_reads_do(
    settings: Settings, store: Store
) -> None:
    closed = msgspec.structs.replace(settings, require_api_key=True)
    transport = httpx.ASGITransport(app=create_app(closed, store))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        assert (await client.get("/v0.1/servers?limit=30")).status_code == 200
        assert (await client.get("/servers")).status_code == 401


async def test_mcp_publisher_reads_health_and_versions(
    client: httpx.AsyncClient, catalog: tuple[str, str]
) -> None:
    health = (await client.get("/v0/health")).json()
    assert health["status"] == "ok"
    assert (await client.get("/v0/ping")).json() == {"pong": True}
    assert (await client.get("/v0/version")).json()["version"]
    path = f"/v0/servers/{quote(catalog[0], safe='')}/versions"
    listed = (await client.get(path)).json()
    assert listed["metadata"]["count"] == len(listed["servers"]) > 0


async def test_toolhive_takes_it_for_a_registry_and_reads_all(
    client: httpx.AsyncClient, catalog: tuple[str, str]
) -> None:
    document = yaml.safe_load((await client.get("/openapi.yaml")).text)
    assert document["info"]["version"] == "1.0.0"
    project = "https://github.com/modelcontextprotocol/registry"
    assert project in document["info"]["description"]
    names = set()
    cursor = ""
    for _ in range(1000):
        url = "/v0.1/servers?limit=100"
        url += f"&cursor={quote_plus(cursor)}" if cursor else ""
        body = (await client.get(url)).json()
        names |= {entry["server"]["name"] for entry in body["servers"]}
        cursor = body["metadata"].get("nextCursor", "")
        if not cursor:
            break
    assert catalog[0] in names
    assert not cursor


async def test_docker_gateway_pages_the_old_prefix(
    client: httpx.AsyncClient, catalog: tuple[str, str]
) -> None:
    url = "/v0/servers?version=latest&limit=100"
    found = await pages(client, url, url)
    names = [entry["server"]["name"] for entry in found]
    assert catalog[0] in names
    assert names == sorted(names, key=str.encode)


async def test_an_aggregator_sends_everything_it_knows(
    client: httpx.AsyncClient, catalog: tuple[str, str]
) -> None:
    """Empty values and parameters of other registries change nothing."""
    query = f"search={catalog[1]}&limit=5&cursor=&version=&include_deleted=&sort=name"
    body = (await client.get(f"/v0.1/servers?{query}&tenant=x")).json()
    plain = (await client.get(f"/v0.1/servers?search={catalog[1]}&limit=5")).json()
    assert body == plain
    assert body["servers"]


async def test_answers_fit_the_published_description(
    client: httpx.AsyncClient, shared_data: Path, catalog: tuple[str, str]
) -> None:
    (path,) = (shared_data / "openapi").glob("*.yaml.gz")
    document = yaml.safe_load(gzip.decompress(path.read_bytes()))
    components = json.loads(json.dumps(document["components"]))

    def fits(kind: str, value: object) -> bool:
        schema = {"$ref": f"#/components/schemas/{kind}", "components": components}
        return jsonschema_rs.is_valid(schema, value)

    item_kind = "ServerResponse"
    name = quote(catalog[0], safe="")
    one = (await client.get(f"/v0.1/servers/{name}/versions/latest")).json()
    assert fits(item_kind, one)
    for kind, official in ((item_kind, {**one, "_meta": 1}),):
        assert not fits(kind, official)
    for url in (f"/v0.1/servers/{name}/versions", "/v0.1/servers?limit=3"):
        assert fits("ServerList", (await client.get(url)).json())


@pytest.mark.parametrize("strips", [True, False])
async def test_it_works_below_a_path_behind_a_proxy(
    settings: Settings, store: Store, catalog: tuple[str, str], *, strips: bool
) -> None:
    """uvicorn puts ROOT_PATH in front of what the proxy sends, stripped or not."""
    root = "/workspaces/default"
    edge = create_app(settings, store)

    async def as_uvicorn(scope: Any, receive: Any, send: Any) -> None:
        sent = (
            scope
            if strips
            else {
                **scope,
                "path": root + scope["path"],
                "raw_path": root.encode() + scope["raw_path"],
            }
        )
        await edge(
            {
                **sent,
                "root_path": root,
                "path": root + sent["path"],
                "raw_path": root.encode() + sent["raw_path"],
            },
            receive,
            send,
        )

    transport = httpx.ASGITransport(app=as_uvicorn)
    name = quote(catalog[0], safe="")
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        for path in (
            "/v0.1/servers?limit=1",
            f"/v0.1/servers/{name}/versions",
            f"/v0/servers/{catalog[0]}/versions/latest",
            "/v0/health",
        ):
            assert (await client.get(path)).status_code == 200, path
