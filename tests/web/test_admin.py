"""What an administrator asks and changes: figures, scores, pruning, bulk changes."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from service import admin as work
from service.models_admin import BulkUpdated, Pruned, PruneStale, Recount, Stats
from service.store.postgres import PostgresStore
from service.web.edge import Edge
from tests.waiting import until

DAY_S = 86_400.0
SCORES, RISKS = "/admin/update-health-scores", "/admin/update-risk-levels"
PRUNE, BULK, STATS = "/admin/prune-stale", "/admin/bulk-update", "/admin/stats"
NOW = "2026-01-01T00:00:00Z"

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


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Any]:
    """A connection of its own, for rows that no API writes."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


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


def health(server: dict[str, Any]) -> int:
    """The score as the requirement words it."""
    ago = server.get("indexed_s_ago")
    days = [(7, 30), (30, 20), (90, 10)]
    score = 0
    if ago is not None:
        score += next((points for limit, points in days if ago < limit * DAY_S), 0)
    score += _step(server.get("stars", 0), [(100, 15), (10, 10), (0, 5)])
    score += _step(server.get("forks", 0), [(20, 15), (5, 10), (0, 5)])
    score += _step(len(server.get("readme") or ""), [(500, 10), (100, 5)])
    score += _step(len(server.get("description") or ""), [(50, 10), (0, 5)])
    score += 10 if server.get("license") else 0
    released = server.get("released_s_ago") or []
    return score + (10 if any(ago < 90 * DAY_S for ago in released) else 0)


def risk(server: dict[str, Any], *, has_word: bool) -> str:
    """The level as the requirement words it."""
    if server.get("verified"):
        return "safe"
    points = _step(server.get("dependencies", 0), [(50, 2), (20, 1)])
    points += 2 if has_word else 0
    points += 1 if server.get("stars", 0) < 5 else 0
    levels = [(5, "critical"), (3, "high"), (1, "moderate")]
    return next((level for least, level in levels if points >= least), "safe")


def _step(value: int, steps: Sequence[tuple[int, int]]) -> int:
    return next((points for limit, points in steps if value > limit), 0)


def scored_servers(seed: int, count: int) -> list[dict[str, Any]]:
    """Servers at, below and above each limit of the score."""
    pick = random.Random(seed).choice
    letters = ["x", "é", "漢", "🙂"]
    return [
        {
            "indexed_s_ago": pick(
                [None, *(d * DAY_S + e for d in (7, 30, 90) for e in (-60, 60)), 5]
            ),
            "stars": pick([0, 1, 10, 11, 100, 101, 9999]),
            "forks": pick([0, 1, 5, 6, 20, 21, 9999]),
            "readme": pick([None, ""])
            or pick(letters) * pick([1, 100, 101, 500, 501, 2001, 9000]),
            "description": pick([None, ""]) or pick(letters) * pick([1, 50, 51, 400]),
            "license": pick([None, "", "MIT"]),
            "released_s_ago": pick(
                [[], [90 * DAY_S - 60], [90 * DAY_S + 60], [999 * DAY_S, 5]]
            ),
        }
        for _ in range(count)
    ]


async def test_health_scores_are_those_of_the_formula(
    client: httpx.AsyncClient, admin: dict[str, str], database: Any
) -> None:
    servers = scored_servers(3, 400)
    await fill(database, servers)
    answer = await post(client, admin, SCORES)
    assert answer.status_code == 200
    wanted = [health(server) for server in servers]
    assert await column(database, "health_score") == wanted
    changed = sum(score != 0 for score in wanted)
    assert msgspec.json.decode(answer.content, type=Recount) == Recount(400, changed)
    assert await database.fetchval("select max(health_score) from server") <= 100


async def test_the_best_server_scores_100_and_the_barest_0(
    client: httpx.AsyncClient, admin: dict[str, str], database: Any
) -> None:
    best = {
        "indexed_s_ago": 0,
        "stars": 101,
        "forks": 21,
        "readme": "x" * 501,
        "description": "x" * 51,
        "license": "MIT",
        "released_s_ago": [0],
    }
    await fill(database, [best, {}])
    await post(client, admin, SCORES)
    assert await column(database, "health_score") == [100, 0]


