"""Lists, page by page: servers, what belongs to one, tools.

Every query answers with the documents of a page and the first one behind it, which is
where the next page begins: no page is empty but the only one.
"""

from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Literal, NamedTuple, TypeVar

import msgspec
from msgspec import UnsetType

from service.catalog import SERVERS, Reference, read_id
from service.cursor import Filters, Mark, Page, Paged, find_mark, write_cursor
from service.errors import InvalidInput, NotFound
from service.models import (
    ChildFilters,
    ChildQuery,
    Moment,
    ServerFilters,
    ServerQuery,
    ToolFilters,
    ToolQuery,
)
from service.store.base import Queries, Row, Value

T = TypeVar("T")
Kind = Literal[
    "tools",
    "resources",
    "prompts",
    "dependencies",
    "releases",
    "contributors",
    "versions",
]

TOOLS = "/tools"
DEFAULT_SORT = "-stars"
# So many candidates are sorted; where there are more, walking the order is faster.
FEW = 500
LEAST, MOST = -(2**63), 2**63 - 1

# What comes before and after every key; any other key is a number.
_FIRST_KEYS = {"name": "", "updated_at": "-infinity"}
_LAST_KEYS = {"name": "\U0010ffff" * 201, "updated_at": "infinity"}
_QUERIES: dict[Kind, str] = {
    "tools": "tool_page_of_server",
    "resources": "resource_page",
    "prompts": "prompt_page",
    "dependencies": "dependency_page",
    "releases": "release_page",
    "contributors": "contributor_page",
    "versions": "version_page",
}
_NEWEST_FIRST = frozenset({"releases", "versions"})
_KEY_CHARACTERS = 200
_first_column = itemgetter(0)


class Order(NamedTuple):
    """What a list of servers is sorted by."""

    column: str
    is_descending: bool

    @property
    def has_words(self) -> bool:
        """Whether its keys are text rather than numbers."""
        return self.column in _FIRST_KEYS


class _Place(msgspec.Struct):
    """What lists are sorted by, of any document."""

    id: int
    name: str | None = None
    stars: int = 0
    downloads: int = 0
    health_score: int = 0
    updated_at: str = ""
    published_at: str = ""


_places = msgspec.json.Decoder(_Place)


class Asked(NamedTuple):
    """A query for servers, as the database is asked for them."""

    mark: Mark[ServerFilters]
    order: Order
    filters: dict[str, Value]
    place: dict[str, Value]
    is_plain: bool
    """Whether nothing was asked for but a page."""


async def page_servers(store: Queries, query: ServerQuery) -> Page:
    """A page of the servers that pass the filters, in the order asked for.

    Raises InvalidCursor, or InvalidInput for parameters that do not fit together.
    """
    asked = _asked(query)
    rows: Sequence[Row] = ()
    if _has_candidates(asked):
        rows = await _rows_of_few(store, asked)
    # No row at all stands for many candidates.
    if not rows:
        rows = await _rows_in_order(store, asked)
    filters = asked.mark.filters
    page = _page(SERVERS, rows, query.limit, filters, asked.order.column)
    if not query.count:
        return page
    total = await store.value("server_count", **asked.filters)
    return msgspec.structs.replace(page, total=total)


async def page_children(
    store: Queries, server: Reference, kind: Kind, query: ChildQuery
) -> Page:
    """A page of what belongs to a server. Raises NotFound, InvalidCursor."""
    path = f"{server.path}/{kind}"
    is_newest_first = kind in _NEWEST_FIRST
    first = Mark(
        ChildFilters(),
        "infinity" if is_newest_first else "",
        MOST if is_newest_first else LEAST,
    )
    mark = find_mark(path, query, ChildFilters) or first
    values = _place(query, mark)
    values |= {"server_id": server.id, "uuid": server.uuid}
    if is_newest_first:
        values["key"] = mark.key
    if kind == "tools":
        values["name"] = None
    rows = await store.rows(_QUERIES[kind], **values)
    if not rows:
        message = "there is no such server"
        raise NotFound(message)
    key = "published_at" if is_newest_first else ""
    return _page(path, rows, query.limit, mark.filters, key)


async def page_tools(store: Queries, query: ToolQuery) -> Page:
    """A page of the tools of all servers. Raises InvalidCursor."""
    mark = find_mark(TOOLS, query, ToolFilters)
    if mark is None:
        filters = ToolFilters(server_id=query.server_id, name=query.name)
        mark = Mark(filters, "", LEAST)
    place = _place(query, mark)
    server_id = given(mark.filters.server_id, None)
    name = given(mark.filters.name, None)
    if server_id is not None:
        place |= {"server_id": server_id, "uuid": None}
        rows = await store.rows("tool_page_of_server", name=name, **place)
    elif name is not None:
        rows = await store.rows("tool_page_of_name", name=name, **place)
    else:
        rows = await store.rows("tool_page", **place)
    return _page(TOOLS, rows, query.limit, mark.filters)


