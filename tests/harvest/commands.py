"""`mcps harvest` as a process of its own."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.conftest import ROOT

Process = asyncio.subprocess.Process


class Command:
    """Runs the command beside the servers of the test."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self._folder = folder
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("TEST_")},
            "PYTHONPATH": str(ROOT),
            "ENVIRONMENT": "development",
            "DATABASE_URL": database_url,
            "HARVEST_ALLOW_HOSTS": "127.0.0.1",
            "HARVEST_HOST_RATE": "1000",
            "HARVEST_LEASE": "2",
        }

    @asynccontextmanager
    async def started(self, *words: str, **more: str) -> AsyncIterator[Process]:
        """The command while it runs; killed when the test leaves it."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service", "harvest", *words),
            env={**self._environment, **more},
            cwd=self._folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def run(self, *words: str, **more: str) -> tuple[int | None, str, str]:
        """Exit code, standard output and standard error."""
        async with self.started(*words, **more) as process:
            out, err = await asyncio.wait_for(process.communicate(), 60)
            return process.returncode, out.decode(), err.decode()
