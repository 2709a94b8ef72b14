"""One MCPS mirrors another through publishes, edits, deletions and kill -9."""

import asyncio
import json
import os
import random
import shutil
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest

from service.app import create_app
from service.entries import read_entry
from service.loading import load_entries
from service.models_registry import OFFICIAL
from service.reading import Piece
from service.settings import Settings
from service.store.base import Store
from service.store.locate import make_store
from service.store.sqlite_file import sqlite_url
from tests.cli.test_serve import Service, running
from tests.conftest import ADMIN_KEY, ROOT, TEMPLATE, execute, server_url
from tests.harvest.conftest import Item, item

NAMES = 40
SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
Listed = dict[tuple[str, str], Item]


@pytest.fixture
async def origin_url(
    dialect: str, tmp_path: Path, sqlite_template: Path
) -> AsyncIterator[str]:
    """A second database, for the MCPS that is mirrored."""
    if dialect == "sqlite":
        file = tmp_path / "origin.db"
        shutil.copyfile(sqlite_template, file)
        yield sqlite_url(file)
        return
    name = f"test_{uuid.uuid4().hex}"
    copy = f"create database {name} template {TEMPLATE} strategy file_copy"
    await execute("postgres", copy)
    yield server_url(name)
    await execute("postgres", f"drop database if exists {name} with (force)")


@pytest.fixture
async def origin_store(origin_url: str, settings: Settings) -> AsyncIterator[Store]:
    store = make_store(
        msgspec.structs.replace(settings, database_url=origin_url), origin_url
    )
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def origin(tmp_path: Path, origin_url: str) -> AsyncIterator[Service]:
    """The MCPS that is mirrored, as a process."""
    folder = tmp_path / "origin"
    folder.mkdir()
    variables = {"DATABASE_URL": origin_url, "ADMIN_API_KEY": ADMIN_KEY}
    async with running(folder, "serve", **variables) as service:
        yield service


class Schedule:
    """Random changes of the origin, the same for the same seed."""

    def __init__(self, seed: int, store: Store, origin: Service) -> None:
        self.random = random.Random(seed)
        self._store = store
        self._origin = origin
        self._day = 0

    async def seed(self) -> None:
        """What is there before the first reading."""
        await self._load(
            item(f"io.test/s{n}", f"1.{v}.0") for n in range(NAMES) for v in range(8)
        )

    async def change(self) -> None:
        """One change of any kind, by the API or by a load."""
        kinds = [self._publish, self._edit, self._mark, self._delete]
        kind = self.random.choice([*kinds, self._load_new, self._load_edited])
        await kind()

    async def _publish(self) -> None:
        version = f"3.{self.random.randrange(50)}.0"
        document = self._document(self.random.randrange(NAMES + 20), version)
        # 400: this version was published before.
        await self._ask("POST", "/v0/publish", {200, 400}, document)

    async def _edit(self) -> None:
        document = self._document(self.random.randrange(NAMES), "1.0.0")
        # 404: it is deleted.
        await self._ask("PUT", self._path(document), {200, 404}, document)

    async def _mark(self) -> None:
        version = f"1.{self.random.randrange(8)}.0"
        path = self._path(self._document(self.random.randrange(NAMES), version))
        body = {"status": self.random.choice(["deprecated", "deleted", "active"])}
        # 400: it has this status; 404: its server is gone.
        await self._ask("PATCH", f"{path}/status", {200, 400, 404}, body)

    async def _delete(self) -> None:
        async with httpx.AsyncClient(base_url=self._origin.base) as client:
            servers = (await client.get("/servers", params={"limit": 1000})).json()
        chosen = self.random.choice(servers)
        await self._ask("DELETE", f"/servers/{chosen['id']}", {204})

    async def _load_new(self) -> None:
        number = self.random.randrange(NAMES + 20)
        version = f"2.{self.random.randrange(50)}.{self.random.randrange(3)}"
        await self._load([self._item(number, version)])

    async def _load_edited(self) -> None:
        number = self.random.randrange(NAMES)
        more = {"status": "deprecated", "statusMessage": f"because {self._day}"}
        await self._load([self._item(number, "1.1.0", **more)])

    def _document(self, number: int, version: str) -> Item:
        self._day += 1
        return {
            "$schema": SCHEMA,
            "name": f"io.test/s{number}",
            "description": f"Change {self._day}",
            "version": version,
        }

    @staticmethod
    def _path(document: Item) -> str:
        name = quote(document["name"], safe="")
        return f"/v0.1/servers/{name}/versions/{document['version']}"

    async def _ask(
        self, method: str, path: str, expected: set[int], body: Item | None = None
    ) -> None:
        headers = {"X-API-Key": ADMIN_KEY}
        async with httpx.AsyncClient(base_url=self._origin.base) as client:
            answer = await client.request(method, path, json=body, headers=headers)
        assert answer.status_code in expected, (path, answer.text)

    def _item(self, number: int, version: str, **more: Any) -> Item:
        self._day += 1
        at = date(2030, 1, 1) + timedelta(days=self._day)
        return item(f"io.test/s{number}", version, at.isoformat(), **more)

    async def _load(self, items: Any) -> None:
        texts = (json.dumps(it).encode() for it in items)
        pieces = (Piece(at, text) for at, text in enumerate(texts, 1))
        await load_entries(self._store, [read_entry(piece) for piece in pieces])


