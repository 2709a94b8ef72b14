"""Databases without a schema, runs of migrations as processes, and what they leave."""

import shutil
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from service.resources import resource
from tests.conftest import ROOT, execute, server_url

StartRun = Callable[..., "subprocess.Popen[str]"]
_RUN = """
import sys
from pathlib import Path
from service.store import migrate

def say(line):
    print(line, flush=True)

say("ready")
migrate.apply(sys.argv[1], folder=Path(sys.argv[2]), say=say)
"""


@pytest.fixture
async def empty_url() -> AsyncIterator[str]:
    """A database in which nothing is yet."""
    name = f"empty_{uuid.uuid4().hex}"
    await execute("postgres", f"create database {name}")
    yield server_url(name)
    await execute("postgres", f"drop database if exists {name} with (force)")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the migrations in a folder with an awkward name."""
    target = tmp_path / "mig rations [ü]"
    shutil.copytree(resource("migrations"), target)
    return target


@pytest.fixture
def slow_folder(folder: Path) -> Path:
    """The same with a migration that takes a while."""
    add_slow(folder, 0.15)
    return folder


def add_slow(folder: Path, seconds: float) -> str:
    """One more migration, which waits between two tables; gives its name."""
    (folder / "9999.slow.sql").write_text(
        "create table slow_one (id int);\n"
        f"do $$ begin perform pg_sleep({seconds}); end $$;\n"
        "create table slow_two (id int);\n"
        "call migration_put('9999.slow');\n"
    )
    (folder / "9999.slow.rollback.sql").write_text(
        "call migration_delete('9999.slow');\n"
        "drop table slow_two;\n"
        "drop table slow_one;\n"
    )
    return "9999.slow"


@pytest.fixture
def start_run() -> StartRun:
    """Starts a process that migrates; its first line is `ready`."""

    def start(url: str, folder: Path) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", _RUN, url, str(folder)]
        return _started(command)

    return start


@pytest.fixture
def start_yoyo() -> StartRun:
    """Starts `yoyo apply` as the README prints it."""

    def start(url: str, folder: Path) -> "subprocess.Popen[str]":
        address = url.replace("postgresql://", "postgresql+psycopg://", 1)
        # yoyo takes its folder for a pattern.
        place = str(folder).replace("[", "[[]", 1)
        command = ["apply", "--batch", "--database", address, place]
        return _started([sys.executable, "-m", "yoyo", *command])

    return start


def _started(command: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


async def values(url: str, sql: str) -> list[Any]:
    """The first column of an answer."""
    connection = await asyncpg.connect(url)
    try:
        return [row[0] for row in await connection.fetch(sql)]
    finally:
        await connection.close()


async def schema_of(url: str) -> list[str]:
    """Everything that the migrations made, as sorted text."""
    return await values(url, _SCHEMA)


_SCHEMA = """
with ours as (
  select c.oid, c.relname, c.relkind
    from pg_class c
   where c.relnamespace = 'public'::regnamespace
     and not exists (select from pg_depend where objid = c.oid and deptype = 'e')
)
select 'column ' || c.relname || '.' || a.attname || ' '
         || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull
         || ' ' || a.attidentity::text || a.attgenerated::text
         || ' ' || a.attcollation::text
         || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '')
  from ours c
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
 where c.relkind in ('r', 'v', 'S')
union all
select 'index ' || pg_get_indexdef(oid) from ours where relkind = 'i'
union all
select 'view ' || relname || pg_get_viewdef(oid) from ours where relkind = 'v'
union all
select 'constraint ' || c.relname || ' ' || pg_get_constraintdef(k.oid)
  from ours c join pg_constraint k on k.conrelid = c.oid
union all
select 'trigger ' || pg_get_triggerdef(t.oid)
  from ours c join pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal
union all
select 'function ' || pg_get_functiondef(p.oid)
  from pg_proc p
 where p.pronamespace = 'public'::regnamespace
   and p.prokind in ('f', 'p')
   and not exists (select from pg_depend where objid = p.oid and deptype = 'e')
union all
select 'extension ' || extname from pg_extension
 order by 1
"""
