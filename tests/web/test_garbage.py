"""What a request leaves behind: nothing that only a pass of the collector finds."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from service.web.edge import Edge
from service.web.wire import Protocol

REQUESTS = 50
PATHS = (
    *("/servers?limit=5", "/servers/1", "/servers?limit=x", "/nowhere", "/health"),
    *("/v0.1/servers", "/v0.1/servers/a%2Fb/versions/latest", "/search?q=word"),
)


@pytest.fixture
async def stream(
    app: Edge,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the application, as uvicorn serves it."""
    config = Config(app, http=Protocol, lifespan="off", log_config=None)
    config.load()
    ours, theirs = socket.socketpair()

    def protocol() -> Protocol:
        return Protocol(config=config, server_state=ServerState(), app_state={})

    await asyncio.get_running_loop().connect_accepted_socket(protocol, theirs)
    reader, writer = await asyncio.open_connection(sock=ours)
    yield reader, writer
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("path", PATHS)
async def test_a_request_leaves_no_work_for_the_collector(
    path: str, stream: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    reader, writer = stream

    async def ask() -> None:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length: ")[2].split(b"\r\n")[0]
        await reader.readexactly(int(length))

    for _ in range(5):
        await ask()
    gc.collect()
    gc.disable()
    try:
        for _ in range(REQUESTS):
            await ask()
        found = gc.collect()
    finally:
        gc.enable()
    assert found < REQUESTS
