"""Tables that are no part of the catalog, whatever their shape."""

import json
from typing import Any

import pytest

from service.errors import InvalidInput
from service.store.base import Store
from tests.importer.conftest import LATER, Earlier, take, unwritten

MOST_SQLITE_COLUMNS = 2000


@pytest.mark.parametrize(
    "columns",
    ["server integer, contributor integer", "id integer primary key", "is_on boolean"],
)
async def test_a_table_without_text_is_carried_over_twice(
    store: Store, earlier: Earlier, columns: str
) -> None:
    earlier.fill(1)
    earlier.run(f"create table links ({columns})")
    marks = ", ".join("1" * (columns.count(",") + 1))
    earlier.run(f"insert into links values ({marks})")
    taken = await take(store, earlier.path)
    assert taken.counts("links") == (1, 1, 0, 0, 0)
    again = await take(store, earlier.path)
    assert again.counts("links") == (1, 0, 0, 0, 1)


async def test_a_table_that_leaves_no_name_for_its_row_numbers_is_carried_over(
    store: Store, database: Any, earlier: Earlier
) -> None:
    earlier.fill(1)
    earlier.run("create table hidden (rowid text, oid text, _rowid_ text)")
    earlier.run("insert into hidden values ('a', 'b', 'c')")
    taken = await take(store, earlier.path)
    assert taken.counts("hidden") == (1, 1, 0, 0, 0)
    (row,) = await database.fetch("select * from legacy.hidden")
    assert {"a", "b", "c"} < {*row.values()}


async def test_a_table_with_more_columns_than_postgresql_takes_goes_as_objects(
    store: Store, database: Any, earlier: Earlier
) -> None:
    names = [f"c{n}" for n in range(MOST_SQLITE_COLUMNS)]
    earlier.run(f"create table wide ({', '.join(names)})")
    earlier.run("create table zebra (x)")
    earlier.run("insert into zebra values (1)")
    earlier.run("insert into wide (c0, c1999) values ('a', 2), (x'ff', 0.5)")
    earlier.run("insert into wide (c7) values (cast(x'6200' as text))")
    taken = await take(store, earlier.path)
    assert taken.counts("wide") == (3, 3, 0, 0, 0)
    assert taken.counts("zebra") == (1, 1, 0, 0, 0)
    assert any("wide has 2,000 columns" in line for line in taken.said)
    rows = await database.fetch('select rowid, "row" from legacy.wide order by rowid')
    found = {row["rowid"]: json.loads(row["row"]) for row in rows}
    assert [*found[1]] == names
    assert (found[1]["c0"], found[1]["c1"], found[1]["c1999"]) == ("a", None, 2)
    assert (found[2]["c0"], found[2]["c1999"]) == ({"hex": "ff"}, 0.5)
    assert found[3]["c7"] == {"hex": "6200"}
    assert unwritten(await take(store, earlier.path))


@pytest.mark.parametrize(
    ("first", "columns"), [("id integer primary key", 1600), ("c0", 1599), ("c0", 1600)]
)
async def test_a_table_may_have_as_many_columns_as_postgresql_takes(
    store: Store, database: Any, earlier: Earlier, first: str, columns: int
) -> None:
    rest = ", ".join(f"c{n} integer" for n in range(1, columns))
    earlier.run(f"create table wide ({first}, {rest})")
    earlier.run("insert into wide (c1) values (5), (null)")
    taken = await take(store, earlier.path)
    assert taken.counts("wide") == (2, 2, 0, 0, 0)
    assert unwritten(await take(store, earlier.path))


@pytest.mark.parametrize(
    ("columns", "text", "is_whole"),
    [
        (1500, "x" * 30, False),
        (1500, "x", True),
        (500, "x" * 30, False),
        (400, "é" * 11, False),
        (300, "x" * 23, True),
        (300, "x" * 4000, True),
    ],
)
async def test_a_table_with_a_row_that_fits_no_page_goes_as_objects(
    store: Store,
    database: Any,
    earlier: Earlier,
    columns: int,
    text: str,
    *,
    is_whole: bool,
) -> None:
    names = ", ".join(f"c{n}" for n in range(columns))
    earlier.run(f"create table wide ({names})")
    earlier.run("insert into wide (c0) values ('only')")
    for _ in range(2):
        values = ", ".join([f"'{text}'"] * columns)
        earlier.run(f"insert into wide values ({values})")
    taken = await take(store, earlier.path)
    assert taken.counts("wide") == (3, 3, 0, 0, 0)
    row = await database.fetchrow("select * from legacy.wide where rowid = 2")
    whole = dict(row) if is_whole else json.loads(row["row"])
    assert whole["c0"] == whole[f"c{columns - 1}"] == text
    assert unwritten(await take(store, earlier.path))


async def test_a_table_that_outgrows_the_one_that_is_there_is_named(
    store: Store, earlier: Earlier
) -> None:
    for part in "ab":
        earlier.run("drop table if exists wide")
        names = ", ".join(f"{part}{n}" for n in range(900))
        earlier.run(f"create table wide ({names})")
        if part == "a":
            await take(store, earlier.path)
    with pytest.raises(InvalidInput, match=r"legacy\.wide.*1600 columns"):
        await take(store, earlier.path)


async def test_columns_that_the_catalog_does_not_know_go_to_legacy(
    store: Store, database: Any, earlier: Earlier
) -> None:
    earlier.run("alter table server add column extra text")
    earlier.run("alter table tool add column Odd json")
    earlier.add("server", {"id": 1, "extra": "precious"}, {"id": 2, "stars": "many"})
    earlier.add(
        "tool",
        {"id": 1, "server_id": 1, "Odd": "[1]"},
        {"id": 2, "server_id": 9, "Odd": "[2]"},
    )
    tried = await take(None, earlier.path)
    taken = await take(store, earlier.path)
    assert taken.counts("server") == tried.counts("server") == (2, 1, 0, 1, 0)
    assert taken.counts("tool") == tried.counts("tool") == (2, 1, 1, 0, 0)
    assert "server: the catalog has no column extra; it goes to legacy.server" in (
        taken.said
    )
    rows = await database.fetch("select id, extra from legacy.server order by id")
    assert [tuple(row) for row in rows] == [(1, "precious"), (2, None)]
    rows = await database.fetch('select id, "Odd", name from legacy.tool order by id')
    assert [tuple(row) for row in rows] == [(1, "[1]", None), (2, "[2]", "read")]
    assert "legacy.extra" in taken.report.tables["server"].columns
    again = await take(store, earlier.path)
    assert unwritten(again)
    assert again.kept == []
    earlier.run("update server set extra = 'other', updated_at = ? where id = 1", LATER)
    await take(store, earlier.path)
    assert await database.fetchval("select extra from legacy.server where id = 1") == (
        "other"
    )


async def test_a_strict_import_keeps_unknown_columns_of_rows_that_are_in(
    store: Store, database: Any, earlier: Earlier
) -> None:
    earlier.run("alter table server add column extra text")
    earlier.add("server", {"id": 1, "extra": "a\0b"})
    taken = await take(store, earlier.path, is_strict=True)
    assert taken.refused == []
    assert [repair.original for _, repair in taken.repaired] == ["a\0b"]
    assert await database.fetchval("select extra from legacy.server") == "ab"
