"""Roles that may not do everything: told exactly what is missing, or served anyway."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from service import errors
from service.store import migrate
from tests.conftest import execute
from tests.migrations.conftest import add_slow, values

REQUIRED = ("pg_trgm", "btree_gin", "btree_gist")


def as_role(url: str, role: str) -> str:
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{role}:secret@{place}").geturl()


@pytest.fixture
async def role(empty_url: str) -> AsyncIterator[str]:
    """An ordinary role that may make tables in the empty database, but no extension."""
    name = f"role_{uuid.uuid4().hex}"
    database = urlsplit(empty_url).path[1:]
    await execute("postgres", f"create role {name} login password 'secret'")
    await execute(database, f"grant create, usage on schema public to {name}")
    yield name
    await execute(database, f"drop owned by {name} cascade")
    await execute("postgres", f"drop role {name}")


async def can_get(url: str, extension: str) -> bool:
    sql = f"select count(*) from pg_available_extensions where name = '{extension}'"
    return await values(url, sql) == [1]


async def test_a_role_without_the_right_is_told_the_exact_statement(
    empty_url: str, role: str
) -> None:
    database = urlsplit(empty_url).path[1:]
    with pytest.raises(errors.MigrationFailed) as caught:
        await asyncio.to_thread(migrate.apply, as_role(empty_url, role))
    text = str(caught.value)
    assert "\n" not in text
    assert f"role {role} may not create extensions in the database {database}" in text
    assert "superuser" in text
    steps = await asyncio.to_thread(migrate.status, as_role(empty_url, role))
    assert [s.name for s in steps if s.state == "applied"] == ["0000.migration"]
    assert await values(empty_url, "select to_regclass('server')::text") == [None]

    statement = text.partition("run there: ")[2]
    await execute(database, statement)
    applied = await asyncio.to_thread(migrate.apply, as_role(empty_url, role))
    assert applied[0] == "0001.extensions"


async def test_only_the_missing_extensions_are_asked_for(
    empty_url: str, role: str
) -> None:
    await execute(urlsplit(empty_url).path[1:], "create extension pg_trgm")
    with pytest.raises(errors.MigrationFailed) as caught:
        await asyncio.to_thread(migrate.apply, as_role(empty_url, role))
    assert "create extension if not exists btree_gin;" in str(caught.value)
    assert "pg_trgm" not in str(caught.value)


async def test_an_ordinary_role_migrates_where_the_extensions_are(
    empty_url: str, role: str
) -> None:
    database = urlsplit(empty_url).path[1:]
    await execute(database, *(f"create extension {name}" for name in REQUIRED))
    assert await asyncio.to_thread(migrate.apply, as_role(empty_url, role))
    steps = await asyncio.to_thread(migrate.status, as_role(empty_url, role))
    assert {step.state for step in steps} == {"applied"}


async def test_an_owner_of_the_database_needs_no_superuser(
    empty_url: str, role: str
) -> None:
    database = urlsplit(empty_url).path[1:]
    await execute("postgres", f"grant create on database {database} to {role}")
    assert await asyncio.to_thread(migrate.apply, as_role(empty_url, role))
    await execute("postgres", f"revoke create on database {database} from {role}")


async def test_a_role_without_a_schema_is_told_the_exact_statement(
    empty_url: str, role: str
) -> None:
    database = urlsplit(empty_url).path[1:]
    await execute(
        database,
        f"revoke create on schema public from {role}",
        "revoke create on schema public from public",
    )
    with pytest.raises(errors.MigrationFailed) as caught:
        await asyncio.to_thread(migrate.apply, as_role(empty_url, role))
    text = str(caught.value)
    assert f"grant create on schema public to {role};" in text
    assert await values(empty_url, "select to_regclass('yoyo_lock')::text") == [None]


async def test_a_read_only_database_is_told_apart(empty_url: str, role: str) -> None:
    read_only = f"alter role {role} set default_transaction_read_only = on"
    await execute("postgres", read_only)
    with pytest.raises(errors.ReadOnly, match="name the primary"):
        await asyncio.to_thread(migrate.apply, as_role(empty_url, role))


async def test_limits_of_the_role_do_not_stop_a_migration(
    empty_url: str, role: str, folder: Path
) -> None:
    database = urlsplit(empty_url).path[1:]
    await execute(database, *(f"create extension {name}" for name in REQUIRED))
    await execute("postgres", f"alter role {role} set statement_timeout = '300ms'")
    name = add_slow(folder, 0.5)
    url = as_role(empty_url, role)
    assert name in await asyncio.to_thread(migrate.apply, url, folder=folder)


async def test_everything_migrates_without_vector(empty_url: str, role: str) -> None:
    database = urlsplit(empty_url).path[1:]
    await execute(database, *(f"create extension {name}" for name in REQUIRED))
    await asyncio.to_thread(migrate.apply, as_role(empty_url, role))
    index = "select to_regclass('tool_embedding_nearest')::text"
    if await values(empty_url, "select true from pg_extension where extname='vector'"):
        pytest.fail("an ordinary role created vector: nothing was tested")
    assert await values(empty_url, index) == [None]
    if not await can_get(empty_url, "vector"):
        pytest.skip("this server has no vector to appear later")
    await execute(database, "create extension vector")
    assert await asyncio.to_thread(migrate.apply, as_role(empty_url, role)) == []
    assert await values(empty_url, index) == ["tool_embedding_nearest"]


async def test_vector_is_used_at_once_where_the_role_may_create_it(
    empty_url: str,
) -> None:
    if not await can_get(empty_url, "vector"):
        pytest.skip("this server has no vector")
    await asyncio.to_thread(migrate.apply, empty_url)
    index = "select to_regclass('tool_embedding_nearest')::text"
    assert await values(empty_url, index) == ["tool_embedding_nearest"]


async def test_slow_statements_answer_nothing_where_none_are_collected(
    database_url: str,
) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("drop extension if exists pg_stat_statements")
    assert await connection.fetch("select * from slow_statements(10)") == []
    await connection.close()


async def test_a_server_without_a_required_extension_is_told_apart(
    empty_url: str, folder: Path
) -> None:
    file = folder / "0001.extensions.sql"
    file.write_text(file.read_text("utf-8").replace("'btree_gist'", "'no_such'"))
    with pytest.raises(errors.MigrationFailed, match="contrib package") as caught:
        await asyncio.to_thread(migrate.apply, empty_url, folder=folder)
    assert "no_such: install its contrib" in str(caught.value)


async def test_a_role_that_does_not_own_the_tables_stops_at_nothing_to_do(
    empty_url: str, role: str
) -> None:
    await asyncio.to_thread(migrate.apply, empty_url)
    database = urlsplit(empty_url).path[1:]
    await execute(
        database,
        "drop index if exists tool_embedding_nearest",
        f"grant select, insert, delete on all tables in schema public to {role}",
    )
    assert await asyncio.to_thread(migrate.apply, as_role(empty_url, role)) == []
