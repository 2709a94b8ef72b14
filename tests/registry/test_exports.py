"""The exports: one file for clients that do not page."""

import httpx
import msgspec
import pytest

from service import exports
from service.models_registry import ItemFile, McpFile, Policy
from service.store.base import Store
from tests.registry.conftest import item, keys, load

STDIO = {"type": "stdio"}
NPM = {
    "registryType": "npm",
    "identifier": "@a/one",
    "version": "1.2.3",
    "transport": STDIO,
    "packageArguments": [
        {"type": "named", "name": "--level", "default": "high"},
        {"type": "positional", "valueHint": "folder"},
    ],
    "environmentVariables": [
        {"name": "API_KEY", "description": "The key", "isSecret": True},
        {"name": "MODE", "value": "fast"},
    ],
}
OCI = {
    "registryType": "oci",
    "identifier": "containers.example/a:1",
    "transport": STDIO,
    "environmentVariables": [{"name": "TOKEN"}],
}
REMOTE = {
    "type": "streamable-http",
    "url": "https://{tenant}.example/mcp",
    "headers": [
        {
            "name": "Authorization",
            "value": "Bearer {token}",
            "variables": {"token": {"isSecret": True}},
        }
    ],
    "variables": {"tenant": {"description": "Your tenant"}},
}


@pytest.fixture
async def filled(store: Store) -> None:
    await load(
        store,
        item("io.a/npm", packages=[NPM]),
        item("io.a/npm", "0.9.0"),
        item("io.a/oci", packages=[OCI]),
        item("io.a/remote", remotes=[REMOTE]),
        item("io.a/odd", packages=[{"registryType": "mcpb"}, 1], remotes={"x": 1}),
        item("io.a/gone", status="deleted"),
    )


@pytest.mark.usefixtures("filled")
async def test_the_list_has_every_latest_version(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "_PAGE", 2)
    body = (await client.get("/exports/kiro.json")).json()
    msgspec.convert(body, ItemFile)
    assert [name for name, _ in keys(body)] == [
        "io.a/npm",
        "io.a/oci",
        "io.a/odd",
        "io.a/remote",
    ]


async def test_an_empty_catalog_exports_empty_files(client: httpx.AsyncClient) -> None:
    assert (await client.get("/exports/kiro.json")).json() == {"servers": []}
    policy = (await client.get("/exports/managed-settings.json")).json()
    assert policy == {"allowedMcpServers": []}


@pytest.mark.usefixtures("filled")
async def test_the_policy_allows_names_and_addresses(client: httpx.AsyncClient) -> None:
    body = (await client.get("/exports/managed-settings.json")).json()
    msgspec.convert(body, Policy)
    assert {"serverName": "io.a/odd"} in body["allowedMcpServers"]
    assert {"serverUrl": "https://*.example/mcp"} in body["allowedMcpServers"]
    assert len(body["allowedMcpServers"]) == 5


@pytest.mark.usefixtures("filled")
async def test_one_server_comes_with_what_starts_it(client: httpx.AsyncClient) -> None:
    async def launch(name: str) -> McpFile:
        answer = await client.get("/exports/mcp.json", params={"server": name})
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=McpFile)

    npm = await launch("io.a/npm")
    started = npm.servers["npm"]
    assert (started.type, started.command) == ("stdio", "npx")
    assert started.args == ["-y", "@a/one@1.2.3", "--level", "high", "${input:folder}"]
    assert started.env == {"API_KEY": "${input:API_KEY}", "MODE": "fast"}
    assert [(p.id, p.password) for p in npm.inputs] == [
        ("API_KEY", True),
        ("folder", False),
    ]
    oci = (await launch("io.a/oci")).servers["oci"]
    assert oci.args == ["run", "-i", "--rm", "-e", "TOKEN", "containers.example/a:1"]
    remote = (await launch("io.a/remote")).servers["remote"]
    assert remote.type == "http"
    assert remote.url == "https://${input:tenant}.example/mcp"
    assert remote.headers == {"Authorization": "Bearer ${input:token}"}


async def test_the_first_way_that_fits_is_taken_and_asks_for_nothing_else(
    client: httpx.AsyncClient, store: Store
) -> None:
    headers = [{"name": "X-Key"}]
    old = {"type": "sse", "url": "https://a.example/sse", "headers": headers}
    bundle = {"registryType": "mcpb", "environmentVariables": [{"name": "UNUSED"}]}
    await load(
        store,
        item("io.b/two-remotes", remotes=[REMOTE, old]),
        item("io.b/two-packages", packages=[bundle, OCI]),
    )
    for name, asked in (
        ("two-remotes", {"tenant", "token"}),
        ("two-packages", {"TOKEN"}),
    ):
        answer = await client.get(
            "/exports/mcp.json", params={"server": f"io.b/{name}"}
        )
        file = msgspec.json.decode(answer.content, type=McpFile)
        assert {prompt.id for prompt in file.inputs} == asked


async def test_a_package_is_started_by_what_starts_packages(
    client: httpx.AsyncClient, store: Store
) -> None:
    """`python name==1.0` starts nothing; `-m` is an argument for python alone."""
    module = [{"type": "positional", "value": "-m"}]
    kind = {"registryType": "pypi", "identifier": "forecast", "version": "1.0"}
    python = {"runtimeHint": "python", "runtimeArguments": module}
    uvx = {"runtimeHint": "uvx", "runtimeArguments": [{**module[0], "value": "-q"}]}
    await load(
        store,
        item("io.b/python", packages=[{**kind, **python, "transport": STDIO}]),
        item("io.b/uvx", packages=[{**kind, **uvx, "transport": STDIO}]),
    )
    for name, arguments in (("python", []), ("uvx", ["-q"])):
        answer = await client.get(
            "/exports/mcp.json", params={"server": f"io.b/{name}"}
        )
        started = msgspec.json.decode(answer.content, type=McpFile).servers[name]
        assert started.command == "uvx"
        assert started.args == [*arguments, "forecast==1.0"]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("name", ["io.a/odd", "io.a/gone", "io.x/y", "io.b/http"])
async def test_a_server_that_cannot_be_started_is_not_found(
    client: httpx.AsyncClient, store: Store, name: str
) -> None:
    served = {"type": "streamable-http", "url": "http://127.0.0.1:8080/mcp"}
    await load(store, item("io.b/http", packages=[{**OCI, "transport": served}]))
    answer = await client.get("/exports/mcp.json", params={"server": name})
    assert answer.status_code == 404


async def test_the_parameter_that_is_missing_is_named(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/exports/mcp.json")
    assert answer.status_code == 400
    assert answer.json()["detail"] == "query.server: is needed"
