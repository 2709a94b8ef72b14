"""Tables that are no part of the catalog, whatever their shape."""

from typing import Any

import pytest

from service.store.base import Store
from tests.importer.conftest import Earlier, take


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
