"""Rows for the tests of administration, straight into the database."""

import json
from collections.abc import Sequence
from typing import Any

import httpx

DAY_S = 86_400.0
BULK = "/admin/bulk-update"

PUT_SERVERS = """
insert into server (
  id, name, primary_url, host_type, description, license, readme_content, stars, forks,
  verified_source, last_indexed_at, risk_level, keywords, categories, author_name,
  created_at, updated_at
)
select id, coalesce(name, 'server ' || id), 'https://example.org/' || id,
       coalesce(host_type, 'github'), description, license, readme, coalesce(stars, 0),
       coalesce(forks, 0), coalesce(verified, false),
       now() - indexed_s_ago * interval '1 second', coalesce(risk, 'unknown'),
       coalesce(keywords, '[]'), coalesce(categories, '[]'), author,
       now() - coalesce(created_s_ago, 0) * interval '1 second',
       timestamptz '2020-01-01'
  from jsonb_to_recordset($1::text::jsonb) as r (
    id bigint, name text, host_type text, description text, license text, readme text,
    stars bigint, forks bigint, verified boolean, indexed_s_ago double precision,
    created_s_ago double precision, risk text, keywords jsonb, categories jsonb,
    author text
  )
"""
PUT_CHILDREN = """
with given as (
  select r.*
    from jsonb_to_recordset($1::text::jsonb) as r (
      id bigint, tools integer, dependencies integer, released_s_ago jsonb
    )
), t as (
  insert into tool (server_id, name)
  select id, 'tool_' || n from given, generate_series(1, tools) n
), d as (
  insert into dependency (server_id, library_name, ecosystem)
  select id, 'library-' || n, 'pypi' from given, generate_series(1, dependencies) n
)
insert into release (server_id, version, published_at)
select id, '1.' || place, now() - ago::double precision * interval '1 second'
  from given, jsonb_array_elements_text(released_s_ago) with ordinality r (ago, place)
"""


async def fill(database: Any, servers: Sequence[dict[str, Any]]) -> None:
    numbered = [{"id": i, **server} for i, server in enumerate(servers, 1)]
    await database.execute(PUT_SERVERS, json.dumps(numbered))
    await database.execute(PUT_CHILDREN, json.dumps(numbered))


async def column(database: Any, name: str) -> list[Any]:
    rows = await database.fetch("select doc from server order by id")
    return [json.loads(row["doc"])[name] for row in rows]


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
    await database.execute(PUT_SERVERS, json.dumps(servers))
    await database.execute(PUT_CHILDREN, json.dumps(servers))


async def is_waiting(database: Any) -> bool:
    """Whether some session waits for a lock."""
    query = "select exists (select from pg_locks where not granted)"
    return bool(await database.fetchval(query))
