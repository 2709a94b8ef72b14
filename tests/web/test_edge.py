"""What every answer has, whatever the route."""

import httpx
import pytest

from service.app import create_app
from service.settings import Settings
from service.store.postgres import PostgresStore


async def test_head_answers_as_get_without_the_body(client: httpx.AsyncClient) -> None:
    got = await client.get("/health")
    head = await client.head("/health")
    assert head.status_code == got.status_code
    assert head.content == b""
    assert head.headers["content-length"] == got.headers["content-length"]


async def test_an_unknown_route_is_a_problem_document(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/nowhere")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("application/problem+json")
    body = answer.json()
    assert body["code"] == "not_found"
    assert body["error"] == body["detail"]
    assert body["title"] == "Not Found"
    assert "/v0.1/nowhere?" in body["detail"]
    assert "/docs" in body["detail"]
    assert body["status"] == 404
    again = await client.get("/v0.1/nowhere")
    assert "/v0.1/" not in again.json()["detail"]


async def test_a_wrong_method_names_the_right_ones(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/health")
    assert answer.status_code == 405
    assert {"GET", "HEAD"} <= set(answer.headers["allow"].split(", "))
    posted = await client.get("/v0.1/publish")
    assert "HEAD" not in posted.headers["allow"]


async def test_an_unknown_parameter_is_named(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health?verbose=1")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["location"] == "query.verbose"


@pytest.mark.parametrize("path", ["/health", "/nowhere", "/health?x=1"])
async def test_every_answer_may_be_read_from_any_origin(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path, headers={"Origin": "vscode-file://x"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "ETag" in answer.headers["access-control-expose-headers"]
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_preflight_is_answered(client: httpx.AsyncClient) -> None:
    answer = await client.options("/health")
    assert answer.status_code == 204
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].split(", ")
    # Whatever a script sends beside; the star does not stand for Authorization.
    assert {"Authorization", "X-API-Key", "*"} <= set(allowed)
    assert "content-length" not in answer.headers


async def test_a_request_id_comes_back(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health", headers={"X-Request-Id": "abc-1.2_3"})
    assert answer.headers["x-request-id"] == "abc-1.2_3"


@pytest.mark.parametrize("wild", ["a b", "x" * 65, "a;b", 'a"b'])
async def test_a_wild_request_id_is_replaced(
    client: httpx.AsyncClient, wild: str
) -> None:
    answer = await client.get("/health", headers={"X-Request-Id": wild})
    assert answer.headers["x-request-id"] != wild
    assert len(answer.headers["x-request-id"]) == 16


@pytest.mark.parametrize("root", ["", "/workspaces/default"])
async def test_too_many_requests_at_once_are_turned_away_but_probes_are_not(
    settings: Settings, store: PostgresStore, root: str
) -> None:
    edge = create_app(settings, store)
    edge._in_flight = settings.max_requests_in_flight
    transport = httpx.ASGITransport(app=edge, root_path=root)  # type: ignore[arg-type]
    base = f"http://x{root}/"
    async with httpx.AsyncClient(transport=transport, base_url=base) as client:
        turned_away = await client.get("/openapi.json")
        probe = await client.get("/health")
    assert turned_away.status_code == 503
    assert turned_away.json()["code"] == "overloaded"
    assert turned_away.headers["retry-after"] == "1"
    assert probe.status_code == 200
