"""What a load stores, replaces, marks and leaves alone."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service import loading
from service.entries import Entry, Rejected
from service.errors import McpsError
from service.loading import LoadReport, load_entries
from service.sample import load_sample
from service.store.postgres import PostgresStore
from tests.by_hand import moment
from tests.loading.conftest import entries, item, load, server

TABLES = ("server", "server_version", "server_search", "search_word", "tool")


async def versions(database: Any) -> dict[str, Any]:
    rows = await database.fetch(
        "select version, cast(document as text) as document, status, is_latest,"
        " updated_at, source_updated_at, cast(problems as text) as problems"
        " from server_version"
    )
    return {row["version"]: row for row in rows}


async def latest(database: Any) -> list[str]:
    rows = await database.fetch(
        "select version from server_version where is_latest order by registry_name"
    )
    return [row["version"] for row in rows]


async def row_states(database: Any) -> dict[str, list[tuple[Any, ...]]]:
    """Which transaction wrote each row: changes when a row is touched at all."""
    states = {}
    for table in TABLES:
        rows = await database.fetch(f"select ctid::text, xmin::text from {table}")
        states[table] = sorted(tuple(row) for row in rows)
    return states


async def test_an_entry_becomes_a_server_and_a_version(
    store: PostgresStore, database: Any
) -> None:
    report = await load(
        store,
        item(
            "io.example/forecast",
            "1.0.0",
            "2025-02-01",
            title="Forecast",
            description="Weather",
            websiteUrl="https://weather.example",
            repository={"url": "https://github.com/example/forecast.git"},
        ),
    )
    assert (report.servers_new, report.versions_new, report.flagged) == (1, 1, 1)
    shown = await server(database, "io.example/forecast")
    assert (shown["name"], shown["title"]) == ("forecast", "Forecast")
    assert shown["description"] == "Weather"
    assert shown["homepage"] == "https://weather.example"
    assert shown["primary_url"] == "https://github.com/example/forecast"
    assert (shown["host_type"], shown["latest_version"]) == ("github", "1.0.0")
    assert shown["last_indexed_at"] is not None
    stored = (await versions(database))["1.0.0"]
    assert stored["is_latest"]
    assert moment(stored["source_updated_at"]) == datetime(2025, 2, 1, tzinfo=UTC)
    assert '"path":"repository.source","message":"is required"' in stored["problems"]


@pytest.mark.postgresql
async def test_a_second_load_touches_no_row(
    store: PostgresStore, database: Any
) -> None:
    items = [
        item("a/b", "1.0.0", "2025-01-01"),
        item("a/b", "1.1.0", "2025-01-01", repository={}),
        item("a/c", "auto"),
    ]
    first = await load(store, *items)
    before = await row_states(database)
    second = await load(store, *items)
    assert await row_states(database) == before
    assert (first.versions_new, first.servers_new) == (3, 2)
    assert (second.versions_unchanged, second.servers_unchanged) == (3, 2)
    assert second.versions_new + second.versions_changed + second.servers_changed == 0
    assert second.flagged == first.flagged == 1


NEWER = {
    "a/second": (("2025-01-01", "2025-03-01", "2025-02-01"), "second"),
    "a/third": (("2025-01-01", "2025-02-01", "2025-03-01"), "third"),
    "a/same": (("2025-01-01", "2025-01-01", "2025-01-01"), "first"),
    "a/older": (("2025-01-01", "2024-12-31", None), "first"),
}


async def test_only_what_the_source_changed_later_replaces(
    store: PostgresStore, database: Any
) -> None:
    for at, text in enumerate(("first", "second", "third")):
        states = ((name, days[at]) for name, (days, _) in NEWER.items())
        await load(
            store, *(item(n, "1.0.0", day, description=text) for n, day in states)
        )
    rows = await database.fetch("select registry_name, description from server")
    assert dict(map(tuple, rows)) == {name: kept for name, (_, kept) in NEWER.items()}


async def test_a_replacement_moves_times_and_counts(
    store: PostgresStore, database: Any
) -> None:
    await load(store, item("a/b", "1.0.0", "2025-01-01"))
    before = (await versions(database))["1.0.0"]
    changed = item("a/b", "1.0.0", "2025-01-02", status="deprecated", repository={})
    report = await load(store, changed)
    after = (await versions(database))["1.0.0"]
    assert (report.versions_changed, report.servers_changed) == (1, 1)
    assert (after["status"], after["is_latest"]) == ("deprecated", True)
    assert after["updated_at"] > before["updated_at"]
    assert after["source_updated_at"] > before["source_updated_at"]
    assert "repository" in after["problems"]


async def test_without_a_time_an_entry_is_put_in_but_replaces_nothing(
    store: PostgresStore, database: Any
) -> None:
    await load(store, item("a/b", "1.0.0", description="first"))
    await load(store, item("a/b", "1.0.0", description="second"))
    await load(store, item("a/b", "1.0.0", "2025-01-01", description="third"))
    assert (await server(database))["description"] == "first"
    await load(store, item("a/b", "1.0.0", "2999-01-01", description="fourth"))
    assert (await server(database))["description"] == "fourth"


REPEATED = {
    "a/newer": (("2025-01-01", "2025-01-02", "2025-01-01"), "b"),
    "a/same": (("2025-01-01", "2025-01-01", "2025-01-01"), "c"),
    "a/last": (("2025-01-02", "2025-01-01", "2025-01-02"), "c"),
    "a/timeless": ((None, None, None), "c"),
    "a/timed": (("2025-01-01", None, None), "a"),
}


@pytest.mark.parametrize("batch", [1, 7, 2000])
async def test_of_the_same_version_in_one_list_the_newer_or_later_counts(
    store: PostgresStore, database: Any, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(loading, "BATCH_ENTRIES", batch)
    items = [
        item(name, "1.0.0", days[at], description=text)
        for at, text in enumerate("abc")
        for name, (days, _) in REPEATED.items()
    ]
    report = await load(store, *items)
    rows = await database.fetch("select registry_name, description from server")
    assert dict(map(tuple, rows)) == {
        name: kept for name, (_, kept) in REPEATED.items()
    }
    states = report.versions_new, report.versions_changed, report.versions_unchanged
    assert sum(states) + report.repeated == report.entries == 15
    assert (report.servers_new, report.servers_changed) == (5, 0)


LATEST: dict[str, tuple[list[tuple[str, dict[str, Any]]], str]] = {
    "a/numbers": (
        [("1.9.0", {}), ("1.10.0", {}), ("1.10.0-rc.1", {})],
        "1.10.0",
    ),
    "b/mixed": ([("0.0.1", {}), ("2025-12", {"publishedAt": "2025-12-01"})], "0.0.1"),
    "c/times": (
        [("z", {"publishedAt": "2025-01-01"}), ("a", {"publishedAt": "2025-02-01"})],
        "a",
    ),
    "d/deleted": ([("1.0.0", {}), ("2.0.0", {"status": "deleted"})], "1.0.0"),
    "e/deprecated": ([("1.0.0", {"status": "deprecated"}), ("0.9.0", {})], "1.0.0"),
    "f/all": (
        [("1.0.0", {"status": "deleted"}), ("2.0.0", {"status": "deleted"})],
        "2.0.0",
    ),
    "g/said": (
        [("2.0.0", {"isLatest": False}), ("1.0.0", {"isLatest": True})],
        "2.0.0",
    ),
}


@pytest.mark.parametrize("batch", [1, 3, 2000])
@pytest.mark.parametrize("is_reversed", [False, True])
async def test_the_latest_version_is_decided_here(
    store: PostgresStore,
    database: Any,
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
    *,
    is_reversed: bool,
) -> None:
    monkeypatch.setattr(loading, "BATCH_ENTRIES", batch)
    made = [
        item(name, version, "2025-06-01", **more)
        for name, (known, _) in LATEST.items()
        for version, more in known
    ]
    await load(store, *(reversed(made) if is_reversed else made))
    expected = [version for _, version in LATEST.values()]
    assert await latest(database) == expected
    rows = await database.fetch(
        "select latest_version from server order by registry_name"
    )
    assert [row["latest_version"] for row in rows] == expected


async def test_gain_and_loss_of_the_mark_move_the_time_of_these_two(
    store: PostgresStore, database: Any
) -> None:
    old = [item("a/b", version, "2025-01-01") for version in ("0.1.0", "1.0.0")]
    await load(store, *old)
    before = await versions(database)
    await load(store, item("a/b", "2.0.0", "2025-01-01"))
    after = await versions(database)
    assert after["0.1.0"] == before["0.1.0"]
    assert after["1.0.0"]["updated_at"] > before["1.0.0"]["updated_at"]
    # Two statements: the clock of SQLite goes on between them.
    assert after["2.0.0"]["updated_at"] >= after["1.0.0"]["updated_at"]
    # That clock never decides what is newer.
    await load(store, item("a/b", "1.0.0", "2025-01-02", description="newer"))
    assert "newer" in (await versions(database))["1.0.0"]["document"]


@pytest.mark.postgresql
async def test_what_the_database_refuses_is_found_and_rejected_alone(
    store: PostgresStore, database: Any
) -> None:
    await database.execute(
        "alter table server_version add check (version not like 'bad%')"
    )
    items = [item(f"a/b{n}", "bad" if n in {3, 4, 90} else "1.0") for n in range(100)]
    rejected: list[Rejected] = []
    report = await load_entries(store, entries(*items), on_reject=rejected.append)
    assert sorted(each.number for each in rejected) == [4, 5, 91]
    assert all("the database refuses" in each.reason for each in rejected)
    assert (report.rejected, report.versions_new, report.servers_new) == (3, 97, 97)
    assert report.entries == 100


@pytest.mark.postgresql
async def test_a_failure_leaves_nothing_of_the_batch(
    store: PostgresStore, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "BATCH_ENTRIES", 10)
    await database.execute(
        "create function fail() returns trigger language plpgsql as"
        " $$ begin raise exception 'no' using errcode = 'XX000'; end $$;"
        "create trigger fail before insert on server_version for each row"
        " when (new.registry_name = 'a/b15') execute function fail()"
    )
    with pytest.raises(McpsError):
        await load(store, *(item(f"a/b{n}", "1.0.0") for n in range(30)))
    counts = (
        "select (select count(*) from server), (select count(*) from server_version)"
    )
    assert tuple(await database.fetchrow(counts)) == (10, 10)


async def test_two_loads_at_once_store_everything_once(
    store: PostgresStore, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "BATCH_ENTRIES", 20)
    items = [item(f"a/b{n % 50}", f"1.0.{n}", "2025-01-01") for n in range(100)]
    one, two = await asyncio.gather(load(store, *items), load(store, *reversed(items)))
    assert one.versions_new + two.versions_new == 100
    assert one.servers_new + two.servers_new == 50
    assert await database.fetchval("select count(*) from server_version") == 100
    assert len(await latest(database)) == 50


@pytest.mark.postgresql
async def test_a_load_outlives_lost_connections(
    store: PostgresStore, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "BATCH_ENTRIES", 10)

    async def cut_off() -> AsyncIterator[Entry | Rejected]:
        for position, entry in enumerate(
            entries(*(item(f"a/b{n}", "1.0.0") for n in range(30)))
        ):
            if position % 10 == 9:
                await database.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where datname = current_database() and pid <> pg_backend_pid()"
                )
            yield entry

    report = await load_entries(store, cut_off())
    assert (report.versions_new, report.servers_new) == (30, 30)


async def test_a_server_of_the_list_counts_as_indexed_once_a_day(
    store: PostgresStore, database: Any
) -> None:
    one = item("a/b", "1.0.0", "2025-01-01")
    await load(store, one, item("a/c", "1.0.0", "2025-01-01"))
    now = datetime.now(UTC)
    old = "update server set last_indexed_at = $1"
    await database.execute(old, now - timedelta(days=2))
    report = await load(store, one)
    recent = "select registry_name from server where last_indexed_at > $1"
    rows = await database.fetch(recent, now - timedelta(hours=1))
    assert [row["registry_name"] for row in rows] == ["a/b"]
    assert report.servers_unchanged == 1


@pytest.mark.postgresql
async def test_words_are_counted_and_forgotten(
    store: PostgresStore, database: Any
) -> None:
    async def uses() -> dict[str, int]:
        rows = await database.fetch("select word, uses from search_word")
        found = dict(map(tuple, rows))
        assert len(found) == len(rows)
        return found

    await load(
        store,
        item("x/alpha", "1.0.0", "2025-01-01", description="gamma beta beta"),
        item("x/delta", "1.0.0", "2025-01-01", description="beta 12345 ab"),
    )
    assert await uses() == {"alpha": 1, "beta": 2, "delta": 1, "gamma": 1}
    await database.execute("insert into search_word (word) values ('beta'), ('alpha')")
    await load(store, item("x/alpha", "1.0.0", "2025-01-02", description="epsilon"))
    assert await uses() == {"alpha": 1, "beta": 1, "delta": 1, "epsilon": 1}


async def test_batches_are_bounded_in_size(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "BATCH_CHARACTERS", 5000)
    states: list[LoadReport] = []
    items = entries(*(item(f"a/b{n}", "1.0.0", x="y" * 2000) for n in range(9)))
    await load_entries(store, items, on_progress=states.append)
    assert [state.entries for state in states] == [3, 6, 9]


async def test_the_sample_fills_an_empty_catalog_once(
    store: PostgresStore, database: Any
) -> None:
    put = await asyncio.gather(load_sample(store), load_sample(store))
    assert sorted(put) == [0, 13]
    assert await load_sample(store) == 0
    for table in ("tool", "prompt", "resource_template", "dependency", "release"):
        assert await database.fetchval(f"select count(*) from {table}") > 0
    assert await database.fetchval("select count(*) from contributor") > 0
    assert await database.fetchval("select count(*) from server") == 13
    flagged = "select count(*) from server_version where cast(problems as text) <> '[]'"
    assert await database.fetchval(flagged) == 0


async def test_the_sample_leaves_a_filled_catalog_alone(
    store: PostgresStore, database: Any
) -> None:
    await load(store, item("a/b", "1.0.0"))
    assert await load_sample(store) == 0
    assert await database.fetchval("select count(*) from server") == 1
