"""The migration files: named in order, each with its way back, each reversible."""

import asyncio
import re
from pathlib import Path

import asyncpg
import pytest

from service import errors
from service.resources import resource
from service.store import migrate
from tests.migrations.conftest import StartRun, schema_of, values

FILES = sorted(resource("migrations").glob("*.sql"))
NAMES = [path.stem for path in FILES if not path.name.endswith(".rollback.sql")]


def test_file_names_are_well_formed_and_consecutive() -> None:
    assert NAMES
    assert [name for name in NAMES if not re.fullmatch(r"\d{4}\.[a-z_]+", name)] == []
    assert [int(name[:4]) for name in NAMES] == list(range(len(NAMES)))


def test_every_migration_has_a_way_back_and_no_way_back_is_alone() -> None:
    ways_back = [p.name for p in FILES if p.name.endswith(".rollback.sql")]
    assert ways_back == [f"{name}.rollback.sql" for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_every_migration_enters_and_removes_itself_in_its_own_transaction(
    name: str,
) -> None:
    folder = resource("migrations")
    forward = (folder / f"{name}.sql").read_text("utf-8")
    back = (folder / f"{name}.rollback.sql").read_text("utf-8")
    assert forward.endswith(f"\ncall migration_put('{name}');\n")
    assert f"call migration_delete('{name}');\n" in back


async def test_up_down_and_up_again_gives_the_same_schema(empty_url: str) -> None:
    applied = await asyncio.to_thread(migrate.apply, empty_url)
    first = await schema_of(empty_url)
    await asyncio.to_thread(migrate.rollback, empty_url, len(applied))
    between = await schema_of(empty_url)
    await asyncio.to_thread(migrate.apply, empty_url)
    assert applied == NAMES
    assert await schema_of(empty_url) == first
    assert {line.split()[0] for line in set(between)} <= {
        "column",
        "constraint",
        "extension",
        "index",
    }
    assert [line for line in between if "yoyo" not in line] == [
        line for line in first if line.startswith("extension")
    ]


async def test_every_migration_goes_back_one_by_one(empty_url: str) -> None:
    await asyncio.to_thread(migrate.apply, empty_url)
    schemas = []
    for _ in NAMES:
        schemas.append(await schema_of(empty_url))
        await asyncio.to_thread(migrate.rollback, empty_url, 1)
    for expected in reversed(schemas[1:]):
        name = await _apply_next(empty_url)
        assert await schema_of(empty_url) == expected, name


async def _apply_next(url: str) -> str:
    steps = await asyncio.to_thread(migrate.status, url)
    name = next(step.name for step in steps if step.state == "pending")

    def apply_one() -> None:
        files = migrate._files(None)
        with migrate._connected(url) as backend, backend.exclusive(print, 1):
            backend.apply_file(files[name])

    await asyncio.to_thread(apply_one)
    return name


async def test_yoyo_apply_gives_the_same_schema(
    empty_url: str, database_url: str, start_yoyo: StartRun, folder: Path
) -> None:
    run = start_yoyo(empty_url, folder)
    printed, _ = await asyncio.to_thread(run.communicate, timeout=60)
    assert run.returncode == 0, printed
    assert await schema_of(empty_url) == await schema_of(database_url)
    assert {s.state for s in await asyncio.to_thread(migrate.status, empty_url)} == {
        "applied"
    }


async def test_an_entry_made_in_the_transaction_is_not_made_twice(
    empty_url: str, start_yoyo: StartRun, folder: Path
) -> None:
    run = start_yoyo(empty_url, folder)
    await asyncio.to_thread(run.communicate, timeout=60)
    names = await values(
        empty_url, "select migration_id from _yoyo_migration order by migration_id"
    )
    assert names == NAMES


async def test_a_migration_that_fails_leaves_nothing_of_itself(
    empty_url: str, folder: Path
) -> None:
    (folder / "9998.broken.sql").write_text(
        "create table half (id int);\ncreate table half (id int);\n"
    )
    with pytest.raises(errors.MigrationFailed, match=r"9998\.broken: .*half"):
        await asyncio.to_thread(migrate.apply, empty_url, folder=folder)
    connection = await asyncpg.connect(empty_url)
    assert await connection.fetchval("select to_regclass('half')") is None
    await connection.close()
    steps = await asyncio.to_thread(migrate.status, empty_url, folder=folder)
    assert [s.name for s in steps if s.state == "pending"] == ["9998.broken"]