async def get_tool(store: Queries, tool: str) -> str:
    """One tool as JSON. Raises NotFound."""
    body: str | None = await store.value("tool_get", id=read_id(tool))
    if body is None:
        message = "there is no such tool"
        raise NotFound(message)
    return body


def given(value: T | UnsetType, default: T) -> T:
    """The value, or the default where there is none."""
    return default if isinstance(value, UnsetType) else value


def documents(rows: Sequence[Row]) -> list[str]:
    """The first column of every row; a row without one stands for an empty page."""
    found = list(map(_first_column, rows))
    return [] if found == [None] else found


def _page(
    path: str, rows: Sequence[Row], limit: int, filters: msgspec.Struct, key: str = ""
) -> Page:
    """A page; `key` names what the list is sorted by, if not by the id alone."""
    found = documents(rows)
    body = f"[{','.join(found[:limit])}]".encode()
    if len(found) <= limit:
        return Page(body)
    place = _places.decode(found[limit])
    value = str(getattr(place, key))[:_KEY_CHARACTERS] if key else ""
    return Page(body, write_cursor(path, Mark(filters, value, place.id)))


def _place(query: Paged, mark: Mark[Filters]) -> dict[str, Value]:
    return {
        "from_id": mark.id,
        "wanted": query.limit,
        "skip": given(query.skip, 0),
    }


@lru_cache(maxsize=1024)
def _asked(query: ServerQuery) -> Asked:
    mark = find_mark(SERVERS, query, ServerFilters) or _first_mark(query)
    filters = _server_values(mark.filters)
    is_unfiltered = all(value is None or value is False for value in filters.values())
    is_plain = is_unfiltered and mark.filters.sort == DEFAULT_SORT
    return Asked(mark, _order(mark.filters), filters, _place(query, mark), is_plain)


def _first_mark(query: ServerQuery) -> Mark[ServerFilters]:
    """Where a list begins: before every key."""
    values = {name: getattr(query, name) for name in ServerFilters.__struct_fields__}
    values["sort"] = given(query.sort, DEFAULT_SORT)
    values["verified_only"] = given(query.verified_only, default=False)
    filters = ServerFilters(**values)
    order = _order(filters)
    if order.is_descending:
        return Mark(filters, _LAST_KEYS.get(order.column, str(MOST)), MOST)
    return Mark(filters, _FIRST_KEYS.get(order.column, str(LEAST)), LEAST)


def _order(filters: ServerFilters) -> Order:
    sort = given(filters.sort, DEFAULT_SORT)
    return Order(sort.removeprefix("-"), sort.startswith("-"))


def _server_values(filters: ServerFilters) -> dict[str, Value]:
    """The filters as parameters of the queries."""
    return {
        "host_type": given(filters.host_type, None),
        "risk_level": given(filters.risk_level, None),
        "verified_only": given(filters.verified_only, default=False),
        "category": given(filters.category, None),
        "keyword": given(filters.keyword, None),
        "min_stars": given(filters.min_stars, None),
        "updated_since": moment(given(filters.updated_since, None)),
    }


def moment(text: str | None) -> str | None:
    """A time as the database reads it. Raises InvalidInput."""
    if text is None:
        return None
    try:
        return msgspec.convert(text, Moment).isoformat()
    except msgspec.ValidationError:
        place = "query.updated_since"
        message = (
            "expected an RFC 3339 time with its offset, such as 2026-01-31T12:00:00Z "
            "(+ has to be sent as %2B)"
        )
        raise InvalidInput.at(place, message) from None


def _has_candidates(asked: Asked) -> bool:
    """Whether an index other than that of the order may leave only few servers."""
    filters = asked.filters
    if filters["keyword"] or filters["category"]:
        return True
    return filters["updated_since"] is not None and asked.order.column != "updated_at"


async def _rows_in_order(store: Queries, asked: Asked) -> Sequence[Row]:
    mark, order = asked.mark, asked.order
    if asked.is_plain:
        return await store.rows("server_page_popular", key=mark.key, **asked.place)
    name = f"server_page_by_{order.column}{'_desc' if order.is_descending else ''}"
    return await store.rows(name, key=mark.key, **asked.filters, **asked.place)


async def _rows_of_few(store: Queries, asked: Asked) -> Sequence[Row]:
    mark, order, filters, place, _ = asked
    labels = [word for word in (filters["keyword"], filters["category"]) if word]
    return await store.rows(
        "server_page_of_few",
        labels=msgspec.json.encode(labels).decode() if labels else None,
        by=order.column,
        direction=-1 if order.is_descending else 1,
        number="0" if order.has_words else mark.key,
        word=mark.key if order.has_words else "",
        most=FEW,
        **filters,
        **place,
    )
