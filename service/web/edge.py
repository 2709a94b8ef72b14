"""One pass around every request: limits, request id, HEAD, CORS, metrics and the log.

One ASGI layer that does it all costs a fraction of Litestar's separate middlewares.
"""

import asyncio
import http
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from random import getrandbits
from typing import Any

from litestar import Litestar

from service import errors, logs, metrics
from service.settings import Settings
from service.web.answers import SEND_WHOLE, Answer, Header
from service.web.parameters import decode
from service.web.paths import readdressed
from service.web.problems import problem, unexpected
from service.web.reads import Reads

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}\Z")
_ALWAYS = frozenset({"/health", "/health/db", "/metrics"})
_FIXED_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b", ".join(
            [
                b"Age, Cache-Status, ETag, Link, Location, Retry-After",
                b"X-MCPS-Serial, X-Request-Id, X-Total-Count",
            ]
        ),
    ),
]
_PREFLIGHT_HEADERS = [
    (b"access-control-allow-methods", b"GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE"),
    (
        b"access-control-allow-headers",
        (
            b"Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, "
            b"X-API-Key, *"
        ),
    ),
    (b"access-control-max-age", b"86400"),
]
UNMATCHED = "unmatched"

# Litestar types every event by itself; one pass over all of them needs them loose.
Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Edge:
    """The outermost ASGI application."""

    def __init__(self, app: Litestar, reads: Reads, settings: Settings) -> None:
        self.app = app
        self._call: Callable[..., Awaitable[None]] = app
        self._reads = reads
        self._settings = settings
        self._in_flight = 0
        self._counters: dict[tuple[str, str, int], Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass lifespan events on."""
        if scope["type"] != "http":
            await self._call(scope, receive, send)
            return
        # Out of the scope: what leads back to it would be garbage that only a pass of
        # the collector finds.
        whole = scope.pop(SEND_WHOLE, None)
        scope = readdressed(scope)
        exchange = Exchange(scope, receive, send, self._settings.max_body_bytes)
        exchange.whole = whole
        self._in_flight += 1
        metrics.REQUESTS_IN_FLIGHT.inc()
        try:
            await self._answer(exchange)
        finally:
            self._in_flight -= 1
            metrics.REQUESTS_IN_FLIGHT.dec()
            self._record(exchange)

    async def _answer(self, exchange: "Exchange") -> None:
        scope = exchange.scope
        try:
            self._admit(exchange)
            if scope["method"] == "OPTIONS":
                await exchange.preflight()
                return
            if self._reads.covers(scope):
                await self._read(exchange)
                return
            async with asyncio.timeout(self._settings.request_timeout) as deadline:
                scope["deadline"] = deadline
                await self._call(scope, exchange.receive, exchange.send)
        except TimeoutError:
            await exchange.fail(errors.DeadlineExceeded())
        except errors.McpsError as error:
            await exchange.fail(error)
        except Exception as error:
            if exchange.status:
                raise
            await unexpected(error).send_with(exchange.send)

    async def _read(self, exchange: "Exchange") -> None:
        answer = self._reads.known(exchange)
        if answer is None:
            answer = await within(
                self._settings.request_timeout, self._reads.answer(exchange)
            )
        await exchange.give(answer)

    def _admit(self, exchange: "Exchange") -> None:
        scope = exchange.scope
        if self._in_flight > self._settings.max_requests_in_flight:
            root: str = scope.get("root_path", "")
            if scope["path"].removeprefix(root) not in _ALWAYS:
                raise errors.Overloaded
        raw = scope.get("raw_path") or b""
        if b"%" in raw or b"\0" in raw or not raw.isascii():
            decode(raw.partition(b"?")[0], "path")
        length = exchange.header(b"content-length")
        if length.isdigit() and int(length) > self._settings.max_body_bytes:
            raise errors.TooLarge

    def _record(self, exchange: "Exchange") -> None:
        took_s = time.perf_counter() - exchange.began_at
        scope = exchange.scope
        route: str = scope.get("path_template") or UNMATCHED
        key = (route, exchange.method, exchange.status)
        counter = self._counters.get(key)
        if counter is None:
            counter = metrics.REQUESTS.labels(route, exchange.method, exchange.status)
            self._counters[key] = counter
        counter.inc()
        metrics.REQUEST_SECONDS.observe(took_s)
        logs.access(
            method=exchange.method,
            path=scope["path"],
            status=exchange.status,
            took_s=took_s,
            request_id=exchange.request_id.decode(),
        )


class Exchange:
    """One request and what was sent in answer to it."""

    __slots__ = (
        "_is_head",
        "_is_read",
        "_receive",
        "_room",
        "_send",
        "began_at",
        "headers",
        "method",
        "request_id",
        "scope",
        "status",
        "whole",
    )

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, max_body_bytes: int
    ) -> None:
        self._is_head = scope["method"] == "HEAD"
        # A copy: the server looks at its own scope to know what HEAD has to leave out.
        self.scope = {**scope, "method": "GET"} if self._is_head else scope
        self._receive = receive
        self._send = send
        self._room = max_body_bytes
        self._is_read = False
        self.status = 0
        self.whole: Callable[..., bool] | None = None
        """How the server sends an answer in one piece, if it can."""
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.began_at = time.perf_counter()
        self.method = _known_method(scope["method"])
        given = self.header(b"x-request-id")
        self.request_id = (
            given if _REQUEST_ID.match(given) else b"%016x" % getrandbits(64)
        )

    def header(self, name: bytes) -> bytes:
        """The last header of that name, or nothing."""
        return self.headers.get(name, b"")

    async def receive(self) -> Message:
        """The next part of the body, as long as there is room for it."""
        message: Message = await self._receive()
        if message["type"] == "http.request":
            self._room -= len(message.get("body", b""))
            if self._room < 0:
                raise errors.TooLarge
            self._is_read = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = self._completed(message["headers"])
            if self.status >= http.HTTPStatus.BAD_REQUEST and self._is_unread():
                # Whoever goes on sending would be listened to for ever.
                message["headers"].append((b"connection", b"close"))
        elif self._is_head and message["type"] == "http.response.body":
            message["body"] = b""
        await self._send(message)

    async def give(self, answer: Answer) -> None:
        """Send a whole answer, in one piece where the server can do that."""
        whole, status = self.whole, answer.status_code
        if (
            whole is not None
            and not self._is_head
            and status < http.HTTPStatus.BAD_REQUEST
        ):
            headers = self._completed(answer.raw_headers)
            if whole(status, headers, answer.body):
                self.status = status
                return
        await answer.send_with(self.send)

    def _completed(self, headers: Iterable[Header]) -> list[Header]:
        """The headers of an answer and those that every answer has."""
        return [*headers, *_FIXED_HEADERS, (b"x-request-id", self.request_id)]

    def _is_unread(self) -> bool:
        """Whether some of the body is still on its way."""
        length = self.header(b"content-length")
        is_sent = self.header(b"transfer-encoding") or length not in {b"", b"0"}
        return bool(is_sent) and not self._is_read

    async def preflight(self) -> None:
        """Answer a CORS preflight."""
        await self.send(
            {
                "type": "http.response.start",
                "status": 204,
                "headers": [*_PREFLIGHT_HEADERS],
            }
        )
        await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def fail(self, error: errors.McpsError) -> None:
        """Answer with an error, unless an answer has begun already."""
        if self.status:
            return
        await problem(error).send_with(self.send)


async def within(limit_s: float, work: Awaitable[Answer]) -> Answer:
    """What `work` gives. Raises TimeoutError after the limit.

    As asyncio.timeout does it, for a third of its cost on the path of every read.
    """
    task = asyncio.current_task()
    is_over = False

    def cut() -> None:
        nonlocal is_over
        is_over = True
        if task is not None:
            task.cancel()

    timer = asyncio.get_running_loop().call_later(limit_s, cut)
    try:
        return await work
    except asyncio.CancelledError:
        if is_over and task is not None and task.uncancel() == 0:
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()


def _known_method(method: str) -> str:
    """The method as a label: a made-up one must not make a series."""
    return method if method in _METHODS else "other"


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
