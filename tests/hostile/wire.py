"""Bytes on a socket, as no proper client sends them."""

import asyncio
import contextlib
import re
import time
from collections.abc import Iterable

import msgspec

QUIET_S = 0.3
LOOK_EVERY_S = 0.02
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


class Heard(msgspec.Struct, frozen=True):
    """What the server said, and whether it hung up."""

    data: bytes
    is_closed: bool
    sent_bytes: int

    @property
    def statuses(self) -> list[int]:
        """The status of each answer, in their order."""
        return [int(status) for status in _STATUS.findall(self.data)]


async def talk(
    port: int,
    parts: bytes | Iterable[bytes],
    *,
    wait_s: float = 2.0,
    pause_s: float = 0.0,
    ends: bool = False,
) -> Heard:
    """Send the parts, listen until the server hangs up or says nothing for a while."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    heard = bytearray()
    closed = asyncio.Event()

    async def listen() -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                heard.extend(data)
        closed.set()

    listening = asyncio.create_task(listen())
    sent_bytes = 0
    with contextlib.suppress(ConnectionError):
        for part in [parts] if isinstance(parts, bytes) else parts:
            if closed.is_set() or heard:
                break
            writer.write(part)
            await writer.drain()
            sent_bytes += len(part)
            await asyncio.sleep(pause_s)
        if ends:
            writer.write_eof()
    await _quiet(heard, closed, wait_s)
    writer.close()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    return Heard(data=bytes(heard), is_closed=closed.is_set(), sent_bytes=sent_bytes)


async def _quiet(heard: bytearray, closed: asyncio.Event, wait_s: float) -> None:
    """Wait until the server hangs up, or until it answered and then said no more."""
    size = 0
    began_at = time.monotonic()
    while not closed.is_set():
        if len(heard) != size:
            size = len(heard)
            began_at = time.monotonic()
        if time.monotonic() - began_at > (QUIET_S if size else wait_s):
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(closed.wait(), LOOK_EVERY_S)
