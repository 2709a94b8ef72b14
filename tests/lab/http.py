"""An HTTP client that says what it saw, and never waits for ever.

Its own, because the fixed rate has to hold while hundreds of requests hang.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from tests.conftest import ADMIN_KEY

LIMIT_S = 15.0
IDLE_S = 5.0
BROKEN = 0


class Answer(msgspec.Struct, frozen=True):
    """What came back; a status of 0 stands for no answer."""

    status: int
    headers: dict[str, str]
    body: bytes
    began_at: float
    ended_at: float

    @property
    def took_s(self) -> float:
        """From the first byte sent to the last one read."""
        return self.ended_at - self.began_at

    def json(self) -> Any:
        """The body as JSON."""
        return msgspec.json.decode(self.body)


class Client:
    """Keep-alive connections to one service."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[float, _Wire]] = []
        self._open: set[_Wire] = set()
        self.broken_idle = 0

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        limit_s: float = LIMIT_S,
    ) -> Answer:
        """One request and its answer."""
        sent = _request(method, path, body, headers or {})
        began_at = time.monotonic()
        wire: _Wire | None = None
        try:
            async with asyncio.timeout(limit_s):
                wire = self._kept() or await self._opened()
                status, found, content = await wire.ask(sent)
        except (OSError, EOFError, asyncio.IncompleteReadError):
            if wire is not None:
                self.broken_idle += wire.uses > 1
                wire.close()
            return Answer(BROKEN, {}, b"", began_at, time.monotonic())
        except BaseException:
            if wire is not None:
                wire.close()
            raise
        ended_at = time.monotonic()
        if found.get("connection") == "close":
            wire.close()
        else:
            self._idle.append((ended_at, wire))
        return Answer(status, found, content, began_at, ended_at)

    async def get(self, path: str, **options: Any) -> Answer:
        """Read."""
        return await self.ask("GET", path, **options)

    async def write(self, method: str, path: str, body: object, **more: str) -> Answer:
        """Change something with the key of an administrator."""
        headers = {"x-api-key": ADMIN_KEY, **more}
        return await self.ask(method, path, body=body, headers=headers)

    def close(self) -> None:
        """Close every connection."""
        self._idle.clear()
        while self._open:
            self._open.pop().close()

    async def _opened(self) -> "_Wire":
        wire = await _Wire.open(self._port)
        self._open = {other for other in self._open if not other.is_closed} | {wire}
        return wire

    def _kept(self) -> "_Wire | None":
        while self._idle:
            used_at, wire = self._idle.pop()
            if time.monotonic() - used_at < IDLE_S and not wire.is_over:
                return wire
            wire.close()
        return None


class _Wire:
    """One connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer
        self.uses = 0

    @classmethod
    async def open(cls, port: int) -> "_Wire":
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 24))

    @property
    def is_over(self) -> bool:
        return self._reader.at_eof()

    @property
    def is_closed(self) -> bool:
        return self._writer.transport.is_closing()

    async def ask(self, sent: bytes) -> tuple[int, dict[str, str], bytes]:
        self.uses += 1
        self._writer.write(sent)
        await self._writer.drain()
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        pairs = (line.split(":", 1) for line in lines)
        headers = {name.lower(): value.strip() for name, value in pairs}
        content = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return int(first.split()[1]), headers, content

    def close(self) -> None:
        self._writer.transport.abort()


def _request(method: str, path: str, body: object, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: lab"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    content = b"" if body is None else msgspec.json.encode(body)
    if body is not None:
        lines += ["content-type: application/json", f"content-length: {len(content)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content
