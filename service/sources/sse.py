"""Server-sent events out of a stream of bytes, as the HTML standard defines them."""

from collections.abc import AsyncIterator

import msgspec


class Event(msgspec.Struct, frozen=True):
    """One event; `kind` is `message` unless the server names another."""

    kind: str
    data: str


async def events(chunks: AsyncIterator[bytes]) -> AsyncIterator[Event]:
    """The events of a stream; one that was cut off is left out."""
    kind, data = "", list[str]()
    async for line in _lines(chunks):
        if not line:
            if data:
                yield Event(kind or "message", "\n".join(data))
            kind, data = "", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            kind = value
        elif field == "data":
            data.append(value)


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Lines that end with CR, LF or both."""
    rest = b""
    async for chunk in chunks:
        text = (rest + chunk).replace(b"\r\n", b"\n")
        # A CR at the end may be the first half of a line's end.
        held = b"\r" if text.endswith(b"\r") else b""
        text = text.removesuffix(b"\r").replace(b"\r", b"\n")
        *whole, rest = text.split(b"\n")
        rest += held
        for line in whole:
            yield line.decode("utf-8", "replace")
