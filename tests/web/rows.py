"""Rows for the tests of the JSON API, and a client that follows its links."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.by_hand import put

Json = dict[str, Any]
Headers = dict[str, str]

SEED = 60
SERVERS = 60
KINDS = (
    "tools",
    "resources",
    "prompts",
    "dependencies",
    "releases",
    "contributors",
    "versions",
)


def servers(number: int = SERVERS) -> list[Json]:
    """Bodies of servers with many equal values, and with names that sort oddly."""
    dice = random.Random(SEED)
    names = [
        "Alpha",
        "alpha",
        "Ärger",
        "zeta",
        "日本",
        "\U0010ffff",
        "a\x01b",
        "x" * 300,
    ]
    return [
        {
            "name": dice.choice(names) + dice.choice(["", "x", " 2"]),
            "primary_url": f"https://example.org/server/{n}",
            "host_type": dice.choice(["github", "npm", "unknown"]),
            "description": f'Line one of {n}\nline "two", ',
            "readme_content": f"secret readme {n}",
            "keywords": dice.sample(["ai", "data", "map", "a,b"], dice.randrange(4)),
            "categories": dice.sample(["data", "chat"], dice.randrange(3)),
            "stars": dice.choice([0, 0, 5, 5, 7, 2**40]),
            "downloads": dice.choice([0, 1, 10]),
            "risk_level": dice.choice(["safe", "high"]),
            "verified_source": dice.random() < 0.3,
            "health_score": dice.choice([0, 50, 100]),
        }
        for n in range(number)
    ]


async def add_servers(
    client: httpx.AsyncClient, admin: Headers, bodies: Sequence[Json]
) -> list[Json]:
    """Post servers; gives them as a list shows them."""
    added = []
    for body in bodies:
        response = await client.post("/servers", json=body, headers=admin)
        assert response.status_code == 201, response.text
        whole = response.json()
        del whole["readme_content"], whole["counts"]
        added.append(whole)
    return added


async def add_children(database: Any, server_id: int, number: int) -> None:
    """Give a server `number` of each kind; releases and versions with equal times."""
    for table, row in CHILDREN.items():
        rows = [{"server_id": server_id, **row(n)} for n in range(1, number + 1)]
        await put(database, table, rows)
    versions = [_version(server_id, n) for n in range(1, number + 1)]
    await put(database, "server_version", versions)


async def follow(client: httpx.AsyncClient, url: str) -> list[list[Json]]:
    """Every page of a list, from link to link."""
    pages = []
    while url:
        response = await client.get(url)
        assert response.status_code == 200, response.text
        pages.append(response.json())
        url = response.links["next"]["url"] if "next" in response.links else ""
        assert len(pages) < 1000
    return pages


def _at(n: int) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=n // 3)


def _version(server_id: int, n: int) -> Json:
    return {
        "server_id": server_id,
        "registry_name": f"org.example/s{server_id}",
        "version": f"1.{n}",
        "document": '{"name": "org.example/s",\n "version": "1"}',
        "published_at": _at(n),
        "precedence": str(n),
        "content_hash": b"",
    }


CHILDREN: dict[str, Callable[[int], Json]] = {
    "tool": lambda n: {
        "name": f"tool_{n % 3}",
        "description": f"does {n}",
        "input_schema": '{"n": [1,\n2]}',
    },
    "resource_template": lambda n: {
        "uri_template": f"file:///{{path}}/{n}",
        "name": f"r{n}",
        "mime_type": "text/plain",
    },
    "prompt": lambda n: {"name": f"prompt {n}", "arguments": '[{"name": "q"}]'},
    "dependency": lambda n: {
        "library_name": f"library-{n}",
        "ecosystem": "python",
        "type": "dev",
    },
    "release": lambda n: {"version": f"1.{n}", "published_at": _at(n)},
    "contributor": lambda n: {
        "username": f"user{n}",
        "platform": "github",
        "commits": n,
    },
}
