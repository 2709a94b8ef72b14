"""All HTTP that MCPS sends: bounded in bytes, time, redirects, rate and destination.

A call ends within its limits, whatever the other side does: an answer with a wanted
status, or SourceFailed with a reason. Answers 429 and 5xx and broken connections are
tried again, with growing waits or those that the host asks for, while time is left; a
POST only after 429. Every redirect is a new request: checked like the first one,
without the caller's headers when it leads to another host, and never from https to
http. Cookies are neither kept nor sent, and proxies of the environment are not used.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from types import TracebackType
from typing import Self

import msgspec

from service import metrics
from service.errors import SourceFailed
from service.sources.line import Line, checked_url, next_hop
from service.sources.options import Options
from service.sources.pace import growing_wait
from service.sources.requests import (
    Answer,
    Call,
    Download,
    Headers,
    Limits,
    Method,
    Reply,
    Validators,
    conditions,
    failure,
)

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({"connection", "rate_limited", "unavailable"})


class Fetcher:
    """Sends requests; an async context manager. `purpose` labels what is counted."""

    def __init__(
        self, options: Options, purpose: str, *, line: Line | None = None
    ) -> None:
        self.options = options
        self._purpose = purpose
        self._line = line or Line(options)

    def named(self, purpose: str) -> "Fetcher":
        """The same connections and paces, counted under another label."""
        return Fetcher(self.options, purpose, line=self._line)

    async def __aenter__(self) -> Self:
        """Get ready."""
        await self._line.open()
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Close every connection."""
        await self._line.close()

    async def get(
        self,
        url: str,
        *,
        headers: Headers | None = None,
        validators: Validators | None = None,
        limits: Limits | None = None,
        may_be: Collection[int] = (),
    ) -> Answer:
        """The answer to a GET; with `validators` it may be `is_unchanged`."""
        sent = {**(headers or {}), **conditions(validators or {})}
        return await self._whole(self._call("GET", url, sent, limits, may_be))

    async def head(
        self, url: str, *, headers: Headers | None = None, may_be: Collection[int] = ()
    ) -> Answer:
        """The answer to a HEAD."""
        return await self._whole(self._call("HEAD", url, headers or {}, None, may_be))

    async def post(
        self,
        url: str,
        body: bytes,
        *,
        headers: Headers | None = None,
        limits: Limits | None = None,
        may_be: Collection[int] = (),
    ) -> Answer:
        """The answer to a POST, of JSON unless the headers say otherwise."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        call = self._call("POST", url, sent, limits, may_be)
        return await self._whole(msgspec.structs.replace(call, body=body))

    @asynccontextmanager
    async def download(
        self, url: str, *, headers: Headers | None = None, limits: Limits | None = None
    ) -> AsyncIterator[Download]:
        """A large body in a temporary file, exactly as it was sent."""
        limits = limits or msgspec.structs.replace(
            self.options.limits, body_bytes=self.options.archive_bytes
        )
        call = Call(url=url, headers=headers or {}, limits=limits, is_encoded=True)
        digest = sha256()
        with tempfile.TemporaryFile() as file:
            async with self.opened(call) as reply:
                async for chunk in reply.chunks():
                    digest.update(chunk)
                    file.write(chunk)
            size_bytes = file.tell()
            file.seek(0)
            yield Download(
                reply.url, reply.headers, file, size_bytes, digest.hexdigest()
            )

    @asynccontextmanager
    async def opened(self, call: Call) -> AsyncIterator[Reply]:
        """A wanted answer, its body to be read before the context ends."""
        limit_s = call.limits.total_s
        timer = asyncio.timeout(limit_s)
        until = time.monotonic() + limit_s
        try:
            async with timer, AsyncExitStack() as stack:
                yield await self._wanted(call, until, stack)
        except TimeoutError as error:
            if not timer.expired():
                raise
            self._count("timeout")
            message = f"no whole answer within {limit_s:g} s"
            raise failure(call.url, message, "timeout") from error

    async def _whole(self, call: Call) -> Answer:
        async with self.opened(call) as reply:
            return Answer(reply.url, reply.status, reply.headers, await reply.read())

    async def _wanted(self, call: Call, until: float, stack: AsyncExitStack) -> Reply:
        """The first wanted answer of several tries."""
        turn = 0
        while True:
            try:
                return await self._try(call, stack)
            except SourceFailed as error:
                self._count(error.reason)
                wait_s = error.retry_after_s
                if wait_s is None:
                    wait_s = growing_wait(turn)
                turn += 1
                is_late = time.monotonic() + wait_s > until
                if is_late or turn >= call.limits.tries or not _may_repeat(call, error):
                    raise
            await asyncio.sleep(wait_s)

    async def _try(self, call: Call, stack: AsyncExitStack) -> Reply:
        """The answer at the end of the redirects, if its status is wanted."""
        url, headers = checked_url(call.url), dict(call.headers)
        for _ in range(call.limits.redirects + 1):
            async with AsyncExitStack() as hop:
                response = await self._line.send(call, url, headers, hop)
                target = response.headers.get("Location")
                if response.status not in _REDIRECTS or target is None:
                    self._line.check(call, response)
                    self._count(str(response.status))
                    stack.push_async_exit(hop.pop_all())
                    return Reply(response, call.limits)
            url, headers = next_hop(call, url, target, headers)
        message = f"more than {call.limits.redirects} redirects"
        raise failure(call.url, message, "redirect")

    def _call(
        self,
        method: Method,
        url: str,
        headers: Headers,
        limits: Limits | None,
        may_be: Collection[int],
    ) -> Call:
        return Call(
            url=url,
            method=method,
            headers=headers,
            limits=limits or self.options.limits,
            may_be=may_be,
        )

    def _count(self, outcome: str) -> None:
        metrics.HARVEST_REQUESTS.labels(self._purpose, outcome).inc()


def _may_repeat(call: Call, error: SourceFailed) -> bool:
    if call.method in {"POST", "DELETE"}:
        return error.reason == "rate_limited"
    return error.reason in _PASSING