WORDS = {
    "Runs a shell": True,
    "SHELL access": True,
    "shell": True,
    "a shell, or two": True,
    "shell-script": True,
    "shellfish": False,
    "nutshell": False,
    "power_shell": False,
    "will exec this": True,
    "executes": False,
    "exec()": True,
    "eval": True,
    "evaluation": False,
    "medieval": False,
    "(eval)": True,
    "subprocess.run": True,
    "subprocesses": False,
    "rm -rf /": True,
    "RM -RF": True,
    "farm -rf": False,
    "rm -rfx": False,
    "rm  -rf": False,
    "rm": False,
    "nothing": False,
    "": False,
    "line\nshell\nline": True,
}


async def test_risk_counts_whole_words_only(
    client: httpx.AsyncClient, admin: dict[str, str], database: Any
) -> None:
    servers = [{"description": text, "stars": 5} for text in WORDS]
    await fill(database, servers)
    await post(client, admin, RISKS)
    found = dict(zip(WORDS, await column(database, "risk_level"), strict=True))
    wanted = {text: "moderate" if has else "safe" for text, has in WORDS.items()}
    assert found == wanted


async def test_risk_levels_are_those_of_the_formula(
    client: httpx.AsyncClient, admin: dict[str, str], database: Any
) -> None:
    servers = [
        {
            "dependencies": dependencies,
            "description": description,
            "stars": stars,
            "verified": verified,
        }
        for dependencies in (0, 20, 21, 50, 51, 80)
        for description in (None, "plain", "an exec")
        for stars in (0, 4, 5)
        for verified in (False, True)
    ]
    await fill(database, servers)
    answer = await post(client, admin, RISKS)
    wanted = [risk(s, has_word=s["description"] == "an exec") for s in servers]
    assert await column(database, "risk_level") == wanted
    assert set(wanted) == {"safe", "moderate", "high", "critical"}
    assert answer.json() == {"checked": len(servers), "updated": len(servers)}


@pytest.mark.parametrize("path", [SCORES, RISKS])
async def test_a_second_count_changes_nothing(
    client: httpx.AsyncClient, admin: dict[str, str], database: Any, path: str
) -> None:
    await fill(database, scored_servers(5, 50))
    state = "select string_agg(ctid::text || doc, '' order by id) from server"
    await post(client, admin, path)
    before = await database.fetchval(state)
    answer = await post(client, admin, path)
    assert answer.json() == {"checked": 50, "updated": 0}
    assert await database.fetchval(state) == before


async def test_updated_at_moves_where_the_score_changed_and_nowhere_else(
    client: httpx.AsyncClient, admin: dict[str, str], database: Any
) -> None:
    await fill(database, [{"stars": 50}, {}])
    await post(client, admin, SCORES)
    query = "select id from server where updated_at > '2020-01-01' order by id"
    assert [row["id"] for row in await database.fetch(query)] == [1]


