"""A TCP proxy between the service and its database that breaks in chosen ways."""

import asyncio
import re
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Self

CHUNK = 65_536
# Pieces under way at once, where there is a latency.
DEPTH = 64
_RESET = struct.pack("ii", 1, 0)
_HEADER = struct.Struct("!cI")
_VERSION = re.compile(rb"(server_version\0)\d\d")


class Proxy:
    """Passes bytes on, until its attributes say otherwise; each may change at any time.

    `is_hole` stops reading in both directions; `drops_down` and `drops_up` throw away
    answers or requests; `keeps_ends` tells neither side that the other one hung up.
    """

    def __init__(self, target: Callable[[], int]) -> None:
        """`target` gives the port of the server at the time of a connection."""
        self._target = target
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread
        self._server: asyncio.Server | None = None
        self._pairs: set[_Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self.port = 0
        self.connects = 0
        self.drops_down = False
        self.drops_up = False
        self.keeps_ends = False
        self.latency_s = 0.0
        self.slice_bytes = 0
        self.bytes_per_s = 0
        self.cut_after_bytes = 0
        """Answers of each new connection end after so many bytes."""
        self.refusal = ""
        """A SQLSTATE that every request gets instead of an answer."""
        self.server_major = 0
        """The version that the server says it has, of two digits; 0 its own."""

    async def __aenter__(self) -> Self:
        # Its own thread: a test may block its loop with a statement that waits for
        # what only passes here.
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        await self.listen()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._there(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()

    async def listen(self) -> None:
        """Take connections, always on the same port."""
        await self._there(self._listen())

    async def refuse(self) -> None:
        """Close everything and refuse connections until `listen`."""
        await self._there(self._refuse())

    def reset(self) -> None:
        """Cut every connection with RST."""
        self._loop.call_soon_threadsafe(self._reset)

    async def _there(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something on the loop of the proxy."""
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _end(self) -> None:
        await self._refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, backlog=1000
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            await close(server)
        self._reset()
        await asyncio.sleep(0)

    def _reset(self) -> None:
        for pair in list(self._pairs):
            pair.cut()

    @property
    def is_hole(self) -> bool:
        """Whether bytes vanish in both directions."""
        return not self._flows.is_set()

    @is_hole.setter
    def is_hole(self, value: bool) -> None:
        change = self._flows.clear if value else self._flows.set
        self._loop.call_soon_threadsafe(change)

    def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connects += 1
        try:
            far = await asyncio.open_connection("127.0.0.1", self._target())
        except OSError:
            _cut(writer)
            return
        if self._server is None:
            _cut(writer)
            _cut(far[1])
            return
        pair = _Pair(self, (reader, writer), far)
        self._pairs.add(pair)
        try:
            await pair.run()
        finally:
            self._pairs.discard(pair)

    async def flow(self) -> None:
        """Wait while nothing may pass."""
        await self._flows.wait()


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Pair:
    """One connection of the service and the one to the server that belongs to it."""

    def __init__(self, proxy: Proxy, near: Ends, far: Ends) -> None:
        self._proxy = proxy
        self._near = near
        self._far = far
        self._cut_after_bytes = proxy.cut_after_bytes

    async def run(self) -> None:
        """Pass bytes on until both sides have ended."""
        up = asyncio.create_task(self._pump(self._near[0], self._pass_up))
        down = asyncio.create_task(self._pump(self._far[0], self._pass_down))
        try:
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            if self._proxy.keeps_ends:
                await asyncio.wait((up, down))
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
            for _, writer in (self._near, self._far):
                writer.close()

    def cut(self) -> None:
        """End both sides with RST."""
        _cut(self._near[1])
        _cut(self._far[1])

    async def _pump(
        self, reader: asyncio.StreamReader, send: Callable[[bytes], Awaitable[None]]
    ) -> None:
        """Pass pieces on, each `latency_s` after it came."""
        arrived: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(DEPTH)
        reading = asyncio.create_task(self._read(reader, arrived))
        try:
            while True:
                at, data = await arrived.get()
                if not data:
                    return
                early_s = at + self._proxy.latency_s - time.monotonic()
                if early_s > 0:
                    await asyncio.sleep(early_s)
                await send(data)
        except OSError:
            return
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(
        self,
        reader: asyncio.StreamReader,
        arrived: "asyncio.Queue[tuple[float, bytes]]",
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._proxy.flow()
                await arrived.put((time.monotonic(), data))
        await arrived.put((0.0, b""))

    async def _pass_up(self, data: bytes) -> None:
        proxy = self._proxy
        is_whole = data.startswith(b"Q") or data.endswith(b"\x00\x00\x00\x04")
        if proxy.refusal and is_whole:
            self._near[1].write(refused(proxy.refusal))
            await self._near[1].drain()
        elif not (proxy.refusal or proxy.drops_up):
            await self._write(self._far[1], data)

    async def _pass_down(self, data: bytes) -> None:
        if self._proxy.drops_down:
            return
        if major := self._proxy.server_major:
            data = _VERSION.sub(b"\\g<1>%d" % major, data)
        if not self._cut_after_bytes:
            await self._write(self._near[1], data)
            return
        await self._write(self._near[1], data[: self._cut_after_bytes])
        self._cut_after_bytes -= len(data)
        if self._cut_after_bytes <= 0:
            raise ConnectionAbortedError

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        proxy = self._proxy
        size = proxy.slice_bytes or max(1, len(data))
        for start in range(0, len(data), size):
            writer.write(data[start : start + size])
            await writer.drain()
            if proxy.bytes_per_s:
                await asyncio.sleep(min(size, len(data)) / proxy.bytes_per_s)
            elif proxy.slice_bytes:
                await asyncio.sleep(0)


async def close(server: asyncio.Server) -> None:
    """Stop listening without losing a connection that was accepted just now.

    `Server.close` alone leaves such a connection open, with nobody who holds it.
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening.fileno())
    await asyncio.sleep(0)
    server.close()


def refused(state: str) -> bytes:
    """What a server sends when a request fails, and that it is ready for the next."""
    fields = {"S": "ERROR", "V": "ERROR", "C": state, "M": f"injected {state}"}
    body = b"".join(f"{key}{text}".encode() + b"\0" for key, text in fields.items())
    body += b"\0"
    return _HEADER.pack(b"E", len(body) + 4) + body + _HEADER.pack(b"Z", 5) + b"I"


def _cut(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with suppress(OSError):
        if connection is not None and connection.fileno() >= 0:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