class Mirror:
    """The harvester as a process on the test's own database."""

    def __init__(self, database_url: str, origin: Service, folder: Path) -> None:
        self.killed = 0
        self._folder = folder
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("TEST_")},
            "PYTHONPATH": str(ROOT),
            "ENVIRONMENT": "development",
            "DATABASE_URL": database_url,
            "REGISTRY_URL": origin.base,
            "HARVEST_LEASE": "1",
            "HARVEST_HOST_RATE": "1000",
        }

    async def harvest(self, *, kill_after_s: float | None = None) -> str:
        """Harvest to the end, or until kill -9; gives what it said."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service", "harvest", "registry", "--json"),
            env=self._environment,
            cwd=self._folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        waiting = asyncio.create_task(process.communicate())
        done, _ = await asyncio.wait([waiting], timeout=kill_after_s)
        if not done:
            self.killed += 1
            process.send_signal(signal.SIGKILL)
        out, err = await waiting
        if done:
            assert process.returncode == 0, err.decode()
        return out.decode()


@pytest.fixture
def schedule(origin_store: Store, origin: Service) -> Schedule:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    return Schedule(seed, origin_store, origin)


@pytest.fixture
def mirror(database_url: str, origin: Service, tmp_path: Path) -> Mirror:
    return Mirror(database_url, origin, tmp_path)


async def listed(client: httpx.AsyncClient) -> Listed:
    """Every version, without the clock of the catalog itself."""
    found: Listed = {}
    query: dict[str, Any] = {"limit": 100, "include_deleted": "true"}
    while True:
        body = (await client.get("/v0.1/servers", params=query)).json()
        for entry in body["servers"]:
            official = entry["_meta"][OFFICIAL]
            official.pop("updatedAt")
            if official["status"] == "deleted":
                # A mirror keeps more tombstones, and one of those may be the latest.
                official.pop("isLatest")
            document = entry["server"]
            found[document["name"], document["version"]] = entry
        cursor = body["metadata"].get("nextCursor")
        if cursor is None:
            return found
        query = {"limit": 100, "cursor": cursor}


async def differences(origin: Service, mirror: Any) -> list[Any]:
    async with httpx.AsyncClient(base_url=origin.base) as client:
        theirs = await listed(client)
    transport = httpx.ASGITransport(app=mirror)
    async with httpx.AsyncClient(transport=transport, base_url="http://m") as client:
        ours = await listed(client)
    assert theirs, "there is something to mirror"
    for key in ours.keys() - theirs.keys():
        if ours[key]["_meta"][OFFICIAL]["status"] == "deleted":
            ours.pop(key)
    return [
        (key, theirs.get(key), ours.get(key))
        for key in sorted(theirs.keys() | ours.keys())
        if theirs.get(key) != ours.get(key)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "rounds", [3, pytest.param(60, marks=[pytest.mark.soak])], ids=["small", "soak"]
)
async def test_a_mirror_ends_equal_whatever_happened_on_the_way(
    rounds: int,
    schedule: Schedule,
    mirror: Mirror,
    origin: Service,
    settings: Settings,
    store: Store,
) -> None:
    await schedule.seed()
    for _ in range(rounds):
        await mirror.harvest(kill_after_s=schedule.random.uniform(0.5, 3.0))
        for _ in range(12):
            await schedule.change()
    await mirror.harvest()
    print(f"{mirror.killed} of {rounds} readings were killed")
    assert await differences(origin, create_app(settings, store)) == []
    again = json.loads(await mirror.harvest())["sources"][0]["counts"]
    assert (again["new"], again["changed"], again["gone"]) == (0, 0, 0)
