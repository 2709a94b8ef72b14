"""Rows for the tests of the JSON API, and a client that follows its links."""

import random
from collections.abc import Sequence
from typing import Any

import asyncpg
import httpx

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


async def add_children(database_url: str, server_id: int, number: int) -> None:
    """Give a server `number` of each kind; releases and versions with equal times."""
    connection = await asyncpg.connect(database_url)
    try:
        for statement in _INSERTS:
            await connection.execute(statement, server_id, number)
    finally:
        await connection.close()


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


_INSERTS = (
    """insert into tool (server_id, name, description, input_schema)
       select $1::bigint, 'tool_' || n % 3, 'does ' || n, '{"n": [1,\n2]}'
         from generate_series(1, $2::int) n""",
    """insert into resource_template (server_id, uri_template, name, mime_type)
       select $1::bigint, 'file:///{path}/' || n, 'r' || n, 'text/plain'
         from generate_series(1, $2::int) n""",
    """insert into prompt (server_id, name, arguments)
       select $1::bigint, 'prompt ' || n, '[{"name": "q"}]'
         from generate_series(1, $2::int) n""",
    """insert into dependency (server_id, library_name, ecosystem, type)
       select $1::bigint, 'library-' || n, 'python', 'dev'
         from generate_series(1, $2::int) n""",
    """insert into release (server_id, version, published_at)
       select $1::bigint, '1.' || n, timestamptz '2026-01-01Z' + n / 3 * interval '1 d'
         from generate_series(1, $2::int) n""",
    """insert into contributor (server_id, username, platform, commits)
       select $1::bigint, 'user' || n, 'github', n
         from generate_series(1, $2::int) n""",
    """insert into server_version (
         server_id, registry_name, version, document, published_at, precedence,
         content_hash
       )
       select $1::bigint, 'org.example/s' || $1::bigint, '1.' || n,
              '{"name": "org.example/s",\n "version": "1"}',
              timestamptz '2026-01-01Z' + n / 3 * interval '1 d', n::text, ''
         from generate_series(1, $2::int) n""",
)
