"""Bulk changes: strict about what they are asked, exact about what they change."""

import asyncio
from typing import Any

import httpx
import msgspec
import pytest

from service.models_admin import BulkUpdated
from tests.waiting import until
from tests.web.filling import BULK, LONG_AGO, column, fill, is_waiting, post, shown

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
    query = "select id from server where updated_at > $1 order by id"
    assert [row["id"] for row in await database.fetch(query, LONG_AGO)] == [1, 2]


WRONG_CHANGES: list[tuple[Any, str]] = [
    ({}, "body.filters"),
    ({"filters": {"host_type": "npm"}}, "body.updates"),
    ({"updates": {"license": "MIT"}}, "body.filters"),
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
        {"filters": {"ids": [1]}, "updates": {"created_at": "2026-01-01T00:00:00Z"}},
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
    before = await shown(database)
    for body, place in WRONG_CHANGES:
        answer = await post(client, admin, BULK, body)
        assert answer.status_code == 400, body
        assert answer.json()["errors"][0]["location"] == place
    assert await shown(database) == before


@pytest.mark.postgresql
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
