"""The catalog's own JSON API: what belongs to a server, and tools of all servers."""

from typing import Any

from litestar import get
from litestar.handlers import HTTPRouteHandler

from service.catalog import read_reference
from service.models import (
    ChildQuery,
    Contributor,
    Dependency,
    Prompt,
    Release,
    Resource,
    ServerVersion,
    Tool,
    ToolQuery,
)
from service.pages import TOOLS, Kind, get_tool, page_children, page_tools
from service.web.answers import Answer, json_text
from service.web.catalog import Call, page_answer
from service.web.parameters import read_query
from service.web.spec import NoQuery, spec

_KINDS: dict[Kind, Any] = {
    "tools": Tool,
    "resources": Resource,
    "prompts": Prompt,
    "dependencies": Dependency,
    "releases": Release,
    "contributors": Contributor,
    "versions": ServerVersion,
}


def _children(kind: Kind, item: type) -> HTTPRouteHandler:
    async def children(request: Call) -> Answer:
        query = read_query(request.scope["query_string"], ChildQuery)
        server = read_reference(request.path_params["server"])
        page = await page_children(request.app.state.store, server, kind, query)
        return page_answer(request, f"{server.path}/{kind}", query, page)

    is_newest_first = kind in {"releases", "versions"}
    order = "newest first" if is_newest_first else "oldest first"
    children.__doc__ = f"The {kind} of one server, {order}, page by page."
    return get(
        f"/servers/{{server:str}}/{kind}",
        name=f"server_{kind}",
        opt=spec(
            summary=f"The {kind} of a server",
            answer=list[item],  # type: ignore[valid-type]
            query=ChildQuery,
            may_fail=("invalid_cursor",),
        ),
    )(children)


@get(
    "/tools",
    opt=spec(
        summary="Tools of all servers, page by page",
        answer=list[Tool],
        query=ToolQuery,
        may_fail=("invalid_cursor",),
    ),
)
async def tools(request: Call) -> Answer:
    """Tools, oldest first; `name` has to be the whole name."""
    query = read_query(request.scope["query_string"], ToolQuery)
    page = await page_tools(request.app.state.store, query)
    return page_answer(request, TOOLS, query, page)


@get("/tools/{tool:str}", opt=spec(summary="One tool, by id", answer=Tool))
async def tool_by_id(request: Call) -> Answer:
    """A tool with its input schema."""
    read_query(request.scope["query_string"], NoQuery)
    tool = request.path_params["tool"]
    return json_text(await get_tool(request.app.state.store, tool))


ROUTES = [*(_children(kind, item) for kind, item in _KINDS.items()), tools, tool_by_id]
