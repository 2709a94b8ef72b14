"""The load: keep-alive connections that each send the next request on an answer.

Its own, because it has to be on every machine, and because the CPU time of a request
does not depend on how fast it is asked for. It checks status and length of each answer.
"""

import asyncio
import http
import itertools
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

Reading = TypeVar("Reading")

HOST = "127.0.0.1"
CONNECTIONS = 32
_END_LIMIT_S = 5.0
_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length: "
_STATUS = b"HTTP/1.1 %d "


class Outcome(msgspec.Struct, frozen=True):
    """What the clients saw between two moments."""

    requests: int
    errors: int
    seconds: float
    p50_ms: float
    p99_ms: float
    body_bytes: int


class Load:
    """What all connections share: the requests to send, and what came back."""

    def __init__(self, requests: Sequence[bytes], status: int) -> None:
        self._requests = itertools.cycle(requests)
        self.is_empty = status == http.HTTPStatus.NOT_MODIFIED
        self.expected = _STATUS % status
        self.is_over = False
        self.began_at = 0.0
        self.times: list[float] = []
        self.errors = 0
        self.body_bytes = 0

    def begin(self) -> None:
        """Forget what was seen so far: that was the warm-up."""
        self.times, self.errors, self.body_bytes = [], 0, 0
        self.began_at = time.perf_counter()

    def next_request(self) -> bytes:
        """The next request in turn."""
        return next(self._requests)

    def outcome(self) -> Outcome:
        """What was seen since the beginning."""
        seconds = time.perf_counter() - self.began_at
        times = sorted(self.times)
        return Outcome(
            requests=len(times),
            errors=self.errors,
            seconds=seconds,
            p50_ms=_at(times, 0.50) * 1000,
            p99_ms=_at(times, 0.99) * 1000,
            body_bytes=self.body_bytes // max(1, len(times)),
        )


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.WriteTransport | None = None
        self._buffer = b""
        self._wanted_bytes = 0
        self._body_bytes = 0
        self._sent_at = 0.0
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = transport  # type: ignore[assignment]
        self._send()

    def data_received(self, data: bytes) -> None:
        """Collect an answer; send the next request when it is whole."""
        self._buffer = self._buffer + data if self._buffer else data
        if not self._wanted_bytes and not self._read_head():
            return
        if len(self._buffer) >= self._wanted_bytes:
            self._finish()

    def connection_lost(self, error: Exception | None) -> None:
        """A connection that the service closes is an error, and gone for this run."""
        del error
        if not self._load.is_over:
            self._load.errors += 1
        self.closed.set_result(None)

    def close(self) -> None:
        """End the connection, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    def _send(self) -> None:
        if self._transport is None or self._load.is_over:
            self.close()
            return
        self._buffer, self._wanted_bytes = b"", 0
        self._sent_at = time.perf_counter()
        self._transport.write(self._load.next_request())

    def _read_head(self) -> bool:
        """Whether the head is there; then it is known where the answer ends."""
        end = self._buffer.find(_END_OF_HEAD)
        if end < 0:
            return False
        head = self._buffer[:end].lower()
        at = head.find(_LENGTH)
        if self._load.is_empty:
            at = self._body_bytes = 0
        elif at >= 0:
            digits = head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]
            self._body_bytes = int(digits)
        else:
            self._load.errors += 1
            self.close()
        self._wanted_bytes = end + len(_END_OF_HEAD) + self._body_bytes
        return at >= 0

    def _finish(self) -> None:
        load = self._load
        load.times.append(time.perf_counter() - self._sent_at)
        load.body_bytes += self._body_bytes
        if (
            not self._buffer.startswith(load.expected)
            or len(self._buffer) > self._wanted_bytes
        ):
            load.errors += 1
        self._send()


async def drive(
    port: int,
    requests: Sequence[bytes],
    status: int,
    read: Callable[[], Reading],
    *,
    warm_s: float,
    measure_s: float,
) -> tuple[Outcome, Reading, Reading]:
    """Keep the service busy; `read` is called when the measuring begins and ends."""
    loop = asyncio.get_running_loop()
    load = Load(requests, status)
    clients: list[Client] = []
    try:
        for _ in range(CONNECTIONS):
            pair = await loop.create_connection(lambda: Client(load), HOST, port)
            clients.append(pair[1])
        await asyncio.sleep(warm_s)
        before = read()
        load.begin()
        await asyncio.sleep(measure_s)
        outcome = load.outcome()
        return outcome, before, read()
    finally:
        load.is_over = True
        endings = [client.closed for client in clients]
        await asyncio.wait(endings, timeout=_END_LIMIT_S)
        for client in clients:
            client.close()


def request(path: str, port: int, tag: str = "") -> bytes:
    """A request as clients of the catalog send it, on condition of a validator."""
    head = [
        f"GET {path} HTTP/1.1",
        f"host: {HOST}:{port}",
        "accept: application/json",
        "user-agent: bench",
    ]
    if tag:
        head.append(f"if-none-match: {tag}")
    return "\r\n".join(head).encode() + _END_OF_HEAD


def _at(times: Sequence[float], share: float) -> float:
    """The time below which that share of the sorted times lies."""
    return times[int(share * (len(times) - 1))] if times else 0.0
