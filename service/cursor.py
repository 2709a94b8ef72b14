"""Cursors: where the next page begins, as text that survives a URL.

A cursor carries what the list was asked for and the key and id of the next row, so a
client that sends nothing else gets the right page. The form is base64url without
padding of a version byte, four bytes of checksum, and JSON. The checksum finds damage
and cursors of other lists; it is no secret, and a made-up cursor shows only what a
plain query shows.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import cache
from hashlib import blake2b
from typing import Annotated, Any, Generic, Protocol, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from service.errors import InvalidCursor, InvalidInput

Filters = TypeVar("Filters", bound=msgspec.Struct)

VERSION = b"\x01"
_HEAD_BYTES = 5


class Mark(msgspec.Struct, Generic[Filters], frozen=True, array_like=True):
    """The first row of a page in a filtered list."""

    filters: Filters
    key: Annotated[str, Meta(max_length=256)]
    """The value that the list is sorted by; empty when that is the id alone."""
    id: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class Paged(Protocol):
    """A query for one page of a list."""

    @property
    def limit(self) -> int:
        """How many rows the page may have."""

    @property
    def cursor(self) -> str | UnsetType:
        """Where the page begins."""

    @property
    def skip(self) -> int | UnsetType:
        """How many rows to leave out, for a page without a cursor."""


class Page(msgspec.Struct, frozen=True):
    """A page as JSON, and the cursor of the next one if there is one."""

    body: bytes
    cursor: str = ""
    total: int | None = None


def write_cursor(path: str, mark: Mark[Any]) -> str:
    """The cursor of a page in the list at that path."""
    body = msgspec.json.encode(mark)
    raw = VERSION + _checksum(path, body) + body
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def read_cursor(path: str, text: str, filters: type[Filters]) -> Mark[Filters]:
    """The page that a cursor leads to.

    Raises InvalidCursor unless write_cursor made the text for the list at that path.
    """
    raw = _decoded(text)
    body = raw[_HEAD_BYTES:]
    if raw[:_HEAD_BYTES] != VERSION + _checksum(path, body):
        raise InvalidCursor
    try:
        mark: Mark[Filters] = _decoder(filters).decode(body)
    except ValueError:
        raise InvalidCursor from None
    return mark


def find_mark(path: str, query: Paged, filters: type[Filters]) -> Mark[Filters] | None:
    """Where the cursor of a query leads; None for a query without one.

    Raises InvalidCursor, or InvalidInput when a parameter beside the cursor says
    something else than the cursor does.
    """
    if query.cursor is UNSET:
        return None
    if query.skip is not UNSET:
        place = "query.skip"
        raise InvalidInput.at(place, "cannot go with a cursor")
    mark = read_cursor(path, query.cursor, filters)
    for name in filters.__struct_fields__:
        given = getattr(query, name)
        if given is not UNSET and given != getattr(mark.filters, name):
            place = f"query.{name}"
            message = "not what the cursor stands for; leave out one of the two"
            raise InvalidInput.at(place, message)
    return mark


def _checksum(path: str, body: bytes) -> bytes:
    return blake2b(path.encode() + b"\0" + body, digest_size=4).digest()


def _decoded(text: str) -> bytes:
    """The bytes of base64url text, which has to be the one way to write them."""
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise InvalidCursor from None
    if urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
        raise InvalidCursor
    return raw


@cache
def _decoder(filters: type[Filters]) -> msgspec.json.Decoder[Mark[Filters]]:
    return msgspec.json.Decoder(Mark[filters])  # type: ignore[valid-type]
