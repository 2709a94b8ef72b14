"""The documentation is complete, true, and works without the internet."""

import re

import httpx
import jsonschema_rs
import yaml
from litestar.routes import HTTPRoute

from service.app import create_app
from service.settings import Settings
from service.store.postgres import PostgresStore
from service.web.openapi import operations


async def test_every_route_is_in_the_document(
    client: httpx.AsyncClient, settings: Settings, store: PostgresStore
) -> None:
    app = create_app(settings, store).app
    document = (await client.get("/openapi.json")).json()
    documented = {(p, m) for p, ops in document["paths"].items() for m in ops}
    routed = {(path, method) for path, method, *_ in operations(app)}
    assert documented == routed
    plain = {
        (route.path_format, method.lower())
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in handler.http_methods - {"OPTIONS", "HEAD"}
    }
    assert routed == plain


async def test_every_process_writes_the_same_document(
    client: httpx.AsyncClient,
) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    for path, found in paths.items():
        assert [*found] == sorted(found), path


async def test_304_is_promised_where_a_validator_is_sent(
    client: httpx.AsyncClient,
) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    for path in ("/v0.1/ping", "/v0/health", "/v0.1/version", "/v0.1/servers"):
        sends = "etag" in (await client.get(path)).headers
        assert ("304" in paths[path]["get"]["responses"]) == sends, path


async def test_every_reference_leads_somewhere(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    names = set(document["components"]["schemas"])
    text = str(document)
    used = {
        part.split("'", 1)[0].split('"', 1)[0]
        for part in text.split("#/components/schemas/")[1:]
    }
    assert used
    assert used <= names


async def test_every_schema_is_a_json_schema(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    for name, schema in document["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name


async def test_the_yaml_says_the_same(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    text = (await client.get("/openapi.yaml")).text
    assert yaml.safe_load(text) == document


async def test_the_root_leads_to_the_page(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    assert answer.status_code == 307
    assert answer.headers["location"] == "/docs"


async def test_the_page_loads_nothing_from_elsewhere(
    client: httpx.AsyncClient,
) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    assert "<script" not in page.text
    links = re.findall(r'(?:src|href|action)="([^"]*)"', page.text)
    assert links
    assert not [link for link in links if ":" in link or link.startswith("//")]
    assert "/health/db" in page.text
    assert "script-src" not in page.headers["content-security-policy"]
    assert (await client.get("/docs/style.css")).status_code == 200
