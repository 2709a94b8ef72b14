"""Fixtures: one cluster per run, one database per test, the real app and command."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from service.app import create_app
from service.settings import Settings, read_settings
from service.store.base import Store
from service.store.locate import make_store
from service.store.migrate import apply
from service.store.sqlite_file import sqlite_url
from service.web.edge import Edge
from tests import cluster
from tests.by_hand import connected

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = "mcps_template"
ADMIN_KEY = "test_admin_key"
# The contract: what these folders promise holds on both databases, unless a test is
# marked as PostgreSQL's alone.
CONTRACT = (
    *("tests/store/", "tests/web/", "tests/hostile/"),
    *("tests/registry/", "tests/clients/", "tests/publish/", "tests/exporting/"),
    *("tests/loading/test_load.py", "tests/loading/test_servers.py"),
    "tests/harvest/",
)
DIALECTS = ("postgresql", "sqlite")
RunMcps = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_configure(config: pytest.Config) -> None:
    """The process that controls the run starts the cluster; workers find it."""
    _hear(signal.SIGINT, signal.default_int_handler)
    _hear(signal.SIGHUP, _go_on)
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    if not os.environ.get("TEST_DATABASE_URL"):
        cluster.begin_shared()
    asyncio.run(_make_template())


def _hear(number: signal.Signals, handler: Callable[[int, Any], None]) -> None:
    """Let commands under test get a signal that the run itself may ignore.

    Background jobs of a shell ignore SIGINT, nohup SIGHUP, and what they start inherits
    that; what is handled, it does not.
    """
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


def _go_on(_number: int, _frame: object) -> None:
    """The run itself outlives the signal."""


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the cluster with the run."""
    if not hasattr(config, "workerinput"):
        cluster.end_shared()


def server_url(database: str = "postgres") -> str:
    """A database of the server that the tests use."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        return given.rsplit("/", 1)[0] + "/" + database
    return cluster.shared_url(database)


def service_url(database: str) -> str:
    """The same for the service, which may have to go through a pooler."""
    pooler = os.environ.get("TEST_POOLER_URL")
    return f"{pooler.rsplit('/', 1)[0]}/{database}" if pooler else server_url(database)


async def execute(database: str, *statements: str) -> None:
    """Run statements on one database of the test server."""
    connection = await asyncpg.connect(server_url(database))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _make_template() -> None:
    drop = f"drop database if exists {TEMPLATE} with (force)"
    await execute("postgres", drop, f"create database {TEMPLATE}")
    await asyncio.to_thread(apply, server_url(TEMPLATE))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give the tests of the contract both databases, all others PostgreSQL."""
    if "dialect" not in metafunc.fixturenames:
        return
    place = metafunc.definition.nodeid
    is_contract = place.startswith(CONTRACT)
    is_alone = metafunc.definition.get_closest_marker("postgresql") is not None
    dialects = DIALECTS if is_contract and not is_alone else DIALECTS[:1]
    # A single one does not show in the name of the test.
    ids = dialects if len(dialects) > 1 else [pytest.HIDDEN_PARAM]
    metafunc.parametrize("dialect", dialects, ids=ids)


@pytest.fixture
async def database_url(
    dialect: str, tmp_path: Path, sqlite_template: Path
) -> AsyncIterator[str]:
    """A fresh database with the current schema."""
    if dialect == "sqlite":
        file = tmp_path / "mcps.db"
        shutil.copyfile(sqlite_template, file)
        yield sqlite_url(file)
        return
    name = f"test_{uuid.uuid4().hex}"
    copy = f"create database {name} template {TEMPLATE} strategy file_copy"
    await execute("postgres", copy)
    yield service_url(name)
    await execute("postgres", f"drop database if exists {name} with (force)")


@pytest.fixture
def direct_url(dialect: str, database_url: str) -> str:
    """The same database for sessions of a test's own: never through a pooler."""
    if dialect == "sqlite":
        return database_url
    return server_url(database_url.rsplit("/", 1)[1])


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the current schema; every test gets a copy."""
    file = tmp_path_factory.mktemp("template") / "mcps.db"
    apply(sqlite_url(file))
    return file


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Settings of a development service on the test's database."""
    return read_settings(
        {
            "ENVIRONMENT": "development",
            "DATABASE_URL": database_url,
            "DB_POOL_SIZE": "5",
            "DB_MAX_OVERFLOW": "2",
            "ADMIN_API_KEY": ADMIN_KEY,
            "LOG_LEVEL": "warning",
            # Tests write past the application too, and read at once what they wrote.
            "CACHE_MAX_BYTES": "0",
        }
    )


@pytest.fixture
async def store(settings: Settings, database_url: str) -> AsyncIterator[Store]:
    """An open store on the test's database."""
    opened = make_store(settings, database_url)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def database(direct_url: str) -> AsyncIterator[Any]:
    """A connection of its own, for rows that no API writes, and to look at rows."""
    async with connected(direct_url) as connection:
        yield connection


@pytest.fixture
async def app(settings: Settings, store: Store) -> Edge:
    """The application on the test's store."""
    return create_app(settings, store)


@pytest.fixture
async def client(app: Edge) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the application, without a network between."""
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    base = "http://catalog.test"
    async with httpx.AsyncClient(transport=transport, base_url=base) as opened:
        yield opened


@pytest.fixture
def admin() -> dict[str, str]:
    """Headers of a request that may do everything."""
    return {"X-API-Key": ADMIN_KEY}


@pytest.fixture
def run_mcps(database_url: str, tmp_path: Path) -> RunMcps:
    """Runs the real `mcps` command as a process on the test's database."""

    def run(
        *arguments: str, env: dict[str, str] | None = None, **options: Any
    ) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "service", *arguments]
        return subprocess.run(
            command,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "DATABASE_URL": database_url,
                "ENVIRONMENT": "development",
                **(env or {}),
            },
            cwd=options.pop("cwd", tmp_path),
            capture_output=True,
            text=True,
            timeout=options.pop("timeout", 60),
            check=False,
            **options,
        )

    return run


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; the test skips where it is not beside the checkout."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data is not beside this checkout")
    return folder
