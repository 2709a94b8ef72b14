"""Servers on loopback that stand for the places servers come from; what they give."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web

from service.errors import SourceFailed
from service.models_harvest import Harvest, Order, Page
from service.sources.addresses import read_allowed
from service.sources.base import Source
from service.sources.options import Options
from service.sources.requests import Limits

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Place:
    """A running server: its address, and what it was asked."""

    def __init__(self, port: int, asked: list[web.Request]) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.asked = asked

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for, with their queries."""
        return [request.path_qs for request in self.asked]


@asynccontextmanager
async def place(handler: Handler) -> AsyncIterator[Place]:
    """A server that answers every request by the handler."""
    asked: list[web.Request] = []

    async def counted(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        return await handler(request)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", counted)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield Place(port, asked)
    finally:
        await runner.cleanup()


def options(**changes: Any) -> Options:
    """Options that allow loopback and wait for nothing."""
    given = {
        "allowed": read_allowed(["127.0.0.1"], setting="TEST"),
        "limits": Limits(total_s=5.0),
        "per_second_per_host": 1000.0,
    }
    return Options(**{**given, **changes})


async def pages(source: Source, target: str, **order: Any) -> list[Page]:
    """The pages that a source gives of a target."""
    return [page async for page in source.harvest(Order(target=target, **order))]


async def harvested(source: Source, target: str) -> Harvest:
    """The only harvest of a target, which can be sent as JSON."""
    (page,) = await pages(source, target)
    (harvest,) = page.harvests
    whole = msgspec.json.decode(msgspec.json.encode(harvest), type=Harvest)
    assert whole == harvest
    return harvest


async def failed(source: Source, target: str) -> SourceFailed:
    """How reading a target fails."""
    with pytest.raises(SourceFailed) as caught:
        await pages(source, target)
    return caught.value
