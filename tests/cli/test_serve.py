"""`mcps serve` and `mcps dev` as an operator starts and ends them."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cluster import children_of, free_port
from tests.conftest import ROOT, RunMcps
from tests.waiting import until

Process = subprocess.Popen[bytes]


class Service:
    """One running `mcps` and how to ask it."""

    def __init__(self, process: Process, port: int, log: Path) -> None:
        self.process = process
        self.base = f"http://127.0.0.1:{port}"
        self.log = log

    async def answers(self) -> bool:
        """Whether it is alive."""
        assert self.process.poll() is None, self.log.read_text()
        return await self.status("/health") == 200

    async def status(self, path: str) -> int:
        """The status of a path on a new connection; 0 without an answer."""
        try:
            async with httpx.AsyncClient(base_url=self.base) as client:
                return (await client.get(path)).status_code
        except httpx.TransportError:
            return 0

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; gives the exit code."""
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, 20)


def started(
    folder: Path, command: str, environment: dict[str, str], log: Path
) -> Process:
    with log.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "service", command],
            cwd=folder,
            env=environment,
            stdout=out,
            stderr=out,
        )


@asynccontextmanager
async def running(
    folder: Path, command: str, **variables: str
) -> AsyncIterator[Service]:
    port = free_port()
    log = folder / "log"
    plain = {k: v for k, v in os.environ.items() if not k.startswith("TEST_")}
    environment = {
        **plain,
        "PYTHONPATH": str(ROOT),
        "ENVIRONMENT": "development",
        "API_PORT": str(port),
        **variables,
    }
    process = started(folder, command, environment, log)
    service = Service(process, port, log)
    try:
        await until(service.answers, limit_s=60)
        yield service
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


async def test_two_workers_count_together(database_url: str, tmp_path: Path) -> None:
    async with running(
        tmp_path, "serve", DATABASE_URL=database_url, API_WORKERS="2"
    ) as service:
        await until(lambda: len(children_of(service.process.pid)) >= 2)
        for _ in range(40):
            assert await service.status("/openapi.json") == 200
        async with httpx.AsyncClient(base_url=service.base) as client:
            texts = [(await client.get("/metrics")).text for _ in range(4)]
        for text in texts:
            samples = {
                sample.name: sample.value
                for family in text_string_to_metric_families(text)
                for sample in family.samples
                if sample.labels.get("route", "/openapi.json") == "/openapi.json"
            }
            assert samples["mcps_requests_total"] == 40
            assert samples["mcps_db_up"] == 1
        assert await service.end() in {0, 143}


async def test_a_signal_makes_it_unready_first_and_then_ends_it(
    database_url: str, tmp_path: Path
) -> None:
    async with running(
        tmp_path, "serve", DATABASE_URL=database_url, SHUTDOWN_DELAY="3"
    ) as service:
        assert await service.status("/health/db") == 200
        service.process.send_signal(signal.SIGTERM)

        async def is_unready() -> bool:
            return await service.status("/health/db") == 503

        await until(is_unready, limit_s=2)
        assert await service.status("/openapi.json") == 200
        code = await asyncio.to_thread(service.process.wait, 15)
    assert code in {0, 143, -signal.SIGTERM}
    assert "Traceback" not in service.log.read_text()


async def test_a_second_signal_does_not_wait(database_url: str, tmp_path: Path) -> None:
    async with running(
        tmp_path, "serve", DATABASE_URL=database_url, SHUTDOWN_DELAY="30"
    ) as service:
        service.process.send_signal(signal.SIGTERM)

        async def is_unready() -> bool:
            return await service.status("/health/db") == 503

        await until(is_unready, limit_s=2)
        await asyncio.wait_for(service.end(), 5)


async def test_workers_do_not_outlive_a_killed_supervisor(
    database_url: str, tmp_path: Path
) -> None:
    async with running(
        tmp_path, "serve", DATABASE_URL=database_url, API_WORKERS="2"
    ) as service:
        await until(lambda: len(children_of(service.process.pid)) >= 2)
        await service.end(signal.SIGKILL)

        async def is_gone() -> bool:
            return await service.status("/health") == 0

        await until(is_gone)


async def test_the_service_starts_without_its_database(tmp_path: Path) -> None:
    nobody = "postgresql://mcps@127.0.0.1:9/mcps"
    async with running(tmp_path, "serve", DATABASE_URL=nobody) as service:
        assert await service.status("/health") == 200
        assert await service.status("/health/db") == 503


def test_a_missing_database_ends_the_start_with_one_line(
    run_mcps: RunMcps, database_url: str
) -> None:
    wrong = database_url.rsplit("/", 1)[0] + "/not_there"
    ended = run_mcps("serve", env={"DATABASE_URL": wrong})
    assert ended.returncode == 2
    assert "not_there" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_wrong_setting_ends_the_start_with_one_line(run_mcps: RunMcps) -> None:
    ended = run_mcps("serve", env={"DB_POOL_SIZE": "many"})
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith("mcps: DB_POOL_SIZE")


async def test_a_port_in_use_is_named(
    database_url: str, tmp_path: Path, run_mcps: RunMcps
) -> None:
    async with running(tmp_path, "serve", DATABASE_URL=database_url) as service:
        port = service.base.rsplit(":", 1)[1]
        ended = await asyncio.to_thread(run_mcps, "serve", env={"API_PORT": port})
    assert ended.returncode == 2
    assert port in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_dev_leaves_no_postgres_behind_and_starts_again(
    tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "größe 1"
    folder.mkdir()
    for _ in range(2):
        async with running(folder, "dev", DATA_DIR="data") as service:
            assert await service.status("/health/db") == 200
            servers = servers_of(folder)
            assert servers
            await service.end(number)
        await until(lambda: not servers_of(folder))


def servers_of(folder: Path) -> list[str]:
    """The command lines of PostgreSQL servers whose data lies below a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_text(errors="replace")
            place = str((entry / "cwd").readlink())
        except OSError:
            continue
        if "postgres" in line and place.startswith(str(folder.resolve())):
            found.append(line)
    return found
