"""Rows that have what only one may have: which of them is kept, the same each time."""

from typing import Any

from service.store.base import Store
from tests.importer.conftest import AT, LATER, Earlier, content, take, unwritten, url


async def test_urls_that_are_the_same_once_repaired_are_doubles_each_time(
    store: Store, database: Any, earlier: Earlier
) -> None:
    earlier.add(
        "server",
        {"id": 1},
        {"id": 2, "primary_url": f"{url(1)}\0", "updated_at": LATER},
        {"id": 3, "primary_url": url(3).encode(), "updated_at": AT},
        {"id": 4, "primary_url": url(3), "updated_at": AT},
    )
    earlier.add("tool", {"id": 1, "server_id": 1}, {"id": 2, "server_id": 2})
    first = await take(store, earlier.path)
    assert first.keys == [("server", 1), ("server", 4)]
    refusal = first.refused[0][1]
    assert (refusal.column, refusal.raw) == ("primary_url", url(1))
    assert refusal.reason == "primary_url is that of server 2, as new or newer"
    assert (
        first.refused[1][1].reason == "primary_url is that of server 3, as new or newer"
    )
    assert await database.fetchval("select array_agg(id order by id) from server") == [
        2,
        3,
    ]
    state = await content(database)
    again = await take(store, earlier.path)
    assert again.refused == first.refused
    assert unwritten(again)
    assert await content(database) == state
    tried = await take(None, earlier.path)
    assert tried.refused == first.refused


async def test_the_newest_is_found_however_the_times_are_written(
    store: Store, database: Any, earlier: Earlier
) -> None:
    earlier.run("drop index ix_server_primary_url")
    times = ("2025-01-02T09:00:00", "2025-01-02 11:00:00+05:00", b"\xff", "")
    earlier.add(
        "server",
        {"id": 1, "primary_url": url(9), "updated_at": "2025-01-02 08:00:00.000000"},
        *(
            {"id": id_, "primary_url": url(9), "updated_at": at}
            for id_, at in enumerate(times, 2)
        ),
    )
    taken = await take(store, earlier.path)
    assert taken.keys == [("server", id_) for id_ in (1, 3, 4, 5)]
    assert unwritten(await take(store, earlier.path))


async def test_a_row_that_is_refused_itself_costs_no_older_one_of_the_same_url(
    store: Store, database: Any, earlier: Earlier
) -> None:
    earlier.run("drop index ix_server_primary_url")
    earlier.add(
        "server",
        {"id": 1},
        {"id": 2, "primary_url": url(1), "updated_at": LATER, "stars": "many"},
        {"id": 3, "primary_url": url(1), "updated_at": "2024-01-01 00:00:00.000000"},
    )
    taken = await take(store, earlier.path)
    assert [refusal.reason for _, refusal in taken.refused] == [
        "stars is no whole number",
        "primary_url is that of server 1, as new or newer",
    ]
    assert await database.fetchval("select array_agg(id) from server") == [1]


async def test_a_bad_url_is_no_double(store: Store, earlier: Earlier) -> None:
    earlier.add(
        "processinglog",
        {"id": 1, "url": b"\xff"},
        {"id": 2, "url": b"\xfe"},
        {"id": 3, "url": "x" * 3000},
        {"id": 4, "url": "x" * 3001},
        {"id": 5, "url": ""},
    )
    taken = await take(store, earlier.path)
    assert [refusal.reason[:14] for _, refusal in taken.refused] == [
        "url is that of",
        "url has 3,000 ",
        "url has 3,001 ",
        "url is empty",
    ]


async def test_two_urls_that_make_one_registry_name_are_both_kept(
    store: Store, database: Any, earlier: Earlier
) -> None:
    earlier.add(
        "server",
        {"id": 1, "primary_url": "https://github.com/owner/name"},
        {"id": 2, "primary_url": "https://owner.github.io/name"},
    )
    taken = await take(store, earlier.path)
    assert taken.refused == []
    names = await database.fetch("select registry_name from server order by id")
    first, second = (row["registry_name"] for row in names)
    assert first == "io.github.owner/name"
    assert second.startswith(f"{first}-")
    assert unwritten(await take(store, earlier.path))


async def test_a_uuid_that_another_row_has_is_told_in_a_sentence(
    store: Store, database: Any, earlier: Earlier
) -> None:
    uuid = "819e206b-de18-4c3b-aca9-83283bd41e48"
    earlier.add("server", {"id": 1, "uuid": uuid}, {"id": 2, "uuid": uuid.upper()})
    for _ in range(2):
        taken = await take(store, earlier.path)
        ((_, refusal),) = taken.refused
        assert (refusal.key, refusal.column) == (2, "uuid")
        assert refusal.reason == "uuid is that of another server"
        assert refusal.raw == uuid
    assert await database.fetchval("select array_agg(id) from server") == [1]
