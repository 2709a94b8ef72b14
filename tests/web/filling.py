"""Rows for the tests of administration, straight into the database."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.by_hand import put

DAY_S = 86_400.0
BULK = "/admin/bulk-update"

DOCS = "select doc from server order by id"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def fill(database: Any, servers: Sequence[dict[str, Any]]) -> None:
    numbered = [{"id": i, **server} for i, server in enumerate(servers, 1)]
    await _put_all(database, numbered)


async def _put_all(database: Any, servers: Sequence[dict[str, Any]]) -> None:
    now = datetime.now(UTC)
    await put(database, "server", [_row(server, now) for server in servers])
    for table, row in _CHILDREN.items():
        await put(database, table, [r for s in servers for r in row(s, now)])


def _row(server: dict[str, Any], now: datetime) -> dict[str, Any]:
    number, indexed = server["id"], server.get("indexed_s_ago")
    plain = {
        key: server.get(key, default)
        for key, default in (
            *(("name", f"server {number}"), ("host_type", "github")),
            *(("description", None), ("license", None)),
            *(("stars", 0), ("forks", 0)),
        )
    }
    return {
        "id": number,
        **plain,
        "primary_url": f"https://example.org/{number}",
        "readme_content": server.get("readme"),
        "verified_source": server.get("verified", False),
        "last_indexed_at": None if indexed is None else _ago(now, indexed),
        "risk_level": server.get("risk", "unknown"),
        "keywords": json.dumps(server.get("keywords", [])),
        "categories": json.dumps(server.get("categories", [])),
        "author_name": server.get("author"),
        "created_at": _ago(now, server.get("created_s_ago") or 0),
        "updated_at": LONG_AGO,
    }


def _ago(now: datetime, seconds: float) -> datetime:
    return now - timedelta(seconds=seconds)


_CHILDREN: dict[str, Callable[[dict[str, Any], datetime], list[dict[str, Any]]]] = {
    "tool": lambda server, _: [
        {"server_id": server["id"], "name": f"tool_{n}"}
        for n in range(server.get("tools", 0))
    ],
    "dependency": lambda server, _: [
        {"server_id": server["id"], "library_name": f"library-{n}", "ecosystem": "pypi"}
        for n in range(server.get("dependencies", 0))
    ],
    "release": lambda server, now: [
        {
            "server_id": server["id"],
            "version": f"1.{place}",
            "published_at": _ago(now, ago),
        }
        for place, ago in enumerate(server.get("released_s_ago") or [])
    ],
}


async def column(database: Any, name: str) -> list[Any]:
    return [json.loads(doc)[name] for doc in await shown(database)]


async def shown(database: Any) -> list[str]:
    """The public JSON of every server."""
    return [row["doc"] for row in await database.fetch(DOCS)]


async def post(
    client: httpx.AsyncClient, admin: dict[str, str], path: str, body: Any = None
) -> httpx.Response:
    if body is None:
        return await client.post(path, headers=admin)
    return await client.post(path, headers=admin, json=body)


async def fill_range(database: Any, start: int, count: int) -> None:
    servers = [
        {
            "id": number,
            "name": f"io.example.user{number % 999}/server-{number}",
            "description": f"Gives agents access to service {number} and its records. "
            f"{'May exec code.' if number % 9 == 0 else 'Reads and writes entries.'}",
            "readme": f"# Server {number}\n" * (number % 400),
            "stars": number % 300,
            "forks": number % 40,
            "license": "MIT",
            "indexed_s_ago": number % 120 * DAY_S,
            "keywords": ["ai", f"word {number % 50}", f"topic {number % 7}"],
            "tools": 10,
            "dependencies": 60 if number % 10 == 0 else 10,
            "released_s_ago": [d * DAY_S for d in range(number % 150, 200, 20)],
        }
        for number in range(start + 1, start + count + 1)
    ]
    await _put_all(database, servers)


async def is_waiting(database: Any) -> bool:
    """Whether some session waits for a lock."""
    query = "select exists (select from pg_locks where not granted)"
    return bool(await database.fetchval(query))
