"""What our answers are compared with: bare ASGI applications without any framework.

`/page` and `/servers/{id}` decode columns to dicts and encode those, as most services
do, but with everything else at its cheapest: no routing, no checks, no metrics, no log,
a pool without reset, generic plans. `/constant` is the floor: it sends as many bytes as
our page has and asks nobody.
"""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import msgspec

from ops.benchmarks.loading import statements

PAGE = 20
CONNECTIONS = 30
BODY_BYTES = "BENCH_BODY_BYTES"

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class Reference:
    """The ASGI application."""

    def __init__(self) -> None:
        self._page = statements()["reference_page"]
        self._server = statements()["reference_server"]
        self._constant = b"x" * int(os.environ[BODY_BYTES])
        self._pool: Any = None

    async def __call__(
        self, scope: dict[str, Any], receive: Receive, send: Send
    ) -> None:
        """Answer one request, or open and close the pool."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        path: str = scope["path"]
        if path == "/page":
            body = await self._decode_page()
        elif path == "/constant":
            body = self._constant
        else:
            body = await self._decode_server(int(path.rpartition("/")[2]))
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _decode_page(self) -> bytes:
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(self._page, PAGE)
        return msgspec.json.encode([_plain(row) for row in rows])

    async def _decode_server(self, server: int) -> bytes:
        async with self._pool.acquire() as connection:
            row = await connection.fetchrow(self._server, server)
        return msgspec.json.encode(_plain(row))

    async def _live(self, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] != "lifespan.shutdown":
            self._pool = await open_pool()
            await send({"type": f"{message['type']}.complete"})
        await self._pool.close()
        await send({"type": "lifespan.shutdown.complete"})


def _plain(row: asyncpg.Record) -> dict[str, Any]:
    """The columns by name; JSON goes through as it came."""
    values = dict(row)
    values["keywords"] = msgspec.Raw(values["keywords"].encode())
    values["categories"] = msgspec.Raw(values["categories"].encode())
    return values


async def open_pool() -> Any:  # noqa: ANN401 - asyncpg's pool is untyped
    """As many connections as our own service may have."""
    return await asyncpg.create_pool(
        os.environ["DATABASE_URL"],
        min_size=CONNECTIONS,
        max_size=CONNECTIONS,
        max_inactive_connection_lifetime=0,
        reset=_keep,
        server_settings={"plan_cache_mode": "force_generic_plan", "jit": "off"},
    )


async def _keep(_connection: object) -> None:
    """Reset nothing between uses."""
