"""An earlier file into an SQLite catalog, by way of a PostgreSQL of its own."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ops.benchmarks.earlier import make_file
from service.store.sqlite_file import sqlite_url
from tests.conftest import ROOT, RunMcps
from tests.importer.conftest import Earlier
from tests.waiting import until

# The database is a file here, whichever the other tests run on.
pytestmark = pytest.mark.postgresql

LIMIT_S = 60.0


def counts(catalog: Path) -> dict[str, int]:
    with closing(sqlite3.connect(catalog)) as connection:
        return {
            table: connection.execute(f"select count(*) from {table}").fetchone()[0]
            for table in (
                "server",
                "server_version",
                "tool",
                "tool_embedding",
                "release",
            )
        }


def imported(run_mcps: RunMcps, file: Path, catalog: Path) -> str:
    """What the command said on its way into a catalog that is there afterwards."""
    env = {"DATABASE_URL": f"sqlite:///{catalog}"}
    done = run_mcps("import-sqlite", str(file), env=env)
    assert done.returncode == 0, done.stderr
    assert not catalog.with_name(f"{catalog.name}-import").exists()
    return done.stderr


def started(file: Path, catalog: Path) -> "subprocess.Popen[bytes]":
    """The command in a process that can be killed."""
    return subprocess.Popen(
        [sys.executable, "-m", "service", "import-sqlite", str(file)],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": f"sqlite:///{catalog}",
            "ENVIRONMENT": "development",
        },
        cwd=file.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_an_earlier_file_becomes_an_sqlite_catalog_in_one_command(
    run_mcps: RunMcps, earlier: Earlier, tmp_path: Path
) -> None:
    earlier.fill(3)
    catalog = tmp_path / "a laptop.db"
    said = imported(run_mcps, earlier.path, catalog)
    assert f"DATABASE_URL={sqlite_url(catalog)}" in said
    assert counts(catalog) == {
        "server": 3,
        "server_version": 3,
        "tool": 6,
        "tool_embedding": 1,
        "release": 3,
    }
    env = {"DATABASE_URL": f"sqlite:///{catalog}"}
    assert run_mcps("check", env=env).returncode == 0


def test_a_catalog_that_is_there_stays_as_it_is(
    run_mcps: RunMcps, earlier: Earlier, tmp_path: Path
) -> None:
    earlier.fill(1)
    catalog = tmp_path / "catalog.db"
    env = {"DATABASE_URL": f"sqlite:///{catalog}"}
    assert run_mcps("migrate", env=env).returncode == 0
    before = catalog.read_bytes()
    done = run_mcps("import-sqlite", str(earlier.path), env=env)
    assert done.returncode == 2
    assert f"{catalog} is there already" in done.stderr
    assert catalog.read_bytes() == before


async def test_a_killed_one_goes_on_when_it_is_run_again(
    run_mcps: RunMcps, tmp_path: Path
) -> None:
    file, catalog = tmp_path / "earlier.db", tmp_path / "catalog.db"
    make_file(file, 300)
    running = started(file, catalog)
    cluster = tmp_path / "catalog.db-import" / "postgres" / "cluster"
    try:
        await until((cluster / "postmaster.pid").exists, limit_s=LIMIT_S)
    finally:
        running.kill()
        running.wait()
    assert not catalog.exists()
    imported(run_mcps, file, catalog)
    assert counts(catalog)["server"] == 300
