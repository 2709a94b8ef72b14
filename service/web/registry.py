"""The standard registry API: lists, one server, and what other registries lack."""

from typing import Any

from litestar import Request

from service import changes, registry
from service.models_registry import (
    Batch,
    BatchBody,
    ChangeList,
    ChangeQuery,
    Facets,
    Item,
    ItemList,
    ListQuery,
    Pong,
    RegistryHealth,
    RegistryVersion,
    VersionQuery,
)
from service.registry import Found
from service.web.answers import Answer, json_value
from service.web.asked import read_asked
from service.web.bodies import read_body
from service.web.prefixes import Handlers, part, routes
from service.web.probes import VERSION
from service.web.spec import NoQuery, spec

Call = Request[Any, Any, Any]

_TAG = {"role": "open", "tag": "registry"}
_NO_STORE = (b"cache-control", b"no-store")


def found_answer(found: Found) -> Answer:
    """What the catalog showed, and at which serial."""
    serial = (b"x-mcps-serial", str(found.serial).encode())
    return Answer(found.body, headers=[serial])


async def servers(request: Call) -> Answer:
    """Versions in the order of name and version; best first with `search`.

    `metadata.nextCursor` is there only when there is a next page. It carries every
    filter; a parameter that contradicts it is refused. `search` looks for words in
    names, titles, descriptions, keywords and tools, mends typing errors, and takes a
    text with a slash for a part of a name. Unknown and empty parameters are ignored.
    """
    query = read_asked(request.scope["query_string"], ListQuery)
    return found_answer(await registry.page_versions(request.app.state.store, query))


async def versions(request: Call) -> Answer:
    """All versions of one server, the newest first."""
    query = read_asked(request.scope["query_string"], VersionQuery)
    found = await registry.get_versions(
        request.app.state.store,
        part(request, "server"),
        include_deleted=query.include_deleted,
    )
    return found_answer(found)


async def version(request: Call) -> Answer:
    """One version; `latest` is the latest one. 404 only when it is not listed."""
    query = read_asked(request.scope["query_string"], VersionQuery)
    found = await registry.get_version(
        request.app.state.store,
        part(request, "server"),
        part(request, "version"),
        include_deleted=query.include_deleted,
    )
    return found_answer(found)


async def change_feed(request: Call) -> Answer:
    """What changed after a serial: versions and servers as they are now, or deleted.

    Store `next` and send it as `since`. A page that is not full is the end for now. A
    `serial` below what was sent is that of a catalog that was restored: begin at 0.
    """
    query = read_asked(request.scope["query_string"], ChangeQuery)
    return found_answer(await changes.page_changes(request.app.state.store, query))


async def facets(request: Call) -> Answer:
    """How many servers there are by `status:`, `type:`, `transport:` and `remote`."""
    read_asked(request.scope["query_string"], NoQuery)
    return found_answer(await registry.get_facets(request.app.state.store))


async def batch(request: Call) -> Answer:
    """The latest versions of up to 100 servers in one request."""
    read_asked(request.scope["query_string"], NoQuery)
    body = await read_body(request, BatchBody)
    return found_answer(await registry.get_batch(request.app.state.store, body.names))


async def health(request: Call) -> Answer:
    """Liveness, and the client id that publishing tools log in to GitHub with."""
    read_asked(request.scope["query_string"], NoQuery)
    client_id = request.app.state.settings.github_client_id
    health = RegistryHealth(github_client_id=client_id)
    return json_value(health, headers=[_NO_STORE])


async def ping(request: Call) -> Answer:
    """The process answers."""
    read_asked(request.scope["query_string"], NoQuery)
    return json_value(Pong(pong=True), headers=[_NO_STORE])


async def release(request: Call) -> Answer:
    """The version of this service."""
    read_asked(request.scope["query_string"], NoQuery)
    return json_value(RegistryVersion(VERSION))


_LIST = spec(
    summary="Versions of servers, page by page",
    answer=ItemList,
    query=ListQuery,
    may_fail=("unprocessable", "invalid_cursor"),
    **_TAG,
)
_VERSIONS = spec(
    summary="All versions of a server",
    answer=ItemList,
    query=VersionQuery,
    may_fail=("unprocessable",),
    **_TAG,
)
_VERSION = spec(
    summary="One version of a server",
    answer=Item,
    query=VersionQuery,
    may_fail=("unprocessable",),
    **_TAG,
)
_CHANGES = spec(
    summary="The change feed",
    answer=ChangeList,
    query=ChangeQuery,
    may_fail=("unprocessable",),
    **_TAG,
)
_BATCH = spec(summary="Several servers", answer=Batch, body=BatchBody, **_TAG)
_HANDLERS: Handlers = (
    ("get", "/servers", servers, _LIST),
    ("get", "/servers/{server:str}/versions", versions, _VERSIONS),
    ("get", "/servers/{server:str}/versions/{version:str}", version, _VERSION),
    ("get", "/x/io.mcps/changes", change_feed, _CHANGES),
    (
        "get",
        "/x/io.mcps/facets",
        facets,
        spec(summary="Servers by kind", answer=Facets, **_TAG),
    ),
    ("post", "/x/io.mcps/batch", batch, _BATCH),
    (
        "get",
        "/health",
        health,
        spec(summary="Liveness", answer=RegistryHealth, **_TAG),
    ),
    ("get", "/ping", ping, spec(summary="Pong", answer=Pong, **_TAG)),
    (
        "get",
        "/version",
        release,
        spec(summary="The running release", answer=RegistryVersion, **_TAG),
    ),
)


ROUTES = routes(_HANDLERS)
"""The handlers of this file, below each prefix."""
