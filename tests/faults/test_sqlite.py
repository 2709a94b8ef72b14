"""A25: the catalog in one file."""

import asyncio
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.store.sqlite_file import sqlite_url
from tests.lab import rows
from tests.lab.figures import Figures, fault
from tests.lab.http import Client
from tests.lab.process import Service, serving


@asynccontextmanager
async def served(file: Path, folder: Path) -> AsyncIterator[Service]:
    async with serving(folder, DATABASE_URL=sqlite_url(file)) as service:
        await service.until_ready()
        yield service


@pytest.mark.faults
@fault("A25")
async def test_a_writer_that_holds_the_file_stops_writes_and_no_read(
    tmp_path: Path, sqlite_template: Path, figures: Figures
) -> None:
    file = tmp_path / "mcps.db"
    shutil.copyfile(sqlite_template, file)
    async with served(file, tmp_path) as service:
        client = service.client
        added = await client.write("POST", "/servers", rows.row("added", 1))
        assert added.status == 201
        holder = sqlite3.connect(file, isolation_level=None)
        holder.execute("begin immediate")
        other = Client(service.port)
        body = rows.row("added", 2)
        writing = asyncio.create_task(other.write("POST", "/servers", body))
        until = time.monotonic() + 3
        while time.monotonic() < until:
            answer = await client.get("/servers?limit=1")
            assert answer.status == 200
            figures.at_most("A25", "reads under a lock", answer.took_s, 0.1)
            await asyncio.sleep(0.05)
        refused = await writing
        other.close()
        holder.rollback()
        holder.close()
        assert refused.status == 503
        assert refused.json()["code"] == "lock_timeout"
        assert refused.took_s >= 0.9
        figures.at_most("A25", "503 lock_timeout", refused.took_s, 1.3)
        again = await client.write("POST", "/servers", rows.row("added", 3))
        assert again.status == 201


@pytest.mark.faults
@fault("A25")
async def test_a_file_that_is_gone_is_told_and_not_made_anew(
    tmp_path: Path, sqlite_template: Path, figures: Figures
) -> None:
    file = tmp_path / "mcps.db"
    shutil.copyfile(sqlite_template, file)
    async with served(file, tmp_path) as service:
        file.rename(tmp_path / "moved.db")
        refused = await service.client.write("POST", "/servers", rows.row("added", 1))
        assert refused.status == 503
        assert await service.status("/health") == 200
        assert not file.exists()
        figures.tell("A25", "a removed file is 503 and is not made anew")


@pytest.mark.faults
@fault("A25")
async def test_kills_in_the_middle_of_writes_damage_nothing(
    tmp_path: Path, sqlite_template: Path, figures: Figures
) -> None:
    file = tmp_path / "mcps.db"
    shutil.copyfile(sqlite_template, file)
    acked: list[int] = []
    number = 0
    kills = round(figures.pick(3, 20))
    for kill in range(kills):
        (folder := tmp_path / f"run{kill}").mkdir()
        async with served(file, folder) as service:
            for _ in range(10 + 3 * kill):
                number += 1
                body = rows.row("added", number)
                asking = service.client.write("POST", "/servers", body)
                if (await asking).status == 201:
                    acked.append(number)
            number += 1
            last = asyncio.create_task(
                service.client.write("POST", "/servers", rows.row("added", number))
            )
            await asyncio.sleep(0.002 * kill)
            service.process.kill()
            await last
    with sqlite3.connect(file) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        stored = {
            row[0] for row in connection.execute("select primary_url from server")
        }
    connection.close()
    lost = [n for n in acked if rows.url("added", n) not in stored]
    figures.count("A25", f"lost of {len(acked)} after {kills} kills", len(lost), 0)
