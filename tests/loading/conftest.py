"""Entries to load, and a connection of its own to look at what was stored."""

import json
from typing import Any

from service.entries import Entry, Rejected, read_entry
from service.loading import LoadReport, load_entries
from service.reading import Piece
from service.store.base import Store

OFFICIAL = "io.modelcontextprotocol.registry/official"


def item(
    name: str, version: str, at: str | None = None, **fields: object
) -> dict[str, Any]:
    """One item of a list; `at` is a day, `status` goes to the registry's block."""
    official: dict[str, object] = {}
    if at is not None:
        official = {
            "publishedAt": "2025-01-01T00:00:00Z",
            "updatedAt": f"{at}T00:00:00Z",
        }
    for key in ("status", "publishedAt", "isLatest"):
        if key in fields:
            official[key] = fields.pop(key)
    document = {"name": name, "version": version, "description": "d", **fields}
    return {"server": document, "_meta": {OFFICIAL: official}}


def entries(*items: dict[str, Any]) -> list[Entry | Rejected]:
    """The items as they come out of a file."""
    texts = (json.dumps(item).encode() for item in items)
    return [read_entry(Piece(at + 1, text)) for at, text in enumerate(texts)]


async def load(store: Store, *items: dict[str, Any]) -> LoadReport:
    """Load a list of these items."""
    return await load_entries(store, entries(*items))


async def server(database: Any, name: str = "a/b") -> Any:
    """The row of one server."""
    return await database.fetchrow(
        "select * from server where registry_name = $1", name
    )
