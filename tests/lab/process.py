"""The service by its real command, and what the system says about its process."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.cluster import free_port
from tests.conftest import ADMIN_KEY, ROOT
from tests.lab.http import Client
from tests.waiting import until

START_LIMIT_S = 60.0
END_LIMIT_S = 30.0
SETTINGS = {
    "ENVIRONMENT": "development",
    "ADMIN_API_KEY": ADMIN_KEY,
    "DB_POOL_SIZE": "5",
    "DB_MAX_OVERFLOW": "0",
}
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples_of(text: str) -> Samples:
    """What a scrape gave."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Service:
    """One running `mcps serve`."""

    def __init__(self, log: Path, **variables: str) -> None:
        self.port = int(variables.get("API_PORT", 0)) or free_port()
        self.log = log
        self.began_at = time.monotonic()
        self.client = Client(self.port)
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "service", "serve"],
                cwd=log.parent,
                env=_environment(**{**variables, "API_PORT": str(self.port)}),
                stdout=out,
                stderr=out,
            )

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self.process.poll() is None

    async def status(self, path: str) -> int:
        """The status of a path on a connection of its own; 0 without an answer."""
        asking = Client(self.port)
        try:
            return (await asking.get(path, limit_s=5)).status
        finally:
            asking.close()

    async def until_alive(self) -> None:
        """Wait until it answers at all."""

        async def is_alive() -> bool:
            assert self.is_running, self.lines()[-5:]
            return await self.status("/health") == 200

        await until(is_alive, limit_s=START_LIMIT_S)

    async def until_ready(self, limit_s: float = START_LIMIT_S) -> float:
        """Wait until it can serve; gives the time that took."""
        began_at = time.monotonic()

        async def is_ready() -> bool:
            return await self.status("/health/db") == 200

        await until(is_ready, limit_s=limit_s)
        return time.monotonic() - began_at

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; gives the exit code."""
        self.process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for the end; gives the exit code."""
        return await asyncio.to_thread(self.process.wait, END_LIMIT_S)

    async def metrics(self) -> Samples:
        """Every sample of /metrics."""
        return samples_of((await self.client.get("/metrics")).body.decode())

    async def metric(self, name: str, **labels: str) -> float:
        """One sample."""
        return (await self.metrics()).get((name, frozenset(labels.items())), 0.0)

    def lines(self) -> list[str]:
        """The log without the lines of requests."""
        text = self.log.read_text(errors="replace")
        return [line for line in text.splitlines() if '"event":"request"' not in line]

    def rss_bytes(self) -> int:
        """The memory that the process holds; 0 where the system does not say."""
        found = _proc(self.process.pid, "status").partition("VmRSS:")[2].split()
        return int(found[0]) * 1024 if found else 0

    def open_files(self) -> int:
        """How many descriptors are open; 0 where the system does not say."""
        folder = Path(f"/proc/{self.process.pid}/fd")
        return len(list(folder.iterdir())) if folder.exists() else 0


@asynccontextmanager
async def serving(folder: Path, **variables: str) -> AsyncIterator[Service]:
    """A service that is alive; it is killed when the block ends."""
    service = Service(folder / "service.log", **variables)
    try:
        await service.until_alive()
        yield service
    finally:
        service.client.close()
        if service.is_running:
            service.process.kill()
        service.process.wait()


def _environment(**variables: str) -> dict[str, str]:
    ours = ("DB_", "POSTGRES_", "API_", "LOG_", "DATABASE_", "PROMETHEUS_", "TEST_")
    plain = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return {**plain, "PYTHONPATH": str(ROOT), **SETTINGS, **variables}


def _proc(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""