async def test_an_empty_catalog_is_counted_too(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    for path in (SCORES, RISKS):
        assert (await post(client, admin, path)).json() == {"checked": 0, "updated": 0}
    answer = await client.get(STATS, headers=admin)
    stats = msgspec.json.decode(answer.content, type=Stats)
    assert (stats.servers, stats.average_health_score) == (0, 0.0)
    assert (stats.by_host_type, stats.top_by_stars) == ({}, [])
    answer = await post(client, admin, PRUNE, {})
    assert answer.json() == {"deleted": 0, "dry_run": False, "servers": []}


async def test_stats_count_everything(
    client: httpx.AsyncClient, admin: dict[str, str], database: Any
) -> None:
    servers = [
        {
            "host_type": host,
            "risk": level,
            "stars": stars,
            "tools": 2,
            "dependencies": 3,
        }
        for stars, (host, level) in enumerate(
            [("github", "safe"), ("npm", "high"), ("npm", "safe")] * 3
        )
    ]
    await fill(database, servers)
    await post(client, admin, SCORES)
    await database.execute("update server set updated_at = now() where id in (2, 3)")
    answer = await client.get(STATS, headers=admin)
    stats = msgspec.json.decode(answer.content, type=Stats, strict=True)
    assert stats.servers == 9
    assert stats.by_host_type == {"github": 3, "npm": 6}
    assert stats.by_risk_level == {"high": 3, "safe": 6}
    assert stats.children.tools == 18
    assert stats.children.dependencies == 27
    assert [server.stars for server in stats.top_by_stars] == [8, 7, 6, 5, 4]
    assert {server.id for server in stats.recently_updated[:2]} == {2, 3}
    scores = await column(database, "health_score")
    assert stats.average_health_score == round(sum(scores) / 9, 2)


async def test_prune_takes_what_nobody_indexed(
    client: httpx.AsyncClient, admin: dict[str, str], database: Any
) -> None:
    servers: list[dict[str, Any]] = [
        {"indexed_s_ago": 10 * DAY_S - 60},
        {"indexed_s_ago": 10 * DAY_S + 60, "tools": 3, "dependencies": 2},
        {"indexed_s_ago": None, "created_s_ago": 10 * DAY_S - 60},
        {"indexed_s_ago": None, "created_s_ago": 10 * DAY_S + 60},
        {"indexed_s_ago": 60, "created_s_ago": 99 * DAY_S},
    ]
    await fill(database, servers)
    dry = await post(client, admin, PRUNE, {"days": 10, "dry_run": True})
    assert len(await column(database, "id")) == 5
    done = await post(client, admin, PRUNE, {"days": 10})
    assert await column(database, "id") == [1, 3, 5]
    found = [msgspec.json.decode(a.content, type=Pruned) for a in (dry, done)]
    assert [pruned.dry_run for pruned in found] == [True, False]
    for pruned in found:
        assert pruned.deleted == 2
        assert [server.id for server in pruned.servers] == [2, 4]
        assert pruned.servers[0].last_indexed_at is not None
        assert pruned.servers[1].last_indexed_at is None
    assert await database.fetchval("select count(*) from tool") == 0


async def test_prune_without_words_keeps_180_days(
    client: httpx.AsyncClient, admin: dict[str, str], database: Any
) -> None:
    ages = [179, 181]
    await fill(database, [{"indexed_s_ago": days * DAY_S} for days in ages])
    assert (await post(client, admin, PRUNE, {})).json()["deleted"] == 1
    assert await column(database, "id") == [1]


async def test_prune_goes_in_batches_and_names_the_first_hundred(
    store: PostgresStore, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "BATCH", 70)
    await fill(database, [{"indexed_s_ago": 9 * DAY_S, "tools": 1}] * 250)
    pruned = await work.prune_stale(store, PruneStale(days=3))
    assert pruned.deleted == 250
    assert [server.id for server in pruned.servers] == list(range(1, 101))
    assert await column(database, "id") == []


WRONG_PRUNES = [
    {"days": 0},
    {"days": -1},
    {"days": 10**6},
    {"days": "10"},
    {"days": 1.5},
    {"days": None},
    {"dry_run": "yes"},
    {"dryrun": True},
    [],
    "x",
]


async def test_prune_is_strict(
    client: httpx.AsyncClient, admin: dict[str, str], database: Any
) -> None:
    await fill(database, [{"indexed_s_ago": 999 * DAY_S}])
    for body in WRONG_PRUNES:
        answer = await post(client, admin, PRUNE, body)
        assert answer.status_code == 400, body
        assert answer.json()["errors"][0]["location"].startswith("body")
    assert len(await column(database, "id")) == 1


SIX: list[dict[str, Any]] = [
    {"host_type": "npm", "stars": 1, "keywords": ["ai", "db"], "license": "MIT"},
    {"host_type": "npm", "stars": 5, "keywords": ["AI"], "author": "ann"},
    {"host_type": "pypi", "stars": 9, "categories": ["db"], "verified": True},
    {"host_type": "pypi", "stars": 9, "risk": "high", "license": "MIT"},
    {"host_type": "github", "stars": 2, "keywords": ["a\"b'c", "x"]},
    {"host_type": "github", "stars": 7, "risk": "high", "keywords": [["ai"]]},
]


FITTING: list[tuple[dict[str, Any], list[int]]] = [
    ({"host_type": "npm"}, [1, 2]),
    ({"risk_level": "high"}, [4, 6]),
    ({"verified_source": True}, [3]),
    ({"verified_source": False}, [1, 2, 4, 5, 6]),
    ({"keyword": "ai"}, [1]),
    ({"keyword": "a\"b'c"}, [5]),
    ({"category": "db"}, [3]),
    ({"license": "MIT"}, [1, 4]),
    ({"author_name": "ann"}, [2]),
    ({"min_stars": 7}, [3, 4, 6]),
    ({"max_stars": 2}, [1, 5]),
    ({"min_stars": 2, "max_stars": 5}, [2, 5]),
    ({"ids": [6, 1, 99]}, [1, 6]),
    ({"ids": [1, 2, 3], "host_type": "pypi"}, [3]),
    ({"host_type": "pypi", "license": "MIT", "min_stars": 9}, [4]),
    ({"host_type": "docker"}, []),
]


async def test_bulk_update_finds_what_every_filter_fits(
    client: httpx.AsyncClient, admin: dict[str, str], database: Any
) -> None:
    await fill(database, SIX)
    for place, (filters, ids) in enumerate(FITTING):
        url, count = f"https://example.org/{place}", len(ids)
        body = {"filters": filters, "updates": {"homepage": url}}
        dry = await post(client, admin, BULK, {**body, "dry_run": True})
        assert dry.json() == {"matched": count, "updated": count, "dry_run": True}
        assert url not in await column(database, "homepage")
        done = await post(client, admin, BULK, body)
        changed = msgspec.json.decode(done.content, type=BulkUpdated)
        assert changed == BulkUpdated(count, count, dry_run=False)
        homes = enumerate(await column(database, "homepage"), 1)
        assert [number for number, home in homes if home == url] == ids
        again = await post(client, admin, BULK, body)
        assert again.json() == {"matched": count, "updated": 0, "dry_run": False}


async def test_bulk_update_writes_every_field_it_takes(
    client: httpx.AsyncClient, admin: dict[str, str], database: Any
) -> None:
    await fill(database, SIX)
    updates = {
        "host_type": "docker",
        "risk_level": "critical",
        "verified_source": True,
        "categories": ["a", 'b"c'],
        "keywords": [],
        "license": "Apache-2.0",
        "author_name": "O'Neil; drop table server; --",
        "homepage": "https://example.org/漢?a=1&b='",
    }
    body = {"filters": {"ids": [1, 2]}, "updates": updates}
    others = {name: (await column(database, name))[2:] for name in updates}
    assert (await post(client, admin, BULK, body)).json()["updated"] == 2
    for name, value in updates.items():
        assert await column(database, name) == [value, value, *others[name]]
    cleared = dict.fromkeys(("license", "author_name", "homepage"))
    await post(client, admin, BULK, {**body, "updates": cleared})
    for name in cleared:
        assert (await column(database, name))[:2] == [None, None]
    query = "select id from server where updated_at > '2020-01-01' order by id"
    assert [row["id"] for row in await database.fetch(query)] == [1, 2]


WRONG_CHANGES: list[tuple[Any, str]] = [
    ({}, "body"),
    ({"filters": {"host_type": "npm"}}, "body"),
    ({"updates": {"license": "MIT"}}, "body"),
    ({"filters": {}, "updates": {"license": "MIT"}}, "body.filters"),
    ({"filters": {"host_type": "npm"}, "updates": {}}, "body.updates"),
    ({"filters": {"nme": 1}, "updates": {"license": "M"}}, "body.filters.nme"),
    ({"filters": {"ids": [1]}, "updates": {"lic": "M"}}, "body.updates.lic"),
    ({"filters": {"ids": [1]}, "updates": {"id": 7}}, "body.updates.id"),
    ({"filters": {"ids": [1]}, "updates": {"uuid": "x"}}, "body.updates.uuid"),
    (
        {"filters": {"ids": [1]}, "updates": {"primary_url": "x:y"}},
        "body.updates.primary_url",
    ),
    (
        {"filters": {"ids": [1]}, "updates": {"created_at": NOW}},
        "body.updates.created_at",
    ),
    (
        {"filters": {"ids": [1]}, "updates": {"registry_name": "x"}},
        "body.updates.registry_name",
    ),
    ({"filters": {"ids": [1]}, "updates": {"stars": 1}}, "body.updates.stars"),
    (
        {"filters": {"ids": [1]}, "updates": {"health_score": 1}},
        "body.updates.health_score",
    ),
    (
        {"filters": {"ids": [1]}, "updates": {"host_type": "x"}},
        "body.updates.host_type",
    ),
    (
        {"filters": {"ids": [1]}, "updates": {"host_type": None}},
        "body.updates.host_type",
    ),
    (
        {"filters": {"ids": [1]}, "updates": {"keywords": "a"}},
        "body.updates.keywords",
    ),
    (
        {"filters": {"ids": [1]}, "updates": {"keywords": [1]}},
        "body.updates.keywords[0]",
    ),
    ({"filters": {"ids": []}, "updates": {"license": "M"}}, "body.filters.ids"),
    (
        {"filters": {"ids": ["1"]}, "updates": {"license": "M"}},
        "body.filters.ids[0]",
    ),
    (
        {"filters": {"ids": [0]}, "updates": {"license": "M"}},
        "body.filters.ids[0]",
    ),
    (
        {"filters": {"ids": list(range(1, 1002))}, "updates": {"license": "M"}},
        "body.filters.ids",
    ),
    (
        {"filters": {"min_stars": -1}, "updates": {"license": "M"}},
        "body.filters.min_stars",
    ),
    (
        {"filters": {"license": None}, "updates": {"license": "M"}},
        "body.filters.license",
    ),
    ({"filters": {"ids": [1]}, "updates": {"license": "M"}, "x": 1}, "body.x"),
]


async def test_bulk_update_is_strict(
    client: httpx.AsyncClient, admin: dict[str, str], database: Any
) -> None:
    await fill(database, SIX)
    state = "select string_agg(doc, '' order by id) from server"
    before = await database.fetchval(state)
    for body, place in WRONG_CHANGES:
        answer = await post(client, admin, BULK, body)
        assert answer.status_code == 400, body
        assert answer.json()["errors"][0]["location"] == place
    assert await database.fetchval(state) == before


async def test_a_bulk_update_does_not_undo_an_edit_that_was_faster(
    client: httpx.AsyncClient, admin: dict[str, str], database: Any
) -> None:
    await fill(database, SIX)
    body = {"filters": {"host_type": "npm"}, "updates": {"risk_level": "safe"}}
    edit = database.transaction()
    await edit.start()
    await database.execute("update server set license = 'new' where id = 2")
    await database.execute("update server set host_type = 'http' where id = 1")
    bulk = asyncio.create_task(post(client, admin, BULK, body))
    await until(lambda: is_waiting(database))
    await edit.commit()
    assert (await bulk).json() == {"matched": 1, "updated": 1, "dry_run": False}
    assert (await column(database, "license"))[1] == "new"
    assert (await column(database, "risk_level"))[:2] == ["unknown", "safe"]


async def is_waiting(database: Any) -> bool:
    """Whether some session waits for a lock."""
    query = "select exists (select from pg_locks where not granted)"
    return bool(await database.fetchval(query))


async def test_two_works_on_the_catalog_take_turns(
    store: PostgresStore, database: Any
) -> None:
    await fill(database, scored_servers(9, 300))
    counts = await asyncio.gather(
        *(work.update_health_scores(store) for _ in range(3)),
        *(work.update_risk_levels(store) for _ in range(3)),
    )
    assert sorted(count.updated > 0 for count in counts) == [False] * 4 + [True] * 2


async def test_work_on_the_catalog_may_take_longer_than_a_request(
    client: httpx.AsyncClient, admin: dict[str, str], database: Any, app: Edge
) -> None:
    app._settings = msgspec.structs.replace(app._settings, request_timeout=0.4)
    await fill(database, [{"stars": 3}])
    lock = database.transaction()
    await lock.start()
    await database.execute("update server set license = 'x'")
    scoring = asyncio.create_task(post(client, admin, SCORES))
    began_at = time.monotonic()
    while time.monotonic() - began_at < 0.8:
        assert not scoring.done()
        await asyncio.sleep(0.05)
    await lock.commit()
    assert (await scoring).json() == {"checked": 1, "updated": 1}


@pytest.mark.faults
@pytest.mark.bench
async def test_20000_servers_are_scored_within_two_seconds(
    store: PostgresStore, database: Any
) -> None:
    await database.execute("alter table tool disable trigger user")
    for start in range(0, 20_000, 2_000):
        await fill_range(database, start, 2_000)
    await database.execute("analyze")
    for count in (work.update_health_scores, work.update_risk_levels):
        took = [await timed(store, database, count)]
        if took[0] >= 2:
            took.append(await timed(store, database, count))
        print(f"\n{count.__name__}: {took} s")
        assert took[-1] < 2


async def timed(store: PostgresStore, database: Any, count: Any) -> float:
    """How long a count takes that changes every row."""
    await database.execute(
        "update server set health_score = -1, risk_level = 'unknown'"
    )
    await database.execute("vacuum server")
    began_at = time.monotonic()
    assert await count(store) == Recount(20_000, 20_000)
    return time.monotonic() - began_at


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
