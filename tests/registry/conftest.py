"""Entries for the tests of the registry API, put in as any load puts them in."""

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import httpx

from service.entries import read_entry
from service.loading import LoadReport, load_entries
from service.models_registry import OFFICIAL
from service.reading import Piece
from service.store.base import Store

Item = dict[str, Any]


def item(name: str, version: str = "1.0.0", **fields: Any) -> Item:
    """One item of a list; the keys of the official block go into it."""
    keys = ("status", "statusMessage", "publishedAt", "updatedAt")
    said = {key: fields.pop(key) for key in keys if key in fields}
    said.setdefault("publishedAt", "2025-01-01T00:00:00Z")
    said.setdefault("updatedAt", said["publishedAt"])
    document = {"name": name, "version": version, "description": "d", **fields}
    return {"server": document, "_meta": {OFFICIAL: said}}


async def load(store: Store, *items: Item) -> LoadReport:
    """Load a list of these items."""
    pieces = (
        Piece(at, json.dumps(entry).encode()) for at, entry in enumerate(items, 1)
    )
    return await load_entries(store, [read_entry(piece) for piece in pieces])


def keys(body: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and version of each item of a page."""
    servers: Iterable[Item] = body["servers"]
    return [(it["server"]["name"], it["server"]["version"]) for it in servers]


async def page(client: httpx.AsyncClient, **query: str | int) -> dict[str, Any]:
    """A page of the list, which has to be there."""
    answer = await client.get("/v0.1/servers", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def whole(client: httpx.AsyncClient, **query: str | int) -> list[Item]:
    """Every item of a list, page by page, by the cursor alone."""
    body = await page(client, **query)
    found = body["servers"]
    while cursor := body["metadata"].get("nextCursor"):
        body = await page(client, cursor=cursor)
        assert body["servers"], "no page is empty but the only one"
        found += body["servers"]
    return found


def path_of(name: str, version: str = "latest", prefix: str = "/v0.1") -> str:
    """The path of one version, encoded as clients do."""
    return f"{prefix}/servers/{quote(name, safe='')}/versions/{quote(version, safe='')}"


async def serial_of(client: httpx.AsyncClient) -> int:
    """The serial of the catalog, as a reader sees it."""
    answer = await client.get("/v0.1/servers?limit=1")
    return int(answer.headers["x-mcps-serial"])
