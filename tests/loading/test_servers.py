"""Which server an entry belongs to, and what the server shows of it."""

from typing import Any

import pytest

from service import loading
from service.entries import Rejected
from service.loading import load_entries
from service.store.postgres import PostgresStore
from tests.loading.conftest import entries, item, load, server


async def test_a_server_shows_its_latest_version(
    store: PostgresStore, database: Any
) -> None:
    one = item(
        "a/b", "1.0.0", "2025-01-01", title="One", websiteUrl="https://o.example"
    )
    two = item("a/b", "2.0.0", "2025-01-01", description="second")
    await load(store, one)
    await load(store, two)
    shown = await server(database)
    assert (shown["title"], shown["homepage"]) == (None, None)
    assert shown["description"] == "second"
    await load(store, item("a/b", "2.0.0", "2025-01-02", status="deleted"))
    shown = await server(database)
    assert (shown["title"], shown["latest_version"]) == ("One", "1.0.0")


async def test_what_came_from_elsewhere_stays_where_the_document_is_silent(
    store: PostgresStore, database: Any
) -> None:
    await load(store, item("a/b", "1.0.0", "2025-01-01", title="One"))
    await database.execute(
        "update server set title = 'Mine', homepage = 'https://mine.example',"
        " stars = 7, readme_content = '# Mine', license = 'MIT',"
        " keywords = '[\"mine\"]'"
    )
    await load(store, item("a/b", "2.0.0", "2025-01-01", description="two"))
    shown = await server(database)
    assert (shown["title"], shown["homepage"]) == ("Mine", "https://mine.example")
    assert (shown["stars"], shown["readme_content"]) == (7, "# Mine")
    assert (shown["keywords"], shown["license"]) == ('["mine"]', "MIT")
    assert shown["description"] == "two"


async def test_an_edit_by_hand_stays_until_there_is_a_new_latest_version(
    store: PostgresStore, database: Any
) -> None:
    await load(store, item("a/b", "1.0.0", "2025-01-01"))
    await database.execute("update server set description = 'by hand'")
    await load(store, item("a/b", "0.9.0", "2025-01-01"))
    assert (await server(database))["description"] == "by hand"


REPOSITORY = "https://github.com/example/many"


def many(name: str, **fields: object) -> dict[str, Any]:
    place = {"url": REPOSITORY, "source": "github"}
    return item(name, "1.0.0", "2025-01-01", repository=place, **fields)


async def urls(database: Any) -> dict[str, str]:
    rows = await database.fetch("select registry_name, primary_url from server")
    return dict(map(tuple, rows))


@pytest.mark.parametrize("batch", [1, 2000])
async def test_servers_of_one_repository_have_urls_of_their_own(
    store: PostgresStore,
    database: Any,
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
) -> None:
    monkeypatch.setattr(loading, "BATCH_ENTRIES", batch)
    sub = item(
        "a/d",
        "1.0.0",
        repository={"url": REPOSITORY, "source": "github", "subfolder": "d"},
    )
    await load(store, many("a/b"), many("a/c"), sub)
    expected = {
        "a/b": REPOSITORY,
        "a/c": f"{REPOSITORY}#a/c",
        "a/d": f"{REPOSITORY}/tree/HEAD/d",
    }
    assert await urls(database) == expected
    await load(store, many("a/a"))
    assert await urls(database) == expected | {"a/a": f"{REPOSITORY}#a/a"}


async def test_a_known_server_keeps_its_url(
    store: PostgresStore, database: Any
) -> None:
    await load(store, many("a/b"))
    moved = {"url": "https://github.com/example/moved", "source": "github"}
    await load(store, item("a/b", "2.0.0", "2025-01-01", repository=moved))
    assert await urls(database) == {"a/b": REPOSITORY}


async def test_a_server_without_registry_name_is_adopted_by_its_url(
    store: PostgresStore, database: Any
) -> None:
    known = await database.fetchval(
        "insert into server (name, primary_url, stars, readme_content)"
        " values ('by hand', $1, 5, '# By hand') returning id",
        REPOSITORY,
    )
    report = await load(store, many("a/c", title="C"), many("a/b", title="B"))
    shown = await server(database)
    assert (shown["id"], shown["title"], shown["name"]) == (known, "B", "b")
    assert (shown["stars"], shown["readme_content"]) == (5, "# By hand")
    assert await urls(database) == {"a/b": REPOSITORY, "a/c": f"{REPOSITORY}#a/c"}
    assert (report.servers_new, report.servers_changed) == (1, 1)


async def test_a_url_that_is_taken_for_good_is_a_reject(
    store: PostgresStore, database: Any
) -> None:
    await database.execute(
        "insert into server (name, primary_url) values ('x', 'mcp://a/c'), ('y', $1)",
        f"{REPOSITORY}#a/b",
    )
    await load(store, many("a/a"))
    rejected: list[Rejected] = []
    found = entries(many("a/b"), item("a/d", "1.0.0"))
    report = await load_entries(store, found, on_reject=rejected.append)
    assert (report.rejected, report.versions_new, report.servers_new) == (1, 1, 1)
    assert [(each.number, each.reason) for each in rejected] == [
        (1, "its URL belongs to a server with another registry name")
    ]
