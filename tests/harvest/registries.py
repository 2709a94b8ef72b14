"""A registry of the standard API on loopback, with what can go wrong."""

import json
from typing import Any

from aiohttp import web

from tests.harvest.places import Handler

Item = dict[str, Any]


class Registry:
    """Serves a list of items as the official registry does."""

    def __init__(self, *items: Item) -> None:
        self.items = list(items)
        self.page_size = 2
        self.faults: list[Handler] = []
        """What the next requests get instead."""

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if self.faults:
            return await self.faults.pop(0)(request)
        return await self.serve(request)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """The answer without faults."""
        if request.path != "/v0.1/servers":
            return web.json_response({"error": "not found"}, status=404)
        since = request.query.get("updated_since", "")
        after = request.query.get("cursor", "")
        fitting = [it for it in self._sorted() if _updated_at(it) > since]
        following = [it for it in fitting if _key(it) > after]
        page = following[: self.page_size]
        metadata: Item = {"count": len(page)}
        if len(page) == self.page_size:
            metadata["nextCursor"] = _key(page[-1])
        return web.json_response({"servers": page, "metadata": metadata})

    def _sorted(self) -> list[Item]:
        return sorted(self.items, key=_key)


def _key(item: Item) -> str:
    return f"{item['server']['name']}:{item['server']['version']}"


def _updated_at(item: Item) -> str:
    (official,) = item["_meta"].values()
    return str(official["updatedAt"])


def text(body: str, status: int = 200, kind: str = "application/json") -> Handler:
    """Always the same answer."""

    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.Response(text=body, status=status, content_type=kind)

    return handler


def endless(kind: str) -> Handler:
    """A list whose cursors never end: with the same items, with none, or with new."""

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path != "/v0.1/servers":
            return web.Response(status=404)
        number = int(request.query.get("cursor", "0"))
        entry = {"server": {"name": "a/b", "version": "1"}}
        servers = {"same": [entry], "empty": []}[kind]
        metadata = {"nextCursor": str(number + 1)}
        body = json.dumps({"servers": servers, "metadata": metadata})
        return web.Response(text=body, content_type="application/json")

    return handler
