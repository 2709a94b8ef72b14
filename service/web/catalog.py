"""The catalog's own JSON API: servers."""

import re
from typing import Any
from urllib.parse import quote

from litestar import Request, delete, get, patch, post, put

from service.catalog import (
    ANY,
    Reference,
    add_server,
    delete_server,
    etag,
    get_server,
    put_server,
    read_reference,
)
from service.cursor import Page, Paged
from service.errors import Conflict
from service.idempotency import Kept, once
from service.models import Server, ServerBody, ServerDetail, ServerPatch, ServerQuery
from service.pages import page_servers
from service.store.base import Queries
from service.web.answers import Answer, Header, json_text, next_link
from service.web.bodies import read_body
from service.web.parameters import read_query
from service.web.repeats import answer_of, repeatable
from service.web.spec import NoQuery, spec

Call = Request[Any, Any, Any]

_ETAG = re.compile(r'(?:W/)?"[^"]*"')
_PACKED = re.compile(r'-(?:gzip|zstd)"\Z')


def path_of(request: Call, path: str) -> str:
    """A path of this API as the client has to ask for it."""
    root: str = request.scope.get("root_path", "")
    return quote(root) + path if root else path


def page_answer(request: Call, path: str, query: Paged, page: Page) -> Answer:
    """A page with the link to the next one and the total, if there are any."""
    headers: list[Header] = []
    if page.cursor:
        values = [("cursor", page.cursor), ("limit", str(query.limit))]
        headers.append(next_link(path_of(request, path), values))
    if page.total is not None:
        headers.append((b"x-total-count", str(page.total).encode()))
    return Answer(page.body, headers=headers)


@get(
    "/servers",
    opt=spec(
        summary="Servers, page by page",
        answer=list[Server],
        query=ServerQuery,
        may_fail=("invalid_cursor",),
    ),
)
async def servers(request: Call) -> Answer:
    """Servers that pass every filter given, most stars first unless `sort` is given.

    `keyword` and `category` have to be whole elements of the lists. `Link` leads to the
    next page; its cursor holds filters and order. `count=true` adds `X-Total-Count`.
    """
    query = read_query(request.scope["query_string"], ServerQuery)
    page = await page_servers(request.app.state.store, query)
    return page_answer(request, "/servers", query, page)


@get(
    "/servers/{server:str}",
    opt=spec(summary="One whole server, by id or uuid", answer=ServerDetail),
)
async def server_by_id(request: Call) -> Answer:
    """A server with its README and how much belongs to it; `ETag` serves If-Match."""
    body = await get_server(request.app.state.store, _reference(request))
    return _whole(body, etag(body))


@post(
    "/servers",
    opt=spec(
        summary="Add a server",
        answer=ServerDetail,
        status=201,
        body=ServerBody,
        role="editor",
        may_fail=("conflict", "unprocessable"),
        is_repeatable=True,
    ),
)
async def add(request: Call) -> Answer:
    """Add a server; `Location` is its path. 409 leads to the one with that URL.

    With an `Idempotency-Key` it may be sent again for a day: the answer is the same.
    """
    read_query(request.scope["query_string"], NoQuery)
    body = await read_body(request, ServerBody)

    async def write(work: Queries) -> Kept:
        added, text = await add_server(work, body)
        headers = {"etag": etag(text), "location": path_of(request, added.path)}
        return Kept(201, headers, text)

    store = request.app.state.store
    try:
        return answer_of(await once(store, await repeatable(request), write))
    except Conflict as error:
        raise _seen(request, error) from None


@patch(
    "/servers/{server:str}",
    opt=spec(
        summary="Change fields of a server",
        answer=ServerDetail,
        body=ServerPatch,
        role="editor",
        may_fail=("conflict", "precondition_failed"),
    ),
)
async def change(request: Call) -> Answer:
    """Change the fields that are given; null clears one that may be null."""
    return await _put(request)


@put(
    "/servers/{server:str}",
    opt=spec(
        summary="Change fields of a server, as PATCH does",
        answer=ServerDetail,
        body=ServerPatch,
        role="editor",
        may_fail=("conflict", "precondition_failed"),
    ),
)
async def replace(request: Call) -> Answer:
    """Change the fields that are given: clients of the earlier MCPS send no others."""
    return await _put(request)


# Litestar lets no handler of status 204 make its own answer; this one does.
@delete(
    "/servers/{server:str}",
    status_code=200,
    opt=spec(
        summary="Delete a server",
        status=204,
        role="admin",
        may_fail=("precondition_failed",),
    ),
)
async def remove(request: Call) -> Answer:
    """Delete a server with all that belongs to it."""
    reference = _reference(request)
    expected = _expected(request)
    await delete_server(request.app.state.store, reference, expected)
    return Answer(b"", status=204)


async def _put(request: Call) -> Answer:
    reference = _reference(request)
    expected = _expected(request)
    body = await read_body(request, ServerPatch)
    store = request.app.state.store
    try:
        text = await put_server(store, reference, body, expected)
    except Conflict as error:
        raise _seen(request, error) from None
    return _whole(text, etag(text))


def _reference(request: Call) -> Reference:
    read_query(request.scope["query_string"], NoQuery)
    return read_reference(request.path_params["server"])


def _whole(body: str, tag: str) -> Answer:
    return json_text(body, headers=[(b"etag", tag.encode())])


def _seen(request: Call, error: Conflict) -> Conflict:
    """The error with the path as this client sees it."""
    if not error.existing:
        return error
    return Conflict(error.message, existing=path_of(request, error.existing))


def _expected(request: Call) -> frozenset[str]:
    """The validators of If-Match; empty without that header.

    A weak one never matches, and `*` stands for itself when it stands alone. An answer
    that came packed has the validator of its encoding; the entry is the same.
    """
    lines = [value for key, value in request.scope["headers"] if key == b"if-match"]
    if not lines:
        return frozenset()
    text = b",".join(lines).decode("latin-1")
    if text.strip() == ANY:
        return frozenset({ANY})
    strong = [tag for tag in _ETAG.findall(text) if tag[0] != "W"]
    return frozenset(_PACKED.sub('"', tag) for tag in strong) or frozenset({""})


ROUTES = [servers, server_by_id, add, change, replace, remove]
