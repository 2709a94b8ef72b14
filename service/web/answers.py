"""Answers as bytes: what the database wrote goes out as it is."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Self

import msgspec
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

Header = tuple[bytes, bytes]

# Where a server leaves in the scope how it sends a whole answer in one piece.
SEND_WHOLE = "mcps.send_whole"
JSON = b"application/json; charset=utf-8"
PROBLEM = b"application/problem+json; charset=utf-8"


class Answer(ASGIResponse):
    """One complete answer; headers are bytes already."""

    __slots__ = ("raw_headers",)

    def __init__(
        self,
        body: bytes,
        *,
        status: int = 200,
        media: bytes = JSON,
        headers: Iterable[Header] = (),
    ) -> None:
        self.body = body
        self.status_code = status
        self.background = None
        self.raw_headers: list[Header] = [*headers]
        if status not in {204, 304}:
            length = str(len(body)).encode()
            self.raw_headers.append((b"content-type", media))
            self.raw_headers.append((b"content-length", length))

    @classmethod
    def whole(cls, status: int, headers: list[Header], body: bytes = b"") -> Self:
        """An answer whose headers are complete already."""
        answer = cls.__new__(cls)
        answer.status_code = status
        answer.raw_headers = headers
        answer.body = body
        return answer

    def to_asgi_response(self, *_: object, **_options: object) -> "Answer":
        """For Litestar, which asks this of the answer to an exception."""
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, as every ASGI application does."""
        del scope, receive
        await self.send_with(send)

    async def send_with(self, send: Callable[[Any], Awaitable[None]]) -> None:
        """Send it."""
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        await send({"type": "http.response.body", "body": self.body})


def json_text(text: str, *, headers: Iterable[Header] = ()) -> Answer:
    """JSON that the database wrote."""
    return Answer(text.encode(), headers=headers)


def json_value(
    value: Any,  # noqa: ANN401 - whatever msgspec encodes
    *,
    status: int = 200,
    headers: Iterable[Header] = (),
) -> Answer:
    """A value that this process made."""
    return Answer(msgspec.json.encode(value), status=status, headers=headers)


def next_link(path: str, query: Iterable[tuple[str, str]]) -> Header:
    """The RFC 8288 header that leads to the next page; its parts are URL-safe."""
    pairs = "&".join(f"{name}={value}" for name, value in query)
    return (b"link", f'<{path}?{pairs}>; rel="next"'.encode())
