"""A client of the Model Context Protocol over HTTP that only asks what there is.

Speaks streamable HTTP, and the older pair of an event stream and a place to post to
when an endpoint refuses the first message. It offers no capabilities, calls no tool and
reads no resource. Every wait and every answer is bounded by the limits of the fetcher.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

import msgspec

from service.errors import SourceFailed
from service.sources.fetch import Fetcher
from service.sources.requests import Call, Reply, failure
from service.sources.sse import Event, events

PROTOCOL = "2025-06-18"
MOST_PAGES = 100
MOST_ITEMS = 5000
_BOTH = "application/json, text/event-stream"
_OTHER_TRANSPORT = frozenset({"not_found", "status"})
Object = dict[str, Any]


class _Wire(Protocol):
    """Carries one message there and its answer back."""

    async def ask(self, message: Object) -> Object:
        """The answer to a request."""

    async def tell(self, message: Object) -> None:
        """Send a message that has no answer."""


class Session:
    """A session that was begun: what the server is and can do, and its lists."""

    def __init__(self, wire: _Wire, url: str) -> None:
        self._wire = wire
        self._url = url
        self._number = 0
        self.server: Object = {}
        self.capabilities: Object = {}
        self.instructions = ""

    async def begin(self) -> None:
        """Shake hands. Raises SourceFailed."""
        asked = {
            "protocolVersion": PROTOCOL,
            "capabilities": {},
            "clientInfo": {"name": "mcps", "version": "1"},
        }
        result = await self._ask("initialize", asked)
        self.server = _object(result.get("serverInfo"))
        self.capabilities = _object(result.get("capabilities"))
        said = result.get("instructions")
        self.instructions = said if isinstance(said, str) else ""
        await self._wire.tell({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def items(self, method: str, key: str) -> list[Object]:
        """All items of a list such as `tools/list`, page by page."""
        found: list[Object] = []
        cursors: set[str] = set()
        cursor = ""
        for _ in range(MOST_PAGES):
            result = await self._ask(method, {"cursor": cursor} if cursor else {})
            page = result.get(key)
            found += [_object(item) for item in page] if isinstance(page, list) else []
            cursor = str(result.get("nextCursor") or "")
            if not cursor or len(found) >= MOST_ITEMS:
                return found[:MOST_ITEMS]
            if cursor in cursors:
                break
            cursors.add(cursor)
        raise failure(self._url, f"{method} goes round in a circle", "bad_answer")

    async def _ask(self, method: str, params: Object) -> Object:
        self._number += 1
        message = {"jsonrpc": "2.0", "id": self._number, "method": method}
        answer = await self._wire.ask({**message, "params": params})
        if "error" in answer:
            said = _object(answer["error"]).get("message")
            text = f"{method} was refused: {str(said)[:200]}"
            raise failure(self._url, text, "bad_answer")
        return _object(answer.get("result"))


@asynccontextmanager
async def session(fetcher: Fetcher, url: str) -> AsyncIterator[Session]:
    """A session with an endpoint, ended with the context. Raises SourceFailed."""
    async with AsyncExitStack() as stack:
        streamable = _Streamable(fetcher, url)
        opened = Session(streamable, url)
        try:
            await opened.begin()
            stack.push_async_callback(streamable.end)
        except SourceFailed as first:
            if first.reason not in _OTHER_TRANSPORT:
                raise
            try:
                wire = await stack.enter_async_context(_event_stream(fetcher, url))
            except SourceFailed:
                raise first from None
            opened = Session(wire, url)
            await opened.begin()
        yield opened


class _Streamable:
    """Streamable HTTP: every message is a POST, its answer JSON or a stream."""

    def __init__(self, fetcher: Fetcher, url: str) -> None:
        self._fetcher = fetcher
        self._url = url
        self._headers = {"Accept": _BOTH, "Content-Type": "application/json"}

    async def ask(self, message: Object) -> Object:
        """The answer to a request."""
        async with self._fetcher.opened(self._call(message)) as reply:
            if session_id := reply.headers.get("Mcp-Session-Id"):
                self._headers["Mcp-Session-Id"] = session_id
            self._headers["MCP-Protocol-Version"] = PROTOCOL
            kind = reply.headers.get("Content-Type", "")
            if kind.startswith("text/event-stream"):
                stream = events(reply.chunks())
                return await _answer(self._url, stream, message["id"])
            return _decoded(self._url, await reply.read())

    async def tell(self, message: Object) -> None:
        """Send a message that has no answer."""
        async with self._fetcher.opened(self._call(message)):
            pass

    async def end(self) -> None:
        """Tell the server that the session is over, if it has one."""
        if "Mcp-Session-Id" not in self._headers:
            return
        call = Call(
            url=self._url,
            method="DELETE",
            headers=self._headers,
            limits=self._fetcher.options.limits,
            may_be=range(400, 600),
        )
        async with self._fetcher.opened(call):
            pass

    def _call(self, message: Object) -> Call:
        return Call(
            url=self._url,
            method="POST",
            headers=self._headers,
            body=msgspec.json.encode(message),
            limits=self._fetcher.options.limits,
        )


class _EventStream:
    """The older transport: answers come in a stream that was opened before."""

    def __init__(
        self, fetcher: Fetcher, url: str, stream: AsyncIterator[Event]
    ) -> None:
        self._fetcher = fetcher
        self._url = url
        self._stream = stream

    async def ask(self, message: Object) -> Object:
        """The answer to a request."""
        await self.tell(message)
        return await _answer(self._url, self._stream, message["id"])

    async def tell(self, message: Object) -> None:
        """Send a message that has no answer."""
        await self._fetcher.post(self._url, msgspec.json.encode(message))


@asynccontextmanager
async def _event_stream(fetcher: Fetcher, url: str) -> AsyncIterator[_EventStream]:
    """Opens the stream, and waits for the place to post to."""
    call = Call(
        url=url,
        headers={"Accept": "text/event-stream"},
        limits=fetcher.options.limits,
        is_stream=True,
    )
    async with fetcher.opened(call) as reply:
        stream = events(reply.chunks())
        place = await _post_url(url, reply, stream)
        yield _EventStream(fetcher, place, stream)


async def _post_url(url: str, reply: Reply, stream: AsyncIterator[Event]) -> str:
    if not reply.headers.get("Content-Type", "").startswith("text/event-stream"):
        raise failure(url, "neither of the two transports of MCP", "bad_answer")
    async for event in stream:
        if event.kind == "endpoint":
            place = urljoin(reply.url, event.data.strip())
            if urlsplit(place)[:2] != urlsplit(reply.url)[:2]:
                raise failure(url, "its messages go to another host", "bad_answer")
            return place
    raise failure(url, "the stream names no place to post to", "bad_answer")


async def _answer(url: str, stream: AsyncIterator[Event], number: int) -> Object:
    """The answer of this number; what the server asks or tells beside it is left."""
    async for event in stream:
        if event.kind == "message":
            answer = _decoded(url, event.data)
            if answer.get("id") == number:
                return answer
    raise failure(url, "the stream ended without an answer", "bad_answer")


def _decoded(url: str, text: str | bytes) -> Object:
    try:
        return _object(msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise failure(url, f"not a message of MCP: {error}", "bad_answer") from error


def _object(value: object) -> Object:
    return value if isinstance(value, dict) else {}
