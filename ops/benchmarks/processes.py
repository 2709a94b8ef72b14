"""The services that are measured, each as real processes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

import msgspec

from ops.benchmarks.clients import HOST
from ops.benchmarks.references import BODY_BYTES
from tests.cluster import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
START_LIMIT_S = 30.0
STOP_LIMIT_S = 15.0
_POLL_S = 0.05


class Service(msgspec.Struct, frozen=True):
    """A running service: where it listens, and its first process."""

    port: int
    pid: int


@contextmanager
def our_service(
    url: str, workers: int, log: Path, cache_bytes: int
) -> Iterator[Service]:
    """MCPS as in production: metrics on, one log line for each request."""
    port = free_port()
    command = ["-m", "service", "serve", "--port", str(port)]
    environ = {"DATABASE_URL": url, "ENVIRONMENT": "production", "LOG_LEVEL": "info"}
    environ["CACHE_MAX_BYTES"] = str(cache_bytes)
    with _running([*command, "--workers", str(workers)], environ, log) as process:
        _wait_until_ready(process, port, "/health/db", log)
        yield Service(port, process.pid)


@contextmanager
def reference(url: str, workers: int, body_bytes: int, log: Path) -> Iterator[Service]:
    """The reference applications under the same server with the same options."""
    port = free_port()
    command = ["-m", "uvicorn", "--factory", "ops.benchmarks.references:Reference"]
    options = ["--port", str(port), "--workers", str(workers), "--loop", "uvloop"]
    quiet = ["--http", "httptools", "--no-access-log", "--no-server-header"]
    environ = {"DATABASE_URL": url, BODY_BYTES: str(body_bytes)}
    with _running([*command, *options, *quiet], environ, log) as process:
        _wait_until_ready(process, port, "/page", log)
        yield Service(port, process.pid)


@contextmanager
def _running(
    arguments: list[str], environ: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env={**inherited(), "PYTHONPATH": str(ROOT), **environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def inherited() -> dict[str, str]:
    """The environment without settings of ours: only what is measured counts."""
    ours = ("DB_", "POSTGRES_", "API_", "LOG_", "DATABASE_", "PROMETHEUS_")
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)}


def _wait_until_ready(
    process: subprocess.Popen[bytes], port: int, path: str, log: Path
) -> None:
    limit_at = time.monotonic() + START_LIMIT_S
    while process.poll() is None and time.monotonic() < limit_at:
        if _answers(port, path):
            return
        time.sleep(_POLL_S)
    said = log.read_text(errors="replace")[-2000:]
    message = f"no answer at {path}; the log of the service ends: {said}"
    raise RuntimeError(message)


def _answers(port: int, path: str) -> bool:
    connection = HTTPConnection(HOST, port, timeout=1)
    with closing(connection), suppress(OSError):
        connection.request("GET", path)
        return connection.getresponse().status == HTTPStatus.OK
    return False
