"""Files for clients that read one file instead of an API."""

from typing import Any

from litestar import Request, get

from service import exports
from service.models_registry import ItemFile, LaunchQuery, McpFile, Policy
from service.web.answers import Answer
from service.web.parameters import read_query
from service.web.spec import NoQuery, spec

Call = Request[Any, Any, Any]


@get(
    "/exports/kiro.json",
    opt=spec(
        summary="The latest versions of all servers in one file",
        answer=ItemFile,
        role="open",
        tag="exports",
    ),
)
async def export_list(request: Call) -> Answer:
    """A list without pages, for clients that fetch one file now and then."""
    read_query(request.scope["query_string"], NoQuery)
    return Answer(await exports.export_list(request.app.state.store))


@get(
    "/exports/managed-settings.json",
    opt=spec(
        summary="A policy that allows the listed servers",
        answer=Policy,
        role="open",
        tag="exports",
    ),
)
async def export_policy(request: Call) -> Answer:
    """Names and remote addresses of all servers, as Copilot reads them."""
    read_query(request.scope["query_string"], NoQuery)
    return Answer(await exports.export_policy(request.app.state.store))


@get(
    "/exports/mcp.json",
    opt=spec(
        summary="The configuration of one server",
        answer=McpFile,
        query=LaunchQuery,
        role="open",
        tag="exports",
        may_fail=("not_found",),
    ),
)
async def export_launch(request: Call) -> Answer:
    """How to start the server of that name, or to reach it; asks for secrets."""
    query = read_query(request.scope["query_string"], LaunchQuery)
    store = request.app.state.store
    return Answer(await exports.export_launch(store, query.server))


ROUTES = [export_list, export_policy, export_launch]
