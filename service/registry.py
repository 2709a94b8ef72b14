"""The reads of the standard registry API: lists, versions of one server, batches.

A cursor carries every filter and what the search looked for, so a client that sends
nothing else gets the right page; a parameter that says something else is refused. It
stands behind the last item of a page, so an entry that comes or goes moves nothing.

A search cuts its text into words that all have to occur. `mcp` and `server` say nothing
in this field: alone they leave the list as it is. What finds nothing is looked for as a
part of names and URLs, then once more with likelier words in place of unknown ones. A
text with a slash is a part of a name at once.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from service.cursor import Mark, read_cursor, write_cursor
from service.errors import InvalidInput, NotFound
from service.models_registry import ListFilters, ListQuery
from service.pages import documents, given, moment
from service.search import mend
from service.search_words import Asked, cut
from service.store.base import Queries, Row, Value

LIST = "/v0.1/servers"
LATEST = "latest"
_BEST = 1000.0
_WILDCARD = re.compile(r"([\\%_])")


class Found(msgspec.Struct, frozen=True):
    """An answer as JSON, and the serial of the catalog that it shows."""

    body: bytes
    serial: int


class Listing(NamedTuple):
    """The items of a page, and the serial they were read at."""

    items: list[str]
    last: Row | None
    """The row of the last item, when there are more behind it."""
    serial: int


class Spot(ListFilters, frozen=True, kw_only=True):
    """What a cursor carries: the filters, what is looked for, and the last item."""

    words: str | None = None
    pattern: str | None = None
    rank: float = _BEST
    after: tuple[str, str] = ("", "")

    @property
    def is_search(self) -> bool:
        """Whether there is anything to look for."""
        return self.words is not None or self.pattern is not None


async def page_versions(store: Queries, query: ListQuery) -> Found:
    """A page of versions that pass the filters.

    Raises InvalidCursor, or InvalidInput for parameters that do not fit together.
    """
    spot, values = _begun(query)
    listing = await _listing(store, spot, values, query.limit)
    if spot.is_search and query.cursor is UNSET and not listing.items:
        spot, listing = await _listing_of_less(
            store, spot, values, query.limit, listing
        )
    items, last, serial = listing
    cursor = _next_cursor(spot, last) if last else ""
    return _found(",".join(items), len(items), serial, cursor)


async def get_versions(store: Queries, name: str, *, include_deleted: bool) -> Found:
    """All versions of a server, the newest first. Raises NotFound."""
    row = await store.row(
        "registry_versions", name=name, include_deleted=include_deleted
    )
    if row is None or not row["number"]:
        raise _missing_server()
    return _found(row["items"], row["number"], row["serial"])


async def get_version(
    store: Queries, name: str, version: str, *, include_deleted: bool
) -> Found:
    """One version of a server; `latest` is the latest one. Raises NotFound."""
    if version == LATEST:
        row = await store.row(
            "registry_get_latest", name=name, include_deleted=include_deleted
        )
    else:
        row = await store.row(
            "registry_get", name=name, version=version, include_deleted=include_deleted
        )
    if row is None:
        raise _missing_server()
    return Found(row["item"].encode(), row["serial"])


async def get_batch(store: Queries, names: Iterable[str]) -> Found:
    """The latest versions of some servers, and the names of which there is none."""
    unique = msgspec.json.encode(list(dict.fromkeys(names))).decode()
    row = await _only(store, "registry_batch", names=unique)
    body = f'{{"servers":[{row["items"]}],"missing":{row["missing"]}}}'
    return Found(body.encode(), row["serial"])


async def get_facets(store: Queries) -> Found:
    """How many servers there are of each kind."""
    row = await _only(store, "registry_facets")
    body = f'{{"labels":{row["labels"] or "{}"}}}'
    return Found(body.encode(), row["serial"])


async def read_listing(
    store: Queries, query: str, wanted: int, **values: Value
) -> Listing:
    """A page of up to `wanted` items, by the query of that name."""
    rows = await store.rows(query, wanted=wanted, **values)
    items = documents(rows)
    last = rows[wanted - 1] if len(items) > wanted else None
    return Listing(items[:wanted], last, rows[0]["serial"])


@lru_cache(maxsize=1024)
def _begun(query: ListQuery) -> tuple[Spot, dict[str, Value]]:
    """Where the page begins, and the filters as parameters of the queries."""
    spot = _spot(query)
    return spot, _filter_values(spot)


def _spot(query: ListQuery) -> Spot:
    """Where the page begins. Raises InvalidCursor, InvalidInput."""
    if query.cursor is UNSET:
        return _first_spot(query)
    spot = read_cursor(LIST, query.cursor, Spot).filters
    for name in ListFilters.__struct_fields__:
        value = getattr(query, name)
        if value is not UNSET and value != getattr(spot, name):
            place = f"query.{name}"
            message = "not what the cursor stands for; leave out one of the two"
            raise InvalidInput.at(place, message)
    return spot


def _first_spot(query: ListQuery) -> Spot:
    if query.updated_since is not UNSET and query.include_deleted is False:
        place = "query.include_deleted"
        message = "has to be true with updated_since, or left out"
        raise InvalidInput.at(place, message)
    filters = {name: getattr(query, name) for name in ListFilters.__struct_fields__}
    text = given(query.search, "").strip()
    asked = cut(text)
    if text and not asked:
        return Spot(**filters, pattern=_pattern(text))
    return Spot(**filters, words=_words(asked), pattern=asked.pattern)


async def _listing(
    store: Queries, spot: Spot, values: dict[str, Value], limit: int
) -> Listing:
    """The page after a spot, by the query that finds it fastest."""
    name, version = spot.after
    place: dict[str, Value] = {"name": name, "version": version}
    if spot.is_search:
        place |= {"words": spot.words, "pattern": spot.pattern, "rank": spot.rank}
        return await read_listing(store, "registry_search", limit, **values, **place)
    plain = {"is_latest", "include_deleted"}
    rare = [key for key, value in values.items() if key not in plain]
    if any(values[key] is not None for key in rare):
        query = "registry_page_filtered"
        return await read_listing(store, query, limit, **values, **place)
    place["include_deleted"] = values["include_deleted"]
    query = "registry_page_latest" if values["is_latest"] else "registry_page"
    return await read_listing(store, query, limit, **place)


async def _listing_of_less(
    store: Queries, spot: Spot, values: dict[str, Value], limit: int, nothing: Listing
) -> tuple[Spot, Listing]:
    """What a search that found nothing may have meant."""
    if spot.words is None:
        return spot, nothing
    text = given(spot.search, "").strip()
    part = msgspec.structs.replace(spot, words=None, pattern=_pattern(text))
    listing = await _listing(store, part, values, limit)
    if listing.items:
        return part, listing
    likely = await mend(store, cut(text))
    if likely is None:
        return spot, nothing
    mended = msgspec.structs.replace(spot, words=_words(likely))
    return mended, await _listing(store, mended, values, limit)


async def _only(store: Queries, query: str, **values: Value) -> Row:
    """The one row of a query that always has one."""
    (row,) = await store.rows(query, **values)
    return row


def _filter_values(spot: Spot) -> dict[str, Value]:
    version = given(spot.version, None)
    since = moment(given(spot.updated_since, None))
    return {
        "is_latest": version == LATEST,
        "exact": None if version == LATEST else version,
        "status": given(spot.status, None),
        "include_deleted": given(spot.include_deleted, since is not None),
        "updated_since": since,
        "registry_type": given(spot.registry_type, None),
        "transport": given(spot.transport, None),
        "remote": given(spot.remote, None),
    }


def _next_cursor(spot: Spot, last: Row) -> str:
    after = (last["registry_name"], last["version"])
    rank = last["rank"] if spot.is_search else _BEST
    following = msgspec.structs.replace(spot, after=after, rank=rank)
    return write_cursor(LIST, Mark(following, "", 0))


def _found(items: str, number: int, serial: int, cursor: str = "") -> Found:
    following = f'"nextCursor":"{cursor}",' if cursor else ""
    metadata = f'{{{following}"count":{number}}}'
    body = f'{{"servers":[{items}],"metadata":{metadata}}}'
    return Found(body.encode(), serial)


def _pattern(text: str) -> str:
    """What a path that holds the text looks like."""
    literal = _WILDCARD.sub(r"\\\1", text.lower())
    return f"%{literal}%"


def _words(asked: Asked) -> str | None:
    """The words for the database; None when they say nothing in this field."""
    return asked.words_json if asked.words and asked.is_ranked else None


def _missing_server() -> NotFound:
    message = "there is no such server, or not in that version"
    return NotFound(message)
