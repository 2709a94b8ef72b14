"""Asking a live endpoint: both transports, sessions, paging, and what can go wrong."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from service.errors import SourceFailed
from service.models_harvest import Harvest, Order
from service.sources.fetch import Fetcher
from service.sources.http import HttpSource
from service.sources.requests import Limits
from service.sources.sse import events
from tests.harvest.endpoints import Endpoint
from tests.harvest.places import Handler, options, place
from tests.harvest.registries import text


async def found(url: str) -> Harvest:
    """What the source finds at a URL."""
    async with Fetcher(options(limits=Limits(total_s=3.0)), "http") as fetcher:
        order = Order(target=url)
        (page,) = [page async for page in HttpSource(fetcher).harvest(order)]
    (harvest,) = page.harvests
    return harvest


def names(children: Any) -> list[str]:
    return [child.name for child in children]


@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
async def test_everything_that_an_endpoint_offers_is_found(*, is_stream: bool) -> None:
    endpoint = Endpoint()
    endpoint.is_stream = is_stream
    async with place(endpoint) as there:
        harvest = await found(f"{there.url}/mcp")
    assert harvest.primary_url == f"{there.url}/mcp"
    assert (harvest.fields.name, harvest.fields.title) == ("acme", "Acme")
    assert harvest.fields.description == "Use it."
    assert names(harvest.tools) == ["t0", "t1", "t2", "t3", "t4"]
    assert names(harvest.prompts) == ["p"]
    assert isinstance(harvest.resources, list)
    assert [it.uri_template for it in harvest.resources] == ["file:///a", "file:///{x}"]


async def test_a_session_is_begun_used_and_ended() -> None:
    endpoint = Endpoint()
    async with place(endpoint) as there:
        await found(f"{there.url}/mcp")
    assert endpoint.methods[:2] == ["initialize", "notifications/initialized"]
    assert endpoint.methods[-1] == "DELETE"
    assert "tools/call" not in endpoint.methods


async def test_the_older_transport_is_spoken_where_the_newer_is_refused() -> None:
    endpoint = Endpoint()
    async with place(endpoint) as there:
        harvest = await found(f"{there.url}/sse")
    assert names(harvest.tools) == ["t0", "t1", "t2", "t3", "t4"]


async def silent(request: web.Request) -> web.StreamResponse:
    """An event stream in which nothing comes."""
    if request.method == "POST":
        return web.Response(status=405)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for _ in range(100):
        await response.write(b": still here\n\n")
        await asyncio.sleep(0.5)
    return response


async def circle(request: web.Request) -> web.StreamResponse:
    """A list of tools without end."""
    message = await request.json()
    if "id" not in message:
        return web.Response(status=202)
    result = {"capabilities": {"tools": {}}, "tools": [], "nextCursor": "again"}
    return web.json_response({"id": message["id"], "result": result})


async def elsewhere(request: web.Request) -> web.StreamResponse:
    """A stream that wants its messages posted to another host."""
    if request.method == "POST":
        return web.Response(status=404)
    body = "event: endpoint\ndata: http://169.254.169.254/latest\n\n"
    return web.Response(text=body, content_type="text/event-stream")


BAD: dict[str, tuple[Handler, str]] = {
    "html": (text("<html>", kind="text/html"), "bad_answer"),
    "a login": (text("", 401), "unauthorized"),
    "a server error": (text("", 500), "unavailable"),
    "nothing there": (text("", 404), "not_found"),
    "a refusal": (text('{"id":1,"error":{"message":"no"}}'), "bad_answer"),
    "deep": (text("[" * 100_000), "bad_answer"),
    "a list without end": (circle, "bad_answer"),
    "a silent stream": (silent, "status"),
    "another host": (elsewhere, "not_found"),
}


@pytest.mark.parametrize("fault", BAD)
async def test_a_bad_endpoint_is_left_in_time_with_a_reason(fault: str) -> None:
    handler, reason = BAD[fault]
    async with place(handler) as there:
        began_at = time.monotonic()
        with pytest.raises(SourceFailed) as caught:
            await found(f"{there.url}/mcp")
        assert time.monotonic() - began_at < 20
    assert caught.value.reason == reason


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_events_are_the_same_however_the_stream_is_cut(size: int) -> None:
    body = (
        b"data: a\r\ndata: b\r\n\r\n: note\revent: x\rdata:c\r\r\ndata: d\n\nevent: y"
    )

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(body), size):
            yield body[at : at + size]

    got = [(event.kind, event.data) async for event in events(chunks())]
    assert got == [("message", "a\nb"), ("x", "c"), ("message", "d")]


@pytest.mark.parametrize(
    ("typed", "target"),
    [
        ("https://MCP.example.org/mcp#x", "https://mcp.example.org/mcp"),
        ("http://a.test/#", "http://a.test/"),
        ("https://{tenant}.example.org/mcp", None),
        ("npm:thing", None),
        ("", None),
    ],
)
async def test_an_endpoint_has_one_notation(typed: str, target: str | None) -> None:
    assert HttpSource(Fetcher(options(), "http")).target_of(typed) == target
